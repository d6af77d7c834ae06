/* Header fields that are left out of the header hash. */
#ifndef DKIM2_UNSIGNED_H
#define DKIM2_UNSIGNED_H

#include "base/bytes.h"

/*
 * Says whether fields of this name (any case) are left out of the header
 * hash: trace fields, and the two DKIM2 fields, which are signed instead.
 *
 * Source   draft 4
 */
bool unsigned_is(struct bytes name);

#endif
