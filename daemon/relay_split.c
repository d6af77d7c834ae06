/*
 * New mail that several copies of go to one site: by their second signature
 * they say so. A first one may not be `exploded` (protocol G12), so that it is
 * that of an imaginary hop, and the same in all copies.
 */
#include "daemon/relay_state.h"

#include <stdlib.h>

#include "base/ascii.h"
#include "base/err.h"

/* A recipient, and which copy is his: nobody shares it, or those of an onward. */
struct place {
	struct bytes domain;
	const void *copy;
	struct relay_rcpt *rcpt;
};

static int
place_compare(const void *va, const void *vb)
{
	struct bytes a = ((const struct place *)va)->domain;
	struct bytes b = ((const struct place *)vb)->domain;

	for (size_t k = 0; k < a.n && k < b.n; k++) {
		uint8_t x = ascii_lower(a.p[k]), y = ascii_lower(b.p[k]);

		if (x != y)
			return x < y ? -1 : 1;
	}
	return a.n < b.n ? -1 : a.n > b.n;
}

static bool
is_new(const struct relay *r, const struct relay_rcpt *rcpt)
{
	return rcpt->state == RCPT_ACCEPTED && rcpt->twin == NULL &&
	    rcpt->onward->decision.kind == DECIDE_SIGN &&
	    !rcpt->onward->decision.is_return &&
	    !decide_has_chain(&r->message);
}

static size_t
list_places(struct relay *r, struct place *places)
{
	size_t n = 0;

	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next) {
		if (!is_new(r, k))
			continue;
		places[n++] = (struct place){
		    .domain = dkim2_path_domain(k->out.rcpt_to),
		    .copy = relay_may_share(k->onward, k)
		        ? (const void *)k->onward : (const void *)k,
		    .rcpt = k,
		};
	}
	return n;
}

/* Those of one site: where their copies are not one, each is marked. */
static void
mark_site(const struct place *p, size_t n)
{
	bool is_one = true;

	for (size_t k = 1; k < n; k++)
		is_one = is_one && p[k].copy == p[0].copy;
	for (size_t k = 0; k < n; k++)
		p[k].rcpt->value.is_exploded = !is_one;
}

/* What one of those who share a copy is, all of them are. */
static void
mark_sharing(struct relay *r, const struct onward *o)
{
	bool is_marked = false;

	for (const struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
		is_marked = is_marked || (k->onward == o && is_new(r, k) &&
		    relay_may_share(o, k) && k->value.is_exploded);
	for (struct relay_rcpt *k = r->rcpts; k != NULL && is_marked;
	    k = k->next)
		if (k->onward == o && is_new(r, k) && relay_may_share(o, k))
			k->value.is_exploded = true;
}

int
relay_split(struct relay *r)
{
	struct place *places;
	size_t n, first = 0;

	if (!r->listener->is_split_first_hop)
		return 0;
	places = arena_array(r->arena, r->n_rcpts, sizeof(*places));
	if (places == NULL)
		return -E_NOMEM;
	n = list_places(r, places);
	qsort(places, n, sizeof(*places), place_compare);
	for (size_t k = 1; k <= n; k++)
		if (k == n || place_compare(&places[k], &places[first]) != 0) {
			mark_site(places + first, k - first);
			first = k;
		}
	for (const struct onward *o = r->asked; o != NULL; o = o->next)
		if (o->n_sharing != 0)
			mark_sharing(r, o);
	return 0;
}
