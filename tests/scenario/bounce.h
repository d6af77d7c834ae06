/* What a mail server makes of a message that it can not deliver. */
#ifndef SCENARIO_BOUNCE_H
#define SCENARIO_BOUNCE_H

#include "base/buf.h"

/*
 * Writes a bounce, as DATA has it, without its dot.
 *
 * content  of what is returned, as it was taken
 * words    "to ADDRESS" (Final-Recipient; else bob@two.example), "original
 *          ADDRESS", "also ADDRESS" (fails too), "delayed" (it did not fail),
 *          "whole" (its body comes back, too), "changed" (another Subject),
 *          "bare" (without the server's own fields), "text" (no report, words
 *          of a server), "blind" (a report that returns nothing), "read"
 *          (that it was read), and at the end "signed FROM TO" (by
 *          one.example)
 * Returns  whether there are such words
 */
bool bounce_make(struct bytes content, struct bytes words, struct buf *out);

#endif
