#include "cli/lookup.h"

#include "base/ascii.h"
#include "base/err.h"
#include "cli/cli.h"
#include "config/keysfile.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include <ares.h>
#include <arpa/nameser.h>

#define WAIT_MS 20000

static enum dkim2_key
file_answer(const struct keysfile *k, struct bytes name,
    const struct bytes **records, size_t *n)
{
	switch (keysfile_find(k, name, records, n)) {
	case KEYSFILE_TXT:
		return DKIM2_KEY_TXT;
	case KEYSFILE_TEMPERROR:
		return DKIM2_KEY_TEMPFAIL;
	case KEYSFILE_EMPTY:
	case KEYSFILE_NXDOMAIN:
		break;
	}
	return DKIM2_KEY_ABSENT;
}

int
lookup_file(const struct lookup *l, const char *path, struct arena *a)
{
	char text[512];
	struct buf fault = BUF_ON(text);
	struct keysfile *k;
	int r = keysfile_load(&k, path, a, &fault);

	if (r == -E_SYSTEM)
		return cli_fail(CLI_UNREADABLE, "%s: %s", path,
		    strerror(errno));
	if (r == -E_SYNTAX)
		return cli_fail(CLI_UNREADABLE, "%s: %.*s", path,
		    BYTES_FMT(buf_bytes(&fault)));
	if (r != 0)
		return cli_fail(CLI_CANNOT, "%s: %s", path, err_text(r));
	for (size_t j = 0; j < l->n_names; j++) {
		const struct bytes *records = NULL;
		size_t n = 0;
		enum dkim2_key found = file_answer(k, l->names[j], &records,
		    &n);

		r = l->answer(l->asker, j, found, records, n);
		if (r != 0)
			return cli_fail(CLI_CANNOT, "%s", err_text(r));
	}
	return 0;
}

/* One question; answered means that its callback came. */
struct query {
	const struct lookup *l;
	struct arena *arena;
	size_t k;
	int r;
};

/* Joins the strings of each record; *n is then how many records there are. */
static struct bytes *
join(const struct ares_txt_ext *list, size_t *n, struct arena *a)
{
	size_t octets = 0, strings = 0;
	struct bytes *records;
	struct buf out;

	for (const struct ares_txt_ext *t = list; t != NULL; t = t->next) {
		octets += t->length;
		strings++;
	}
	records = arena_array(a, strings, sizeof(*records));
	if (records == NULL || arena_buf(a, octets, &out) != 0)
		return NULL;
	*n = 0;
	for (const struct ares_txt_ext *t = list; t != NULL; t = t->next) {
		if (t->record_start || *n == 0)
			records[(*n)++] = (struct bytes){out.p + out.n, 0};
		buf_add(&out, (struct bytes){t->txt, t->length});
		records[*n - 1].n += t->length;
	}
	return records;
}

static int
tell(const struct query *q, enum dkim2_key found, const struct bytes *records,
    size_t n)
{
	return q->l->answer(q->l->asker, q->k, found, records, n);
}

static void
answer_records(struct query *q, const unsigned char *reply, int n_reply)
{
	struct ares_txt_ext *list = NULL;
	struct bytes *records;
	size_t n = 0;
	int status = ares_parse_txt_reply_ext(reply, n_reply, &list);

	if (status == ARES_ENODATA) {
		q->r = tell(q, DKIM2_KEY_ABSENT, NULL, 0);
	} else if (status != ARES_SUCCESS) {
		q->r = tell(q, DKIM2_KEY_TEMPFAIL, NULL, 0);
	} else {
		records = join(list, &n, q->arena);
		q->r = records == NULL ? -E_NOMEM :
		    tell(q, DKIM2_KEY_TXT, records, n);
	}
	ares_free_data(list);
}

static void
answered(void *arg, int status, int timeouts, unsigned char *reply,
    int n_reply)
{
	struct query *q = arg;
	enum dkim2_key found = DKIM2_KEY_TEMPFAIL;

	(void)timeouts;
	if (status == ARES_SUCCESS) {
		answer_records(q, reply, n_reply);
		return;
	}
	if (status == ARES_ENOTFOUND || status == ARES_ENODATA)
		found = DKIM2_KEY_ABSENT;
	q->r = tell(q, found, NULL, 0);
}

/* Whether it can be asked for as it is; an odd name has no key. */
static bool
is_plain(struct bytes name)
{
	for (size_t k = 0; k < name.n; k++)
		if (!ascii_is_alnum(name.p[k]) && name.p[k] != '-' &&
		    name.p[k] != '_' && name.p[k] != '.')
			return false;
	return name.n != 0;
}

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Runs the channel until nothing is open, or the time is up. */
static void
drain(ares_channel channel)
{
	int64_t end = now_ms() + WAIT_MS;

	while (now_ms() < end) {
		ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
		struct pollfd fds[ARES_GETSOCK_MAXNUM];
		struct timeval tv, *wait;
		unsigned mask;
		int n = 0;

		/* readable in the low bits, writable above them */
		mask = (unsigned)ares_getsock(channel, sockets,
		    ARES_GETSOCK_MAXNUM);
		for (int k = 0; k < ARES_GETSOCK_MAXNUM; k++) {
			short events = 0;

			if ((mask >> k & 1) != 0)
				events |= POLLIN;
			if ((mask >> (k + ARES_GETSOCK_MAXNUM) & 1) != 0)
				events |= POLLOUT;
			if (events != 0)
				fds[n++] = (struct pollfd){sockets[k], events,
				    0};
		}
		if (n == 0)
			return;
		wait = ares_timeout(channel, NULL, &tv);
		(void)poll(fds, (nfds_t)n, wait == NULL ? 1000 :
		    (int)(wait->tv_sec * 1000 + wait->tv_usec / 1000 + 1));
		for (int k = 0; k < n; k++)
			ares_process_fd(channel,
			    (fds[k].revents & (POLLIN | POLLERR | POLLHUP)) ?
			    fds[k].fd : ARES_SOCKET_BAD,
			    (fds[k].revents & POLLOUT) ?
			    fds[k].fd : ARES_SOCKET_BAD);
	}
	ares_cancel(channel);
}

static int
ask_all(ares_channel channel, const struct lookup *l, struct arena *a)
{
	struct query *q = arena_array(a, l->n_names, sizeof(*q));

	if (q == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < l->n_names; k++) {
		struct bytes name = arena_copy(a, l->names[k]);

		q[k] = (struct query){l, a, k, 0};
		if (name.p == NULL)
			q[k].r = -E_NOMEM;
		else if (is_plain(name))
			ares_query(channel, (const char *)name.p, ns_c_in,
			    ns_t_txt, answered, &q[k]);
		else
			q[k].r = tell(&q[k], DKIM2_KEY_ABSENT, NULL, 0);
	}
	drain(channel);
	for (size_t k = 0; k < l->n_names; k++)
		if (q[k].r != 0)
			return q[k].r;
	return 0;
}

int
lookup_dns(const struct lookup *l, const char *resolver, struct arena *a)
{
	struct ares_options o = {
		.flags = ARES_FLAG_EDNS,
		.timeout = 2000,	/* doubled with each try: 14 s in all */
		.tries = 3,
		.ednspsz = 1232,
	};
	ares_channel channel;
	int status, r;

	status = ares_library_init(ARES_LIB_INIT_ALL);
	if (status == ARES_SUCCESS)
		status = ares_init_options(&channel, &o, ARES_OPT_FLAGS |
		    ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ);
	if (status != ARES_SUCCESS)
		return cli_fail(CLI_CANNOT, "resolver: %s",
		    ares_strerror(status));
	if (resolver != NULL &&
	    ares_set_servers_ports_csv(channel, resolver) != ARES_SUCCESS)
		r = cli_fail(CLI_USAGE, "--resolver %s: not address:port",
		    resolver);
	else if ((r = ask_all(channel, l, a)) != 0)
		r = cli_fail(CLI_CANNOT, "%s", err_text(r));
	ares_destroy(channel);
	ares_library_cleanup();
	return r;
}
