#include "daemon/mxanswer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/daemon/dnsanswer.h"

#define NAME "a.example"
#define MAX 12

struct put {
	const char *owner;	/* NULL: no more */
	unsigned type;
	unsigned preference;
	const char *text;	/* a host, the target of a CNAME, an address */
	uint32_t ttl_s;
};

struct row {
	const char *label;
	unsigned type;
	unsigned flags;
	struct put puts[MAX];
	const char *want;
};

#define MX DNS_MX
#define CNAME DNS_CNAME

static const struct row rows[] = {
	{"one", MX, 0, {{NAME, MX, 10, "mx.b.example", 300}},
	    "10 mx.b.example 300"},
	{"many", MX, 0, {{NAME, MX, 65535, "C.B", 300},
	    {NAME, MX, 0, "d", 20}}, "65535 c.b;0 d 20"},
	{"RFC 7505", MX, 0, {{NAME, MX, 0, "", 300}}, "null 300"},
	{"no null beside another", MX, 0, {{NAME, MX, 0, "", 300},
	    {NAME, MX, 10, "b", 300}}, "0 ;10 b 300"},
	{"D4 of another domain", MX, 0, {{"b.example", MX, 1, "x", 300}},
	    "ABSENT"},
	{"D2 cname", MX, 0, {{NAME, CNAME, 0, "b.example", 30},
	    {"b.example", MX, 1, "x", 300}}, "1 x 30"},
	{"D2 loop", MX, 0, {{NAME, CNAME, 0, "b.example", 30},
	    {"b.example", CNAME, 0, NAME, 300}}, "TEMPFAIL"},
	{"D7 empty", MX, 0, {{0}}, "ABSENT"},
	{"D7 NXDOMAIN", MX, 3, {{0}}, "ABSENT"},
	{"D7 SERVFAIL", MX, 2, {{NAME, MX, 10, "b", 300}}, "TEMPFAIL"},
	{"D3 TC", MX, DNS_TC, {{NAME, MX, 10, "b", 300}}, "TEMPFAIL"},
	{"A", DNS_A, 0, {{NAME, DNS_A, 0, "\xc0\x00\x02\x01", 300}},
	    "::ffff:c000:201 300"},
	{"A by CNAME", DNS_A, 0, {{NAME, CNAME, 0, "b", 300},
	    {"b", DNS_A, 0, "\xc0\x00\x02\x01", 60}}, "::ffff:c000:201 60"},
	{"no AAAA", DNS_AAAA, 0, {{NAME, DNS_A, 0, "\xc0\x00\x02\x01", 300}},
	    "ABSENT"},
	{"AAAA", DNS_AAAA, 0, {{NAME, DNS_AAAA, 0,
	    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09", 300}},
	    "2001:db8::9 300"},
	{"A of 5", DNS_A, 0, {{NAME, DNS_A, 1, "\xc0\x00\x02\x01", 300}},
	    "TEMPFAIL"},
};

static size_t
size_of(const struct put *p)
{
	/* a preference makes an address too long */
	return (p->type == DNS_A ? 4U : 16U) + p->preference;
}

static struct bytes
build(const struct row *row, uint8_t *room, size_t n)
{
	struct buf b = {room, 0, n, false};
	unsigned count = 0;

	while (count < MAX && row->puts[count].owner != NULL)
		count++;
	dns_begin_of(&b, row->type, 7, row->flags, NAME, count);
	for (const struct put *p = row->puts; p < row->puts + count; p++) {
		if (p->type == CNAME)
			dns_put_cname(&b, p->owner, p->ttl_s, p->text);
		else if (p->type == MX)
			dns_put_mx(&b, p->owner, p->ttl_s, p->preference,
			    p->text);
		else
			dns_put_rr(&b, p->owner, p->type, p->ttl_s,
			    (struct bytes){(const uint8_t *)p->text,
			    size_of(p)});
	}
	assert_false(b.full);
	return buf_bytes(&b);
}

static void
add_record(const struct row *row, struct bytes r, struct buf *b)
{
	if (row->type == MX) {
		struct mxanswer_host h = mxanswer_host(r);

		buf_printf(b, "%u ", h.preference);
		buf_add(b, h.name);
		return;
	}
	assert_int_equal(r.n, 16);
	if (row->type == DNS_A)
		buf_printf(b, "::ffff:%02x%02x:%x", r.p[12], r.p[13],
		    r.p[14] << 8 | r.p[15]);
	else
		buf_printf(b, "%x:%x::%x", r.p[0] << 8 | r.p[1],
		    r.p[2] << 8 | r.p[3], r.p[14] << 8 | r.p[15]);
}

static void
expect(const struct row *row, struct bytes answer, const char *want)
{
	struct arena *a = arena_new(1 << 17);
	/* memory of its own, so that a sanitizer sees a step too far */
	uint8_t *copy = malloc(answer.n + 1);
	struct bytes m = {copy + 1, answer.n};
	struct dnsanswer_records t;
	char text[1024];
	struct buf b = BUF_ON(text);

	b.cap--;
	memcpy(copy + 1, answer.p, answer.n);
	assert_int_equal(mxanswer_parse(&t, m, BYTES_LIT("A.example."),
	    (enum dnsanswer_type)row->type, a), 0);
	free(copy);
	if (t.found != DNSANSWER_THERE) {
		assert_int_equal(t.n, 0);
		buf_add_str(&b, t.found == DNSANSWER_ABSENT ? "ABSENT" :
		    "TEMPFAIL");
	} else if (row->type == MX && mxanswer_is_null(&t)) {
		buf_printf(&b, "null %u", t.ttl_s);
	} else {
		for (size_t k = 0; k < t.n; k++) {
			buf_add_str(&b, k == 0 ? "" : ";");
			add_record(row, t.records[k], &b);
		}
		buf_printf(&b, " %u", t.ttl_s);
	}
	text[b.n] = '\0';
	arena_free(&a);
	if (strcmp(text, want) != 0)
		fail_msg("%s: found \"%s\", not \"%s\"", row->label, text,
		    want);
}

static void
records_are_found(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
		uint8_t room[2000];

		expect(&rows[k], build(&rows[k], room, sizeof(room)),
		    rows[k].want);
	}
}

/* Cut anywhere, an answer is none, and there is no crash. */
static void
cut_anywhere_there_is_none(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
		uint8_t room[2000];
		struct bytes m = build(&rows[k], room, sizeof(room));

		for (size_t n = 0; n < m.n; n++)
			expect(&rows[k], bytes_first(m, n), "TEMPFAIL");
	}
}

/* D4: the answer to another question; records that do not fill their place. */
static void
what_does_not_fit_is_no_answer(void **state)
{
	static const struct row mx = {.label = "MX", .type = DNS_MX};
	uint8_t room[500];
	struct buf b = BUF_ON(room);

	(void)state;
	dns_begin_of(&b, DNS_A, 7, 0, NAME, 0);
	expect(&mx, buf_bytes(&b), "TEMPFAIL");
	b.n = 0;
	dns_begin_of(&b, MX, 7, 0, "b.example", 0);
	expect(&mx, buf_bytes(&b), "TEMPFAIL");
	b.n = 0;
	dns_begin_of(&b, MX, 7, 0, NAME, 1);
	dns_put_rr(&b, NAME, MX, 1, BYTES_LIT("\0\1"));
	expect(&mx, buf_bytes(&b), "TEMPFAIL");
	b.n = 0;
	dns_begin_of(&b, MX, 7, 0, NAME, 1);
	dns_put_rr(&b, NAME, MX, 1, BYTES_LIT("\0\1\1b\0x"));
	expect(&mx, buf_bytes(&b), "TEMPFAIL");
}

/* By preference; the same one in every order, each about as often. */
static void
the_order_is_random_among_equals(void **state)
{
	static const struct mxanswer_host hosts[] = {
		{20, BYTES_LIT("d")}, {10, BYTES_LIT("a")},
		{10, BYTES_LIT("b")}, {5, BYTES_LIT("x")},
		{10, BYTES_LIT("c")},
	};
	static const char *const orders[] = {"xabcd", "xacbd", "xbacd",
	    "xbcad", "xcabd", "xcbad"};
	unsigned seen[6] = {0};

	(void)state;
	for (uint32_t random = 0; random < 6000; random++) {
		struct mxanswer_host h[5];
		char order[6] = "";
		size_t k = 0;

		memcpy(h, hosts, sizeof(h));
		mxanswer_order(h, 5, random * 2654435769U);
		for (size_t i = 0; i < 5; i++)
			order[i] = (char)h[i].name.p[0];
		while (k < 6 && strcmp(order, orders[k]) != 0)
			k++;
		assert_true(k < 6);
		seen[k]++;
	}
	for (size_t k = 0; k < 6; k++)
		assert_in_range(seen[k], 800, 1200);
	mxanswer_order(NULL, 0, 7);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_are_found),
		cmocka_unit_test(cut_anywhere_there_is_none),
		cmocka_unit_test(what_does_not_fit_is_no_answer),
		cmocka_unit_test(the_order_is_random_among_equals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
