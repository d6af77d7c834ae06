#include "queue/heap.h"

#include <stdbool.h>

static bool
is_first(const struct heap_node *a, const struct heap_node *b)
{
	return a->due_ms != b->due_ms ? a->due_ms < b->due_ms :
	    a->order < b->order;
}

/* Puts the later of two roots below the other. */
static struct heap_node *
meld(struct heap_node *a, struct heap_node *b)
{
	if (a == NULL)
		return b;
	if (b == NULL)
		return a;
	if (!is_first(a, b)) {
		struct heap_node *later = a;

		a = b;
		b = later;
	}
	b->before = a;
	b->behind = a->below;
	if (b->behind != NULL)
		b->behind->before = b;
	a->below = b;
	return a;
}

/* Makes one heap of those of a row: in pairs, then from the last pair on. */
static struct heap_node *
meld_row(struct heap_node *row)
{
	struct heap_node *pairs = NULL, *root = NULL;

	while (row != NULL) {
		struct heap_node *a = row, *b = a->behind;

		row = b == NULL ? NULL : b->behind;
		a->before = a->behind = NULL;
		if (b != NULL)
			b->before = b->behind = NULL;
		a = meld(a, b);
		a->behind = pairs;
		pairs = a;
	}
	while (pairs != NULL) {
		struct heap_node *a = pairs;

		pairs = a->behind;
		a->behind = NULL;
		root = meld(root, a);
	}
	return root;
}

void
heap_put(struct heap *h, struct heap_node *node, int64_t due_ms)
{
	*node = (struct heap_node){.due_ms = due_ms, .order = h->n_put++};
	h->root = meld(h->root, node);
}

void
heap_take(struct heap *h, struct heap_node *node)
{
	struct heap_node *rest = meld_row(node->below);

	node->below = NULL;
	if (node == h->root) {
		h->root = rest;
		return;
	}
	if (node->before->below == node)
		node->before->below = node->behind;
	else
		node->before->behind = node->behind;
	if (node->behind != NULL)
		node->behind->before = node->before;
	node->before = node->behind = NULL;
	h->root = meld(h->root, rest);
}
