/* Workers' ends of the arrival records, and a keeper in a process. */
#include "daemon/arrival.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "daemon/copies.h"
#include "daemon/keeper.h"
#include "daemon/log.h"
#include "daemon/memory.h"
#include "daemon/passfd.h"
#include "daemon/relay_value.h"

#define N_CLIENTS 2
#define NOBODY 99		/* a tag that nobody waits for */

struct client {
	struct fixture *f;
	struct memory *m;
	int channel;			/* the master's end */
};

struct fixture {
	char folder[64];
	pid_t pid;			/* 0: no keeper */
	int control;
	int copies;
	struct store_limits limits;
	struct loop *loop;
	struct loop_timer *timer;
	struct client clients[N_CLIENTS];
	size_t n_told, n_wanted;
	bool is_late;
	uint64_t tag;			/* of the last answer */
	enum arrival_status status;
	struct arrival record;
	uint8_t octets[ARRIVAL_RCPTS_MAX];	/* of its recipients */
	char from[256];
};

/* ---- a keeper, and whoever asks it --------------------------------------- */

static bool
on_arrival(void *arg, uint64_t tag, const struct arrival_reply *reply)
{
	struct client *c = arg;
	struct fixture *f = c->f;

	f->tag = tag;
	f->status = reply->status;
	f->record = reply->record;
	if (reply->record.rcpts.n != 0)
		memcpy(f->octets, reply->record.rcpts.p,
		    reply->record.rcpts.n);
	f->record.rcpts.p = f->octets;
	snprintf(f->from, sizeof(f->from), "%.*s",
	    BYTES_FMT(reply->record.mail_from));
	if (++f->n_told == f->n_wanted)
		loop_stop(f->loop);
	return tag != NOBODY;
}

static bool
on_memory(void *arg, uint64_t tag, const struct memory_reply *reply)
{
	struct client *c = arg;

	(void)tag;
	c->f->status = reply->status == MEMORY_OUT ? ARRIVAL_OUT :
	    ARRIVAL_NONE;
	if (++c->f->n_told == c->f->n_wanted)
		loop_stop(c->f->loop);
	return true;
}

static void
meet(struct fixture *f, struct client *c)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(passfd_give(f->control, pair[0]), 0);
	assert_int_equal(passfd_give(c->channel, pair[1]), 0);
	close(pair[0]);
	close(pair[1]);
}

static void
start_keeper(struct fixture *f)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (f->pid == 0) {
		int control = pair[1];

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		priv_close_others(&control, 1);
		_exit(keeper_serve(f->folder, &f->limits, NULL, control));
	}
	close(pair[1]);
	f->control = pair[0];
	for (int k = 0; k < N_CLIENTS; k++)
		if (f->clients[k].m != NULL)
			meet(f, f->clients + k);
}

static void
kill_keeper(struct fixture *f)
{
	kill(f->pid, SIGKILL);
	assert_int_equal(waitpid(f->pid, NULL, 0), f->pid);
	f->pid = 0;
	close(f->control);
}

static void
start_client(struct fixture *f, int k)
{
	struct client *c = f->clients + k;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	c->f = f;
	c->channel = pair[0];
	if (f->pid != 0)
		meet(f, c);
	c->m = memory_new(f->loop, pair[1], &(struct memory_calls){on_memory,
	    on_arrival}, c);
	assert_non_null(c->m);
	memory_wait(c->m, 30 * 1000);	/* a machine may be slow */
}

static void
on_time(void *arg)
{
	struct fixture *f = arg;

	f->is_late = true;
	loop_stop(f->loop);
}

static void
wait_for(struct fixture *f, size_t n)
{
	f->n_wanted += n;
	f->is_late = false;
	loop_timer_start(f->timer, 30 * 1000);
	if (f->n_told < f->n_wanted)
		loop_run(f->loop);
	loop_timer_stop(f->timer);
	assert_false(f->is_late);
}

static int
start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int folder;

	assert_non_null(f);
	*state = f;
	snprintf(f->folder, sizeof(f->folder), "/tmp/hopseal-arrival-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	folder = open(f->folder, O_PATH | O_DIRECTORY);
	f->copies = copies_open(folder, false, geteuid(), getegid());
	assert_true(f->copies >= 0);
	close(folder);
	f->limits = (struct store_limits){7 * 86400, MEMORY_SHORT_S, 1 << 24,
	    7 * 86400, 1 << 24, 1000};
	f->loop = loop_new();
	f->timer = loop_timer_new(f->loop, on_time, f);
	assert_non_null(f->timer);
	start_keeper(f);
	for (int k = 0; k < N_CLIENTS; k++)
		start_client(f, k);
	return 0;
}

static int
stop(void **state)
{
	struct fixture *f = *state;
	char command[128];

	for (int k = 0; k < N_CLIENTS; k++) {
		memory_free(&f->clients[k].m);
		close(f->clients[k].channel);
	}
	loop_timer_free(&f->timer);
	loop_free(&f->loop);
	if (f->pid != 0) {
		int status;

		kill(f->pid, SIGCONT);	/* a test may have failed */
		close(f->control);
		assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
		assert_int_equal(status, 0);
	}
	close(f->copies);
	snprintf(command, sizeof(command), "rm -rf %s", f->folder);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* ---- words --------------------------------------------------------------- */

static struct arrival_key
key(const char *chain, const char *message_id)
{
	return (struct arrival_key){BYTES_LIT("in"), bytes_of(chain),
	    bytes_of(message_id)};
}

static struct arrival
arrival(struct buf *room, const char *rcpt)
{
	struct arrival a = {.time_s = 1795341600, .full = DKIM2_PASS,
	    .provisional = DKIM2_PASS, .mail_from = BYTES_LIT("<a@a.example>")};

	relay_value_add_rcpt(room, bytes_of(rcpt));
	a.rcpts = buf_bytes(room);
	memset(a.header, 3, sizeof(a.header));
	return a;
}

static void
write_is(struct fixture *f, int client, const char *chain, const char *id,
    const char *rcpt, uint64_t tag, enum arrival_status status)
{
	struct arrival_key k = key(chain, id);
	uint8_t room[1024];
	struct buf b = BUF_ON(room);
	struct arrival a = arrival(&b, rcpt);

	assert_int_equal(arrival_write(f->clients[client].m, &k, &a, tag), 0);
	wait_for(f, 1);
	assert_int_equal(f->tag, tag);
	assert_int_equal(f->status, status);
}

static void
take_back(struct fixture *f, int client, const char *chain, const char *id,
    const char *rcpt)
{
	struct arrival_key k = key(chain, id);
	uint8_t room[1024];
	struct buf b = BUF_ON(room);
	struct arrival a = arrival(&b, rcpt);

	arrival_remove(f->clients[client].m, &k, &a);
}

static void
find_is(struct fixture *f, int client, const char *chain, const char *id,
    enum arrival_status status)
{
	struct arrival_key k = key(chain, id);

	assert_int_equal(arrival_find(f->clients[client].m, &k, 5), 0);
	wait_for(f, 1);
	assert_int_equal(f->tag, 5);
	assert_int_equal(f->status, status);
}

/* Until a keeper answers this client, who has told it all he said before. */
static void
settle(struct fixture *f, int client)
{
	struct memory_key k = {BYTES_LIT("in"), BYTES_LIT("a"),
	    BYTES_LIT("b"), {NULL, 0}};

	do {
		assert_int_equal(memory_look(f->clients[client].m, &k, 2), 0);
		wait_for(f, 1);
	} while (f->status == ARRIVAL_OUT);
}

/* ---- tests --------------------------------------------------------------- */

static void
what_one_worker_writes_another_finds(void **state)
{
	struct fixture *f = *state;

	write_is(f, 0, "chain", "<1@a.example>", "<r@l.example>", 1,
	    ARRIVAL_KEPT);
	find_is(f, 1, "chain", "", ARRIVAL_FOUND);
	assert_string_equal(f->from, "<a@a.example>");
	assert_int_equal(f->record.full, DKIM2_PASS);
	assert_int_equal(f->record.time_s, 1795341600);
	assert_int_equal(f->record.header[31], 3);
	assert_int_equal(f->record.n_found, 0);
	assert_int_equal(f->record.rcpts.n, 15);
	find_is(f, 1, "", "<1@a.example>", ARRIVAL_FOUND);
	assert_int_equal(f->record.n_found, 1);
	/* the chain counts, where there is one */
	find_is(f, 1, "other", "<1@a.example>", ARRIVAL_NONE);
	find_is(f, 1, "", "chain", ARRIVAL_NONE);
	find_is(f, 1, "<1@a.example>", "", ARRIVAL_NONE);
}

static void
scopes_do_not_meet(void **state)
{
	struct fixture *f = *state;
	struct arrival_key k = key("chain", "<1@a.example>");

	write_is(f, 0, "chain", "<1@a.example>", "<r@l.example>", 1,
	    ARRIVAL_KEPT);
	k.scope = BYTES_LIT("other");
	assert_int_equal(arrival_find(f->clients[0].m, &k, 5), 0);
	wait_for(f, 1);
	assert_int_equal(f->status, ARRIVAL_NONE);
	k.chain.n = 0;
	assert_int_equal(arrival_find(f->clients[0].m, &k, 5), 0);
	wait_for(f, 1);
	assert_int_equal(f->status, ARRIVAL_NONE);
}

static void
without_a_key_there_is_none(void **state)
{
	struct fixture *f = *state;

	write_is(f, 0, "", "", "<r@l.example>", 1, ARRIVAL_NONE);
	find_is(f, 0, "", "", ARRIVAL_NONE);
	take_back(f, 0, "", "", "<r@l.example>");
	/* nor is a message without an ID found by that */
	write_is(f, 0, "chain", "", "<r@l.example>", 1, ARRIVAL_KEPT);
	find_is(f, 0, "", "", ARRIVAL_NONE);
	find_is(f, 0, "chain", "", ARRIVAL_FOUND);
}

static void
what_was_refused_is_taken_back(void **state)
{
	struct fixture *f = *state;

	write_is(f, 0, "chain", "<1@a.example>", "<r@l.example>", 1,
	    ARRIVAL_KEPT);
	write_is(f, 0, "chain", "<1@a.example>", "<s@l.example>", 1,
	    ARRIVAL_KEPT);
	take_back(f, 0, "chain", "<1@a.example>", "<r@l.example>");
	settle(f, 0);
	find_is(f, 1, "chain", "", ARRIVAL_FOUND);
	assert_memory_equal(f->octets + 2, "<s@l.example>", 13);
	assert_int_equal(f->record.rcpts.n, 15);
	take_back(f, 0, "chain", "<1@a.example>", "<s@l.example>");
	settle(f, 0);
	find_is(f, 1, "chain", "", ARRIVAL_NONE);
}

/* Mail without DKIM2 fields has no chain to stand together by. */
static void
other_mail_without_a_chain_is_elsewhere(void **state)
{
	struct fixture *f = *state;

	write_is(f, 0, "", "<1@a.example>", "<r@l.example>", 1, ARRIVAL_KEPT);
	write_is(f, 0, "", "<1@a.example>", "<s@l.example>", 1, ARRIVAL_KEPT);
	find_is(f, 0, "", "<1@a.example>", ARRIVAL_FOUND);
	for (int k = 0; k < 300; k++) {
		char id[32];

		snprintf(id, sizeof(id), "<other-%d@a.example>", k);
		write_is(f, 0, "", id, "<r@l.example>", 1, ARRIVAL_KEPT);
	}
	take_back(f, 0, "", "<1@a.example>", "<s@l.example>");
	settle(f, 0);
	find_is(f, 0, "", "<1@a.example>", ARRIVAL_FOUND);
	assert_int_equal(f->record.n_found, 1);
}

static void
a_write_that_nobody_waits_for_is_taken_back(void **state)
{
	struct fixture *f = *state;

	write_is(f, 0, "chain", "<1@a.example>", "<r@l.example>", NOBODY,
	    ARRIVAL_KEPT);
	settle(f, 0);
	find_is(f, 1, "chain", "", ARRIVAL_NONE);
}

static void
a_killed_keeper_loses_nothing(void **state)
{
	struct fixture *f = *state;

	write_is(f, 0, "chain", "<1@a.example>", "<r@l.example>", 1,
	    ARRIVAL_KEPT);
	kill_keeper(f);
	find_is(f, 0, "chain", "", ARRIVAL_OUT);
	write_is(f, 0, "chain2", "<2@a.example>", "<r@l.example>", 1,
	    ARRIVAL_OUT);
	start_keeper(f);
	settle(f, 0);
	find_is(f, 0, "chain", "", ARRIVAL_FOUND);
	find_is(f, 0, "chain2", "", ARRIVAL_NONE);
}

/* The next keeper hears what the one before could not be told. */
static void
the_next_keeper_hears_what_is_taken_back(void **state)
{
	struct fixture *f = *state;

	write_is(f, 0, "chain", "<1@a.example>", "<r@l.example>", 1,
	    ARRIVAL_KEPT);
	write_is(f, 0, "chain", "<1@a.example>", "<s@l.example>", 1,
	    ARRIVAL_KEPT);
	kill_keeper(f);
	find_is(f, 0, "chain", "", ARRIVAL_OUT);
	take_back(f, 0, "chain", "<1@a.example>", "<r@l.example>");
	take_back(f, 0, "chain", "<1@a.example>", "<s@l.example>");
	start_keeper(f);
	settle(f, 0);
	find_is(f, 0, "chain", "", ARRIVAL_NONE);
}

/* What a worker said before it died counts. */
static void
a_record_outlives_its_worker(void **state)
{
	struct fixture *f = *state;

	write_is(f, 0, "chain", "<1@a.example>", "<r@l.example>", 1,
	    ARRIVAL_KEPT);
	memory_free(&f->clients[0].m);
	close(f->clients[0].channel);
	start_client(f, 0);
	find_is(f, 1, "chain", "", ARRIVAL_FOUND);
	find_is(f, 0, "chain", "", ARRIVAL_FOUND);
}

static void
a_slow_keeper_is_none(void **state)
{
	struct fixture *f = *state;

	settle(f, 0);
	memory_wait(f->clients[0].m, MEMORY_WAIT_MS);
	kill(f->pid, SIGSTOP);
	find_is(f, 0, "chain", "", ARRIVAL_OUT);
	write_is(f, 0, "chain", "<1@a.example>", "<r@l.example>", 1,
	    ARRIVAL_OUT);
	/* the next hop refused, all the same: it goes behind the write */
	take_back(f, 0, "chain", "<1@a.example>", "<r@l.example>");
	write_is(f, 0, "chain2", "<2@a.example>", "<r@l.example>", 1,
	    ARRIVAL_OUT);
	kill(f->pid, SIGCONT);
	memory_wait(f->clients[0].m, 30 * 1000);
	settle(f, 0);
	find_is(f, 0, "chain", "", ARRIVAL_NONE);
	find_is(f, 0, "chain2", "", ARRIVAL_FOUND);
}

static void
a_full_disk_is_no_record(void **state)
{
	struct fixture *f = *state;
	const struct rlimit none = {0, RLIM_INFINITY};
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

	write_is(f, 0, "chain", "<1@a.example>", "<r@l.example>", 1,
	    ARRIVAL_KEPT);
	assert_int_equal(prlimit(f->pid, RLIMIT_FSIZE, &none, NULL), 0);
	write_is(f, 0, "chain2", "<2@a.example>", "<r@l.example>", 1,
	    ARRIVAL_OUT);
	/* to count that it was found is to write */
	find_is(f, 0, "chain", "", ARRIVAL_OUT);
	assert_int_equal(prlimit(f->pid, RLIMIT_FSIZE, &all, NULL), 0);
	settle(f, 0);
	write_is(f, 0, "chain3", "<3@a.example>", "<r@l.example>", 1,
	    ARRIVAL_KEPT);
	find_is(f, 0, "chain", "", ARRIVAL_FOUND);
	find_is(f, 0, "chain2", "", ARRIVAL_NONE);
}

/* More at a time than one turn's answers have room for. */
static void
large_records_have_room(void **state)
{
	enum { MANY = 300 };
	struct fixture *f = *state;
	static uint8_t room[ARRIVAL_RCPTS_MAX];
	struct buf b = BUF_ON(room);
	struct arrival_key k = key("chain", "");
	struct arrival a;
	char path[64];

	for (int n = 0; n < 450; n++) {
		snprintf(path, sizeof(path), "<rcpt%04d-and-some-more@l.example>",
		    n);
		relay_value_add_rcpt(&b, bytes_of(path));
	}
	assert_false(b.full);
	a = (struct arrival){.full = DKIM2_PASS, .rcpts = buf_bytes(&b)};
	assert_int_equal(arrival_write(f->clients[0].m, &k, &a, 1), 0);
	wait_for(f, 1);
	assert_int_equal(f->status, ARRIVAL_KEPT);
	for (int n = 0; n < MANY; n++)
		assert_int_equal(arrival_find(f->clients[n % 2].m, &k, 5), 0);
	wait_for(f, MANY);
	assert_int_equal(f->status == ARRIVAL_FOUND ||
	    f->status == ARRIVAL_OUT, 1);
	settle(f, 0);
	find_is(f, 0, "chain", "", ARRIVAL_FOUND);
	assert_int_equal(f->record.rcpts.n, b.n);
	assert_memory_equal(f->octets, room, b.n);
	assert_true(f->record.n_found > 0);
}

/* ---- copies -------------------------------------------------------------- */

static void
copies_are_files(void **state)
{
	struct fixture *f = *state;
	uint8_t name[16], other[16];
	char octets[64];
	struct stat st;
	int fd;

	assert_int_equal(arrival_copy_write(f->copies,
	    BYTES_LIT("To: b@b.example\r\n"), BYTES_LIT("body\r\n"), name), 0);
	assert_int_equal(arrival_copy_write(f->copies,
	    BYTES_LIT("To: b@b.example\r\n"), BYTES_LIT(""), other), 0);
	fd = arrival_copy_open(f->copies, name);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(read(fd, octets, sizeof(octets)), 25);
	assert_memory_equal(octets, "To: b@b.example\r\n\r\nbody\r\n", 25);
	close(fd);
	other[0]++;
	assert_int_equal(arrival_copy_open(f->copies, other), -1);
}

/* Whatever stands in the place of a copy: nobody waits for it. */
static void
what_is_no_file_is_no_copy(void **state)
{
	struct fixture *f = *state;
	static const char text[] = "00000000000000000000000000000000";
	uint8_t name[16] = {0};
	int fd;

	assert_int_equal(symlinkat("/etc/passwd", f->copies, text), 0);
	assert_int_equal(arrival_copy_open(f->copies, name), -1);
	assert_int_equal(unlinkat(f->copies, text, 0), 0);
	assert_int_equal(mkfifoat(f->copies, text, 0600), 0);
	fd = arrival_copy_open(f->copies, name);
	if (fd >= 0)
		close(fd);
	assert_int_equal(fd, -1);
}

static void
fill_disk(const struct fixture *f)
{
	const struct rlimit few = {1000, RLIM_INFINITY};
	static uint8_t octets[100000];
	uint8_t name[16];

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &few);
	if (arrival_copy_write(f->copies, BYTES_LIT("To: b@b.example\r\n"),
	    (struct bytes){octets, sizeof(octets)}, name) != -E_SYSTEM ||
	    errno != EFBIG)
		_exit(1);
	_exit(0);
}

static unsigned
count_files(const struct fixture *f)
{
	char command[128], line[32] = "";
	FILE *p;

	snprintf(command, sizeof(command), "ls %s/copies | wc -l", f->folder);
	p = popen(command, "r");
	assert_non_null(p);
	assert_non_null(fgets(line, sizeof(line), p));
	pclose(p);
	return (unsigned)atoi(line);
}

static void
a_full_disk_leaves_no_piece(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		fill_disk(f);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(count_files(f), 0);
}

static void
make_old(const struct fixture *f, const char *name)
{
	struct timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};

	clock_gettime(CLOCK_REALTIME, &times[1]);
	times[1].tv_sec -= COPIES_ORPHAN_S + 1;
	assert_int_equal(utimensat(f->copies, name, times, 0), 0);
}

static void
make_file(const struct fixture *f, const char *name)
{
	int fd = openat(f->copies, name, O_CREAT | O_EXCL | O_WRONLY, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
}

/* Of those who wrote a copy and died, and of what a store has lost. */
static void
orphans_are_swept_at_the_start(void **state)
{
	static const char *const old[] = {
		"00000000000000000000000000000001",
		"00000000000000000000000000000002.new", "any"};
	struct fixture *f = *state;
	struct arrival_key k = key("chain", "<1@a.example>");
	struct arrival a = {.full = DKIM2_PASS, .has_copy = true};
	char text[33];

	assert_int_equal(arrival_copy_write(f->copies, BYTES_LIT("A: b\r\n"),
	    BYTES_LIT(""), a.copy), 0);
	assert_int_equal(arrival_write(f->clients[0].m, &k, &a, 1), 0);
	wait_for(f, 1);
	assert_int_equal(f->status, ARRIVAL_KEPT);
	sodium_bin2hex(text, sizeof(text), a.copy, sizeof(a.copy));
	make_old(f, text);
	for (int n = 0; n < 3; n++) {
		make_file(f, old[n]);
		make_old(f, old[n]);
	}
	make_file(f, "00000000000000000000000000000003");	/* under way */
	kill_keeper(f);
	start_keeper(f);
	/* it looks behind its first tick */
	for (int n = 0; n < 300 && count_files(f) > 2; n++)
		usleep(100 * 1000);
	assert_int_equal(count_files(f), 2);
	assert_int_equal(faccessat(f->copies, text, F_OK, 0), 0);
	settle(f, 0);
	find_is(f, 0, "chain", "", ARRIVAL_FOUND);
	assert_true(f->record.has_copy);
}

static void
folders_are_made_and_checked(void **state)
{
	struct fixture *f = *state;
	int folder = open(f->folder, O_PATH | O_DIRECTORY), fd;
	struct stat st;

	assert_true(folder >= 0);
	assert_int_equal(fchmodat(folder, COPIES_NAME, 0755, 0), 0);
	fd = copies_open(folder, false, geteuid(), getegid());
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	close(fd);
	assert_int_equal(copies_open(folder, false, geteuid() + 1,
	    getegid()), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(unlinkat(folder, COPIES_NAME, AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat(".", folder, COPIES_NAME), 0);
	assert_int_equal(copies_open(folder, false, geteuid(), getegid()),
	    -1);
	assert_int_equal(unlinkat(folder, COPIES_NAME, 0), 0);
	if (geteuid() == 0) {
		fd = copies_open(folder, true, 65534, 65534);
		assert_true(fd >= 0);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_uid, 65534);
		close(fd);
	}
	close(folder);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	static const struct CMUnitTest tests[] = {
		TEST(what_one_worker_writes_another_finds),
		TEST(scopes_do_not_meet),
		TEST(without_a_key_there_is_none),
		TEST(what_was_refused_is_taken_back),
		TEST(other_mail_without_a_chain_is_elsewhere),
		TEST(a_write_that_nobody_waits_for_is_taken_back),
		TEST(a_killed_keeper_loses_nothing),
		TEST(the_next_keeper_hears_what_is_taken_back),
		TEST(a_record_outlives_its_worker),
		TEST(a_slow_keeper_is_none),
		TEST(a_full_disk_is_no_record),
		TEST(large_records_have_room),
		TEST(copies_are_files),
		TEST(what_is_no_file_is_no_copy),
		TEST(a_full_disk_leaves_no_piece),
		TEST(orphans_are_swept_at_the_start),
		TEST(folders_are_made_and_checked),
	};

	signal(SIGPIPE, SIG_IGN);
	log_open("test");
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
