/* Lines and octets as scenarios write them. */
#ifndef SCENARIO_TEXT_H
#define SCENARIO_TEXT_H

#include "base/buf.h"

/* '*' is any octets, '?' one; all else itself. */
bool text_fits(struct bytes pattern, struct bytes text);

/* \r \n \0 \\ \xHH; \*N makes N of the octet before. False for another. */
bool text_unescape(struct bytes text, struct buf *out);

/* As it is behind DATA: a dot at the beginning of a line goes. */
void text_undot(struct bytes sent, struct buf *out);

#endif
