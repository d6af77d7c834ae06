/*
 * Signs and verifies DKIM1 for the tests with other programs. The message
 * comes on stdin.
 *
 *   dkim1 sign DOMAIN TIME SELECTOR KEY.pem [SELECTOR KEY.pem]...
 *	prints the message with its new fields on top
 *   dkim1 verify TIME RECORDS
 *	RECORDS is a file of lines "NAME TEXT"; prints a line for each
 *	signature: its state, d=, s= and the reason
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "dkim2/crypto.h"
#include "dkim2/dkim1.h"

#define ROOM (64U << 20)

static void
must(int r, const char *what)
{
	if (r == 0)
		return;
	fprintf(stderr, "dkim1: %s: %d\n", what, r);
	exit(70);
}

static struct bytes
read_all(FILE *f, struct arena *a)
{
	struct buf b;

	if (f == NULL) {
		perror("dkim1");
		exit(66);
	}
	must(arena_buf(a, ROOM / 4, &b), "memory");
	b.n = fread(b.p, 1, b.cap, f);
	return buf_bytes(&b);
}

static struct bytes
read_file(const char *path, struct arena *a)
{
	FILE *f = fopen(path, "rb");
	struct bytes b = read_all(f, a);

	fclose(f);
	return b;
}

/* The message of stdin; returns its body. */
static struct bytes
read_message(struct dkim2_message *m, struct bytes *octets, struct arena *a)
{
	size_t body_at, n;

	*octets = read_all(stdin, a);
	body_at = octets->n;
	n = dkim2_header_end(*octets, &body_at);
	must(dkim2_message_parse(m, bytes_first(*octets, n), 1000, a),
	    "message");
	return bytes_skip(*octets, body_at);
}

static int
sign(int argc, char **argv, struct arena *a)
{
	struct dkim2_signing_key keys[DKIM1_KEYS_MAX];
	struct dkim2_private_key *private[DKIM1_KEYS_MAX];
	struct dkim1_sign_options o = {.domain = bytes_of(argv[2]),
	    .keys = keys, .timestamp_s = strtoll(argv[3], NULL, 10)};
	enum dkim1_refusal why;
	struct bytes octets, body;
	struct dkim2_message m;
	struct dkim1_sign *s;

	for (int k = 4; k + 1 < argc && o.n_keys < DKIM1_KEYS_MAX; k += 2) {
		must(dkim2_private_key_load(&private[o.n_keys],
		    read_file(argv[k + 1], a), NULL), argv[k + 1]);
		keys[o.n_keys].selector = bytes_of(argv[k]);
		keys[o.n_keys].algorithm =
		    dkim2_private_key_algorithm(private[o.n_keys]);
		o.n_keys++;
	}
	body = read_message(&m, &octets, a);
	must(dkim1_sign_new(&s, a, &m, &o, &why), "sign");
	must((int)why, dkim1_refusal_text(why));
	must(dkim1_sign_body(s, body), "body");
	must(dkim1_sign_end(s), "end");
	for (size_t k = 0; k < o.n_keys; k++) {
		uint8_t room[DKIM2_SIGNATURE_MAX];
		struct buf signature = BUF_ON(room);

		must(dkim2_private_key_sign(private[k],
		    dkim1_sign_want(s, k).p, &signature), "key");
		must(dkim1_sign_answer(s, k, buf_bytes(&signature)), "answer");
		dkim2_private_key_free(&private[k]);
	}
	fwrite(dkim1_sign_fields(s).p, 1, dkim1_sign_fields(s).n, stdout);
	fwrite(octets.p, 1, octets.n, stdout);
	dkim1_sign_fini(s);
	return 0;
}

static void
answer(struct dkim1_verify *v, struct bytes records)
{
	const struct bytes *names;
	size_t n = dkim1_verify_wants(v, &names);

	for (size_t k = 0; k < n; k++) {
		struct bytes rest = records, text[8];
		size_t n_text = 0;

		while (rest.n != 0 && n_text < 8) {
			struct bytes line = bytes_cut(&rest, '\n');
			struct bytes name = bytes_cut(&line, ' ');

			if (bytes_eq(name, names[k]))
				text[n_text++] = line;
		}
		must(dkim1_verify_answer(v, k, n_text == 0 ?
		    DKIM2_KEY_ABSENT : DKIM2_KEY_TXT, text, n_text),
		    "answer");
	}
}

static int
verify(char **argv, struct arena *a)
{
	struct bytes octets, body;
	struct dkim2_message m;
	struct dkim1_verify *v;
	const struct dkim1_result *r;

	body = read_message(&m, &octets, a);
	must(dkim1_verify_new(&v, a, strtoll(argv[2], NULL, 10)), "verify");
	must(dkim1_verify_header(v, &m), "header");
	must(dkim1_verify_body(v, body), "body");
	must(dkim1_verify_end(v), "end");
	answer(v, read_file(argv[3], a));
	r = dkim1_verify_result(v);
	for (size_t k = 0; k < r->n_signatures; k++) {
		uint8_t room[4096];
		struct buf line = BUF_ON(room);

		buf_add_escaped(&line, r->signatures[k].d, 253);
		buf_add_octet(&line, ' ');
		buf_add_escaped(&line, r->signatures[k].s, 253);
		printf("%s %.*s %s\n",
		    dkim1_state_name(r->signatures[k].state),
		    BYTES_FMT(line),
		    dkim1_reason_text(r->signatures[k].reason));
	}
	dkim1_verify_fini(v);
	return 0;
}

int
main(int argc, char **argv)
{
	struct arena *a = arena_new(ROOM);
	int r = 64;

	if (sodium_init() < 0 || a == NULL)
		return 70;
	if (argc >= 6 && strcmp(argv[1], "sign") == 0)
		r = sign(argc, argv, a);
	else if (argc == 4 && strcmp(argv[1], "verify") == 0)
		r = verify(argv, a);
	else
		fprintf(stderr, "usage: dkim1 sign DOMAIN TIME SELECTOR KEY"
		    " ... | dkim1 verify TIME RECORDS\n");
	arena_free(&a);
	return r;
}
