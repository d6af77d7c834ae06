#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>

#include "base/err.h"
#include "dkim2/dkim1.h"
#include "tests/dkim2/kit.h"
#include "tests/dkim2/dkim1_kit.h"

#define NOW 1700000000

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

/* ---- the vectors of the RFCs ---------------------------------------------- */

static const struct record rfc_records[] = {
	{"brisbane._domainkey.example.com", "v=DKIM1; " RFC6376_P},
	{"brisbane._domainkey.football.example.com", ED1_RECORD},
	{"test._domainkey.football.example.com", "v=DKIM1; k=rsa; " RFC8463_P},
};

static void
rfc_6376_a_passes(void **state)
{
	struct bytes octets = kit_file(*state, "tests/vectors/dkim1/rfc6376.eml");

	for (size_t step = 1; step < 70; step++) {
		struct dkim1_verify *v = kit_verify(octets, step, NOW,
		    rfc_records, COUNT(rfc_records), *state);
		const struct dkim1_result *r = dkim1_verify_result(v);

		assert_int_equal(r->n_signatures, 1);
		assert_int_equal(r->signatures[0].state, DKIM1_PASS);
		assert_int_equal(r->signatures[0].reason, DKIM1_OK);
		assert_true(r->signatures[0].covers_from);
		assert_true(dkim1_counts(&r->signatures[0]));
		assert_int_equal(r->signatures[0].bits, 1024);
		kit_assert_bytes(r->signatures[0].d, "example.com");
		kit_assert_bytes(r->signatures[0].s, "brisbane");
		kit_assert_bytes(r->signatures[0].a, "rsa-sha256");
		kit_assert_bytes(r->signatures[0].i,
		    "joe@football.example.com");
		assert_int_equal(r->signatures[0].t, -1);
		dkim1_verify_fini(v);
	}
}

static void
rfc_8463_a_passes_twice(void **state)
{
	struct bytes octets = kit_file(*state, "tests/vectors/dkim1/rfc8463.eml");

	for (size_t step = 1; step < 70; step++) {
		struct dkim1_verify *v = kit_verify(octets, step, NOW,
		    rfc_records, COUNT(rfc_records), *state);
		const struct dkim1_result *r = dkim1_verify_result(v);

		assert_int_equal(r->n_signatures, 2);
		for (size_t k = 0; k < 2; k++) {
			assert_int_equal(r->signatures[k].state, DKIM1_PASS);
			assert_int_equal(r->signatures[k].t, 1528637909);
			kit_assert_bytes(r->signatures[k].i,
			    "@football.example.com");
		}
		assert_int_equal(r->signatures[0].bits, 256);
		assert_int_equal(r->signatures[1].bits, 1024);
		dkim1_verify_fini(v);
	}
}

/* Any octet that is changed, but for white space, breaks what covers it. */
static void
a_changed_octet_fails(void **state)
{
	struct bytes octets = kit_file(*state, "tests/vectors/dkim1/rfc8463.eml");
	size_t from = bytes_find(octets, BYTES_LIT("From: Joe"));
	size_t body_at = 0;
	uint8_t *p = arena_alloc(*state, octets.n);

	(void)dkim2_header_end(octets, &body_at);
	for (size_t k = from; k < octets.n; k++) {
		struct arena *a;
		struct dkim1_verify *v;
		const struct dkim1_result *r;

		if (octets.p[k] <= ' ' || octets.p[k] == ':')
			continue;
		a = arena_new(KIT_ARENA);
		memcpy(p, octets.p, octets.n);
		p[k] ^= 2;
		v = kit_verify((struct bytes){p, octets.n}, octets.n, NOW,
		    rfc_records, COUNT(rfc_records), a);
		r = dkim1_verify_result(v);
		for (size_t j = 0; j < 2; j++) {
			bool is_name = r->signatures[j].reason ==
			    DKIM1_FROM_UNSIGNED;

			assert_int_not_equal(r->signatures[j].state,
			    DKIM1_PASS);
			assert_true(is_name || r->signatures[j].reason ==
			    (k < body_at ? DKIM1_SIGNATURE_WRONG :
			    DKIM1_BODY_HASH));
		}
		dkim1_verify_fini(v);
		arena_free(&a);
	}
}

/* ---- fields that are made here ---------------------------------------------- */

#define HEAD \
	"From: Alice <alice@example.org>\r\n" \
	"To: bob@example.net\r\n" \
	"Subject: one\r\n"
#define BODY "Hello.\r\n"
#define BH "bh=yZQq1c8wjBl0fZ4Wc/oraMCAG1mZJv5v/hlvyFy+t6A="

/*
 * A message with a signature that is right by the octets, whatever else its
 * tags say: sig is the value up to b=, names what h= has.
 */
static struct bytes
sign_with(struct dkim2_private_key *key, const char *head, const char *body,
    const char *sig, const char *names, enum dkim1_canon canon,
    struct arena *a)
{
	struct buf out;
	struct dkim2_message m;
	uint8_t digest[32], room[DKIM2_SIGNATURE_MAX];
	struct buf signature = BUF_ON(room);

	assert_int_equal(arena_buf(a, 65536, &out), 0);
	buf_add_str(&out, "DKIM-Signature:");
	buf_add_str(&out, sig);
	buf_add_str(&out, "; b=\r\n");
	buf_add_str(&out, head);
	assert_int_equal(dkim2_message_parse(&m, buf_bytes(&out), 1000, a), 0);
	assert_int_equal(dkim1_field_digest(&m, &m.fields[0], canon,
	    bytes_of(names), a, digest), 0);
	assert_int_equal(dkim2_private_key_sign(key, digest, &signature), 0);
	out.n = 0;
	buf_add_str(&out, "DKIM-Signature:");
	buf_add_str(&out, sig);
	buf_add_str(&out, "; b=");
	b64_encode(buf_bytes(&signature), &out);
	buf_add_str(&out, "\r\n");
	buf_add_str(&out, head);
	buf_add_str(&out, "\r\n");
	buf_add_str(&out, body);
	assert_false(out.full);
	return buf_bytes(&out);
}

#define GOOD "v=1; a=ed25519-sha256; d=example.org; s=ed1; h=from; " BH

static const struct {
	const char *sig;	/* up to b= */
	const char *names;
	enum dkim1_reason reason;
} signatures[] = {
	{GOOD, "from", DKIM1_OK},
	/* what may be written otherwise */
	{" d = Example.ORG ;\r\n\ta=\r\n ed25519-sha256; s=ED1;v=1;h=FROM;" BH,
	    "FROM", DKIM1_OK},
	{GOOD "; unknown=1", "from", DKIM1_OK},
	{GOOD "; q=dns/txt", "from", DKIM1_OK},
	{GOOD "; q=x : dns/txt", "from", DKIM1_OK},
	{GOOD "; c=simple", "from", DKIM1_OK},
	{GOOD "; c=simple / simple", "from", DKIM1_OK},
	{GOOD "; i=@example.org", "from", DKIM1_OK},
	{GOOD "; i=a@b@mail.example.org", "from", DKIM1_OK},
	{GOOD "; i=@Mail.Example.Org", "from", DKIM1_OK},
	{GOOD "; t=1", "from", DKIM1_OK},
	{GOOD "; t=1; x=999999999999", "from", DKIM1_OK},
	{GOOD "; x=1700000000", "from", DKIM1_OK},
	{GOOD "; t=1700086400", "from", DKIM1_OK},
	{GOOD "; z=From:a", "from", DKIM1_OK},
	{"v=1; a=ed25519-sha256; d=example.org; s=ed1; h=to:from : To:\r\n"
	    " subject:from:cc; " BH, "to:from:To:subject:from:cc", DKIM1_OK},
	/* what is no signature */
	{"a=ed25519-sha256; d=example.org; s=ed1; h=from; " BH, "from",
	    DKIM1_TAG_MISSING},
	{"v=1; d=example.org; s=ed1; h=from; " BH, "from", DKIM1_TAG_MISSING},
	{"v=1; a=ed25519-sha256; s=ed1; h=from; " BH, "from",
	    DKIM1_TAG_MISSING},
	{"v=1; a=ed25519-sha256; d=example.org; h=from; " BH, "from",
	    DKIM1_TAG_MISSING},
	{"v=1; a=ed25519-sha256; d=example.org; s=ed1; " BH, "from",
	    DKIM1_TAG_MISSING},
	{"v=1; a=ed25519-sha256; d=example.org; s=ed1; h=from", "from",
	    DKIM1_TAG_MISSING},
	{"v=2; a=ed25519-sha256; d=example.org; s=ed1; h=from; " BH, "from",
	    DKIM1_VERSION},
	{"v=01; a=ed25519-sha256; d=example.org; s=ed1; h=from; " BH, "from",
	    DKIM1_VERSION},
	{"v=1; a=rsa-sha1; d=example.org; s=ed1; h=from; " BH, "from",
	    DKIM1_ALGORITHM_HISTORIC},
	{"v=1; a=rsa-sha512; d=example.org; s=ed1; h=from; " BH, "from",
	    DKIM1_ALGORITHM_UNKNOWN},
	{"v=1; a=ED25519-SHA256; d=example.org; s=ed1; h=from; " BH, "from",
	    DKIM1_ALGORITHM_UNKNOWN},
	{"v=1; a=ed25519-sha256; d=example.org; s=ed1; h=from; bh=", "from",
	    DKIM1_SYNTAX},
	{"v=1; a=ed25519-sha256; d=example.org; s=ed1; h=from; bh=AAAA",
	    "from", DKIM1_SYNTAX},
	{"v=1; a=ed25519-sha256; d=org; s=ed1; h=from; " BH, "from",
	    DKIM1_SYNTAX},
	{"v=1; a=ed25519-sha256; d=example.org.; s=ed1; h=from; " BH, "from",
	    DKIM1_SYNTAX},
	{"v=1; a=ed25519-sha256; d=a..org; s=ed1; h=from; " BH, "from",
	    DKIM1_SYNTAX},
	{"v=1; a=ed25519-sha256; d=example.org; s=*; h=from; " BH, "from",
	    DKIM1_SYNTAX},
	{"v=1; a=ed25519-sha256; d=example.org; s=; h=from; " BH, "from",
	    DKIM1_SYNTAX},
	{"v=1; a=ed25519-sha256; d=example.org; s=ed1; h=; " BH, "from",
	    DKIM1_SYNTAX},
	{"v=1; a=ed25519-sha256; d=example.org; s=ed1; h=from:; " BH, "from",
	    DKIM1_SYNTAX},
	{"v=1; a=ed25519-sha256; d=example.org; s=ed1; h=from to; " BH,
	    "from", DKIM1_SYNTAX},
	{GOOD "; c=nofws", "from", DKIM1_CANON_UNKNOWN},
	{GOOD "; c=simple/", "from", DKIM1_CANON_UNKNOWN},
	{GOOD "; c=simple/relaxed/simple", "from", DKIM1_CANON_UNKNOWN},
	{GOOD "; c=Simple", "from", DKIM1_CANON_UNKNOWN},
	{GOOD "; q=dns", "from", DKIM1_QUERY_UNKNOWN},
	{GOOD "; i=example.org", "from", DKIM1_SYNTAX},
	{GOOD "; i=", "from", DKIM1_SYNTAX},
	{GOOD "; i=@xexample.org", "from", DKIM1_DOMAIN_MISMATCH},
	{GOOD "; i=a@example.net", "from", DKIM1_DOMAIN_MISMATCH},
	{GOOD "; i=@example.org@evil.example", "from", DKIM1_DOMAIN_MISMATCH},
	{GOOD "; s=ed2", "from", DKIM1_SYNTAX},
	{GOOD ";; y=1", "from", DKIM1_SYNTAX},
	{GOOD "; =1", "from", DKIM1_SYNTAX},
	{GOOD "; word", "from", DKIM1_SYNTAX},
	{GOOD "; y=\x01", "from", DKIM1_SYNTAX},
	{GOOD "; t=", "from", DKIM1_SYNTAX},
	{GOOD "; t=-1", "from", DKIM1_SYNTAX},
	{GOOD "; t=1000000000000", "from", DKIM1_SYNTAX},
	{GOOD "; t=5; x=5", "from", DKIM1_SYNTAX},
	{GOOD "; x=1e9", "from", DKIM1_SYNTAX},
	{"v=1; a=ed25519-sha256; d=example.org; s=ed1; h=to:subject; " BH,
	    "to:subject", DKIM1_FROM_UNSIGNED},
	/* what we do not trust */
	{GOOD "; x=1699999999", "from", DKIM1_EXPIRED},
	{GOOD "; t=1700086401", "from", DKIM1_FUTURE},
	{GOOD "; l=8", "from", DKIM1_LENGTH},	/* V4 */
	{GOOD "; l=0", "from", DKIM1_LENGTH},
	{GOOD "; l=", "from", DKIM1_LENGTH},
	/* what is wrong */
	{"v=1; a=ed25519-sha256; d=example.org; s=ed1; h=from; bh="
	    "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "from",
	    DKIM1_BODY_HASH},
	{GOOD, "from:to", DKIM1_SIGNATURE_WRONG},
	{GOOD "; s2=1", "", DKIM1_SIGNATURE_WRONG},
};

static const struct record made_records[] = {
	{"ed1._domainkey.example.org", ED1_RECORD},
};

static void
each_fault_of_a_field_has_its_reason(void **state)
{
	struct dkim2_private_key *key = kit_key(ED1_PEM);

	for (size_t k = 0; k < COUNT(signatures); k++) {
		struct bytes octets = sign_with(key, HEAD, BODY,
		    signatures[k].sig, signatures[k].names, DKIM1_SIMPLE,
		    *state);
		struct dkim1_verify *v = kit_verify(octets, 3, NOW,
		    made_records, COUNT(made_records), *state);
		const struct dkim1_result *r = dkim1_verify_result(v);

		if (r->signatures[0].reason != signatures[k].reason)
			print_message("%zu: %s: %s\n", k, signatures[k].sig,
			    dkim1_reason_text(r->signatures[0].reason));
		assert_int_equal(r->n_signatures, 1);
		assert_int_equal(r->signatures[0].reason,
		    signatures[k].reason);
		assert_int_equal(r->signatures[0].state,
		    dkim1_reason_state(signatures[k].reason));
		assert_true(dkim1_counts(&r->signatures[0]) ==
		    (signatures[k].reason == DKIM1_OK));
		dkim1_verify_fini(v);
	}
	dkim2_private_key_free(&key);
}

/* A key that no one could be asked for is not asked for. */
static void
what_is_decided_asks_for_no_key(void **state)
{
	struct dkim2_private_key *key = kit_key(ED1_PEM);

	for (size_t k = 0; k < COUNT(signatures); k++) {
		struct bytes octets = sign_with(key, HEAD, BODY,
		    signatures[k].sig, signatures[k].names, DKIM1_SIMPLE,
		    *state);
		enum dkim1_reason reason = signatures[k].reason;
		struct dkim2_message m;
		struct dkim1_verify *v;
		const struct bytes *names;

		(void)kit_split(octets, &m, *state);
		assert_int_equal(dkim1_verify_new(&v, *state, NOW), 0);
		assert_int_equal(dkim1_verify_header(v, &m), 0);
		assert_int_equal(dkim1_verify_wants(v, &names),
		    reason == DKIM1_OK || reason == DKIM1_BODY_HASH ||
		    reason == DKIM1_SIGNATURE_WRONG);
		dkim1_verify_fini(v);
	}
	dkim2_private_key_free(&key);
}

/* ---- key records ------------------------------------------------------------- */

static const struct {
	const char *text, *text2;	/* text2: a second record, or NULL */
	const char *i;
	enum dkim1_reason reason;
	bool is_testing;
} keys[] = {
	{ED1_RECORD, NULL, "", DKIM1_OK, false},
	{"k=ed25519;" ED1_P, NULL, "", DKIM1_OK, false},
	{"v=DKIM1 ;\tk = ed25519; " ED1_P ";", NULL, "", DKIM1_OK, false},
	{ED1_RECORD "; n=notes; x=y", NULL, "", DKIM1_OK, false},
	{ED1_RECORD "; h=sha1:sha256", NULL, "", DKIM1_OK, false},
	{ED1_RECORD "; h=sha1", NULL, "", DKIM1_KEY_HASH, false},
	{ED1_RECORD "; s=email", NULL, "", DKIM1_OK, false},
	{ED1_RECORD "; s=tlsrpt : *", NULL, "", DKIM1_OK, false},
	{ED1_RECORD "; s=tlsrpt", NULL, "", DKIM1_KEY_SERVICE, false},
	{ED1_RECORD "; t=s", NULL, "", DKIM1_OK, false},
	{ED1_RECORD "; t=s", NULL, "; i=@Example.org", DKIM1_OK, false},
	{ED1_RECORD "; t=s", NULL, "; i=@m.example.org", DKIM1_KEY_STRICT,
	    false},
	{ED1_RECORD, NULL, "; i=@m.example.org", DKIM1_OK, false},
	{ED1_RECORD "; t=y", NULL, "", DKIM1_OK, true},
	{ED1_RECORD "; t=x : y:s", NULL, "", DKIM1_OK, true},
	{ED1_RECORD "; t=ys", NULL, "; i=@m.example.org", DKIM1_OK, false},
	{"v=DKIM1; k=ed25519; p=", NULL, "", DKIM1_KEY_REVOKED, false},
	{"v=DKIM1; k=ed25519", NULL, "", DKIM1_KEY_SYNTAX, false},
	{"", NULL, "", DKIM1_KEY_SYNTAX, false},
	{"v=DKIM2; k=ed25519; " ED1_P, NULL, "", DKIM1_KEY_SYNTAX, false},
	{"k=ed25519; v=DKIM1; " ED1_P, NULL, "", DKIM1_KEY_SYNTAX, false},
	{"v=dkim1; k=ed25519; " ED1_P, NULL, "", DKIM1_KEY_SYNTAX, false},
	{ED1_RECORD "; p=", NULL, "", DKIM1_KEY_SYNTAX, false},
	{ED1_RECORD ";; n=a", NULL, "", DKIM1_KEY_SYNTAX, false},
	{"v=spf1 -all", NULL, "", DKIM1_KEY_SYNTAX, false},
	{"v=DKIM1; k=ed448; " ED1_P, NULL, "", DKIM1_KEY_MISMATCH, false},
	{"v=DKIM1; " ED1_P, NULL, "", DKIM1_KEY_MISMATCH, false},
	{"v=DKIM1; k=rsa; " RFC6376_P, NULL, "", DKIM1_KEY_MISMATCH, false},
	{"v=DKIM1; k=ed25519; " RFC6376_P, NULL, "", DKIM1_KEY_MALFORMED,
	    false},
	{"v=DKIM1; k=ed25519; p=AAAA", NULL, "", DKIM1_KEY_MALFORMED, false},
	{"v=DKIM1; k=ed25519; p=*", NULL, "", DKIM1_KEY_MALFORMED, false},
	{ED1_RECORD, ED1_RECORD, "", DKIM1_KEY_MULTIPLE, false},
	{NULL, NULL, "", DKIM1_KEY_UNFETCHED, false},
};

static void
each_fault_of_a_key_has_its_reason(void **state)
{
	struct dkim2_private_key *key = kit_key(ED1_PEM);

	for (size_t k = 0; k < COUNT(keys); k++) {
		const char *name = "ed1._domainkey.example.org";
		struct record records[2] = {
			{name, keys[k].text}, {name, keys[k].text2},
		};
		char sig[512];
		struct bytes octets;
		struct dkim1_verify *v;
		const struct dkim1_signature_result *r;

		(void)snprintf(sig, sizeof(sig), "%s%s", GOOD, keys[k].i);
		octets = sign_with(key, HEAD, BODY, sig, "from",
		    DKIM1_SIMPLE, *state);
		v = kit_verify(octets, 100, NOW, records,
		    keys[k].text2 == NULL ? 1 : 2, *state);
		r = &dkim1_verify_result(v)->signatures[0];
		if (r->reason != keys[k].reason)
			print_message("%s: %s\n", keys[k].text,
			    dkim1_reason_text(r->reason));
		assert_int_equal(r->reason, keys[k].reason);
		assert_int_equal(r->state, dkim1_reason_state(r->reason));
		assert_true(r->is_testing == keys[k].is_testing);
		assert_true(dkim1_counts(r) ==
		    (r->reason == DKIM1_OK && !r->is_testing));
		dkim1_verify_fini(v);
	}
	dkim2_private_key_free(&key);
}

static const struct {
	const char *body, *text;
	enum dkim1_reason reason;
} tests_and_failures[] = {
	{"other", ED1_RECORD, DKIM1_BODY_HASH},
	{"other", ED1_RECORD "; t=y", DKIM1_TEST_KEY},
	{"other", NULL, DKIM1_BODY_HASH},	/* no key could mend it */
	{"other", "v=DKIM1; k=ed25519; p=", DKIM1_KEY_REVOKED},
	{BODY, NULL, DKIM1_KEY_UNFETCHED},
	{BODY, "v=DKIM1; k=ed25519; "
	    "p=PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=",
	    DKIM1_SIGNATURE_WRONG},
	{BODY, "v=DKIM1; k=ed25519; t=y; "
	    "p=PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=",
	    DKIM1_TEST_KEY},
};

static void
a_test_key_never_fails(void **state)
{
	struct dkim2_private_key *key = kit_key(ED1_PEM);

	for (size_t k = 0; k < COUNT(tests_and_failures); k++) {
		struct record record = {"ed1._domainkey.example.org",
		    tests_and_failures[k].text};
		struct bytes octets = sign_with(key, HEAD,
		    tests_and_failures[k].body, GOOD, "from", DKIM1_SIMPLE,
		    *state);
		struct dkim1_verify *v = kit_verify(octets, 9, NOW, &record,
		    1, *state);

		assert_int_equal(
		    dkim1_verify_result(v)->signatures[0].reason,
		    tests_and_failures[k].reason);
		dkim1_verify_fini(v);
	}
	dkim2_private_key_free(&key);
}

/* RFC 8301: 1024 bits are needed. V1 */
static void
rsa_keys_have_their_bounds(void **state)
{
	static const struct {
		const char *p;
		enum dkim1_reason reason;
	} rows[] = {
		/* 512 and 4608 bits */
		{"v=DKIM1; p="
		    "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAMTZzoeRY0FuCp1f9zmq2aq8"
		    "N676IseHyYqc8/jwELNFNb4aLJPfYmlNqPnDqbRgdXvyllhOF85t2vN0"
		    "45vJ/A8CAwEAAQ==", DKIM1_KEY_SHORT},
		{"v=DKIM1; p="
		    "MIICYjANBgkqhkiG9w0BAQEFAAOCAk8AMIICSgKCAkEAs2VEzSMkdLi+"
		    "4+Paig0rYWz9z4nGDEo74Y1CMiK0qNo744Nwykkr9kPgPzmU5YUbOhuv"
		    "4nVfAV5+rRknhgZ1fJG/KW4aqBKCFV1C4hOhsmMPnSg5zhwXtj+5I1fM"
		    "rVC85+xDLfhumWtDDVSmmg82kypYpsaclZ+go00+HuGpZsd63KT5sbXi"
		    "IEtAJRcyuEm0TCsiJYbkyBVx9E/QFFXhP5/b82iqXrgnkZtAQDHM9yR0"
		    "YMXPrYVe7+TBv2AzAwDKvmkgvGcXCp2NTkioCqBHYhAGntluCfknajCS"
		    "6rRnDLncJukDjTtdR50vqT+TneJc+f/AT+dA+kBai+p2qm5hzDapuyJy"
		    "zBP7z19rt14K/vS2eXh9QyaGygf2BWkhcIhAytsZsJ/SWxzLW1knO4+r"
		    "GmYT9IW7KfGpaA19VJffchvIFFb6ilPziLQUfVA+PzQEwpJS3m//1yKt"
		    "Mapxw8fryKJwKRRUoog7Duh6EYp0hjx8dF3XgTbJAvFXcvC4rIPJDlEF"
		    "xvufmcRhgexT78PWBmKd9pdvQJyOE4rxfsLi0OhukPwtQItRpFCBI/e5"
		    "uGhfPgzcZ9fS+GiueujbuE2kPOLv0OuDKSd4jK2eUoMOZwp3n99tWWt3"
		    "z3hFApPplZNtLVZdC9URRacwFw5V06HDRBaOxOvnL1fj7IefjJ2KpQyK"
		    "KUJwmiWg++2yaCUUM/0WLayVxuL2nu3E0YF/1SE22a4kIHLj+D4mHkg0"
		    "ZLGpqLPYarj/uMKTdq4IsOCF1vxzAgMBAAE=", DKIM1_KEY_LONG},
		{"v=DKIM1; " RFC8463_P, DKIM1_SIGNATURE_WRONG},
		{"v=DKIM1; p=MA==", DKIM1_KEY_MALFORMED},
		{"v=DKIM1; k=ed25519; " ED1_P, DKIM1_KEY_MISMATCH},
	};
	struct dkim2_private_key *key = kit_key(ED1_PEM);
	struct bytes octets = sign_with(key, HEAD, BODY,
	    "v=1; a=rsa-sha256; d=example.org; s=r; h=from; " BH, "from",
	    DKIM1_SIMPLE, *state);

	for (size_t k = 0; k < COUNT(rows); k++) {
		struct record record = {"r._domainkey.example.org", rows[k].p};
		struct dkim1_verify *v = kit_verify(octets, 9, NOW, &record,
		    1, *state);

		assert_int_equal(
		    dkim1_verify_result(v)->signatures[0].reason,
		    rows[k].reason);
		dkim1_verify_fini(v);
	}
	dkim2_private_key_free(&key);
}

/* ---- messages ------------------------------------------------------------------ */

static const struct {
	const char *head, *sig, *names;
	bool covers;
} from_fields[] = {
	{HEAD, "h=from", "from", true},
	{HEAD "From: eve@evil.example\r\n", "h=from", "from", false},
	{HEAD "from : eve@evil.example\r\n", "h=from:from", "from:from", true},
	{HEAD "FROM: e\r\n" "From: f\r\n", "h=from:from", "from:from", false},
	{"To: bob@example.net\r\n", "h=from", "from", false},
};

/* A From field that no name of h= took is not the signer's. V5 */
static void
every_from_field_must_be_covered(void **state)
{
	struct dkim2_private_key *key = kit_key(ED1_PEM);

	for (size_t k = 0; k < COUNT(from_fields); k++) {
		char sig[512];
		struct bytes octets;
		struct dkim1_verify *v;
		const struct dkim1_signature_result *r;

		(void)snprintf(sig, sizeof(sig), "v=1; a=ed25519-sha256; "
		    "d=example.org; s=ed1; %s; " BH, from_fields[k].sig);
		octets = sign_with(key, from_fields[k].head, BODY, sig,
		    from_fields[k].names, DKIM1_SIMPLE, *state);
		v = kit_verify(octets, 9, NOW, made_records,
		    COUNT(made_records), *state);
		r = &dkim1_verify_result(v)->signatures[0];
		assert_int_equal(r->state, DKIM1_PASS);
		assert_true(r->covers_from == from_fields[k].covers);
		assert_true(dkim1_counts(r) == from_fields[k].covers);
		dkim1_verify_fini(v);
	}
	dkim2_private_key_free(&key);
}

/* Eight are looked at, and each name is asked for once. D1 */
static void
fields_past_the_bound_are_counted(void **state)
{
	struct dkim2_private_key *key = kit_key(ED1_PEM);
	struct bytes one = sign_with(key, HEAD, BODY, GOOD, "from",
	    DKIM1_SIMPLE, *state);
	size_t n_field = bytes_find(one, BYTES_LIT("From:"));
	struct buf out;
	struct dkim1_verify *v;
	const struct dkim1_result *r;
	const struct bytes *names;

	assert_int_equal(arena_buf(*state, 65536, &out), 0);
	for (size_t k = 0; k < 10; k++)
		buf_add(&out, bytes_first(one, n_field));
	buf_add(&out, bytes_skip(one, n_field));
	v = kit_verify(buf_bytes(&out), 9, NOW, made_records,
	    COUNT(made_records), *state);
	r = dkim1_verify_result(v);
	assert_int_equal(r->n_signatures, DKIM1_SIGNATURES_MAX);
	assert_int_equal(r->n_ignored, 2);
	for (size_t k = 0; k < r->n_signatures; k++)
		assert_int_equal(r->signatures[k].state, DKIM1_PASS);
	assert_int_equal(dkim1_verify_wants(v, &names), 1);
	kit_assert_bytes(names[0], "ed1._domainkey.example.org");
	dkim1_verify_fini(v);
	dkim2_private_key_free(&key);
}

/* A list that long is nobody's; it would cost fields times names. */
static void
a_long_h_is_refused(void **state)
{
	struct dkim2_private_key *key = kit_key(ED1_PEM);

	for (size_t n = DKIM1_NAMES_MAX - 1; n <= DKIM1_NAMES_MAX; n++) {
		char sig[2048] = "v=1; a=ed25519-sha256; d=example.org; s=ed1;"
		    BH "; h=from";
		char *h = strstr(sig, "from");
		struct bytes octets;
		struct dkim1_verify *v;

		for (size_t k = 0; k < n; k++)
			strcat(sig, ":x");
		octets = sign_with(key, HEAD, BODY, sig, h, DKIM1_SIMPLE,
		    *state);
		v = kit_verify(octets, 9, NOW, made_records,
		    COUNT(made_records), *state);
		assert_int_equal(
		    dkim1_verify_result(v)->signatures[0].reason,
		    n < DKIM1_NAMES_MAX ? DKIM1_OK : DKIM1_SYNTAX);
		dkim1_verify_fini(v);
	}
	dkim2_private_key_free(&key);
}

static void
answers_may_come_first_and_only_once(void **state)
{
	struct dkim2_private_key *key = kit_key(ED1_PEM);
	struct bytes octets = sign_with(key, HEAD, BODY, GOOD, "from",
	    DKIM1_SIMPLE, *state);
	struct bytes bad = BYTES_LIT("v=DKIM1; p=");
	struct dkim2_message m;
	struct bytes body = kit_split(octets, &m, *state);
	struct dkim1_verify *v;

	assert_int_equal(dkim1_verify_new(&v, *state, NOW), 0);
	assert_int_equal(dkim1_verify_header(v, &m), 0);
	kit_answer(v, made_records, COUNT(made_records));
	assert_int_equal(dkim1_verify_step(v), DKIM2_MORE);
	assert_int_equal(dkim1_verify_answer(v, 0, DKIM2_KEY_TXT, &bad, 1), 0);
	assert_int_equal(dkim1_verify_body(v, body), 0);
	assert_int_equal(dkim1_verify_end(v), 0);
	assert_int_equal(dkim1_verify_step(v), DKIM2_DONE);
	assert_int_equal(dkim1_verify_result(v)->signatures[0].state,
	    DKIM1_PASS);
	dkim1_verify_fini(v);
	dkim1_verify_fini(NULL);
	dkim2_private_key_free(&key);
}

static void
no_field_is_no_signature(void **state)
{
	struct dkim1_verify *v = kit_verify(BYTES_LIT(HEAD "\r\n" BODY), 9,
	    NOW, NULL, 0, *state);

	assert_int_equal(dkim1_verify_result(v)->n_signatures, 0);
	assert_int_equal(dkim1_verify_result(v)->n_ignored, 0);
	dkim1_verify_fini(v);
}

/* Every cap: an error, never a result. P5 */
static void
a_full_arena_is_an_error(void **state)
{
	struct bytes octets = kit_file(*state, "tests/vectors/dkim1/rfc8463.eml");
	bool is_done = false;

	for (size_t cap = 64; !is_done; cap += 64) {
		struct arena *a = arena_new(cap);
		struct dkim2_message m;
		struct bytes body = kit_split(octets, &m, *state);
		struct dkim1_verify *v = NULL;
		const struct bytes *names;
		int r = dkim1_verify_new(&v, a, NOW);

		if (r == 0)
			r = dkim1_verify_header(v, &m);
		if (r == 0)
			r = dkim1_verify_body(v, body);
		if (r == 0)
			r = dkim1_verify_end(v);
		for (size_t k = 0; r == 0 &&
		    k < dkim1_verify_wants(v, &names); k++) {
			struct bytes text = bytes_of(rfc_records[k + 1].text);

			r = dkim1_verify_answer(v, k, DKIM2_KEY_TXT, &text, 1);
		}
		is_done = r == 0;
		assert_true(r == 0 || r == -E_NOMEM);
		if (is_done)
			assert_int_equal(dkim1_verify_result(v)->
			    signatures[1].state, DKIM1_PASS);
		dkim1_verify_fini(v);
		arena_free(&a);
	}
}

static void
every_state_and_reason_has_words(void **state)
{
	(void)state;
	for (int k = 0; k < DKIM1_REASON__N; k++) {
		assert_non_null(dkim1_reason_text((enum dkim1_reason)k));
		assert_non_null(dkim1_state_name(
		    dkim1_reason_state((enum dkim1_reason)k)));
	}
	for (int k = 0; k < DKIM1_REFUSAL__N; k++)
		assert_non_null(dkim1_refusal_text((enum dkim1_refusal)k));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_arena, close_arena)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rfc_6376_a_passes),
		TEST(rfc_8463_a_passes_twice),
		TEST(a_changed_octet_fails),
		TEST(each_fault_of_a_field_has_its_reason),
		TEST(what_is_decided_asks_for_no_key),
		TEST(each_fault_of_a_key_has_its_reason),
		TEST(a_test_key_never_fails),
		TEST(rsa_keys_have_their_bounds),
		TEST(every_from_field_must_be_covered),
		TEST(fields_past_the_bound_are_counted),
		TEST(a_long_h_is_refused),
		TEST(answers_may_come_first_and_only_once),
		TEST(no_field_is_no_signature),
		TEST(a_full_arena_is_an_error),
		TEST(every_state_and_reason_has_words),
	};

	assert_true(sodium_init() >= 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
