#include "base/arena.h"

#include <stdlib.h>

#include "base/err.h"

#define ALIGN 16U
#define BLOCK 4096U

struct block {
	struct block *next;
	size_t n;
	size_t cap;
	_Alignas(16) uint8_t p[];
};

struct arena {
	struct block *blocks;	/* the newest first; never NULL */
	size_t used;
	size_t cap;
};

static struct block *
block_new(size_t cap)
{
	struct block *b = malloc(sizeof(*b) + cap);

	if (b == NULL)
		return NULL;
	b->next = NULL;
	b->n = 0;
	b->cap = cap;
	return b;
}

struct arena *
arena_new(size_t cap)
{
	struct arena *a = malloc(sizeof(*a));

	if (a == NULL)
		return NULL;
	a->blocks = block_new(BLOCK);
	if (a->blocks == NULL) {
		free(a);
		return NULL;
	}
	a->used = 0;
	a->cap = cap;
	return a;
}

void
arena_free(struct arena **a)
{
	if (*a == NULL)
		return;
	arena_reset(*a);
	free((*a)->blocks);
	free(*a);
	*a = NULL;
}

void
arena_reset(struct arena *a)
{
	while (a->blocks->next != NULL) {
		struct block *old = a->blocks;

		a->blocks = old->next;
		free(old);
	}
	a->blocks->n = 0;
	a->used = 0;
}

size_t
arena_used(const struct arena *a)
{
	return a->used;
}

/* As arena_alloc(), with whatever octets were there before. */
static void *
take(struct arena *a, size_t n)
{
	struct block *b = a->blocks;
	void *p;

	if (n > SIZE_MAX - sizeof(*b) - ALIGN)
		return NULL;
	n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (n > a->cap - a->used)
		return NULL;
	if (n > b->cap - b->n) {
		b = block_new(n > BLOCK ? n : BLOCK);
		if (b == NULL)
			return NULL;
		b->next = a->blocks;
		a->blocks = b;
	}
	p = b->p + b->n;
	b->n += n;
	a->used += n;
	return p;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	void *p = take(a, n);

	return p == NULL ? NULL : memset(p, 0, n);
}

void *
arena_array(struct arena *a, size_t n, size_t size)
{
	if (size != 0 && n > SIZE_MAX / size)
		return NULL;
	return arena_alloc(a, n * size);
}

struct bytes
arena_copy(struct arena *a, struct bytes b)
{
	uint8_t *p = b.n == SIZE_MAX ? NULL : take(a, b.n + 1);

	if (p == NULL)
		return (struct bytes){NULL, 0};
	if (b.n != 0)
		memcpy(p, b.p, b.n);
	p[b.n] = '\0';
	return (struct bytes){p, b.n};
}

int
arena_buf(struct arena *a, size_t cap, struct buf *out)
{
	*out = (struct buf){arena_alloc(a, cap), 0, cap, false};
	return out->p == NULL ? -E_NOMEM : 0;
}

int
arena_room(struct arena *a, size_t cap, struct buf *out)
{
	*out = (struct buf){take(a, cap), 0, cap, false};
	return out->p == NULL ? -E_NOMEM : 0;
}
