/* What a recipient is answered, and many answers made one. */
#ifndef DAEMON_RELAY_ANSWER_H
#define DAEMON_RELAY_ANSWER_H

#include "base/arena.h"
#include "smtp/replyparse.h"

struct relay_answer {
	int code;		/* 0: none yet */
	char enhanced[16];
	struct bytes text;	/* static, or in the message's arena */
};

/* An answer in our own words; text is static or lives as long as it. */
struct relay_answer relay_answer_say(int code, const char *enhanced,
    const char *text);

/*
 * The next hop's reply as it goes to the client: same class, same text. A 421
 * would end the client's session, which has done nothing: 451. An enhanced
 * code of another class than the reply's is replaced by one that says nothing.
 *
 * a        keeps a copy of the text; where it is full, an answer without words
 */
struct relay_answer relay_answer_of(const struct smtp_reply *reply,
    struct arena *a);

/*
 * Whether an answer counts more than another, where both are of one RCPT: what
 * may still come about before what failed, that before what was delivered. So
 * nothing is lost without a word, and a retry goes on where it failed.
 */
bool relay_answer_counts_more(const struct relay_answer *a,
    const struct relay_answer *than);

/*
 * The one answer that an SMTP client gets for all recipients: the first,
 * where all are of its class; else 451, never a 250 with a silent drop and
 * never a 5xx for who might have it.
 *
 * out      the answer
 * Returns  whether the answers differed
 * Source   product.md, through; attacks.md Q14
 */
bool relay_answers_mix(const struct relay_answer *const *answers, size_t n,
    struct relay_answer *out);

#endif
