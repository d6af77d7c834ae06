/* What a list manager makes of a message that it passes on. */
#ifndef SCENARIO_MANAGER_H
#define SCENARIO_MANAGER_H

#include "base/buf.h"

/*
 * Writes content, as DATA has it, without its dot.
 *
 * content  as it was taken
 * changes  words: "tag" (of the subject), "fields" (List-*), "footer",
 *          "refold" (DKIM2 fields: one line each, in another order), "strip"
 *          (they are taken out), "munge" (From), "body" (all of it is
 *          another), "requote" (From), "wrap" (all of it in a
 *          part, under a name of its own), "x NAME: VALUE" (one more field, the rest of the line)
 * Returns  whether there are such changes
 */
bool manager_make(struct bytes content, struct bytes changes,
    struct buf *out);

#endif
