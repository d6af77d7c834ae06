/* Chains of more than one link: each link counts, and for itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>

#include "tests/dkim2/kit.h"
#include "tests/dkim2/craft.h"

#define STATE "From: Alice <alice@example.org>\r\nSubject: hello\r\n" \
	"Message-ID: <1@example.org>\r\n\r\none\r\ntwo\r\n"
#define I1 "Message-Instance: m=1; h=$H;\r\n"
#define ENDS1 "mf=PGFsaWNlQGV4YW1wbGUub3JnPg==; rt=PGxpc3RAbGlzdHMuZXhhbXBsZT4="
#define ENDS2 "mf=PD4=; rt=PGJvYkBleGFtcGxlLm5ldD4="
#define T "1795341600"
#define SIG1(t, s) "DKIM2-Signature: i=1; m=1; t=" t "; d=example.org; " \
	ENDS1 "; s=" s ";\r\n"
#define SIG2(m, t, s) "DKIM2-Signature: i=2; m=" m "; t=" t \
	"; d=lists.example; " ENDS2 "; s=" s ";\r\n"
#define GOOD1 SIG1(T, "ed1:ed25519-sha256:$1a")
#define GOOD2(m) SIG2(m, T, "l1:ed25519-sha256:$2b")

static int
open_arena(void **state)
{
	*state = arena_new(KIT_ARENA);
	return *state == NULL || sodium_init() < 0;
}

static int
close_arena(void **state)
{
	arena_free((struct arena **)state);
	return 0;
}

static const struct craft_run second = {"<>", {"<bob@example.net>"}, 0, NULL,
    0, 0, NULL, 0};

/* Verifies what was crafted; both verdicts, and how many failures. */
static void
expect(struct arena *a, const char *text, const struct craft_run *run,
    const char *full, const char *provisional, size_t n_all)
{
	struct dkim2_verify *v;
	const struct dkim2_result *r = craft_verify(a, craft(a, text), run,
	    &v);
	char room[600];

	assert_string_equal(craft_text(&r->full, room, sizeof(room)), full);
	assert_string_equal(craft_text(&r->provisional, room, sizeof(room)),
	    provisional);
	assert_int_equal(r->n_all, n_all);
	dkim2_verify_fini(v);
}

static void
every_link_counts(void **state)
{
	static const struct {
		const char *text, *full, *provisional;
	} row[] = {
		{GOOD2("1") GOOD1 I1 STATE, "pass", "pass"},
		{GOOD2("1") SIG1(T, "ed1:ed25519-sha256:AAAA") I1 STATE,
		 "fail DKIM2-Signature i=1 selector ed1 incorrect signature",
		 "pass"},
		{SIG2("1", T, "l1:ed25519-sha256:AAAA") GOOD1 I1 STATE,
		 "fail DKIM2-Signature i=2 selector l1 incorrect signature",
		 "fail DKIM2-Signature i=2 selector l1 incorrect signature"},
		/* 14.3: the age of the first counts against the last too */
		{GOOD2("1") SIG1("1794000000", "ed1:ed25519-sha256:$1a") I1
		 STATE, "fail DKIM2-Signature i=1 signature expired",
		 "fail DKIM2-Signature i=1 signature expired"},
		{GOOD2("1") SIG1("1795500000", "ed1:ed25519-sha256:$1a") I1
		 STATE, "fail DKIM2-Signature i=1 signature is from the future",
		 "fail DKIM2-Signature i=1 signature is from the future"},
		/* what does not read well is told, and nothing about it */
		{GOOD2("1") SIG1(T, "ed1:ed25519-sha256:*") I1 STATE,
		 "permerror DKIM2-Signature i=1 syntax error",
		 "permerror DKIM2-Signature i=1 syntax error"},
		{SIG2("1", T, "l1") SIG1(T, "ed1:ed25519-sha256:AAAA") I1
		 STATE, "permerror DKIM2-Signature i=2 syntax error",
		 "permerror DKIM2-Signature i=2 syntax error"},
	};

	for (size_t k = 0; k < COUNT(row); k++)
		expect(*state, row[k].text, &second, row[k].full,
		    row[k].provisional, strcmp(row[k].full, "pass") != 0);
}

/* O4: of two numbers that stand twice, the lower one is told first. */
static void
doubled_numbers(void **state)
{
#define IN(m) "Message-Instance: m=" m "; h=$H;\r\n"
	expect(*state, GOOD2("2") GOOD1 IN("1") IN("2") IN("1") IN("2")
	    STATE, &second,
	    "permerror Message-Instance m=1 syntax error",
	    "permerror Message-Instance m=1 syntax error", 1);
	expect(*state, GOOD2("1") GOOD2("1") GOOD1 GOOD1 I1 STATE, &second,
	    "permerror DKIM2-Signature i=1 syntax error",
	    "permerror DKIM2-Signature i=1 syntax error", 1);
}

/* V10: the 50th instance is good, the 51st is one too many. */
static void
instances_are_bounded(void **state)
{
	struct arena *a = *state;

	for (unsigned n = 50; n <= 51; n++) {
		struct buf text;
		struct dkim2_verify *v;
		const struct dkim2_result *r;

		assert_int_equal(arena_buf(a, 100000, &text), 0);
		buf_printf(&text, "DKIM2-Signature: i=1; m=%u; t=" T "; "
		    "d=example.org; " ENDS1 "; s=ed1:ed25519-sha256:$1a\r\n",
		    n);
		for (unsigned m = 1; m <= n; m++)
			buf_printf(&text, "Message-Instance: m=%u; h=$H\r\n",
			    m);
		buf_add_str(&text, STATE);
		buf_add_octet(&text, 0);
		r = craft_verify(a, craft(a, (const char *)text.p),
		    &(struct craft_run){.mail_from = NULL}, &v);
		assert_int_equal(r->full.reason, n == 50 ? DKIM2_OK :
		    DKIM2_TOO_MANY_FIELDS);
		dkim2_verify_fini(v);
	}
}

/* 14.5: a key that is of another kind and taken back is told as the first. */
static void
mismatch_comes_before_revoked(void **state)
{
	static const struct craft_record keys[] = {
		{"ed1._domainkey.example.org", {"k=rsa; p=", NULL}},
	};
	static const struct craft_run run = {"<alice@example.org>",
	    {"<list@lists.example>"}, 0, NULL, 0, 0, keys, COUNT(keys)};

	expect(*state, GOOD1 I1 STATE, &run,
	    "permerror DKIM2-Signature i=1 public key ed1 algorithm mismatch",
	    "permerror DKIM2-Signature i=1 public key ed1 algorithm mismatch",
	    1);
}

/* The beginning of a hash is no hash. */
static void
hashes_are_compared_in_full(void **state)
{
	struct arena *a = *state;
	uint8_t room[200];
	struct buf hashes = BUF_ON(room), text;
	const char *header, *body;

	craft_hashes(a, STATE, DKIM2_SHA256, &hashes);
	buf_add_octet(&hashes, 0);
	header = strchr((const char *)room, ':') + 1;
	body = strchr(header, ':') + 1;
	for (unsigned k = 0; k < 2; k++) {
		const char *what = k == 0 ? "fail Message-Instance m=1 header "
		    "hash sha256 mismatch" : "fail Message-Instance m=1 body "
		    "hash sha256 mismatch";

		assert_int_equal(arena_buf(a, 2000, &text), 0);
		buf_printf(&text, GOOD1 "Message-Instance: m=1; "
		    "h=sha256:%.*s:%.*s\r\n" STATE, k == 0 ? 4 : 44, header,
		    k == 0 ? 44 : 4, body);
		buf_add_octet(&text, 0);
		expect(a, (const char *)text.p,
		    &(struct craft_run){.mail_from = NULL}, what, what, 1);
	}
}

/* The first answer holds. */
static void
further_answers_are_ignored(void **state)
{
	struct arena *a = *state;
	struct bytes record = BYTES_LIT(CRAFT_A);
	struct dkim2_verify_options o = {.now_s = CRAFT_TIME};
	struct dkim2_message m;
	struct dkim2_verify *v;
	struct bytes body = kit_split(craft(a, GOOD1 I1 STATE), &m, a);

	assert_int_equal(dkim2_verify_new(&v, a, &o), 0);
	assert_int_equal(dkim2_verify_header(v, &m), 0);
	assert_int_equal(dkim2_verify_answer(v, 0, DKIM2_KEY_TXT, &record, 1),
	    0);
	assert_int_equal(dkim2_verify_answer(v, 0, DKIM2_KEY_ABSENT, NULL, 0),
	    0);
	assert_int_equal(dkim2_verify_body(v, body), 0);
	assert_int_equal(dkim2_verify_end(v, body), 0);
	assert_int_equal(dkim2_verify_result(v)->full.state, DKIM2_PASS);
	dkim2_verify_fini(v);
}

/* B17: no record is no key, whatever the answer is called. */
static void
no_record_is_no_key(void **state)
{
	struct arena *a = *state;
	struct dkim2_verify_options o = {.now_s = CRAFT_TIME};
	struct dkim2_message m;
	struct dkim2_verify *v;
	struct bytes body = kit_split(craft(a, GOOD1 I1 STATE), &m, a);

	assert_int_equal(dkim2_verify_new(&v, a, &o), 0);
	assert_int_equal(dkim2_verify_header(v, &m), 0);
	assert_int_equal(dkim2_verify_body(v, body), 0);
	assert_int_equal(dkim2_verify_end(v, body), 0);
	assert_int_equal(dkim2_verify_answer(v, 0, DKIM2_KEY_TXT, NULL, 0), 0);
	assert_int_equal(dkim2_verify_result(v)->full.reason,
	    DKIM2_KEY_MISSING);
	dkim2_verify_fini(v);
}

#define REVISED "From: Alice <alice@example.org>\r\nSubject: [L] hello\r\n" \
	"Message-ID: <1@example.org>\r\n\r\none\r\ntwo\r\n-- \r\n"

/* Two hops: the second, or the third too, changed what it was given. */
static const char *
revised(struct arena *a, const char *json2, const char *json3)
{
	struct buf text;

	assert_int_equal(arena_buf(a, 9000, &text), 0);
	buf_printf(&text, "%s%sMessage-Instance: m=1; h=",
	    json3 == NULL ? GOOD2("2") : GOOD2("3"), GOOD1);
	craft_hashes(a, STATE, DKIM2_SHA256, &text);
	buf_printf(&text, "\r\nMessage-Instance: m=2; h=$H; r=$J(%s)$\r\n",
	    json2);
	if (json3 != NULL)
		buf_printf(&text, "Message-Instance: m=3; h=$H; "
		    "r=$J(%s)$\r\n", json3);
	buf_add_str(&text, REVISED);
	buf_add_octet(&text, 0);
	return (const char *)text.p;
}

/* A recipe that can not be undone stands against all states below, once. */
static void
a_failed_recipe_is_told_once(void **state)
{
#define UNFIT "permerror Message-Instance m=3 Recipe " \
	"{\"b\":[{\"c\":[1,9]}]} is invalid"
	expect(*state, revised(*state, "{\"b\":[{\"c\":[1,2]}]}",
	    "{\"b\":[{\"c\":[1,9]}]}"), &second, UNFIT, "pass", 1);
}

static bool
is_enough(const char *text, size_t budget)
{
	struct arena *a = arena_new(KIT_ARENA);
	struct dkim2_limits limits;
	struct craft_run run = second;
	struct dkim2_verify *v;
	enum dkim2_reason reason;

	dkim2_limits_default(&limits);
	limits.max_undo = budget;
	run.limits = &limits;
	reason = craft_verify(a, craft(a, text), &run, &v)->full.reason;
	dkim2_verify_fini(v);
	arena_free(&a);
	return reason != DKIM2_RECIPE_WORK;
}

/* The least budget with which a recipe is not too much. */
static size_t
budget_of(const char *text)
{
	size_t low = 0, high = 1 << 20;

	assert_true(is_enough(text, high));
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (is_enough(text, middle))
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* V16: header and body together may cost what the budget has. */
static void
header_and_body_share_a_budget(void **state)
{
#define BACK_H "\"h\":{\"subject\":[{\"d\":[\"hello\"]}]}"
#define BACK_B "\"b\":[{\"c\":[1,2]}]"
#define IGNORED "\"x\":[{\"c\":[1,2]}]"	/* as long */
	const char *both = revised(*state, "{" BACK_H "," BACK_B "}", NULL);
	size_t header = budget_of(revised(*state,
	    "{" BACK_H "," IGNORED "}", NULL));

	expect(*state, both, &second, "pass", "pass", 0);
	assert_int_equal(budget_of(both), header +
	    sizeof("one\r\ntwo\r\n") - 1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_arena, close_arena)
	const struct CMUnitTest tests[] = {
		TEST(every_link_counts),
		TEST(doubled_numbers),
		TEST(instances_are_bounded),
		TEST(mismatch_comes_before_revoked),
		TEST(hashes_are_compared_in_full),
		TEST(further_answers_are_ignored),
		TEST(no_record_is_no_key),
		TEST(a_failed_recipe_is_told_once),
		TEST(header_and_body_share_a_budget),
	};

	return cmocka_run_group_tests_name("dkim2/links", tests, NULL, NULL);
}
