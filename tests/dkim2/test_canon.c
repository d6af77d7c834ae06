#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "dkim2/canon.h"
#include "dkim2/chain.h"
#include "dkim2/crypto.h"
#include "tests/dkim2/kit.h"

/* The worked examples Q1 to Q3: own computation, agreed with a peer. */
#define Q1_HEADER \
	"auto-submitted:no\r\n" \
	"comments:oldest\r\n" \
	"comments:newest\r\n" \
	"from:Alice <alice@example.org>\r\n" \
	"message-id:<1@example.org>\r\n" \
	"subject:Two words\r\n" \
	"to:list@lists.example\r\n"
#define Q2_HEADER \
	"auto-submitted:no\r\n" \
	"comments:oldest\r\n" \
	"from:Alice <alice@example.org>\r\n" \
	"list-id:<l.lists.example>\r\n" \
	"message-id:<1@example.org>\r\n" \
	"subject:[L] Two words\r\n" \
	"to:list@lists.example\r\n"
#define Q1_INPUT \
	"message-instance:m=1;h=sha256:2VPjHHJqcKvzSWW8hXVcKhgcuItLGeMtM0hfTX" \
	"PUiAw=:vbRAh/UYTiqyu62mDz3pp4uFClvHpdHA8vcf37fFP4U=;\r\n" \
	"dkim2-signature:i=1;m=1;t=1795341600;d=example.org;mf=PGFsaWNlQGV4YW" \
	"1wbGUub3JnPg==;rt=PGxpc3RAbGlzdHMuZXhhbXBsZT4=;s=ed1:ed25519-sha256:" \
	";\r\n"

static struct bytes
hash(struct bytes octets)
{
	static uint8_t digest[DKIM2_HASH_MAX];

	assert_int_equal(dkim2_hash_once(DKIM2_SHA256, octets, digest), 0);
	return (struct bytes){digest, 32};
}

static void
header_and_body_forms(const char *path, const char *header, const char *h,
    const char *body, const char *b)
{
	struct arena *a = arena_new(KIT_ARENA);
	struct dkim2_message m;
	struct canon_header sorted;
	struct canon_body c;
	struct bytes in = kit_split(kit_file(a, path), &m, a);
	uint8_t room[512];
	struct buf out = BUF_ON(room);

	assert_int_equal(canon_header_sort(&sorted, &m, a), 0);
	assert_int_equal(canon_header_emit(&sorted, canon_to_buf, &out), 0);
	kit_assert_bytes(buf_bytes(&out), header);
	kit_assert_base64(hash(buf_bytes(&out)), h);
	out.n = 0;
	canon_body_init(&c, canon_to_buf, &out);
	assert_int_equal(canon_body_add(&c, in), 0);
	assert_int_equal(canon_body_end(&c), 0);
	kit_assert_bytes(buf_bytes(&out), body);
	kit_assert_base64(hash(buf_bytes(&out)), b);
	arena_free(&a);
}

static void
hash_inputs_of_worked_examples(void **state)
{
	(void)state;
	assert_int_equal(strlen(Q1_HEADER), 155);
	header_and_body_forms("tests/vectors/worked/q1.eml", Q1_HEADER,
	    "2VPjHHJqcKvzSWW8hXVcKhgcuItLGeMtM0hfTXPUiAw=",
	    "Hello,  list.\r\n indented \r\n",
	    "vbRAh/UYTiqyu62mDz3pp4uFClvHpdHA8vcf37fFP4U=");
	assert_int_equal(strlen(Q2_HEADER), 169);
	header_and_body_forms("tests/vectors/worked/q2.eml", Q2_HEADER,
	    "hSg491zOjNKUdOFoZpj1eAldni57Ye7ZOWAwpkPnPY8=",
	    "Hello,  list.\r\n-- \r\nfooter\r\n",
	    "UbF6KNB2lUASQQ04A7+KVnvF2mZhjUK4IQSYYi5uqjY=");
}

static struct bytes
signing_input(const char *path, size_t i, struct arena *a)
{
	struct dkim2_message m;
	struct dkim2_limits limits;
	struct chain c;
	struct reason_list faults;
	struct buf out;

	dkim2_limits_default(&limits);
	kit_split(kit_file(a, path), &m, a);
	assert_int_equal(reason_list_init(&faults, 8, a), 0);
	assert_int_equal(chain_read(&c, &m, &limits, a, &faults), 0);
	assert_int_equal(faults.n, 0);
	assert_int_equal(arena_buf(a, 2000, &out), 0);
	assert_int_equal(chain_signing_input(&c, i, canon_to_buf, &out), 0);
	return buf_bytes(&out);
}

static void
signing_inputs_of_worked_examples(void **state)
{
	struct arena *a = arena_new(KIT_ARENA);
	struct bytes in = signing_input("tests/vectors/worked/q1.eml", 1, a);

	(void)state;
	assert_int_equal(in.n, 261);
	kit_assert_bytes(in, Q1_INPUT);
	kit_assert_hex(hash(in), "3ecc5fbbd9caf5879d03d12e675e5b3091420de1413d"
	    "56e7d5dacec3470ad055");
	/* A later hop does not change what an earlier one signed. */
	in = signing_input("tests/vectors/worked/q2.eml", 1, a);
	kit_assert_bytes(in, Q1_INPUT);
	in = signing_input("tests/vectors/worked/q2.eml", 2, a);
	assert_int_equal(in.n, 838);
	kit_assert_hex(hash(in), "94aa0b22ca9be9e2608f1c30016971d981154696483f"
	    "fa16fcba9d8dd7e53373");
	arena_free(&a);
}

/* What is made once for several signatures is what each would make alone. */
static void
lines_are_shared_where_the_instances_are(void **state)
{
	static const unsigned covers[] = {1, 1, 1, 2, 2, 4, 4};
	struct arena *a = arena_new(KIT_ARENA);
	struct chain_head done = {0, 0};
	struct dkim2_limits limits;
	struct reason_list faults;
	struct dkim2_message m;
	struct chain c;
	struct buf text, head = {NULL, 0, 0, false}, whole;
	unsigned n_begun = 0;

	(void)state;
	assert_int_equal(arena_buf(a, 4096, &text), 0);
	for (unsigned i = (unsigned)COUNT(covers); i != 0; i--)
		buf_printf(&text, "DKIM2-Signature: i=%u;\r\n m=%u; "
		    "s=a:b:QUJD;\r\n", i, covers[i - 1]);
	for (unsigned k = 4; k != 0; k--)
		buf_printf(&text, "Message-Instance: m=%u; h=x;\r\n", k);
	dkim2_limits_default(&limits);
	assert_int_equal(dkim2_message_parse(&m, buf_bytes(&text), 20, a), 0);
	assert_int_equal(reason_list_init(&faults, 100, a), 0);
	assert_int_equal(chain_read(&c, &m, &limits, a, &faults), 0);
	assert_true(c.is_numbered);
	for (size_t i = 1; i <= COUNT(covers); i++) {
		if (head.p == NULL || !chain_head_fits(&c, i, &done)) {
			n_begun++;
			done = (struct chain_head){0, 0};
			assert_int_equal(arena_buf(a, 4096, &head), 0);
		}
		assert_int_equal(chain_signing_head(&c, i, &done,
		    canon_to_buf, &head), 0);
		assert_int_equal(arena_buf(a, 4096, &whole), 0);
		buf_add(&whole, buf_bytes(&head));
		assert_int_equal(chain_signing_last(&c, i, canon_to_buf,
		    &whole), 0);
		assert_int_equal(arena_buf(a, 4096, &text), 0);
		assert_int_equal(chain_signing_input(&c, i, canon_to_buf,
		    &text), 0);
		assert_true(bytes_eq(buf_bytes(&whole), buf_bytes(&text)));
	}
	assert_int_equal(n_begun, 3);
	arena_free(&a);
}

/* V14: raw octets; only the third parts in a tag named exactly s go. */
static void
signing_lines_keep_all_but_values(void **state)
{
	static const struct {
		const char *in, *full, *blank;
	} row[] = {
		{" s=a:rsa-sha256:U0\r\n lH | b:ed25519-sha256:WkZa,\r\n\t"
		 "c:mldsa44:QUJD; f=feedback;",
		 "s=a:rsa-sha256:U0lH|b:ed25519-sha256:WkZa,c:mldsa44:QUJD;"
		 "f=feedback;",
		 "s=a:rsa-sha256:|b:ed25519-sha256:,c:mldsa44:;f=feedback;"},
		{"S=a:b:c; ss=a:b:c; x=s=a:b:c;s = a : b : c",
		 "S=a:b:c;ss=a:b:c;x=s=a:b:c;s=a:b:c",
		 "S=a:b:c;ss=a:b:c;x=s=a:b:c;s=a:b:"},
		{"s=a:b:c:d|e;i=01", "s=a:b:c:d|e;i=01", "s=a:b:|e;i=01"},
		{"\r\n\ti=1;;", "i=1;;", "i=1;;"},
		{"a\rb\nc", "a\rb\nc", "a\rb\nc"},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		for (int blank = 0; blank < 2; blank++) {
			uint8_t room[256], wanted[256];
			struct buf out = BUF_ON(room), w = BUF_ON(wanted);

			assert_int_equal(canon_signing_line(BYTES_LIT("Ab"),
			    bytes_of(row[k].in), blank == 1, canon_to_buf,
			    &out), 0);
			buf_printf(&w, "ab:%s\r\n",
			    blank == 1 ? row[k].blank : row[k].full);
			assert_true(bytes_eq(buf_bytes(&out), buf_bytes(&w)));
		}
	}
}

static void
header_form(const char *in, const char *wanted)
{
	struct arena *a = arena_new(KIT_ARENA);
	struct dkim2_message m;
	struct canon_header h;
	uint8_t room[2048];
	struct buf out = BUF_ON(room);

	assert_int_equal(dkim2_message_parse(&m, bytes_of(in), 100, a), 0);
	assert_int_equal(canon_header_sort(&h, &m, a), 0);
	assert_int_equal(canon_header_emit(&h, canon_to_buf, &out), 0);
	kit_assert_bytes(buf_bytes(&out), wanted);
	arena_free(&a);
}

static void
header_forms(void **state)
{
	(void)state;
	header_form("", "");
	header_form("A:\r\n", "a:\r\n");
	header_form("A: \t \r\n", "a:\r\n");
	header_form("A \t:x\r\n", "a:x\r\n");
	/* unfold before the blanks at the ends are cut */
	header_form("A:\r\n x\r\n", "a:x\r\n");
	header_form("A: x \r\n \t y\r\n\tz  \r\n", "a:x y z\r\n");
	header_form("A: x\r\n \r\n", "a:x\r\n");
	/* a CR that is no fold is an octet like any other */
	header_form("A: x\ry \r z\r\n", "a:x\ry \r z\r\n");
	/* no CRLF at the very end */
	header_form("A: x", "a:x\r\n");
	/* octets, not characters */
	header_form("A: caf\xe9\r\n", "a:caf\xe9\r\n");
	/* by name, a prefix first; the same name from the bottom upward */
	header_form("b:1\r\nA-b:2\r\na:3\r\nB:4\r\nab:5\r\nA:6\r\n",
	    "a:6\r\na:3\r\na-b:2\r\nab:5\r\nb:4\r\nb:1\r\n");
	/* what is not hashed, and what only looks like it */
	header_form("Received: 1\r\nReceived-SPF: 2\r\nReceivedx: 3\r\n"
	    "X-A: 4\r\nXA: 5\r\nx-: 6\r\nARC-Seal: 7\r\nDKIM2-Signature: 8\r\n"
	    "message-instance: 9\r\nAuto-Submitted: no\r\nVBR-Info: x\r\n"
	    "dkim-signature: 10\r\nReturn-Path: <>\r\n",
	    "auto-submitted:no\r\nreceivedx:3\r\nvbr-info:x\r\nxa:5\r\n");
}

/* F6: the order is right for any number of fields, and found in n log n. */
static void
many_fields_are_sorted(void **state)
{
	enum { N = 3000 };
	struct arena *a = arena_new(KIT_ARENA);
	struct dkim2_message m;
	struct canon_header h;
	struct buf header;

	(void)state;
	assert_int_equal(arena_buf(a, N * 16, &header), 0);
	for (unsigned k = 0; k < N; k++)
		buf_printf(&header, "f%u: %u\r\n", k * 7919 % 10, k);
	assert_int_equal(dkim2_message_parse(&m, buf_bytes(&header), N, a), 0);
	assert_int_equal(canon_header_sort(&h, &m, a), 0);
	assert_int_equal(h.n, N);
	for (size_t k = 1; k < N; k++) {
		int d = canon_name_compare(h.fields[k - 1].name,
		    h.fields[k].name);

		assert_true(d <= 0);
		if (d == 0)
			assert_true(h.fields[k - 1].name.p >
			    h.fields[k].name.p);
	}
	arena_free(&a);
}

/* V4: any split gives the same; only CRLFs at the very end are folded. */
static void
body_forms_at_every_split(void **state)
{
	static const struct {
		const char *in, *out;
	} row[] = {
		{"", "\r\n"},
		{"\r\n", "\r\n"},
		{"\r\n\r\n\r\n", "\r\n"},
		{"a", "a\r\n"},
		{"a\r\n", "a\r\n"},
		{"a\r\n\r\n\r\n", "a\r\n"},
		{"\r\n\r\na\r\n", "\r\n\r\na\r\n"},
		{"a\r\n\r\nb\r\n\r\n", "a\r\n\r\nb\r\n"},
		{"a \r\n \r\n", "a \r\n \r\n"},
		{"a\r", "a\r\r\n"},
		{"a\r\r\n\r\n", "a\r\r\n"},
		{"\r\n\r", "\r\n\r\r\n"},
		{"a\n\n", "a\n\n\r\n"},
		{"a\r\n\n", "a\r\n\n\r\n"},
		{"a\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nb",
		 "a\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nb"
		 "\r\n"},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct bytes in = bytes_of(row[k].in);

		for (size_t i = 0; i <= in.n; i++) {
			for (size_t j = i; j <= in.n; j++) {
				uint8_t room[64];
				struct buf out = BUF_ON(room);
				struct canon_body c;

				canon_body_init(&c, canon_to_buf, &out);
				assert_int_equal(canon_body_add(&c,
				    bytes_first(in, i)), 0);
				assert_int_equal(canon_body_add(&c,
				    bytes_first(bytes_skip(in, i), j - i)), 0);
				assert_int_equal(canon_body_add(&c,
				    bytes_skip(in, j)), 0);
				assert_int_equal(canon_body_end(&c), 0);
				kit_assert_bytes(buf_bytes(&out), row[k].out);
			}
		}
	}
}

static void
empty_body_hashes(void **state)
{
	uint8_t digest[DKIM2_HASH_MAX];

	(void)state;
	kit_assert_base64(hash(BYTES_LIT("\r\n")),
	    "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=");
	assert_int_equal(dkim2_hash_once(DKIM2_SHA512, BYTES_LIT("\r\n"),
	    digest), 0);
	kit_assert_base64((struct bytes){digest, 64},
	    "GzAqLx5iSl+1rZTdxOX4v9dNJvo3US0OX6zjA9jEDu4ND/o2SfXaQ/Q5kU0SgWbL"
	    "bEd0p8qjsXTXU1RR62l7XQ==");
}

static void
a_full_sink_is_told(void **state)
{
	uint8_t room[4];
	struct buf out = BUF_ON(room);
	struct canon_body c;

	(void)state;
	assert_int_equal(canon_signing_line(BYTES_LIT("name"), BYTES_LIT("v"),
	    false, canon_to_buf, &out), -E_LIMIT);
	out = (struct buf)BUF_ON(room);
	canon_body_init(&c, canon_to_buf, &out);
	assert_int_equal(canon_body_add(&c, BYTES_LIT("12345")), -E_LIMIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hash_inputs_of_worked_examples),
		cmocka_unit_test(signing_inputs_of_worked_examples),
		cmocka_unit_test(lines_are_shared_where_the_instances_are),
		cmocka_unit_test(signing_lines_keep_all_but_values),
		cmocka_unit_test(header_forms),
		cmocka_unit_test(many_fields_are_sorted),
		cmocka_unit_test(body_forms_at_every_split),
		cmocka_unit_test(empty_body_hashes),
		cmocka_unit_test(a_full_sink_is_told),
	};

	return cmocka_run_group_tests_name("dkim2/canon", tests, NULL, NULL);
}
