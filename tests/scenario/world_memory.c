#include "tests/scenario/world.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

/* 0: every call succeeds. */
static size_t left;
static bool is_met;
static size_t arena_cap;

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);

void
world_memory_fail(size_t at)
{
	left = at;
	is_met = false;
}

bool
world_memory_failed(void)
{
	return is_met;
}

struct arena *__real_arena_new(size_t cap);
struct arena *__wrap_arena_new(size_t cap);

void
world_arena_cap(size_t cap)
{
	arena_cap = cap;
}

struct arena *
__wrap_arena_new(size_t cap)
{
	return __real_arena_new(arena_cap != 0 && cap > arena_cap ? arena_cap
								  : cap);
}

void *
world_alloc(size_t n, size_t size)
{
	return __real_calloc(n, size);
}

void *
world_realloc(void *p, size_t n)
{
	return __real_realloc(p, n);
}

/* This one fails, and the next do not. */
static bool
is_due(void)
{
	if (left == 0 || --left != 0)
		return false;
	is_met = true;
	return true;
}

void *
__wrap_malloc(size_t n)
{
	return is_due() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return is_due() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
	return is_due() ? NULL : __real_realloc(p, n);
}

void *
__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return is_due() ? NULL : __real_reallocarray(p, n, size);
}
