#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "daemon/nexthop.h"

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

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_are_by_domain_in_any_form),
		cmocka_unit_test(ways_are_the_same_where_nothing_differs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
