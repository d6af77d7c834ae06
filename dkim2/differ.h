/*
 * Where two states of a message differ, and what may have become of one whose
 * hash does not fit. For people: nothing here decides about mail.
 *
 * A hash can not say where something differs. What can be done is to compare
 * with an earlier copy, or to try what mail servers are known to do and see
 * whether the hash fits then; if it does, nothing else was changed.
 */
#ifndef DKIM2_DIFFER_H
#define DKIM2_DIFFER_H

#include "dkim2/chain.h"

/* ---- two states ---------------------------------------------------------- */

enum differ_kind { DIFFER_CHANGED, DIFFER_ADDED, DIFFER_LOST };

/* One field that is not the same in both, in canonical form. */
struct differ_field {
	enum differ_kind kind;
	struct bytes name;
	size_t number;		/* of that name, from the bottom */
	struct bytes was, is;	/* values; p == NULL: not there */
	size_t at;		/* octets of the values that are equal */
	size_t offset;		/* of the first other octet, from 0, in the
				   header hash input of the later state */
};

struct differ_header {
	struct differ_field *fields;	/* in hash order */
	size_t n;
};

/*
 * Compares two headers as they are hashed.
 *
 * Returns  0 or -E_NOMEM
 */
int differ_headers(struct differ_header *d, const struct canon_header *was,
    const struct canon_header *is, struct arena *a);

/*
 * The canonical form of a body; a view of it where its octets have that form.
 *
 * Returns  0 or -E_NOMEM
 */
int differ_body_canonical(struct bytes body, struct arena *a,
    struct bytes *out);

/* Two bodies in canonical form. */
struct differ_body {
	bool is_same;
	size_t at;		/* octets that are equal at the front */
	size_t line, column;	/* of the first other octet, from 1 */
	struct bytes was, is;	/* what differs: without an equal end */
	struct bytes was_line;	/* the line there, without its end; */
	struct bytes is_line;	/* p == NULL: behind the end of the body */
};

/* Compares two bodies as they are hashed. Returns 0 or -E_NOMEM. */
int differ_bodies(struct differ_body *d, struct bytes was, struct bytes is,
    struct arena *a);

/* ---- what may have happened ---------------------------------------------- */

#define DIFFER_WORK ((size_t)1 << 30)	/* a good bound: seconds at most */

/* Octets that may still be hashed; tries that were made. */
struct differ_work {
	size_t left;
	size_t n_tries;
	bool is_out;		/* a try was left out */
};

struct differ_guess {
	struct bytes what;		/* a sentence; p == NULL: none fits */
	struct canon_header header;	/* that fits, canonical values */
	struct bytes body;		/* that fits, canonical */
};

/* What does not fit. */
struct differ_target {
	enum dkim2_hash algorithm;
	struct bytes digest;		/* what it was */
	struct bytes above;		/* octets of the header block above the
					   signature; may be empty */
};

/*
 * Looks for a change of the header that makes its hash fit: fields added
 * (one, two, those above the signature, those of list managers), a common
 * field lost, a text put before or behind the Subject, addresses written in
 * another way, blanks at folds, another transfer encoding, another order.
 *
 * Returns  0, -E_NOMEM or -E_CRYPTO
 */
int differ_guess_header(struct differ_guess *g, const struct canon_header *is,
    const struct differ_target *t, struct differ_work *work, struct arena *a);

/*
 * The same for the body: lines added at its end, its top or inside, white
 * space and line ends changed in usual ways, long lines cut, dots and From_
 * lines stuffed; and what signers do wrong.
 */
int differ_guess_body(struct differ_guess *g, struct bytes is,
    const struct differ_target *t, struct differ_work *work, struct arena *a);

/* A key that may have signed. */
struct differ_key {
	struct bytes name;	/* of its record */
	struct bytes record;
};

/*
 * The same for one member of s= of signature i: signing inputs with a field
 * less, in another order, spelt in another way; the keys that there are. Only
 * `what` of the guess is set.
 *
 * keys     the first is the one that it should be; none where it is unknown
 */
int differ_guess_signature(struct differ_guess *g, const struct chain *c,
    size_t i, const struct signature_member *member,
    const struct differ_key *keys, size_t n_keys, struct arena *a);

#endif
