/*
 * The signer: a process that holds the private keys in locked memory and
 * answers "sign this digest with this key" over a socket pair, in messages
 * of one fixed size each way. It parses no mail.
 */
#ifndef DAEMON_SIGNER_H
#define DAEMON_SIGNER_H

#include "config/keydir.h"
#include "daemon/loop.h"
#include "dkim2/dkim2.h"

/* What a worker knows of a key. */
struct signer_key {
	struct bytes domain;		/* lower case */
	struct bytes selector;
	enum dkim2_algorithm algorithm;
	unsigned number;		/* what the signer calls it */
	struct bytes record;		/* the public half, as the DNS has it */
};

/* Whether "sel._domainkey.example.org" is where the DNS has it. */
bool signer_key_is(const struct signer_key *k, struct bytes name);

/* Made by the master from what the signer said at its start. */
struct signer_inventory {
	const struct signer_key *keys;	/* by domain, then selector */
	size_t n;
	struct keydir domains;		/* for keydir_cover() */
	const struct signer_key *retired;	/* sign no more: what they
						   signed comes back */
	size_t n_retired;
	uint8_t digest[32];		/* of all that a signer said */
};

/* The keys of one domain: how many, and the first. */
size_t signer_inventory_find(const struct signer_inventory *inv,
    struct bytes domain, const struct signer_key **first);

/*
 * Takes the inventory from a signer that was just started.
 *
 * control  the master's end of the control pair
 * inv      filled in from the arena
 * status   0, or what the signer says to exit with; it has logged why
 * Returns  0 (look at *status), -E_SYSTEM where the signer is gone or says
 *          nothing for 30 s, -E_NOMEM
 */
int signer_inventory_take(struct signer_inventory *inv, int control,
    struct arena *a, int *status);

/*
 * Hears from another signer of the same folder that its keys, and their
 * numbers, are the same.
 *
 * Returns  as above; *status is EX_TEMPFAIL where they are not: the folder
 *          changed meanwhile (logged)
 */
int signer_inventory_match(const struct signer_inventory *inv, int control,
    int *status);

/* ---- the signer's process ------------------------------------------------ */

struct signer_keys;

/*
 * Reads every private key of a folder that is active, and the public half of
 * every retired one, and checks them as the daemon does: safe from others
 * (keydir_scan()), a key that signs, one file a selector.
 *
 * gid      as for keydir_scan()
 * Returns  the keys, or NULL after at least one complaint
 */
struct signer_keys *signer_keys_load(const char *folder, unsigned gid,
    config_complain *complain, void *arg);

/* Wipes and frees; *k becomes NULL, and may be NULL. */
void signer_keys_free(struct signer_keys **k);

/* The active keys. Lives as long as k. */
const struct keydir *signer_keys_dir(const struct signer_keys *k);

size_t signer_keys_count(const struct signer_keys *k);

/* Sends the inventory to the master; or, where it has it from another signer,
 * its digest alone. 0, -E_SYSTEM or what dkim2_hasher_add() returns. */
int signer_keys_announce(const struct signer_keys *k, int control,
    bool is_whole);

/*
 * Takes peers from the control socket and signs for them, until the control
 * socket and every peer are closed. It beats each beat_ms (watchdog.h).
 */
void signer_serve(const struct signer_keys *k, int control, int beat_ms);

/* ---- the worker's end ---------------------------------------------------- */

struct signer_client;

/* How many signers a generation has at most. */
#define SIGNERS_MAX 64

/* Sockets to signers that have the same keys. */
struct signer_ends {
	unsigned n;		/* 0: none */
	int fds[SIGNERS_MAX];
};

/*
 * answer   signature of n octets; n == 0: it could not be made (the reason
 *          is in the log)
 */
typedef void signer_answer(void *arg, uint64_t tag, struct bytes signature);

/*
 * The worker's end. A question goes to the signer that owes us least, of
 * several to the first; where that one ends, to another.
 *
 * ends     one at least; its sockets are the client's from now on, also
 *          where it is not made
 * Returns  NULL without memory
 */
struct signer_client *signer_client_new(struct loop *l,
    const struct signer_ends *ends, signer_answer *answer, void *arg);
void signer_client_free(struct signer_client **c);

/*
 * Asks for a signature of a SHA-256 digest. The answer comes later, never
 * before this returns, with the same tag: a slot number and a generation,
 * never a pointer. An answer that does not come within 5 s is one of n == 0.
 *
 * Returns  0, or -E_SYSTEM where all signers are gone or overloaded (no
 *          answer will come then)
 */
int signer_client_ask(struct signer_client *c, unsigned key,
    struct bytes digest, uint64_t tag);

#endif
