/* What the parts of shared copies have in common; who uses them includes
 * shared_copies.h. */
#ifndef DAEMON_SHARED_COPIES_STATE_H
#define DAEMON_SHARED_COPIES_STATE_H

#include <sodium.h>

#include "daemon/shared_arrivals_state.h"

enum {
	COPY_SCRIPT_RESERVE, COPY_SCRIPT_PIECE, COPY_SCRIPT_WHOLE,
	COPY_SCRIPT_FORGET, COPY_SCRIPT_DROP,
	COPY_SCRIPT__N
};

extern const struct redis_script shared_copy_scripts[COPY_SCRIPT__N];

#define COPY_DROPS_A_TIME 16	/* that go for a new one */
#define COPY_ROOMS_MAX 4096U	/* times that some go for it */
#define COPY_LOG_MS (60 * 1000)

/* What a job does next. */
enum copy_step {
	COPY_RESERVE,		/* of sending */
	COPY_SEND,
	COPY_WHOLE,
	COPY_FETCH,		/* of fetching */
	COPY_FORGET,		/* of both: the record goes on without */
};

struct copy_job {
	struct copy_job *next;
	bool is_fetch;
	enum copy_step step;
	uint8_t chain[STORE_KEY_SIZE];
	uint8_t content[STORE_KEY_SIZE];
	struct shared_copy copy;
	int64_t deadline_ms;
	unsigned n_tries, n_rooms;
	int fd;				/* of the file; -1: none */
	uint64_t at;			/* octets that are sent, or fetched */
	crypto_generichash_state hash;	/* of them */
};

struct copy_jobs {
	struct copy_job *first, **last;
	size_t n;
};

struct copy_drop {
	struct copy_drop *next;
	struct shared_copy copy;
	bool is_unsaid;			/* nothing of it but the word of its
					   content that it comes */
	uint8_t chain[STORE_KEY_SIZE];
	uint8_t content[STORE_KEY_SIZE];
};

struct shared_copies {
	struct loop *loop;
	struct shared *shared;
	struct copies *copies;
	struct store_limits limits;
	struct redis *redis;
	shared_fetched_call *fetched;
	void *arg;
	bool is_dying;
	bool is_asked;			/* a command has no answer yet */
	bool was_fetch;			/* the one before */
	struct copy_job *asked;		/* whose it is; NULL: a drop's */
	struct copy_jobs sends, fetches;
	struct copy_drop *drops, **last_drop;
	size_t n_drops;
	int64_t logged_ms;		/* 0: never */
	size_t n_piece;			/* that was read for the first send */
	uint8_t piece[SHARED_PIECE];
};

/* ---- the jobs (shared_copies.c) ------------------------------------------- */

/* Does what is next, if nothing is under way. */
void shared_copies_go(struct shared_copies *c);

/* Asks; what is answered goes to answer. False: not now. */
bool shared_copies_ask(struct shared_copies *c, struct copy_job *j, int script,
    unsigned n_keys, const struct bytes *args, size_t n, redis_answer *answer);

/* Takes a job out and frees it; its file is closed. */
void shared_copies_end(struct shared_copies *c, struct copy_job *j);

/* Begins it from its first octet. */
void shared_copies_begin(struct copy_job *j, enum copy_step step);

/* The record goes on without: what the server has of the copy goes. */
bool shared_copies_forget(struct shared_copies *c, struct copy_job *j);

/* Logs what became of a copy, at most once a minute; with errno for %m. */
void shared_copies_log(struct shared_copies *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Key of the octets of a copy. */
struct bytes shared_copy_key(const struct shared_copy *c,
    char text[SHARED_KEY_TEXT]);

/* Name and size, as the set has them. */
#define COPY_MEMBER_MAX (STORE_KEY_SIZE + 21)
struct bytes shared_copy_member(const struct shared_copy *c,
    char out[COPY_MEMBER_MAX]);

/* ---- steps; false: nothing can be done now (shared_send.c, shared_fetch.c) - */

bool shared_send_step(struct shared_copies *c, struct copy_job *j);
bool shared_fetch_step(struct shared_copies *c, struct copy_job *j);

/* A fetch is over: who waits is told, and the file is kept or not. */
void shared_fetch_end(struct shared_copies *c, struct copy_job *j,
    enum shared_fetched how);

#endif
