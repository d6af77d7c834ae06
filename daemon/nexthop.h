/* The way onward: which next hop a recipient has. */
#ifndef DAEMON_NEXTHOP_H
#define DAEMON_NEXTHOP_H

#include "config/config.h"

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

#endif
