#include "daemon/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

void
notify(const char *state, const char *status)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct timespec now;
	char text[512];
	size_t n = path == NULL ? 0 : strlen(path);
	int fd, len;

	if (n < 2 || n >= sizeof(to.sun_path))
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	/* systemd orders what it hears of a reload by this clock */
	len = snprintf(text, sizeof(text), "%s%s%.300s\nMONOTONIC_USEC=%lld",
	    state, status == NULL ? "" : "\nSTATUS=",
	    status == NULL ? "" : status, (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	memcpy(to.sun_path, path, n);
	if (path[0] == '@')
		to.sun_path[0] = '\0';	/* an abstract name */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)!sendto(fd, text, (size_t)len, MSG_NOSIGNAL,
	    (struct sockaddr *)&to,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	close(fd);
}

/* A number of the environment; 0 where it is not there, or no number. */
static int64_t
number_of(const char *name)
{
	const char *text = getenv(name);
	char *end;
	long long n;

	if (text == NULL || *text < '0' || *text > '9')
		return 0;
	n = strtoll(text, &end, 10);	/* too large is the largest */
	return *end == '\0' ? n : 0;
}

void
notify_watchdog_begin(struct notify_watchdog *w)
{
	int64_t every_us = number_of("WATCHDOG_USEC");
	int64_t pid = number_of("WATCHDOG_PID");

	*w = (struct notify_watchdog){0, 0};
	if (every_us == 0 || (pid != 0 && pid != getpid()))
		return;
	/* thrice in its time, so that one may come late */
	w->every_ms = every_us / 3000;
	if (w->every_ms == 0)
		w->every_ms = 1;
	if (w->every_ms > 60000)
		w->every_ms = 60000;
}

int64_t
notify_watchdog_tick(struct notify_watchdog *w, int64_t now_ms,
    const char *status)
{
	if (w->every_ms == 0)
		return INT64_MAX;
	if (w->next_ms <= now_ms) {
		notify("WATCHDOG=1", status);
		w->next_ms = now_ms + w->every_ms;
	}
	return w->next_ms;
}
