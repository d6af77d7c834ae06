/*
 * DMARC (RFC 7489): what the owner of a From domain asks for, and whether a
 * signature speaks for that domain. SPF is not looked at here: the caller
 * may name a domain that SPF passed for.
 */
#ifndef DKIM2_DMARC_H
#define DKIM2_DMARC_H

#include "dkim2/dkim2.h"

/* ---- records ------------------------------------------------------------ */

enum dmarc_policy {
	DMARC_POLICY_NONE,
	DMARC_POLICY_QUARANTINE,
	DMARC_POLICY_REJECT,
};

/* "none", "quarantine", "reject"; static storage. */
const char *dmarc_policy_name(enum dmarc_policy p);

struct dmarc_record {
	enum dmarc_policy p;
	enum dmarc_policy sp;		/* that of p= where there is no sp= */
	bool is_dkim_strict;		/* adkim=s */
	bool is_spf_strict;		/* aspf=s */
	unsigned pct;			/* 100 unless it says otherwise */
};

enum dmarc_parse {
	DMARC_RECORD,		/* record is filled in */
	DMARC_OTHER,		/* something else than a DMARC record */
	DMARC_UNUSABLE,		/* one, but it asks for nothing that is known */
};

/*
 * Reads a TXT record. It is one when it begins with v=DMARC1. Tags that are
 * unknown or make no sense are as if they were not there; only where p=, or
 * an sp= that is there, has no known value, the record is p=none if it has a
 * rua= that looks like one, else unusable.
 *
 * Source   RFC 7489 6.3, 6.4, 6.6.3
 */
enum dmarc_parse dmarc_record_parse(struct dmarc_record *record,
    struct bytes text);

/* ---- alignment ---------------------------------------------------------- */

/*
 * The organisational domain: the public suffix and one label more; domain
 * itself where it is a public suffix or nothing that the list knows.
 *
 * Returns  a view of domain
 * Source   RFC 7489 3.2; the list that libpsl has built in
 */
struct bytes dmarc_organisation(struct bytes domain);

/*
 * Says whether two domains are aligned: the same (strict), or of the same
 * organisation (relaxed), without case, as A-labels. What is no name for DNS
 * never is.
 *
 * Source   RFC 7489 3.1
 */
bool dmarc_aligned(struct bytes a, struct bytes b, bool is_strict);

/* ---- finding the policy -------------------------------------------------- */

enum dmarc_state {
	DMARC_NONE,		/* no policy, or no domain to ask for one */
	DMARC_PASS,
	DMARC_FAIL,
	DMARC_TEMPERROR,	/* the policy can not be had now */
	DMARC_PERMERROR,	/* there are several, or one that is unusable */
};

/* "none", "pass", "fail", "temperror", "permerror"; static storage. */
const char *dmarc_state_name(enum dmarc_state s);

struct dmarc;

/*
 * Begins to look for the policy of one From domain.
 *
 * a        takes all memory
 * from     the domain of the one From mailbox (dkim2_message_from()), copied;
 *          empty, or no name that DNS has: the state is DMARC_NONE
 * Returns  0 or -E_NOMEM
 */
int dmarc_new(struct dmarc **d, struct arena *a, struct bytes from);

/*
 * DKIM2_WANT_KEY or DKIM2_DONE: at most two look-ups, one after the other,
 * the second only where the first finds no record.
 */
enum dkim2_step dmarc_step(const struct dmarc *d);

/* The TXT record that is wanted now ("_dmarc.example.org"), lower case. */
struct bytes dmarc_want(const struct dmarc *d);

/*
 * Answers what dmarc_want() says.
 *
 * records  with DKIM2_KEY_TXT: each record, its strings joined. Not kept
 */
void dmarc_answer(struct dmarc *d, enum dkim2_key found,
    const struct bytes *records, size_t n);

/* What DMARC says about a message, for the log and the results field. */
struct dmarc_verdict {
	enum dmarc_state state;
	bool has_policy;
	enum dmarc_policy policy;	/* p=, or sp= for a subdomain */
	unsigned pct;
	struct bytes from;	/* lower case, A-labels; lives as long as d */
};

/*
 * Judges, after DKIM2_DONE.
 *
 * signers  domains of signatures on which something may be built: d= of
 *          those that dkim1_counts()
 * spf      the domain that SPF passed for; empty: none
 * Source   RFC 7489 6.6.2, 11.2
 */
struct dmarc_verdict dmarc_judge(const struct dmarc *d,
    const struct bytes *signers, size_t n_signers, struct bytes spf);

#endif
