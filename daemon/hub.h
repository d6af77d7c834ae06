/* What all sessions of one worker share, or all tries of the queue process. */
#ifndef DAEMON_HUB_H
#define DAEMON_HUB_H

#include "daemon/memory.h"
#include "daemon/queue_link.h"
#include "daemon/resolve.h"
#include "daemon/signer.h"
#include "daemon/slots.h"
#include "daemon/tls.h"
#include "daemon/worker.h"

struct nexthop_answer;
struct offers;
struct nexthop_request;
struct probe;
struct pool;

struct hub;

/* Answers for those who asked, by their tags. NULL: nobody asks. */
struct hub_calls {
	void (*txt)(struct hub *, uint64_t tag, const struct resolve_txt *);
	void (*signature)(struct hub *, uint64_t tag, struct bytes);
	/* as memory_answer */
	bool (*memory)(struct hub *, uint64_t tag,
	    const struct memory_reply *);
	/* as arrival_answer */
	bool (*arrival)(struct hub *, uint64_t tag,
	    const struct arrival_reply *);
	void (*queue)(struct hub *, uint64_t tag, enum queue_answer);
	void (*relay_gone)(struct hub *);	/* a relay less */
};

struct hub {
	const struct worker_env *env;
	struct loop *loop;
	const struct config *config;
	const struct signer_inventory *inventory;
	struct resolve *resolve;
	struct tls *tls;
	const struct logins *logins;
	struct smtp_secrets secrets;	/* n == 0: none */
	struct arena *arena;	/* as old as the hub; takes the ring */
	struct dkim2_keyring *keyring;	/* public keys that were read before */
	struct offers *offers;	/* what next hops can */
	struct memory *memory;	/* what was delivered before */
	struct signer_client *signer;	/* NULL: there are no keys */
	uint32_t n_proofs;	/* of signed messages, so far */
	struct pool *pool;	/* connections to next hops */
	struct probe *probe;	/* at the start, what those can; the owner's */
	struct queue_link *queue;	/* NULL: no listener queues */
	struct slots slots;	/* TXT, memory, queue: a relay; signatures: an onward;
				   ways: an outbound; look-ups: nexthop */
	struct nexthop_request *ways;	/* under way */
	/* an answer of nexthop_ask() */
	void (*way_found)(struct hub *, uint64_t tag,
	    const struct nexthop_answer *);
	size_t n_relays;	/* under way, also those nobody waits for */
	struct hub_calls calls;
};

/*
 * Makes what is shared but for the probe; takes no connection.
 *
 * env      lives as long; there may be no signers
 * Returns  false without memory: hub_fini() is to be called all the same
 */
bool hub_init(struct hub *h, const struct worker_env *env,
    const struct hub_calls *calls);

/* Whoever uses it, an outbound too, has been freed before. */
void hub_fini(struct hub *h);

#endif
