/* Sets one directive from what stands in the file. */
#ifndef CONFIG_SET_H
#define CONFIG_SET_H

#include "config/load.h"

/*
 * Reads the value of a directive into its place.
 *
 * base     struct config or struct config_listener, as the row's scope says
 * Returns  false after a complaint; the place is then as it was
 */
bool config_set(struct load *l, const struct config_row *row,
    const struct config_node *value, void *base);

/* The same from text of our own, which must be good. */
void config_set_text(struct load *l, const struct config_row *row,
    const char *text, void *base);

/* Makes the field of one struct that of the other. */
void config_set_copy(const struct config_row *row, void *to, const void *from);

/* Whether two structs have the same octets there. */
bool config_set_is_same(const struct config_row *row, const void *a,
    const void *b);

#endif
