/* Deliveries of two machines, over a real Redis server. */
#include "tests/daemon/shared_nodes.h"

#include "daemon/shared_state.h"

static void
say_to(struct node *n, enum memory_op op, char key)
{
	struct memory_request q = {.op = (uint8_t)op, .tag = 7, .n_value = 1};

	memset(q.key, key, sizeof(q.key));
	n->n_told = 0;
	shared_take(n->shared, 1, &q, (struct bytes){(uint8_t *)&key, 1});
}

static bool
is_told(struct fixture *f, void *arg)
{
	(void)f;
	return ((struct node *)arg)->n_told != 0;
}

static bool
is_heard(struct fixture *f, void *arg)
{
	(void)f;
	return ((struct node *)arg)->shared->notes.n == 0;
}

static enum memory_status
claim(struct node *n, char key)
{
	say_to(n, MEMORY_OP_CLAIM, key);
	until(n->f, is_told, n);
	return (enum memory_status)n->status;
}

/* Until the server has heard of it. */
static void
end_as(struct node *n, enum memory_op op, char key)
{
	say_to(n, op, key);
	until(n->f, is_heard, n);
}

static void
a_release_forgets(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;

	NEEDS_SERVER(f);
	assert_int_equal(claim(a, '1'), MEMORY_NEW);
	assert_int_equal(claim(b, '1'), MEMORY_BUSY);
	end_as(a, MEMORY_OP_RELEASE, '1');
	assert_int_equal(claim(b, '1'), MEMORY_NEW);
	/* but no earlier try */
	end_as(b, MEMORY_OP_UNSURE, '1');
	assert_int_equal(claim(a, '1'), MEMORY_AGAIN);
	end_as(a, MEMORY_OP_RELEASE, '1');
	assert_int_equal(claim(b, '1'), MEMORY_AGAIN);
}

/* Who had no server when he claimed it may end it when another has claimed it
 * anew. */
static void
V8_what_another_ended_outlives_a_release(void **state)
{
	struct fixture *f = *state;
	struct node *a = f->nodes, *b = f->nodes + 1;

	NEEDS_SERVER(f);
	assert_int_equal(claim(b, '1'), MEMORY_NEW);
	end_as(a, MEMORY_OP_DELIVERED, '1');
	assert_int_equal(a->status, MEMORY_DELIVERED);
	end_as(b, MEMORY_OP_RELEASE, '1');
	assert_int_equal(claim(b, '1'), MEMORY_DELIVERED);
	assert_int_equal(claim(b, '2'), MEMORY_NEW);
	end_as(a, MEMORY_OP_UNSURE, '2');
	assert_int_equal(claim(a, '2'), MEMORY_BUSY);
	end_as(b, MEMORY_OP_RELEASE, '2');
	assert_int_equal(claim(a, '2'), MEMORY_AGAIN);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	static const struct CMUnitTest tests[] = {
		TEST(a_release_forgets),
		TEST(V8_what_another_ended_outlives_a_release),
	};

	log_open("test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
