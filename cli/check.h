/* One message through the verifier, for verify, explain and dsn-verify. */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

#include "cli/args.h"
#include "cli/input.h"
#include "cli/lookup.h"

struct check {
	struct arena *arena;
	struct input_message message;
	struct dkim2_envelope envelope;
	bool has_envelope;
	int64_t now_s;
	const char *dns;	/* a keys-file; NULL: a resolver is asked */
	const char *resolver;	/* NULL: the system's */
	struct dkim2_verify *v;
	const struct dkim2_result *result;	/* NULL: it is no message */
};

/*
 * Reads the arguments and the message.
 *
 * Returns  0, or an exit code after a message; check_fini() in any case
 */
int check_begin(struct check *c, int argc, char **argv);

/* Answers what is wanted, as the arguments say. */
int check_look_up(const struct check *c, const struct lookup *l);

/*
 * check_begin(), then asks for the keys, and verifies.
 *
 * Returns  0, or an exit code after a message; check_fini() in any case
 */
int check_run(struct check *c, int argc, char **argv);

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
