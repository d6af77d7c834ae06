#include "daemon/nexthop.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/addr.h"
#include "daemon/log.h"

#define HOP(name) {.scheme = SCHEME_SMTP, .tls = TLS_MAY, \
	.host = BYTES_LIT(name), .host_str = (name), .port = 25}

static void
routes_are_by_domain_in_any_form(void **state)
{
	static const struct config_route rows[] = {
		{BYTES_LIT(".sub.example"), HOP("below")},
		{BYTES_LIT("xn--bcher-kva.example"), HOP("idn")},
	};
	const struct config_listener l = {.routes = {rows, 2},
	    .next_hop = HOP("rest")};
	static const struct {
		const char *domain;
		const char *host;
	} row[] = {
		{"xn--bcher-kva.example", "idn"},
		{"XN--BCHER-KVA.Example", "idn"},
		{"b\xc3\xbc" "cher.example", "idn"},
		{"b\xc3\xbc" "cher.sub.example", "below"},
		{"b\xc3" "cher.example", "rest"},
		{"[192.0.2.1]", "rest"}, {"", "rest"}, {"other", "rest"},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++)
		assert_string_equal(nexthop_route(&l,
		    bytes_of(row[k].domain))->host_str, row[k].host);
}

static void
ways_are_the_same_where_nothing_differs(void **state)
{
	static const struct config_next_hop a = HOP("a.example");
	static const struct config_next_hop b = HOP("A.EXAMPLE");
	static const struct config_next_hop mx = {.scheme = SCHEME_MX,
	    .port = 25};
	struct config_next_hop other = a;
	struct bytes one = BYTES_LIT("one.example");
	struct bytes two = BYTES_LIT("two.example");

	(void)state;
	assert_true(nexthop_is_same(&a, one, &b, two));
	assert_false(nexthop_is_same(&a, one, &mx, one));
	assert_true(nexthop_is_same(&mx, one, &mx, BYTES_LIT("One.Example")));
	assert_false(nexthop_is_same(&mx, one, &mx, two));
	assert_true(nexthop_is_same(&mx, BYTES_LIT("xn--bcher-kva.example"),
	    &mx, BYTES_LIT("b\xc3\xbc" "cher.example")));
	other.port = 26;
	assert_false(nexthop_is_same(&a, one, &other, one));
	other = a;
	other.tls = TLS_VERIFY;
	assert_false(nexthop_is_same(&a, one, &other, one));
	other = a;
	other.scheme = SCHEME_LMTP;
	assert_false(nexthop_is_same(&a, one, &other, one));
	other = a;
	other.host = BYTES_LIT("b.example");
	assert_false(nexthop_is_same(&a, one, &other, one));
}

/* ---- the resolver, as a script ------------------------------------------- */

#define ASKED_MAX 64

/* A zone: "TYPE NAME" and what is said of it; what is not in it is ABSENT. */
struct entry {
	const char *question;
	const char *answer;	/* "10 a;20 b", "192.0.2.1;2001:db8::1", FAIL,
				   or NONE: nothing is ever said */
};

struct fixture {
	struct hub hub;
	struct config config;
	struct config_listener listener;
	struct config_addr listen[2];
	struct config_next_hop hop;
	const struct entry *zone;
	struct {
		char question[300];
		uint64_t tag;
	} asked[ASKED_MAX];
	size_t n_asked, n_told;
	bool is_last_first;	/* answers come the other way round */
	unsigned n_calls;	/* of ours that have not returned */
	char way[8192];		/* what was answered */
	unsigned n_ways;
	struct loop_timer *soon;
};

static struct fixture *now;	/* the resolver's functions have no other */

static void
note(const char *type, struct bytes name, uint64_t tag)
{
	size_t n = now->n_asked++;

	assert_true(n < ASKED_MAX);
	snprintf(now->asked[n].question, sizeof(now->asked[n].question),
	    "%s %.*s", type, BYTES_FMT(name));
	now->asked[n].tag = tag;
	loop_timer_start(now->soon, 0);
}

void
resolve_ask(struct resolve *r, enum resolve_type type, struct bytes name,
    uint64_t tag)
{
	static const char *const types[] = {"TXT", "MX", "A", "AAAA"};

	(void)r;
	note(types[type], name, tag);
}

void
resolve_ask_addrs(struct resolve *r, const char *host, uint16_t port,
    uint64_t tag)
{
	(void)r;
	(void)port;
	note("ADDRS", bytes_of(host), tag);
}

/* One record of the script as the parsers make it. */
static struct bytes
record(const char *question, struct bytes text, uint8_t *room)
{
	struct buf b = {room, 0, 300, false};
	struct config_addr addr = {.port = 0};
	char one[64];

	if (strncmp(question, "MX", 2) == 0) {
		struct bytes preference = bytes_cut(&text, ' ');
		uint64_t v;

		assert_true(bytes_number(preference, 65535, &v));
		buf_add_octet(&b, (uint8_t)(v >> 8));
		buf_add_octet(&b, (uint8_t)v);
		buf_add(&b, text);
		return buf_bytes(&b);
	}
	snprintf(one, sizeof(one), "%.*s", BYTES_FMT(text));
	assert_true(addr_from_text(one, &addr));
	buf_add(&b, (struct bytes){addr.ip, 16});
	return buf_bytes(&b);
}

static void
say(const char *question, uint64_t tag, const char *answer)
{
	static uint8_t rooms[24][300];
	struct bytes records[24], rest = bytes_of(answer);
	struct config_addr addrs[24] = {{.port = 0}};
	struct dnsanswer_records t = {DNSANSWER_THERE, records, 0, 60};
	struct resolve_addrs a = {false, addrs, 0};

	if (strcmp(answer, "NONE") == 0)
		return;
	if (strcmp(answer, "FAIL") == 0)
		t.found = DNSANSWER_TEMPFAIL;
	while (t.found == DNSANSWER_THERE && rest.n != 0) {
		assert_true(t.n < 24);
		records[t.n] = record(question, bytes_cut(&rest, ';'),
		    rooms[t.n]);
		t.n++;
	}
	if (strncmp(question, "ADDRS", 5) != 0) {
		if (t.n == 0 && t.found == DNSANSWER_THERE)
			t.found = DNSANSWER_ABSENT;
		nexthop_records(&now->hub, tag, &t);
		return;
	}
	a.is_temporary = t.found == DNSANSWER_TEMPFAIL;
	for (; a.n < t.n; a.n++)
		memcpy(addrs[a.n].ip, records[a.n].p, 16);
	nexthop_addrs(&now->hub, tag, &a);
}

/* Answers one question that was asked. */
static void
on_soon(void *arg)
{
	struct fixture *f = arg;
	const struct entry *e = f->zone;
	size_t k = f->is_last_first ? --f->n_asked : f->n_told++;

	while (e->question != NULL &&
	    strcmp(e->question, f->asked[k].question) != 0)
		e++;
	if (f->is_last_first ? f->n_asked != 0 : f->n_told < f->n_asked)
		loop_timer_start(f->soon, 0);
	say(f->asked[k].question, f->asked[k].tag,
	    e->question == NULL ? "" : e->answer);
}

static void
way_found(struct hub *h, uint64_t tag, const struct nexthop_answer *way)
{
	static const char *const names[] = {"OK", "NULL-MX", "NO-DOMAIN",
	    "TEMPORARY", "LOOP"};
	struct fixture *f = (struct fixture *)h;
	struct buf b = BUF_ON(f->way);

	assert_int_equal(f->n_calls, 0);	/* later, not before */
	assert_int_equal(tag, 77);
	assert_true((way->status == NEXTHOP_OK) == (way->n != 0));
	f->n_ways++;
	buf_add_str(&b, names[way->status]);
	for (size_t k = 0; k < way->n; k++) {
		buf_printf(&b, " %s[", way->targets[k].host);
		addr_add(&way->targets[k].addr, &b);
		buf_add_str(&b, "]");
	}
	buf_add_octet(&b, '\0');
	assert_false(b.full);
	loop_stop(h->loop);
}

static int
start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = now = f;
	f->hub.loop = loop_new();
	f->hub.config = &f->config;
	f->hub.way_found = way_found;
	slots_init(&f->hub.slots);
	f->config.hostname = "mx.own.example";
	f->listener = (struct config_listener){.name = "l",
	    .listen = f->listen, .n_listen = 1};
	f->listen[0] = (struct config_addr){.port = 25};
	assert_true(addr_from_text("192.0.2.99", &f->listen[0]));
	f->hop = (struct config_next_hop){.scheme = SCHEME_MX, .port = 25};
	f->soon = loop_timer_new(f->hub.loop, on_soon, f);
	return 0;
}

static int
finish(void **state)
{
	struct fixture *f = *state;

	assert_null(f->hub.ways);
	loop_timer_free(&f->soon);
	slots_fini(&f->hub.slots);
	loop_free(&f->hub.loop);
	free(f);
	return 0;
}

static void
ask(struct fixture *f, const struct entry *zone, const char *domain)
{
	f->zone = zone;
	f->n_asked = f->n_told = 0;
	f->n_calls++;
	assert_true(nexthop_ask(&f->hub, &f->listener, &f->hop,
	    bytes_of(domain), 77));
	f->n_calls--;
}

static void
expect(struct fixture *f, const struct entry *zone, const char *domain,
    const char *want)
{
	ask(f, zone, domain);
	f->n_ways = 0;
	loop_run(f->hub.loop);
	assert_int_equal(f->n_ways, 1);
	if (strcmp(f->way, want) != 0)
		fail_msg("%s: \"%s\", not \"%s\"", domain, f->way, want);
}

#define A1 "192.0.2.1"
#define A2 "192.0.2.2"

static void
mail_goes_where_mx_says(void **state)
{
	static const struct entry zone[] = {
		{"MX one.example", "20 b.example;10 a.example"},
		{"A a.example", A1}, {"AAAA a.example", "2001:db8::1"},
		{"A b.example", A2},
		{"MX fail.example", "FAIL"},
		{"MX null.example", "0 "},
		{"MX root.example", "0 ;10 b.example"},
		{"MX gone.example", "10 no.example"},
		{"MX half.example", "10 no.example;20 b.example;30 bad.example"},
		{"A bad.example", "FAIL"},
		{"MX late.example", "10 bad.example"},
		{"MX six.example", "10 bad.example;20 a6.example"},
		{"AAAA a6.example", "2001:db8::6"},
		{"A implicit.example", A1},
		{"AAAA implicit6.example", "2001:db8::7"},
		{"A dim.example", "FAIL"},
		{"MX xn--bcher-kva.example", "10 b.example"},
		{"MX twice.example", "10 b.example;20 b.example"},
		{"MX many.example", "10 many.example"},
		{"AAAA many.example", "2001:db8::1;2001:db8::2;2001:db8::3"},
		{"A many.example", A1},
		{NULL, NULL},
	};
	static const struct {
		const char *domain, *want;
	} row[] = {
		{"one.example", "OK a.example[[2001:db8::1]:25] "
		    "a.example[192.0.2.1:25] b.example[192.0.2.2:25]"},
		{"fail.example", "TEMPORARY"},
		{"null.example", "NULL-MX"},
		{"root.example", "OK b.example[192.0.2.2:25]"},
		{"gone.example", "NO-DOMAIN"},
		{"half.example", "OK b.example[192.0.2.2:25]"},
		{"late.example", "TEMPORARY"},
		{"six.example", "OK a6.example[[2001:db8::6]:25]"},
		{"implicit.example", "OK implicit.example[192.0.2.1:25]"},
		{"implicit6.example", "OK implicit6.example[[2001:db8::7]:25]"},
		{"dim.example", "TEMPORARY"},
		{"absent.example", "NO-DOMAIN"},
		{"b\xc3\xbc" "cher.example", "OK b.example[192.0.2.2:25]"},
		{"b\xc3" "cher.example", "NO-DOMAIN"},
		{"twice.example", "OK b.example[192.0.2.2:25]"},
		{"many.example", "OK many.example[[2001:db8::1]:25] "
		    "many.example[192.0.2.1:25] "
		    "many.example[[2001:db8::2]:25] "
		    "many.example[[2001:db8::3]:25]"},
		{"[192.0.2.7]", "OK 192.0.2.7[192.0.2.7:25]"},
		{"[ipv6:2001:db8::7]",
		    "OK 2001:db8::7[[2001:db8::7]:25]"},
		{"[2001:db8::7]", "NO-DOMAIN"}, {"[IPv6:192.0.2.7]",
		    "NO-DOMAIN"}, {"[192.0.2]", "NO-DOMAIN"},
		{"[]", "NO-DOMAIN"}, {"[", "NO-DOMAIN"},
	};
	struct fixture *f = *state;

	for (size_t k = 0; k < 2 * sizeof(row) / sizeof(row[0]); k++) {
		f->is_last_first = k % 2 == 1;
		expect(f, zone, row[k / 2].domain, row[k / 2].want);
	}
}

/* L2: where the best server is the listener itself there is no way. */
static void
l2_the_listener_is_not_its_own_next_hop(void **state)
{
	static const struct entry zone[] = {
		{"MX loop.example", "10 mx.own.example;20 a.example"},
		{"MX backup.example", "10 a.example;20 MX.own.example;"
		    "20 b.example;30 b.example"},
		{"MX byaddr.example", "10 a.example;20 b.example;"
		    "20 other.example;30 c.example"},
		{"A a.example", A1}, {"A b.example", A2},
		{"A other.example", "192.0.2.3;192.0.2.99"},
		{"A self.example", "192.0.2.99"},
		{"A mx.own.example", "192.0.2.98"},
		{"MX equal.example", "10 self.example;10 b.example"},
		{"MX down.example", "10 no.example;20 mx.own.example"},
		{"MX local.example", "10 local.example"},
		{"A local.example", "127.0.0.5"},
		{NULL, NULL},
	};
	struct fixture *f = *state;

	expect(f, zone, "loop.example", "LOOP");
	for (int k = 0; k < 30; k++) {	/* equals in whatever order */
		expect(f, zone, "backup.example",
		    "OK a.example[192.0.2.1:25]");
		expect(f, zone, "byaddr.example",
		    "OK a.example[192.0.2.1:25]");
	}
	expect(f, zone, "self.example", "LOOP");
	expect(f, zone, "mx.own.example", "LOOP");
	expect(f, zone, "", "LOOP");	/* <postmaster> */
	expect(f, zone, "[192.0.2.99]", "LOOP");
	for (int k = 0; k < 30; k++)
		expect(f, zone, "equal.example", "LOOP");
	/* a backup waits until the better one can be found */
	expect(f, zone, "down.example", "TEMPORARY");
	/* all addresses of this machine are ours, or another port is */
	expect(f, zone, "local.example", "OK local.example[127.0.0.5:25]");
	f->listen[0].is_any = true;
	expect(f, zone, "local.example", "LOOP");
	f->listen[0].is_any = false;
	assert_true(addr_from_text("0.0.0.0", &f->listen[0]));
	expect(f, zone, "local.example", "LOOP");
	assert_true(addr_from_text("::", &f->listen[0]));
	expect(f, zone, "local.example", "OK local.example[127.0.0.5:25]");
	f->listen[0].is_any = true;
	f->hop.port = 26;
	expect(f, zone, "local.example", "OK local.example[127.0.0.5:26]");
	expect(f, zone, "mx.own.example", "OK mx.own.example[192.0.2.98:26]");
}

/* What an attacker puts into his zone is bounded. */
static void
hosts_and_addresses_are_bounded(void **state)
{
	static const struct entry zone[] = {
		{"MX wide.example", "1 a1;1 a2;1 a3;1 a4;1 a5;1 a6;1 a7;1 a8;"
		    "1 a9;1 a10;1 a11;1 a12;1 a13;1 a14;1 a15;1 a16;1 a17;"
		    "1 a18"},
		{"MX deep.example", "1 d1;2 d2;3 d3;4 d4;5 d5"},
		{"A d1", "192.0.2.1;192.0.2.2;192.0.2.3;192.0.2.4;192.0.2.5;"
		    "192.0.2.6;192.0.2.7;192.0.2.8;192.0.2.9"},
		{"A d2", "192.0.2.1;192.0.2.2;192.0.2.3;192.0.2.4;192.0.2.5;"
		    "192.0.2.6;192.0.2.7;192.0.2.8;192.0.2.9"},
		{"A d3", "192.0.2.1;192.0.2.2;192.0.2.3;192.0.2.4;192.0.2.5;"
		    "192.0.2.6;192.0.2.7;192.0.2.8;192.0.2.9"},
		{"A d4", "192.0.2.1;192.0.2.2;192.0.2.3;192.0.2.4;192.0.2.5;"
		    "192.0.2.6;192.0.2.7;192.0.2.8;192.0.2.9"},
		{"A d5", A1},
		{NULL, NULL},
	};
	struct fixture *f = *state;
	size_t n = 0;

	expect(f, zone, "wide.example", "NO-DOMAIN");
	assert_int_equal(f->n_asked, 1 + 2 * NEXTHOP_HOSTS);
	ask(f, zone, "deep.example");
	loop_run(f->hub.loop);
	for (const char *at = f->way; (at = strstr(at, ":25]")) != NULL; at++)
		n++;
	assert_int_equal(n, NEXTHOP_TARGETS);
	assert_null(strstr(f->way, ".9:"));
	assert_null(strstr(f->way, "d5["));
}

static void
a_named_server_is_looked_up(void **state)
{
	static const struct entry zone[] = {
		{"ADDRS smart.example", A1 ";2001:db8::1;" A2},
		{"ADDRS fail.example", "FAIL"},
		{"ADDRS self.example", "192.0.2.99"},
		{NULL, NULL},
	};
	struct fixture *f = *state;

	f->hop = (struct config_next_hop){.scheme = SCHEME_SMTP, .port = 25,
	    .host = BYTES_LIT("smart.example"), .host_str = "smart.example"};
	expect(f, zone, "any.example", "OK smart.example[[2001:db8::1]:25] "
	    "smart.example[192.0.2.1:25] smart.example[192.0.2.2:25]");
	f->hop.host = BYTES_LIT("fail.example");
	f->hop.host_str = "fail.example";
	expect(f, zone, "any.example", "TEMPORARY");
	/* an operator's slip is no fault of the recipient */
	f->hop.host = BYTES_LIT("gone.example");
	f->hop.host_str = "gone.example";
	expect(f, zone, "any.example", "TEMPORARY");
	f->hop.host = BYTES_LIT("self.example");
	f->hop.host_str = "self.example";
	expect(f, zone, "any.example", "LOOP");
	f->hop = (struct config_next_hop){.scheme = SCHEME_LMTP, .port = 24,
	    .host = BYTES_LIT(A1), .host_str = A1, .is_ip = true};
	assert_true(addr_from_text(A1, &f->hop.addr));
	expect(f, zone, "any.example", "OK 192.0.2.1[192.0.2.1:24]");
}

/* Dropped in every state: nobody is told, nothing is left. */
static void
what_is_dropped_is_not_told(void **state)
{
	static const struct entry zone[] = {
		{"MX one.example", "NONE"},
		{"MX two.example", "10 a"}, {"A a", "NONE"},
		{NULL, NULL},
	};
	struct fixture *f = *state;

	ask(f, zone, "[192.0.2.1]");	/* answered, not told */
	ask(f, zone, "one.example");
	ask(f, zone, "two.example");
	on_soon(f);
	nexthop_drop(&f->hub);
	loop_timer_free(&f->soon);
	loop_run(f->hub.loop);
	assert_int_equal(f->n_ways, 0);
}

static void
refusals_have_their_codes(void **state)
{
	static const struct {
		enum nexthop_status status;
		int code;
		const char *enhanced;
	} row[] = {
		{NEXTHOP_NULL_MX, 556, "5.1.10"},
		{NEXTHOP_NO_DOMAIN, 550, "5.1.2"},
		{NEXTHOP_TEMPORARY, 451, "4.4.3"},
		{NEXTHOP_LOOP, 451, "4.4.6"},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		const struct nexthop_refusal *r = nexthop_refusal(
		    row[k].status);

		assert_int_equal(r->code, row[k].code);
		assert_string_equal(r->enhanced, row[k].enhanced);
		assert_non_null(r->text);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_are_by_domain_in_any_form),
		cmocka_unit_test(ways_are_the_same_where_nothing_differs),
		TEST(mail_goes_where_mx_says),
		TEST(l2_the_listener_is_not_its_own_next_hop),
		TEST(hosts_and_addresses_are_bounded),
		TEST(a_named_server_is_looked_up),
		TEST(what_is_dropped_is_not_told),
		cmocka_unit_test(refusals_have_their_codes),
	};

	if (sodium_init() < 0)
		return 1;
	log_open("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
