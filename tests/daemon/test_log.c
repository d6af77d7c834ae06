#include "daemon/log.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/metrics.h"

/* stderr, while a test looks at it: a file without a name. */
static int saved, file;

static int
start(void **state)
{
	FILE *f = tmpfile();

	*state = f;
	file = fileno(f);
	saved = dup(STDERR_FILENO);
	unsetenv("JOURNAL_STREAM");
	return dup2(file, STDERR_FILENO) < 0;
}

static int
finish(void **state)
{
	dup2(saved, STDERR_FILENO);
	close(saved);
	log_verbose(false);
	log_json(false);
	return fclose(*state);
}

static const char *
written(void)
{
	static char text[10000];
	ssize_t n = pread(file, text, sizeof(text) - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

static void
be_journal(void)
{
	struct stat st;
	char text[64];

	fstat(file, &st);
	snprintf(text, sizeof(text), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", text, 1);
}

static void
test_journal(void **state)
{
	(void)state;
	be_journal();
	log_open("worker/2");
	log_line(LOG_ERROR_, "a %d", 1);
	log_line(LOG_WARNING_, "b");
	log_line(LOG_NOTICE_, "c");
	log_line(LOG_DEBUG_, "not now");
	log_verbose(true);
	log_line(LOG_DEBUG_, "d");
	assert_string_equal(written(), "<3>worker/2: a 1\n<4>worker/2: b\n"
	    "<6>worker/2: c\n<7>worker/2: d\n");
}

/* A journal that stderr no longer leads to gets no priorities. */
static void
test_other_journal(void **state)
{
	(void)state;
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_open("master");
	log_line(LOG_WARNING_, "x");
	assert_true(written()[0] == '2');	/* the year */
	assert_non_null(strstr(written(), "] master: warning: x\n"));
}

/* What is written is one line, whatever was in it. */
static void
test_one_line(void **state)
{
	char want[] = "<6>m: a?b?c?d?\xc3\xa9?e\n";

	(void)state;
	be_journal();
	log_open("m");
	log_line(LOG_NOTICE_, "a\nb\rc\033d\177%s\te", "\xc3\xa9");
	assert_string_equal(written(), want);
}

static void
test_long_line(void **state)
{
	static char text[6000];
	size_t n;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	be_journal();
	log_open("m");
	log_line(LOG_NOTICE_, "%s", text);
	log_line(LOG_NOTICE_, "y");
	n = strlen(written());
	assert_int_equal(n, 4096 + 8);
	assert_string_equal(written() + 4092, "...\n<6>m: y\n");
}

/* The same, as objects: what a line has as keys, and its words else. */
static void
test_json(void **state)
{
	char time[30] = "", want[600];

	(void)state;
	log_json(true);
	log_open("worker/2");
	log_line(LOG_NOTICE_, "%s: to=<a\"b@c>, status=sent (%s)",
	    "4qk2xbcdfghj", "250 \\012 \"x\"");
	memcpy(time, strstr(written(), "20"), 24);
	snprintf(want, sizeof(want), "{\"time\": \"%s\", \"level\": \"info\", "
	    "\"process\": \"worker/2\", \"pid\": %ld, \"id\": "
	    "\"4qk2xbcdfghj\", \"to\": \"<a\\\"b@c>\", \"status\": \"sent\", "
	    "\"reply\": \"250 \\\\012 \\\"x\\\"\"}\n", time, (long)getpid());
	assert_string_equal(written(), want);
	assert_int_equal(ftruncate(file, 0), 0);
	lseek(file, 0, SEEK_SET);
	be_journal();
	log_open("m");
	log_line(LOG_ERROR_, "words\n%c", '"');
	assert_memory_equal(written(), "<3>{\"time\": \"", 13);
	assert_non_null(strstr(written(), "\"level\": \"error\", \"process\": "
	    "\"m\", "));
	assert_non_null(strstr(written(), ", \"text\": \"words?\\\"\"}\n"));
}

/* It is one object and one line, however long the line was. */
static void
test_long_json(void **state)
{
	static char text[6000];

	(void)state;
	memset(text, '\\', sizeof(text) - 1);
	log_json(true);
	log_open("m");
	log_line(LOG_NOTICE_, "%s", text);
	log_line(LOG_NOTICE_, "y");
	assert_in_range(strcspn(written(), "\n"), 1000, 4095);
	assert_non_null(strstr(written(), "\\\", \"cut\": true}\n{\"time\""));
}

/* They wait, in their order, until somebody must see them. */
static void
test_gathered(void **state)
{
	static char text[3000];

	(void)state;
	be_journal();
	log_open("m");
	log_gather(true);
	log_line(LOG_NOTICE_, "a");
	log_line(LOG_NOTICE_, "b");
	assert_string_equal(written(), "");
	log_flush();
	assert_string_equal(written(), "<6>m: a\n<6>m: b\n");
	log_line(LOG_NOTICE_, "c");
	log_line(LOG_WARNING_, "d");
	assert_string_equal(written() + 16, "<6>m: c\n<4>m: d\n");
	log_line(LOG_NOTICE_, "e");
	log_gather(false);
	assert_string_equal(written() + 32, "<6>m: e\n");
	log_gather(true);
	memset(text, 'x', sizeof(text) - 1);
	log_line(LOG_NOTICE_, "%s", text);
	log_line(LOG_NOTICE_, "%s", text);	/* no room for both */
	assert_int_equal(strlen(written()), 40 + 6 + 2999 + 1);
	log_open("child");
	log_line(LOG_NOTICE_, "f");
	assert_string_equal(written() + 40 + 6 + 2999 + 1, "<6>child: f\n");
}

/* Of those that waited each is counted. */
static void
test_q16_gathered(void **state)
{
	uint64_t before = metrics_get(METRIC_LOST_LINES, 0, 0);
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	log_open("m");
	close(ends[0]);
	signal(SIGPIPE, SIG_IGN);
	log_gather(true);
	for (unsigned k = 0; k < 3; k++)
		log_line(LOG_NOTICE_, "%u", k);
	log_flush();
	assert_int_equal(metrics_get(METRIC_LOST_LINES, 0, 0), before + 3);
	signal(SIGPIPE, SIG_DFL);
	close(ends[1]);
	dup2(file, STDERR_FILENO);
	log_open("m");
	log_line(LOG_NOTICE_, "again");
	assert_non_null(strstr(written(), "m: warning: 3 lines of the log"));
}

/* How many of the lines that text has not, it says are lost. */
static unsigned
lost_lines(const char *text)
{
	unsigned n = 0;

	for (const char *p = text; (p = strstr(p, " lines of the log")); p++) {
		const char *number = p;

		while (number > text && number[-1] != ' ')
			number--;
		n += (unsigned)strtoul(number, NULL, 10);
	}
	return n;
}

static unsigned
count(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

/* Nobody reads: it does not wait for him, and says so when he is back. */
static void
test_q16_a_full_pipe(void **state)
{
	static char text[140000];
	int ends[2];
	ssize_t n, more;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	log_open("m");
	alarm(20);
	for (unsigned k = 0; k < 2000; k++)
		log_line(LOG_NOTICE_, "%0100u", k);
	/* a pipe may be small, and what was lost may be said in its end */
	n = read(ends[0], text, sizeof(text) / 2);
	assert_true(n > 0);
	log_line(LOG_NOTICE_, "again");
	alarm(0);
	more = read(ends[0], text + n, sizeof(text) / 2 - 1);
	assert_true(more > 0);
	text[n + more] = '\0';
	assert_true(count(text, "m: 000") > 0);
	assert_true(lost_lines(text) > 0);
	assert_int_equal(metrics_get(METRIC_LOST_LINES, 0, 0),
	    lost_lines(text));
	assert_int_equal(count(text, "m: 000") + lost_lines(text), 2000);
	assert_non_null(strstr(text, "m: again\n"));
	close(ends[0]);
	close(ends[1]);
	dup2(file, STDERR_FILENO);
	log_open("m");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)
	const struct CMUnitTest tests[] = {
		TEST(test_journal), TEST(test_other_journal),
		TEST(test_one_line), TEST(test_long_line),
		TEST(test_json), TEST(test_long_json),
		TEST(test_q16_a_full_pipe), TEST(test_gathered),
		TEST(test_q16_gathered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
