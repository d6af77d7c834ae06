#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/addr.h"
#include "daemon/crowd.h"

#define MANY 2000

static struct config_addr
addr(const char *text)
{
	struct config_addr a = {.port = 25};

	assert_true(addr_from_text(text, &a));
	return a;
}

/* Networks of /24 and /64, and not one bit more. */
static void
networks_are_counted_apart(void **state)
{
	static const char *const text[] = {"192.0.2.1", "192.0.2.255",
	    "192.0.3.1", "2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"};
	static const uint32_t n[] = {2, 2, 1, 2, 2, 1};
	struct crowd_member m[6] = {0};
	struct crowd c;

	(void)state;
	crowd_init(&c);
	for (size_t k = 0; k < 6; k++) {
		struct config_addr a = addr(text[k]);

		crowd_join(&c, &m[k], &a);
	}
	for (size_t k = 0; k < 6; k++) {
		struct config_addr a = addr(text[k]);

		assert_int_equal(crowd_count(&c, &a), n[k]);
	}
	for (size_t k = 0; k < 6; k++) {
		crowd_leave(&m[k]);
		crowd_leave(&m[k]);
	}
	for (size_t k = 0; k < 6; k++) {
		struct config_addr a = addr(text[k]);

		assert_int_equal(crowd_count(&c, &a), 0);
	}
}

/* Many come and go in any order, and the count is right. */
static void
many_come_and_go(void **state)
{
	static struct crowd_member m[MANY];
	static uint32_t network[MANY];
	uint32_t seed = 12345, n[40] = {0};
	struct crowd c;

	(void)state;
	crowd_init(&c);
	for (int round = 0; round < 50000; round++) {
		struct config_addr a = addr("10.0.0.1");
		uint32_t k, now;

		seed = seed * 1664525U + 1013904223U;
		k = (seed >> 8) % MANY;
		if (m[k].at != NULL) {
			crowd_leave(&m[k]);
			n[network[k]]--;
			continue;
		}
		now = (seed >> 20) % 40;
		a.ip[14] = (uint8_t)now;
		assert_int_equal(crowd_count(&c, &a), n[now]);
		crowd_join(&c, &m[k], &a);
		network[k] = now;
		n[now]++;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networks_are_counted_apart),
		cmocka_unit_test(many_come_and_go),
	};

	return cmocka_run_group_tests_name("daemon/crowd", tests, NULL, NULL);
}
