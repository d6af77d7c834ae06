#include "daemon/control.h"

#include "base/version.h"
#include "daemon/control_status.h"

static void
reload(const struct control_call *c)
{
	control_ask_master(c, CONTROL_OP_RELOAD);
}

static void help(const struct control_call *c);

/* By name; what `hopseal` offers under the same one. */
static const struct control_verb verbs[] = {
	{"bypass", "LISTENER on [SECONDS] | off", 2, 3, control_orders_give},
	{"debug", "NETWORK [SECONDS | off] | off", 1, 2, control_orders_give},
	{"drain", "LISTENER [SECONDS]", 1, 2, control_orders_give},
	{"help", "", 0, 0, help},
	{"pause", "LISTENER [SECONDS]", 1, 2, control_orders_give},
	{"reload", "", 0, 0, reload},
	{"resume", "LISTENER", 1, 1, control_orders_give},
	{"set", "LISTENER verify WORD [SECONDS]", 3, 4, control_orders_give},
	{"status", "", 0, 0, control_status},
};

#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void
help(const struct control_call *c)
{
	for (size_t k = 0; k < N_VERBS; k++)
		control_say(c, "%s%s%s\n", verbs[k].name,
		    verbs[k].usage[0] == '\0' ? "" : " ", verbs[k].usage);
	control_ok(c);
}

void
control_verbs_run(const struct control_call *c)
{
	const struct control_request *r = c->request;

	for (size_t k = 0; k < N_VERBS; k++) {
		const struct control_verb *v = verbs + k;

		if (!control_word_is(r->verb, v->name))
			continue;
		if (r->n_args < v->min || r->n_args > v->max)
			control_error(c, "it is %s%s%s", v->name,
			    v->usage[0] == '\0' ? "" : " ", v->usage);
		else
			v->fn(c);
		return;
	}
	control_error(c, "no verb %.*s in this hopseald (" HOPSEAL_VERSION ")",
	    BYTES_FMT(bytes_first(r->verb, 64)));
}
