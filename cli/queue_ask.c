#include "cli/queue.h"

#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#define ANSWER_MAX 512U
#define WAIT_S 60

int
queue_ask_open(const struct queue_folder *f, int *fd)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct timeval wait = {.tv_sec = WAIT_S};

	*fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return cli_fail(CLI_CANNOT, "socket: %s", strerror(errno));
	/* by the folder that is open: paths of sockets are short */
	snprintf(sun.sun_path, sizeof(sun.sun_path),
	    "/proc/self/fd/%d/control", f->fd);
	if (setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == 0 &&
	    connect(*fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return 0;
	close(*fd);
	*fd = -1;
	if (errno == EACCES || errno == EPERM)
		return cli_fail(CLI_UNREADABLE, "%s/control: %s", f->path,
		    strerror(errno));
	return cli_fail(QUEUE_LATER, "hopseald is not running (no answer at "
	    "%s/control)", f->path);
}

static int
read_answer(struct bytes answer, const char *verb, const char *id,
    enum queue_said *said)
{
	char shown[4 * ANSWER_MAX + 8];
	struct buf b = BUF_ON(shown);

	if (bytes_eq(answer, BYTES_LIT("ok")))
		*said = QUEUE_SAID_OK;
	else if (bytes_eq(answer, BYTES_LIT("absent")))
		*said = QUEUE_SAID_ABSENT;
	else if (bytes_eq(answer, BYTES_LIT("busy")))
		*said = QUEUE_SAID_BUSY;
	else {
		if (bytes_starts(answer, BYTES_LIT("error ")))
			answer = bytes_skip(answer, 6);
		buf_add_escaped(&b, answer, ANSWER_MAX);
		return cli_fail(QUEUE_UNAVAILABLE, "%s %s: %.*s", verb, id,
		    BYTES_FMT(buf_bytes(&b)));
	}
	return 0;
}

int
queue_ask(int fd, const char *verb, const char *id, enum queue_said *said)
{
	char request[64];
	uint8_t answer[ANSWER_MAX];
	int n = snprintf(request, sizeof(request), "%s %s", verb, id);
	ssize_t got = -1;

	if (send(fd, request, (size_t)n, MSG_NOSIGNAL) == n)
		do
			got = recv(fd, answer, sizeof(answer), 0);
		while (got < 0 && errno == EINTR);
	if (got <= 0)
		return cli_fail(QUEUE_LATER, "%s %s: hopseald gives no answer",
		    verb, id);
	return read_answer((struct bytes){answer, (size_t)got}, verb, id,
	    said);
}
