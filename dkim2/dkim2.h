/*
 * libdkim2: verifies and extends DKIM2 chains (draft-ietf-dkim-dkim2-spec-09).
 *
 * No I/O, no clock, no globals: octets, the time and key records go in;
 * verdicts, wishes ("I want this key", "I want this signature") and octets
 * come out. Octets are views (struct bytes, base/bytes.h) that own nothing.
 *
 * Paths are written as SMTP has them, with angle brackets: "<a@b.example>",
 * "<>" for the null path.
 */
#ifndef DKIM2_DKIM2_H
#define DKIM2_DKIM2_H

#include "base/arena.h"
#include "base/bytes.h"

/* ---- messages ---------------------------------------------------------- */

/* One header field as it came. All three are views of the header block. */
struct dkim2_field {
	struct bytes raw;	/* from the name to the last CRLF, folds and all */
	struct bytes name;	/* without white space before the colon */
	struct bytes value;	/* behind the colon, without the last CRLF */
};

/* A header block, split; fields stand as they came, the top one first. */
struct dkim2_message {
	struct bytes header;	/* without the empty line that ends it */
	struct dkim2_field *fields;
	size_t n_fields;
};

/*
 * Where the header block ends.
 *
 * b        a message or the beginning of one
 * body_at  set to the offset of the body, behind the empty line
 * Returns  the octets of the header block without the empty line; SIZE_MAX
 *          while the empty line has not come yet
 */
size_t dkim2_header_end(struct bytes b, size_t *body_at);

/*
 * The same for one who calls again as b grows: the first `seen` octets were
 * there at an earlier call that found no end, and are not searched again.
 */
size_t dkim2_header_end_from(struct bytes b, size_t seen, size_t *body_at);

/*
 * Splits a header block into fields.
 *
 * header   without the empty line; what m then holds are views of it
 * a        takes the table of fields
 * Returns  0, -E_NOMEM, -E_LIMIT with more than max_fields fields, or
 *          -E_SYNTAX for a line that is no field: no colon, no name, a name
 *          with octets that are not printable, or a first line that begins
 *          with white space (RFC 5322 2.2, 3.6.8)
 */
int dkim2_message_parse(struct dkim2_message *m, struct bytes header,
    size_t max_fields, struct arena *a);

/*
 * The fields of one name (any case).
 *
 * Returns  how many there are; *first is the top one, where there is one
 */
size_t dkim2_message_find(const struct dkim2_message *m, struct bytes name,
    const struct dkim2_field **first);

/*
 * The domain of the one mailbox of the one From field.
 *
 * domain   a view of the field, as written; set only on DKIM2_FROM_ONE
 * Source   draft 11
 */
enum dkim2_from {
	DKIM2_FROM_ONE,		/* one field with one mailbox with a domain */
	DKIM2_FROM_NONE,	/* no From field */
	DKIM2_FROM_MANY,	/* two or more From fields */
	DKIM2_FROM_UNCLEAR,	/* one field, but not exactly one mailbox */
};
enum dkim2_from dkim2_message_from(const struct dkim2_message *m,
    struct arena *a, struct bytes *domain);

/*
 * Whether To or Cc names the address of a path: local part octet for octet,
 * domain without case. What of these fields can not be read clearly names
 * nobody. Who is not named is hidden: signed for together with others he
 * would be shown to them in rt=.
 *
 * Source   RFC 5322 3.4, 3.6.3; product.md, One transaction
 */
bool dkim2_message_names(const struct dkim2_message *m, struct bytes path);

/*
 * The relaxed domain match: name equals domain or is a subdomain of it.
 * Without case, A-labels; an address literal never matches.
 *
 * Source   draft 7.1
 */
bool dkim2_domain_covers(struct bytes domain, struct bytes name);

/* The domain of a path; empty for the null path and where there is none. */
struct bytes dkim2_path_domain(struct bytes path);

/* ---- algorithms --------------------------------------------------------- */

enum dkim2_hash { DKIM2_SHA256, DKIM2_SHA512, DKIM2_HASH__N };

#define DKIM2_HASH_MAX 64	/* octets of the longest digest */
#define DKIM2_SIGNATURE_MAX 1024	/* octets of the longest signature */

enum dkim2_algorithm {
	DKIM2_RSA_SHA256,
	DKIM2_ED25519_SHA256,
	DKIM2_ALGORITHM__N	/* also: an algorithm we do not know */
};

/* "rsa-sha256", "sha512" ...; static storage. */
const char *dkim2_algorithm_name(enum dkim2_algorithm a);
const char *dkim2_hash_name(enum dkim2_hash h);

/* The hashes of one state of a message, for each wanted algorithm. */
struct dkim2_digests {
	unsigned have;		/* bits 1 << enum dkim2_hash */
	uint8_t header[DKIM2_HASH__N][DKIM2_HASH_MAX];
	uint8_t body[DKIM2_HASH__N][DKIM2_HASH_MAX];
};

/* ---- verdicts ----------------------------------------------------------- */

enum dkim2_state {
	DKIM2_NONE,		/* no DKIM2 field at all */
	DKIM2_PASS,
	DKIM2_FAIL,
	DKIM2_PERMERROR,
	DKIM2_TEMPERROR,
};

/* "none", "pass", "fail", "permerror", "temperror"; static storage. */
const char *dkim2_state_name(enum dkim2_state s);

/*
 * Every failure of the draft, in the order of its section 14. The texts are
 * in reason.c and nowhere else.
 */
enum dkim2_reason {
	DKIM2_OK,
	DKIM2_NO_FIELDS,		/* 14.2 */
	DKIM2_TOO_MANY_FIELDS,
	DKIM2_INSTANCE_NUMBER_MISSING,
	DKIM2_INSTANCE_SYNTAX,
	DKIM2_INSTANCE_MISSING,
	DKIM2_INSTANCE_UNSIGNED,
	DKIM2_SIGNATURE_NUMBER_MISSING,
	DKIM2_SIGNATURE_MISSING,
	DKIM2_INSTANCE_TAG_MISSING,	/* tag */
	DKIM2_INSTANCE_HASH_TWICE,
	DKIM2_INSTANCE_JSON,
	DKIM2_INSTANCE_RECIPE,		/* value: the recipe */
	DKIM2_INSTANCE_NULL_RECIPE,
	DKIM2_SIGNATURE_SYNTAX,
	DKIM2_SIGNATURE_TAG_MISSING,	/* tag */
	DKIM2_SIGNATURE_TAG_UNEXPECTED,	/* tag */
	DKIM2_SIGNATURE_SELECTOR_TWICE,
	DKIM2_SIGNATURE_SELECTORS_MANY,
	DKIM2_EXPIRED,			/* 14.3 */
	DKIM2_FUTURE,
	DKIM2_MAIL_FROM_OTHER,		/* 14.4; value: the path */
	DKIM2_RCPT_TO_OTHER,		/* value: the path */
	DKIM2_MAIL_FROM_DOMAIN,
	DKIM2_NEXT_DOMAIN_OTHER,
	DKIM2_CUSTODY_MAIL_FROM,	/* other: the earlier i */
	DKIM2_CUSTODY_DOMAIN,		/* other: the earlier i */
	DKIM2_NEXT_DOMAIN_ON_TOP,
	DKIM2_KEY_UNFETCHED,		/* 14.5; value: the selector */
	DKIM2_KEY_MISSING,
	DKIM2_KEY_MULTIPLE,
	DKIM2_KEY_SYNTAX,
	DKIM2_KEY_MISMATCH,
	DKIM2_KEY_REVOKED,
	DKIM2_KEY_MALFORMED,
	DKIM2_KEYS_MANY,		/* ours: more look-ups than we make */
	DKIM2_ALGORITHM_UNKNOWN,	/* 14.6; value: the selector */
	DKIM2_SIGNATURE_WRONG,		/* value: the selector */
	DKIM2_SIGNATURE_GROUPS,
	DKIM2_HASH_UNKNOWN,		/* 14.7; value: the hash */
	DKIM2_HEADER_HASH,		/* value: the hash */
	DKIM2_BODY_HASH,		/* value: the hash */
	DKIM2_HASH_GROUPS,
	DKIM2_RECIPE_WORK,		/* ours: a recipe past our budget */
	DKIM2_FROM_UNAUTHENTIC,		/* 14.8 */
	DKIM2_DUPLICATE,		/* 15 */
	DKIM2_REASON__N
};

struct dkim2_verdict {
	enum dkim2_state state;
	enum dkim2_reason reason;
	uint32_t number;		/* i= or m=, as the reason says */
	uint32_t other;			/* a second number, where it has one */
	struct bytes value;		/* what it names; a view */
};

/*
 * Adds the draft's text of a verdict, without the state before it; octets
 * of the value that are not printable are escaped. Adds nothing for DKIM2_OK.
 */
void dkim2_verdict_text(const struct dkim2_verdict *v, struct buf *out);

/* ---- verifying ---------------------------------------------------------- */

enum dkim2_step {
	DKIM2_MORE,	/* wants the rest of the body, then _end() */
	DKIM2_WANT_KEY,	/* the message is all there; keys are not */
	DKIM2_WANT_SIG,	/* dkim2_sign_want() says what is to be signed */
	DKIM2_DONE,	/* the result is there */
};

/* What the resolver found. The core never asks why a look-up was slow. */
enum dkim2_key { DKIM2_KEY_TXT, DKIM2_KEY_ABSENT, DKIM2_KEY_TEMPFAIL };

struct dkim2_envelope {
	struct bytes mail_from;		/* with angle brackets */
	const struct bytes *rcpt_to;	/* each with angle brackets */
	size_t n_rcpt_to;
};

/* Bounds and choices; dkim2_limits_default() fills in the draft's. */
struct dkim2_limits {
	size_t max_chain;	/* signatures, and instances: 50 */
	size_t max_members;	/* of one s= or h=: 8 */
	size_t max_keys;	/* look-ups for one message: 60 */
	int64_t max_age_s;	/* 14 days */
	int64_t max_future_s;	/* 86,400 */
	size_t max_recipe;	/* octets of one decoded recipe: 1 MiB */
	size_t max_undo;	/* octets that undoing may produce: 64 MiB */
};
void dkim2_limits_default(struct dkim2_limits *l);

/* How much of a chain is looked at. */
enum dkim2_scope {
	DKIM2_WHOLE,		/* every hop: both verdicts are there */
	/*
	 * What Provisionally Verified asks of the last hop: only its keys are
	 * wanted and nothing is undone; the full verdict stays DKIM2_NONE.
	 */
	DKIM2_LAST_HOP,
	DKIM2_LAST_HOP_HEADER,	/* the same where there is no body to hash */
	/*
	 * What the last n_new hops did, where the chain below them was
	 * verified before: the fields, times, envelope and custody of all,
	 * their keys and signatures, and the states of the message from the
	 * top one down to that which they got. The full verdict is of these.
	 */
	DKIM2_NEW_HOPS,
	/*
	 * No chain is read: both verdicts are DKIM2_NONE, and digests are
	 * those of the hashes asked for alone.
	 */
	DKIM2_DIGESTS,
};

/*
 * Public keys that were read before, so that the next message with the same
 * key record finds its key ready: for one thread, as long as it likes.
 */
struct dkim2_keyring;

/*
 * Makes a ring.
 *
 * n        keys that it has room for; a few KiB each in the crypto library
 * a        takes 200 octets for each
 * Returns  0 or -E_NOMEM
 * Lifetime until the arena goes, dkim2_keyring_fini() before that
 */
int dkim2_keyring_new(struct dkim2_keyring **r, struct arena *a, size_t n);

/* Gives back what the crypto library holds. r may be NULL. */
void dkim2_keyring_fini(struct dkim2_keyring *r);

struct dkim2_verify_options {
	int64_t now_s;				/* seconds since 1970 */
	const struct dkim2_envelope *envelope;	/* NULL: not checked */
	const struct dkim2_limits *limits;	/* NULL: the default */
	unsigned hashes;	/* digests wanted in any case: 1 << dkim2_hash */
	enum dkim2_scope scope;
	size_t n_new;		/* DKIM2_NEW_HOPS: how many; 0: no key is
				   wanted and nothing is undone */
	unsigned trusted;	/* 1 << dkim2_algorithm: signatures that pass
				   without a look, as the caller made them */
	/* What the caller knows of the body, which is then given as a whole
	 * alone, to dkim2_verify_end(). NULL: nothing */
	const struct dkim2_digests *known;
	struct dkim2_keyring *keyring;		/* NULL: none */
};

/* How the message stands to the world of DKIM2 (product.md, Verify). */
enum dkim2_condition {
	DKIM2_NEVER_ENTERED,	/* no DKIM2 field */
	DKIM2_LEFT,		/* all is good but the envelope (and it alone) */
	DKIM2_NEVER_LEFT,	/* Fully Verified */
	DKIM2_UNCLEAR,		/* anything else */
};

/* One s= member of one signature, and what became of it. */
struct dkim2_member_result {
	struct bytes selector;
	struct bytes algorithm;
	unsigned group;			/* from 0 */
	struct dkim2_verdict verdict;
};

/* One link of the chain, for people. */
struct dkim2_signature_result {
	uint32_t i, m;
	int64_t t;
	struct bytes d;
	struct bytes mf;		/* path; p == NULL where there is none */
	const struct bytes *rt;		/* paths */
	size_t n_rt;
	struct bytes nd;		/* p == NULL where there is none */
	struct bytes n;			/* p == NULL where there is none */
	const struct bytes *flags;
	size_t n_flags;
	const struct dkim2_member_result *members;
	size_t n_members;
	struct dkim2_verdict verdict;	/* of s= alone: keys and signatures */
};

struct dkim2_instance_result {
	uint32_t m;
	bool has_recipe;
	struct dkim2_verdict verdict;	/* of its hashes */
};

struct dkim2_result {
	struct dkim2_verdict full;
	struct dkim2_verdict provisional;	/* draft 13.2 */
	enum dkim2_condition condition;
	const struct dkim2_signature_result *signatures;	/* i = 1 first */
	size_t n_signatures;
	const struct dkim2_instance_result *instances;		/* m = 1 first */
	size_t n_instances;
	const struct dkim2_verdict *all;	/* every failure, in order */
	size_t n_all;
};

struct dkim2_verify;

/*
 * Begins to verify one message.
 *
 * a        takes all memory of the verifier; its cap is the message's
 * opts     copied; the envelope's octets must live as long as the verifier
 * Returns  0 or -E_NOMEM
 * Lifetime the verifier lives in the arena; there is nothing to free but,
 *          for the hashing state of the crypto library, dkim2_verify_fini()
 */
int dkim2_verify_new(struct dkim2_verify **v, struct arena *a,
    const struct dkim2_verify_options *opts);

/* Gives back what the crypto library holds. v may be NULL. */
void dkim2_verify_fini(struct dkim2_verify *v);

/*
 * Takes the header block, once, before any of the body: structure,
 * timestamps, envelope, custody and header hashes are checked now, and the
 * keys that will be needed are known when it returns.
 *
 * m        split by dkim2_message_parse(); lives as long as the verifier
 * Returns  0, -E_NOMEM or -E_CRYPTO (the verdict is then no verdict)
 */
int dkim2_verify_header(struct dkim2_verify *v, const struct dkim2_message *m);

/*
 * Takes the next octets of the body, as the next hop will see them. They are
 * hashed and not kept. Returns 0 or -E_CRYPTO.
 */
int dkim2_verify_body(struct dkim2_verify *v, struct bytes octets);

/*
 * Says that the body is complete.
 *
 * body     all of it, as a view: read only where a recipe is to be undone
 * Returns  0, -E_NOMEM or -E_CRYPTO
 */
int dkim2_verify_end(struct dkim2_verify *v, struct bytes body);

/* What is missing now. After DKIM2_DONE the result is there. */
enum dkim2_step dkim2_verify_step(struct dkim2_verify *v);

/*
 * The TXT records that are wanted ("sel._domainkey.example.org", lower case,
 * no dot at the end), each name once, from the header on.
 *
 * Returns  how many; names live as long as the verifier
 */
size_t dkim2_verify_wants(const struct dkim2_verify *v,
    const struct bytes **names);

/*
 * Answers the k-th want, in any order, once; further answers are ignored.
 *
 * records  with DKIM2_KEY_TXT: each TXT record at the name, its strings
 *          joined with nothing between; copied. None is as DKIM2_KEY_ABSENT
 * Returns  0, -E_NOMEM or -E_CRYPTO
 */
int dkim2_verify_answer(struct dkim2_verify *v, size_t k, enum dkim2_key found,
    const struct bytes *records, size_t n);

/*
 * The verdict, after DKIM2_DONE; until then NULL. Lives as long as the
 * verifier and the message.
 */
const struct dkim2_result *dkim2_verify_result(const struct dkim2_verify *v);

/*
 * The digests of the message as received, after _end(): of the hashes asked
 * for in the options and of those the top instance names.
 */
const struct dkim2_digests *dkim2_verify_digests(const struct dkim2_verify *v);

/* ---- signing ------------------------------------------------------------ */

struct dkim2_signing_key {
	struct bytes selector;
	enum dkim2_algorithm algorithm;
};

/* Flags of f= that we write (draft 10.10). */
#define DKIM2_FLAG_FEEDBACK 1U
#define DKIM2_FLAG_FEEDHERE 2U
#define DKIM2_FLAG_EXPLODED 4U

struct dkim2_sign_options {
	struct bytes domain;			/* d= */
	const struct dkim2_signing_key *keys;
	size_t n_keys;
	bool is_or;			/* one group each, not all in one */
	const struct dkim2_envelope *envelope;	/* mf= and rt=, or: */
	struct bytes next_domain;		/* nd= */
	int64_t timestamp_s;
	struct bytes nonce;			/* empty: no n= */
	unsigned flags;
	bool is_private;		/* it goes where it was not sent to: one of
					   before that asked for feedback gets it
					   by way of us (feedhere) */
	unsigned hashes;			/* 0: sha256 alone */
	struct bytes recipe;	/* JSON of a change since the top instance */
};

/* Why a signature would be one that no verifier accepts, or must not be. */
enum dkim2_refusal {
	DKIM2_MAY_SIGN,
	DKIM2_REFUSE_OPTIONS,	/* no key, no domain, both or neither of envelope and nd=, bad nonce ... */
	DKIM2_REFUSE_CHAIN,	/* the fields there are do not parse as a chain */
	DKIM2_REFUSE_CHAIN_FULL,	/* the chain is as long as it may be */
	DKIM2_REFUSE_CONTENT,	/* changed since the top instance, no recipe */
	DKIM2_REFUSE_FROM,	/* not one From with one mailbox (draft 12.4) */
	DKIM2_REFUSE_FROM_DOMAIN,	/* d= does not cover From */
	DKIM2_REFUSE_MAIL_FROM,	/* d= does not cover MAIL FROM (10.5) */
	DKIM2_REFUSE_CUSTODY,	/* custody would break (12.2) */
	DKIM2_REFUSE_RECIPE,	/* not a recipe, null body, or field > 64 KiB */
	DKIM2_REFUSE_EXPLODED,	/* exploded at i=1 */
	DKIM2_REFUSAL__N
};

/* One sentence for the log and for people; static storage. */
const char *dkim2_refusal_text(enum dkim2_refusal r);

struct dkim2_sign;

/*
 * Begins to sign: originates (i=1, m=1) where the message has no DKIM2
 * field, else extends its chain (i=n+1; a new instance only with a recipe).
 * That the chain was Fully Verified is the caller's to know (draft 12).
 *
 * m, d     the message as it will leave and its digests; live as long as s
 * why      set to the refusal, or to DKIM2_MAY_SIGN
 * Returns  0 (look at *why), -E_NOMEM, -E_LIMIT or -E_CRYPTO
 */
int dkim2_sign_new(struct dkim2_sign **s, struct arena *a,
    const struct dkim2_message *m, const struct dkim2_digests *d,
    const struct dkim2_sign_options *opts, enum dkim2_refusal *why);

/* DKIM2_WANT_SIG or DKIM2_DONE. */
enum dkim2_step dkim2_sign_step(const struct dkim2_sign *s);

/*
 * What is to be signed: the SHA-256 of the signing input (32 octets), the
 * same for every key (draft 3.2, 3.3, 12.8).
 */
struct bytes dkim2_sign_want(const struct dkim2_sign *s);

/*
 * Answers for the k-th key of the options; the last answer makes the fields.
 *
 * Returns  0, -E_LIMIT for an impossible length, and where the finished field
 *          would be over 64 KiB; -E_SYNTAX where it does not read back as
 *          what was meant (a bug of ours, caught before anyone sees it);
 *          -E_NOMEM or -E_CRYPTO
 */
int dkim2_sign_answer(struct dkim2_sign *s, size_t k, struct bytes signature);

/*
 * The fields to put on top of the message, after DKIM2_DONE: DKIM2-Signature,
 * then Message-Instance where there is a new one, folded, CRLF line ends.
 */
struct bytes dkim2_sign_fields(const struct dkim2_sign *s);

/* ---- recipes ------------------------------------------------------------ */

enum dkim2_diff {
	DKIM2_DIFF_NONE,	/* nothing that is hashed differs */
	DKIM2_DIFF_RECIPE,	/* the recipe leads back */
	DKIM2_DIFF_CANNOT,	/* no recipe that we may write does: a line
				   that none can hold, or too much work */
	DKIM2_DIFF_LONG,	/* its field would be over 64 KiB */
};

/*
 * Makes the recipe that turns a message as it leaves (now) back into what
 * came (old), in bounded time and memory. Fields are compared as they are
 * hashed: a new fold is no change. Before it is returned the recipe is
 * applied, and must give back exactly what was hashed; it never says that
 * the body is lost.
 *
 * json     set to the recipe on DKIM2_DIFF_RECIPE, in the arena
 * Returns  0 with *what set, -E_NOMEM or -E_CRYPTO
 * Source   draft 5
 */
int dkim2_diff(enum dkim2_diff *what, struct bytes *json, struct arena *a,
    const struct dkim2_message *old, struct bytes old_body,
    const struct dkim2_message *now, struct bytes now_body);

/* ---- what a server in between did --------------------------------------- */

/* What was put back. */
#define DKIM2_RESTORED_CHAIN 1U	/* DKIM2 fields that were stripped */
#define DKIM2_RESTORED_WRAPPED 2U	/* or that a part of the body has */
#define DKIM2_RESTORED_FROM 4U	/* the octets of From */

/*
 * Undoes what a server in between did to fields that a chain needs.
 *
 * Stripped DKIM2 fields are put back on top where now is shown to be the same
 * message: Message-ID and the mailbox of From are the same, the old body is
 * found in the new one, and DKIM2 fields that are left are those of old. In
 * a message that was wrapped the whole of the old one stands in a
 * message/rfc822 part, with its chain: that part is compared then. A From that
 * was only encoded, quoted or folded anew, with the same name and mailbox,
 * gets the octets of old.
 *
 * old      what came, now: what came back
 * out      the message to go on with: now, or a new header in the arena
 *          around the body of now
 * done     what was put back; 0: nothing, out is now
 * Returns  0 with *done set, -E_NOMEM or -E_CRYPTO
 */
int dkim2_restore(unsigned *done, struct dkim2_message *out, struct arena *a,
    const struct dkim2_message *old, struct bytes old_body,
    const struct dkim2_message *now, struct bytes now_body);

/*
 * Looks for the one message with DKIM2 fields in a message/rfc822 part, or
 * where all of the body is one: a list manager may wrap what it sends on.
 *
 * inner    set to it, with its body; views of body
 * is_there false where there is none, more than one, or parts that two readers
 *          might split in two ways
 * Returns  0 or -E_NOMEM
 */
int dkim2_wrapped(bool *is_there, struct dkim2_message *inner,
    struct bytes *inner_body, struct arena *a,
    const struct dkim2_message *outer, struct bytes body);

#endif
