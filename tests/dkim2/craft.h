/*
 * Messages signed to order, right or wrong in just one point, and what the
 * verifier says of them. Include after kit.h.
 */
#ifndef TESTS_DKIM2_CRAFT_H
#define TESTS_DKIM2_CRAFT_H

#include "dkim2/chain.h"
#include "dkim2/crypto.h"

/* RFC 8032 test keys 1 and 2; never used for anything else */
#define CRAFT_PEM_A "-----BEGIN PRIVATE KEY-----\n" \
	"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n" \
	"-----END PRIVATE KEY-----\n"
#define CRAFT_PEM_B "-----BEGIN PRIVATE KEY-----\n" \
	"MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n" \
	"-----END PRIVATE KEY-----\n"
#define CRAFT_A "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define CRAFT_B "k=ed25519; p=PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="

#define CRAFT_TIME 1795341600

/* A record for tests; what is not listed does not exist. */
struct craft_record {
	const char *name;
	const char *text[2];	/* "TEMPFAIL": could not be fetched */
};

static const struct craft_record craft_records[] = {
	{"ed1._domainkey.example.org", {CRAFT_A, NULL}},
	{"ed2._domainkey.example.org", {"v=DKIM1; " CRAFT_A ";", NULL}},
	{"l1._domainkey.lists.example", {CRAFT_B, NULL}},
	{"other._domainkey.example.org", {CRAFT_B, NULL}},
	{"temp._domainkey.example.org", {"TEMPFAIL", NULL}},
	{"two._domainkey.example.org", {CRAFT_A, CRAFT_A}},
	{"bad._domainkey.example.org", {"v=DKIM2; " CRAFT_A, NULL}},
	{"rsa._domainkey.example.org", {"p=MAgCAQ8CAwEAAQ==", NULL}},
	{"gone._domainkey.example.org", {"v=DKIM1; k=ed25519; p=", NULL}},
	{"void._domainkey.example.org", {"v=DKIM1; p=", NULL}},
	{"short._domainkey.example.org", {"k=ed25519; p=AAAA", NULL}},
};

/* The hash set of a state: "sha256:header:body" (or sha512). */
static inline void
craft_hashes(struct arena *a, const char *state, enum dkim2_hash h,
    struct buf *out)
{
	struct dkim2_message m;
	struct bytes body = kit_split(bytes_of(state), &m, a);
	struct canon_header sorted;
	struct canon_body c;
	struct dkim2_hasher x;
	uint8_t digest[DKIM2_HASH_MAX];

	assert_int_equal(canon_header_sort(&sorted, &m, a), 0);
	assert_int_equal(dkim2_hasher_init(&x, h), 0);
	assert_int_equal(canon_header_emit(&sorted, canon_to_hasher, &x), 0);
	assert_int_equal(dkim2_hasher_end(&x, digest), 0);
	dkim2_hasher_fini(&x);
	buf_printf(out, "%s:", dkim2_hash_name(h));
	b64_encode((struct bytes){digest, dkim2_hash_size(h)}, out);
	assert_int_equal(dkim2_hasher_init(&x, h), 0);
	canon_body_init(&c, canon_to_hasher, &x);
	assert_int_equal(canon_body_add(&c, body), 0);
	assert_int_equal(canon_body_end(&c), 0);
	assert_int_equal(dkim2_hasher_end(&x, digest), 0);
	dkim2_hasher_fini(&x);
	buf_add_octet(out, ':');
	b64_encode((struct bytes){digest, dkim2_hash_size(h)}, out);
}

/* The signature of number i over a message whose own values do not matter. */
static inline void
craft_signature(struct arena *a, struct bytes octets, uint32_t i,
    const char *pem, struct buf *out)
{
	struct dkim2_message m;
	struct dkim2_limits limits;
	struct reason_list faults;
	struct chain c;
	struct dkim2_hasher x;
	struct dkim2_private_key *key;
	uint8_t digest[DKIM2_DIGEST], room[DKIM2_SIGNATURE_MAX];
	struct buf signature = BUF_ON(room);

	dkim2_limits_default(&limits);
	limits.max_chain = 200;
	limits.max_members = 100;
	kit_split(octets, &m, a);
	assert_int_equal(reason_list_init(&faults, 1000, a), 0);
	assert_int_equal(chain_read(&c, &m, &limits, a, &faults), 0);
	if (!c.is_numbered) {
		/* It will not be looked at. */
		buf_add_str(out, "AAAA");
		return;
	}
	assert_int_equal(dkim2_hasher_init(&x, DKIM2_SHA256), 0);
	assert_int_equal(chain_signing_input(&c, i, canon_to_hasher, &x), 0);
	assert_int_equal(dkim2_hasher_end(&x, digest), 0);
	dkim2_hasher_fini(&x);
	assert_int_equal(dkim2_private_key_load(&key, bytes_of(pem), NULL), 0);
	assert_int_equal(dkim2_private_key_sign(key, digest, &signature), 0);
	dkim2_private_key_free(&key);
	b64_encode(buf_bytes(&signature), out);
}

/*
 * One pass over the text: "$H" becomes the hashes of the message as it is,
 * "$5" those with sha512, "$J(...)$" base64 of what is inside, "$1a" the
 * signature of i=1 with key A, "$2b" that of i=2 with key B. Signatures with
 * a number above `done` become a stand-in of the same meaning to others.
 */
static inline struct bytes
craft_pass(struct arena *a, struct bytes text, const char *state,
    struct bytes before, uint32_t done)
{
	struct bytes rest = text;
	struct buf out;

	assert_int_equal(arena_buf(a, 2 * text.n + 65536, &out), 0);
	while (rest.p != NULL) {
		uint8_t c;

		buf_add(&out, bytes_cut(&rest, '$'));
		if (rest.p == NULL)
			break;
		c = rest.p[0];
		if (c == 'H' || c == '5') {
			craft_hashes(a, state, c == 'H' ? DKIM2_SHA256 :
			    DKIM2_SHA512, &out);
			rest = bytes_skip(rest, 1);
		} else if (c == 'J') {
			struct bytes json = bytes_skip(rest, 2);
			size_t n = bytes_find(json, BYTES_LIT(")$"));

			b64_encode(bytes_first(json, n), &out);
			rest = bytes_skip(json, n + 2);
		} else {
			uint32_t i = (uint32_t)(c - '0');

			if (i <= done)
				craft_signature(a, before, i, rest.p[1] == 'a' ?
				    CRAFT_PEM_A : CRAFT_PEM_B, &out);
			else
				buf_add_str(&out, "AAAA");
			rest = bytes_skip(rest, 2);
		}
	}
	assert_false(out.full);
	return buf_bytes(&out);
}

/* Makes a message of a text; see craft_pass(). */
static inline struct bytes
craft(struct arena *a, const char *text)
{
	struct bytes got = bytes_of(text);
	struct bytes plain = arena_copy(a, got);

	got = craft_pass(a, plain, text, got, 0);
	for (uint32_t i = 1; i <= 9; i++)
		got = craft_pass(a, plain, text, got, i);
	return got;
}

struct craft_run {
	const char *mail_from;		/* NULL: no envelope */
	const char *rcpt_to[3];
	int64_t now_s;
	const struct dkim2_limits *limits;
	size_t split;			/* octets of the body given first */
	unsigned order;			/* how the answers come */
	const struct craft_record *records;	/* NULL: the usual */
	size_t n_records;
};

static inline void
craft_answer(struct dkim2_verify *v, size_t k, struct bytes name,
    const struct craft_run *run)
{
	const struct craft_record *r = craft_records;
	size_t n = COUNT(craft_records), n_found = 0;
	enum dkim2_key found = DKIM2_KEY_ABSENT;
	struct bytes records[2];

	if (run->records != NULL) {
		r = run->records;
		n = run->n_records;
	}
	for (size_t j = 0; j < n; j++) {
		if (!bytes_eq(bytes_of(r[j].name), name))
			continue;
		found = DKIM2_KEY_TXT;
		if (strcmp(r[j].text[0], "TEMPFAIL") == 0) {
			found = DKIM2_KEY_TEMPFAIL;
			break;
		}
		for (; n_found < 2 && r[j].text[n_found] != NULL; n_found++)
			records[n_found] = bytes_of(r[j].text[n_found]);
	}
	assert_int_equal(dkim2_verify_answer(v, k, found, records, n_found),
	    0);
}

/* Verifies; the verifier is the caller's to finish. */
static inline const struct dkim2_result *
craft_verify(struct arena *a, struct bytes octets,
    const struct craft_run *run, struct dkim2_verify **v)
{
	struct dkim2_message *m = arena_alloc(a, sizeof(*m));
	struct bytes rcpt[3], body = kit_split(octets, m, a);
	struct dkim2_envelope e = {.rcpt_to = rcpt};
	struct dkim2_verify_options o = {
		.now_s = run->now_s == 0 ? CRAFT_TIME : run->now_s,
		.limits = run->limits,
	};
	const struct bytes *names;
	size_t n;

	if (run->mail_from != NULL) {
		e.mail_from = bytes_of(run->mail_from);
		for (; e.n_rcpt_to < 3 && run->rcpt_to[e.n_rcpt_to] != NULL;
		    e.n_rcpt_to++)
			rcpt[e.n_rcpt_to] =
			    bytes_of(run->rcpt_to[e.n_rcpt_to]);
		o.envelope = &e;
	}
	assert_int_equal(dkim2_verify_new(v, a, &o), 0);
	assert_int_equal(dkim2_verify_header(*v, m), 0);
	assert_int_equal(dkim2_verify_step(*v), DKIM2_MORE);
	n = dkim2_verify_wants(*v, &names);
	for (size_t k = 0; (run->order & 1) != 0 && k < n; k++)
		craft_answer(*v, k, names[k], run);
	assert_int_equal(dkim2_verify_body(*v, bytes_first(body, run->split)),
	    0);
	assert_int_equal(dkim2_verify_body(*v, bytes_skip(body, run->split)),
	    0);
	assert_int_equal(dkim2_verify_end(*v, body), 0);
	for (size_t k = n; (run->order & 2) != 0 && k-- != 0; )
		craft_answer(*v, k, names[k], run);
	for (size_t k = 0; k < n; k++)
		craft_answer(*v, k, names[k], run);
	assert_int_equal(dkim2_verify_step(*v), DKIM2_DONE);
	assert_non_null(dkim2_verify_result(*v));
	return dkim2_verify_result(*v);
}

/* "state text", as a C string in room. */
static inline const char *
craft_text(const struct dkim2_verdict *v, char *room, size_t n)
{
	struct buf out = {(uint8_t *)room, 0, n - 1, false};

	buf_add_str(&out, dkim2_state_name(v->state));
	if (v->state != DKIM2_PASS)
		buf_add_octet(&out, ' ');
	dkim2_verdict_text(v, &out);
	assert_false(out.full);
	room[out.n] = '\0';
	return room;
}

#endif
