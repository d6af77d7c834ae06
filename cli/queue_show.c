#include "cli/queue.h"

#include "cli/cli.h"

#include <time.h>
#include <unistd.h>

static void
put_line(const char *name, struct bytes b)
{
	if (b.n == 0)
		return;
	printf("%-10s ", name);
	queue_put(stdout, b);
	putchar('\n');
}

static void
put_time(int64_t s)
{
	char text[64] = "?";
	time_t t = (time_t)s;
	struct tm tm;

	if (localtime_r(&t, &tm) != NULL)
		strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S %z", &tm);
	fputs(text, stdout);
}

static void
put_rcpt(const struct queue_message *m, const struct queue_rcpt *r)
{
	printf("  ");
	queue_put(stdout, r->path);
	if (!bytes_eq(r->path, r->to)) {
		printf(" (for ");
		queue_put(stdout, r->to);
		putchar(')');
	}
	printf(": %s, %u %s", queue_status_name(r->status), r->tries,
	    r->tries == 1 ? "try" : "tries");
	if (queue_status_is_open(r->status) && !m->is_held) {
		printf(", next ");
		put_time(r->due_s);
	}
	putchar('\n');
	if (r->reply.n != 0) {
		printf("    ");
		queue_put(stdout, r->reply);
		putchar('\n');
	}
}

static void
put_head(const struct queue_message *m)
{
	put_line("id", m->id);
	put_line("listener", m->listener);
	printf("%-10s ", "arrived");
	put_time(m->arrived_s);
	printf("\n%-10s ", "signed");
	put_time(m->signed_s);
	putchar('\n');
	if (m->again_s != 0) {
		printf("%-10s ", "again");
		put_time(m->again_s);
		putchar('\n');
	}
	put_line("client", m->client);
	put_line("mail-from", m->mail_from);
	put_line("ret", m->ret);
	put_line("envid", m->envid);
	put_line("report", m->report_to.n != 0 ? m->report_to
	    : m->report_why);
	put_line("about", m->about);
	printf("%-10s %llu octets\n", "content",
	    (unsigned long long)m->n_content);
	printf("%-10s %s\n", "held", m->is_held ? "yes" : "no");
	for (size_t k = 0; k < m->n_copies; k++) {
		const struct queue_copy *c = &m->copies[k];

		printf("copy %-5zu from ", k + 1);
		queue_put(stdout, c->mail_from);
		printf(", %zu octets added", c->added.n);
		if (c->signed_as.n != 0) {
			printf(", ");
			queue_put(stdout, c->signed_as);
		}
		putchar('\n');
		for (size_t j = 0; j < c->n_rcpts; j++)
			put_rcpt(m, &c->rcpts[j]);
	}
}

/* What the copy leaves as. */
static int
put_copy(const struct queue_open *o, size_t k)
{
	const struct queue_copy *c = &o->m.copies[k];
	bool is_safe = isatty(STDOUT_FILENO) == 1;
	int r = queue_copy_octets(o->fd, c->added_at, c->added.n, stdout,
	    is_safe);

	return r != 0 ? r : queue_copy_octets(o->fd, o->m.content_at,
	    o->m.n_content, stdout, is_safe);
}

static int
show(const struct queue_open *o, const struct args *args)
{
	bool head = args_get(args, "head") != NULL;
	bool content = args_get(args, "content") != NULL;
	const char *copy = args_get(args, "copy");
	uint64_t k = 1;

	if (copy != NULL && (!bytes_number(bytes_of(copy), QUEUE_COPIES_MAX,
	    &k) || k == 0))
		return cli_fail(CLI_USAGE, "--copy: a number from 1 on");
	if (k > o->m.n_copies)
		return cli_fail(QUEUE_NOT_THERE, "there are %zu copies, and no "
		    "%llu", o->m.n_copies, (unsigned long long)k);
	if (!content)
		put_head(&o->m);
	if (!content && !head)
		putchar('\n');
	return head && !content ? 0 : put_copy(o, (size_t)k - 1);
}

int
queue_show(const struct queue_call *c)
{
	struct queue_open o;
	int r;

	if (c->args->n_words != 1)
		return cli_fail(CLI_USAGE, "queue show ID [--copy N] "
		    "[--head | --content]");
	if (args_get(c->args, "head") != NULL &&
	    args_get(c->args, "content") != NULL)
		return cli_fail(CLI_USAGE, "queue show: --head or --content, "
		    "not both");
	if (!queue_id_is(bytes_of(c->args->words[0])))
		return cli_fail(CLI_USAGE, "%s is no queue id",
		    c->args->words[0]);
	r = queue_open(&o, c->folder->mail, c->args->words[0], c->arena);
	if (r == QUEUE_NOT_THERE)
		return cli_fail(r, "%s is not in the queue",
		    c->args->words[0]);
	if (r == 0)
		r = show(&o, c->args);
	queue_close(&o);
	return r;
}
