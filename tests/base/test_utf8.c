#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/utf8.h"

static void
characters_are_whole_and_short_or_none(void **state)
{
	static const struct {
		const char *in;
		size_t n;
	} row[] = {
		{"a", 1}, {"ab", 1}, {"\x7f", 1},
		{"\xc3\xa9x", 2}, {"\xe2\x82\xac", 3}, {"\xf0\x9f\x98\x80", 4},
		{"\xef\xbf\xbf", 3}, {"\xf4\x8f\xbf\xbf", 4},
		{"\xed\x9f\xbf", 3}, {"\xee\x80\x80", 3},
		{"\x80", 0}, {"\xc3", 0}, {"\xc3x", 0}, {"\xe2\x82", 0},
		{"\xc0\x80", 0}, {"\xc1\xbf", 0}, {"\xe0\x9f\xbf", 0},
		{"\xf0\x8f\xbf\xbf", 0}, {"\xed\xa0\x80", 0},
		{"\xf4\x90\x80\x80", 0}, {"\xf5\x80\x80\x80", 0}, {"\xff", 0},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++)
		assert_int_equal(utf8_length(bytes_of(row[k].in)), row[k].n);
	assert_int_equal(utf8_length((struct bytes){(const uint8_t *)"", 1}),
	    1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(characters_are_whole_and_short_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
