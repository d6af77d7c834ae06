#include "daemon/watchdog.h"

#include <signal.h>

#include "daemon/log.h"
#include "daemon/metrics.h"

void
watchdog_begin(struct watchdog *w, unsigned process, int64_t now_ms,
    int64_t limit_ms)
{
	*w = (struct watchdog){.process = process,
	    .next_ms = now_ms + limit_ms / WATCHDOG_LOOKS};
}

int64_t
watchdog_beat_ms(int64_t limit_ms)
{
	int64_t ms = limit_ms / (2 * WATCHDOG_LOOKS);

	return ms < METRICS_BEAT_MS ? ms : METRICS_BEAT_MS;
}

static void
end(const struct watchdog *w, pid_t pid, const char *who, int64_t limit_ms)
{
	if (w->n_silent == WATCHDOG_LOOKS) {
		log_line(LOG_ERROR_, "ALARM: %s (pid %ld) hangs: nothing of "
		    "it for %lld s; another one is started", who, (long)pid,
		    (long long)(limit_ms / 1000));
		metrics_count(METRIC_HUNG, w->process, 0);
		kill(pid, SIGABRT);
	} else if (w->n_silent > WATCHDOG_LOOKS) {
		kill(pid, SIGKILL);
	}
}

int64_t
watchdog_look(struct watchdog *w, pid_t pid, const char *who, int64_t beat_ms,
    int64_t now_ms, int64_t limit_ms)
{
	if (now_ms < w->next_ms)
		return w->next_ms;
	w->next_ms = now_ms + limit_ms / WATCHDOG_LOOKS;
	w->n_silent = beat_ms == w->beat_ms && beat_ms >= 0
	    ? w->n_silent + 1 : 0;
	w->beat_ms = beat_ms;
	end(w, pid, who, limit_ms);
	return w->next_ms;
}
