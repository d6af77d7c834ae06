#include "daemon/control_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "base/err.h"
#include "daemon/log.h"

/* How long the socket is left alone when descriptors ran out. */
#define REST_MS 1000
/* Octets of text in a packet. */
#define PIECE 4000U

struct control_peer {
	struct control_socket *socket;
	int fd;				/* -1: nobody */
	struct loop_watch *watch;
	struct loop_timer *idle;
	bool is_asking;			/* its request has no answer yet */
	bool is_answering;		/* the answer is being sent */
	bool is_last;			/* nothing more is taken from it */
	struct buf text;		/* of the answer; p is the heap's */
	size_t at;			/* what of it was sent */
	bool is_cut;			/* not all text could be kept */
	uint8_t end[CONTROL_REQUEST_MAX];
	size_t n_end;
};

struct control_socket {
	struct loop *loop;
	int fd;
	control_request *take;
	void *arg;
	struct loop_watch *watch;
	struct loop_timer *rest;
	struct loop_timer *leave;
	loop_call *left;		/* leaving; NULL: not, or told */
	void *left_arg;
	struct control_peer peers[CONTROL_PEERS];
};

/* ---- its place ----------------------------------------------------------- */

static int
bind_in(struct control_place *p)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct stat st;
	mode_t mask;
	int r;

	/* by the folder that is open: paths of sockets are short */
	snprintf(sun.sun_path, sizeof(sun.sun_path),
	    "/proc/self/fd/%d/control", p->folder);
	if (unlinkat(p->folder, "control", 0) != 0 && errno != ENOENT)
		return -E_SYSTEM;
	p->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (p->fd < 0)
		return -E_SYSTEM;
	mask = umask(0177);
	r = bind(p->fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(mask);
	if (r != 0 || fstatat(p->folder, "control", &st,
	    AT_SYMLINK_NOFOLLOW) != 0)
		return -E_SYSTEM;
	p->device = st.st_dev;
	p->inode = st.st_ino;
	return listen(p->fd, CONTROL_PEERS) == 0 ? 0 : -E_SYSTEM;
}

static void
close_place(struct control_place *p)
{
	if (p->fd >= 0)
		close(p->fd);
	if (p->folder >= 0)
		close(p->folder);
	*p = CONTROL_NOWHERE;
}

int
control_place_bind(struct control_place *p, const char *folder)
{
	int r = -E_SYSTEM, was;

	*p = CONTROL_NOWHERE;
	p->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->folder >= 0)
		r = bind_in(p);
	if (r == 0)
		return 0;
	was = errno;
	close_place(p);
	errno = was;
	return r;
}

/* Only ours: another process may have made its own by now. */
void
control_place_leave(struct control_place *p)
{
	struct stat st;

	if (p->fd >= 0 && fstatat(p->folder, "control", &st,
	        AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == p->inode &&
	    st.st_dev == p->device)
		(void)unlinkat(p->folder, "control", 0);
	close_place(p);
}

/* ---- answers ------------------------------------------------------------- */

static void
look_whether_left(struct control_socket *s)
{
	loop_call *left = s->left;

	for (size_t k = 0; k < CONTROL_PEERS; k++)
		if (s->peers[k].fd >= 0)
			return;
	s->left = NULL;
	if (left != NULL)
		left(s->left_arg);
}

static void
drop(struct control_peer *p)
{
	loop_unwatch(&p->watch);
	loop_timer_stop(p->idle);
	free(p->text.p);
	close(p->fd);
	*p = (struct control_peer){.socket = p->socket, .fd = -1,
	    .idle = p->idle};
	look_whether_left(p->socket);
}

static void
on_idle(void *arg)
{
	struct control_peer *p = arg;

	drop(p);
}

/* 1: a packet less, 0: the socket is full, -E_SYSTEM. */
static int
send_piece(struct control_peer *p)
{
	struct bytes piece = bytes_first(bytes_skip(buf_bytes(&p->text),
	    p->at), PIECE);
	bool is_end = piece.n == 0;
	struct iovec text[2] = {{(char []){'='}, 1},
	    {(void *)(uintptr_t)piece.p, piece.n}};
	struct iovec end = {p->end, p->n_end};
	struct msghdr m = {.msg_iov = is_end ? &end : text,
	    .msg_iovlen = is_end ? 1 : 2};

	if (sendmsg(p->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return errno == EAGAIN ? 0 : errno == EINTR ? 1 : -E_SYSTEM;
	p->at += piece.n;
	p->is_answering = !is_end;
	return 1;
}

static void
send_answer(struct control_peer *p)
{
	int r = 1;

	while (p->is_answering && r > 0)
		r = send_piece(p);
	if (r < 0 || (!p->is_answering && p->is_last)) {
		drop(p);
		return;
	}
	if (!p->is_answering) {
		free(p->text.p);
		p->text = (struct buf){0};
	}
	loop_want(p->watch, p->is_answering ? LOOP_WRITE : LOOP_READ);
	loop_timer_start(p->idle, CONTROL_IDLE_MS);
}

void
control_peer_text(struct control_peer *p, struct bytes text)
{
	struct buf *b = &p->text;

	if (p->is_cut || text.n > CONTROL_TEXT_MAX - b->n) {
		p->is_cut = true;
		return;
	}
	if (b->cap - b->n < text.n) {
		size_t cap = (b->n + text.n + 4096) / 2 * 3;
		uint8_t *q = realloc(b->p, cap);

		p->is_cut = q == NULL;
		if (q == NULL)
			return;
		b->p = q;
		b->cap = cap;
	}
	buf_add(b, text);
}

void
control_peer_end(struct control_peer *p, struct bytes end)
{
	if (p->is_cut)
		end = BYTES_LIT("error the answer is too long");
	end = bytes_first(end, sizeof(p->end));
	memcpy(p->end, end.p, end.n);
	p->n_end = end.n;
	p->is_asking = p->is_cut = false;
	p->is_answering = true;
	p->at = 0;
	send_answer(p);
}

/* ---- requests ------------------------------------------------------------ */

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
take(struct control_peer *p)
{
	struct control_socket *s = p->socket;
	uint8_t octets[CONTROL_REQUEST_MAX];
	ssize_t n = recv(p->fd, octets, sizeof(octets),
	    MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(p);
		return;
	}
	p->is_asking = true;
	loop_want(p->watch, 0);
	loop_timer_stop(p->idle);
	if ((size_t)n > sizeof(octets)) {
		p->is_last = true;
		control_peer_end(p, BYTES_LIT("error a request has at most "
		    "512 octets"));
	} else if (!is_text((struct bytes){octets, (size_t)n})) {
		control_peer_end(p, BYTES_LIT("error no such request"));
	} else {
		s->take(s->arg, p, (struct bytes){octets, (size_t)n});
	}
}

static void
on_peer(void *arg, unsigned what)
{
	struct control_peer *p = arg;

	(void)what;
	if (p->is_answering)
		send_answer(p);
	else if (!p->is_asking)
		take(p);
}

/* ---- connections --------------------------------------------------------- */

static bool
is_let_in(int fd)
{
	struct ucred who;
	socklen_t n = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 &&
	    (who.uid == 0 || who.uid == geteuid());
}

static void
refuse(int fd, const char *why)
{
	(void)!send(fd, why, strlen(why), MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

static void
welcome(struct control_socket *s, int fd)
{
	if (!is_let_in(fd)) {
		refuse(fd, "error this is for root and the daemon's own user");
		return;
	}
	for (size_t k = 0; k < CONTROL_PEERS; k++) {
		struct control_peer *p = &s->peers[k];

		if (p->fd >= 0)
			continue;
		p->watch = loop_watch(s->loop, fd, on_peer, p);
		if (p->watch == NULL)
			break;
		p->fd = fd;
		loop_want(p->watch, LOOP_READ);
		loop_timer_start(p->idle, CONTROL_IDLE_MS);
		return;
	}
	refuse(fd, "error too many ask at a time");
}

static void
on_ready(void *arg, unsigned what)
{
	struct control_socket *s = arg;
	int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)what;
	if (fd >= 0) {
		welcome(s, fd);
	} else if (errno != EAGAIN && errno != EINTR &&
	    errno != ECONNABORTED) {
		log_line(LOG_ERROR_, "control socket: accept: %m");
		loop_want(s->watch, 0);
		loop_timer_start(s->rest, REST_MS);
	}
}

static void
rested(void *arg)
{
	struct control_socket *s = arg;

	if (s->watch != NULL)
		loop_want(s->watch, LOOP_READ);
}

static void
on_leave(void *arg)
{
	struct control_socket *s = arg;

	for (size_t k = 0; k < CONTROL_PEERS; k++)
		if (s->peers[k].fd >= 0)
			drop(&s->peers[k]);
}

static bool
watch_all(struct control_socket *s)
{
	s->rest = loop_timer_new(s->loop, rested, s);
	s->leave = loop_timer_new(s->loop, on_leave, s);
	s->watch = loop_watch(s->loop, s->fd, on_ready, s);
	if (s->rest == NULL || s->leave == NULL || s->watch == NULL)
		return false;
	for (size_t k = 0; k < CONTROL_PEERS; k++) {
		struct control_peer *p = &s->peers[k];

		p->idle = loop_timer_new(s->loop, on_idle, p);
		if (p->idle == NULL)
			return false;
	}
	loop_want(s->watch, LOOP_READ);
	return true;
}

struct control_socket *
control_socket_new(struct loop *l, int fd, control_request *taken, void *arg)
{
	struct control_socket *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->loop = l;
	s->fd = fd;
	s->take = taken;
	s->arg = arg;
	for (size_t k = 0; k < CONTROL_PEERS; k++)
		s->peers[k] = (struct control_peer){.socket = s, .fd = -1};
	if (!watch_all(s))
		control_socket_free(&s);
	return s;
}

void
control_socket_leave(struct control_socket *s, loop_call *left, void *arg)
{
	loop_unwatch(&s->watch);
	loop_timer_start(s->leave, CONTROL_LEAVE_MS);
	for (size_t k = 0; k < CONTROL_PEERS; k++) {
		struct control_peer *p = &s->peers[k];

		p->is_last = true;
		if (p->fd >= 0 && !p->is_answering && !p->is_asking)
			drop(p);
	}
	s->left = left;
	s->left_arg = arg;
	look_whether_left(s);
}

void
control_socket_free(struct control_socket **sp)
{
	struct control_socket *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	s->left = NULL;
	for (size_t k = 0; k < CONTROL_PEERS; k++) {
		if (s->peers[k].fd >= 0)
			drop(&s->peers[k]);
		loop_timer_free(&s->peers[k].idle);
	}
	loop_unwatch(&s->watch);
	loop_timer_free(&s->rest);
	loop_timer_free(&s->leave);
	free(s);
}
