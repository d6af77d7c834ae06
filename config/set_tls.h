/* Sets the directive `tls`. */
#ifndef CONFIG_SET_TLS_H
#define CONFIG_SET_TLS_H

#include "config/load.h"

/*
 * Reads {cert: FILE, key: FILE}, a list of them, or the row's default.
 *
 * pairs    in the configuration's arena, paths absolute; NULL for the default
 * Returns  false after a complaint
 */
bool config_set_tls(struct load *l, const struct config_row *row,
    const struct config_node *value, const struct config_tls **pairs,
    size_t *n);

#endif
