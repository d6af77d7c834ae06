#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/control.h"
#include "daemon/control_status.h"
#include "daemon/guard.h"
#include "daemon/log.h"
#include "daemon/metrics.h"

/* ---- its place ----------------------------------------------------------- */

/* As the user that the process becomes: what stands in his folder is his. */
static int
bind_place(struct control_process *k)
{
	int r;

	if (k->priv.is_root && seteuid(k->priv.uid) != 0)
		return -E_SYSTEM;
	r = control_place_bind(&k->place, k->folder);
	if (k->priv.is_root && seteuid(0) != 0)
		abort();	/* nothing else would work */
	return r;
}

static void
leave_place(struct control_process *k)
{
	if (k->priv.is_root && seteuid(k->priv.uid) != 0)
		return;
	control_place_leave(&k->place);
	if (k->priv.is_root && seteuid(0) != 0)
		abort();
}

/* Kept as long as it is the same. */
static int
find_place(struct control_process *k, const struct worker_start *start)
{
	const char *state = start->env.config->state;
	char *folder;

	if (k->place.fd >= 0 && strcmp(k->folder, state) == 0 &&
	    k->priv.uid == start->priv.uid && k->priv.gid == start->priv.gid)
		return 0;
	folder = strdup(state);
	if (folder == NULL)
		return -E_NOMEM;
	leave_place(k);
	free(k->folder);
	k->folder = folder;
	k->priv = start->priv;
	return bind_place(k);
}

/* ---- the process --------------------------------------------------------- */

/* When each ends, listener by listener: to be freed. NULL where that is not
 * known. */
static int64_t *
list_certificates(const struct worker_env *env)
{
	const struct config *c = env->config;
	size_t n = 0;
	int64_t *ends;

	for (size_t l = 0; l < c->n_listeners; l++)
		n += c->listeners[l].n_tls;
	ends = calloc(n + 1, sizeof(*ends));
	n = 0;
	for (size_t l = 0; l < c->n_listeners && ends != NULL; l++)
		for (size_t k = 0; k < c->listeners[l].n_tls; k++)
			ends[n++] = tls_expiry(env->tls, c->listeners + l, k);
	return ends;
}

static int
control_main(const struct control_process *k, const struct worker_start *start,
    pid_t parent, int master)
{
	struct worker_env env = start->env;
	int64_t *certificates = list_certificates(&env);
	int status;

	log_open("control");
	metrics_begin(METRIC_PROCESS_CONTROL);
	prctl(PR_SET_NAME, "hopseald-control");
	/* it goes when the master hangs up, and not before */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (k->in_child != NULL)
		k->in_child(k->arg);
	env.tls = NULL;
	env.logins = NULL;
	env.secrets = NULL;
	env.signers.n = 0;
	env.keeper_fd = env.queue_fd = env.copies_fd = -1;
	env.spool_fd = env.state_fd = -1;
	env.sockets = NULL;
	env.n_sockets = 0;
	if (priv_drop(&k->priv, parent, 0) != 0 ||
	    guard_enter(GUARD_CONTROL, NULL, 0) != 0)
		status = EXIT_FAILURE;
	else
		status = control_serve(&env, certificates, k->past, k->orders,
		    k->place.fd, master);
	free(certificates);
	return status;
}

static int
start_process(struct control_process *k, const struct worker_start *start)
{
	pid_t parent = getpid(), pid;
	int pair[2];

	if (k->past == NULL)
		k->past = control_past_make();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0, pair) != 0)
		return -E_SYSTEM;
	pid = fork();
	if (pid == 0) {
		int keep[3 + CONTROL_HTTP_MAX] = {pair[1], k->place.fd,
		    k->orders};
		size_t n = 3;

		for (size_t h = 0; h < start->env.n_http; h++)
			keep[n++] = start->env.http_fds[h];
		priv_close_others(keep, n);
		exit(control_main(k, start, parent, pair[1]));
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return -E_SYSTEM;
	}
	k->child.pid = pid;
	k->fd = pair[0];
	return 0;
}

/* It leaves: what hangs must not keep the next one away. */
static int64_t
kill_late(struct control_process *k, int64_t now_ms)
{
	if (k->kill_ms > now_ms)
		return k->kill_ms;
	kill(k->child.pid, SIGKILL);
	k->kill_ms = INT64_MAX;
	return INT64_MAX;
}

int64_t
control_tick(struct control_process *k, const struct worker_start *start,
    int64_t now_ms)
{
	int64_t next = INT64_MAX;
	int r;

	if (k->child.pid != 0)
		return k->fd >= 0 ? INT64_MAX : kill_late(k, now_ms);
	if (start == NULL || !child_is_due(&k->child, now_ms, &next))
		return next;
	r = find_place(k, start);
	if (r != 0)
		log_line(LOG_ERROR_, "the control socket %s/control can not "
		    "be made: %m", start->env.config->state);
	else if ((r = start_process(k, start)) != 0)
		log_line(LOG_ERROR_, "cannot start the control process: %m");
	return r == 0 ? INT64_MAX : k->child.restart_ms;
}

/* ---- what is said -------------------------------------------------------- */

bool
control_asked(struct control_process *k, struct control_ask *a)
{
	return k->fd >= 0 && recv(k->fd, a, sizeof(*a), MSG_DONTWAIT) ==
	    (ssize_t)sizeof(*a);
}

void
control_tell(const struct control_process *k, const struct control_told *t,
    struct bytes text)
{
	struct control_told head = *t;
	struct iovec parts[2] = {{&head, sizeof(head)},
	    {(void *)(uintptr_t)text.p, text.n < CONTROL_TOLD_MAX ? text.n :
	    CONTROL_TOLD_MAX}};
	struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};

	/* who asked too much to take it has a limit of his own */
	if (k->fd >= 0)
		(void)!sendmsg(k->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- its end ------------------------------------------------------------- */

void
control_leave(struct control_process *k, int64_t now_ms)
{
	child_excuse(&k->child);	/* the next may do better */
	if (k->fd < 0)
		return;
	close(k->fd);
	k->fd = -1;
	k->kill_ms = now_ms + 2 * CONTROL_LEAVE_MS;
}

bool
control_reap(struct control_process *k, pid_t pid, int status, int64_t now_ms)
{
	if (!child_reap(&k->child, "control", METRIC_PROCESS_CONTROL, pid,
	    status, now_ms))
		return false;
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
	return true;
}

void
control_end(struct control_process *k, int signal, int64_t now_ms)
{
	leave_place(k);
	control_leave(k, now_ms);
	child_end(&k->child, signal);
}

void
control_fini(struct control_process *k)
{
	control_end(k, 0, 0);
	free(k->folder);
	k->folder = NULL;
}
