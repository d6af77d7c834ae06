#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/b64.h"
#include "base/bytes.h"

static void
numbers_are_digits_within_their_bound(void **state)
{
	static const struct {
		const char *in;
		uint64_t max;
		bool good;
		uint64_t value;
	} row[] = {
		{"0", 10, true, 0},
		{"007", 10, true, 7},
		{"10", 10, true, 10},
		{"11", 10, false, 0},
		{"", 10, false, 0},
		{"+1", 10, false, 0},
		{"1 ", 10, false, 0},
		{"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
		{"18446744073709551616", UINT64_MAX, false, 0},
		{"99999999999999999999999", UINT64_MAX, false, 0},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		uint64_t value = 0;

		assert_int_equal(row[k].good,
		    bytes_number(bytes_of(row[k].in), row[k].max, &value));
		assert_int_equal(value, row[k].value);
	}
}

static void
base64_is_canonical_or_refused(void **state)
{
	static const struct {
		const char *in;
		const char *out;	/* NULL: refused */
	} row[] = {
		{"", ""},
		{"Zg==", "f"},
		{"Zm8=", "fo"},
		{"Zm9v", "foo"},
		{"Zm9vYg==", "foob"},
		{"Zg", NULL},
		{"Zg=", NULL},
		{"Zh==", NULL},		/* pad bits */
		{"Zm9=", NULL},
		{"Zg==Zg==", NULL},	/* padding inside */
		{"Z===", NULL},
		{"====", NULL},
		{"Zm9v\n", NULL},
		{"Zm 9v", NULL},
		{"Zm-_", NULL},		/* the URL alphabet */
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		uint8_t octets[32];
		struct buf out = BUF_ON(octets);
		bool good = b64_decode(bytes_of(row[k].in), &out);

		assert_int_equal(good, row[k].out != NULL);
		if (good) {
			uint8_t again[32];
			struct buf back = BUF_ON(again);

			assert_true(bytes_eq(buf_bytes(&out),
			    bytes_of(row[k].out)));
			b64_encode(buf_bytes(&out), &back);
			assert_true(bytes_eq(buf_bytes(&back),
			    bytes_of(row[k].in)));
		}
	}
}

static void
cut_sees_a_last_empty_piece(void **state)
{
	struct bytes rest = BYTES_LIT("a,,b,");

	(void)state;
	assert_true(bytes_eq(bytes_cut(&rest, ','), BYTES_LIT("a")));
	assert_true(bytes_eq(bytes_cut(&rest, ','), BYTES_LIT("")));
	assert_true(bytes_eq(bytes_cut(&rest, ','), BYTES_LIT("b")));
	assert_non_null(rest.p);
	assert_true(bytes_eq(bytes_cut(&rest, ','), BYTES_LIT("")));
	assert_null(rest.p);
}

/* Short needles and long ones, whole and in part, at each end. */
static void
a_needle_is_found_where_it_stands_first(void **state)
{
	static const struct {
		const char *in, *needle;
		size_t at;
	} row[] = {
		{"", "", 0},
		{"abc", "", 0},
		{"", "a", 0},
		{"abc", "a", 0},
		{"abc", "c", 2},
		{"abc", "d", 3},
		{"a\r\nb\r\n", "\r\n", 1},
		{"\r\r\r\n", "\r\n", 2},
		{"ab\r", "\r\n", 3},
		{"\n\r", "\r\n", 2},
		{"\r\n\r\r\n\r\n", "\r\n\r\n", 3},
		{"\r\n\r", "\r\n\r\n", 3},
		{"aaaaaaab", "aaab", 4},
		{"aaaaaaaaaa", "aaaab", 10},
		{"aaaaaaaaab", "aaaab", 5},
		{"a long one", "a long one", 0},
		{"a long one", "a long one!", 10},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++)
		if (bytes_find(bytes_of(row[k].in),
		    bytes_of(row[k].needle)) != row[k].at)
			fail_msg("row %zu", k);
}

/* Every octet that is no letter of the alphabet, and what each stands for. */
static void
base64_knows_64_octets(void **state)
{
	unsigned n = 0;

	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		uint8_t quad[4] = {(uint8_t)c, 'A', 'A', 'A'};
		uint8_t octets[3], again[4];
		struct buf out = BUF_ON(octets), back = BUF_ON(again);

		if (!b64_decode((struct bytes){quad, 4}, &out))
			continue;
		n++;
		b64_encode(buf_bytes(&out), &back);
		assert_memory_equal(again, quad, 4);
	}
	assert_int_equal(n, 64);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_digits_within_their_bound),
		cmocka_unit_test(base64_is_canonical_or_refused),
		cmocka_unit_test(base64_knows_64_octets),
		cmocka_unit_test(a_needle_is_found_where_it_stands_first),
		cmocka_unit_test(cut_sees_a_last_empty_piece),
	};

	return cmocka_run_group_tests_name("base/bytes", tests, NULL, NULL);
}
