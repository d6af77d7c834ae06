#include "cli/recipe.h"

#include "base/err.h"
#include "cli/cli.h"

#include <stdio.h>

int
recipe_make(const struct input_message *old, const struct input_message *now,
    struct arena *a, struct bytes *json)
{
	enum dkim2_diff what;
	int r = dkim2_diff(&what, json, a, &old->fields, old->body,
	    &now->fields, now->body);

	if (r != 0)
		return cli_fail(CLI_CANNOT, "%s", err_text(r));
	if (what == DKIM2_DIFF_CANNOT)
		return cli_fail(CLI_CANNOT,
		    "the change cannot be described in a recipe");
	if (what == DKIM2_DIFF_LONG)
		return cli_fail(CLI_CANNOT, "the change cannot be described: "
		    "the recipe would need a field of more than 64 KiB");
	if (what == DKIM2_DIFF_NONE)
		*json = (struct bytes){NULL, 0};
	return 0;
}

static const struct args_known known[] = {
	{NULL, false},
};

static int
run(int argc, char **argv, struct arena *a, struct input_message m[2])
{
	struct args args;
	struct bytes json;
	int r = args_parse(&args, argc, argv, known, 2, a);

	if (r != 0)
		return r;
	if (args.n_words != 2)
		return cli_fail(CLI_USAGE, "recipe OLD NEW");
	for (size_t k = 0; k < 2; k++) {
		r = input_message_load(&m[k], args.words[k], a);
		if (r != 0)
			return r;
		if (!m[k].is_message)
			return cli_fail(CLI_CANNOT,
			    "%s: the header does not parse", args.words[k]);
	}
	r = recipe_make(&m[0], &m[1], a, &json);
	if (r != 0)
		return r;
	if (json.p == NULL)
		return cli_fail(CLI_OK, "nothing that is hashed differs: "
		    "no recipe is needed");
	fwrite(json.p, 1, json.n, stdout);
	putchar('\n');
	return 0;
}

int
cli_recipe(int argc, char **argv)
{
	struct arena *a = arena_new(INPUT_ARENA);
	struct input_message m[2] = {0};
	int r;

	if (a == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	r = run(argc, argv, a, m);
	input_message_fini(&m[0]);
	input_message_fini(&m[1]);
	arena_free(&a);
	return r;
}
