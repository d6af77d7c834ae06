/* Delivery status notifications as they come in (RFC 6522, 3464, 6533). */
#ifndef DSN_PARSE_H
#define DSN_PARSE_H

#include "dkim2/dkim2.h"

/*
 * The human-readable part, the delivery status and what was returned: there
 * are never more, which keeps every reader of ours far below the bounds on
 * parts and depth.
 */
#define DSN_PARTS_MAX 3
#define DSN_RECIPIENTS_MAX 1000
#define DSN_RETURNED_FIELDS_MAX 1000

/* What became of a recipient (RFC 3464 2.3.3). */
enum dsn_action {
	DSN_FAILED,
	DSN_DELAYED,
	DSN_DELIVERED,
	DSN_RELAYED,
	DSN_EXPANDED,
	DSN_ACTION__N
};

/* One group of per-recipient fields; views, trimmed, folds as they came. */
struct dsn_recipient {
	enum dsn_action action;
	struct bytes status;		/* "5.1.1" */
	struct bytes final;		/* Final-Recipient behind its type */
	struct bytes original;		/* Original-Recipient, the same way */
	struct bytes diagnostic;	/* p == NULL where there is none */
};

/* A delivery status notification; everything is a view of its octets. */
struct dsn_report {
	struct bytes reporting_mta;
	struct bytes envelope_id;	/* p == NULL where there is none */
	const struct dsn_recipient *recipients;
	size_t n_recipients;
	/* The returned message, where the verdict says that there is one. */
	struct dkim2_message returned;
	struct bytes returned_body;
	bool has_returned_body;	/* false: the header alone came back */
};

enum dsn_parsed {
	DSN_PARSED,
	DSN_NO_REPORT,		/* ordinary mail, or a report on other things */
	DSN_MALFORMED,		/* meant as one, but not one that is clear */
	DSN_NOTHING_RETURNED,	/* all is good but the third part, */
	DSN_RETURNED_OTHER,	/* which is no message or header, */
	DSN_RETURNED_MALFORMED,	/* or none that reads, */
	DSN_RETURNED_ENCODED,	/* or not there octet for octet */
};

/*
 * Reads a delivery status notification, strictly: whatever two readers might
 * take for two things is malformed.
 *
 * m, body  the message; r is made of views of them
 * a        takes tables, no octets
 * verdict  set where 0 is returned; r is whole with DSN_PARSED, without the
 *          returned message with those behind DSN_MALFORMED, else empty
 * Returns  0 or -E_NOMEM
 * Source   RFC 6522 3-4, RFC 3464 2, RFC 6533 5-6
 */
int dsn_report_parse(struct dsn_report *r, const struct dkim2_message *m,
    struct bytes body, struct arena *a, enum dsn_parsed *verdict);

#endif
