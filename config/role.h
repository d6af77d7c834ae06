/* Roles: named presets for a listener, and what each has no use for. */
#ifndef CONFIG_ROLE_H
#define CONFIG_ROLE_H

#include "config/schema.h"

/* The value that a role gives a directive, as one would write it, or NULL. */
const char *config_role_preset(enum config_role role,
    const struct config_row *row);

/*
 * Why a role has no use for a directive, or NULL where it has. A default at
 * top level then passes the listener by.
 */
const char *config_role_refuses(enum config_role role,
    const struct config_row *row);

#endif
