#include "cli/trace.h"

#include "cli/jsonout.h"

#include "base/ascii.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RCPTS_MAX 1000U			/* that are told one by one */

/* What became of a recipient: views of the last line that tells it. */
struct fate {
	struct bytes to, orig_to, status, dsn, relay, delay, reply;
};

struct story {
	struct bytes from, message_id, client, listener, size, report_on;
	struct bytes reports[16];
	size_t n_reports;
	struct fate *fates;
	size_t n_fates;
};

/* `ID` and `rN` for the recipient, once or more. */
struct bytes
trace_family(struct bytes id)
{
	for (;;) {
		size_t n = id.n;

		while (n != 0 && ascii_is_digit(id.p[n - 1]))
			n--;
		if (n == id.n || n <= LOGLINE_ID_MIN || id.p[n - 1] != 'r')
			return id;
		id.n = n - 1;
	}
}

/* ---- what lines say together ---- */

static void
take(struct bytes *to, const struct logline *l, const char *key)
{
	struct bytes value = logline_get(l, key);

	if (value.p != NULL)
		*to = value;
}

static struct fate *
fate_of(struct story *s, struct bytes to)
{
	for (size_t k = 0; k < s->n_fates; k++)
		if (bytes_eq(s->fates[k].to, to))
			return &s->fates[k];
	if (s->n_fates == RCPTS_MAX)
		return NULL;
	s->fates[s->n_fates] = (struct fate){.to = to};
	return &s->fates[s->n_fates++];
}

static void
take_fate(struct story *s, const struct logline *l)
{
	struct bytes status = logline_get(l, "status");
	struct bytes reject = logline_get(l, "reject");
	struct bytes to = logline_get(l, "to");
	struct fate *f;

	if (to.n == 0 || (status.p == NULL && reject.p == NULL))
		return;
	f = fate_of(s, to);
	/* the queue may have delivered it before its worker says this */
	if (f == NULL || (f->status.n != 0 &&
	    bytes_eq(status, BYTES_LIT("queued"))))
		return;
	*f = (struct fate){.to = to, .orig_to = f->orig_to};
	take(&f->orig_to, l, "orig_to");
	if (status.p == NULL) {
		f->status = BYTES_LIT("rejected");
		f->reply = reject;
		return;
	}
	f->status = status;
	take(&f->dsn, l, "dsn");
	take(&f->relay, l, "relay");
	take(&f->delay, l, "delay");
	take(&f->reply, l, "reply");
}

static bool
read_story(const struct trace_message *m, struct story *s)
{
	*s = (struct story){0};
	s->fates = calloc(RCPTS_MAX, sizeof(*s->fates));
	if (s->fates == NULL)
		return false;
	if (trace_family(m->id).n != m->id.n)
		s->report_on = trace_family(m->id);
	for (const struct trace_line *k = m->first; k != NULL; k = k->next) {
		struct bytes report = logline_get(&k->l, "report");

		take(&s->from, &k->l, "from");
		take(&s->message_id, &k->l, "message-id");
		take(&s->client, &k->l, "client");
		take(&s->listener, &k->l, "listener");
		take(&s->size, &k->l, "size");
		take(&s->report_on, &k->l, "about");
		take_fate(s, &k->l);
		if (report.n != 0 && s->n_reports < 16)
			s->reports[s->n_reports++] = report;
	}
	return true;
}

/* ---- for eyes ---- */

/* Of logs nothing is believed: what could move a terminal is '?'. */
static void
show(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		putchar(ascii_is_graph(b.p[k]) || b.p[k] == ' ' ? b.p[k] : '?');
}

static void
show_time(const struct logline *l, const char *form, bool has_ms)
{
	time_t t = (time_t)(l->time_ms / 1000);
	struct tm tm;
	char text[40];

	if (l->time_ms < 0 || localtime_r(&t, &tm) == NULL) {
		show(l->stamp.n == 0 ? BYTES_LIT("-") : l->stamp);
		return;
	}
	strftime(text, sizeof(text), form, &tm);
	fputs(text, stdout);
	if (has_ms)
		printf(".%03d", (int)(l->time_ms % 1000));
}

static void
show_known(const char *name, struct bytes value, bool is_path)
{
	if (value.p == NULL)
		return;
	printf("  %-11s %s", name, is_path ? "<" : "");
	show(value);
	puts(is_path ? ">" : "");
}

static void
show_fate(const struct fate *f)
{
	fputs("  to          <", stdout);
	show(f->to);
	fputs(">", stdout);
	if (f->orig_to.p != NULL) {
		fputs(", said as <", stdout);
		show(f->orig_to);
		fputs(">", stdout);
	}
	fputs("\n              ", stdout);
	show(f->status);
	if (f->relay.n != 0 && !bytes_eq(f->relay, BYTES_LIT("none"))) {
		fputs(" by ", stdout);
		show(f->relay);
	}
	if (f->delay.n != 0) {
		fputs(" after ", stdout);
		show(f->delay);
		fputs(" s", stdout);
	}
	if (f->reply.n != 0) {
		fputs(": ", stdout);
		show(f->reply);
	}
	putchar('\n');
}

/* As it was logged; of an object without words, its keys. */
static void
show_told(const struct logline *l)
{
	static const char *const paths[] = {"from", "to", "orig_to"};

	if (l->text.n != 0) {
		show(l->text);
		return;
	}
	for (size_t k = 0; k < l->n_fields; k++) {
		bool is_path = false;

		for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
			is_path |= bytes_eq(l->fields[k].key,
			    bytes_of(paths[i]));
		fputs(k == 0 ? "" : ", ", stdout);
		show(l->fields[k].key);
		fputs(is_path ? "=<" : "=", stdout);
		show(l->fields[k].value);
		fputs(is_path ? ">" : "", stdout);
	}
}

static void
show_lines(const struct trace_message *m)
{
	for (const struct trace_line *k = m->first; k != NULL; k = k->next) {
		fputs("  ", stdout);
		show_time(&k->l, "%H:%M:%S", true);
		printf("  %-9.*s %s", (int)(k->l.process.n < 20
		    ? k->l.process.n : 20), (const char *)k->l.process.p,
		    bytes_eq(k->l.level, BYTES_LIT("info")) ? "" : "(");
		if (!bytes_eq(k->l.level, BYTES_LIT("info"))) {
			show(k->l.level);
			fputs(") ", stdout);
		}
		show_told(&k->l);
		putchar('\n');
	}
}

void
trace_story_text(const struct trace_message *m)
{
	struct story s;

	if (!read_story(m, &s))
		return;
	show_time(&m->first->l, "%Y-%m-%d %H:%M:%S", true);
	fputs("  ", stdout);
	show(m->id);
	if (s.report_on.n != 0) {
		fputs(", a report on ", stdout);
		show(s.report_on);
	}
	puts("\n");
	show_known("from", s.from, true);
	show_known("message-id", s.message_id, true);
	show_known("client", s.client, false);
	show_known("listener", s.listener, false);
	show_known("size", s.size, false);
	for (size_t k = 0; k < s.n_fates; k++)
		show_fate(&s.fates[k]);
	for (size_t k = 0; k < s.n_reports; k++)
		show_known("reported", s.reports[k], false);
	putchar('\n');
	show_lines(m);
	putchar('\n');
	free(s.fates);
}

/* "sent", or "sent 2, deferred 1". */
static void
show_fates(const struct story *s)
{
	bool has_any = false;

	if (s->n_fates == 0)
		fputs("no fate", stdout);
	for (size_t k = 0; k < s->n_fates; k++) {
		size_t n = 0, first = k;

		for (size_t i = 0; i < s->n_fates; i++)
			if (bytes_eq(s->fates[i].status, s->fates[k].status)) {
				n++;
				first = i < first ? i : first;
			}
		if (first != k)
			continue;
		fputs(has_any ? ", " : "", stdout);
		show(s->fates[k].status);
		if (n != s->n_fates)
			printf(" %zu", n);
		has_any = true;
	}
}

void
trace_story_brief(const struct trace_message *m)
{
	struct story s;

	if (!read_story(m, &s))
		return;
	show_time(&m->first->l, "%Y-%m-%d %H:%M:%S", false);
	fputs("  ", stdout);
	show(m->id);
	fputs("  <", stdout);
	show(s.from);
	fputs("> -> ", stdout);
	if (s.n_fates != 0) {
		putchar('<');
		show(s.fates[0].to);
		putchar('>');
	}
	if (s.n_fates > 1)
		printf(" and %zu more", s.n_fates - 1);
	fputs("  ", stdout);
	show_fates(&s);
	putchar('\n');
	free(s.fates);
}

/* ---- JSON ---- */

static void
put_member(const char *name, struct bytes value, bool *has_any)
{
	if (value.p == NULL)
		return;
	printf("%s\"%s\":", *has_any ? "," : "", name);
	json_put_string(stdout, value);
	*has_any = true;
}

static void
put_fate(const struct fate *f)
{
	bool has_any = false;

	putchar('{');
	put_member("to", f->to, &has_any);
	put_member("orig_to", f->orig_to, &has_any);
	put_member("status", f->status, &has_any);
	put_member("dsn", f->dsn, &has_any);
	put_member("relay", f->relay, &has_any);
	put_member("delay", f->delay, &has_any);
	put_member("reply", f->reply, &has_any);
	putchar('}');
}

void
trace_story_json(const struct trace_message *m)
{
	struct story s;
	bool has_any = true;

	if (!read_story(m, &s))
		return;
	fputs("{\"id\":", stdout);
	json_put_string(stdout, m->id);
	put_member("report_on", s.report_on, &has_any);
	put_member("from", s.from, &has_any);
	put_member("message_id", s.message_id, &has_any);
	put_member("client", s.client, &has_any);
	put_member("listener", s.listener, &has_any);
	put_member("size", s.size, &has_any);
	fputs(",\"recipients\":[", stdout);
	for (size_t k = 0; k < s.n_fates; k++) {
		fputs(k == 0 ? "" : ",", stdout);
		put_fate(&s.fates[k]);
	}
	fputs("],\"reports\":[", stdout);
	for (size_t k = 0; k < s.n_reports; k++) {
		fputs(k == 0 ? "" : ",", stdout);
		json_put_string(stdout, s.reports[k]);
	}
	fputs("],\"lines\":[", stdout);
	for (const struct trace_line *k = m->first; k != NULL; k = k->next) {
		static uint8_t octets[9 * LOGLINE_MAX];
		struct buf out = {octets, 0, sizeof(octets), false};

		logline_json(&k->l, sizeof(octets), &out);
		fputs(k == m->first ? "" : ",", stdout);
		fwrite(out.p, 1, out.n, stdout);
	}
	puts("]}");
	free(s.fates);
}
