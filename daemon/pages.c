#include "daemon/pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/err.h"
#include "base/version.h"
#include "daemon/http.h"
#include "daemon/keywatch.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/queue.h"

#define LATE_MS (5 * 1000)	/* a worker or signer beats each second */
#define SLOW_LATE_MS (25 * 1000)	/* keeper and queue each ten */
#define DEAD_MS (30 * 1000)
#define MIN_FREE (16U << 20)	/* octets, where nothing is queued */

struct pages {
	struct loop *loop;
	const struct worker_env *env;
	struct http *http;
	struct keywatch *keys;
	pid_t master;
};

/* ---- how we are ---------------------------------------------------------- */

static void
look_at(unsigned process, const char *name, int64_t now_ms, int64_t late_ms,
    struct buf *out)
{
	struct metrics_health h;

	metrics_health(process, now_ms, late_ms, &h);
	if (h.n == 0)
		buf_printf(out, "no %s runs\n", name);
	else if (h.n_ready == 0)
		buf_printf(out, "no %s is ready\n", name);
	else if (h.n_late == h.n_ready)
		buf_printf(out, "no %s answers: it hangs\n", name);
}

static void
look_at_disk(const struct config *c, struct buf *out)
{
	struct statvfs v;
	uint64_t min = queue_is_used(c) && c->queue_min_free > MIN_FREE
	    ? c->queue_min_free : MIN_FREE;

	if (statvfs(c->state, &v) != 0)
		buf_printf(out, "the folder of `state` can not be looked at\n");
	else if ((uint64_t)v.f_bavail * v.f_frsize < min)
		buf_printf(out, "the disk of `state` is full\n");
	else if (v.f_files != 0 && v.f_favail == 0)
		buf_printf(out, "the disk of `state` has no inodes left\n");
}

static void
look_at_orders(const struct config *c, const struct orders *o, int64_t now_ms,
    struct buf *out)
{
	for (size_t l = 0; l < c->n_listeners; l++) {
		struct orders_now is = orders_now(o, c->listeners + l, now_ms);

		if (!is.is_drained && !is.is_paused)
			return;
	}
	buf_add_str(out, "every listener is drained or paused\n");
}

bool
pages_is_ready(const struct config *c, const struct orders *o, int64_t now_ms,
    struct buf *out)
{
	size_t n = out->n;

	look_at(METRIC_PROCESS_WORKER, "worker", now_ms, LATE_MS, out);
	if (c->keys != NULL)
		look_at(METRIC_PROCESS_SIGNER, "signer", now_ms, LATE_MS, out);
	look_at(METRIC_PROCESS_KEEPER, "keeper", now_ms, SLOW_LATE_MS, out);
	if (queue_is_used(c))
		look_at(METRIC_PROCESS_QUEUE, "queue", now_ms, SLOW_LATE_MS,
		    out);
	look_at_orders(c, o, now_ms, out);
	look_at_disk(c, out);
	if (out->n != n)
		return false;
	buf_add_str(out, "ok\n");
	/* no machine that shares it is better: mail is to go on */
	if (metrics_get(METRIC_STORE_OUT, 0, 0) != 0)
		buf_add_str(out, "the store is out: a retry may arrive "
		    "twice\n");
	return true;
}

bool
pages_is_alive(int64_t now_ms, struct buf *out)
{
	struct metrics_health h;

	bool is_hung;

	metrics_health(METRIC_PROCESS_WORKER, now_ms, DEAD_MS, &h);
	/* who leaves with his last sessions serves nobody else */
	is_hung = h.n_ready != 0 && h.n_late == h.n_ready;
	if (h.n == 0)
		buf_add_str(out, "no worker runs\n");
	else if (is_hung)
		buf_add_str(out, "no worker answers: all of them hang\n");
	else
		buf_add_str(out, "ok\n");
	return h.n != 0 && !is_hung;
}

/* ---- pages --------------------------------------------------------------- */

static void
tell_certificates(const struct worker_env *env, struct buf *out)
{
	const struct config *c = env->config;
	const int64_t *ends = env->certificate_ends;
	char place[24];

	for (size_t l = 0; l < c->n_listeners && ends != NULL; l++) {
		for (size_t k = 0; k < c->listeners[l].n_tls; k++) {
			snprintf(place, sizeof(place), "%zu", k + 1);
			metrics_write_line(out, METRIC_CERTIFICATE,
			    c->listeners[l].name, place, *ends++);
		}
	}
}

static void
tell(void *arg, enum metric m, struct buf *out)
{
	const struct pages *p = arg;

	switch (m) {
	case METRIC_CERTIFICATE:
		tell_certificates(p->env, out);
		break;
	case METRIC_KEY_PUBLISHED:
		keywatch_tell(p->keys, out);
		break;
	case METRIC_START:
		metrics_write_line(out, m, NULL, NULL, metrics_start_s());
		break;
	case METRIC_BUILD:
		metrics_write_line(out, m, HOPSEAL_VERSION, HOPSEAL_DRAFT, 1);
		break;
	default:
		break;
	}
}

/* http_page */
static int
write_page(void *arg, const char *path, struct buf *out)
{
	const struct pages *p = arg;
	int64_t now_ms = loop_now_ms(p->loop);

	if (strcmp(path, "/metrics") == 0) {
		metrics_write(out, loop_time_s(p->loop), tell, arg);
		return 200;
	}
	if (strcmp(path, "/readyz") == 0)
		return pages_is_ready(p->env->config, p->env->orders, now_ms,
		    out) ? 200 : 503;
	if (strcmp(path, "/healthz") != 0)
		return 404;
	if (getppid() != p->master) {
		buf_add_str(out, "the master is gone\n");
		return 503;
	}
	return pages_is_alive(now_ms, out) ? 200 : 503;
}

struct pages *
pages_new(struct loop *l, const struct worker_env *env)
{
	struct pages *p = calloc(1, sizeof(*p));
	int error = -E_NOMEM;

	if (p == NULL)
		goto out;
	p->loop = l;
	p->env = env;
	p->master = getppid();
	p->http = http_new(l, env->config->hostname, write_page, p);
	p->keys = keywatch_new(l, env);
	if (p->http != NULL && p->keys != NULL)
		error = 0;
	for (size_t k = 0; k < env->n_http && error == 0; k++)
		error = http_listen(p->http, env->http_fds[k]);
out:
	if (error != 0) {
		log_line(LOG_ERROR_, "no metrics: %s", err_text(error));
		pages_free(&p);
	}
	return p;
}

void
pages_leave(struct pages *p, loop_call *left, void *arg)
{
	http_leave(p->http, left, arg);
}

void
pages_free(struct pages **pp)
{
	struct pages *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	http_free(&p->http);
	keywatch_free(&p->keys);
	free(p);
}
