#include "cli/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "cli/colour.h"

#define COLUMNS 8U
#define CELL_MAX 300U		/* octets */
#define KEYS_SHOWN 12U
#define WARN_S (14 * 24 * 3600)	/* before a certificate ends */

/* ---- words --------------------------------------------------------------- */

/* "3 d 4 h", "12 min", "5 s". */
static void
add_time(struct buf *b, int64_t s)
{
	if (s < 0)
		s = 0;
	if (s >= 2 * 86400)
		buf_printf(b, "%" PRId64 " d %" PRId64 " h", s / 86400,
		    s % 86400 / 3600);
	else if (s >= 2 * 3600)
		buf_printf(b, "%" PRId64 " h %" PRId64 " min", s / 3600,
		    s % 3600 / 60);
	else if (s >= 120)
		buf_printf(b, "%" PRId64 " min", s / 60);
	else
		buf_printf(b, "%" PRId64 " s", s);
}

static void
put_time(int64_t s)
{
	char text[64];
	struct buf b = BUF_ON(text);

	add_time(&b, s);
	fwrite(b.p, 1, b.n, stdout);
}

static void
put_size(int64_t octets)
{
	static const char *const units[] = {"octets", "KiB", "MiB", "GiB",
	    "TiB"};
	double n = (double)octets;
	size_t k = 0;

	while (n >= 1024 && k < 4) {
		n /= 1024;
		k++;
	}
	printf(k == 0 ? "%.0f %s" : "%.1f %s", n, units[k]);
}

static void
put(struct bytes text)
{
	char shown[CELL_MAX * 4 + 16];
	struct buf b = BUF_ON(shown);

	buf_add_escaped(&b, text, CELL_MAX);
	fwrite(b.p, 1, b.n, stdout);
}

/* ---- tables -------------------------------------------------------------- */

struct cell {
	struct bytes text;
	const char *colour;	/* NULL: none */
};

struct table {
	const char *const *heads;	/* '>' before one: to the right */
	size_t columns;
	struct cell *cells;		/* row by row */
	size_t rows, cap;
	struct arena *arena;
	bool is_full;
};

static struct table
table_new(const char *const *heads, size_t columns, size_t rows,
    struct arena *a)
{
	struct table t = {heads, columns, NULL, 0, rows, a, false};

	t.cells = arena_array(a, rows * columns + 1, sizeof(*t.cells));
	t.is_full = t.cells == NULL;
	return t;
}

static struct cell *
table_row(struct table *t)
{
	static struct cell none[COLUMNS];

	if (t->is_full || t->rows == t->cap)
		return none;
	return t->cells + t->rows++ * t->columns;
}

static void
set(struct table *t, struct cell *c, struct bytes text)
{
	struct buf b;

	if (arena_buf(t->arena, bytes_first(text, CELL_MAX).n * 4 + 4,
	    &b) != 0) {
		t->is_full = true;
		return;
	}
	buf_add_escaped(&b, text, CELL_MAX);
	c->text = buf_bytes(&b);
}

static void
set_number(struct table *t, struct cell *c, int64_t n)
{
	char text[32];
	struct buf b = BUF_ON(text);

	buf_printf(&b, "%" PRId64, n);
	set(t, c, buf_bytes(&b));
}

static size_t
width(const struct table *t, size_t column)
{
	size_t n = strlen(t->heads[column]) - (t->heads[column][0] == '>');

	for (size_t k = 0; k < t->rows; k++)
		if (t->cells[k * t->columns + column].text.n > n)
			n = t->cells[k * t->columns + column].text.n;
	return n;
}

static void
put_cell(const struct table *t, size_t column, struct cell c)
{
	size_t gap = width(t, column) - c.text.n;
	bool is_right = t->heads[column][0] == '>';

	if (column != 0)
		fputs("  ", stdout);
	if (is_right)
		printf("%*s", (int)gap, "");
	if (c.colour != NULL)
		fputs(colour(c.colour), stdout);
	fwrite(c.text.p, 1, c.text.n, stdout);
	if (c.colour != NULL)
		fputs(colour(OFF), stdout);
	if (!is_right && column + 1 != t->columns)
		printf("%*s", (int)gap, "");
}

static void
table_put(const struct table *t)
{
	if (t->rows == 0)
		return;
	putchar('\n');
	for (size_t c = 0; c < t->columns; c++)
		put_cell(t, c, (struct cell){bytes_of(t->heads[c] +
		    (t->heads[c][0] == '>')), BOLD});
	putchar('\n');
	for (size_t r = 0; r < t->rows; r++) {
		for (size_t c = 0; c < t->columns; c++)
			put_cell(t, c, t->cells[r * t->columns + c]);
		putchar('\n');
	}
}

/* ---- the daemon ---------------------------------------------------------- */

static void
put_head(const struct status *s, int64_t now_s)
{
	const struct status_line *h = status_line(s, "hopseald", 0);
	bool is_stopping = bytes_eq(status_text(h, "state"),
	    BYTES_LIT("stopping"));

	printf("%shopseald ", colour(BOLD));
	put(status_text(h, "version"));
	printf("%s is %s%s%s, for ", colour(OFF),
	    is_stopping ? colour(YELLOW) : "", is_stopping ? "stopping" :
	    "running", is_stopping ? colour(OFF) : "");
	put_time(now_s - status_number(h, "since"));
	printf(" (pid %" PRId64 ", ", status_number(h, "pid"));
	put(status_text(h, "config"));
	puts(")");
}

static void
put_reload(const struct status *s, int64_t now_s)
{
	const struct status_line *h = status_line(s, "hopseald", 0);
	const struct status_line *r = status_line(s, "reload", 0), *e;
	int64_t n_good = status_number(r, "good");
	int64_t n_failed = status_number(r, "failed");

	printf("generation %" PRId64 ", for ", status_number(h, "generation"));
	put_time(now_s - status_number(h, "generation-since"));
	if (n_good + n_failed == 0)
		printf("; never reloaded");
	else
		printf("; reloads: %" PRId64 " good, %" PRId64 " failed",
		    n_good, n_failed);
	putchar('\n');
	if (!bytes_eq(status_text(r, "outcome"), BYTES_LIT("failed")))
		return;
	printf("%sthe last reload failed%s, ", colour(RED), colour(OFF));
	put_time(now_s - status_number(r, "last"));
	puts(" ago; the configuration before it goes on:");
	for (size_t k = 0; (e = status_line(s, "reload-error", k)) != NULL;
	    k++) {
		fputs("  ", stdout);
		put(status_text(e, "text"));
		putchar('\n');
	}
}

static size_t
count(const struct status *s, const char *kind)
{
	size_t n = 0;

	while (status_line(s, kind, n) != NULL)
		n++;
	return n;
}

static bool
put_processes(const struct status *s, int64_t now_s, struct arena *a)
{
	static const char *const heads[] = {"PROCESS", ">PID", ">UP",
	    ">RESTARTS"};
	struct table t = table_new(heads, 4, count(s, "process"), a);
	const struct status_line *l;

	for (size_t k = 0; (l = status_line(s, "process", k)) != NULL; k++) {
		struct cell *c = table_row(&t);
		char text[64];
		struct buf b = BUF_ON(text);

		set(&t, c, status_text(l, "name"));
		if (status_number(l, "pid") == 0) {
			set(&t, c + 1, BYTES_LIT("not there"));
			c[1].colour = RED;
		} else {
			set_number(&t, c + 1, status_number(l, "pid"));
			add_time(&b, now_s - status_number(l, "since"));
			set(&t, c + 2, buf_bytes(&b));
		}
		set_number(&t, c + 3, status_number(l, "restarts"));
		if (status_number(l, "restarts") != 0)
			c[3].colour = YELLOW;
	}
	table_put(&t);
	return !t.is_full;
}

/* ---- mail ---------------------------------------------------------------- */

static bool
put_listeners(const struct status *s, struct arena *a)
{
	static const char *const heads[] = {"LISTENER", "ROLE", "DELIVERY",
	    "VERIFY", "LISTENS ON", "NEXT HOP"};
	static const char *const fields[] = {"name", "role", "delivery",
	    "verify", "listen", "next-hop"};
	struct table t = table_new(heads, 6, count(s, "listener"), a);
	const struct status_line *l;

	for (size_t k = 0; (l = status_line(s, "listener", k)) != NULL; k++) {
		struct cell *c = table_row(&t);

		for (size_t f = 0; f < 6; f++)
			set(&t, c + f, status_text(l, fields[f]));
	}
	table_put(&t);
	return !t.is_full;
}

/* What the operator ordered; nobody is to forget a bypass. */
static void
put_orders(const struct status *s)
{
	const struct status_line *l;

	for (size_t k = 0; (l = status_line(s, "order", k)) != NULL; k++) {
		fputs(k == 0 ? "\n" : "", stdout);
		fputs(colour(RED), stdout);
		put(status_text(l, "text"));
		puts(colour(OFF));
	}
}

static bool
put_mail(const struct status *s, struct arena *a)
{
	static const char *const heads[] = {"MAIL", ">OPEN", ">SESSIONS",
	    ">ACCEPTED", ">REFUSED", ">DEFERRED", ">DELIVERED TO"};
	static const char *const all[] = {"open", "sessions", "accepted",
	    "refused", "deferred", "delivered"};
	static const char *const lately[] = {NULL, "lately-sessions",
	    "lately-accepted", "lately-refused", "lately-deferred",
	    "lately-delivered"};
	struct table t = table_new(heads, 7, 2 * count(s, "mail"), a);
	const struct status_line *l;

	for (size_t k = 0; (l = status_line(s, "mail", k)) != NULL; k++) {
		struct cell *c = table_row(&t), *d = table_row(&t);
		char text[64];
		struct buf b = BUF_ON(text);

		set(&t, c, status_text(l, "role"));
		buf_printf(&b, "  last %" PRId64 " s",
		    status_number(l, "window"));
		set(&t, d, buf_bytes(&b));
		for (size_t f = 0; f < 6; f++) {
			set_number(&t, c + 1 + f, status_number(l, all[f]));
			if (lately[f] != NULL)
				set_number(&t, d + 1 + f,
				    status_number(l, lately[f]));
		}
	}
	table_put(&t);
	return !t.is_full;
}

static void
put_queue(const struct status *s, int64_t now_s)
{
	const struct status_line *q = status_line(s, "queue", 0);
	const struct status_line *c = status_line(s, "copies", 0);
	const struct status_line *shared = status_line(s, "store", 0);
	int64_t held = status_number(q, "held");
	int64_t n = status_number(q, "waiting") +
	    status_number(q, "deferred") + held;

	if (q != NULL || shared != NULL || status_number(c, "octets") != 0)
		putchar('\n');
	if (q != NULL && n == 0)
		puts("the queue is empty");
	if (q != NULL && n != 0) {
		printf("queue: %" PRId64 " message%s, %" PRId64 " after a "
		    "failure", n, n == 1 ? "" : "s",
		    status_number(q, "deferred"));
		if (held != 0)
			printf(", %" PRId64 " held", held);
		fputs("; ", stdout);
		put_size(status_number(q, "octets"));
		if (status_number(q, "oldest") != 0) {
			fputs(", the oldest for ", stdout);
			put_time(now_s - status_number(q, "oldest"));
		}
		putchar('\n');
	}
	if (shared != NULL) {
		fputs("the store ", stdout);
		put(status_text(shared, "at"));
		puts(bytes_eq(status_text(shared, "state"), BYTES_LIT("out")) ?
		    " is out: a retry may arrive twice" : " answers");
	}
	if (status_number(c, "octets") != 0) {
		fputs("copies: ", stdout);
		put_size(status_number(c, "octets"));
		fputs(" of ", stdout);
		put_size(status_number(c, "limit"));
		putchar('\n');
	}
}

/* ---- keys and certificates ------------------------------------------------ */

static bool
put_keys(const struct status *s, struct arena *a)
{
	static const char *const heads[] = {"KEY OF", "SELECTOR", "ALGORITHM",
	    "STATE"};
	static const char *const fields[] = {"domain", "selector",
	    "algorithm", "state"};
	const struct status_line *keys = status_line(s, "keys", 0);
	size_t n = count(s, "key");
	struct table t = table_new(heads, 4, n < KEYS_SHOWN ? n : KEYS_SHOWN,
	    a);

	for (size_t k = 0; k < t.cap; k++) {
		struct cell *c = table_row(&t);

		for (size_t f = 0; f < 4; f++)
			set(&t, c + f, status_text(status_line(s, "key", k),
			    fields[f]));
	}
	table_put(&t);
	if (n > KEYS_SHOWN)
		printf("and %" PRId64 " more: hopseal key status\n",
		    status_number(keys, "active") +
		    status_number(keys, "retired") - KEYS_SHOWN);
	return !t.is_full;
}

static bool
put_certificates(const struct status *s, int64_t now_s, struct arena *a)
{
	static const char *const heads[] = {"CERTIFICATE OF", "FILE", "ENDS"};
	struct table t = table_new(heads, 3, count(s, "certificate"), a);
	const struct status_line *l;

	for (size_t k = 0; (l = status_line(s, "certificate", k)) != NULL;
	    k++) {
		struct cell *c = table_row(&t);
		time_t ends = (time_t)status_number(l, "ends");
		char text[96];
		struct buf b = BUF_ON(text);
		struct tm tm;

		set(&t, c, status_text(l, "listener"));
		set(&t, c + 1, status_text(l, "file"));
		if (ends == 0 || gmtime_r(&ends, &tm) == NULL)
			continue;
		buf_printf(&b, "%04d-%02d-%02d, ", tm.tm_year + 1900,
		    tm.tm_mon + 1, tm.tm_mday);
		buf_add_str(&b, ends < now_s ? "EXPIRED" : "in ");
		if (ends >= now_s)
			add_time(&b, ends - now_s);
		set(&t, c + 2, buf_bytes(&b));
		if (ends - now_s < WARN_S)
			c[2].colour = ends < now_s ? RED : YELLOW;
	}
	table_put(&t);
	return !t.is_full;
}

int
status_put(const struct status *s, int64_t now_s, struct arena *a)
{
	bool is_good;

	put_head(s, now_s);
	put_reload(s, now_s);
	is_good = put_listeners(s, a);
	put_orders(s);
	is_good = is_good && put_mail(s, a);
	put_queue(s, now_s);
	is_good = is_good && put_keys(s, a) && put_certificates(s, now_s, a) &&
	    put_processes(s, now_s, a);
	return is_good ? CLI_OK : cli_fail(CLI_CANNOT, "out of memory");
}
