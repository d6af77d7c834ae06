/*
 * Asks hopseald over STATE/control: one request, a text, and how it ended
 * (daemon/control_socket.h).
 */
#ifndef CLI_CONTROL_ASK_H
#define CLI_CONTROL_ASK_H

#include <stdio.h>

#include "base/buf.h"
#include "cli/args.h"

/* Exit code beside those of cli.h: hopseald refuses. */
enum { CONTROL_REFUSED = 69 };

/* Options of every verb that asks. */
#define CONTROL_OPTIONS {"c", false}, {"state", false}

struct control_answer {
	struct bytes text;	/* lines; in the arena */
	bool is_ok;
	struct bytes what;	/* where it is not ok: what is wrong */
};

/*
 * Finds STATE: by --state, or as the configuration (-c) says, also one with
 * mistakes.
 *
 * Returns  0, or an exit code after a message
 */
int control_state(const char **state, const struct args *args,
    struct arena *a);

/*
 * Asks, and waits for the end of the answer.
 *
 * words    the verb and its arguments; n of them
 * Returns  0; CLI_USAGE where they are no request, CLI_LATER where nobody
 *          answers, CLI_UNREADABLE where one may not ask, CLI_CANNOT without
 *          memory: after a message
 */
int control_ask(struct control_answer *answer, const char *state,
    const char *const *words, size_t n, struct arena *a);

/* Prints lines from the daemon, control octets as '?'. */
void control_put(FILE *f, struct bytes text);

/* Says that hopseald refused a verb, and why. Returns CONTROL_REFUSED. */
int control_refused(const char *verb, struct bytes what);

/*
 * All of it for a verb that is passed on as it stands: finds STATE, asks, and
 * prints the text, or what is wrong.
 *
 * Returns  the exit code
 */
int control_pass_on(const struct args *args, const char *const *words,
    size_t n, struct arena *a);

#endif
