/* Who a From field names (draft 11; RFC 5322 3.4). */
#ifndef DKIM2_FROM_H
#define DKIM2_FROM_H

#include "dkim2/dkim2.h"

/*
 * Reads the value of one From field.
 *
 * domain   a view of value; set only on DKIM2_FROM_ONE
 * Returns  DKIM2_FROM_ONE, or DKIM2_FROM_UNCLEAR where value is not exactly
 *          one mailbox with a plain domain: no list, no group, no route, no
 *          address literal, no dot at the end; an address as the name of
 *          itself may lack its quotes
 */
enum dkim2_from from_parse(struct bytes value, struct bytes *domain);

#endif
