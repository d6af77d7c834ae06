/*
 * core [N [alone]]   how long libdkim2 takes to sign and to verify, one JSON
 * line for each case: the messages and chains of the peer's own bench (rows of
 * tests/interop/peer/src/bench.rs). "fwd" chains are passed on as they are;
 * in "rev" chains every second hop changes subject and body and writes a
 * recipe. A chain of five is signed at its fifth hop and verified as a whole.
 * Each figure is the median of many, parsing the octets included; keys are
 * read beforehand, as the peer's are. With "alone" only what one signature
 * takes is told, in processor time. Nothing here fails because something is
 * slow.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/evp.h>
#include <sodium.h>

#include "dkim2/crypto.h"
#include "dkim2/dkim2.h"
#include "dkim2/keyrec.h"

#define KEYS "tests/interop/peer/bench-keys/"
#define NOW 1790000000
#define ROOM ((size_t)192 << 20)

struct bench {
	struct arena *keep;	/* messages */
	struct arena *work;	/* one round */
	struct dkim2_private_key *key;
	struct dkim2_keyring *ring;
	const char *selector;
	clockid_t clock;
	struct bytes record;
	struct dkim2_public_key public;	/* for what is timed alone */
	uint8_t signature[DKIM2_SIGNATURE_MAX];
	size_t n_signature;
};

struct chain {
	struct bytes original;	/* where the last hop changed it */
	struct bytes unsigned_;	/* what the last hop makes of it */
	struct bytes signed_;
	unsigned hops;
};

static void
check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

static struct bytes
read_file(struct arena *a, const char *path)
{
	FILE *f = fopen(path, "rb");
	struct buf b;

	check(f != NULL && arena_buf(a, 8192, &b) == 0, path);
	b.n = fread(b.p, 1, b.cap, f);
	fclose(f);
	return buf_bytes(&b);
}

/* The peer's message: short lines of letters that do not repeat. */
static struct bytes
make_message(struct arena *a, size_t size)
{
	uint32_t state = 12345;
	struct buf b;

	check(arena_buf(a, size + 1000, &b) == 0, "memory");
	buf_add_str(&b, "From: Sender <sender@hop1.bench.example>\r\n"
	    "To: r@hop2.bench.example\r\nSubject: bench\r\n"
	    "Date: Mon, 21 Sep 2026 12:00:00 +0000\r\n"
	    "Message-ID: <1@hop1.bench.example>\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n\r\n");
	while (b.n < size) {
		for (unsigned k = 0; k < 72; k++) {
			state = state * 1664525 + 1013904223;
			buf_add_octet(&b, (uint8_t)('a' + (state >> 24) % 26));
		}
		buf_add_str(&b, "\r\n");
	}
	return buf_bytes(&b);
}

static struct bytes
revise(struct arena *a, struct bytes raw, unsigned hop)
{
	size_t at = bytes_find(raw, BYTES_LIT("Subject: ")) + 9;
	struct buf b;

	check(arena_buf(a, raw.n + 100, &b) == 0, "memory");
	buf_add(&b, bytes_first(raw, at));
	buf_printf(&b, "[list%u] ", hop);
	buf_add(&b, bytes_skip(raw, at));
	buf_printf(&b, "-- \r\nfooter of hop %u\r\n", hop);
	return buf_bytes(&b);
}

static struct bytes
split(struct arena *a, struct bytes raw, struct dkim2_message *m)
{
	size_t body_at, n = dkim2_header_end(raw, &body_at);

	check(n != SIZE_MAX && dkim2_message_parse(m, bytes_first(raw, n),
	    1000, a) == 0, "no message");
	return bytes_skip(raw, body_at);
}

/* "<sender@hop3.bench.example>" and "<r@hop4.bench.example>". */
static void
addresses(struct arena *a, unsigned hop, struct dkim2_envelope *e)
{
	struct bytes *rcpt = arena_array(a, 1, sizeof(*rcpt));
	struct buf from, to;

	check(rcpt != NULL && arena_buf(a, 64, &from) == 0 &&
	    arena_buf(a, 64, &to) == 0, "memory");
	buf_printf(&from, "<sender@hop%u.bench.example>", hop);
	buf_printf(&to, "<r@hop%u.bench.example>", hop + 1);
	*rcpt = buf_bytes(&to);
	*e = (struct dkim2_envelope){buf_bytes(&from), rcpt, 1};
}

/* The digests of what is to be signed: nothing is undone for them. */
static const struct dkim2_digests *
digests_of(struct bench *b, const struct dkim2_message *m, struct bytes body,
    struct dkim2_verify **v)
{
	struct dkim2_verify_options o = {.now_s = NOW,
	    .hashes = 1U << DKIM2_SHA256, .scope = DKIM2_DIGESTS};

	check(dkim2_verify_new(v, b->work, &o) == 0 &&
	    dkim2_verify_header(*v, m) == 0 &&
	    dkim2_verify_body(*v, body) == 0 &&
	    dkim2_verify_end(*v, body) == 0, "digests");
	return dkim2_verify_digests(*v);
}

/* Signs what the last hop has; the message as it leaves, in b->work. */
static struct bytes
sign(struct bench *b, const struct chain *c)
{
	uint8_t domain[64], room[DKIM2_SIGNATURE_MAX];
	struct buf d = BUF_ON(domain), signature = BUF_ON(room), out;
	struct dkim2_signing_key key = {bytes_of(b->selector),
	    dkim2_private_key_algorithm(b->key)};
	struct dkim2_sign_options o = {.keys = &key, .n_keys = 1,
	    .timestamp_s = NOW};
	struct dkim2_message m, old;
	struct bytes body = split(b->work, c->unsigned_, &m), fields;
	struct dkim2_envelope e;
	struct dkim2_verify *v;
	enum dkim2_refusal why;
	enum dkim2_diff what = DKIM2_DIFF_NONE;
	struct dkim2_sign *s;

	addresses(b->work, c->hops, &e);
	buf_printf(&d, "hop%u.bench.example", c->hops);
	o.domain = buf_bytes(&d);
	o.envelope = &e;
	if (c->original.p != NULL) {
		struct bytes old_body = split(b->work, c->original, &old);

		check(dkim2_diff(&what, &o.recipe, b->work, &old, old_body,
		    &m, body) == 0 && what == DKIM2_DIFF_RECIPE, "diff");
	}
	check(dkim2_sign_new(&s, b->work, &m, digests_of(b, &m, body, &v), &o,
	    &why) == 0, "sign");
	check(why == DKIM2_MAY_SIGN, dkim2_refusal_text(why));
	check(dkim2_private_key_sign(b->key, dkim2_sign_want(s).p,
	    &signature) == 0 && dkim2_sign_answer(s, 0,
	    buf_bytes(&signature)) == 0, "sign");
	fields = dkim2_sign_fields(s);
	check(arena_room(b->work, fields.n + c->unsigned_.n, &out) == 0,
	    "memory");
	buf_add(&out, fields);
	buf_add(&out, c->unsigned_);
	dkim2_verify_fini(v);
	return buf_bytes(&out);
}

static void
verify(struct bench *b, const struct chain *c)
{
	struct dkim2_envelope e;
	struct dkim2_verify_options o = {.now_s = NOW, .envelope = &e,
	    .keyring = b->ring};
	struct dkim2_message m;
	struct bytes body = split(b->work, c->signed_, &m);
	const struct bytes *names;
	struct dkim2_verify *v;
	int r;

	addresses(b->work, c->hops, &e);
	check(dkim2_verify_new(&v, b->work, &o) == 0 &&
	    dkim2_verify_header(v, &m) == 0 &&
	    dkim2_verify_body(v, body) == 0 &&
	    dkim2_verify_end(v, body) == 0, "verify");
	for (size_t k = 0; k < dkim2_verify_wants(v, &names); k++) {
		r = dkim2_verify_answer(v, k, DKIM2_KEY_TXT, &b->record, 1);
		check(r == 0, "verify");
	}
	check(dkim2_verify_result(v)->full.state == DKIM2_PASS, "no pass");
	dkim2_verify_fini(v);
}

static void
hash(struct bench *b, const struct chain *c)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned n;

	(void)b;
	check(EVP_Digest(c->signed_.p, c->signed_.n, digest, &n, EVP_sha256(),
	    NULL) == 1, "hash");
}

static const uint8_t a_digest[DKIM2_DIGEST] = {1, 2, 3};

/* What one signature costs in its library, with all around it left out. */
static void
sign_alone(struct bench *b, const struct chain *c)
{
	struct buf out = BUF_ON(b->signature);

	(void)c;
	check(dkim2_private_key_sign(b->key, a_digest, &out) == 0, "sign");
	b->n_signature = out.n;
}

static void
verify_alone(struct bench *b, const struct chain *c)
{
	bool good;

	(void)c;
	check(dkim2_public_key_verify(&b->public, a_digest,
	    (struct bytes){b->signature, b->n_signature}, &good) == 0 && good,
	    "verify");
}

static void
sign_only(struct bench *b, const struct chain *c)
{
	(void)sign(b, c);
}

static int
compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Median of n rounds, in microseconds; a first one does not count. */
static double
median(struct bench *b, const struct chain *c, unsigned n,
    void (*work)(struct bench *, const struct chain *))
{
	double *each = calloc(n, sizeof(*each)), middle;

	check(each != NULL, "memory");
	for (unsigned k = 0; k <= n; k++) {
		struct timespec from, to;

		clock_gettime(b->clock, &from);
		work(b, c);
		arena_reset(b->work);
		clock_gettime(b->clock, &to);
		if (k != 0)
			each[k - 1] = (double)(to.tv_sec - from.tv_sec) * 1e6 +
			    (double)(to.tv_nsec - from.tv_nsec) / 1e3;
	}
	qsort(each, n, sizeof(*each), compare);
	middle = each[n / 2];
	free(each);
	return middle;
}

static void
run_alone(struct bench *b, unsigned n)
{
	struct keyrec k;
	bool good;

	check(keyrec_parse(&k, b->record, b->keep, &good) == 0 && good &&
	    dkim2_public_key_init(&b->public, k.algorithm, k.p, &good) == 0 &&
	    good, "key");
	printf("{\"algorithm\": \"%s\", \"alone\": [%.1f, ", b->selector,
	    median(b, NULL, n, sign_alone));
	printf("%.1f]}\n", median(b, NULL, n, verify_alone));
	dkim2_public_key_fini(&b->public);
}

static struct chain
build(struct bench *b, size_t size, unsigned hops, bool is_revised)
{
	struct chain c = {.unsigned_ = make_message(b->keep, size)};

	for (c.hops = 1; ; c.hops++) {
		c.signed_ = arena_copy(b->keep, sign(b, &c));
		arena_reset(b->work);
		check(c.signed_.p != NULL, "memory");
		if (c.hops == hops)
			return c;
		c.original = (struct bytes){NULL, 0};
		c.unsigned_ = c.signed_;
		if (is_revised && (c.hops + 1) % 2 == 1) {
			c.original = c.signed_;
			c.unsigned_ = revise(b->keep, c.signed_, c.hops + 1);
		}
	}
}

static void
run(struct bench *b, size_t size, unsigned n)
{
	static const struct {
		const char *name;
		unsigned hops;
		bool is_revised;
	} kind[] = {{"one", 1, false}, {"fwd", 5, false}, {"rev", 5, true}};

	for (size_t k = 0; k < 3; k++) {
		struct chain c = build(b, size, kind[k].hops,
		    kind[k].is_revised);

		printf("{\"algorithm\": \"%s\", \"bytes\": %zu, "
		    "\"chain\": \"%s\", \"sign\": %.1f, ", b->selector, size,
		    kind[k].name, median(b, &c, n, sign_only));
		printf("\"verify\": %.1f, ", median(b, &c, n, verify));
		printf("\"sha256\": %.1f}\n", median(b, &c, n, hash));
		fflush(stdout);
		arena_reset(b->keep);
	}
}

/* The record of a selector: its line of the file. */
static struct bytes
find_record(struct bytes lines, const char *selector)
{
	while (lines.p != NULL) {
		struct bytes line = bytes_cut(&lines, '\n');

		if (bytes_eq(bytes_cut(&line, ' '), bytes_of(selector)))
			return line;
	}
	check(false, "no record");
	return lines;
}

int
main(int argc, char **argv)
{
	static const char *const names[] = {"rsa2048", "ed25519"};
	unsigned n = argc > 1 ? (unsigned)atoi(argv[1]) : 200;
	struct arena *files = arena_new(65536);
	struct bytes records;

	check(sodium_init() >= 0 && files != NULL && n >= 5, "bench [N]");
	records = read_file(files, KEYS "records.txt");
	for (size_t k = 0; k < 2; k++) {
		struct bench b = {.keep = arena_new(ROOM),
		    .work = arena_new(ROOM), .selector = names[k],
		    .record = find_record(records, names[k]),
		    .clock = argc > 2 ? CLOCK_PROCESS_CPUTIME_ID :
		    CLOCK_MONOTONIC};
		char path[100];
		const char *why = "";

		check(b.keep != NULL && b.work != NULL &&
		    dkim2_keyring_new(&b.ring, files, 64) == 0, "memory");
		snprintf(path, sizeof(path), KEYS "%s.pem", names[k]);
		check(dkim2_private_key_load(&b.key, read_file(files, path),
		    &why) == 0, why);
		run_alone(&b, n);
		if (argc < 3) {
			run(&b, 4096, n);
			run(&b, 1 << 20, n / 10 < 5 ? 5 : n / 10);
		}
		dkim2_private_key_free(&b.key);
		dkim2_keyring_fini(b.ring);
		arena_free(&b.keep);
		arena_free(&b.work);
	}
	arena_free(&files);
	return 0;
}
