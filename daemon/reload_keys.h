/*
 * What a reload must not lose: a domain that was signed for stays signed for,
 * unless the operator has said otherwise. And what is to be heeded of a
 * configuration that was taken.
 */
#ifndef DAEMON_RELOAD_KEYS_H
#define DAEMON_RELOAD_KEYS_H

#include "daemon/signer.h"

/* A configuration, and the keys that its signer has. */
struct reload_keys {
	const struct config *config;
	const struct signer_inventory *keys;
};

/*
 * Looks for active keys that are gone: not there and not retired either.
 * Where a domain has no other, nor one of a domain above it, its mail would
 * leave unsigned: an error of the log, which says what to do. Where it has,
 * a warning. Neither where `keys` is gone from the configuration, or the
 * domain from all `senders` and `domains` that had it: that was meant.
 *
 * Returns  whether every domain is signed for as before
 */
bool reload_keys_stay(const struct reload_keys *before,
    const struct reload_keys *now);

/* Logs what `hopseald -t` warns of (config_warn()). */
void reload_warn(const struct reload_keys *now);

#endif
