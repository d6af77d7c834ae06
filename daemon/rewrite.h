/* The onward envelope of one recipient (product.md, Rewrite). */
#ifndef DAEMON_REWRITE_H
#define DAEMON_REWRITE_H

#include "base/arena.h"
#include "config/config.h"
#include "smtp/path.h"
#include "smtp/secret.h"
#include "smtp/token.h"

struct rewrite {
	struct bytes mail_from;	/* with angle brackets */
	struct bytes rcpt_to;	/* the first, where there are several */
	const struct bytes *rcpts;	/* all of an alias; NULL: rcpt_to */
	size_t n_rcpts;
	/* mail from <> to a return address that we made: it goes on from <> to
	 * rcpt_to, the reverse-path that the address stands for (mf= of the
	 * chain as it came to us), and nobody else is in the transaction */
	bool is_return;
	bool is_token;		/* the memory knows rcpt_to, by this: */
	uint8_t token[SMTP_TOKEN_ID];
	int code;		/* 0: goes on; else the reply to RCPT */
	const char *enhanced;
	const char *text;
};

/* What return addresses are made with. */
struct rewrite_with {
	const struct smtp_secrets *secrets;
	int64_t now_s;		/* of the day that stands in them */
	/* keeps where a token leads; NULL: nobody does */
	void (*keep)(void *arg, const uint8_t id[SMTP_TOKEN_ID],
	    struct bytes path);
	void *arg;
};

/*
 * Where a recipient is sent on to, and under which reverse-path: an alias to
 * each address that it leads to, once.
 *
 * from, to the inbound paths; what is not changed is a view of them
 * a        takes what is changed
 * Returns  0 (look at out->code), -E_NOMEM or -E_CRYPTO
 */
int rewrite_envelope(struct rewrite *out, const struct config_listener *l,
    const struct rewrite_with *with, const struct smtp_path *from,
    const struct smtp_path *to, struct arena *a);

/*
 * Where mail to a token is sent on to.
 *
 * path     what the memory has for it, with brackets; copied into a
 * Returns  0 (look at out->code) or -E_NOMEM
 */
int rewrite_returned(struct rewrite *out, struct bytes path, struct arena *a);

/*
 * The reverse-path that mail leaves with, as the listener's mail-from says:
 * under a domain of ours, so that custody holds and bounces come back. SRS
 * and tokens are made only where it does not fit already; what has no form in
 * SRS (over 64 octets, quoted, not ASCII) gets a token.
 *
 * under    the domain that the message came to
 * out      with angle brackets; a view of from where it stays: <> always does
 * Returns  0, -E_NOMEM or -E_CRYPTO
 */
int rewrite_mail_from(struct bytes *out, const struct config_listener *l,
    const struct rewrite_with *with, const struct smtp_path *from,
    struct bytes under, struct arena *a);

#endif
