#include "daemon/proxied.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct proxied {
	struct loop *loop;
	struct loop_watch *watch;
	struct loop_timer *timer;
	struct loop_deferred deferred;
	int fd;
	struct smtp_proxyproto header;
	proxied_call *call;
	void *arg;
};

static void
destroy(void *arg)
{
	struct proxied *p = arg;

	loop_timer_free(&p->timer);
	free(p);
}

/* What is left of it goes after this turn of the loop. */
static void
leave(struct proxied *p)
{
	if (p->timer != NULL)
		loop_timer_stop(p->timer);
	loop_unwatch(&p->watch);
	loop_defer(p->loop, &p->deferred, destroy, p);
}

static void
end(struct proxied *p, bool is_good)
{
	leave(p);
	if (!is_good)
		close(p->fd);
	p->call(p->arg, is_good ? p->fd : -1, is_good ? &p->header : NULL);
}

/*
 * Looks at what has come, and takes what belongs to the header: so the socket
 * is not readable any more while the rest of it is awaited.
 */
static void
ready(void *arg, unsigned what)
{
	struct proxied *p = arg;
	enum smtp_proxyproto_step step;
	uint8_t octets[512];
	struct bytes in = {octets, 0};
	ssize_t n = recv(p->fd, octets, sizeof(octets), MSG_PEEK);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		end(p, false);
		return;
	}
	in.n = (size_t)n;
	step = smtp_proxyproto_read(&p->header, &in);
	if (recv(p->fd, octets, (size_t)n - in.n, 0) != n - (ssize_t)in.n)
		step = SMTP_PROXYPROTO_BAD;
	if (step != SMTP_PROXYPROTO_MORE)
		end(p, step == SMTP_PROXYPROTO_READY);
}

static void
timeout(void *arg)
{
	end(arg, false);
}

struct proxied *
proxied_new(struct loop *l, int fd, int64_t timeout_ms, proxied_call *call,
    void *arg)
{
	struct proxied *p = calloc(1, sizeof(*p));

	if (p == NULL) {
		close(fd);
		return NULL;
	}
	p->loop = l;
	p->fd = fd;
	p->call = call;
	p->arg = arg;
	smtp_proxyproto_init(&p->header);
	p->timer = loop_timer_new(l, timeout, p);
	p->watch = loop_watch(l, fd, ready, p);
	if (p->timer == NULL || p->watch == NULL) {
		proxied_kill(&p);
		return NULL;
	}
	loop_timer_start(p->timer, timeout_ms);
	loop_want(p->watch, LOOP_READ);
	return p;
}

void
proxied_kill(struct proxied **pp)
{
	struct proxied *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	leave(p);
	close(p->fd);
}
