/* Recipients and transactions of RCPT time, found by what they are. */
#include "base/ascii.h"
#include "daemon/nexthop.h"
#include "daemon/relay_state.h"
#include "dkim2/idn.h"

#define HASH_START 2166136261U

static uint32_t
add(uint32_t hash, struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		hash = (hash ^ ascii_lower(b.p[k])) * 16777619U;
	return hash;
}

/* ---- recipients ---------------------------------------------------------- */

struct relay_rcpt *
relay_index_twin(const struct relay *r, const struct relay_rcpt *rcpt)
{
	uint32_t hash = add(HASH_START, rcpt->out.rcpt_to);
	struct relay_rcpt *k = r->by_path[hash % RELAY_CHAINS];

	while (k != NULL && (k->hash != hash ||
	    !bytes_eq(k->out.rcpt_to, rcpt->out.rcpt_to)))
		k = k->chained;
	return k;
}

void
relay_index_rcpt(struct relay *r, struct relay_rcpt *rcpt)
{
	struct relay_rcpt **chain;

	rcpt->hash = add(HASH_START, rcpt->out.rcpt_to);
	chain = &r->by_path[rcpt->hash % RELAY_CHAINS];
	rcpt->chained = *chain;
	*chain = rcpt;
}

/* ---- transactions -------------------------------------------------------- */

/* The same for those that are alike. */
static uint32_t
hash_of(const struct onward *o)
{
	uint32_t hash = add(add(HASH_START, o->mail_from), o->identity);
	uint8_t room[NEXTHOP_HOST_MAX];
	struct buf ascii = BUF_ON(room);

	hash = add(add(hash, o->before), o->from_address);
	if (o->hop->scheme != SCHEME_MX)
		return hash;
	if (idn_is_ascii(o->domain))
		return add(hash, o->domain);
	return idn_to_ascii(o->domain, &ascii) ? add(hash, buf_bytes(&ascii))
	    : hash;
}

static bool
is_like(const struct onward *a, const struct onward *b)
{
	return nexthop_is_same(a->hop, a->domain, b->hop, b->domain) &&
	    bytes_eq(a->mail_from, b->mail_from) &&
	    bytes_eq(a->identity, b->identity) &&
	    bytes_eq(a->before, b->before) &&
	    bytes_eq(a->from_address, b->from_address);
}

struct onward *
relay_index_onward(const struct relay *r, struct onward *like)
{
	struct onward *o;

	like->hash = hash_of(like);
	o = r->by_way[like->hash % RELAY_CHAINS];
	while (o != NULL && (o->hash != like->hash || !is_like(o, like)))
		o = o->chained;
	return o;
}

void
relay_index_asked(struct relay *r, struct onward *o)
{
	struct onward **chain;

	o->hash = hash_of(o);
	chain = &r->by_way[o->hash % RELAY_CHAINS];
	o->chained = *chain;
	*chain = o;
	*r->asked_end = o;
	r->asked_end = &o->next;
	r->n_asked++;
}
