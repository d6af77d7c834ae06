/*
 * To whom a DSN may go, and as whom it is signed (protocol.md K1-K6;
 * attacks.md B2).
 */
#ifndef DSN_ROUTE_H
#define DSN_ROUTE_H

#include "dsn/parse.h"

/* The message that failed, as it came to us. */
struct dsn_route_facts {
	/*
	 * mf= of its highest signature; of a client's own mail without chain
	 * its MAIL FROM. With brackets, "<>" for the null path; empty: none.
	 */
	struct bytes mail_from;
	bool has_nd;		/* that signature has nd= */
	/*
	 * It was at least Provisionally Verified when it was accepted, or
	 * came from a client of ours with a MAIL FROM of our own domains.
	 */
	bool is_vouched;
	const struct dkim2_message *message;	/* its header */
};

/* Why there is no DSN, in the order in which it is looked at. */
enum dsn_bar {
	DSN_BAR_NONE,		/* one may go, to ->mail_from */
	DSN_BAR_NEXT_DOMAIN,	/* nd= on top: nobody is named */
	DSN_BAR_NULL,		/* from <>: a DSN for a DSN */
	DSN_BAR_UNVERIFIED,
	DSN_BAR_REPORT,		/* a multipart/report, whoever sent it */
	DSN_BAR_AUTOMATIC,	/* Auto-Submitted, other than "no" */
	DSN_BAR__N
};

/* Whether a failure may be reported. Source: draft 16.1; RFC 3834 2 */
enum dsn_bar dsn_route_forbids(const struct dsn_route_facts *f);

/* A few words for the log, "null reverse-path"; static. */
const char *dsn_bar_text(enum dsn_bar b);

/*
 * As whom a DSN is signed: the longest domain with a key of ours that
 * equals, or is above, the domain of one of the paths; of equals the first.
 *
 * paths    rt= of the top signature of what is returned, with brackets; of
 *          a client's own mail, which has none, its MAIL FROM
 * has_key  whether we sign as this domain; in lower case
 * domain   set, in lower case, in the arena; empty: there is none
 * Returns  0 or -E_NOMEM
 * Source   draft 16.2, 7.1
 */
int dsn_route_domain(struct bytes *domain, const struct bytes *paths,
    size_t n_paths, bool (*has_key)(void *arg, struct bytes domain),
    void *arg, struct arena *a);

/*
 * The addresses that a propagated DSN names, in place of those that we sent
 * on to: of the paths which the hop before used (rt= of what was undone)
 * those that `domain` covers, the one our signature was made for; all of them
 * where it covers none. Each once, and DSN_RECIPIENTS_MAX at most.
 *
 * addresses set: n_addresses of local@domain, without brackets, views
 * Returns  0 or -E_NOMEM
 * Source   draft 16.3; attacks.md B5
 */
int dsn_route_told(const struct bytes **addresses, size_t *n_addresses,
    const struct bytes *paths, size_t n_paths, struct bytes domain,
    struct arena *a);

/*
 * Equal addresses (local@domain, without brackets): the domain as A-labels,
 * without case; the local part octet by octet, or without case where
 * is_reported: servers report it in one of their own.
 */
bool dsn_route_address_eq(struct bytes a, struct bytes b, bool is_reported);

#endif
