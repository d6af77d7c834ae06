#include "daemon/spool_sync.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/guard.h"
#include "daemon/log.h"
#include "daemon/priv.h"

#define SHARE_MAX ((SPOOL_SYNC_MAX + SPOOL_SYNCERS - 1) / SPOOL_SYNCERS)

/* What goes to a syncer as one packet of one octet, and descriptors; the
 * packet that comes back has an error for each. */
union room {
	struct cmsghdr align;
	char octets[CMSG_SPACE(SHARE_MAX * sizeof(int))];
};

struct syncer {
	pid_t pid;		/* 0: none */
	int fd;			/* -1: none */
	size_t from, n;		/* its share of what is synced now */
};

struct spool_syncers {
	struct syncer all[SPOOL_SYNCERS];
};

/* ---- the process --------------------------------------------------------- */

/* How many came; 0: nothing more will. */
static size_t
take(int socket, int fds[SHARE_MAX])
{
	union room u;
	char octet;
	struct iovec iov = {&octet, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = u.octets, .msg_controllen = sizeof(u.octets)};
	struct cmsghdr *c;
	ssize_t n;
	size_t n_fds;

	do {
		n = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	c = CMSG_FIRSTHDR(&m);
	if (n <= 0 || (m.msg_flags & MSG_CTRUNC) != 0 || c == NULL ||
	    c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return 0;
	n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds, CMSG_DATA(c), n_fds * sizeof(int));
	return n_fds;
}

static void
sync_here(const int fds[], size_t n, int errors[])
{
	for (size_t k = 0; k < n; k++)
		errors[k] = fdatasync(fds[k]) == 0 ? 0 : errno;
}

static _Noreturn void
serve(int socket, pid_t parent)
{
	int fds[SHARE_MAX], errors[SHARE_MAX];
	size_t n;

	prctl(PR_SET_NAME, "hopseald-sync");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	priv_close_others(&socket, 1);
	if (guard_enter(GUARD_SYNC, NULL, 0) != 0)
		_exit(1);
	while ((n = take(socket, fds)) != 0) {
		sync_here(fds, n, errors);
		for (size_t k = 0; k < n; k++)
			close(fds[k]);
		if (send(socket, errors, n * sizeof(int), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

/* ---- its parent ---------------------------------------------------------- */

static bool
start(struct syncer *y)
{
	int pair[2];
	pid_t parent = getpid();

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	y->pid = fork();
	if (y->pid == 0)
		serve(pair[1], parent);
	close(pair[1]);
	if (y->pid < 0) {
		close(pair[0]);
		y->pid = 0;
		return false;
	}
	y->fd = pair[0];
	return true;
}

/* It ends by itself once its socket is closed, or has died. */
static void
end(struct syncer *y)
{
	int status = 0;

	if (y->pid == 0)
		return;
	close(y->fd);
	while (waitpid(y->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (WIFSIGNALED(status))
		log_line(LOG_ERROR_, "queue: a process that syncs (pid %ld) "
		    "died of signal %d, %s", (long)y->pid, WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	y->pid = 0;
	y->fd = -1;
}

static bool
give(const struct syncer *y, const int fds[])
{
	union room u;
	char octet = 0;
	struct iovec iov = {&octet, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = u.octets,
	    .msg_controllen = CMSG_SPACE(y->n * sizeof(int))};
	struct cmsghdr *c;
	ssize_t n;

	memset(&u, 0, sizeof(u));
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(y->n * sizeof(int));
	memcpy(CMSG_DATA(c), fds + y->from, y->n * sizeof(int));
	do {
		n = sendmsg(y->fd, &m, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n == 1;
}

/* One that died since it was last asked has taken nothing of it. */
static bool
hand_out(struct syncer *y, const int fds[])
{
	if (y->pid != 0 && give(y, fds))
		return true;
	end(y);
	if (!start(y))
		return false;
	if (give(y, fds))
		return true;
	end(y);
	return false;
}

static void
hear(struct syncer *y, int errors[])
{
	ssize_t n;

	do {
		n = recv(y->fd, errors + y->from, y->n * sizeof(int), 0);
	} while (n < 0 && errno == EINTR);
	if (n == (ssize_t)(y->n * sizeof(int)))
		return;
	end(y);
	for (size_t k = 0; k < y->n; k++)
		errors[y->from + k] = EIO;
}

/* The first of them is always synced by ourselves, who would wait else. */
static void
sync_beside(struct spool_syncers *s, const int fds[], size_t n, int errors[])
{
	size_t n_shares = n < SPOOL_SYNCERS + 1 ? n : SPOOL_SYNCERS + 1;
	size_t at = n / n_shares;
	bool is_out[SPOOL_SYNCERS] = {false};

	for (size_t k = 0; k + 1 < n_shares; k++) {
		struct syncer *y = s->all + k;

		y->from = at;
		y->n = (n - at) / (n_shares - 1 - k);
		at += y->n;
		is_out[k] = hand_out(y, fds);
	}
	sync_here(fds, n / n_shares, errors);
	for (size_t k = 0; k + 1 < n_shares; k++) {
		struct syncer *y = s->all + k;

		if (is_out[k])
			hear(y, errors);
		else
			sync_here(fds + y->from, y->n, errors + y->from);
	}
}

void
spool_sync_all(struct spool_syncers *s, const int fds[], size_t n,
    int errors[])
{
	if (s == NULL || n < 2)
		sync_here(fds, n, errors);
	else
		sync_beside(s, fds, n, errors);
}

struct spool_syncers *
spool_syncers_new(void)
{
	struct spool_syncers *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	for (size_t k = 0; k < SPOOL_SYNCERS; k++)
		s->all[k].fd = -1;
	return s;
}

void
spool_syncers_free(struct spool_syncers **sp)
{
	struct spool_syncers *s = *sp;

	if (s == NULL)
		return;
	for (size_t k = 0; k < SPOOL_SYNCERS; k++)
		end(s->all + k);
	free(s);
	*sp = NULL;
}
