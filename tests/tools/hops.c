/*
 * Signs and extends many messages at once, for the tests with list managers:
 * a process for each would cost more than the rest.
 *
 *   hops TIME HOP HOP	where HOP is DOMAIN SELECTOR KEY.pem MAILFROM RCPTTO
 *
 * Each line on stdin is a command, of words between TABs; each answer a line:
 *
 *   first IN OUT	IN, signed by the first hop, becomes OUT
 *   next OLD NEW OUT	what left the first hop as OLD came back as NEW: OUT is
 *			NEW, with what a chain needs put right, and signed by
 *			the second hop with the recipe that leads back to OLD
 *
 *   pass N		done, N octets of recipe; our own verifier says pass
 *   long | cannot	no recipe: too long; or no recipe can say it
 *   refused TEXT	the signer may not; | fails TEXT  our verifier says no
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "dkim2/crypto.h"
#include "dkim2/dkim2.h"

#define ROOM ((size_t)512 << 20)
#define FILE_MAX ((size_t)64 << 20)

struct hop {
	struct bytes domain, selector, record;
	struct bytes mail_from, rcpt_to;
	struct dkim2_envelope envelope;
	struct dkim2_private_key *key;
};

static struct hop hops[2];
static int64_t now_s;

static void
must(int r, const char *what)
{
	if (r == 0)
		return;
	fprintf(stderr, "hops: %s: %d\n", what, r);
	exit(70);
}

static struct bytes
read_file(const char *path, struct arena *a)
{
	FILE *f = fopen(path, "rb");
	struct buf b;
	long n;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (n = ftell(f)) < 0 ||
	    (size_t)n > FILE_MAX) {
		perror(path);
		exit(66);
	}
	rewind(f);
	must(arena_room(a, (size_t)n + 1, &b), "memory");
	b.n = fread(b.p, 1, (size_t)n, f);
	fclose(f);
	return buf_bytes(&b);
}

static void
write_file(const char *path, struct bytes head, struct bytes rest)
{
	FILE *f = fopen(path, "wb");

	if (f == NULL || fwrite(head.p, 1, head.n, f) != head.n ||
	    fwrite(rest.p, 1, rest.n, f) != rest.n || fclose(f) != 0) {
		perror(path);
		exit(73);
	}
}

struct mail {
	struct bytes octets, body;
	struct dkim2_message fields;
};

/* Says and returns whether it reads. */
static bool
split(struct mail *m, struct bytes octets, struct arena *a)
{
	size_t body_at = octets.n, n = dkim2_header_end(octets, &body_at);

	m->octets = octets;
	m->body = bytes_skip(octets, body_at);
	if (dkim2_message_parse(&m->fields, bytes_first(octets,
	    n == SIZE_MAX ? octets.n : n), 1000, a) == 0)
		return true;
	puts("cannot: the header does not parse");
	return false;
}

static void
put_verdict(const char *what, const struct dkim2_verdict *v)
{
	uint8_t room[1024];
	struct buf text = BUF_ON(room);

	dkim2_verdict_text(v, &text);
	printf("%s %s: %.*s\n", what, dkim2_state_name(v->state),
	    BYTES_FMT(buf_bytes(&text)));
}

static void
answer_keys(struct dkim2_verify *v)
{
	const struct bytes *names;
	size_t n = dkim2_verify_wants(v, &names);

	for (size_t k = 0; k < n; k++)
		for (size_t j = 0; j < 2; j++)
			if (bytes_ends(names[k], hops[j].domain))
				must(dkim2_verify_answer(v, k,
				    DKIM2_KEY_TXT, &hops[j].record, 1),
				    "answer");
}

/* The finished message, by our own verifier; says what is wrong. */
static bool
is_good(struct bytes octets, const struct hop *hop, struct arena *a)
{
	struct dkim2_verify_options opts = {.now_s = now_s,
	    .envelope = &hop->envelope};
	struct dkim2_verify *v;
	struct mail m;
	bool good;

	if (!split(&m, octets, a))
		return false;
	must(dkim2_verify_new(&v, a, &opts), "verify");
	must(dkim2_verify_header(v, &m.fields), "header");
	must(dkim2_verify_body(v, m.body), "body");
	must(dkim2_verify_end(v, m.body), "end");
	answer_keys(v);
	must(dkim2_verify_step(v) != DKIM2_DONE, "keys");
	good = dkim2_verify_result(v)->full.state == DKIM2_PASS;
	if (!good)
		put_verdict("fails", &dkim2_verify_result(v)->full);
	dkim2_verify_fini(v);
	return good;
}

static struct dkim2_digests
digests_of(const struct mail *m, struct arena *a)
{
	struct dkim2_verify_options opts = {.now_s = now_s,
	    .hashes = 1U << DKIM2_SHA256, .scope = DKIM2_DIGESTS};
	struct dkim2_verify *v;
	struct dkim2_digests d;

	must(dkim2_verify_new(&v, a, &opts), "digests");
	must(dkim2_verify_header(v, &m->fields), "header");
	must(dkim2_verify_body(v, m->body), "body");
	must(dkim2_verify_end(v, m->body), "end");
	d = *dkim2_verify_digests(v);
	dkim2_verify_fini(v);
	return d;
}

static void
sign(struct hop *hop, const struct mail *m, struct bytes recipe,
    const char *out, struct arena *a)
{
	struct dkim2_signing_key key = {hop->selector,
	    dkim2_private_key_algorithm(hop->key)};
	struct dkim2_sign_options opts = {.domain = hop->domain, .keys = &key,
	    .n_keys = 1, .envelope = &hop->envelope, .timestamp_s = now_s,
	    .recipe = recipe};
	struct dkim2_digests d = digests_of(m, a);
	uint8_t room[DKIM2_SIGNATURE_MAX];
	struct buf signature = BUF_ON(room), whole;
	enum dkim2_refusal why;
	struct dkim2_sign *s;
	struct bytes fields;

	must(dkim2_sign_new(&s, a, &m->fields, &d, &opts, &why), "sign");
	if (why != DKIM2_MAY_SIGN) {
		printf("refused %s\n", dkim2_refusal_text(why));
		return;
	}
	must(dkim2_private_key_sign(hop->key, dkim2_sign_want(s).p,
	    &signature), "key");
	must(dkim2_sign_answer(s, 0, buf_bytes(&signature)), "answer");
	fields = dkim2_sign_fields(s);
	must(arena_room(a, fields.n + m->octets.n, &whole), "memory");
	buf_add(&whole, fields);
	buf_add(&whole, m->octets);
	if (!is_good(buf_bytes(&whole), hop, a))
		return;
	write_file(out, fields, m->octets);
	printf("pass %zu\n", recipe.n);
}

static void
first(char **words, struct arena *a)
{
	struct mail m;

	if (split(&m, read_file(words[0], a), a))
		sign(&hops[0], &m, (struct bytes){NULL, 0}, words[1], a);
}

/* Puts the restored header before the body of now. */
static void
restore(const struct mail *old, struct mail *now, struct arena *a)
{
	struct dkim2_message out;
	struct buf whole;
	unsigned done;

	must(dkim2_restore(&done, &out, a, &old->fields, old->body,
	    &now->fields, now->body), "restore");
	if (done == 0)
		return;
	must(arena_room(a, out.header.n + now->body.n + 2, &whole), "memory");
	buf_add(&whole, out.header);
	buf_add_str(&whole, "\r\n");
	buf_add(&whole, now->body);
	now->fields = out;
	now->octets = buf_bytes(&whole);
}

static void
next(char **words, struct arena *a)
{
	struct bytes recipe = {NULL, 0};
	struct mail old, now;
	enum dkim2_diff what;

	if (!split(&old, read_file(words[0], a), a) ||
	    !split(&now, read_file(words[1], a), a))
		return;
	restore(&old, &now, a);
	must(dkim2_diff(&what, &recipe, a, &old.fields, old.body, &now.fields,
	    now.body), "diff");
	if (what == DKIM2_DIFF_CANNOT || what == DKIM2_DIFF_LONG) {
		puts(what == DKIM2_DIFF_LONG ? "long" : "cannot");
		return;
	}
	if (what == DKIM2_DIFF_NONE)
		recipe = (struct bytes){NULL, 0};
	sign(&hops[1], &now, recipe, words[2], a);
}

static void
load_hop(struct hop *h, char **words, struct arena *a)
{
	uint8_t room[1024];
	struct buf record = BUF_ON(room);

	h->domain = bytes_of(words[0]);
	h->selector = bytes_of(words[1]);
	must(dkim2_private_key_load(&h->key, read_file(words[2], a), NULL),
	    words[2]);
	h->mail_from = bytes_of(words[3]);
	h->rcpt_to = bytes_of(words[4]);
	h->envelope = (struct dkim2_envelope){h->mail_from, &h->rcpt_to, 1};
	must(dkim2_private_key_record(h->key, &record), "record");
	h->record = arena_copy(a, buf_bytes(&record));
}

static void
command(char *line, struct arena *a)
{
	char *words[4];
	size_t n = 0;

	line[strcspn(line, "\n")] = '\0';
	for (char *word = strtok(line, "\t"); word != NULL && n < 4;
	    word = strtok(NULL, "\t"))
		words[n++] = word;
	if (n == 3 && strcmp(words[0], "first") == 0)
		first(words + 1, a);
	else if (n == 4 && strcmp(words[0], "next") == 0)
		next(words + 1, a);
	else
		must(64, "what is this line?");
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	struct arena *setting = arena_new(1U << 20), *a = arena_new(ROOM);
	char line[4096];

	if (sodium_init() < 0 || setting == NULL || a == NULL)
		return 70;
	if (argc != 12) {
		fputs("usage: hops TIME HOP HOP\n", stderr);
		return 64;
	}
	now_s = strtoll(argv[1], NULL, 10);
	load_hop(&hops[0], argv + 2, setting);
	load_hop(&hops[1], argv + 7, setting);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		command(line, a);
		arena_reset(a);
	}
	for (size_t k = 0; k < 2; k++)
		dkim2_private_key_free(&hops[k].key);
	arena_free(&setting);
	arena_free(&a);
	return 0;
}
