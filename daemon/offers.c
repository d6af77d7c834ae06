#include "daemon/offers.h"

#include <stdlib.h>

#include "daemon/hub.h"
#include "daemon/onward.h"
#include "smtp/ehlo.h"

/* CHUNKING is between the client and us. */
#define OURS (SMTP_CAN_8BITMIME | SMTP_CAN_SMTPUTF8 | SMTP_CAN_CHUNKING | \
	SMTP_CAN_DSN)
#define NEEDS_NEXT_HOP (SMTP_CAN_8BITMIME | SMTP_CAN_SMTPUTF8 | SMTP_CAN_DSN)

struct known {
	bool is_known;
	unsigned can;
	uint64_t max_size;
};

struct offers {
	const struct config *config;
	struct known of[];	/* by number of the listener */
};

struct offers *
offers_new(const struct config *c)
{
	struct offers *o = calloc(1, sizeof(*o) +
	    c->n_listeners * sizeof(o->of[0]));

	if (o != NULL)
		o->config = c;
	return o;
}

void
offers_free(struct offers **o)
{
	free(*o);
	*o = NULL;
}

/* Whether all mail of the listener goes there. */
static bool
is_only(const struct config_listener *l)
{
	return l->routes.n == 0 && l->next_hop.scheme != SCHEME_MX;
}

void
offers_learn(struct offers *o, const struct config_next_hop *hop,
    unsigned can, uint64_t max_size)
{
	for (size_t k = 0; k < o->config->n_listeners; k++)
		if (&o->config->listeners[k].next_hop == hop)
			o->of[k] = (struct known){true, can, max_size};
}

struct offer
offers_of(const struct hub *h, const struct config_listener *l)
{
	const struct known *k = &h->offers->of[l - h->config->listeners];
	struct offer offer = {OURS, l->max_message};
	uint64_t growth = onward_growth(h, l);

	if (!k->is_known || !is_only(l))
		return offer;
	offer.can &= k->can | ~NEEDS_NEXT_HOP;
	if ((k->can & SMTP_CAN_SIZE) && k->max_size > growth &&
	    k->max_size - growth < offer.max_message)
		offer.max_message = k->max_size - growth;
	return offer;
}
