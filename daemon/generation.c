#include "daemon/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/copies.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/reload_keys.h"
#include "daemon/store_login.h"

#define ARENA_MAX (256U << 20)	/* the keys-file and the inventory */
#define RESTART_MS 1000		/* a worker starts at most once in this */

static int64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static size_t
count_cores(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	return (size_t)CPU_COUNT(&set);
}

static void
to_log(void *arg, const char *text)
{
	(void)arg;
	log_line(LOG_ERROR_, "%s", text);
}

/* ---- workers ------------------------------------------------------------- */

/* The descriptors that a worker needs, and no other; that many + SIGNERS_MAX
 * + 8. */
static void
close_others(const struct worker_start *s, int *keep)
{
	size_t n = 0;

	for (size_t k = 0; k < s->env.n_sockets; k++)
		keep[n++] = s->env.sockets[k].fd;
	keep[n++] = s->ready_fd;
	for (unsigned k = 0; k < s->env.signers.n; k++)
		keep[n++] = s->env.signers.fds[k];
	if (s->env.spool_fd >= 0)
		keep[n++] = s->env.spool_fd;
	if (s->env.state_fd >= 0)
		keep[n++] = s->env.state_fd;
	if (s->env.queue_fd >= 0)
		keep[n++] = s->env.queue_fd;
	if (s->env.copies_fd >= 0)
		keep[n++] = s->env.copies_fd;
	keep[n++] = s->env.keeper_fd;
	priv_close_others(keep, n);
}

static void
close_channels(struct worker_process *c)
{
	if (c->channel >= 0)
		close(c->channel);
	if (c->queue_channel >= 0)
		close(c->queue_channel);
	c->channel = c->queue_channel = -1;
	c->is_unmet = c->is_queue_unmet = false;
}

/* Sockets to its keeper and queue process wait for it in their channels. */
static int
open_channels(struct generation *g, struct worker_process *c,
    struct worker_env *env)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -E_SYSTEM;
	c->channel = pair[0];
	env->keeper_fd = pair[1];
	c->is_unmet = !keeper_meet(g->keeper, c->channel);
	if (!queue_is_used(g->shared->config))
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -E_SYSTEM;
	c->queue_channel = pair[0];
	env->queue_fd = pair[1];
	c->is_queue_unmet = !queue_meet(g->queue, c->queue_channel);
	return 0;
}

static pid_t
fork_worker(struct generation *g, struct worker_process *c,
    struct worker_start *s)
{
	pid_t pid = -1;

	s->env.keeper_fd = s->env.queue_fd = -1;
	if (open_channels(g, c, &s->env) == 0)
		pid = fork();
	if (pid == 0) {
		int *keep = calloc(s->env.n_sockets + SIGNERS_MAX + 8,
		    sizeof(*keep));

		if (keep == NULL)
			exit(EX_OSERR);
		close_others(s, keep);
		free(keep);
		exit(worker_main(s));
	}
	if (s->env.keeper_fd >= 0)
		close(s->env.keeper_fd);
	if (s->env.queue_fd >= 0)
		close(s->env.queue_fd);
	if (pid < 0)
		close_channels(c);
	return pid;
}

static int64_t
watchdog_ms(const struct generation *g)
{
	return (int64_t)g->watchdog_s * 1000;
}

static int
start_worker(struct generation *g, size_t at)
{
	struct worker_start s = g->start;
	struct worker_process *c = g->workers + at;
	pid_t pid;

	s.number = (unsigned)at + 1;
	s.env.worker = at;
	c->started_ms = now();
	c->restart_ms = c->started_ms + RESTART_MS;
	c->is_ready = false;
	watchdog_begin(&c->watchdog, METRIC_PROCESS_WORKER, c->started_ms,
	    watchdog_ms(g));
	tls_tickets_turn(c->started_ms);
	if (signers_connect(&g->signers, at, &s.env.signers) != 0)
		return -E_SYSTEM;
	pid = fork_worker(g, c, &s);
	c->pid = pid < 0 ? 0 : pid;
	signers_close(&s.env.signers);
	return pid < 0 ? -E_SYSTEM : 0;
}

static int
map_sockets(struct generation *g, const struct bind_set *set)
{
	const struct config *c = g->shared->config;
	struct worker_socket *s;
	size_t n = 0;

	for (size_t l = 0; l < c->n_listeners; l++)
		n += c->listeners[l].n_listen;
	s = arena_array(g->arena, n, sizeof(*s));
	if (s == NULL)
		return -E_NOMEM;
	g->start.env.sockets = s;
	g->start.env.n_sockets = n;
	for (size_t l = 0; l < c->n_listeners; l++)
		for (size_t k = 0; k < c->listeners[l].n_listen; k++)
			*s++ = (struct worker_socket){bind_find(set,
			    c->listeners[l].listen + k), c->listeners + l,
			    c->listeners[l].listen[k].is_tls,
			    c->listeners[l].listen[k].is_lmtp};
	return 0;
}

static int
map_http(struct generation *g, const struct bind_set *set)
{
	const struct config *c = g->shared->config;
	int *fds = arena_array(g->arena, c->n_metrics, sizeof(*fds));

	if (fds == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < c->n_metrics; k++)
		fds[k] = bind_find(set, c->metrics + k);
	g->start.env.http_fds = fds;
	g->start.env.n_http = c->n_metrics;
	return 0;
}

/* When the certificates end, for whoever has not their keys. */
static int
look_at_certificates(struct generation *g)
{
	const struct config *c = g->shared->config;
	int64_t *ends;
	size_t n = 0;

	for (size_t l = 0; l < c->n_listeners; l++)
		n += c->listeners[l].n_tls;
	ends = arena_array(g->arena, n, sizeof(*ends));
	if (ends == NULL)
		return -E_NOMEM;
	g->start.env.certificate_ends = ends;
	for (size_t l = 0; l < c->n_listeners; l++)
		for (size_t k = 0; k < c->listeners[l].n_tls; k++)
			*ends++ = tls_ends(&c->listeners[l].tls[k]);
	return 0;
}

/* ---- a generation -------------------------------------------------------- */

/* The first generation brings the keeper. */
static int
start_keeper(struct generation *g)
{
	bool is_new;

	if (g->keeper->folder != NULL)
		return 0;
	if (keeper_configure(g->keeper, g->shared->config,
	    &g->start.priv) != 0)
		return -E_NOMEM;
	(void)keeper_tick(g->keeper, now(), &is_new);
	return 0;
}

/* Without it, arrivals are recorded all the same. */
static void
open_copies(struct generation *g)
{
	const struct priv *p = &g->start.priv;

	g->start.env.copies_fd = copies_open(g->start.env.state_fd,
	    p->is_root, p->uid, p->gid);
	if (g->start.env.copies_fd < 0)
		log_line(LOG_ERROR_, "no copies can be kept in %s/"
		    COPIES_NAME " (%m): what list managers change can not be "
		    "described", g->shared->config->state);
}

/* Certificates, logins and secrets, while we may. */
static bool
read_private(struct worker_env *env, const struct config *c, unsigned gid)
{
	env->tls = tls_new(c, gid, to_log, NULL);
	if (env->tls == NULL)
		return false;
	env->logins = logins_new(c, gid, to_log, NULL);
	if (env->logins == NULL)
		return false;
	/* the keeper reads it once more, when it starts */
	if (!store_login_check(c->store_password, gid, to_log, NULL))
		return false;
	env->secrets = secrets_new(c->secrets, gid, to_log, NULL);
	return env->secrets != NULL;
}

static int
prepare(struct generation *g, const struct bind_set *sockets, int *status)
{
	const struct config *c = g->shared->config;
	struct worker_env *env = &g->start.env;
	char why[512];
	struct buf b = BUF_ON(why);
	struct keysfile *k;

	if (priv_find(&g->start.priv, c) != 0) {
		*status = EX_CONFIG;
		return -E_ABSENT;
	}
	if (c->keys_file != NULL) {
		if (keysfile_load(&k, c->keys_file, g->arena, &b) != 0) {
			log_line(LOG_ERROR_, "%s: %.*s", c->keys_file,
			    BYTES_FMT(buf_bytes(&b)));
			*status = EX_CONFIG;
			return -E_SYNTAX;
		}
		env->keysfile = k;
	}
	*status = queue_lock(g->queue, c, &g->start.priv);
	if (*status != 0)
		return -E_SYSTEM;
	if (start_keeper(g) != 0)	/* a fork without certificates */
		return -E_NOMEM;
	if (!read_private(env, c, g->start.priv.gid)) {
		*status = EX_CONFIG;
		return -E_SYNTAX;
	}
	env->config = c;
	env->inventory = &g->inventory;
	env->queue_fd = env->copies_fd = -1;
	env->state_fd = open(c->state, O_PATH | O_DIRECTORY | O_CLOEXEC);
	env->spool_fd = priv_folder(&g->start.priv, env->state_fd, WORKER_TMP);
	if (copies_are_used(c))
		open_copies(g);
	g->n_workers = c->workers != 0 ? c->workers : count_cores();
	g->workers = calloc(g->n_workers, sizeof(*g->workers));
	if (g->workers == NULL)
		return -E_NOMEM;
	for (size_t at = 0; at < g->n_workers; at++)
		g->workers[at].channel = g->workers[at].queue_channel = -1;
	if (map_http(g, sockets) != 0 || look_at_certificates(g) != 0)
		return -E_NOMEM;
	if (map_sockets(g, sockets) != 0)
		return -E_NOMEM;
	env->share = share_new(g->n_workers, env->n_sockets);
	return env->share == NULL ? -E_NOMEM : 0;
}

/* All or nothing: no domain loses its last key by a reload. A signer that was
 * lost is replaced in any case. */
static int
keep_keys(const struct generation *g, const struct generation *before,
    int *status)
{
	if (before == NULL || reload_keys_stay(&(struct reload_keys)
	    {before->shared->config, &before->inventory},
	    &(struct reload_keys){g->shared->config, &g->inventory}) ||
	    !generation_can_sign(before))
		return 0;
	*status = EX_CONFIG;
	return -E_UNSAFE;
}

static int
start_all(struct generation *g, const struct generation *before, int *status)
{
	int r = 0;

	if (g->shared->config->keys != NULL)
		r = signers_start(&g->signers, &g->start, g->n_workers,
		    &g->inventory, g->arena, status);
	for (unsigned k = 0; k < g->signers.n; k++)
		watchdog_begin(&g->signers.each[k].watchdog,
		    METRIC_PROCESS_SIGNER, now(), watchdog_ms(g));
	if (r == 0)
		r = keep_keys(g, before, status);
	for (size_t k = 0; r == 0 && k < g->n_workers; k++) {
		r = start_worker(g, k);
		if (r != 0)
			log_line(LOG_ERROR_, "cannot fork a worker: %m");
	}
	return r;
}

static void
await(pid_t pid)
{
	if (pid == 0)
		return;
	waitpid(pid, NULL, 0);
	metrics_reap(pid);
}

/* They may have sessions already. */
static bool
has_workers(const struct generation *g)
{
	for (size_t k = 0; k < g->n_workers && g->workers != NULL; k++)
		if (g->workers[k].pid != 0)
			return true;
	return false;
}

/* Ends what is running and waits for it: only for one that never was up. */
static void
abandon(struct generation **gp)
{
	struct generation *g = *gp;

	generation_end(g, SIGKILL);
	for (unsigned k = 0; k < g->signers.n; k++)
		await(g->signers.each[k].pid);
	for (size_t k = 0; k < g->n_workers && g->workers != NULL; k++)
		await(g->workers[k].pid);
	generation_free(gp);
}

struct generation *
generation_new(struct shared_config *config, const struct bind_set *sockets,
    struct keeper *keeper, struct queue *queue, const struct orders *orders,
    const struct generation *before, unsigned number, int ready_fd,
    int *status)
{
	struct generation *g = calloc(1, sizeof(*g));
	int r = -E_NOMEM;

	*status = 0;
	if (g == NULL)
		goto out;
	g->start.env.spool_fd = g->start.env.copies_fd = -1;
	g->start.env.state_fd = -1;
	g->number = number;
	g->keeper = keeper;
	g->queue = queue;
	g->shared = config;
	config->uses++;
	g->watchdog_s = config->config->watchdog_s;
	g->started_ms = now();
	g->start.parent = getpid();
	g->start.ready_fd = ready_fd;
	g->start.env.orders = orders;
	g->arena = arena_new(ARENA_MAX);
	if (g->arena != NULL)
		r = prepare(g, sockets, status);
	if (r == 0)
		r = start_all(g, before, status);
	if (r == 0)
		return g;
	if (before != NULL && has_workers(g))
		generation_end(g, WORKER_LEAVE);
	else
		abandon(&g);
out:
	if (*status == 0) {
		log_line(LOG_ERROR_, "cannot start: %s", err_text(r));
		*status = EX_OSERR;
	}
	return g;
}

static void
close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* What it takes to start a worker again, which one that leaves never does.
 * Whoever is forked from now on does not carry it. */
static void
let_go(struct generation *g)
{
	struct shared_config *s = g->shared;

	if (s != NULL && --s->uses == 0) {
		config_free(&s->config);
		free(s);
	}
	g->shared = NULL;
	close_one(&g->start.env.spool_fd);
	close_one(&g->start.env.state_fd);
	close_one(&g->start.env.copies_fd);
	generation_wipe(g);
	arena_free(&g->arena);
	g->inventory = (struct signer_inventory){0};
#ifdef __GLIBC__
	/* what several took that were there at a time goes back at once */
	malloc_trim(0);
#endif
}

void
generation_free(struct generation **gp)
{
	struct generation *g = *gp;

	if (g == NULL)
		return;
	let_go(g);
	signers_end(&g->signers, 0);
	share_free(&g->start.env.share);
	for (size_t k = 0; k < g->n_workers && g->workers != NULL; k++)
		close_channels(g->workers + k);
	free(g->workers);
	free(g);
	*gp = NULL;
}

bool
generation_ready(struct generation *g, pid_t pid)
{
	bool is_ours = false, is_up = true;

	for (size_t k = 0; k < g->n_workers; k++) {
		if (g->workers[k].pid == pid) {
			g->workers[k].is_ready = true;
			is_ours = true;
		}
		is_up = is_up && g->workers[k].is_ready;
	}
	g->is_up = g->is_up || is_up;
	return is_ours;
}

static void
log_end(const char *who, size_t number, pid_t pid, int status)
{
	char name[32];

	snprintf(name, sizeof(name), "%s/%zu", who, number);
	child_log_end(name, pid, status);
}

static void
tell_workers(const struct generation *g, int signal)
{
	for (size_t k = 0; k < g->n_workers && g->workers != NULL; k++)
		if (g->workers[k].pid != 0)
			kill(g->workers[k].pid, signal);
}

static enum generation_loss
lose_signer(struct generation *g, unsigned number, pid_t pid, int status)
{
	if (!g->is_leaving || status != 0)
		log_end("signer", number, pid, status);
	if (!g->is_leaving) {
		metrics_count(METRIC_RESTARTS, METRIC_PROCESS_SIGNER, 0);
		return GENERATION_SIGNER;
	}
	if (signers_left(&g->signers) == 0)
		tell_workers(g, WORKER_PART);	/* where there are some left */
	return GENERATION_EXPECTED;
}

enum generation_loss
generation_reap(struct generation *g, pid_t pid, int status, int64_t now_ms)
{
	unsigned signer = signers_reap(&g->signers, pid);

	if (signer != 0)
		return lose_signer(g, signer, pid, status);
	for (size_t k = 0; k < g->n_workers; k++) {
		struct worker_process *c = g->workers + k;

		if (c->pid != pid)
			continue;
		c->pid = 0;
		share_forget(g->start.env.share, k);
		close_channels(c);
		if (!g->is_leaving || status != 0)
			log_end("worker", k + 1, pid, status);
		if (g->is_leaving)
			return GENERATION_EXPECTED;
		if (c->restart_ms < now_ms)
			c->restart_ms = now_ms;
		c->n_restarts++;
		metrics_count(METRIC_RESTARTS, METRIC_PROCESS_WORKER, 0);
		return GENERATION_WORKER;
	}
	return GENERATION_NOT_OURS;
}

/* Whether it hangs, where there is one. Brings *next forward. */
static void
look_at(const struct generation *g, struct watchdog *w, pid_t pid,
    const char *what, size_t number, int64_t now_ms, int64_t *next)
{
	char who[32];
	int64_t at;

	if (pid == 0)
		return;
	snprintf(who, sizeof(who), "%s/%zu", what, number);
	at = watchdog_look(w, pid, who, metrics_beaten(pid), now_ms,
	    watchdog_ms(g));
	if (at < *next)
		*next = at;
}

/* Returns when to come again. */
static int64_t
look_at_all(struct generation *g, int64_t now_ms)
{
	int64_t next = INT64_MAX;

	for (size_t k = 0; k < g->n_workers; k++)
		look_at(g, &g->workers[k].watchdog, g->workers[k].pid,
		    "worker", k + 1, now_ms, &next);
	for (unsigned k = 0; k < g->signers.n; k++)
		look_at(g, &g->signers.each[k].watchdog,
		    g->signers.each[k].pid, "signer", k + 1, now_ms, &next);
	return next;
}

/* Whether somebody is still to be tried again. */
static bool
meet_unmet(struct generation *g)
{
	bool is_any = false;

	for (size_t k = 0; k < g->n_workers; k++) {
		struct worker_process *c = g->workers + k;

		if (c->is_unmet)
			c->is_unmet = !keeper_meet(g->keeper, c->channel);
		if (c->is_queue_unmet)
			c->is_queue_unmet = !queue_meet(g->queue,
			    c->queue_channel);
		is_any = is_any || c->is_unmet || c->is_queue_unmet;
	}
	return is_any;
}

/* Returns when to come again. */
static int64_t
meet_again(struct generation *g, int64_t now_ms)
{
	if (now_ms < g->meet_ms)
		return g->meet_ms;
	g->meet_ms = now_ms + CHILD_MEET_MS;
	return meet_unmet(g) ? g->meet_ms : INT64_MAX;
}

/* Returns when to come again. */
static int64_t
start_due(struct generation *g, int64_t now_ms)
{
	int64_t next = INT64_MAX;

	/* without a signer it is being replaced as a whole */
	if (g->is_leaving || !generation_can_sign(g))
		return next;
	for (size_t k = 0; k < g->n_workers; k++) {
		struct worker_process *c = g->workers + k;

		if (c->pid != 0)
			continue;
		if (c->restart_ms <= now_ms && start_worker(g, k) != 0)
			log_line(LOG_ERROR_, "cannot start a worker: %m");
		if (c->pid == 0 && c->restart_ms < next)
			next = c->restart_ms;
	}
	return next;
}

int64_t
generation_tick(struct generation *g, int64_t now_ms)
{
	const int64_t due[] = {look_at_all(g, now_ms), start_due(g, now_ms),
	    meet_again(g, now_ms)};
	int64_t next = INT64_MAX;

	for (size_t k = 0; k < sizeof(due) / sizeof(due[0]); k++)
		if (due[k] < next)
			next = due[k];
	return next;
}

void
generation_wipe(struct generation *g)
{
	tls_free(&g->start.env.tls);
	logins_free(&g->start.env.logins);
	secrets_free(&g->start.env.secrets);
}

void
generation_meet_queue(struct generation *g)
{
	for (size_t k = 0; k < g->n_workers; k++)
		g->workers[k].is_queue_unmet = g->workers[k].queue_channel >= 0;
	(void)meet_unmet(g);
}

void
generation_signers(const struct generation *g, struct signer_ends *ends)
{
	ends->n = 0;
	if (signers_left(&g->signers) != 0 &&
	    signers_connect(&g->signers, 0, ends) != 0)
		log_line(LOG_ERROR_, "the queue gets no signer: %m");
}

void
generation_meet(struct generation *g)
{
	for (size_t k = 0; k < g->n_workers; k++)
		g->workers[k].is_unmet = g->workers[k].channel >= 0;
	(void)meet_unmet(g);
}

bool
generation_can_sign(const struct generation *g)
{
	return g->signers.n == 0 || signers_left(&g->signers) != 0;
}

bool
generation_is_whole(const struct generation *g)
{
	return signers_left(&g->signers) == g->signers.n;
}

void
generation_end(struct generation *g, int signal)
{
	g->is_leaving = true;
	tell_workers(g, signal);
	/* signers leave behind the last worker */
	signers_end(&g->signers, signal);
	let_go(g);
}

bool
generation_is_gone(const struct generation *g)
{
	for (size_t k = 0; k < g->n_workers; k++)
		if (g->workers[k].pid != 0)
			return false;
	return signers_left(&g->signers) == 0;
}
