#include "daemon/http.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "config/value.h"
#include "daemon/metrics.h"

/* evhttp's own bounds, beyond what we refuse ourselves in better words. */
#define HEADER_CUT (4 * HTTP_HEADER_MAX)
#define BODY_MAX 4096
#define SWEEP_MS 500
#define LEAVE_SWEEP_MS 20

#define METHODS (EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | \
    EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | \
    EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH)

/* A connection: evhttp has it, and we end it when its time is up. */
struct visit {
	struct bufferevent *socket;	/* one use of it is ours */
	int64_t until_ms;
	struct visit *next;
};

struct http {
	struct loop *loop;
	struct evhttp *evhttp;
	const char *hostname;
	http_page *page;
	void *arg;
	struct visit *visits;
	struct loop_timer *sweeper;
	loop_call *left;		/* leaving; NULL: not, or told */
	void *left_arg;
};

/* ---- connections --------------------------------------------------------- */

/* evhttp tells nobody that it has freed one; its calls are gone then. */
static bool
is_over(const struct visit *v)
{
	bufferevent_event_cb call;

	bufferevent_getcb(v->socket, NULL, NULL, &call, NULL);
	return call == NULL;
}

/* Forgets what is over, and hangs up on whose time is: evhttp sees the end of
 * the connection, and frees it. Returns how many are left. */
static unsigned
sweep(struct http *h)
{
	int64_t now = loop_now_ms(h->loop);
	struct visit **at = &h->visits;
	unsigned n = 0;

	while (*at != NULL) {
		struct visit *v = *at;

		if (is_over(v)) {
			*at = v->next;
			bufferevent_decref(v->socket);
			free(v);
			continue;
		}
		if (v->until_ms <= now)
			shutdown(bufferevent_getfd(v->socket), SHUT_RDWR);
		n++;
		at = &v->next;
	}
	return n;
}

static void
on_sweep(void *arg)
{
	struct http *h = arg;
	loop_call *left = h->left;

	if (sweep(h) != 0) {
		loop_timer_start(h->sweeper, left != NULL ? LEAVE_SWEEP_MS :
		    SWEEP_MS);
		return;
	}
	h->left = NULL;
	if (left != NULL)
		left(h->left_arg);
}

/*
 * evhttp has neither a bound of connections nor one of their time. Who comes
 * too many is hung up on at once. The descriptor is closed with our use of the
 * socket and not before: until then the loop knows it.
 */
static struct bufferevent *
on_connect(struct event_base *base, void *arg)
{
	struct http *h = arg;
	bool is_one_more = sweep(h) < HTTP_CONNECTIONS;
	struct visit *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return NULL;
	v->socket = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (v->socket == NULL) {
		free(v);
		return NULL;
	}
	bufferevent_incref(v->socket);
	v->until_ms = loop_now_ms(h->loop) +
	    (is_one_more ? HTTP_DEADLINE_MS : 0);
	v->next = h->visits;
	h->visits = v;
	loop_timer_start(h->sweeper, is_one_more ? SWEEP_MS : 0);
	return v->socket;
}

/* ---- requests ------------------------------------------------------------ */

static bool
is_long(struct evhttp_request *q)
{
	size_t n = strlen(evhttp_request_get_uri(q));
	const struct evkeyval *k;

	TAILQ_FOREACH(k, evhttp_request_get_input_headers(q), next)
		n += strlen(k->key) + strlen(k->value) + 4;
	return n > HTTP_HEADER_MAX;
}

/* An address is nobody else's name for us. */
static bool
is_for_us(const struct http *h, struct evhttp_request *q)
{
	const char *host = evhttp_request_get_host(q);
	struct bytes name;
	uint8_t ip[16];

	if (host == NULL)
		return true;
	name = bytes_of(host);
	if (name.n > 2 && name.p[0] == '[')
		name = (struct bytes){name.p + 1, name.n - 2};
	return bytes_case_eq(name, BYTES_LIT("localhost")) ||
	    bytes_case_eq(name, bytes_of(h->hostname)) ||
	    config_value_ip(name, ip);
}

static int
refusal(const struct http *h, struct evhttp_request *q)
{
	enum evhttp_cmd_type how = evhttp_request_get_command(q);

	if (is_long(q))
		return 431;
	if (how != EVHTTP_REQ_GET && how != EVHTTP_REQ_HEAD)
		return 405;
	return is_for_us(h, q) ? 0 : 421;
}

static int
write_page(const struct http *h, struct evhttp_request *q, struct buf *out)
{
	const char *path = evhttp_uri_get_path(
	    evhttp_request_get_evhttp_uri(q));
	int code = h->page(h->arg, path == NULL ? "" : path, out);

	if (!out->full)
		return code;
	out->n = 0;
	out->full = false;
	buf_add_str(out, "the page is too long\n");
	return 500;
}

static const struct {
	int code;
	const char *reason;
	const char *text;
} told[] = {
	{200, "OK", ""},
	{404, "Not Found", "there are /metrics, /healthz and /readyz\n"},
	{405, "Method Not Allowed", "GET and HEAD alone\n"},
	{421, "Misdirected Request", "that is no name of this host\n"},
	{431, "Request Header Fields Too Large", "that is too long\n"},
	{503, "Service Unavailable", ""},
	{500, "Internal Server Error", ""},	/* the last: of all else */
};

static void
answer(struct evhttp_request *q, int code, struct buf *out)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(q);
	bool is_head = evhttp_request_get_command(q) == EVHTTP_REQ_HEAD;
	size_t k = 0;
	char length[24];

	while (told[k].code != code && told[k].code != 500)
		k++;
	if (out->n == 0)
		buf_add_str(out, told[k].text);
	snprintf(length, sizeof(length), "%zu", out->n);
	evhttp_add_header(headers, "Content-Type",
	    "text/plain; version=0.0.4; charset=utf-8");
	evhttp_add_header(headers, "Content-Length", length);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	evhttp_add_header(headers, "Connection", "close");
	if (code == 405)
		evhttp_add_header(headers, "Allow", "GET, HEAD");
	if (!is_head)
		evbuffer_add(evhttp_request_get_output_buffer(q), out->p,
		    out->n);
	metrics_count(METRIC_SCRAPES, code == 200 || code == 503 ? SCRAPE_OK :
	    SCRAPE_REFUSED, 0);
	evhttp_send_reply(q, told[k].code, told[k].reason, NULL);
}

static void
on_request(struct evhttp_request *q, void *arg)
{
	const struct http *h = arg;
	struct buf out = {malloc(HTTP_PAGE_MAX), 0, HTTP_PAGE_MAX, false};
	int code;

	if (out.p == NULL) {
		evhttp_send_error(q, 500, NULL);
		return;
	}
	code = refusal(h, q);
	if (code == 0)
		code = write_page(h, q, &out);
	answer(q, code, &out);
	free(out.p);
}

/* ---- from outside -------------------------------------------------------- */

struct http *
http_new(struct loop *l, const char *hostname, http_page *page, void *arg)
{
	struct http *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->loop = l;
	h->hostname = hostname;
	h->page = page;
	h->arg = arg;
	h->sweeper = loop_timer_new(l, on_sweep, h);
	h->evhttp = evhttp_new(loop_base(l));
	if (h->evhttp == NULL || h->sweeper == NULL) {
		http_free(&h);
		return NULL;
	}
	evhttp_set_max_headers_size(h->evhttp, HEADER_CUT);
	evhttp_set_max_body_size(h->evhttp, BODY_MAX);
	evhttp_set_allowed_methods(h->evhttp, METHODS);
	evhttp_set_timeout(h->evhttp, HTTP_DEADLINE_MS / 1000);
	evhttp_set_bevcb(h->evhttp, on_connect, h);
	evhttp_set_gencb(h->evhttp, on_request, h);
	return h;
}

int
http_listen(struct http *h, int fd)
{
	if (evhttp_accept_socket(h->evhttp, fd) == 0)
		return 0;
	close(fd);
	return -E_NOMEM;
}

static void
stop_listening(struct evhttp_bound_socket *s, void *arg)
{
	(void)arg;
	evconnlistener_disable(evhttp_bound_socket_get_listener(s));
}

void
http_leave(struct http *h, loop_call *left, void *arg)
{
	int64_t until_ms = loop_now_ms(h->loop) + HTTP_LEAVE_MS;

	evhttp_foreach_bound_socket(h->evhttp, stop_listening, NULL);
	for (struct visit *v = h->visits; v != NULL; v = v->next)
		if (v->until_ms > until_ms)
			v->until_ms = until_ms;
	h->left = left;
	h->left_arg = arg;
	loop_timer_start(h->sweeper, 0);
}

void
http_free(struct http **hp)
{
	struct http *h = *hp;

	*hp = NULL;
	if (h == NULL)
		return;
	if (h->evhttp != NULL)
		evhttp_free(h->evhttp);
	sweep(h);			/* evhttp has ended them all */
	loop_timer_free(&h->sweeper);
	free(h);
}
