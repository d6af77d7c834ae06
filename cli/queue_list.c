#include "cli/queue.h"

#include "cli/cli.h"
#include "cli/jsonout.h"

#include <stdlib.h>
#include <time.h>

#define TITLE "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------"
#define RCPT_COLUMN 41
#define REASON_END 76

/* ---- as mailq --------------------------------------------------------------- */

/* '!' held, '#' has failed for good, '*' a try is under way or in doubt. */
static char
mark_of(const struct queue_message *m)
{
	char mark = ' ';

	if (m->is_held)
		return '!';
	for (size_t k = 0; k < m->n_copies; k++)
		for (size_t j = 0; j < m->copies[k].n_rcpts; j++) {
			enum queue_status s = m->copies[k].rcpts[j].status;

			if (queue_status_is_failed(s))
				return '#';
			if (s == QUEUE_UNSURE)
				mark = '*';
		}
	return mark;
}

static void
put_when(int64_t s)
{
	char text[64] = "?";
	time_t t = (time_t)s;
	struct tm tm;

	if (localtime_r(&t, &tm) != NULL)
		strftime(text, sizeof(text), "%a %b %e %H:%M:%S", &tm);
	printf("%20.20s", text);
}

static void
put_reason(struct bytes reason)
{
	int pad = REASON_END - (int)reason.n;

	printf("%*s(", pad > 0 ? pad : 0, "");
	queue_put(stdout, reason);
	puts(")");
}

/* Recipients that are not delivered; a reason once for all that share it. */
static void
put_copy(const struct queue_copy *c, struct bytes *reason)
{
	for (size_t k = 0; k < c->n_rcpts; k++) {
		const struct queue_rcpt *r = &c->rcpts[k];

		if (queue_status_is_over(r->status))
			continue;
		if (r->reply.n != 0 && !bytes_eq(r->reply, *reason))
			put_reason(r->reply);
		*reason = r->reply;
		printf("%*s", RCPT_COLUMN, "");
		queue_put(stdout, queue_address(r->path));
		putchar('\n');
	}
}

static void
put_text(const struct queue_message *m)
{
	struct bytes from = queue_address(m->mail_from), reason = {NULL, 0};
	char id[QUEUE_ID_MAX + 2];

	snprintf(id, sizeof(id), "%.*s%c", BYTES_FMT(m->id), mark_of(m));
	printf("%-11s %8llu ", id, (unsigned long long)m->n_content);
	put_when(m->arrived_s);
	printf("  ");
	queue_put(stdout, from.n == 0 ? BYTES_LIT("MAILER-DAEMON") : from);
	putchar('\n');
	for (size_t k = 0; k < m->n_copies; k++)
		put_copy(&m->copies[k], &reason);
	putchar('\n');
}

/* ---- for programs ------------------------------------------------------------ */

static void
put_field(const char *name, struct bytes b)
{
	printf(",\"%s\":", name);
	json_put_string(stdout, b.p == NULL ? BYTES_LIT("") : b);
}

static void
put_number(const char *name, uint64_t n)
{
	printf(",\"%s\":%llu", name, (unsigned long long)n);
}

static void
put_rcpts_json(const struct queue_message *m, const struct queue_copy *c,
    size_t copy, bool *is_first)
{
	for (size_t k = 0; k < c->n_rcpts; k++) {
		const struct queue_rcpt *r = &c->rcpts[k];

		printf("%s{\"copy\":%zu", *is_first ? "" : ",", copy + 1);
		*is_first = false;
		put_field("to", queue_address(r->path));
		put_field("orig_to", queue_address(r->to));
		put_field("mail_from", queue_address(c->mail_from));
		put_field("status", bytes_of(queue_status_name(r->status)));
		put_number("tries", r->tries);
		printf(",\"next_try\":");
		if (queue_status_is_open(r->status) && !m->is_held)
			printf("%lld", (long long)r->due_s);
		else
			printf("null");
		put_field("reason", r->reply);
		putchar('}');
	}
}

static void
put_json(const struct queue_message *m)
{
	bool is_first = true;

	printf("{\"id\":");
	json_put_string(stdout, m->id);
	put_field("listener", m->listener);
	put_number("arrival_time", (uint64_t)m->arrived_s);
	put_number("signing_time", (uint64_t)m->signed_s);
	put_number("size", m->n_content);
	put_number("file_size", m->n_file);
	put_field("client", m->client);
	put_field("sender", queue_address(m->mail_from));
	printf(",\"held\":%s", m->is_held ? "true" : "false");
	put_number("copies", m->n_copies);
	printf(",\"recipients\":[");
	for (size_t k = 0; k < m->n_copies; k++)
		put_rcpts_json(m, &m->copies[k], k, &is_first);
	puts("]}");
}

/* ---- both --------------------------------------------------------------------- */

static int
put_all(const struct queue_call *c, const struct queue_choice *choice,
    bool is_json)
{
	uint64_t octets = 0;
	size_t n = 0;
	int code = 0;

	for (size_t k = 0; k < choice->n; k++) {
		struct queue_open o;
		int r = queue_open(&o, c->folder->mail, choice->all[k].id,
		    c->arena);

		if (r == QUEUE_NOT_THERE)	/* delivered by now */
			continue;
		if (r != 0) {
			code = queue_worse(code, r);
			continue;
		}
		if (n++ == 0 && !is_json)
			puts(TITLE);
		if (is_json)
			put_json(&o.m);
		else
			put_text(&o.m);
		octets += o.m.n_content;
		queue_close(&o);
	}
	if (!is_json && n == 0)
		puts("Mail queue is empty");
	else if (!is_json)
		printf("-- %llu Kbytes in %zu Request%s.\n",
		    (unsigned long long)(octets / 1024), n, n == 1 ? "" : "s");
	return code;
}

int
queue_list(const struct queue_call *c)
{
	struct queue_choice choice;
	int r = queue_choose(&choice, c->folder, c->args, c->arena);

	if (r == 0)
		r = queue_worse(choice.code, put_all(c, &choice,
		    args_get(c->args, "json") != NULL));
	free(choice.all);
	return r;
}
