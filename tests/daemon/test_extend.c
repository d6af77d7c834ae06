/* What a record, a copy and a message that came back make together. */
#include "daemon/extend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/relay_value.h"

#define NOW 1795651200
#define CHAIN "DKIM2-Signature: i=1; m=1;\r\nMessage-Instance: m=1;\r\n"
#define FROM "From: alice@one.example\r\n"
#define OLD CHAIN FROM "Subject: a letter\r\n"
#define TAGGED CHAIN FROM "Subject: [l] a letter\r\n"
#define BODY "one\r\ntwo\r\n"
#define FOOTER BODY "-- \r\nl\r\n"

struct site {
	char path[64];
	int folder;
	struct arena *arena;
	struct dkim2_message now;
	struct dkim2_digests digests;
	struct arrival record;
	uint8_t rcpts[64];
	struct config_listener listener;
	struct extend_facts facts;
	struct extension got;
};

static void
digest(struct arena *a, const char *header, const char *body,
    struct dkim2_message *m, struct dkim2_digests *d)
{
	const struct dkim2_verify_options o = {.scope = DKIM2_DIGESTS,
	    .hashes = 1U << DKIM2_SHA256};
	struct dkim2_verify *v;

	assert_int_equal(dkim2_message_parse(m, bytes_of(header), 100, a), 0);
	assert_int_equal(dkim2_verify_new(&v, a, &o), 0);
	assert_int_equal(dkim2_verify_header(v, m), 0);
	assert_int_equal(dkim2_verify_body(v, bytes_of(body)), 0);
	assert_int_equal(dkim2_verify_end(v, bytes_of(body)), 0);
	*d = *dkim2_verify_digests(v);
	dkim2_verify_fini(v);
}

/* OLD and BODY came, and were good; header and body came back. */
static struct site *
begin(const char *header, const char *body)
{
	struct site *s = test_calloc(1, sizeof(*s));
	struct buf list = BUF_ON(s->rcpts);
	struct dkim2_digests was;
	struct dkim2_message m;

	assert_true(sodium_init() >= 0);
	snprintf(s->path, sizeof(s->path), "/tmp/extend-XXXXXX");
	assert_non_null(mkdtemp(s->path));
	s->folder = open(s->path, O_DIRECTORY | O_RDONLY);
	s->arena = arena_new(8 << 20);
	digest(s->arena, OLD, BODY, &m, &was);
	digest(s->arena, header, body, &s->now, &s->digests);
	relay_value_add_rcpt(&list, BYTES_LIT("<l@two.example>"));
	s->record = (struct arrival){.time_s = NOW - 60, .full = DKIM2_PASS,
	    .rcpts = buf_bytes(&list), .has_copy = true};
	memcpy(s->record.header, was.header[DKIM2_SHA256], 32);
	memcpy(s->record.body, was.body[DKIM2_SHA256], 32);
	assert_int_equal(arrival_copy_write(s->folder, bytes_of(OLD),
	    bytes_of(BODY), s->record.copy), 0);
	s->listener.max_fields = 100;
	s->facts = (struct extend_facts){&s->listener, &s->now,
	    bytes_of(body), &s->digests, NOW, s->folder, s->arena};
	return s;
}

static void
end(struct site *s)
{
	char command[100];

	close(s->folder);
	arena_free(&s->arena);
	snprintf(command, sizeof(command), "rm -r %s", s->path);
	assert_int_equal(system(command), 0);
	test_free(s);
}

static void
run(struct site *s)
{
	assert_int_equal(extend_by_record(&s->got, &s->facts, &s->record), 0);
	assert_true(s->got.is_found);
	assert_true(s->got.is_good == (s->got.rule == NULL));
}

static void
expect_rule(struct site *s, const char *part)
{
	run(s);
	assert_false(s->got.is_good);
	assert_non_null(strstr(s->got.rule, part));
	end(s);
}

static void
expect_recipe(struct site *s, const char *part)
{
	run(s);
	assert_true(s->got.is_good);
	if (part == NULL)
		assert_int_equal(s->got.recipe.n, 0);
	else
		assert_true(bytes_find(s->got.recipe, bytes_of(part)) <
		    s->got.recipe.n);
	assert_int_equal(s->got.rcpts.n, s->record.rcpts.n);
	end(s);
}

static void
what_did_not_change_needs_no_copy(void **state)
{
	struct site *s = begin(OLD, BODY);

	(void)state;
	s->record.has_copy = false;
	s->listener.recipes = RECIPES_NONE;
	expect_recipe(s, NULL);
	s = begin("X-Trace: a\r\nReceived: by b\r\n" OLD, BODY "\r\n\r\n");
	s->facts.copies_fd = -1;
	expect_recipe(s, NULL);
}

static void
what_changed_is_described(void **state)
{
	(void)state;
	expect_recipe(begin(TAGGED, BODY), "\"subject\"");
	expect_recipe(begin(OLD, FOOTER), "\"b\"");
	expect_recipe(begin(TAGGED, FOOTER), "\"b\"");
	expect_recipe(begin("List-Id: <l>\r\n" OLD, BODY),
	    "\"list-id\":[]");
}

static void
a_record_says_whether_it_may_be(void **state)
{
	static const struct {
		enum dkim2_state full;
		const char *rule;
	} row[] = {
		{DKIM2_NONE, "without DKIM2"}, {DKIM2_FAIL, "Fully Verified"},
		{DKIM2_PERMERROR, "Fully Verified"},
		{DKIM2_TEMPERROR, "Fully Verified"},
	};
	struct site *s;

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		s = begin(OLD, BODY);
		s->record.full = row[k].full;
		expect_rule(s, row[k].rule);
	}
	s = begin(OLD, BODY);
	s->record.time_s = NOW - ARRIVAL_AGE_S;
	expect_recipe(s, NULL);
	s = begin(OLD, BODY);
	s->record.time_s = NOW - ARRIVAL_AGE_S - 1;
	expect_rule(s, "too long ago");
}

static void
recipes_go_as_far_as_they_may(void **state)
{
	struct site *s = begin(TAGGED, BODY);

	(void)state;
	s->listener.recipes = RECIPES_NONE;
	expect_rule(s, "recipes is none");
	s = begin(TAGGED, BODY);
	s->listener.recipes = RECIPES_HEADERS;
	expect_recipe(s, "\"subject\"");
	s = begin(TAGGED, FOOTER);
	s->listener.recipes = RECIPES_HEADERS;
	expect_rule(s, "recipes is headers");
}

static void
without_its_copy_nothing_is_said(void **state)
{
	struct site *s = begin(TAGGED, BODY);
	static const char no_field[] = "no field at all\r\n\r\n";
	int fd;
	char name[33];

	(void)state;
	s->record.has_copy = false;
	expect_rule(s, "no copy");
	s = begin(TAGGED, BODY);
	s->record.copy[3] ^= 1;
	expect_rule(s, "no copy");
	s = begin(TAGGED, BODY);
	s->facts.copies_fd = -1;
	expect_rule(s, "no copy");
	/* empty, or no message */
	for (unsigned k = 0; k < 2; k++) {
		s = begin(TAGGED, BODY);
		sodium_bin2hex(name, sizeof(name), s->record.copy, 16);
		fd = openat(s->folder, name, O_WRONLY | O_TRUNC);
		assert_true(fd >= 0);
		if (k == 1)
			assert_true(write(fd, no_field,
			    sizeof(no_field) - 1) > 0);
		close(fd);
		expect_rule(s, "no copy");
	}
}

/* A recipe of more than a field can have. */
static void
what_can_not_be_described_is_not(void **state)
{
	static char other[100000];
	struct site *s;

	(void)state;
	s = begin(OLD, FOOTER);
	memset(other, 'x', sizeof(other) - 3);
	memcpy(other + sizeof(other) - 3, "\r\n", 2);
	assert_int_equal(arrival_copy_write(s->folder, bytes_of(OLD),
	    bytes_of(other), s->record.copy), 0);
	expect_rule(s, "too long");
}

static void
a_record_that_was_used_says_so(void **state)
{
	struct site *s = begin(OLD, BODY);

	(void)state;
	run(s);
	assert_false(s->got.is_used);
	s->record.n_found = 1;
	run(s);
	assert_true(s->got.is_used);
	end(s);
}

static void
no_memory_is_no_rule(void **state)
{
	struct site *s = begin(TAGGED, FOOTER);
	struct arena *own = s->arena;

	(void)state;
	for (size_t cap = 0; cap < 200; cap += 16) {
		struct arena *small = arena_new(cap);
		int r;

		s->facts.arena = small;
		r = extend_by_record(&s->got, &s->facts, &s->record);
		assert_true(r == -E_NOMEM || (r == 0 && s->got.is_good));
		arena_free(&small);
	}
	s->facts.arena = own;
	end(s);
}

static void
trust_is_for_what_is_good(void **state)
{
	const struct bytes rt[] = {BYTES_LIT("<a@x.y>"), BYTES_LIT("<b@x.y>")};
	const struct dkim2_signature_result top[] = {{.i = 1}, {.i = 2,
	    .rt = rt, .n_rt = 2}};
	struct dkim2_result result = {.full = {.state = DKIM2_PASS},
	    .signatures = top, .n_signatures = 2};
	struct site *s = begin(OLD, BODY);
	struct bytes list, path;

	(void)state;
	assert_int_equal(extend_by_trust(&s->got, &s->facts, &result), 0);
	assert_true(s->got.is_good);
	assert_false(s->got.is_found);
	list = s->got.rcpts;
	for (size_t k = 0; k < 2; k++) {
		assert_true(relay_value_next_rcpt(&list, &path));
		assert_true(bytes_eq(path, rt[k]));
	}
	for (result.full.state = DKIM2_FAIL;
	    result.full.state <= DKIM2_TEMPERROR; result.full.state++) {
		assert_int_equal(extend_by_trust(&s->got, &s->facts, &result),
		    0);
		assert_false(s->got.is_good);
	}
	assert_int_equal(extend_by_trust(&s->got, &s->facts, NULL), 0);
	assert_false(s->got.is_good);
	end(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_did_not_change_needs_no_copy),
		cmocka_unit_test(what_changed_is_described),
		cmocka_unit_test(a_record_says_whether_it_may_be),
		cmocka_unit_test(recipes_go_as_far_as_they_may),
		cmocka_unit_test(without_its_copy_nothing_is_said),
		cmocka_unit_test(what_can_not_be_described_is_not),
		cmocka_unit_test(a_record_that_was_used_says_so),
		cmocka_unit_test(no_memory_is_no_rule),
		cmocka_unit_test(trust_is_for_what_is_good),
	};

	return cmocka_run_group_tests_name("daemon/extend", tests, NULL, NULL);
}
