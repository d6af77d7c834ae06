/* What we wrote, read back as any receiver would. */
#include "dkim2/sign.h"

#include "base/err.h"
#include "dkim2/draft.h"

static bool
lists_are_equal(const struct bytes *a, size_t n_a, const struct bytes *b,
    size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t k = 0; k < n_a; k++)
		if (!bytes_eq(a[k], b[k]))
			return false;
	return true;
}

static bool
members_are_ours(const struct dkim2_sign *s, const struct signature *got)
{
	if (got->n_members != s->n_keys)
		return false;
	for (size_t k = 0; k < s->n_keys; k++) {
		const struct signature_member *m = &got->members[k];

		if (!bytes_eq(m->selector, s->keys[k].selector) ||
		    m->algorithm != s->keys[k].algorithm ||
		    m->group != (s->is_or ? k : 0) ||
		    (s->values[k].p != NULL &&
		    !bytes_eq(m->value, s->values[k])))
			return false;
	}
	return true;
}

static bool
signature_is_ours(const struct dkim2_sign *s, const struct signature *got)
{
	const struct signature *self = &s->self;

	return got->i == self->i && got->m == self->m && got->t == self->t &&
	    bytes_eq(got->d, self->d) && bytes_eq(got->mf, self->mf) &&
	    bytes_eq(got->nd, self->nd) && bytes_eq(got->n, self->n) &&
	    lists_are_equal(got->rt, got->n_rt, self->rt, self->n_rt) &&
	    lists_are_equal(got->flags, got->n_flags, self->flags,
	    self->n_flags) && members_are_ours(s, got);
}

static bool
is_field(const struct dkim2_field *f, const char *name)
{
	return bytes_eq(f->name, bytes_of(name));
}

/* Takes the fields we wrote, the upper one first, as the last of chain c. */
static int
add_fields(const struct dkim2_sign *s, const struct dkim2_message *ours,
    struct chain *c)
{
	size_t n = s->chain.n_signatures, m = s->chain.n_instances;
	int r;

	c->signatures = arena_array(s->arena, n + 1, sizeof(*c->signatures));
	c->instances = arena_array(s->arena, m + 1, sizeof(*c->instances));
	if (c->signatures == NULL || c->instances == NULL)
		return -E_NOMEM;
	if (n != 0)
		memcpy(c->signatures, s->chain.signatures,
		    n * sizeof(*c->signatures));
	if (m != 0)
		memcpy(c->instances, s->chain.instances,
		    m * sizeof(*c->instances));
	c->n_signatures = n + 1;
	c->n_instances = m + s->is_new_instance;
	r = signature_parse(&c->signatures[n], &ours->fields[0], &s->limits,
	    s->arena);
	if (r == 0 && s->is_new_instance)
		r = instance_parse(&c->instances[m], &ours->fields[1],
		    &s->limits, s->arena);
	return r;
}

/* Whether what was read is the chain that was there, and what we meant. */
static bool
chain_is_ours(const struct dkim2_sign *s, const struct chain *c)
{
	const struct signature *got = &c->signatures[c->n_signatures - 1];
	const struct instance *in = &c->instances[c->n_instances - 1];

	return c->n_signatures == s->self.i && c->n_instances == s->self.m &&
	    got->fault.state == DKIM2_PASS && signature_is_ours(s, got) &&
	    (!s->is_new_instance || (in->m == s->self.m &&
	    in->fault.state == DKIM2_PASS &&
	    bytes_eq(in->recipe, s->recipe)));
}

/* Returns 0 with *good, -E_NOMEM. */
static int
read_fields(const struct dkim2_sign *s, struct bytes fields, struct chain *c,
    bool *good)
{
	struct dkim2_message ours;
	int r = dkim2_message_parse(&ours, fields, 2, s->arena);

	*good = false;
	if (r == -E_LIMIT || r == -E_SYNTAX)
		return 0;
	if (r != 0)
		return r;
	if (ours.n_fields != 1U + s->is_new_instance ||
	    !is_field(&ours.fields[0], DRAFT_SIGNATURE) ||
	    (s->is_new_instance && !is_field(&ours.fields[1], DRAFT_INSTANCE)))
		return 0;
	r = add_fields(s, &ours, c);
	*good = r == 0 && chain_is_ours(s, c);
	c->is_numbered = *good;
	return r;
}

int
sign_read_back(const struct dkim2_sign *s, struct bytes fields,
    struct chain *c, struct bytes *line, bool *good)
{
	struct buf b;
	int r = read_fields(s, fields, c, good);

	if (r != 0 || !*good)
		return r;
	r = arena_room(s->arena,
	    c->signatures[s->self.i - 1].field->raw.n + 3, &b);
	if (r == 0)
		r = chain_signing_last(c, s->self.i, canon_to_buf, &b);
	*line = buf_bytes(&b);
	return r;
}

int
sign_digest(struct dkim2_sign *s, const struct chain *c)
{
	struct chain_head none = {0, 0};
	struct dkim2_hasher h;
	int r = dkim2_hasher_init(&h, DKIM2_SHA256);

	if (r != 0)
		return r;
	r = chain_signing_head(c, s->self.i, &none, canon_to_hasher, &h);
	if (r == 0)
		r = dkim2_hasher_add(&h, s->line);
	if (r == 0)
		r = dkim2_hasher_end(&h, s->digest);
	dkim2_hasher_fini(&h);
	return r;
}
