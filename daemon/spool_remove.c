#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/guard.h"
#include "daemon/log.h"
#include "daemon/priv.h"
#include "daemon/spool_state.h"

bool
spool_was_removed(const struct spool *s, const char *id)
{
	for (unsigned k = 0; k < SPOOL_REMOVED; k++)
		if (strcmp(s->removed[k], id) == 0)
			return true;
	return false;
}

static void
remember(struct spool *s, const char *id)
{
	snprintf(s->removed[s->n_removed++ % SPOOL_REMOVED],
	    sizeof(s->removed[0]), "%s", id);
}

int
spool_remove(struct spool *s, const char *id)
{
	if (unlinkat(s->mail, id, 0) != 0 && errno != ENOENT)
		return -E_SYSTEM;
	remember(s, id);
	return 0;
}

/* ---- the process --------------------------------------------------------- */

/* What it is told, as one packet. */
struct order {
	char verb;		/* 'r': remove; 's': sync */
	char id[QUEUE_ID_MAX + 1];
};

static int
sync_one(int mail, const char *id)
{
	int fd = openat(mail, id, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
	    O_NOCTTY | O_CLOEXEC);
	int r = fd < 0 ? -1 : fdatasync(fd);

	if (fd < 0 && errno == ENOENT)	/* removed meanwhile */
		return 0;
	if (fd >= 0)
		close(fd);
	return r;
}

static void
obey(int mail, const struct order *o)
{
	if (o->verb == 's' && sync_one(mail, o->id) != 0)
		log_line(LOG_ERROR_, "%s: who has it can not be synced: %m",
		    o->id);
	if (o->verb == 'r' && unlinkat(mail, o->id, 0) != 0 &&
	    errno != ENOENT)
		log_line(LOG_ERROR_, "%s: was delivered, and can not be "
		    "removed: %m", o->id);
}

static _Noreturn void
serve(int mail, int socket, pid_t parent)
{
	const struct guard_path files = {.fd = mail,
	    .may = GUARD_READ | GUARD_REMOVE_FILES};
	struct order o;
	int keep[2] = {mail, socket};
	ssize_t n;

	prctl(PR_SET_NAME, "hopseald-remove");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	signal(SIGUSR1, SIG_IGN);	/* QUEUE_LEAVE is its parent's */
	priv_close_others(keep, 2);
	if (guard_enter(GUARD_REMOVE, &files, 1) != 0)
		_exit(1);
	while ((n = recv(socket, &o, sizeof(o), 0)) > 0 || (n < 0 &&
	    errno == EINTR))
		if (n == sizeof(o))
			obey(mail, &o);
	_exit(0);
}

/* ---- its parent ---------------------------------------------------------- */

static bool
start(struct spool *s)
{
	int pair[2];
	pid_t parent = getpid();

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	s->remover = fork();
	if (s->remover == 0)
		serve(s->mail, pair[1], parent);
	close(pair[1]);
	if (s->remover < 0) {
		close(pair[0]);
		s->remover = 0;
		return false;
	}
	s->remover_fd = pair[0];
	return true;
}

static void
bury(struct spool *s, int status)
{
	if (WIFSIGNALED(status))
		log_line(LOG_ERROR_, "queue: the process that removes (pid "
		    "%ld) died of signal %d, %s", (long)s->remover,
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
	s->remover = 0;
	s->remover_fd = -1;
}

/* It does what it was told to before it hears of the end. */
void
spool_remover_end(struct spool *s)
{
	int status = 0;

	if (s->remover == 0)
		return;
	close(s->remover_fd);
	while (waitpid(s->remover, &status, 0) < 0 && errno == EINTR)
		continue;
	bury(s, status);
}

bool
spool_remover_has_died(struct spool *s)
{
	int status;

	if (s->remover == 0 ||
	    waitpid(s->remover, &status, WNOHANG) != s->remover)
		return false;
	close(s->remover_fd);
	bury(s, status);
	return true;
}

static bool
tell(struct spool *s, char verb, const char *id)
{
	struct order o = {.verb = verb};

	snprintf(o.id, sizeof(o.id), "%s", id);
	return send(s->remover_fd, &o, sizeof(o), MSG_NOSIGNAL |
	    MSG_DONTWAIT) == (ssize_t)sizeof(o);
}

int
spool_remove_delivered(struct spool *s, const char *id)
{
	bool has_died = false;

	if (s->remover != 0 && !tell(s, 'r', id)) {
		has_died = errno != EAGAIN;
		if (has_died)
			spool_remover_end(s);
		if (spool_remove(s, id) != 0)
			return -E_SYSTEM;
		return has_died ? 1 : 0;
	}
	if (s->syncers == NULL ||
	    (s->remover == 0 && (!start(s) || !tell(s, 'r', id))))
		return spool_remove(s, id);
	remember(s, id);
	return 0;
}

void
spool_sync_marks(struct spool *s, const char *id)
{
	if (s->syncers != NULL && (s->remover != 0 || start(s)))
		(void)tell(s, 's', id);
}
