/* Messages that left us, as they had come (draft 16.3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>

#include "base/err.h"
#include "dsn/undo.h"
#include "tests/dkim2/kit.h"
#include "tests/dkim2/craft.h"

#define SIG(i, m, d, rest, s) "DKIM2-Signature: i=" i "; m=" m \
	"; t=1795341600; d=" d "; " rest " s=" s ";\r\n"
#define PATHS(mf, rt) "mf=$J(" mf ")$; rt=$J(" rt ")$;"
#define INSTANCE "Message-Instance: m=1; h=$H;\r\n"
#define RECIPE(json) "Message-Instance: m=2; h=$H; r=$J(" json ")$;\r\n"
#define KEY_1 "ed1:ed25519-sha256:$1a"
#define KEY_2 "l1:ed25519-sha256:$2b"
#define KEY_3 "l1:ed25519-sha256:$3b"

/* Alice wrote; her server put its trace above the signature. */
#define S1 SIG("1", "1", "example.org", \
	PATHS("<alice@example.org>", "<list@lists.example>"), KEY_1)
#define OWN_TRACE "Received: from out by relay.example.org; x\r\n" \
	"X-Relay: 1\r\n"
#define MAIL "DKIM-Signature: hers\r\nReceived: from pc by out; x\r\n" \
	"From: Alice <alice@example.org>\r\nSubject: hello\r\n"
#define CAME OWN_TRACE S1 INSTANCE MAIL "\r\none\r\ntwo\r\n"

/* Lists sent it on to Bob. */
#define BY_LISTS PATHS("<x@lists.example>", "<bob@far.example>")
#define S2 SIG("2", "1", "lists.example", BY_LISTS, KEY_2)
#define RECEIVED "Received: from relay.example.org ([192.0.2.1])\r\n" \
	"\tby mx.lists.example (hopseal) with ESMTP id x;\r\n\tx\r\n"
#define BLOCK "DKIM-Signature: ours\r\nAuthentication-Results: mx; x\r\n" \
	RECEIVED
#define FAR "Return-Path: <x@lists.example>\r\nDelivered-To: bob@in.far\r\n" \
	"Received: from mx.lists.example by far.example; x\r\n"

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

static bool
is_ours(void *arg, struct bytes domain)
{
	(void)arg;
	return bytes_case_eq(domain, BYTES_LIT("lists.example")) ||
	    bytes_case_eq(domain, BYTES_LIT("old.example"));
}

static const struct dsn_ours us = {is_ours, NULL,
    BYTES_LIT("mx.lists.example")};

/* What came, with fields on top, and one thing in it changed. */
static struct bytes
sent_on(struct arena *a, struct bytes came, const char *top, const char *old,
    const char *new)
{
	size_t at = old == NULL ? 0 : bytes_find(came, bytes_of(old));
	struct buf text;

	assert_int_equal(arena_buf(a, 65536, &text), 0);
	assert_true(old == NULL || at < came.n);
	buf_add_str(&text, top);
	buf_add(&text, bytes_first(came, at));
	if (old != NULL) {
		buf_add_str(&text, new);
		at += strlen(old);
	}
	buf_add(&text, bytes_skip(came, at));
	buf_add_octet(&text, 0);
	assert_false(text.full);
	return craft(a, (const char *)text.p);
}

static enum dsn_undo_verdict
undo(struct arena *a, struct bytes octets, bool has_body,
    struct dsn_undone *u)
{
	enum dsn_undo_verdict v;
	struct dkim2_message m;
	struct bytes body = kit_split(octets, &m, a);

	assert_int_equal(dsn_undo(u, &m, has_body ? body :
	    (struct bytes){NULL, 0}, has_body, &us, a, &v), 0);
	return v;
}

/* The header that came, octet for octet, and who is told. */
static void
assert_came(const struct dsn_undone *u, struct bytes came)
{
	size_t body_at = 0, n = dkim2_header_end(came, &body_at);

	if (!bytes_eq(u->header, bytes_first(came, n)))
		print_message("got\n%.*s\nwanted\n%.*s\n",
		    BYTES_FMT(u->header), (int)n, (const char *)came.p);
	assert_true(bytes_eq(u->header, bytes_first(came, n)));
	if (u->has_body)
		assert_true(bytes_eq(u->body, bytes_skip(came, body_at)));
	kit_assert_bytes(u->mail_from, "<alice@example.org>");
	assert_false(u->has_nd);
	assert_int_equal(u->n_rcpts, 1);
	kit_assert_bytes(u->rcpts[0], "<list@lists.example>");
	assert_int_equal(u->signature.n, 32);
}

/* Each way in which our own block may stand on a message. */
static void
our_block_goes(void **state)
{
	static const char *const tops[] = {
		S2 RECEIVED,
		S2 BLOCK,
		FAR S2 BLOCK,
		/* far put its trace in between */
		FAR S2 FAR BLOCK,
		/* it passed us and a server behind us before it was signed */
		FAR S2 RECEIVED "Received: from mx.lists.example by "
		    "in.lists.example; x\r\nX-In: 1\r\n" BLOCK,
		/* its name is ours, in any case, and folds are theirs */
		S2 "Received: from mx.lists.example by mx.lists.example "
		    "(Postfix); x\r\nX-In: 1\r\nRECEIVED:\r\n x "
		    "by\r\n MX.lists.example\t(hopseal) with SMTP id x; x\r\n",
		/* by way of an imaginary hop of ours */
		FAR SIG("3", "1", "lists.example", BY_LISTS, KEY_3)
		    SIG("2", "1", "old.example", "nd=LISTS.example;", KEY_2)
		    BLOCK,
	};
	struct bytes came = craft(*state, CAME);

	for (size_t k = 0; k < 2 * COUNT(tops); k++) {
		struct bytes sent = sent_on(*state, came, tops[k / 2], NULL,
		    NULL);
		struct dsn_undone u;

		assert_int_equal(undo(*state, sent, k % 2 == 0, &u),
		    DSN_UNDONE);
		assert_int_equal(u.has_body, k % 2 == 0);
		assert_came(&u, came);
		kit_assert_bytes(u.domain, k / 2 == COUNT(tops) - 1 ?
		    "old.example" : "lists.example");
		assert_int_equal(u.n_sent, 1);
		kit_assert_bytes(u.sent[0], "<bob@far.example>");
	}
}

/* A hop before us is not ours, whatever its domain says. */
static void
one_hop_at_a_time(void **state)
{
	static const struct {
		const char *top;
		enum dsn_undo_verdict verdict;
		const char *mail_from;	/* NULL: none */
		const char *sent;
		bool has_nd;
	} row[] = {
		/* both are ours, each with its own address */
		{SIG("3", "1", "lists.example", PATHS("<y@lists.example>",
		    "<c@far.example>"), KEY_3) RECEIVED
		    SIG("2", "1", "old.example", PATHS("<x@old.example>",
		    "<b@lists.example>"), KEY_2) RECEIVED,
		    DSN_UNDONE, "<x@old.example>", "<c@far.example>", false},
		/* the hop before gave it to us by nd= */
		{SIG("3", "1", "lists.example", BY_LISTS, KEY_3) RECEIVED
		    SIG("2", "1", "far.example", "nd=lists.example;", KEY_2),
		    DSN_UNDONE, NULL, "<bob@far.example>", true},
		/* nd= of ours to another */
		{SIG("3", "1", "lists.example", BY_LISTS, KEY_3) RECEIVED
		    SIG("2", "1", "old.example", "nd=far.example;", KEY_2),
		    DSN_UNDONE, NULL, "<bob@far.example>", true},
		{SIG("3", "1", "far.example", PATHS("<z@far.example>",
		    "<c@far.example>"), KEY_3) S2 RECEIVED,
		    DSN_UNDO_NOT_OURS, NULL, NULL, false},
		{SIG("2", "1", "sub.lists.example", BY_LISTS, KEY_2) RECEIVED,
		    DSN_UNDO_NOT_OURS, NULL, NULL, false},
		{SIG("3", "1", "lists.example", BY_LISTS, KEY_3),
		    DSN_UNDO_NOT_OURS, NULL, NULL, false},
		{"", DSN_UNDO_NOT_OURS, NULL, NULL, false},
		/* the top one does not read */
		{SIG("2", "1", "lists.example", "mf=?;", KEY_2) RECEIVED,
		    DSN_UNDO_NOT_OURS, NULL, NULL, false},
	};
	struct bytes came = craft(*state, CAME);

	for (size_t k = 0; k < COUNT(row); k++) {
		struct bytes sent = sent_on(*state, came, row[k].top, NULL,
		    NULL);
		struct dsn_undone u;

		assert_int_equal(undo(*state, sent, true, &u),
		    row[k].verdict);
		if (row[k].verdict != DSN_UNDONE)
			continue;
		assert_int_equal(u.has_nd, row[k].has_nd);
		assert_int_equal(u.n_rcpts, row[k].has_nd ? 0 : 1);
		assert_int_equal(u.n_sent, 1);
		kit_assert_bytes(u.sent[0], row[k].sent);
		if (row[k].mail_from == NULL)
			assert_null(u.mail_from.p);
		else
			kit_assert_bytes(u.mail_from, row[k].mail_from);
	}
}

/* Our recipe is undone, of the header also where the body is not there. */
static void
our_changes_go(void **state)
{
	static const char top[] = FAR SIG("2", "2", "lists.example", BY_LISTS,
	    KEY_2) RECIPE("{\"h\":{\"subject\":[{\"d\":[\"hello\"]}],"
	    "\"list-id\":[]},\"b\":[{\"c\":[1,2]}]}") BLOCK
	    "List-Id: <l>\r\n";
	struct bytes came = craft(*state, CAME), sent;
	struct dsn_undone u;

	sent = sent_on(*state, sent_on(*state, came, "", "two\r\n",
	    "two\r\n-- \r\nfooter\r\n"), top, "hello", "[L] hello");
	assert_int_equal(undo(*state, sent, true, &u), DSN_UNDONE);
	assert_true(u.has_body);
	assert_came(&u, came);
	assert_int_equal(undo(*state, sent, false, &u), DSN_UNDONE);
	assert_false(u.has_body);
	assert_int_equal(u.body.n, 0);
	assert_came(&u, came);
}

/* What does not fit its hashes does not go back, but the header alone may. */
static void
what_does_not_fit(void **state)
{
	static const char lost[] = SIG("2", "2", "lists.example", BY_LISTS,
	    KEY_2) RECIPE("{\"b\":[{\"c\":[1,9]}]}") RECEIVED;
	static const char other[] = SIG("2", "2", "lists.example", BY_LISTS,
	    KEY_2) RECIPE("{\"b\":[{\"c\":[1,1]}]}") RECEIVED;
	static const char header[] = SIG("2", "2", "lists.example", BY_LISTS,
	    KEY_2) RECIPE("{\"h\":{\"subject\":[]}}") RECEIVED;
	struct bytes came = craft(*state, CAME), sent;
	struct dsn_undone u;

	/* the recipe wants lines that are not there, or makes another body */
	sent = sent_on(*state, came, lost, NULL, NULL);
	assert_int_equal(undo(*state, sent, true, &u), DSN_UNDONE);
	assert_false(u.has_body);
	assert_came(&u, came);
	sent = sent_on(*state, came, other, NULL, NULL);
	assert_int_equal(undo(*state, sent, true, &u), DSN_UNDONE);
	assert_false(u.has_body);
	/* a body that was cut on the way */
	sent = sent_on(*state, came, S2 RECEIVED, "two\r\n", "");
	assert_int_equal(undo(*state, sent, true, &u), DSN_UNDONE);
	assert_false(u.has_body);
	assert_came(&u, came);
	/* a header that is none of what came */
	sent = sent_on(*state, came, header, NULL, NULL);
	assert_int_equal(undo(*state, sent, true, &u), DSN_UNDO_IMPOSSIBLE);
	assert_int_equal(undo(*state, sent, false, &u), DSN_UNDO_IMPOSSIBLE);
	sent = sent_on(*state, came, S2 RECEIVED, "hello", "hullo");
	assert_int_equal(undo(*state, sent, true, &u), DSN_UNDO_IMPOSSIBLE);
	/* the hop before can not be read */
	sent = sent_on(*state, came, S2 RECEIVED, "d=example.org; mf=",
	    "d=example.org; mf=?");
	assert_int_equal(undo(*state, sent, true, &u), DSN_UNDO_IMPOSSIBLE);
}

/* Without our Received all goes that no hash covers, above the signature. */
static void
where_our_block_is_not_found(void **state)
{
	static const char *const tops[] = {
		S2 "Authentication-Results: mx; x\r\nX-A: 1\r\n",
		FAR S2,
		/* far moved ours up */
		RECEIVED S2 "X-A: 1\r\n",
		S2 "Received: from x by mx.lists.example; x\r\n",
		S2 "Received: from x by mx.lists.example (Postfix) with x\r\n",
		S2 "Received: from x by y.mx.lists.example (hopseal) x\r\n",
		S2 "Received: from mx.lists.example (hopseal) by x; x\r\n",
		S2 "X-Received: x by mx.lists.example (hopseal) x\r\n",
	};
	struct bytes came = craft(*state, CAME), rest;
	struct dsn_undone u;

	rest = bytes_skip(came, strlen(OWN_TRACE));
	for (size_t k = 0; k < COUNT(tops); k++) {
		assert_int_equal(undo(*state, sent_on(*state, came, tops[k],
		    NULL, NULL), true, &u), DSN_UNDONE);
		assert_came(&u, rest);
	}
	/* far moved all of ours below the signature: it can not be told */
	assert_int_equal(undo(*state, sent_on(*state, came, S2,
	    "DKIM-Signature: hers\r\n", "DKIM-Signature: hers\r\n" RECEIVED),
	    true, &u), DSN_UNDONE);
	assert_false(bytes_eq(u.header, bytes_first(rest, u.header.n)));
}

/* Mail that we were the first to sign: nobody before us is named. */
static void
what_we_originated(void **state)
{
	static const char *const tops[] = {
		FAR SIG("1", "1", "lists.example", BY_LISTS, "l1:ed25519-sha256:"
		    "$1b") INSTANCE BLOCK,
		FAR SIG("2", "1", "lists.example", BY_LISTS, KEY_2)
		    SIG("1", "1", "old.example", "nd=lists.example;",
		    "l1:ed25519-sha256:$1b") INSTANCE BLOCK,
	};
	static const char mail[] = RECEIVED MAIL "\r\none\r\n";
	struct dsn_undone u;

	for (size_t k = 0; k < COUNT(tops); k++) {
		struct bytes sent = sent_on(*state, bytes_of(mail), tops[k],
		    NULL, NULL);

		assert_int_equal(undo(*state, sent, true, &u), DSN_UNDONE);
		kit_assert_bytes(u.header, RECEIVED MAIL);
		kit_assert_bytes(u.body, "one\r\n");
		assert_null(u.mail_from.p);
		assert_false(u.has_nd);
		assert_int_equal(u.n_rcpts, 0);
		kit_assert_bytes(u.domain, k == 0 ? "lists.example" :
		    "old.example");
	}
	/* without our Received nothing but what is ours for sure */
	assert_int_equal(undo(*state, sent_on(*state,
	    bytes_of(MAIL "\r\none\r\n"), FAR SIG("1", "1", "lists.example",
	    BY_LISTS, "l1:ed25519-sha256:$1b") INSTANCE, NULL, NULL), true,
	    &u), DSN_UNDONE);
	kit_assert_bytes(u.header, MAIL);
}

/* Whom a copy was for, all of them, in their order. */
static void
whom_copies_were_for(void **state)
{
	static const char shared[] = SIG("2", "1", "lists.example",
	    "mf=$J(<x@lists.example>)$; rt=$J(<bob@far.example>)$,"
	    "$J(<carol@near.example>)$;", KEY_2) RECEIVED;
	struct bytes came = craft(*state, CAME);
	struct dsn_undone u;

	assert_int_equal(undo(*state, sent_on(*state, came, shared, NULL,
	    NULL), false, &u), DSN_UNDONE);
	assert_int_equal(u.n_sent, 2);
	kit_assert_bytes(u.sent[0], "<bob@far.example>");
	kit_assert_bytes(u.sent[1], "<carol@near.example>");
	/* the hop before used another */
	assert_int_equal(u.n_rcpts, 1);
	kit_assert_bytes(u.rcpts[0], "<list@lists.example>");
}

/* A copy has one name, which no fold and no other s= changes. */
static void
names_of_copies(void **state)
{
	static const char folded[] = "DKIM2-Signature: i=2; m=1;\r\n"
	    " t=1795341600; d=lists.example; " BY_LISTS
	    " s=l1:ed25519-sha256:AAAA;\r\n" RECEIVED;
	static const char other[] = SIG("2", "1", "lists.example",
	    PATHS("<x@lists.example>", "<carol@far.example>"), KEY_2) RECEIVED;
	struct bytes came = craft(*state, CAME);
	struct dsn_undone u, v;

	undo(*state, sent_on(*state, came, S2 BLOCK, NULL, NULL), true, &u);
	undo(*state, sent_on(*state, came, FAR S2 RECEIVED, NULL, NULL),
	    false, &v);
	assert_true(bytes_eq(u.signature, v.signature));
	undo(*state, sent_on(*state, came, other, NULL, NULL), true, &v);
	assert_false(bytes_eq(u.signature, v.signature));
	undo(*state, sent_on(*state, came, folded, NULL, NULL), true, &v);
	assert_int_equal(v.signature.n, 32);
	assert_true(bytes_eq(u.signature, v.signature));
}

/* What was passed on unsigned and came back from behind us. */
static void
traces(void **state)
{
	static const struct {
		const char *top, *from, *left;
	} row[] = {
		{"Auth: x\r\n" RECEIVED, CAME, "Auth: x\r\n" CAME},
		{"X-In: 1\r\nReceived: x by in; y\r\n" BLOCK, CAME, CAME},
		{RECEIVED "X-In: 1\r\n" BLOCK, CAME, CAME},
		{"X-In: 1\r\n", CAME, S1 INSTANCE MAIL "\r\none\r\ntwo\r\n"},
		/* without a chain the next one is ours */
		{RECEIVED, MAIL "\r\n", MAIL "\r\n"},
		{"X-In: 1\r\n" RECEIVED, RECEIVED MAIL "\r\n",
		    RECEIVED MAIL "\r\n"},
		{"X-In: 1\r\n", MAIL "\r\n", "X-In: 1\r\n" MAIL "\r\n"},
	};

	for (size_t k = 0; k < COUNT(row); k++) {
		struct bytes came = craft(*state, row[k].from), header;
		struct bytes left = craft(*state, row[k].left);
		struct dkim2_message m;
		size_t body_at, n = dkim2_header_end(left, &body_at);

		/* $H is not the same where fields differ */
		if (k == 0)
			left = sent_on(*state, came, "Auth: x\r\n", NULL,
			    NULL);
		if (k == 0)
			n = dkim2_header_end(left, &body_at);
		kit_split(sent_on(*state, came, row[k].top, NULL, NULL), &m,
		    *state);
		assert_int_equal(dsn_undo_trace(&header, &m, us.hostname,
		    *state), 0);
		if (!bytes_eq(header, bytes_first(left, n)))
			print_message("%zu got\n%.*s\nwanted\n%.*s\n", k,
			    BYTES_FMT(header), (int)n,
			    (const char *)left.p);
		assert_true(bytes_eq(header, bytes_first(left, n)));
	}
}

static void
every_small_arena(void **state)
{
	struct bytes sent = sent_on(*state, craft(*state, CAME),
	    FAR S2 BLOCK, NULL, NULL), header;
	enum dsn_undo_verdict v;
	struct dkim2_message m;
	struct bytes body = kit_split(sent, &m, *state);
	struct dsn_undone u;
	int r = -E_NOMEM;

	for (size_t n = 0; r != 0; n += 64) {
		struct arena *a = arena_new(n);

		assert_true(n < 1000000);
		r = dsn_undo(&u, &m, body, true, &us, a, &v);
		assert_true(r == 0 ? v == DSN_UNDONE : r == -E_NOMEM);
		arena_free(&a);
	}
	r = -E_NOMEM;
	for (size_t n = 0; r != 0; n += 64) {
		struct arena *a = arena_new(n);

		r = dsn_undo_trace(&header, &m, us.hostname, a);
		assert_true(r == 0 || r == -E_NOMEM);
		arena_free(&a);
	}
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, open_arena, close_arena)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(our_block_goes),
		ROW(one_hop_at_a_time),
		ROW(our_changes_go),
		ROW(what_does_not_fit),
		ROW(where_our_block_is_not_found),
		ROW(what_we_originated),
		ROW(whom_copies_were_for),
		ROW(names_of_copies),
		ROW(traces),
		ROW(every_small_arena),
	};

	return cmocka_run_group_tests_name("dsn/undo", tests, NULL, NULL);
}
