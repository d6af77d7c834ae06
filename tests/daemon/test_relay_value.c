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
	assert_false(v.is_exploded);
	v.is_exploded = true;
	b.n = 0;
	relay_value_write(&v, &b);
	assert_true(relay_value_parse(buf_bytes(&b), &v));
	assert_true(v.is_exploded);
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

/* Who shares a copy; rt= names them, so nothing but paths may come of it. */
static void
lists_are_read_strictly(void **state)
{
	static const char *const bad[] = {"", "x", "<>", "<a@b", "a@b>",
	    "<a\r\n@b>", "<a@b\x7f>"};
	uint8_t list_octets[100], octets[MEMORY_VALUE_MAX];
	struct relay_value v = plain, w;
	struct bytes path;

	(void)state;
	for (size_t k = 0; k <= COUNT(bad); k++) {
		struct buf list = BUF_ON(list_octets);
		struct buf b = BUF_ON(octets);

		relay_value_add_rcpt(&list, BYTES_LIT("<a@one.example>"));
		relay_value_add_rcpt(&list, k < COUNT(bad) ? bytes_of(bad[k])
		    : BYTES_LIT("<b@two.example>"));
		v.rcpts = buf_bytes(&list);
		relay_value_write(&v, &b);
		assert_int_equal(relay_value_parse(buf_bytes(&b), &w),
		    k == COUNT(bad));
		if (k < COUNT(bad))
			continue;
		assert_true(bytes_eq(w.received, plain.received));
		assert_true(relay_value_next_rcpt(&w.rcpts, &path));
		assert_true(bytes_eq(path, BYTES_LIT("<a@one.example>")));
		assert_true(relay_value_next_rcpt(&w.rcpts, &path));
		assert_true(bytes_eq(path, BYTES_LIT("<b@two.example>")));
		assert_false(relay_value_next_rcpt(&w.rcpts, &path));
	}
}

static void
a_list_that_does_not_fit_is_left_out(void **state)
{
	uint8_t list_octets[40], octets[34 + 16];
	struct buf list = BUF_ON(list_octets), b = BUF_ON(octets);
	struct relay_value v = plain, w;

	(void)state;
	relay_value_add_rcpt(&list, BYTES_LIT("<a@one.example>"));
	v.received = (struct bytes){NULL, 0};
	v.rcpts = buf_bytes(&list);
	relay_value_write(&v, &b);
	assert_false(b.full);
	assert_true(relay_value_parse(buf_bytes(&b), &w));
	assert_int_equal(w.rcpts.n, 0);
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
		    version == 1 || version == 2);
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
		cmocka_unit_test(lists_are_read_strictly),
		cmocka_unit_test(a_list_that_does_not_fit_is_left_out),
		cmocka_unit_test(another_version_is_none),
	};

	return cmocka_run_group_tests_name("daemon/relay_value", tests, NULL,
	    NULL);
}
