/* Whether a connection to an address would come back to a listener. */
#ifndef DAEMON_SELFADDR_H
#define DAEMON_SELFADDR_H

#include "config/config.h"

/*
 * Whether the listener listens there: at that very address, or at all of this
 * machine's, and it is one of them now. Another listener of ours is none of
 * its business: mail may well go from one to the other.
 */
bool selfaddr_listens(const struct config_listener *l,
    const struct config_addr *to);

#endif
