/* What the operator orders for a while, and one transaction (orders.h). */
#include "daemon/relay_state.h"

bool
relay_take_orders(struct relay *r)
{
	const struct orders_now now = orders_now(r->hub->env->orders,
	    r->listener, loop_now_ms(r->hub->loop));

	r->verify_as = now.verify;
	r->is_bypassed = now.is_bypassed;
	return !now.is_paused;
}

const struct dkim2_result *
relay_result(const struct relay *r)
{
	return r->verify_as == VERIFY_OFF ? NULL :
	    dkim2_verify_result(r->verify);
}
