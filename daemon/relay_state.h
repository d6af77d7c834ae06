/* What the files of the relay share; nobody else includes it. */
#ifndef DAEMON_RELAY_STATE_H
#define DAEMON_RELAY_STATE_H

#include "daemon/annotate.h"
#include "daemon/arrival.h"
#include "daemon/content.h"
#include "daemon/loopcheck.h"
#include "daemon/memory.h"
#include "daemon/onward.h"
#include "daemon/policy.h"
#include "daemon/relay.h"
#include "daemon/repair.h"
#include "daemon/sender.h"
#include "dsn/check.h"
#include "dsn/report.h"

/* A message with what it lacked, as copies of one time and id have it. */
struct relay_repaired {
	struct relay_repaired *next;
	int64_t time_s;
	struct bytes id;
	struct bytes fields;		/* that are new, on top */
	struct dkim2_message message;	/* they, and the header that came */
	struct dkim2_digests digests;
};

/* A message with another From, as copies of one address have it. */
struct relay_rewritten {
	struct relay_rewritten *next;
	struct bytes address;
	bool is_good;			/* it is to leave so */
	struct dkim2_message message;
	struct dkim2_digests digests;
	struct bytes recipe;		/* back to what came; empty: no chain */
};

/* A DSN of ours, as copies of one time and id have it. */
struct relay_replaced {
	struct relay_replaced *next;
	int64_t time_s;
	struct bytes id;
	struct dkim2_message message;
	struct bytes body;
	struct dkim2_digests digests;
};

/* What leaves in the place of what came: a DSN built anew (relay_dsn.c). */
struct relay_dsn {
	struct dsn_made made;		/* but for its time and id */
	/* the failures that it tells of, made.rcpts among them */
	struct relay_failure {
		struct dsn_failed told;
		struct bytes digest;	/* for the memory: of the message, and
					   who did not get it */
		bool is_claiming;	/* the memory has not answered yet */
		bool is_claimed;	/* for us */
		bool is_busy;		/* another session tells of it */
		bool is_known;		/* it was told before */
	} *failures;
	size_t n_failures;
	struct dsn_failed *left;	/* room for made.rcpts */
	struct relay_replaced *written;
};

#define RELAY_CHAINS 64U	/* of an index, for thousands of recipients */

/* Named after what was just done. */
enum relay_state {
	RELAY_ASKING,	/* MAIL was answered 250: recipients are asked */
	RELAY_RECEIVING,	/* 354: the content comes */
	RELAY_VERIFYING,	/* it is all there; keys are not */
	RELAY_CHECKING,	/* keys of a report that came back are not */
	RELAY_FINDING,	/* how it came in is asked */
	RELAY_CLAIMING,	/* the memory is asked */
	RELAY_RECORDING,	/* how it came is written down */
	RELAY_SENDING,	/* copies are on their way */
	RELAY_SIGNING,	/* likewise, into the queue */
	RELAY_COMMITTING,	/* the queue process is asked to keep them */
	RELAY_ANSWERED,	/* the memory forgets when the client goes on */
	RELAY_OVER,	/* being freed */
};

struct relay {
	struct hub *hub;
	const struct config_listener *listener;
	struct inbound *session;	/* NULL: the client is not waiting */
	enum relay_state state;
	char id[RELAY_ID_MAX + 1];
	int64_t begun_ms;
	int64_t ended_ms;		/* its dot came; 0: not yet */
	uint64_t tag;			/* of key and memory questions */
	struct arena *arena;
	struct loop_timer *timer;	/* through-wait */
	struct loop_deferred deferred;
	/* what MAIL and RCPT said; octets in the arena */
	struct smtp_server_mail mail;
	struct relay_rcpt *rcpts;	/* those we said 250 to, in order */
	struct relay_rcpt **rcpts_end;
	unsigned n_rcpts;
	unsigned n_said;		/* RCPTs of the client they come from */
	struct relay_rcpt *said;	/* those of the RCPT that waits for its
					   answer; NULL: none does */
	struct relay_rcpt *asking;	/* the one of them that is asked for */
	bool is_looking;		/* and the memory's is not there */
	bool is_returning;		/* the memory is asked where said leads */
	bool is_single;			/* one recipient a transaction */
	bool is_forgetful;		/* the memory did not answer */
	struct outbound *spare;		/* idle, for whoever goes there; NULL */
	struct onward *asked;		/* the transactions of RCPT time */
	struct onward **asked_end;
	unsigned n_asked;
	struct relay_rcpt *by_path[RELAY_CHAINS];	/* relay_index.c */
	struct onward *by_way[RELAY_CHAINS];
	/* the content */
	struct content content;
	bool is_queued;			/* it goes into the queue */
	const char *held_why;		/* and waits there for the postmaster;
					   NULL: it does not */
	bool is_unasked;		/* it was to, and goes through: no next
					   hop was asked before its dot */
	bool is_8bit;			/* said at MAIL, or found */
	struct relay_answer fault;	/* what it is refused for at its dot */
	struct dkim2_message message;	/* as it came */
	struct repair repair;		/* what it lacks */
	struct relay_repaired *repaired;
	struct relay_rewritten *rewritten;
	struct relay_dsn *dsn;		/* NULL: what came is what leaves */
	struct dsn_check *check;	/* of a report that came back; NULL */
	struct relay_bounce *bounce;	/* of the server behind us; NULL: none */
	struct dkim2_envelope arrived;	/* the envelope it came with */
	struct dkim2_verify *verify;
	struct sender *sender;		/* by DKIM1; NULL: nothing to look at */
	struct extension extension;	/* where it may have come in before */
	bool is_within;			/* asked by the chain of a part of it */
	struct arrival *recorded;	/* how it came; NULL: not written */
	struct annotation annotation;	/* of all copies */
	const char *unsigned_rule;	/* why it is passed on as it is; NULL */
	const struct config_policy *policy;	/* the rule for it; NULL */
	struct bytes digest;		/* of the content, for the memory */
	bool is_announced;		/* the log has its client */
	enum config_verify verify_as;	/* the configuration's, or as ordered */
	bool is_bypassed;		/* by order: unsigned, not judged */
	bool is_short;			/* it has neither Message-ID nor Date */
	struct relay *earlier;		/* answered and watched as well */
	/* the copies it leaves in */
	struct onward *copies;
	struct onward **copies_end;
	struct onward *next_copy;	/* the first that was not begun */
	unsigned n_under_way;
	bool is_delivered;		/* somebody has it from us */
	size_t n_claims;		/* the memory has not answered */
	uint8_t *dkim1_body;		/* its hash, once one is needed */
	bool is_exploded;		/* the top signature says so, or there
					   is none */
};

/* ---- relay.c ---- */

/* What one message may cost its verifier. */
void relay_limits(const struct relay *r, struct dkim2_limits *limits);

/* Copies octets, or a path, into the arena: what the client said goes with
 * its next command. 0 or -E_NOMEM. */
int relay_keep(struct relay *r, struct bytes *b);
int relay_keep_path(struct relay *r, struct smtp_path *path);

/* Refuses the message for every recipient; their last answer. */
void relay_refuse(struct relay *r, const struct relay_answer *a);

/* The last answer of a recipient: remembered and logged. */
void relay_settle(struct relay *r, struct relay_rcpt *rcpt,
    const struct relay_answer *a);

/* Every recipient is settled: the client is answered and r is over. */
void relay_conclude(struct relay *r);

/* ---- relay_log.c ---- */

/* Counts the message by what the client was told; 0: he is gone. */
void relay_count(const struct relay *r, int code);

/*
 * Counts the verdict, and where `observe` lets through what `enforce` would
 * not, that is said in the log.
 */
void relay_count_verdict(const struct relay *r,
    const struct dkim2_result *result);

/* ---- relay_orders.c ---- */

/* What is ordered at MAIL goes for all of the transaction. False: there is to
 * be none, until the pause is over. */
bool relay_take_orders(struct relay *r);

/* What the verifier says; NULL where it is not asked. */
const struct dkim2_result *relay_result(const struct relay *r);

/* ---- relay_rcpt.c ---- */

/* The first recipient of the client's next RCPT, or NULL. */
struct relay_rcpt *relay_next_said(const struct relay_rcpt *rcpt);

/*
 * The answer to an RCPT, which its recipients have together.
 *
 * first    of them
 * late     that of who has none by now
 */
struct relay_answer relay_answer_said(const struct relay_rcpt *first,
    const struct relay_answer *late);

/* What DATA hears where nobody may have the message any more: the weightiest,
 * since what one of an alias was told at RCPT is not for all. r's. */
const struct relay_answer *relay_answer_lost(const struct relay *r);

/* The next hop said ->answer to the recipient, or the memory spoke. */
void relay_rcpt_heard(struct relay *r, struct relay_rcpt *rcpt);

/* Where the token leads that is said. */
void relay_rcpt_returned(struct relay *r, const struct memory_reply *reply);

/* The next hop is gone, before the content, for all recipients of o. */
void relay_onward_lost(struct relay *r, struct onward *o);

/* The answer to RCPT where the memory was asked. */
void relay_rcpt_looked(struct relay *r, const struct memory_reply *reply);

/* What return addresses of a day are made with; their ways back are kept. */
struct rewrite_with relay_rewrite_with(const struct relay *r, int64_t now_s);

/* ---- relay_return.c ---- */

/* The part of our tag where the memory is asked where a token leads. */
#define RELAY_RETURN_PART 0xffffU

/* Whether the one recipient is a return address of ours. */
bool relay_is_return(const struct relay *r);

/* The listener that made the address, whose next hops lead back. */
const struct config_listener *relay_return_way(const struct relay *r);

/* Asks the memory where the token leads that is said: relay_rcpt_returned()
 * comes. */
void relay_return_ask(struct relay *r);

/* What becomes of mail that came back, once it is there. */
void relay_return_decide(const struct relay *r, struct decision *d);

/* ---- relay_index.c ---- */

/* Who goes to the same onward address as another: he is delivered to once.
 * NULL: nobody yet. */
struct relay_rcpt *relay_index_twin(const struct relay *r,
    const struct relay_rcpt *rcpt);

/* One that we said 250 to, and is nobody's twin. */
void relay_index_rcpt(struct relay *r, struct relay_rcpt *rcpt);

/* The transaction of RCPT time that is like another; NULL: none yet. */
struct onward *relay_index_onward(const struct relay *r, struct onward *like);

/* Puts a new one behind the others. */
void relay_index_asked(struct relay *r, struct onward *o);

/* ---- relay_copies.c ---- */

/* Whether the message goes round; result is NULL while there is none. */
enum loopcheck_finding relay_loop(const struct relay *r,
    const struct dkim2_result *result);

/* Whether a recipient may be in a copy together with others. */
bool relay_may_share(const struct onward *asked,
    const struct relay_rcpt *rcpt);

/* The verdict is there, or nobody asked for one: decides and goes on. */
void relay_decide(struct relay *r, const struct dkim2_result *result);

/* The memory has answered every claim: sends what is to be sent. */
void relay_deliver(struct relay *r);

/* The copies are there, and the record of the arrival. */
void relay_send(struct relay *r);

/* A copy has come to its end; its recipients are settled. */
void relay_copy_over(struct relay *r, struct onward *copy);

/* ---- relay_split.c ---- */

/*
 * Marks the values of new mail whose site gets several copies of it, where the
 * listener wants that said. 0 or -E_NOMEM.
 */
int relay_split(struct relay *r);

/* ---- relay_memory.c ---- */

/* Whether this listener remembers at all. */
bool relay_remembers(const struct relay *r);

/* Asks what is known of (reverse-path, recipient). */
void relay_memory_look(struct relay *r, struct relay_rcpt *rcpt);

/* Claims what is to be delivered; relay_deliver() goes on. */
void relay_memory_claim(struct relay *r);

/* The recipient's answer is there: what is remembered of it. */
void relay_memory_settle(struct relay *r, struct relay_rcpt *rcpt);

/* All answers are there; they differ, or one was waited for. */
void relay_memory_mixed(struct relay *r);
void relay_memory_answered(struct relay *r, const struct relay_rcpt *rcpt);

/* Forgets what was delivered: an honest repeat may follow. */
void relay_memory_forget(struct relay *r);

/* ---- relay_arrival.c ---- */

/* What the verifier is asked for: a chain that comes back was verified. */
void relay_arrival_scope(const struct relay *r,
    struct dkim2_verify_options *opts);

/*
 * Asks how the message came in, where it may have; relay_decide() comes.
 *
 * Returns  false where there is nothing to ask
 */
bool relay_arrival_find(struct relay *r);

/*
 * Writes down how the message came, where a listener has this one as its
 * pair; relay_send() comes, or an answer for everybody.
 *
 * Returns  false where nothing is to be written
 */
bool relay_arrival_write(struct relay *r);

/* All answers are there: who was refused is taken out of the record. */
void relay_arrival_end(struct relay *r);

/* ---- relay_queue.c ---- */

/* Whether the transaction goes into the queue, once MAIL is known. */
bool relay_queue_is_for(const struct relay *r);

/*
 * The verdict is there, or result is NULL: what came to a forwarder stays for
 * the queue where its chain says whom a failure may be told to; else it goes
 * through, and whoever refuses it tells the client.
 */
void relay_queue_or_through(struct relay *r, const struct dkim2_result *result);

/* Whether the next hop may have to be asked in the session after all. */
bool relay_queue_may_not(const struct relay *r);

/* Whether the spool takes that many octets more. */
bool relay_queue_has_room(const struct relay *r, uint64_t octets);

/* The copies are there: has them signed and kept; relay_conclude() comes. */
void relay_queue(struct relay *r);

/* A copy is signed; or its recipients are settled, since it can not be. */
void relay_queue_signed(struct relay *r, struct onward *copy);

/*
 * The commit is waited for no more.
 *
 * Returns  false where it was made: the message is in the queue, and stays
 */
bool relay_queue_take_back(struct relay *r);

/* ---- relay_dsn.c ---- */

/* Refuses a message that could not be looked at for an error, -E_*. */
void relay_dsn_fail(struct relay *r, int error);

/*
 * What came is replaced by a DSN for one of its recipients; the others are
 * told that it is discarded. relay_decide() comes next.
 *
 * made     but for time and id; what it points to lives as long as r
 * signature  of the message that it reports on: names that for the memory
 * Returns  0 or -E_*
 */
int relay_dsn_put(struct relay *r, struct relay_rcpt *rcpt,
    const struct dsn_made *made, struct bytes signature);

/*
 * The DSN as a copy has it.
 *
 * Returns  0 or -E_*
 */
int relay_dsn_write(struct relay *r, const struct relay_value *value,
    const struct relay_replaced **out);

/*
 * The memory knows which failures were told before: the DSN is about the
 * others.
 *
 * Returns  false where there are none
 */
bool relay_dsn_narrow(struct relay *r);

/* 250, and nobody gets it: each recipient, or one alone, who is not settled
 * yet. why goes to the client, and into the log. */
void relay_discard(struct relay *r, const char *why);
void relay_discard_rcpt(struct relay *r, struct relay_rcpt *rcpt,
    const char *why);

/* ---- relay_back.c ---- */

/* The first part of the tags of its questions, above those of the sender. */
#define RELAY_BACK_PART 0x8000U

/*
 * Looks whether what came is a report to an address that we minted; where it
 * is to be believed relay_decide() comes, else an answer.
 *
 * Returns  false where it is none
 */
bool relay_back(struct relay *r);

/* A key that was asked for. */
void relay_back_key(struct relay *r, size_t k,
    const struct resolve_txt *txt);

/* ---- relay_bounce.c ---- */

/*
 * Looks whether what came is a bounce of the server behind us, and what is to
 * become of it; relay_decide() comes, or an answer for everybody.
 *
 * Returns  false where it is none, or goes on as new mail does
 */
bool relay_bounce(struct relay *r);

/* How the message that it returns came in. */
void relay_bounce_found(struct relay *r, const struct arrival_reply *reply);

/* ---- relay_repair.c ---- */

/* The message is all there: looks what is to be repaired, where it is at all;
 * sets the fault where it can not be. */
void relay_repair_look(struct relay *r, bool has_bare_lf);

/*
 * The message as a copy has it.
 *
 * out      NULL: as it came; lives as long as r
 * Returns  0 or -E_*
 */
int relay_repair(struct relay *r, const struct relay_value *value,
    const struct relay_repaired **out);

/*
 * The digests of what came with another header.
 *
 * Returns  0 or -E_*
 */
int relay_digests(const struct relay *r, const struct dkim2_message *m,
    struct dkim2_digests *d);

/* ---- relay_from.c ---- */

/*
 * Gives a copy the From that its decision has for it, where it has one. Where
 * From can not be rewritten it stays, and what was to be adopted so is not.
 *
 * Returns  0 or -E_*
 */
int relay_from(struct relay *r, struct onward *copy);

/* Whether a DKIM1 signature speaks for the domain of From. */
bool relay_from_is_signed(const struct relay *r);

struct extend_facts;

/*
 * extend_by_record(), into r's extension, with another From where one is
 * wanted and can be described; and who sent what came without DKIM2.
 *
 * Returns  as extend_by_record()
 */
int relay_from_extend(struct relay *r, const struct extend_facts *f,
    const struct arrival *record);

/* The copy is not signed after all: a chain that is not extended keeps the
 * From that was signed. */
void relay_from_undo(struct onward *copy);

/* ---- relay_log.c ---- */

/* Octets from the net for a line of the log: escaped, without what looks like
 * a key (logline_escape()), cut to fit n octets with the NUL. */
void relay_escape(struct bytes octets, char *out, size_t n);

/* Who sends it; once, before the first fate of a recipient or the content. */
void relay_log_client(struct relay *r);

/* Message-ID and, unless it is queued, the line of the envelope. */
void relay_log_message(const struct relay *r);

/* MAIL FROM, octets, recipients: our queue says it of what it has. */
void relay_log_envelope(const struct relay *r);

/* Which message of ours is returned, as its top Received of ours says. */
void relay_log_about(const struct relay *r,
    const struct dkim2_message *returned);

/* A refusal of ours; stage is MAIL, RCPT or DATA. */
void relay_log_reject(const struct relay *r, const char *stage,
    const struct relay_answer *a, struct bytes to);

/* One line tells the fate of the recipient. */
void relay_log_fate(struct relay *r, const struct relay_rcpt *rcpt);

/* Which rule of the policy the message fits. */
void relay_log_policy(const struct relay *r);

void relay_log_verdict(const struct relay *r, const struct dkim2_result *v);

/* What DKIM1 and DMARC say, where something was looked at. */
void relay_log_sender(const struct relay *r);

#endif
