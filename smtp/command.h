/* The verb of a command line, and the path behind MAIL and RCPT. */
#ifndef SMTP_COMMAND_H
#define SMTP_COMMAND_H

#include "smtp/path.h"

enum smtp_verb {
	SMTP_VERB_EHLO,
	SMTP_VERB_HELO,
	SMTP_VERB_LHLO,
	SMTP_VERB_MAIL,
	SMTP_VERB_RCPT,
	SMTP_VERB_DATA,
	SMTP_VERB_RSET,
	SMTP_VERB_NOOP,
	SMTP_VERB_QUIT,
	SMTP_VERB_VRFY,
	SMTP_VERB_EXPN,
	SMTP_VERB_HELP,
	SMTP_VERB_STARTTLS,
	SMTP_VERB_AUTH,
	SMTP_VERB_BDAT,
	SMTP_VERB_XCLIENT,
	SMTP_VERB_FOREIGN,	/* of another protocol: GET, POST, PROXY ... */
	SMTP_VERB_UNKNOWN,
	SMTP_VERB__N
};

/* Views of the line. */
struct smtp_command {
	enum smtp_verb verb;
	struct bytes arg;	/* without the white space around it */
};

/*
 * Splits a command line.
 *
 * line     without its line end
 * Returns  the verb in any case of letters, SMTP_VERB_UNKNOWN for any other,
 *          and its argument; white space at the end is tolerated
 * Source   RFC 5321 2.4, 4.1.1
 */
struct smtp_command smtp_command_parse(struct bytes line);

/*
 * Takes "FROM:" or "TO:" and the spaces behind it from the front of an
 * argument. RFC 5321 3.3 has no spaces there; many senders do, and nothing
 * depends on them.
 *
 * Returns  false where arg begins otherwise
 */
bool smtp_command_skip(struct bytes *arg, struct bytes keyword);

/*
 * Whether b can be the name behind EHLO: 1 to 255 visible octets that can
 * stand in a Received field without being quoted. RFC 5321 wants a domain or
 * a literal; too many senders have neither.
 */
bool smtp_command_is_name(struct bytes b);

#endif
