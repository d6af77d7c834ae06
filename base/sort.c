#include "base/sort.h"

#include <stdint.h>

struct heap {
	uint8_t *p;
	size_t size;
	int (*compare)(const void *a, const void *b);
};

static int
compare_at(const struct heap *h, size_t a, size_t b)
{
	return h->compare(h->p + a * h->size, h->p + b * h->size);
}

static void
swap_at(struct heap *h, size_t a, size_t b)
{
	for (size_t k = 0; k < h->size; k++) {
		uint8_t octet = h->p[a * h->size + k];

		h->p[a * h->size + k] = h->p[b * h->size + k];
		h->p[b * h->size + k] = octet;
	}
}

/* Moves the thing at k down to where it belongs in a heap of n. */
static void
sift(struct heap *h, size_t k, size_t n)
{
	for (;;) {
		size_t child = 2 * k + 1;

		if (child >= n)
			return;
		if (child + 1 < n && compare_at(h, child, child + 1) < 0)
			child++;
		if (compare_at(h, k, child) >= 0)
			return;
		swap_at(h, k, child);
		k = child;
	}
}

void
sort_heap(void *things, size_t n, size_t size,
    int (*compare)(const void *a, const void *b))
{
	struct heap h = {things, size, compare};

	for (size_t k = n / 2; k-- != 0; )
		sift(&h, k, n);
	for (size_t k = n; k > 1; k--) {
		swap_at(&h, 0, k - 1);
		sift(&h, 0, k - 1);
	}
}
