#include "dkim2/history.h"

#include "base/err.h"
#include "dkim2/crypto.h"
#include "dkim2/groups.h"

/* ---- whether the hashes of a state fit ----------------------------------- */

static int
hash_header(const struct history_state *s, enum dkim2_hash algorithm,
    uint8_t *digest)
{
	struct dkim2_hasher h;
	int r = dkim2_hasher_init(&h, algorithm);

	if (r != 0)
		return r;
	r = canon_header_emit(&s->header, canon_to_hasher, &h);
	if (r == 0)
		r = dkim2_hasher_end(&h, digest);
	dkim2_hasher_fini(&h);
	return r;
}

static int
hash_body(const struct history_state *s, enum dkim2_hash algorithm,
    uint8_t *digest)
{
	struct dkim2_hasher h;
	struct canon_body c;
	int r = dkim2_hasher_init(&h, algorithm);

	if (r != 0)
		return r;
	canon_body_init(&c, canon_to_hasher, &h);
	r = canon_body_add(&c, s->body);
	if (r == 0)
		r = canon_body_end(&c);
	if (r == 0)
		r = dkim2_hasher_end(&h, digest);
	dkim2_hasher_fini(&h);
	return r;
}

/*
 * Compares one state with one member of h=; adds a failure for each hash, of
 * that of the body where there is one.
 */
static int
member_check(struct history_state *s, const struct instance_hash *h,
    uint32_t m, bool has_body, struct groups_item *items, size_t *n)
{
	uint8_t digest[DKIM2_HASH_MAX];
	struct bytes got = {digest, 0};
	int r;

	items[*n] = (struct groups_item){h->group, reason_pass()};
	if (h->algorithm == DKIM2_HASH__N) {
		items[(*n)++].verdict = reason_verdict(DKIM2_HASH_UNKNOWN, m,
		    h->name);
		return 0;
	}
	got.n = dkim2_hash_size(h->algorithm);
	r = hash_header(s, h->algorithm, digest);
	if (r == 0 && !bytes_eq(h->header, got)) {
		items[*n].verdict = reason_verdict(DKIM2_HEADER_HASH, m,
		    h->name);
		s->header_fault = s->header_fault == NULL ? h :
		    s->header_fault;
	}
	++*n;
	if (r != 0 || !has_body)
		return r;
	r = hash_body(s, h->algorithm, digest);
	if (r == 0 && !bytes_eq(h->body, got)) {
		items[(*n)++] = (struct groups_item){h->group,
		    reason_verdict(DKIM2_BODY_HASH, m, h->name)};
		s->body_fault = s->body_fault == NULL ? h : s->body_fault;
	}
	return r;
}

static int
state_check(struct history_state *s, const struct instance *in,
    bool has_body, struct arena *a)
{
	struct groups_item *items = arena_array(a, 2 * in->n_hashes,
	    sizeof(*items));
	size_t n = 0;
	int r = items == NULL ? -E_NOMEM : 0;

	for (size_t k = 0; r == 0 && k < in->n_hashes; k++)
		r = member_check(s, &in->hashes[k], in->m, has_body, items,
		    &n);
	if (r != 0)
		return r;
	s->is_checked = true;
	s->verdict = groups_verdict(items, n,
	    reason_plain(DKIM2_HASH_GROUPS, in->m));
	/* With "|" one group is enough. */
	if (s->verdict.state == DKIM2_PASS)
		s->header_fault = s->body_fault = NULL;
	return 0;
}

/* ---- steps down ---------------------------------------------------------- */

static int
undo_header(const struct recipe *r, const struct canon_header *from,
    struct canon_header *to, size_t *budget, struct arena *a,
    enum recipe_verdict *v)
{
	*v = RECIPE_GOOD;
	*to = *from;
	if (r->n_names == 0)
		return 0;
	to->fields = arena_array(a, from->n + r->n_values,
	    sizeof(to->fields[0]));
	if (to->fields == NULL)
		return -E_NOMEM;
	*v = recipe_undo_header(r, from, to, budget);
	return 0;
}

static int
undo_body(const struct recipe *r, struct bytes from, struct bytes *to,
    size_t *budget, struct arena *a, enum recipe_verdict *v)
{
	struct recipe_body now = {&from, 1}, before;
	struct buf whole;
	size_t n = 0;

	*v = RECIPE_GOOD;
	*to = from;
	if (!r->has_body)
		return 0;
	before.pieces = arena_array(a, r->body.n + 2, sizeof(struct bytes));
	if (before.pieces == NULL)
		return -E_NOMEM;
	*v = recipe_undo_body(r, &now, &before, budget);
	if (*v != RECIPE_GOOD)
		return 0;
	for (size_t k = 0; k < before.n; k++)
		n += before.pieces[k].n;
	if (arena_buf(a, n, &whole) != 0)
		return -E_NOMEM;
	for (size_t k = 0; k < before.n; k++)
		buf_add(&whole, before.pieces[k]);
	*to = buf_bytes(&whole);
	return 0;
}

/* The state under that of instance m; h->lost where it can not be had. */
static int
step_down(struct history *h, size_t m, size_t *budget, struct arena *a)
{
	const struct instance *in = &h->chain.instances[m - 1];
	const struct history_state *now = &h->states[m - 1];
	struct history_state *before = &h->states[m - 2];
	enum recipe_verdict v;
	int r = undo_header(&in->steps, &now->header, &before->header, budget,
	    a, &v);

	if (r == 0 && v == RECIPE_GOOD && h->has_body)
		r = undo_body(&in->steps, now->body, &before->body, budget, a,
		    &v);
	if (r == 0 && v == RECIPE_GOOD)
		before->is_known = true;
	else if (v == RECIPE_TOO_MUCH)
		h->lost = reason_plain(DKIM2_RECIPE_WORK, in->m);
	else
		h->lost = reason_verdict(DKIM2_INSTANCE_RECIPE, in->m,
		    in->recipe);
	return r;
}

static int
read_states(struct history *h, const struct dkim2_message *m,
    struct bytes body, bool has_body, struct arena *a)
{
	struct dkim2_limits limits;
	struct reason_list faults;
	size_t budget;
	int r;

	*h = (struct history){.lost = reason_pass(), .has_body = has_body};
	dkim2_limits_default(&limits);
	budget = limits.max_undo;
	r = reason_list_init(&faults, chain_faults_max(m, &limits), a);
	if (r == 0)
		r = chain_read(&h->chain, m, &limits, a, &faults);
	if (r != 0 || !h->chain.is_numbered)
		return r;
	h->n_states = h->chain.n_instances;
	h->states = arena_array(a, h->n_states, sizeof(h->states[0]));
	if (h->states == NULL)
		return -E_NOMEM;
	h->states[h->n_states - 1].is_known = true;
	h->states[h->n_states - 1].body = body;
	r = canon_header_sort(&h->states[h->n_states - 1].header, m, a);
	for (size_t n = h->n_states; r == 0 && n != 0; n--) {
		const struct instance *in = &h->chain.instances[n - 1];

		/* A field that does not read says nothing of its state. */
		if (in->fault.state != DKIM2_PASS) {
			h->lost = in->fault;
			break;
		}
		r = state_check(&h->states[n - 1], in, has_body, a);
		if (r == 0 && n > 1)
			r = step_down(h, n, &budget, a);
		if (n > 1 && !h->states[n - 2].is_known)
			break;
	}
	return r;
}

int
history_read(struct history *h, const struct dkim2_message *m,
    struct bytes body, struct arena *a)
{
	return read_states(h, m, body, true, a);
}

int
history_read_header(struct history *h, const struct dkim2_message *m,
    struct arena *a)
{
	return read_states(h, m, (struct bytes){NULL, 0}, false, a);
}
