#include "cli/args.h"

#include "cli/cli.h"

#include <string.h>

static const struct args_known *
find(const struct args_known *known, const char *name, size_t n)
{
	for (; known->name != NULL; known++)
		if (strlen(known->name) == n &&
		    memcmp(known->name, name, n) == 0)
			return known;
	return NULL;
}

/* Takes the option at argv[*k], and its value; *k is then the last used. */
static int
take_option(struct args *a, int argc, char **argv, int *k,
    const struct args_known *known)
{
	const char *name = argv[*k] + 2;
	size_t n = strcspn(name, "=");
	const struct args_known *o = find(known, name, n);
	struct args_pair *pair = &a->pairs[a->n_pairs];

	if (o == NULL)
		return cli_fail(CLI_USAGE, "%s: no option --%.*s", argv[0],
		    (int)n, name);
	pair->name = o->name;
	pair->value = "";
	if (o->is_flag && name[n] == '=')
		return cli_fail(CLI_USAGE, "%s: --%s takes no value", argv[0],
		    o->name);
	if (!o->is_flag) {
		if (name[n] == '=')
			pair->value = name + n + 1;
		else if (*k + 1 < argc)
			pair->value = argv[++*k];
		else
			return cli_fail(CLI_USAGE, "%s: --%s needs a value",
			    argv[0], o->name);
	}
	a->n_pairs++;
	return 0;
}

/* The same for "-c value" and "-cvalue". */
static int
take_short(struct args *a, int argc, char **argv, int *k,
    const struct args_known *known)
{
	const char *word = argv[*k];
	const struct args_known *o = find(known, word + 1, 1);
	const char *value = word + 2;

	if (o == NULL)
		return cli_fail(CLI_USAGE, "%s: no option -%c", argv[0],
		    word[1]);
	if (*value == '\0') {
		if (*k + 1 == argc)
			return cli_fail(CLI_USAGE, "%s: -%s needs a value",
			    argv[0], o->name);
		value = argv[++*k];
	}
	a->pairs[a->n_pairs++] = (struct args_pair){o->name, value};
	return 0;
}

int
args_parse(struct args *a, int argc, char **argv,
    const struct args_known *known, size_t max, struct arena *mem)
{
	bool only_words = false;

	*a = (struct args){0};
	a->pairs = arena_array(mem, (size_t)argc, sizeof(*a->pairs));
	a->words = arena_array(mem, (size_t)argc, sizeof(*a->words));
	if (a->pairs == NULL || a->words == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	for (int k = 1; k < argc; k++) {
		if (!only_words && strcmp(argv[k], "--") == 0) {
			only_words = true;
		} else if (!only_words && strncmp(argv[k], "--", 2) == 0) {
			int r = take_option(a, argc, argv, &k, known);

			if (r != 0)
				return r;
		} else if (!only_words && argv[k][0] == '-' &&
		    argv[k][1] != '\0') {
			int r = take_short(a, argc, argv, &k, known);

			if (r != 0)
				return r;
		} else if (a->n_words == max) {
			return cli_fail(CLI_USAGE, "%s: one too many: %s",
			    argv[0], argv[k]);
		} else {
			a->words[a->n_words++] = argv[k];
		}
	}
	return 0;
}

const char *
args_get(const struct args *a, const char *name)
{
	for (size_t k = a->n_pairs; k-- > 0;)
		if (strcmp(a->pairs[k].name, name) == 0)
			return a->pairs[k].value;
	return NULL;
}

size_t
args_all(const struct args *a, const char *name, const char **values,
    size_t max)
{
	size_t n = 0;

	for (size_t k = 0; k < a->n_pairs && n < max; k++)
		if (strcmp(a->pairs[k].name, name) == 0)
			values[n++] = a->pairs[k].value;
	return n;
}
