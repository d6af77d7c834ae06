/* UTF-8, strictly: no overlong forms, no surrogates (RFC 3629). */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/bytes.h"

/*
 * The octets of the character at the front of b, which is not empty; 0 where
 * there is none.
 */
size_t utf8_length(struct bytes b);

/* The same, with its code point. */
size_t utf8_decode(struct bytes b, uint32_t *code);

#endif
