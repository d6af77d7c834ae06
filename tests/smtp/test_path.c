#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "smtp/path.h"

#define N(row) (sizeof(row) / sizeof((row)[0]))

#define A8 "aaaaaaaa"
#define A16 A8 A8
#define A64 A16 A16 A16 A16
#define A63 A16 A16 A16 A8 "aaaaaaa"

/* F13: what a path may be, and what each fault is called. */
static void
f13_paths_are_strict(void **state)
{
	static const struct {
		const char *in;
		bool is_rcpt;
		enum smtp_path_fault fault;
		const char *local;
		const char *domain;
		const char *rest;
	} row[] = {
		{"<a@b.example>", true, SMTP_PATH_OK, "a", "b.example", ""},
		{"<a@b>", false, SMTP_PATH_OK, "a", "b", ""},
		{"<A.b+c@B.Example> SIZE=1", false, SMTP_PATH_OK, "A.b+c", "B.Example", " SIZE=1"},
		{"<!#$%&'*+-/=?^_`{|}~@b>", true, SMTP_PATH_OK, "!#$%&'*+-/=?^_`{|}~", "b", ""},
		{"<a%other.example@b>", true, SMTP_PATH_OK, "a%other.example", "b", ""},
		{"<other!a@b>", true, SMTP_PATH_OK, "other!a", "b", ""},
		{"<>", false, SMTP_PATH_OK, "", "", ""},
		{"<> BODY=7BIT", false, SMTP_PATH_OK, "", "", " BODY=7BIT"},
		{"<>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<postmaster>", true, SMTP_PATH_OK, "postmaster", "", ""},
		{"<PostMaster>", true, SMTP_PATH_OK, "PostMaster", "", ""},
		{"<postmaster>", false, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<postmaster2>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<postmaster", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<\"a b\"@b>", true, SMTP_PATH_OK, "\"a b\"", "b", ""},
		{"<\"a>b@c\"@b>", true, SMTP_PATH_OK, "\"a>b@c\"", "b", ""},
		{"<\"a\\\"b\\\\\"@b>", true, SMTP_PATH_OK, "\"a\\\"b\\\\\"", "b", ""},
		{"<\"\"@b>", true, SMTP_PATH_OK, "\"\"", "b", ""},
		{"<\"a\"b@c>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<a\"b\"@c>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<\"a@b>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<\"a\\", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<\"a\rb\"@c>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<\"a\nb\"@c>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<\"a\\\nb\"@c>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<\"a\tb\"@c>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<\"a\x7f\"@c>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<<>>", false, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<<a@b>>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"a@b", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{" <a@b>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"< a@b>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<a@b >", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<a b@c>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<a@b", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<a@>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<a>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<a@b@c>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<.a@b>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<a.@b>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<a..b@c>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<(c)a@b>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<a(c)@b>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<a@b(c)>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<a,b@c>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<a\\b@c>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<a@b..c>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<a@.b>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<a@b.>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<a@-b>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<a@b-.c>", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
		{"<a@b--c>", true, SMTP_PATH_OK, "a", "b--c", ""},
		{"<a@b_c>", true, SMTP_PATH_OK, "a", "b_c", ""},
		{"<@x:a@b>", true, SMTP_PATH_ROUTE, NULL, NULL, NULL},
		{"<@x,@y:a@b>", false, SMTP_PATH_ROUTE, NULL, NULL, NULL},
		{"<\xc3\xa4@b>", true, SMTP_PATH_UTF8, NULL, NULL, NULL},
		{"<a@\xc3\xa4.example>", false, SMTP_PATH_UTF8, NULL, NULL, NULL},
		{"<\"\xc3\xa4\"@b>", true, SMTP_PATH_UTF8, NULL, NULL, NULL},
		{"<a b@c> \xc3\xa4", true, SMTP_PATH_SYNTAX, NULL, NULL, NULL},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		struct smtp_path path;
		struct bytes rest = BYTES_LIT("untouched");
		enum smtp_path_fault fault = smtp_path_parse(
		    bytes_of(row[k].in), row[k].is_rcpt, &path, &rest);

		if (fault != row[k].fault)
			fail_msg("%s: fault %d", row[k].in, fault);
		if (fault != SMTP_PATH_OK) {
			assert_true(bytes_eq(rest, BYTES_LIT("untouched")));
			continue;
		}
		assert_true(bytes_eq(path.local, bytes_of(row[k].local)));
		assert_true(bytes_eq(path.domain, bytes_of(row[k].domain)));
		assert_true(bytes_eq(rest, bytes_of(row[k].rest)));
		assert_ptr_equal(path.raw.p, row[k].in);
		assert_int_equal(path.raw.n, strlen(row[k].in) - rest.n);
		assert_int_equal(path.is_null, path.raw.n == 2);
		assert_false(path.is_literal);
	}
}

/* F13: the bounds, each at it and one past. */
static void
f13_paths_have_their_limits(void **state)
{
	static const struct {
		const char *in;
		enum smtp_path_fault fault;
	} row[] = {
		{"<" A64 "@b>", SMTP_PATH_OK},
		{"<a" A64 "@b>", SMTP_PATH_LONG},
		{"<\"a" A64 "\"@b>", SMTP_PATH_LONG},
		{"<a@" A63 ">", SMTP_PATH_OK},
		{"<a@" A64 ">", SMTP_PATH_LONG},
		{"<a@b." A64 ".c>", SMTP_PATH_LONG},
		/* 1 + 1 + 1 + 252 + 1 */
		{"<a@" A63 "." A63 "." A63 "." A16 A16 A16 A8 "aaaa>", SMTP_PATH_OK},
		{"<a@" A63 "." A63 "." A63 "." A16 A16 A16 A8 "aaaaa>", SMTP_PATH_LONG},
		{"<a@" A63 "." A63 "." A63 "." A63 ">", SMTP_PATH_LONG},
		{"<a@" A63 "." A63 "." A63 "." A63 ".a>", SMTP_PATH_LONG},
	};
	static const struct {
		const char *in;
		bool good;
	} domain[] = {
		{"a.example", true},
		{"", false},
		{"a.example ", false},
		{A63 "." A63 "." A63 "." A63, true},
		{A63 "." A63 "." A63 "." A63 ".a", false},
		{A63 "." A63 "." A63 "." A64, false},
		{A64, false},
		{"[192.0.2.1]", false},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		struct smtp_path path;
		struct bytes rest;
		enum smtp_path_fault fault = smtp_path_parse(
		    bytes_of(row[k].in), true, &path, &rest);

		if (fault != row[k].fault)
			fail_msg("%s: fault %d", row[k].in, fault);
	}
	for (size_t k = 0; k < N(domain); k++)
		if (smtp_path_is_domain(bytes_of(domain[k].in)) !=
		    domain[k].good)
			fail_msg("%s", domain[k].in);
}

/* F13: address literals, RFC 5321 4.1.3. */
static void
f13_literals_are_addresses(void **state)
{
	static const struct {
		const char *in;
		bool good;
	} row[] = {
		{"[192.0.2.1]", true},
		{"[0.0.0.0]", true},
		{"[255.255.255.255]", true},
		{"[256.0.2.1]", false},
		{"[192.0.2]", false},
		{"[192.0.2.1.1]", false},
		{"[192.0.2.]", false},
		{"[192.0.2.0001]", false},
		{"[192.0.2.1", false},
		{"[192.0.2.1]x", false},
		{"[]", false},
		{"[a.example]", false},
		{"[IPv6:::]", true},
		{"[IPv6:::1]", true},
		{"[ipv6:2001:db8::1]", true},
		{"[IPv6:2001:db8:0:0:0:0:0:1]", true},
		{"[IPv6:2001:db8:0:0:0:0:0]", false},
		{"[IPv6:2001:db8:0:0:0:0:0:1:2]", false},
		{"[IPv6:1:2:3:4:5:6::]", true},
		{"[IPv6:1:2:3:4:5:6:7::]", false},
		{"[IPv6:1::2::3]", false},
		{"[IPv6::1:2:3:4:5:6:7]", false},
		{"[IPv6:1:2:3:4:5:6:7:]", false},
		{"[IPv6:::ffff:192.0.2.1]", true},
		{"[IPv6:1:2:3:4:5:6:192.0.2.1]", true},
		{"[IPv6:192.0.2.1::]", false},
		{"[IPv6:192.0.2.1:1:2:3:4:5:6]", false},
		{"[IPv6:12345::]", false},
		{"[IPv6:g::]", false},
		{"[IPv6:fe80::1%eth0]", false},
		{"[IPv6:]", false},
		{"[2001:db8::1]", false},
		{"[x400:a]", false},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		uint8_t octets[100];
		struct buf in = BUF_ON(octets);
		struct smtp_path path;
		struct bytes rest;
		enum smtp_path_fault fault;

		buf_add_str(&in, "<a@");
		buf_add_str(&in, row[k].in);
		buf_add_str(&in, ">");
		fault = smtp_path_parse(buf_bytes(&in), true, &path, &rest);
		if ((fault == SMTP_PATH_OK) != row[k].good)
			fail_msg("%s: fault %d", row[k].in, fault);
		if (row[k].good) {
			assert_true(path.is_literal);
			assert_true(bytes_eq(path.domain, bytes_of(row[k].in)));
		}
	}
}

/* F4, F13: no control octet is ever accepted, wherever it stands. */
static void
f13_control_octets_never_pass(void **state)
{
	static const struct bytes good[] = {
		{(const uint8_t *)"<ab@cd.example>", 15},
		{(const uint8_t *)"<\"a b\"@cd.example>", 18},
		{(const uint8_t *)"<ab@[192.0.2.1]>", 16},
		{(const uint8_t *)"<postmaster>", 12},
		{(const uint8_t *)"<>", 2},
	};

	(void)state;
	for (size_t k = 0; k < N(good); k++) {
		for (size_t at = 0; at < good[k].n; at++) {
			for (int c = 0; c <= 0xff; c++) {
				uint8_t octets[32];
				struct buf in = BUF_ON(octets);
				struct smtp_path path;
				struct bytes rest;

				if (c >= ' ' && c < 0x7f)
					continue;
				buf_add(&in, bytes_first(good[k], at));
				buf_add_octet(&in, (uint8_t)c);
				buf_add(&in, bytes_skip(good[k], at));
				assert_int_not_equal(SMTP_PATH_OK,
				    smtp_path_parse(buf_bytes(&in), k != 4,
					&path, &rest));
			}
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(f13_paths_are_strict),
		cmocka_unit_test(f13_paths_have_their_limits),
		cmocka_unit_test(f13_literals_are_addresses),
		cmocka_unit_test(f13_control_octets_never_pass),
	};

	return cmocka_run_group_tests_name("smtp/path", tests, NULL, NULL);
}
