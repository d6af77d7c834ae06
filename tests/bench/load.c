/*
 * load [options] PORT SESSIONS MAIL FROM TO   sends the messages that mint made
 * (MAIL.heads, MAIL.body) to 127.0.0.1 and prints what came of it as JSON.
 * Each has a field X-Bench on top: when it set out, by the monotonic clock.
 *
 *	-f N	begins with message N; behind the last comes the first
 *	-n N	at most N messages
 *	-d S	no new message after S seconds, but one for each session
 *	-k N	N messages a connection; without it each keeps its connection
 *	-r N	N recipients of each: TO, and others with +2 ... in front of @
 *	-s	STARTTLS
 *	-w	waits for each reply, also where PIPELINING is offered
 *	-i	no mail: says how many sessions stand idle, and ends with its input
 *
 * A message sets out with MAIL, or where -k is 1 with its connection.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>

#define IN ((size_t)4096)
#define COMMANDS ((size_t)65536)
#define EVENTS 256
#define ERRORS 100		/* then it gives up */
#define PATIENCE 30		/* seconds without any progress */
#define OPENING 100		/* idle sessions that open at a time */

enum step { BANNER, EHLO, TLS, SHAKE, AGAIN, MAIL, RCPT, DATA, DOT, QUIT, IDLE };

struct text {
	const char *p;
	size_t n;
};

struct session {
	int fd;
	SSL *ssl;
	enum step step;
	bool wants_write, is_secure, is_pipelining;
	unsigned n_sent;	/* messages, on this connection */
	unsigned long number;	/* of the message */
	unsigned n_rcpt;	/* replies to RCPT that are missing */
	uint64_t start_ns;
	size_t n_in, n_out, n_stamp;
	size_t at;		/* of what is being sent, all of it in a row */
	struct text head;	/* empty: commands alone */
	char in[IN], out[COMMANDS], stamp[64];
};

static struct {
	const char *port, *from, *to;
	unsigned first, per_connection, n_rcpt, n_sessions;
	unsigned long most;
	double seconds;
	bool is_tls, is_waiting, is_idle;
} how = {.n_rcpt = 1, .most = ~0UL, .seconds = 3600};

static struct text *heads, body;
static size_t n_heads;
static uint32_t *took_us;	/* of each message that was accepted */
static size_t n_done, n_room;
static unsigned long n_begun, n_errors, n_idle, n_live;
static uint64_t began_ns, last_ns;
static int poller;
static SSL_CTX *context;

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

/* ---- what is sent ---------------------------------------------------------- */

static struct text
map(const char *name, const char *end)
{
	char path[4096];
	struct stat st;
	void *p;
	int fd;

	snprintf(path, sizeof(path), "%s.%s", name, end);
	fd = open(path, O_RDONLY);
	if (fd < 0 || fstat(fd, &st) != 0)
		die(path);
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		die(path);
	close(fd);
	return (struct text){p, (size_t)st.st_size};
}

static void
find_heads(struct text all)
{
	const char *p = all.p, *end = all.p + all.n;

	while (p < end) {
		char *text;
		size_t n = strtoul(p, &text, 10);

		if (n_heads % 1024 == 0)
			heads = realloc(heads, (n_heads + 1024) *
			    sizeof(*heads));
		if (heads == NULL || n == 0 || text + 1 + n > end)
			die("heads");
		heads[n_heads++] = (struct text){text + 1, n};
		p = text + 1 + n;
	}
}

/* ---- a connection ---------------------------------------------------------- */

static void
want(struct session *s, bool is_write)
{
	struct epoll_event e = {.data.ptr = s,
	    .events = EPOLLIN | (is_write ? EPOLLOUT : 0)};

	if (s->wants_write != is_write)
		epoll_ctl(poller, EPOLL_CTL_MOD, s->fd, &e);
	s->wants_write = is_write;
}

static void
begin(struct session *s)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)atoi(how.port)),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = s};
	int one = 1;

	memset(s, 0, offsetof(struct session, in));
	s->start_ns = now_ns();
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (s->fd < 0 || (connect(s->fd, (struct sockaddr *)&a, sizeof(a)) !=
	    0 && errno != EINPROGRESS) ||
	    epoll_ctl(poller, EPOLL_CTL_ADD, s->fd, &e) != 0)
		die("connect");
	n_live++;
}

static void
end(struct session *s)
{
	SSL_free(s->ssl);
	close(s->fd);
	s->ssl = NULL;
	s->fd = -1;
	n_live--;
}

static bool
has_time(void)
{
	return n_begun < how.most && n_errors < ERRORS &&
	    (n_begun < how.n_sessions ||
	    (double)(now_ns() - began_ns) / 1e9 < how.seconds);
}

static void
failed(struct session *s, const char *why)
{
	if (n_errors++ < 3)
		fprintf(stderr, "load: step %d: %.200s\n", (int)s->step, why);
	end(s);
	if (!how.is_idle && has_time())
		begin(s);
}

static void
say(struct session *s, const char *text, size_t n)
{
	if (n > COMMANDS - s->n_out)
		die("too many recipients");
	memcpy(s->out + s->n_out, text, n);
	s->n_out += n;
}

/* The part of what stands to be sent that is left, from s->at on. */
static int
left(const struct session *s, struct iovec v[5])
{
	struct text all[5] = {{s->out, s->n_out}};
	size_t skip = s->at;
	int n = 0;

	if (s->head.n != 0) {
		all[1] = (struct text){s->stamp, s->n_stamp};
		all[2] = s->head;
		all[3] = body;
		all[4] = (struct text){".\r\n", 3};
	}
	for (size_t k = 0; k < 5; k++) {
		size_t gone = skip < all[k].n ? skip : all[k].n;

		skip -= gone;
		if (gone < all[k].n)
			v[n++] = (struct iovec){(void *)(all[k].p + gone),
			    all[k].n - gone};
	}
	return n;
}

static ssize_t
put(struct session *s, const struct iovec *v, int n)
{
	struct msghdr m = {.msg_iov = (void *)v, .msg_iovlen = (size_t)n};
	int r;

	if (!s->is_secure)
		return sendmsg(s->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	r = SSL_write(s->ssl, v->iov_base, v->iov_len > 16384 ? 16384 :
	    (int)v->iov_len);
	errno = EAGAIN;
	return r > 0 ? r : -1;
}

static void
flush(struct session *s)
{
	struct iovec v[5];
	int n;

	while ((n = left(s, v)) != 0) {
		ssize_t r = put(s, v, n);

		if (r < 0) {
			want(s, true);
			return;
		}
		s->at += (size_t)r;
	}
	s->at = s->n_out = s->head.n = 0;
	want(s, false);
}

/* ---- a session ------------------------------------------------------------- */

static void
say_rcpt(struct session *s, unsigned number)
{
	const char *at = strchr(how.to, '@');
	char text[1024];
	int n = number == 1 ?
	    snprintf(text, sizeof(text), "RCPT TO:<%s>\r\n", how.to) :
	    snprintf(text, sizeof(text), "RCPT TO:<%.*s+%u%s>\r\n",
	        (int)(at - how.to), how.to, number, at);

	say(s, text, (size_t)n);
}

static void
next_message(struct session *s)
{
	char text[1024];
	int n;

	if (!has_time() ||
	    (how.per_connection != 0 && s->n_sent == how.per_connection)) {
		say(s, "QUIT\r\n", 6);
		s->step = QUIT;
		return;
	}
	if (how.per_connection != 1)
		s->start_ns = now_ns();
	n = snprintf(text, sizeof(text), "MAIL FROM:<%s>\r\n", how.from);
	say(s, text, (size_t)n);
	s->step = MAIL;
	s->n_rcpt = how.n_rcpt;
	s->n_sent++;
	s->number = how.first + n_begun++;
	s->head = (struct text){NULL, 0};
	if (!s->is_pipelining)
		return;
	for (unsigned k = 1; k <= how.n_rcpt; k++)
		say_rcpt(s, k);
	say(s, "DATA\r\n", 6);
}

static void
content(struct session *s)
{
	s->head = heads[s->number % n_heads];
	s->n_stamp = (size_t)snprintf(s->stamp, sizeof(s->stamp),
	    "X-Bench: %llu\r\n", (unsigned long long)s->start_ns);
	s->step = DOT;
}

static void
accepted(struct session *s)
{
	uint64_t us;

	last_ns = now_ns();
	us = (last_ns - s->start_ns) / 1000;
	if (n_done == n_room) {
		n_room = n_room == 0 ? 65536 : n_room * 2;
		took_us = realloc(took_us, n_room * sizeof(*took_us));
		if (took_us == NULL)
			die("realloc");
	}
	took_us[n_done++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
	next_message(s);
}

static void
greeted(struct session *s)
{
	if (how.is_tls && !s->is_secure) {
		say(s, "STARTTLS\r\n", 10);
		s->step = TLS;
	} else if (how.is_idle) {
		s->step = IDLE;
		n_idle++;
	} else {
		next_message(s);
	}
}

/* A reply, its last line. False: the session failed and began anew. */
static bool
heard(struct session *s, const char *line)
{
	if (line[0] != '2' && line[0] != '3') {
		failed(s, line);
		return false;
	}
	switch (s->step) {
	case BANNER:
		say(s, "EHLO bench.example\r\n", 20);
		s->step = EHLO;
		break;
	case EHLO:
	case AGAIN:
		greeted(s);
		break;
	case TLS:
		s->ssl = SSL_new(context);
		if (s->ssl == NULL || SSL_set_fd(s->ssl, s->fd) != 1)
			die("SSL_new");
		SSL_set_connect_state(s->ssl);
		s->step = SHAKE;
		break;
	case MAIL:
		s->step = RCPT;
		if (!s->is_pipelining)
			say_rcpt(s, 1);
		break;
	case RCPT:
		if (--s->n_rcpt == 0)
			s->step = DATA;
		if (!s->is_pipelining && s->n_rcpt != 0)
			say_rcpt(s, how.n_rcpt - s->n_rcpt + 1);
		else if (!s->is_pipelining)
			say(s, "DATA\r\n", 6);
		break;
	case DATA:
		content(s);
		break;
	case DOT:
		accepted(s);
		break;
	default:
		break;
	}
	return true;
}

static bool
read_replies(struct session *s)
{
	char *p = s->in, *nl;

	while ((nl = memchr(p, '\n', s->n_in - (size_t)(p - s->in))) != NULL) {
		*nl = '\0';
		if (strstr(p, "PIPELINING") != NULL)
			s->is_pipelining = !how.is_waiting;
		if (nl - p >= 4 && p[3] != '-' && !heard(s, p))
			return false;
		p = nl + 1;
	}
	s->n_in -= (size_t)(p - s->in);
	memmove(s->in, p, s->n_in);
	return true;
}

static bool
shake(struct session *s)
{
	int r = SSL_do_handshake(s->ssl), why = SSL_get_error(s->ssl, r);

	if (r == 1) {
		s->is_secure = true;
		say(s, "EHLO bench.example\r\n", 20);
		s->step = AGAIN;
		want(s, false);
		return true;
	}
	want(s, why == SSL_ERROR_WANT_WRITE);
	if (why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ)
		return true;
	failed(s, "no handshake");
	return false;
}

/* Octets that came, 0 at the end, -1 where nothing is there. */
static ssize_t
get(struct session *s)
{
	int r;

	if (!s->is_secure)
		return recv(s->fd, s->in + s->n_in, IN - s->n_in, MSG_DONTWAIT);
	r = SSL_read(s->ssl, s->in + s->n_in, (int)(IN - s->n_in));
	errno = EAGAIN;
	return r > 0 ? r : SSL_get_error(s->ssl, r) == SSL_ERROR_WANT_READ ?
	    -1 : 0;
}

static void
serve(struct session *s)
{
	while (s->step != SHAKE) {
		ssize_t n = get(s);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0 && s->step == QUIT) {
			end(s);
			if (has_time())
				begin(s);
			return;
		}
		if (n <= 0) {
			failed(s, "it hung up");
			return;
		}
		s->n_in += (size_t)n;
		if (!read_replies(s))
			return;
		if (!s->is_secure)
			break;
	}
	if (s->step == SHAKE && !shake(s))
		return;
	if (s->step != SHAKE)
		flush(s);
}

/* ---- all of them ----------------------------------------------------------- */

static bool
turn(void)
{
	struct epoll_event e[EVENTS];
	int n = epoll_wait(poller, e, EVENTS, PATIENCE * 1000);

	for (int k = 0; k < n; k++) {
		struct session *s = e[k].data.ptr;

		if (s->fd >= 0)
			serve(s);
	}
	return n > 0;
}

static int
stand_idle(struct session *all)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	unsigned n = 0;

	while (n_idle + n_errors < how.n_sessions) {
		while (n < how.n_sessions && n - n_idle - n_errors < OPENING)
			begin(&all[n++]);
		if (!turn())
			break;
	}
	printf("%lu\n", n_idle);
	fflush(stdout);
	poll(&input, 1, -1);
	return 0;
}

static int
compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static uint32_t
at_share(unsigned percent)
{
	return n_done == 0 ? 0 : took_us[(n_done - 1) * percent / 100];
}

static int
send_all(struct session *all)
{
	struct rusage u;

	began_ns = last_ns = now_ns();
	for (unsigned k = 0; k < how.n_sessions; k++)
		begin(&all[k]);
	while (n_live != 0 && turn())
		;
	if (n_live != 0) {
		fputs("load: nothing happens\n", stderr);
		n_errors += n_live;
	}
	if (n_done != 0)
		qsort(took_us, n_done, sizeof(*took_us), compare);
	getrusage(RUSAGE_SELF, &u);
	printf("{\"accepted\": %zu, \"errors\": %lu, \"seconds\": %.6f, "
	    "\"p50_us\": %u, \"p99_us\": %u, \"max_us\": %u, "
	    "\"cpu_s\": %.3f}\n", n_done, n_errors,
	    (double)(last_ns - began_ns) / 1e9, at_share(50), at_share(99),
	    at_share(100), (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
	return 0;
}

static int
read_options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "f:n:d:k:r:swi")) != -1) {
		switch (c) {
		case 'f':
			how.first = (unsigned)atoi(optarg);
			break;
		case 'n':
			how.most = strtoul(optarg, NULL, 10);
			break;
		case 'd':
			how.seconds = atof(optarg);
			break;
		case 'k':
			how.per_connection = (unsigned)atoi(optarg);
			break;
		case 'r':
			how.n_rcpt = (unsigned)atoi(optarg);
			break;
		case 's':
			how.is_tls = true;
			break;
		case 'w':
			how.is_waiting = true;
			break;
		case 'i':
			how.is_idle = true;
			break;
		default:
			return -1;
		}
	}
	return argc - optind == 5 ? optind : -1;
}

int
main(int argc, char **argv)
{
	int at = read_options(argc, argv);
	struct session *all;

	if (at < 0 || strchr(argv[at + 4], '@') == NULL)
		return 64;
	how.port = argv[at];
	how.n_sessions = (unsigned)atoi(argv[at + 1]);
	find_heads(map(argv[at + 2], "heads"));
	body = map(argv[at + 2], "body");
	how.from = argv[at + 3];
	how.to = argv[at + 4];
	poller = epoll_create1(0);
	context = SSL_CTX_new(TLS_client_method());
	all = calloc(how.n_sessions, sizeof(*all));
	if (all == NULL || context == NULL || n_heads == 0)
		die("load");
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return how.is_idle ? stand_idle(all) : send_all(all);
}
