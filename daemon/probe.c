#include "daemon/probe.h"

#include <stdlib.h>

#include "daemon/outbound.h"

#define PATIENCE_MS 1000

struct asking {
	struct probe *probe;
	struct outbound *outbound;	/* NULL: it has answered */
};

struct probe {
	struct hub *hub;
	size_t n_asking;
	struct loop_timer *timer;	/* until asked() */
	loop_call *asked;
	void *arg;
	size_t n;			/* listeners */
	struct asking asking[];
};

static void
tell(void *arg)
{
	struct probe *p = arg;
	loop_call *asked = p->asked;

	p->asked = NULL;
	if (asked != NULL)
		asked(p->arg);
}

struct probe *
probe_new(struct hub *h)
{
	size_t n = h->config->n_listeners;
	struct probe *p = calloc(1, sizeof(*p) + n * sizeof(p->asking[0]));

	if (p == NULL)
		return NULL;
	p->hub = h;
	p->n = n;
	p->timer = loop_timer_new(h->loop, tell, p);
	if (p->timer == NULL) {
		free(p);
		return NULL;
	}
	return p;
}

void
probe_free(struct probe **pp)
{
	struct probe *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	for (size_t k = 0; k < p->n; k++)
		outbound_free(&p->asking[k].outbound);
	loop_timer_free(&p->timer);
	free(p);
}

/* It has greeted, and is known by now, or does not talk to us. */
static void
on_answer(void *arg, enum outbound_event what)
{
	struct asking *a = arg;

	(void)what;
	outbound_free(&a->outbound);
	if (--a->probe->n_asking == 0)
		loop_timer_start(a->probe->timer, 0);
}

static void
ask(struct probe *p, struct asking *a, const struct config_listener *l)
{
	const struct outbound_destination to = {.hop = &l->next_hop};

	a->outbound = outbound_new(p->hub, l, &to);
	if (a->outbound == NULL)
		return;
	a->probe = p;
	p->n_asking++;
	outbound_owner(a->outbound, on_answer, a);
	outbound_probe(a->outbound);
}

void
probe_start(struct probe *p, loop_call *asked, void *arg)
{
	const struct config_listener *l = p->hub->config->listeners;

	p->asked = asked;
	p->arg = arg;
	for (size_t k = 0; k < p->n; k++, l++)
		if (l->next_hop.scheme != SCHEME_MX && l->routes.n == 0)
			ask(p, &p->asking[k], l);
	loop_timer_start(p->timer, p->n_asking == 0 ? 0 : PATIENCE_MS);
}
