/* Private keys in files. */
#ifndef CLI_KEYFILE_H
#define CLI_KEYFILE_H

#include "dkim2/crypto.h"

/*
 * Loads a private key.
 *
 * warn     say on stderr when others can read the file
 * Returns  0, or an exit code after a message
 * Lifetime until dkim2_private_key_free()
 */
int keyfile_load(struct dkim2_private_key **k, const char *path, bool warn);

/* Whether a name can stand in a DNS name and in a path: [a-z0-9_-.]. */
bool keyfile_is_name(const char *name);

#endif
