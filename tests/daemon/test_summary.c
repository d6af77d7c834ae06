#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/summary.h"

static char text[1 << 16];

static const char *
told(void)
{
	struct buf b = {(uint8_t *)text, 0, sizeof(text) - 1, false};

	summary_write(&b);
	assert_false(b.full);
	text[b.n] = '\0';
	return text;
}

static void
a_day_is_told_and_begun_anew(void **state)
{
	(void)state;
	assert_string_equal(told(), "");
	summary_count(BYTES_LIT("a.example"), DKIM2_PASS, false);
	summary_count(BYTES_LIT("B.example"), DKIM2_FAIL, true);
	summary_count(BYTES_LIT("b.example"), DKIM2_PERMERROR, true);
	summary_count(BYTES_LIT("b.EXAMPLE"), DKIM2_TEMPERROR, false);
	summary_count(BYTES_LIT("whatever"), DKIM2_NONE, false);
	assert_string_equal(told(),
	    "summary: without DKIM2: 1, domains with: 2\n"
	    "summary: domain=b.example pass=0 fail=1 permerror=1 temperror=1 "
	    "would-refuse=2\n"
	    "summary: domain=a.example pass=1 fail=0 permerror=0 temperror=0 "
	    "would-refuse=0\n");
	assert_string_equal(told(), "");
}

/* P7: what is no name of a host has no line. */
static void
trash_is_among_the_others_P7(void **state)
{
	char large[SUMMARY_NAME_MAX + 1];

	(void)state;
	memset(large, 'a', sizeof(large));
	summary_count(BYTES_LIT("a b"), DKIM2_FAIL, true);
	summary_count(BYTES_LIT("a\nALARM"), DKIM2_FAIL, false);
	summary_count(BYTES_LIT("\x1b[31m"), DKIM2_FAIL, false);
	summary_count(BYTES_LIT(""), DKIM2_FAIL, false);
	summary_count((struct bytes){(uint8_t *)large, sizeof(large)},
	    DKIM2_PASS, false);
	assert_string_equal(told(),
	    "summary: without DKIM2: 0, domains with: 0\n"
	    "summary: others pass=1 fail=4 permerror=0 temperror=0 "
	    "would-refuse=1\n");
}

/* However many there are, so many lines and no more. */
static void
the_table_is_bounded(void **state)
{
	unsigned n = 0, sum = 0;
	char name[40];

	(void)state;
	for (unsigned k = 0; k < 3 * SUMMARY_DOMAINS; k++) {
		snprintf(name, sizeof(name), "d%u.example", k);
		summary_count(bytes_of(name), DKIM2_PASS, false);
	}
	for (unsigned k = 0; k < 3; k++)
		summary_count(BYTES_LIT("d0.example"), DKIM2_PASS, false);
	told();
	assert_non_null(strstr(text, "summary: domain=d0.example pass=4 "));
	for (const char *at = text; (at = strstr(at, "pass=")) != NULL; at++) {
		sum += (unsigned)strtoul(at + 5, NULL, 10);
		n++;
	}
	assert_int_equal(n, SUMMARY_TOLD + 1);
	assert_int_equal(sum, 3 * SUMMARY_DOMAINS + 3);
}

static void
all_processes_count(void **state)
{
	pid_t pid;

	(void)state;
	assert_int_equal(summary_open(), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		summary_count(BYTES_LIT("a.example"), DKIM2_PASS, false);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_non_null(strstr(told(), "domain=a.example pass=1 "));
}

/* A day's end, and the last call. */
static void
days_end_at_midnight(void **state)
{
	(void)state;
	assert_int_equal(summary_tick(10 * 86400 + 5, false), 86395);
	summary_count(BYTES_LIT("a.example"), DKIM2_PASS, false);
	assert_int_equal(summary_tick(11 * 86400 - 1, false), 1);
	assert_int_equal(summary_tick(11 * 86400, false), 86400);
	assert_string_equal(told(), "");
	summary_count(BYTES_LIT("a.example"), DKIM2_PASS, false);
	assert_int_equal(summary_tick(11 * 86400 + 1, false), 86399);
	assert_string_not_equal(told(), "");
	summary_count(BYTES_LIT("a.example"), DKIM2_PASS, false);
	(void)summary_tick(11 * 86400 + 2, true);
	assert_string_equal(told(), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_day_is_told_and_begun_anew),
		cmocka_unit_test(trash_is_among_the_others_P7),
		cmocka_unit_test(the_table_is_bounded),
		cmocka_unit_test(all_processes_count),
		cmocka_unit_test(days_end_at_midnight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
