#include "daemon/share.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WORKERS 3
#define SOCKETS 2

static int
start(void **state)
{
	struct share *s = share_new(WORKERS, SOCKETS);

	*state = s;
	return s == NULL;
}

static int
finish(void **state)
{
	struct share *s = *state;

	share_free(&s);
	assert_null(s);
	return 0;
}

/* Who does not accept, or no longer, is not waited for. */
static void
test_only_who_accepts_counts(void **state)
{
	struct share *s = *state;

	share_join(s, 0, 0);
	share_set(s, 0, 0, 9);
	assert_int_equal(share_ahead(s, 0, 0), 0);
	share_join(s, 1, 0);
	assert_int_equal(share_ahead(s, 0, 0), 9);
	share_set(s, 1, 0, 4);
	assert_int_equal(share_ahead(s, 0, 0), 5);
	assert_int_equal(share_ahead(s, 1, 0), 0);
	share_leave(s, 1, 0);
	assert_int_equal(share_ahead(s, 0, 0), 0);
	share_set(s, 1, 0, 1);		/* a session of one that leaves ends */
	assert_int_equal(share_ahead(s, 0, 0), 0);
	assert_int_equal(share_ahead(s, 1, 0), 0);
}

static void
test_each_socket_for_itself(void **state)
{
	struct share *s = *state;

	for (size_t w = 0; w < WORKERS; w++)
		for (size_t k = 0; k < SOCKETS; k++)
			share_join(s, w, k);
	share_set(s, 0, 0, 7);
	share_set(s, 2, 1, 3);
	assert_int_equal(share_ahead(s, 0, 0), 7);
	assert_int_equal(share_ahead(s, 0, 1), 0);
	assert_int_equal(share_ahead(s, 2, 1), 3);
	share_set(s, 0, 1, 2);
	share_set(s, 1, 1, 1);
	assert_int_equal(share_ahead(s, 2, 1), 2);
}

/* It could not say so itself. */
static void
test_who_died_is_forgotten(void **state)
{
	struct share *s = *state;
	pid_t pid;
	int status;

	share_join(s, 0, 0);
	share_set(s, 0, 0, 3);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		share_join(s, 1, 0);
		share_join(s, 1, 1);
		share_set(s, 1, 0, 1);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(share_ahead(s, 0, 0), 2);	/* one memory */
	share_join(s, 2, 1);
	share_set(s, 2, 1, 5);
	assert_int_equal(share_ahead(s, 2, 1), 5);
	share_forget(s, 1);
	assert_int_equal(share_ahead(s, 0, 0), 0);
	assert_int_equal(share_ahead(s, 2, 1), 0);
}

/* Two that leave it to each other would let it wait. */
static void
test_who_rests_counts_for_more(void **state)
{
	struct share *s = *state;

	for (size_t w = 0; w < WORKERS; w++)
		share_join(s, w, 0);
	share_set(s, 0, 0, 9);
	share_set(s, 2, 0, 8);
	share_rest(s, 1, 0, true);
	assert_int_equal(share_ahead(s, 0, 0), 9 - SHARE_RESTING);
	share_set(s, 1, 0, 2);		/* it rests all the same */
	assert_int_equal(share_ahead(s, 0, 0), 1);
	share_rest(s, 2, 0, true);
	assert_int_equal(share_ahead(s, 2, 0), 0);
	assert_int_equal(share_ahead(s, 0, 0), 1);
	share_rest(s, 1, 0, false);
	assert_int_equal(share_ahead(s, 0, 0), 7);
	assert_int_equal(share_ahead(s, 2, 0), 6);
	share_leave(s, 1, 0);
	share_rest(s, 1, 0, false);	/* nor is who left */
	assert_int_equal(share_ahead(s, 0, 0), 0);
	assert_int_equal(share_ahead(s, 1, 0), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)
	const struct CMUnitTest tests[] = {
		TEST(test_only_who_accepts_counts),
		TEST(test_each_socket_for_itself),
		TEST(test_who_died_is_forgotten),
		TEST(test_who_rests_counts_for_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
