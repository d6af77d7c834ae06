/* What explain has to tell beyond the verdict: changes, and their causes. */
#ifndef CLI_STORY_H
#define CLI_STORY_H

#include "cli/check.h"
#include "dkim2/differ.h"
#include "dkim2/history.h"

#define STORY_CHANGES_MAX 1000U	/* of one hop */

/* A field or a line that a hop took away or put in. */
struct story_change {
	bool is_added;
	struct bytes name;	/* of the field; p == NULL: a line of the body */
	size_t line;		/* of the body as the hop sent it, from 1 */
	struct bytes text;
};

/* What one instance did, as its recipe says. */
struct story_changes {
	struct story_change *list;
	size_t n;		/* in the list; header first */
	size_t n_all;		/* that there are */
};

enum story_part {
	STORY_HEADER,		/* a header hash does not fit */
	STORY_BODY,		/* a body hash does not fit */
	STORY_SIGNATURE,	/* a signature is wrong */
	STORY_FIELD,		/* a DKIM2 field is not that of the original */
};

/* Why something does not fit, or where it differs from the original. */
struct story_cause {
	enum story_part part;
	bool is_instance;		/* number is m=, not i= */
	uint32_t number;
	struct bytes selector;		/* STORY_SIGNATURE */
	bool is_original;		/* compared; else found by trying */
	bool is_explained;		/* what says what happened */
	struct bytes what;
	struct differ_header header;	/* STORY_HEADER, STORY_FIELD */
	bool has_body;
	struct differ_body body;	/* STORY_BODY */
};

struct story {
	struct history history;
	struct story_changes *changes;	/* changes[m - 1] */
	struct story_cause *causes;
	size_t n_causes;
	size_t n_tries;
};

/*
 * Finds out what there is to tell about a message that was verified.
 *
 * original NULL, or an earlier copy of the message
 * Returns  0, or an exit code after a message
 */
int story_make(struct story *s, const struct check *c,
    const struct input_message *original);

/*
 * Says what the recipe of one instance takes back.
 *
 * now      the state of that instance
 * Returns  0 or -E_NOMEM
 */
int story_changes_make(struct story_changes *out, const struct recipe *r,
    const struct history_state *now, struct arena *a);

#endif
