#include "daemon/share.h"

#include <stdatomic.h>
#include <sys/mman.h>

#define ABSENT UINT32_MAX
#define RESTS 0x80000000U	/* beside its sessions; ABSENT has it too */
#define SESSIONS_MAX (RESTS - 2)

struct share {
	size_t octets;
	size_t n_workers, n_sockets;
	_Atomic uint32_t cells[];	/* sockets of a worker side by side */
};

struct share *
share_new(size_t n_workers, size_t n_sockets)
{
	size_t n = n_workers * n_sockets;
	size_t octets = sizeof(struct share) + n * sizeof(uint32_t);
	struct share *s = mmap(NULL, octets, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (s == MAP_FAILED)
		return NULL;
	s->octets = octets;
	s->n_workers = n_workers;
	s->n_sockets = n_sockets;
	for (size_t k = 0; k < n; k++)
		s->cells[k] = ABSENT;
	return s;
}

void
share_free(struct share **sp)
{
	if (*sp != NULL)
		munmap(*sp, (*sp)->octets);
	*sp = NULL;
}

static void
set(struct share *s, size_t worker, size_t socket, uint32_t n)
{
	atomic_store_explicit(&s->cells[worker * s->n_sockets + socket], n,
	    memory_order_relaxed);
}

static uint32_t
get(const struct share *s, size_t worker, size_t socket)
{
	return atomic_load_explicit(&s->cells[worker * s->n_sockets + socket],
	    memory_order_relaxed);
}

void
share_join(struct share *s, size_t worker, size_t socket)
{
	set(s, worker, socket, 0);
}

void
share_leave(struct share *s, size_t worker, size_t socket)
{
	set(s, worker, socket, ABSENT);
}

void
share_forget(struct share *s, size_t worker)
{
	for (size_t socket = 0; socket < s->n_sockets; socket++)
		share_leave(s, worker, socket);
}

void
share_set(struct share *s, size_t worker, size_t socket, size_t n)
{
	uint32_t was = get(s, worker, socket);

	if (was != ABSENT)
		set(s, worker, socket, (was & RESTS) | (uint32_t)
		    (n < SESSIONS_MAX ? n : SESSIONS_MAX));
}

void
share_rest(struct share *s, size_t worker, size_t socket, bool rests)
{
	uint32_t was = get(s, worker, socket);

	if (was != ABSENT)
		set(s, worker, socket, rests ? was | RESTS : was & ~RESTS);
}

size_t
share_ahead(const struct share *s, size_t worker, size_t socket)
{
	uint32_t own = get(s, worker, socket), least;

	if (own == ABSENT)
		return 0;
	own &= ~RESTS;
	least = own;
	for (size_t k = 0; k < s->n_workers; k++) {
		uint32_t n = get(s, k, socket);

		if (n != ABSENT && (n & RESTS) != 0)
			n = (n & ~RESTS) + SHARE_RESTING;
		if (n < least)
			least = n;
	}
	return own - least;
}
