#include "daemon/memory_link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/packets.h"
#include "daemon/passfd.h"

#define QUEUE_MAX (256U * 1024)
#define ERRORS_MAX 3
#define PACKETS_A_TURN 16	/* so that the net has its turn too */

struct memory_link {
	struct loop *loop;
	const struct memory_link_calls *calls;
	void *arg;
	int channel;			/* of the master; -1: none */
	struct loop_watch *channel_watch;
	int fd;				/* of the keeper; -1: none */
	struct loop_watch *watch;
	unsigned n_errors;		/* one behind the other */
	bool is_up;			/* it said hello */
	bool is_dying;
	bool is_flush_due;
	bool is_full;			/* something was refused */
	struct packets out;
	struct loop_deferred flush;
	struct loop_deferred destroy;
};

static void
disconnect(struct memory_link *k, const char *why)
{
	bool was_up = k->is_up;

	if (why != NULL)
		log_line(LOG_ERROR_, "the keeper is gone (%s)", why);
	loop_unwatch(&k->watch);
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
	k->is_up = k->is_full = false;
	packets_clear(&k->out);
	if (was_up && !k->is_dying)
		k->calls->down(k->arg);
}

static void
take_hello(struct memory_link *k, struct bytes packet)
{
	struct memory_hello hello;

	if (packet.n != sizeof(hello)) {
		disconnect(k, "it does not say hello");
		return;
	}
	memcpy(&hello, packet.p, sizeof(hello));
	k->is_up = true;
	k->calls->up(k->arg, hello.secret);
	explicit_bzero(&hello, sizeof(hello));
}

static void
take_packet(struct memory_link *k, struct bytes packet)
{
	struct memory_response a;
	struct bytes value;
	int r = 0;

	if (!k->is_up) {
		take_hello(k, packet);
		return;
	}
	while (!k->is_dying && k->is_up &&
	    (r = memory_response_parse(&packet, &a, &value)) == 1)
		k->calls->response(k->arg, &a, value);
	if (r < 0)
		disconnect(k, "a reply that is none");
}

static void
on_ready(void *arg, unsigned what)
{
	struct memory_link *k = arg;
	uint8_t room[MEMORY_PACKET_MAX];

	(void)what;
	for (int n_taken = 0; n_taken < PACKETS_A_TURN && k->fd >= 0 &&
	    !k->is_dying; n_taken++) {
		ssize_t n = recv(k->fd, room, sizeof(room),
		    MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			continue;
		/* one that died says end of file behind its error; one that
		 * lives is not started again for us */
		if (n < 0 && (errno == EAGAIN || ++k->n_errors < ERRORS_MAX))
			break;
		k->n_errors = 0;
		if (n <= 0)
			disconnect(k, n == 0 ? "end of file" : strerror(errno));
		else if ((size_t)n > sizeof(room))
			disconnect(k, "a packet too long");
		else
			take_packet(k, (struct bytes){room, (size_t)n});
	}
	if (!k->is_dying && k->out.head != k->out.tail)
		memory_link_flush(k);
	if (!k->is_dying && k->is_up && k->is_full &&
	    k->out.head == k->out.tail) {
		k->is_full = false;
		k->calls->room(k->arg);
	}
}

/* The last keeper that was started is the one that counts. */
static void
connect_to(struct memory_link *k, int fd)
{
	disconnect(k, NULL);
	k->fd = fd;
	k->watch = loop_watch(k->loop, fd, on_ready, k);
	if (k->watch == NULL)
		disconnect(k, "no memory");
	else
		loop_want(k->watch, LOOP_READ);
}

static void
on_channel(void *arg, unsigned what)
{
	struct memory_link *k = arg;
	bool is_over;
	int fd = passfd_take(k->channel, &is_over);

	(void)what;
	if (fd >= 0)
		connect_to(k, fd);
	if (is_over)	/* the master is gone; the keeper may serve on */
		loop_unwatch(&k->channel_watch);
}

struct memory_link *
memory_link_new(struct loop *l, int channel,
    const struct memory_link_calls *calls, void *arg)
{
	struct memory_link *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	*k = (struct memory_link){.loop = l, .calls = calls, .arg = arg,
	    .channel = channel, .fd = -1};
	if (packets_init(&k->out, QUEUE_MAX) != 0)
		goto fail;
	if (channel >= 0) {
		k->channel_watch = loop_watch(l, channel, on_channel, k);
		if (k->channel_watch == NULL)
			goto fail;
		loop_want(k->channel_watch, LOOP_READ);
	}
	return k;
fail:
	packets_fini(&k->out);
	free(k);
	return NULL;
}

static void
destroy(void *arg)
{
	struct memory_link *k = arg;	/* flush() was before us */

	packets_fini(&k->out);
	free(k);
}

void
memory_link_free(struct memory_link **kp)
{
	struct memory_link *k = *kp;

	if (k == NULL)
		return;
	*kp = NULL;
	memory_link_flush(k);
	k->is_dying = true;
	disconnect(k, NULL);
	loop_unwatch(&k->channel_watch);
	if (k->channel >= 0)
		close(k->channel);
	loop_defer(k->loop, &k->destroy, destroy, k);
}

void
memory_link_wait(struct memory_link *k, int ms)
{
	struct pollfd p = {k->channel, POLLIN, 0};

	if (k->channel < 0 || poll(&p, 1, ms) <= 0)
		return;
	on_channel(k, LOOP_READ);
	p.fd = k->fd;
	if (k->fd >= 0 && poll(&p, 1, ms) > 0)
		on_ready(k, LOOP_READ);
}

void
memory_link_flush(struct memory_link *k)
{
	int r;

	if (!k->is_up || k->is_dying)
		return;
	r = packets_send(&k->out, k->fd);
	/* where it is gone now the watch will say so: later */
	loop_want(k->watch, r == 0 ? LOOP_READ : LOOP_READ | LOOP_WRITE);
}

static void
flush(void *arg)
{
	struct memory_link *k = arg;

	k->is_flush_due = false;
	memory_link_flush(k);
}

bool
memory_link_put(struct memory_link *k, const struct memory_request *q,
    struct bytes value)
{
	struct bytes head = {(const uint8_t *)q, sizeof(*q)};

	if (!k->is_up)
		return false;
	if (!packets_add(&k->out, head, value)) {
		k->is_full = true;
		return false;
	}
	if (!k->is_flush_due) {
		k->is_flush_due = true;
		loop_defer(k->loop, &k->flush, flush, k);
	}
	return true;
}
