/* What all sessions of one worker share. */
#ifndef DAEMON_HUB_H
#define DAEMON_HUB_H

#include "daemon/memory.h"
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

struct hub {
	const struct worker_env *env;
	struct loop *loop;
	const struct config *config;
	const struct signer_inventory *inventory;
	struct resolve *resolve;
	struct tls *tls;
	const struct logins *logins;
	struct arena *arena;	/* as old as the hub; takes the ring */
	struct dkim2_keyring *keyring;	/* public keys that were read before */
	struct offers *offers;	/* what next hops can */
	struct memory *memory;	/* what was delivered before */
	struct signer_client *signer;	/* NULL: there are no keys */
	struct pool *pool;	/* connections to next hops */
	struct probe *probe;	/* at the start, what those can */
	struct slots slots;	/* TXT, memory: a relay; signatures: an onward;
				   ways: an outbound; look-ups: nexthop */
	struct nexthop_request *ways;	/* under way */
	/* an answer of nexthop_ask() */
	void (*way_found)(struct hub *, uint64_t tag,
	    const struct nexthop_answer *);
	size_t n_relays;	/* under way, also those nobody waits for */
	void (*relay_gone)(struct hub *);	/* one less */
};

#endif
