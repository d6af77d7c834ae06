/* What the files of the verifier share; nobody else includes it. */
#ifndef DKIM2_VERIFY_STATE_H
#define DKIM2_VERIFY_STATE_H

#include "dkim2/chain.h"
#include "dkim2/crypto.h"
#include "dkim2/recipe.h"

/* What is known about one member of one s=. */
struct verify_member {
	size_t want;		/* which look-up; SIZE_MAX: none */
	bool is_done;		/* its verdict is there */
};

/* What is known about one signature. */
struct verify_signature {
	uint8_t digest[DKIM2_DIGEST];	/* of its signing input */
	struct verify_member *members;
	struct dkim2_member_result *results;
};

/* What is known about one instance. */
struct verify_instance {
	struct dkim2_verdict undo;	/* not PASS: its state is not known */
	bool *is_header_good;		/* for each member of h= */
	bool *is_body_good;
	struct dkim2_verdict from;	/* of the From field in this state */
};

struct dkim2_verify {
	struct arena *a;
	struct dkim2_verify_options opts;
	struct dkim2_envelope envelope;	/* where opts.envelope is set */
	struct dkim2_limits limits;
	const struct dkim2_message *message;
	struct chain chain;
	/*
	 * Set where structure has no fault at all: only then keys are wanted
	 * and hashes compared, and the tables below are there.
	 */
	bool is_sound;
	struct verify_signature *signatures;	/* as in chain */
	struct verify_instance *instances;
	struct bytes *wants;		/* names of key records, each once */
	bool *is_answered;
	size_t n_wants;
	size_t n_answers;
	struct reason_list all;		/* failures so far, in order */
	struct reason_list provisional;
	size_t budget;			/* octets that undoing may still make */
	struct dkim2_digests digests;	/* of the message as received */
	struct dkim2_hasher hashers[DKIM2_HASH__N];	/* of the body */
	struct canon_body body;
	uint64_t n_body;
	bool has_header, has_body, has_failed;
	struct dkim2_result *result;
};

/* Whether one hop alone is looked at, and asked for less than all. */
static inline bool
verify_is_last_hop(const struct dkim2_verify *v)
{
	return v->opts.scope != DKIM2_WHOLE && v->opts.scope != DKIM2_NEW_HOPS;
}

/* The lowest signature, from 1, whose keys are wanted; past the last: none. */
static inline size_t
verify_first_signature(const struct dkim2_verify *v)
{
	size_t n = v->chain.n_signatures;

	if (v->opts.scope == DKIM2_NEW_HOPS)
		return v->opts.n_new < n ? n - v->opts.n_new + 1 : 1;
	return verify_is_last_hop(v) ? n : 1;
}

/* The lowest state of a sound chain that is looked at. */
static inline size_t
verify_last_state(const struct dkim2_verify *v)
{
	size_t first = verify_first_signature(v);

	if (v->opts.scope == DKIM2_NEW_HOPS && first > 1)
		return v->chain.signatures[first - 2].m;
	return verify_is_last_hop(v) ? v->chain.n_instances : 1;
}

/* ---- verify_structure.c ------------------------------------------------- */

/*
 * Reads the chain and checks structure, timestamps, envelope and custody
 * (draft 14.2-14.4). Returns 0 or -E_NOMEM.
 */
int verify_structure(struct dkim2_verify *v);

/* ---- verify_hashes.c ---------------------------------------------------- */

/* The hashes that some instance of a sound chain names, as bits. */
unsigned verify_hashes_named(const struct dkim2_verify *v);

/*
 * Makes the header digests of every state, and looks at From in each that
 * needs it (draft 14.7, 14.8). Returns 0, -E_NOMEM or -E_CRYPTO.
 */
int verify_headers(struct dkim2_verify *v);

/*
 * Compares the body digests of every state with those that are named.
 *
 * body     all of it, read only where a recipe has steps for it
 * Returns  0, -E_NOMEM or -E_CRYPTO
 */
int verify_bodies(struct dkim2_verify *v, struct bytes body);

/* The verdict of one instance's hashes; room has 2 * max_members items. */
struct groups_item;
struct dkim2_verdict verify_instance_verdict(const struct dkim2_verify *v,
    size_t m, struct groups_item *room);

/* ---- verify_keys.c ------------------------------------------------------ */

/*
 * Finds out what is signed and which keys are wanted (draft 14.5, 14.6).
 * Returns 0, -E_NOMEM or -E_CRYPTO.
 */
int verify_keys(struct dkim2_verify *v);

/*
 * Checks all signatures that wait for the k-th key.
 * Returns 0, -E_NOMEM or -E_CRYPTO.
 */
int verify_key_found(struct dkim2_verify *v, size_t k, enum dkim2_key found,
    const struct bytes *records, size_t n);

/* ---- verify_result.c ---------------------------------------------------- */

/* Puts everything together. Returns 0 or -E_NOMEM. */
int verify_conclude(struct dkim2_verify *v);

#endif
