#include "daemon/queue_control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "daemon/log.h"

/* How long the socket is left alone when descriptors ran out. */
#define REST_MS 1000

struct peer {
	struct queue_control *control;
	int fd;				/* -1: nobody */
	struct loop_watch *watch;
	struct loop_timer *idle;
};

struct queue_control {
	struct loop *loop;
	struct queue_run *run;
	int folder;
	int fd;
	struct stat made;		/* the socket, by its name */
	struct loop_watch *watch;
	struct loop_timer *rest;
	struct peer peers[QUEUE_CONTROL_PEERS];
};

static void
drop(struct peer *p)
{
	loop_unwatch(&p->watch);
	loop_timer_stop(p->idle);
	close(p->fd);
	p->fd = -1;
}

static void
on_idle(void *arg)
{
	drop(arg);
}

/* Text of one line: what could be taken for more is no request. */
static bool
is_text(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		if (b.p[k] < ' ' || b.p[k] > '~')
			return false;
	return true;
}

static void
answer(struct peer *p, struct bytes request)
{
	uint8_t octets[QUEUE_COMMAND_MAX];
	struct buf out = BUF_ON(octets);

	if (is_text(request))
		queue_run_command(p->control->run, request, &out);
	else
		buf_add_str(&out, "error no such request");
	if (send(p->fd, out.p, out.n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		drop(p);
	else
		loop_timer_start(p->idle, QUEUE_CONTROL_IDLE_MS);
}

static void
on_request(void *arg, unsigned what)
{
	struct peer *p = arg;
	uint8_t octets[QUEUE_COMMAND_MAX];
	ssize_t n = recv(p->fd, octets, sizeof(octets),
	    MSG_DONTWAIT | MSG_TRUNC);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || (size_t)n > sizeof(octets))
		drop(p);
	else
		answer(p, (struct bytes){octets, (size_t)n});
}

static bool
is_let_in(int fd)
{
	struct ucred who;
	socklen_t n = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 &&
	    (who.uid == 0 || who.uid == geteuid());
}

static void
welcome(struct queue_control *c, int fd)
{
	for (size_t k = 0; k < QUEUE_CONTROL_PEERS && is_let_in(fd); k++) {
		struct peer *p = &c->peers[k];

		if (p->fd >= 0)
			continue;
		p->watch = loop_watch(c->loop, fd, on_request, p);
		if (p->watch == NULL)
			break;
		p->fd = fd;
		loop_want(p->watch, LOOP_READ);
		loop_timer_start(p->idle, QUEUE_CONTROL_IDLE_MS);
		return;
	}
	close(fd);
}

static void
on_ready(void *arg, unsigned what)
{
	struct queue_control *c = arg;
	int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	if (fd >= 0) {
		welcome(c, fd);
	} else if (errno != EAGAIN && errno != EINTR &&
	    errno != ECONNABORTED) {
		log_line(LOG_ERROR_, "queue: control socket: accept: %m");
		loop_want(c->watch, 0);
		loop_timer_start(c->rest, REST_MS);
	}
}

static void
rested(void *arg)
{
	struct queue_control *c = arg;

	loop_want(c->watch, LOOP_READ);
}

/* By the folder that is open: paths of sockets are short. */
static void
name_socket(const struct queue_control *c, struct sockaddr_un *sun)
{
	*sun = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(sun->sun_path, sizeof(sun->sun_path),
	    "/proc/self/fd/%d/control", c->folder);
}

static bool
make_socket(struct queue_control *c, const char *state)
{
	struct sockaddr_un sun;
	char path[4096];
	mode_t mask;
	int r;

	snprintf(path, sizeof(path), "%s/queue", state);
	c->folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (c->folder < 0)
		return false;
	name_socket(c, &sun);
	if (unlinkat(c->folder, "control", 0) != 0 && errno != ENOENT)
		return false;
	c->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (c->fd < 0)
		return false;
	mask = umask(0177);
	r = bind(c->fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(mask);
	return r == 0 && fstatat(c->folder, "control", &c->made,
	    AT_SYMLINK_NOFOLLOW) == 0 && listen(c->fd, 16) == 0;
}

static bool
watch_all(struct queue_control *c)
{
	c->rest = loop_timer_new(c->loop, rested, c);
	c->watch = loop_watch(c->loop, c->fd, on_ready, c);
	if (c->rest == NULL || c->watch == NULL)
		return false;
	for (size_t k = 0; k < QUEUE_CONTROL_PEERS; k++) {
		struct peer *p = &c->peers[k];

		p->idle = loop_timer_new(c->loop, on_idle, p);
		if (p->idle == NULL)
			return false;
	}
	loop_want(c->watch, LOOP_READ);
	return true;
}

struct queue_control *
queue_control_new(struct loop *l, const char *state, struct queue_run *run)
{
	struct queue_control *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->loop = l;
	c->run = run;
	c->folder = -1;
	c->fd = -1;
	for (size_t k = 0; k < QUEUE_CONTROL_PEERS; k++)
		c->peers[k] = (struct peer){.control = c, .fd = -1};
	if (!make_socket(c, state) || !watch_all(c)) {
		log_line(LOG_ERROR_, "queue: the control socket "
		    "%s/queue/control can not be made: %m", state);
		queue_control_free(&c);
	}
	return c;
}

/* Only ours: another process may have made its own by now. */
static void
remove_socket(const struct queue_control *c)
{
	struct stat st;

	if (c->made.st_ino != 0 && fstatat(c->folder, "control", &st,
	        AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == c->made.st_ino &&
	    st.st_dev == c->made.st_dev)
		(void)unlinkat(c->folder, "control", 0);
}

void
queue_control_free(struct queue_control **cp)
{
	struct queue_control *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	for (size_t k = 0; k < QUEUE_CONTROL_PEERS; k++) {
		if (c->peers[k].fd >= 0)
			drop(&c->peers[k]);
		loop_timer_free(&c->peers[k].idle);
	}
	loop_unwatch(&c->watch);
	loop_timer_free(&c->rest);
	if (c->folder >= 0)
		remove_socket(c);
	if (c->fd >= 0)
		close(c->fd);
	if (c->folder >= 0)
		close(c->folder);
	free(c);
}
