/*
 * The queue's run inside the world, over a spool in a real folder, and next
 * hops that answer by themselves.
 */
#ifndef DELIVERY_SITE_H
#define DELIVERY_SITE_H

#include "daemon/queue_run.h"
#include "tests/scenario/world.h"

#define QUEUE_HOPS 4
#define QUEUE_HOP_CONNECTIONS 64

/* What a next hop answers; NULL: yes. "hangup" and "silence" are no answers. */
struct queue_hop {
	const char *banner, *ehlo, *mail, *rcpt, *data, *dot;
	const char *can;		/* in place of what it offers: lines
					   of EHLO with CRLF, or NULL */
	const char *refused_rcpt;	/* this one alone gets ->rcpt */
	unsigned max_rcpts;		/* of a transaction: ->rcpt is for those
					   behind them */
	bool is_lmtp;
	/* counted */
	unsigned n_connections, n_mails, n_rcpts, n_taken;
	unsigned n_open, most_open;	/* connections */
	char last_path[300];		/* of RCPT */
	char last_rcpt[300];		/* the whole line */
	char last_mail[300];		/* of MAIL, the whole line */
	size_t n_content;
	char content[4096];		/* of the last message taken */
};

/* The next hop at 10.0.0.(2 + n), port 25. */
extern struct queue_hop queue_hop[QUEUE_HOPS];

/* What it says when somebody connects: 0, an errno, -1 for silence. */
void queue_hop_outcome(unsigned n, int outcome);

/*
 * Begins a world with a queue process in it, whose run has not started.
 *
 * top       directives at top level, YAML
 * listeners what goes below `listeners:`
 */
void queue_site_begin(const char *top, const char *listeners);

/* Ends it; what is left is nothing. */
void queue_site_end(void);

/* The process dies and another one begins, over the same spool. */
void queue_site_restart(void);

extern struct queue_run *queue_site_run;
extern bool queue_site_is_idle;

/* What writing in place fails with; 0: nothing. */
extern int queue_site_write_error;

/* A message, and each recipient in a copy of its own. */
struct queue_site_mail {
	const char *id;
	const char *listener;		/* NULL: "l" */
	const char *to[8];		/* "<bob@two.example>"; NULL behind */
	bool is_shared;			/* all in one copy */
	bool is_8bit, is_utf8, is_held;
	int64_t signed_s;		/* 0: now */
	size_t n_to;			/* 0: to[]; else so many r<K>@... */
	const char *report_to;		/* NULL: nobody is told */
	const char *report_as;		/* the domain that signs; NULL: none */
	const char *ret, *envid;	/* NULL: none */
	const char *notify, *orcpt;	/* of all recipients; likewise */
	const char *said;		/* as the client said all; NULL: as they
					   go on */
	const char *about;		/* it is a report of that one; NULL */
};

/* Writes and commits it, without telling the run. */
void queue_site_put(const struct queue_site_mail *m);

/* Lets all happen that takes no time, or that much of it. */
void queue_site_work(void);
void queue_site_pass(int64_t ms);

/* A request of the control socket is answered so. */
bool queue_site_says(const char *request, const char *answer);

/* The octet of a recipient's status; '-': the message is gone. */
char queue_site_status(const char *id, size_t copy, size_t rcpt);
/* And what else is known of it; views until the next call. */
const struct queue_rcpt *queue_site_rcpt(const char *id, size_t copy,
    size_t rcpt);

/* Writes a status into the file, as if an earlier process had. */
void queue_site_patch(const char *id, size_t copy, size_t rcpt,
    enum queue_status status);

/* What a next hop was silent about is answered now. */
void queue_site_answer(unsigned n, const char *reply);

/* How many lines of the log have a text in them. */
size_t queue_site_logged(const char *text);
void queue_site_show_log(void);

#endif
