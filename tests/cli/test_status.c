/* The lines of hopseal status: what is read from them, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "cli/status.h"

static struct arena *arena;

static struct status
read_lines(const char *text)
{
	struct status s;

	assert_int_equal(status_read(&s, bytes_of(text), arena), 0);
	return s;
}

static int
begin(void **state)
{
	(void)state;
	arena = arena_new(1 << 20);
	return arena == NULL;
}

static int
finish(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static void
assert_text(const struct status_line *l, const char *name, const char *is)
{
	struct bytes b = status_text(l, name);

	assert_non_null(b.p);
	assert_int_equal(b.n, strlen(is));
	assert_memory_equal(b.p, is, b.n);
}

static void
fields_are_found(void **state)
{
	struct status s = read_lines("a x=1 y:22 z:-3\nb x=2\na x=3\n");
	const struct status_line *l = status_line(&s, "a", 0);

	(void)state;
	assert_int_equal(s.n, 3);
	assert_text(l, "x", "1");
	assert_int_equal(status_number(l, "y"), 22);
	assert_int_equal(status_number(l, "z"), -3);
	assert_null(status_text(l, "none").p);
	assert_int_equal(status_number(l, "none"), 0);
	assert_text(status_line(&s, "a", 1), "x", "3");
	assert_null(status_line(&s, "a", 2));
	assert_null(status_line(&s, "c", 0));
	assert_null(status_text(NULL, "x").p);
}

static void
texts_are_unescaped(void **state)
{
	struct status s = read_lines("a x=%20%25%0A%C3%A4 y= z=%2 w=%zz%");
	const struct status_line *l;

	(void)state;
	assert_int_equal(s.n, 0);	/* a line has an end */
	s = read_lines("a x=%20%25%0A%C3%A4=: y= z=%2 w=%zz%\n");
	l = status_line(&s, "a", 0);
	assert_text(l, "x", " %\n\xc3\xa4=:");
	assert_text(l, "y", "");
	assert_text(l, "z", "%2");
	assert_text(l, "w", "%zz%");
}

static void
what_is_no_field_is_left_out(void **state)
{
	struct status s = read_lines("a =1 x :2 y:z  q:1x n:-\na\n\n");

	(void)state;
	assert_int_equal(s.n, 3);
	assert_int_equal(s.lines[0].n, 0);
	assert_int_equal(s.lines[1].n, 0);
	assert_int_equal(s.lines[2].kind.n, 0);
}

static void
many_fields_have_a_bound(void **state)
{
	char text[1024] = "a";
	struct status s;

	(void)state;
	for (int k = 0; k < 100; k++)
		strcat(text, " x:1");
	strcat(text, "\n");
	s = read_lines(text);
	assert_int_equal(s.lines[0].n, 64);
}

static void
no_memory_is_told(void **state)
{
	struct arena *small = arena_new(1000);
	struct status s;

	(void)state;
	assert_int_equal(status_read(&s, BYTES_LIT("a x=1\nb\n"), small),
	    -E_NOMEM);
	arena_free(&small);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_found),
		cmocka_unit_test(texts_are_unescaped),
		cmocka_unit_test(what_is_no_field_is_left_out),
		cmocka_unit_test(many_fields_have_a_bound),
		cmocka_unit_test(no_memory_is_told),
	};

	return cmocka_run_group_tests(tests, begin, finish);
}
