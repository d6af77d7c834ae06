#include "daemon/resolve.h"

#include <ares.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "base/ascii.h"
#include "base/err.h"
#include "daemon/addr.h"
#include "daemon/dnscache.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/mxanswer.h"
#include "daemon/txtanswer.h"

#define ALL_TRIES_MS 20000
#define TRIES_MAX 4
#define PENDING_MAX 4096
#define ADDRS_MAX 32
#define QUERY_ARENA (64U << 10)
#define EDNS_SIZE 1232		/* what no path fragments (flag day 2020) */

static const struct {
	enum dnsanswer_type type;
	size_t cache_names;
	size_t cache_octets;
} kinds[RESOLVE__N] = {
	[RESOLVE_TXT] = {DNSTYPE_TXT, 10000, 32U << 20},
	[RESOLVE_MX] = {DNSTYPE_MX, 5000, 4U << 20},
	[RESOLVE_A] = {DNSTYPE_A, 5000, 2U << 20},
	[RESOLVE_AAAA] = {DNSTYPE_AAAA, 5000, 2U << 20},
};

/* A question under way, and all who wait for its answer. */
struct query {
	struct query *next;
	struct resolve *r;
	struct loop_deferred deferred;
	struct bytes name;		/* lower case; in the arena */
	bool is_addrs;			/* for addrs, else for records */
	enum resolve_type type;
	bool is_in_ares;		/* c-ares will call for it */
	bool is_answered;		/* not pending any more */
	bool is_delivered;
	uint16_t port;
	int64_t deadline_ms;
	uint64_t *tags;
	size_t n_tags;
	struct arena *arena;
	struct dnsanswer_records records;
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
	const struct config *config;
	struct resolve_system system;
	struct stat system_was;
	ares_channel channel;
	bool has_channel;
	struct loop_timer *timer;
	struct sock *socks;
	struct query *first, **last;	/* pending, the oldest first */
	size_t n_pending;
	struct dnscache *cache[RESOLVE__N];
	struct resolve_calls calls;
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

/* What a key look-up is told. */
static void
deliver_txt(const struct query *q, uint64_t tag)
{
	static const enum dkim2_key found[] = {
		[DNSANSWER_THERE] = DKIM2_KEY_TXT,
		[DNSANSWER_ABSENT] = DKIM2_KEY_ABSENT,
		[DNSANSWER_TEMPFAIL] = DKIM2_KEY_TEMPFAIL,
	};
	const struct dnsanswer_records *t = &q->records;
	const struct resolve_txt txt = {found[t->found], t->records, t->n,
	    t->ttl_s};

	q->r->calls.txt(q->r->arg, tag, &txt);
}

/* Gives the answer to all who wait: from the loop, never from a call. */
static void
deliver(void *arg)
{
	struct query *q = arg;
	struct resolve *r = q->r;

	for (size_t k = 0; k < q->n_tags && !r->is_dying; k++) {
		if (q->is_addrs)
			r->calls.addrs(r->arg, q->tags[k], &q->addrs);
		else if (q->type == RESOLVE_TXT)
			deliver_txt(q, q->tags[k]);
		else
			r->calls.records(r->arg, q->tags[k], &q->records);
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
answered_records(struct query *q, const struct dnsanswer_records *t)
{
	struct resolve *r = q->r;

	q->records = *t;
	if (t->found != DNSANSWER_THERE) {
		q->records.n = 0;
		q->records.ttl_s = UINT32_MAX;	/* the cache has its bounds */
	}
	dnscache_put(r->cache[q->type], q->name, loop_now_ms(r->loop),
	    &q->records);
	answered(q);
}

static void
failed(struct query *q)
{
	if (q->is_addrs) {
		q->addrs.is_temporary = true;
		answered(q);
	} else {
		answered_records(q, &(struct dnsanswer_records){
		    .found = DNSANSWER_TEMPFAIL});
	}
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
	while (r->first != NULL && r->first->deadline_ms <= now)
		failed(r->first);
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

static void put_to_ares(struct query *q);

/*
 * Whether c-ares is done with a question. It gives all of them back when its
 * channel is closed for one with other servers: those are asked anew.
 */
static bool
is_back(struct query *q, int status)
{
	q->is_in_ares = false;
	if (q->is_answered || q->r->is_dying) {
		if (q->is_delivered || !q->is_answered)
			query_free(q);
		return false;
	}
	if (status != ARES_EDESTRUCTION)
		return true;
	put_to_ares(q);
	return false;
}

static int
parse(const struct query *q, struct bytes answer, struct dnsanswer_records *t)
{
	if (q->type == RESOLVE_TXT)
		return txtanswer_parse(t, answer, q->name, q->arena);
	return mxanswer_parse(t, answer, q->name, kinds[q->type].type,
	    q->arena);
}

static void
count(int status, enum dnsanswer_found found)
{
	unsigned answer = found == DNSANSWER_THERE ? DNS_OK :
	    found == DNSANSWER_ABSENT ? DNS_ABSENT :
	    status == ARES_ETIMEOUT ? DNS_TIMEOUT : DNS_FAILED;

	metrics_count(METRIC_DNS, answer, 0);
}

static void
on_records(void *arg, int status, int timeouts, unsigned char *abuf, int alen)
{
	struct query *q = arg;
	struct dnsanswer_records t = {.found = DNSANSWER_TEMPFAIL};

	(void)timeouts;
	if (!is_back(q, status))
		return;
	if (status == ARES_SUCCESS && abuf != NULL && alen > 0) {
		struct bytes m = {abuf, (size_t)alen};

		if (parse(q, m, &t) != 0)
			t.found = DNSANSWER_TEMPFAIL;
	} else if (status == ARES_ENOTFOUND || status == ARES_ENODATA ||
	    status == ARES_EBADNAME) {
		t.found = DNSANSWER_ABSENT;
	}
	count(status, t.found);
	if (t.found == DNSANSWER_TEMPFAIL)
		log_line(LOG_DEBUG_, "look-up of %.*s: %s",
		    BYTES_FMT(q->name), status == ARES_SUCCESS ?
		    "an answer that does not parse" : ares_strerror(status));
	answered_records(q, &t);
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
	if (is_back(q, status)) {
		if (status == ARES_SUCCESS && ai != NULL)
			take_addrs(q, ai);
		else
			q->addrs.is_temporary = status != ARES_ENOTFOUND &&
			    status != ARES_ENODATA && status != ARES_EBADNAME;
		count(status, q->addrs.is_temporary ? DNSANSWER_TEMPFAIL :
		    q->addrs.n == 0 ? DNSANSWER_ABSENT : DNSANSWER_THERE);
		answered(q);
	}
	if (ai != NULL)
		ares_freeaddrinfo(ai);
}

/* ---- servers ------------------------------------------------------------- */

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
set_servers(ares_channel channel, const struct config *c)
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
	return ares_set_servers_ports_csv(channel, csv);
}

static int
open_channel(struct resolve *r, ares_channel *channel)
{
	const struct config *c = r->config;
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
		.resolvconf_path = (char *)(uintptr_t)r->system.path,
		.udp_port = r->system.port,
		.tcp_port = r->system.port,
	};
	int s = ares_init_options(channel, &o, ARES_OPT_FLAGS |
	    ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
	    ARES_OPT_LOOKUPS | ARES_OPT_DOMAINS | ARES_OPT_SOCK_STATE_CB |
	    ARES_OPT_RESOLVCONF | ARES_OPT_UDP_PORT | ARES_OPT_TCP_PORT);

	if (s == ARES_SUCCESS) {
		s = set_servers(*channel, c);
		if (s != ARES_SUCCESS)
			ares_destroy(*channel);
	}
	if (s != ARES_SUCCESS)
		log_line(LOG_ERROR_, "resolver: %s", ares_strerror(s));
	return s;
}

/*
 * The system's resolvers are read anew when their file was changed: a worker
 * lives for months. What was asked already goes to the new ones, too.
 */
static void
look_at_system(struct resolve *r)
{
	struct stat is, *was = &r->system_was;
	ares_channel old = r->channel, new;

	if (r->config->n_resolver != 0 ||
	    stat(r->system.path, &is) != 0 || (is.st_ino == was->st_ino &&
	    is.st_size == was->st_size &&
	    is.st_mtim.tv_sec == was->st_mtim.tv_sec &&
	    is.st_mtim.tv_nsec == was->st_mtim.tv_nsec))
		return;
	*was = is;
	if (open_channel(r, &new) != ARES_SUCCESS)
		return;
	log_line(LOG_NOTICE_, "%s was changed and is read again",
	    r->system.path);
	r->channel = new;
	ares_destroy(old);	/* calls is_back() */
}

/* ---- asking -------------------------------------------------------------- */

static void
put_to_ares(struct query *q)
{
	static const struct ares_addrinfo_hints hints = {
	    .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct resolve *r = q->r;
	const char *name = (const char *)q->name.p;

	q->is_in_ares = true;
	if (q->is_addrs)
		ares_getaddrinfo(r->channel, name, NULL, &hints, on_addrs, q);
	else
		ares_query(r->channel, name, 1, (int)kinds[q->type].type,
		    on_records, q);
}

static void
ask_ares(struct query *q)
{
	struct resolve *r = q->r;

	look_at_system(r);
	pend(r, q);
	put_to_ares(q);
	rearm(r);
}

static bool
from_keysfile(struct resolve *r, struct query *q)
{
	struct dnsanswer_records *t = &q->records;

	if (r->keys == NULL || q->type != RESOLVE_TXT)
		return false;
	switch (keysfile_find(r->keys, q->name, &t->records, &t->n)) {
	case KEYSFILE_TXT:
		t->found = DNSANSWER_THERE;
		break;
	case KEYSFILE_TEMPERROR:
		t->found = DNSANSWER_TEMPFAIL;
		break;
	default:
		t->found = DNSANSWER_ABSENT;
	}
	if (t->found != DNSANSWER_THERE)
		t->n = 0;
	answered(q);
	return true;
}

static bool
from_cache(struct resolve *r, struct query *q)
{
	struct dnsanswer_records e;
	struct bytes *records;

	if (!dnscache_find(r->cache[q->type], q->name, loop_now_ms(r->loop),
	        &e))
		return false;
	records = arena_array(q->arena, e.n, sizeof(*records));
	for (size_t k = 0; records != NULL && k < e.n; k++) {
		records[k] = arena_copy(q->arena, e.records[k]);
		if (records[k].p == NULL)
			records = NULL;
	}
	e.records = records;
	q->records = records != NULL ? e :
	    (struct dnsanswer_records){.found = DNSANSWER_TEMPFAIL};
	answered(q);
	return true;
}

static struct query *
same_question(const struct resolve *r, enum resolve_type type,
    struct bytes name)
{
	struct query *q = r->first;

	while (q != NULL && (q->is_addrs || q->type != type ||
	    !bytes_case_eq(q->name, name)))
		q = q->next;
	return q;
}

void
resolve_ask(struct resolve *r, enum resolve_type type, struct bytes name,
    uint64_t tag)
{
	uint8_t wire[DNSANSWER_NAME_MAX];
	struct buf b = BUF_ON(wire);
	struct query *q;

	if (name.n != 0 && name.p[name.n - 1] == '.')
		name.n--;
	q = same_question(r, type, name);
	if (q != NULL && query_add_tag(q, tag))
		return;
	q = query_new(r, bytes_first(name, 1024), tag);
	if (q == NULL)
		return;
	q->type = type;
	if (from_keysfile(r, q))
		return;
	if (!dnsanswer_name(name, &b)) {
		q->records.found = DNSANSWER_ABSENT;	/* can not exist */
		answered(q);
		return;
	}
	if (from_cache(r, q))
		return;
	if (r->n_pending == PENDING_MAX) {
		q->records.found = DNSANSWER_TEMPFAIL;
		answered(q);
		return;
	}
	ask_ares(q);
}

void
resolve_ask_txt(struct resolve *r, struct bytes name, uint64_t tag)
{
	resolve_ask(r, RESOLVE_TXT, name, tag);
}

void
resolve_ask_addrs(struct resolve *r, const char *host, uint16_t port,
    uint64_t tag)
{
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
	ask_ares(q);
}

/* ---- begin and end ------------------------------------------------------- */

struct resolve *
resolve_new(struct loop *l, const struct config *c,
    const struct resolve_from *from, const struct resolve_calls *calls,
    void *arg)
{
	struct resolve *r = calloc(1, sizeof(*r));
	bool is_good;

	if (r == NULL)
		return NULL;
	r->loop = l;
	r->config = c;
	r->keys = from->keys;
	r->system = from->system.path != NULL ? from->system :
	    (struct resolve_system){"/etc/resolv.conf", 53};
	r->calls = *calls;
	r->arg = arg;
	r->last = &r->first;
	(void)stat(r->system.path, &r->system_was);
	r->timer = loop_timer_new(l, on_time, r);
	is_good = r->timer != NULL;
	for (unsigned k = 0; k < RESOLVE__N; k++) {
		r->cache[k] = dnscache_new(kinds[k].cache_names,
		    kinds[k].cache_octets);
		is_good = is_good && r->cache[k] != NULL;
	}
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		is_good = false;
	r->has_channel = is_good &&
	    open_channel(r, &r->channel) == ARES_SUCCESS;
	if (!r->has_channel)
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
	if (r->has_channel)
		ares_destroy(r->channel);	/* gives all queries back */
	ares_library_cleanup();
	loop_timer_free(&r->timer);
	for (unsigned k = 0; k < RESOLVE__N; k++)
		dnscache_free(&r->cache[k]);
	/* answers that are deferred already come before this */
	loop_defer(r->loop, &r->destroy, destroy, r);
}
