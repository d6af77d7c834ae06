#include "daemon/signers.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/guard.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/passfd.h"
#include "daemon/signer_wire.h"

/* Workers that one signer has time for where no key is RSA: an Ed25519
 * signature is a quarter of what its message costs a worker. */
#define WORKERS_EACH 4

/* ---- the process --------------------------------------------------------- */

static void
to_log(void *arg, const char *text)
{
	(void)arg;
	log_line(LOG_ERROR_, "%s", text);
}

static int
fail(int control, int status)
{
	struct signer_hello failed = {.status = (uint32_t)status};

	(void)!send(control, &failed, sizeof(failed), MSG_NOSIGNAL);
	return status;
}

/* Keys are read while we may, and announced when we may nothing else. */
static int
load(struct signer_keys **keys, const struct worker_start *start, int control,
    bool says_limit)
{
	const struct priv *p = &start->priv;
	bool is_locked;

	priv_lock_memory();
	*keys = signer_keys_load(start->env.config->keys, p->gid, to_log,
	    NULL);
	if (*keys == NULL)
		return fail(control, EX_CONFIG);
	if (priv_drop(p, start->parent, 0) != 0)
		return fail(control, EX_OSERR);
	log_copy(-1);
	is_locked = priv_lock_memory();
	if (guard_enter(GUARD_SIGNER, NULL, 0) != 0)
		return fail(control, EX_OSERR);
	if (!is_locked && says_limit)
		log_line(LOG_NOTICE_, "RLIMIT_MEMLOCK is too low to lock "
		    "more memory than that of the keys themselves");
	return 0;
}

static int
signer_main(const struct worker_start *start, int control, unsigned number,
    bool says_limit)
{
	const int copy = log_copied();
	struct signer_keys *keys;
	char name[32];
	int status;

	snprintf(name, sizeof(name), "signer/%u", number);
	log_open(name);
	metrics_begin(METRIC_PROCESS_SIGNER);
	log_copy(copy);		/* who reloads hears what is wrong with keys */
	prctl(PR_SET_NAME, "hopseald-signer");
	/* it goes when its peers are gone, and not before */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	status = load(&keys, start, control, says_limit);
	if (status == 0 &&
	    signer_keys_announce(keys, control, number == 1) == 0)
		signer_serve(keys, control, (int)watchdog_beat_ms((int64_t)
		    start->env.config->watchdog_s * 1000));
	signer_keys_free(&keys);
	return status;
}

/* ---- the master ---------------------------------------------------------- */

static int
fork_one(struct signers *s, const struct worker_start *start, bool says_limit)
{
	struct signer_process *p = s->each + s->n;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -E_SYSTEM;
	pid = fork();
	if (pid == 0) {
		int keep[2] = {pair[1], log_copied()};

		priv_close_others(keep, 2);
		exit(signer_main(start, pair[1], s->n + 1, says_limit));
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return -E_SYSTEM;
	}
	*p = (struct signer_process){.pid = pid, .control = pair[0]};
	s->n++;
	return 0;
}

static size_t
count_needed(const struct signer_inventory *inv, size_t n_workers)
{
	size_t n = (n_workers + WORKERS_EACH - 1) / WORKERS_EACH;

	for (size_t k = 0; k < inv->n; k++)
		if (inv->keys[k].algorithm == DKIM2_RSA_SHA256)
			n = n_workers;
	return n < SIGNERS_MAX ? n : SIGNERS_MAX;
}

/* The others read their keys at the same time. */
static int
start_others(struct signers *s, const struct worker_start *start, size_t n,
    const struct signer_inventory *inv, int *status)
{
	int r = 0;

	while (r == 0 && s->n < n)
		r = fork_one(s, start, false);
	for (size_t k = 1; r == 0 && k < n; k++)
		r = signer_inventory_match(inv, s->each[k].control, status);
	return r;
}

int
signers_start(struct signers *s, const struct worker_start *start,
    size_t n_workers, struct signer_inventory *inv, struct arena *a,
    int *status)
{
	static bool has_said_limit;	/* once is enough */
	int r = fork_one(s, start, !has_said_limit);

	has_said_limit = true;
	if (r == 0)
		r = signer_inventory_take(inv, s->each[0].control, a, status);
	if (r == 0 && *status == 0)
		r = start_others(s, start, count_needed(inv, n_workers), inv,
		    status);
	if (r != 0)
		log_line(LOG_ERROR_, "the signer did not start");
	return *status != 0 ? -E_UNSAFE : r;
}

static int
connect_one(const struct signer_process *p, struct signer_ends *ends)
{
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -E_SYSTEM;
	r = passfd_give(p->control, pair[1]);
	close(pair[1]);
	/* one that has just ended is none that a worker could do without */
	if (r == 0)
		ends->fds[ends->n++] = pair[0];
	else
		close(pair[0]);
	return 0;
}

int
signers_connect(const struct signers *s, size_t first,
    struct signer_ends *ends)
{
	int r = 0;

	ends->n = 0;
	for (size_t k = 0; k < s->n && r == 0; k++) {
		const struct signer_process *p = s->each + (first + k) % s->n;

		if (p->control >= 0)
			r = connect_one(p, ends);
	}
	if (r == 0 && ends->n == 0 && s->n != 0)
		r = -E_SYSTEM;
	if (r != 0)
		signers_close(ends);
	return r;
}

void
signers_close(struct signer_ends *ends)
{
	while (ends->n != 0)
		close(ends->fds[--ends->n]);
}

static void
hang_up(struct signer_process *p)
{
	if (p->control >= 0)
		close(p->control);
	p->control = -1;
}

unsigned
signers_reap(struct signers *s, pid_t pid)
{
	for (unsigned k = 0; k < s->n; k++) {
		if (s->each[k].pid != pid)
			continue;
		s->each[k].pid = 0;
		hang_up(s->each + k);
		return k + 1;
	}
	return 0;
}

unsigned
signers_left(const struct signers *s)
{
	unsigned n = 0;

	for (unsigned k = 0; k < s->n; k++)
		n += s->each[k].pid != 0;
	return n;
}

void
signers_end(struct signers *s, int signal)
{
	for (unsigned k = 0; k < s->n; k++) {
		if (s->each[k].pid != 0 && signal == SIGKILL)
			kill(s->each[k].pid, SIGKILL);
		hang_up(s->each + k);
	}
}
