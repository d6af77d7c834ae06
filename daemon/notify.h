/* Says to systemd how we are (sd_notify(3)); nothing where it does not ask. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdint.h>

/*
 * state    "READY=1", "RELOADING=1", "STOPPING=1" ...
 * status   one short sentence for people; NULL: as it was
 */
void notify(const char *state, const char *status);

/* That we are alive, as often as the watchdog wants to hear it. */
struct notify_watchdog {
	int64_t every_ms;	/* 0: there is none */
	int64_t next_ms;
};

/* Reads whether it wants to hear it of this process. */
void notify_watchdog_begin(struct notify_watchdog *w);

/* Says so where it is due. Returns when it is due again; INT64_MAX: never. */
int64_t notify_watchdog_tick(struct notify_watchdog *w, int64_t now_ms,
    const char *status);

#endif
