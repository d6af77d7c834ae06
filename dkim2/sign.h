/* The signer's own parts: sign.c steps, sign_check.c refuses, sign_write.c
 * writes, sign_read.c reads back. */
#ifndef DKIM2_SIGN_H
#define DKIM2_SIGN_H

#include "dkim2/chain.h"
#include "dkim2/crypto.h"
#include "dkim2/dkim2.h"

#define SIGN_FIELD_MAX 65536U	/* ordinary mail servers cut at 100 KiB */

struct dkim2_sign {
	struct arena *arena;
	struct dkim2_limits limits;
	struct dkim2_message message;		/* as it will leave, but for us */
	struct chain chain;			/* what is there */
	const struct dkim2_digests *digests;	/* only while _new() runs */
	struct signature self;		/* what we are about to say */
	const struct dkim2_signing_key *keys;
	size_t n_keys;
	bool is_or;
	unsigned hashes;
	bool is_private;
	bool has_recipe;
	struct bytes recipe;
	bool is_new_instance;
	struct bytes instance;		/* our field, where it is new */
	struct bytes *values;		/* the signatures, p == NULL: not yet */
	size_t n_answered;
	struct bytes line;		/* our own, the last that is signed */
	uint8_t digest[DKIM2_DIGEST];
	struct bytes fields;		/* p == NULL until all is there */
};

/*
 * Says whether the options alone can make a signature, before anything is
 * done with them. The finished field is parsed too: this refuses what would
 * read back as something else.
 */
bool sign_options_are_good(const struct dkim2_sign_options *o);

/*
 * Says whether s may be added to its chain, and sets i, m and flags of self.
 *
 * Returns  0 with *why, or -E_NOMEM
 */
int sign_check(struct dkim2_sign *s, enum dkim2_refusal *why);

/*
 * Write a field of at most SIGN_FIELD_MAX octets.
 *
 * out      p == NULL where it would be longer
 * Returns  0 or -E_NOMEM
 */
int sign_write_instance(const struct dkim2_sign *s, struct bytes *out);
int sign_write_signature(const struct dkim2_sign *s, struct bytes *out);

/*
 * Reads our fields as any receiver would, behind the chain that is there.
 *
 * c        that chain and what was read
 * line     set to our line of the signing input: what we sign is what we say
 * good     false where they do not read back as what was meant; nothing else
 *          is then set
 * Returns  0 or -E_NOMEM
 */
int sign_read_back(const struct dkim2_sign *s, struct bytes fields,
    struct chain *c, struct bytes *line, bool *good);

/*
 * Makes the digest of the signing input of c, which ends with s->line.
 * Returns 0, -E_NOMEM or -E_CRYPTO.
 */
int sign_digest(struct dkim2_sign *s, const struct chain *c);

#endif
