/* The next hop of each mode, with its troubles; that of a list's posts is the
 * list manager. */
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

#define LINE_MAX_ ((size_t)4096)
#define PIECE ((size_t)1 << 18)
#define CONTENT_KEPT ((size_t)65536)	/* of a session between messages */
#define SAMPLES 100U		/* arrivals that are kept, about */
#define END "\r\n.\r\n"

struct session {
	struct watched w;
	struct session *next, **before;
	unsigned mode;
	bool is_data, is_over;
	uint32_t number;	/* of MAIL, or of a report's recipient */
	uint32_t told;		/* 250 said to it, nothing heard since */
	bool is_report, is_picky;
	unsigned n_rcpt;
	uint8_t rcpt[RCPT_MAX];
	char from[512];
	size_t n_line, n_out, n, room;
	char *content;
	char line[LINE_MAX_], out[16384];
};

struct hop {
	struct watched w;	/* fd -1: nobody listens */
	enum trouble trouble;
	struct session *sessions;
};

static struct hop hops[MODES_MAX];
static const char *sample_folder;
static uint64_t draws;
static unsigned n_samples;

static bool
chance(unsigned percent)
{
	return mix(draws++, 77) % 100 < percent;
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

/* ---- messages ---------------------------------------------------------------- */

/* A next hop has it, and who sent it may not know. */
static void
dropped(uint32_t number)
{
	totals.drops++;
	if (number != NOBODY && numbers[number].drops < UINT8_MAX)
		numbers[number].drops++;
}

static unsigned
count_fields(const char *head, size_t n, const char *name)
{
	unsigned found = 0;
	const char *p = head;

	while ((p = memmem(p, n - (size_t)(p - head), name, strlen(name))) !=
	    NULL) {
		found += p == head || p[-1] == '\n';
		p++;
	}
	return found;
}

/* The body must be what its number had, the header have what was due. False:
 * it does not, whether there is an excuse or not. */
static bool
check(const struct session *s)
{
	static const char field[] = "\r\nX-Soak: ";
	const char *end = memmem(s->content, s->n, "\r\n\r\n", 4);
	const char *at = memmem(s->content, s->n, field, sizeof(field) - 1);
	const struct number *a = numbers + s->number;
	unsigned due = mail_signatures(s->number), has;
	unsigned long number, octets;
	unsigned long long sum;
	size_t body;

	if (end == NULL || at == NULL || at > end || sscanf(at +
	    sizeof(field) - 1, "%lu %lu %llu", &number, &octets, &sum) != 3 ||
	    number != (a->parent != NOBODY ? a->parent : s->number)) {
		totals.foreign++;
		fprintf(stderr, "FAULT foreign: %s number %u\n",
		    modes[s->mode].name, s->number);
		return false;
	}
	body = (size_t)(end - s->content) + 4;
	if (octets > s->n - body || ((a->flags & IS_FORGED) == 0 &&
	    mail_sum(0, s->content + body, octets) != sum)) {
		totals.corrupt++;
		fprintf(stderr, "FAULT corrupt: %s number %u\n",
		    modes[s->mode].name, s->number);
	}
	has = count_fields(s->content, body, "DKIM2-Signature:");
	if (has < due && (a->flags & MAY_BE_UNSIGNED) != 0) {
		totals.unsigned_excused++;
	} else if (has != due) {
		totals.unsigned_++;
		fprintf(stderr, "FAULT signatures: %s number %u has %u of %u\n",
		    modes[s->mode].name, s->number, has, due);
	}
	return has == due;
}

static void
keep_sample(const struct session *s)
{
	char path[4096], to[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%u.eml", sample_folder, n_samples);
	f = fopen(path, "wb");
	if (f == NULL || fwrite(s->content, 1, s->n, f) != s->n ||
	    fclose(f) != 0)
		soak_die(path);
	snprintf(path, sizeof(path), "%s/%u.env", sample_folder, n_samples++);
	f = fopen(path, "wb");
	if (f == NULL)
		soak_die(path);
	fprintf(f, "%s\n%s\n", modes[s->mode].name, s->from);
	for (unsigned k = 0; k < s->n_rcpt; k++) {
		mail_rcpt(s->number, s->rcpt[k], to, sizeof(to));
		fprintf(f, "%s\n", to);
	}
	fclose(f);
}

/* Each copy of a post goes to some subscribers. */
static void
manage(const struct session *s)
{
	uint64_t d = mix(s->number, 5);
	uint32_t copy;
	unsigned out;
	struct mail m;

	for (out = 0; modes[out].kind != KIND_LIST_OUT; out++)
		;
	copy = ledger_new(out, 1 + (unsigned)(d % 4));
	if (copy == NOBODY)
		soak_die("too many copies of a list");
	numbers[copy].parent = s->number;
	numbers[s->number].flags |= IS_MANAGED;
	mail_manage(s->content, s->n, &m);
	client_submit(copy, &m);
}

/* Lines Final-Recipient of a report, of its own message. */
static void
reported(const struct session *s)
{
	static const char field[] = "\r\nFinal-Recipient: rfc822;";
	const char *p = s->content, *end = s->content + s->n;

	totals.reports++;
	while ((p = memmem(p, (size_t)(end - p), field, sizeof(field) - 1)) !=
	    NULL) {
		unsigned long k;

		p += sizeof(field) - 1;
		p += strspn(p, " <");
		k = strtoul(p + 1, NULL, 10);
		if (k < numbers[s->number].n_rcpt)
			ledger_reported(s->number, (unsigned)k);
		else
			totals.foreign++;
	}
}

/* What comes out of a list is signed where the verdict of the post was known
 * and remembered: not while there is no DNS and no keeper. */
static bool
may_be_unsigned(uint32_t number)
{
	const struct number *a = numbers + number;

	return (modes[a->mode].kind == KIND_LIST_IN && is_excused) ||
	    (a->parent != NOBODY && (is_excused ||
	    (numbers[a->parent].flags & MAY_BE_UNSIGNED) != 0));
}

static void
take(struct session *s)
{
	bool is_whole;

	totals.arrivals++;
	totals.octets += s->n;
	if (s->is_report) {
		reported(s);
		return;
	}
	if (may_be_unsigned(s->number))
		numbers[s->number].flags |= MAY_BE_UNSIGNED;
	is_whole = check(s);
	for (unsigned k = 0; k < s->n_rcpt; k++)
		ledger_arrived(s->number, s->rcpt[k]);
	client_arrived(s->number);
	if (modes[s->mode].kind == KIND_LIST_IN) {
		if ((numbers[s->number].flags & IS_MANAGED) == 0)
			manage(s);
	} else if (is_whole && sample_folder != NULL && modes[s->mode].signatures != 0 &&
	    modes[s->mode].aliases == 0 && totals.arrivals % (most_numbers / SAMPLES + 1) == 0) {
		keep_sample(s);
	}
}

/* Behind the dot. */
static void
end_of_content(struct session *s)
{
	enum trouble t = hops[s->mode].trouble;

	s->is_data = false;
	if ((t == TROUBLE_BUSY && chance(20)) ||
	    (modes[s->mode].kind == KIND_LIST_IN && client_is_full(s->mode + 1))) {
		say(s, "451 4.3.0 later\r\n");
	} else if (s->is_picky || (t == TROUBLE_REFUSES && chance(5) &&
	    !s->is_report)) {
		numbers[s->number].flags |= WAS_REFUSED;
		say(s, "554 5.7.1 not this\r\n");
	} else {
		take(s);
		if (t == TROUBLE_DROPS && chance(20)) {
			dropped(s->number);
			s->is_over = true;
		} else {
			say(s, "250 2.0.0 ok\r\n");
			s->told = s->number;
		}
	}
	if (s->room > CONTENT_KEPT) {
		free(s->content);
		s->content = NULL;
		s->room = 0;
	}
	s->n = 0;
}

/* ---- commands ------------------------------------------------------------------ */

static void
mail(struct session *s, const char *line)
{
	const char *p = strchr(line, '<'), *end = strchr(line, '>');
	size_t n = p != NULL && end > p ? (size_t)(end - p) - 1 : 0;

	if (n >= sizeof(s->from))
		n = 0;
	memcpy(s->from, p == NULL ? line : p + 1, n);
	s->from[n] = '\0';
	s->n_rcpt = 0;
	s->is_picky = false;
	s->is_report = n == 0;
	s->number = mail_number(s->from);
	if (hops[s->mode].trouble == TROUBLE_BUSY && chance(10)) {
		s->number = NOBODY;
		s->is_report = false;
		say(s, "451 4.3.2 later\r\n");
	} else if (s->number == NOBODY && !s->is_report) {
		totals.foreign++;
		fprintf(stderr, "FAULT foreign: %s %s\n", modes[s->mode].name,
		    s->from);
		say(s, "451 4.3.0 who is that\r\n");
	} else if (hops[s->mode].trouble == TROUBLE_CUTS && chance(10)) {
		s->is_over = true;
	} else {
		say(s, "250 2.1.0 ok\r\n");
	}
}

static void
rcpt(struct session *s, const char *line)
{
	const char *p = strchr(line, '<');
	unsigned long k;

	if (s->is_report && p != NULL)
		s->number = mail_number(p);
	if (p == NULL || s->number == NOBODY || s->n_rcpt == RCPT_MAX) {
		say(s, "451 4.3.0 what is that\r\n");
		return;
	}
	k = strtoul(p + 2, NULL, 10);
	if (hops[s->mode].trouble == TROUBLE_BUSY && chance(20)) {
		say(s, "450 4.2.0 later\r\n");
	} else if (s->is_report) {
		say(s, "250 2.1.5 ok\r\n");
		s->n_rcpt++;
	} else if (k >= numbers[s->number].n_rcpt) {
		totals.foreign++;
		fprintf(stderr, "FAULT foreign: %s number %u to %.80s\n",
		    modes[s->mode].name, s->number, p);
		say(s, "451 4.3.0 who is that\r\n");
	} else if (p[1] == WHOM_UNKNOWN ||
	    (hops[s->mode].trouble == TROUBLE_REFUSES && chance(10))) {
		numbers[s->number].flags |= WAS_REFUSED;
		say(s, "550 5.1.1 nobody here\r\n");
	} else {
		s->is_picky = s->is_picky || p[1] == WHOM_PICKY;
		s->rcpt[s->n_rcpt++] = (uint8_t)k;
		say(s, "250 2.1.5 ok\r\n");
	}
}

static void
command(struct session *s, const char *line)
{
	s->told = NOBODY;
	if (strncasecmp(line, "EHLO", 4) == 0) {
		say(s, "250-hop.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n"
		    "250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n"
		    "250 SIZE 104857600\r\n");
	} else if (strncasecmp(line, "MAIL", 4) == 0) {
		mail(s, line);
	} else if (strncasecmp(line, "RCPT", 4) == 0) {
		rcpt(s, line);
	} else if (strncasecmp(line, "DATA", 4) == 0) {
		s->is_data = s->n_rcpt != 0;
		say(s, s->is_data ? "354 go\r\n" : "554 5.5.1 no one\r\n");
		s->n = 0;
	} else if (strncasecmp(line, "QUIT", 4) == 0) {
		say(s, "221 2.0.0 bye\r\n");
		s->is_over = true;
	} else {
		say(s, "250 2.0.0 ok\r\n");
	}
}

/* ---- octets -------------------------------------------------------------------- */

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

static size_t
take_content(struct session *s, const char *p, size_t n)
{
	size_t from = s->n > sizeof(END) ? s->n - sizeof(END) : 0, used;
	char *end;

	if (s->n + n > s->room) {
		s->room = (s->n + n) * 2;
		s->content = realloc(s->content, s->room);
		if (s->content == NULL)
			soak_die("memory");
	}
	memcpy(s->content + s->n, p, n);
	end = memmem(s->content + from, s->n + n - from, END, sizeof(END) - 1);
	if (end == NULL) {
		s->n += n;
		return n;
	}
	used = (size_t)(end - s->content) + sizeof(END) - 1 - s->n;
	s->n = (size_t)(end - s->content) + 2;
	end_of_content(s);
	return used;
}

/* False: it is over. */
static bool
serve(struct session *s)
{
	static char piece[PIECE];
	ssize_t n = recv(s->w.fd, piece, sizeof(piece), MSG_DONTWAIT);
	size_t at = 0, end = (size_t)n;

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	if (s->is_data && hops[s->mode].trouble == TROUBLE_CUTS && chance(20))
		return false;
	while (at < end && !s->is_over) {
		size_t used = s->is_data ?
		    take_content(s, piece + at, end - at) :
		    take_line(s, piece + at, end - at);

		if (used == 0)
			return false;
		at += used;
	}
	if (s->n_out != 0 && send(s->w.fd, s->out, s->n_out,
	    MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)s->n_out)
		return false;
	s->n_out = 0;
	return !s->is_over;
}

static void
end_session(struct session *s)
{
	if (s->told != NOBODY)
		dropped(s->told);
	*s->before = s->next;
	if (s->next != NULL)
		s->next->before = s->before;
	close(s->w.fd);
	free(s->content);
	free(s);
}

void
hop_ready(void *session, uint32_t events)
{
	struct session *s = session;

	(void)events;
	if (!serve(s))
		end_session(s);
}

static void
greet(void *hop, uint32_t events)
{
	struct hop *h = hop;
	int fd, one = 1;

	(void)events;
	if (h->w.fd < 0)
		return;
	while ((fd = accept4(h->w.fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		bool is_busy = h->trouble == TROUBLE_BUSY && chance(25);
		struct session *s;

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (is_busy || send(fd, "220 hop.example\r\n", 17,
		    MSG_NOSIGNAL) != 17) {
			if (is_busy)
				(void)!write(fd, "421 4.3.2 busy\r\n", 16);
			close(fd);
			continue;
		}
		s = calloc(1, sizeof(*s));
		if (s == NULL)
			soak_die("memory");
		s->w = (struct watched){hop_ready, fd};
		s->mode = (unsigned)(h - hops);
		s->number = s->told = NOBODY;
		s->next = h->sessions;
		s->before = &h->sessions;
		if (s->next != NULL)
			s->next->before = &s->next;
		h->sessions = s;
		soak_watch(&s->w, EPOLLIN, true);
	}
}

/* ---- troubles ------------------------------------------------------------------ */

static void
open_hop(struct hop *h)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	    .sin_port = htons(modes[h - hops].hop_port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    listen(fd, 1024) != 0)
		soak_die("listen");
	h->w = (struct watched){greet, fd};
	soak_watch(&h->w, EPOLLIN, true);
}

void
hop_init(unsigned mode, const char *samples)
{
	sample_folder = samples;
	open_hop(hops + mode);
}

void
hop_trouble(unsigned mode, enum trouble t)
{
	struct hop *h = hops + mode;
	enum trouble was = h->trouble;

	h->trouble = t;
	if (was == t)
		return;
	if (was == TROUBLE_DEAD) {
		open_hop(h);
	} else if (was == TROUBLE_MUTE) {
		soak_watch(&h->w, EPOLLIN, true);
		for (struct session *s = h->sessions; s != NULL; s = s->next)
			soak_watch(&s->w, EPOLLIN, true);
	}
	if (t == TROUBLE_DEAD) {
		close(h->w.fd);
		h->w.fd = -1;
		while (h->sessions != NULL)
			end_session(h->sessions);
	} else if (t == TROUBLE_MUTE) {
		soak_watch(&h->w, 0, false);
		for (struct session *s = h->sessions; s != NULL; s = s->next)
			soak_watch(&s->w, 0, false);
	}
}
