/* When a recipient is tried again, and when no more. */
#ifndef QUEUE_RETRY_H
#define QUEUE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct retry_rules {
	int64_t first_s;	/* after the first failure */
	int64_t max_s;		/* doubling up to this */
	int64_t expire_s;	/* after arrival, or after signing */
};

/*
 * Seconds until the next try.
 *
 * tries    so far, at least 1
 * seed     of the message: up to a tenth is added or taken, so that those of
 *          one moment do not all come back in one moment
 */
int64_t retry_delay(const struct retry_rules *r, unsigned tries,
    uint64_t seed);

/*
 * Milliseconds to wait for a time of day that was written down earlier. A
 * clock that was set since makes no wait longer than the longest delay.
 */
int64_t retry_wait_ms(const struct retry_rules *r, int64_t due_s,
    int64_t now_s);

/* A message's age: the time of day when it was loaded told how old it was
 * then, the monotonic clock what came to it since. */
struct retry_age {
	int64_t loaded_age_s;	/* never negative */
	int64_t loaded_ms;	/* monotonic */
};

/* since_s  arrival or signature, whichever is earlier; time of day */
struct retry_age retry_age_of(int64_t since_s, int64_t now_s, int64_t now_ms);

bool retry_is_expired(const struct retry_rules *r, const struct retry_age *a,
    int64_t now_ms);

/* The monotonic moment at which it does expire. */
int64_t retry_expires_ms(const struct retry_rules *r,
    const struct retry_age *a);

#endif
