/* The night it breaks: orders to a hopseald that runs (daemon/orders.h). */
#include "cli/cli.h"
#include "cli/control_ask.h"
#include "config/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA ((size_t)32 << 20)
#define LISTENERS_MAX 256U
#define WORDS 5U

static const struct args_known known_bypass[] = {
	CONTROL_OPTIONS, {"listener", false}, {"all", true}, {"for", false},
	{NULL, false},
};
static const struct args_known known_stop[] = {
	CONTROL_OPTIONS, {"all", true}, {"for", false}, {NULL, false},
};
static const struct args_known known_resume[] = {
	CONTROL_OPTIONS, {"all", true}, {NULL, false},
};
static const struct args_known known_debug[] = {
	CONTROL_OPTIONS, {"client", false}, {"for", false}, {NULL, false},
};

/* A verb as it was given. */
struct order {
	const char *verb;
	struct args args;
	struct arena *arena;
	const char *state;
	char seconds[24];	/* of --for; empty: not said */
};

static int
misused(const struct order *o, const char *usage)
{
	return cli_fail(CLI_USAGE, "it is %s %s", o->verb, usage);
}

/* --for, in whole seconds. */
static int
read_time(struct order *o)
{
	const char *said = args_get(&o->args, "for");
	uint64_t ms;
	const char *why;

	if (said == NULL)
		return 0;
	why = config_value_time(bytes_of(said), &ms);
	if (why != NULL)
		return cli_fail(CLI_USAGE, "--for: `%s` %s", said, why);
	if (ms < 1000)
		return cli_fail(CLI_USAGE, "--for: a second at least");
	snprintf(o->seconds, sizeof(o->seconds), "%llu",
	    (unsigned long long)(ms / 1000));
	return 0;
}

/* Asks; words end with an empty or absent one. What is in force is printed
 * where it is the last request. */
static int
ask(const struct order *o, const char *const words[WORDS], bool is_last)
{
	struct control_answer answer;
	size_t n = 0;
	int r;

	while (n < WORDS && words[n] != NULL && words[n][0] != '\0')
		n++;
	r = control_ask(&answer, o->state, words, n, o->arena);
	if (r != 0)
		return r;
	if (!answer.is_ok) {
		fprintf(stderr, "hopseal: %s: ", o->verb);
		control_put(stderr, answer.what);
		putc('\n', stderr);
		return CONTROL_REFUSED;
	}
	if (is_last)
		control_put(stdout, answer.text);
	return CLI_OK;
}

/* The listeners that are named, or all; the order is for. */
static int
ask_each(const struct order *o, const char *const *names, size_t n,
    const char *const behind[3])
{
	int r = CLI_OK;

	for (size_t k = 0; k < n && r == CLI_OK; k++) {
		const char *words[WORDS] = {o->verb, names[k], behind[0],
		    behind[1], behind[2]};

		r = ask(o, words, k + 1 == n);
	}
	return r;
}

static const char *const all[] = {"*"};

static int
run_bypass(struct order *o)
{
	static const char usage[] =
	    "on|off --listener L | --all [--for 1h]";
	const char *listeners[LISTENERS_MAX];
	size_t n = args_all(&o->args, "listener", listeners, LISTENERS_MAX);
	bool is_all = args_get(&o->args, "all") != NULL, is_on;

	if (o->args.n_words != 1 || (n != 0) == is_all)
		return misused(o, usage);
	is_on = strcmp(o->args.words[0], "on") == 0;
	if ((!is_on && strcmp(o->args.words[0], "off") != 0) ||
	    (!is_on && o->seconds[0] != '\0'))
		return misused(o, usage);
	return ask_each(o, is_all ? all : listeners, is_all ? 1 : n,
	    (const char *const[3]){o->args.words[0], o->seconds});
}

/* pause, drain and resume. */
static int
run_stop(struct order *o)
{
	bool is_all = args_get(&o->args, "all") != NULL;

	if ((o->args.n_words != 0) == is_all)
		return misused(o, strcmp(o->verb, "resume") == 0
		    ? "L ... | --all" : "L ... | --all [--for 10m]");
	return ask_each(o, is_all ? all : o->args.words, is_all ? 1 :
	    o->args.n_words, (const char *const[3]){o->seconds});
}

static int
run_set(struct order *o)
{
	static const char usage[] =
	    "L|--all verify=observe|enforce|off [--for 1h], or verify=";
	bool is_all = args_get(&o->args, "all") != NULL;
	size_t n = is_all ? 0 : 1;
	const char *what;

	if (o->args.n_words != n + 1 ||
	    strncmp(o->args.words[n], "verify=", 7) != 0)
		return misused(o, usage);
	what = o->args.words[n] + 7;
	if (*what == '\0' && o->seconds[0] != '\0')
		return misused(o, usage);
	return ask_each(o, is_all ? all : o->args.words, 1,
	    (const char *const[3]){"verify", *what == '\0' ? "config" : what,
	    o->seconds});
}

static int
run_debug(struct order *o)
{
	const char *nets[LISTENERS_MAX];
	size_t n = args_all(&o->args, "client", nets, LISTENERS_MAX);
	bool is_off = o->args.n_words == 1 &&
	    strcmp(o->args.words[0], "off") == 0;
	static const char *const none[] = {"off"};

	if ((n == 0 && !is_off) || (o->args.n_words != 0 && !is_off) ||
	    (is_off && o->seconds[0] != '\0'))
		return misused(o, "--client NET [--for 10m], or debug off "
		    "[--client NET]");
	if (n == 0)
		return ask_each(o, none, 1, (const char *const[3]){NULL});
	return ask_each(o, nets, n, (const char *const[3]){is_off ? "off" :
	    o->seconds});
}

static int
run(int argc, char **argv, const struct args_known *known, size_t max,
    int (*fn)(struct order *o))
{
	struct order o = {.verb = argv[0], .arena = arena_new(ARENA)};
	int r;

	if (o.arena == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	r = args_parse(&o.args, argc, argv, known, max, o.arena);
	if (r == 0)
		r = read_time(&o);
	if (r == 0)
		r = control_state(&o.state, &o.args, o.arena);
	if (r == 0)
		r = fn(&o);
	arena_free(&o.arena);
	return r;
}

int
cli_bypass(int argc, char **argv)
{
	return run(argc, argv, known_bypass, 1, run_bypass);
}

int
cli_pause(int argc, char **argv)
{
	return run(argc, argv, known_stop, LISTENERS_MAX, run_stop);
}

int
cli_resume(int argc, char **argv)
{
	return run(argc, argv, known_resume, LISTENERS_MAX, run_stop);
}

int
cli_set(int argc, char **argv)
{
	return run(argc, argv, known_stop, 2, run_set);
}

int
cli_debug(int argc, char **argv)
{
	return run(argc, argv, known_debug, 1, run_debug);
}
