/*
 * What is due first: an intrusive pairing heap, so that millions may wait and
 * none of it takes memory. Of equal times the one that was put first.
 */
#ifndef QUEUE_HEAP_H
#define QUEUE_HEAP_H

#include <stddef.h>
#include <stdint.h>

/* Part of what waits; the heap's while it is in it. */
struct heap_node {
	int64_t due_ms;
	uint64_t order;
	struct heap_node *below;	/* the first of those behind this one */
	struct heap_node *behind;	/* the next one below the same */
	struct heap_node *before;	/* the one in front of it there, or the
					   one above; NULL for the root */
};

/* All zero at first. */
struct heap {
	struct heap_node *root;		/* due first; NULL: nothing waits */
	uint64_t n_put;
};

/* Puts a node in that is in none. */
void heap_put(struct heap *h, struct heap_node *node, int64_t due_ms);

/* Takes a node out, wherever it is in the heap. */
void heap_take(struct heap *h, struct heap_node *node);

#endif
