/* What the searches for a cause share; nobody else includes it. */
#ifndef DKIM2_DIFFER_GUESS_H
#define DKIM2_DIFFER_GUESS_H

#include "dkim2/crypto.h"
#include "dkim2/differ.h"

#define GUESS_TRY_MIN 512U	/* a try costs this much at least */

/* Takes n octets off the work that is left; false where it does not hold. */
static inline bool
guess_spend(struct differ_work *work, size_t n)
{
	n += GUESS_TRY_MIN;
	if (n > work->left) {
		work->is_out = true;
		return false;
	}
	work->left -= n;
	work->n_tries++;
	return true;
}

/* Says whether one digest is the wanted one. */
static inline bool
guess_is_digest(const struct differ_target *t, const uint8_t *digest)
{
	return bytes_eq(t->digest, (struct bytes){digest,
	    dkim2_hash_size(t->algorithm)});
}

/*
 * Another way to write a value of a field.
 *
 * raw      the value as it stands in the message; room holds twice as much
 *          and 16 octets
 * Returns  false where there is nothing to change
 */
struct guess_form {
	bool (*make)(struct bytes raw, struct buf *out);
	const char *what;	/* "the `To` field ..." goes on with it */
};
extern const struct guess_form guess_forms[];
extern const size_t guess_n_forms;

/* The same for a whole body; room holds nine times as much and 16. */
extern const struct guess_form guess_body_forms[];
extern const size_t guess_n_body_forms;

#endif
