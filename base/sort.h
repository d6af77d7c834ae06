/* Sorting in place, in n log n steps whatever the input. */
#ifndef BASE_SORT_H
#define BASE_SORT_H

#include <stddef.h>

/*
 * Sorts n things of size octets each. Unlike qsort() it takes no memory and
 * has no bad case. Equal things end up in any order.
 *
 * compare  <0, 0 or >0
 */
void sort_heap(void *things, size_t n, size_t size,
    int (*compare)(const void *a, const void *b));

#endif
