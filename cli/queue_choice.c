#include "cli/queue.h"

#include "base/sort.h"
#include "cli/cli.h"
#include "config/value.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const statuses[] = {
	"queued", "unsure", "delivered", "failed", "expired",
	"reported", "held",
};

bool
queue_is_chosen(const struct args *args)
{
	static const char *const names[] = {
		"to-domain", "from", "older", "reason", "status", "all",
	};

	for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
		if (args_get(args, names[k]) != NULL)
			return true;
	return args->n_words != 0;
}

static int
read_filter(struct queue_filter *f, const struct args *args)
{
	const char *older = args_get(args, "older");
	bool is_known = false;
	uint64_t ms;

	*f = (struct queue_filter){
		.to_domain = args_get(args, "to-domain"),
		.from = args_get(args, "from"),
		.reason = args_get(args, "reason"),
		.status = args_get(args, "status"),
		.now_s = (int64_t)time(NULL),
	};
	if (older != NULL) {
		const char *why = config_value_time(bytes_of(older), &ms);

		if (why != NULL)
			return cli_fail(CLI_USAGE, "--older: `%s` %s", older,
			    why);
		f->older_s = (int64_t)(ms / 1000);
	}
	for (size_t k = 0; k < sizeof(statuses) / sizeof(statuses[0]); k++)
		if (f->status != NULL && strcmp(f->status, statuses[k]) == 0)
			is_known = true;
	if (f->status != NULL && !is_known)
		return cli_fail(CLI_USAGE, "--status: queued, unsure, "
		    "delivered, failed, expired, reported or held");
	return 0;
}

static bool
is_domain(struct bytes path, const char *domain)
{
	struct bytes address = queue_address(path);
	size_t at = address.n;

	while (at != 0 && address.p[at - 1] != '@')
		at--;
	return at != 0 &&
	    bytes_case_eq(bytes_skip(address, at), bytes_of(domain));
}

static bool
has_text(struct bytes b, const char *text)
{
	struct bytes t = bytes_of(text);

	for (; b.n >= t.n; b = bytes_skip(b, 1)) {
		if (bytes_case_starts(b, t))
			return true;
		if (b.n == 0)
			break;
	}
	return false;
}

static bool
is_status(const struct queue_message *m, const struct queue_rcpt *r,
    const char *status)
{
	if (strcmp(status, "held") == 0)
		return m->is_held;
	return strcmp(status, queue_status_name(r->status)) == 0;
}

/* Whether one recipient has all of what was asked of recipients. */
static bool
is_rcpt(const struct queue_filter *f, const struct queue_message *m,
    const struct queue_rcpt *r)
{
	if (f->status != NULL ? !is_status(m, r, f->status) :
	    queue_status_is_over(r->status))
		return false;
	if (f->to_domain != NULL && !is_domain(r->path, f->to_domain) &&
	    !is_domain(r->to, f->to_domain))
		return false;
	return f->reason == NULL || has_text(r->reply, f->reason);
}

static bool
is_wanted(const struct queue_filter *f, const struct queue_message *m)
{
	if (f->older_s != 0 && m->arrived_s > f->now_s - f->older_s)
		return false;
	if (f->from != NULL && !bytes_case_eq(queue_address(m->mail_from),
	    queue_address(bytes_of(f->from))))
		return false;
	if (f->to_domain == NULL && f->reason == NULL && f->status == NULL)
		return true;
	for (size_t k = 0; k < m->n_copies; k++)
		for (size_t j = 0; j < m->copies[k].n_rcpts; j++)
			if (is_rcpt(f, m, &m->copies[k].rcpts[j]))
				return true;
	return false;
}

static int
keep(struct queue_choice *c, const char *id, int64_t arrived_s)
{
	/* doubles whenever the number is a power of two */
	if ((c->n & (c->n - 1)) == 0) {
		size_t cap = c->n == 0 ? 1 : c->n * 2;
		struct queue_chosen *more = reallocarray(c->all, cap,
		    sizeof(*more));

		if (more == NULL)
			return cli_fail(CLI_CANNOT, "out of memory");
		c->all = more;
	}
	c->all[c->n].arrived_s = arrived_s;
	memcpy(c->all[c->n].id, id, strlen(id) + 1);
	c->n++;
	return 0;
}

static int
look_at(struct queue_choice *c, const struct queue_folder *f, const char *id,
    const struct queue_filter *filter, struct arena *a)
{
	struct queue_open o;
	int r = queue_open(&o, f->mail, id, a);

	if (r == CLI_UNREADABLE || r == QUEUE_NOT_THERE) {
		if (r == CLI_UNREADABLE)
			c->code = queue_worse(c->code, r);
		return r;
	}
	if (r == 0 && is_wanted(filter, &o.m))
		r = keep(c, id, o.m.arrived_s);
	queue_close(&o);
	return r;
}

static int
choose_named(struct queue_choice *c, const struct queue_folder *f,
    const struct args *args, const struct queue_filter *filter,
    struct arena *a)
{
	for (size_t k = 0; k < args->n_words; k++) {
		const char *id = args->words[k];
		int r;

		if (!queue_id_is(bytes_of(id)))
			return cli_fail(CLI_USAGE, "%s is no queue id", id);
		r = look_at(c, f, id, filter, a);
		if (r == QUEUE_NOT_THERE)
			c->code = queue_worse(c->code, cli_fail(r,
			    "%s is not in the queue", id));
		else if (r != 0 && r != CLI_UNREADABLE)
			return r;
	}
	return 0;
}

static int
choose_all(struct queue_choice *c, const struct queue_folder *f,
    const struct queue_filter *filter, struct arena *a)
{
	int fd = openat(f->mail, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	int r = 0;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return cli_fail(CLI_UNREADABLE, "%s/mail: %s", f->path,
		    strerror(errno));
	}
	while (r == 0 && (errno = 0, e = readdir(dir)) != NULL) {
		char shown[4 * 256];
		struct buf b = BUF_ON(shown);

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		buf_add_escaped(&b, bytes_of(e->d_name), 200);
		if (!queue_id_is(bytes_of(e->d_name)))
			c->code = queue_worse(c->code, cli_fail(CLI_UNREADABLE,
			    "%.*s: no queue file", BYTES_FMT(buf_bytes(&b))));
		else
			r = look_at(c, f, e->d_name, filter, a);
		/* one that went meanwhile, or that was told, is left out */
		if (r == QUEUE_NOT_THERE || r == CLI_UNREADABLE)
			r = 0;
	}
	if (r == 0 && errno != 0)
		r = cli_fail(CLI_UNREADABLE, "%s/mail: %s", f->path,
		    strerror(errno));
	closedir(dir);
	return r;
}

static int
by_arrival(const void *a, const void *b)
{
	const struct queue_chosen *x = a, *y = b;

	if (x->arrived_s != y->arrived_s)
		return x->arrived_s < y->arrived_s ? -1 : 1;
	return strcmp(x->id, y->id);
}

int
queue_choose(struct queue_choice *c, const struct queue_folder *f,
    const struct args *args, struct arena *a)
{
	struct queue_filter filter;
	int r;

	*c = (struct queue_choice){0};
	r = read_filter(&filter, args);
	if (r != 0)
		return r;
	r = args->n_words != 0 ? choose_named(c, f, args, &filter, a) :
	    choose_all(c, f, &filter, a);
	if (r == 0)
		sort_heap(c->all, c->n, sizeof(*c->all), by_arrival);
	return r;
}
