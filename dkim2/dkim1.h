/*
 * DKIM as it was before DKIM2: RFC 6376 with 8301 (no SHA-1, no short RSA
 * keys) and 8463 (Ed25519). The same kind of machine as dkim2.h has: octets,
 * the time and key records go in, results, wishes and octets come out.
 */
#ifndef DKIM2_DKIM1_H
#define DKIM2_DKIM1_H

#include "dkim2/dkim2.h"

/* ---- results ------------------------------------------------------------ */

/* The results of the method "dkim" (RFC 8601 2.7.1), but for "none". */
enum dkim1_state {
	DKIM1_PASS,
	DKIM1_FAIL,		/* the signature or the body hash is wrong */
	DKIM1_POLICY,		/* may be right, and is not good enough for us */
	DKIM1_NEUTRAL,		/* unreadable, unknown, or of a test key */
	DKIM1_TEMPERROR,
	DKIM1_PERMERROR,
	DKIM1_STATE__N
};

/* "pass", "fail", "policy" ...; static storage. */
const char *dkim1_state_name(enum dkim1_state s);

/* Why a signature did not pass. The texts are in dkim1_reason.c alone. */
enum dkim1_reason {
	DKIM1_OK,
	DKIM1_SYNTAX,			/* neutral */
	DKIM1_VERSION,
	DKIM1_TAG_MISSING,
	DKIM1_ALGORITHM_UNKNOWN,
	DKIM1_CANON_UNKNOWN,
	DKIM1_QUERY_UNKNOWN,
	DKIM1_TEST_KEY,			/* failed, with t=y in the key record */
	DKIM1_DOMAIN_MISMATCH,		/* permerror; i= is not under d= */
	DKIM1_FROM_UNSIGNED,
	DKIM1_ALGORITHM_HISTORIC,	/* rsa-sha1: RFC 8301 3.1 */
	DKIM1_KEY_MISSING,
	DKIM1_KEY_MULTIPLE,
	DKIM1_KEY_SYNTAX,
	DKIM1_KEY_REVOKED,
	DKIM1_KEY_MISMATCH,		/* k= is not what a= needs */
	DKIM1_KEY_MALFORMED,
	DKIM1_KEY_SHORT,		/* RFC 8301 3.2 */
	DKIM1_KEY_LONG,			/* more than we compute with */
	DKIM1_KEY_HASH,			/* h= of the key leaves sha256 out */
	DKIM1_KEY_SERVICE,		/* s= of the key leaves mail out */
	DKIM1_KEY_STRICT,		/* t=s, and i= is a subdomain of d= */
	DKIM1_LENGTH,			/* policy; l=, whatever it says */
	DKIM1_EXPIRED,
	DKIM1_FUTURE,
	DKIM1_KEY_UNFETCHED,		/* temperror */
	DKIM1_BODY_HASH,		/* fail */
	DKIM1_SIGNATURE_WRONG,
	DKIM1_REASON__N
};

/* A few words, without octets from the net; "" for DKIM1_OK. Static. */
const char *dkim1_reason_text(enum dkim1_reason r);

/* The state that comes with a reason. */
enum dkim1_state dkim1_reason_state(enum dkim1_reason r);

/*
 * One DKIM-Signature field and what became of it. Views of the message;
 * where the field does not read, those that were found, the others empty.
 */
struct dkim1_signature_result {
	const struct dkim2_field *field;
	enum dkim1_state state;
	enum dkim1_reason reason;
	struct bytes d, s, a;
	struct bytes i;			/* as written; empty: "@" and d= */
	struct bytes b;			/* as written, folds and all */
	int64_t t, x;			/* -1: not there */
	bool covers_from;	/* h= names every From field of the message */
	bool is_testing;	/* t=y in the key record */
	unsigned bits;		/* of the key; 0 where it was not read */
};

struct dkim1_result {
	const struct dkim1_signature_result *signatures; /* top field first */
	size_t n_signatures;
	size_t n_ignored;	/* DKIM-Signature fields past the bound */
};

/*
 * Says whether something may be built on a signature, alignment for one: it
 * passed, it covers every From field, and its key is not for testing (RFC
 * 6376 3.6.1: t=y is as if unsigned).
 */
bool dkim1_counts(const struct dkim1_signature_result *s);

/* ---- verifying ---------------------------------------------------------- */

#define DKIM1_SIGNATURES_MAX 8
#define DKIM1_FUTURE_S 86400	/* how far ahead t= may be */

struct dkim1_verify;

/*
 * Begins to verify all DKIM-Signature fields of one message in one pass.
 *
 * a        takes all memory of the verifier
 * now_s    seconds since 1970
 * Returns  0 or -E_NOMEM
 * Lifetime in the arena; dkim1_verify_fini() gives back what the crypto
 *          library holds
 */
int dkim1_verify_new(struct dkim1_verify **v, struct arena *a, int64_t now_s);

/* May be called with NULL. */
void dkim1_verify_fini(struct dkim1_verify *v);

/*
 * Takes the header block, once, before any of the body. All that needs
 * neither body nor key is decided now, and the wants are known. Of more than
 * DKIM1_SIGNATURES_MAX fields the top ones are looked at.
 *
 * m        lives as long as the verifier
 * Returns  0, -E_NOMEM or -E_CRYPTO
 * Source   RFC 6376 6.1.1, 3.5
 */
int dkim1_verify_header(struct dkim1_verify *v, const struct dkim2_message *m);

/* Takes the next octets of the body, split anyhow. Returns 0 or -E_CRYPTO. */
int dkim1_verify_body(struct dkim1_verify *v, struct bytes octets);

/* Says that the body is complete. Returns 0 or -E_CRYPTO. */
int dkim1_verify_end(struct dkim1_verify *v);

/* DKIM2_MORE, DKIM2_WANT_KEY or DKIM2_DONE. */
enum dkim2_step dkim1_verify_step(const struct dkim1_verify *v);

/*
 * The TXT records that are wanted, lower case, each name once; from the
 * header on.
 *
 * Returns  how many; names live as long as the verifier
 */
size_t dkim1_verify_wants(const struct dkim1_verify *v,
    const struct bytes **names);

/*
 * Answers the k-th want, in any order, once; further answers are ignored.
 *
 * records  with DKIM2_KEY_TXT: each record, its strings joined. Not kept
 * Returns  0, -E_NOMEM or -E_CRYPTO
 * Source   RFC 6376 3.6.1, 6.1.2, 6.1.3
 */
int dkim1_verify_answer(struct dkim1_verify *v, size_t k,
    enum dkim2_key found, const struct bytes *records, size_t n);

/*
 * The signatures from the header on; of one without a reason so far, state
 * and reason are not known yet. Lives as verifier and message do.
 */
const struct dkim1_result *dkim1_verify_seen(const struct dkim1_verify *v);

/* After DKIM2_DONE; NULL until then. Lives as verifier and message do. */
const struct dkim1_result *dkim1_verify_result(const struct dkim1_verify *v);

/* ---- signing ------------------------------------------------------------ */

#define DKIM1_KEYS_MAX 8

struct dkim1_sign_options {
	struct bytes domain;			/* d= */
	const struct dkim2_signing_key *keys;	/* a field for each */
	size_t n_keys;
	int64_t timestamp_s;			/* t= */
	int64_t expires_s;			/* x=; 0: none */
};

enum dkim1_refusal {
	DKIM1_MAY_SIGN,
	DKIM1_REFUSE_OPTIONS,	/* no or too many keys, a name that is none, x= not after t= */
	DKIM1_REFUSE_FROM,	/* no From field, or more than one */
	DKIM1_REFUSE_FIELDS,	/* h= would be unreasonably long */
	DKIM1_REFUSAL__N
};

/* One sentence for the log and for people; static storage. */
const char *dkim1_refusal_text(enum dkim1_refusal r);

struct dkim1_sign;

/*
 * Begins to sign with c=relaxed/relaxed. h= names From and the other fields
 * that people and their programs go by, once more than they are there (From
 * and other addresses, Subject) or once more where they are there (Date,
 * MIME fields ...); never a trace field, DKIM-Signature, Message-Instance or
 * DKIM2-Signature. l= is never written.
 *
 * m        the header as it will leave, but for the fields made here; lives
 *          as long as s, as do the octets of the options
 * why      set to the refusal, or to DKIM1_MAY_SIGN
 * Returns  0 (look at *why; *s is NULL where it is a refusal), -E_NOMEM or
 *          -E_CRYPTO
 * Lifetime in the arena; dkim1_sign_fini() as for the verifier
 */
int dkim1_sign_new(struct dkim1_sign **s, struct arena *a,
    const struct dkim2_message *m, const struct dkim1_sign_options *opts,
    enum dkim1_refusal *why);

/* May be called with NULL. */
void dkim1_sign_fini(struct dkim1_sign *s);

/* Takes the next octets of the body. Returns 0 or -E_CRYPTO. */
int dkim1_sign_body(struct dkim1_sign *s, struct bytes octets);

/* Says that the body is complete. Returns 0, -E_NOMEM or -E_CRYPTO. */
int dkim1_sign_end(struct dkim1_sign *s);

/*
 * Hashes a whole body, for several signatures of it (c=relaxed).
 *
 * digest   gets 32 octets
 * Returns  0, -E_NOMEM or -E_CRYPTO
 */
int dkim1_body_hash(struct bytes body, uint8_t *digest);

/* Stands for dkim1_sign_body() of the body that was hashed, and _end(). */
int dkim1_sign_hashed(struct dkim1_sign *s, const uint8_t *digest);

/* DKIM2_MORE, DKIM2_WANT_SIG or DKIM2_DONE. */
enum dkim2_step dkim1_sign_step(const struct dkim1_sign *s);

/*
 * What the k-th key is to sign: a SHA-256 of 32 octets, another one for each
 * key; as dkim2_private_key_sign() takes it (RFC 8463 3: Ed25519 signs the
 * hash). Empty before dkim1_sign_end().
 */
struct bytes dkim1_sign_want(const struct dkim1_sign *s, size_t k);

/* Answers for the k-th key. Returns 0 or -E_LIMIT for an impossible length. */
int dkim1_sign_answer(struct dkim1_sign *s, size_t k, struct bytes signature);

/*
 * The fields to put on top of the message, in the order of the keys; after
 * DKIM2_DONE, until then empty. Folded as fold.h says, CRLF line ends.
 */
struct bytes dkim1_sign_fields(const struct dkim1_sign *s);

#endif
