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
notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct timespec now;
	char text[128];
	size_t n = path == NULL ? 0 : strlen(path);
	int fd, len;

	if (n < 2 || n >= sizeof(to.sun_path))
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	/* systemd orders what it hears of a reload by this clock */
	len = snprintf(text, sizeof(text), "%s\nMONOTONIC_USEC=%lld", state,
	    (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
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
