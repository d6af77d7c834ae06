#include "daemon/tls_watch.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct files {
	char folder[64];
	char cert[96], key[96], other[96];
	struct config_tls pair;
	struct config_listener listener;
	struct config config;
	struct tls_watch watch;
	int64_t now_ms;
};

static void
put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int
setup(void **state)
{
	struct files *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_true(sodium_init() >= 0);
	snprintf(f->folder, sizeof(f->folder), "/tmp/hopseal-watch-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->cert, sizeof(f->cert), "%s/cert", f->folder);
	snprintf(f->key, sizeof(f->key), "%s/key", f->folder);
	snprintf(f->other, sizeof(f->other), "%s/other", f->folder);
	put(f->cert, "1");
	put(f->key, "1");
	put(f->other, "other");
	f->pair = (struct config_tls){f->cert, f->key};
	f->listener = (struct config_listener){.tls = &f->pair, .n_tls = 1};
	f->config = (struct config){.listeners = &f->listener,
	    .n_listeners = 1};
	tls_watch_begin(&f->watch, &f->config, 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct files *f = *state;

	unlink(f->cert);
	unlink(f->key);
	unlink(f->other);
	rmdir(f->folder);
	free(f);
	return 0;
}

static bool
look(struct files *f)
{
	f->now_ms += TLS_WATCH_MS;
	return tls_watch_look(&f->watch, &f->config, f->now_ms);
}

static void
test_nothing_has_changed(void **state)
{
	assert_false(look(*state));
	assert_false(look(*state));
	assert_false(look(*state));
}

/* Certificate and key are written one behind the other. */
static void
test_a_change_is_told_when_it_is_over(void **state)
{
	struct files *f = *state;

	put(f->cert, "22");
	assert_false(look(f));
	put(f->key, "22");
	assert_false(look(f));
	assert_true(look(f));
	/* and again, as long as nobody has tried */
	assert_true(look(f));
	tls_watch_begin(&f->watch, &f->config, f->now_ms);
	assert_false(look(f));
	assert_false(look(f));
}

static void
test_files_are_looked_at_now_and_then(void **state)
{
	struct files *f = *state;

	put(f->cert, "22");
	assert_false(look(f));
	assert_false(tls_watch_look(&f->watch, &f->config, f->now_ms + 1));
	assert_int_equal(f->watch.next_ms, f->now_ms + TLS_WATCH_MS);
	assert_true(look(f));
}

/* The same size and time: another file all the same. */
static void
test_a_link_that_is_turned_is_a_change(void **state)
{
	struct files *f = *state;

	unlink(f->key);
	assert_int_equal(symlink(f->other, f->key), 0);
	assert_false(look(f));
	assert_true(look(f));
	tls_watch_begin(&f->watch, &f->config, f->now_ms);
	put(f->other, "changed");
	assert_false(look(f));
	assert_true(look(f));
}

static void
test_a_file_that_is_gone_is_a_change(void **state)
{
	struct files *f = *state;

	unlink(f->cert);
	assert_false(look(f));
	assert_true(look(f));
}

static void
test_the_ca_file_counts_too(void **state)
{
	struct files *f = *state;

	f->listener.tls_ca = f->other;
	tls_watch_begin(&f->watch, &f->config, f->now_ms);
	put(f->other, "changed");
	assert_false(look(f));
	assert_true(look(f));
}

/* A worker may open the file that was there, and not what replaced it. */
static void
test_resolvers_count_for_those_shut_in(void **state)
{
	struct files *f = *state;

	f->listener.n_tls = 0;
	f->config.is_sandboxed = true;
	f->watch.hosts = f->cert;
	f->watch.resolvers = f->key;
	tls_watch_begin(&f->watch, &f->config, f->now_ms);
	assert_false(look(f));
	put(f->key, "nameserver 192.0.2.1");
	assert_false(look(f));
	assert_true(look(f));
	f->config.n_resolver = 1;	/* the system's are not asked */
	tls_watch_begin(&f->watch, &f->config, f->now_ms);
	put(f->key, "nameserver 192.0.2.129");
	assert_false(look(f));
	assert_false(look(f));
	put(f->cert, "192.0.2.1 a.example");
	assert_false(look(f));
	assert_true(look(f));
}

static void
test_without_files_nothing_is_awaited(void **state)
{
	struct files *f = *state;

	f->listener.n_tls = 0;
	tls_watch_begin(&f->watch, &f->config, f->now_ms);
	assert_true(f->watch.next_ms == INT64_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_has_changed,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_change_is_told_when_it_is_over, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_files_are_looked_at_now_and_then, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_link_that_is_turned_is_a_change, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_file_that_is_gone_is_a_change, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_ca_file_counts_too,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_resolvers_count_for_those_shut_in, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_without_files_nothing_is_awaited, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
