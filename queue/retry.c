#include "queue/retry.h"

#include <assert.h>

/* A tenth, up or down. */
#define JITTER_PARTS 10

/* No moment of a clock is nearer to the end of its range than this. */
#define LONGEST_S (INT64_MAX / 4000)

static int64_t
clamp(int64_t v, int64_t min, int64_t max)
{
	if (v < min)
		return min;
	return v > max ? max : v;
}

/* a - b, or the end of the range where that is past it. */
static int64_t
minus(int64_t a, int64_t b)
{
	if (b > 0 && a < INT64_MIN + b)
		return INT64_MIN;
	if (b < 0 && a > INT64_MAX + b)
		return INT64_MAX;
	return a - b;
}

/* Octets that look like chance and are the same for the same message and try
 * (the last steps of splitmix64). */
static uint64_t
mix(uint64_t v)
{
	v += 0x9e3779b97f4a7c15U;
	v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9U;
	v = (v ^ (v >> 27)) * 0x94d049bb133111ebU;
	return v ^ (v >> 31);
}

/* The longest delay, without what chance adds. */
static int64_t
longest(const struct retry_rules *r)
{
	return clamp(r->max_s, 1, LONGEST_S);
}

int64_t
retry_delay(const struct retry_rules *r, unsigned tries, uint64_t seed)
{
	int64_t max = longest(r), delay = clamp(r->first_s, 1, max), part;

	assert(tries >= 1);
	for (unsigned k = 1; k < tries && delay < max; k++)
		delay = delay > max / 2 ? max : delay * 2;
	part = delay / JITTER_PARTS;
	return delay - part + (int64_t)(mix(seed + tries) %
	    (uint64_t)(2 * part + 1));
}

int64_t
retry_wait_ms(const struct retry_rules *r, int64_t due_s, int64_t now_s)
{
	int64_t max = longest(r);

	max += max / JITTER_PARTS;
	return clamp(minus(due_s, now_s), 0, max) * 1000;
}

struct retry_age
retry_age_of(int64_t since_s, int64_t now_s, int64_t now_ms)
{
	return (struct retry_age){
		.loaded_age_s = clamp(minus(now_s, since_s), 0, INT64_MAX),
		.loaded_ms = now_ms,
	};
}

int64_t
retry_expires_ms(const struct retry_rules *r, const struct retry_age *a)
{
	int64_t left_s = clamp(minus(r->expire_s, a->loaded_age_s), -LONGEST_S,
	    LONGEST_S);

	/* Where it was too old already: then. */
	return left_s <= 0 ? a->loaded_ms :
	    minus(a->loaded_ms, -left_s * 1000);
}

bool
retry_is_expired(const struct retry_rules *r, const struct retry_age *a,
    int64_t now_ms)
{
	return now_ms >= retry_expires_ms(r, a);
}
