/*
 * Options as "--name value", "--name=value" and "--flag", words, and options
 * of one letter with a value: "-n value", "-nvalue".
 */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include "base/arena.h"
#include "base/bytes.h"

struct args_known {
	const char *name;	/* without the dashes; NULL ends the table */
	bool is_flag;		/* takes no value */
};

struct args_pair {
	const char *name;
	const char *value;	/* "" for a flag */
};

struct args {
	struct args_pair *pairs;	/* as they came */
	size_t n_pairs;
	const char **words;
	size_t n_words;
};

/*
 * Reads the arguments of a verb. "--" ends the options; "-" is a word.
 *
 * argv     argv[0] is the verb; strings live as long as args
 * max      words there may be
 * Returns  0, or an exit code after a message
 */
int args_parse(struct args *a, int argc, char **argv,
    const struct args_known *known, size_t max, struct arena *mem);

/* The value of an option, the last one where it came twice; else NULL. */
const char *args_get(const struct args *a, const char *name);

/* Every value of an option, in order, copied to values; how many. */
size_t args_all(const struct args *a, const char *name, const char **values,
    size_t max);

#endif
