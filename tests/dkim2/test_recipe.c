#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>

#include "base/err.h"
#include "dkim2/recipe.h"
#include "tests/dkim2/kit.h"
#include "tests/dkim2/craft.h"

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

/* V15: shapes that no signer needs are refused, not guessed at. */
static void
only_strict_recipes_are_read(void **state)
{
	static const struct {
		const char *json;
		enum recipe_verdict verdict;
	} row[] = {
		{"{\"h\":{\"subject\":[{\"d\":[\"x\"]}]}}", RECIPE_GOOD},
		{"{\"b\":[]}", RECIPE_GOOD},
		{"{\"b\":null}", RECIPE_GOOD},
		{"{\"h\":{\"a\":[]}}", RECIPE_GOOD},
		{"{\"H\":{\"A\":[{\"C\":[1,1]},{\"D\":[\"\"]}]}}",
		 RECIPE_GOOD},
		{"{\"\\u0068\":{\"a\":[{\"\\u0063\":[1,1]}]}}", RECIPE_GOOD},
		{"{\"x\":[[[[[[[[{}]]]]]]]],\"b\":[{\"c\":[1,2]}]}",
		 RECIPE_GOOD},
		{"{\"b\":[{\"c\":[1,2]},{\"d\":[\"a\",\"b\"]},{\"c\":[4,4]},"
		 "{\"u\":[\"Y2Fm6Q==\",\"\"]}]}", RECIPE_GOOD},
		/* not JSON */
		{"", RECIPE_NOT_JSON},
		{"{", RECIPE_NOT_JSON},
		{"{}x", RECIPE_NOT_JSON},
		{"{\"b\":[],}", RECIPE_NOT_JSON},
		{"\xef\xbb\xbf{\"b\":[]}", RECIPE_NOT_JSON},
		{"{\"b\":[{\"d\":[\"\xff\"]}]}", RECIPE_NOT_JSON},
		{"{\"b\":[{\"d\":[\"\\ud800\"]}]}", RECIPE_NOT_JSON},
		{"{\"b\":[{\"d\":[\"a\r\n\"]}]}", RECIPE_NOT_JSON},
		{"{\"b\":[{\"c\":[01,2]}]}", RECIPE_NOT_JSON},
		/* JSON, but no recipe */
		{"[]", RECIPE_INVALID},
		{"null", RECIPE_INVALID},
		{"{}", RECIPE_INVALID},
		{"{\"x\":1}", RECIPE_INVALID},
		{"{\"h\":{}}", RECIPE_INVALID},
		{"{\"h\":{},\"b\":[]}", RECIPE_INVALID},
		{"{\"h\":null}", RECIPE_INVALID},
		{"{\"h\":[]}", RECIPE_INVALID},
		{"{\"h\":{\"a\":null}}", RECIPE_INVALID},
		{"{\"h\":{\"a\":{\"c\":[1,1]}}}", RECIPE_INVALID},
		{"{\"h\":{\"a:\":[]}}", RECIPE_INVALID},
		{"{\"h\":{\"a b\":[]}}", RECIPE_INVALID},
		{"{\"h\":{\"\":[]}}", RECIPE_INVALID},
		{"{\"h\":{\"\xc3\xa9\":[]}}", RECIPE_INVALID},
		{"{\"b\":{}}", RECIPE_INVALID},
		{"{\"b\":false}", RECIPE_INVALID},
		{"{\"b\":[1]}", RECIPE_INVALID},
		{"{\"b\":[\"x\"]}", RECIPE_INVALID},
		{"{\"b\":[null]}", RECIPE_INVALID},
		{"{\"b\":[{}]}", RECIPE_INVALID},
		{"{\"b\":[[1,6]]}", RECIPE_INVALID},
		{"{\"b\":[{\"x\":[1,1]}]}", RECIPE_INVALID},
		{"{\"b\":[{\"c\":[1,1],\"d\":[\"x\"]}]}", RECIPE_INVALID},
		{"{\"b\":[{\"c\":[1]}]}", RECIPE_INVALID},
		{"{\"b\":[{\"c\":[1,2,3]}]}", RECIPE_INVALID},
		{"{\"b\":[{\"c\":1}]}", RECIPE_INVALID},
		{"{\"b\":[{\"c\":[\"1\",\"2\"]}]}", RECIPE_INVALID},
		{"{\"b\":[{\"c\":[0,1]}]}", RECIPE_INVALID},
		{"{\"b\":[{\"c\":[-1,1]}]}", RECIPE_INVALID},
		{"{\"b\":[{\"c\":[-0,1]}]}", RECIPE_INVALID},
		{"{\"b\":[{\"c\":[1.0,2]}]}", RECIPE_INVALID},
		{"{\"b\":[{\"c\":[1,1e3]}]}", RECIPE_INVALID},
		{"{\"b\":[{\"c\":[1,18446744073709551616]}]}", RECIPE_INVALID},
		{"{\"b\":[{\"c\":[2,1]}]}", RECIPE_INVALID},
		{"{\"b\":[{\"c\":[1,2]},{\"c\":[2,3]}]}", RECIPE_INVALID},
		{"{\"b\":[{\"c\":[3,4]},{\"c\":[1,2]}]}", RECIPE_INVALID},
		{"{\"b\":[{\"d\":[]}]}", RECIPE_INVALID},
		{"{\"b\":[{\"d\":\"x\"}]}", RECIPE_INVALID},
		{"{\"b\":[{\"d\":[1]}]}", RECIPE_INVALID},
		{"{\"b\":[{\"d\":[\"a\\nb\"]}]}", RECIPE_INVALID},
		{"{\"h\":{\"a\":[{\"d\":[\"a\\r\\nBcc: b\"]}]}}",
		 RECIPE_INVALID},
		{"{\"b\":[{\"d\":[\"a\\u0000\"]}]}", RECIPE_INVALID},
		{"{\"b\":[{\"u\":[]}]}", RECIPE_INVALID},
		{"{\"b\":[{\"u\":[\"Y2Fm6Q\"]}]}", RECIPE_INVALID},
		{"{\"b\":[{\"u\":[\"Y2Fm6R==\"]}]}", RECIPE_INVALID},
		{"{\"b\":[{\"u\":[\"DQo=\"]}]}", RECIPE_INVALID},
		/* twice, whatever the case */
		{"{\"b\":[],\"b\":[]}", RECIPE_INVALID},
		{"{\"b\":[],\"B\":[]}", RECIPE_INVALID},
		{"{\"h\":{\"a\":[],\"A\":[]}}", RECIPE_INVALID},
		{"{\"b\":[{\"c\":[1,1],\"c\":[1,1]}]}", RECIPE_INVALID},
		{"{\"b\":[],\"x\":{\"y\":1,\"y\":2}}", RECIPE_INVALID},
	};

	for (size_t k = 0; k < COUNT(row); k++) {
		struct recipe r;
		enum recipe_verdict v;

		assert_int_equal(recipe_parse(&r, bytes_of(row[k].json),
		    *state, &v), 0);
		if (v != row[k].verdict)
			print_message("%s\n", row[k].json);
		assert_int_equal(v, row[k].verdict);
	}
}

/* Undoes a recipe in a small header; "name:value" joined with "|". */
static enum recipe_verdict
undo_header(struct arena *a, const char *header, const char *json,
    size_t budget, struct buf *out)
{
	struct dkim2_message m;
	struct canon_header now, before;
	struct recipe r;
	enum recipe_verdict v;

	assert_int_equal(dkim2_message_parse(&m, bytes_of(header), 100, a), 0);
	assert_int_equal(canon_header_sort(&now, &m, a), 0);
	assert_int_equal(recipe_parse(&r, bytes_of(json), a, &v), 0);
	assert_int_equal(v, RECIPE_GOOD);
	before.fields = arena_array(a, now.n + r.n_values,
	    sizeof(before.fields[0]));
	v = recipe_undo_header(&r, &now, &before, &budget);
	for (size_t k = 0; v == RECIPE_GOOD && k < before.n; k++) {
		buf_add(out, before.fields[k].name);
		buf_add_octet(out, ':');
		buf_add(out, before.fields[k].value);
		buf_add_octet(out, '|');
	}
	return v;
}

static void
headers_go_back(void **state)
{
#define HEADER "B: b2\r\nA: a3\r\nC: c1\r\na: a2\r\nB: b1\r\nA: a1\r\n"
	static const struct {
		const char *json, *out;		/* NULL: it does not fit */
	} row[] = {
		/* what is not named stays */
		{"{\"b\":[]}", "A: a1|a: a2|A: a3|B: b1|B: b2|C: c1|"},
		/* D4: 1 is the lowest */
		{"{\"h\":{\"a\":[{\"c\":[1,2]}]}}",
		 "A: a1|a: a2|B: b1|B: b2|C: c1|"},
		{"{\"h\":{\"a\":[{\"c\":[2,3]}]}}",
		 "a: a2|A: a3|B: b1|B: b2|C: c1|"},
		{"{\"h\":{\"a\":[{\"d\":[\"x\",\"y\"]},{\"c\":[2,2]},"
		 "{\"u\":[\"eg==\"]}]}}",
		 "a:x|a:y|a: a2|a:z|B: b1|B: b2|C: c1|"},
		{"{\"h\":{\"C\":[],\"A\":[],\"b\":[]}}", ""},
		{"{\"h\":{\"0\":[{\"d\":[\"1\"]}],\"aa\":[{\"d\":[\"2\"]}],"
		 "\"z\":[{\"d\":[\"3\"]}]}}",
		 "0:1|A: a1|a: a2|A: a3|aa:2|B: b1|B: b2|C: c1|z:3|"},
		{"{\"h\":{\"a\":[{\"c\":[3,4]}]}}", NULL},
		{"{\"h\":{\"none\":[{\"c\":[1,1]}]}}", NULL},
	};

	for (size_t k = 0; k < COUNT(row); k++) {
		uint8_t room[200];
		struct buf out = BUF_ON(room);
		enum recipe_verdict v = undo_header(*state, HEADER,
		    row[k].json, 1000, &out);

		assert_int_equal(v, row[k].out == NULL ? RECIPE_INVALID :
		    RECIPE_GOOD);
		if (row[k].out != NULL)
			kit_assert_bytes(buf_bytes(&out), row[k].out);
	}
}

static enum recipe_verdict
undo_body(struct arena *a, struct bytes body, const char *json,
    size_t *budget, struct buf *out)
{
	struct recipe_body now = {&body, 1}, before;
	struct recipe r;
	enum recipe_verdict v;

	assert_int_equal(recipe_parse(&r, bytes_of(json), a, &v), 0);
	assert_int_equal(v, RECIPE_GOOD);
	before.pieces = arena_array(a, now.n + r.body.n + 1,
	    sizeof(before.pieces[0]));
	v = recipe_undo_body(&r, &now, &before, budget);
	assert_true(before.n <= now.n + r.body.n + 1);
	for (size_t k = 0; v == RECIPE_GOOD && k < before.n; k++)
		buf_add(out, before.pieces[k]);
	return v;
}

static void
bodies_go_back(void **state)
{
	static const struct {
		const char *body, *json, *out;
	} row[] = {
		{"1\r\n2\r\n3\r\n", "{\"b\":[{\"c\":[1,3]}]}",
		 "1\r\n2\r\n3\r\n"},
		{"1\r\n2\r\n3\r\n", "{\"b\":[{\"c\":[2,2]}]}", "2\r\n"},
		{"1\r\n2\r\n3\r\n", "{\"b\":[{\"c\":[1,1]},{\"c\":[3,3]}]}",
		 "1\r\n3\r\n"},
		{"1\r\n2\r\n3\r\n", "{\"b\":[{\"d\":[\"x\",\"\"]},"
		 "{\"c\":[1,1]},{\"u\":[\"/w==\"]},{\"c\":[2,3]}]}",
		 "x\r\n\r\n1\r\n\xff\r\n2\r\n3\r\n"},
		{"1\r\n2\r\n3\r\n", "{\"b\":[]}", ""},
		{"1\r\n2\r\n3\r\n", "{\"b\":[{\"c\":[3,4]}]}", NULL},
		{"1\r\n2\r\n3\r\n", "{\"b\":[{\"c\":[4,4]}]}", NULL},
		{"1\r\n2\r\n3\r\n", "{\"b\":[{\"c\":[5,5]}]}", NULL},
		/* the last line without its end gets one */
		{"1\r\n2", "{\"b\":[{\"c\":[2,2]},{\"d\":[\"x\"]}]}",
		 "2\r\nx\r\n"},
		/* only CRLF ends a line */
		{"1\n2\r3\r\n4\n\r\n", "{\"b\":[{\"c\":[2,2]}]}",
		 "4\n\r\n"},
		{"\n\r\n5\r\n", "{\"b\":[{\"c\":[1,1]}]}", "\n\r\n"},
		{"a\n", "{\"b\":[{\"c\":[1,1]}]}", "a\n\r\n"},
		{"\r\n\r\n1\r\n", "{\"b\":[{\"c\":[2,3]}]}", "\r\n1\r\n"},
		{"", "{\"b\":[{\"d\":[\"x\"]}]}", "x\r\n"},
		{"", "{\"b\":[{\"c\":[1,1]}]}", NULL},
	};

	for (size_t k = 0; k < COUNT(row); k++) {
		uint8_t room[200];
		struct buf out = BUF_ON(room);
		size_t budget = 1000;
		enum recipe_verdict v = undo_body(*state,
		    bytes_of(row[k].body), row[k].json, &budget, &out);

		assert_int_equal(v, row[k].out == NULL ? RECIPE_INVALID :
		    RECIPE_GOOD);
		if (row[k].out != NULL)
			kit_assert_bytes(buf_bytes(&out), row[k].out);
	}
}

/* V16: what undoing makes is counted, in header and body. */
static void
undoing_is_on_a_budget(void **state)
{
	uint8_t room[200];
	struct buf out = BUF_ON(room);
	size_t budget = 6;

	assert_int_equal(undo_body(*state, BYTES_LIT("1\r\n2\r\n"),
	    "{\"b\":[{\"c\":[1,2]}]}", &budget, &out), RECIPE_GOOD);
	assert_int_equal(budget, 0);
	budget = 5;
	assert_int_equal(undo_body(*state, BYTES_LIT("1\r\n2"),
	    "{\"b\":[{\"c\":[1,2]}]}", &budget, &out), RECIPE_TOO_MUCH);
	budget = 5;
	assert_int_equal(undo_body(*state, BYTES_LIT("1\r\n2\r\n"),
	    "{\"b\":[{\"c\":[1,2]}]}", &budget, &out), RECIPE_TOO_MUCH);
	budget = 5;
	assert_int_equal(undo_body(*state, BYTES_LIT("1\r\n2\r\n"),
	    "{\"b\":[{\"d\":[\"1234\"]}]}", &budget, &out), RECIPE_TOO_MUCH);
	assert_int_equal(undo_header(*state, "A: 12\r\n",
	    "{\"h\":{\"b\":[{\"d\":[\"3\"]}]}}", 6, &out), RECIPE_GOOD);
	assert_int_equal(undo_header(*state, "A: 12\r\n",
	    "{\"h\":{\"b\":[{\"d\":[\"3\"]}]}}", 5, &out), RECIPE_TOO_MUCH);
}

/* V16: more steps than we take, refused before any of them is done. */
static void
step_bombs(void **state)
{
	enum { N = 70000 };
	struct buf json;
	struct recipe r;
	enum recipe_verdict v;

	assert_int_equal(arena_buf(*state, 20 * N, &json), 0);
	buf_add_str(&json, "{\"b\":[");
	for (unsigned k = 1; k <= N; k++)
		buf_printf(&json, "%s{\"c\":[%u,%u]}", k == 1 ? "" : ",", k,
		    k);
	buf_add_str(&json, "]}");
	assert_int_equal(recipe_parse(&r, buf_bytes(&json), *state, &v), 0);
	assert_int_equal(v, RECIPE_TOO_MUCH);
}

/* ---- in the verifier ---------------------------------------------------- */

#define BEFORE \
	"From: Alice <alice@example.org>\r\nSubject: hello\r\n" \
	"Message-ID: <1@example.org>\r\n\r\none\r\ntwo\r\n"
#define ENDS1 "mf=PGFsaWNlQGV4YW1wbGUub3JnPg==; rt=PGxpc3RAbGlzdHMuZXhhbXBsZT4="
#define SIG1 "DKIM2-Signature: i=1; m=1; t=1795341600; d=example.org; " \
	ENDS1 "; s=ed1:ed25519-sha256:$1a;\r\n"
#define SIG2 "DKIM2-Signature: i=2; m=2; t=1795341600; d=lists.example; " \
	"mf=PD4=; rt=PGJvYkBleGFtcGxlLm5ldD4=; s=l1:ed25519-sha256:$2b;\r\n"

/* A list changed BEFORE into `after`, and this recipe leads back. */
static void
expect_after(const char *after, const char *json, const char *full,
    const char *provisional)
{
	static const struct craft_run run = {"<>", {"<bob@example.net>"}, 0,
	    NULL, 0, 0, NULL, 0};
	struct arena *a = arena_new(KIT_ARENA);
	struct dkim2_verify *v;
	const struct dkim2_result *r;
	struct buf text;
	char room[600];

	assert_int_equal(arena_buf(a, 9000, &text), 0);
	buf_printf(&text, "%s%sMessage-Instance: m=1; h=", SIG2, SIG1);
	craft_hashes(a, BEFORE, DKIM2_SHA256, &text);
	buf_printf(&text, "\r\nMessage-Instance: m=2; h=$H%s%s%s\r\n%s",
	    json == NULL ? "" : "; r=$J(", json == NULL ? "" : json,
	    json == NULL ? "" : ")$", after);
	buf_add_octet(&text, 0);
	r = craft_verify(a, craft(a, (const char *)text.p), &run, &v);
	assert_string_equal(craft_text(&r->full, room, sizeof(room)), full);
	assert_string_equal(craft_text(&r->provisional, room, sizeof(room)),
	    provisional);
	dkim2_verify_fini(v);
	arena_free(&a);
}

static void
chains_are_followed_back(void **state)
{
#define AFTER \
	"From: Alice <alice@example.org>\r\nSubject: [L] hello\r\n" \
	"Message-ID: <1@example.org>\r\nList-Id: <l>\r\n\r\n" \
	"one\r\ntwo\r\n-- \r\n"
#define BACK "\"subject\":[{\"d\":[\"hello\"]}],\"list-id\":[]"
#define UNFIT(r) "permerror Message-Instance m=2 Recipe " r " is invalid"

	(void)state;
	expect_after(BEFORE, NULL, "pass", "pass");
	expect_after(AFTER, "{\"h\":{" BACK "},\"b\":[{\"c\":[1,2]}]}", "pass",
	    "pass");
	/* O6: keys in capitals */
	expect_after(AFTER, "{\"H\":{" BACK "},\"B\":[{\"C\":[1,2]}]}", "pass",
	    "pass");
	/* O14: a field that is not hashed may be named */
	expect_after(AFTER, "{\"h\":{" BACK ",\"received\":[]},"
	    "\"b\":[{\"c\":[1,2]}]}", "pass", "pass");
	expect_after(AFTER, NULL,
	    "fail Message-Instance m=1 header hash sha256 mismatch", "pass");
	expect_after(AFTER, "{\"h\":{" BACK "}}",
	    "fail Message-Instance m=1 body hash sha256 mismatch", "pass");
	expect_after(AFTER, "{\"b\":[{\"c\":[1,2]}]}",
	    "fail Message-Instance m=1 header hash sha256 mismatch", "pass");
	/* past the end is seen only when it is done: 13.2 holds */
	expect_after(AFTER, "{\"b\":[{\"c\":[1,4]}]}",
	    UNFIT("{\"b\":[{\"c\":[1,4]}]}"), "pass");
	expect_after(AFTER, "{\"h\":{\"subject\":[{\"c\":[1,2]}]}}",
	    UNFIT("{\"h\":{\"subject\":[{\"c\":[1,2]}]}}"), "pass");
	/* what can be seen at once stands against the last hop too */
	expect_after(AFTER, "{\"b\":[{\"c\":[2,1]}]}",
	    UNFIT("{\"b\":[{\"c\":[2,1]}]}"),
	    UNFIT("{\"b\":[{\"c\":[2,1]}]}"));
}

/* V5: who vouches for From when a list rewrites it. */
static void
from_is_followed_back(void **state)
{
#define REWRITTEN(who) \
	"From: Alice via L <" who ">\r\nSubject: hello\r\n" \
	"Message-ID: <1@example.org>\r\n\r\none\r\ntwo\r\n"
#define BACK_FROM \
	"{\"h\":{\"from\":[{\"d\":[\"Alice <alice@example.org>\"]}]}}"

	(void)state;
	expect_after(REWRITTEN("l@lists.example"), BACK_FROM, "pass", "pass");
	expect_after(REWRITTEN("l@x.example"), BACK_FROM,
	    "fail DKIM2-Signature i=2 matching From is not authentic", "pass");
	/* the first From is not what it was: hash and From are wrong */
	expect_after(REWRITTEN("l@lists.example"), NULL,
	    "fail Message-Instance m=1 header hash sha256 mismatch", "pass");
}

/* V16: a chain whose undoing takes more than we do is told as such. */
static void
a_chain_over_the_budget(void **state)
{
	struct arena *a = *state;
	struct bytes whole = kit_file(a, "tests/vectors/worked/q2.eml");
	struct dkim2_limits limits;
	struct craft_run run = {"<l-bounces@lists.example>",
	    {"<bob@example.net>"}, 1795341660, &limits, 0, 0, NULL, 0};
	struct dkim2_verify *v;
	const struct dkim2_result *r;

	dkim2_limits_default(&limits);
	for (limits.max_undo = 0; ; limits.max_undo++) {
		struct arena *b = arena_new(KIT_ARENA);
		enum dkim2_reason reason;

		r = craft_verify(b, whole, &run, &v);
		reason = r->full.reason;
		assert_int_equal(r->provisional.state, DKIM2_PASS);
		if (reason != DKIM2_OK) {
			assert_int_equal(reason, DKIM2_RECIPE_WORK);
			assert_int_equal(r->full.state, DKIM2_PERMERROR);
			assert_int_equal(r->full.number, 2);
		}
		dkim2_verify_fini(v);
		arena_free(&b);
		if (reason == DKIM2_OK)
			break;
		assert_true(limits.max_undo < 5000);
	}
	limits.max_recipe = 20;
	r = craft_verify(a, whole, &run, &v);
	assert_int_equal(r->full.reason, DKIM2_RECIPE_WORK);
	dkim2_verify_fini(v);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_arena, close_arena)
	const struct CMUnitTest tests[] = {
		TEST(only_strict_recipes_are_read),
		TEST(headers_go_back),
		TEST(bodies_go_back),
		TEST(undoing_is_on_a_budget),
		TEST(step_bombs),
		TEST(chains_are_followed_back),
		TEST(from_is_followed_back),
		TEST(a_chain_over_the_budget),
	};

	return cmocka_run_group_tests_name("dkim2/recipe", tests, NULL, NULL);
}
