/*
 * The states of a message: the input is a recipe, a NUL, and a message that
 * it is undone on as its instance 2. The header written for hop 1 hashes as
 * the state that the verifier would see, comparisons are empty just where
 * nothing differs, and what a search finds does fit.
 */
#include <stdlib.h>

#include "base/b64.h"
#include "dkim2/crypto.h"
#include "dkim2/differ.h"
#include "dkim2/history.h"

#define ZEROS "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(bool holds)
{
	if (!holds)
		abort();
}

static const char fields[] =
    "DKIM2-Signature: i=1; m=1; t=1; d=a.example; mf=PD4=; rt=PD4=;\r\n"
    " s=x:ed25519-sha256:AAAA;\r\n"
    "Message-Instance: m=1; h=sha256:" ZEROS ":" ZEROS ";\r\n";

static struct bytes
compose(struct bytes json, struct bytes rest, struct arena *a)
{
	struct buf out;

	need(arena_buf(a, 2 * json.n + rest.n + 1024, &out) == 0);
	buf_add_str(&out, "DKIM2-Signature: i=2; m=2; t=1; d=b.example; "
	    "mf=PD4=; rt=PD4=; s=x:ed25519-sha256:AAAA;\r\n"
	    "Message-Instance: m=2; h=sha256:" ZEROS ":" ZEROS "; r=");
	b64_encode(json, &out);
	buf_add_str(&out, ";\r\n");
	buf_add_str(&out, fields);
	buf_add(&out, rest);
	need(!out.full);
	return buf_bytes(&out);
}

static struct bytes
hash_input(const struct canon_header *h, struct arena *a)
{
	size_t n = 0;
	struct buf out;

	for (size_t k = 0; k < h->n; k++)
		n += h->fields[k].name.n + h->fields[k].value.n + 3;
	need(arena_buf(a, n, &out) == 0 &&
	    canon_header_emit(h, canon_to_buf, &out) == 0);
	return buf_bytes(&out);
}

static void
check_header(const struct history *h, const struct dkim2_message *m,
    struct arena *a)
{
	const struct dkim2_field *first;
	struct dkim2_message again;
	struct canon_header sorted;
	struct bytes header;

	need(history_header(h, m, 1, a, &header) == 0);
	need(dkim2_message_parse(&again, header, SIZE_MAX, a) == 0);
	need(canon_header_sort(&sorted, &again, a) == 0);
	need(bytes_eq(hash_input(&sorted, a),
	    hash_input(&h->states[0].header, a)));
	need(dkim2_message_find(&again, BYTES_LIT("DKIM2-Signature"),
	    &first) == 1);
	need(dkim2_message_find(&again, BYTES_LIT("Message-Instance"),
	    &first) == 1);
}

static void
check_differ(const struct history *h, struct arena *a)
{
	const struct history_state *was = &h->states[0], *is = &h->states[1];
	struct differ_header dh;
	struct differ_body db;
	struct bytes w, i;

	need(differ_headers(&dh, &was->header, &is->header, a) == 0);
	need((dh.n == 0) == bytes_eq(hash_input(&was->header, a),
	    hash_input(&is->header, a)));
	need(differ_bodies(&db, was->body, is->body, a) == 0);
	need(differ_body_canonical(was->body, a, &w) == 0);
	need(differ_body_canonical(is->body, a, &i) == 0);
	need(db.is_same == bytes_eq(w, i));
	need(db.at <= w.n && db.at <= i.n &&
	    bytes_eq(bytes_first(w, db.at), bytes_first(i, db.at)));
}

/* The state below is the one to be found from the one above. */
static void
check_guesses(const struct history *h, struct arena *a)
{
	const struct history_state *was = &h->states[0], *is = &h->states[1];
	uint8_t digest[DKIM2_HASH_MAX];
	struct differ_target t = {DKIM2_SHA256, {digest, 32}, {NULL, 0}};
	struct differ_work work = {.left = 1 << 20};
	struct differ_guess g;
	struct bytes wanted = hash_input(&was->header, a);

	need(dkim2_hash_once(DKIM2_SHA256, wanted, digest) == 0);
	need(differ_guess_header(&g, &is->header, &t, &work, a) == 0);
	need(g.what.p == NULL || bytes_eq(hash_input(&g.header, a), wanted));
	need(differ_body_canonical(was->body, a, &wanted) == 0);
	need(dkim2_hash_once(DKIM2_SHA256, wanted, digest) == 0);
	work = (struct differ_work){.left = 1 << 20};
	need(differ_guess_body(&g, is->body, &t, &work, a) == 0);
	if (g.what.p != NULL) {
		struct bytes got;

		need(differ_body_canonical(g.body, a, &got) == 0);
		need(bytes_eq(got, wanted));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes in = {p, n};
	size_t nul = bytes_index(in, 0), body_at;
	struct bytes json = bytes_first(in, nul), octets;
	struct arena *a;
	struct dkim2_message m;
	struct history h;
	size_t end;

	if (nul == n || n > 20000)
		return 0;
	a = arena_new(256 << 20);
	need(a != NULL);
	octets = compose(json, bytes_skip(in, nul + 1), a);
	body_at = octets.n;
	end = dkim2_header_end(octets, &body_at);
	if (dkim2_message_parse(&m, bytes_first(octets, end == SIZE_MAX ?
	    octets.n : end), 1000, a) == 0) {
		need(history_read(&h, &m, bytes_skip(octets, body_at), a) ==
		    0);
		if (h.n_states == 2 && h.states[0].is_known) {
			check_header(&h, &m, a);
			check_differ(&h, a);
			check_guesses(&h, a);
		}
	}
	arena_free(&a);
	return 0;
}
