#include "tests/soak/soak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "dkim2/crypto.h"
#include "dkim2/dkim2.h"

#define ROOM ((size_t)1 << 20)	/* of a header, and of a hop's work */
#define LINE 72U
#define TEXT ((size_t)(LINE + 2) << 15)	/* what bodies are parts of */
#define LAST_HOP 4U		/* the others have lesser numbers */
#define SHOWN 6U		/* recipients in To */
#define FOOTER "_______\r\nl mailing list\r\n"

static struct {
	struct arena *work;
	struct dkim2_private_key *key[2];
	char *text;
	int64_t now_s;
} m;

static const char *const algorithms[] = {"ed25519", "rsa2048"};

static void
check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "soak: %s\n", what);
	exit(1);
}

uint64_t
mix(uint64_t a, uint64_t b)
{
	uint64_t x = a * 0x9e3779b97f4a7c15ULL ^ (b + 0x632be59bd9b4e019ULL);

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

uint64_t
mail_sum(uint64_t sum, const char *p, size_t n)
{
	for (size_t k = 0; k < n; k++)
		sum = (sum ^ (uint8_t)p[k]) * 0x100000001b3ULL;
	return sum;
}

static void
load_key(const char *folder, unsigned which)
{
	char path[4096], pem[8192];
	const char *why = "";
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s.pem", folder, algorithms[which]);
	f = fopen(path, "rb");
	check(f != NULL, path);
	n = fread(pem, 1, sizeof(pem), f);
	fclose(f);
	check(dkim2_private_key_load(&m.key[which],
	    (struct bytes){(const uint8_t *)pem, n}, &why) == 0, why);
}

void
mail_init(const char *keys)
{
	uint64_t state = 1;

	check(sodium_init() >= 0, "sodium");
	load_key(keys, 0);
	load_key(keys, 1);
	m.work = arena_new(ROOM * 2);
	m.text = malloc(TEXT);
	check(m.work != NULL && m.text != NULL, "memory");
	m.now_s = time(NULL);
	for (size_t k = 0; k < TEXT; k++) {
		size_t column = k % (LINE + 2);

		state = state * 6364136223846793005ULL + 1;
		m.text[k] = column == LINE ? '\r' : column > LINE ? '\n' :
		    (char)('a' + (state >> 40) % 26);
	}
}

/* ---- what a number stands for ------------------------------------------------ */

/* Half of all has 1 KB; one of 200 up to 1 MB. */
static size_t
size_of(uint32_t number)
{
	uint64_t draw = mix(number, 1), share = draw % 1000;
	size_t in = (size_t)(draw >> 32);

	if (share < 500)
		return 1024;
	if (share < 850)
		return 2048 + in % 4096;
	if (share < 960)
		return 6144 + in % 16384;
	if (share < 995)
		return 20480 + in % 65536;
	return 131072 + in % (917504);
}

static unsigned
hops_of(uint32_t number)
{
	return mix(number, 2) % 8 == 0 ? 3 : 1;
}

int
mail_sender(uint32_t number, char *text, size_t room)
{
	return snprintf(text, room, "%s.%u@%s",
	    modes[numbers[number].mode].kind == KIND_LIST_OUT ? "l-bounces.s" :
	    "s", number, modes[numbers[number].mode].sender);
}

int
mail_rcpt(uint32_t number, unsigned k, char *text, size_t room)
{
	return snprintf(text, room, "%c%u@%s", rcpts_of(number)[k].whom, k,
	    modes[numbers[number].mode].rcpt);
}

uint32_t
mail_number(const char *address)
{
	for (const char *p = address; (p = strstr(p, "s.")) != NULL; p++)
		if ((p == address || strchr("<.=+", p[-1]) != NULL) &&
		    p[2] >= '0' && p[2] <= '9') {
			unsigned long n = strtoul(p + 2, NULL, 10);

			return n < n_numbers ? (uint32_t)n : NOBODY;
		}
	return NOBODY;
}

/* ---- signed mail -------------------------------------------------------------- */

static struct bytes
copy(const char *text, int n)
{
	uint8_t *p = arena_array(m.work, (size_t)n, 1);

	check(p != NULL, "memory");
	memcpy(p, text, (size_t)n);
	return (struct bytes){p, (size_t)n};
}

/* From hop to the next one; the last has the real recipients. */
static void
addresses(uint32_t number, unsigned hop, struct dkim2_envelope *e)
{
	unsigned n = hop == LAST_HOP ? numbers[number].n_rcpt : 1;
	struct bytes *rcpt = arena_array(m.work, n, sizeof(*rcpt));
	char text[300], bare[280];

	check(rcpt != NULL, "memory");
	for (unsigned k = 0; k < n; k++) {
		mail_rcpt(number, k, bare, sizeof(bare));
		rcpt[k] = copy(text, hop == LAST_HOP ?
		    snprintf(text, sizeof(text), "<%s>", bare) :
		    snprintf(text, sizeof(text), "<s.%u@hop%u.bench.example>",
		    number, hop + 1));
	}
	*e = (struct dkim2_envelope){copy(text, snprintf(text, sizeof(text),
	    "<s.%u@hop%u.bench.example>", number, hop)), rcpt, n};
}

/* What stands above the header so far. Lives until work is reset. */
static struct bytes
sign(uint32_t number, struct bytes head, struct bytes body, unsigned hop,
    unsigned which)
{
	uint8_t room[DKIM2_SIGNATURE_MAX];
	struct buf signature = BUF_ON(room);
	struct dkim2_signing_key key = {bytes_of(algorithms[which]),
	    dkim2_private_key_algorithm(m.key[which])};
	struct dkim2_envelope e;
	struct dkim2_sign_options o = {.keys = &key, .n_keys = 1,
	    .envelope = &e, .timestamp_s = m.now_s};
	struct dkim2_verify_options v = {.now_s = m.now_s,
	    .hashes = 1U << DKIM2_SHA256, .scope = DKIM2_DIGESTS};
	struct dkim2_message message;
	struct dkim2_verify *digests;
	enum dkim2_refusal why;
	struct dkim2_sign *s;
	char text[100];

	addresses(number, hop, &e);
	o.domain = copy(text, snprintf(text, sizeof(text),
	    "hop%u.bench.example", hop));
	check(dkim2_message_parse(&message, head, 1000, m.work) == 0 &&
	    dkim2_verify_new(&digests, m.work, &v) == 0 &&
	    dkim2_verify_header(digests, &message) == 0 &&
	    dkim2_verify_body(digests, body) == 0 &&
	    dkim2_verify_end(digests, body) == 0 &&
	    dkim2_sign_new(&s, m.work, &message,
	    dkim2_verify_digests(digests), &o, &why) == 0, "sign");
	check(why == DKIM2_MAY_SIGN, dkim2_refusal_text(why));
	check(dkim2_private_key_sign(m.key[which], dkim2_sign_want(s).p,
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

/* ---- messages ------------------------------------------------------------------ */

static bool
is_signed(uint32_t number)
{
	enum kind kind = modes[numbers[number].mode].kind;

	return kind == KIND_CHAIN || kind == KIND_ENFORCE ||
	    kind == KIND_LIST_IN;
}

static void
write_head(uint32_t number, struct buf *head, struct bytes body)
{
	const struct number *a = numbers + number;
	char text[300];

	mail_sender(number, text, sizeof(text));
	if (is_signed(number))		/* by the first hop */
		snprintf(text, sizeof(text), "s.%u@hop%u.bench.example",
		    number, LAST_HOP + 1 - hops_of(number));
	buf_printf(head, "From: Sender <%s>\r\nTo: ", text);
	for (unsigned k = 0; k < a->n_rcpt && k < SHOWN; k++) {
		mail_rcpt(number, k, text, sizeof(text));
		buf_printf(head, "%s%s", k == 0 ? "" : ",\r\n ", text);
	}
	buf_printf(head, "\r\nSubject: message %u\r\n"
	    "Date: Thu, 26 Nov 2026 12:00:00 +0000\r\n"
	    "Message-ID: <%u@%s>\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "X-Soak: %u %zu %llu\r\n", number, number, modes[a->mode].sender,
	    number, body.n, (unsigned long long)mail_sum(0,
	    (const char *)body.p, body.n));
	check(!head->full, "header");
}

unsigned
mail_signatures(uint32_t number)
{
	const struct number *a = numbers + number;
	uint32_t origin = a->parent != NOBODY ? a->parent : number;

	return modes[a->mode].signatures +
	    (is_signed(origin) ? hops_of(origin) : 0);
}

void
mail_make(uint32_t number, struct mail *out)
{
	uint8_t room[8192];
	struct buf first = BUF_ON(room);
	struct bytes head = {NULL, 0};
	size_t size = size_of(number);
	size_t lines = (size + LINE + 1) / (LINE + 2);
	size_t at = mix(number, 3) % (TEXT / (LINE + 2) - lines);
	struct bytes body = {(uint8_t *)m.text + at * (LINE + 2),
	    lines * (LINE + 2)};
	unsigned which = mix(number, 4) % 8 == 0;

	write_head(number, &first, body);
	put(&head, buf_bytes(&first));
	for (unsigned hop = LAST_HOP + 1 - hops_of(number);
	    is_signed(number) && hop <= LAST_HOP; hop++) {
		put(&head, sign(number, head, body, hop, which));
		arena_reset(m.work);
	}
	out->n = head.n + 2 + body.n;
	out->text = malloc(out->n);
	check(out->text != NULL, "memory");
	memcpy(out->text, head.p, head.n);
	memcpy(out->text + head.n, "\r\n", 2);
	memcpy(out->text + head.n + 2, body.p, body.n);
	if ((numbers[number].flags & IS_FORGED) != 0)
		out->text[out->n - 3] ^= 1;
}

void
mail_manage(const char *post, size_t n, struct mail *out)
{
	static const char fields[] = "List-Id: <l.hop5.bench.example>\r\n"
	    "Precedence: list\r\n", subject[] = "\r\nSubject: ";
	const char *end = memmem(post, n, "\r\n\r\n", 4);
	const char *s = memmem(post, n, subject, sizeof(subject) - 1);
	size_t at, head;

	check(end != NULL && s != NULL && s < end, "a post without a header");
	at = (size_t)(s - post) + sizeof(subject) - 1;
	head = (size_t)(end - post) + 2;
	out->text = malloc(n + sizeof(fields) + sizeof(FOOTER) + 8);
	check(out->text != NULL, "memory");
	out->n = (size_t)(stpcpy(mempcpy(mempcpy(stpcpy(mempcpy(out->text,
	    post, at), "[l] "), post + at, head - at), fields,
	    sizeof(fields) - 1), "") - out->text);
	memcpy(out->text + out->n, post + head, n - head);
	out->n += n - head;
	memcpy(out->text + out->n, FOOTER, sizeof(FOOTER) - 1);
	out->n += sizeof(FOOTER) - 1;
}
