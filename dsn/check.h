/*
 * What a DSN that comes in may be relied upon (draft 16.4).
 *
 * Like the verifier of dkim2.h: octets, the time and key records go in, a
 * verdict comes out.
 */
#ifndef DSN_CHECK_H
#define DSN_CHECK_H

#include "dsn/parse.h"

struct dsn_check_options {
	int64_t now_s;				/* seconds since 1970 */
	const struct dkim2_envelope *envelope;	/* of the DSN; not NULL */
	const struct dkim2_limits *limits;	/* NULL: the default */
	const struct dkim2_limits *returned_limits;	/* of what it returns;
						   NULL: the same */
};

/* Everything that may be wrong, in the order in which it is reported. */
enum dsn_reason {
	DSN_OK,
	DSN_UNREADABLE,			/* no DSN at all */
	DSN_RETURNED_UNREADABLE,	/* a DSN that returns no message */
	DSN_RETURNED_UNCHECKABLE,	/* one whose octets are not there */
	DSN_UNSIGNED,
	DSN_RETURNED_UNSIGNED,
	DSN_BROKEN,			/* verdict: of the DSN */
	DSN_RETURNED_BROKEN,		/* verdict: of the returned message */
	DSN_SIGNER_OTHER,		/* no rt= of what it returns fits d= */
	DSN_RECIPIENT_OTHER,		/* not to who sent what it returns */
	DSN_REASON__N
};

struct dsn_result {
	enum dkim2_state state;		/* never DKIM2_NONE */
	enum dsn_reason reason;
	struct dkim2_verdict verdict;	/* where the reason says so */
	const struct dsn_report *report;	/* NULL: it did not parse */
	const struct dkim2_result *dsn;		/* NULL: not verified */
	/* Its provisional verdict is the one; the full one is not made. */
	const struct dkim2_result *returned;	/* NULL: not verified */
};

/* Adds the text of a result, without the state; nothing for DSN_OK. */
void dsn_result_text(const struct dsn_result *r, struct buf *out);

struct dsn_check;

/*
 * Reads and checks a DSN as far as it can be done without keys.
 *
 * a        takes all memory of the check
 * m, body  the message, complete; live as long as the check, as does the
 *          envelope
 * Returns  0, -E_NOMEM or -E_CRYPTO (there is then no verdict)
 * Lifetime the check lives in the arena; dsn_check_fini() gives back what
 *          the crypto library holds, whatever was returned
 */
int dsn_check_new(struct dsn_check **c, struct arena *a,
    const struct dkim2_message *m, struct bytes body,
    const struct dsn_check_options *opts);

/* c may be NULL. */
void dsn_check_fini(struct dsn_check *c);

/* DKIM2_WANT_KEY, or DKIM2_DONE when the result is there. */
enum dkim2_step dsn_check_step(const struct dsn_check *c);

/*
 * The TXT records that either message wants, each name once; none where it
 * is clear without keys that the DSN is no good.
 *
 * Returns  how many; names live as long as the check
 */
size_t dsn_check_wants(const struct dsn_check *c, const struct bytes **names);

/*
 * Answers the k-th want, in any order, once; further answers are ignored.
 * records is as in dkim2_verify_answer().
 *
 * Returns  0, -E_NOMEM or -E_CRYPTO
 */
int dsn_check_answer(struct dsn_check *c, size_t k, enum dkim2_key found,
    const struct bytes *records, size_t n);

/* The result, after DKIM2_DONE; until then NULL. Lives as long as c. */
const struct dsn_result *dsn_check_result(const struct dsn_check *c);

#endif
