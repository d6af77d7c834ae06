/*
 * The little of MIME that a delivery report and a wrapped message need, over
 * the octets as they are. A part is never looked into: what is nested in it
 * costs nothing.
 */
#ifndef DKIM2_MIME_H
#define DKIM2_MIME_H

#include "dkim2/dkim2.h"

#define MIME_BOUNDARY_MAX 70	/* octets (RFC 2046 5.1.1) */
#define MIME_COMMENTS_MAX 10	/* how deep comments may be nested */
#define MIME_FIELDS_MAX 100	/* of the header of one part */

/* A Content-Type; views of its value, as written. */
struct mime_type {
	struct bytes type;
	struct bytes subtype;
	struct bytes boundary;		/* p == NULL where there is none */
	struct bytes report_type;	/* p == NULL where there is none */
};

/*
 * Reads the value of a Content-Type field, folds and comments allowed.
 *
 * Returns  false for what is none, and for what two readers might take for
 *          two things: boundary or report-type twice, with quoted pairs or
 *          in the pieces of RFC 2231; a boundary that may not be one
 * Source   RFC 2045 5.1, RFC 2046 5.1.1
 */
bool mime_type_parse(struct mime_type *t, struct bytes value);

/* Whether it is type/subtype, in any case. */
bool mime_type_is(const struct mime_type *t, struct bytes type,
    struct bytes subtype);

/*
 * Reads a value that is one token between comments, such as that of
 * Content-Transfer-Encoding or Action. Returns false where it is not.
 */
bool mime_token_parse(struct bytes value, struct bytes *token);

/* What was found between the delimiters of a multipart. */
enum mime_split {
	MIME_SPLIT,
	MIME_SPLIT_MANY,	/* more parts than there may be */
	/*
	 * No delimiter, no closing one, or a line that begins with the
	 * delimiter and goes on: for some readers it is one, for others not.
	 */
	MIME_SPLIT_UNCLEAR,
};

/*
 * Splits the body of a multipart into its parts; what stands before the
 * first and behind the last delimiter is left out.
 *
 * parts    room for max; views of body, each from behind the line of its
 *          delimiter up to, and without, the CRLF before the next
 * Source   RFC 2046 5.1.1
 */
enum mime_split mime_split(struct bytes body, struct bytes boundary,
    struct bytes *parts, size_t max, size_t *n);

/* How the octets of a part stand for its content. */
enum mime_encoding {
	MIME_PLAIN,	/* as they are: 7bit or 8bit */
	MIME_ENCODED,	/* anything else */
	MIME_UNCLEAR,	/* the field twice, or not readable */
};

/* The encoding that a header says. Source RFC 2045 6 */
enum mime_encoding mime_encoding_of(const struct dkim2_message *m);

struct mime_part {
	struct dkim2_message header;
	struct mime_type type;		/* text/plain where nothing is said */
	enum mime_encoding encoding;
	struct bytes body;
};

/*
 * Reads the header of one part.
 *
 * good     false where it is no header, or has two Content-Type fields or
 *          one that does not read
 * Returns  0 or -E_NOMEM
 * Lifetime views of octets; the table of fields is the arena's
 */
int mime_part_parse(struct mime_part *p, struct bytes octets,
    struct arena *a, bool *good);

#endif
