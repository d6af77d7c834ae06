/*
 * From rewriting (product.md, Rewrite): a copy leaves with the address that
 * the mail came to as its From. In a chain the recipe leads back to what came;
 * what is adopted begins as rewritten.
 */
#include "daemon/relay_state.h"

#include "base/err.h"
#include "dkim2/from_rewrite.h"

/* What describing two headers may take. */
#define DIFF_ROOM (64U << 20)

/* What From says of whom the mail came by: the domain it was sent to. */
static struct bytes
via_of(struct bytes address)
{
	size_t at = address.n;

	while (at != 0 && address.p[at - 1] != '@')
		at--;
	return bytes_skip(address, at);
}

/*
 * The recipe from the rewritten header to the one that came; of the body
 * nothing is said, since it is the same.
 */
static int
describe(struct relay *r, struct relay_rewritten *w)
{
	static const struct bytes none = {NULL, 0};
	struct arena *a = arena_new(DIFF_ROOM);
	enum dkim2_diff what;
	struct bytes recipe;
	int error = a == NULL ? -E_NOMEM : dkim2_diff(&what, &recipe, a,
	    &r->message, none, &w->message, none);

	if (error == 0 && what == DKIM2_DIFF_RECIPE) {
		w->recipe = arena_copy(r->arena, recipe);
		error = w->recipe.p == NULL ? -E_NOMEM : 0;
	}
	w->is_good = error == 0 && what == DKIM2_DIFF_RECIPE;
	arena_free(&a);
	return error;
}

/* The header block as it would leave, but for us and for From. */
static int
parse_base(struct relay *r, struct dkim2_message *m)
{
	if (r->annotation.header.p == r->message.header.p) {
		*m = r->message;
		return 0;
	}
	return dkim2_message_parse(m, r->annotation.header,
	    r->message.n_fields, r->arena);
}

static int
make(struct relay *r, struct relay_rewritten *w)
{
	const struct from_rewrite how = {w->address, via_of(w->address)};
	struct dkim2_message base;
	int error = parse_base(r, &base);

	if (error == 0)
		error = from_rewrite(&w->message, &base, &how, r->arena);
	if (error == -E_SYNTAX || error == -E_LIMIT)
		return 0;	/* it stays as it is */
	if (error == 0)
		error = relay_digests(r, &w->message, &w->digests);
	if (error != 0)
		return error;
	w->is_good = true;
	return decide_has_chain(&r->message) ? describe(r, w) : 0;
}

/* Made once for each address. 0 or -E_*. */
static int
find(struct relay *r, struct bytes address, struct relay_rewritten **out)
{
	struct relay_rewritten *w = r->rewritten;
	int error;

	while (w != NULL && !bytes_eq(w->address, address))
		w = w->next;
	*out = w;
	if (w != NULL)
		return 0;
	w = arena_alloc(r->arena, sizeof(*w));
	if (w == NULL)
		return -E_NOMEM;
	w->address = address;
	error = make(r, w);
	if (error != 0)
		return error;
	w->next = r->rewritten;
	r->rewritten = w;
	*out = w;
	return 0;
}

int
relay_from(struct relay *r, struct onward *copy)
{
	struct relay_rewritten *w;
	int error;

	if (copy->decision.from.n == 0)
		return 0;
	error = find(r, copy->decision.from, &w);
	if (error != 0)
		return error;
	if (w->is_good)
		copy->rewritten = w;
	else if (!decide_has_chain(&r->message) &&
	    copy->decision.kind == DECIDE_SIGN)
		decide_unsignable(&copy->decision, r->listener,
		    "its From can not be rewritten");
	return 0;
}

void
relay_from_undo(struct onward *copy)
{
	if (decide_has_chain(&copy->relay->message))
		copy->rewritten = NULL;
}
