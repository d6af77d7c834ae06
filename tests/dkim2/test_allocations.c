/*
 * What a message costs in calls of malloc(): nothing for each field, nothing
 * for each line. Memory of a message comes from its arena, a block at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/dkim2/kit.h"

#define NOW 1795664097

#if defined(__SANITIZE_ADDRESS__)
#define HAS_OWN_MALLOC 1
#else
#define HAS_OWN_MALLOC 0
#endif

static size_t n_calls;

#if !HAS_OWN_MALLOC
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

void *
malloc(size_t n)
{
	n_calls++;
	return __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	n_calls++;
	return __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	n_calls++;
	return __libc_realloc(p, n);
}
#endif

static struct bytes
make_message(struct arena *a, size_t fields, size_t lines)
{
	struct buf b;

	assert_int_equal(arena_room(a, 200 + 60 * fields + 40 * lines, &b), 0);
	buf_add_str(&b, "From: <alice@one.example>\r\nSubject: Hi\r\n");
	for (size_t k = 0; k < fields; k++)
		buf_printf(&b, "X-Field-%zu: some\r\n\tfolded  value %zu\r\n", k, k);
	buf_add_str(&b, "\r\n");
	for (size_t k = 0; k < lines; k++)
		buf_printf(&b, "a line of the body %zu \r\n", k);
	assert_false(b.full);
	return buf_bytes(&b);
}

/* Calls while a message is split, hashed and judged. */
static size_t
verify(struct bytes octets)
{
	static const struct bytes to[] = {{(const uint8_t *)"<b@two.example>",
	    15}};
	const struct dkim2_envelope envelope = {
	    BYTES_LIT("<alice@one.example>"), to, 1};
	struct dkim2_limits limits;
	struct dkim2_verify_options opts = {.now_s = NOW,
	    .envelope = &envelope, .limits = &limits,
	    .hashes = 1U << DKIM2_SHA256};
	size_t before = n_calls, after, body_at = octets.n;
	size_t end = dkim2_header_end(octets, &body_at);
	struct arena *a = arena_new(KIT_ARENA);
	struct dkim2_message m;
	struct dkim2_verify *v;

	dkim2_limits_default(&limits);
	assert_int_equal(dkim2_message_parse(&m, bytes_first(octets, end),
	    100000, a), 0);
	assert_int_equal(dkim2_verify_new(&v, a, &opts), 0);
	assert_int_equal(dkim2_verify_header(v, &m), 0);
	for (struct bytes body = bytes_skip(octets, body_at); body.n != 0;
	    body = bytes_skip(body, 8192))
		assert_int_equal(dkim2_verify_body(v, bytes_first(body, 8192)),
		    0);
	assert_int_equal(dkim2_verify_end(v, bytes_skip(octets, body_at)), 0);
	assert_int_equal(dkim2_verify_step(v), DKIM2_DONE);
	dkim2_verify_fini(v);
	after = n_calls;
	arena_free(&a);
	return after - before;
}

/* Views of a thousand fields take a few blocks of the arena. */
static void
nothing_for_each_field_or_line(void **state)
{
	struct arena *a = arena_new(KIT_ARENA);
	size_t few, many, long_;

	(void)state;
	if (HAS_OWN_MALLOC) {
		arena_free(&a);
		print_message("SKIP a sanitizer has a malloc() of its own\n");
		skip();
	}
	(void)verify(make_message(a, 1, 1));	/* OpenSSL makes itself ready */
	few = verify(make_message(a, 10, 10));
	many = verify(make_message(a, 1000, 10));
	long_ = verify(make_message(a, 10, 100000));
	print_message("calls of malloc(): %zu with 10 fields, %zu with 1,000, "
	    "%zu with 100,000 lines\n", few, many, long_);
	assert_true(few < 20);
	assert_true(many < few + 20);
	assert_int_equal(long_, few);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_for_each_field_or_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
