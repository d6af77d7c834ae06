/* Mail to return addresses that we made (product.md, Fail well). */
#include "daemon/relay_state.h"

#include <stdio.h>

bool
relay_is_return(const struct relay *r)
{
	return r->rcpts != NULL && r->rcpts->out.is_return;
}

const struct config_listener *
relay_return_way(const struct relay *r)
{
	return r->listener->returns != NULL ? r->listener->returns
	    : r->listener;
}

void
relay_return_ask(struct relay *r)
{
	static const struct memory_reply out = {.status = MEMORY_OUT};

	r->is_returning = true;
	if (memory_return_find(r->hub->memory, r->said->out.token,
	    r->tag | RELAY_RETURN_PART) != 0)
		relay_rcpt_returned(r, &out);
}

/*
 * It is passed on as it is, and never signed: a bounce that we signed would be
 * believed where mail to our domain bounces (draft 16.4).
 */
void
relay_return_decide(const struct relay *r, struct decision *d)
{
	*d = (struct decision){.kind = DECIDE_REFUSE, .code = 550,
	    .enhanced = "5.7.1"};
	if (relay_return_way(r)->legacy_bounce_in == LEGACY_BOUNCE_IN_REFUSE) {
		snprintf(d->text, sizeof(d->text),
		    "Bounces without DKIM2 are not taken for this address");
	} else {
		d->kind = DECIDE_PASS;
	}
}
