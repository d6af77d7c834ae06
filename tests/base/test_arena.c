#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/err.h"

/* A sanitizer would abort where malloc() says no. */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

/* P6: no size is so large that less than it is handed out. */
static void
sizes_do_not_wrap(void **state)
{
	struct arena *a = arena_new(SIZE_MAX);
	struct bytes all = {(const uint8_t *)"", SIZE_MAX};
	struct buf b;

	(void)state;
	for (size_t k = 0; k < 100; k++) {
		assert_null(arena_alloc(a, SIZE_MAX - k));
		assert_int_equal(arena_buf(a, SIZE_MAX - k, &b), -E_NOMEM);
	}
	for (size_t size = 2; size < 100; size++) {
		assert_null(arena_array(a, SIZE_MAX / size + 1, size));
		assert_null(arena_array(a, size, SIZE_MAX / size + 1));
	}
	assert_null(arena_copy(a, all).p);
	assert_int_equal(arena_used(a), 0);
	assert_non_null(arena_array(a, 0, SIZE_MAX));
	assert_non_null(arena_array(a, SIZE_MAX, 0));
	arena_free(&a);
}

static void
the_cap_holds(void **state)
{
	struct arena *a = arena_new(64);

	(void)state;
	assert_null(arena_alloc(a, 65));
	for (unsigned k = 0; k < 2; k++) {
		assert_non_null(arena_alloc(a, 17));
		assert_non_null(arena_alloc(a, 32));
		assert_int_equal(arena_used(a), 64);
		assert_null(arena_alloc(a, 1));
		arena_reset(a);
	}
	arena_free(&a);
	assert_null(a);
	arena_free(&a);
}

/* Whatever stood there before; as large as a block, and larger. */
static void
what_is_handed_out_is_zero_and_aligned(void **state)
{
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		for (size_t n = 1; n < 9000; n = 2 * n + 1) {
			uint8_t *p = arena_alloc(a, n);

			assert_non_null(p);
			assert_int_equal((uintptr_t)p % 16, 0);
			for (size_t k = 0; k < n; k++)
				assert_int_equal(p[k], 0);
			memset(p, 0xff, n);
		}
		arena_reset(a);
	}
	arena_free(&a);
}

static void
a_copy_has_a_nul_behind_it(void **state)
{
	struct arena *a = arena_new(48);
	struct bytes b = arena_copy(a, BYTES_LIT("abc"));

	(void)state;
	assert_int_equal(b.n, 3);
	assert_memory_equal(b.p, "abc", 4);
	b = arena_copy(a, (struct bytes){NULL, 0});
	assert_true(b.n == 0 && b.p != NULL && b.p[0] == '\0');
	assert_null(arena_copy(a, BYTES_LIT("0123456789abcdef")).p);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_do_not_wrap),
		cmocka_unit_test(the_cap_holds),
		cmocka_unit_test(what_is_handed_out_is_zero_and_aligned),
		cmocka_unit_test(a_copy_has_a_nul_behind_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
