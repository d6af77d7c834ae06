/* Orders: memory that only one can write, ends of their own, what is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/wait.h>

#include "base/err.h"
#include "config/value.h"
#include "daemon/metrics.h"
#include "daemon/orders.h"
#include "daemon/orders_command.h"
#include "daemon/orders_tell.h"

#define NAME(s) BYTES_LIT(s)

struct fixture {
	const struct orders *read;
	struct orders *written;
	int fd;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->read = orders_make(&f->fd);
	assert_non_null(f->read);
	f->written = orders_open(f->fd);
	assert_non_null(f->written);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	close(f->fd);
	free(f);
	return 0;
}

static struct orders_now
now_of(const struct fixture *f, const char *name, int64_t now_ms)
{
	const struct config_listener l = {.name = name,
	    .verify = VERIFY_OBSERVE};

	return orders_now(f->read, &l, now_ms);
}

static void
nothing_is_ordered_at_first(void **state)
{
	const struct fixture *f = *state;
	const struct config_listener l = {.name = "in",
	    .verify = VERIFY_ENFORCE};
	const uint8_t ip[16] = {0};

	assert_int_equal(orders_now(f->read, &l, 0).verify, VERIFY_ENFORCE);
	assert_int_equal(orders_now(NULL, &l, 0).verify, VERIFY_ENFORCE);
	assert_false(now_of(f, "in", 0).is_bypassed);
	assert_false(orders_watches(f->read, ip, 0));
	assert_false(orders_watches(NULL, ip, 0));
	assert_int_equal(orders_name(f->read, 0).n, 0);
}

static void
an_order_ends_by_itself(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(orders_set(f->written, NAME("in"), ORDERS_BYPASS, 0,
	    1000), 0);
	assert_int_equal(orders_set(f->written, NAME("in"), ORDERS_VERIFY,
	    VERIFY_ENFORCE, 2000), 0);
	assert_true(now_of(f, "in", 999).is_bypassed);
	assert_int_equal(now_of(f, "in", 999).verify, VERIFY_OFF);
	assert_false(now_of(f, "in", 1000).is_bypassed);
	assert_int_equal(now_of(f, "in", 1000).verify, VERIFY_ENFORCE);
	assert_int_equal(now_of(f, "in", 2000).verify, VERIFY_OBSERVE);
	assert_false(now_of(f, "inn", 999).is_bypassed);
	assert_false(now_of(f, "i", 999).is_bypassed);
}

static void
one_without_an_end_stays(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(orders_set(f->written, NAME("in"), ORDERS_PAUSE, 0,
	    ORDERS_FOREVER), 0);
	assert_true(now_of(f, "in", INT64_MAX / 8).is_paused);
	assert_true(orders_until(f->read, NAME("in"), ORDERS_PAUSE, 5,
	    NULL) == ORDERS_FOREVER);
	assert_int_equal(orders_set(f->written, NAME("in"), ORDERS_PAUSE, 0,
	    0), 0);
	assert_false(now_of(f, "in", 5).is_paused);
}

/* A worker that was taken over can not make it writable either. */
static void
who_reads_can_not_write(void **state)
{
	const struct fixture *f = *state;
	void *page = (void *)(uintptr_t)f->read;
	int status;
	pid_t pid;

	assert_int_not_equal(mprotect(page, 4096, PROT_READ | PROT_WRITE), 0);
	pid = fork();
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		*(volatile uint8_t *)page = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
}

static void
a_child_sees_what_is_ordered_later(void **state)
{
	const struct fixture *f = *state;
	int pair[2], status;
	char octet;
	pid_t pid;

	assert_int_equal(pipe(pair), 0);
	pid = fork();
	if (pid == 0) {
		(void)!read(pair[0], &octet, 1);
		_exit(now_of(f, "in", 1).is_drained ? 0 : 1);
	}
	assert_int_equal(orders_set(f->written, NAME("in"), ORDERS_DRAIN, 0,
	    ORDERS_FOREVER), 0);
	assert_int_equal(write(pair[1], "x", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close(pair[0]);
	close(pair[1]);
}

static void
a_listener_that_is_gone_loses_its_orders(void **state)
{
	const struct fixture *f = *state;
	const struct config_listener left[] = {{.name = "out"}};
	const struct config c = {.listeners = (void *)(uintptr_t)left,
	    .n_listeners = 1};

	assert_int_equal(orders_set(f->written, NAME("in"), ORDERS_PAUSE, 0,
	    ORDERS_FOREVER), 0);
	assert_int_equal(orders_set(f->written, NAME("out"), ORDERS_PAUSE, 0,
	    ORDERS_FOREVER), 0);
	orders_trim(f->written, &c);
	assert_false(now_of(f, "in", 1).is_paused);
	assert_true(now_of(f, "out", 1).is_paused);
}

/* What `set` would refuse now, an older configuration allowed. */
static void
what_does_not_fit_any_more_is_taken_back(void **state)
{
	struct fixture *f = *state;
	struct config_listener l = {.name = "l", .verify = VERIFY_OBSERVE};
	const struct config c = {.listeners = &l, .n_listeners = 1};
	const struct orders_scene s = {f->written, &c, 1000};
	unsigned what;

	assert_null(orders_take_back(&s, &l, &what));
	assert_int_equal(orders_set(f->written, NAME("l"), ORDERS_VERIFY,
	    VERIFY_OFF, ORDERS_FOREVER), 0);
	assert_int_equal(orders_set(f->written, NAME("l"), ORDERS_PAUSE, 0,
	    ORDERS_FOREVER), 0);
	assert_null(orders_take_back(&s, &l, &what));
	assert_int_equal(now_of(f, "l", 1000).verify, VERIFY_OFF);
	l.n_policy = 1;
	assert_non_null(orders_take_back(&s, &l, &what));
	assert_int_equal(what, VERIFY_OFF);
	assert_int_equal(now_of(f, "l", 1000).verify, VERIFY_OBSERVE);
	assert_true(now_of(f, "l", 1000).is_paused);
	assert_null(orders_take_back(&s, &l, &what));
	/* one that is over is none */
	assert_int_equal(orders_set(f->written, NAME("l"), ORDERS_VERIFY,
	    VERIFY_OFF, 999), 0);
	assert_null(orders_take_back(&s, &l, &what));
}

static void
there_is_an_end_of_names(void **state)
{
	const struct fixture *f = *state;
	char name[32];

	for (unsigned k = 0; k < ORDERS_NAMES; k++) {
		snprintf(name, sizeof(name), "l%u", k);
		assert_int_equal(orders_set(f->written, bytes_of(name),
		    ORDERS_PAUSE, 0, 10), 0);
	}
	assert_int_equal(orders_set(f->written, NAME("more"), ORDERS_PAUSE, 0,
	    10), -E_LIMIT);
	/* what never was needs no room to be taken back */
	assert_int_equal(orders_set(f->written, NAME("more"), ORDERS_PAUSE, 0,
	    0), 0);
	assert_true(now_of(f, "l255", 9).is_paused);
}

static void
networks_are_watched_for_a_while(void **state)
{
	const struct fixture *f = *state;
	struct config_net net;
	char text[32];
	uint8_t ip[16];

	assert_null(config_value_net(BYTES_LIT("192.0.2.0/24"), &net));
	assert_true(config_value_ip(BYTES_LIT("192.0.2.7"), ip));
	assert_int_equal(orders_watch(f->written, &net, 100, 1), 0);
	assert_true(orders_watches(f->read, ip, 99));
	assert_false(orders_watches(f->read, ip, 100));
	assert_int_equal(orders_watch(f->written, &net, 0, 1), 0);
	assert_false(orders_watches(f->read, ip, 50));
	for (unsigned k = 0; k < ORDERS_NETS; k++) {
		snprintf(text, sizeof(text), "10.0.%u.0/24", k);
		assert_null(config_value_net(bytes_of(text), &net));
		assert_int_equal(orders_watch(f->written, &net, 100, 1), 0);
		assert_int_equal(orders_watch(f->written, &net, 100, 1), 0);
	}
	assert_null(config_value_net(BYTES_LIT("10.1.0.0/24"), &net));
	assert_int_equal(orders_watch(f->written, &net, 200, 1), -E_LIMIT);
	/* a place that is over is another's */
	assert_int_equal(orders_watch(f->written, &net, 200, 100), 0);
}

static void
what_is_in_force_is_listed(void **state)
{
	const struct fixture *f = *state;
	struct config_net net;
	char octets[2000];
	struct buf b = BUF_ON(octets);

	assert_null(config_value_net(BYTES_LIT("192.0.2.0/24"), &net));
	(void)orders_set(f->written, NAME("in"), ORDERS_VERIFY,
	    VERIFY_ENFORCE, ORDERS_FOREVER);
	(void)orders_set(f->written, NAME("in"), ORDERS_BYPASS, 0, 3661000);
	(void)orders_set(f->written, NAME("out"), ORDERS_PAUSE, 0, 59000);
	(void)orders_set(f->written, NAME("old"), ORDERS_PAUSE, 0, 500);
	(void)orders_watch(f->written, &net, 90000, 1000);
	orders_list(f->read, 1000, &b);
	buf_add_octet(&b, 0);
	assert_string_equal(octets,
	    "listener in: BYPASS: unsigned and not judged, by order, "
	    "1h 1m left\n"
	    "listener in: verify: enforce, by order\n"
	    "listener out: paused: 451 for new mail, by order, 58s left\n"
	    "clients of 192.0.2.0/24: sessions are logged in full, by order, "
	    "1m 29s left\n");
}

/* ---- what is told -------------------------------------------------------- */

/* Calls orders_tell() and compares what it logs, the times left out. */
static int64_t
told(struct orders_told *t, const struct fixture *f, int64_t now_ms,
    const char *expected)
{
	FILE *file = tmpfile();
	int was = dup(STDERR_FILENO);
	char said[2000] = "", line[1000];
	int64_t next;

	assert_non_null(file);
	dup2(fileno(file), STDERR_FILENO);
	next = orders_tell(t, f->read, now_ms, 1795651200 + now_ms / 1000);
	dup2(was, STDERR_FILENO);
	close(was);
	rewind(file);
	while (fgets(line, sizeof(line), file) != NULL) {
		const char *at = strstr(line, "] : ");

		assert_non_null(at);
		strncat(said, at + 4, sizeof(said) - strlen(said) - 1);
	}
	fclose(file);
	assert_string_equal(said, expected);
	return next;
}

static void
a_bypass_is_alarmed_while_it_lasts(void **state)
{
	const struct fixture *f = *state;
	struct orders_told *t = calloc(1, sizeof(*t));
	static const char begins[] = "error: ALARM: bypass: mail of listener "
	    "out leaves unsigned and is not judged, until "
	    "2026-11-26T00:30:00Z ";
	char line[300];

	assert_true(told(t, f, 0, "") == INT64_MAX);
	(void)orders_set(f->written, NAME("out"), ORDERS_BYPASS, 0, 1800000);
	snprintf(line, sizeof(line), "%s(30m 0s)\n", begins);
	assert_int_equal(told(t, f, 0, line), ORDERS_ALARM_MS);
	assert_int_equal(told(t, f, 1000, ""), ORDERS_ALARM_MS);
	assert_int_equal(metrics_get(METRIC_ORDERS, ORDER_BYPASS, 0), 1);
	assert_int_equal(metrics_get(METRIC_ORDERS, ORDER_PAUSE, 0), 0);
	snprintf(line, sizeof(line), "%s(20m 0s)\n", begins);
	assert_int_equal(told(t, f, 600000, line), 1200000);
	/* the next process goes on */
	memset(t, 0, sizeof(*t));
	snprintf(line, sizeof(line), "%s(10m 0s)\n", begins);
	assert_int_equal(told(t, f, 1200000, line), 1800000);
	assert_true(told(t, f, 1800000, "error: ALARM: bypass: over: mail of "
	    "listener out is signed and judged again\n") == INT64_MAX);
	assert_true(told(t, f, 9000000, "") == INT64_MAX);
	assert_int_equal(metrics_get(METRIC_ORDERS, ORDER_BYPASS, 0), 0);
	free(t);
}

static void
others_are_told_when_they_begin_and_end(void **state)
{
	const struct fixture *f = *state;
	struct orders_told *t = calloc(1, sizeof(*t));
	struct config_net net;

	assert_null(config_value_net(BYTES_LIT("192.0.2.0/24"), &net));
	(void)orders_set(f->written, NAME("in"), ORDERS_PAUSE, 0,
	    ORDERS_FOREVER);
	(void)orders_set(f->written, NAME("in"), ORDERS_VERIFY, VERIFY_OFF,
	    ORDERS_FOREVER);
	(void)orders_watch(f->written, &net, 60000, 0);
	assert_int_equal(told(t, f, 0,
	    "warning: paused by order: listener in answers MAIL with 451, "
	    "until it is taken back or a restart\n"
	    "warning: set by order: listener in has verify: off, until it is "
	    "taken back or a restart\n"
	    "warning: debug by order: the dialogue is logged of clients of "
	    "192.0.2.0/24, until 2026-11-26T00:01:00Z (1m 0s)\n"), 60000);
	assert_int_equal(told(t, f, 700, ""), 60000);
	(void)orders_set(f->written, NAME("in"), ORDERS_PAUSE, 0, 0);
	(void)orders_set(f->written, NAME("in"), ORDERS_VERIFY,
	    VERIFY_ENFORCE, ORDERS_FOREVER);
	assert_true(told(t, f, 60000,
	    "warning: paused no more: listener in takes mail again\n"
	    "warning: set by order: listener in has verify: enforce, until "
	    "it is taken back or a restart\n"
	    "warning: debug no more: clients of 192.0.2.0/24\n") ==
	    INT64_MAX);
	free(t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(nothing_is_ordered_at_first),
		TEST(an_order_ends_by_itself),
		TEST(one_without_an_end_stays),
		TEST(who_reads_can_not_write),
		TEST(a_child_sees_what_is_ordered_later),
		TEST(a_listener_that_is_gone_loses_its_orders),
		TEST(what_does_not_fit_any_more_is_taken_back),
		TEST(there_is_an_end_of_names),
		TEST(networks_are_watched_for_a_while),
		TEST(what_is_in_force_is_listed),
		TEST(a_bypass_is_alarmed_while_it_lasts),
		TEST(others_are_told_when_they_begin_and_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
