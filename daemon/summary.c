#include "daemon/summary.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/ascii.h"
#include "base/err.h"
#include "daemon/log.h"

#define STATES ((size_t)DKIM2_TEMPERROR + 1)
#define PROBES 16U		/* places that are tried for a domain */
#define DAY_S 86400

struct counts {
	uint64_t by[STATES];
	uint64_t would_refuse;
};

enum { FREE, WRITTEN, THERE };

struct entry {
	uint32_t state;		/* FREE, being WRITTEN, THERE */
	uint32_t n_name;
	char name[SUMMARY_NAME_MAX];
	struct counts counts;
};

struct table {
	struct entry entries[SUMMARY_DOMAINS];
	struct counts others;
};

static struct table own;
static struct {
	struct table *all;
	int64_t day;		/* that is counted; 0: none yet */
} self = {&own, 0};

int
summary_open(void)
{
	void *p = mmap(NULL, sizeof(*self.all), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -E_SYSTEM;
	self.all = p;
	return 0;
}

/* ---- counting ------------------------------------------------------------ */

/* In lower case; false where it is no name of a host. */
static bool
make_name(struct bytes domain, char name[SUMMARY_NAME_MAX])
{
	if (domain.n == 0 || domain.n > SUMMARY_NAME_MAX)
		return false;
	for (size_t k = 0; k < domain.n; k++) {
		name[k] = (char)ascii_lower(domain.p[k]);
		if (!ascii_is_alnum(domain.p[k]) && name[k] != '-' &&
		    name[k] != '.')
			return false;
	}
	return true;
}

static uint32_t
hash_of(const char *name, size_t n)
{
	uint32_t hash = 2166136261U;

	for (size_t k = 0; k < n; k++)
		hash = (hash ^ (uint8_t)name[k]) * 16777619U;
	return hash;
}

/* Its place, or a new one; NULL: there is none. */
static struct entry *
find(const char *name, size_t n)
{
	uint32_t hash = hash_of(name, n);

	for (uint32_t k = 0; k < PROBES; k++) {
		struct entry *e = &self.all->entries[(hash + k) %
		    SUMMARY_DOMAINS];
		uint32_t was = FREE;

		if (__atomic_compare_exchange_n(&e->state, &was, WRITTEN,
		    false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			memcpy(e->name, name, n);
			e->n_name = (uint32_t)n;
			__atomic_store_n(&e->state, THERE, __ATOMIC_RELEASE);
			return e;
		}
		if (was == THERE && e->n_name == n &&
		    memcmp(e->name, name, n) == 0)
			return e;
	}
	return NULL;
}

void
summary_count(struct bytes domain, enum dkim2_state state, bool would_refuse)
{
	char name[SUMMARY_NAME_MAX];
	struct counts *c = &self.all->others;
	struct entry *e = NULL;

	if (state != DKIM2_NONE && make_name(domain, name))
		e = find(name, domain.n);
	if (e != NULL)
		c = &e->counts;
	__atomic_fetch_add(&c->by[state], 1, __ATOMIC_RELAXED);
	if (would_refuse)
		__atomic_fetch_add(&c->would_refuse, 1, __ATOMIC_RELAXED);
}

/* ---- telling ------------------------------------------------------------- */

static struct counts
take(struct counts *from)
{
	struct counts c;

	for (size_t k = 0; k < STATES; k++)
		c.by[k] = __atomic_exchange_n(&from->by[k], 0,
		    __ATOMIC_RELAXED);
	c.would_refuse = __atomic_exchange_n(&from->would_refuse, 0,
	    __ATOMIC_RELAXED);
	return c;
}

static uint64_t
total(const struct counts *c)
{
	uint64_t n = 0;

	for (size_t k = DKIM2_PASS; k < STATES; k++)
		n += c->by[k];
	return n;
}

static void
add(struct counts *to, const struct counts *c)
{
	for (size_t k = 0; k < STATES; k++)
		to->by[k] += c->by[k];
	to->would_refuse += c->would_refuse;
}

static void
write_counts(struct buf *out, const struct counts *c)
{
	for (enum dkim2_state k = DKIM2_PASS; k < STATES; k++)
		buf_printf(out, " %s=%llu", dkim2_state_name(k),
		    (unsigned long long)c->by[k]);
	buf_printf(out, " would-refuse=%llu\n",
	    (unsigned long long)c->would_refuse);
}

/* The most first, then by name. */
static int
compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	uint64_t n = total(&x->counts), m = total(&y->counts);

	if (n != m)
		return n > m ? -1 : 1;
	return bytes_compare((struct bytes){(const uint8_t *)x->name,
	    x->n_name}, (struct bytes){(const uint8_t *)y->name, y->n_name});
}

/* Takes out what is there; n is then how many. NULL without memory. */
static struct entry *
take_all(size_t *n)
{
	struct entry *all = calloc(SUMMARY_DOMAINS, sizeof(*all));

	*n = 0;
	for (size_t k = 0; k < SUMMARY_DOMAINS && all != NULL; k++) {
		struct entry *e = &self.all->entries[k], *to = &all[*n];

		/* one that was being written by who died is free again */
		if (__atomic_load_n(&e->state, __ATOMIC_ACQUIRE) == THERE) {
			memcpy(to->name, e->name, sizeof(to->name));
			to->n_name = e->n_name <= SUMMARY_NAME_MAX
			    ? e->n_name : 0;
			to->counts = take(&e->counts);
			*n += total(&to->counts) != 0;
		}
		__atomic_store_n(&e->state, FREE, __ATOMIC_RELEASE);
	}
	return all;
}

void
summary_write(struct buf *out)
{
	size_t n;
	struct entry *all = take_all(&n);
	struct counts others = take(&self.all->others);
	size_t told = n < SUMMARY_TOLD ? n : SUMMARY_TOLD;

	if (all == NULL || (n == 0 && total(&others) == 0 &&
	    others.by[DKIM2_NONE] == 0)) {
		free(all);
		return;
	}
	qsort(all, n, sizeof(*all), compare);
	buf_printf(out, "summary: without DKIM2: %llu, domains with: %zu\n",
	    (unsigned long long)others.by[DKIM2_NONE], n);
	for (size_t k = 0; k < told; k++) {
		buf_printf(out, "summary: domain=%.*s", (int)all[k].n_name,
		    all[k].name);
		write_counts(out, &all[k].counts);
	}
	for (size_t k = told; k < n; k++)
		add(&others, &all[k].counts);
	if (total(&others) != 0) {
		buf_add_str(out, "summary: others");
		write_counts(out, &others);
	}
	free(all);
}

int64_t
summary_tick(int64_t now_s, bool is_last)
{
	static char text[64 << 10];
	struct buf b = BUF_ON(text);
	struct bytes rest;

	if (self.day == 0)
		self.day = now_s / DAY_S;
	if (is_last || now_s / DAY_S != self.day)
		summary_write(&b);
	self.day = now_s / DAY_S;
	rest = buf_bytes(&b);
	while (rest.n != 0) {
		struct bytes line = bytes_cut(&rest, '\n');

		log_line(LOG_NOTICE_, "%.*s", BYTES_FMT(line));
	}
	return DAY_S - now_s % DAY_S;
}
