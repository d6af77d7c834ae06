/*
 * Delivered memory, the worker's end: what was delivered to whom, so that a
 * retry is not delivered twice (RFC 1047). The keeper process has it; it is
 * asked in batches over a socket pair, and never waited for: no answer in
 * 200 ms, or no keeper, is MEMORY_OUT.
 */
#ifndef DAEMON_MEMORY_H
#define DAEMON_MEMORY_H

#include "base/bytes.h"
#include "daemon/arrival.h"
#include "daemon/loop.h"

#define MEMORY_VALUE_MAX 1024U
#define MEMORY_WAIT_MS 200
#define MEMORY_SHORT_S (15 * 60)	/* how long is_short is remembered */

/* What an entry is about. Only a keyed digest of it leaves the worker. */
struct memory_key {
	struct bytes scope;		/* name of a listener or pair */
	struct bytes reverse_path;	/* as it came */
	struct bytes rcpt_to;		/* onward recipient */
	struct bytes content;		/* hashes; empty for memory_look() */
};

enum memory_status {
	MEMORY_NEW,	/* claimed: deliver. The value is ours */
	MEMORY_AGAIN,	/* claimed; an earlier try, whose value it is, had no
			   clear end: deliver the same octets */
	MEMORY_DELIVERED,	/* before, with this value: do not again */
	MEMORY_BUSY,	/* another session is delivering it: 451 4.4.5 */
	MEMORY_KNOWN,	/* memory_look(): there is an entry of that pair;
			   memory_return_find(): the value is the path */
	MEMORY_OUT,	/* claimed as far as we can: deliver, a double may
			   come of it. Nothing is known of a look */
};

struct memory_reply {
	enum memory_status status;
	bool is_single;		/* look: one recipient a transaction, now */
	struct bytes value;	/* until the call returns */
};

/*
 * An answer. tag is that of the question, as with signer_answer.
 *
 * Returns  false where nobody waits for it any more: what was claimed is
 *          released then
 */
typedef bool memory_answer(void *arg, uint64_t tag,
    const struct memory_reply *reply);

/* How often what happened, since the start. */
struct memory_counts {
	uint64_t asked;		/* looks and claims */
	uint64_t delivered;	/* answers MEMORY_DELIVERED */
	uint64_t busy;		/* answers MEMORY_BUSY */
	uint64_t out;		/* answers MEMORY_OUT */
	uint64_t lost;		/* deliveries that could not be remembered */
};

struct memory;

/* Who is told what. arrival may be NULL: nobody asks. */
struct memory_calls {
	memory_answer *answer;
	arrival_answer *arrival;
};

/*
 * The worker's end.
 *
 * channel  where the master sends a socket to each keeper that it starts;
 *          ours from now on; -1: there is no keeper, everything is OUT
 * calls    copied
 * Returns  NULL without memory. Waits up to a second for the first keeper
 */
struct memory *memory_new(struct loop *l, int channel,
    const struct memory_calls *calls, void *arg);

/* No answers come from now on; the keeper frees our claims. *m is NULL then,
 * and may be before. */
void memory_free(struct memory **m);

/* For how long an answer is waited; MEMORY_WAIT_MS from the start. */
void memory_wait(struct memory *m, int ms);

const struct memory_counts *memory_counted(const struct memory *m);

/*
 * Asks, at RCPT time, whether there is an entry of this reverse-path and
 * recipient: MEMORY_KNOWN, MEMORY_NEW where there is none, or MEMORY_OUT.
 * The answer comes later, never before this returns.
 *
 * Returns  0, or -E_NOMEM: no answer will come, take it as MEMORY_OUT
 */
int memory_look(struct memory *m, const struct memory_key *k, uint64_t tag);

/*
 * Claims a delivery: MEMORY_NEW, _AGAIN, _DELIVERED, _BUSY or _OUT, later,
 * never before this returns. Whoever was told NEW, AGAIN or OUT ends it with
 * one of memory_delivered(), memory_unsure() and memory_release(); until
 * then every other claim of it is BUSY. Who leaves before the answer does
 * nothing: false is returned for him.
 *
 * value    what makes the next copy identical; at most MEMORY_VALUE_MAX
 *          octets, copied
 * is_short remembered for MEMORY_SHORT_S only
 * Returns  0, or -E_NOMEM: no answer will come, take it as MEMORY_OUT
 */
int memory_claim(struct memory *m, const struct memory_key *k,
    struct bytes value, bool is_short, uint64_t tag);

/*
 * The next hop said 2xx. When this returns the keeper's socket has it, so
 * that our own death does not lose it: call it before the client's answer.
 */
void memory_delivered(struct memory *m, const struct memory_key *k);

/* The dot was out and no answer came: the claim ends, the value stays. */
void memory_unsure(struct memory *m, const struct memory_key *k);

/* Refused, or never sent: forgotten. An earlier unsure try stays. */
void memory_release(struct memory *m, const struct memory_key *k);

/* Forgets what was delivered: an honest repeat may follow. */
void memory_forget(struct memory *m, const struct memory_key *k);

/*
 * The answers for recipients of one message differed: memory_look() says
 * is_single for (scope, reverse_path) until each of rcpts had an answer of
 * its own, or for a day. Kept while the keeper lives.
 */
void memory_mixed(struct memory *m, struct bytes scope,
    struct bytes reverse_path, const struct bytes *rcpts, size_t n);

/* One of them had it. */
void memory_answered(struct memory *m, struct bytes scope,
    struct bytes reverse_path, struct bytes rcpt);

/* ---- where return addresses lead (smtp/token.h) -------------------------- */

#define MEMORY_RETURN_ID 16U	/* octets */

/*
 * Keeps where a return address of ours leads, for as long as it is good. Said
 * again to the next keeper while none has confirmed it, up to some thousands;
 * one that is lost costs the bounce of that mail.
 *
 * path     with angle brackets, at most MEMORY_VALUE_MAX octets, copied
 */
void memory_return_keep(struct memory *m, const uint8_t id[MEMORY_RETURN_ID],
    struct bytes path);

/*
 * Asks where one leads: MEMORY_KNOWN, and the value is its path; MEMORY_NEW
 * where nothing is known of it, or MEMORY_OUT. The answer comes later, never
 * before this returns.
 *
 * Returns  0, or -E_NOMEM: no answer will come, take it as MEMORY_OUT
 */
int memory_return_find(struct memory *m, const uint8_t id[MEMORY_RETURN_ID],
    uint64_t tag);

#endif
