#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/metrics.h"
#include "dkim2/dkim2.h"

static char text[1 << 18];

static const char *
write_all(int64_t now_s, void (*tell)(void *, enum metric, struct buf *))
{
	struct buf b = {(uint8_t *)text, 0, sizeof(text) - 1, false};

	metrics_write(&b, now_s, tell, NULL);
	assert_false(b.full);
	text[b.n] = '\0';
	return text;
}

static bool
has_line(const char *line)
{
	const char *at = strstr(text, line);

	return at != NULL && (at == text || at[-1] == '\n') &&
	    at[strlen(line)] == '\n';
}

/* Every row is whole, and in the words that Prometheus asks for. */
static void
rows_are_whole(void **state)
{
	(void)state;
	for (size_t m = 0; m < METRIC__N; m++) {
		const struct metric_row *row = &metrics_rows[m];
		size_t cells = 1;

		assert_non_null(row->name);
		assert_memory_equal(row->name, "hopseal_", 8);
		assert_int_equal(strspn(row->name,
		    "abcdefghijklmnopqrstuvwxyz0123456789_"),
		    strlen(row->name));
		assert_non_null(row->help);
		assert_null(strpbrk(row->help, "\\\n"));
		assert_int_not_equal(row->help[strlen(row->help) - 1], '.');
		for (size_t k = 0; k < m; k++)
			assert_string_not_equal(row->name,
			    metrics_rows[k].name);
		assert_int_equal(strstr(row->name, "_total") != NULL,
		    row->kind == METRIC_COUNTER);
		assert_int_equal(m < METRIC_GAUGES,
		    row->kind == METRIC_GAUGE || row->kind == METRIC_AGE);
		for (size_t l = 0; l < 2 && row->labels[l] != NULL; l++) {
			assert_int_equal(row->kind == METRIC_TOLD,
			    row->labels[l]->words == NULL);
			for (size_t k = 0; k < row->labels[l]->n; k++)
				assert_non_null(row->labels[l]->words[k]);
			cells *= row->labels[l]->n;
		}
		assert_true(cells <= (m < METRIC_GAUGES ? 8 : 48));
	}
}

/* Words of what is counted are those of the modules that know it. */
static void
words_are_the_modules(void **state)
{
	const struct metric_label *role =
	    metrics_rows[METRIC_SESSIONS].labels[0];
	const struct metric_label *verdict =
	    metrics_rows[METRIC_VERDICTS].labels[1];
	const struct metric_label *algorithm =
	    metrics_rows[METRIC_SIGNATURES].labels[0];

	(void)state;
	assert_int_equal(role->n, ROLE__N);
	for (size_t k = 0; k < role->n; k++)
		assert_string_equal(role->words[k],
		    config_role_name((enum config_role)k));
	assert_int_equal(verdict->n, DKIM2_TEMPERROR + 1);
	for (size_t k = 0; k < verdict->n; k++)
		assert_string_equal(verdict->words[k],
		    dkim2_state_name((enum dkim2_state)k));
	assert_int_equal(algorithm->n, DKIM2_ALGORITHM__N);
	for (size_t k = 0; k < algorithm->n; k++)
		assert_string_equal(algorithm->words[k],
		    dkim2_algorithm_name((enum dkim2_algorithm)k));
}

static void
counters_count(void **state)
{
	(void)state;
	metrics_count(METRIC_MESSAGES, ROLE_EGRESS, OUTCOME_REFUSED);
	metrics_add(METRIC_MESSAGES, ROLE_EGRESS, OUTCOME_REFUSED, 41);
	metrics_count(METRIC_LOST_LINES, 0, 0);
	write_all(0, NULL);
	assert_true(has_line("hopseal_messages_total{role=\"egress\","
	    "outcome=\"refused\"} 42"));
	assert_true(has_line("hopseal_messages_total{role=\"egress\","
	    "outcome=\"accepted\"} 0"));
	assert_true(has_line("hopseal_log_lines_lost_total 1"));
	assert_true(has_line("# TYPE hopseal_messages_total counter"));
	assert_true(has_line("# TYPE hopseal_sessions_open gauge"));
}

/* A bound is within its bucket; sums and counts go with them. */
static void
times_fall_into_buckets(void **state)
{
	(void)state;
	metrics_observe(METRIC_DELAY, 50);
	metrics_observe(METRIC_DELAY, 51);
	metrics_observe(METRIC_DELAY, 2400);
	metrics_observe(METRIC_DELAY, 500 * 1000);
	metrics_observe(METRIC_DELAY, -1);
	write_all(0, NULL);
	assert_true(has_line("# TYPE hopseal_message_seconds histogram"));
	assert_true(has_line("hopseal_message_seconds_bucket{le=\"0.05\"} 2"));
	assert_true(has_line("hopseal_message_seconds_bucket{le=\"0.1\"} 3"));
	assert_true(has_line("hopseal_message_seconds_bucket{le=\"2.5\"} 4"));
	assert_true(has_line("hopseal_message_seconds_bucket{le=\"240\"} 4"));
	assert_true(has_line("hopseal_message_seconds_bucket{le=\"+Inf\"} 5"));
	assert_true(has_line("hopseal_message_seconds_sum 502.501"));
	assert_true(has_line("hopseal_message_seconds_count 5"));
}

static void
tell(void *arg, enum metric m, struct buf *out)
{
	(void)arg;
	if (m == METRIC_KEY_PUBLISHED)
		metrics_write_line(out, m, "a\"b\\c\nd", "s1", 1);
}

/* P7: whatever a name holds, it ends where it should. */
static void
names_are_escaped_P7(void **state)
{
	(void)state;
	write_all(0, tell);
	assert_true(has_line("hopseal_key_published{domain=\"a\\\"b\\\\c\\nd\","
	    "selector=\"s1\"} 1"));
}

/* Runs what a child says, until it is told to go; its exit is awaited. */
static pid_t
begin_child(void (*say)(void), int go[2], int said[2])
{
	char c = 0;
	pid_t pid;

	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(said), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		say();
		(void)!write(said[1], &c, 1);
		(void)!read(go[0], &c, 1);
		_exit(0);
	}
	assert_int_equal(read(said[0], &c, 1), 1);
	return pid;
}

static void
end_child(pid_t pid, int go[2], int said[2])
{
	assert_int_equal(write(go[1], "", 1), 1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (int k = 0; k < 2; k++) {
		close(go[k]);
		close(said[k]);
	}
}

static void
say_as_worker(void)
{
	metrics_begin(METRIC_PROCESS_WORKER);
	metrics_move(METRIC_SESSIONS_OPEN, ROLE_EGRESS, 3);
	metrics_move(METRIC_SESSIONS_OPEN, ROLE_EGRESS, -1);
	metrics_set(METRIC_QUEUE_OLDEST, 0, 1000);
	metrics_count(METRIC_SESSIONS, ROLE_EGRESS, 0);
	metrics_beat(5000);
	metrics_ready(true);
}

/* What a process said of itself goes with it, what it counted stays. */
static void
a_gauge_goes_with_its_process(void **state)
{
	struct metrics_health h;
	int go[2], said[2];
	pid_t pid;

	(void)state;
	assert_int_equal(metrics_open(), 0);
	pid = begin_child(say_as_worker, go, said);
	assert_int_equal(metrics_get(METRIC_SESSIONS_OPEN, ROLE_EGRESS, 0), 2);
	assert_int_equal(metrics_get(METRIC_PROCESSES,
	    METRIC_PROCESS_WORKER, 0), 1);
	write_all(1030, NULL);
	assert_true(has_line("hopseal_queue_oldest_age_seconds 30"));
	metrics_health(METRIC_PROCESS_WORKER, 6000, 1000, &h);
	assert_int_equal(h.n, 1);
	assert_int_equal(h.n_ready, 1);
	assert_int_equal(h.n_late, 0);
	metrics_health(METRIC_PROCESS_WORKER, 6001, 1000, &h);
	assert_int_equal(h.n_late, 1);
	metrics_health(METRIC_PROCESS_SIGNER, 6001, 1000, &h);
	assert_int_equal(h.n, 0);
	end_child(pid, go, said);
	metrics_reap(pid);
	assert_int_equal(metrics_get(METRIC_SESSIONS_OPEN, ROLE_EGRESS, 0), 0);
	assert_int_equal(metrics_get(METRIC_PROCESSES,
	    METRIC_PROCESS_WORKER, 0), 0);
	assert_int_equal(metrics_get(METRIC_SESSIONS, ROLE_EGRESS, 0), 1);
	write_all(1030, NULL);
	assert_true(has_line("hopseal_queue_oldest_age_seconds 0"));
	metrics_health(METRIC_PROCESS_WORKER, 6001, 1000, &h);
	assert_int_equal(h.n, 0);
	assert_int_equal(h.n_ready, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_whole),
		cmocka_unit_test(words_are_the_modules),
		cmocka_unit_test(counters_count),
		cmocka_unit_test(times_fall_into_buckets),
		cmocka_unit_test(names_are_escaped_P7),
		cmocka_unit_test(a_gauge_goes_with_its_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
