/* What the files of the queue's run share; nobody else includes it. */
#ifndef DAEMON_QUEUE_RUN_STATE_H
#define DAEMON_QUEUE_RUN_STATE_H

#include <sys/queue.h>

#include "daemon/metrics.h"
#include "daemon/outbound.h"
#include "daemon/queue_run.h"
#include "dkim2/dkim2.h"
#include "queue/plan.h"
#include "queue/retry.h"

/* Recipients of one transaction, at most (RFC 5321 4.5.3.1.8). */
#define QUEUE_TRY_RCPTS 100
#define QUEUE_DSN_MAX 16

/*
 * Recipients of one copy that go to one destination. The first of them that
 * the next try asks for is at ->from; a try that could not ask for all leaves
 * it in their middle.
 *
 * Where the next hop took some of them and left others for a transaction of
 * their own, the tries that follow ask for ->n_each at a time, and only for
 * those that are due, until nobody is.
 */
struct queue_job {
	struct plan_job plan;		/* the first member */
	struct queue_entry *entry;
	struct queue_job *next;		/* of the entry */
	uint32_t copy;
	uint32_t from;
	uint32_t n_each;		/* 0: as many as may be */
	uint32_t hash;			/* of the destination's name */
};

/* What became of a recipient, and can not be written now. */
struct queue_mark {
	struct queue_mark *next;
	size_t at;			/* of the recipient, in its file */
	enum queue_status status;
	unsigned tries;
	int64_t due_s;
};

/* A message of which something is to be tried, or written. */
struct queue_entry {
	struct queue_entry *chained;	/* of its bucket */
	struct queue_job *jobs;
	struct spool_file *file;	/* open while something is tried */
	struct queue_mark *marks;
	struct retry_age age;
	uint32_t n_active;		/* jobs that are being tried */
	uint64_t n_octets;		/* of its content */
	bool is_held;			/* from now on: here to be counted */
	bool is_partial;		/* jobs are missing, for lack of memory */
	bool has_news;			/* somebody has it, not synced yet */
	bool has_failed;		/* somebody is to be told of it */
	bool is_removed;		/* its file went unwritten: the sweep
					   looks whether it is gone */
	struct queue_report *report;	/* that is being made; NULL: none */
	char id[];
};

/* Named after what is waited for. */
enum queue_report_state {
	REPORT_DUE,		/* its turn */
	REPORT_SIGNING,		/* the signer */
	REPORT_COMMITTING,	/* the spool */
};

/*
 * A report of ours (DSN) about recipients of one message that failed for
 * good. Who stands in it is written into the message's file first, so that a
 * process that follows makes the same one again, under the same name: it is
 * there once. It leaves, and they are told, only when it is safe in the spool.
 */
struct queue_report {
	TAILQ_ENTRY(queue_report) entry;
	struct queue_run *run;
	struct queue_entry *about;
	enum queue_report_state state;
	int64_t due_ms;			/* not before */
	char id[QUEUE_ID_MAX + 1];	/* its own */
	/* while it is made */
	struct arena *arena;
	struct bytes domain;		/* that signs; empty: none does */
	struct bytes to, listener;
	struct bytes header, body;
	bool is_8bit;
	struct dkim2_message message;
	struct dkim2_digests digests;
	struct dkim2_envelope envelope;
	struct dkim2_sign *sign;
	struct dkim1_sign *dkim1;	/* beside; NULL: none */
	const struct signer_key *keys;
	size_t n_keys;
	bool has_tag;
	uint64_t tag;
};

TAILQ_HEAD(queue_reports, queue_report);

/* Why a destination is left alone, for the log. */
struct queue_rest {
	TAILQ_ENTRY(queue_rest) entry;
	int64_t until_ms;
	size_t n_name;
	char reason[QUEUE_REPLY_SIZE];
	uint8_t name[];
};

/* A recipient of a try. */
struct queue_asked {
	struct queue_rcpt *rcpt;	/* of the entry's file */
	enum queue_status before;	/* this try */
	bool is_accepted;		/* by RCPT */
	bool is_left;			/* for a transaction of its own */
	bool is_settled;
};

struct queue_try {
	TAILQ_ENTRY(queue_try) entry;
	struct queue_run *run;
	struct queue_job *job;
	const struct config_listener *listener;
	struct outbound *outbound;	/* NULL: over */
	struct queue_copy *copy;
	bool is_lmtp;			/* the next hop */
	bool is_whole;			/* all was answered, the content too */
	size_t n_asked, n_heard, n_accepted;
	uint32_t from;			/* where the job stood before */
	enum plan_end end;
	char reason[QUEUE_REPLY_SIZE];	/* of a bad end */
	size_t n_name;
	uint8_t name[PLAN_NAME_MAX];	/* of the destination */
	struct queue_asked asked[QUEUE_TRY_RCPTS];
};

TAILQ_HEAD(queue_tries, queue_try);
TAILQ_HEAD(queue_rests, queue_rest);

/* A look at the whole queue, under way. */
struct queue_measure {
	size_t at;			/* the next bucket */
	int64_t n[QUEUED__N];
	int64_t octets;
	int64_t oldest_s;		/* of those that are not held */
};

struct queue_run {
	struct hub *hub;
	struct spool *spool;
	loop_call *idle;
	void *arg;
	struct retry_rules rules;
	struct arena *arena;		/* the plan's */
	struct plan *plan;
	struct queue_entry **buckets;
	size_t n_buckets, n_entries;
	struct spool_scan *scan;	/* NULL: it is over */
	bool is_rescan_due;		/* something could not be loaded */
	struct loop_timer *turn;	/* what is to be tried */
	struct loop_timer *scanner;
	struct loop_timer *sweeper;
	size_t swept;			/* buckets */
	struct queue_tries active, ended;
	struct queue_rests rests;	/* the newest first */
	size_t n_rests;
	struct queue_reports reports;	/* those that are begun first */
	size_t n_reporting;		/* begun */
	struct loop_timer *reporter;
	struct loop_timer *measurer;
	struct queue_measure measure;
	queue_run_commit *commit;	/* NULL: we do that ourselves */
	void *commit_arg;
	bool is_leaving;
	bool has_left;
};

/* Where a recipient goes. */
struct queue_way {
	const struct config_next_hop *hop;
	struct bytes domain;		/* of the recipient */
	struct buf name;		/* of the destination, for the plan */
	uint32_t hash;
	uint8_t octets[PLAN_NAME_MAX];
};

/* ---- queue_measure.c ---- */

/* A timer's call: a part of a look, and what metrics say behind the last. */
void queue_measure(void *run);

/* ---- queue_run.c ---- */

/* Looks soon what is to be done. */
void queue_run_soon(struct queue_run *r);

/* Reads the spool again later, since something of it is missing. */
void queue_run_rescan(struct queue_run *r);

/* ---- queue_load.c ---- */

/* NULL: nothing of it is to be tried, or it is not known. */
struct queue_entry *queue_entry_find(const struct queue_run *r,
    const char *id);

/* How a message is taken into the plan. */
enum queue_load {
	QUEUE_LOAD_SCAN,	/* it was there at the start */
	QUEUE_LOAD_NEW,		/* committed just now */
	QUEUE_LOAD_NOW,		/* all at once, also where its time is over */
	QUEUE_LOAD_ANEW,	/* likewise, as if it had come just now */
};

/*
 * Reads a message and plans what is open of it.
 *
 * Returns  0; -E_ABSENT, or another error of spool_file_open(): after those
 *          that may pass the spool is read again
 */
int queue_load(struct queue_run *r, const char *id, enum queue_load how);

/* Likewise, of a message that is open. f is of the entry where that has one. */
int queue_load_file(struct queue_run *r, const char *id, struct spool_file *f,
    enum queue_load how);

/* The open file of an entry. NULL: *error says why. */
struct spool_file *queue_entry_open(struct queue_run *r,
    struct queue_entry *e, int *error);

/* Takes a job that is not active out of the plan and frees it. */
void queue_job_drop(struct queue_run *r, struct queue_job *j);

/* Drops what is not active of an entry. */
void queue_entry_stop(struct queue_run *r, struct queue_entry *e);

/* Closes, forgets and removes what an entry needs no more; it may be gone. */
void queue_entry_look(struct queue_run *r, struct queue_entry *e);

/* Frees all entries; no job is active. */
void queue_entries_free(struct queue_run *r);

/* The listener of that name; NULL: it is not configured. */
const struct config_listener *queue_listener(const struct queue_run *r,
    struct bytes name);

void queue_way_find(const struct config_listener *l,
    const struct queue_rcpt *rcpt, struct queue_way *way);

/* Puts a job into the plan. False without memory: it is freed. */
bool queue_job_plan(struct queue_run *r, struct queue_job *j,
    struct bytes name, int64_t due_ms);

/* ---- queue_try.c ---- */

/* Begins the try of a job that is active. */
void queue_try_begin(struct queue_run *r, struct queue_job *j);

/* Gives it up unless its final dot may be out. */
void queue_try_leave(struct queue_try *t);

/* One of r->ended: tells the plan, and plans what is left of the job. */
void queue_try_over(struct queue_try *t);

/* Drops all. */
void queue_tries_free(struct queue_run *r);

/*
 * The recipients of a job, which is not active, have had their time: it is
 * dropped. The entry is to be looked at then.
 *
 * Returns  false where the file can not be read now
 */
bool queue_job_expire(struct queue_run *r, struct queue_job *j);

/* ---- queue_marks.c ---- */

/*
 * Writes what is known of a recipient of an entry that is open. What can not
 * be written is kept, and written later: it holds for this process at least.
 */
void queue_patch(struct queue_entry *e, const struct queue_rcpt *rcpt);

/* A file of the entry was opened: what could not be written into it stands in
 * f->m, and is tried again. */
void queue_marks_put(struct queue_entry *e, struct spool_file *f);

/* The message is gone, or the entry is. */
void queue_marks_drop(struct queue_entry *e);

/* ---- queue_settle.c ---- */

/* What happened to a recipient, for its file and the log. */
struct queue_fate {
	int code;			/* of the reply; 0: none came */
	char dsn[QUEUE_DSN_MAX];
	struct bytes text;
	const char *relay, *tls;
	bool is_end;			/* it was said of the content */
};

/*
 * Whether a reply to RCPT says that others before it fill the transaction:
 * 452 or 552, with 4.5.3, 5.5.3 or no enhanced code. Without one it may be said
 * of the recipient; it is not where nobody was accepted before.
 *
 * Source   RFC 5321 4.5.3.1.10
 */
bool queue_is_too_many(const struct smtp_reply *reply);

/* The fate that a reply is. */
struct queue_fate queue_fate_of(const struct smtp_reply *reply,
    const struct outbound *o);

/*
 * A try has said what becomes of a recipient: delivered, failed, or to be
 * tried again.
 *
 * before   what a deferral leaves it: its status before the try, or UNSURE;
 *          with UNSURE a refusal of the content as a duplicate means delivered
 */
void queue_settle(struct queue_run *r, struct queue_entry *e,
    const struct queue_copy *c, struct queue_rcpt *rcpt,
    enum queue_status before, const struct queue_fate *fate);

/* A try took others, and left it for the next one: that was no try of it. It is
 * due at once. */
void queue_settle_left(struct queue_run *r, struct queue_entry *e,
    struct queue_rcpt *rcpt);

/* Its time is over. */
void queue_settle_expired(struct queue_run *r, struct queue_entry *e,
    const struct queue_copy *c, struct queue_rcpt *rcpt);

/* Forgets that a client was told it is delivered: it may send it again. */
void queue_forget(struct queue_run *r, const struct queue_message *m,
    const struct queue_rcpt *rcpt);

/* For the log: a message becomes active. */
void queue_log_active(const struct queue_message *m);

/* For the log: a message whose destination rests when it comes. */
void queue_log_suspended(struct queue_run *r, const struct queue_message *m,
    const struct queue_job *j);

/* For the log: a destination begins to rest. */
void queue_rest_begins(struct queue_run *r, const struct queue_job *j,
    const char *reason);

/* It was talked to. */
void queue_rest_ends(struct queue_run *r, struct bytes name);

/* Forgets those that are over for long; all: all. */
void queue_rests_sweep(struct queue_run *r, bool all);

/* ---- queue_report.c ---- */

/* Whether somebody is told of a failure of this recipient. */
bool queue_report_is_for(const struct queue_message *m,
    const struct queue_rcpt *rcpt);

/* Whether a message has a failure that somebody is to be told of. */
bool queue_report_is_due(const struct queue_message *m);

/* Has a report made of what failed, unless that is being done. */
void queue_report_want(struct queue_run *r, struct queue_entry *e);

/* A report of ours was found in the spool: whoever stands in it is told. */
void queue_report_found(struct queue_run *r, const struct queue_message *m);

/* Looks soon what is to be reported. */
void queue_reports_soon(struct queue_run *r);
void queue_report_turn(void *run);

/* It can not be made now, or not at all; text is for the log. */
void queue_report_later(struct queue_report *q, const char *why);
void queue_report_give_up(struct queue_report *q, const char *why);

/* It is written: has it committed. */
void queue_report_commit(struct queue_report *q);

/* Forgets all. */
void queue_reports_free(struct queue_run *r);

/* ---- queue_report_make.c ---- */

/*
 * Writes the report of what stands in the file of q->about, which is open;
 * has it signed and kept. queue_report_commit(), _later() or _give_up()
 * come: at once, or later.
 */
void queue_report_make(struct queue_report *q);

/* ---- queue_report_dkim1.c ---- */

/* Numbers of its answers begin here. */
#define QUEUE_REPORT_DKIM1 128U

/* Asks for a DKIM1 signature with each key, where the listener has them beside.
 * 0 or -E_*. */
int queue_report_dkim1(struct queue_report *q);
int queue_report_dkim1_answer(struct queue_report *q, size_t k,
    struct bytes signature);
bool queue_report_dkim1_is_done(const struct queue_report *q);
struct bytes queue_report_dkim1_fields(const struct queue_report *q);

/* ---- queue_command.c: queue_run_command() ---- */

#endif
