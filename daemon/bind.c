#include "daemon/bind.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/addr.h"
#include "daemon/log.h"

#define TRY_AGAIN_MS 100
#define TRIES 30
#define GIVEN_FIRST 3
#define GIVEN_MAX 1024

static bool
is_same(const struct config_addr *a, const struct config_addr *b)
{
	return a->is_any == b->is_any && a->port == b->port &&
	    (a->is_any || memcmp(a->ip, b->ip, sizeof(a->ip)) == 0);
}

static int
find(const struct bind_set *s, const struct config_addr *a)
{
	for (size_t k = 0; k < s->n; k++)
		if (is_same(&s->sockets[k].addr, a))
			return (int)k;
	return -1;
}

int
bind_find(const struct bind_set *s, const struct config_addr *a)
{
	int k = find(s, a);

	return k < 0 ? -1 : s->sockets[k].fd;
}

/* A listening socket, or -1 with errno. */
static int
listen_on(int family, const struct sockaddr *sa, socklen_t n, int v6only)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1, why;

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
	    (family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY,
	    &v6only, sizeof(v6only)) == 0) &&
	    bind(fd, sa, n) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	why = errno;
	close(fd);
	errno = why;
	return -1;
}

/* "*" is one socket for both families; where there is no IPv6, for one. */
static int
open_addr(const struct config_addr *a)
{
	struct sockaddr_storage ss;
	socklen_t n = addr_to_system(a, &ss);
	struct sockaddr_in four = {.sin_family = AF_INET,
	    .sin_port = htons(a->port)};
	int fd = listen_on(ss.ss_family, (struct sockaddr *)&ss, n,
	    !a->is_any);

	if (fd >= 0 || !a->is_any ||
	    (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL))
		return fd;
	return listen_on(AF_INET, (struct sockaddr *)&four, sizeof(four), 0);
}

/*
 * Where the one before us was killed, its workers hold the address until they
 * saw it: what is in use is tried again for a moment.
 */
static int
open_patiently(const struct config_addr *a)
{
	const struct timespec pause = {.tv_nsec = TRY_AGAIN_MS * 1000000L};
	int fd = open_addr(a);

	for (int k = 0; fd < 0 && errno == EADDRINUSE && k < TRIES; k++) {
		nanosleep(&pause, NULL);
		fd = open_addr(a);
	}
	return fd;
}

/* ---- what systemd gives -------------------------------------------------- */

/* A number of the environment; 0 where it is not there, or none. */
static long
number_of(const char *name)
{
	const char *text = getenv(name);
	char *end;
	long n = text == NULL ? 0 : strtol(text, &end, 10);

	return text == NULL || end == text || *end != '\0' ? 0 : n;
}

static bool
option_is(int fd, int level, int option, int value)
{
	int is;
	socklen_t n = sizeof(is);

	return getsockopt(fd, level, option, &is, &n) == 0 && is == value;
}

/* Where it listens; false where it does not, or not for TCP. */
static bool
look_at(int fd, struct config_addr *a)
{
	struct sockaddr_storage ss;
	struct sockaddr *sa = (struct sockaddr *)&ss;
	socklen_t n = sizeof(ss);
	static const uint8_t any[sizeof(a->ip)];

	*a = (struct config_addr){.port = 0};
	if (getsockname(fd, sa, &n) != 0 ||
	    !option_is(fd, SOL_SOCKET, SO_TYPE, SOCK_STREAM) ||
	    !option_is(fd, SOL_SOCKET, SO_ACCEPTCONN, 1) ||
	    !addr_from_system(sa, a))
		return false;
	a->is_any = ss.ss_family == AF_INET6 &&
	    memcmp(a->ip, any, sizeof(any)) == 0 &&
	    option_is(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
	    fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

void
bind_take_given(struct bind_set *s)
{
	long pid = number_of("LISTEN_PID"), n = number_of("LISTEN_FDS");
	struct config_addr a;

	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (pid != getpid() || n <= 0 || n > GIVEN_MAX)
		return;
	s->given = calloc((size_t)n, sizeof(*s->given));
	for (int fd = GIVEN_FIRST; fd < GIVEN_FIRST + (int)n; fd++) {
		if (s->given != NULL && look_at(fd, &a)) {
			s->given[s->n_given++] = (struct bind_socket){a, fd,
			    false};
			continue;
		}
		log_line(LOG_WARNING_, "descriptor %d of systemd is no socket "
		    "that listens for TCP: closed", fd);
		close(fd);
	}
}

/* -1: none was given for that address. */
static int
use_given(struct bind_set *s, const struct config_addr *a)
{
	for (size_t k = 0; k < s->n_given; k++) {
		int fd = s->given[k].fd;

		if (!is_same(&s->given[k].addr, a))
			continue;
		s->given[k] = s->given[--s->n_given];
		return fd;
	}
	return -1;
}

static void
drop_given(struct bind_set *s)
{
	char text[64];

	while (s->n_given != 0) {
		struct bind_socket *g = s->given + --s->n_given;
		struct buf b = BUF_ON(text);

		addr_add(&g->addr, &b);
		log_line(LOG_WARNING_, "systemd listens on %.*s, and no "
		    "listener does: closed", BYTES_FMT(buf_bytes(&b)));
		close(g->fd);
	}
	free(s->given);
	s->given = NULL;
}

/* ---- a set --------------------------------------------------------------- */

static int
add(struct bind_set *s, const struct config_addr *a)
{
	struct bind_socket *more = reallocarray(s->sockets, s->n + 1,
	    sizeof(*more));
	char text[64];
	struct buf b = BUF_ON(text);
	int fd;

	if (more == NULL)
		return -E_NOMEM;
	s->sockets = more;
	fd = use_given(s, a);
	if (fd < 0)
		fd = open_patiently(a);
	if (fd < 0) {
		addr_add(a, &b);
		log_line(LOG_ERROR_, "cannot listen on %.*s: %s",
		    BYTES_FMT(buf_bytes(&b)), strerror(errno));
		return -E_SYSTEM;
	}
	s->sockets[s->n++] = (struct bind_socket){*a, fd, false};
	return 0;
}

static void
want_addr(struct bind_set *s, const struct config_addr *a)
{
	s->sockets[find(s, a)].is_wanted = true;
}

static void
want(struct bind_set *s, const struct config *c)
{
	for (size_t k = 0; k < s->n; k++)
		s->sockets[k].is_wanted = false;
	for (size_t k = 0; k < c->n_metrics; k++)
		want_addr(s, c->metrics + k);
	for (size_t l = 0; l < c->n_listeners; l++)
		for (size_t k = 0; k < c->listeners[l].n_listen; k++)
			want_addr(s, c->listeners[l].listen + k);
}

static int
add_all(struct bind_set *s, const struct config_addr *a, size_t n)
{
	int r = 0;

	for (size_t k = 0; k < n && r == 0; k++)
		r = find(s, a + k) >= 0 ? 0 : add(s, a + k);
	return r;
}

int
bind_update(struct bind_set *s, const struct config *c)
{
	size_t before = s->n;
	int r = add_all(s, c->metrics, c->n_metrics);

	for (size_t l = 0; l < c->n_listeners && r == 0; l++)
		r = add_all(s, c->listeners[l].listen,
		    c->listeners[l].n_listen);
	if (r != 0) {
		while (s->n > before)
			close(s->sockets[--s->n].fd);
		return r;
	}
	want(s, c);
	return 0;
}

void
bind_trim(struct bind_set *s)
{
	size_t kept = 0;

	drop_given(s);
	for (size_t k = 0; k < s->n; k++) {
		if (s->sockets[k].is_wanted)
			s->sockets[kept++] = s->sockets[k];
		else
			close(s->sockets[k].fd);
	}
	s->n = kept;
}

void
bind_fini(struct bind_set *s)
{
	while (s->n != 0)
		close(s->sockets[--s->n].fd);
	free(s->sockets);
	s->sockets = NULL;
	while (s->n_given != 0)
		close(s->given[--s->n_given].fd);
	free(s->given);
	s->given = NULL;
}
