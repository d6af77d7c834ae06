#include "daemon/dnscache.h"

#include <sodium.h>
#include <stdlib.h>

#include "base/ascii.h"

#define TTL_MAX_S 3600U
#define TTL_ABSENT_S 60U
#define TTL_TEMPFAIL_S 5U
#define NAME_MAX_ 255

struct entry {
	struct entry *chain;		/* of its bucket */
	struct entry *older, *newer;	/* by last use */
	int64_t until_ms;
	enum dnsanswer_found found;
	size_t n_records;
	size_t n_octets;		/* of this entry in all */
	struct bytes name;
	struct bytes records[];		/* their octets stand behind them */
};

struct dnscache {
	uint8_t key[crypto_shorthash_KEYBYTES];	/* names are strangers' */
	struct entry **buckets;
	size_t n_buckets;
	size_t n_names, max_names;
	size_t n_octets, max_octets;
	struct entry *oldest, *newest;
};

struct dnscache *
dnscache_new(size_t max_names, size_t max_octets)
{
	struct dnscache *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->n_buckets = max_names + max_names / 2 + 1;
	c->buckets = calloc(c->n_buckets, sizeof(*c->buckets));
	if (c->buckets == NULL) {
		free(c);
		return NULL;
	}
	c->max_names = max_names;
	c->max_octets = max_octets;
	randombytes_buf(c->key, sizeof(c->key));
	return c;
}

static struct entry **
bucket(const struct dnscache *c, struct bytes name)
{
	uint8_t lower[NAME_MAX_];
	uint8_t hash[crypto_shorthash_BYTES];
	uint64_t h;

	for (size_t k = 0; k < name.n; k++)
		lower[k] = ascii_lower(name.p[k]);
	crypto_shorthash(hash, lower, name.n, c->key);
	memcpy(&h, hash, sizeof(h));
	return &c->buckets[h % c->n_buckets];
}

static void
unlink_use(struct dnscache *c, struct entry *e)
{
	*(e->older != NULL ? &e->older->newer : &c->oldest) = e->newer;
	*(e->newer != NULL ? &e->newer->older : &c->newest) = e->older;
}

static void
link_use(struct dnscache *c, struct entry *e)
{
	e->newer = NULL;
	e->older = c->newest;
	*(c->newest != NULL ? &c->newest->newer : &c->oldest) = e;
	c->newest = e;
}

static void
forget(struct dnscache *c, struct entry *e)
{
	struct entry **at = bucket(c, e->name);

	while (*at != e)
		at = &(*at)->chain;
	*at = e->chain;
	unlink_use(c, e);
	c->n_names--;
	c->n_octets -= e->n_octets;
	free(e);
}

void
dnscache_free(struct dnscache **cp)
{
	struct dnscache *c = *cp;

	if (c == NULL)
		return;
	while (c->oldest != NULL)
		forget(c, c->oldest);
	free(c->buckets);
	free(c);
	*cp = NULL;
}

static struct entry *
look_up(struct dnscache *c, struct bytes name)
{
	struct entry *e = name.n > NAME_MAX_ ? NULL : *bucket(c, name);

	while (e != NULL && !bytes_case_eq(e->name, name))
		e = e->chain;
	return e;
}

bool
dnscache_find(struct dnscache *c, struct bytes name, int64_t now_ms,
    struct dnsanswer_records *out)
{
	struct entry *e = look_up(c, name);

	if (e == NULL)
		return false;
	if (e->until_ms <= now_ms) {
		forget(c, e);
		return false;
	}
	unlink_use(c, e);
	link_use(c, e);
	*out = (struct dnsanswer_records){e->found, e->records, e->n_records,
	    (uint32_t)((e->until_ms - now_ms) / 1000)};
	return true;
}

static uint32_t
bounded_ttl(const struct dnsanswer_records *e)
{
	uint32_t max = e->found == DNSANSWER_THERE ? TTL_MAX_S :
	    e->found == DNSANSWER_ABSENT ? TTL_ABSENT_S : TTL_TEMPFAIL_S;

	return e->ttl_s < max ? e->ttl_s : max;
}

/* One block: the entry, its views, their octets. NULL without memory. */
static struct entry *
make(struct bytes name, const struct dnsanswer_records *from)
{
	size_t n = sizeof(struct entry) + from->n * sizeof(struct bytes) +
	    name.n;
	struct entry *e;
	uint8_t *p;

	for (size_t k = 0; k < from->n; k++)
		n += from->records[k].n;
	e = calloc(1, n);
	if (e == NULL)
		return NULL;
	e->n_octets = n;
	e->found = from->found;
	e->n_records = from->n;
	p = (uint8_t *)(e->records + from->n);
	memcpy(p, name.p, name.n);
	e->name = (struct bytes){p, name.n};
	p += name.n;
	for (size_t k = 0; k < from->n; k++) {
		e->records[k] = (struct bytes){p, from->records[k].n};
		if (from->records[k].n != 0)
			memcpy(p, from->records[k].p, from->records[k].n);
		p += from->records[k].n;
	}
	return e;
}

void
dnscache_put(struct dnscache *c, struct bytes name, int64_t now_ms,
    const struct dnsanswer_records *from)
{
	uint32_t ttl_s = bounded_ttl(from);
	struct entry *e = look_up(c, name), **b;

	if (e != NULL)
		forget(c, e);
	if (ttl_s == 0 || name.n == 0 || name.n > NAME_MAX_)
		return;
	e = make(name, from);
	if (e == NULL)
		return;
	if (e->n_octets > c->max_octets) {
		free(e);
		return;
	}
	while (c->n_names >= c->max_names ||
	    c->n_octets + e->n_octets > c->max_octets)
		forget(c, c->oldest);
	e->until_ms = now_ms + (int64_t)ttl_s * 1000;
	b = bucket(c, e->name);
	e->chain = *b;
	*b = e;
	link_use(c, e);
	c->n_names++;
	c->n_octets += e->n_octets;
}

size_t
dnscache_count(const struct dnscache *c)
{
	return c->n_names;
}
