#include "base/logline.h"

#include "base/ascii.h"
#include "base/logline_json.h"

static const char *const processes[] = {"master", "keeper", "signer", "queue",
    "control"};

/* Exactly n digits at the front are cut off. */
static bool
take_number(struct bytes *b, size_t n, int64_t *v)
{
	*v = 0;
	for (size_t k = 0; k < n; k++) {
		if (k >= b->n || !ascii_is_digit(b->p[k]))
			return false;
		*v = *v * 10 + (b->p[k] - '0');
	}
	*b = bytes_skip(*b, n);
	return true;
}

static bool
take_octet(struct bytes *b, char c)
{
	if (b->n == 0 || b->p[0] != (uint8_t)c)
		return false;
	*b = bytes_skip(*b, 1);
	return true;
}

/* Days from 1970-01-01 in the calendar of Gregory: years begin in March. */
static int64_t
days_of(int64_t y, int64_t m, int64_t d)
{
	y -= m <= 2;
	return y * 365 + y / 4 - y / 100 + y / 400 +
	    (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1 - 719468;
}

/* "Z", "+01:00" or "+0100"; what there is not is UTC. */
static bool
take_zone(struct bytes *b, int64_t *minutes)
{
	int64_t h, m;
	bool is_west;

	*minutes = 0;
	if (take_octet(b, 'Z') || b->n == 0 || (b->p[0] != '+' &&
	    b->p[0] != '-'))
		return true;
	is_west = b->p[0] == '-';
	*b = bytes_skip(*b, 1);
	if (!take_number(b, 2, &h))
		return false;
	(void)take_octet(b, ':');
	if (!take_number(b, 2, &m))
		return false;
	*minutes = (h * 60 + m) * (is_west ? -1 : 1);
	return true;
}

/* RFC 3339, with or without a fraction; *b is then what is behind. */
static bool
take_time(struct bytes *b, int64_t *ms)
{
	int64_t y, mon, d, h, min, s, fraction = 0, scale = 100, zone;

	if (!take_number(b, 4, &y) || !take_octet(b, '-') ||
	    !take_number(b, 2, &mon) || !take_octet(b, '-') ||
	    !take_number(b, 2, &d) || !take_octet(b, 'T') ||
	    !take_number(b, 2, &h) || !take_octet(b, ':') ||
	    !take_number(b, 2, &min) || !take_octet(b, ':') ||
	    !take_number(b, 2, &s) || y < 1970 || mon < 1 || mon > 12)
		return false;
	if (take_octet(b, '.'))
		for (int64_t v; take_number(b, 1, &v); scale /= 10)
			fraction += v * scale;
	if (!take_zone(b, &zone))
		return false;
	*ms = (((days_of(y, mon, d) * 24 + h) * 60 + min - zone) * 60 + s) *
	    1000 + fraction;
	return true;
}

bool
logline_time(struct bytes text, int64_t *ms)
{
	return take_time(&text, ms) && text.n == 0;
}

static bool
is_process(struct bytes name)
{
	uint64_t v;

	if (bytes_starts(name, BYTES_LIT("worker/")))
		return bytes_number(bytes_skip(name, 7), 100000, &v);
	for (size_t k = 0; k < sizeof(processes) / sizeof(*processes); k++)
		if (bytes_eq(name, bytes_of(processes[k])))
			return true;
	return false;
}

/* "worker/1: error: ..." */
static bool
read_rest(struct bytes b, struct logline *l)
{
	static const char *const words[] = {"error", "warning", "debug"};
	size_t at = bytes_find(b, BYTES_LIT(": "));

	if (at == b.n || !is_process(bytes_first(b, at)))
		return false;
	l->process = bytes_first(b, at);
	b = bytes_skip(b, at + 2);
	at = bytes_find(b, BYTES_LIT(": "));
	for (size_t k = 0; k < sizeof(words) / sizeof(*words); k++)
		if (at < b.n && bytes_eq(bytes_first(b, at),
		    bytes_of(words[k]))) {
			l->level = bytes_first(b, at);
			b = bytes_skip(b, at + 2);
			break;
		}
	logline_read(b, l);
	return true;
}

/* What is behind "hopseald[123]" and, of syslog, a colon. */
static bool
read_plain(struct bytes line, struct logline *l)
{
	static const char name[] = "hopseald[";
	size_t at = bytes_find(line, bytes_of(name)), n;
	struct bytes head = bytes_first(line, at), b;

	if (at == line.n)
		return false;
	b = bytes_skip(line, at + sizeof(name) - 1);
	n = bytes_index(b, ']');
	if (!bytes_number(bytes_first(b, n), UINT32_MAX, &l->pid))
		return false;
	b = bytes_skip(b, n + 1);
	(void)take_octet(&b, ':');
	if (!take_octet(&b, ' '))
		return false;
	l->stamp = head;
	if (take_time(&head, &l->time_ms))
		l->stamp = bytes_first(l->stamp, l->stamp.n - head.n);
	else	/* "Nov 26 23:25:48 host" has no year */
		l->stamp = bytes_first(l->stamp, 15);
	return read_rest(b, l);
}

bool
logline_parse(struct bytes line, struct arena *a, struct logline *l)
{
	struct bytes message, time;

	*l = (struct logline){.time_ms = -1, .level = BYTES_LIT("info")};
	line = bytes_first(line, LOGLINE_MAX);
	while (line.n != 0 && strchr("\r\n\t ", line.p[line.n - 1]) != NULL)
		line.n--;
	if (!bytes_starts(line, BYTES_LIT("{")))
		return read_rest(line, l) || read_plain(line, l);
	if (!logline_read_json(line, a, l, &message))
		return false;
	if (message.p != NULL) {
		struct logline in = *l;

		/* the journal's object around a line, which may be one too */
		if (bytes_starts(message, BYTES_LIT("{"))) {
			in.n_fields = 0;
			if (!logline_read_json(message, a, &in, &line) ||
			    line.p != NULL)
				return false;
		} else if (!read_rest(message, &in)) {
			return false;
		}
		in.time_ms = l->time_ms >= 0 ? l->time_ms : in.time_ms;
		*l = in;
	}
	time = l->stamp;
	if (l->time_ms < 0 && !take_time(&time, &l->time_ms))
		l->time_ms = -1;
	return is_process(l->process);
}
