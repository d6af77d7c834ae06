#include "tests/config/kit.h"

#include "config/keystate.h"

#define DAY 86400LL

static void
what_is_written_is_read(void **state)
{
	(void)state;
	for (size_t k = 0; k < KEYSTATE__N; k++) {
		char text[KEYSTATE_FILE_MAX];
		struct buf b = BUF_ON(text);
		enum keystate s = KEYSTATE__N;
		int64_t since = -1;

		keystate_put(&b, (enum keystate)k, INT64_MAX);
		assert_false(b.full);
		assert_true(keystate_parse(buf_bytes(&b), &s, &since));
		assert_int_equal(s, k);
		assert_true(since == INT64_MAX);
		/* an editor may leave the line end out */
		assert_true(keystate_parse(bytes_first(buf_bytes(&b), b.n - 1),
		    &s, &since));
	}
}

static void
anything_else_is_no_state(void **state)
{
	static const char *const row[] = {
		"", "\n", "active", "active ", "active\n", " active 1",
		"active 1 ", "active 1\n\n", "active  1", "active\t1",
		"active -1", "active +1", "active 1x", "Active 1",
		"activ 1", "activee 1", "published 1",
		"active 9223372036854775808", "active 1\r\n",
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		enum keystate s = KEYSTATE__N;
		int64_t since = -1;

		if (keystate_parse(bytes_of(row[k]), &s, &since) ||
		    s != KEYSTATE__N || since != -1)
			fail_msg("`%s` is taken", row[k]);
	}
	assert_false(keystate_parse((struct bytes){(const uint8_t *)
	    "active\0001", 8}, &(enum keystate){0}, &(int64_t){0}));
}

/* A signature of exactly 14 days is still good. */
static void
a_record_stays_for_14_days(void **state)
{
	(void)state;
	assert_true(keystate_keep(100, 100) == 14 * DAY);
	assert_true(keystate_keep(100, 101) == 14 * DAY - 1);
	assert_true(keystate_keep(100, 99 + 14 * DAY) == 1);
	assert_true(keystate_keep(100, 100 + 14 * DAY) == 0);
	assert_true(keystate_keep(0, INT64_MAX) == 0);
	/* the clock was set back, or the file was written by hand */
	assert_true(keystate_keep(100, 99) == 14 * DAY);
	assert_true(keystate_keep(INT64_MAX, 0) == 14 * DAY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(anything_else_is_no_state),
		cmocka_unit_test(a_record_stays_for_14_days),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
