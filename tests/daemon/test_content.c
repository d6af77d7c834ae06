#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "daemon/content.h"
#include "daemon/received.h"
#include "daemon/slots.h"

static void
feed(struct content *c, struct bytes octets)
{
	if (!c->has_header)
		assert_int_equal(content_add_header(c, &octets, 1 << 20), 0);
	assert_int_equal(content_add_body(c, octets), 0);
}

static void
header_and_body_part_at_every_split(void **state)
{
	static const struct {
		const char *in, *block, *header, *body;
	} row[] = {
		{"A: b\r\n\r\nbody\r\n", "A: b\r\n", "A: b\r\n\r\n", "body\r\n"},
		{"A: b\r\n\r\n", "A: b\r\n", "A: b\r\n\r\n", ""},
		{"A: b\r\n", "A: b\r\n", "A: b\r\n", ""},
		{"\r\nbody\r\n", "", "\r\n", "body\r\n"},
		{"\r\n\r\n", "", "\r\n", "\r\n"},
		{"A: b\r\n c\r\n\r\n\r\n", "A: b\r\n c\r\n",
		    "A: b\r\n c\r\n\r\n", "\r\n"},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		struct bytes in = bytes_of(row[k].in);

		for (size_t at = 0; at <= in.n; at++) {
			struct content c;

			content_init(&c, -1);
			feed(&c, bytes_first(in, at));
			feed(&c, bytes_skip(in, at));
			assert_int_equal(content_end(&c), 0);
			assert_true(bytes_eq(content_block(&c),
			    bytes_of(row[k].block)));
			assert_true(bytes_eq(content_header(&c),
			    bytes_of(row[k].header)));
			assert_true(bytes_eq(content_body(&c),
			    bytes_of(row[k].body)));
			content_fini(&c);
		}
	}
}

static void
a_long_body_goes_to_a_file_and_comes_back(void **state)
{
	enum { N = 3 * 1024 * 1024 + 7 };
	uint8_t *octets = malloc(N);
	struct content c;

	(void)state;
	assert_non_null(octets);
	for (size_t k = 0; k < N; k++)
		octets[k] = (uint8_t)(k * 2654435761U >> 13);
	content_init(&c, -1);
	feed(&c, BYTES_LIT("A: b\r\n\r\n"));
	for (size_t k = 0; k < N; k += 10007)
		feed(&c, bytes_first((struct bytes){octets + k, N - k}, 10007));
	assert_true(c.file >= 0);
	assert_int_equal(content_end(&c), 0);
	assert_true(bytes_eq(content_body(&c), (struct bytes){octets, N}));
	content_fini(&c);
	free(octets);
}

/* 1 MiB, in memory or not. */
static void
add_large(struct content *c)
{
	static const uint8_t octets[65536];

	content_init(c, -1);
	feed(c, BYTES_LIT("\r\n"));
	for (unsigned k = 0; k < 16; k++)
		feed(c, (struct bytes){octets, sizeof(octets)});
	assert_int_equal(content_end(c), 0);
	assert_int_equal(content_body(c).n, 1 << 20);
}

/* P5: they stay in memory as long as there are few of them. */
static void
large_bodies_have_a_bound_together(void **state)
{
	struct content c[20];

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (unsigned k = 0; k < 20; k++)
			add_large(&c[k]);
		assert_true(c[0].file < 0 && c[15].file < 0);
		assert_true(c[16].file >= 0 && c[19].file >= 0);
		content_fini(&c[3]);
		add_large(&c[3]);
		assert_true(c[3].file < 0);
		for (unsigned k = 0; k < 20; k++)
			content_fini(&c[k]);
	}
}

static void
a_header_block_has_its_bound(void **state)
{
	static const struct {
		const char *in;
		int error;
	} row[] = {
		{"A: 7890\r\n\r\n", 0},		/* nine octets, at the bound */
		{"A: 78901\r\n\r\n", -E_LIMIT},
		{"A: 78901234", -E_LIMIT},	/* no end in sight */
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		struct bytes in = bytes_of(row[k].in);
		struct content c;

		content_init(&c, -1);
		assert_int_equal(content_add_header(&c, &in, 9), row[k].error);
		content_fini(&c);
	}
}

static void
a_tag_of_one_who_left_finds_nobody(void **state)
{
	struct slots s;
	uint64_t tag[200], again;
	int owner[200];

	(void)state;
	slots_init(&s);
	assert_null(slots_find(&s, 0));
	for (size_t k = 0; k < 200; k++)
		assert_true(slots_take(&s, &owner[k], &tag[k]));
	for (size_t k = 0; k < 200; k++)
		assert_ptr_equal(slots_find(&s, tag[k] | 59), &owner[k]);
	slots_leave(&s, tag[7]);
	assert_null(slots_find(&s, tag[7]));
	slots_leave(&s, tag[7]);
	assert_true(slots_take(&s, &owner[0], &again));
	assert_int_not_equal(again, tag[7]);
	assert_null(slots_find(&s, tag[7]));
	assert_ptr_equal(slots_find(&s, again), &owner[0]);
	slots_fini(&s);
}

static void
received_is_one_field_whatever_helo_says(void **state)
{
	struct received r = {
	    .helo = BYTES_LIT("a\r\nBcc: x(\\\";\x01\xff z"),
	    .ip = "2001:db8::1", .hostname = "mx.example", .id = "4fqk2x",
	    .is_esmtp = true, .rcpt = BYTES_LIT("<b@example.net>"),
	    .time_s = 1795341600};
	char octets[RECEIVED_MAX];
	struct buf out = BUF_ON(octets);

	(void)state;
	received_write(&r, &out);
	assert_true(bytes_eq(buf_bytes(&out), BYTES_LIT(
	    "Received: from a??Bcc:?x???????z ([IPv6:2001:db8::1])\r\n"
	    "\tby mx.example (hopseal) with ESMTP id 4fqk2x\r\n"
	    "\tfor <b@example.net>;\r\n"
	    "\tSun, 22 Nov 2026 10:00:00 +0000\r\n")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_and_body_part_at_every_split),
		cmocka_unit_test(a_long_body_goes_to_a_file_and_comes_back),
		cmocka_unit_test(large_bodies_have_a_bound_together),
		cmocka_unit_test(a_header_block_has_its_bound),
		cmocka_unit_test(a_tag_of_one_who_left_finds_nobody),
		cmocka_unit_test(received_is_one_field_whatever_helo_says),
	};

	return cmocka_run_group_tests_name("daemon/content", tests, NULL, NULL);
}
