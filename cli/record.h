/* Key records as text. */
#ifndef CLI_RECORD_H
#define CLI_RECORD_H

#include "dkim2/crypto.h"

/*
 * Prints the record of a key: as a zone line, its text cut into strings of
 * at most 255 octets (RFC 1035 3.3); or, is_json, in the keys-file form.
 *
 * domain   may be NULL: the text alone
 * Returns  0, or an exit code after a message
 */
int record_print(const struct dkim2_private_key *k, const char *domain,
    const char *selector, bool is_json);

#endif
