/*
 * What the DNS said, for a while: at most its TTL and an hour, "there is
 * none" a minute, "it did not work" five seconds. Bounded in names and in
 * octets; the one not used for longest goes first.
 */
#ifndef DAEMON_KEYCACHE_H
#define DAEMON_KEYCACHE_H

#include "base/bytes.h"
#include "dkim2/dkim2.h"

struct keycache;

struct keycache_entry {
	enum dkim2_key found;
	const struct bytes *records;
	size_t n;
	uint32_t ttl_s;		/* from now on */
};

/* NULL without memory. */
struct keycache *keycache_new(size_t max_names, size_t max_octets);
void keycache_free(struct keycache **c);

/*
 * Looks a name up (any case).
 *
 * Returns  false where it is not known any more
 * Lifetime of what e holds: until the next call
 */
bool keycache_find(struct keycache *c, struct bytes name, int64_t now_ms,
    struct keycache_entry *e);

/* Remembers an answer; copied. Where there is no memory it is not. */
void keycache_put(struct keycache *c, struct bytes name, int64_t now_ms,
    const struct keycache_entry *e);

size_t keycache_count(const struct keycache *c);

#endif
