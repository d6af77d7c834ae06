/*
 * An arrival record in octets, as it goes to the keeper and stands in its
 * store, and how several records of one message become one.
 */
#ifndef DAEMON_ARRIVAL_VALUE_H
#define DAEMON_ARRIVAL_VALUE_H

#include "base/buf.h"
#include "daemon/arrival.h"

#define ARRIVAL_PATH_MAX 1024U	/* of MAIL FROM */
#define ARRIVAL_FIXED (1 + 1 + 2 + 8 + 4 + 16 + 32 + 32 + 16 + 2)
#define ARRIVAL_VALUE_MAX \
	(ARRIVAL_FIXED + ARRIVAL_PATH_MAX + ARRIVAL_RCPTS_MAX)

/*
 * Writes a record. Of recipients past ARRIVAL_RCPTS_MAX those that fit are
 * kept, whole; a MAIL FROM past its bound is left out.
 *
 * out      has room for ARRIVAL_VALUE_MAX octets
 */
void arrival_value_write(const struct arrival *a, struct buf *out);

/* Reads one; a is of views. False where it is none. */
bool arrival_value_parse(struct bytes b, struct arrival *a);

/* Several records on their way to be one. */
struct arrival_join {
	struct arrival record;	/* rcpts: what room holds */
	size_t n;		/* that were joined */
	enum dkim2_state worst;	/* of the whole chain */
	bool has_passed;
	bool has_other;		/* a content that is not the youngest's */
	uint8_t room[ARRIVAL_RCPTS_MAX];
};

/*
 * Takes the next record, the youngest first: that one gives what there is
 * only one of. Recipients of all are joined, as far as there is room. Of one
 * content the chain is good where it was once: it may have come another time
 * for somebody else, or without its keys. Where contents differ the worst
 * verdict counts: whoever sends the DKIM2 fields of a message a second time,
 * with other words, must not have those extended as if they were what passed.
 * Who sent it is said only by all of them: provisional is the worst.
 *
 * a        its octets live as long as j, but for those of rcpts
 */
void arrival_join(struct arrival_join *j, const struct arrival *a);

#endif
