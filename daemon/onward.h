/*
 * One onward transaction: a connection to the next hop, recipients, and, once
 * the content is there, a signature of its own. At RCPT time recipients are
 * asked over it while the client waits; after the client's dot a message
 * leaves in one or more of them, which are then called copies.
 */
#ifndef DAEMON_ONWARD_H
#define DAEMON_ONWARD_H

#include "daemon/decide.h"
#include "daemon/outbound.h"
#include "daemon/received.h"
#include "daemon/relay_answer.h"
#include "daemon/relay_value.h"
#include "daemon/rewrite.h"
#include "daemon/signer.h"

struct relay;
struct relay_repaired;
struct relay_replaced;
struct relay_rewritten;

#define ONWARD_CONTENT 4	/* the first piece of the content */
#define ONWARD_PIECES 7

/* What becomes of a recipient. */
enum rcpt_state {
	RCPT_ASKED,	/* the next hop is being asked */
	RCPT_REFUSED,	/* by it, or it is gone: ->answer. Told at once, or
			   at the dot where the memory knows of it */
	RCPT_ACCEPTED,	/* by it */
	RCPT_SETTLED,	/* ->answer is the client's */
};

/*
 * A recipient of the onward transactions. An RCPT of the client's becomes one
 * for each address that an alias leads to; they stand side by side. Octets
 * are in the relay's arena.
 */
struct relay_rcpt {
	struct relay_rcpt *next;
	struct relay_rcpt *first;	/* of those of the same RCPT */
	size_t n_of;			/* how many they are */
	enum rcpt_state state;
	struct smtp_path to;		/* as the client said it */
	struct rewrite out;		/* the envelope it goes on with */
	struct outbound_rcpt said;	/* what RCPT says onward */
	struct onward *onward;		/* the one it was asked over, then its
					   copy; NULL: none */
	struct relay_rcpt *chained;	/* relay_index.c */
	uint32_t hash;
	struct relay_rcpt *twin;	/* goes with that one: the same onward
					   recipient; NULL: none */
	struct bytes told_as;		/* whom reports of the queue name: ->to,
					   or a twin's */
	size_t asked_as;		/* its number in what is open there */
	unsigned asked_in;		/* which of those transactions; 0: it is
					   to be asked for again */
	struct relay_answer answer;
	bool is_named;			/* in To or Cc */
	/* the memory's, relay_memory.c */
	bool is_known;			/* there is something of it */
	bool is_claiming;		/* it has not answered yet */
	bool is_claimed;		/* for us */
	bool is_recorded;		/* in the record of the arrival */
	bool is_unsure;			/* the dot was out, no answer came */
	bool is_discarded;		/* on purpose: answered 250 */
	unsigned number;		/* for tags */
	struct relay_value value;	/* what its copy has, or had before */
};

/* What stands at the next hop. */
enum onward_state {
	ONWARD_IDLE,	/* nothing */
	ONWARD_OPEN,	/* a transaction: recipients were asked, or are */
	ONWARD_SENDING,	/* the content too, or it is on its way */
	ONWARD_OVER,	/* a copy: each recipient has its answer */
};

struct onward {
	struct relay *relay;
	struct onward *next;
	struct onward *chained;		/* relay_index.c */
	uint32_t hash;
	enum onward_state state;
	/* where it goes, and as whom: who differs has another */
	const struct config_listener *way;	/* whose next hop it is */
	const struct config_next_hop *hop;
	struct bytes domain;		/* of the recipients, for mx */
	struct bytes mail_from;		/* with brackets */
	struct bytes identity;		/* d= it would be signed with; empty:
					   not known by the envelope */
	struct bytes before;		/* d= of an imaginary hop before it */
	struct bytes from_address;	/* local@domain that From may get;
					   empty: none */
	struct outbound *outbound;	/* NULL: none */
	unsigned n_begun;		/* transactions */
	size_t n_asked;			/* recipients, in what is open */
	size_t n_accepted;
	bool is_return;			/* to an address of ours: what its
					   sender wants to hear is not asked */
	bool is_8bit;			/* said at its MAIL */
	struct decision decision;	/* once the message is there */
	unsigned n_sharing;		/* recipients that may share a copy */
	struct bytes sharing;		/* who they are, as relay_value.h has
					   it; empty: fewer than two, or we
					   do not sign */
	/* of a copy alone */
	struct onward *asked;		/* the one its recipients come from;
					   NULL: this is no copy */
	struct relay_rcpt **rcpts;
	size_t n_rcpts;
	bool is_begun;			/* by onward_send() */
	bool is_ending;			/* relay_copy_over() comes */
	bool is_each;			/* what was said of the content, was
					   said of each recipient alone */
	struct relay_value value;	/* time, id and Received it has */
	const struct relay_repaired *repaired;	/* what it has on top of what
					   came; NULL: nothing */
	const struct relay_rewritten *rewritten; /* what came, with another
						   From; NULL: with its own */
	const struct relay_replaced *replaced;	/* what it is in the place of
						   what came; NULL: that */
	struct dkim2_envelope leaves;	/* the envelope it is signed for */
	struct dkim2_sign *sign;	/* the last; NULL: it is not signed */
	struct onward_hop {		/* a signature of ours */
		size_t n;		/* asked for: with each key of d= */
		const struct signer_key *keys;
		struct bytes fields;	/* once it is there */
	} hops[2];			/* the imaginary one first */
	size_t n_hops;			/* begun */
	struct dkim1_sign *dkim1;	/* beside; NULL: none */
	const struct signer_key *dkim1_keys;
	struct bytes signatures;	/* all fields, once they are there */
	bool has_tag;
	uint64_t tag;			/* of questions to the signer */
	struct bytes pieces[ONWARD_PIECES];	/* what is sent: what we add,
					   then what came */
	char signed_as[560];		/* for the log */
	struct loop_deferred deferred;
};

/*
 * A transaction to one place, with nothing at the next hop so far.
 *
 * like     where it goes, and as whom; views that live as long as r
 * Returns  NULL without memory. It lives in r's arena
 */
struct onward *onward_new(struct relay *r, const struct onward *like);

/*
 * Asks the next hop for a recipient. relay_rcpt_heard() says what came of it,
 * never before this returns; relay_onward_lost() that the next hop is gone
 * for all of them. 0 or -E_NOMEM.
 */
int onward_ask(struct onward *o, struct relay_rcpt *rcpt);

/*
 * Gives a copy the connection that its recipients were asked over. Where they
 * are all that was asked there they need not be asked for again.
 */
void onward_take(struct onward *copy, struct onward *asked);

/*
 * Signs a copy where its decision says so, asks for its recipients again
 * where nothing is open, and sends it. Each recipient is then settled, and
 * relay_copy_over() is called, never before this returns. A copy for the
 * queue is over once its pieces are there, or its recipients are settled.
 */
void onward_send(struct onward *o);

/* An answer of the signer for its tag. */
void onward_signature(struct onward *o, size_t k, struct bytes signature);

/* Whether its final dot may be out, so that the answer has to be awaited; or
 * relay_copy_over() is still to be called. */
bool onward_is_committed(const struct onward *o);

/*
 * Gives up what is open at the next hop.
 *
 * Returns  the connection where there is one; the caller's
 */
struct outbound *onward_abort(struct onward *o);

/* Gives up all it holds; a connection that is whole is kept for others. */
void onward_close(struct onward *o);

/* Whether a copy is one of several that an alias makes of a message. */
bool onward_is_exploded(const struct onward *o);

/* The body that a copy has. */
struct bytes onward_body(const struct onward *o);

/* ---- onward_sign.c ---- */

/*
 * Begins to sign a copy. Where a rule forbids it ->decision is changed, and
 * ->sign is NULL.
 *
 * Returns  0, or -E_* where it can not be signed now
 */
int onward_sign(struct onward *o);

/*
 * Takes a signature.
 *
 * Returns  0, or -E_* where the message can not be signed now
 */
int onward_sign_answer(struct onward *o, size_t k, struct bytes signature);

/* Whether all signatures that were asked for are there. */
bool onward_sign_is_done(const struct onward *o);

/* Puts all fields together, once they are there. 0 or -E_NOMEM. */
int onward_sign_gather(struct onward *o);

/* Asks the signer for one signature; k numbers the answer. 0 or -E_SYSTEM. */
int onward_sign_ask(struct onward *o, const struct signer_key *key,
    struct bytes digest, size_t k);

/* ---- onward_dkim1.c ---- */

/* Numbers of its answers begin here. */
#define ONWARD_DKIM1 128U

/*
 * Begins a DKIM1 signature with each key of the domain that signs. Without
 * one a copy leaves where DKIM1 forbids it.
 *
 * m        the header as it leaves, but for our fields; lives as long as o
 * Returns  0, or -E_* where it can not be signed now
 */
int onward_dkim1(struct onward *o, const struct dkim2_message *m);

/* Takes a signature, and proves one of RSA. 0 or -E_*. */
int onward_dkim1_answer(struct onward *o, size_t k, struct bytes signature);

/*
 * Whether a signature is one of the key. A bit that falls over while one of
 * RSA is made can give the key away; it must not leave.
 *
 * id       of the message, for the log
 * Returns  0; -E_CRYPTO where it is not (logged), or that can not be told
 */
int onward_dkim1_prove(const char *id, const struct signer_key *key,
    struct bytes digest, struct bytes signature);

/* ---- onward_prove.c ---- */

/*
 * Has our own verifier look at the finished message, in ->pieces: what it
 * finds wrong must not leave. Where the chain is too old ->decision is changed,
 * and ->sign is NULL.
 *
 * Returns  0; -E_CRYPTO where it does not verify, which is in the log; -E_*
 *          where that can not be told now
 */
int onward_prove(struct onward *o);

/* ---- onward_sign.c ---- */

/* Writes ->signed_as. */
void onward_sign_describe(struct onward *o);

/* Octets that we add to a message of this listener, at most. */
uint64_t onward_growth(const struct hub *h, const struct config_listener *l);

#endif
