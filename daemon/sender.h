/*
 * Who sent a message, by what there was before DKIM2: its DKIM1 signatures
 * and the DMARC policy of the domain in From. Nothing here refuses mail or
 * holds it up for long: what can not be found out is a temporary error.
 */
#ifndef DAEMON_SENDER_H
#define DAEMON_SENDER_H

#include "daemon/resolve.h"
#include "dkim2/dkim1.h"
#include "dkim2/dmarc.h"

struct hub;
struct sender;

/* The first part of the tags of its questions; SLOT_PART() tells. */
#define SENDER_PART 0x100U
/* How long keys and policy are waited for once the message is all there. */
#define SENDER_WAIT_MS (10 * 1000)

struct sender_start {
	struct hub *hub;
	uint64_t tag;		/* the owner's, parts are added to it */
	const struct dkim2_message *message;	/* lives as long */
	bool wants_policy;	/* also where no signature could align */
	/* it is done, some time after sender_end() */
	void (*done)(void *arg);
	void *arg;
};

/*
 * Looks at the header block and asks for what is needed, all at once.
 *
 * Returns  NULL where there is nothing to find out, or (logged) no memory
 */
struct sender *sender_new(const struct sender_start *start);

/* s and *s may be NULL here, and s in all that follows. */
void sender_free(struct sender **s);

/* Takes the next octets of the body. */
void sender_body(struct sender *s, struct bytes octets);

/*
 * Says that the body is complete.
 *
 * wait_ms  what is not there by then is not waited for
 */
void sender_end(struct sender *s, int64_t wait_ms);

/* An answer; part is that of the tag. */
void sender_answer(struct sender *s, unsigned part,
    const struct resolve_txt *txt);

/* Whether all is found out, or is not waited for. */
bool sender_is_done(const struct sender *s);

/*
 * The signatures, once it is done.
 *
 * Returns  NULL where there are none, or they could not be looked at
 * Lifetime s and the message
 */
const struct dkim1_result *sender_dkim1(const struct sender *s);

/*
 * What DMARC says by DKIM1 alone, once it is done: SPF is not known here, so
 * that DMARC_FAIL means no more than "not by DKIM1".
 *
 * Returns  NULL where nobody looked
 */
const struct dmarc_verdict *sender_dmarc(const struct sender *s);

/*
 * Whether a signature that counts is aligned (relaxed) with a domain, once it
 * is done: that of From, or of MAIL FROM.
 */
bool sender_is_aligned(const struct sender *s, struct bytes domain);

#endif
