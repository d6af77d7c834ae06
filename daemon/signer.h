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
};

/* Made by the master from what the signer said at its start. */
struct signer_inventory {
	const struct signer_key *keys;	/* by domain, then selector */
	size_t n;
	struct keydir domains;		/* for keydir_cover() */
};

/* The keys of one domain: how many, and the first. */
size_t signer_inventory_find(const struct signer_inventory *inv,
    struct bytes domain, const struct signer_key **first);

struct signer_client;

/*
 * answer   signature of n octets; n == 0: it could not be made (the reason
 *          is in the log)
 */
typedef void signer_answer(void *arg, uint64_t tag, struct bytes signature);

/* The worker's end. fd is its own socket of a pair. NULL without memory. */
struct signer_client *signer_client_new(struct loop *l, int fd,
    signer_answer *answer, void *arg);
void signer_client_free(struct signer_client **c);

/*
 * Asks for a signature of a SHA-256 digest. The answer comes later, never
 * before this returns, with the same tag: a slot number and a generation,
 * never a pointer. An answer that does not come within 5 s is one of n == 0.
 *
 * Returns  0, or -E_SYSTEM where the signer is gone or overloaded (no answer
 *          will come then)
 */
int signer_client_ask(struct signer_client *c, unsigned key,
    struct bytes digest, uint64_t tag);

#endif
