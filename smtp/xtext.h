/* xtext: values of parameters, where '+', '=' and others are +HH. */
#ifndef SMTP_XTEXT_H
#define SMTP_XTEXT_H

#include "base/buf.h"

/*
 * Undoes xtext.
 *
 * out      what was decoded is appended; never longer than b
 * Returns  false where b is no xtext, or out has no room
 * Source   RFC 3461 4: "!" to "~" without "+" and "=", or "+" and two upper
 *          case hexadecimal digits
 */
bool smtp_xtext_decode(struct bytes b, struct buf *out);

#endif
