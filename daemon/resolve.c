#include "daemon/resolve.h"

#include <ares.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/time.h>

#include "base/ascii.h"
#include "base/err.h"
#include "daemon/addr.h"
#include "daemon/keycache.h"
#include "daemon/log.h"
#include "daemon/txtanswer.h"

#define ALL_TRIES_MS 20000
#define TRIES_MAX 4
#define PENDING_MAX 4096
#define ADDRS_MAX 32
#define CACHE_NAMES 10000
#define CACHE_OCTETS (32U << 20)
#define QUERY_ARENA (64U << 10)
#define EDNS_SIZE 1232		/* what no path fragments (flag day 2020) */

/* A question under way, and all who wait for its answer. */
struct query {
	struct query *next;
	struct resolve *r;
	struct loop_deferred deferred;
	struct bytes name;		/* lower case; in the arena */
	bool is_addrs;
	bool is_in_ares;		/* c-ares will call for it */
	bool is_answered;		/* not pending any more */
	bool is_delivered;
	uint16_t port;
	int64_t deadline_ms;
	uint64_t *tags;
	size_t n_tags;
	struct arena *arena;
	struct resolve_txt txt;
	struct resolve_addrs addrs;
};

/* A socket of c-ares. */
struct sock {
	struct sock *next;
	struct resolve *r;
	int fd;
	struct loop_watch *watch;
};

struct resolve {
	struct loop *loop;
	const struct keysfile *keys;
	ares_channel channel;
	bool has_channel;
	struct loop_timer *timer;
	struct sock *socks;
	struct query *first, **last;	/* pending, the oldest first */
	size_t n_pending;
	struct keycache *cache;
	resolve_txt_answer *txt;
	resolve_addrs_answer *addrs;
	void *arg;
	bool is_dying;
	struct loop_deferred destroy;
};

/* ---- questions ----------------------------------------------------------- */

static void
query_free(struct query *q)
{
	arena_free(&q->arena);
	free(q->tags);
	free(q);
}

static bool
query_add_tag(struct query *q, uint64_t tag)
{
	uint64_t *more = reallocarray(q->tags, q->n_tags + 1, sizeof(*more));

	if (more == NULL)
		return false;
	q->tags = more;
	q->tags[q->n_tags++] = tag;
	return true;
}

static struct query *
query_new(struct resolve *r, struct bytes name, uint64_t tag)
{
	struct query *q = calloc(1, sizeof(*q));
	uint8_t *p;

	if (q == NULL)
		goto no_memory;
	q->r = r;
	q->arena = arena_new(QUERY_ARENA);
	p = q->arena == NULL ? NULL : arena_alloc(q->arena, name.n + 1);
	if (p == NULL || !query_add_tag(q, tag)) {
		query_free(q);
		goto no_memory;
	}
	for (size_t k = 0; k < name.n; k++)
		p[k] = ascii_lower(name.p[k]);
	q->name = (struct bytes){p, name.n};
	q->deadline_ms = loop_now_ms(r->loop) + ALL_TRIES_MS;
	return q;
no_memory:
	/* whoever asks has a time limit of their own */
	log_line(LOG_ERROR_, "no memory to ask the DNS");
	return NULL;
}

/* Gives the answer to all who wait: from the loop, never from a call. */
static void
deliver(void *arg)
{
	struct query *q = arg;
	struct resolve *r = q->r;

	for (size_t k = 0; k < q->n_tags && !r->is_dying; k++) {
		if (q->is_addrs)
			r->addrs(r->arg, q->tags[k], &q->addrs);
		else
			r->txt(r->arg, q->tags[k], &q->txt);
	}
	q->is_delivered = true;
	if (!q->is_in_ares)
		query_free(q);
}

static void
pend(struct resolve *r, struct query *q)
{
	*r->last = q;
	r->last = &q->next;
	r->n_pending++;
}

static void
unpend(struct resolve *r, struct query *q)
{
	struct query **at = &r->first;

	while (*at != NULL && *at != q)
		at = &(*at)->next;
	if (*at == NULL)
		return;
	*at = q->next;
	if (*at == NULL)
		r->last = at;
	q->next = NULL;
	r->n_pending--;
}

/* The answer stands in q. */
static void
answered(struct query *q)
{
	q->is_answered = true;
	unpend(q->r, q);
	loop_defer(q->r->loop, &q->deferred, deliver, q);
}

static void
answered_txt(struct query *q, enum dkim2_key found)
{
	struct resolve *r = q->r;
	struct keycache_entry e = {found, q->txt.records, q->txt.n,
	    q->txt.ttl_s};

	q->txt.found = found;
	if (found != DKIM2_KEY_TXT)
		e.ttl_s = UINT32_MAX;	/* the cache has its own bound */
	keycache_put(r->cache, q->name, loop_now_ms(r->loop), &e);
	answered(q);
}

/* ---- c-ares in the loop -------------------------------------------------- */

static void
rearm(struct resolve *r)
{
	int64_t ms = -1, own;
	struct timeval tv, *next = ares_timeout(r->channel, NULL, &tv);

	if (next != NULL)
		ms = (int64_t)tv.tv_sec * 1000 + (tv.tv_usec + 999) / 1000;
	if (r->first != NULL) {
		own = r->first->deadline_ms - loop_now_ms(r->loop);
		if (ms < 0 || own < ms)
			ms = own < 0 ? 0 : own;
	}
	if (ms >= 0)
		loop_timer_start(r->timer, ms);
	else
		loop_timer_stop(r->timer);
}

static void
on_time(void *arg)
{
	struct resolve *r = arg;
	int64_t now = loop_now_ms(r->loop);

	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	while (r->first != NULL && r->first->deadline_ms <= now) {
		struct query *q = r->first;

		if (q->is_addrs) {
			q->addrs.is_temporary = true;
			answered(q);
		} else {
			answered_txt(q, DKIM2_KEY_TEMPFAIL);
		}
	}
	rearm(r);
}

static void
on_sock(void *arg, unsigned what)
{
	struct sock *s = arg;
	struct resolve *r = s->r;	/* s may be gone behind this */
	int fd = s->fd;

	ares_process_fd(r->channel, what & LOOP_READ ? fd : ARES_SOCKET_BAD,
	    what & LOOP_WRITE ? fd : ARES_SOCKET_BAD);
	rearm(r);
}

/* c-ares opened a socket, wants something else of it, or closes it. */
static void
on_sock_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct resolve *r = arg;
	struct sock **at = &r->socks, *s;

	while (*at != NULL && (*at)->fd != fd)
		at = &(*at)->next;
	s = *at;
	if (!readable && !writable) {
		if (s == NULL)
			return;
		*at = s->next;
		loop_unwatch(&s->watch);
		free(s);
		return;
	}
	if (s == NULL) {
		s = calloc(1, sizeof(*s));
		if (s == NULL)
			return;	/* the question will time out */
		s->r = r;
		s->fd = fd;
		s->watch = loop_watch(r->loop, fd, on_sock, s);
		if (s->watch == NULL) {
			free(s);
			return;
		}
		s->next = r->socks;
		r->socks = s;
	}
	loop_want(s->watch, (readable ? LOOP_READ : 0) |
	    (writable ? LOOP_WRITE : 0));
}

static void
on_txt(void *arg, int status, int timeouts, unsigned char *abuf, int alen)
{
	struct query *q = arg;
	struct txtanswer t = {.found = DKIM2_KEY_TEMPFAIL};

	(void)timeouts;
	q->is_in_ares = false;
	if (q->is_answered || q->r->is_dying) {
		if (q->is_delivered || !q->is_answered)
			query_free(q);
		return;
	}
	if (status == ARES_SUCCESS && abuf != NULL && alen > 0) {
		struct bytes m = {abuf, (size_t)alen};

		if (txtanswer_parse(&t, m, q->name, q->arena) != 0)
			t.found = DKIM2_KEY_TEMPFAIL;
	} else if (status == ARES_ENOTFOUND || status == ARES_ENODATA ||
	    status == ARES_EBADNAME) {
		t.found = DKIM2_KEY_ABSENT;
	}
	if (t.found == DKIM2_KEY_TEMPFAIL)
		log_line(LOG_DEBUG_, "look-up of %.*s: %s",
		    BYTES_FMT(q->name), status == ARES_SUCCESS ?
		    "an answer that does not parse" : ares_strerror(status));
	q->txt = (struct resolve_txt){t.found, t.records, t.n, t.ttl_s};
	answered_txt(q, t.found);
}

/* ---- TXT ----------------------------------------------------------------- */

static bool
from_keysfile(struct resolve *r, struct query *q)
{
	if (r->keys == NULL)
		return false;
	switch (keysfile_find(r->keys, q->name, &q->txt.records, &q->txt.n)) {
	case KEYSFILE_TXT:
		q->txt.found = DKIM2_KEY_TXT;
		break;
	case KEYSFILE_TEMPERROR:
		q->txt.found = DKIM2_KEY_TEMPFAIL;
		break;
	default:
		q->txt.found = DKIM2_KEY_ABSENT;
	}
	if (q->txt.found != DKIM2_KEY_TXT)
		q->txt.n = 0;
	answered(q);
	return true;
}

static bool
from_cache(struct resolve *r, struct query *q)
{
	struct keycache_entry e;
	struct bytes *records;

	if (!keycache_find(r->cache, q->name, loop_now_ms(r->loop), &e))
		return false;
	records = arena_array(q->arena, e.n, sizeof(*records));
	for (size_t k = 0; records != NULL && k < e.n; k++) {
		records[k] = arena_copy(q->arena, e.records[k]);
		if (records[k].p == NULL)
			records = NULL;
	}
	q->txt = (struct resolve_txt){e.found, records, e.n, e.ttl_s};
	if (records == NULL)
		q->txt = (struct resolve_txt){.found = DKIM2_KEY_TEMPFAIL};
	answered(q);
	return true;
}

static struct query *
same_question(const struct resolve *r, struct bytes name)
{
	struct query *q = r->first;

	while (q != NULL && (q->is_addrs || !bytes_case_eq(q->name, name)))
		q = q->next;
	return q;
}

void
resolve_ask_txt(struct resolve *r, struct bytes name, uint64_t tag)
{
	uint8_t wire[TXTANSWER_NAME_MAX];
	struct buf b = BUF_ON(wire);
	struct query *q;

	if (name.n != 0 && name.p[name.n - 1] == '.')
		name.n--;
	q = same_question(r, name);
	if (q != NULL && query_add_tag(q, tag))
		return;
	q = query_new(r, bytes_first(name, 1024), tag);
	if (q == NULL || from_keysfile(r, q))
		return;
	if (!txtanswer_name(name, &b)) {
		q->txt.found = DKIM2_KEY_ABSENT;	/* can not exist */
		answered(q);
		return;
	}
	if (from_cache(r, q))
		return;
	if (r->n_pending == PENDING_MAX) {
		q->txt.found = DKIM2_KEY_TEMPFAIL;
		answered(q);
		return;
	}
	pend(r, q);
	q->is_in_ares = true;
	ares_query(r->channel, (const char *)q->name.p, 1, 16, on_txt, q);
	rearm(r);
}

/* ---- addresses ----------------------------------------------------------- */

static void
take_addrs(struct query *q, const struct ares_addrinfo *ai)
{
	struct config_addr *a = arena_array(q->arena, ADDRS_MAX, sizeof(*a));

	if (a == NULL) {
		q->addrs.is_temporary = true;
		return;
	}
	q->addrs.addrs = a;
	for (const struct ares_addrinfo_node *n = ai->nodes;
	    n != NULL && q->addrs.n < ADDRS_MAX; n = n->ai_next) {
		if (!addr_from_system(n->ai_addr, a + q->addrs.n))
			continue;
		a[q->addrs.n++].port = q->port;
	}
}

static void
on_addrs(void *arg, int status, int timeouts, struct ares_addrinfo *ai)
{
	struct query *q = arg;

	(void)timeouts;
	q->is_in_ares = false;
	if (!q->is_answered && !q->r->is_dying) {
		if (status == ARES_SUCCESS && ai != NULL)
			take_addrs(q, ai);
		else
			q->addrs.is_temporary = status != ARES_ENOTFOUND &&
			    status != ARES_ENODATA && status != ARES_EBADNAME;
		answered(q);
	} else if (q->is_delivered || !q->is_answered) {
		query_free(q);
	}
	if (ai != NULL)
		ares_freeaddrinfo(ai);
}

void
resolve_ask_addrs(struct resolve *r, const char *host, uint16_t port,
    uint64_t tag)
{
	struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC,
	    .ai_socktype = SOCK_STREAM};
	struct query *q = query_new(r, bytes_of(host), tag);
	struct config_addr *a;

	if (q == NULL)
		return;
	q->is_addrs = true;
	q->port = port;
	a = arena_alloc(q->arena, sizeof(*a));
	if (a != NULL && addr_from_text(host, a)) {
		a->port = port;
		q->addrs = (struct resolve_addrs){false, a, 1};
		answered(q);
		return;
	}
	if (a == NULL || r->n_pending == PENDING_MAX) {
		q->addrs.is_temporary = true;
		answered(q);
		return;
	}
	pend(r, q);
	q->is_in_ares = true;
	ares_getaddrinfo(r->channel, (const char *)q->name.p, NULL, &hints,
	    on_addrs, q);
	rearm(r);
}

/* ---- begin and end ------------------------------------------------------- */

/* c-ares doubles its patience in each round over the servers. */
static int
count_tries(const struct config *c)
{
	uint64_t servers = c->n_resolver == 0 ? 1 : c->n_resolver;
	uint64_t wait_ms = servers * c->resolver_timeout_ms, all_ms = wait_ms;
	int tries = 1;

	while (tries < TRIES_MAX && all_ms + (wait_ms << tries) <= ALL_TRIES_MS)
		all_ms += wait_ms << tries++;
	return tries;
}

static int
set_servers(struct resolve *r, const struct config *c)
{
	char csv[4096];
	struct buf b = BUF_ON(csv);

	if (c->n_resolver == 0)
		return ARES_SUCCESS;
	for (size_t k = 0; k < c->n_resolver; k++) {
		buf_add_str(&b, k == 0 ? "" : ",");
		addr_add(&c->resolver[k], &b);
	}
	buf_add_octet(&b, '\0');
	if (b.full)
		return ARES_ENOMEM;
	return ares_set_servers_ports_csv(r->channel, csv);
}

static int
open_channel(struct resolve *r, const struct config *c)
{
	static char lookups[] = "fb";	/* the hosts file, then the DNS */
	struct ares_options o = {
		.flags = ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH |
		    ARES_FLAG_NOALIASES,
		.timeout = (int)c->resolver_timeout_ms,
		.tries = count_tries(c),
		.ednspsz = EDNS_SIZE,
		.lookups = lookups,
		.sock_state_cb = on_sock_state,
		.sock_state_cb_data = r,
	};
	int s = ares_library_init(ARES_LIB_INIT_ALL);

	if (s == ARES_SUCCESS)
		s = ares_init_options(&r->channel, &o, ARES_OPT_FLAGS |
		    ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
		    ARES_OPT_LOOKUPS | ARES_OPT_DOMAINS |
		    ARES_OPT_SOCK_STATE_CB);
	r->has_channel = s == ARES_SUCCESS;
	if (r->has_channel)
		s = set_servers(r, c);
	if (s != ARES_SUCCESS)
		log_line(LOG_ERROR_, "resolver: %s", ares_strerror(s));
	return s;
}

struct resolve *
resolve_new(struct loop *l, const struct config *c,
    const struct keysfile *keys, resolve_txt_answer *txt,
    resolve_addrs_answer *addrs, void *arg)
{
	struct resolve *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->loop = l;
	r->keys = keys;
	r->txt = txt;
	r->addrs = addrs;
	r->arg = arg;
	r->last = &r->first;
	r->cache = keycache_new(CACHE_NAMES, CACHE_OCTETS);
	r->timer = loop_timer_new(l, on_time, r);
	if (r->cache == NULL || r->timer == NULL ||
	    open_channel(r, c) != ARES_SUCCESS)
		resolve_free(&r);
	return r;
}

static void
destroy(void *arg)
{
	free(arg);
}

void
resolve_free(struct resolve **rp)
{
	struct resolve *r = *rp;

	if (r == NULL)
		return;
	*rp = NULL;
	r->is_dying = true;
	if (r->has_channel) {
		ares_destroy(r->channel);	/* gives all queries back */
		ares_library_cleanup();
	}
	loop_timer_free(&r->timer);
	keycache_free(&r->cache);
	/* answers that are deferred already come before this */
	loop_defer(r->loop, &r->destroy, destroy, r);
}
