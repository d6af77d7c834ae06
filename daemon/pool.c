#include "daemon/pool.h"

#include <stdlib.h>

#include "base/ascii.h"

#define BUCKETS 256
#define DOMAIN_MAX_OCTETS 255
/* How long those above max-idle are kept: where several end at once, as many
 * begin. */
#define BRIEF_MS 1000

TAILQ_HEAD(wait_list, pool_wait);
TAILQ_HEAD(link_list, link);

/* A destination: there while somebody has or wants a connection to it. */
struct pool_place {
	struct pool_place *next;	/* of its bucket */
	struct pool *pool;
	const struct config_listener *listener;
	const struct config_next_hop *hop;
	uint8_t domain[DOMAIN_MAX_OCTETS];	/* in lower case */
	size_t n_domain;
	unsigned n_links;	/* open, idle, or granted and not open yet */
	unsigned n_idle;
	struct wait_list waiting;	/* the first came first */
};

struct pool {
	struct pool_place *buckets[BUCKETS];
	struct link_list idle;		/* newest first */
	unsigned n_idle;
	bool is_draining;
};

struct pool *
pool_new(void)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (p != NULL)
		TAILQ_INIT(&p->idle);
	return p;
}

/* ---- destinations ---- */

static size_t
fold(struct bytes domain, uint8_t lower[DOMAIN_MAX_OCTETS])
{
	size_t n = domain.n < DOMAIN_MAX_OCTETS ? domain.n : DOMAIN_MAX_OCTETS;

	for (size_t k = 0; k < n; k++)
		lower[k] = ascii_lower(domain.p[k]);
	return n;
}

static struct pool_place **
bucket(struct pool *p, const struct config_next_hop *hop,
    const uint8_t *domain, size_t n)
{
	size_t hash = (uintptr_t)hop >> 4;

	for (size_t k = 0; k < n; k++)
		hash = hash * 31 + domain[k];
	return &p->buckets[hash % BUCKETS];
}

static bool
is_place(const struct pool_place *at, const struct pool_key *key,
    const uint8_t *domain, size_t n)
{
	return at->listener == key->listener && at->hop == key->hop &&
	    at->n_domain == n && memcmp(at->domain, domain, n) == 0;
}

/* NULL without memory. */
static struct pool_place *
place_of(struct pool *p, const struct pool_key *key)
{
	uint8_t domain[DOMAIN_MAX_OCTETS];
	size_t n = key->hop->scheme == SCHEME_MX ? fold(key->domain, domain)
						 : 0;
	struct pool_place **b = bucket(p, key->hop, domain, n);
	struct pool_place *at = *b;

	while (at != NULL && !is_place(at, key, domain, n))
		at = at->next;
	if (at != NULL)
		return at;
	at = calloc(1, sizeof(*at));
	if (at == NULL)
		return NULL;
	at->pool = p;
	at->listener = key->listener;
	at->hop = key->hop;
	memcpy(at->domain, domain, n);
	at->n_domain = n;
	TAILQ_INIT(&at->waiting);
	at->next = *b;
	*b = at;
	return at;
}

static void
forget_if_empty(struct pool_place *at)
{
	struct pool_place **b = bucket(at->pool, at->hop, at->domain,
	    at->n_domain);

	if (at->n_links != 0 || !TAILQ_EMPTY(&at->waiting))
		return;
	while (*b != at)
		b = &(*b)->next;
	*b = at->next;
	free(at);
}

/* ---- idle connections ---- */

static void
unkeep(struct link *l)
{
	TAILQ_REMOVE(&l->place->pool->idle, l, idle);
	l->place->pool->n_idle--;
	l->place->n_idle--;
}

static void
wait_idle(struct link *l)
{
	conn_deadline(l->conn, l->is_brief ? BRIEF_MS :
	    l->listener->idle_reuse_s * 1000LL);
}

/* It hung up, said something or was idle for too long. */
static void
on_idle(void *arg, enum link_event what)
{
	struct link *l = arg;

	if (what == LINK_READY) {	/* RSET was answered */
		wait_idle(l);
		return;
	}
	if (what == LINK_OUT)
		return;
	unkeep(l);
	link_close(&l);
}

static struct link *
find_idle(const struct pool_place *at)
{
	struct link *l;

	TAILQ_FOREACH(l, &at->pool->idle, idle)
		if (l->place == at)
			return l;
	return NULL;
}

static void
close_oldest(struct pool *p)
{
	struct link *l = TAILQ_LAST(&p->idle, link_list);

	unkeep(l);
	link_close(&l);
}

static void
keep(struct pool *p, struct link *l)
{
	if (p->n_idle == POOL_IDLE_MAX)
		close_oldest(p);
	link_owner(l, on_idle, l);
	TAILQ_INSERT_HEAD(&p->idle, l, idle);
	p->n_idle++;
	l->is_brief = l->place->n_idle >= l->listener->max_idle;
	l->place->n_idle++;
	if (!l->is_resetting)
		wait_idle(l);
}

/* ---- from outside ---- */

static void
grant(struct pool_wait *w, struct link *l, struct pool_place *at)
{
	w->link = l;
	w->place = l == NULL ? at : NULL;
	if (l != NULL)
		link_owner(l, w->call, w->arg);
}

/* Hands a free place, or an idle link, to who waits longest. */
static bool
wake(struct pool_place *at, struct link *l)
{
	struct pool_wait *w = TAILQ_FIRST(&at->waiting);

	if (w == NULL)
		return false;
	TAILQ_REMOVE(&at->waiting, w, entry);
	w->queue = NULL;
	grant(w, l, at);
	w->granted(w->arg);
	return true;
}

bool
pool_ask(struct pool *p, const struct pool_key *key, struct pool_wait *w)
{
	struct pool_place *at = place_of(p, key);
	struct link *l;

	if (at == NULL)
		return false;
	l = find_idle(at);
	if (l != NULL && w->is_shared) {
		unkeep(l);
		grant(w, l, at);
		return true;
	}
	if (l != NULL && at->n_links >= at->listener->max_per_destination) {
		unkeep(l);	/* makes room for one of its own */
		link_close(&l);
		at = place_of(p, key);
		if (at == NULL)
			return false;
	}
	if (at->n_links < at->listener->max_per_destination &&
	    TAILQ_EMPTY(&at->waiting)) {
		at->n_links++;
		grant(w, NULL, at);
		return true;
	}
	TAILQ_INSERT_TAIL(&at->waiting, w, entry);
	w->queue = at;
	return false;
}

void
pool_cancel(struct pool_wait *w)
{
	struct pool_place *at = w->queue;

	w->queue = NULL;
	if (at != NULL) {
		TAILQ_REMOVE(&at->waiting, w, entry);
		forget_if_empty(at);
	}
	link_close(&w->link);
	pool_left(&w->place);
}

void
pool_give(struct pool *p, struct link **lp)
{
	struct link *l = *lp;
	struct pool_wait *w;

	*lp = NULL;
	w = TAILQ_FIRST(&l->place->waiting);
	if (p->is_draining || l->n_mails >= l->listener->max_reuse)
		link_close(&l);
	else if (w != NULL && w->is_shared)
		wake(l->place, l);
	else if (w != NULL || l->listener->max_idle == 0)
		link_close(&l);
	else
		keep(p, l);
}

void
pool_left(struct pool_place **atp)
{
	struct pool_place *at = *atp;

	*atp = NULL;
	if (at == NULL || wake(at, NULL))
		return;
	at->n_links--;
	forget_if_empty(at);
}

void
pool_drain(struct pool *p)
{
	p->is_draining = true;
	while (!TAILQ_EMPTY(&p->idle))
		close_oldest(p);
}

void
pool_free(struct pool **pp)
{
	struct pool *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	pool_drain(p);
	free(p);
}
