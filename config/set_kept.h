/* Sets directives of the form {age: TIME, size: OCTETS}. */
#ifndef CONFIG_SET_KEPT_H
#define CONFIG_SET_KEPT_H

#include "config/load.h"

/*
 * Reads a map of both, one of them, or none; what is not said is as in the
 * row's default. The row's min and max are of the size, in octets.
 *
 * Returns  false after a complaint
 */
bool config_set_kept(struct load *l, const struct config_row *row,
    const struct config_node *value, struct config_kept *kept);

/* Adds it as one would write it. */
void config_kept_put(struct buf *b, const struct config_kept *kept);

#endif
