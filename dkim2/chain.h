/*
 * The DKIM2 fields of a message as a chain: who comes after whom, and
 * whether each may.
 */
#ifndef DKIM2_CHAIN_H
#define DKIM2_CHAIN_H

#include "dkim2/canon.h"
#include "dkim2/instance.h"
#include "dkim2/reason.h"
#include "dkim2/signature.h"

/*
 * Both tables are in the order of the numbers. Where is_numbered, they run
 * from 1 without gap or double: instances[m - 1] and signatures[i - 1]; the
 * contents of each may still have a fault of its own.
 */
struct chain {
	struct instance *instances;
	size_t n_instances;
	struct signature *signatures;
	size_t n_signatures;
	bool is_numbered;
};

/*
 * Reads all DKIM2 fields of a message and checks their numbers and contents,
 * recipes included, as far as it can be done without the body.
 *
 * faults   all that is wrong, in the order of the draft, is added; a message
 *          without any DKIM2 field adds DKIM2_NO_FIELDS
 * Returns  0 or -E_NOMEM
 * Lifetime of c: that of the arena and of the message
 * Source   draft 14.2
 */
int chain_read(struct chain *c, const struct dkim2_message *m,
    const struct dkim2_limits *limits, struct arena *a,
    struct reason_list *faults);

/* How many faults chain_read() may add for a message at most. */
size_t chain_faults_max(const struct dkim2_message *m,
    const struct dkim2_limits *limits);

/*
 * Says whether s may follow prev: custody (draft 14.4, 12.2). Only d, mf,
 * rt, nd and i of both are looked at, so that a signer may ask too.
 */
struct dkim2_verdict chain_custody(const struct signature *prev,
    const struct signature *s);

/* Says whether d= covers the domain of mf= (draft 10.5). */
struct dkim2_verdict chain_mail_from_domain(const struct signature *s);

/*
 * Compares the envelope with that of a signature: MAIL FROM first, then each
 * RCPT TO in turn (draft 14.4).
 */
struct dkim2_verdict chain_envelope(const struct signature *s,
    const struct dkim2_envelope *e);

/* Equal paths: the domain without case, the rest octet by octet. */
bool chain_path_eq(struct bytes a, struct bytes b);

/*
 * Makes the signing input of signature i, from 1, of a chain that
 * is_numbered.
 *
 * Returns  0 or what sink returned
 * Source   draft 12.8
 */
int chain_signing_input(const struct chain *c, size_t i, canon_sink *sink,
    void *to);

/*
 * The same in two parts. All lines but the last are those of the instances,
 * then those of the signatures before: signatures that cover the same
 * instances share them, so that they need to be hashed only once.
 */
struct chain_head {
	size_t n_instances, n_signatures;	/* lines that were made */
};

/* Says whether what was made begins the input of signature i. */
bool chain_head_fits(const struct chain *c, size_t i,
    const struct chain_head *done);

/* Makes the lines before the last behind those done, which must fit. */
int chain_signing_head(const struct chain *c, size_t i,
    struct chain_head *done, canon_sink *sink, void *to);

/* Makes the last line: signature i without its own signatures. */
int chain_signing_last(const struct chain *c, size_t i, canon_sink *sink,
    void *to);

#endif
