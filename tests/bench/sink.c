/*
 * sink PORT FILE   takes all mail on 127.0.0.1 and counts it in FILE, which is
 * mapped: struct counts below. A field X-Bench holds when the message set out,
 * nanoseconds of the monotonic clock, and so tells how long it was under way.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WAYS (1U << 20)		/* times that are kept */
#define LINE_MAX_ 4096U
#define HEAD ((size_t)16384)	/* where the fields that are looked at stand */
#define EVENTS 256
#define END "\r\n.\r\n"
#define TAIL 4U			/* of END, may be in the read before */

struct counts {
	uint64_t messages, octets, last_ns, connections, signatures, recipients;
	uint32_t way_us[WAYS];	/* of message number modulo WAYS */
};

struct session {
	int fd;
	bool is_data, is_over;
	size_t n_line, n_out, n_head;
	uint64_t octets;
	char line[LINE_MAX_], out[8192], tail[TAIL], head[HEAD];
};

static int poller;
static struct counts *counts;
static char room[TAIL + ((size_t)1 << 18)];	/* a read, its tail in front */

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void
say(struct session *s, const char *text)
{
	size_t n = strlen(text);

	if (n > sizeof(s->out) - s->n_out)
		return;		/* who pipelines so much hears no more */
	memcpy(s->out + s->n_out, text, n);
	s->n_out += n;
}

/* How often a field stands in the header, give or take a quoted one. */
static unsigned
count(const struct session *s, const char *field)
{
	const char *at = s->head, *end = s->head + s->n_head;
	unsigned n = 0;

	while ((at = memmem(at, (size_t)(end - at), field, strlen(field))) !=
	    NULL) {
		at++;
		n++;
	}
	return n;
}

static void
taken(struct session *s)
{
	static const char stamp[] = "X-Bench: ";
	char *at = memmem(s->head, s->n_head, stamp, sizeof(stamp) - 1);
	uint64_t way = 0;

	counts->last_ns = now_ns();
	s->head[s->n_head < HEAD ? s->n_head : HEAD - 1] = '\0';
	if (at != NULL)
		way = (counts->last_ns - strtoull(at + sizeof(stamp) - 1, NULL,
		    10)) / 1000;
	counts->way_us[counts->messages % WAYS] = way > UINT32_MAX ?
	    UINT32_MAX : (uint32_t)way;
	counts->signatures += count(s, "DKIM2-Signature:") +
	    count(s, "DKIM-Signature:");
	counts->octets += s->octets;
	__atomic_store_n(&counts->messages, counts->messages + 1,
	    __ATOMIC_RELEASE);
	s->is_data = false;
	say(s, "250 2.0.0 ok\r\n");
}

static void
command(struct session *s, const char *line)
{
	if (strncasecmp(line, "EHLO", 4) == 0) {
		say(s, "250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n"
		    "250-ENHANCEDSTATUSCODES\r\n250 SIZE 104857600\r\n");
	} else if (strncasecmp(line, "DATA", 4) == 0) {
		say(s, "354 go\r\n");
		memcpy(s->tail, "\0\0\r\n", TAIL);
		s->is_data = true;
		s->n_head = 0;
		s->octets = 0;
	} else if (strncasecmp(line, "QUIT", 4) == 0) {
		say(s, "221 2.0.0 bye\r\n");
		s->is_over = true;
	} else {
		counts->recipients += strncasecmp(line, "RCPT", 4) == 0;
		say(s, "250 2.1.0 ok\r\n");
	}
}

/* Octets that were used, or 0 where the line is too long. */
static size_t
take_line(struct session *s, const char *p, size_t n)
{
	const char *end = memchr(p, '\n', n);
	size_t used = end == NULL ? n : (size_t)(end - p) + 1;

	if (used >= LINE_MAX_ - s->n_line)
		return 0;
	memcpy(s->line + s->n_line, p, used);
	s->n_line += used;
	if (end != NULL) {
		s->line[s->n_line] = '\0';
		s->n_line = 0;
		command(s, s->line);
	}
	return used;
}

/* The TAIL octets before p may be overwritten. */
static size_t
take_content(struct session *s, char *p, size_t n)
{
	char saved[TAIL], *end;
	size_t used = n, first;

	memcpy(saved, p - TAIL, TAIL);
	memcpy(p - TAIL, s->tail, TAIL);
	end = memmem(p - TAIL, n + TAIL, END, sizeof(END) - 1);
	if (end != NULL)
		used = (size_t)(end + sizeof(END) - 1 - p);
	first = used < HEAD - s->n_head ? used : HEAD - s->n_head;
	memcpy(s->head + s->n_head, p, first);
	s->n_head += first;
	s->octets += used;
	memcpy(s->tail, p + used - TAIL, TAIL);
	memcpy(p - TAIL, saved, TAIL);
	if (end != NULL)
		taken(s);
	return used;
}

/* False: it is over. */
static bool
serve(struct session *s)
{
	ssize_t n = recv(s->fd, room + TAIL, sizeof(room) - TAIL, MSG_DONTWAIT);
	size_t at = TAIL, end = TAIL + (size_t)n;

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	while (at < end) {
		size_t used = s->is_data ?
		    take_content(s, room + at, end - at) :
		    take_line(s, room + at, end - at);

		if (used == 0)
			return false;
		at += used;
	}
	if (s->n_out != 0 && send(s->fd, s->out, s->n_out,
	    MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)s->n_out)
		return false;
	s->n_out = 0;
	return !s->is_over;
}

static void
greet(int listening)
{
	struct epoll_event e = {.events = EPOLLIN};
	int fd, one = 1;

	while ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		struct session *s = calloc(1, sizeof(*s));

		if (s == NULL)
			die("calloc");
		s->fd = fd;
		e.data.ptr = s;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e) != 0 ||
		    send(fd, "220 sink.example\r\n", 18, MSG_NOSIGNAL) != 18) {
			close(fd);
			free(s);
			continue;
		}
		counts->connections++;
	}
}

static int
listen_on(const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)atoi(port)),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    listen(fd, 4096) != 0)
		die("listen");
	return fd;
}

int
main(int argc, char **argv)
{
	struct epoll_event e[EVENTS], l = {.events = EPOLLIN};
	int fd, file;

	if (argc != 3)
		return 64;
	file = open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (file < 0 || ftruncate(file, sizeof(*counts)) != 0)
		die(argv[2]);
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE,
	    MAP_SHARED, file, 0);
	poller = epoll_create1(0);
	fd = listen_on(argv[1]);
	if (counts == MAP_FAILED ||
	    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &l) != 0)
		die("sink");
	for (;;) {
		int n = epoll_wait(poller, e, EVENTS, -1);

		for (int k = 0; k < n; k++) {
			struct session *s = e[k].data.ptr;

			if (s == NULL) {
				greet(fd);
			} else if (!serve(s)) {
				close(s->fd);
				free(s);
			}
		}
	}
}
