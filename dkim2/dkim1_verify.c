#include "dkim2/dkim1.h"

#include <assert.h>

#include "base/ascii.h"
#include "base/err.h"
#include "dkim2/crypto.h"
#include "dkim2/dkim1_field.h"
#include "dkim2/draft.h"

#define SHA256 32U

/* A signature that is not decided yet, or has been. */
struct entry {
	struct dkim1_field field;
	uint8_t digest[SHA256];	/* of its header input */
	size_t want;
	enum dkim1_reason key;	/* what key and signature say, once answered */
	bool is_answered;
	bool is_decided;
};

struct body_hash {
	struct dkim1_body body;
	struct dkim2_hasher hasher;
	bool is_wanted;
	uint8_t digest[SHA256];
};

struct dkim1_verify {
	struct arena *a;
	int64_t now_s;
	struct body_hash bodies[DKIM1_CANON__N];
	struct entry entries[DKIM1_SIGNATURES_MAX];
	struct dkim1_signature_result results[DKIM1_SIGNATURES_MAX];
	struct bytes wants[DKIM1_SIGNATURES_MAX];
	bool is_answered[DKIM1_SIGNATURES_MAX];
	size_t n_wants;
	bool is_ended;
	struct dkim1_result result;
};

bool
dkim1_counts(const struct dkim1_signature_result *s)
{
	return s->state == DKIM1_PASS && s->covers_from && !s->is_testing;
}

int
dkim1_verify_new(struct dkim1_verify **v, struct arena *a, int64_t now_s)
{
	*v = arena_alloc(a, sizeof(**v));
	if (*v == NULL)
		return -E_NOMEM;
	(*v)->a = a;
	(*v)->now_s = now_s;
	(*v)->result.signatures = (*v)->results;
	return 0;
}

void
dkim1_verify_fini(struct dkim1_verify *v)
{
	if (v == NULL)
		return;
	for (size_t k = 0; k < DKIM1_CANON__N; k++)
		dkim2_hasher_fini(&v->bodies[k].hasher);
}

static void
decide(struct dkim1_verify *v, size_t k, enum dkim1_reason reason)
{
	v->entries[k].is_decided = true;
	v->results[k].reason = reason;
	v->results[k].state = dkim1_reason_state(reason);
}

/* ---- header --------------------------------------------------------------- */

/* Finds or adds the name of a key. */
static int
want_key(struct dkim1_verify *v, size_t k)
{
	const struct dkim1_signature_result *r = &v->results[k];
	struct buf name;
	size_t w;

	if (arena_buf(v->a, DRAFT_DOMAIN_MAX, &name) != 0)
		return -E_NOMEM;
	buf_add(&name, r->s);
	buf_add_str(&name, DRAFT_KEY_LABEL);
	buf_add(&name, r->d);
	assert(!name.full);
	for (size_t j = 0; j < name.n; j++)
		name.p[j] = ascii_lower(name.p[j]);
	for (w = 0; w < v->n_wants; w++)
		if (bytes_eq(v->wants[w], buf_bytes(&name)))
			break;
	if (w == v->n_wants)
		v->wants[v->n_wants++] = buf_bytes(&name);
	v->entries[k].want = w;
	return 0;
}

static int
want_body(struct dkim1_verify *v, enum dkim1_canon c)
{
	struct body_hash *b = &v->bodies[c];
	int r;

	if (b->is_wanted)
		return 0;
	r = dkim2_hasher_init(&b->hasher, DKIM2_SHA256);
	if (r != 0)
		return r;
	b->is_wanted = true;
	dkim1_body_init(&b->body, c, canon_to_hasher, &b->hasher);
	return 0;
}

static int
take_field(struct dkim1_verify *v, const struct dkim2_message *m,
    const struct dkim2_field *field)
{
	size_t k = v->result.n_signatures++;
	struct entry *e = &v->entries[k];
	int r;

	v->results[k].field = field;
	r = dkim1_field_parse(&e->field, &v->results[k], m, v->now_s, v->a);
	if (r != 0)
		return r;
	if (v->results[k].reason != DKIM1_OK) {
		decide(v, k, v->results[k].reason);
		return 0;
	}
	r = want_key(v, k);
	if (r == 0)
		r = want_body(v, e->field.body);
	return r != 0 ? r : dkim1_field_digest(m, field, e->field.header,
	    e->field.h, v->a, e->digest);
}

int
dkim1_verify_header(struct dkim1_verify *v, const struct dkim2_message *m)
{
	for (size_t k = 0; k < m->n_fields; k++) {
		int r;

		if (!bytes_case_eq(m->fields[k].name, BYTES_LIT(DKIM1_FIELD)))
			continue;
		if (v->result.n_signatures == DKIM1_SIGNATURES_MAX) {
			v->result.n_ignored++;
			continue;
		}
		r = take_field(v, m, &m->fields[k]);
		if (r != 0)
			return r;
	}
	return 0;
}

/* ---- body ------------------------------------------------------------------- */

int
dkim1_verify_body(struct dkim1_verify *v, struct bytes octets)
{
	for (size_t k = 0; k < DKIM1_CANON__N; k++) {
		int r;

		if (!v->bodies[k].is_wanted)
			continue;
		r = dkim1_body_add(&v->bodies[k].body, octets);
		if (r != 0)
			return r;
	}
	return 0;
}

/* Decides what now has both its body and its key. */
static void
settle(struct dkim1_verify *v)
{
	for (size_t k = 0; v->is_ended && k < v->result.n_signatures; k++) {
		const struct entry *e = &v->entries[k];
		enum dkim1_reason reason = e->key;
		bool is_same;

		if (e->is_decided || !e->is_answered)
			continue;
		is_same = memcmp(v->bodies[e->field.body].digest,
		    e->field.bh.p, SHA256) == 0;
		/* No key could mend this: it is no temporary error. */
		if (!is_same && (reason == DKIM1_OK ||
		    reason == DKIM1_SIGNATURE_WRONG ||
		    reason == DKIM1_KEY_UNFETCHED))
			reason = DKIM1_BODY_HASH;
		if (v->results[k].is_testing &&
		    dkim1_reason_state(reason) == DKIM1_FAIL)
			reason = DKIM1_TEST_KEY;
		decide(v, k, reason);
	}
}

int
dkim1_verify_end(struct dkim1_verify *v)
{
	for (size_t k = 0; k < DKIM1_CANON__N; k++) {
		struct body_hash *b = &v->bodies[k];
		int r;

		if (!b->is_wanted)
			continue;
		r = dkim1_body_end(&b->body);
		if (r == 0)
			r = dkim2_hasher_end(&b->hasher, b->digest);
		if (r != 0)
			return r;
	}
	v->is_ended = true;
	settle(v);
	return 0;
}

/* ---- keys --------------------------------------------------------------------- */

size_t
dkim1_verify_wants(const struct dkim1_verify *v, const struct bytes **names)
{
	*names = v->wants;
	return v->n_wants;
}

static int
check_signature(struct dkim1_verify *v, size_t k, struct bytes record)
{
	struct entry *e = &v->entries[k];
	struct dkim1_key key;
	bool good;
	int r = dkim1_key_read(&key, record, &e->field, v->results[k].d, v->a,
	    &e->key);

	v->results[k].is_testing = key.is_testing;
	v->results[k].bits = key.public.bits;
	if (r != 0 || e->key != DKIM1_OK)
		return r;
	r = dkim2_public_key_verify(&key.public, e->digest,
	    e->field.signature, &good);
	dkim2_public_key_fini(&key.public);
	if (!good)
		e->key = DKIM1_SIGNATURE_WRONG;
	return r;
}

int
dkim1_verify_answer(struct dkim1_verify *v, size_t k, enum dkim2_key found,
    const struct bytes *records, size_t n)
{
	assert(k < v->n_wants);
	if (v->is_answered[k])
		return 0;
	v->is_answered[k] = true;
	for (size_t j = 0; j < v->result.n_signatures; j++) {
		struct entry *e = &v->entries[j];
		int r = 0;

		if (e->is_decided || e->want != k)
			continue;
		if (found == DKIM2_KEY_TEMPFAIL)
			e->key = DKIM1_KEY_UNFETCHED;
		else if (found == DKIM2_KEY_ABSENT || n == 0)
			e->key = DKIM1_KEY_MISSING;
		else if (n > 1)
			e->key = DKIM1_KEY_MULTIPLE;
		else
			r = check_signature(v, j, records[0]);
		if (r != 0)
			return r;
		e->is_answered = true;
	}
	settle(v);
	return 0;
}

enum dkim2_step
dkim1_verify_step(const struct dkim1_verify *v)
{
	if (!v->is_ended)
		return DKIM2_MORE;
	for (size_t k = 0; k < v->result.n_signatures; k++)
		if (!v->entries[k].is_decided)
			return DKIM2_WANT_KEY;
	return DKIM2_DONE;
}

const struct dkim1_result *
dkim1_verify_seen(const struct dkim1_verify *v)
{
	return &v->result;
}

const struct dkim1_result *
dkim1_verify_result(const struct dkim1_verify *v)
{
	return dkim1_verify_step(v) == DKIM2_DONE ? &v->result : NULL;
}
