#include "daemon/master.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/version.h"
#include "daemon/addr.h"
#include "daemon/control.h"
#include "daemon/generation.h"
#include "daemon/guard.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/notify.h"
#include "daemon/summary.h"
#include "daemon/reload.h"
#include "daemon/reload_keys.h"
#include "daemon/status.h"
#include "daemon/tls_watch.h"

#define STOP_MS (32 * 1000)	/* a worker's own limit, and a little */
#define RENEW_MIN_MS 1000
#define RENEW_MAX_MS (60 * 1000)

struct master {
	const char *path;
	struct bind_set sockets;
	struct keeper keeper;
	struct queue queue;
	struct control_process control;
	const struct orders *orders;	/* NULL: none can be given */
	struct generation *newest;	/* all that are not gone yet */
	unsigned count;			/* generations made so far */
	int signal_fd;
	int ready[2];			/* workers write into [1] */
	int status;			/* what to exit with */
	int64_t since_s;		/* in seconds of 1970 */
	bool is_stopping;
	int64_t kill_ms;		/* while stopping */
	bool is_reload_due;		/* asked while one is under way */
	struct reload reload;
	bool is_renewal_due;		/* the newest has lost a signer */
	int64_t renew_ms;		/* not before */
	int64_t renew_wait_ms;
	struct tls_watch certificates;	/* of the newest generation */
	struct notify_watchdog watchdog;
};

static int64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
to_log(void *arg, const char *text)
{
	(void)arg;
	log_line(LOG_ERROR_, "%s", text);
}

/* ---- generations --------------------------------------------------------- */

static struct shared_config *
share(struct config **c)
{
	struct shared_config *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		config_free(c);
		return NULL;
	}
	s->config = *c;
	*c = NULL;
	return s;
}

/* The newest generation that took over; NULL before the first did. */
static struct generation *
serving(const struct master *m)
{
	struct generation *g = m->newest;

	while (g != NULL && (!g->is_up || g->is_leaving))
		g = g->next;
	return g;
}

/* Binds and forks; 0, or what to exit with where that is all there is. */
static int
start(struct master *m, struct shared_config *s)
{
	struct generation *g;
	int status = EX_OSERR;

	s->uses++;	/* ours, for as long as this takes */
	log_json(s->config->log == LOG_JSON);
	tls_watch_begin(&m->certificates, s->config, now());
	g = guard_begin(s->config->is_sandboxed) != 0 ||
	    bind_update(&m->sockets, s->config) != 0 ? NULL :
	    generation_new(s, &m->sockets, &m->keeper, &m->queue, m->orders,
	    serving(m), m->count + 1, m->ready[1], &status);
	if (--s->uses == 0) {
		config_free(&s->config);
		free(s);
	}
	if (g == NULL)
		return status;
	m->count++;
	g->next = m->newest;
	m->newest = g;
	return g->is_leaving ? status : 0;
}

/* What a configuration that was just read does not mean, perhaps. */
static void
warn(const struct master *m)
{
	const struct generation *g = m->newest;

	reload_warn(&(struct reload_keys){g->shared->config, &g->inventory});
}

/* Whether a generation is starting and has not taken over yet. */
static bool
is_pending(const struct master *m)
{
	return m->newest != NULL && !m->newest->is_up &&
	    !m->newest->is_leaving;
}

static struct status_facts
facts(const struct master *m)
{
	return (struct status_facts){m->path, m->since_s, now(),
	    m->is_stopping, m->newest, serving(m), &m->keeper, &m->queue,
	    &m->control, &m->reload};
}

/* To systemd, with a sentence on how things stand. */
static void
notify_state(const struct master *m, const char *state)
{
	const struct status_facts f = facts(m);
	char sentence[STATUS_SENTENCE_MAX];

	status_write_sentence(&f, sentence);
	notify(state, sentence);
}

/* How a reload ended, to who asked for it. */
static void
end_reload(struct master *m, bool is_good)
{
	struct reload *r = &m->reload;

	if (!r->is_running)
		return;
	reload_end(r, is_good);
	if (r->answers != 0)
		control_tell(&m->control, &(struct control_told)
		    {CONTROL_OP_RELOAD, r->answers, is_good}, reload_text(r));
}

/* The sockets go back to what the one that goes on with wants. */
static void
go_on_with_old(struct master *m)
{
	struct generation *g = serving(m);

	if (g != NULL)
		log_json(g->shared->config->log == LOG_JSON);
	end_reload(m, false);
	log_line(LOG_ERROR_, "the old configuration goes on");
	if (g != NULL && bind_update(&m->sockets, g->shared->config) == 0)
		bind_trim(&m->sockets);
	if (g != NULL)
		tls_watch_begin(&m->certificates, g->shared->config, now());
	notify_state(m, "READY=1");
}

static void
say_ready(const struct master *m)
{
	char text[2048];
	struct buf b = BUF_ON(text);

	for (size_t k = 0; k < m->sockets.n; k++) {
		if (b.n + 100 > b.cap) {
			buf_add_str(&b, " ...");
			break;
		}
		buf_add_str(&b, k == 0 ? "" : ", ");
		addr_add(&m->sockets.sockets[k].addr, &b);
	}
	log_line(LOG_NOTICE_, "hopseald %s ready: %zu worker%s, "
	    "listening on %.*s", HOPSEAL_VERSION, m->newest->n_workers,
	    m->newest->n_workers == 1 ? "" : "s", BYTES_FMT(buf_bytes(&b)));
	notify_state(m, "READY=1");
}

/* Every worker of the newest generation accepts: the others may leave. */
static void
take_over(struct master *m)
{
	for (struct generation *g = m->newest->next; g != NULL; g = g->next)
		if (!g->is_leaving)
			generation_end(g, generation_can_sign(g)
			    ? WORKER_LEAVE : WORKER_PART);
	if (keeper_configure(&m->keeper, m->newest->shared->config,
	    &m->newest->start.priv) != 0)
		log_line(LOG_ERROR_, "the keeper goes on as it was: %m");
	queue_leave(&m->queue);
	bind_trim(&m->sockets);
	m->renew_wait_ms = 0;
	end_reload(m, true);
	say_ready(m);
	control_leave(&m->control, now());	/* the next one has the new one's */
	m->reload.asked = 0;
}

static void
stop(struct master *m, int status)
{
	m->is_stopping = true;
	m->status = status;
	m->kill_ms = now() + STOP_MS;
	for (struct generation *g = m->newest; g != NULL; g = g->next)
		generation_end(g, WORKER_STOP);
	keeper_end(&m->keeper, 0);
	queue_end(&m->queue, 0);
	bind_fini(&m->sockets);
	end_reload(m, false);
}

static void
kill_all(struct master *m)
{
	m->kill_ms = INT64_MAX;
	for (struct generation *g = m->newest; g != NULL; g = g->next)
		generation_end(g, SIGKILL);
	keeper_end(&m->keeper, SIGKILL);
	queue_end(&m->queue, SIGKILL);
	control_end(&m->control, SIGKILL, now());
}

static void
renew_later(struct master *m)
{
	m->renew_wait_ms = m->renew_wait_ms == 0 ? RENEW_MIN_MS :
	    m->renew_wait_ms * 2;
	if (m->renew_wait_ms > RENEW_MAX_MS)
		m->renew_wait_ms = RENEW_MAX_MS;
	m->is_renewal_due = true;
	m->renew_ms = now() + m->renew_wait_ms;
}

/* The newest generation can not start, or not go on, on its own. Where it was
 * to bring another signer, the next one is. */
static void
fail_start(struct master *m, int status)
{
	const struct generation *g = serving(m);

	generation_end(m->newest, WORKER_LEAVE);
	if (g == NULL) {
		stop(m, status == 0 ? EX_SOFTWARE : status);
		return;
	}
	go_on_with_old(m);
	if (!generation_is_whole(g))
		renew_later(m);
}

static void
renew(struct master *m)
{
	struct generation *g = serving(m);

	m->is_renewal_due = false;
	if (g == NULL || generation_is_whole(g))
		return;		/* a reload has brought new signers */
	if (is_pending(m))
		renew_later(m);
	else if (start(m, g->shared) != 0)
		renew_later(m);
}

/*
 * Certificates, or how names are looked up: new workers read them, the old
 * ones finish their sessions with theirs.
 */
static void
renew_certificates(struct master *m)
{
	struct shared_config *s = serving(m)->shared;

	log_line(LOG_NOTICE_, "certificates or resolvers have changed: "
	    "reading them again");
	reload_begin(&m->reload);	/* counted, and told by status */
	if (start(m, s) != 0) {
		end_reload(m, false);
		log_line(LOG_ERROR_, "the old certificates go on");
	}
}

static void
reload(struct master *m)
{
	struct config *c;
	struct shared_config *s = NULL;

	if (is_pending(m)) {
		m->is_reload_due = true;
		return;
	}
	m->is_reload_due = false;
	log_line(LOG_NOTICE_, "reading %s again", m->path);
	reload_begin(&m->reload);
	notify("RELOADING=1", NULL);
	c = config_load(m->path, to_log, NULL);
	if (c != NULL)
		s = share(&c);
	if (s == NULL || start(m, s) != 0)
		go_on_with_old(m);
	else
		warn(m);
}

/* ---- signals and children ------------------------------------------------ */

static void
lost(struct master *m, struct generation *g, enum generation_loss what,
    int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : EX_SOFTWARE;

	if (m->is_stopping)
		return;
	if (!g->is_up && !g->is_leaving)
		fail_start(m, code);
	else if (what == GENERATION_SIGNER)
		renew_later(m);
}

static void
reap(struct master *m)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct generation *g = m->newest;
		enum generation_loss what = GENERATION_NOT_OURS;

		metrics_reap(pid);
		if (keeper_reap(&m->keeper, pid, status, now()) ||
		    queue_reap(&m->queue, pid, status, now()))
			continue;
		if (control_reap(&m->control, pid, status, now())) {
			/* the next one counts its tickets anew */
			m->reload.asked = m->reload.answers = 0;
			continue;
		}
		for (; g != NULL; g = g->next) {
			what = generation_reap(g, pid, status, now());
			if (what != GENERATION_NOT_OURS)
				break;
		}
		if (what == GENERATION_WORKER || what == GENERATION_SIGNER)
			lost(m, g, what, status);
	}
}

static void
bury(struct master *m)
{
	struct generation **at = &m->newest;

	while (*at != NULL) {
		struct generation *g = *at;

		if (!g->is_leaving || !generation_is_gone(g)) {
			at = &g->next;
			continue;
		}
		*at = g->next;
		generation_free(&g);
	}
}

static void
take_signals(struct master *m)
{
	struct signalfd_siginfo s;

	while (read(m->signal_fd, &s, sizeof(s)) == (ssize_t)sizeof(s)) {
		switch (s.ssi_signo) {
		case SIGTERM:
		case SIGINT:
			if (m->is_stopping) {
				log_line(LOG_WARNING_, "told to stop twice");
				kill_all(m);
				break;
			}
			log_line(LOG_NOTICE_, "stopping");
			stop(m, 0);
			notify_state(m, "STOPPING=1");
			break;
		case SIGHUP:
			m->is_reload_due = !m->is_stopping;
			break;
		default:
			break;	/* SIGCHLD: reap() comes in any case */
		}
	}
}

static void
take_ready(struct master *m)
{
	pid_t pid;

	while (read(m->ready[0], &pid, sizeof(pid)) == (ssize_t)sizeof(pid)) {
		bool was_pending = is_pending(m);

		for (struct generation *g = m->newest; g != NULL; g = g->next)
			if (generation_ready(g, pid))
				break;
		if (was_pending && m->newest->is_up)
			take_over(m);
	}
}

static void
say_status(struct master *m, uint32_t ticket)
{
	const struct status_facts f = facts(m);
	struct buf text = {malloc(CONTROL_TOLD_MAX), 0, CONTROL_TOLD_MAX,
	    false};

	if (text.p == NULL)
		text.cap = 0;
	status_write_processes(&f, &text);
	control_tell(&m->control, &(struct control_told){CONTROL_OP_STATUS,
	    ticket, true}, buf_bytes(&text));
	free(text.p);
}

static void
take_asked(struct master *m)
{
	struct control_ask a;

	while (control_asked(&m->control, &a)) {
		if (a.op == CONTROL_OP_STATUS) {
			say_status(m, a.ticket);
		} else if (a.op == CONTROL_OP_RELOAD && m->is_stopping) {
			control_tell(&m->control, &(struct control_told)
			    {a.op, a.ticket, false},
			    BYTES_LIT("hopseald is stopping\n"));
		} else if (a.op == CONTROL_OP_RELOAD) {
			m->reload.asked = a.ticket;
			m->is_reload_due = true;
		}
	}
}

static void
wipe(void *arg)
{
	struct master *m = arg;

	for (struct generation *g = m->newest; g != NULL; g = g->next)
		generation_wipe(g);
}

/* A queue process has the logins for next hops of one generation. */
static void
wipe_for_queue(void *arg)
{
	struct master *m = arg;

	for (struct generation *g = m->newest; g != NULL; g = g->next)
		if (g != serving(m))
			generation_wipe(g);
}

static void
signers_for_queue(void *arg, struct signer_ends *ends)
{
	const struct generation *g = serving(arg);

	ends->n = 0;
	if (g != NULL)
		generation_signers(g, ends);
}

/* Starts the keeper where it is due. Returns when that is. */
static int64_t
tick_keeper(struct master *m, int64_t now_ms)
{
	bool is_new;
	int64_t next = keeper_tick(&m->keeper, now_ms, &is_new);

	for (struct generation *g = m->newest; is_new && g != NULL; g = g->next)
		generation_meet(g);
	if (is_new && m->queue.channel >= 0)
		keeper_meet(&m->keeper, m->queue.channel);
	return next;
}

/* Likewise the queue process, of the configuration that serves. */
static int64_t
tick_queue(struct master *m, int64_t now_ms)
{
	const struct generation *of = serving(m);
	bool is_new;
	int64_t next = queue_tick(&m->queue, of == NULL ? NULL :
	    &of->start.env, now_ms, &is_new);

	if (!is_new)
		return next;
	keeper_meet(&m->keeper, m->queue.channel);
	for (struct generation *g = m->newest; g != NULL; g = g->next)
		generation_meet_queue(g);
	return next;
}

static int64_t
tick_control(struct master *m, int64_t now_ms)
{
	const struct generation *of = serving(m);

	return control_tick(&m->control, of == NULL ? NULL : &of->start,
	    now_ms);
}

static int64_t
tick_watchdog(struct master *m, int64_t now_ms)
{
	const struct status_facts f = facts(m);
	char sentence[STATUS_SENTENCE_MAX];

	status_write_sentence(&f, sentence);
	return notify_watchdog_tick(&m->watchdog, now_ms, sentence);
}

/* Does what is due. Returns for how long poll() may wait then. */
static int
tick(struct master *m)
{
	int64_t t = now(), next = INT64_MAX, keeper_ms, queue_ms;
	int64_t control_ms, alive_ms, summary_ms;

	if (m->is_stopping && m->kill_ms <= t) {
		log_line(LOG_WARNING_, "killing what would not stop");
		kill_all(m);
	}
	if (m->is_stopping)
		next = m->kill_ms;
	if (!m->is_stopping && m->is_reload_due && !is_pending(m))
		reload(m);
	if (!m->is_stopping && m->is_renewal_due && m->renew_ms <= t)
		renew(m);
	if (!m->is_stopping && m->is_renewal_due)
		next = m->renew_ms;
	if (!m->is_stopping && !is_pending(m) && serving(m) != NULL) {
		if (tls_watch_look(&m->certificates,
		    serving(m)->shared->config, t))
			renew_certificates(m);
		if (m->certificates.next_ms < next)
			next = m->certificates.next_ms;
	}
	keeper_ms = tick_keeper(m, t);
	if (keeper_ms < next)
		next = keeper_ms;
	queue_ms = tick_queue(m, t);
	if (queue_ms < next)
		next = queue_ms;
	control_ms = tick_control(m, t);
	if (control_ms < next)
		next = control_ms;
	summary_ms = t + summary_tick((int64_t)time(NULL), false) * 1000;
	if (summary_ms < next)
		next = summary_ms;
	alive_ms = tick_watchdog(m, t);
	if (alive_ms < next)
		next = alive_ms;
	for (struct generation *g = m->newest; g != NULL; g = g->next) {
		int64_t at = generation_tick(g, t);

		if (at < next)
			next = at;
	}
	if (next == INT64_MAX)
		return -1;
	t = now();
	return next <= t ? 0 : (int)(next - t);
}

static void
loop(struct master *m)
{
	for (;;) {
		struct pollfd fds[3] = {{m->signal_fd, POLLIN, 0},
		    {m->ready[0], POLLIN, 0}, {-1, POLLIN, 0}};
		int ms;

		reap(m);
		bury(m);
		if (m->is_stopping && m->newest == NULL &&
		    m->keeper.child.pid == 0 && m->queue.child.pid == 0) {
			if (m->control.child.pid == 0)
				return;
			control_end(&m->control, 0, now());
		}
		ms = tick(m);
		fds[2].fd = m->control.fd;
		if (poll(fds, 3, ms) < 0 && errno != EINTR) {
			log_line(LOG_ERROR_, "poll: %m");
			m->status = EX_OSERR;
			kill_all(m);
			return;
		}
		take_signals(m);
		take_ready(m);
		take_asked(m);
	}
}

/* Signals are read from a descriptor; children unblock what they handle. */
static int
open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, WORKER_LEAVE);
	sigaddset(&set, WORKER_PART);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -1;
	sigdelset(&set, WORKER_LEAVE);
	sigdelset(&set, WORKER_PART);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

int
master_run(const char *path, struct config *c)
{
	struct master m = {.path = path, .keeper = KEEPER_NONE,
	    .queue = QUEUE_NONE, .control = CONTROL_PROCESS_NONE,
	    .reload.errors = -1, .since_s = (int64_t)time(NULL)};
	struct shared_config *s = share(&c);
	int status;

	m.keeper.in_child = wipe;
	m.keeper.arg = &m;
	m.queue.in_child = wipe_for_queue;
	m.queue.signers = signers_for_queue;
	m.queue.arg = &m;
	m.control.in_child = wipe;
	m.control.arg = &m;
	m.orders = orders_make(&m.control.orders);
	if (m.orders == NULL)
		log_line(LOG_WARNING_, "no orders can be given: %m");
	notify_watchdog_begin(&m.watchdog);
	m.signal_fd = open_signals();
	if (s == NULL || m.signal_fd < 0 || metrics_open() != 0 ||
	    summary_open() != 0 ||
	    pipe2(m.ready, O_NONBLOCK | O_CLOEXEC) != 0) {
		log_line(LOG_ERROR_, "cannot start: %m");
		if (s != NULL)
			config_free(&s->config);
		free(s);
		return EX_OSERR;
	}
	bind_take_given(&m.sockets);
	status = start(&m, s);
	if (status == 0) {
		warn(&m);
		loop(&m);
		status = m.status;
		(void)summary_tick((int64_t)time(NULL), true);
		log_line(LOG_NOTICE_, "stopped");
	}
	keeper_fini(&m.keeper);
	queue_fini(&m.queue);
	control_fini(&m.control);
	bind_fini(&m.sockets);
	close(m.signal_fd);
	close(m.ready[0]);
	close(m.ready[1]);
	return status;
}
