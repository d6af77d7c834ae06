/* Recipes from two messages, for `recipe` and `sign --original`. */
#ifndef CLI_RECIPE_H
#define CLI_RECIPE_H

#include "cli/input.h"

/*
 * The recipe that leads from now back to old.
 *
 * json     set to it; p == NULL where nothing that is hashed differs
 * Returns  0, or an exit code after a message
 */
int recipe_make(const struct input_message *old,
    const struct input_message *now, struct arena *a, struct bytes *json);

#endif
