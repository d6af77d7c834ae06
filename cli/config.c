#include "cli/cli.h"

#include "config/config.h"
#include "config/manual.h"

#include <stdio.h>
#include <string.h>

#define ARENA ((size_t)1 << 20)
#define DEFAULT_CONFIG "/etc/hopseal/hopseal.yaml"

static const struct args_known known[] = {
	{"c", false},
	{NULL, false},
};

/* config_complain */
static void
complain(void *arg, const char *text)
{
	(void)arg;
	(void)cli_fail(0, "%s", text);
}

static void
put(void *arg, const char *text)
{
	(void)arg;
	fputs(text, stdout);
}

static int
dump(const char *path)
{
	struct config *c = config_load(path, complain, NULL);

	if (c == NULL)
		return CLI_CONFIG;
	config_dump(c, put, NULL);
	config_free(&c);
	return CLI_OK;
}

int
cli_config(int argc, char **argv)
{
	struct arena *mem = arena_new(ARENA);
	const char *path, *what;
	struct args a;
	int code;

	if (mem == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	code = args_parse(&a, argc, argv, known, 1, mem);
	if (code == 0) {
		path = args_get(&a, "c");
		what = a.n_words == 0 ? "" : a.words[0];
		if (strcmp(what, "dump") == 0)
			code = dump(path == NULL ? DEFAULT_CONFIG : path);
		else if (path != NULL || *what == '\0')
			code = cli_fail(CLI_USAGE,
			    "config: dump [-c FILE], sample or manual");
		else if (strcmp(what, "sample") == 0)
			config_manual_sample(put, NULL);
		else if (strcmp(what, "manual") == 0)
			config_manual_mdoc(put, NULL);
		else
			code = cli_fail(CLI_USAGE, "config: no %s; dump, "
			    "sample or manual", what);
	}
	arena_free(&mem);
	return code;
}
