#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>

#include "base/err.h"
#include "dkim2/canon.h"
#include "dkim2/crypto.h"
#include "dkim2/sign.h"
#include "tests/dkim2/kit.h"

/* RFC 8032 test keys 1 and 2; never used for anything else */
#define ED1_PEM "-----BEGIN PRIVATE KEY-----\n" \
	"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n" \
	"-----END PRIVATE KEY-----\n"
#define L1_PEM "-----BEGIN PRIVATE KEY-----\n" \
	"MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n" \
	"-----END PRIVATE KEY-----\n"

#define HEAD \
	"From: Alice <alice@example.org>\r\n" \
	"To: list@lists.example\r\n" \
	"Subject: hello\r\n"
#define BODY "one\r\ntwo\r\n"

static int
open_arena(void **state)
{
	*state = arena_new(KIT_ARENA);
	return *state == NULL;
}

static int
close_arena(void **state)
{
	arena_free((struct arena **)state);
	return 0;
}

static void
digests_of(const struct dkim2_message *m, struct bytes body,
    struct dkim2_digests *d, struct arena *a)
{
	struct canon_header sorted;

	assert_int_equal(canon_header_sort(&sorted, m, a), 0);
	for (unsigned h = 0; h < DKIM2_HASH__N; h++) {
		struct dkim2_hasher x;
		struct canon_body c;

		assert_int_equal(dkim2_hasher_init(&x, h), 0);
		assert_int_equal(canon_header_emit(&sorted, canon_to_hasher,
		    &x), 0);
		assert_int_equal(dkim2_hasher_end(&x, d->header[h]), 0);
		dkim2_hasher_fini(&x);
		assert_int_equal(dkim2_hasher_init(&x, h), 0);
		canon_body_init(&c, canon_to_hasher, &x);
		assert_int_equal(canon_body_add(&c, body), 0);
		assert_int_equal(canon_body_end(&c), 0);
		assert_int_equal(dkim2_hasher_end(&x, d->body[h]), 0);
		dkim2_hasher_fini(&x);
		d->have |= 1U << h;
	}
}

/* Begins on a message; *s is there only where nothing is refused. */
static enum dkim2_refusal
begin(struct bytes octets, const struct dkim2_sign_options *o,
    struct dkim2_sign **s, struct arena *a)
{
	struct dkim2_message *m = arena_alloc(a, sizeof(*m));
	struct dkim2_digests d = {0};
	enum dkim2_refusal why;
	struct bytes body = kit_split(octets, m, a);

	digests_of(m, body, &d, a);
	assert_int_equal(dkim2_sign_new(s, a, m, &d, o, &why), 0);
	return why;
}

static void
answer_with(struct dkim2_sign *s, size_t k, const char *pem)
{
	struct dkim2_private_key *key;
	uint8_t room[DKIM2_SIGNATURE_MAX];
	struct buf sig = BUF_ON(room);

	assert_int_equal(dkim2_private_key_load(&key, bytes_of(pem), NULL), 0);
	assert_int_equal(dkim2_private_key_sign(key, dkim2_sign_want(s).p,
	    &sig), 0);
	assert_int_equal(dkim2_sign_answer(s, k, buf_bytes(&sig)), 0);
	dkim2_private_key_free(&key);
}

/* The signed message, with one Ed25519 key. */
static struct bytes
sign(struct bytes octets, const struct dkim2_sign_options *o, struct arena *a)
{
	struct dkim2_sign *s;
	struct buf out;

	assert_int_equal(begin(octets, o, &s, a), DKIM2_MAY_SIGN);
	assert_int_equal(dkim2_sign_step(s), DKIM2_WANT_SIG);
	answer_with(s, 0, ED1_PEM);
	assert_int_equal(dkim2_sign_step(s), DKIM2_DONE);
	assert_int_equal(arena_buf(a, octets.n + dkim2_sign_fields(s).n,
	    &out), 0);
	buf_add(&out, dkim2_sign_fields(s));
	buf_add(&out, octets);
	return buf_bytes(&out);
}

/* Options of a signature in two lines; all of it static. */
#define KEY(s) (&(const struct dkim2_signing_key){BYTES_LIT(s), \
	DKIM2_ED25519_SHA256})
#define RCPT(r) (&(const struct bytes){(const uint8_t *)(r), sizeof(r) - 1})
#define ENVELOPE(from, to) (&(const struct dkim2_envelope){ \
	BYTES_LIT(from), RCPT(to), 1})
#define OPTIONS(d, from, to) { \
	.domain = BYTES_LIT(d), .keys = KEY("ed1"), .n_keys = 1, \
	.envelope = ENVELOPE(from, to), .timestamp_s = 1795341600}

/* Written out, since it outlives the block where it is used. */
static const struct dkim2_sign_options *
first_hop(void)
{
	static const struct dkim2_signing_key key = {BYTES_LIT("ed1"),
	    DKIM2_ED25519_SHA256};
	static const struct bytes rcpt = BYTES_LIT("<list@lists.example>");
	static const struct dkim2_envelope e = {
		BYTES_LIT("<alice@example.org>"), &rcpt, 1};
	static const struct dkim2_sign_options o = {
		.domain = BYTES_LIT("example.org"), .keys = &key, .n_keys = 1,
		.envelope = &e, .timestamp_s = 1795341600,
	};

	return &o;
}

static void
the_first_worked_example_is_signed_as_it_stands(void **state)
{
	struct arena *a = *state;
	struct bytes whole = kit_file(a, "tests/vectors/worked/q1.eml");
	struct bytes octets = bytes_skip(whole,
	    bytes_find(whole, BYTES_LIT("\r\nReceived:")) + 2);
	struct dkim2_sign *s;

	assert_int_equal(begin(octets, first_hop(), &s, a), DKIM2_MAY_SIGN);
	kit_assert_hex(dkim2_sign_want(s), "3ecc5fbbd9caf5879d03d12e675e5b30"
	    "91420de1413d56e7d5dacec3470ad055");
	answer_with(s, 0, ED1_PEM);
	kit_assert_bytes(dkim2_sign_fields(s),
	    "DKIM2-Signature: i=1; m=1; t=1795341600; d=example.org;\r\n"
	    "\tmf=PGFsaWNlQGV4YW1wbGUub3JnPg==; "
	    "rt=PGxpc3RAbGlzdHMuZXhhbXBsZT4=;\r\n"
	    "\ts=ed1:ed25519-sha256:VMq226/7dsSBxhnbXH0lczMzSfRxAiG4gQ3tXTxXy"
	    "0OmnwM2ENF\r\n"
	    "\tfmf9rouY0GmQNuIUrw37nD/nlZGN5dLVEDA==;\r\n"
	    "Message-Instance: m=1; h=sha256:\r\n"
	    "\t2VPjHHJqcKvzSWW8hXVcKhgcuItLGeMtM0hfTXPUiAw=:\r\n"
	    "\tvbRAh/UYTiqyu62mDz3pp4uFClvHpdHA8vcf37fFP4U=;\r\n");
}

static struct bytes
text(const char *s)
{
	return bytes_of(s);
}

static void
what_may_not_originate_is_refused(void **state)
{
	static const struct {
		const char *label;
		const char *message;
		const char *domain, *from, *to;
		unsigned flags;
		enum dkim2_refusal why;
	} row[] = {
		{"plain", HEAD "\r\n" BODY, "example.org",
		    "<alice@example.org>", "<b@two.example>", 0,
		    DKIM2_MAY_SIGN},
		{"subdomains are covered",
		    "From: a@x.Example.ORG\r\n\r\n", "example.org",
		    "<a@y.example.org>", "<b@two.example>", 0, DKIM2_MAY_SIGN},
		{"null path", HEAD "\r\n" BODY, "example.org", "<>",
		    "<b@two.example>", 0, DKIM2_MAY_SIGN},
		{"no From", "To: b@two.example\r\n\r\n", "example.org",
		    "<a@example.org>", "<b@two.example>", 0,
		    DKIM2_REFUSE_FROM},
		{"V5: two From", "From: a@example.org\r\nfrom: b@example.org"
		    "\r\n\r\n", "example.org", "<a@example.org>",
		    "<b@two.example>", 0, DKIM2_REFUSE_FROM},
		{"two mailboxes", "From: a@example.org, b@example.org\r\n\r\n",
		    "example.org", "<a@example.org>", "<b@two.example>", 0,
		    DKIM2_REFUSE_FROM},
		{"From is foreign", "From: a@example.net\r\n\r\n",
		    "example.org", "<a@example.org>", "<b@two.example>", 0,
		    DKIM2_REFUSE_FROM_DOMAIN},
		{"From is above d=", "From: a@example.org\r\n\r\n",
		    "x.example.org", "<a@x.example.org>", "<b@two.example>",
		    0, DKIM2_REFUSE_FROM_DOMAIN},
		{"ends alike only", "From: a@badexample.org\r\n\r\n",
		    "example.org", "<a@example.org>", "<b@two.example>", 0,
		    DKIM2_REFUSE_FROM_DOMAIN},
		{"V18: MAIL FROM is foreign", HEAD "\r\n" BODY, "example.org",
		    "<a@two.example>", "<b@two.example>", 0,
		    DKIM2_REFUSE_MAIL_FROM},
		{"exploded", HEAD "\r\n" BODY, "example.org",
		    "<a@example.org>", "<b@two.example>", DKIM2_FLAG_EXPLODED,
		    DKIM2_REFUSE_EXPLODED},
		{"an instance alone is no chain", "Message-Instance: m=1; "
		    "h=sha256:AAAA:AAAA;\r\n" HEAD "\r\n" BODY, "example.org",
		    "<a@example.org>", "<b@two.example>", 0,
		    DKIM2_REFUSE_CHAIN},
		{"nor is a field that does not parse", "DKIM2-Signature: i=1;"
		    "\r\n" HEAD "\r\n" BODY, "example.org", "<a@example.org>",
		    "<b@two.example>", 0, DKIM2_REFUSE_CHAIN},
	};

	for (size_t k = 0; k < COUNT(row); k++) {
		struct bytes rcpt = bytes_of(row[k].to);
		struct dkim2_envelope e = {bytes_of(row[k].from), &rcpt, 1};
		struct dkim2_sign_options o = {
			.domain = bytes_of(row[k].domain), .keys = KEY("ed1"),
			.n_keys = 1, .envelope = &e, .flags = row[k].flags,
		};
		struct dkim2_sign *s;
		enum dkim2_refusal why = begin(text(row[k].message), &o, &s,
		    *state);

		if (why != row[k].why)
			fail_msg("%s: %s", row[k].label,
			    dkim2_refusal_text(why));
	}
}

static void
what_may_not_extend_is_refused(void **state)
{
	static const struct {
		const char *label;
		const char *domain, *from, *to;
		enum dkim2_refusal why;
	} row[] = {
		{"plain", "lists.example", "<b@lists.example>",
		    "<c@three.example>", DKIM2_MAY_SIGN},
		{"MAIL FROM below the rt= before", "lists.example",
		    "<b@x.lists.example>", "<c@three.example>",
		    DKIM2_MAY_SIGN},
		{"null path, d= covers the rt= before", "lists.example", "<>",
		    "<c@three.example>", DKIM2_MAY_SIGN},
		{"null path, d= above it", "example", "<>",
		    "<c@three.example>", DKIM2_REFUSE_OPTIONS},
		{"null path, d= elsewhere", "three.example", "<>",
		    "<c@three.example>", DKIM2_REFUSE_CUSTODY},
		{"null path, d= below it", "x.lists.example", "<>",
		    "<c@three.example>", DKIM2_REFUSE_CUSTODY},
		{"MAIL FROM kept", "lists.example", "<alice@example.org>",
		    "<c@three.example>", DKIM2_REFUSE_CUSTODY},
		{"custody holds, d= does not cover", "three.example",
		    "<b@lists.example>", "<c@three.example>",
		    DKIM2_REFUSE_MAIL_FROM},
		{"address literal", "lists.example", "<b@[192.0.2.1]>",
		    "<c@three.example>", DKIM2_REFUSE_CUSTODY},
	};
	struct arena *a = *state;
	struct bytes signed_once = sign(text(HEAD "\r\n" BODY), first_hop(),
	    a);

	for (size_t k = 0; k < COUNT(row); k++) {
		struct bytes rcpt = bytes_of(row[k].to);
		struct dkim2_envelope e = {bytes_of(row[k].from), &rcpt, 1};
		struct dkim2_sign_options o = {
			.domain = bytes_of(row[k].domain), .keys = KEY("ed1"),
			.n_keys = 1, .envelope = &e,
		};
		struct dkim2_sign *s;
		enum dkim2_refusal why = begin(signed_once, &o, &s, a);

		if (why != row[k].why)
			fail_msg("%s: %s", row[k].label,
			    dkim2_refusal_text(why));
		if (why == DKIM2_MAY_SIGN) {
			assert_int_equal(s->self.i, 2);
			assert_int_equal(s->self.m, 1);
			assert_false(s->is_new_instance);
		}
	}
}

/* V18: nothing vouches for a message that was changed on the way. */
static void
changed_content_is_not_signed_on(void **state)
{
	static const char *const changed[] = {"Subject: hello", "one\r\n",
	    "To: list"};
	struct arena *a = *state;
	struct bytes once = sign(text(HEAD "\r\n" BODY), first_hop(), a);
	struct dkim2_sign_options o = OPTIONS("lists.example",
	    "<b@lists.example>", "<c@three.example>");
	struct dkim2_sign *s;

	for (size_t k = 0; k < COUNT(changed); k++) {
		struct bytes copy = arena_copy(a, once);
		size_t at = bytes_find(copy, bytes_of(changed[k]));

		assert_true(at < copy.n);
		((uint8_t *)copy.p)[at + strlen(changed[k]) - 3] ^= 1;
		assert_int_equal(begin(copy, &o, &s, a),
		    DKIM2_REFUSE_CONTENT);
	}
	/* trace fields and line ends at the end are no content */
	{
		struct buf more;

		assert_int_equal(arena_buf(a, once.n + 100, &more), 0);
		buf_add_str(&more, "Received: from x by y\r\n");
		buf_add(&more, once);
		buf_add_str(&more, "\r\n\r\n");
		assert_int_equal(begin(buf_bytes(&more), &o, &s, a),
		    DKIM2_MAY_SIGN);
	}
}

static void
a_chain_with_a_gap_is_not_signed_on(void **state)
{
	struct arena *a = *state;
	struct bytes once = sign(text(HEAD "\r\n" BODY), first_hop(), a);
	struct dkim2_sign_options o = OPTIONS("lists.example",
	    "<b@lists.example>", "<c@three.example>");
	struct bytes copy = arena_copy(a, once);
	size_t at = bytes_find(copy, BYTES_LIT(" i=1;"));
	struct dkim2_sign *s;

	((uint8_t *)copy.p)[at + 3] = '2';
	assert_int_equal(begin(copy, &o, &s, a), DKIM2_REFUSE_CHAIN);
	copy = arena_copy(a, once);
	at = bytes_find(copy, BYTES_LIT("Message-Instance:"));
	((uint8_t *)copy.p)[at] = 'X';
	assert_int_equal(begin(copy, &o, &s, a), DKIM2_REFUSE_CHAIN);
}

/* G7: a signature that only says who signs next, and who then may. */
static void
next_domain_hands_over(void **state)
{
	struct arena *a = *state;
	struct bytes once = sign(text(HEAD "\r\n" BODY), first_hop(), a);
	struct dkim2_sign_options nd = {
		.domain = BYTES_LIT("Lists.example"), .keys = KEY("ed1"),
		.n_keys = 1, .next_domain = BYTES_LIT("Fwd.example"),
	};
	struct dkim2_sign_options good = OPTIONS("fwd.EXAMPLE",
	    "<b@fwd.example>", "<c@three.example>");
	struct dkim2_sign_options below = OPTIONS("x.fwd.example",
	    "<b@x.fwd.example>", "<c@three.example>");
	struct dkim2_sign *s;
	struct bytes twice = sign(once, &nd, a);

	assert_true(bytes_find(twice, BYTES_LIT(
	    " d=lists.example; nd=fwd.example;")) < twice.n);
	assert_int_equal(begin(twice, &good, &s, a), DKIM2_MAY_SIGN);
	assert_int_equal(begin(twice, &below, &s, a), DKIM2_REFUSE_CUSTODY);
	nd.domain = BYTES_LIT("three.example");
	assert_int_equal(begin(once, &nd, &s, a), DKIM2_REFUSE_CUSTODY);
}

/* M1: the domain in A-labels, the local part as it came. */
static void
domains_are_written_as_a_labels(void **state)
{
	struct dkim2_sign_options o = OPTIONS("example.org",
	    "<j\xc3\xb6rg@example.org>",
	    "<j\xc3\xb6rg@b\xc3\xbc" "cher.example>");
	struct dkim2_sign *s;

	assert_int_equal(begin(text(HEAD "\r\n" BODY), &o, &s, *state),
	    DKIM2_MAY_SIGN);
	kit_assert_bytes(s->self.mf, "<j\xc3\xb6rg@example.org>");
	kit_assert_bytes(s->self.rt[0],
	    "<j\xc3\xb6rg@xn--bcher-kva.example>");
}

static void
a_chain_has_an_end(void **state)
{
	struct arena *a = *state;
	struct bytes octets = sign(text(HEAD "\r\n" BODY), first_hop(), a);
	struct dkim2_sign_options o = OPTIONS("lists.example",
	    "<b@lists.example>", "<c@lists.example>");
	struct dkim2_sign *s;

	for (size_t i = 2; i <= 50; i++)
		octets = sign(octets, &o, a);
	assert_int_equal(begin(octets, &o, &s, a), DKIM2_REFUSE_CHAIN_FULL);
}

static void
options_that_cannot_be_written_are_refused(void **state)
{
	static const struct dkim2_signing_key twice[] = {
		{BYTES_LIT("ed1"), DKIM2_ED25519_SHA256},
		{BYTES_LIT("ED1"), DKIM2_RSA_SHA256},
	}, unknown[] = {{BYTES_LIT("ed1"), DKIM2_ALGORITHM__N}};
	static const struct dkim2_signing_key many[9] = {
		{BYTES_LIT("a"), 0}, {BYTES_LIT("b"), 0}, {BYTES_LIT("c"), 0},
		{BYTES_LIT("d"), 0}, {BYTES_LIT("e"), 0}, {BYTES_LIT("f"), 0},
		{BYTES_LIT("g"), 0}, {BYTES_LIT("h"), 0}, {BYTES_LIT("i"), 0},
	};
	static const struct dkim2_envelope nobody = {
		BYTES_LIT("<alice@example.org>"), NULL, 0,
	};
	const struct {
		const char *name;
		size_t at;
		const void *value;
		size_t n;
	} row[] = {
#define ROW(what, value) {#what " " #value, \
	offsetof(struct dkim2_sign_options, what), \
	&(__typeof__(((struct dkim2_sign_options *)0)->what)){value}, \
	sizeof(((struct dkim2_sign_options *)0)->what)}
#define LIT(s) (const uint8_t *)(s), sizeof(s) - 1
		ROW(n_keys, 0),
		ROW(keys, twice),
		ROW(keys, unknown),
		ROW(keys, many),
		ROW(keys, KEY("")),
		ROW(keys, KEY("a:b")),
		ROW(keys, KEY("a b")),
		ROW(keys, KEY("a;n=x")),
		ROW(keys, KEY("a.")),
		{"domain empty", offsetof(struct dkim2_sign_options, domain),
		    &(struct bytes){LIT("")}, sizeof(struct bytes)},
		{"domain of one label",
		    offsetof(struct dkim2_sign_options, domain),
		    &(struct bytes){LIT("org")}, sizeof(struct bytes)},
		{"domain with a dot",
		    offsetof(struct dkim2_sign_options, domain),
		    &(struct bytes){LIT("example.org.")},
		    sizeof(struct bytes)},
		{"domain with a tag",
		    offsetof(struct dkim2_sign_options, domain),
		    &(struct bytes){LIT("example.org;m=2")},
		    sizeof(struct bytes)},
		{"envelope and nd=",
		    offsetof(struct dkim2_sign_options, next_domain),
		    &(struct bytes){LIT("two.example")}, sizeof(struct bytes)},
		{"nd= of one label",
		    offsetof(struct dkim2_sign_options, next_domain),
		    &(struct bytes){LIT("example")}, sizeof(struct bytes)},
		ROW(envelope, NULL),
		ROW(envelope, &nobody),
		ROW(envelope, ENVELOPE("alice@example.org", "<b@two.example>")),
		ROW(envelope, ENVELOPE("<alice@example.org>", "<>")),
		ROW(envelope, ENVELOPE("<alice@example.org>", "b@two.example")),
		ROW(envelope, ENVELOPE("<alice@example.org>",
		    "<b@two\r\n.example>")),
		ROW(envelope, ENVELOPE("<alice@example.org>",
		    "<b\r\n@two.example>")),
		ROW(envelope, ENVELOPE("<alice@example.org>",
		    "<b@zw\xf6lf.example>")),
		ROW(envelope, ENVELOPE("<\xf6@example.org>", "<b@two.example>")),
		ROW(timestamp_s, -1),
		{"nonce ;", offsetof(struct dkim2_sign_options, nonce),
		    &(struct bytes){LIT("a;b")}, sizeof(struct bytes)},
		{"nonce with a blank",
		    offsetof(struct dkim2_sign_options, nonce),
		    &(struct bytes){LIT("a b")}, sizeof(struct bytes)},
		{"nonce 8-bit", offsetof(struct dkim2_sign_options, nonce),
		    &(struct bytes){LIT("\xe4")}, sizeof(struct bytes)},
		{"nonce of 65", offsetof(struct dkim2_sign_options, nonce),
		    &(struct bytes){LIT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa")}, sizeof(struct bytes)},
		ROW(flags, 8),
		ROW(hashes, 4),
	};

	for (size_t k = 0; k < COUNT(row); k++) {
		struct dkim2_sign_options o = *first_hop();
		struct dkim2_sign *s;

		memcpy((uint8_t *)&o + row[k].at, row[k].value, row[k].n);
		if (row[k].name[0] == 'n' && o.next_domain.n != 0)
			o.envelope = NULL;
		if (o.keys == twice)
			o.n_keys = COUNT(twice);
		if (o.keys == many)
			o.n_keys = COUNT(many);
		if (begin(text(HEAD "\r\n" BODY), &o, &s, *state) !=
		    DKIM2_REFUSE_OPTIONS)
			fail_msg("%s", row[k].name);
	}
}

static void
two_keys_stand_in_one_group_or_in_two(void **state)
{
	static const struct dkim2_signing_key keys[] = {
		{BYTES_LIT("ed1"), DKIM2_ED25519_SHA256},
		{BYTES_LIT("rsa1"), DKIM2_RSA_SHA256},
	};
	static const uint8_t zeros[512];
	struct arena *a = *state;

	for (unsigned is_or = 0; is_or < 2; is_or++) {
		struct dkim2_sign_options o = *first_hop();
		struct dkim2_message m;
		struct signature got;
		struct dkim2_limits limits;
		struct dkim2_sign *s;

		o.keys = keys;
		o.n_keys = 2;
		o.is_or = is_or;
		o.hashes = 1U << DKIM2_SHA256 | 1U << DKIM2_SHA512;
		o.nonce = BYTES_LIT("a,b:c|d");
		o.flags = DKIM2_FLAG_FEEDBACK | DKIM2_FLAG_FEEDHERE;
		assert_int_equal(begin(text(HEAD "\r\n" BODY), &o, &s, a),
		    DKIM2_MAY_SIGN);
		assert_int_equal(-E_LIMIT, dkim2_sign_answer(s, 0,
		    (struct bytes){zeros, 63}));
		assert_int_equal(-E_LIMIT, dkim2_sign_answer(s, 1,
		    (struct bytes){zeros, 255}));
		assert_int_equal(-E_LIMIT, dkim2_sign_answer(s, 1,
		    (struct bytes){zeros, 0}));
		assert_int_equal(0, dkim2_sign_answer(s, 1,
		    (struct bytes){zeros, 256}));
		assert_int_equal(0, dkim2_sign_answer(s, 1,
		    (struct bytes){zeros, 512}));	/* once only */
		assert_int_equal(dkim2_sign_step(s), DKIM2_WANT_SIG);
		answer_with(s, 0, ED1_PEM);
		assert_int_equal(dkim2_sign_step(s), DKIM2_DONE);
		assert_int_equal(0, dkim2_message_parse(&m,
		    dkim2_sign_fields(s), 2, a));
		dkim2_limits_default(&limits);
		assert_int_equal(0, signature_parse(&got, &m.fields[0],
		    &limits, a));
		assert_int_equal(got.fault.state, DKIM2_PASS);
		assert_int_equal(got.n_members, 2);
		assert_int_equal(got.members[0].group, 0);
		assert_int_equal(got.members[1].group, is_or);
		assert_int_equal(got.members[1].value.n, 256);
		assert_int_equal(got.n_flags, 2);
		kit_assert_bytes(got.n, "a,b:c|d");
	}
}

#define LISTS OPTIONS("lists.example", "<l-bounces@lists.example>", \
	"<bob@example.net>")
#define RECIPE "{\"h\":{\"comments\":[{\"c\":[1,1]},{\"d\":[\"newest\"]}]," \
	"\"list-id\":[],\"subject\":[{\"d\":[\"Two words\"]}]}," \
	"\"b\":[{\"c\":[1,1]},{\"d\":[\" indented \"]}]}"

static void
the_second_worked_example_is_signed_with_its_recipe(void **state)
{
	struct arena *a = *state;
	struct bytes whole = kit_file(a, "tests/vectors/worked/q2.eml");
	struct bytes octets = bytes_skip(whole, bytes_find(whole,
	    BYTES_LIT("DKIM2-Signature: i=1")));
	struct bytes rcpts[] = {BYTES_LIT("<bob@example.net>"),
		BYTES_LIT("<carol@example.com>")};
	struct dkim2_envelope e = {BYTES_LIT("<l-bounces@lists.example>"),
		rcpts, 2};
	struct dkim2_sign_options o = LISTS;
	struct dkim2_sign *s;

	o.keys = KEY("l1");
	o.envelope = &e;	/* two of them: exploded comes by itself */
	o.timestamp_s = 1795341660;
	assert_int_equal(begin(octets, &o, &s, a), DKIM2_REFUSE_CONTENT);
	o.recipe = BYTES_LIT(RECIPE);
	assert_int_equal(begin(octets, &o, &s, a), DKIM2_MAY_SIGN);
	kit_assert_hex(dkim2_sign_want(s), "94aa0b22ca9be9e2608f1c30016971d9"
	    "81154696483ffa16fcba9d8dd7e53373");
	answer_with(s, 0, L1_PEM);
	assert_true(bytes_find(dkim2_sign_fields(s), BYTES_LIT(
	    "\r\nMessage-Instance: m=2; h=sha256:")) <
	    dkim2_sign_fields(s).n);
}

static void
recipes_that_must_not_be_written_are_refused(void **state)
{
	static const struct {
		const char *recipe;
		enum dkim2_refusal why;
	} row[] = {
		{RECIPE, DKIM2_MAY_SIGN},
		{"{\"b\":[]}", DKIM2_MAY_SIGN},
		{"{\"b\":null}", DKIM2_REFUSE_RECIPE},
		{"{\"h\":{\"subject\":[]},\"b\":null}", DKIM2_REFUSE_RECIPE},
		{"{\"h\":null}", DKIM2_REFUSE_RECIPE},
		{"{}", DKIM2_REFUSE_RECIPE},
		{"{", DKIM2_REFUSE_RECIPE},
		{" ", DKIM2_REFUSE_RECIPE},
		{"{\"h\":{\"Received\":[]}}", DKIM2_REFUSE_RECIPE},
		{"{\"h\":{\"x-mailer\":[]}}", DKIM2_REFUSE_RECIPE},
		{"{\"h\":{\"DKIM2-Signature\":[]}}", DKIM2_REFUSE_RECIPE},
		/* G9: whoever rewrites From answers for the new one */
		{"{\"h\":{\"FROM\":[{\"d\":[\"a@example.org\"]}]}}",
		    DKIM2_REFUSE_FROM_DOMAIN},
	};
	struct arena *a = *state;
	struct bytes once = sign(text(HEAD "\r\n" BODY), first_hop(), a);
	struct dkim2_sign_options o = LISTS;
	struct dkim2_sign *s;

	for (size_t k = 0; k < COUNT(row); k++) {
		o.recipe = bytes_of(row[k].recipe);
		if (begin(once, &o, &s, a) != row[k].why)
			fail_msg("%s", row[k].recipe);
	}
	o = *first_hop();	/* nothing is there to lead back to */
	o.recipe = BYTES_LIT(RECIPE);
	assert_int_equal(begin(text(HEAD "\r\n" BODY), &o, &s, a),
	    DKIM2_REFUSE_RECIPE);
}

static void
a_from_of_our_own_may_be_rewritten(void **state)
{
	struct arena *a = *state;
	struct bytes once = sign(text(HEAD "\r\n" BODY), first_hop(), a);
	size_t at = bytes_find(once, BYTES_LIT("alice@example.org"));
	struct dkim2_sign_options o = LISTS;
	struct dkim2_sign *s;
	struct buf out;

	assert_int_equal(arena_buf(a, once.n + 100, &out), 0);
	buf_add(&out, bytes_first(once, at));
	buf_add_str(&out, "alice@x.lists.example");
	buf_add(&out, bytes_skip(once, at + 17));
	o.recipe = BYTES_LIT("{\"h\":{\"from\":"
	    "[{\"d\":[\"Alice <alice@example.org>\"]}]}}");
	assert_int_equal(begin(buf_bytes(&out), &o, &s, a), DKIM2_MAY_SIGN);
	assert_int_equal(s->self.m, 2);
}

/* D12: a chain with a recipe that leads nowhere can never verify again. */
static void
a_chain_with_a_null_recipe_is_not_signed_on(void **state)
{
	struct arena *a = *state;
	struct bytes once = sign(text(HEAD "\r\n" BODY), first_hop(), a);
	struct dkim2_sign_options o = OPTIONS("lists.example",
	    "<b@lists.example>", "<c@lists.example>");
	struct bytes twice;
	struct dkim2_sign *s;
	size_t at;

	o.recipe = BYTES_LIT("{\"b\":[] }");
	twice = arena_copy(a, sign(once, &o, a));
	at = bytes_find(twice, BYTES_LIT("r=eyJiIjpbXSB9;"));
	assert_true(at < twice.n);
	o.recipe = (struct bytes){NULL, 0};
	assert_int_equal(begin(twice, &o, &s, a), DKIM2_MAY_SIGN);
	memcpy((uint8_t *)twice.p + at + 2, "eyJiIjpudWxs", 12);
	assert_int_equal(begin(twice, &o, &s, a), DKIM2_REFUSE_CHAIN);
}

/* One octet over 64 KiB is too long; a recipe of that size is not written. */
static void
a_long_recipe_is_refused(void **state)
{
	struct arena *a = *state;
	struct bytes once = sign(text(HEAD "\r\n" BODY), first_hop(), a);
	struct dkim2_sign_options o = LISTS;
	struct dkim2_sign *s;

	for (size_t n = 47000; n <= 49000; n += 1000) {
		struct buf out;

		assert_int_equal(arena_buf(a, n + 100, &out), 0);
		buf_add_str(&out, "{\"b\":[{\"d\":[\"");
		while (out.n < n)
			buf_add_octet(&out, 'x');
		buf_add_str(&out, "\"]}]}");
		o.recipe = buf_bytes(&out);
		assert_int_equal(begin(once, &o, &s, a), n <= 47000 ?
		    DKIM2_MAY_SIGN : DKIM2_REFUSE_RECIPE);
	}
}

/* Every line of what we write is short, but for one unbreakable word. */
static void
many_recipients_are_folded(void **state)
{
	struct arena *a = *state;
	struct bytes once = sign(text(HEAD "\r\n" BODY), first_hop(), a);
	struct bytes rcpts[100];
	struct dkim2_envelope e = {BYTES_LIT("<b@lists.example>"), rcpts, 100};
	struct dkim2_sign_options o = OPTIONS("lists.example", "<>", "<x@y>");
	struct bytes all, line;
	struct dkim2_sign *s;

	o.envelope = &e;
	for (size_t k = 0; k < 100; k++) {
		uint8_t room[64];
		struct buf b = BUF_ON(room);

		buf_printf(&b, "<%.*s@three.example>", (int)k,
		    "abcdefghijklmnopqrstuvwxyz0123456789");
		rcpts[k] = arena_copy(a, buf_bytes(&b));
	}
	all = sign(once, &o, a);
	assert_int_equal(begin(all, &o, &s, a), DKIM2_REFUSE_CUSTODY);
	all = bytes_first(all, all.n - once.n);
	assert_true(bytes_find(all, BYTES_LIT("f=exploded;")) < all.n);
	while (all.n != 0) {
		line = bytes_first(all, bytes_find(all, BYTES_LIT("\r\n")));
		assert_in_range(line.n, 2, 76);
		all = bytes_skip(all, line.n + 2);
	}
}

static void
no_field_is_longer_than_mail_servers_take(void **state)
{
	struct arena *a = *state;
	size_t n = 1000;
	struct bytes *rcpts = arena_array(a, n, sizeof(*rcpts));
	struct dkim2_envelope e = {BYTES_LIT("<alice@example.org>"), rcpts, n};
	struct dkim2_sign_options o = *first_hop();
	struct dkim2_sign *s;

	o.envelope = &e;
	for (size_t k = 0; k < n; k++)
		rcpts[k] = BYTES_LIT("<aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		    "aaaaaaaaaaaaaaaaa@two.example>");
	assert_int_equal(begin(text(HEAD "\r\n" BODY), &o, &s, a),
	    DKIM2_REFUSE_OPTIONS);
	e.n_rcpt_to = 600;
	assert_int_equal(begin(text(HEAD "\r\n" BODY), &o, &s, a),
	    DKIM2_MAY_SIGN);
	answer_with(s, 0, ED1_PEM);
	assert_in_range(dkim2_sign_fields(s).n, 1, SIGN_FIELD_MAX + 1024);
}

static void
a_small_arena_is_no_memory(void **state)
{
	struct dkim2_message m;
	struct dkim2_digests d = {0};
	enum dkim2_refusal why;
	struct dkim2_sign *s;
	size_t cap;
	int r = -E_NOMEM;

	digests_of(&m, kit_split(text(HEAD "\r\n" BODY), &m, *state), &d,
	    *state);
	for (cap = 16; r == -E_NOMEM; cap += 16) {
		struct arena *small = arena_new(cap);

		r = dkim2_sign_new(&s, small, &m, &d, first_hop(), &why);
		arena_free(&small);
	}
	assert_int_equal(r, 0);
	assert_int_equal(why, DKIM2_MAY_SIGN);
	assert_in_range(cap, 1024, 65536);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_arena, close_arena)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_worked_example_is_signed_as_it_stands),
		TEST(what_may_not_originate_is_refused),
		TEST(what_may_not_extend_is_refused),
		TEST(changed_content_is_not_signed_on),
		TEST(a_chain_with_a_gap_is_not_signed_on),
		TEST(next_domain_hands_over),
		TEST(domains_are_written_as_a_labels),
		TEST(a_chain_has_an_end),
		TEST(options_that_cannot_be_written_are_refused),
		TEST(two_keys_stand_in_one_group_or_in_two),
		TEST(the_second_worked_example_is_signed_with_its_recipe),
		TEST(recipes_that_must_not_be_written_are_refused),
		TEST(a_from_of_our_own_may_be_rewritten),
		TEST(a_chain_with_a_null_recipe_is_not_signed_on),
		TEST(a_long_recipe_is_refused),
		TEST(many_recipients_are_folded),
		TEST(no_field_is_longer_than_mail_servers_take),
		TEST(a_small_arena_is_no_memory),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
