/* What the parts of shared arrival records have in common; who uses them
 * includes shared_arrivals.h. */
#ifndef DAEMON_SHARED_ARRIVALS_STATE_H
#define DAEMON_SHARED_ARRIVALS_STATE_H

#include "daemon/arrival_rows.h"
#include "daemon/shared_arrivals.h"
#include "daemon/shared_copies.h"
#include "daemon/shared_rows.h"

/* Of the scripts, from SHARED_OWN_SCRIPTS on. */
enum {
	ARRIVAL_SCRIPT_WRITE, ARRIVAL_SCRIPT_REMOVE, ARRIVAL_SCRIPT_FIND,
	ARRIVAL_SCRIPT__N
};

/* Octets of the rows of a chain: of more the oldest go, as past
 * ARRIVAL_ROWS_MAX. A find has all of them in one answer. */
#define SHARED_CHAIN_OCTETS (256U * 1024)
/* A copy that was on its way for longer than this does not come: its machine
 * is gone. */
#define SHARED_PENDING_S 120
#define SHARED_POLL_MS 200	/* for a copy on its way */
/* Below ARRIVAL_COPY_WAIT_MS, which workers have. */
#define SHARED_FIND_MS (55 * 1000)
#define SHARED_FINDINGS_MAX 256U	/* that wait for a copy at a time */
#define SHARED_REMOVALS_MAX 4096U	/* that the server was not told */
#define SHARED_REMOVALS_ASKED 32U	/* of them, at a time */
#define SHARED_PLACES_MAX 8U	/* chains of one Message-ID that are tried */
/* A file of a copy is kept for so long after it came: to fetch it again costs
 * little. */
#define SHARED_FILE_S 3600
#define SHARED_SWEEP_MS (15 * 60 * 1000)

#define SHARED_KEY_TEXT 48U	/* of a key on the server, with its NUL */

struct shared_removal {
	struct shared_removal *next;
	uint8_t name[STORE_KEY_SIZE];
	struct memory_place place;
};

/* A find whose copy comes from another machine. */
struct shared_finding {
	struct shared_finding *next;
	uint64_t number;
	unsigned peer;
	uint64_t tag;
	uint8_t chain[STORE_KEY_SIZE];
	uint8_t content[STORE_KEY_SIZE];
	struct shared_copy copy;
	bool is_polled;			/* a question is on its way */
	int64_t deadline_ms;
	size_t n;
	uint8_t value[];		/* the record */
};

struct shared_arrivals {
	struct shared *shared;
	struct loop *loop;
	struct store_limits limits;
	struct copies *copies;
	struct shared_copies *bulk;
	bool is_up;
	struct shared_removal *removals, **last_removal;
	size_t n_removals;		/* that wait */
	size_t n_removing;		/* that the server is to answer */
	struct shared_finding *findings;
	size_t n_findings;
	uint64_t n_numbers;
	struct loop_timer *poll;
	int64_t sweep_ms;		/* the next, not before */
	bool is_sweeping;
	struct arrival_rows rows;
	uint8_t octets[SHARED_SEAL_SIZE + SHARED_ROW_MAX];
	uint8_t value[ARRIVAL_VALUE_MAX];
};

/* The key on the server: kind is 'c' a chain, 'o' its order, 'm' a message,
 * 'b' the octets of a copy. */
struct bytes shared_arrival_key(char kind, const uint8_t key[STORE_KEY_SIZE],
    char text[SHARED_KEY_TEXT]);

/* What is known of a copy, sealed, as it stands with its content. */
#define SHARED_COPY_SEALED (SHARED_SEAL_SIZE + SHARED_COPY_MAX)
struct bytes shared_copy_seal(const struct shared *s,
    const uint8_t chain[STORE_KEY_SIZE], const uint8_t content[STORE_KEY_SIZE],
    const struct shared_copy *c, uint8_t out[SHARED_COPY_SEALED]);
bool shared_copy_unseal(const struct shared *s,
    const uint8_t chain[STORE_KEY_SIZE], const uint8_t content[STORE_KEY_SIZE],
    struct bytes b, struct shared_copy *c);

/* Answers a peer. */
void shared_arrival_say(struct shared_arrivals *a, unsigned peer, uint64_t tag,
    enum arrival_status status, struct bytes value);

/* ---- finds that wait (shared_finding.c) ----------------------------------- */

/*
 * A find has a record whose copy is not here: fetches it, or waits until the
 * machine that has it has sent it. The answer comes later, or now where too
 * many wait.
 *
 * value    the record, copied
 */
void shared_finding_add(struct shared_arrivals *a, unsigned peer, uint64_t tag,
    const uint8_t chain[STORE_KEY_SIZE], const uint8_t content[STORE_KEY_SIZE],
    const struct shared_copy *copy, struct bytes value);

/* Of shared_copies_new(). */
void shared_finding_fetched(void *arg, const uint8_t name[STORE_KEY_SIZE],
    enum shared_fetched how);

/* Whether one waits for that copy. */
bool shared_finding_needs(const struct shared_arrivals *a,
    const uint8_t name[STORE_KEY_SIZE]);

/* All are told that nothing is known now. */
void shared_finding_end(struct shared_arrivals *a);

void shared_finding_poll(void *arg);

#endif
