#include "dkim2/verify_state.h"

#include <assert.h>

#include "base/err.h"
#include "dkim2/from.h"
#include "dkim2/groups.h"

static unsigned
named_by(const struct instance *in)
{
	unsigned bits = 0;

	for (size_t k = 0; k < in->n_hashes; k++)
		if (in->hashes[k].algorithm != DKIM2_HASH__N)
			bits |= 1U << in->hashes[k].algorithm;
	return bits;
}

unsigned
verify_hashes_named(const struct dkim2_verify *v)
{
	unsigned bits = 0;

	for (size_t k = 0; k < v->chain.n_instances; k++)
		bits |= named_by(&v->chain.instances[k]);
	return bits;
}

static bool
is_digest(struct bytes wanted, const struct instance_hash *h,
    uint8_t digests[DKIM2_HASH__N][DKIM2_HASH_MAX])
{
	return bytes_eq(wanted, (struct bytes){digests[h->algorithm],
	    dkim2_hash_size(h->algorithm)});
}

static struct dkim2_verdict
undo_failure(const struct instance *in, enum recipe_verdict failed)
{
	if (failed == RECIPE_TOO_MUCH)
		return reason_plain(DKIM2_RECIPE_WORK, in->m);
	return reason_verdict(DKIM2_INSTANCE_RECIPE, in->m, in->recipe);
}

/* States 1 to m can not be had, since the step down to m failed. */
static void
lose_states(struct dkim2_verify *v, size_t m, struct dkim2_verdict why)
{
	for (size_t k = 0; k < m; k++)
		if (v->instances[k].undo.state == DKIM2_PASS)
			v->instances[k].undo = why;
}

/* ---- header (draft 14.7, 14.8) ------------------------------------------ */

static int
hash_header(const struct canon_header *h, enum dkim2_hash algorithm,
    uint8_t *digest)
{
	struct dkim2_hasher hasher;
	int r = dkim2_hasher_init(&hasher, algorithm);

	if (r != 0)
		return r;
	r = canon_header_emit(h, canon_to_hasher, &hasher);
	if (r == 0)
		r = dkim2_hasher_end(&hasher, digest);
	dkim2_hasher_fini(&hasher);
	return r;
}

/* The digests of one state, for all algorithms in bits. */
static int
hash_headers(const struct canon_header *h, unsigned bits,
    uint8_t digests[DKIM2_HASH__N][DKIM2_HASH_MAX])
{
	int r = 0;

	for (unsigned k = 0; r == 0 && k < DKIM2_HASH__N; k++)
		if ((bits >> k & 1) != 0)
			r = hash_header(h, (enum dkim2_hash)k, digests[k]);
	return r;
}

/* The one mailbox of the one From field of a state. */
static enum dkim2_from
from_of(const struct canon_header *h, struct bytes *domain)
{
	const struct canon_field *from = NULL;

	for (size_t k = 0; k < h->n; k++) {
		if (!bytes_case_eq(h->fields[k].name, BYTES_LIT("From")))
			continue;
		if (from != NULL)
			return DKIM2_FROM_MANY;
		from = &h->fields[k];
	}
	return from == NULL ? DKIM2_FROM_NONE :
	    from_parse(from->value, domain);
}

/*
 * Who vouches for the From of state m is the first signature that covers
 * that state.
 */
static struct dkim2_verdict
check_from(const struct dkim2_verify *v, size_t m,
    const struct canon_header *state)
{
	const struct signature *s = v->chain.signatures;
	struct bytes domain;

	while (s->m < m)
		s++;
	if (from_of(state, &domain) == DKIM2_FROM_ONE &&
	    dkim2_domain_covers(s->d, domain))
		return reason_pass();
	return reason_plain(DKIM2_FROM_UNAUTHENTIC, s->i);
}

/* One state of the header, and its digests where they were made. */
struct header_state {
	struct canon_header fields;
	unsigned have;
	uint8_t digests[DKIM2_HASH__N][DKIM2_HASH_MAX];
};

/* Compares one state with its instance. */
static int
check_header(struct dkim2_verify *v, size_t m, struct header_state *state)
{
	const struct instance *in = &v->chain.instances[m - 1];
	struct verify_instance *vi = &v->instances[m - 1];
	int r = hash_headers(&state->fields, named_by(in) & ~state->have,
	    state->digests);

	if (r != 0)
		return r;
	state->have |= named_by(in);
	vi->is_header_good = arena_array(v->a, in->n_hashes, sizeof(bool));
	vi->is_body_good = arena_array(v->a, in->n_hashes, sizeof(bool));
	if (vi->is_header_good == NULL || vi->is_body_good == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < in->n_hashes; k++)
		if (in->hashes[k].algorithm != DKIM2_HASH__N)
			vi->is_header_good[k] = is_digest(in->hashes[k].header,
			    &in->hashes[k], state->digests);
	if (m == 1 || recipe_names(&in->steps, BYTES_LIT("From")))
		vi->from = check_from(v, m, &state->fields);
	return 0;
}

/* Two tables, each large enough for every state. */
static int
make_states(struct dkim2_verify *v, struct canon_header states[2])
{
	size_t room = v->message->n_fields;

	for (size_t k = 1; k < v->chain.n_instances; k++)
		room += v->chain.instances[k].steps.n_values;
	for (size_t k = 0; k < 2; k++) {
		states[k] = (struct canon_header){arena_array(v->a, room,
		    sizeof(states[k].fields[0])), 0};
		if (states[k].fields == NULL)
			return -E_NOMEM;
	}
	return 0;
}

static int
check_headers(struct dkim2_verify *v, struct header_state *state)
{
	struct canon_header spare[2];
	int r = make_states(v, spare);
	size_t n_undone = 0, last = verify_last_state(v);

	for (size_t m = v->chain.n_instances; r == 0; m--) {
		const struct instance *in = &v->chain.instances[m - 1];
		struct canon_header *before = &spare[n_undone % 2];
		enum recipe_verdict undone;

		r = check_header(v, m, state);
		if (r != 0 || m == last)
			break;
		if (in->steps.n_names == 0)
			continue;
		undone = recipe_undo_header(&in->steps, &state->fields,
		    before, &v->budget);
		if (undone != RECIPE_GOOD) {
			lose_states(v, m - 1, undo_failure(in, undone));
			break;
		}
		state->fields = *before;
		state->have = 0;
		n_undone++;
	}
	return r;
}

int
verify_headers(struct dkim2_verify *v)
{
	struct header_state state = {.have = v->digests.have};
	int r = canon_header_sort(&state.fields, v->message, v->a);

	if (r == 0)
		r = hash_headers(&state.fields, state.have, state.digests);
	memcpy(v->digests.header, state.digests, sizeof(state.digests));
	if (r != 0 || !v->is_sound)
		return r;
	for (size_t k = 0; k < v->chain.n_instances; k++)
		v->instances[k] = (struct verify_instance){
		    .undo = reason_pass(), .from = reason_pass()};
	return check_headers(v, &state);
}

/* ---- body --------------------------------------------------------------- */

static int
hash_body(const struct recipe_body *b, enum dkim2_hash algorithm,
    uint8_t *digest)
{
	struct dkim2_hasher hasher;
	struct canon_body c;
	int r = dkim2_hasher_init(&hasher, algorithm);

	if (r != 0)
		return r;
	canon_body_init(&c, canon_to_hasher, &hasher);
	for (size_t k = 0; r == 0 && k < b->n; k++)
		r = canon_body_add(&c, b->pieces[k]);
	if (r == 0)
		r = canon_body_end(&c);
	if (r == 0)
		r = dkim2_hasher_end(&hasher, digest);
	dkim2_hasher_fini(&hasher);
	return r;
}

/* What the body of one state is, and its digests where they were made. */
struct body_state {
	struct recipe_body body;
	unsigned have;
	uint8_t digests[DKIM2_HASH__N][DKIM2_HASH_MAX];
};

static int
check_body(struct dkim2_verify *v, size_t m, struct body_state *state)
{
	const struct instance *in = &v->chain.instances[m - 1];
	int r = 0;

	for (size_t k = 0; r == 0 && k < in->n_hashes; k++) {
		const struct instance_hash *h = &in->hashes[k];

		if (h->algorithm == DKIM2_HASH__N)
			continue;
		if ((state->have >> h->algorithm & 1) == 0) {
			r = hash_body(&state->body, h->algorithm,
			    state->digests[h->algorithm]);
			state->have |= 1U << h->algorithm;
		}
		if (r == 0)
			v->instances[m - 1].is_body_good[k] =
			    is_digest(h->body, h, state->digests);
	}
	return r;
}

static int
make_pieces(struct dkim2_verify *v, struct bytes *spare[2])
{
	size_t room = 2;

	for (size_t k = 1; k < v->chain.n_instances; k++)
		room += v->chain.instances[k].steps.body.n + 1;
	for (size_t k = 0; k < 2; k++) {
		spare[k] = arena_array(v->a, room, sizeof(spare[k][0]));
		if (spare[k] == NULL)
			return -E_NOMEM;
	}
	return 0;
}

int
verify_bodies(struct dkim2_verify *v, struct bytes body)
{
	struct body_state state = {.body = {&body, 1},
	    .have = v->digests.have};
	struct bytes *spare[2];
	int r = make_pieces(v, spare);
	size_t n_undone = 0, last = verify_last_state(v);

	if (v->opts.scope == DKIM2_LAST_HOP_HEADER)
		return r;
	memcpy(state.digests, v->digests.body, sizeof(state.digests));
	for (size_t m = v->chain.n_instances; r == 0; m--) {
		const struct instance *in = &v->chain.instances[m - 1];
		struct recipe_body before = {spare[n_undone % 2], 0};
		enum recipe_verdict undone;

		if (v->instances[m - 1].undo.state != DKIM2_PASS)
			break;
		r = check_body(v, m, &state);
		if (r != 0 || m == last)
			break;
		if (!in->steps.has_body)
			continue;
		/* The caller promised the same octets that were streamed. */
		assert(body.n == v->n_body);
		undone = recipe_undo_body(&in->steps, &state.body, &before,
		    &v->budget);
		if (undone != RECIPE_GOOD) {
			lose_states(v, m - 1, undo_failure(in, undone));
			break;
		}
		state.body = before;
		state.have = 0;
		n_undone++;
	}
	return r;
}

/* ---- verdicts ----------------------------------------------------------- */

struct dkim2_verdict
verify_instance_verdict(const struct dkim2_verify *v, size_t m,
    struct groups_item *room)
{
	const struct instance *in = &v->chain.instances[m - 1];
	const struct verify_instance *vi = &v->instances[m - 1];
	uint32_t number = in->m;
	size_t n = 0;

	if (vi->undo.state != DKIM2_PASS)
		return vi->undo;
	/* All header hashes come before any body hash. */
	for (size_t k = 0; k < in->n_hashes; k++) {
		const struct instance_hash *h = &in->hashes[k];
		struct dkim2_verdict verdict = reason_pass();

		if (h->algorithm == DKIM2_HASH__N)
			verdict = reason_verdict(DKIM2_HASH_UNKNOWN, number,
			    h->name);
		else if (!vi->is_header_good[k])
			verdict = reason_verdict(DKIM2_HEADER_HASH, number,
			    h->name);
		room[n++] = (struct groups_item){h->group, verdict};
	}
	for (size_t k = 0; k < in->n_hashes; k++) {
		const struct instance_hash *h = &in->hashes[k];

		if (v->opts.scope == DKIM2_LAST_HOP_HEADER)
			break;
		if (h->algorithm != DKIM2_HASH__N && !vi->is_body_good[k])
			room[n++] = (struct groups_item){h->group,
			    reason_verdict(DKIM2_BODY_HASH, number, h->name)};
	}
	return groups_verdict(room, n, reason_plain(DKIM2_HASH_GROUPS, number));
}
