#include "daemon/share.h"

#include <stdatomic.h>
#include <sys/mman.h>

#define ABSENT UINT32_MAX

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
	if (get(s, worker, socket) != ABSENT)
		set(s, worker, socket, n < ABSENT ? (uint32_t)n : ABSENT - 1);
}

size_t
share_ahead(const struct share *s, size_t worker, size_t socket)
{
	uint32_t own = get(s, worker, socket), least = own;

	for (size_t k = 0; k < s->n_workers; k++) {
		uint32_t n = get(s, k, socket);

		if (n < least)
			least = n;
	}
	return own == ABSENT ? 0 : own - least;
}
