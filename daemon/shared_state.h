/* What the parts of the shared judgement have in common; who uses it includes
 * shared.h. */
#ifndef DAEMON_SHARED_STATE_H
#define DAEMON_SHARED_STATE_H

#include "daemon/shared.h"
#include "daemon/shared_arrivals.h"
#include "daemon/singles.h"

#define SHARED_BEAT_MS 1000
#define SHARED_LEASE_MS 5000	/* beats that fail before others take over */

#define SHARED_MACHINE 16U	/* characters */
#define SHARED_NODE 32U		/* likewise: machine, life */
#define SHARED_OWNER_MAX (SHARED_NODE + 12U)	/* NODE:PEER */

#define SHARED_NOTES_MAX 65536U
#define SHARED_NOTES_OCTETS (64U * 1024 * 1024)
#define SHARED_BLOB_MAX (SHARED_SEAL_SIZE + 1 + MEMORY_VALUE_MAX)

/* What a sealed value is of: 'm' a delivery, 'r' a way back. The first octet
 * of a delivery's says how it is. */
#define SHARED_TRIED 'T'
#define SHARED_IS_DELIVERED 'D'

/* ---- owners (shared_owners.c): claims of this keeper's peers -------------- */

struct owners;

struct owners *owners_new(void);
void owners_free(struct owners **o);

/* Who has claimed a key, but for one who must have forgotten it; 0: nobody. */
unsigned owners_find(struct owners *o, const uint8_t *key, int64_t now_ms);

/* Past the bound, or without memory, a claim has no owner. */
void owners_add(struct owners *o, unsigned peer, const uint8_t *key,
    int64_t now_ms);

/* Nothing where it is not that peer's. */
void owners_remove(struct owners *o, unsigned peer, const uint8_t *key);

/* Takes one claim of a peer out; false where it has none. */
bool owners_take(struct owners *o, unsigned peer, uint8_t *key);

/* ---- notes (shared_notes.c): what the server is to be told ---------------- */

/* Beside those of memory_op: a peer has left its claim. */
#define SHARED_OP_LEAVE (MEMORY_OP__N + 1)

struct note {
	struct note *next, **at;	/* in the order of coming */
	struct note *chained;		/* of one bucket, the youngest first */
	struct shared *shared;
	unsigned peer;
	bool is_asked;			/* on its way to the server */
	bool is_answered;		/* the peer has its answer */
	unsigned n_errors;
	bool is_refused;		/* it waits for the next tick */
	struct memory_request q;
	uint8_t value[];
};

struct notes {
	struct note *first, **last;
	struct note **buckets;
	size_t n, n_octets, n_waiting;	/* those that are not asked */
};

int notes_init(struct notes *n);
void notes_fini(struct notes *n);

/* The youngest of a key; NULL: none. */
struct note *notes_find(const struct notes *n, const uint8_t *key);

/*
 * Notes what is to be told to the server, and tells it where it is there.
 *
 * Returns  false where there is no room: it is lost
 */
bool notes_add(struct shared *s, unsigned peer, const struct memory_request *q,
    struct bytes value);

/* Tells what waits, as far as there is room; not what was refused since the
 * last tick, nor what comes behind it of the same key. */
void notes_tell(struct shared *s);
void notes_tick(struct shared *s);

/* ---- the whole ------------------------------------------------------------ */

struct shared {
	struct loop *loop;
	struct redis *redis;
	const struct shared_calls *calls;
	void *arg;
	struct store_limits limits;
	uint8_t secret[MEMORY_SECRET_SIZE];
	bool has_secret;		/* the server's */
	bool is_ready;			/* and the last beat was answered */
	bool is_beating;		/* one is on its way */
	bool is_dying;
	char node[SHARED_NODE + 1];
	struct redis_script *scripts;
	struct loop_timer *tick;
	struct singles *singles;
	struct owners *owners;
	struct notes notes;
	struct shared_arrivals *arrivals;
};

/* Arguments of a script about a delivery: KEYS 1 to 3, ARGV 1 to 4. */
struct shared_args {
	char entry[64], pair[64], owner[SHARED_OWNER_MAX + 1];
	char lease[32], age[32], ttl[32];
	uint8_t blob[SHARED_BLOB_MAX];
	struct bytes args[12];
	size_t n;
};

/* Fills in what every script has. */
void shared_args(const struct shared *s, unsigned peer,
    const struct memory_request *q, struct shared_args *a);

/* Adds how long it is kept, and a sealed value. */
void shared_args_value(const struct shared *s, const struct memory_request *q,
    char how, struct bytes value, struct shared_args *a);

/* hopseal:KIND:HEX */
void shared_key(char kind, const void *octets, size_t n, char out[64]);

void shared_number(char out[32], int64_t number);

extern const struct redis_script shared_own_scripts[SHARED_OWN_SCRIPTS];

#endif
