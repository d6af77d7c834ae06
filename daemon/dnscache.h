/*
 * What the DNS said of one type, for a while: at most its TTL and an hour, "there is
 * none" a minute, "it did not work" five seconds. Bounded in names and in
 * octets; the one not used for longest goes first.
 */
#ifndef DAEMON_DNSCACHE_H
#define DAEMON_DNSCACHE_H

#include "daemon/dnsanswer.h"

struct dnscache;

/* NULL without memory. */
struct dnscache *dnscache_new(size_t max_names, size_t max_octets);
void dnscache_free(struct dnscache **c);

/*
 * Looks a name up (any case).
 *
 * Returns  false where it is not known any more
 * Lifetime of what e holds: until the next call
 */
bool dnscache_find(struct dnscache *c, struct bytes name, int64_t now_ms,
    struct dnsanswer_records *e);

/* Remembers an answer; copied. Where there is no memory it is not. */
void dnscache_put(struct dnscache *c, struct bytes name, int64_t now_ms,
    const struct dnsanswer_records *e);

size_t dnscache_count(const struct dnscache *c);

#endif
