/* JSON on one line of standard output. */
#ifndef CLI_JSONOUT_H
#define CLI_JSONOUT_H

#include <stdio.h>

#include "base/bytes.h"

/*
 * Writes octets as a JSON string; what is no UTF-8 becomes U+FFFD. p == NULL
 * becomes null.
 */
void json_put_string(FILE *f, struct bytes b);

/* Writes a list of strings. */
void json_put_strings(FILE *f, const struct bytes *b, size_t n);

#endif
