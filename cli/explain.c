#include "cli/explain.h"

#include "cli/cli.h"

#include <stdio.h>

static const struct args_known known[] = {
	CHECK_OPTIONS,
	{"original", false},
	{"json", true},
	{NULL, false},
};

const char *
explain_condition(enum dkim2_condition condition)
{
	static const char *const names[] = {
		[DKIM2_NEVER_ENTERED] = "never entered",
		[DKIM2_LEFT] = "in and out",
		[DKIM2_NEVER_LEFT] = "never left",
		[DKIM2_UNCLEAR] = "unclear",
	};

	return names[condition];
}

static int
load_original(const struct check *c, struct input_message *original,
    bool *has)
{
	const char *path = args_get(&c->args, "original");
	int r;

	*has = path != NULL;
	if (path == NULL)
		return 0;
	r = input_message_load(original, path, c->arena);
	if (r == 0 && !original->is_message)
		r = cli_fail(CLI_CANNOT, "%s: the header does not parse",
		    path);
	return r;
}

/* A message that is none: there is nothing to tell of it. */
static int
say_unreadable(const struct check *c)
{
	if (args_get(&c->args, "json") != NULL)
		puts("{\"result\":\"permerror\","
		    "\"error\":\"message could not be parsed\","
		    "\"hops\":[],\"failures\":[],\"differences\":[]}");
	else
		puts("verdict  PERMERROR: message could not be parsed");
	return check_exit(DKIM2_PERMERROR);
}

static int
tell(const struct check *c, const struct input_message *original)
{
	struct story s;
	int r = story_make(&s, c, original);

	if (r != 0)
		return r;
	if (args_get(&c->args, "json") != NULL)
		explain_json(c, &s);
	else
		explain_text(c, &s);
	return check_exit(c->result->full.state);
}

int
cli_explain(int argc, char **argv)
{
	struct input_message original = {.is_message = false};
	struct check c;
	bool has_original = false;
	int code = check_run_with(&c, argc, argv, known);

	if (code == 0)
		code = load_original(&c, &original, &has_original);
	if (code == 0)
		code = c.result == NULL ? say_unreadable(&c) :
		    tell(&c, has_original ? &original : NULL);
	input_message_fini(&original);
	check_fini(&c);
	return code;
}
