#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/memory.h"
#include "daemon/relay_value.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define RECEIVED "Received: from a ([192.0.2.1])\r\n\tby b id x;\r\n" \
	"\tSun, 22 Nov 2026 10:00:00 +0000\r\n"

static const struct relay_value plain = {
	.time_s = 0x123456789a,
	.id = BYTES_LIT("abc123"),
	.client = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1},
	.received = BYTES_LIT(RECEIVED),
};

static void
what_is_written_is_read(void **state)
{
	uint8_t octets[MEMORY_VALUE_MAX];
	struct buf b = BUF_ON(octets);
	struct relay_value v;

	(void)state;
	relay_value_write(&plain, &b);
	assert_false(b.full);
	assert_true(relay_value_parse(buf_bytes(&b), &v));
	assert_int_equal(v.time_s, plain.time_s);
	assert_true(bytes_eq(v.id, plain.id));
	assert_true(bytes_eq(v.received, plain.received));
	assert_memory_equal(v.client, plain.client, sizeof(v.client));
	for (size_t n = 0; n < b.n; n++)
		assert_false(relay_value_parse(bytes_first(buf_bytes(&b), n),
		    &v));
	/* A field that would read, but is longer than it was written. */
	buf_add_str(&b, "\tmore\r\n");
	assert_false(relay_value_parse(buf_bytes(&b), &v));
}

static void
a_field_that_does_not_fit_is_left_out(void **state)
{
	uint8_t octets[64];	/* of which the rest takes 34 */
	struct buf b = BUF_ON(octets);
	struct relay_value v;

	(void)state;
	relay_value_write(&plain, &b);
	assert_false(b.full);
	assert_true(relay_value_parse(buf_bytes(&b), &v));
	assert_true(bytes_eq(v.id, plain.id));
	assert_int_equal(v.received.n, 0);
}

/* It goes into mail: nothing but one whole Received field. */
static void
fields_are_read_strictly(void **state)
{
	static const char *const bad[] = {
		"X: y\r\n", "Received:x\r\n", "Received: x", "Received: x\r",
		"Received: x\n", "Received: x\ny\r\n", "Received: x\r y\r\n",
		"Received: x\r\nTo: y\r\n", "Received: x\r\n\r\n",
		"Received: x\r\n\r\nbody\r\n", "Received: \x01\r\n",
		"Received: x\r\r\n",
	};
	static const char *const bad_ids[] = {"", "a b", "a\r\nb", "-",
	    "0123456789abcdef"};
	uint8_t octets[MEMORY_VALUE_MAX];
	struct relay_value v, w;

	(void)state;
	for (size_t k = 0; k < COUNT(bad); k++) {
		struct buf b = BUF_ON(octets);

		v = plain;
		v.received = bytes_of(bad[k]);
		relay_value_write(&v, &b);
		print_message("%s\n", bad[k]);
		assert_false(relay_value_parse(buf_bytes(&b), &w));
	}
	for (size_t k = 0; k < COUNT(bad_ids); k++) {
		struct buf b = BUF_ON(octets);

		v = plain;
		v.id = bytes_of(bad_ids[k]);
		relay_value_write(&v, &b);
		assert_false(relay_value_parse(buf_bytes(&b), &w));
	}
}

static void
another_version_is_none(void **state)
{
	uint8_t octets[MEMORY_VALUE_MAX];
	struct buf b = BUF_ON(octets);
	struct relay_value v;

	(void)state;
	relay_value_write(&plain, &b);
	for (unsigned version = 0; version < 256; version++) {
		octets[0] = (uint8_t)version;
		assert_int_equal(relay_value_parse(buf_bytes(&b), &v),
		    version == 1);
	}
	octets[0] = 1;
	octets[1] = 0x80;	/* a time that is none */
	assert_false(relay_value_parse(buf_bytes(&b), &v));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(a_field_that_does_not_fit_is_left_out),
		cmocka_unit_test(fields_are_read_strictly),
		cmocka_unit_test(another_version_is_none),
	};

	return cmocka_run_group_tests_name("daemon/relay_value", tests, NULL,
	    NULL);
}
