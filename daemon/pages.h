/* What is told over HTTP: /metrics, /healthz and /readyz. */
#ifndef DAEMON_PAGES_H
#define DAEMON_PAGES_H

#include "base/buf.h"
#include "daemon/worker.h"

struct pages;

/*
 * env      of the generation that serves; n_sockets of metrics to listen on
 * Returns  NULL without memory (logged)
 */
struct pages *pages_new(struct loop *l, const struct worker_env *env);
void pages_free(struct pages **p);

/* Answers who was let in, and takes nobody else (http_leave()). */
void pages_leave(struct pages *p, loop_call *left, void *arg);

/*
 * Whether mail is taken now: adds "ok" or, a line each, what is missing.
 *
 * o        what is ordered: none where every listener is drained or paused
 * now_ms   of the monotonic clock
 */
bool pages_is_ready(const struct config *c, const struct orders *o,
    int64_t now_ms, struct buf *out);

/* Likewise whether the daemon lives: some worker does, or is about to. */
bool pages_is_alive(int64_t now_ms, struct buf *out);

#endif
