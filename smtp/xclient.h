/*
 * XCLIENT: a proxy tells who its client is (Postfix's XCLIENT_README). What
 * a listed peer says is checked as if the client had said it.
 */
#ifndef SMTP_XCLIENT_H
#define SMTP_XCLIENT_H

#include "smtp/ehlo.h"

#define SMTP_XCLIENT_MAX 255	/* octets of a value, decoded */

/* What was said; a value that is not available is empty, or 0. */
struct smtp_xclient {
	unsigned said;		/* SMTP_XCLIENT_* */
	struct bytes name;	/* views of what smtp_xclient_parse() wrote */
	struct bytes helo;
	struct bytes login;
	uint8_t ip[16];		/* ADDR, IPv4 in its mapped form */
	uint8_t dest_ip[16];
	uint16_t port;
	uint16_t dest_port;
	bool has_ip;
	bool has_dest_ip;
	bool is_esmtp;		/* PROTO */
};

/*
 * Reads the argument of XCLIENT: NAME=VALUE in xtext, spaces between.
 *
 * out      values are decoded to it; as much room as arg has is enough
 * Returns  false where an attribute is unknown, repeated or malformed, or
 *          there is none; x is then not to be used
 */
bool smtp_xclient_parse(struct bytes arg, struct smtp_xclient *x,
    struct buf *out);

#endif
