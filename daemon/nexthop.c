#include "daemon/nexthop.h"

#include <sodium.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "daemon/addr.h"
#include "daemon/log.h"
#include "daemon/mxanswer.h"
#include "daemon/selfaddr.h"
#include "dkim2/idn.h"

#define WAIT_MS 30000
#define HOST_ADDRS 8	/* of each family: one host can not fill the list */

/* Parts of a request's tag, for the resolver. */
#define PART_MX 0U
#define PART_V6 1U
#define PART_V4 (PART_V6 + NEXTHOP_HOSTS)

struct addrs {
	struct config_addr at[HOST_ADDRS];
	size_t n;
};

struct host {
	char name[NEXTHOP_HOST_MAX];
	unsigned preference;
	struct addrs v6, v4;
};

/* A question for a way, from nexthop_ask() to its answer. */
struct nexthop_request {
	struct nexthop_request *next;
	struct hub *hub;
	const struct config_listener *listener;
	const struct config_next_hop *hop;
	uint64_t tag;		/* the asker's */
	uint64_t own;		/* ours */
	char domain[NEXTHOP_HOST_MAX];
	struct host hosts[NEXTHOP_HOSTS];	/* in the order to be tried */
	size_t n_hosts;
	unsigned n_open;	/* address look-ups not answered yet */
	bool is_cut;		/* our own name and all behind it is left out */
	bool is_temporary;	/* one of the look-ups failed */
	bool is_answered;
	bool is_dropped;	/* the hub may be gone */
	struct nexthop_target targets[NEXTHOP_TARGETS];
	struct nexthop_answer answer;
	struct loop_timer *limit;
	struct loop_deferred deferred;
};

const struct config_next_hop *
nexthop_route(const struct config_listener *l, struct bytes domain)
{
	uint8_t room[NEXTHOP_HOST_MAX];
	struct buf ascii = BUF_ON(room);
	const struct config_next_hop *hop = NULL;

	if (idn_to_ascii(domain, &ascii))
		hop = config_route_find(&l->routes, buf_bytes(&ascii));
	return hop != NULL ? hop : &l->next_hop;
}

bool
nexthop_is_same(const struct config_next_hop *a, struct bytes a_domain,
    const struct config_next_hop *b, struct bytes b_domain)
{
	if (a->scheme != b->scheme || a->tls != b->tls || a->port != b->port)
		return false;
	if (a->scheme == SCHEME_MX)
		return idn_domain_eq(a_domain, b_domain);
	return bytes_case_eq(a->host, b->host);
}

const struct nexthop_refusal *
nexthop_refusal(enum nexthop_status status)
{
	static const struct nexthop_refusal refusals[] = {
		[NEXTHOP_NULL_MX] = {556, "5.1.10",
		    "The recipient's domain takes no mail (null MX)"},
		[NEXTHOP_NO_DOMAIN] = {550, "5.1.2",
		    "The recipient's domain is not found or has no mail "
		    "server"},
		[NEXTHOP_TEMPORARY] = {451, "4.4.3",
		    "The next hop could not be looked up"},
		[NEXTHOP_LOOP] = {451, "4.4.6",
		    "Mail for the recipient's domain comes back to us"},
	};

	return &refusals[status];
}

/* ---- the answer ---------------------------------------------------------- */

/* Takes a request out of the hub, which may go. */
static void
detach(struct nexthop_request *q)
{
	struct nexthop_request **at = &q->hub->ways;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	slots_leave(&q->hub->slots, q->own);
	loop_timer_free(&q->limit);
}

static void
deliver(void *arg)
{
	struct nexthop_request *q = arg;

	if (!q->is_dropped) {
		detach(q);
		if (q->answer.status == NEXTHOP_LOOP)	/* attacks.md L2 */
			log_line(LOG_ERROR_, "alarm: mail to %s would come "
			    "back to listener %s, which is its own best next "
			    "hop", q->domain[0] != '\0' ? q->domain :
			    q->hosts[0].name, q->listener->name);
		q->hub->way_found(q->hub, q->tag, &q->answer);
	}
	free(q);
}

static void
answer(struct nexthop_request *q, enum nexthop_status status)
{
	q->is_answered = true;
	q->answer.status = status;
	q->answer.targets = q->targets;
	if (status != NEXTHOP_OK)
		q->answer.n = 0;
	loop_timer_stop(q->limit);
	loop_defer(q->hub->loop, &q->deferred, deliver, q);
}

void
nexthop_drop(struct hub *h)
{
	while (h->ways != NULL) {
		struct nexthop_request *q = h->ways;

		detach(q);
		q->is_dropped = true;
		if (!q->is_answered)
			loop_defer(h->loop, &q->deferred, deliver, q);
	}
}

static void
add_target(struct nexthop_request *q, const char *host,
    const struct config_addr *addr)
{
	struct nexthop_target *t = &q->targets[q->answer.n];
	struct buf name = BUF_ON(t->host);

	if (q->answer.n == NEXTHOP_TARGETS)
		return;
	buf_add_str(&name, host);
	buf_add_octet(&name, '\0');
	t->addr = *addr;
	t->addr.port = q->hop->port;
	q->answer.n++;
}

/* The families take turns: neither, where it leads nowhere, hides the other. */
static void
add_host(struct nexthop_request *q, const struct host *host)
{
	for (size_t k = 0; k < HOST_ADDRS; k++) {
		if (k < host->v6.n)
			add_target(q, host->name, &host->v6.at[k]);
		if (k < host->v4.n)
			add_target(q, host->name, &host->v4.at[k]);
	}
}

static bool
is_self(const struct nexthop_request *q, const struct addrs *addrs)
{
	for (size_t k = 0; k < addrs->n; k++) {
		struct config_addr to = addrs->at[k];

		to.port = q->hop->port;
		if (selfaddr_listens(q->listener, &to))
			return true;
	}
	return false;
}

/* Leaves out the listener itself, and what is not better than it. */
static void
cut_self(struct nexthop_request *q)
{
	size_t k = 0;

	while (k < q->n_hosts && !is_self(q, &q->hosts[k].v6) &&
	    !is_self(q, &q->hosts[k].v4))
		k++;
	if (k == q->n_hosts)
		return;
	q->is_cut = true;
	while (k > 0 && q->hosts[k - 1].preference == q->hosts[k].preference)
		k--;
	q->n_hosts = k;
}

/* All that will be known is known. */
static void
conclude(struct nexthop_request *q)
{
	bool had_hosts;

	cut_self(q);
	had_hosts = q->n_hosts != 0;
	for (size_t k = 0; k < q->n_hosts; k++)
		add_host(q, &q->hosts[k]);
	if (q->answer.n != 0)
		answer(q, NEXTHOP_OK);
	else if (q->is_cut && !had_hosts)
		answer(q, NEXTHOP_LOOP);
	else if (q->is_temporary || q->is_cut || q->hop->scheme != SCHEME_MX)
		/* a backup waits for the better ones to be there again */
		answer(q, NEXTHOP_TEMPORARY);
	else
		answer(q, NEXTHOP_NO_DOMAIN);
}

static void
out_of_time(void *arg)
{
	struct nexthop_request *q = arg;

	q->is_temporary = true;
	conclude(q);
}

/* ---- by MX --------------------------------------------------------------- */

/* Whether it is the listener's own name: a backup knows itself by that. */
static bool
is_own_name(const struct nexthop_request *q, struct bytes name)
{
	if (!bytes_case_eq(name, bytes_of(q->hub->config->hostname)))
		return false;
	for (size_t k = 0; k < q->listener->n_listen; k++)
		if (q->listener->listen[k].port == q->hop->port)
			return true;
	return false;
}

static bool
has_host(const struct nexthop_request *q, struct bytes name)
{
	for (size_t k = 0; k < q->n_hosts; k++)
		if (bytes_case_eq(name, bytes_of(q->hosts[k].name)))
			return true;
	return false;
}

static void
take_host(struct nexthop_request *q, const struct mxanswer_host *from)
{
	struct host *host = &q->hosts[q->n_hosts];
	struct buf name = BUF_ON(host->name);

	/* the root, and what is too long for a name, is no server */
	if (from->name.n == 0 || from->name.n >= NEXTHOP_HOST_MAX ||
	    q->n_hosts == NEXTHOP_HOSTS || has_host(q, from->name))
		return;
	buf_add(&name, from->name);
	buf_add_octet(&name, '\0');
	host->preference = from->preference;
	q->n_hosts++;
}

/* Asks for the addresses of every host at once. */
static void
ask_hosts(struct nexthop_request *q)
{
	struct resolve *r = q->hub->resolve;

	for (size_t k = 0; k < q->n_hosts; k++) {
		struct bytes name = bytes_of(q->hosts[k].name);

		resolve_ask(r, RESOLVE_AAAA, name, q->own | (PART_V6 + k));
		resolve_ask(r, RESOLVE_A, name, q->own | (PART_V4 + k));
		q->n_open += 2;
	}
	if (q->n_open == 0)
		conclude(q);
}

static void
take_mx(struct nexthop_request *q, const struct dnsanswer_records *t)
{
	struct mxanswer_host hosts[DNSANSWER_RRS_MAX];
	size_t n = t->n;

	if (t->found == DNSANSWER_TEMPFAIL) {
		answer(q, NEXTHOP_TEMPORARY);
		return;
	}
	if (mxanswer_is_null(t)) {
		answer(q, NEXTHOP_NULL_MX);
		return;
	}
	for (size_t k = 0; k < n; k++)
		hosts[k] = mxanswer_host(t->records[k]);
	if (n == 0)	/* RFC 5321 5.1: the implicit one */
		hosts[n++] = (struct mxanswer_host){0, bytes_of(q->domain)};
	mxanswer_order(hosts, n, randombytes_random());
	for (size_t k = 0; k < n; k++) {
		if (!is_own_name(q, hosts[k].name)) {
			take_host(q, &hosts[k]);
			continue;
		}
		q->is_cut = true;
		while (q->n_hosts != 0 && q->hosts[q->n_hosts - 1].preference ==
		    hosts[k].preference)
			q->n_hosts--;
		break;
	}
	ask_hosts(q);
}

static void
take_addrs(struct nexthop_request *q, struct addrs *to,
    const struct dnsanswer_records *t)
{
	if (t->found == DNSANSWER_TEMPFAIL)
		q->is_temporary = true;
	for (size_t k = 0; k < t->n && to->n < HOST_ADDRS; k++)
		memcpy(to->at[to->n++].ip, t->records[k].p, 16);
	if (--q->n_open == 0)
		conclude(q);
}

void
nexthop_records(struct hub *h, uint64_t tag,
    const struct dnsanswer_records *records)
{
	struct nexthop_request *q = slots_find(&h->slots, tag);
	unsigned part = SLOT_PART(tag);

	if (q == NULL || q->is_answered)
		return;
	if (part == PART_MX)
		take_mx(q, records);
	else if (part >= PART_V4)
		take_addrs(q, &q->hosts[part - PART_V4].v4, records);
	else
		take_addrs(q, &q->hosts[part - PART_V6].v6, records);
}

/* ---- asking -------------------------------------------------------------- */

static void
add_addr(struct host *host, const struct config_addr *addr)
{
	struct addrs *to = addr_is_v4(addr) ? &host->v4 : &host->v6;

	if (to->n < HOST_ADDRS)
		to->at[to->n++] = *addr;
}

void
nexthop_addrs(struct hub *h, uint64_t tag, const struct resolve_addrs *addrs)
{
	struct nexthop_request *q = slots_find(&h->slots, tag);

	if (q == NULL || q->is_answered)
		return;
	for (size_t k = 0; k < addrs->n; k++)
		add_addr(&q->hosts[0], &addrs->addrs[k]);
	conclude(q);
}

/* [192.0.2.1] or [IPv6:2001:db8::1]. Source RFC 5321 4.1.3 */
static bool
literal_read(struct bytes domain, struct config_addr *addr)
{
	char text[ADDR_TEXT_MAX];
	struct buf out = BUF_ON(text);
	bool is_v6;

	if (domain.n < 2 || domain.p[0] != '[' ||
	    domain.p[domain.n - 1] != ']')
		return false;
	domain = bytes_first(bytes_skip(domain, 1), domain.n - 2);
	is_v6 = bytes_case_starts(domain, BYTES_LIT("IPv6:"));
	buf_add(&out, bytes_skip(domain, is_v6 ? strlen("IPv6:") : 0));
	buf_add_octet(&out, '\0');
	return !out.full && addr_from_text(text, addr) &&
	    is_v6 != addr_is_v4(addr);
}

/* One host and one address of it; conclude() does the rest. */
static void
know(struct nexthop_request *q, struct bytes name,
    const struct config_addr *addr)
{
	struct buf out = BUF_ON(q->hosts[0].name);

	buf_add(&out, bytes_first(name, NEXTHOP_HOST_MAX - 1));
	buf_add_octet(&out, '\0');
	q->n_hosts = 1;
	if (addr != NULL)
		add_addr(&q->hosts[0], addr);
}

static void
ask_named(struct nexthop_request *q)
{
	const struct config_next_hop *hop = q->hop;

	know(q, hop->host, hop->is_ip ? &hop->addr : NULL);
	if (hop->is_ip)
		conclude(q);
	else
		resolve_ask_addrs(q->hub->resolve, hop->host_str, hop->port,
		    q->own);
}

static void
ask_mx(struct nexthop_request *q, struct bytes domain)
{
	struct buf out = BUF_ON(q->domain);
	struct config_addr literal = {.port = 0};
	char text[ADDR_TEXT_MAX];

	if (literal_read(domain, &literal)) {
		addr_text(&literal, text);	/* as certificates have it */
		know(q, bytes_of(text), &literal);
		conclude(q);
		return;
	}
	if (domain.n == 0)	/* <postmaster> */
		domain = bytes_of(q->hub->config->hostname);
	out.cap--;
	if (!idn_to_ascii(domain, &out)) {
		answer(q, NEXTHOP_NO_DOMAIN);
		return;
	}
	q->domain[out.n] = '\0';
	resolve_ask(q->hub->resolve, RESOLVE_MX, buf_bytes(&out),
	    q->own | PART_MX);
}

bool
nexthop_ask(struct hub *h, const struct config_listener *l,
    const struct config_next_hop *hop, struct bytes domain, uint64_t tag)
{
	struct nexthop_request *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return false;
	q->hub = h;
	q->listener = l;
	q->hop = hop;
	q->tag = tag;
	q->limit = loop_timer_new(h->loop, out_of_time, q);
	if (q->limit == NULL || !slots_take(&h->slots, q, &q->own)) {
		loop_timer_free(&q->limit);
		free(q);
		return false;
	}
	q->next = h->ways;
	h->ways = q;
	loop_timer_start(q->limit, WAIT_MS);
	if (hop->scheme == SCHEME_MX)
		ask_mx(q, domain);
	else
		ask_named(q);
	return true;
}
