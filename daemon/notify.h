/* Says to systemd how we are (sd_notify(3)); nothing where it does not ask. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

/* state is "READY=1", "RELOADING=1", "STOPPING=1" ... */
void notify(const char *state);

#endif
