#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "daemon/arrival_value.h"
#include "daemon/relay_value.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static uint8_t list_room[8][ARRIVAL_RCPTS_MAX + 4096];

/* Paths with a blank between. */
static struct bytes
list(int k, const char *paths)
{
	struct buf b = BUF_ON(list_room[k]);
	struct bytes rest = bytes_of(paths);

	while (rest.n != 0)
		relay_value_add_rcpt(&b, bytes_cut(&rest, ' '));
	return buf_bytes(&b);
}

static struct bytes
many(int k, int n)
{
	struct buf b = BUF_ON(list_room[k]);

	for (int at = 0; at < n; at++) {
		char path[64];

		snprintf(path, sizeof(path), "<rcpt%06d@a.example>", at);
		relay_value_add_rcpt(&b, bytes_of(path));
	}
	assert_false(b.full);
	return buf_bytes(&b);
}

static struct arrival
some(void)
{
	struct arrival a = {.time_s = 1795341600, .full = DKIM2_PASS,
	    .provisional = DKIM2_PASS, .is_dkim1_aligned = true,
	    .mail_from = BYTES_LIT("<a@one.example>"), .has_copy = true,
	    .n_found = 70000};

	memset(a.client, 1, sizeof(a.client));
	memset(a.header, 2, sizeof(a.header));
	memset(a.body, 3, sizeof(a.body));
	memset(a.copy, 4, sizeof(a.copy));
	return a;
}

static void
assert_list(struct bytes is, struct bytes wanted)
{
	assert_int_equal(is.n, wanted.n);
	assert_true(bytes_eq(is, wanted));
}

static void
what_is_written_is_read(void **state)
{
	static uint8_t octets[ARRIVAL_VALUE_MAX];
	struct arrival a = some(), b;
	struct buf out = BUF_ON(octets);

	(void)state;
	a.rcpts = list(0, "<x@two.example> <y@two.example>");
	arrival_value_write(&a, &out);
	assert_false(out.full);
	assert_true(arrival_value_parse(buf_bytes(&out), &b));
	assert_int_equal(b.time_s, a.time_s);
	assert_int_equal(b.full, DKIM2_PASS);
	assert_int_equal(b.provisional, DKIM2_PASS);
	assert_true(b.is_dkim1_aligned);
	assert_false(b.is_from_signed);
	assert_true(b.has_copy);
	assert_int_equal(b.n_found, 70000);
	assert_memory_equal(b.client, a.client, sizeof(a.client));
	assert_memory_equal(b.header, a.header, sizeof(a.header));
	assert_memory_equal(b.body, a.body, sizeof(a.body));
	assert_memory_equal(b.copy, a.copy, sizeof(a.copy));
	assert_list(b.mail_from, a.mail_from);
	assert_list(b.rcpts, a.rcpts);
	out.n = 0;
	a.is_dkim1_aligned = false;
	a.is_from_signed = true;
	arrival_value_write(&a, &out);
	assert_true(arrival_value_parse(buf_bytes(&out), &b));
	assert_false(b.is_dkim1_aligned);
	assert_true(b.is_from_signed);
	/* and nothing else is */
	for (size_t n = 0; n < out.n; n++) {
		struct arrival c;
		bool is_whole = n == ARRIVAL_FIXED + 15 ||
		    n == ARRIVAL_FIXED + 15 + 17;

		assert_int_equal(arrival_value_parse((struct bytes){octets, n},
		    &c), is_whole);
	}
}

static void
what_is_none_is_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t octet;
	} rows[] = {
		{0, 2}, {1, 8}, {2, 5}, {3, 5}, {4, 0x80},
		{ARRIVAL_FIXED - 2, 0xff}, {ARRIVAL_FIXED - 1, 0xff},
		{ARRIVAL_FIXED, 'a'}, {ARRIVAL_FIXED + 3, '\n'},
		{ARRIVAL_FIXED + 14, 'a'}, {ARRIVAL_FIXED + 15, 0xff},
		{ARRIVAL_FIXED + 16, 0}, {ARRIVAL_FIXED + 16, 1},
		{ARRIVAL_FIXED + 16, 14}, {ARRIVAL_FIXED + 17, 'a'},
		{ARRIVAL_FIXED + 20, 0x7f},
	};
	uint8_t octets[1024], room[1024];
	struct arrival a = some(), b;
	struct buf out = BUF_ON(octets);

	(void)state;
	a.rcpts = list(0, "<x@two.example>");
	arrival_value_write(&a, &out);
	for (size_t k = 0; k < N(rows); k++) {
		memcpy(room, octets, out.n);
		room[rows[k].at] = rows[k].octet;
		assert_false(arrival_value_parse((struct bytes){room, out.n},
		    &b));
	}
}

/* Past the bounds what fits is kept, and whole. */
static void
it_has_bounds(void **state)
{
	static uint8_t octets[ARRIVAL_VALUE_MAX];
	static char path[ARRIVAL_PATH_MAX + 2];
	struct arrival a = some(), b;
	struct buf out = BUF_ON(octets);

	(void)state;
	memset(path, 'a', sizeof(path));
	path[0] = '<';
	path[ARRIVAL_PATH_MAX - 1] = '>';
	a.mail_from = (struct bytes){(uint8_t *)path, ARRIVAL_PATH_MAX};
	a.rcpts = many(0, 800);		/* of 24 octets */
	assert_true(a.rcpts.n > ARRIVAL_RCPTS_MAX);
	arrival_value_write(&a, &out);
	assert_false(out.full);
	assert_true(arrival_value_parse(buf_bytes(&out), &b));
	assert_list(b.rcpts, many(1, ARRIVAL_RCPTS_MAX / 24));
	assert_list(b.mail_from, a.mail_from);
	path[ARRIVAL_PATH_MAX - 1] = 'a';
	path[ARRIVAL_PATH_MAX] = '>';
	a.mail_from.n++;
	out.n = 0;
	arrival_value_write(&a, &out);
	assert_true(arrival_value_parse(buf_bytes(&out), &b));
	assert_int_equal(b.mail_from.n, 0);
}

static void
recipients_are_joined(void **state)
{
	static struct arrival_join j;
	struct arrival a = some(), b = some();

	(void)state;
	j.n = 0;
	a.rcpts = list(0, "<x@two.example> <y@two.example>");
	b.rcpts = list(1, "<y@two.example> <z@two.example>");
	b.mail_from = BYTES_LIT("<b@one.example>");
	b.time_s--;
	arrival_join(&j, &a);
	arrival_join(&j, &b);
	assert_list(j.record.rcpts, list(2,
	    "<x@two.example> <y@two.example> <z@two.example>"));
	assert_list(j.record.mail_from, a.mail_from);
	assert_int_equal(j.record.time_s, a.time_s);
	b.rcpts = many(3, 700);
	arrival_join(&j, &b);
	assert_true(j.record.rcpts.n <= ARRIVAL_RCPTS_MAX);
	assert_true(j.record.rcpts.n > ARRIVAL_RCPTS_MAX - 24);
}

/* One that passed says it for its content, one of another for all. */
static void
the_worst_verdict_counts(void **state)
{
	static const struct {
		enum dkim2_state in[3];
		const char *contents;
		enum dkim2_state full, provisional;
	} rows[] = {
#define P DKIM2_PASS
#define F DKIM2_FAIL
#define T DKIM2_TEMPERROR
		{{P, P, P}, "xxx", P, P},
		{{P, F, P}, "xxx", P, F},
		{{F, P, P}, "xxx", P, F},
		{{T, F, P}, "xxx", P, F},
		{{T, T, F}, "xxx", F, F},
		{{F, F, DKIM2_PERMERROR}, "xxx", F, F},
		{{DKIM2_NONE, DKIM2_NONE, DKIM2_NONE}, "xxx", DKIM2_NONE,
		    DKIM2_NONE},
		{{P, F, P}, "xyx", F, F},
		{{P, P, F}, "xxy", F, F},
		{{F, P, P}, "yxx", F, F},
		{{P, T, P}, "xyx", T, T},
		{{T, F, P}, "xyx", F, F},
		{{P, F, P}, "yxx", F, F},
		/* nobody would believe that both passed */
		{{P, P, P}, "xyx", P, P},
	};
	static struct arrival_join j;

	(void)state;
	for (size_t k = 0; k < N(rows); k++) {
		for (int part = 0; part < 2; part++) {
			j.n = 0;
			for (size_t n = 0; n < 3; n++) {
				struct arrival a = some();

				a.full = a.provisional = rows[k].in[n];
				(part == 0 ? a.header : a.body)[31] =
				    (uint8_t)rows[k].contents[n];
				arrival_join(&j, &a);
			}
			assert_int_equal(j.record.full, rows[k].full);
			assert_int_equal(j.record.provisional,
			    rows[k].provisional);
		}
	}
}

static void
dkim1_of_all_counts(void **state)
{
	static struct arrival_join j;

	(void)state;
	for (size_t k = 0; k < 4; k++) {
		j.n = 0;
		for (size_t n = 0; n < 3; n++) {
			struct arrival a = some();

			a.is_dkim1_aligned = n != k;
			a.is_from_signed = n + 1 != k;
			arrival_join(&j, &a);
		}
		assert_int_equal(j.record.is_dkim1_aligned, k == 3);
		assert_int_equal(j.record.is_from_signed, k == 0);
	}
}

/* A copy is one of the same content, and uses are counted on. */
static void
copies_are_of_the_same_content(void **state)
{
	static struct arrival_join j;
	struct arrival a = some(), b = some();

	(void)state;
	j.n = 0;
	a.has_copy = false;
	a.n_found = 2;
	b.n_found = 3;
	memset(b.copy, 9, sizeof(b.copy));
	b.body[0]++;
	arrival_join(&j, &a);
	arrival_join(&j, &b);
	assert_false(j.record.has_copy);
	assert_int_equal(j.record.n_found, 3);
	b.body[0]--;
	b.header[0]++;
	arrival_join(&j, &b);
	assert_false(j.record.has_copy);
	b.header[0]--;
	arrival_join(&j, &b);
	assert_true(j.record.has_copy);
	assert_memory_equal(j.record.copy, b.copy, sizeof(b.copy));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(what_is_none_is_refused),
		cmocka_unit_test(it_has_bounds),
		cmocka_unit_test(recipients_are_joined),
		cmocka_unit_test(the_worst_verdict_counts),
		cmocka_unit_test(dkim1_of_all_counts),
		cmocka_unit_test(copies_are_of_the_same_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
