/*
 * What a new revision of the drafts may change, in one place.
 * Source  draft-ietf-dkim-dkim2-spec-09; draft-ietf-dkim-dkim2-dns-02
 */
#ifndef DKIM2_DRAFT_H
#define DKIM2_DRAFT_H

#define DRAFT_INSTANCE "Message-Instance"
#define DRAFT_SIGNATURE "DKIM2-Signature"

#define DRAFT_NONCE_MAX 64		/* 10.3 */
#define DRAFT_LABEL_MAX 63		/* of a domain name */
#define DRAFT_DOMAIN_MAX 253
#define DRAFT_KEY_LABEL "._domainkey."	/* dns 3 */
#define DRAFT_KEY_VERSION "DKIM1"
#define DRAFT_KEY_RECORD_MAX 16384	/* ours: octets of one record */
#define DRAFT_RSA_BITS_MIN 1024		/* 3.2 */
#define DRAFT_RSA_EXPONENT 65537

/* Ours: what the limits are where nobody says otherwise. */
#define DRAFT_CHAIN_MAX 50
#define DRAFT_MEMBERS_MAX 8
#define DRAFT_KEYS_MAX 60
#define DRAFT_AGE_S (14 * 86400)	/* 14.3 */
#define DRAFT_FUTURE_S 86400
#define DRAFT_RECIPE_MAX (1U << 20)
#define DRAFT_UNDO_MAX (64U << 20)
#define DRAFT_RECIPE_STEPS_MAX 65536
#define DRAFT_RECIPE_DEPTH 5		/* inside "h" and "b" */
#define DRAFT_RECIPE_SHOWN 64		/* octets in a failure text */

#endif
