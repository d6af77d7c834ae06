/* The two forms of what explain says. */
#ifndef CLI_EXPLAIN_H
#define CLI_EXPLAIN_H

#include "cli/story.h"

/* For eyes: aligned, with colours on a terminal (NO_COLOR: without). */
void explain_text(const struct check *c, const struct story *s);

/* One line of JSON with all that the text shows. */
void explain_json(const struct check *c, const struct story *s);

/* "never entered" ...; static storage. */
const char *explain_condition(enum dkim2_condition condition);

#endif
