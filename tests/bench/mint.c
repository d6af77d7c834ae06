/*
 * mint ALGORITHM HOPS SIZE N OUT   makes N messages for measuring relays,
 * each of about SIZE octets with its own Message-ID and the signatures of so
 * many hops (0: none; dkim1: one DKIM-Signature of the first) by a key of
 * tests/interop/peer/bench-keys. All have one body: OUT.body; the header
 * blocks with the empty line behind them stand in OUT.heads, before each a
 * line with its length. Hop K is hopK.bench.example; the message is for r@ the
 * domain behind the last hop. No test of anything.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <sodium.h>

#include "dkim2/crypto.h"
#include "dkim2/dkim1.h"
#include "dkim2/dkim2.h"

#define KEYS "tests/interop/peer/bench-keys/"
#define ROOM ((size_t)1 << 20)	/* of a header, and of a hop's work */
#define LINE 72U

struct mint {
	struct arena *work;
	struct dkim2_private_key *key;
	struct bytes selector;
	struct bytes body;
	int64_t now_s;
};

static void
check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "mint: %s\n", what);
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

static FILE *
create(const char *name, const char *end)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s.%s", name, end);
	f = fopen(path, "wb");
	check(f != NULL, path);
	return f;
}

/* Lines of letters that do not repeat: no dots to stuff. */
static struct bytes
make_body(size_t size)
{
	size_t n = (size + LINE + 1) / (LINE + 2) * (LINE + 2);
	uint8_t *p = malloc(n + 1);
	uint32_t state = 12345;

	check(p != NULL, "memory");
	for (size_t k = 0; k < n; k++) {
		size_t column = k % (LINE + 2);

		state = state * 1664525 + 1013904223;
		p[k] = column == LINE ? '\r' : column > LINE ? '\n' :
		    (uint8_t)('a' + (state >> 24) % 26);
	}
	return (struct bytes){p, n};
}

static void
write_head(const struct mint *m, struct buf *head, unsigned number,
    unsigned hops)
{
	buf_printf(head, "From: Sender <sender@hop1.bench.example>\r\n"
	    "To: r@hop%u.bench.example\r\nSubject: message %u\r\n"
	    "Date: Thu, 26 Nov 2026 12:00:00 +0000\r\n"
	    "Message-ID: <%u.%lld@hop1.bench.example>\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n",
	    (hops == 0 ? 1 : hops) + 1, number, number, (long long)m->now_s);
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

static struct bytes
sign_dkim1(struct mint *m, struct bytes head)
{
	uint8_t room[DKIM2_SIGNATURE_MAX];
	struct buf signature = BUF_ON(room);
	struct dkim2_signing_key key = {m->selector,
	    dkim2_private_key_algorithm(m->key)};
	struct dkim1_sign_options o = {.keys = &key, .n_keys = 1,
	    .domain = BYTES_LIT("hop1.bench.example"),
	    .timestamp_s = m->now_s};
	struct dkim2_message message;
	enum dkim1_refusal why;
	struct dkim1_sign *s;
	struct bytes fields;

	check(dkim2_message_parse(&message, head, 1000, m->work) == 0 &&
	    dkim1_sign_new(&s, m->work, &message, &o, &why) == 0 &&
	    why == DKIM1_MAY_SIGN && dkim1_sign_body(s, m->body) == 0 &&
	    dkim1_sign_end(s) == 0, "dkim1");
	check(dkim2_private_key_sign(m->key, dkim1_sign_want(s, 0).p,
	    &signature) == 0 && dkim1_sign_answer(s, 0,
	    buf_bytes(&signature)) == 0, "dkim1");
	fields = dkim1_sign_fields(s);
	dkim1_sign_fini(s);
	return fields;
}

/* What stands above the header so far. Lives until work is reset. */
static struct bytes
sign(struct mint *m, struct bytes head, unsigned hop)
{
	uint8_t domain[64], room[DKIM2_SIGNATURE_MAX];
	struct buf d = BUF_ON(domain), signature = BUF_ON(room);
	struct dkim2_signing_key key = {m->selector,
	    dkim2_private_key_algorithm(m->key)};
	struct dkim2_envelope e;
	struct dkim2_sign_options o = {.keys = &key, .n_keys = 1,
	    .envelope = &e, .timestamp_s = m->now_s};
	struct dkim2_verify_options v = {.now_s = m->now_s,
	    .hashes = 1U << DKIM2_SHA256, .scope = DKIM2_DIGESTS};
	struct dkim2_message message;
	struct dkim2_verify *digests;
	enum dkim2_refusal why;
	struct dkim2_sign *s;

	addresses(m->work, hop, &e);
	buf_printf(&d, "hop%u.bench.example", hop);
	o.domain = buf_bytes(&d);
	check(dkim2_message_parse(&message, head, 1000, m->work) == 0 &&
	    dkim2_verify_new(&digests, m->work, &v) == 0 &&
	    dkim2_verify_header(digests, &message) == 0 &&
	    dkim2_verify_body(digests, m->body) == 0 &&
	    dkim2_verify_end(digests, m->body) == 0, "digests");
	check(dkim2_sign_new(&s, m->work, &message,
	    dkim2_verify_digests(digests), &o, &why) == 0, "sign");
	check(why == DKIM2_MAY_SIGN, dkim2_refusal_text(why));
	check(dkim2_private_key_sign(m->key, dkim2_sign_want(s).p,
	    &signature) == 0 && dkim2_sign_answer(s, 0,
	    buf_bytes(&signature)) == 0, "sign");
	dkim2_verify_fini(digests);
	return dkim2_sign_fields(s);
}

/* Fields go on top: the header grows downwards from the end of its room. */
static void
put(struct bytes *head, struct bytes fields)
{
	static uint8_t room[ROOM];

	check(fields.n < ROOM - head->n, "no room");
	head->n += fields.n;
	head->p = room + ROOM - head->n;
	memcpy(room + ROOM - head->n, fields.p, fields.n);
}

static void
make(struct mint *m, unsigned number, const char *hops, FILE *out)
{
	uint8_t text[1024];
	struct buf first = BUF_ON(text);
	struct bytes head = {NULL, 0};

	write_head(m, &first, number, (unsigned)atoi(hops));
	put(&head, buf_bytes(&first));
	for (unsigned hop = 1; hop <= (unsigned)atoi(hops); hop++) {
		put(&head, sign(m, head, hop));
		arena_reset(m->work);
	}
	if (strcmp(hops, "dkim1") == 0)
		put(&head, sign_dkim1(m, head));
	arena_reset(m->work);
	check(fprintf(out, "%zu\n", head.n + 2) > 0 &&
	    fwrite(head.p, 1, head.n, out) == head.n &&
	    fwrite("\r\n", 1, 2, out) == 2, "disk");
}

int
main(int argc, char **argv)
{
	struct arena *files = arena_new(65536);
	struct mint m = {.work = arena_new(ROOM), .now_s = time(NULL)};
	const char *why = "";
	char path[100];
	FILE *heads, *body;

	check(argc == 6 && sodium_init() >= 0 && files != NULL &&
	    m.work != NULL, "mint ALGORITHM HOPS SIZE N OUT");
	snprintf(path, sizeof(path), KEYS "%s.pem", argv[1]);
	check(dkim2_private_key_load(&m.key, read_file(files, path), &why) == 0,
	    why);
	m.selector = bytes_of(argv[1]);
	m.body = make_body((size_t)atoi(argv[3]));
	body = create(argv[5], "body");
	check(fwrite(m.body.p, 1, m.body.n, body) == m.body.n &&
	    fclose(body) == 0, "disk");
	heads = create(argv[5], "heads");
	for (unsigned k = 0; k < (unsigned)atoi(argv[4]); k++)
		make(&m, k, argv[2], heads);
	check(fclose(heads) == 0, "disk");
	dkim2_private_key_free(&m.key);
	return 0;
}
