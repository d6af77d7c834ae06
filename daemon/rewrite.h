/* The onward envelope of one recipient (product.md, Rewrite). */
#ifndef DAEMON_REWRITE_H
#define DAEMON_REWRITE_H

#include "base/arena.h"
#include "config/config.h"
#include "smtp/path.h"

struct rewrite {
	struct bytes mail_from;	/* with angle brackets */
	struct bytes rcpt_to;	/* the first, where there are several */
	const struct bytes *rcpts;	/* all of an alias; NULL: rcpt_to */
	size_t n_rcpts;
	int code;		/* 0: goes on; else the reply to RCPT */
	const char *enhanced;
	const char *text;
};

/*
 * Where a recipient is sent on to, and under which reverse-path: an alias to
 * each address that it leads to, once.
 *
 * from, to the inbound paths; what is not changed is a view of them
 * a        takes what is changed
 * Returns  0 (look at out->code) or -E_NOMEM
 */
int rewrite_envelope(struct rewrite *out, const struct config_listener *l,
    const struct smtp_path *from, const struct smtp_path *to,
    struct arena *a);

#endif
