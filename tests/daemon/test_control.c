/* What the control process takes for a request and says of what runs, and how
 * a reload gathers its errors. P4 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "daemon/control_request.h"
#include "daemon/control_status.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/reload.h"
#include "daemon/status.h"

/* ---- requests ------------------------------------------------------------ */

static void
words_are_cut(void **state)
{
	struct control_request r;

	(void)state;
	assert_true(control_request_parse(BYTES_LIT("set out verify=off"), &r));
	assert_true(control_word_is(r.verb, "set"));
	assert_int_equal(r.n_args, 2);
	assert_true(control_word_is(r.args[0], "out"));
	assert_true(control_word_is(r.args[1], "verify=off"));
	assert_true(control_request_parse(BYTES_LIT("status"), &r));
	assert_int_equal(r.n_args, 0);
	assert_true(control_request_parse(
	    BYTES_LIT("1 2 3 4 5 6 7 8 9 a b c d e f g"), &r));
	assert_int_equal(r.n_args, CONTROL_WORDS_MAX - 1);
}

static void
what_is_no_request(void **state)
{
	static const struct bytes bad[] = {
		BYTES_LIT(""), BYTES_LIT(" "), BYTES_LIT(" a"),
		BYTES_LIT("a "), BYTES_LIT("a  b"), BYTES_LIT("a\tb"),
		BYTES_LIT("a\nb"), BYTES_LIT("a b\0"), BYTES_LIT("\x7f"),
		BYTES_LIT("a \xc3\xa4"),
		BYTES_LIT("1 2 3 4 5 6 7 8 9 a b c d e f g h"),
	};
	struct control_request r;

	(void)state;
	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
		assert_false(control_request_parse(bad[k], &r));
}

/* ---- lines of status ----------------------------------------------------- */

static void
a_value_stays_in_its_line(void **state)
{
	char room[100];
	struct buf b = BUF_ON(room);

	(void)state;
	status_pair(&b, "x", BYTES_LIT("a b%=:\n\xff~"));
	status_number(&b, "n", -5);
	buf_add_octet(&b, '\0');
	assert_string_equal(room, " x=a%20b%25=:%0A%FF~ n:-5");
}

/* ---- reloads ------------------------------------------------------------- */

static void
errors_and_warnings_are_gathered(void **state)
{
	struct reload r = {.errors = -1, .asked = 7};
	uint64_t failed = metrics_get(METRIC_RELOADS, SUCCESS_FAILED, 0);

	(void)state;
	log_line(LOG_ERROR_, "from before");
	reload_begin(&r);
	assert_int_equal(r.answers, 7);
	log_line(LOG_ERROR_, "one: %d", 1);
	log_line(LOG_NOTICE_, "no error");
	log_line(LOG_WARNING_, "no error yet");
	log_line(LOG_ERROR_, "two\nlines");
	reload_end(&r, false);
	log_line(LOG_ERROR_, "from behind");
	assert_true(bytes_eq(reload_text(&r),
	    BYTES_LIT("one: 1\nwarning: no error yet\n"
	    "two?lines\n")));
	assert_false(r.is_good);
	assert_int_equal(r.n_failed, 1);
	assert_int_equal(metrics_get(METRIC_RELOADS, SUCCESS_FAILED, 0),
	    failed + 1);
	reload_end(&r, true);		/* none is running */
	assert_int_equal(r.n_good, 0);
	reload_begin(&r);
	reload_end(&r, true);
	assert_true(r.is_good);
	assert_int_equal(r.n_good, 1);
	assert_int_equal(reload_text(&r).n, 0);
}

/* More than is kept is cut behind a line, and nobody waits for room. */
static void
too_many_errors(void **state)
{
	struct reload r = {.errors = -1};
	struct bytes text;

	(void)state;
	reload_begin(&r);
	for (int k = 0; k < 2000; k++)
		log_line(LOG_ERROR_, "one of very many mistakes: %d", k);
	reload_end(&r, false);
	text = reload_text(&r);
	assert_true(text.n > RELOAD_TEXT_MAX - 100 &&
	    text.n <= RELOAD_TEXT_MAX);
	assert_int_equal(text.p[text.n - 1], '\n');
}

/* A child has its own log, which copies nothing unless told. */
static void
a_child_copies_only_when_told(void **state)
{
	struct reload r = {.errors = -1};

	(void)state;
	for (int is_told = 0; is_told < 2; is_told++) {
		pid_t pid;

		reload_begin(&r);
		pid = fork();
		if (pid == 0) {
			int copy = log_copied();

			log_open("child");
			if (is_told)
				log_copy(copy);
			log_line(LOG_ERROR_, "of the child");
			_exit(0);
		}
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		reload_end(&r, false);
		assert_int_equal(reload_text(&r).n != 0, is_told);
	}
	assert_int_equal(log_copied(), -1);
}

/* ---- the last minute ------------------------------------------------------ */

/* Of the processes before, too, in its order; what is older is not told. */
static void
the_last_minute_outlives_a_process(void **state)
{
	struct loop *l = loop_new();
	struct control_past *past = control_past_make();
	struct control_samples *s;
	const int64_t now = loop_now_ms(l);

	(void)state;
	assert_non_null(past);
	s = control_samples_new(l, past);
	assert_int_equal(past->n, 1);
	assert_ptr_equal(control_samples_oldest(s), past->ring);
	control_samples_free(&s);
	s = control_samples_new(l, past);	/* too early for another one */
	assert_int_equal(past->n, 1);
	control_samples_free(&s);
	/* the ring is full, of samples of each five seconds */
	for (unsigned k = 0; k < CONTROL_SAMPLES; k++)
		past->ring[(100 + k) % CONTROL_SAMPLES].at_ms = now -
		    CONTROL_SAMPLE_MS * (CONTROL_SAMPLES - 1 - k);
	past->n = 100 + CONTROL_SAMPLES;
	s = control_samples_new(l, past);
	assert_ptr_equal(control_samples_oldest(s),
	    past->ring + 100 % CONTROL_SAMPLES);
	assert_in_range(loop_now_ms(l) - control_samples_oldest(s)->at_ms,
	    60000, 65000);
	control_samples_free(&s);
	/* nobody was there for an hour; what was before is not told */
	for (unsigned k = 0; k < CONTROL_SAMPLES; k++)
		past->ring[k].at_ms = now - 3600 * 1000;
	s = control_samples_new(l, past);
	assert_int_equal(past->n, 101 + CONTROL_SAMPLES);
	assert_ptr_equal(control_samples_oldest(s), past->ring +
	    (100 + CONTROL_SAMPLES) % CONTROL_SAMPLES);
	control_samples_free(&s);
	loop_free(&l);
	assert_int_equal(munmap(past, sizeof(*past)), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_cut),
		cmocka_unit_test(what_is_no_request),
		cmocka_unit_test(a_value_stays_in_its_line),
		cmocka_unit_test(errors_and_warnings_are_gathered),
		cmocka_unit_test(too_many_errors),
		cmocka_unit_test(a_child_copies_only_when_told),
		cmocka_unit_test(the_last_minute_outlives_a_process),
	};

	log_open("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
