/*
 * What the delivered memory costs: two workers' worth of claims and
 * deliveries against a keeper, and a store of a million entries.
 *
 *	build/tests/bench/memory FOLDER [ENTRIES]
 */
#include "daemon/memory.h"

#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/keeper.h"
#include "daemon/log.h"
#include "daemon/passfd.h"

#define WORKERS 2
#define AT_A_TIME 200		/* messages under way in a worker */
#define SECONDS 5
#define VALUE 300		/* octets: t=, our id and Received */

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

/* ---- a store of many entries --------------------------------------------- */

static long
resident_kib(pid_t pid)
{
	char path[64], line[256];
	long kib = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
	f = fopen(path, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		(void)sscanf(line, "VmRSS: %ld", &kib);
	if (f != NULL)
		fclose(f);
	return kib;
}

static void
fill(const char *folder, const struct store_limits *limits, unsigned n)
{
	uint8_t secret[STORE_SECRET_SIZE], value[VALUE] = {0};
	struct store *s;
	double from = now();

	if (store_secret(folder, secret) != 0)
		die(folder);
	s = store_new(folder, limits, secret);
	(void)store_tick(s, time(NULL));
	for (unsigned k = 0; k < n; k++) {
		struct store_entry e = {.value = {value, sizeof(value)}};

		randombytes_buf(e.key, sizeof(e.key));
		randombytes_buf(&e.pair, sizeof(e.pair));
		if (store_deliver(s, &e, time(NULL)) != 0)
			die("store_deliver");
		if (k % 100 == 99 && store_commit(s, time(NULL)) != 0)
			die("store_commit");
	}
	(void)store_commit(s, time(NULL));
	store_free(&s);
	printf("%u entries of %d octets, 100 a turn: %.0f a second\n", n,
	    VALUE, n / (now() - from));
}

/* ---- workers ------------------------------------------------------------- */

struct worker {
	struct memory *m;
	struct loop *loop;
	unsigned number;
	unsigned n_claimed;
	uint64_t n_done;
	uint64_t n_status[MEMORY_OUT + 1];
	char contents[AT_A_TIME][32];
};

static struct memory_key
key_of(const struct worker *w, uint64_t slot)
{
	return (struct memory_key){BYTES_LIT("in"),
	    BYTES_LIT("sender@example.org"), BYTES_LIT("rcpt@example.net"),
	    bytes_of(w->contents[slot])};
}

static void
claim(struct worker *w, uint64_t slot)
{
	static const uint8_t value[VALUE];
	struct memory_key k;

	snprintf(w->contents[slot], sizeof(w->contents[slot]), "%u-%u-%ld",
	    w->number, w->n_claimed++, (long)getpid());
	k = key_of(w, slot);
	if (memory_claim(w->m, &k, (struct bytes){value, VALUE}, false,
	    slot) != 0)
		die("memory_claim");
}

/* Every message is looked for, claimed and delivered. */
static bool
on_answer(void *arg, uint64_t tag, const struct memory_reply *reply)
{
	struct worker *w = arg;
	struct memory_key k = key_of(w, tag & 0xffff);

	w->n_status[reply->status]++;
	if (tag >> 16 == 0) {
		memory_delivered(w->m, &k);
		w->n_done++;
		if (memory_look(w->m, &k, tag | 1 << 16) != 0)
			die("memory_look");
	} else {
		claim(w, tag & 0xffff);
	}
	return true;
}

static void
on_time(void *arg)
{
	loop_stop(arg);
}

static int
work(int channel, unsigned number)
{
	struct worker w = {.number = number, .loop = loop_new()};
	struct loop_timer *t = loop_timer_new(w.loop, on_time, w.loop);
	double from;

	w.m = memory_new(w.loop, channel,
	    &(struct memory_calls){.answer = on_answer}, &w);
	for (uint64_t k = 0; k < AT_A_TIME; k++)
		claim(&w, k);
	loop_timer_start(t, SECONDS * 1000);
	from = now();
	loop_run(w.loop);
	printf("worker %u: %.0f messages a second (look, claim, delivered), "
	    "%llu answers came too late\n", number,
	    (double)w.n_done / (now() - from),
	    (unsigned long long)w.n_status[MEMORY_OUT]);
	return 0;
}

static void
measure(const char *folder, const struct store_limits *limits)
{
	int control[2], workers[WORKERS];
	struct rusage u;
	double from = now();
	pid_t keeper, pids[WORKERS];

	fflush(stdout);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, control) != 0)
		die("socketpair");
	keeper = fork();
	if (keeper == 0) {
		close(control[0]);
		exit(keeper_serve(folder, limits, NULL, control[1]));
	}
	close(control[1]);
	for (int k = 0; k < WORKERS; k++) {
		int channel[2], pair[2];
		uint8_t hello[64];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, channel) != 0 ||
		    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0)
			die("socketpair");
		passfd_give(control[0], pair[0]);
		close(pair[0]);
		if (k == 0 && recv(pair[1], hello, sizeof(hello),
		    MSG_PEEK) > 0)
			printf("the keeper answers after %.1f ms\n",
			    (now() - from) * 1000);
		passfd_give(channel[0], pair[1]);
		close(pair[1]);
		workers[k] = channel[1];
		fflush(stdout);
	}
	for (unsigned k = 0; k < WORKERS; k++) {
		pids[k] = fork();
		if (pids[k] == 0)
			exit(work(workers[k], k));
		close(workers[k]);
	}
	for (unsigned k = 0; k < WORKERS; k++)
		waitpid(pids[k], NULL, 0);
	printf("the keeper has %ld KiB\n", resident_kib(keeper));
	close(control[0]);
	wait4(keeper, NULL, 0, &u);
	printf("and took %.1f s of a core, %.1f of it in the kernel\n",
	    (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6,
	    (double)u.ru_stime.tv_sec + (double)u.ru_stime.tv_usec / 1e6);
}

int
main(int argc, char **argv)
{
	struct store_limits limits = {7 * 86400, MEMORY_SHORT_S, 1ULL << 30,
	    7 * 86400, 1ULL << 30, STORE_RETURNS_MAX};
	unsigned n = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
	char path[4096];
	struct stat st;

	if (argc < 2 || sodium_init() < 0)
		return 64;
	log_open("bench");
	signal(SIGPIPE, SIG_IGN);
	if (n != 0)
		fill(argv[1], &limits, n);
	measure(argv[1], &limits);
	snprintf(path, sizeof(path), "%s/store.db", argv[1]);
	if (stat(path, &st) == 0)
		printf("the file has %lld KiB\n", (long long)st.st_size / 1024);
	return 0;
}
