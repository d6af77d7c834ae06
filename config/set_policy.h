/* Rules for mail by how it stands to DKIM2. */
#ifndef CONFIG_SET_POLICY_H
#define CONFIG_SET_POLICY_H

#include "config/load.h"

/*
 * Reads {condition: WORD, clients: NETWORKS, senders: DOMAINS, action: WORD},
 * or a list of them. Clients and senders may be left out: then all are meant.
 *
 * rules    in the configuration's arena; NULL for an empty list
 * Returns  false after a complaint
 */
bool config_set_policy(struct load *l, const struct config_row *row,
    const struct config_node *value, const struct config_policy **rules,
    size_t *n);

#endif
