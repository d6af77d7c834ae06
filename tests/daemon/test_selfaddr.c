#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ifaddrs.h>

#include "daemon/addr.h"
#include "daemon/selfaddr.h"

static bool
is_ours(const char *text, const char *listen)
{
	struct config_addr at = {.port = 25}, to = {.port = 25};
	const struct config_listener l = {.listen = &at, .n_listen = 1};

	if (listen == NULL)
		at.is_any = true;
	else
		assert_true(addr_from_text(listen, &at));
	assert_true(addr_from_text(text, &to));
	return selfaddr_listens(&l, &to);
}

static void
every_address_of_an_interface_is_ours(void **state)
{
	struct config_addr at = {.is_any = true, .port = 25}, to;
	const struct config_listener l = {.listen = &at, .n_listen = 1};
	struct ifaddrs *own;
	unsigned n = 0;

	(void)state;
	assert_int_equal(getifaddrs(&own), 0);
	for (const struct ifaddrs *i = own; i != NULL; i = i->ifa_next) {
		if (i->ifa_addr == NULL || !addr_from_system(i->ifa_addr, &to))
			continue;
		/* fe80:: means nothing without its interface */
		if (to.ip[0] == 0xfe && (to.ip[1] & 0xc0) == 0x80)
			continue;
		to.port = 25;
		assert_true(selfaddr_listens(&l, &to));
		n++;
	}
	freeifaddrs(own);
	assert_true(n > 0);
}

static void
others_are_not(void **state)
{
	(void)state;
	assert_false(is_ours("192.0.2.1", NULL));
	assert_false(is_ours("2001:db8::1", NULL));
	assert_false(is_ours("192.0.2.1", "0.0.0.0"));
	assert_false(is_ours("255.255.255.255", NULL));
	assert_false(is_ours("224.0.0.1", NULL));
}

static void
one_address_is_that_one_alone(void **state)
{
	(void)state;
	assert_true(is_ours("127.9.9.9", NULL));
	assert_true(is_ours("::1", NULL));
	assert_false(is_ours("127.9.9.9", "127.0.0.1"));
	/* listened at, so ours, whether the interface is there or not */
	assert_true(is_ours("192.0.2.1", "192.0.2.1"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_address_of_an_interface_is_ours),
		cmocka_unit_test(others_are_not),
		cmocka_unit_test(one_address_is_that_one_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
