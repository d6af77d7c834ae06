/*
 * Arrival records, the worker's end (product.md, Hand-over): how a message
 * came to an inbound listener, so that the egress listener of its pair may
 * extend the chain when it comes back from the server in between. The keeper
 * process has the records; the octets of copies are files in STATE/copies.
 * Nothing of it travels in the message, so nothing can be forged.
 */
#ifndef DAEMON_ARRIVAL_H
#define DAEMON_ARRIVAL_H

#include "base/bytes.h"
#include "dkim2/dkim2.h"

#define ARRIVAL_DIGEST 32	/* octets of arrival_chain() */
#define ARRIVAL_AGE_S (5 * 24 * 3600)	/* none older is found */
#define ARRIVAL_RCPTS_MAX 16384U	/* octets of the list of recipients */
/* A copy that another machine has is waited for; of the ten minutes that a
 * client waits (RFC 5321 4.5.3.2.6) it leaves the rest. */
#define ARRIVAL_COPY_WAIT_MS (60 * 1000)

struct memory;

/* What a record is found by. Only keyed digests of it leave the worker. */
struct arrival_key {
	struct bytes scope;	/* name of the inbound listener */
	struct bytes chain;	/* arrival_chain(); empty: no DKIM2 field */
	struct bytes message_id;	/* value of the field, trimmed; empty:
					   none, or more than one */
};

struct arrival {
	int64_t time_s;		/* when it came */
	enum dkim2_state full;	/* with the envelope it came with */
	enum dkim2_state provisional;
	bool is_dkim1_aligned;	/* a valid DKIM1 signature fits MAIL FROM */
	bool is_from_signed;	/* one fits From */
	uint8_t client[16];	/* mapped form */
	uint8_t header[32];	/* SHA-256 of what is hashed, as it came */
	uint8_t body[32];
	struct bytes mail_from;	/* with brackets */
	struct bytes rcpts;	/* who was accepted; a list as relay_value.h
				   has it */
	bool has_copy;		/* the octets are kept too */
	uint8_t copy[16];	/* its name */
	uint32_t n_found;	/* how often it was found before */
};

enum arrival_status {
	ARRIVAL_KEPT,		/* arrival_write(): it will be found */
	ARRIVAL_FOUND,
	ARRIVAL_NONE,
	ARRIVAL_OUT,		/* no keeper, or no answer in time */
	ARRIVAL_COMING,		/* of the keeper alone: an answer follows once
				   the copy is here */
};

struct arrival_reply {
	enum arrival_status status;
	struct arrival record;	/* views until the call returns */
};

/*
 * An answer. tag is that of the question.
 *
 * Returns  false where nobody waits for it any more: what was written is
 *          taken back then
 */
typedef bool arrival_answer(void *arg, uint64_t tag,
    const struct arrival_reply *reply);

/*
 * A digest of all DKIM2 fields, without their white space and in an order of
 * their own: list managers fold anew and sort.
 *
 * out      32 octets
 * Returns  false where there is no such field
 */
bool arrival_chain(const struct dkim2_message *m, uint8_t out[ARRIVAL_DIGEST]);

/*
 * Keeps a record, before the onward dot. Where there is one with the same
 * chain, its recipients are joined. The answer comes later, never before this
 * returns, to the arrival_answer of memory_new(): ARRIVAL_KEPT, ARRIVAL_OUT,
 * or ARRIVAL_NONE where k has nothing to be found by.
 *
 * Returns  0, or -E_NOMEM: no answer will come, take it as ARRIVAL_OUT
 */
int arrival_write(struct memory *m, const struct arrival_key *k,
    const struct arrival *a, uint64_t tag);

/* The next hop refused it: what arrival_write() of this tag added goes. */
void arrival_remove(struct memory *m, const struct arrival_key *k,
    const struct arrival *a);

/*
 * Looks for the youngest record that fits: by its chain, where k has one, or
 * else by its Message-ID. What several writes said of it is joined: all their
 * recipients, and PASS only where every write of that chain has the content
 * of one that passed, since its DKIM2 fields may be sent again with another.
 *
 * Returns  as arrival_write()
 */
int arrival_find(struct memory *m, const struct arrival_key *k, uint64_t tag);

/*
 * Writes the octets of a message that is on its way into the folder of
 * copies; arrival_write() makes them part of a record.
 *
 * folder   descriptor of STATE/copies
 * name     set to the name of the copy
 * Returns  0, or -E_SYSTEM (errno): the record is kept without
 */
int arrival_copy_write(int folder, struct bytes header, struct bytes body,
    uint8_t name[16]);

/* Takes back a copy that is in no record. */
void arrival_copy_remove(int folder, const uint8_t name[16]);

/*
 * Opens a copy to read.
 *
 * Returns  a descriptor, the caller's; -1 where it is gone
 */
int arrival_copy_open(int folder, const uint8_t name[16]);

#endif
