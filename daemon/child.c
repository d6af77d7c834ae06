#include "daemon/child.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/passfd.h"

#define WAIT_MIN_MS 100
#define WAIT_MAX_MS (60 * 1000)

/* Returns when to come again. */
static int64_t
kill_late(struct child *c, int64_t now_ms)
{
	if (c->leave_ms == 0)
		return INT64_MAX;
	if (c->kill_ms == 0)
		c->kill_ms = now_ms + c->leave_ms;
	if (c->kill_ms > now_ms)
		return c->kill_ms;
	log_line(LOG_WARNING_, "pid %ld was told to leave and does not: it is "
	    "killed", (long)c->pid);
	kill(c->pid, SIGKILL);
	c->kill_ms = INT64_MAX;
	return INT64_MAX;
}

bool
child_is_due(struct child *c, int64_t now_ms, int64_t *next)
{
	*next = INT64_MAX;
	if (c->pid != 0)
		*next = kill_late(c, now_ms);
	if (c->pid != 0 || c->is_stopping)
		return false;
	if (c->restart_ms > now_ms) {
		*next = c->restart_ms;
		return false;
	}
	/* one that lived for long enough was no failure to start */
	if (now_ms - c->started_ms > WAIT_MAX_MS)
		c->wait_ms = 0;
	c->started_ms = now_ms;
	c->restart_ms = now_ms + c->wait_ms;
	c->wait_ms = c->wait_ms == 0 ? WAIT_MIN_MS : c->wait_ms * 2;
	if (c->wait_ms > WAIT_MAX_MS)
		c->wait_ms = WAIT_MAX_MS;
	return true;
}

void
child_excuse(struct child *c)
{
	c->wait_ms = 0;
	c->restart_ms = 0;
}

void
child_leave(struct child *c, int signal, int64_t limit_ms)
{
	if (c->leave_ms == 0)
		c->leave_ms = limit_ms;
	kill(c->pid, signal);
}

void
child_log_end(const char *name, pid_t pid, int status)
{
	if (WIFSIGNALED(status))
		log_line(LOG_ERROR_, "%s (pid %ld) died of signal %d, %s",
		    name, (long)pid, WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	else
		log_line(LOG_ERROR_, "%s (pid %ld) ended with status %d",
		    name, (long)pid, WEXITSTATUS(status));
}

bool
child_reap(struct child *c, const char *name, unsigned process, pid_t pid,
    int status, int64_t now_ms)
{
	if (c->pid == 0 || c->pid != pid)
		return false;
	c->pid = 0;
	c->leave_ms = c->kill_ms = 0;
	if (c->restart_ms < now_ms)
		c->restart_ms = now_ms;
	if (status == 0)
		return true;
	c->n_restarts++;
	metrics_count(METRIC_RESTARTS, process, 0);
	child_log_end(name, pid, status);
	return true;
}

void
child_end(struct child *c, int signal)
{
	c->is_stopping = true;
	if (signal == SIGKILL && c->pid != 0)
		kill(c->pid, SIGKILL);
}

static bool
connect_pair(int control, int channel)
{
	int pair[2], was;
	bool is_done;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	is_done = passfd_give(control, pair[0]) == 0 &&
	    passfd_give(channel, pair[1]) == 0;
	was = errno;
	close(pair[0]);
	close(pair[1]);
	errno = was;
	return is_done;
}

bool
child_meet(struct child *c, int control, int channel, const char *name)
{
	bool is_done = control < 0 || connect_pair(control, channel);

	if (!is_done && !c->is_missed)
		log_line(LOG_ERROR_, "cannot connect to the %s: %m; it is "
		    "tried again", name);
	c->is_missed = !is_done;
	return is_done;
}
