#include "dsn/undo.h"

#include "base/err.h"
#include "dkim2/crypto.h"
#include "dkim2/draft.h"
#include "dkim2/history.h"
#include "dkim2/unsigned.h"

/* ---- our Received -------------------------------------------------------- */

/* Takes the next word of a field; empty at its end. */
static struct bytes
take_word(struct bytes *rest)
{
	size_t n = 0;

	while (rest->n != 0 && rest->p[0] <= ' ')
		*rest = bytes_skip(*rest, 1);
	while (n < rest->n && rest->p[n] > ' ')
		n++;
	*rest = bytes_skip(*rest, n);
	return (struct bytes){rest->p - n, n};
}

/*
 * Says whether we wrote a field: "by HOSTNAME (hopseal)" is in it. The server
 * behind us may have the same name.
 */
static bool
is_our_received(const struct dkim2_field *f, struct bytes hostname)
{
	struct bytes rest = f->value, before = {NULL, 0}, word;

	if (!bytes_case_eq(f->name, BYTES_LIT("Received")))
		return false;
	while (rest.n != 0) {
		word = take_word(&rest);
		if (bytes_eq(before, BYTES_LIT("by")) &&
		    bytes_case_eq(word, hostname) &&
		    bytes_eq(take_word(&rest), BYTES_LIT("(hopseal)")))
			return true;
		before = word;
	}
	return false;
}

/* The lowest Received of ours among the fields from..to-1; NULL: none. */
static const struct dkim2_field *
lowest_received(const struct dkim2_message *m, size_t from, size_t to,
    struct bytes hostname)
{
	for (size_t k = to; k > from; k--)
		if (is_our_received(&m->fields[k - 1], hostname))
			return &m->fields[k - 1];
	return NULL;
}

/* ---- our hop ------------------------------------------------------------- */

static bool
is_ours(const struct dsn_ours *ours, const struct signature *s)
{
	return s->fault.state == DKIM2_PASS && ours->is_ours(ours->arg, s->d);
}

/*
 * How many signatures are left without those of our hop: the one on top, and
 * one that leads to it by nd= where it is of ours too. Of what we signed twice
 * as two hops, each has a return address of its own.
 */
static size_t
below_us(const struct chain *c, const struct dsn_ours *ours)
{
	const struct signature *top = &c->signatures[c->n_signatures - 1];

	if (c->n_signatures > 1 && top[-1].nd.p != NULL &&
	    is_ours(ours, &top[-1]) && bytes_case_eq(top[-1].nd, top->d))
		return c->n_signatures - 2;
	return c->n_signatures - 1;
}

/* What the top signature signs, as one digest. */
static int
name_copy(const struct chain *c, struct bytes *name, struct arena *a)
{
	struct dkim2_hasher h;
	uint8_t digest[DKIM2_HASH_MAX];
	int r = dkim2_hasher_init(&h, DKIM2_SHA256);

	if (r != 0)
		return r;
	r = chain_signing_input(c, c->n_signatures, canon_to_hasher, &h);
	if (r == 0)
		r = dkim2_hasher_end(&h, digest);
	dkim2_hasher_fini(&h);
	if (r != 0)
		return r;
	*name = arena_copy(a, (struct bytes){digest,
	    dkim2_hash_size(DKIM2_SHA256)});
	return name->p == NULL ? -E_NOMEM : 0;
}

/* ---- undoing ------------------------------------------------------------- */

/* Whether the message is known as signature i saw it, as its hashes say. */
static bool
is_there(const struct history *h, size_t i)
{
	const struct signature *s = &h->chain.signatures[i - 1];
	const struct history_state *state;

	if (s->fault.state != DKIM2_PASS || s->m == 0 || s->m > h->n_states)
		return false;
	state = &h->states[s->m - 1];
	return state->is_known && state->is_checked &&
	    state->verdict.state == DKIM2_PASS;
}

/*
 * Where our own block ends. Between us and the hop before the lowest Received
 * of ours is the one: mail may pass us twice before it is signed. What was
 * not signed before has no such bound, and it is the next below our signature.
 */
static const struct dkim2_field *
find_cut(const struct history *h, const struct dkim2_message *m, size_t left,
    struct bytes hostname)
{
	const struct chain *c = &h->chain;
	const struct dkim2_field *top =
	    c->signatures[c->n_signatures - 1].field;
	size_t from = (size_t)(top - m->fields);

	if (left != 0)
		return lowest_received(m, from,
		    (size_t)(c->signatures[left - 1].field - m->fields),
		    hostname);
	for (size_t k = from; k < m->n_fields; k++)
		if (is_our_received(&m->fields[k], hostname))
			return &m->fields[k];
	return c->signatures[0].field;
}

static int
take_off(struct dsn_undone *u, const struct history *h,
    const struct dkim2_message *m, size_t left, const struct dsn_ours *ours,
    struct arena *a)
{
	const struct chain *c = &h->chain;
	const struct signature *lowest = &c->signatures[left];
	const struct signature *last = &c->signatures[c->n_signatures - 1];
	const struct signature *top = left == 0 ? NULL : lowest - 1;
	uint32_t state = top == NULL ? lowest->m : top->m;

	*u = (struct dsn_undone){
	    .domain = lowest->d,
	    .sent = last->rt,
	    .n_sent = last->n_rt,
	    .has_body = h->has_body,
	    .body = h->states[state - 1].body,
	};
	if (top != NULL) {
		u->mail_from = top->mf;
		u->has_nd = top->nd.p != NULL;
		u->rcpts = top->rt;
		u->n_rcpts = top->n_rt;
	}
	return history_header_cut(h, m, left,
	    find_cut(h, m, left, ours->hostname), a, &u->header);
}

static int
read_history(struct history *h, const struct dkim2_message *m,
    struct bytes body, bool has_body, struct arena *a)
{
	return has_body ? history_read(h, m, body, a) :
	    history_read_header(h, m, a);
}

int
dsn_undo(struct dsn_undone *u, const struct dkim2_message *m,
    struct bytes body, bool has_body, const struct dsn_ours *ours,
    struct arena *a, enum dsn_undo_verdict *v)
{
	struct history h;
	struct bytes name;
	size_t left, seen;
	int r = read_history(&h, m, body, has_body, a);

	*v = DSN_UNDO_NOT_OURS;
	if (r != 0 || h.n_states == 0 || h.chain.n_signatures == 0 ||
	    !is_ours(ours, &h.chain.signatures[h.chain.n_signatures - 1]))
		return r;
	left = below_us(&h.chain, ours);
	/* What we originated is as we first signed it. */
	seen = left == 0 ? 1 : left;
	*v = DSN_UNDO_IMPOSSIBLE;
	if (!is_there(&h, seen) && has_body)
		r = read_history(&h, m, body, false, a);
	if (r != 0 || !is_there(&h, seen))
		return r;
	r = name_copy(&h.chain, &name, a);
	if (r == 0)
		r = take_off(u, &h, m, left, ours, a);
	if (r != 0)
		return r;
	u->signature = name;
	*v = DSN_UNDONE;
	return 0;
}

/* ---- what we did not sign ------------------------------------------------ */

int
dsn_undo_trace(struct bytes *header, const struct dkim2_message *m,
    struct bytes hostname, struct arena *a)
{
	const struct dkim2_field *top, *cut;
	struct buf out;
	size_t n;

	if (dkim2_message_find(m, BYTES_LIT(DRAFT_SIGNATURE), &top) != 0) {
		cut = lowest_received(m, 0, (size_t)(top - m->fields),
		    hostname);
		n = cut != NULL ? (size_t)(cut - m->fields) + 1 :
		    (size_t)(top - m->fields);
	} else {
		for (n = 0; n < m->n_fields &&
		    !is_our_received(&m->fields[n], hostname); n++)
			;
		n = n < m->n_fields ? n + 1 : 0;
	}
	if (arena_room(a, m->header.n, &out) != 0)
		return -E_NOMEM;
	for (size_t k = 0; k < m->n_fields; k++)
		if (k >= n || !unsigned_is(m->fields[k].name))
			buf_add(&out, m->fields[k].raw);
	*header = buf_bytes(&out);
	return 0;
}
