#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/introduce.h"
#include "smtp/ip.h"
#include "smtp/proxyproto.h"

#define N(row) (sizeof(row) / sizeof((row)[0]))
#define LIT(s) {(const uint8_t *)(s), sizeof(s) - 1}

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define FROM_TO "\xc0\0\2\1\xc0\0\2\2\0\x50\0\x19"
#define FROM_TO_6 "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1" \
	"\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\2\0\x50\0\x19"
#define X10 "xxxxxxxxxx"

static const struct {
	struct bytes in;
	enum smtp_proxyproto_step step;
	bool is_known;
} rows[] = {
	{LIT("PROXY TCP4 192.0.2.1 192.0.2.2 80 25\r\n"), SMTP_PROXYPROTO_READY, true},
	{LIT("PROXY TCP6 2001:db8::1 2001:db8::2 80 25\r\n"), SMTP_PROXYPROTO_READY, true},
	{LIT("PROXY UNKNOWN\r\n"), SMTP_PROXYPROTO_READY, false},
	{LIT("PROXY UNKNOWN what ever it is\r\n"), SMTP_PROXYPROTO_READY, false},
	{LIT("PROXY TCP4 192.0.2.1 192.0.2.2 80\r\n"), SMTP_PROXYPROTO_BAD, false},
	{LIT("PROXY TCP4 192.0.2.1 192.0.2.2 80 25 \r\n"), SMTP_PROXYPROTO_BAD, false},
	{LIT("PROXY TCP4  192.0.2.1 192.0.2.2 80 25\r\n"), SMTP_PROXYPROTO_BAD, false},
	{LIT("PROXY TCP4 192.0.2.1 192.0.2.2 080 25\r\n"), SMTP_PROXYPROTO_BAD, false},
	{LIT("PROXY TCP4 192.0.2.1 192.0.2.2 80 65536\r\n"), SMTP_PROXYPROTO_BAD, false},
	{LIT("PROXY TCP4 192.0.2.1 192.0.2.2 80 -1\r\n"), SMTP_PROXYPROTO_BAD, false},
	{LIT("PROXY TCP4 192.0.2.1 192.0.2.2 80 25\n\r\n"), SMTP_PROXYPROTO_BAD, false},
	{LIT("PROXY TCP4 192.0.2 192.0.2.2 80 25\r\n"), SMTP_PROXYPROTO_BAD, false},
	{LIT("PROXY TCP4 2001:db8::1 192.0.2.2 80 25\r\n"), SMTP_PROXYPROTO_BAD, false},
	{LIT("PROXY TCP6 192.0.2.1 192.0.2.2 80 25\r\n"), SMTP_PROXYPROTO_BAD, false},
	{LIT("PROXY UDP4 192.0.2.1 192.0.2.2 80 25\r\n"), SMTP_PROXYPROTO_BAD, false},
	{LIT("PROXY \r\n"), SMTP_PROXYPROTO_BAD, false},
	{LIT("PROXY\r\n"), SMTP_PROXYPROTO_BAD, false},
	{LIT("proxy TCP4 192.0.2.1 192.0.2.2 80 25\r\n"), SMTP_PROXYPROTO_BAD, false},
	{LIT("EHLO me\r\n"), SMTP_PROXYPROTO_BAD, false},
	{LIT("\r\n"), SMTP_PROXYPROTO_MORE, false},
	{LIT("\r\nEHLO me\r\n"), SMTP_PROXYPROTO_BAD, false},
	/* 107 octets with CRLF, and one more */
	{LIT("PROXY UNKNOWN " X10 X10 X10 X10 X10 X10 X10 X10 X10 "x\r\n"), SMTP_PROXYPROTO_READY, false},
	{LIT("PROXY UNKNOWN " X10 X10 X10 X10 X10 X10 X10 X10 X10 "xx\r\n"), SMTP_PROXYPROTO_BAD, false},
	{LIT(V2 "\x21\x11\0\xc" FROM_TO), SMTP_PROXYPROTO_READY, true},
	{LIT(V2 "\x21\x11\0\xf" FROM_TO "\4\0\0"), SMTP_PROXYPROTO_READY, true},
	{LIT(V2 "\x21\x21\0\x24" FROM_TO_6), SMTP_PROXYPROTO_READY, true},
	{LIT(V2 "\x21\x21\0\x26" FROM_TO_6 "xx"), SMTP_PROXYPROTO_READY, true},
	{LIT(V2 "\x20\0\0\0"), SMTP_PROXYPROTO_READY, false},
	{LIT(V2 "\x20\x11\0\xc" FROM_TO), SMTP_PROXYPROTO_READY, false},
	{LIT(V2 "\x21\0\0\3xxx"), SMTP_PROXYPROTO_READY, false},
	{LIT(V2 "\x21\x31\0\3xxx"), SMTP_PROXYPROTO_READY, false},
	{LIT(V2 "\x21\x12\0\xc" FROM_TO), SMTP_PROXYPROTO_BAD, false},
	{LIT(V2 "\x22\x11\0\xc" FROM_TO), SMTP_PROXYPROTO_BAD, false},
	{LIT(V2 "\x11\x11\0\xc" FROM_TO), SMTP_PROXYPROTO_BAD, false},
	{LIT(V2 "\x21\x11\0\xb" FROM_TO), SMTP_PROXYPROTO_BAD, false},
	{LIT(V2 "\x21\x21\0\x23" FROM_TO_6), SMTP_PROXYPROTO_BAD, false},
	{LIT(V2 "\x21\x11\x10\1" FROM_TO), SMTP_PROXYPROTO_BAD, false},
	{LIT(V2 "\x20\0\xff\xff"), SMTP_PROXYPROTO_BAD, false},
	{LIT(V2 "\x21\x11\x10\0" FROM_TO), SMTP_PROXYPROTO_MORE, true},
	{LIT("\r\n\r\n\0\r\nQUIT\r\n"), SMTP_PROXYPROTO_BAD, false},
};

/* Feeds in, in two pieces or octet by octet; what is left stays in *in. */
static enum smtp_proxyproto_step
feed(struct smtp_proxyproto *p, struct bytes *in, size_t cut)
{
	enum smtp_proxyproto_step step = SMTP_PROXYPROTO_MORE;

	smtp_proxyproto_init(p);
	while (step == SMTP_PROXYPROTO_MORE && in->n != 0) {
		struct bytes now = bytes_first(*in, cut == 0 ? 1 : cut);
		size_t n = now.n;

		step = smtp_proxyproto_read(p, &now);
		*in = bytes_skip(*in, n - now.n);
		cut = cut == 0 ? 0 : SIZE_MAX;
		assert_true(step != SMTP_PROXYPROTO_MORE || now.n == 0);
	}
	return step;
}

/* T8: each header at every split, with a client's octets behind it. */
static void
t8_headers_at_every_split(void **state)
{
	(void)state;
	for (size_t k = 0; k < N(rows); k++) {
		uint8_t octets[200];
		struct buf all = BUF_ON(octets);

		buf_add(&all, rows[k].in);
		if (rows[k].step == SMTP_PROXYPROTO_READY)
			buf_add_str(&all, "EHLO");
		for (size_t cut = 0; cut <= all.n; cut++) {
			struct bytes in = buf_bytes(&all);
			struct smtp_proxyproto p;
			enum smtp_proxyproto_step step = feed(&p, &in, cut);

			if (step != rows[k].step)
				fail_msg("row %zu cut %zu: %d", k, cut, step);
			if (step == SMTP_PROXYPROTO_READY)
				assert_true(bytes_eq(in, BYTES_LIT("EHLO")));
			if (step != SMTP_PROXYPROTO_BAD)
				assert_int_equal(p.is_known, rows[k].is_known);
		}
	}
}

/* T8: TLVs up to their bound are passed over, however they come. */
static void
t8_tlvs_are_passed_over(void **state)
{
	static uint8_t octets[SMTP_PROXYPROTO_V2_MAX + 100];

	(void)state;
	for (size_t cut = 0; cut < 200; cut += 7) {
		struct buf all = BUF_ON(octets);
		struct smtp_proxyproto p;
		struct bytes in;

		buf_add(&all, BYTES_LIT(V2 "\x21\x11\x10\0" FROM_TO));
		while (all.n < 16 + SMTP_PROXYPROTO_V2_MAX)
			buf_add_octet(&all, 0xff);
		buf_add_str(&all, "QUIT\r\n");
		in = buf_bytes(&all);
		assert_int_equal(feed(&p, &in, cut), SMTP_PROXYPROTO_READY);
		assert_true(bytes_eq(in, BYTES_LIT("QUIT\r\n")));
		assert_int_equal(p.port, 80);
	}
}

/* What our client's side writes is what this reads. */
static void
addresses_come_through(void **state)
{
	static const struct {
		const char *from, *to;
	} row[] = {
		{"192.0.2.1", "198.51.100.2"}, {"2001:db8::1", "2001:db8::"},
		{"192.0.2.1", "2001:db8::1"}, {"::1", "127.0.0.1"},
	};

	(void)state;
	for (size_t k = 0; k < 2 * N(row); k++) {
		uint8_t octets[SMTP_PROXY_MAX];
		struct buf out = BUF_ON(octets);
		struct smtp_introduction who = {
		    .from = {.text = row[k / 2].from, .port = 65535},
		    .to = {.text = row[k / 2].to, .port = 25}};
		struct smtp_proxyproto p;
		struct bytes in;

		assert_true(smtp_ip_v4(bytes_of(who.from.text), who.from.ip) ||
		    smtp_ip_v6(bytes_of(who.from.text), who.from.ip));
		assert_true(smtp_ip_v4(bytes_of(who.to.text), who.to.ip) ||
		    smtp_ip_v6(bytes_of(who.to.text), who.to.ip));
		if (k % 2 == 0)
			smtp_introduce_proxy_v1(&out, &who);
		else
			smtp_introduce_proxy_v2(&out, &who);
		in = buf_bytes(&out);
		assert_int_equal(feed(&p, &in, 0), SMTP_PROXYPROTO_READY);
		assert_true(p.is_known && p.port == 65535 && p.dest_port == 25);
		assert_memory_equal(p.ip, who.from.ip, 16);
		assert_memory_equal(p.dest_ip, who.to.ip, 16);
	}
}

static void
addresses_have_their_octets(void **state)
{
	static const struct {
		const char *text;
		uint8_t ip[16];
	} row[] = {
		{"1.2.3.4", {[10] = 0xff, 0xff, 1, 2, 3, 4}},
		{"::", {0}},
		{"::1", {[15] = 1}},
		{"1::", {0, 1}},
		{"2001:db8::a:b", {0x20, 1, 0xd, 0xb8, [13] = 0xa, 0, 0xb}},
		{"::ffff:1.2.3.4", {[10] = 0xff, 0xff, 1, 2, 3, 4}},
		{"1:2:3:4:5:6:1.2.3.4", {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 1, 2, 3, 4}},
		{"1:2:3:4:5:6:7:ABCD", {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0xab, 0xcd}},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		struct bytes text = bytes_of(row[k].text);
		uint8_t ip[16];

		assert_true(smtp_ip_v4(text, ip) || smtp_ip_v6(text, ip));
		assert_memory_equal(ip, row[k].ip, 16);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t8_headers_at_every_split),
		cmocka_unit_test(t8_tlvs_are_passed_over),
		cmocka_unit_test(addresses_come_through),
		cmocka_unit_test(addresses_have_their_octets),
	};

	return cmocka_run_group_tests_name("smtp/proxyproto", tests, NULL,
	    NULL);
}
