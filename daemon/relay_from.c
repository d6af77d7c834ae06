/*
 * From rewriting (product.md, Rewrite): a copy leaves with the address that
 * the mail came to as its From. In a chain the recipe leads back to what came;
 * what is adopted begins as rewritten.
 */
#include "daemon/relay_state.h"

#include "base/err.h"
#include "daemon/extend.h"
#include "dkim2/from_rewrite.h"

/* What describing two headers may take. */
#define DIFF_ROOM (64U << 20)

/* Octets of the local part and the "@". */
static size_t
local_end(struct bytes address)
{
	size_t at = address.n;

	while (at != 0 && address.p[at - 1] != '@')
		at--;
	return at;
}

/* What From says of whom the mail came by: the list's name, or else the
 * domain it was sent to. */
static struct bytes
via_of(const struct relay *r, struct bytes address)
{
	size_t at = local_end(address);

	return r->listener->role != ROLE_LIST_OUT || at == 0
	    ? bytes_skip(address, at) : bytes_first(address, at - 1);
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
	if (r->annotation.header.p == NULL ||
	    r->annotation.header.p == r->message.header.p) {
		*m = r->message;
		return 0;
	}
	return dkim2_message_parse(m, r->annotation.header,
	    r->message.n_fields, r->arena);
}

static int
make(struct relay *r, struct relay_rewritten *w)
{
	const struct from_rewrite how = {w->address, via_of(r, w->address)};
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
	/* what came back is described against what came in */
	return decide_has_chain(&r->message) &&
	    !decide_may_return(r->listener) ? describe(r, w) : 0;
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

/* ---- what came back ---- */

bool
relay_from_is_signed(const struct relay *r)
{
	struct bytes domain;

	return dkim2_message_from(&r->message, r->arena, &domain) ==
	    DKIM2_FROM_ONE && sender_is_aligned(r->sender, domain);
}

/* Whether the local part of the reverse-path begins with that of the
 * address, as the bounce address of a list does. */
static bool
is_of_list(struct bytes mail_from, struct bytes address)
{
	size_t n = local_end(address);

	return n > 1 && mail_from.n > n &&
	    bytes_eq(bytes_first(bytes_skip(mail_from, 1), n - 1),
	        bytes_first(address, n - 1)) &&
	    bytes_index(BYTES_LIT("-+=@"), mail_from.p[n]) != 4;
}

/*
 * Which of those it came for From may become: one that we sign for, of several
 * the one whose bounces come to the reverse-path.
 *
 * identity set to the domain that covers it, and the reverse-path if one does
 * Returns  local@domain, a view of the list; empty: none
 */
static struct bytes
choose_address(const struct relay *r, struct bytes list,
    struct bytes *identity)
{
	struct bytes path, best = {NULL, 0};
	bool is_best = false;

	while (!is_best && relay_value_next_rcpt(&list, &path)) {
		struct bytes name[2] = {dkim2_path_domain(path),
		    r->mail.from.domain};
		const struct keydir *keys = &r->hub->inventory->domains;
		struct bytes d = keydir_cover(keys, name, 2);
		struct bytes address = bytes_between(path.p + 1,
		    path.p + path.n - 1);

		if (d.n == 0)	/* by way of an imaginary hop */
			d = keydir_cover(keys, name, 1);
		if (name[0].n == 0 || d.n == 0)
			continue;
		is_best = is_of_list(r->mail.from.raw, address);
		if (best.n != 0 && !is_best)
			continue;
		best = address;
		*identity = d;
	}
	return best;
}

/* The message with the From that is wanted; *w is NULL where none is. */
static int
rewrite_return(struct relay *r, struct bytes address, struct bytes identity,
    struct relay_rewritten **w)
{
	const struct decide_facts facts = {
	    .listener = r->listener,
	    .message = &r->message,
	    .identity = identity,
	    .from_address = address,
	    .dmarc = sender_dmarc(r->sender),
	    .is_dkim1_aligned = relay_from_is_signed(r),
	    .arena = r->arena,
	};
	struct bytes from = decide_from(&facts, false);
	int error = 0;

	*w = NULL;
	if (from.n != 0)
		error = find(r, from, w);
	if (*w != NULL && !(*w)->is_good)
		*w = NULL;
	return error;
}

/* What a record says of mail that came without DKIM2. */
static int
set_legacy(struct relay *r, const struct arrival *record,
    struct bytes address)
{
	struct extension *e = &r->extension;

	e->is_legacy = true;
	e->is_from_signed = record->is_from_signed;
	e->from_address = address;
	e->rcpts = arena_copy(r->arena, record->rcpts);
	return e->rcpts.p == NULL ? -E_NOMEM : 0;
}

int
relay_from_extend(struct relay *r, const struct extend_facts *f,
    const struct arrival *record)
{
	struct bytes identity = {NULL, 0};
	struct bytes address = choose_address(r, record->rcpts, &identity);
	struct extend_facts with = *f;
	struct relay_rewritten *w = NULL;
	int error = 0;

	if (relay_keep(r, &address) != 0)
		return -E_NOMEM;
	if (record->full == DKIM2_PASS && address.n != 0)
		error = rewrite_return(r, address, identity, &w);
	if (error == 0 && w != NULL) {
		with.message = &w->message;
		with.digests = &w->digests;
		error = extend_by_record(&r->extension, &with, record);
		/* a chain is worth more than another From */
		if (error != 0 || r->extension.is_good)
			return error;
	}
	if (error == 0)
		error = extend_by_record(&r->extension, f, record);
	if (error == 0 && record->full == DKIM2_NONE)
		error = set_legacy(r, record, address);
	return error;
}
