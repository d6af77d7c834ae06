/* What is written into a folder of keys, all of it synced. */
#ifndef CLI_KEYSTORE_H
#define CLI_KEYSTORE_H

#include "config/keystate.h"
#include "dkim2/crypto.h"

/*
 * A domain or selector in lower case, as the daemon looks for folders.
 *
 * Returns  false where it is no DNS name
 */
bool keystore_name(const char *name, char out[254]);

/* What --type says; NULL: ed25519. Returns 0, or an exit code after a
 * message. */
int keystore_type(const char *type, enum dkim2_algorithm *algorithm);

/*
 * Writes keys/DOMAIN/SELECTOR.pem, for its owner alone, or for the group that
 * the folder was given to as well, and never over a file.
 *
 * is_made  with the state `made`, which is there before the key is
 * Returns  0, or an exit code after a message
 */
int keystore_add(const char *keys, const char *domain, const char *selector,
    struct bytes pem, bool is_made);

/* Makes a key, adds it, and prints its record. Likewise. */
int keystore_generate(enum dkim2_algorithm type, const char *keys,
    const char *domain, const char *selector, bool is_made);

/*
 * Writes the state of the key in the file path, as of now.
 *
 * Returns  0, or an exit code after a message; the old state stays then
 */
int keystore_mark(const char *path, enum keystate s);

/*
 * Waits until no other command changes this folder, and keeps them out until
 * *fd is closed.
 *
 * Returns  0, or an exit code after a message; *fd is -1 then
 */
int keystore_lock(const char *keys, int *fd);

#endif
