/* Words of a DSN: what is told of a recipient, cleaned and folded. */
#ifndef DSN_REPORT_TEXT_H
#define DSN_REPORT_TEXT_H

#include "dsn/report.h"

#define REPORT_ADDRESS_MAX 256	/* octets of a path (RFC 5321 4.5.3.1.3) */
#define REPORT_REPLY_MAX 500	/* octets of a reply that are told */

/*
 * Adds octets from the net as one line of printable ASCII: control octets
 * and white space become one space, 8-bit octets '?'. At most max octets of s
 * are looked at, then "..." is added.
 */
void report_add_clean(struct buf *out, struct bytes s, size_t max);

/* Adds an address as it is, else cleaned; where that leaves nothing, '?'. */
void report_add_address(struct buf *out, struct bytes address);

/*
 * Adds text word by word, with CRLF and indent where a line would be longer
 * than 76 octets; a word that is longer stays whole.
 *
 * column   octets that the line has already
 */
void report_add_folded(struct buf *out, size_t column, const char *indent,
    struct bytes text);

/* "5.1.1" as it is told. */
struct bytes report_status(const struct dsn_failed *f);

/* Whether b has octets above 0x7f. */
bool report_is_8bit(struct bytes b);

/* The part for people. */
void report_add_text(const struct dsn_made *d, struct buf *out);

#endif
