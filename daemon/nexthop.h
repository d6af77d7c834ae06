/*
 * The way onward: which next hop a recipient has, and at which addresses it
 * can be reached, by MX where no server is named.
 */
#ifndef DAEMON_NEXTHOP_H
#define DAEMON_NEXTHOP_H

#include "daemon/hub.h"

#define NEXTHOP_HOSTS 16	/* servers of a domain that are looked at */
#define NEXTHOP_TARGETS 32	/* addresses of all of them */
#define NEXTHOP_HOST_MAX 256	/* octets of a name, with a NUL */

/*
 * The next hop of a recipient's domain: its line in the listener's routes,
 * or the one for all the rest.
 *
 * domain   of the recipient; any case, A-labels or U-labels; may be empty
 *          (<postmaster>) or an address literal, which no line has
 */
const struct config_next_hop *nexthop_route(const struct config_listener *l,
    struct bytes domain);

/*
 * Whether two recipients go the same way, so that they may share an onward
 * transaction: to the same server with the same TLS, or, by MX, for the same
 * domain.
 */
bool nexthop_is_same(const struct config_next_hop *a, struct bytes a_domain,
    const struct config_next_hop *b, struct bytes b_domain);

/* A server, for TLS and the log, and one of its addresses. */
struct nexthop_target {
	char host[NEXTHOP_HOST_MAX];
	struct config_addr addr;
};

enum nexthop_status {
	NEXTHOP_OK,
	NEXTHOP_NULL_MX,	/* the domain says that it takes no mail */
	NEXTHOP_NO_DOMAIN,	/* it is not there, or has no server */
	NEXTHOP_TEMPORARY,	/* the DNS did not answer, or not yet */
	NEXTHOP_LOOP,		/* the best server is the asking listener */
};

struct nexthop_answer {
	enum nexthop_status status;
	const struct nexthop_target *targets;	/* in the order to be tried */
	size_t n;		/* not 0 with NEXTHOP_OK */
};

/* What an answer that is not NEXTHOP_OK means for a recipient. */
struct nexthop_refusal {
	int code;
	const char *enhanced;
	const char *text;
};

const struct nexthop_refusal *nexthop_refusal(enum nexthop_status status);

/*
 * Looks for the addresses of a next hop. The answer is told to hub->way_found
 * with the tag: later, never before this returns, within half a minute, its
 * views good until that call returns.
 *
 * A named server that the DNS does not know is NEXTHOP_TEMPORARY: that is no
 * fault of the recipient. By MX: the domain's MX records by preference, in a
 * random order among equals; without any, the domain itself; an address
 * literal is itself. IPv6 and IPv4 addresses of a host take turns. Where the
 * listener itself is among them, it and all of its preference and worse are
 * left out.
 *
 * domain   of the recipient, for mx; copied; empty: our own
 * Returns  false without memory: there will be no answer
 * Source   RFC 5321 5.1; RFC 7505
 */
bool nexthop_ask(struct hub *h, const struct config_listener *l,
    const struct config_next_hop *hop, struct bytes domain, uint64_t tag);

/* The resolver's answers for the tags of questions asked here. */
void nexthop_records(struct hub *h, uint64_t tag,
    const struct dnsanswer_records *records);
void nexthop_addrs(struct hub *h, uint64_t tag,
    const struct resolve_addrs *addrs);

/* Forgets all that is under way. */
void nexthop_drop(struct hub *h);

#endif
