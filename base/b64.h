/* Base64, strict: canonical, padded, nothing else let in (RFC 4648 4). */
#ifndef BASE_B64_H
#define BASE_B64_H

#include "base/buf.h"

#define B64_LEN(n) (((n) + 2) / 3 * 4)

/* Adds the padded base64 of b to out. */
void b64_encode(struct bytes b, struct buf *out);

/*
 * Decodes b, which must be canonical: padded, zero pad bits, no white space.
 *
 * out      what was decoded is appended; needs b.n / 4 * 3 octets at most
 * Returns  false when b is not canonical base64 or out is full
 */
bool b64_decode(struct bytes b, struct buf *out);

#endif
