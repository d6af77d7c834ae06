/* Clients: sessions that send numbered messages, note what was answered, and
 * try again what was deferred or lost. */
#include "tests/soak/jobs.h"
#include "tests/soak/soak.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#define IN ((size_t)8192)
#define STUCK_MS (300 * 1000)	/* without any progress */
#define BACKOFF_MS 100
#define BACKOFF_MAX_MS 3000

enum step { BANNER, EHLO, TLS, SHAKE, AGAIN, RESET, MAIL, RCPT, DATA, DOT, QUIT };

struct client {
	struct watched w;	/* fd -1: idle */
	SSL *ssl;
	enum step step;
	unsigned mode;
	bool is_secure, wants_write, can_pipeline, is_pipelining;
	bool can_chunk, is_chunked, needs_reset, is_vanishing, has_progress;
	bool is_leaving;	/* when its message has arrived */
	unsigned messages;	/* that may follow on this connection */
	int64_t active_ms;
	struct job job;		/* number NOBODY: none */
	unsigned n_asked, n_heard, n_chunks;
	uint8_t asked[RCPT_MAX];
	bool is_in[RCPT_MAX];
	int code;		/* the worst before the end of the content */
	char *out;
	size_t n_out, room, at, n_in;
	char in[IN];
};

static struct {
	struct client *all;
	unsigned n, n_live;
	unsigned live[MODES_MAX];	/* sessions */
	SSL_CTX *context;
} c;

unsigned
client_busy(void)
{
	return c.n_live + jobs_waiting();
}

static bool
is_open(uint32_t number)
{
	for (unsigned k = 0; k < numbers[number].n_rcpt; k++)
		if (rcpts_of(number)[k].fate == FATE_OPEN)
			return true;
	return false;
}

static void
settle(uint32_t number, enum fate fate)
{
	for (unsigned k = 0; k < numbers[number].n_rcpt; k++)
		if (rcpts_of(number)[k].fate == FATE_OPEN)
			rcpts_of(number)[k].fate = (uint8_t)fate;
}

/* The transaction is over; what is open comes again. */
static void
over(struct client *s)
{
	struct number *a = numbers + s->job.number;
	int64_t wait = BACKOFF_MS;

	if (s->has_progress)
		a->tries = 0;
	for (unsigned k = 0; k < a->tries && wait < BACKOFF_MAX_MS; k++)
		wait *= 2;
	a->tries++;
	a->transactions++;
	ledger_touch(s->job.number);
	totals.tries++;
	if (a->tries >= TRIES_MAX)
		settle(s->job.number, FATE_GIVEN_UP);
	if (is_open(s->job.number)) {
		jobs_put(s->mode, &s->job, soak_now_ms() + wait +
		    (int64_t)(jobs_draw() % 100));
		return;
	}
	a->flags |= IS_OVER;
	free(s->job.own.text);
	s->job = (struct job){.number = NOBODY};
}

/* ---- a connection ------------------------------------------------------------ */

static void
want(struct client *s, bool is_write)
{
	if (s->wants_write == is_write)
		return;
	s->wants_write = is_write;
	soak_watch(&s->w, EPOLLIN | (is_write ? EPOLLOUT : 0), false);
}

static void
hang_up(struct client *s, bool is_reset)
{
	struct linger l = {1, 0};

	SSL_free(s->ssl);
	s->ssl = NULL;
	if (is_reset)
		setsockopt(s->w.fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(s->w.fd);
	s->w.fd = -1;
	free(s->out);
	s->out = NULL;
	c.n_live--;
	c.live[s->mode]--;
}

static void
begin(struct client *s, unsigned mode, const struct job *job)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	    .sin_port = htons(modes[mode].port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	uint64_t d = jobs_draw();
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	memset(s, 0, offsetof(struct client, in));
	s->w = (struct watched){client_ready, fd};
	s->mode = mode;
	s->job = *job;
	s->messages = 1 + (unsigned)(d % 100 < 30 ? 0 : (d >> 32) % 60);
	s->is_secure = false;
	s->is_pipelining = (d >> 8) % 4 != 0;
	s->step = BANNER;
	s->active_ms = soak_now_ms();
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (fd < 0 || (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0 &&
	    errno != EINPROGRESS && errno != ECONNREFUSED))
		soak_die("connect");
	totals.connections++;
	c.n_live++;
	c.live[mode]++;
	soak_watch(&s->w, EPOLLIN, true);
}

/* It broke, or was broken off. */
static void
broken(struct client *s, bool is_reset)
{
	if (s->job.number != NOBODY) {
		if (s->step == DOT && s->at == s->n_out && !s->is_vanishing) {
			totals.lost++;
			if (numbers[s->job.number].lost < UINT8_MAX)
				numbers[s->job.number].lost++;
		}
		over(s);
	}
	hang_up(s, is_reset);
}

static void
say(struct client *s, const char *text, size_t n)
{
	if (n > s->room - s->n_out) {
		s->room = (s->n_out + n) * 2;
		s->out = realloc(s->out, s->room);
		if (s->out == NULL)
			soak_die("memory");
	}
	memcpy(s->out + s->n_out, text, n);
	s->n_out += n;
}

static void
say_line(struct client *s, const char *text)
{
	say(s, text, strlen(text));
}

static ssize_t
put(struct client *s)
{
	size_t n = s->n_out - s->at;
	int r;

	if (!s->is_secure)
		return send(s->w.fd, s->out + s->at, n,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
	r = SSL_write(s->ssl, s->out + s->at, n > 16384 ? 16384 : (int)n);
	errno = r <= 0 && SSL_get_error(s->ssl, r) == SSL_ERROR_WANT_WRITE ?
	    EAGAIN : EPIPE;
	ERR_clear_error();
	return r > 0 ? r : -1;
}

static void
leave(struct client *s)
{
	totals.left++;
	numbers[s->job.number].left++;
	over(s);
	hang_up(s, jobs_draw() % 2);
}

void
client_arrived(uint32_t number)
{
	for (struct client *s = c.all; s < c.all + c.n; s++)
		if (s->w.fd >= 0 && s->is_leaving && s->job.number == number)
			leave(s);
}

/* All of it is out: what a client does that does not wait. One of two that
 * leave knows that its message has arrived: they surely find it delivered. */
static void
flushed(struct client *s)
{
	struct number *a;

	s->at = s->n_out = 0;
	want(s, false);
	if (s->step != DOT || s->job.number == NOBODY)
		return;
	a = numbers + s->job.number;
	if (s->is_vanishing) {
		totals.vanished++;
		settle(s->job.number, FATE_GONE);
		broken(s, jobs_draw() % 2);
	} else if ((a->flags & WILL_LEAVE) != 0) {
		a->flags &= (uint8_t)~WILL_LEAVE;
		s->is_leaving = s->job.number % 2 != 0;
		if (!s->is_leaving)
			leave(s);
	}
}

static void
flush(struct client *s)
{
	if (s->n_out == 0)
		return;
	while (s->at < s->n_out) {
		ssize_t r = put(s);

		if (r < 0 && errno == EAGAIN) {
			want(s, true);
			return;
		}
		if (r < 0) {
			broken(s, false);
			return;
		}
		s->at += (size_t)r;
		s->active_ms = soak_now_ms();
	}
	flushed(s);
}

/* ---- a transaction ------------------------------------------------------------- */

static void
say_rcpt(struct client *s, unsigned at)
{
	char path[300];

	say_line(s, "RCPT TO:<");
	mail_rcpt(s->job.number, s->asked[at], path, sizeof(path));
	say_line(s, path);
	say_line(s, ">\r\n");
}

static void
say_mail(struct client *s)
{
	char path[300];

	say_line(s, "MAIL FROM:<");
	mail_sender(s->job.number, path, sizeof(path));
	say_line(s, path);
	say_line(s, ">\r\n");
	s->step = MAIL;
	if (!s->is_pipelining)
		return;
	for (unsigned k = 0; k < s->n_asked; k++)
		say_rcpt(s, k);
	if (!s->is_chunked)
		say_line(s, "DATA\r\n");
}

static void
begin_transaction(struct client *s)
{
	s->n_asked = s->n_heard = s->n_chunks = 0;
	s->code = 0;
	s->has_progress = false;
	s->is_chunked = s->can_chunk && jobs_draw() % 4 == 0;
	s->is_vanishing = (numbers[s->job.number].flags & IS_TO_VANISH) != 0;
	s->is_leaving = false;
	for (unsigned k = 0; k < numbers[s->job.number].n_rcpt; k++) {
		if (rcpts_of(s->job.number)[k].fate != FATE_OPEN)
			continue;
		s->asked[s->n_asked] = (uint8_t)k;
		s->is_in[s->n_asked++] = false;
	}
	s->messages--;
	if (!s->needs_reset) {
		say_mail(s);
		return;
	}
	s->needs_reset = false;
	say_line(s, "RSET\r\n");
	s->step = RESET;
}

static void
quit(struct client *s)
{
	say_line(s, "QUIT\r\n");
	s->step = QUIT;
}

static void
next_message(struct client *s)
{
	if (s->job.number == NOBODY && (s->messages == 0 ||
	    !jobs_next(s->mode, &s->job, soak_now_ms()))) {
		quit(s);
		return;
	}
	begin_transaction(s);
}

static void
finished(struct client *s)
{
	over(s);
	next_message(s);
}

/* A reply for those that are in the transaction. */
static void
note(struct client *s, int code)
{
	for (unsigned k = 0; k < s->n_asked; k++) {
		struct rcpt *r = rcpts_of(s->job.number) + s->asked[k];

		if (!s->is_in[k])
			continue;
		s->has_progress = s->has_progress || code / 100 != 4;
		if (code < 300)
			r->fate = FATE_TAKEN;
		else if (code >= 500)
			r->fate = FATE_REFUSED;
	}
	totals.taken += code < 300;
}

static bool
is_any_in(const struct client *s)
{
	for (unsigned k = 0; k < s->n_asked; k++)
		if (s->is_in[k])
			return true;
	return false;
}

static void
say_chunk(struct client *s, const char *p, size_t n, bool is_last)
{
	char line[64];

	snprintf(line, sizeof(line), "BDAT %zu%s\r\n", n,
	    is_last ? " LAST" : "");
	say_line(s, line);
	say(s, p, n);
	s->n_chunks++;
}

static void
say_content(struct client *s)
{
	struct mail mail = s->job.own;
	size_t half;

	if (mail.text == NULL)
		mail_make(s->job.number, &mail);
	half = mail.n / 2;
	s->step = DOT;
	if (s->is_chunked) {
		say_chunk(s, mail.text, half, false);
		if (!s->is_vanishing)
			say_chunk(s, mail.text + half, mail.n - half, true);
	} else {
		say(s, mail.text, s->is_vanishing ? half : mail.n);
		if (!s->is_vanishing)
			say_line(s, ".\r\n");
		s->n_chunks = 1;
	}
	if (mail.text != s->job.own.text)
		free(mail.text);
}

/* Behind the last RCPT. */
static void
content_or_not(struct client *s)
{
	s->step = DATA;
	if (s->is_chunked && is_any_in(s)) {
		say_content(s);
	} else if (s->is_chunked || (!s->is_pipelining && !is_any_in(s))) {
		s->needs_reset = true;
		finished(s);
	} else if (!s->is_pipelining) {
		say_line(s, "DATA\r\n");
	}
}

static void
heard_mail(struct client *s, int code)
{
	s->step = RCPT;
	if (code >= 500)
		for (unsigned k = 0; k < s->n_asked; k++)
			s->is_in[k] = true;
	if (code >= 500)
		note(s, code);
	memset(s->is_in, 0, sizeof(s->is_in));
	if (code >= 300)
		s->code = code;
	if (s->is_pipelining)
		return;
	if (code >= 300) {
		s->needs_reset = true;
		finished(s);
	} else {
		say_rcpt(s, 0);
	}
}

static void
heard_rcpt(struct client *s, int code)
{
	struct rcpt *r = rcpts_of(s->job.number) + s->asked[s->n_heard];

	if (s->code == 0 && code < 300)
		s->is_in[s->n_heard] = true;
	else if (s->code == 0 && code >= 500)
		r->fate = FATE_REFUSED;
	if (++s->n_heard == s->n_asked)
		content_or_not(s);
	else if (!s->is_pipelining)
		say_rcpt(s, s->n_heard);
}

static void
heard_data(struct client *s, int code)
{
	if (code == 354 && is_any_in(s)) {
		say_content(s);
	} else if (code == 354) {
		say_line(s, ".\r\n");
		s->n_chunks = 1;
		s->step = DOT;
	} else {
		if (s->code == 0)
			note(s, code);
		s->needs_reset = true;
		finished(s);
	}
}

static void
heard_dot(struct client *s, int code)
{
	if (s->code == 0 && (code >= 300 || s->n_chunks == 1)) {
		note(s, code);
		s->code = code;
	}
	if (--s->n_chunks == 0) {
		s->needs_reset = s->code >= 300;
		finished(s);
	}
}

static void
shake_hands(struct client *s)
{
	s->ssl = SSL_new(c.context);
	if (s->ssl == NULL || SSL_set_fd(s->ssl, s->w.fd) != 1)
		soak_die("SSL_new");
	SSL_set_connect_state(s->ssl);
	s->step = SHAKE;
}

static void
hello(struct client *s, enum step step)
{
	say_line(s, "EHLO client.example\r\n");
	s->can_pipeline = s->can_chunk = false;
	s->step = step;
}

static void
greeted(struct client *s)
{
	s->is_pipelining = s->is_pipelining && s->can_pipeline;
	if (s->step == EHLO && jobs_draw() % 5 == 0) {
		say_line(s, "STARTTLS\r\n");
		s->step = TLS;
	} else {
		begin_transaction(s);
	}
}

/* False: the session is over. */
static bool
heard(struct client *s, const char *line)
{
	int code = atoi(line);

	totals.replies_4xx += code >= 400 && code < 500;
	if (code == 421 || (code >= 400 && s->step < RESET)) {
		totals.turned_away += s->step == BANNER;
		if (s->step == DOT)
			s->step = DATA;		/* it was answered */
		broken(s, false);
		return false;
	}
	switch (s->step) {
	case BANNER:
		hello(s, EHLO);
		break;
	case EHLO:
	case AGAIN:
		greeted(s);
		break;
	case TLS:
		shake_hands(s);
		break;
	case RESET:
		say_mail(s);
		break;
	case MAIL:
		heard_mail(s, code);
		break;
	case RCPT:
		heard_rcpt(s, code);
		break;
	case DATA:
		heard_data(s, code);
		break;
	case DOT:
		heard_dot(s, code);
		break;
	default:
		break;
	}
	return true;
}

static bool
read_replies(struct client *s)
{
	char *p = s->in, *nl;

	while ((nl = memchr(p, '\n', s->n_in - (size_t)(p - s->in))) != NULL) {
		*nl = '\0';
		if (strstr(p, "PIPELINING") != NULL)
			s->can_pipeline = true;
		if (strstr(p, "CHUNKING") != NULL)
			s->can_chunk = true;
		if (nl - p >= 4 && p[3] != '-' && !heard(s, p))
			return false;
		p = nl + 1;
	}
	s->n_in -= (size_t)(p - s->in);
	memmove(s->in, p, s->n_in);
	return true;
}

static bool
shake(struct client *s)
{
	int r = SSL_do_handshake(s->ssl), why = SSL_get_error(s->ssl, r);

	ERR_clear_error();
	if (r == 1) {
		s->is_secure = true;
		want(s, false);
		hello(s, AGAIN);
		return true;
	}
	want(s, why == SSL_ERROR_WANT_WRITE);
	if (why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ)
		return true;
	broken(s, false);
	return false;
}

/* Octets that came, 0 at the end, -1 where nothing is there. */
static ssize_t
get(struct client *s)
{
	ssize_t n;
	int r, why;

	if (!s->is_secure) {
		n = recv(s->w.fd, s->in + s->n_in, IN - s->n_in, MSG_DONTWAIT);
		return n < 0 && errno != EAGAIN ? 0 : n;
	}
	r = SSL_read(s->ssl, s->in + s->n_in, (int)(IN - s->n_in));
	why = SSL_get_error(s->ssl, r);
	ERR_clear_error();
	return r > 0 ? r : why == SSL_ERROR_WANT_READ ? -1 : 0;
}

void
client_ready(void *session, uint32_t events)
{
	struct client *s = session;

	(void)events;
	if (s->w.fd < 0)
		return;
	while (s->step != SHAKE) {
		ssize_t n = get(s);

		if (n < 0)
			break;
		if (n == 0) {
			broken(s, false);
			return;
		}
		s->active_ms = soak_now_ms();
		s->n_in += (size_t)n;
		if (!read_replies(s))
			return;
		flush(s);
		if (s->w.fd < 0 || !s->is_secure)
			break;
	}
	if (s->w.fd >= 0 && s->step == SHAKE && !shake(s))
		return;
	if (s->w.fd >= 0 && s->step != SHAKE)
		flush(s);
}

/* ---- all of them ----------------------------------------------------------------- */

void
client_init(unsigned n_sessions, unsigned rate, uint64_t seed)
{
	c.n = n_sessions;
	jobs_init(most_numbers / 5 * 4, rate, seed);
	c.all = calloc(n_sessions, sizeof(*c.all));
	c.context = SSL_CTX_new(TLS_client_method());
	if (c.all == NULL || c.context == NULL)
		soak_die("memory");
	SSL_CTX_set_mode(c.context, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	for (unsigned k = 0; k < n_sessions; k++)
		c.all[k].w.fd = -1;
}

/* MODES_MAX: there is nothing to do. A mode whose next hop stands still takes
 * a fourth of the sessions. */
static unsigned
pick_mode(void)
{
	unsigned weights[MODES_MAX], sum = 0, at;

	for (unsigned m = 0; m < n_modes; m++) {
		weights[m] = (jobs_may_draw(m) ? modes[m].weight : 0) +
		    (jobs_is_due(m) ? 10 : 0);
		if (c.live[m] > c.n / 4)
			weights[m] = 0;
		sum += weights[m];
	}
	if (sum == 0)
		return MODES_MAX;
	at = (unsigned)(jobs_draw() % sum);
	for (unsigned m = 0; m < n_modes; m++) {
		if (at < weights[m])
			return m;
		at -= weights[m];
	}
	return MODES_MAX;
}

void
client_tick(int64_t now_ms)
{
	jobs_look(now_ms);
	for (unsigned k = 0; k < c.n; k++) {
		struct client *s = c.all + k;
		struct job job = {.number = NOBODY};
		unsigned mode;

		if (s->w.fd >= 0 && now_ms - s->active_ms > STUCK_MS) {
			totals.stuck++;
			fprintf(stderr, "FAULT stuck: %s number %u step %d\n",
			    modes[s->mode].name, s->job.number, s->step);
			broken(s, true);
		}
		if (s->w.fd >= 0)
			continue;
		mode = pick_mode();
		if (mode == MODES_MAX)
			return;
		if (jobs_next(mode, &job, now_ms))
			begin(s, mode, &job);
	}
}
