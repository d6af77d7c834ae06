#include "daemon/control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/control_status.h"
#include "daemon/log.h"
#include "daemon/pages.h"

/* ---- answers ------------------------------------------------------------- */

void
control_say(const struct control_call *c, const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= sizeof(text))
		n = sizeof(text) - 1;
	control_peer_text(c->peer, (struct bytes){(uint8_t *)text, (size_t)n});
}

void
control_ok(const struct control_call *c)
{
	control_peer_end(c->peer, BYTES_LIT("ok"));
}

void
control_error(const struct control_call *c, const char *fmt, ...)
{
	char text[CONTROL_REQUEST_MAX] = "error ";
	const size_t head = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text + head, sizeof(text) - head, fmt, ap);
	va_end(ap);
	control_peer_end(c->peer, bytes_of(text));
}

/* ---- the master ---------------------------------------------------------- */

static void
end_waiting(struct control_waiting *w, struct bytes end)
{
	struct control_peer *p = w->peer;

	loop_timer_stop(w->limit);
	w->peer = NULL;
	control_peer_end(p, end);
}

static void
on_limit(void *arg)
{
	end_waiting(arg, BYTES_LIT("error hopseald does not say what became "
	    "of it; its log does"));
}

void
control_ask_master(const struct control_call *call, enum control_op op)
{
	struct control *c = call->control;
	struct control_ask ask = {op, ++c->ticket};
	struct control_waiting *w = c->waiting;

	if (c->master < 0 || send(c->master, &ask, sizeof(ask), MSG_NOSIGNAL |
	    MSG_DONTWAIT) != (ssize_t)sizeof(ask)) {
		control_peer_end(call->peer, BYTES_LIT("again"));
		return;
	}
	while (w->peer != NULL)		/* a peer waits for one thing */
		w++;
	w->peer = call->peer;
	w->op = op;
	w->ticket = ask.ticket;
	loop_timer_start(w->limit, CONTROL_WAIT_MS);
}

static void
on_told(struct control *c, const struct control_told *t, struct bytes text)
{
	for (size_t k = 0; k < CONTROL_PEERS; k++) {
		struct control_waiting *w = c->waiting + k;

		if (w->peer == NULL || w->op != t->op ||
		    w->ticket > t->ticket || (w->ticket < t->ticket &&
		    t->op != CONTROL_OP_RELOAD))
			continue;
		control_peer_text(w->peer, text);
		end_waiting(w, t->is_done ? BYTES_LIT("ok") :
		    BYTES_LIT("error the old configuration goes on"));
	}
}

static void
on_left(void *arg)
{
	struct control *c = arg;

	if (--c->n_leaving == 0)
		loop_stop(c->loop);
}

/* Nothing more is told: the next process is to be asked. Who was let in by
 * HTTP has his answer from this one. */
static void
leave(struct control *c)
{
	loop_unwatch(&c->master_watch);
	close(c->master);
	c->master = -1;
	for (size_t k = 0; k < CONTROL_PEERS; k++)
		if (c->waiting[k].peer != NULL)
			end_waiting(c->waiting + k, BYTES_LIT("again"));
	c->n_leaving = c->pages != NULL ? 2 : 1;
	if (c->pages != NULL)
		pages_leave(c->pages, on_left, c);
	control_socket_leave(c->socket, on_left, c);
}

static void
on_master(void *arg, unsigned what)
{
	struct control *c = arg;
	struct control_told t;
	static uint8_t text[CONTROL_TOLD_MAX];
	struct iovec parts[2] = {{&t, sizeof(t)}, {text, sizeof(text)}};
	struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
	ssize_t n = recvmsg(c->master, &m, MSG_DONTWAIT);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < (ssize_t)sizeof(t))
		leave(c);
	else
		on_told(c, &t, (struct bytes){text, (size_t)n - sizeof(t)});
}

/* ---- the process --------------------------------------------------------- */

/* control_request */
static void
on_request(void *arg, struct control_peer *p, struct bytes packet)
{
	struct control_request r;
	const struct control_call call = {arg, p, &r};

	if (control_request_parse(packet, &r))
		control_verbs_run(&call);
	else
		control_error(&call, "no such request: words with one space "
		    "between them");
}

static int
setup(struct control *c, int listens, struct control_past *past)
{
	c->loop = loop_new();
	if (c->loop == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < CONTROL_PEERS; k++) {
		c->waiting[k].limit = loop_timer_new(c->loop, on_limit,
		    c->waiting + k);
		if (c->waiting[k].limit == NULL)
			return -E_NOMEM;
	}
	c->master_watch = loop_watch(c->loop, c->master, on_master, c);
	c->socket = control_socket_new(c->loop, listens, on_request, c);
	c->samples = control_samples_new(c->loop, past);
	if (c->master_watch == NULL || c->socket == NULL || c->samples == NULL)
		return -E_NOMEM;
	loop_want(c->master_watch, LOOP_READ);
	c->pages = pages_new(c->loop, c->env);	/* or without it */
	return 0;
}

int
control_serve(const struct worker_env *env, const int64_t *certificates,
    struct control_past *past, int orders, int listens, int master)
{
	struct control c = {.env = env, .master = master,
	    .certificates = certificates};
	int r = setup(&c, listens, past);

	if (r == 0)
		c.orders = control_orders_new(c.loop, env, orders);
	if (r == 0)
		loop_run(c.loop);
	else
		log_line(LOG_ERROR_, "cannot start: %s", err_text(r));
	pages_free(&c.pages);
	control_socket_free(&c.socket);
	control_samples_free(&c.samples);
	control_orders_free(&c.orders);
	loop_unwatch(&c.master_watch);
	for (size_t k = 0; k < CONTROL_PEERS; k++)
		loop_timer_free(&c.waiting[k].limit);
	loop_free(&c.loop);
	return r == 0 ? 0 : EX_OSERR;
}
