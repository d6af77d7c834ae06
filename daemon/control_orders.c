/*
 * Orders over the control socket. This process alone can write them, and tells
 * them in the log; they are carried out by whoever reads them.
 */
#include "daemon/control.h"

#include <stdlib.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/orders_command.h"
#include "daemon/orders_tell.h"

#define LIST_MAX (128U << 10)

struct control_orders {
	struct loop *loop;
	const struct config *config;
	struct orders *orders;
	struct loop_timer *timer;	/* of what is to be told next */
	struct orders_told told;
};

static void
tell(void *arg)
{
	struct control_orders *o = arg;
	int64_t now_ms = loop_now_ms(o->loop);
	int64_t next_ms = orders_tell(&o->told, o->orders, now_ms,
	    loop_time_s(o->loop));

	if (next_ms == INT64_MAX)
		loop_timer_stop(o->timer);
	else
		loop_timer_start(o->timer, next_ms <= now_ms ? 1 :
		    next_ms - now_ms);
}

struct control_orders *
control_orders_new(struct loop *l, const struct worker_env *env, int fd)
{
	struct control_orders *o = calloc(1, sizeof(*o));

	if (o != NULL) {
		o->loop = l;
		o->config = env->config;
		o->orders = fd < 0 ? NULL : orders_open(fd);
		o->timer = loop_timer_new(l, tell, o);
	}
	if (fd >= 0)
		close(fd);
	if (o == NULL || o->orders == NULL || o->timer == NULL) {
		log_line(LOG_ERROR_, "no orders can be given: %m");
		control_orders_free(&o);
		return NULL;
	}
	orders_trim(o->orders, o->config);
	tell(o);
	return o;
}

void
control_orders_free(struct control_orders **op)
{
	struct control_orders *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	loop_timer_free(&o->timer);
	free(o);
}

/* What is in force by now. */
static void
list(const struct control_call *c)
{
	struct control_orders *o = c->control->orders;
	struct buf out = {malloc(LIST_MAX), 0, LIST_MAX, false};
	struct bytes rest;

	if (out.p == NULL)
		return;
	orders_list(o->orders, loop_now_ms(o->loop), &out);
	rest = buf_bytes(&out);
	if (rest.n == 0)
		control_say(c, "no orders are in force\n");
	while (rest.n != 0) {
		struct bytes line = bytes_cut(&rest, '\n');

		control_say(c, "%.*s\n", BYTES_FMT(line));
	}
	free(out.p);
}

void
control_orders_give(const struct control_call *c)
{
	struct control_orders *o = c->control->orders;
	char octets[600];
	struct buf why = BUF_ON(octets);
	bool is_done;

	if (o == NULL) {
		control_error(c, "this hopseald can take no orders; its log "
		    "says why");
		return;
	}
	is_done = orders_command(&(struct orders_scene){o->orders, o->config,
	    loop_now_ms(o->loop)}, c->request, &why);
	tell(o);
	if (is_done) {
		list(c);
		control_ok(c);
	} else {
		control_error(c, "%.*s", BYTES_FMT(buf_bytes(&why)));
	}
}
