#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/outbound.h"
#include "daemon/inbound.h"
#include "daemon/onward.h"
#include "daemon/offers.h"
#include "daemon/pool.h"
#include "daemon/probe.h"
#include "tests/daemon/scripted.h"

/* The way onward against next hops that say what they should not. */

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
static void
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

static void
too_long(void *arg)
{
	(void)arg;
	fail_msg("waited in vain: %.*s", (int)t.runner[0].events.n,
	    t.runner[0].octets);
}

static void
look(void)
{
	if (t.is_done != NULL && t.is_done())
		loop_stop(t.loop);
}

static int
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
	t.listener.idle_reuse_s = 30;
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

static int
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

static void
script(size_t server, const char *text)
{
	struct scripted *s = &t.server[server];

	s->scripts[s->n_scripts++] = text;
}

static struct outbound *
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

static bool
are_over(void)
{
	for (size_t k = 0; k < RUNNERS; k++)
		if (t.runner[k].o != NULL && !t.runner[k].is_over)
			return false;
	return true;
}

static void
note_reply(struct runner *r, const char *what, const struct smtp_reply *reply)
{
	buf_printf(&r->events, "%s %d %.*s[", what, reply->code,
	    BYTES_FMT(reply->enhanced));
	buf_add_escaped(&r->events, reply->text, 100);
	buf_add_str(&r->events, "]; ");
}

static void
note_each(struct runner *r)
{
	for (size_t k = 0; k < r->n_rcpt; k++) {
		struct smtp_reply said = outbound_rcpt_reply(r->o, k);

		note_reply(r, "for", &said);
	}
}

static void
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

static void
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

static void
wait_for(bool (*is_done)(void))
{
	t.is_done = is_done;
	if (!is_done())
		loop_run(t.loop);
}

static void
expect(size_t k, const char *events)
{
	struct runner *r = &t.runner[k];

	if (!bytes_eq(buf_bytes(&r->events), bytes_of(events)))
		fail_msg("%.*s\nnot\n%s", (int)r->events.n, r->octets, events);
	r->events.n = 0;
}

static void
expect_seen(size_t server, size_t peer, const char *octets)
{
	struct bytes seen = buf_bytes(&t.server[server].peers[peer]->seen);

	if (!bytes_eq(seen, bytes_of(octets)))
		fail_msg("%.*s\nnot\n%s", BYTES_FMT(seen), octets);
}

/* ---- one transaction ---- */

#define PLAIN "220 x|250 x|"
#define PIPED "220 x|250-x\r\n250 PIPELINING|"
#define TO3 "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\n" \
	"RCPT TO:<e@f>\r\n"
#define HELLO "EHLO me.example\r\n"
#define CONTENT "DATA\r\nSubject: x\r\n\r\n..y\r\n.\r\n"

static const struct {
	const char *script[3];
	const char *events;
	const char *seen[3];
} rows[] = {
	/* many recipients, one at a time and all at once */
	{{PLAIN "250 m|250 a|550 5.1.1 b|250 c|354 go|250 2.0.0 sent"},
	    "rcpt 250 [a]; rcpt 550 5.1.1[b]; rcpt 250 [c]; "
	    "ended 250 2.0.0[sent]; ", {HELLO TO3 CONTENT}},
	{{PIPED "250 m|250 a|450 b|250 c|354 go|451 4.3.0 later"},
	    "rcpt 250 [a]; rcpt 450 [b]; rcpt 250 [c]; "
	    "ended 451 4.3.0[later]; ", {HELLO TO3 CONTENT}},
	/* Q11: refused or lost at each stage */
	{{"421 x"}, "refused 421 [x]; ", {""}},
	{{"554 5.3.2 x"}, "refused 554 5.3.2[x]; ", {""}},
	{{"!"}, "lost; ", {""}},
	{{"220 x|550 no|550 5.7.1 never"}, "refused 550 5.7.1[never]; ",
	    {HELLO "HELO me.example\r\n"}},
	{{"220 x|421 4.3.2 bye"}, "refused 421 4.3.2[bye]; ", {HELLO}},
	{{"220 x|!"}, "lost; ", {HELLO}},
	{{PLAIN "550 5.7.1 m"}, "refused 550 5.7.1[m]; ",
	    {HELLO "MAIL FROM:<s@t>\r\nRSET\r\n"}},
	{{PIPED "451 m|503 a|503 b|503 c"}, "refused 451 [m]; ",
	    {HELLO TO3 "RSET\r\n"}},
	{{PLAIN "421 m"}, "refused 421 [m]; ", {HELLO "MAIL FROM:<s@t>\r\n"}},
	{{PLAIN "!"}, "lost; ", {HELLO "MAIL FROM:<s@t>\r\n"}},
	{{PLAIN "250 m|!421 a"}, "refused 421 [a]; ",
	    {HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\n"}},
	{{PIPED "250 m|250 a|250 b|250 c|554 5.5.0 no"},
	    "rcpt 250 [a]; rcpt 250 [b]; rcpt 250 [c]; refused 554 5.5.0[no]; ",
	    {HELLO TO3 "DATA\r\nRSET\r\n"}},
	{{PIPED "250 m|250 a|250 b|250 c|354 go|!"},
	    "rcpt 250 [a]; rcpt 250 [b]; rcpt 250 [c]; lost?; ",
	    {HELLO TO3 CONTENT}},
	{{PIPED "250 m|250 a|250 b|250 c|354 go|999 x"},
	    "rcpt 250 [a]; rcpt 250 [b]; rcpt 250 [c]; lost?; ",
	    {HELLO TO3 CONTENT}},
	{{PIPED "250 m|250 a|250 b|250 c|354 go|!421 4.3.2 x"},
	    "rcpt 250 [a]; rcpt 250 [b]; rcpt 250 [c]; ended 421 4.3.2[x]; ",
	    {HELLO TO3 CONTENT}},
	/* Q19: hung up after a yes: asked again, who was refused is not */
	{{PLAIN "250 m|250 a|550 b|!", PLAIN "250 m|250 a2|250 c|354 go|250 s"},
	    "rcpt 250 [a]; rcpt 550 [b]; rcpt 250 [c]; ended 250 [s]; ",
	    {HELLO TO3, HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\n"
	    "RCPT TO:<e@f>\r\n" CONTENT}},
	{{PIPED "250 m|250 a|250 b|250 c|!",
	    PIPED "250 m|250 a2|250 b2|250 c2|354 go|250 s"},
	    "rcpt 250 [a]; rcpt 250 [b]; rcpt 250 [c]; ended 250 [s]; ",
	    {HELLO TO3 "DATA\r\n", HELLO TO3 CONTENT}},
	{{PIPED "250 m|250 a|250 b|250 c|!421 4.4.2 idle",
	    PIPED "250 m|250 a2|250 b2|250 c2|354 go|250 s"},
	    "rcpt 250 [a]; rcpt 250 [b]; rcpt 250 [c]; ended 250 [s]; ",
	    {HELLO TO3 "DATA\r\n", HELLO TO3 CONTENT}},
	/* once */
	{{PLAIN "250 m|250 a|!421 b", PLAIN "250 m|!421 a2"},
	    "rcpt 250 [a]; lost; ",
	    {HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\n",
	    HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\n"}},
	/* another answer than before */
	{{PLAIN "250 m|250 a|!", PLAIN "250 m|550 a2"}, "rcpt 250 [a]; lost; ",
	    {HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\n",
	    HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\n"}},
	{{PLAIN "250 m|250 a|!", PLAIN "550 m2"}, "rcpt 250 [a]; lost; ",
	    {HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\n",
	    HELLO "MAIL FROM:<s@t>\r\n"}},
	{{PLAIN "250 m|250 a|!", "554 full"}, "rcpt 250 [a]; lost; ",
	    {HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\n",
	    ""}},
	/* F14: what is no answer */
	{{PLAIN "250 m\n250 a"}, "lost; ", {HELLO "MAIL FROM:<s@t>\r\n"}},
	{{PLAIN "250-m\r\n251 a"}, "lost; ", {HELLO "MAIL FROM:<s@t>\r\n"}},
};

static bool
is_idle_gone(void)
{
	return t.server[0].n_open == 0;
}

static void
q11_q19_f14_each_stage(void **state)
{
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++) {
		for (size_t i = 0; i < 3 && rows[k].script[i] != NULL; i++)
			script(0, rows[k].script[i]);
		begin(0, 3, true);
		wait_for(are_over);
		expect(0, rows[k].events);
		pool_drain(t.hub.pool);
		wait_for(is_idle_gone);		/* all has come */
		for (size_t i = 0; i < t.server[0].n; i++) {
			struct scripted_peer *p = t.server[0].peers[i];
			struct bytes seen;

			seen = buf_bytes(&p->seen);
			if (bytes_ends(seen, BYTES_LIT("QUIT\r\n")))
				p->seen.n -= 6;
			expect_seen(0, i, rows[k].seen[i]);
		}
		assert_int_equal(t.server[0].n, t.server[0].n_scripts);
		teardown(state);
		setup(state);
	}
}

/* ---- LMTP ---- */

static void
q14_lmtp_has_an_answer_each(void **state)
{
	(void)state;
	t.listener.next_hop.scheme = SCHEME_LMTP;
	script(0, PIPED "250 m|250 a|550 b|250 c|354 go|250 2.0.0 to a+|"
	    "452 4.2.2 full");
	begin(0, 3, true);
	wait_for(are_over);
	note_each(&t.runner[0]);
	expect(0, "rcpt 250 [a]; rcpt 550 [b]; rcpt 250 [c]; "
	    "ended 452 4.2.2[full]; for 250 2.0.0[to a]; for 0 []; "
	    "for 452 4.2.2[full]; ");
}

static void
q14_lmtp_cut_off_amid_its_answers(void **state)
{
	(void)state;
	t.listener.next_hop.scheme = SCHEME_LMTP;
	script(0, PIPED "250 m|250 a|250 b|354 go|!250 2.0.0 to a");
	begin(0, 2, true);
	wait_for(are_over);
	note_each(&t.runner[0]);
	expect(0, "rcpt 250 [a]; rcpt 250 [b]; lost?; for 250 2.0.0[to a]; "
	    "for 0 []; ");
}

/* ---- several servers (RFC 5321 5.1) ---- */

static void
try_servers(const char *one, const char *two, const char *events)
{
	t.n_servers = 2;
	script(0, one);
	script(1, two);
	begin(0, 1, false);
	wait_for(are_over);
	expect(0, events);
	outbound_free(&t.runner[0].o);
	teardown(NULL);
	setup(NULL);
}

static void
the_next_server_is_tried(void **state)
{
	(void)state;
	try_servers("!", PLAIN "250 m|250 a", "rcpt 250 [a]; ");
	try_servers("421 x", PLAIN "250 m|250 a", "rcpt 250 [a]; ");
	try_servers("554 x", PLAIN "250 m|250 a", "rcpt 250 [a]; ");
	try_servers("220 x|421 x", PLAIN "250 m|250 a", "rcpt 250 [a]; ");
	try_servers("220 x|!", PLAIN "250 m|250 a", "rcpt 250 [a]; ");
	try_servers("220 x\n", PLAIN "250 m|250 a", "rcpt 250 [a]; ");
	/* of two failures the one that may pass is told */
	try_servers("554 one", "421 two", "refused 421 [two]; ");
	try_servers("421 one", "554 two", "refused 421 [one]; ");
	try_servers("554 one", "!", "lost; ");
	try_servers("554 one", "553 two", "refused 553 [two]; ");
}

static void
what_was_said_to_mail_counts(void **state)
{
	(void)state;
	t.n_servers = 2;
	script(0, PLAIN "451 m");
	begin(0, 1, false);
	wait_for(are_over);
	expect(0, "refused 451 [m]; ");
	assert_int_equal(t.server[1].n, 0);
}

static void
a_server_that_is_not_there(void **state)
{
	(void)state;
	t.n_servers = 2;
	close(t.server[0].fd);
	loop_unwatch(&t.server[0].watch);
	script(1, PLAIN "250 m|250 a|250 reset|250 m|250 a");
	begin(0, 1, false);
	wait_for(are_over);
	expect(0, "rcpt 250 [a]; ");
	outbound_abort(t.runner[0].o);
	t.n_servers = 0;
	begin(1, 1, false);
	wait_for(are_over);
	expect(1, "rcpt 250 [a]; ");	/* the idle one is there */
}

/* ---- the pool ---- */

#define TWICE PIPED "250 m|250 a|354 go|250 s|250 m|250 a|354 go|250 s"

static void
a_connection_serves_the_next(void **state)
{
	(void)state;
	script(0, TWICE);
	begin(0, 1, true);
	wait_for(are_over);
	outbound_free(&t.runner[0].o);
	begin(1, 1, true);
	wait_for(are_over);
	expect(1, "rcpt 250 [a]; ended 250 [s]; ");
	assert_int_equal(t.server[0].n, 1);
}

static void
an_aborted_one_is_reset_first(void **state)
{
	(void)state;
	script(0, PIPED "250 m|250 a|250 reset|250 m|250 a");
	begin(0, 1, false);
	wait_for(are_over);
	outbound_abort(t.runner[0].o);
	begin(1, 1, false);
	wait_for(are_over);
	expect(1, "rcpt 250 [a]; ");
	expect_seen(0, 0, HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\nRSET\r\n"
	    "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\n");
}

/* An idle one that hung up or said 421 is nobody's trouble. */
static void
idle_ones_may_go(void **state)
{
	static const char *const last[] = {"!250 s", "!250 s\r\n421 idle"};

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		char text[200];
		struct buf b = BUF_ON(text);

		buf_printf(&b, PIPED "250 m|250 a|354 go|%s", last[k]);
		buf_add_octet(&b, 0);
		script(0, text);
		script(0, PIPED "250 m|250 a");
		begin(0, 1, true);
		wait_for(are_over);
		/* taken at once, before the end was read */
		begin(1, 1, false);
		wait_for(are_over);
		expect(1, "rcpt 250 [a]; ");
		teardown(NULL);
		setup(NULL);
	}
}

static void
a_connection_is_not_used_for_ever(void **state)
{
	(void)state;
	t.listener.max_reuse = 2;
	script(0, TWICE);
	script(0, PIPED "250 m|250 a");
	for (size_t k = 0; k < 2; k++) {
		begin(k, 1, true);
		wait_for(are_over);
	}
	begin(2, 1, false);
	wait_for(are_over);
	assert_int_equal(t.server[0].n, 2);
}

static void
idle_ones_are_bounded(void **state)
{
	(void)state;
	t.listener.max_idle = 1;
	for (size_t k = 0; k < 3; k++) {
		script(0, PIPED "250 m|250 a|354 go|250 s|!221 bye");
		begin(k, 1, true);
	}
	wait_for(are_over);
	assert_int_equal(t.server[0].n, 3);
	begin(0, 1, false);	/* takes the one that is left */
	outbound_abort(t.runner[0].o);
	pool_drain(t.hub.pool);
	t.listener.max_idle = 0;
	script(0, PIPED "250 m|250 a|354 go|250 s|!221 bye");
	begin(0, 1, true);
	wait_for(are_over);
	assert_int_equal(t.server[0].n, 4);
}

static void
connections_to_a_destination_are_bounded(void **state)
{
	(void)state;
	t.listener.max_per_destination = 1;
	script(0, PIPED "250 m|250 a|354 go|250 s|250 m|250 a|354 go|250 s|"
	    "250 m|250 a|354 go|250 s");
	for (size_t k = 0; k < 3; k++)
		begin(k, 1, true);
	wait_for(are_over);
	for (size_t k = 0; k < 3; k++)
		expect(k, "rcpt 250 [a]; ended 250 [s]; ");
	assert_int_equal(t.server[0].n, 1);
}

static void
who_waits_gets_the_place_of_a_lost_one(void **state)
{
	(void)state;
	t.listener.max_per_destination = 1;
	script(0, "!");
	script(0, PIPED "250 m|250 a|!");
	script(0, PIPED "250 m|250 a|354 go|250 s");
	begin(0, 1, true);
	begin(1, 1, false);
	wait_for(are_over);
	expect(0, "lost; ");
	expect(1, "rcpt 250 [a]; ");
	begin(2, 1, true);
	outbound_free(&t.runner[1].o);	/* its RSET ends the connection */
	wait_for(are_over);
	expect(2, "rcpt 250 [a]; ended 250 [s]; ");
}

static bool
is_second_over(void)
{
	return t.runner[1].is_over;
}

/* Who waits in vain has an end, and is no burden when it gives up. */
static void
waiting_has_an_end(void **state)
{
	(void)state;
	t.listener.max_per_destination = 1;
	script(0, PIPED "250 m|250 a");
	begin(0, 1, false);
	wait_for(are_over);
	t.listener.reply_timeout_s = 0;
	begin(1, 1, false);
	begin(2, 1, false);
	outbound_free(&t.runner[2].o);
	t.listener.reply_timeout_s = 1;
	wait_for(is_second_over);
	expect(1, "lost; ");
}

static void
drained_connections_say_quit(void **state)
{
	(void)state;
	script(0, PIPED "250 m|250 a|354 go|250 s|!221 bye");
	script(0, PIPED "250 m|250 a|354 go|250 s|!221 bye");
	begin(0, 1, true);
	wait_for(are_over);
	pool_drain(t.hub.pool);
	wait_for(is_idle_gone);
	expect_seen(0, 0, HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\n" CONTENT
	    "QUIT\r\n");
	begin(0, 1, true);
	wait_for(are_over);
	wait_for(is_idle_gone);
}

/* ---- who the client is ---- */

static const struct inbound_client client = {
	.addr = {.ip = {[10] = 255, 255, 192, 0, 2, 1}, .port = 4711},
	.local = {.ip = {[10] = 255, 255, 192, 0, 2, 25}, .port = 25},
	.helo = {(const uint8_t *)"c.example", 9},
	.is_esmtp = true,
};

static void
identities_are_told_and_never_shared(void **state)
{
	static const struct {
		enum config_pass_client how;
		const char *script;
		const char *seen;
	} row[] = {
		{PASS_PROXY_V1, "220 x|250 x|250 m|250 a|354 go|250 s|!221 x",
		    "PROXY TCP4 192.0.2.1 192.0.2.25 4711 25\r\n" HELLO
		    "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\n" CONTENT},
		{PASS_XCLIENT, "220 x|250-x\r\n250 XCLIENT ADDR HELO|220 y|"
		    "250 x|250 m|250 a|354 go|250 s|!221 x",
		    HELLO "XCLIENT ADDR=192.0.2.1 HELO=c.example\r\n" HELLO
		    "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\n" CONTENT},
		/* it does not know XCLIENT: nothing is told */
		{PASS_XCLIENT, "220 x|250 x|250 m|250 a|354 go|250 s|!221 x",
		    HELLO "MAIL FROM:<s@t>\r\nRCPT TO:<a@b>\r\n" CONTENT},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		struct scripted_peer *p;
		bool is_proxy = row[k].how == PASS_PROXY_V1;

		t.listener.pass_client = row[k].how;
		for (size_t i = 0; i < 2; i++) {
			char text[200];
			struct buf b = BUF_ON(text);

			/* the header comes with the first line */
			buf_printf(&b, "%s", row[k].script);
			buf_add_octet(&b, 0);
			script(0, strdup(is_proxy ? "220 x||250 x|250 m|250 a|"
			    "354 go|250 s|!221 x" : text));
			t.runner[i].o = new_outbound(&client);
			begin(i, 1, true);
			wait_for(are_over);
			expect(i, "rcpt 250 [a]; ended 250 [s]; ");
			outbound_free(&t.runner[i].o);
		}
		wait_for(is_idle_gone);
		assert_int_equal(t.server[0].n, 2);
		p = t.server[0].peers[1];
		p->seen.n -= 6;			/* QUIT */
		expect_seen(0, 1, row[k].seen);
		for (size_t i = 0; i < 2; i++)
			free((char *)(uintptr_t)t.server[0].scripts[i]);
		teardown(NULL);
		setup(NULL);
	}
}

static void
a_refused_xclient_is_no_fault_of_the_client(void **state)
{
	(void)state;
	t.listener.pass_client = PASS_XCLIENT;
	script(0, "220 x|250-x\r\n250 XCLIENT ADDR|550 5.7.0 no");
	t.runner[0].o = new_outbound(&client);
	begin(0, 1, false);
	wait_for(are_over);
	expect(0, "refused 451 4.3.5[The next hop does not let us tell who its "
	    "client is]; ");
}

/* ---- what the next hop can ---- */

static bool is_asked;

static void
asked(void *arg)
{
	(void)arg;
	assert_false(is_asked);
	is_asked = true;
	loop_stop(t.loop);
}

static void
expect_offer(unsigned can, uint64_t max_message)
{
	struct offer offer = offers_of(&t.hub, &t.listener);

	assert_int_equal(offer.can & ~SMTP_CAN_CHUNKING, can);
	assert_int_equal(offer.max_message, max_message);
}

static void
probe(void)
{
	is_asked = false;
	probe_start(t.hub.probe, asked, NULL);
	loop_run(t.loop);
	assert_true(is_asked);
}

static void
we_offer_what_the_next_hop_has(void **state)
{
	const unsigned all = SMTP_CAN_8BITMIME | SMTP_CAN_SMTPUTF8 |
	    SMTP_CAN_DSN;
	uint64_t growth;

	(void)state;
	t.listener.max_message = 1000000;
	t.listener.role = ROLE_INBOUND;
	t.listener.max_idle = 0;
	growth = onward_growth(&t.hub, &t.listener);
	expect_offer(all, 1000000);
	script(0, "220 x|250-x\r\n250-SIZE 500000\r\n250-8BITMIME\r\n"
	    "250-CHUNKING\r\n250 DSN");
	probe();
	expect_offer(SMTP_CAN_8BITMIME | SMTP_CAN_DSN, 500000 - growth);
	/* Q15: it changed its mind, as the next connection shows */
	script(0, "220 x|250-x\r\n250-SIZE\r\n250 SMTPUTF8|250 m|250 a");
	begin(0, 1, false);
	wait_for(are_over);
	expect_offer(SMTP_CAN_SMTPUTF8, 1000000);
	/* by MX there is no one next hop, and nobody is asked */
	t.listener.next_hop.scheme = SCHEME_MX;
	expect_offer(all, 1000000);
	probe();
	t.listener.next_hop.scheme = SCHEME_SMTP;
	t.listener.routes.n = 1;
	expect_offer(all, 1000000);
	probe();
	t.listener.routes.n = 0;
}

/* A next hop that does not answer holds up the start for a second. */
static void
a_silent_next_hop_is_not_waited_for(void **state)
{
	(void)state;
	script(0, "");
	probe();
}

/* Q15: nothing is converted, whatever the next hop lacks. */
static void
q15_what_the_next_hop_lacks_is_refused(void **state)
{
	static const struct {
		const char *hello;
		struct outbound_mail mail;
		const char *events;
	} row[] = {
		{"250-x\r\n250 SIZE", {.is_8bit = true}, "refused 550 5.6.3["},
		{"250-x\r\n250 8BITMIME", {.is_8bit = true, .is_utf8 = true},
		    "refused 550 5.6.7["},
		{"250-x\r\n250 SIZE 99", {.size = 100}, "refused 552 5.3.4["},
		{"250-x\r\n250 SIZE 100", {.size = 100}, "rcpt 250 [a]"},
		{"250-x\r\n250 SIZE 0", {.size = 100}, "rcpt 250 [a]"},
		{"250-x\r\n250 SIZE 99", {.size = 0}, "rcpt 250 [a]"},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		const struct outbound_rcpt rcpt = {.path = BYTES_LIT("<a@b>")};
		struct runner *r = &t.runner[0];
		struct outbound_mail mail = row[k].mail;
		char text[200];
		struct buf b = BUF_ON(text);

		buf_printf(&b, "220 x|%s|250 m|250 a", row[k].hello);
		buf_add_octet(&b, 0);
		script(0, text);
		r->o = new_outbound(NULL);
		r->n_rcpt = 1;
		mail.mail_from = BYTES_LIT("<s@t>");
		outbound_owner(r->o, on_outbound, r);
		outbound_begin(r->o, &mail);
		assert_true(outbound_rcpt(r->o, &rcpt));
		wait_for(are_over);
		if (!bytes_starts(buf_bytes(&r->events),
		    bytes_of(row[k].events)))
			fail_msg("%zu: %.*s", k, (int)r->events.n, r->octets);
		teardown(NULL);
		setup(NULL);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(q11_q19_f14_each_stage),
		TEST(q14_lmtp_has_an_answer_each),
		TEST(q14_lmtp_cut_off_amid_its_answers),
		TEST(the_next_server_is_tried),
		TEST(what_was_said_to_mail_counts),
		TEST(a_server_that_is_not_there),
		TEST(a_connection_serves_the_next),
		TEST(an_aborted_one_is_reset_first),
		TEST(idle_ones_may_go),
		TEST(a_connection_is_not_used_for_ever),
		TEST(idle_ones_are_bounded),
		TEST(connections_to_a_destination_are_bounded),
		TEST(who_waits_gets_the_place_of_a_lost_one),
		TEST(waiting_has_an_end),
		TEST(drained_connections_say_quit),
		TEST(identities_are_told_and_never_shared),
		TEST(a_refused_xclient_is_no_fault_of_the_client),
		TEST(we_offer_what_the_next_hop_has),
		TEST(a_silent_next_hop_is_not_waited_for),
		TEST(q15_what_the_next_hop_lacks_is_refused),
	};

	return cmocka_run_group_tests_name("daemon/outbound", tests, NULL,
	    NULL);
}
