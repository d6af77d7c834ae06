/* What the clients of the soak have to send: new messages, which are drawn,
 * and those that wait for another try. */
#ifndef TESTS_SOAK_JOBS_H
#define TESTS_SOAK_JOBS_H

#include "tests/soak/soak.h"

struct job {
	uint32_t number;	/* NOBODY: none */
	int64_t due_ms;
	struct mail own;	/* text NULL: mail_make() */
};

/* limit new messages in all, at most rate a second (0: any). */
void jobs_init(uint32_t limit, unsigned rate, uint64_t seed);

/* One of so many messages has a client that leaves behind its dot, and comes
 * again; from now on. */
void jobs_leavers(unsigned one_of);

/* The next number that looks random. */
uint64_t jobs_draw(void);

/* Has it wait; the job is empty then. */
void jobs_put(unsigned mode, struct job *, int64_t due_ms);

/* What is due of a mode, or something new. False: nothing. */
bool jobs_next(unsigned mode, struct job *, int64_t now_ms);

/* Sees what is due; jobs_is_due() and jobs_next() go by that. */
void jobs_look(int64_t now_ms);
bool jobs_is_due(unsigned mode);

bool jobs_may_draw(unsigned mode);
unsigned jobs_waiting(void);

#endif
