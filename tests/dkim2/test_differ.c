#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>

#include "base/err.h"
#include "dkim2/differ.h"
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

static struct canon_header
header_of(const char *text, struct dkim2_message *m, struct arena *a)
{
	struct canon_header h;

	assert_int_equal(dkim2_message_parse(m, bytes_of(text), 1000, a), 0);
	assert_int_equal(canon_header_sort(&h, m, a), 0);
	return h;
}

/* ---- two states ---------------------------------------------------------- */

static void
the_first_octet_of_a_field_is_named(void **state)
{
	static const struct {
		const char *was, *is;
		size_t n;		/* fields that differ; the first: */
		enum differ_kind kind;
		const char *name;
		size_t number, at, offset;
	} row[] = {
		{"A: 1\r\nB: 2\r\n", "b:\r\n\t2 \r\na:1\r\n", 0,
		    DIFFER_CHANGED, "", 0, 0, 0},
		{"Received: 1\r\nA: 1\r\n", "X-B: 1\r\nA: 1\r\n", 0,
		    DIFFER_CHANGED, "", 0, 0, 0},
		{"A: one two\r\n", "A: one tvo\r\n", 1, DIFFER_CHANGED, "a",
		    1, 5, 7},
		{"A: one\r\n", "A: one two\r\n", 1, DIFFER_CHANGED, "a", 1, 3,
		    5},
		{"B: 1\r\n", "A: 1\r\nB: 1\r\n", 1, DIFFER_ADDED, "a", 1, 0,
		    0},
		{"A: 1\r\nB: 1\r\n", "A: 1\r\n", 1, DIFFER_LOST, "b", 1, 0,
		    5},
		/* numbers count from below */
		{"A: 1\r\nA: 2\r\nA: 3\r\n", "A: 1\r\nA: x\r\nA: 3\r\n", 1,
		    DIFFER_CHANGED, "a", 2, 0, 7},
		{"A: 1\r\nA: 3\r\n", "A: 1\r\nA: 2\r\nA: 3\r\n", 1,
		    DIFFER_ADDED, "a", 2, 0, 5},
		{"A: 1\r\nA: 2\r\nA: 3\r\n", "A: 1\r\nA: 2\r\n", 1,
		    DIFFER_LOST, "a", 1, 0, 0},
		{"A: 1\r\nA: 2\r\n", "A: 2\r\nA: 1\r\n", 2, DIFFER_CHANGED,
		    "a", 1, 0, 2},
		{"A: 1\r\nC: 1\r\n", "B: 1\r\nC: 2\r\n", 3, DIFFER_LOST, "a",
		    1, 0, 0},
	};

	for (size_t k = 0; k < COUNT(row); k++) {
		struct dkim2_message mw, mi;
		struct canon_header was = header_of(row[k].was, &mw, *state);
		struct canon_header is = header_of(row[k].is, &mi, *state);
		struct differ_header d;

		assert_int_equal(differ_headers(&d, &was, &is, *state), 0);
		if (d.n != row[k].n)
			print_message("%s", row[k].is);
		assert_int_equal(d.n, row[k].n);
		if (d.n == 0)
			continue;
		assert_int_equal(d.fields[0].kind, row[k].kind);
		kit_assert_bytes(d.fields[0].name, row[k].name);
		assert_int_equal(d.fields[0].number, row[k].number);
		assert_int_equal(d.fields[0].at, row[k].at);
		assert_int_equal(d.fields[0].offset, row[k].offset);
	}
}

static void
the_first_octet_of_a_body_is_named(void **state)
{
	static const struct {
		const char *was, *is;
		bool is_same;
		size_t at, line, column;
		const char *cut_was, *cut_is;
		const char *line_was, *line_is;	/* NULL: behind the end */
	} row[] = {
		{"", "\r\n\r\n", true, 2, 2, 1, "", "", NULL, NULL},
		{"a", "a\r\n\r\n", true, 3, 2, 1, "", "", NULL, NULL},
		{"one\r\ntwo\r\n", "one\r\ntoo\r\n", false, 6, 2, 2, "w", "o",
		    "two", "too"},
		{"one\r\n", "one\r\ntwo\r\n", false, 5, 2, 1, "", "two\r\n",
		    NULL, "two"},
		{"one\r\ntwo\r\n", "one\r\n", false, 5, 2, 1, "two\r\n", "",
		    "two", NULL},
		{"one\r\nthree\r\n", "one\r\ntwo\r\nthree\r\n", false, 6, 2,
		    2, "", "wo\r\nt", "three", "two"},
		{"one\r\n", "one \r\n", false, 3, 1, 4, "", " ", "one",
		    "one "},
		{"", "x", false, 0, 1, 1, "", "x", "", "x"},
	};

	for (size_t k = 0; k < COUNT(row); k++) {
		struct differ_body d;

		assert_int_equal(differ_bodies(&d, bytes_of(row[k].was),
		    bytes_of(row[k].is), *state), 0);
		assert_int_equal(d.is_same, row[k].is_same);
		assert_int_equal(d.at, row[k].at);
		assert_int_equal(d.line, row[k].line);
		assert_int_equal(d.column, row[k].column);
		kit_assert_bytes(d.was, row[k].cut_was);
		kit_assert_bytes(d.is, row[k].cut_is);
		assert_int_equal(d.was_line.p == NULL,
		    row[k].line_was == NULL);
		assert_int_equal(d.is_line.p == NULL, row[k].line_is == NULL);
		if (row[k].line_was != NULL)
			kit_assert_bytes(d.was_line, row[k].line_was);
		if (row[k].line_is != NULL)
			kit_assert_bytes(d.is_line, row[k].line_is);
	}
}

/* ---- headers that do not fit --------------------------------------------- */

static void
digest_header(const struct canon_header *h, uint8_t *digest)
{
	struct dkim2_hasher x;

	assert_int_equal(dkim2_hasher_init(&x, DKIM2_SHA256), 0);
	assert_int_equal(canon_header_emit(h, canon_to_hasher, &x), 0);
	assert_int_equal(dkim2_hasher_end(&x, digest), 0);
	dkim2_hasher_fini(&x);
}

static void
assert_says(struct bytes what, const char *part, const char *label)
{
	if (part == NULL ? what.p != NULL :
	    bytes_find(what, bytes_of(part)) == what.n)
		print_message("%s\nsays \"%.*s\"\nnot  \"%s\"\n", label,
		    BYTES_FMT(what), part == NULL ? "nothing" : part);
	if (part == NULL)
		assert_null(what.p);
	else
		assert_true(bytes_find(what, bytes_of(part)) != what.n);
}

#define F "From: Ann <a@a.example>\r\n"
#define T "To: b@b.example\r\n"
#define S "Subject: Two words\r\n"

static void
changes_of_a_header_are_found(void **state)
{
	static const struct {
		const char *was, *is, *says;	/* NULL: nothing is found */
	} row[] = {
		{F T S, "List-Id: <l>\r\n" F T S, "without the `List-Id` "
		    "field: it was added later"},
		{F "Comments: 1\r\n" T, F "Comments: 2\r\nComments: 1\r\n" T,
		    "the `Comments` field (the 2. from below)"},
		{F T, F "Auto-Submitted: no\r\n" T, "before -08"},
		{F T S, F T "Subject: [L] Two words\r\n",
		    "the `Subject` field without `[L] ` at its front"},
		{F T "Subject: Re: Two words\r\n",
		    F T "Subject: Re: [L] Two words\r\n",
		    "without `[L] ` behind the mark of a reply"},
		{F T "Subject: Re: Two words\r\n",
		    F T "Subject: [L] Re: Two words\r\n",
		    "without `[L] ` at its front"},
		{F T S, F T "Subject: Two words [spam]\r\n",
		    "without ` [spam]` at its end"},
		{F T S "Content-Transfer-Encoding: 8bit\r\n",
		    F T S "Content-Transfer-Encoding: quoted-printable\r\n",
		    "as `8bit`"},
		{F "To: a@b.example,b@b.example\r\n",
		    F "To: a@b.example, b@b.example\r\n",
		    "without blanks behind its commas"},
		{F "To: a@b.example, b@b.example\r\n",
		    F "To: a@b.example,b@b.example\r\n",
		    "with a blank behind each comma"},
		{"From: \"Ann\" <a@a.example>\r\n", F, "with quotes around"},
		{F T, "From: \"Ann\" <a@a.example>\r\n" T, "without quotes"},
		{"From: \"A\" <a@a.example>\r\nTo: \"B\" <b@b.example>\r\n",
		    "From: A <a@a.example>\r\nTo: B <b@b.example>\r\n",
		    "all addresses with quotes around its names"},
		{F "To: <b@b.example>\r\n", F T, "with angle brackets"},
		{F T, F "To: <b@b.example>\r\n", "without angle brackets"},
		{F "Content-Type: text/plain; charset=\"utf-8\"\r\n",
		    F "Content-Type: text/plain; charset=utf-8\r\n",
		    "with quotes around its parameters"},
		{F "Message-ID: <a@b>\r\n", F "Message-ID: <A@B>\r\n",
		    "in lower case"},
		{F "Message-ID: <abcdef>\r\n", F "Message-ID: <abc\r\n def>\r\n",
		    "without the blanks at its folds"},
		{F "MIME-Version: 1.0\r\n", F "MIME-Version: 1.0 (Mac)\r\n",
		    "without the comment"},
		{F "MIME-Version: 1.0\r\n" T, F T,
		    "with a field `mime-version:1.0`: it was lost"},
		{F "Comments: 1\r\nComments: 2\r\n",
		    F "Comments: 2\r\nComments: 1\r\n",
		    "with its `Comments` fields in another order"},
		{F "A: 1\r\nA: 2\r\nA: 3\r\n", F "A: 1\r\nA: 3\r\nA: 2\r\n",
		    "with its `A` fields in another order"},
		{F T, F "Foo: 1\r\nBar: 2\r\n" T,
		    "without the `Bar` field and the `Foo` field"},
		{F T S, F T "Subject: [L] Two words\r\nList-Id: <l>\r\n"
		    "List-Post: x\r\nSender: y\r\n",
		    "without the fields that list managers add, and the "
		    "`Subject` field without `[L] `"},
		{F T S, F T "Subject: Three\r\n", NULL},
		{F T, F T, NULL},
	};

	for (size_t k = 0; k < COUNT(row); k++) {
		struct dkim2_message mw, mi;
		struct canon_header was = header_of(row[k].was, &mw, *state);
		struct canon_header is = header_of(row[k].is, &mi, *state);
		uint8_t wanted[DKIM2_HASH_MAX], got[DKIM2_HASH_MAX];
		struct differ_target t = {DKIM2_SHA256, {wanted, 32},
		    {NULL, 0}};
		struct differ_work work = {.left = DIFFER_WORK};
		struct differ_guess g;

		digest_header(&was, wanted);
		assert_int_equal(differ_guess_header(&g, &is, &t, &work,
		    *state), 0);
		assert_says(g.what, row[k].says, row[k].is);
		assert_false(work.is_out);
		if (row[k].says == NULL)
			continue;
		/* What fits is handed out. */
		digest_header(&g.header, got);
		assert_memory_equal(got, wanted, 32);
	}
}

static void
fields_above_the_signature_are_tried_together(void **state)
{
	static const char text[] = "B: 1\r\nC: 2\r\nD: 3\r\n" F T;
	struct dkim2_message mw, mi;
	struct canon_header was = header_of(F T, &mw, *state);
	struct canon_header is = header_of(text, &mi, *state);
	uint8_t wanted[DKIM2_HASH_MAX];
	struct differ_target t = {DKIM2_SHA256, {wanted, 32},
	    bytes_first(mi.header, sizeof("B: 1\r\nC: 2\r\nD: 3\r\n") - 1)};
	struct differ_work work = {.left = DIFFER_WORK};
	struct differ_guess g;

	digest_header(&was, wanted);
	assert_int_equal(differ_guess_header(&g, &is, &t, &work, *state), 0);
	assert_says(g.what, "without the fields above the signature", "");
}

/* ---- bodies that do not fit ---------------------------------------------- */

#define LONG "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void
changes_of_a_body_are_found(void **state)
{
	static const struct {
		const char *was, *is, *says;
	} row[] = {
		{"one\r\ntwo\r\n", "one\r\ntwo\r\n-- \r\nfooter\r\n\r\n",
		    "it fits the first 10 octets (2 lines): what follows was "
		    "added later"},
		{"one\r\n\r\ntwo\r\n", "one\r\n\r\ntwo\r\nfoot",
		    "the first 12 octets (3 lines)"},
		{"\r\n", "added\r\n", "an empty body"},
		{"two\r\nthree\r\n", "banner\r\n\r\ntwo\r\nthree\r\n",
		    "without the first 2 lines: they were put in front"},
		{"two\r\n", "banner\r\ntwo\r\n", "without the first 1 line: "
		    "it was put in front"},
		{"1\r\n2\r\n3\r\n4\r\n", "1\r\n2\r\nx\r\n3\r\n4\r\n",
		    "without line 3: it was put in later"},
		{"1\r\n2\r\n3\r\n4\r\n", "1\r\nx\r\ny\r\n2\r\n3\r\n4\r\n",
		    "without lines 2 to 3: they were put in later"},
		{"a\r\nb\r\n", "a \r\nb\t\r\n", "white space at the end"},
		{"a\r\n-- \r\nb\r\n", "a\r\n--\r\nb\r\n", "`-- `"},
		{"        a\r\n", "\ta\r\n", "blanks in place of its tabs"},
		{"a b\r\n", "a\tb\r\n", "one blank in place of each tab"},
		{"\ta\r\n", "        a\r\n", "tabs in place of eight"},
		{LONG LONG "\r\nb\r\n", LONG "\r\n" LONG "\r\nb\r\n", NULL},
		{LONG "bcd\r\nb\r\n", LONG "\r\nbcd\r\nb\r\n",
		    "longest lines joined"},
		{LONG "bcd\r\nb\r\n", LONG "\r\n bcd\r\nb\r\n",
		    "and put a blank in front"},
		{LONG "bcd\r\nb\r\n", LONG "!\r\n bcd\r\nb\r\n",
		    "marked them with `!`"},
		{".a\r\nb\r\n", "..a\r\nb\r\n", "one dot less"},
		{"..a\r\nb\r\n", ".a\r\nb\r\n", "one dot more"},
		{"From a\r\n", ">From a\r\n", "without the `>`"},
		{">From a\r\n", "From a\r\n", "with a `>`"},
		{"a\r\nb\r\nc\r\n", "a\r\n\r\nb\r\n\r\nc\r\n\r\n",
		    "every second line"},
		{"a\r\nb\r\n", "a\r\r\nb\r\r\n", "without the CR"},
		{"\r\na\r\nb\r\n", "a\r\nb\r\n", "an empty line more"},
		{"..a\r\nb\r\n", ".a\r\nb\r\nfoot\r\n", "one dot more in front "
		    "of lines that begin with one: dots were taken away once "
		    "too often, and then the first 8 octets (2 lines)"},
		{"a\r\nb\r\n", "a\r\nc\r\n", NULL},
	};

	for (size_t k = 0; k < COUNT(row); k++) {
		uint8_t wanted[DKIM2_HASH_MAX];
		struct differ_target t = {DKIM2_SHA256, {wanted, 32},
		    {NULL, 0}};
		struct differ_work work = {.left = DIFFER_WORK};
		struct differ_guess g;
		struct bytes was, got;

		assert_int_equal(differ_body_canonical(bytes_of(row[k].was),
		    *state, &was), 0);
		assert_int_equal(dkim2_hash_once(DKIM2_SHA256, was, wanted),
		    0);
		assert_int_equal(differ_guess_body(&g, bytes_of(row[k].is),
		    &t, &work, *state), 0);
		assert_says(g.what, row[k].says, row[k].is);
		if (row[k].says == NULL)
			continue;
		assert_int_equal(differ_body_canonical(g.body, *state, &got),
		    0);
		assert_true(bytes_eq(got, was));
	}
}

/* Hashes of what DKIM2 does not hash. */
static void
faults_of_signers_are_found(void **state)
{
	static const struct {
		const char *hashed, *is, *says;
	} row[] = {
		{"a\nb\n", "a\r\nb\r\n", "LF alone"},
		{"", "a\r\nb\r\n", "no octets at all"},
		{"a\r\nb", "a\r\nb\r\n", "without the CRLF of the last line"},
		{"a\r\n\r\n\r\n", "a\r\n\r\n\r\n", "all empty lines"},
		{"a b\r\n", "a  b \r\n", "relaxed"},
	};

	for (size_t k = 0; k < COUNT(row); k++) {
		uint8_t wanted[DKIM2_HASH_MAX];
		struct differ_target t = {DKIM2_SHA256, {wanted, 32},
		    {NULL, 0}};
		struct differ_work work = {.left = DIFFER_WORK};
		struct differ_guess g;

		assert_int_equal(dkim2_hash_once(DKIM2_SHA256,
		    bytes_of(row[k].hashed), wanted), 0);
		assert_int_equal(differ_guess_body(&g, bytes_of(row[k].is),
		    &t, &work, *state), 0);
		assert_says(g.what, row[k].says, row[k].is);
	}
}

static void
searches_end(void **state)
{
	const uint8_t wanted[32] = {0};
	struct differ_target t = {DKIM2_SHA256, {wanted, 32}, {NULL, 0}};
	struct differ_guess g;
	struct buf body, header;
	struct dkim2_message m;
	struct canon_header h;

	assert_int_equal(arena_buf(*state, 1 << 20, &body), 0);
	assert_int_equal(arena_buf(*state, 1 << 20, &header), 0);
	for (size_t k = 0; k < 100000; k++)
		buf_printf(&body, "line %zu\r\n", k % 7);
	for (size_t k = 0; k < 900; k++)
		buf_printf(&header, "To: a%zu@a.example, b <c@d>\r\n", k);
	assert_false(body.full || header.full);
	for (size_t left = 0; left <= 4 << 20; left += 1 << 20) {
		struct differ_work work = {.left = left};

		assert_int_equal(differ_guess_body(&g, buf_bytes(&body), &t,
		    &work, *state), 0);
		assert_null(g.what.p);
		assert_true(work.is_out);
		work = (struct differ_work){.left = left};
		assert_int_equal(dkim2_message_parse(&m, buf_bytes(&header),
		    1000, *state), 0);
		assert_int_equal(canon_header_sort(&h, &m, *state), 0);
		assert_int_equal(differ_guess_header(&g, &h, &t, &work,
		    *state), 0);
		assert_null(g.what.p);
		assert_true(work.is_out);
	}
}

/* ---- signatures that are wrong ------------------------------------------- */

#define SIGNED(i, m, rest) "DKIM2-Signature: i=" i "; m=" m "; t=1795341600; " \
	"d=example.org; mf=PD4=; rt=PGJAYi5leGFtcGxlPg==; " rest "\r\n"
#define BELOW "From: a@example.org\r\n\r\nx\r\n"

static void
changes_of_signed_fields_are_found(void **state)
{
	static const struct {
		const char *signed_as, *from, *to, *says;
	} row[] = {
		{SIGNED("1", "1", "s=ed1:ed25519-sha256:$1a;")
		    "Message-Instance: m=1; h=$H;\r\n" BELOW, ";\r\nFrom",
		    "\r\nFrom", "with the last `;` the other way, there or "
		    "not, in m=1"},
		{SIGNED("1", "1", "s=ed1:ed25519-sha256:$1a;")
		    "Message-Instance: m=1; h=$H;\r\n" BELOW,
		    "d=example.org", "d=EXAMPLE.org", "with its domains in "
		    "lower case in i=1"},
		{SIGNED("1", "1", "s=ed1:ed25519-sha256:$1a;")
		    "Message-Instance: m=1; h=$H;\r\n" BELOW,
		    "t=1795341600; d=example.org", "d=example.org; "
		    "t=1795341600", "in the order of most signers in i=1"},
		{SIGNED("1", "1", "s=ed1:ed25519-sha256:$1a;")
		    "Message-Instance: m=1; h=$H;\r\n" BELOW,
		    "rt=PGJA", "rt=PGNA", NULL},
		{SIGNED("1", "1", "s=ed1:ed25519-sha256:$1b;")
		    "Message-Instance: m=1; h=$H;\r\n" BELOW,
		    "", "", "it was made with another key: that of other"},
	};

	for (size_t k = 0; k < COUNT(row); k++) {
		struct bytes octets = craft(*state, row[k].signed_as);
		size_t n_from = strlen(row[k].from);
		size_t at = bytes_find(octets, bytes_of(row[k].from));
		struct differ_key keys[2] = {
			{BYTES_LIT("ed1._domainkey.example.org"),
			 bytes_of(CRAFT_A)},
			{BYTES_LIT("other._domainkey.example.org"),
			 bytes_of(CRAFT_B)},
		};
		struct dkim2_message m;
		struct dkim2_limits limits;
		struct reason_list faults;
		struct chain c;
		struct differ_guess g;
		struct buf changed;

		assert_int_equal(arena_buf(*state, octets.n + 100, &changed),
		    0);
		buf_add(&changed, bytes_first(octets, at));
		if (at != octets.n) {
			buf_add_str(&changed, row[k].to);
			buf_add(&changed, bytes_skip(octets, at + n_from));
		}
		kit_split(buf_bytes(&changed), &m, *state);
		dkim2_limits_default(&limits);
		assert_int_equal(reason_list_init(&faults, 1000, *state), 0);
		assert_int_equal(chain_read(&c, &m, &limits, *state, &faults),
		    0);
		assert_true(c.is_numbered);
		assert_int_equal(c.signatures[0].n_members, 1);
		assert_int_equal(differ_guess_signature(&g, &c, 1,
		    &c.signatures[0].members[0], keys, 2, *state), 0);
		assert_says(g.what, row[k].says, row[k].to);
	}
}

/* The octets that a signer signed in its own way, for two hops. */
static void
other_signing_inputs_are_found(void **state)
{
	static const struct {
		unsigned order[4];	/* lines of the input, 9: no more */
		unsigned blank;		/* bits: lines whose s= is emptied */
		bool has_case;
		size_t cut;		/* octets left out at the end */
		const char *says;
	} row[] = {
		{{1, 2, 3, 9}, 8, false, 0, "without the Message-Instance m=1"},
		{{0, 1, 3, 9}, 8, false, 0, "without the DKIM2-Signature i=1"},
		{{2, 0, 1, 3}, 8, false, 0, "signatures before the instances"},
		{{1, 0, 2, 3}, 8, false, 0, "from the highest down"},
		{{0, 1, 2, 3}, 8, true, 0, "as they are written"},
		{{0, 1, 2, 3}, 12, false, 0, "earlier signatures dropped too"},
		{{0, 1, 2, 3}, 8, false, 2, "without the last line end"},
	};
	static const char text[] =
	    SIGNED("2", "2", "s=ed1:ed25519-sha256:AAAA;")
	    "Message-Instance: m=2; h=$H;\r\n"
	    SIGNED("1", "1", "s=ed1:ed25519-sha256:BBBB;")
	    "Message-Instance: m=1; h=$H;\r\n" BELOW;

	for (size_t k = 0; k < COUNT(row); k++) {
		struct bytes octets = craft(*state, text);
		struct differ_key key = {BYTES_LIT("ed1"), bytes_of(CRAFT_A)};
		const struct dkim2_field *fields[4];
		struct dkim2_message m;
		struct dkim2_limits limits;
		struct reason_list faults;
		struct chain c;
		struct differ_guess g;
		struct signature_member member;
		struct dkim2_private_key *private;
		uint8_t digest[DKIM2_DIGEST], room[DKIM2_SIGNATURE_MAX];
		struct buf input, signature = BUF_ON(room);

		kit_split(octets, &m, *state);
		dkim2_limits_default(&limits);
		assert_int_equal(reason_list_init(&faults, 1000, *state), 0);
		assert_int_equal(chain_read(&c, &m, &limits, *state, &faults),
		    0);
		fields[0] = c.instances[0].field;
		fields[1] = c.instances[1].field;
		fields[2] = c.signatures[0].field;
		fields[3] = c.signatures[1].field;
		assert_int_equal(arena_buf(*state, 4096, &input), 0);
		for (size_t j = 0; j < 4 && row[k].order[j] != 9; j++) {
			unsigned f = row[k].order[j];
			size_t from = input.n;

			assert_int_equal(canon_signing_line(fields[f]->name,
			    fields[f]->value, (row[k].blank >> f & 1) != 0,
			    canon_to_buf, &input), 0);
			if (row[k].has_case)
				memcpy(input.p + from, fields[f]->name.p,
				    fields[f]->name.n);
		}
		input.n -= row[k].cut;
		assert_int_equal(dkim2_hash_once(DKIM2_SHA256,
		    buf_bytes(&input), digest), 0);
		assert_int_equal(dkim2_private_key_load(&private,
		    bytes_of(CRAFT_PEM_A), NULL), 0);
		assert_int_equal(dkim2_private_key_sign(private, digest,
		    &signature), 0);
		dkim2_private_key_free(&private);
		member = c.signatures[1].members[0];
		member.value = buf_bytes(&signature);
		assert_int_equal(differ_guess_signature(&g, &c, 2, &member,
		    &key, 1, *state), 0);
		assert_says(g.what, row[k].says, "");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    the_first_octet_of_a_field_is_named, open_arena,
		    close_arena),
		cmocka_unit_test_setup_teardown(
		    the_first_octet_of_a_body_is_named, open_arena,
		    close_arena),
		cmocka_unit_test_setup_teardown(changes_of_a_header_are_found,
		    open_arena, close_arena),
		cmocka_unit_test_setup_teardown(
		    fields_above_the_signature_are_tried_together, open_arena,
		    close_arena),
		cmocka_unit_test_setup_teardown(changes_of_a_body_are_found,
		    open_arena, close_arena),
		cmocka_unit_test_setup_teardown(faults_of_signers_are_found,
		    open_arena, close_arena),
		cmocka_unit_test_setup_teardown(searches_end, open_arena,
		    close_arena),
		cmocka_unit_test_setup_teardown(
		    changes_of_signed_fields_are_found, open_arena,
		    close_arena),
		cmocka_unit_test_setup_teardown(other_signing_inputs_are_found,
		    open_arena, close_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
