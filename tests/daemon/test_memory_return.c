/* Where return addresses lead, between workers and the keeper. */
#include "tests/daemon/memory_kit.h"

static void
find_is(struct fixture *f, int client, unsigned n, enum memory_status status,
    const char *path)
{
	uint8_t id[MEMORY_RETURN_ID] = {(uint8_t)n, (uint8_t)(n >> 8)};

	assert_int_equal(memory_return_find(f->clients[client].m, id, 2), 0);
	wait_for(f, 1);
	expect(f, 2, status, path);
}

static void
keep_return(struct fixture *f, unsigned n, const char *path)
{
	uint8_t id[MEMORY_RETURN_ID] = {(uint8_t)n, (uint8_t)(n >> 8)};

	memory_return_keep(f->clients[0].m, id, bytes_of(path));
}

static void
ways_back_are_known_to_all(void **state)
{
	struct fixture *f = *state;

	find_is(f, 0, 1, MEMORY_NEW, "");
	keep_return(f, 1, "<a@one.example>");
	keep_return(f, 2, "<b@one.example>");
	keep_return(f, 1, "<a@one.example>");
	find_is(f, 0, 1, MEMORY_KNOWN, "<a@one.example>");
	find_is(f, 1, 2, MEMORY_KNOWN, "<b@one.example>");
	find_is(f, 1, 3, MEMORY_NEW, "");
	kill_keeper(f, SIGKILL);
	find_is(f, 1, 2, MEMORY_OUT, "");
	start_keeper(f);
	settle(f, 1);
	find_is(f, 1, 2, MEMORY_KNOWN, "<b@one.example>");
	assert_int_equal(memory_counted(f->clients[0].m)->lost, 0);
}

/* What no keeper has confirmed is said to the next one: the latest of it. */
static void
the_next_keeper_hears_of_ways_back(void **state)
{
	struct fixture *f = *state;
	char path[64];

	kill(f->pid, SIGSTOP);
	keep_return(f, 1, "<a@one.example>");
	kill_keeper(f, SIGKILL);
	keep_return(f, 2, "<b@one.example>");
	start_keeper(f);
	settle(f, 0);
	find_is(f, 1, 1, MEMORY_KNOWN, "<a@one.example>");
	find_is(f, 1, 2, MEMORY_KNOWN, "<b@one.example>");
	kill_keeper(f, SIGKILL);
	f->limits.max_returns = 10000;
	for (unsigned n = 0; n < 4097; n++) {
		snprintf(path, sizeof(path), "<%u@two.example>", n);
		keep_return(f, 100 + n, path);
	}
	start_keeper(f);
	settle(f, 0);
	find_is(f, 0, 100, MEMORY_NEW, "");
	find_is(f, 0, 101, MEMORY_KNOWN, "<1@two.example>");
	find_is(f, 0, 100 + 4096, MEMORY_KNOWN, "<4096@two.example>");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ways_back_are_known_to_all,
		    start, stop),
		cmocka_unit_test_setup_teardown(
		    the_next_keeper_hears_of_ways_back, start, stop),
	};

	assert_true(sodium_init() >= 0);
	log_open("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
