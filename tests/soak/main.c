/*
 * soak N SESSIONS RATE SEED KEYS SAMPLES MODE...   sends N numbered messages,
 * and what a list manager makes of them, through a relay whose next hops it is
 * itself. RATE bounds new messages a second where it is not 0. MODE is
 * NAME:KIND:PORT:HOP:WEIGHT:SIGNATURES:SENDER:RCPT:ALIASES, KIND a word of
 * kinds below; that of a list's copies stands behind that of its posts. On its
 * standard input it takes
 *
 *	hop NAME TROUBLE	a word of troubles below
 *	kill			a process is killed, or did not answer
 *	excuse on | off		no DNS, or no keeper, from now on
 *	leavers N		one client of N does not wait for its answer
 *	report			prints what it counted
 *	end			prints the judgement and ends
 *
 * and answers each with a line of JSON.
 */
#include "tests/soak/jobs.h"
#include "tests/soak/soak.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 256
#define TICK_MS 10

struct mode modes[MODES_MAX];
unsigned n_modes;

static const char *const kinds[] = {
	[KIND_EGRESS] = "egress", [KIND_PASS] = "pass",
	[KIND_CHAIN] = "chain", [KIND_ENFORCE] = "enforce",
	[KIND_LIST_IN] = "list-in", [KIND_LIST_OUT] = "list-out",
	[KIND_QUEUE] = "queue",
};
static const char *const troubles[] = {
	[TROUBLE_NONE] = "none", [TROUBLE_DEAD] = "dead",
	[TROUBLE_MUTE] = "mute", [TROUBLE_BUSY] = "busy",
	[TROUBLE_REFUSES] = "refuses", [TROUBLE_DROPS] = "drops",
	[TROUBLE_CUTS] = "cuts",
};
static int poller;
static struct watched input;
static bool has_input;

void
soak_die(const char *what)
{
	fprintf(stderr, "soak: %s: %s\n", what, strerror(errno));
	exit(1);
}

int64_t
soak_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
soak_watch(struct watched *w, uint32_t events, bool is_new)
{
	struct epoll_event e = {.events = events, .data.ptr = w};

	if (epoll_ctl(poller, is_new ? EPOLL_CTL_ADD : events == 0 ?
	    EPOLL_CTL_DEL : EPOLL_CTL_MOD, w->fd, &e) != 0)
		soak_die("epoll_ctl");
}

/* ---- commands -------------------------------------------------------------------- */

static unsigned
word_of(const char *const *words, size_t n, const char *text)
{
	for (size_t k = 0; k < n; k++)
		if (text != NULL && strcmp(words[k], text) == 0)
			return (unsigned)k;
	fprintf(stderr, "soak: what is %s?\n", text == NULL ? "that" : text);
	exit(64);
}

#define WORD_OF(words, text) \
	word_of(words, sizeof(words) / sizeof(words[0]), text)

static void
order_hop(char *words)
{
	char *name = strtok(words, " "), *trouble = strtok(NULL, " ");
	unsigned t = WORD_OF(troubles, trouble);

	for (unsigned m = 0; m < n_modes; m++)
		if (strcmp(modes[m].name, name) == 0)
			hop_trouble(m, (enum trouble)t);
}

static void
order(char *line)
{
	if (strncmp(line, "hop ", 4) == 0) {
		order_hop(line + 4);
	} else if (strcmp(line, "kill") == 0) {
		ledger_kill();
	} else if (strncmp(line, "excuse ", 7) == 0) {
		is_excused = strcmp(line + 7, "on") == 0;
	} else if (strncmp(line, "leavers ", 8) == 0) {
		jobs_leavers((unsigned)atoi(line + 8));
	} else if (strcmp(line, "end") == 0) {
		ledger_print(true);
		exit(0);
	}
	ledger_print(false);
}

/* Behind the other events of a turn, whose sessions it may end. */
static void
read_orders(void)
{
	static char text[4096];
	static size_t n;
	ssize_t got = read(input.fd, text + n, sizeof(text) - n);
	char *nl;

	if (got <= 0)
		exit(1);		/* whoever began us is gone */
	n += (size_t)got;
	while ((nl = memchr(text, '\n', n)) != NULL) {
		size_t used = (size_t)(nl - text) + 1;

		*nl = '\0';
		order(text);
		memmove(text, text + used, n - used);
		n -= used;
	}
}

static void
note_input(void *unused, uint32_t events)
{
	(void)unused;
	(void)events;
	has_input = true;
}

/* ---- arguments ------------------------------------------------------------------- */

static void
read_mode(char *text)
{
	struct mode *m = modes + n_modes++;
	char *part[9];

	for (size_t k = 0; k < 9; k++) {
		part[k] = strsep(&text, ":");
		if (part[k] == NULL)
			exit(64);
	}
	*m = (struct mode){.name = part[0],
	    .kind = (enum kind)WORD_OF(kinds, part[1]),
	    .port = (uint16_t)atoi(part[2]), .hop_port = (uint16_t)atoi(part[3]),
	    .weight = (unsigned)atoi(part[4]),
	    .signatures = (unsigned)atoi(part[5]), .sender = part[6],
	    .rcpt = part[7], .aliases = (unsigned)atoi(part[8])};
}

int
main(int argc, char **argv)
{
	struct epoll_event e[EVENTS];
	int64_t ticked_ms = 0;

	if (argc < 8 || argc - 7 > (int)MODES_MAX)
		return 64;
	signal(SIGPIPE, SIG_IGN);
	poller = epoll_create1(0);
	for (int k = 7; k < argc; k++)
		read_mode(argv[k]);
	/* a fifth of them is for what list managers make */
	ledger_init((uint32_t)(atol(argv[1]) * 5 / 4 + 5));
	mail_init(argv[5]);
	for (unsigned m = 0; m < n_modes; m++)
		hop_init(m, argv[6][0] == '\0' ? NULL : argv[6]);
	client_init((unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]),
	    strtoull(argv[4], NULL, 10));
	input = (struct watched){note_input, STDIN_FILENO};
	soak_watch(&input, EPOLLIN, true);
	for (;;) {
		int n = epoll_wait(poller, e, EVENTS, TICK_MS);
		int64_t now = soak_now_ms();

		for (int k = 0; k < n; k++) {
			struct watched *w = e[k].data.ptr;

			w->ready(w, e[k].events);
		}
		if (has_input)
			read_orders();
		has_input = false;
		if (now - ticked_ms >= TICK_MS) {
			ticked_ms = now;
			client_tick(now);
		}
	}
}
