/* Memory of one message, one session or one configuration, with a cap. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/buf.h"

struct arena;

/*
 * Makes an arena.
 *
 * cap      octets it may hand out in all
 * Returns  NULL when the machine has no memory
 * Lifetime of all that it hands out: until arena_free() or arena_reset()
 */
struct arena *arena_new(size_t cap);

/* Frees *a and all it handed out, and leaves NULL. *a may be NULL. */
void arena_free(struct arena **a);

/* Takes back all that was handed out and keeps the first block. */
void arena_reset(struct arena *a);

/* Octets handed out so far. */
size_t arena_used(const struct arena *a);

/*
 * Hands out n octets, zeroed, aligned for any type.
 *
 * Returns  NULL when the cap is reached or the machine has no memory
 */
void *arena_alloc(struct arena *a, size_t n);

/* arena_alloc() of n things of size octets each; NULL on overflow too. */
void *arena_array(struct arena *a, size_t n, size_t size);

/*
 * Copies octets into the arena, with a NUL behind them that does not count.
 *
 * Returns  the copy; p == NULL when the cap is reached
 */
struct bytes arena_copy(struct arena *a, struct bytes b);

/*
 * Zeroed room for a writer of cap octets: where one octet more is asked for
 * than is written, a C string. -E_NOMEM when the cap is reached.
 */
int arena_buf(struct arena *a, size_t cap, struct buf *out);

/* The same, not zeroed: for what is large. */
int arena_room(struct arena *a, size_t cap, struct buf *out);

#endif
