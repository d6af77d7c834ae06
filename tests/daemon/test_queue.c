/* The queue's process, forked, and workers that ask it for commits. */
#include "daemon/queue.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/passfd.h"
#include "daemon/queue_link.h"
#include "tests/daemon/spoolkit.h"

#define WAIT_MS (30 * 1000)	/* a machine may be slow */
#define MANY 3000U

struct fixture {
	struct kit *kit;
	struct config *config;
	pid_t pid;			/* 0: none */
	int control;			/* -1: closed */
};

/* ---- a process ----------------------------------------------------------- */

static _Noreturn void
serve(struct fixture *f, int control)
{
	struct worker_env env = {.config = f->config, .keeper_fd = -1,
	    .spool_fd = -1, .state_fd = -1, .queue_fd = -1,
	    .copies_fd = -1};
	sigset_t set;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&set);
	sigaddset(&set, QUEUE_LEAVE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	priv_close_others(&control, 1);
	exit(queue_serve(&env, control));
}

static void
start_queue(struct fixture *f)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    pair), 0);
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (f->pid == 0)
		serve(f, pair[1]);
	close(pair[1]);
	f->control = pair[0];
}

/* What it exits with; -1: it was killed. */
static int
end_of_queue(struct fixture *f)
{
	int status;

	assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
	f->pid = 0;
	if (f->control >= 0)
		close(f->control);
	f->control = -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
hang_up(struct fixture *f)
{
	close(f->control);
	f->control = -1;
}

/* A worker's end. */
static int
meet(struct fixture *f)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    pair), 0);
	assert_int_equal(passfd_give(f->control, pair[0]), 0);
	close(pair[0]);
	return pair[1];
}

static int
start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char text[512], path[128];
	struct buf b = BUF_ON(text);
	FILE *file;

	assert_non_null(f);
	*state = f;
	alarm(2 * WAIT_MS / 1000);	/* one that hangs fails */
	assert_int_equal(kit_start((void **)&f->kit), 0);
	buf_printf(&b, "hostname: hop.example.net\nstate: %s\nlisteners:\n"
	    "  other:\n    role: inbound\n    listen: \"127.0.0.1:25\"\n"
	    "    domains: [two.example]\n"
	    "    next-hop: \"smtp://127.0.0.1:2525\"\n", f->kit->folder);
	snprintf(path, sizeof(path), "%s/hopseal.yaml", f->kit->folder);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(b.p, 1, b.n, file), b.n);
	fclose(file);
	f->config = config_load(path, NULL, NULL);
	assert_non_null(f->config);
	start_queue(f);
	return 0;
}

static int
stop(void **state)
{
	struct fixture *f = *state;
	int status = 0;

	if (f->pid != 0) {
		hang_up(f);
		status = end_of_queue(f);
	}
	alarm(0);
	config_free(&f->config);
	assert_int_equal(kit_stop((void **)&f->kit), 0);
	free(f);
	assert_int_equal(status, 0);
	return 0;
}

/* ---- a worker ------------------------------------------------------------ */

static struct queue_request
request_of(const char *id, uint64_t tag)
{
	struct queue_request q = {.tag = tag};

	snprintf(q.id, sizeof(q.id), "%s", id);
	return q;
}

static void
ask(int fd, const char *id, uint64_t tag)
{
	struct queue_request q = request_of(id, tag);

	assert_int_equal(send(fd, &q, sizeof(q), 0), sizeof(q));
}

static bool
is_readable(int fd)
{
	struct pollfd p = {fd, POLLIN, 0};

	return poll(&p, 1, WAIT_MS) == 1;
}

static struct queue_response
answer_of(int fd)
{
	struct queue_response a;

	assert_true(is_readable(fd));
	assert_int_equal(recv(fd, &a, sizeof(a), MSG_TRUNC), sizeof(a));
	return a;
}

/* The result of one commit. */
static int
commit(int fd, const char *id)
{
	struct queue_response a;

	ask(fd, id, 77);
	a = answer_of(fd);
	assert_int_equal(a.tag, 77);
	return a.result;
}

static bool
is_hung_up(int fd)
{
	uint8_t octet;

	return is_readable(fd) && recv(fd, &octet, 1, 0) <= 0;
}

/* ---- tests --------------------------------------------------------------- */

static void
commits_are_answered(void **state)
{
	struct fixture *f = *state;
	int one = meet(f), two = meet(f);

	kit_write(f->kit, "m1");
	kit_write(f->kit, "m2");
	assert_int_equal(commit(one, "m1"), 0);
	assert_true(kit_is_in(f->kit, "mail", "m1"));
	assert_int_equal(commit(two, "m2"), 0);
	assert_int_equal(commit(two, "m1"), 0);
	assert_int_equal(commit(two, "m3"), -E_ABSENT);
	close(one);
	assert_int_equal(commit(two, "m2"), 0);
	close(two);
}

/* Asks for as many as the socket takes. */
static unsigned
ask_more(int fd, unsigned from)
{
	char id[QUEUE_ID_MAX + 1];

	for (; from < MANY; from++) {
		struct queue_request q;

		snprintf(id, sizeof(id), "m%u", from);
		q = request_of(id, from);
		if (send(fd, &q, sizeof(q), MSG_DONTWAIT) < 0)
			break;
	}
	return from;
}

/*
 * More than a turn takes, from one that reads no answer until nothing moves
 * any more; others are served meanwhile.
 */
static void
many_at_once(void **state)
{
	struct fixture *f = *state;
	int fd = meet(f), other = meet(f);
	unsigned n_sent = 0, n_read = 0;
	char id[QUEUE_ID_MAX + 1];

	for (unsigned n = 0; n < MANY; n++) {
		snprintf(id, sizeof(id), "m%u", n);
		kit_write(f->kit, id);
	}
	kit_write(f->kit, "other");
	for (unsigned n_stuck = 0; n_stuck < 50; n_stuck++) {
		unsigned was = n_sent;

		n_sent = ask_more(fd, n_sent);
		assert_int_equal(commit(other, "other"), 0);
		if (n_sent != was)
			n_stuck = 0;
	}
	assert_true(n_sent < MANY);
	while (n_read < MANY) {
		struct queue_response a = answer_of(fd);

		assert_int_equal(a.tag, n_read++);
		assert_int_equal(a.result, 0);
		n_sent = ask_more(fd, n_sent);
	}
	close(fd);
	close(other);
}

static void
one_that_talks_nonsense_is_left(void **state)
{
	struct fixture *f = *state;
	int good = meet(f);

	kit_write(f->kit, "m1");
	for (int what = 0; what < 5; what++) {
		struct queue_request q = request_of("m1", 1);
		uint8_t room[sizeof(q) + 1];
		size_t n = sizeof(q);
		int fd = meet(f);

		switch (what) {
		case 0:
			n = 1;
			break;
		case 1:
			n = sizeof(room);
			break;
		case 2:
			q.zero[3] = 1;
			break;
		case 3:
			memset(q.id, 'a', sizeof(q.id));
			break;
		default:
			snprintf(q.id, sizeof(q.id), "../mail/m1");
			break;
		}
		memset(room, 0, sizeof(room));
		memcpy(room, &q, sizeof(q));
		assert_int_equal(send(fd, room, n, 0), n);
		assert_true(is_hung_up(fd));
		close(fd);
	}
	assert_true(kit_is_whole(f->kit, "new", "m1"));
	assert_int_equal(commit(good, "m1"), 0);
	close(good);
}

/* It is asked for what the one before did not answer. */
static void
killed_and_followed(void **state)
{
	struct fixture *f = *state;
	int fd = meet(f);

	kit_write(f->kit, "m1");
	kit_write(f->kit, "m2");
	assert_int_equal(commit(fd, "m1"), 0);
	kill(f->pid, SIGKILL);
	assert_int_equal(end_of_queue(f), -1);
	assert_true(is_hung_up(fd));
	close(fd);
	start_queue(f);
	fd = meet(f);
	assert_int_equal(commit(fd, "m1"), 0);
	assert_int_equal(commit(fd, "m2"), 0);
	close(fd);
}

/* Told to leave it goes, whoever is connected: another one follows. */
static void
told_to_leave(void **state)
{
	struct fixture *f = *state;
	int fd = meet(f);

	kit_write(f->kit, "m1");
	assert_int_equal(commit(fd, "m1"), 0);
	kill(f->pid, QUEUE_LEAVE);
	assert_int_equal(end_of_queue(f), 0);
	assert_true(is_hung_up(fd));
	close(fd);
}

/* The master stops: it is there for as long as a worker is. */
static void
behind_the_last_worker(void **state)
{
	struct fixture *f = *state;
	int one = meet(f), two = meet(f);

	kit_write(f->kit, "m1");
	kit_write(f->kit, "m2");
	kit_write(f->kit, "m3");
	assert_int_equal(commit(one, "m1"), 0);
	hang_up(f);
	assert_int_equal(commit(two, "m2"), 0);
	close(one);
	assert_int_equal(commit(two, "m3"), 0);
	assert_int_equal(kill(f->pid, 0), 0);
	close(two);
	assert_int_equal(end_of_queue(f), 0);
}

static void
without_a_spool_it_says_so(void **state)
{
	struct fixture *f = *state;
	int fd = meet(f);

	assert_int_equal(commit(fd, "m1"), -E_ABSENT);
	kill(f->pid, SIGKILL);
	assert_int_equal(end_of_queue(f), -1);
	assert_int_equal(rename(kit_path(f->kit, "mail", ""),
	    kit_path(f->kit, "elsewhere", "")), 0);
	start_queue(f);
	assert_int_equal(end_of_queue(f), 71);
	assert_int_equal(rename(kit_path(f->kit, "elsewhere", ""),
	    kit_path(f->kit, "mail", "")), 0);
	close(fd);
}

/* Asked for by a worker that did not hear of it: this process removed it. */
static void
what_was_delivered_meanwhile(void **state)
{
	struct fixture *f = *state;
	char room[2048];
	struct buf b = BUF_ON(room);
	size_t at = 0;
	int fd = meet(f);

	kit_file("m1", &b);
	while (at + 3 < b.n && memcmp(b.p + at, "\n q ", 4) != 0)
		at++;
	b.p[at + 2] = 'd';
	kit_put(f->kit, "new", "m1", buf_bytes(&b), 0600);
	assert_int_equal(commit(fd, "m1"), 0);
	for (int wait = 0; kit_is_in(f->kit, "mail", "m1"); wait++) {
		assert_true(wait < WAIT_MS);
		poll(NULL, 0, 1);
	}
	assert_int_equal(commit(fd, "m1"), 0);
	assert_int_equal(commit(fd, "m2"), -E_ABSENT);
	close(fd);
}

/* ---- its child that commits ---------------------------------------------- */

static pid_t
committer_of(const struct fixture *f)
{
	for (int wait = 0; wait < WAIT_MS; wait++) {
		char path[64], name[32];
		int pid;
		FILE *file, *comm;

		snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
		    (int)f->pid, (int)f->pid);
		file = fopen(path, "r");
		assert_non_null(file);
		while (fscanf(file, "%d", &pid) == 1) {
			snprintf(path, sizeof(path), "/proc/%d/comm", pid);
			comm = fopen(path, "r");
			if (comm != NULL && fgets(name, sizeof(name), comm) !=
			    NULL && strcmp(name, "hopseald-commit\n") == 0) {
				fclose(comm);
				fclose(file);
				return pid;
			}
			if (comm != NULL)
				fclose(comm);
		}
		fclose(file);
		poll(NULL, 0, 1);
	}
	fail();
	return -1;
}

/* It is asked for what the one before did not answer, and for what came
 * while that did not. */
static void
a_committer_is_followed(void **state)
{
	struct fixture *f = *state;
	int fd = meet(f), other = meet(f);
	pid_t first = committer_of(f);

	for (unsigned n = 0; n < 3; n++) {
		char id[4] = {'m', (char)('0' + n)};

		kit_write(f->kit, id);
		if (n == 0) {
			kill(first, SIGSTOP);
			ask(fd, id, n);
		} else {
			ask(other, id, n);
		}
	}
	assert_int_equal(poll(&(struct pollfd){fd, POLLIN, 0}, 1, 50), 0);
	assert_true(kit_is_in(f->kit, "new", "m0"));
	kill(first, SIGKILL);
	assert_int_equal(answer_of(fd).result, 0);
	assert_int_equal(answer_of(other).result, 0);
	assert_int_equal(answer_of(other).result, 0);
	assert_true(committer_of(f) != first);
	kit_write(f->kit, "m3");
	/* also where it died with nothing to do */
	kill(committer_of(f), SIGKILL);
	assert_int_equal(commit(fd, "m3"), 0);
	close(fd);
	close(other);
}

/* None can be started: the queue's own process commits. */
static void
without_a_committer(void **state)
{
	struct fixture *f = *state;
	char away[128];
	int fd = meet(f);

	kit_write(f->kit, "m1");
	assert_int_equal(commit(fd, "none"), -E_ABSENT);
	snprintf(away, sizeof(away), "%s-away", f->kit->folder);
	assert_int_equal(rename(f->kit->folder, away), 0);
	kill(committer_of(f), SIGKILL);
	assert_int_equal(commit(fd, "m1"), 0);
	assert_int_equal(rename(away, f->kit->folder), 0);
	assert_true(kit_is_in(f->kit, "mail", "m1"));
	kit_write(f->kit, "m2");
	assert_int_equal(commit(fd, "m2"), 0);
	committer_of(f);
	close(fd);
}

/* A commit that was begun is answered first. */
static void
it_leaves_behind_a_commit(void **state)
{
	struct fixture *f = *state;
	int fd = meet(f);
	pid_t child = committer_of(f);
	int n_unread;

	kit_write(f->kit, "m1");
	kill(child, SIGSTOP);
	ask(fd, "m1", 7);
	while (ioctl(fd, SIOCOUTQ, &n_unread) == 0 && n_unread != 0)
		poll(NULL, 0, 1);
	kill(f->pid, QUEUE_LEAVE);
	assert_int_equal(poll(&(struct pollfd){fd, POLLIN, 0}, 1, 50), 0);
	kill(child, SIGCONT);
	assert_int_equal(answer_of(fd).result, 0);
	assert_int_equal(end_of_queue(f), 0);
	close(fd);
}

/* ---- a worker's own end of it -------------------------------------------- */

struct told {
	struct loop *loop;
	int answers[3];
	unsigned n;
};

static void
on_answer(void *arg, uint64_t tag, enum queue_answer a)
{
	struct told *t = arg;

	t->answers[tag] = (int)a;
	if (++t->n == 2)
		loop_stop(t->loop);
}

static void
by_a_link(void **state)
{
	struct fixture *f = *state;
	struct told t = {.loop = loop_new(), .answers = {-1, -1, -1}};
	struct queue_link *k;
	int pair[2], fd = meet(f);

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    pair), 0);
	assert_int_equal(passfd_give(pair[0], fd), 0);
	close(fd);
	k = queue_link_new(t.loop, pair[1], on_answer, &t);
	assert_non_null(k);
	kit_write(f->kit, "m1");
	assert_int_equal(queue_link_commit(k, "m1", 0), 0);
	assert_int_equal(queue_link_commit(k, "absent", 2), 0);
	loop_run(t.loop);
	assert_int_equal(t.answers[0], QUEUE_TAKEN);
	assert_int_equal(t.answers[2], QUEUE_BROKEN);
	queue_link_free(&k);
	loop_run(t.loop);	/* what it deferred */
	loop_free(&t.loop);
	close(pair[0]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(commits_are_answered),
		TEST(many_at_once),
		TEST(one_that_talks_nonsense_is_left),
		TEST(killed_and_followed),
		TEST(told_to_leave),
		TEST(behind_the_last_worker),
		TEST(without_a_spool_it_says_so),
		TEST(what_was_delivered_meanwhile),
		TEST(a_committer_is_followed),
		TEST(without_a_committer),
		TEST(it_leaves_behind_a_commit),
		TEST(by_a_link),
	};

	log_open("test");
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
