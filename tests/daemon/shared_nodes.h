/* Machines that share a real Redis server, all in one process and loop; the
 * time of day is as a test says. */
#ifndef TESTS_DAEMON_SHARED_NODES_H
#define TESTS_DAEMON_SHARED_NODES_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/copies.h"
#include "daemon/log.h"
#include "daemon/memory.h"
#include "daemon/relay_value.h"
#include "daemon/shared.h"
#include "daemon/shared_copies.h"

#define N_NODES 2

struct node {
	struct fixture *f;
	struct shared *shared;		/* NULL: it is down */
	char folder[64];
	int copies;			/* descriptor of the folder */
	size_t n_coming;		/* finds that were told to wait */
	size_t n_told;
	enum arrival_status status;	/* of the last answer; of a delivery
					   an enum memory_status */
	struct arrival record;
	uint8_t octets[ARRIVAL_VALUE_MAX];
};

struct fixture {
	char folder[32];
	pid_t pid;			/* of the server; 0: none */
	struct redis_where where;
	struct store_limits limits;
	struct loop *loop;
	struct loop_timer *late;
	bool is_late, is_over;
	struct redis *redis;		/* of the test */
	int64_t integer;		/* what it was answered */
	enum redis_kind kind;
	char text[256];
	struct node nodes[N_NODES];
};

/* ---- the clock ------------------------------------------------------------ */

static int64_t ahead_s;			/* of the true time */
int64_t __real_loop_time_s(const struct loop *l);
int64_t __wrap_loop_time_s(const struct loop *l);

int64_t
__wrap_loop_time_s(const struct loop *l)
{
	return __real_loop_time_s(l) + ahead_s;
}

/* ---- patience ------------------------------------------------------------ */

static bool is_hasty;			/* deadlines are as they are asked for */
int __real_redis_ask(struct redis *r, const struct redis_command *c);
int __wrap_redis_ask(struct redis *r, const struct redis_command *c);

/* ---- a server that says what it likes ------------------------------------ */

static const struct redis_value *hostile;	/* to all about arrivals */
static struct loop *hostile_loop;

struct hostile_answer {
	struct loop_deferred deferred;
	struct redis_command command;
	const struct redis_value *value;
};

static inline void
give_hostile(void *arg)
{
	struct hostile_answer *h = arg;

	h->command.answer(h->command.arg, h->command.tag, 0, h->value);
	free(h);
}

static inline int
answer_hostile(const struct redis_command *c)
{
	struct hostile_answer *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	h->command = *c;
	h->value = hostile;
	loop_defer(hostile_loop, &h->deferred, give_hostile, h);
	return 0;
}

/* Records and copies; not the beat, deliveries, or the test's own. */
static inline bool
is_of_arrivals(const struct redis_command *c)
{
	return c->script >= SHARED_OWN_SCRIPTS ||
	    c->wait_ms == SHARED_PIECE_MS;
}

int
__wrap_redis_ask(struct redis *r, const struct redis_command *c)
{
	struct redis_command patient = *c;

	if (hostile != NULL && is_of_arrivals(c))
		return answer_hostile(c);
	if (!is_hasty)
		patient.wait_ms = 30 * 1000;
	return __real_redis_ask(r, &patient);
}

/* ---- waiting ------------------------------------------------------------- */

static inline void
on_late(void *arg)
{
	struct fixture *f = arg;

	f->is_late = true;
	loop_stop(f->loop);
}

typedef bool is_over(struct fixture *f, void *arg);

struct looking {
	struct fixture *f;
	is_over *is_over;
	void *arg;
	struct loop_timer *timer;
};

static inline void
look(void *arg)
{
	struct looking *w = arg;

	if (w->is_over(w->f, w->arg))
		loop_stop(w->f->loop);
	else
		loop_timer_start(w->timer, 1);
}

/* Runs the loop until something is so. */
static inline void
until(struct fixture *f, is_over *over, void *arg)
{
	struct looking w = {f, over, arg, NULL};

	if (over(f, arg))
		return;
	w.timer = loop_timer_new(f->loop, look, &w);
	assert_non_null(w.timer);
	f->is_late = false;
	loop_timer_start(f->late, 60 * 1000);
	loop_timer_start(w.timer, 1);
	loop_run(f->loop);
	loop_timer_stop(f->late);
	loop_timer_free(&w.timer);
	assert_false(f->is_late);
}

/* ---- the server ---------------------------------------------------------- */

/* The program; by what name it is called says what it does. NULL: none. */
static inline const char *
server_program(void)
{
	const char *path = getenv("REDIS_SERVER");

	if (path != NULL && *path != '\0')
		return path;
	return system("redis-server --version >/dev/null 2>&1") == 0 ?
	    "redis-server" : NULL;
}

static inline void
start_server(struct fixture *f)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/socket", f->folder);
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (f->pid == 0) {
		int null = open("/dev/null", O_RDWR);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(null, 1);
		execlp(server_program(), "redis-server", "--port", "0",
		    "--unixsocket", path, "--dir", f->folder, "--save", "",
		    "--appendonly", "no", (char *)NULL);
		_exit(127);
	}
	while (access(path, F_OK) != 0)
		usleep(1000);
}

static inline void
kill_server(struct fixture *f)
{
	char path[64];

	kill(f->pid, SIGKILL);
	assert_int_equal(waitpid(f->pid, NULL, 0), f->pid);
	f->pid = 0;
	snprintf(path, sizeof(path), "%s/socket", f->folder);
	unlink(path);
}

static inline void
test_up(void *arg)
{
	(void)arg;
}

static inline void
on_said(void *arg, uint64_t tag, int err, const struct redis_value *v)
{
	struct fixture *f = arg;

	(void)tag;
	assert_int_equal(err, 0);
	f->kind = v->kind;
	f->integer = v->integer;
	snprintf(f->text, sizeof(f->text), "%.*s", BYTES_FMT(v->text));
	if (v->kind == REDIS_ARRAY) {
		f->integer = (int64_t)v->n_items;
		if (v->n_items != 0)
			snprintf(f->text, sizeof(f->text), "%.*s",
			    BYTES_FMT(v->items[0].text));
	}
	f->is_over = true;
}

static inline bool
is_said(struct fixture *f, void *arg)
{
	(void)arg;
	return f->is_over;
}

static inline bool
is_test_up(struct fixture *f, void *arg)
{
	(void)arg;
	return redis_is_up(f->redis);
}

/* A command of the test, its words with blanks between. */
static inline int64_t
say(struct fixture *f, const char *words)
{
	struct bytes args[16], rest = bytes_of(words);
	struct redis_command c = {.script = -1, .args = args,
	    .wait_ms = 30 * 1000, .answer = on_said, .arg = f};

	while (rest.n != 0)
		args[c.n_args++] = bytes_cut(&rest, ' ');
	until(f, is_test_up, NULL);
	f->is_over = false;
	assert_int_equal(redis_ask(f->redis, &c), 0);
	until(f, is_said, NULL);
	return f->integer;
}

/* How many keys there are of a pattern; the first is in text. */
static inline int64_t
n_keys(struct fixture *f, const char *pattern)
{
	char words[64];

	f->text[0] = 0;
	snprintf(words, sizeof(words), "KEYS %s", pattern);
	return say(f, words);
}

/* ---- machines ------------------------------------------------------------ */

static inline bool
on_answer(void *arg, unsigned peer, const struct memory_response *head,
    struct bytes value)
{
	struct node *n = arg;

	assert_int_equal(peer, 1);
	assert_int_equal(head->tag, 7);
	if (!head->is_arrival) {
		n->status = (enum arrival_status)head->status;
		n->n_told++;
		return true;
	}
	if (head->status == ARRIVAL_COMING) {
		n->n_coming++;
		return true;
	}
	n->status = (enum arrival_status)head->status;
	n->record = (struct arrival){.time_s = 0};
	if (value.n != 0) {
		memcpy(n->octets, value.p, value.n);
		assert_true(arrival_value_parse((struct bytes){n->octets,
		    value.n}, &n->record));
	}
	assert_int_equal(n->status == ARRIVAL_FOUND, value.n != 0);
	n->n_told++;
	return true;
}

static inline void
on_secret(void *arg, const uint8_t secret[MEMORY_SECRET_SIZE])
{
	(void)arg;
	(void)secret;
}

static inline bool
is_ready(struct fixture *f, void *arg)
{
	struct node *n = arg;

	(void)f;
	return shared_is_ready(n->shared);
}

static inline bool
is_out(struct fixture *f, void *arg)
{
	struct node *n = arg;

	(void)f;
	return !shared_is_ready(n->shared);
}

static inline void
start_node(struct node *n)
{
	static const struct shared_calls calls = {on_answer, on_secret};

	n->shared = shared_new(n->f->loop, &n->f->where, n->folder,
	    &n->f->limits, &calls, n);
	assert_non_null(n->shared);
	until(n->f, is_ready, n);
}

static inline int
start(void **state)
{
	static const struct redis_calls calls = {test_up, test_up};
	struct fixture *f = calloc(1, sizeof(*f));
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	assert_non_null(f);
	*state = f;
	ahead_s = 0;
	is_hasty = false;
	hostile = NULL;
	snprintf(f->folder, sizeof(f->folder), "/tmp/hopseal-redis-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/socket", f->folder);
	f->where = (struct redis_where){.name = "unix://socket",
	    .n_address = sizeof(a)};
	memcpy(&f->where.address, &a, sizeof(a));
	f->limits = (struct store_limits){7 * 86400, MEMORY_SHORT_S, 1 << 24,
	    7 * 86400, 1 << 30, 1000};
	f->loop = loop_new();
	hostile_loop = f->loop;
	f->late = loop_timer_new(f->loop, on_late, f);
	if (server_program() == NULL)
		return 0;
	start_server(f);
	f->redis = redis_new(f->loop, &f->where, NULL, 0, &calls, f);
	for (int k = 0; k < N_NODES; k++) {
		struct node *n = f->nodes + k;
		int fd;

		n->f = f;
		snprintf(n->folder, sizeof(n->folder), "%s/%d", f->folder, k);
		assert_int_equal(mkdir(n->folder, 0700), 0);
		fd = open(n->folder, O_PATH | O_DIRECTORY);
		n->copies = copies_open(fd, false, geteuid(), getegid());
		assert_true(n->copies >= 0);
		close(fd);
		start_node(n);
	}
	return 0;
}

static inline int
stop(void **state)
{
	struct fixture *f = *state;
	char command[64];

	for (int k = 0; k < N_NODES; k++)
		if (f->nodes[k].shared != NULL)
			shared_free(&f->nodes[k].shared);
	if (f->redis != NULL)
		redis_free(&f->redis);
	for (int k = 0; k < N_NODES; k++)
		if (f->nodes[k].f != NULL)
			close(f->nodes[k].copies);
	if (f->pid != 0)
		kill_server(f);
	loop_timer_free(&f->late);
	loop_free(&f->loop);
	snprintf(command, sizeof(command), "rm -rf %s", f->folder);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static inline void
stop_node(struct node *n)
{
	shared_free(&n->shared);
}

/* Without a server nothing can be tried. */
#define NEEDS_SERVER(f) \
	do { \
		if ((f)->pid == 0) { \
			printf("SKIP %s: there is no redis-server\n", \
			    __func__); \
			if (getenv("CI") != NULL) \
				fail(); \
			skip(); \
		} \
	} while (0)

#endif
