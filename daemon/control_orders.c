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
#include "daemon/status.h"

#define LIST_MAX (128U << 10)	/* of all orders there can be */

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

/* Of listeners that are gone, or are others now. */
static void
drop_unfit(struct control_orders *o)
{
	const struct orders_scene s = {o->orders, o->config,
	    loop_now_ms(o->loop)};
	unsigned what;

	orders_trim(o->orders, o->config);
	for (size_t k = 0; k < o->config->n_listeners; k++) {
		const struct config_listener *l = &o->config->listeners[k];
		const char *bar = orders_take_back(&s, l, &what);

		if (bar != NULL)
			log_line(LOG_WARNING_, "listener %s can not have "
			    "verify=%s any more, it is taken back: %s",
			    l->name, orders_verify_word[what], bar);
	}
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
	drop_unfit(o);
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

/*
 * Says what is in force by now, line by line.
 *
 * Returns  how many there are
 */
static size_t
list(const struct control_call *c,
    void (*say)(const struct control_call *c, struct bytes line))
{
	struct control_orders *o = c->control->orders;
	struct buf out = {malloc(LIST_MAX), 0, LIST_MAX, false};
	struct bytes rest;
	size_t n = 0;

	if (out.p == NULL)
		return 0;
	orders_list(o->orders, loop_now_ms(o->loop), &out);
	rest = buf_bytes(&out);
	for (; rest.n != 0; n++)
		say(c, bytes_cut(&rest, '\n'));
	free(out.p);
	return n;
}

static void
say_line(const struct control_call *c, struct bytes line)
{
	control_say(c, "%.*s\n", BYTES_FMT(line));
}

static void
say_status(const struct control_call *c, struct bytes line)
{
	char text[1024];
	struct buf b = BUF_ON(text);

	buf_add_str(&b, "order");
	status_pair(&b, "text", line);
	say_line(c, buf_bytes(&b));
}

void
control_orders_status(const struct control_call *c)
{
	if (c->control->orders != NULL)
		(void)list(c, say_status);
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
		if (list(c, say_line) == 0)
			control_say(c, "no orders are in force\n");
		control_ok(c);
	} else {
		control_error(c, "%.*s", BYTES_FMT(buf_bytes(&why)));
	}
}
