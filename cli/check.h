/* One message through the verifier, for verify, explain and dsn-verify. */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

#include "cli/args.h"
#include "cli/input.h"
#include "cli/lookup.h"

/* What check_begin() knows; rows of one's own may follow in a table. */
#define CHECK_OPTIONS {"mail-from", false}, {"rcpt-to", false}, \
	{"dns", false}, {"resolver", false}, {"time", false}

/* The record that was found for one wanted name; p == NULL: not just one. */
struct check_key {
	struct bytes name;
	struct bytes record;
};

struct check {
	struct arena *arena;
	struct args args;
	struct input_message message;
	struct dkim2_envelope envelope;
	bool has_envelope;
	int64_t now_s;
	const char *dns;	/* a keys-file; NULL: a resolver is asked */
	const char *resolver;	/* NULL: the system's */
	struct dkim2_verify *v;
	struct check_key *keys;		/* all that were wanted */
	size_t n_keys;
	const struct dkim2_result *result;	/* NULL: it is no message */
};

/*
 * Reads the arguments and the message.
 *
 * Returns  0, or an exit code after a message; check_fini() in any case
 */
int check_begin(struct check *c, int argc, char **argv);

/* The same with a table of options that begins with CHECK_OPTIONS. */
int check_begin_with(struct check *c, int argc, char **argv,
    const struct args_known *known);

/* Answers what is wanted, as the arguments say. */
int check_look_up(const struct check *c, const struct lookup *l);

/*
 * check_begin(), then asks for the keys, and verifies.
 *
 * Returns  0, or an exit code after a message; check_fini() in any case
 */
int check_run(struct check *c, int argc, char **argv);

/* The same with a table of options that begins with CHECK_OPTIONS. */
int check_run_with(struct check *c, int argc, char **argv,
    const struct args_known *known);

void check_fini(struct check *c);

/*
 * Verifies a message that is already there, for sign.
 *
 * dns      a keys-file; NULL: every key is taken for missing
 */
int check_message(struct check *c, const char *dns);

/* The exit code of a state. */
int check_exit(enum dkim2_state s);

#endif
