/*
 * Outbounds against scripted next hops, on a loop of the test: who runs a
 * transaction, and what it is told.
 */
#ifndef TESTS_DAEMON_ONWARDKIT_H
#define TESTS_DAEMON_ONWARDKIT_H

#include "daemon/inbound.h"
#include "daemon/nexthop.h"
#include "daemon/offers.h"
#include "daemon/outbound.h"
#include "daemon/pool.h"
#include "daemon/probe.h"
#include "tests/daemon/scripted.h"

#define PEERS 4
#define RUNNERS 4

/* One transaction and what it is told. */
struct runner {
	struct outbound *o;
	size_t n_rcpt;		/* to be asked at once */
	size_t n_answered;
	bool is_sending;	/* when all are answered */
	bool is_over;
	struct buf events;
	char octets[2000];
};

static struct {
	struct loop *loop;
	struct loop_timer *limit;
	struct config config;
	struct config_listener listener;
	struct hub hub;
	struct signer_inventory inventory;
	struct scripted server[PEERS];
	struct runner runner[RUNNERS];
	size_t n_servers;	/* that the name has; 0: one, by its address */
	bool (*is_done)(void);
} t;

/* The host has the servers of the test, in their order. */
static inline void
way_found(struct hub *h, uint64_t tag, const struct nexthop_answer *found)
{
	struct outbound *o = slots_find(&h->slots, tag);
	struct nexthop_target targets[PEERS];
	struct nexthop_answer way = *found;

	for (size_t k = 0; k < t.n_servers; k++) {
		targets[k] = found->targets[0];
		targets[k].addr.port = t.server[k].port;
	}
	if (t.n_servers != 0) {
		way.targets = targets;
		way.n = t.n_servers;
	}
	if (o != NULL)
		outbound_way(o, &way);
}

static inline void
too_long(void *arg)
{
	(void)arg;
	fail_msg("waited in vain: %.*s", (int)t.runner[0].events.n,
	    t.runner[0].octets);
}

static inline void
look(void)
{
	if (t.is_done != NULL && t.is_done())
		loop_stop(t.loop);
}

static inline int
setup(void **state)
{
	static const uint8_t loopback[16] = {[10] = 255, 255, 127, 0, 0, 1};

	(void)state;
	memset(&t, 0, sizeof(t));
	t.loop = loop_new();
	t.limit = loop_timer_new(t.loop, too_long, NULL);
	loop_timer_start(t.limit, 60000);
	t.config.hostname = "me.example";
	t.listener.next_hop = (struct config_next_hop){
	    .host = BYTES_LIT("hop.example"), .host_str = "hop.example",
	    .is_ip = true,
	};
	memcpy(t.listener.next_hop.addr.ip, loopback, 16);
	t.listener.connect_timeout_s = 30;
	t.listener.reply_timeout_s = 30;
	t.listener.data_timeout_s = 30;
	t.listener.send_timeout_s = 30;
	t.listener.end_timeout_s = 30;
	t.listener.idle_reuse_s = 600;	/* longer than a test may take */
	t.listener.max_per_destination = 20;
	t.listener.max_idle = 4;
	t.listener.max_reuse = 100;
	t.hub.loop = t.loop;
	t.hub.config = &t.config;
	t.config.listeners = &t.listener;
	t.config.n_listeners = 1;
	t.hub.pool = pool_new();
	t.hub.way_found = way_found;
	slots_init(&t.hub.slots);
	t.hub.offers = offers_new(&t.config);
	t.hub.probe = probe_new(&t.hub);
	t.hub.inventory = &t.inventory;
	for (size_t k = 0; k < PEERS; k++)
		scripted_start(&t.server[k], t.loop);
	t.server[0].look = look;
	t.listener.next_hop.port = t.server[0].port;
	t.listener.next_hop.addr.port = t.server[0].port;
	for (size_t k = 0; k < RUNNERS; k++)
		t.runner[k].events = BUF_ON(t.runner[k].octets);
	return 0;
}

static inline int
teardown(void **state)
{
	(void)state;
	t.is_done = NULL;
	for (size_t k = 0; k < RUNNERS; k++)
		outbound_free(&t.runner[k].o);
	probe_free(&t.hub.probe);
	offers_free(&t.hub.offers);
	pool_free(&t.hub.pool);
	nexthop_drop(&t.hub);
	for (size_t k = 0; k < PEERS; k++)
		scripted_stop(&t.server[k]);
	loop_timer_free(&t.limit);
	loop_run(t.loop);		/* what was deferred */
	slots_fini(&t.hub.slots);
	loop_free(&t.loop);
	return 0;
}

static inline void
script(size_t server, const char *text)
{
	struct scripted *s = &t.server[server];

	s->scripts[s->n_scripts++] = text;
}

static inline struct outbound *
new_outbound(const struct inbound_client *client)
{
	const struct outbound_destination to = {
	    .hop = &t.listener.next_hop,
	    .client = client,
	};
	struct outbound *o = outbound_new(&t.hub, &t.listener, &to);

	assert_non_null(o);
	return o;
}

static inline bool
are_over(void)
{
	for (size_t k = 0; k < RUNNERS; k++)
		if (t.runner[k].o != NULL && !t.runner[k].is_over)
			return false;
	return true;
}

static inline void
note_reply(struct runner *r, const char *what, const struct smtp_reply *reply)
{
	buf_printf(&r->events, "%s %d %.*s[", what, reply->code,
	    BYTES_FMT(reply->enhanced));
	buf_add_escaped(&r->events, reply->text, 100);
	buf_add_str(&r->events, "]; ");
}

static inline void
note_each(struct runner *r)
{
	for (size_t k = 0; k < r->n_rcpt; k++) {
		struct smtp_reply said = outbound_rcpt_reply(r->o, k);

		note_reply(r, "for", &said);
	}
}

static inline void
on_outbound(void *arg, enum outbound_event what)
{
	struct runner *r = arg;
	const struct outbound_result *result = outbound_result(r->o);
	static const struct bytes piece[] = {
	    {(const uint8_t *)"Subject: x\r\n", 12},
	    {(const uint8_t *)"\r\n.y\r\n", 6},
	};

	switch (what) {
	case OUTBOUND_RCPT:
		assert_int_equal(result->rcpt, r->n_answered++);
		note_reply(r, "rcpt", &result->reply);
		if (r->is_sending && r->n_answered == r->n_rcpt)
			outbound_send(r->o, piece, 2);
		else if (r->n_answered == r->n_rcpt)
			r->is_over = true;
		break;
	case OUTBOUND_REFUSED:
		note_reply(r, "refused", &result->reply);
		r->is_over = true;
		break;
	case OUTBOUND_ENDED:
		note_reply(r, "ended", &result->reply);
		r->is_over = true;
		break;
	case OUTBOUND_LOST:
		assert_non_null(result->fault);
		buf_printf(&r->events, "lost%s; ",
		    result->is_ambiguous ? "?" : "");
		r->is_over = true;
		break;
	}
	look();
}

static inline void
begin(size_t k, size_t n_rcpt, bool is_sending)
{
	static const struct bytes path[] = {
	    {(const uint8_t *)"<a@b>", 5}, {(const uint8_t *)"<c@d>", 5},
	    {(const uint8_t *)"<e@f>", 5}, {(const uint8_t *)"<g@h>", 5}};
	struct runner *r = &t.runner[k];
	const struct outbound_mail mail = {.mail_from = BYTES_LIT("<s@t>")};

	if (r->o == NULL)
		r->o = new_outbound(NULL);
	outbound_owner(r->o, on_outbound, r);
	r->n_rcpt = n_rcpt;
	r->n_answered = 0;
	r->is_sending = is_sending;
	r->is_over = false;
	outbound_begin(r->o, &mail);
	for (size_t i = 0; i < n_rcpt; i++) {
		const struct outbound_rcpt rcpt = {.path = path[i]};

		assert_true(outbound_rcpt(r->o, &rcpt));
	}
}

static inline void
wait_for(bool (*is_done)(void))
{
	t.is_done = is_done;
	if (!is_done())
		loop_run(t.loop);
}

static inline void
expect(size_t k, const char *events)
{
	struct runner *r = &t.runner[k];

	if (!bytes_eq(buf_bytes(&r->events), bytes_of(events)))
		fail_msg("%.*s\nnot\n%s", (int)r->events.n, r->octets, events);
	r->events.n = 0;
}

static inline void
expect_seen(size_t server, size_t peer, const char *octets)
{
	struct bytes seen = buf_bytes(&t.server[server].peers[peer]->seen);

	if (!bytes_eq(seen, bytes_of(octets)))
		fail_msg("%.*s\nnot\n%s", BYTES_FMT(seen), octets);
}

static inline bool
is_idle_gone(void)
{
	return t.server[0].n_open == 0;
}


#define PLAIN "220 x|250 x|"
#define PIPED "220 x|250-x\r\n250 PIPELINING|"
#define TO3 "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\n" \
	"RCPT TO:<e@f>\r\n"
#define HELLO "EHLO me.example\r\n"
#define CONTENT "DATA\r\nSubject: x\r\n\r\n..y\r\n.\r\n"

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
