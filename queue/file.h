/*
 * A queue file: one message with all that is known of it. Text lines first,
 * which an operator can read, the octets of the message last. What changes
 * while it is delivered stands in fields of fixed width, so that a change is
 * a write in place that needs no room.
 *
 *	hopseal-queue 2 HEAD ADDED CONTENT	octets of the three parts
 *	id 4fqk2x...
 *	hold -					H while it is held
 *	again 0000000000			when its time began anew; 0: never
 *	listener NAME
 *	arrived 1795664097			time of day
 *	signed 1795664097			likewise
 *	client [10.0.8.7]:4321
 *	mail-from <...>
 *	ret FULL				the word alone where there is
 *	envid QQ314159				no value: these three
 *	digest 9f86d081...
 *	body 8bitmime				or 7bit
 *	smtputf8 no				or yes
 *	report <...> as=one.example		whom a failure is reported to;
 *						"report - WHY": nobody
 *	returned 0 1234				see ->n_returned, ->body_at
 *	about 4fqk2x...				the message it reports; likewise
 *						the word alone
 *	count 1 1				copies, recipients of all
 *	copy ADDED mail-from=<...> signed="..."	one for each signed copy,
 *	rcpt <bob@two.example> to=<bob@one.example> notify=NEVER orcpt=rfc822;b
 *	 q 0003 1795664097 450 4.2.0 Mailbox busy	then its recipients
 *						an empty line ends the head
 *	(octets that we add, those of one copy behind the other)
 *	(header and body, as every copy has them)
 *	(the header that came, where that is another one)
 *
 * A copy leaves as its own added octets, then the content. Version 1 had no
 * report, returned and about: of what stands in such a file nobody is told.
 * No I/O here.
 */
#ifndef QUEUE_FILE_H
#define QUEUE_FILE_H

#include "base/arena.h"

#define QUEUE_FILE_VERSION 2U	/* written; 1 is read, too */
#define QUEUE_ID_MAX 32U	/* digits and small letters; at least 1 */
#define QUEUE_REPLY_SIZE 200U	/* octets kept of a reply, printable ASCII */
#define QUEUE_HEAD_MAX (16U << 20)	/* octets of the text lines */
#define QUEUE_COPIES_MAX 10000U
#define QUEUE_RCPTS_MAX 10000U	/* of all copies together */
#define QUEUE_FIELD_MAX 1024U	/* octets of a path or another field */
#define QUEUE_PART_MAX 999999999999999U	/* octets added, or of content */
#define QUEUE_TIME_MAX 9999999999	/* seconds: 10 digits */
#define QUEUE_TRIES_MAX 9999U

enum queue_status {
	QUEUE_WAITING,		/* q: to be tried at ->due_s */
	QUEUE_UNSURE,		/* u: likewise; but a final dot was, or may
				   have been, out without a clear answer, so
				   that "duplicate" means delivered (RFC 1047) */
	QUEUE_DELIVERED,	/* d */
	QUEUE_FAILED,		/* f: for good; kept for the postmaster */
	QUEUE_EXPIRED,		/* e: likewise, for lack of time */
	QUEUE_TELLING_FAILED,	/* g: likewise f, and stands in the report that
				   is being made: no other recipient joins it */
	QUEUE_TELLING_EXPIRED,	/* x: likewise e */
	QUEUE_TOLD,		/* r: its failure was reported, or nobody wants
				   to know of it: nothing is left to be done */
};

struct queue_rcpt {
	enum queue_status status;
	unsigned tries;		/* at most 9999 */
	int64_t due_s;		/* time of day of the next try; at most 10
				   digits, not negative */
	struct bytes path;	/* onward, with brackets */
	struct bytes to;	/* as the client said it, with brackets */
	struct bytes notify;	/* RFC 3461, as the client said it; may be empty */
	struct bytes orcpt;	/* likewise, xtext */
	struct bytes reply;	/* the last one, or why there is none; without
				   the padding; made printable when written */
	/* where its fixed fields stand in the file; set by queue_file_parse() */
	size_t at;		/* of the status octet */
	size_t reply_at;
};

struct queue_copy {
	struct bytes mail_from;	/* onward, with brackets */
	struct bytes added;	/* octets in front of the content; of a parsed
				   head only ->n is set, and ->added_at */
	uint64_t added_at;	/* where they stand in the file */
	struct bytes signed_as;	/* for the log: `signed=yes d=one.example` */
	struct queue_rcpt *rcpts;
	size_t n_rcpts;
};

struct queue_message {
	struct bytes id;
	struct bytes listener;	/* the name it has in the configuration */
	int64_t arrived_s;	/* time of day */
	int64_t again_s;	/* when the postmaster gave it a whole time
				   again; 0: never */
	int64_t signed_s;	/* t= of the oldest signature of ours; the time
				   of arrival where there is none */
	struct bytes client;	/* for people: "[10.0.8.7]:4321"; printable */
	struct bytes mail_from;	/* as the client said it, with brackets */
	struct bytes ret;	/* RFC 3461; may be empty */
	struct bytes envid;	/* likewise, xtext */
	struct bytes digest;	/* of the content, for the delivered memory; up
				   to 64 octets, written in hex; may be empty */
	bool is_8bit;		/* BODY=8BITMIME onward */
	bool is_utf8;		/* SMTPUTF8 */
	bool is_held;
	struct bytes report_to;	/* a path that is somebody's; empty: nobody is
				   told when it fails */
	struct bytes report_as;	/* the domain that signs the report; empty: none
				   does */
	struct bytes report_why;	/* why nobody is told; may be empty */
	struct bytes about;	/* the id of the message that this one reports;
				   empty: it is no report of ours */
	uint64_t n_returned;	/* octets of the header as it came, behind the
				   content; 0: the content begins with it */
	uint64_t body_at;	/* where in the content its body begins */
	struct queue_copy *copies;
	size_t n_copies;
	uint64_t content_at;	/* set by queue_file_parse() */
	uint64_t n_content;	/* octets of header and body */
	uint64_t returned_at;	/* likewise */
	uint64_t n_file;	/* what the whole file has to have */
	size_t hold_at;		/* of the octet behind "hold " */
	size_t again_at;	/* of the first digit */
};

/* Octets that queue_file_write() needs at most for this message. */
size_t queue_file_room(const struct queue_message *m);

/*
 * Writes the head; the added octets of each copy, in order, and then the
 * content are to follow.
 *
 * m        everything but what queue_file_parse() sets; copies[].added.n and
 *          n_content count
 * Returns  0; -E_SYNTAX where a field holds an octet that has no place in a
 *          line (control octets; a blank in a path that is not quoted), or a
 *          number is out of its bounds, or there is no copy, or one without
 *          recipients; -E_LIMIT past QUEUE_*_MAX or the room
 */
int queue_file_write(const struct queue_message *m, struct buf *out);

/*
 * How many octets the head has, from the first line of a file: 64 octets of
 * it, or the whole file where it has fewer, are enough.
 *
 * Returns  the octets; 0 where this is no queue file; -E_LIMIT where it is one
 *          of a version that we do not know
 */
int64_t queue_file_head(struct bytes start);

/*
 * Reads a head. Strict: whatever queue_file_write() would not have written so
 * is refused, but for the fields of fixed width, which an earlier kill may
 * have left half written: there a number that can not be read is 0, a status
 * that is none is QUEUE_UNSURE, a reply that is not printable is empty, and
 * what is not H is not held.
 *
 * head     all octets of the head; n_file is what the file must have in all
 * m        views of head, and arrays in the arena
 * Returns  0, -E_SYNTAX, -E_LIMIT (bounds, or another version), -E_NOMEM
 */
int queue_file_parse(struct bytes head, struct arena *a,
    struct queue_message *m);

/* A change in place: octets, and where they go. */
struct queue_patch {
	size_t at;
	size_t n;
	uint8_t octets[QUEUE_REPLY_SIZE + 32];
};

/*
 * The change that writes status, tries, due and reply of a recipient as they
 * are now, numbers past their bounds as the bound. One write of it stands for
 * all of them.
 */
void queue_file_patch_rcpt(const struct queue_rcpt *r, struct queue_patch *p);

/* The change that writes is_held as it is now. */
void queue_file_patch_hold(const struct queue_message *m,
    struct queue_patch *p);

/* Likewise again_s. */
void queue_file_patch_again(const struct queue_message *m,
    struct queue_patch *p);

/* Whether octets are an id as we make them, and so a name of a file. */
bool queue_id_is(struct bytes name);

/* 'q', 'u', 'd' ...; and for people: "queued", "unsure" ... */
char queue_status_octet(enum queue_status s);
const char *queue_status_name(enum queue_status s);

/* Whether a next try is to come: WAITING or UNSURE. */
bool queue_status_is_open(enum queue_status s);

/* Whether nothing is left to be done: DELIVERED or TOLD. */
bool queue_status_is_over(enum queue_status s);

/* Whether it has failed for good and nobody was told: FAILED, EXPIRED, or
 * TELLING_*. */
bool queue_status_is_failed(enum queue_status s);

/* TELLING_*. */
bool queue_status_is_telling(enum queue_status s);

/*
 * Whether a refusal of the content says that the next hop has the message
 * already: a 5xx that calls the message a duplicate, and no part of it. It
 * counts as delivered where an earlier try was QUEUE_UNSURE (attacks.md Q5).
 */
bool queue_is_duplicate(int code, struct bytes text);

#endif
