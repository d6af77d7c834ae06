#include "tests/scenario/world.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/addr.h"

#define FIRST_FD 100000
#define WIRES 512
#define LISTENERS 64

static struct wire wires[WIRES];
static struct place {
	struct config_addr at;
	int outcome;
} places[64];
static size_t n_places, n_listeners;
static char logged[1 << 20];
static size_t n_logged;

int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);
int __real_connect(int fd, const struct sockaddr *to, socklen_t n);
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t n);
int __wrap_accept4(int fd, struct sockaddr *from, socklen_t *n, int flags);
ssize_t __real_send(int fd, const void *p, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *p, size_t n, int flags);
ssize_t __real_recv(int fd, void *p, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *p, size_t n, int flags);
ssize_t __wrap___recv_chk(int fd, void *p, size_t n, size_t room, int flags);
int __real_getsockopt(int fd, int level, int name, void *p, socklen_t *n);
int __wrap_getsockopt(int fd, int level, int name, void *p, socklen_t *n);
int __real_setsockopt(int fd, int level, int name, const void *p, socklen_t n);
int __wrap_setsockopt(int fd, int level, int name, const void *p, socklen_t n);
int __real_getsockname(int fd, struct sockaddr *to, socklen_t *n);
int __wrap_getsockname(int fd, struct sockaddr *to, socklen_t *n);
int __real_close(int fd);
int __wrap_close(int fd);
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);

void
world_net_begin(void)
{
	for (size_t k = 0; k < WIRES; k++) {
		free(wires[k].in);
		free(wires[k].out);
	}
	memset(wires, 0, sizeof(wires));
	n_places = n_listeners = n_logged = 0;
}

struct bytes
world_log(void)
{
	return (struct bytes){(const uint8_t *)logged, n_logged};
}

bool
world_net_is_fake(int fd)
{
	return fd >= FIRST_FD;
}

void
world_log_forget(void)
{
	n_logged = 0;
}

static struct wire *
wire_of(int fd)
{
	size_t k = (size_t)(fd - FIRST_FD) - LISTENERS;

	assert(k < WIRES && wires[k].is_used && !wires[k].is_closed);
	return &wires[k];
}

static bool
is_listener(int fd)
{
	return fd - FIRST_FD < LISTENERS;
}

/* Nobody looks at it any more; one that was not made nobody ever did. */
static bool
is_free(const struct wire *w)
{
	return !w->is_used || (w->is_closed &&
	    (w->is_forgotten || (w->refusal != 0 && w->refusal < FIRST_FD)));
}

void
world_forget(struct wire *w)
{
	w->is_forgotten = true;
}

static struct wire *
wire_new(void)
{
	for (size_t k = 0; k < WIRES; k++) {
		if (!is_free(&wires[k]))
			continue;
		free(wires[k].in);
		free(wires[k].out);
		wires[k] = (struct wire){.is_used = true, .window = 1 << 20,
		    .fd = FIRST_FD + LISTENERS + (int)k};
		return &wires[k];
	}
	abort();
}

static bool
is_same(const struct config_addr *a, const struct config_addr *b)
{
	return a->port == b->port && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

void
world_listen(const struct config_addr *at, int outcome)
{
	size_t k = 0;

	while (k < n_places && !is_same(&places[k].at, at))
		k++;
	if (k == n_places)
		n_places++;
	assert(n_places <= sizeof(places) / sizeof(places[0]));
	places[k] = (struct place){*at, outcome};
}

int
world_listener(void)
{
	assert(n_listeners < LISTENERS);
	return FIRST_FD + (int)n_listeners++;
}

/* Until the daemon accepts it, its fd is the listener's. */
struct wire *
world_connect(int listener, const struct config_addr *from)
{
	struct wire *w = wire_new();

	w->peer = *from;
	w->is_connecting = true;
	w->is_taken = true;
	w->refusal = listener;
	return w;
}

struct wire *
world_accept(const struct config_addr *at)
{
	for (size_t k = 0; k < WIRES; k++)
		if (wires[k].is_used && !wires[k].is_taken &&
		    is_same(&wires[k].peer, at)) {
			wires[k].is_taken = true;
			return &wires[k];
		}
	return NULL;
}

void
world_reset_all(void)
{
	for (size_t k = 0; k < WIRES; k++)
		wires[k].is_reset = true;
	n_places = 0;
}

size_t
world_net_open(void)
{
	size_t n = 0;

	for (size_t k = 0; k < WIRES; k++)
		n += wires[k].is_used && !wires[k].is_closed &&
		    wires[k].refusal < FIRST_FD;
	return n;
}

static void
append(uint8_t **p, size_t *used, size_t *cap, struct bytes b)
{
	if (*cap - *used < b.n) {
		*cap = (*used + b.n) * 2;
		*p = world_realloc(*p, *cap);
		assert(*p != NULL);
	}
	if (b.n != 0)
		memcpy(*p + *used, b.p, b.n);
	*used += b.n;
}

void
wire_send(struct wire *w, struct bytes octets)
{
	append(&w->in, &w->n_in, &w->cap_in, octets);
}

struct bytes
wire_line(const struct wire *w)
{
	for (size_t k = 0; k + 1 < w->n_out; k++)
		if (w->out[k] == '\r' && w->out[k + 1] == '\n')
			return (struct bytes){w->out, k + 2};
	return (struct bytes){NULL, 0};
}

void
wire_drop(struct wire *w, size_t n)
{
	w->n_out -= n;
	memmove(w->out, w->out + n, w->n_out);
}

static struct wire *
waiting(int listener)
{
	for (size_t k = 0; k < WIRES; k++)
		if (wires[k].is_used && wires[k].is_connecting &&
		    wires[k].is_taken && wires[k].refusal == listener)
			return &wires[k];
	return NULL;
}

unsigned
world_net_ready(int fd)
{
	struct wire *w;
	unsigned what = 0;

	if (!world_net_is_fake(fd))
		return 0;
	if (is_listener(fd))
		return waiting(fd) != NULL ? LOOP_READ : 0;
	w = wire_of(fd);
	if (w->is_connecting)
		return w->refusal < 0 ? 0 : LOOP_WRITE;
	if (w->n_in != 0 || w->has_fin || w->is_reset)
		what |= LOOP_READ;
	if (w->n_out < w->window || w->is_reset)
		what |= LOOP_WRITE;
	return what;
}

/* ---- what the daemon calls ---- */

int
__wrap_socket(int family, int type, int protocol)
{
	if (family != AF_INET && family != AF_INET6)
		return __real_socket(family, type, protocol);
	return wire_new()->fd;
}

int
__wrap_connect(int fd, const struct sockaddr *to, socklen_t n)
{
	struct wire *w;

	if (!world_net_is_fake(fd))
		return __real_connect(fd, to, n);
	w = wire_of(fd);
	addr_from_system(to, &w->peer);
	w->is_connecting = true;
	w->refusal = ECONNREFUSED;
	for (size_t k = 0; k < n_places; k++)
		if (is_same(&places[k].at, &w->peer))
			w->refusal = places[k].outcome;
	w->is_taken = w->refusal != 0;
	errno = EINPROGRESS;
	return -1;
}

int
__wrap_accept4(int fd, struct sockaddr *from, socklen_t *n, int flags)
{
	struct sockaddr_storage ss;
	struct wire *w = waiting(fd);

	(void)flags;
	if (w == NULL) {
		errno = EAGAIN;
		return -1;
	}
	w->is_connecting = false;
	w->refusal = 0;
	*n = addr_to_system(&w->peer, &ss);
	memcpy(from, &ss, *n);
	return w->fd;
}

ssize_t
__wrap_send(int fd, const void *p, size_t n, int flags)
{
	struct wire *w;

	if (!world_net_is_fake(fd))
		return __real_send(fd, p, n, flags);
	w = wire_of(fd);
	if (w->is_reset || (w->fails_at != 0 && --w->fails_at == 0)) {
		errno = ECONNRESET;
		return -1;
	}
	if (w->n_out >= w->window) {
		errno = EAGAIN;
		return -1;
	}
	if (n > w->window - w->n_out)
		n = w->window - w->n_out;
	append(&w->out, &w->n_out, &w->cap_out, (struct bytes){p, n});
	return (ssize_t)n;
}

ssize_t
__wrap_recv(int fd, void *p, size_t n, int flags)
{
	struct wire *w;

	if (!world_net_is_fake(fd))
		return __real_recv(fd, p, n, flags);
	w = wire_of(fd);
	if (w->is_reset) {
		errno = ECONNRESET;
		return -1;
	}
	if (w->n_in == 0 && !w->has_fin) {
		errno = EAGAIN;
		return -1;
	}
	if (n > w->n_in)
		n = w->n_in;
	if (n == 0)
		return 0;
	memcpy(p, w->in, n);
	if ((flags & MSG_PEEK) != 0)
		return (ssize_t)n;
	w->n_in -= n;
	memmove(w->in, w->in + n, w->n_in);
	return (ssize_t)n;
}

/* What recv() becomes by _FORTIFY_SOURCE. */
ssize_t
__wrap___recv_chk(int fd, void *p, size_t n, size_t room, int flags)
{
	assert(n <= room);
	return __wrap_recv(fd, p, n, flags);
}

int
__wrap_getsockopt(int fd, int level, int name, void *p, socklen_t *n)
{
	struct wire *w;

	if (!world_net_is_fake(fd))
		return __real_getsockopt(fd, level, name, p, n);
	w = wire_of(fd);
	w->is_connecting = false;
	memcpy(p, &w->refusal, sizeof(w->refusal));
	return 0;
}

int
__wrap_setsockopt(int fd, int level, int name, const void *p, socklen_t n)
{
	if (!world_net_is_fake(fd))
		return __real_setsockopt(fd, level, name, p, n);
	return 0;
}

/* Whoever came to us came to 192.0.2.25:25. */
int
__wrap_getsockname(int fd, struct sockaddr *to, socklen_t *n)
{
	static const struct config_addr ours = {.ip = {0, 0, 0, 0, 0, 0, 0, 0,
	    0, 0, 0xff, 0xff, 192, 0, 2, 25}, .port = 25};
	struct sockaddr_storage ss;

	if (!world_net_is_fake(fd))
		return __real_getsockname(fd, to, n);
	*n = addr_to_system(&ours, &ss);
	memcpy(to, &ss, *n);
	return 0;
}

int
__wrap_close(int fd)
{
	if (!world_net_is_fake(fd))
		return __real_close(fd);
	if (!is_listener(fd))
		wire_of(fd)->is_closed = true;
	return 0;
}

ssize_t
__wrap_write(int fd, const void *p, size_t n)
{
	size_t room = sizeof(logged) - n_logged;

	if (fd != STDERR_FILENO)
		return __real_write(fd, p, n);
	memcpy(logged + n_logged, p, n < room ? n : room);
	n_logged += n < room ? n : room;
	return (ssize_t)n;
}
