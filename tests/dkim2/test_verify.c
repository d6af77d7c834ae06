#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>

#include "base/err.h"
#include "tests/dkim2/kit.h"
#include "tests/dkim2/craft.h"

/* A good message of one hop, in parts. */
#define I1 "Message-Instance: m=1; h=$H;\r\n"
#define FROM "From: Alice <alice@example.org>\r\n"
#define REST "To: list@lists.example\r\nSubject: hello\r\n"
#define BODY "\r\none\r\ntwo\r\n"
#define ENDS "mf=PGFsaWNlQGV4YW1wbGUub3JnPg==; rt=PGxpc3RAbGlzdHMuZXhhbXBsZT4="
#define S1(s) "DKIM2-Signature: i=1; m=1; t=1795341600; d=example.org; " \
	ENDS "; s=" s ";\r\n"
#define GOOD S1("ed1:ed25519-sha256:$1a")
#define MAIL "<alice@example.org>"
#define RCPT "<list@lists.example>"

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

static const struct craft_run usual = {MAIL, {RCPT}, 0, NULL, 0, 0, NULL, 0};

/* Verifies a text; both verdicts as "full / provisional". */
static void
expect(const char *text, const struct craft_run *run, const char *full,
    const char *provisional)
{
	struct arena *a = arena_new(KIT_ARENA);
	struct dkim2_verify *v;
	const struct dkim2_result *r = craft_verify(a, craft(a, text), run,
	    &v);
	char room[600];

	assert_string_equal(craft_text(&r->full, room, sizeof(room)), full);
	assert_string_equal(craft_text(&r->provisional, room, sizeof(room)),
	    provisional == NULL ? full : provisional);
	dkim2_verify_fini(v);
	arena_free(&a);
}

/* ---- worked examples ---------------------------------------------------- */

static const struct craft_run q1 = {MAIL, {RCPT}, 1795341600, NULL, 0, 0,
    NULL, 0};
static const struct craft_run q2 = {"<l-bounces@lists.example>",
    {"<bob@example.net>"}, 1795341660, NULL, 0, 0, NULL, 0};

static void
worked_examples_pass(void **state)
{
	struct arena *a = *state;
	struct dkim2_verify *v;
	const struct dkim2_result *r;
	struct bytes whole = kit_file(a, "tests/vectors/worked/q2.eml");

	assert_int_equal(whole.n, 1251);
	r = craft_verify(a, kit_file(a, "tests/vectors/worked/q1.eml"), &q1,
	    &v);
	assert_int_equal(r->full.state, DKIM2_PASS);
	assert_int_equal(r->condition, DKIM2_NEVER_LEFT);
	assert_int_equal(r->n_all, 0);
	dkim2_verify_fini(v);
	r = craft_verify(a, whole, &q2, &v);
	assert_int_equal(r->full.state, DKIM2_PASS);
	assert_int_equal(r->provisional.state, DKIM2_PASS);
	assert_int_equal(r->n_signatures, 2);
	assert_int_equal(r->n_instances, 2);
	kit_assert_bytes(r->signatures[0].d, "example.org");
	kit_assert_bytes(r->signatures[0].mf, MAIL);
	kit_assert_bytes(r->signatures[1].rt[1], "<carol@example.com>");
	kit_assert_bytes(r->signatures[1].flags[0], "exploded");
	assert_int_equal(r->signatures[1].t, 1795341660);
	kit_assert_bytes(r->signatures[1].members[0].selector, "l1");
	assert_false(r->instances[0].has_recipe);
	assert_true(r->instances[1].has_recipe);
	kit_assert_base64((struct bytes){dkim2_verify_digests(v)->header[0],
	    32}, "hSg491zOjNKUdOFoZpj1eAldni57Ye7ZOWAwpkPnPY8=");
	kit_assert_base64((struct bytes){dkim2_verify_digests(v)->body[0],
	    32}, "UbF6KNB2lUASQQ04A7+KVnvF2mZhjUK4IQSYYi5uqjY=");
	dkim2_verify_fini(v);
}

/* The verdict depends neither on how the body comes nor on the answers. */
static void
any_split_and_any_order(void **state)
{
	struct arena *a = *state;
	struct bytes whole = kit_file(a, "tests/vectors/worked/q2.eml");
	struct craft_run run = q2;

	for (run.split = 0; run.split < 45; run.split++) {
		for (run.order = 0; run.order < 3; run.order++) {
			struct arena *b = arena_new(KIT_ARENA);
			struct dkim2_verify *v;
			const struct dkim2_result *r = craft_verify(b, whole,
			    &run, &v);

			assert_int_equal(r->full.state, DKIM2_PASS);
			dkim2_verify_fini(v);
			arena_free(&b);
		}
	}
}

/* Every small cap is a clean -E_NOMEM, never a wrong verdict or a crash. */
static void
every_small_arena(void **state)
{
	struct arena *a = *state;
	struct bytes whole = kit_file(a, "tests/vectors/worked/q2.eml");
	struct bytes rcpt = BYTES_LIT("<bob@example.net>"), body;
	struct bytes record[2] = {BYTES_LIT(CRAFT_A), BYTES_LIT(CRAFT_B)};
	struct dkim2_envelope e = {BYTES_LIT("<l-bounces@lists.example>"),
	    &rcpt, 1};
	struct dkim2_verify_options o = {.now_s = CRAFT_TIME, .envelope = &e};
	struct dkim2_message m;
	bool passed = false;

	body = kit_split(whole, &m, a);
	for (size_t cap = 0; !passed; cap += 16) {
		struct arena *b = arena_new(cap);
		struct dkim2_verify *v;
		int r = dkim2_verify_new(&v, b, &o);

		assert_true(cap < 1000000);
		if (r == 0)
			r = dkim2_verify_header(v, &m);
		if (r == 0)
			r = dkim2_verify_body(v, body);
		if (r == 0)
			r = dkim2_verify_end(v, body);
		for (size_t k = 0; r == 0 && k < 2; k++)
			r = dkim2_verify_answer(v, k, DKIM2_KEY_TXT,
			    &record[k], 1);
		if (r == 0) {
			passed = dkim2_verify_result(v)->full.state ==
			    DKIM2_PASS;
			assert_true(passed);
		} else {
			assert_int_equal(r, -E_NOMEM);
		}
		dkim2_verify_fini(v);
		arena_free(&b);
	}
}

/* ---- one fault each ----------------------------------------------------- */

static void
faults_of_structure(void **state)
{
	static const struct {
		const char *text, *verdict;
	} row[] = {
		{GOOD I1 FROM REST BODY, "pass"},
		{FROM REST BODY, "none No DKIM2 header fields found"},
		{GOOD "Message-Instance: h=$H;\r\n" FROM REST BODY,
		 "permerror Message-Instance m=1 tag=m missing"},
		{GOOD I1 "Message-Instance: m=0; h=$H;\r\n" FROM REST BODY,
		 "permerror Message-Instance m=2 tag=m missing"},
		{GOOD I1 I1 FROM REST BODY,
		 "permerror Message-Instance m=1 syntax error"},
		{GOOD FROM REST BODY,
		 "permerror Message-Instance m=1 missing"},
		{GOOD I1 "Message-Instance: m=3; h=$H;\r\n" FROM REST BODY,
		 "permerror Message-Instance m=2 missing"},
		{GOOD I1 "Message-Instance: m=2; h=$H;\r\n" FROM REST BODY,
		 "permerror Message-Instance m=2 is not signed"},
		{GOOD "DKIM2-Signature: m=1; t=1; d=example.org; " ENDS
		 "; s=ed1:ed25519-sha256:AAAA\r\n" I1 FROM REST BODY,
		 "permerror DKIM2-Signature i=2 tag=i missing"},
		{GOOD GOOD I1 FROM REST BODY,
		 "permerror DKIM2-Signature i=1 syntax error"},
		{I1 FROM REST BODY,
		 "permerror DKIM2-Signature i=1 missing"},
		{"DKIM2-Signature: i=2; m=1\r\n" I1 FROM REST BODY,
		 "permerror DKIM2-Signature i=1 missing"},
		{GOOD "Message-Instance: m=1;\r\n" FROM REST BODY,
		 "permerror Message-Instance m=1 tag=h missing"},
		{GOOD "Message-Instance: m=1; h=;\r\n" FROM REST BODY,
		 "permerror Message-Instance m=1 syntax error"},
		{GOOD "Message-Instance: m=1; h=$H|$H;\r\n" FROM REST BODY,
		 "permerror Message-Instance m=1 has a duplicate hash "
		 "algorithm"},
		{GOOD "Message-Instance: m=1; h=$H; r=;\r\n" FROM REST BODY,
		 "permerror Message-Instance m=1 syntax error"},
		{GOOD "Message-Instance: m=1; h=$H; r=$J({)$\r\n" FROM REST
		 BODY, "permerror Message-Instance m=1 contains invalid JSON"},
		{GOOD "Message-Instance: m=1; h=$H; r=$J([])$\r\n" FROM REST
		 BODY, "permerror Message-Instance m=1 Recipe [] is invalid"},
		/* O6: 64 octets of it are shown */
		{GOOD "Message-Instance: m=1; h=$H; r=$J([\"3456789012345678"
		 "901234567890123456789012345678901234567890123456789\"])$"
		 "\r\n" FROM REST BODY,
		 "permerror Message-Instance m=1 Recipe [\"3456789012345678"
		 "9012345678901234567890123456789012345678901234 is invalid"},
		/* what came before m=1 may be unknown */
		{GOOD "Message-Instance: m=1; h=$H; r=$J({\"b\":null})$\r\n"
		 FROM REST BODY, "pass"},
		{S1("ed1:ed25519-sha256:$1a") I1
		 "Message-Instance: m=2; h=$H; r=$J({\"b\":null})$\r\n"
		 "DKIM2-Signature: i=2; m=2; t=1795341600; d=lists.example; "
		 "mf=PD4=; rt=PGxpc3RAbGlzdHMuZXhhbXBsZT4=; "
		 "s=l1:ed25519-sha256:$2b\r\n" FROM REST BODY,
		 "permerror Message-Instance m=2 has a null Recipe, earlier "
		 "body hashes cannot be checked"},
		{"DKIM2-Signature: i=1\r\n" I1 FROM REST BODY,
		 "permerror DKIM2-Signature i=1 tag=m missing"},
		{S1("ed1:ed25519-sha256:$1a,ED1:x:AAAA") I1 FROM REST BODY,
		 "permerror DKIM2-Signature i=1 has a duplicate selector"},
		{S1("a:x:AAAA,b:x:AAAA,c:x:AAAA,d:x:AAAA|e:x:AAAA,f:x:AAAA,"
		 "g:x:AAAA,h:x:AAAA,i:x:AAAA") I1 FROM REST BODY,
		 "permerror DKIM2-Signature i=1 has more selectors than "
		 "allowed"},
		{"DKIM2-Signature: i=1; m=1; t=1; d=example.org; nd=b.example;"
		 "mf=PD4=; s=a:b:AAAA\r\n" I1 FROM REST BODY,
		 "permerror DKIM2-Signature i=1 tag=nd was unexpected"},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++)
		expect(row[k].text, &usual, row[k].verdict, NULL);
}

static void
faults_of_time(void **state)
{
	struct craft_run run = usual;

	(void)state;
	run.now_s = CRAFT_TIME + 14 * 86400;
	expect(GOOD I1 FROM REST BODY, &run, "pass", NULL);
	run.now_s++;
	expect(GOOD I1 FROM REST BODY, &run,
	    "fail DKIM2-Signature i=1 signature expired", NULL);
	run.now_s = CRAFT_TIME - 86400;
	expect(GOOD I1 FROM REST BODY, &run, "pass", NULL);
	run.now_s--;
	expect(GOOD I1 FROM REST BODY, &run,
	    "fail DKIM2-Signature i=1 signature is from the future", NULL);
	/* V11: no number is too large to be compared */
	run.now_s = INT64_MAX;
	expect(GOOD I1 FROM REST BODY, &run,
	    "fail DKIM2-Signature i=1 signature expired", NULL);
	run.now_s = INT64_MIN;
	expect(GOOD I1 FROM REST BODY, &run,
	    "fail DKIM2-Signature i=1 signature is from the future", NULL);
}

/* V6: another envelope than the one that was signed. */
static void
faults_of_envelope(void **state)
{
	static const struct {
		struct craft_run run;
		const char *verdict;
	} row[] = {
		{{MAIL, {"<list@LISTS.Example>"}, 0, NULL, 0, 0, NULL, 0},
		 "pass"},
		{{"<alice@EXAMPLE.org>", {RCPT, RCPT}, 0, NULL, 0, 0, NULL, 0},
		 "pass"},
		{{MAIL, {NULL}, 0, NULL, 0, 0, NULL, 0}, "pass"},
		{{NULL, {NULL}, 0, NULL, 0, 0, NULL, 0}, "pass"},
		{{"<Alice@example.org>", {RCPT}, 0, NULL, 0, 0, NULL, 0},
		 "fail DKIM2-Signature i=1 MAIL FROM <Alice@example.org> did "
		 "not match"},
		{{"<>", {RCPT}, 0, NULL, 0, 0, NULL, 0},
		 "fail DKIM2-Signature i=1 MAIL FROM <> did not match"},
		{{MAIL, {RCPT, "<zed@example.net>"}, 0, NULL, 0, 0, NULL, 0},
		 "fail DKIM2-Signature i=1 RCPT TO <zed@example.net> did not "
		 "match"},
		{{MAIL, {"<a\n\x1b>"}, 0, NULL, 0, 0, NULL, 0},
		 "fail DKIM2-Signature i=1 RCPT TO <a\\012\\033> did not "
		 "match"},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++)
		expect(GOOD I1 FROM REST BODY, &row[k].run, row[k].verdict,
		    NULL);
	expect("DKIM2-Signature: i=1; m=1; t=1795341600; d=b.example.org;"
	    ENDS ";s=ed1:ed25519-sha256:$1a\r\n" I1
	    "From: a@b.example.org\r\n" REST BODY, &usual,
	    "fail DKIM2-Signature i=1 MAIL FROM and d= do not match", NULL);
}

/* A second hop behind GOOD; its own parts are what varies. */
#define S2(d, ends) "DKIM2-Signature: i=2; m=1; t=1795341600; d=" d "; " \
	ends "; s=l1:ed25519-sha256:$2b;\r\n"
#define BOB "rt=PGJvYkBleGFtcGxlLm5ldD4="	/* <bob@example.net> */

static void
faults_of_custody(void **state)
{
	static const struct craft_record keys[] = {
		{"ed1._domainkey.example.org", {CRAFT_A, NULL}},
		{"l1._domainkey.lists.example", {CRAFT_B, NULL}},
		{"l1._domainkey.other.example", {CRAFT_B, NULL}},
		{"l1._domainkey.example.org", {CRAFT_B, NULL}},
	};
	static const struct {
		const char *second, *mail_from, *full, *provisional;
	} row[] = {
		{S2("lists.example", "mf=PGxAbGlzdHMuZXhhbXBsZT4=;" BOB),
		 "<l@lists.example>", "pass", "pass"},
		{S2("lists.example", "mf=PD4=;" BOB), "<>", "pass", "pass"},
		{S2("other.example", "mf=PGxAb3RoZXIuZXhhbXBsZT4=;" BOB),
		 "<l@other.example>", "fail DKIM2-Signature i=2 mf= does not "
		 "match the rt= of i=1", "pass"},
		{S2("other.example", "mf=PD4=;" BOB), "<>",
		 "fail DKIM2-Signature i=2 d= does not match the rt= of i=1",
		 "pass"},
		{S2("lists.example", "nd=example.net"), "<>",
		 "fail DKIM2-Signature i=2 unexpected nd= tag",
		 "fail DKIM2-Signature i=2 unexpected nd= tag"},
		/* a failure of custody comes before nd= on top */
		{S2("other.example", "nd=example.net"), "<>",
		 "fail DKIM2-Signature i=2 d= does not match the rt= of i=1",
		 "fail DKIM2-Signature i=2 unexpected nd= tag"},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct craft_run run = {row[k].mail_from,
		    {"<bob@example.net>"}, 0, NULL, 0, 0, keys, COUNT(keys)};
		struct buf text;
		struct arena *a = arena_new(KIT_ARENA);

		assert_int_equal(arena_buf(a, 5000, &text), 0);
		buf_printf(&text, "%s%s", row[k].second,
		    GOOD I1 FROM REST BODY);
		buf_add_octet(&text, 0);
		expect((const char *)text.p, &run, row[k].full,
		    row[k].provisional);
		arena_free(&a);
	}
}

/* V3: AND and OR, unknown algorithms, keys that are not what they should be. */
static void
faults_of_signatures(void **state)
{
#define SEL(s) s ":ed25519-sha256:$1a"
#define WRONG(s) s ":ed25519-sha256:AAAA"
	static const struct {
		const char *s, *verdict;
	} row[] = {
		{SEL("ed1"), "pass"},
		{SEL("ed1") "," SEL("ed2"), "pass"},
		{SEL("ed1") "|" SEL("ed2"), "pass"},
		{SEL("ed1") "|q:unknown:AAAA", "pass"},
		{SEL("ed1") "," "q:unknown:AAAA",
		 "permerror DKIM2-Signature i=1 selector q algorithm unknown"},
		{"ed1:mldsa44:AAAA",
		 "permerror DKIM2-Signature i=1 selector ed1 algorithm "
		 "unknown"},
		{"ed1:Ed25519-Sha256:$1a",
		 "permerror DKIM2-Signature i=1 selector ed1 algorithm "
		 "unknown"},
		{SEL("nokey") "|" SEL("ed1"), "pass"},
		{WRONG("ed1") "|" SEL("ed2"), "pass"},
		{SEL("temp") "|" SEL("ed2"), "pass"},
		{WRONG("ed1") "|q:unknown:AAAA",
		 "fail DKIM2-Signature i=1 no group of signatures passed"},
		{WRONG("ed1") "|" SEL("temp"),
		 "temperror DKIM2-Signature i=1 public key temp could not be "
		 "fetched"},
		{WRONG("ed1") "," SEL("temp"),
		 "fail DKIM2-Signature i=1 selector ed1 incorrect signature"},
		{SEL("temp") ",q:unknown:AAAA",
		 "permerror DKIM2-Signature i=1 selector q algorithm unknown"},
		{SEL("nokey") "|q:unknown:AAAA",
		 "permerror DKIM2-Signature i=1 public key nokey does not "
		 "exist"},
		{WRONG("ed1"),
		 "fail DKIM2-Signature i=1 selector ed1 incorrect signature"},
		{SEL("other"),
		 "fail DKIM2-Signature i=1 selector other incorrect "
		 "signature"},
		{SEL("nokey"),
		 "permerror DKIM2-Signature i=1 public key nokey does not "
		 "exist"},
		{SEL("temp"),
		 "temperror DKIM2-Signature i=1 public key temp could not be "
		 "fetched"},
		/* D6: two records, even the same */
		{SEL("two"),
		 "permerror DKIM2-Signature i=1 public key two has multiple "
		 "records"},
		{SEL("bad"),
		 "permerror DKIM2-Signature i=1 public key bad has a syntax "
		 "error"},
		{SEL("rsa"),
		 "permerror DKIM2-Signature i=1 public key rsa algorithm "
		 "mismatch"},
		{"ed1:rsa-sha256:$1a",
		 "permerror DKIM2-Signature i=1 public key ed1 algorithm "
		 "mismatch"},
		{SEL("gone"),
		 "permerror DKIM2-Signature i=1 public key gone has been "
		 "revoked"},
		{SEL("void"),
		 "permerror DKIM2-Signature i=1 public key void has been "
		 "revoked"},
		{SEL("short"),
		 "permerror DKIM2-Signature i=1 public key short is "
		 "malformed"},
	};
	struct arena *a = *state;

	for (size_t k = 0; k < COUNT(row); k++) {
		struct buf text;

		assert_int_equal(arena_buf(a, 5000, &text), 0);
		buf_printf(&text, S1("%s") "%s", row[k].s, I1 FROM REST BODY);
		buf_add_octet(&text, 0);
		expect((const char *)text.p, &usual, row[k].verdict, NULL);
	}
}

/* Adds a DER value of that type. */
static void
der(struct buf *out, uint8_t type, struct bytes value)
{
	buf_add_octet(out, type);
	buf_add_octet(out, 0x82);
	buf_add_octet(out, (uint8_t)(value.n >> 8));
	buf_add_octet(out, (uint8_t)value.n);
	buf_add(out, value);
}

/* A record with an RSA key: some odd modulus of that size, and e. */
static const char *
rsa_record(struct arena *a, size_t bits, struct bytes e)
{
	uint8_t modulus[1100] = {0}, room[3][1200];
	struct buf inner = BUF_ON(room[0]), all = BUF_ON(room[1]), text;
	size_t n = bits / 8 + 1;

	memset(modulus + 1, 0xa5, n - 1);
	modulus[0] = (uint8_t)((1U << (bits % 8)) >> 1);
	if (bits % 8 == 0)
		modulus[1] |= 0x80;
	der(&inner, 2, (struct bytes){modulus, n});
	buf_add_octet(&inner, 2);
	buf_add_octet(&inner, (uint8_t)e.n);
	buf_add(&inner, e);
	der(&all, 0x30, buf_bytes(&inner));
	assert_false(all.full);
	assert_int_equal(arena_buf(a, 2000, &text), 0);
	buf_add_str(&text, "v=DKIM1; p=");
	b64_encode(buf_bytes(&all), &text);
	buf_add_octet(&text, 0);
	assert_false(text.full);
	return (const char *)text.p;
}

/*
 * V1: sizes and exponents of RSA keys. A key that we take says that the
 * signature is wrong; of another nobody asks.
 */
static void
rsa_keys_out_of_bounds(void **state)
{
#define F4 BYTES_LIT("\x01\0\x01")
#define E3 BYTES_LIT("\x03")
	static const struct {
		size_t bits;
		struct bytes e;
		bool is_taken;
	} row[] = {
		{512, F4, false},
		{768, F4, false},
		{1023, F4, false},
		{1024, F4, true},
		{2048, F4, true},
		{4096, F4, true},
		{4097, F4, false},
		{8192, F4, false},
		{2048, E3, false},
		{2048, BYTES_LIT("\x01"), false},
		{2048, BYTES_LIT("\x01\0\x03"), false},
		{2048, BYTES_LIT("\x01\0\0\0\x01"), false},
	};
	struct arena *a = *state;

	for (size_t k = 0; k < COUNT(row); k++) {
		struct craft_record keys[] = {
			{"ed1._domainkey.example.org",
			 {rsa_record(a, row[k].bits, row[k].e), NULL}},
		};
		struct craft_run run = usual;

		run.records = keys;
		run.n_records = 1;
		expect(S1("ed1:rsa-sha256:AAAA") I1 FROM REST BODY, &run,
		    row[k].is_taken ?
		    "fail DKIM2-Signature i=1 selector ed1 incorrect "
		    "signature" :
		    "permerror DKIM2-Signature i=1 public key ed1 is "
		    "malformed", NULL);
	}
}

static void
faults_of_hashes(void **state)
{
#define HASHES(h) GOOD "Message-Instance: m=1; h=" h "\r\n" FROM REST BODY
	static const struct {
		const char *text, *verdict;
	} row[] = {
		{HASHES("$H,$5"), "pass"},
		{HASHES("$5"), "pass"},
		{HASHES("$H|foo:AAAA:AAAA"), "pass"},
		{HASHES("foo:AAAA:AAAA|$5"), "pass"},
		{HASHES("$H,foo:AAAA:AAAA"),
		 "permerror Message-Instance m=1 algorithm foo unknown"},
		{HASHES("SHA256:AAAA:AAAA"),
		 "permerror Message-Instance m=1 algorithm SHA256 unknown"},
		{HASHES("sha256:AAAA:AAAA"),
		 "fail Message-Instance m=1 header hash sha256 mismatch"},
		{HASHES("sha256:AAAA:AAAA|foo:AAAA:AAAA"),
		 "fail Message-Instance m=1 no group of hashes passed"},
		{HASHES("sha256:AAAA:AAAA,foo:AAAA:AAAA"),
		 "fail Message-Instance m=1 header hash sha256 mismatch"},
		{HASHES("sha512:AAAA:AAAA,sha256:AAAA:AAAA"),
		 "fail Message-Instance m=1 header hash sha512 mismatch"},
	};
	struct arena *a = *state;
	struct dkim2_verify *v;
	struct bytes good;
	struct buf text;
	char room[200];

	for (size_t k = 0; k < COUNT(row); k++)
		expect(row[k].text, &usual, row[k].verdict, NULL);
	good = craft(a, HASHES("$5,$H"));
	/* the body alone is changed */
	assert_int_equal(arena_buf(a, good.n + 9, &text), 0);
	buf_add(&text, good);
	buf_add_str(&text, "three\r\n");
	assert_string_equal(craft_text(&craft_verify(a, buf_bytes(&text),
	    &usual, &v)->full, room, sizeof(room)),
	    "fail Message-Instance m=1 body hash sha512 mismatch");
	dkim2_verify_fini(v);
	/* V4: line ends at the very end are nothing */
	text.n = good.n;
	buf_add_str(&text, "\r\n\r\n");
	assert_int_equal(craft_verify(a, buf_bytes(&text), &usual,
	    &v)->full.state, DKIM2_PASS);
	dkim2_verify_fini(v);
	text.n = good.n - 2;
	assert_int_equal(craft_verify(a, buf_bytes(&text), &usual,
	    &v)->full.state, DKIM2_PASS);
	dkim2_verify_fini(v);
}

/* V5: not exactly one From of the signer's domain. */
static void
faults_of_from(void **state)
{
	static const char *const bad[] = {
		"",
		FROM FROM,
		"From: a@example.org, b@example.org\r\n",
		"From: a@example.net\r\n",
		"From: a@example.org.evil.example\r\n",
		"From: a@myexample.org\r\n",
		"From: us: a@example.org;\r\n",
		"From: a@[192.0.2.1]\r\n",
		"From: a@example.org.\r\n",
		"From: \"x\" <alice@example.org> <b@example.net>\r\n",
	};
	struct arena *a = *state;

	for (size_t k = 0; k < COUNT(bad); k++) {
		struct buf text;

		assert_int_equal(arena_buf(a, 5000, &text), 0);
		buf_printf(&text, "%s%s%s", GOOD I1, bad[k], REST BODY);
		buf_add_octet(&text, 0);
		expect((const char *)text.p, &usual,
		    "fail DKIM2-Signature i=1 matching From is not authentic",
		    "pass");
	}
	expect(GOOD I1 "from: <x@SUB.example.ORG>\r\n" REST BODY, &usual,
	    "pass", NULL);
}

/* ---- more than one thing ------------------------------------------------ */

/* The first in the order of the draft is told; TEMPERROR only alone. */
static void
the_first_failure_is_told(void **state)
{
	struct craft_run run = usual;
	struct arena *a = *state;
	struct dkim2_verify *v;
	const struct dkim2_result *r;

	expect(S1(SEL("temp")) I1 "From: x@example.net\r\n" REST BODY, &usual,
	    "fail DKIM2-Signature i=1 matching From is not authentic",
	    "temperror DKIM2-Signature i=1 public key temp could not be "
	    "fetched");
	run.mail_from = "<>";
	run.now_s = CRAFT_TIME + 20 * 86400;
	r = craft_verify(a, craft(a, S1(WRONG("ed1"))
	    "Message-Instance: m=1; h=sha256:AAAA:AAAA\r\n"
	    "From: x@example.net\r\n" REST BODY), &run, &v);
	assert_int_equal(r->n_all, 5);
	assert_int_equal(r->all[0].reason, DKIM2_EXPIRED);
	assert_int_equal(r->all[1].reason, DKIM2_MAIL_FROM_OTHER);
	assert_int_equal(r->all[2].reason, DKIM2_SIGNATURE_WRONG);
	assert_int_equal(r->all[3].reason, DKIM2_HEADER_HASH);
	assert_int_equal(r->all[4].reason, DKIM2_FROM_UNAUTHENTIC);
	assert_int_equal(r->full.reason, DKIM2_EXPIRED);
	assert_int_equal(r->condition, DKIM2_UNCLEAR);
	dkim2_verify_fini(v);
}

static void
conditions(void **state)
{
	struct arena *a = *state;
	struct craft_run run = usual;
	struct dkim2_verify *v;
	struct bytes good = craft(a, GOOD I1 FROM REST BODY);

	assert_int_equal(craft_verify(a, good, &run, &v)->condition,
	    DKIM2_NEVER_LEFT);
	dkim2_verify_fini(v);
	run.rcpt_to[0] = "<other@example.net>";
	assert_int_equal(craft_verify(a, good, &run, &v)->condition,
	    DKIM2_LEFT);
	dkim2_verify_fini(v);
	run.now_s = CRAFT_TIME + 15 * 86400;
	assert_int_equal(craft_verify(a, good, &run, &v)->condition,
	    DKIM2_UNCLEAR);
	dkim2_verify_fini(v);
	run.mail_from = NULL;
	run.now_s = 0;
	assert_int_equal(craft_verify(a, good, &run, &v)->condition,
	    DKIM2_UNCLEAR);
	dkim2_verify_fini(v);
	assert_int_equal(craft_verify(a, BYTES_LIT(FROM BODY), &run,
	    &v)->condition, DKIM2_NEVER_ENTERED);
	dkim2_verify_fini(v);
}

/* D1: unknown algorithms ask for nothing, a name is asked for once. */
static void
look_ups_are_few(void **state)
{
	struct arena *a = *state;
	struct dkim2_limits limits;
	struct dkim2_verify_options o = {.now_s = CRAFT_TIME,
	    .limits = &limits};
	struct dkim2_message m;
	struct dkim2_verify *v;
	const struct bytes *names;
	struct craft_run run = usual;

	dkim2_limits_default(&limits);
	kit_split(craft(a, S1("x:unknown:AAAA|y:mldsa44:AAAA|" SEL("ED1"))
	    "DKIM2-Signature: i=2; m=1; t=1; d=EXAMPLE.org;" ENDS
	    ";s=ed1:ed25519-sha256:AAAA\r\n" I1 FROM REST BODY), &m, a);
	assert_int_equal(dkim2_verify_new(&v, a, &o), 0);
	assert_int_equal(dkim2_verify_header(v, &m), 0);
	assert_int_equal(dkim2_verify_wants(v, &names), 1);
	kit_assert_bytes(names[0], "ed1._domainkey.example.org");
	dkim2_verify_fini(v);
	/* one more than allowed is not looked up */
	limits.max_keys = 1;
	run.limits = &limits;
	expect(S1(SEL("ed1") "," SEL("ed2")) I1 FROM REST BODY, &run,
	    "permerror DKIM2-Signature i=1 public key ed2 was not looked up: "
	    "too many look-ups", NULL);
	expect(S1(SEL("ed1") "|" SEL("ed2")) I1 FROM REST BODY, &run, "pass",
	    NULL);
}

/* Nothing is wanted of a message whose structure is wrong. */
static void
broken_structure_asks_for_nothing(void **state)
{
	struct arena *a = *state;
	struct dkim2_verify_options o = {.now_s = CRAFT_TIME, .hashes = 3};
	struct dkim2_message m;
	struct dkim2_verify *v;
	const struct bytes *names;

	kit_split(craft(a, GOOD "Message-Instance: m=1; h=$H; r=AAAA\r\n" FROM
	    REST BODY), &m, a);
	assert_int_equal(dkim2_verify_new(&v, a, &o), 0);
	assert_int_equal(dkim2_verify_header(v, &m), 0);
	assert_int_equal(dkim2_verify_wants(v, &names), 0);
	assert_int_equal(dkim2_verify_end(v, (struct bytes){NULL, 0}), 0);
	assert_int_equal(dkim2_verify_step(v), DKIM2_DONE);
	/* but the digests that were asked for are there */
	assert_int_equal(dkim2_verify_digests(v)->have, 3);
	kit_assert_base64((struct bytes){dkim2_verify_digests(v)->body[0],
	    32}, "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=");
	dkim2_verify_fini(v);
}

/* V10: the 50th link is good, the 51st is one too many. */
static void
chains_are_bounded(void **state)
{
	struct arena *a = *state;

	for (unsigned n = 50; n <= 51; n++) {
		struct buf text;
		struct dkim2_verify *v;
		struct craft_run run = usual;
		const struct dkim2_result *r;

		run.mail_from = NULL;
		assert_int_equal(arena_buf(a, 100000, &text), 0);
		for (unsigned i = 1; i <= n; i++)
			buf_printf(&text, "DKIM2-Signature: i=%u; m=1; "
			    "t=1795341600; d=example.org; " ENDS "; "
			    "s=nokey:ed25519-sha256:AAAA\r\n", i);
		buf_add_str(&text, I1 FROM REST BODY);
		buf_add_octet(&text, 0);
		r = craft_verify(a, craft(a, (const char *)text.p), &run, &v);
		assert_int_equal(r->full.reason, n == 50 ?
		    DKIM2_CUSTODY_MAIL_FROM : DKIM2_TOO_MANY_FIELDS);
		assert_int_equal(r->n_signatures, n == 50 ? 50 : 0);
		dkim2_verify_fini(v);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_arena, close_arena)
	const struct CMUnitTest tests[] = {
		TEST(worked_examples_pass),
		TEST(any_split_and_any_order),
		TEST(every_small_arena),
		TEST(faults_of_structure),
		TEST(faults_of_time),
		TEST(faults_of_envelope),
		TEST(faults_of_custody),
		TEST(faults_of_signatures),
		TEST(rsa_keys_out_of_bounds),
		TEST(faults_of_hashes),
		TEST(faults_of_from),
		TEST(the_first_failure_is_told),
		TEST(conditions),
		TEST(look_ups_are_few),
		TEST(broken_structure_asks_for_nothing),
		TEST(chains_are_bounded),
	};

	return cmocka_run_group_tests_name("dkim2/verify", tests, NULL, NULL);
}
