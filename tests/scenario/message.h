/* The messages that scenarios send. */
#ifndef SCENARIO_MESSAGE_H
#define SCENARIO_MESSAGE_H

#include "base/buf.h"

#define MESSAGE_MAX (8U << 20)

/*
 * Writes a message and its final dot.
 *
 * kind     "plain", "8bit", "nul", "big N" (octets of body), "fields N",
 *          "no-from", "no-date" (and no Message-ID), "signed FROM TO" (by
 *          one.example; "list FROM TO" has a List-Id, "auto FROM TO" was sent by no
 *          human, "changed FROM TO" has more in its body since,
 *          "signed-report FROM TO" is a report), "report", "received N",
 *          "to LIST", "dkim1 DOMAIN" (signed by DKIM1 alone; "dkim1-changed"
 *          has another body since, "dkim1-many" 9 signatures), "both FROM TO"
 *          (by DKIM1, then "signed")
 * Returns  whether there is such a kind
 */
bool message_make(struct bytes kind, struct buf *out);

#endif
