#include "daemon/orders.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include <sys/mman.h>

#include "base/err.h"

/* The end of an order, in ms, above what it says: 0 is none. */
#define WHAT_BITS 2
#define WHAT_MASK ((1 << WHAT_BITS) - 1)
#define LAST_MS (INT64_MAX >> WHAT_BITS)

_Static_assert(VERIFY_OFF <= WHAT_MASK, "it fits");

/* A name is written before n_names says that it is there, and never again. */
struct entry {
	char name[ORDERS_NAME_MAX];
	uint32_t n;
	_Atomic int64_t words[ORDERS__KINDS];
};

/* The network is written while the word says that there is none. */
struct net {
	struct config_net net;
	_Atomic int64_t word;
};

struct orders {
	_Atomic uint32_t n_names;
	struct entry entries[ORDERS_NAMES];
	struct net nets[ORDERS_NETS];
};

static int64_t
pack(int64_t until_ms, unsigned what)
{
	if (until_ms == 0)
		return 0;
	if (until_ms > LAST_MS)
		until_ms = LAST_MS;
	return (until_ms << WHAT_BITS) | (int64_t)(what & WHAT_MASK);
}

/* Until when; 0: it is over, or there never was one. */
static int64_t
unpack(int64_t word, int64_t now_ms)
{
	int64_t until_ms = word >> WHAT_BITS;

	if (until_ms <= now_ms)
		return 0;
	return until_ms == LAST_MS ? ORDERS_FOREVER : until_ms;
}

/* ---- the memory ---------------------------------------------------------- */

static void *
map(int fd, int how)
{
	void *p = mmap(NULL, sizeof(struct orders), how, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/*
 * What is mapped from a descriptor that was opened for reading can not be made
 * writable by mprotect(): a worker that was taken over gives no orders.
 */
const struct orders *
orders_make(int *fd)
{
	char path[64];
	void *o = NULL;
	int reading, why;

	*fd = memfd_create("hopseal-orders", MFD_CLOEXEC);
	if (*fd < 0)
		return NULL;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", *fd);
	reading = open(path, O_RDONLY | O_CLOEXEC);
	if (reading >= 0 && ftruncate(*fd, sizeof(struct orders)) == 0)
		o = map(reading, PROT_READ);
	why = errno;
	if (reading >= 0)
		close(reading);
	if (o == NULL) {
		close(*fd);
		*fd = -1;
	}
	errno = why;
	return o;
}

struct orders *
orders_open(int fd)
{
	return map(fd, PROT_READ | PROT_WRITE);
}

/* ---- who reads ----------------------------------------------------------- */

static struct bytes
name_of(const struct entry *e)
{
	return (struct bytes){(const uint8_t *)e->name, e->n};
}

static const struct entry *
find(const struct orders *o, struct bytes listener)
{
	uint32_t n;

	if (o == NULL)
		return NULL;
	n = atomic_load_explicit(&o->n_names, memory_order_acquire);
	for (uint32_t k = 0; k < n; k++)
		if (bytes_eq(name_of(&o->entries[k]), listener))
			return &o->entries[k];
	return NULL;
}

int64_t
orders_until(const struct orders *o, struct bytes listener,
    enum orders_kind kind, int64_t now_ms, unsigned *what)
{
	const struct entry *e = find(o, listener);
	int64_t word;

	if (e == NULL)
		return 0;
	word = atomic_load_explicit(&e->words[kind], memory_order_relaxed);
	if (what != NULL)
		*what = (unsigned)(word & WHAT_MASK);
	return unpack(word, now_ms);
}

struct orders_now
orders_now(const struct orders *o, const struct config_listener *l,
    int64_t now_ms)
{
	struct orders_now now = {.verify = l->verify};
	struct bytes name = bytes_of(l->name);
	unsigned what;

	if (find(o, name) == NULL)
		return now;
	now.is_bypassed = orders_until(o, name, ORDERS_BYPASS, now_ms,
	    NULL) != 0;
	now.is_paused = orders_until(o, name, ORDERS_PAUSE, now_ms,
	    NULL) != 0;
	now.is_drained = orders_until(o, name, ORDERS_DRAIN, now_ms,
	    NULL) != 0;
	if (orders_until(o, name, ORDERS_VERIFY, now_ms, &what) != 0)
		now.verify = (enum config_verify)what;
	if (now.is_bypassed)
		now.verify = VERIFY_OFF;
	return now;
}

int64_t
orders_net(const struct orders *o, size_t n, int64_t now_ms,
    struct config_net *net)
{
	int64_t word;

	if (o == NULL || n >= ORDERS_NETS)
		return 0;
	word = atomic_load_explicit(&o->nets[n].word, memory_order_acquire);
	*net = o->nets[n].net;
	return unpack(word, now_ms);
}

bool
orders_watches(const struct orders *o, const uint8_t ip[16], int64_t now_ms)
{
	struct config_net net;

	for (size_t k = 0; o != NULL && k < ORDERS_NETS; k++)
		if (orders_net(o, k, now_ms, &net) != 0 &&
		    config_nets_hold(&net, 1, ip))
			return true;
	return false;
}

struct bytes
orders_name(const struct orders *o, size_t n)
{
	if (o == NULL || n >= atomic_load_explicit(&o->n_names,
	    memory_order_acquire))
		return (struct bytes){NULL, 0};
	return name_of(&o->entries[n]);
}

/* ---- who writes ---------------------------------------------------------- */

static struct entry *
find_or_add(struct orders *o, struct bytes listener)
{
	struct entry *e = (struct entry *)(uintptr_t)find(o, listener);
	uint32_t n = atomic_load_explicit(&o->n_names, memory_order_relaxed);

	if (e != NULL)
		return e;
	if (n == ORDERS_NAMES || listener.n > ORDERS_NAME_MAX)
		return NULL;
	e = &o->entries[n];
	memcpy(e->name, listener.p, listener.n);
	e->n = (uint32_t)listener.n;
	atomic_store_explicit(&o->n_names, n + 1, memory_order_release);
	return e;
}

int
orders_set(struct orders *o, struct bytes listener, enum orders_kind kind,
    unsigned what, int64_t until_ms)
{
	struct entry *e;

	if (until_ms == 0 && find(o, listener) == NULL)
		return 0;
	e = find_or_add(o, listener);
	if (e == NULL)
		return -E_LIMIT;
	atomic_store_explicit(&e->words[kind], pack(until_ms, what),
	    memory_order_relaxed);
	return 0;
}

static bool
is_same_net(const struct config_net *a, const struct config_net *b)
{
	return a->prefix == b->prefix && memcmp(a->ip, b->ip,
	    sizeof(a->ip)) == 0;
}

int
orders_watch(struct orders *o, const struct config_net *net,
    int64_t until_ms, int64_t now_ms)
{
	struct net *free_one = NULL;

	for (size_t k = 0; k < ORDERS_NETS; k++) {
		struct config_net there;

		if (orders_net(o, k, now_ms, &there) == 0) {
			free_one = free_one == NULL ? &o->nets[k] : free_one;
		} else if (is_same_net(&there, net)) {
			free_one = &o->nets[k];
			break;
		}
	}
	if (until_ms == 0 && free_one == NULL)
		return 0;
	if (free_one == NULL)
		return -E_LIMIT;
	atomic_store_explicit(&free_one->word, 0, memory_order_release);
	free_one->net = *net;
	atomic_store_explicit(&free_one->word, pack(until_ms, 0),
	    memory_order_release);
	return 0;
}

static bool
has_listener(const struct config *c, struct bytes name)
{
	for (size_t k = 0; k < c->n_listeners; k++)
		if (bytes_eq(bytes_of(c->listeners[k].name), name))
			return true;
	return false;
}

void
orders_trim(struct orders *o, const struct config *c)
{
	struct bytes name;

	for (size_t k = 0; (name = orders_name(o, k)).n != 0; k++)
		for (unsigned kind = 0; kind < ORDERS__KINDS &&
		    !has_listener(c, name); kind++)
			(void)orders_set(o, name, (enum orders_kind)kind, 0,
			    0);
}
