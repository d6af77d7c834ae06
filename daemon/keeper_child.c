#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/guard.h"
#include "daemon/keeper.h"
#include "daemon/log.h"
#include "daemon/memory.h"
#include "daemon/metrics.h"
#include "daemon/store_login.h"

static void
to_log(void *arg, const char *text)
{
	(void)arg;
	log_line(LOG_ERROR_, "%s", text);
}

/* What is read while we may; without it there is an outage. */
static int
serve(const struct keeper *k, struct store_login *login, int control)
{
	struct redis_where where;
	int status;

	if (k->store != NULL)
		store_login_where(k->store, login, &where);
	status = keeper_serve(k->folder, &k->limits, k->store != NULL ?
	    &where : NULL, control);
	store_login_wipe(login);
	return status;
}

static int
keeper_main(const struct keeper *k, pid_t parent, int control)
{
	const struct guard_path files = {k->folder, NULL, GUARD_FILES, -1};
	struct store_login login;

	log_open("keeper");
	metrics_begin(METRIC_PROCESS_KEEPER);
	/* until it answers, from before there is a keeper by name */
	metrics_set(METRIC_STORE_OUT, 0, k->store != NULL);
	prctl(PR_SET_NAME, "hopseald-keeper");
	/* it goes when its peers are gone, and not before */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (k->in_child != NULL)
		k->in_child(k->arg);
	umask(077);	/* what is kept says who wrote to whom */
	(void)store_login_read(&login, k->store_password, k->priv.gid, to_log,
	    NULL);
	if (k->store != NULL)
		guard_connect(store_login_port(k->store));
	if (priv_drop(&k->priv, parent, 0) != 0 ||
	    guard_enter(k->store != NULL ? GUARD_SHARED_KEEPER : GUARD_KEEPER,
	    &files, 1) != 0)
		return EXIT_FAILURE;
	return serve(k, &login, control);
}

/* When a file was last changed; 0: it can not be looked at, or is NULL. */
static int64_t
changed_ns(const char *path)
{
	struct stat st;

	if (path == NULL || stat(path, &st) != 0)
		return 0;
	return st.st_ctim.tv_sec * 1000000000LL + st.st_ctim.tv_nsec;
}

static bool
is_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* A copy, or NULL for NULL. 0 or -E_NOMEM. */
static int
copy(const char *text, char **out)
{
	*out = text == NULL ? NULL : strdup(text);
	return text != NULL && *out == NULL ? -E_NOMEM : 0;
}

int
keeper_configure(struct keeper *k, const struct config *c,
    const struct priv *p)
{
	struct store_limits limits = {.age_s = c->memory.age_s,
	    .short_s = MEMORY_SHORT_S, .size = c->memory.size,
	    .arrival_age_s = c->copies.age_s, .arrival_size = c->copies.size,
	    .max_returns = STORE_RETURNS_MAX};
	int64_t password_ns = changed_ns(c->store_password);
	char *folder, *store, *password;

	if ((copy(c->state, &folder) | copy(c->store, &store) |
	    copy(c->store_password, &password)) != 0) {
		free(folder);
		free(store);
		free(password);
		return -E_NOMEM;
	}
	if (k->child.pid != 0 && (strcmp(folder, k->folder) != 0 ||
	    !is_same(store, k->store) ||
	    !is_same(password, k->store_password) ||
	    password_ns != k->password_ns ||
	    p->uid != k->priv.uid || p->gid != k->priv.gid ||
	    memcmp(&limits, &k->limits, sizeof(limits)) != 0)) {
		child_leave(&k->child, KEEPER_LEAVE, KEEPER_LEAVE_MS);
		child_excuse(&k->child);
	}
	free(k->folder);
	free(k->store);
	free(k->store_password);
	k->folder = folder;
	k->store = store;
	k->store_password = password;
	k->password_ns = password_ns;
	k->limits = limits;
	k->priv = *p;
	return 0;
}

static int
start(struct keeper *k)
{
	pid_t parent = getpid(), pid;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -E_SYSTEM;
	pid = fork();
	if (pid == 0) {
		int control = pair[1];

		priv_close_others(&control, 1);
		exit(keeper_main(k, parent, control));
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return -E_SYSTEM;
	}
	k->child.pid = pid;
	k->control = pair[0];
	return 0;
}

int64_t
keeper_tick(struct keeper *k, int64_t now_ms, bool *is_new)
{
	int64_t next = INT64_MAX;

	*is_new = false;
	if (k->folder == NULL || !child_is_due(&k->child, now_ms, &next))
		return next;
	if (start(k) != 0) {
		log_line(LOG_ERROR_, "cannot start the keeper: %m");
		return k->child.restart_ms;
	}
	*is_new = true;
	return INT64_MAX;
}

bool
keeper_meet(struct keeper *k, int channel)
{
	return child_meet(&k->child, k->control, channel, "keeper");
}

static void
hang_up(struct keeper *k)
{
	if (k->control >= 0)
		close(k->control);
	k->control = -1;
}

bool
keeper_reap(struct keeper *k, pid_t pid, int status, int64_t now_ms)
{
	if (!child_reap(&k->child, "keeper", METRIC_PROCESS_KEEPER, pid,
	    status, now_ms))
		return false;
	hang_up(k);
	return true;
}

void
keeper_end(struct keeper *k, int signal)
{
	hang_up(k);
	child_end(&k->child, signal);
}

void
keeper_fini(struct keeper *k)
{
	keeper_end(k, 0);
	free(k->folder);
	free(k->store);
	free(k->store_password);
	k->folder = k->store = k->store_password = NULL;
}
