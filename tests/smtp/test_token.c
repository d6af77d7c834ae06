#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "smtp/path.h"
#include "smtp/token.h"

#define N(row) (sizeof(row) / sizeof((row)[0]))
#define DAY 86400LL
#define NOW (20783 * DAY + 1)

static const struct bytes all[] = {
	BYTES_LIT("correct horse battery staple"),
	BYTES_LIT("another secret of theirs"),
};
static const struct smtp_secrets both = {all, 2};
static const struct smtp_secrets first = {all, 1};
static const struct smtp_secrets second = {all + 1, 1};

struct token {
	uint8_t id[SMTP_TOKEN_ID];
	char local[SMTP_TOKEN_N + 1];
};

static void
make(struct token *t, const struct smtp_secrets *s, const char *local,
    const char *domain, const char *under, int64_t now_s)
{
	struct buf out = {(uint8_t *)t->local, 0, SMTP_TOKEN_N, false};

	*t = (struct token){.local = ""};
	assert_true(smtp_token_make(s, t->id, bytes_of(local),
	    bytes_of(domain), bytes_of(under), now_s, &out));
	assert_int_equal(out.n, SMTP_TOKEN_N);
}

static enum smtp_return
look(const struct smtp_secrets *s, const char *local, const char *under,
    int64_t now_s, const struct token *of)
{
	uint8_t id[SMTP_TOKEN_ID] = {0};
	enum smtp_return r = smtp_token_read(s, bytes_of(local),
	    bytes_of(under), now_s, id);

	if (r == SMTP_RETURN_GOOD)
		assert_memory_equal(id, of->id, sizeof(id));
	return r;
}

static void
it_proves_that_we_made_it(void **state)
{
	struct token t;
	char path[80], other[SMTP_TOKEN_N + 1];
	struct smtp_path read;
	struct bytes rest;

	(void)state;
	make(&t, &first, "alice", "one.example", "two.example", NOW);
	snprintf(path, sizeof(path), "<%s@two.example>", t.local);
	assert_int_equal(smtp_path_parse(bytes_of(path), 0, &read, &rest),
	    SMTP_PATH_OK);
	assert_int_equal(look(&both, t.local, "two.example", NOW, &t),
	    SMTP_RETURN_GOOD);
	assert_int_equal(look(&both, t.local, "TWO.example", NOW, &t),
	    SMTP_RETURN_GOOD);
	assert_int_equal(look(&both, t.local, "three.example", NOW, &t),
	    SMTP_RETURN_FORGED);
	/* no octet of it can be another, but in the other case */
	for (size_t k = 0; k < SMTP_TOKEN_N; k++) {
		memcpy(other, t.local, sizeof(other));
		other[k] = other[k] == 'a' ? 'b' : 'a';
		assert_int_not_equal(look(&both, other, "two.example", NOW,
		    &t), SMTP_RETURN_GOOD);
		other[k] = '1';		/* no letter of base 32 */
		assert_int_not_equal(look(&both, other, "two.example", NOW,
		    &t), SMTP_RETURN_GOOD);
		other[k] = '\0';
		assert_int_not_equal(look(&both, other, "two.example", NOW,
		    &t), SMTP_RETURN_GOOD);
	}
	for (size_t k = 0; k < SMTP_TOKEN_N; k++)
		other[k] = (char)(t.local[k] >= 'a' && t.local[k] <= 'z' &&
		    k % 2 == 0 ? t.local[k] - 32 : t.local[k]);
	assert_int_equal(look(&both, other, "two.example", NOW, &t),
	    SMTP_RETURN_GOOD);
	snprintf(path, sizeof(path), "%sa", t.local);
	assert_int_equal(look(&both, path, "two.example", NOW, &t),
	    SMTP_RETURN_FORGED);
}

/* The same for one reverse-path and day; another for any other. */
static void
one_for_each_path_and_day(void **state)
{
	static const struct {
		const char *local, *domain, *under;
		int64_t now_s;
		bool is_same_token, is_same_id;
	} row[] = {
		{"alice", "one.example", "two.example", NOW, true, true},
		{"alice", "One.Example", "two.example", NOW, true, true},
		{"alice", "one.example", "Two.Example", NOW, true, true},
		{"alice", "one.example", "two.example", NOW + DAY - 2, true, true},
		{"alice", "one.example", "three.example", NOW, false, true},
		{"Alice", "one.example", "two.example", NOW, false, false},
		{"alicf", "one.example", "two.example", NOW, false, false},
		{"alice", "ona.example", "two.example", NOW, false, false},
		{"e@alice", "one.exampl", "two.example", NOW, false, false},
		{"alice", "one.example", "two.example", NOW + DAY, false, false},
	};
	struct token t, other;

	(void)state;
	make(&t, &both, "alice", "one.example", "two.example", NOW);
	for (size_t k = 0; k < N(row); k++) {
		print_message("%zu\n", k);
		make(&other, &first, row[k].local, row[k].domain,
		    row[k].under, row[k].now_s);
		assert_int_equal(strcmp(t.local, other.local) == 0,
		    row[k].is_same_token);
		assert_int_equal(memcmp(t.id, other.id, sizeof(t.id)) == 0,
		    row[k].is_same_id);
	}
}

static void
an_old_secret_still_verifies(void **state)
{
	struct token t, other;

	(void)state;
	make(&t, &second, "alice", "one.example", "two.example", NOW);
	make(&other, &both, "alice", "one.example", "two.example", NOW);
	assert_string_not_equal(t.local, other.local);
	assert_int_equal(look(&both, t.local, "two.example", NOW, &t),
	    SMTP_RETURN_GOOD);
	assert_int_equal(look(&first, t.local, "two.example", NOW, &t),
	    SMTP_RETURN_FORGED);
}

static void
it_expires(void **state)
{
	struct token t;

	(void)state;
	make(&t, &first, "alice", "one.example", "two.example", NOW);
	for (int age = -40; age <= 40; age++)
		assert_int_equal(look(&first, t.local, "two.example",
		    NOW + age * DAY, &t), age >= -1 && age <= SMTP_RETURN_DAYS
		    ? SMTP_RETURN_GOOD : SMTP_RETURN_EXPIRED);
}

static void
ordinary_names_are_none(void **state)
{
	static const char *const name[] = {"", "hopseal", "hopseal-", "alice",
	    "SRS0=9r4Q=JP=one.example=alice", "xhopseal="};

	(void)state;
	for (size_t k = 0; k < N(name); k++)
		assert_int_equal(look(&first, name[k], "two.example", NOW,
		    NULL), SMTP_RETURN_NONE);
	assert_int_equal(look(&first, "hopseal=", "two.example", NOW, NULL),
	    SMTP_RETURN_FORGED);
}

static void
it_needs_its_room(void **state)
{
	uint8_t id[SMTP_TOKEN_ID], octets[SMTP_TOKEN_N - 1];
	struct buf out = BUF_ON(octets);

	(void)state;
	assert_false(smtp_token_make(&first, id, BYTES_LIT("a"),
	    BYTES_LIT("b"), BYTES_LIT("c"), NOW, &out));
	assert_int_equal(out.n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_proves_that_we_made_it),
		cmocka_unit_test(one_for_each_path_and_day),
		cmocka_unit_test(an_old_secret_still_verifies),
		cmocka_unit_test(it_expires),
		cmocka_unit_test(ordinary_names_are_none),
		cmocka_unit_test(it_needs_its_room),
	};

	return cmocka_run_group_tests_name("smtp/token", tests, NULL, NULL);
}
