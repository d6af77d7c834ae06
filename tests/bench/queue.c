/*
 * SMTP for measuring queues; no test of anything.
 *
 *	queue load PORT SESSIONS MESSAGES SIZE FIRST
 *		sends messages number FIRST and on, SIZE octets each, over so
 *		many connections at once; prints the seconds until the last 250
 *	queue sink PORT DELAY_MS COUNTER
 *		takes everything, answers each dot DELAY_MS late, and counts in
 *		the first 8 octets of the file COUNTER, which it maps
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define IN ((size_t)1 << 16)
#define OUT ((size_t)1 << 17)
#define EVENTS 256
#define DEEP 8192		/* dots that wait for their time */

struct session {
	int fd;
	int step;		/* load: which reply is awaited */
	unsigned number;	/* load: of the message */
	bool is_data;		/* sink */
	size_t n_in, n_out, sent;
	char in[IN], out[OUT];
};

static int poller;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct sockaddr_in
address(const char *port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static struct session *
begin(int fd)
{
	struct session *s = calloc(1, sizeof(*s));
	struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
	    .data.ptr = s};
	int one = 1;

	if (s == NULL)
		die("calloc");
	s->fd = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e) != 0)
		die("epoll_ctl");
	return s;
}

static void
flush(struct session *s)
{
	while (s->sent < s->n_out) {
		ssize_t n = send(s->fd, s->out + s->sent, s->n_out - s->sent,
		    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0)
			return;
		s->sent += (size_t)n;
	}
	s->sent = s->n_out = 0;
}

static void
say(struct session *s, const char *text, size_t n)
{
	if (n > OUT - s->n_out) {
		fputs("no room\n", stderr);
		exit(1);
	}
	memcpy(s->out + s->n_out, text, n);
	s->n_out += n;
}

/* False: the other side is gone. */
static bool
fill(struct session *s)
{
	ssize_t n = recv(s->fd, s->in + s->n_in, IN - s->n_in, MSG_DONTWAIT);

	if (n > 0)
		s->n_in += (size_t)n;
	return n > 0 || (n < 0 && errno == EAGAIN);
}

/* ---- load ------------------------------------------------------------------ */

static struct {
	char *body;
	size_t n_body;
	unsigned next, last, done;
} load;

static void
next_message(struct session *s)
{
	char text[1024];
	int n;

	if (load.next == load.last) {
		say(s, "QUIT\r\n", 6);
		s->step = 6;
		return;
	}
	s->number = load.next++;
	n = snprintf(text, sizeof(text), "MAIL FROM:<alice@one.example>\r\n"
	    "RCPT TO:<r%u@two.example>\r\nDATA\r\n", s->number);
	say(s, text, (size_t)n);
	s->step = 2;
}

static void
content(struct session *s)
{
	char text[1024];
	int n = snprintf(text, sizeof(text), "From: <alice@one.example>\r\n"
	    "To: <r%u@two.example>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
	    "Subject: message %u\r\nMessage-ID: <%u.%ld@one.example>\r\n\r\n",
	    s->number, s->number, s->number, (long)getpid());

	say(s, text, (size_t)n);
	say(s, load.body, load.n_body);
	say(s, ".\r\n", 3);
}

/* A reply of one line or its last one. */
static void
heard(struct session *s, const char *line)
{
	if (line[0] != '2' && line[0] != '3') {
		fprintf(stderr, "refused: %.100s\n", line);
		exit(1);
	}
	switch (s->step++) {
	case 0:
		say(s, "EHLO bench.example\r\n", 20);
		break;
	case 1:
		next_message(s);
		break;
	case 4:
		content(s);
		break;
	case 5:
		load.done++;
		next_message(s);
		break;
	default:		/* MAIL, RCPT; behind QUIT */
		break;
	}
}

static void
read_replies(struct session *s)
{
	char *p = s->in, *end;

	while ((end = memchr(p, '\n', s->n_in - (size_t)(p - s->in))) != NULL) {
		if (end - p >= 4 && p[3] != '-')
			heard(s, p);
		p = end + 1;
	}
	s->n_in -= (size_t)(p - s->in);
	memmove(s->in, p, s->n_in);
}

static void
connect_all(const char *port, int n)
{
	struct sockaddr_in a = address(port);

	while (n-- > 0) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
			die("connect");
		begin(fd);
	}
}

static int
run_load(char **words)
{
	unsigned n = (unsigned)atoi(words[2]);
	double start;

	load.n_body = (size_t)atoi(words[3]) / 72 * 72;
	load.body = malloc(load.n_body + 1);
	for (size_t k = 0; k < load.n_body; k++)
		load.body[k] = k % 72 == 70 ? '\r' : k % 72 == 71 ? '\n' :
		    (char)('a' + k % 26);
	load.next = (unsigned)atoi(words[4]);
	load.last = load.next + n;
	start = now();
	connect_all(words[0], atoi(words[1]));
	while (load.done < n) {
		struct epoll_event e[EVENTS];
		int got = epoll_wait(poller, e, EVENTS, 60000);

		if (got <= 0)
			die("nothing happens");
		for (int k = 0; k < got; k++) {
			struct session *s = e[k].data.ptr;

			if (!fill(s) && s->step < 6) {
				fputs("it hung up\n", stderr);
				return 1;
			}
			read_replies(s);
			flush(s);
		}
	}
	printf("%.3f\n", now() - start);
	return 0;
}

/* ---- sink ------------------------------------------------------------------ */

static struct {
	double delay;
	volatile uint64_t *count;
	struct {
		struct session *s;
		double due;
	} late[DEEP];
	unsigned first, n;
} sink;

static void
taken(struct session *s)
{
	say(s, "250 ok\r\n", 8);
	++*sink.count;
}

static void
dot(struct session *s)
{
	if (sink.delay == 0 || sink.n == DEEP) {
		taken(s);
		return;
	}
	sink.late[(sink.first + sink.n) % DEEP].s = s;
	sink.late[(sink.first + sink.n++) % DEEP].due = now() + sink.delay;
}

static void
command(struct session *s, const char *line)
{
	static const char hello[] = "250-sink.example\r\n250-PIPELINING\r\n"
	    "250-8BITMIME\r\n250 SIZE\r\n";

	if (strncasecmp(line, "EHLO", 4) == 0) {
		say(s, hello, sizeof(hello) - 1);
	} else if (strncasecmp(line, "DATA", 4) == 0) {
		say(s, "354 go\r\n", 8);
		s->is_data = true;
	} else if (strncasecmp(line, "QUIT", 4) == 0) {
		say(s, "221 bye\r\n", 9);
	} else {
		say(s, "250 ok\r\n", 8);
	}
}

static void
read_commands(struct session *s)
{
	char *p = s->in, *end;

	while ((end = memchr(p, '\n', s->n_in - (size_t)(p - s->in))) != NULL) {
		if (!s->is_data) {
			command(s, p);
		} else if (end - p == 2 && p[0] == '.') {
			s->is_data = false;
			dot(s);
		}
		p = end + 1;
	}
	s->n_in -= (size_t)(p - s->in);
	memmove(s->in, p, s->n_in);
}

static void
answer_late(void)
{
	while (sink.n != 0 && sink.late[sink.first].due <= now()) {
		struct session *s = sink.late[sink.first].s;

		sink.first = (sink.first + 1) % DEEP;
		sink.n--;
		if (s->fd < 0)
			continue;
		taken(s);
		flush(s);
	}
}

/* Its storage stays: late answers may point to it. */
static void
gone(struct session *s)
{
	close(s->fd);
	s->fd = -1;
}

static void
serve(struct session *s)
{
	for (;;) {
		size_t before = s->n_in;

		if (!fill(s)) {
			gone(s);
			return;
		}
		if (s->n_in == before)
			break;
		read_commands(s);
		flush(s);
	}
	flush(s);
}

static _Noreturn void
run_sink(char **words)
{
	struct sockaddr_in a = address(words[0]);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
	int file = open(words[2], O_RDWR | O_CREAT, 0600);
	struct epoll_event e[EVENTS], l = {.events = EPOLLIN};

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    listen(fd, 1024) != 0 || file < 0 || ftruncate(file, 8) != 0 ||
	    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &l) != 0)
		die("sink");
	sink.count = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (sink.count == MAP_FAILED)
		die("mmap");
	sink.delay = atof(words[1]) / 1000;
	for (;;) {
		int got = epoll_wait(poller, e, EVENTS, sink.n != 0 ? 1 : 100);

		for (int k = 0; k < got; k++) {
			struct session *s = e[k].data.ptr;
			int peer;

			if (s != NULL && s->fd >= 0)
				serve(s);
			while (s == NULL && (peer = accept(fd, NULL, NULL)) >= 0) {
				s = begin(peer);
				say(s, "220 sink.example ESMTP\r\n", 24);
				flush(s);
				s = NULL;
			}
		}
		answer_late();
	}
}

int
main(int argc, char **argv)
{
	struct rlimit r = {65536, 65536};

	setrlimit(RLIMIT_NOFILE, &r);
	poller = epoll_create1(0);
	if (poller < 0)
		die("epoll");
	if (argc == 7 && strcmp(argv[1], "load") == 0)
		return run_load(argv + 2);
	if (argc == 5 && strcmp(argv[1], "sink") == 0)
		run_sink(argv + 2);
	fputs("queue load|sink: see its head\n", stderr);
	return 64;
}
