#include "cli/queue.h"

#include "cli/cli.h"
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_CONFIG "/etc/hopseal/hopseal.yaml"
#define WORDS_MAX 100000U
/* A head and its arrays; the second one is for the words. */
#define HEAD_ARENA ((size_t)64 << 20)
#define ARGS_ARENA ((size_t)64 << 20)

#define FOLDER {"c", false}, {"spool", false}

static const struct args_known known_list[] = {
	FOLDER, QUEUE_FILTERS, {"json", true}, {NULL, false},
};
static const struct args_known known_show[] = {
	FOLDER, {"copy", false}, {"head", true}, {"content", true},
	{NULL, false},
};
static const struct args_known known_act[] = {
	FOLDER, QUEUE_FILTERS, {NULL, false},
};
static const struct args_known known_export[] = {
	FOLDER, QUEUE_FILTERS, {"remove", true}, {NULL, false},
};
static const struct args_known known_import[] = {
	FOLDER, {NULL, false},
};

static const struct {
	const char *name;
	queue_verb *run;
	const struct args_known *known;
	bool is_choosy;		/* does nothing to all unless told */
} verbs[] = {
	{"list", queue_list, known_list, false},
	{"show", queue_show, known_show, false},
	{"retry", queue_act, known_act, true},
	{"hold", queue_act, known_act, true},
	{"release", queue_act, known_act, true},
	{"remove", queue_act, known_act, true},
	{"export", queue_export, known_export, false},
	{"import", queue_import, known_import, false},
};

void
queue_put(FILE *f, struct bytes b)
{
	char shown[4 * 1100 + 8];
	struct buf out = BUF_ON(shown);

	buf_add_escaped(&out, b, 1100);
	fwrite(out.p, 1, out.n, f);
}

struct bytes
queue_address(struct bytes path)
{
	if (path.n >= 2 && path.p[0] == '<' && path.p[path.n - 1] == '>')
		return (struct bytes){path.p + 1, path.n - 2};
	return path;
}

int
queue_worse(int a, int b)
{
	return a > b ? a : b;
}

/* config_complain */
static void
complain(void *arg, const char *text)
{
	(void)arg;
	(void)cli_fail(0, "%s", text);
}

/* STATE/queue of a configuration, in the arena. */
static int
folder_of(const char *path, struct arena *a, const char **folder)
{
	struct config *c = config_load(path, complain, NULL);
	struct buf out;

	if (c == NULL)
		return access(path, R_OK) != 0 ? CLI_UNREADABLE : CLI_CONFIG;
	if (arena_buf(a, strlen(c->state) + sizeof("/queue"), &out) == 0)
		buf_printf(&out, "%s/queue", c->state);
	config_free(&c);
	if (out.p == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	*folder = (const char *)out.p;
	return 0;
}

static int
run_verb(size_t k, const struct args *args, struct arena *a)
{
	const char *spool = args_get(args, "spool");
	const char *config = args_get(args, "c");
	struct queue_folder folder;
	struct queue_call call = {verbs[k].name, args, &folder, NULL};
	int r = 0;

	if (spool != NULL && config != NULL)
		return cli_fail(CLI_USAGE, "queue: --spool or -c, not both");
	if (verbs[k].is_choosy && !queue_is_chosen(args))
		return cli_fail(CLI_USAGE, "queue %s: of which messages? ids, "
		    "filters, or --all", verbs[k].name);
	if (args_get(args, "all") != NULL && args->n_words != 0 &&
	    verbs[k].run != queue_export)
		return cli_fail(CLI_USAGE, "queue %s: ids or --all, not both",
		    verbs[k].name);
	if (spool == NULL)
		r = folder_of(config != NULL ? config : DEFAULT_CONFIG, a,
		    &spool);
	if (r == 0)
		r = queue_folder_open(&folder, spool);
	if (r != 0)
		return r;
	call.arena = arena_new(HEAD_ARENA);
	r = call.arena == NULL ? cli_fail(CLI_CANNOT, "out of memory") :
	    verbs[k].run(&call);
	arena_free(&call.arena);
	queue_folder_close(&folder);
	return r;
}

int
cli_queue(int argc, char **argv)
{
	size_t k = 0;
	struct arena *a;
	struct args args;
	int r;

	if (argc < 2)
		return cli_fail(CLI_USAGE, "queue list | show | retry | hold | "
		    "release | remove | export | import");
	while (k < sizeof(verbs) / sizeof(verbs[0]) &&
	    strcmp(argv[1], verbs[k].name) != 0)
		k++;
	if (k == sizeof(verbs) / sizeof(verbs[0]))
		return cli_fail(CLI_USAGE, "queue: no verb %s; see hopseal "
		    "help queue", argv[1]);
	if (argc == 3 && strcmp(argv[2], "--help") == 0)
		return cli_help_verb("queue");
	a = arena_new(ARGS_ARENA);
	if (a == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	r = args_parse(&args, argc - 1, argv + 1, verbs[k].known, WORDS_MAX,
	    a);
	if (r == 0)
		r = run_verb(k, &args, a);
	arena_free(&a);
	return r;
}

/* ---- retry, hold, release, remove ------------------------------------------ */

static int
tell(enum queue_said said, const char *id)
{
	switch (said) {
	case QUEUE_SAID_ABSENT:
		return cli_fail(QUEUE_NOT_THERE, "%s is not in the queue", id);
	case QUEUE_SAID_BUSY:
		return cli_fail(QUEUE_LATER, "%s is being tried right now", id);
	case QUEUE_SAID_OK:
		break;
	}
	return 0;
}

static int
act_on_all(int fd, const char *verb, const struct queue_choice *choice)
{
	int code = choice->code;
	size_t n = 0;

	for (size_t k = 0; k < choice->n; k++) {
		const char *id = choice->all[k].id;
		enum queue_said said;
		int r = queue_ask(fd, verb, id, &said);

		if (r == QUEUE_LATER)
			return r;
		if (r == 0)
			r = tell(said, id);
		if (r == 0)
			n++;
		code = queue_worse(code, r);
	}
	printf("%s: %zu message%s\n", verb, n, n == 1 ? "" : "s");
	return code;
}

int
queue_act(const struct queue_call *c)
{
	struct queue_choice choice = {0};
	int fd;
	int r = queue_ask_open(c->folder, &fd);

	if (r != 0)
		return r;
	r = queue_choose(&choice, c->folder, c->args, c->arena);
	if (r == 0)
		r = act_on_all(fd, c->verb, &choice);
	free(choice.all);
	close(fd);
	return r;
}
