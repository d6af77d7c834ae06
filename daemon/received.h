/* Our trace field (RFC 5321 4.4). */
#ifndef DAEMON_RECEIVED_H
#define DAEMON_RECEIVED_H

#include "base/buf.h"

struct received {
	struct bytes helo;	/* as the client said it; anything */
	const char *ip;		/* the client's address as text */
	const char *hostname;	/* ours */
	const char *id;		/* of the message */
	bool is_esmtp;		/* it said EHLO, or LHLO */
	struct bytes rcpt;	/* the one recipient, with brackets; or empty */
	int64_t time_s;
	bool is_lmtp;
	bool is_utf8;		/* SMTPUTF8 was said at MAIL */
	bool is_auth;		/* the client has shown who it is */
	const char *tls;	/* "TLSv1.3"; NULL: none */
	const char *cipher;	/* its name where tls is not NULL */
};

#define RECEIVED_MAX 2048

/*
 * Adds the field, folded, with CRLF line ends.
 *
 * Source   RFC 5321 4.4; RFC 3848 and RFC 6531 4.3 (the words of "with")
 */
void received_write(const struct received *r, struct buf *out);

/* Adds a date as RFC 5322 3.3 has it, in UTC. */
void received_date(int64_t time_s, struct buf *out);

/*
 * The id of a message of ours, in a Received field that is said to be ours.
 *
 * value    of the field, folds and all; whoever returns a message may have
 *          written it: the id has its form, and is for the log alone
 * Returns  false where the field is none of this host
 */
bool received_id(struct bytes value, const char *hostname, struct bytes *id);

#endif
