/*
 * Senders that are to send one recipient a transaction, since the answers
 * for the recipients of a message of theirs differed: until each of those
 * recipients has had an answer of its own, or for a day. Bounded: the oldest
 * sender gives way. Senders and recipients are digests.
 */
#ifndef DAEMON_SINGLES_H
#define DAEMON_SINGLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SINGLES_SENDERS_MAX 4096U
#define SINGLES_PAIRS_MAX 4096U		/* recipients of one sender */
#define SINGLES_KEPT_MS (24LL * 3600 * 1000)

struct singles;

/* NULL without memory. */
struct singles *singles_new(void);
void singles_free(struct singles **s);

/* These recipients of a sender are waited for now, for a day from now. */
void singles_add(struct singles *s, uint64_t sender, const uint64_t *pairs,
    size_t n, int64_t now_ms);

/* One of them had its answer. */
void singles_remove(struct singles *s, uint64_t sender, uint64_t pair);

/* Whether any is waited for. */
bool singles_has(struct singles *s, uint64_t sender, int64_t now_ms);

#endif
