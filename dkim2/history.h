/*
 * The states of a message, from the one that came back to the first, kept to
 * be looked at. The verifier hashes each and forgets it; this is for people:
 * what did hop N see, what did it change, where does a hash stop to fit.
 */
#ifndef DKIM2_HISTORY_H
#define DKIM2_HISTORY_H

#include "dkim2/chain.h"

/* The message as instance m describes it. */
struct history_state {
	bool is_known;			/* the recipes above lead to it */
	bool is_checked;		/* its instance reads well */
	struct canon_header header;	/* in hash order */
	struct bytes body;		/* without the end that is not hashed
					   where a recipe made it */
	struct dkim2_verdict verdict;	/* of h=, as a verifier would say */
	/* Not PASS: the first member of h= that does not fit, where one is. */
	const struct instance_hash *header_fault;
	const struct instance_hash *body_fault;
};

struct history {
	struct chain chain;
	bool has_body;			/* false: bodies are empty, and no
					   verdict is of them */
	struct history_state *states;	/* states[m - 1] */
	size_t n_states;		/* 0: the fields are no chain */
	struct dkim2_verdict lost;	/* why an earlier state is not known */
};

/*
 * Undoes all recipes, from the top down, as far as they can be undone;
 * nothing is asked of keys.
 *
 * m, body  live as long as the history
 * Returns  0, -E_NOMEM or -E_CRYPTO
 * Source   draft 5, 14.7
 */
int history_read(struct history *h, const struct dkim2_message *m,
    struct bytes body, struct arena *a);

/*
 * The same of a header alone: of recipes what they say of fields is undone,
 * and of hashes those of the header are compared.
 */
int history_read_header(struct history *h, const struct dkim2_message *m,
    struct arena *a);

/*
 * A name of a field as people write it, "list-id" as "List-Id": recipes have
 * lower case. In the arena; p == NULL without memory.
 */
struct bytes history_name(struct bytes name, struct arena *a);

/*
 * Writes the header block as signature i was put on it: recipes above its
 * instance are undone, DKIM2 fields that came later are left out, and so are
 * fields that no hash covers where they stand above signature i, since
 * whoever signs puts the signature on top.
 *
 * What no recipe touched stays octet for octet. A value from a recipe takes
 * the place of a field of its name that the recipe takes away, from the
 * bottom up; where there is none left, it stands right above the one before
 * it, or below the one after it, or at the end of the block. It is written
 * unfolded, its name as the field that it replaces has it, else in lower
 * case with capitals behind the hyphens.
 *
 * m        as given to history_read(); i from 1, its state known
 * header   set, in the arena
 * Returns  0 or -E_NOMEM
 */
int history_header(const struct history *h, const struct dkim2_message *m,
    size_t i, struct arena *a, struct bytes *header);

/*
 * The same for one who knows what he put on top himself.
 *
 * i        from 0: as signature 1 found it, without any DKIM2 field
 * cut      a field of m: fields that no hash covers are left out from the
 *          top down to it, it too, and kept below. NULL: as above; with i = 0
 *          they all stay
 */
int history_header_cut(const struct history *h, const struct dkim2_message *m,
    size_t i, const struct dkim2_field *cut, struct arena *a,
    struct bytes *header);

#endif
