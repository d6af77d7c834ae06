/* A delivery status notification that we make (RFC 3464, 6522, 6533). */
#ifndef DSN_REPORT_H
#define DSN_REPORT_H

#include "dsn/parse.h"

/* One recipient that did not get the message. All may hold anything. */
struct dsn_failed {
	/*
	 * local@domain, without brackets: the one that he who gets the DSN
	 * used, never one that we sent on to (attacks.md B5).
	 */
	struct bytes final;
	struct bytes original;	/* ORCPT, "rfc822;a@b", decoded from xtext;
				   empty: none. Left out where it is not
				   printable */
	struct bytes status;	/* "5.1.1"; what is none becomes 5.0.0, or
				   4.4.7 where is_expired */
	struct bytes diagnostic; /* an SMTP reply, "550 5.1.1 no"; cleaned here;
				   empty: none, as in what is propagated */
	bool is_expired;	/* we gave up; the text says so */
};

struct dsn_made {
	struct bytes domain;	/* From: MAILER-DAEMON@domain; d= of the one
				   who signs (dsn_route_domain()) */
	struct bytes to;	/* a path, with brackets, not the null one; it
				   stands in To: where it is not ASCII the
				   DSN needs SMTPUTF8, as its RCPT TO does */
	struct bytes hostname;	/* Reporting-MTA, and who speaks in the text */
	struct bytes id;	/* unique: Message-ID, boundary; the same
				   facts with the same id: the same octets */
	struct bytes envid;	/* decoded from xtext; empty: none */
	int64_t now_s;		/* Date, seconds since 1970 */
	int64_t arrived_s;	/* Arrival-Date; 0: not told */
	const struct dsn_failed *rcpts;
	size_t n_rcpts;		/* 1 to DSN_RECIPIENTS_MAX */
	struct bytes returned_header;	/* octets as they came, without the
					   empty line; not empty */
	struct bytes returned_body;	/* all of it; one of 8 bits is not
					   returned, lest a hop converts it */
	bool has_returned_body;		/* false: text/rfc822-headers */
};

/*
 * Writes a DSN as a new message, to be signed as i=1, m=1 and sent from <>.
 * It is 7bit us-ascii but for what it returns, which stands in it octet for
 * octet (draft 16.2).
 *
 * d        what it says; its octets are copied
 * header   set: the header block with CRLF line ends, without the empty line
 * body     set
 * is_8bit  set: the header that is returned has 8-bit octets, and the DSN
 *          needs BODY=8BITMIME
 * Returns  0, -E_NOMEM, -E_CRYPTO, or -E_LIMIT where there are no recipients,
 *          more than DSN_RECIPIENTS_MAX, or nothing is returned
 * Lifetime of header and body: the arena's
 * Source   RFC 3464 2, RFC 6522 3, RFC 6533 4-6, RFC 3834 5; draft 16.1-16.2
 */
int dsn_report_write(const struct dsn_made *d, struct arena *a,
    struct bytes *header, struct bytes *body, bool *is_8bit);

#endif
