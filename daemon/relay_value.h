/*
 * What the delivered memory keeps of one try, so that the next one is octet
 * for octet the same: our time, id and Received field, and whom rt= named.
 */
#ifndef DAEMON_RELAY_VALUE_H
#define DAEMON_RELAY_VALUE_H

#include "base/buf.h"

#define RELAY_ID_MAX 15U

struct relay_value {
	int64_t time_s;		/* t= and the date of Received */
	struct bytes id;	/* letters and digits, 1 to RELAY_ID_MAX */
	uint8_t client[16];	/* the address it came from, mapped form */
	bool is_exploded;	/* it is one of the copies that an alias makes */
	struct bytes received;	/* one field; empty: it did not fit */
	struct bytes rcpts;	/* who shared the copy, each as
				   relay_value_add_rcpt() writes it; empty:
				   nobody did, or it did not fit */
};

/* Adds a path, with brackets, to the list of those who share a copy. */
void relay_value_add_rcpt(struct buf *list, struct bytes path);

/* Cuts the first path off a list of relay_value_parse(), or of ours. False
 * where there is none. */
bool relay_value_next_rcpt(struct bytes *list, struct bytes *path);

/* Whether a list is one, and of paths alone. */
bool relay_value_are_rcpts(struct bytes list);

/*
 * Writes a value: version 1, or 2 for one of an alias' copies; the time in 8 octets (the highest first), the
 * client, the id behind its length in 1 octet, the field behind its length in
 * 2, the list. A field or a list that does not fit is left out.
 */
void relay_value_write(const struct relay_value *v, struct buf *out);

/*
 * Reads a value, strictly: it comes from a file, and goes into mail.
 *
 * v        views of b
 * Returns  false where it is none, its field is not one whole Received field
 *          of printable octets with CRLF line ends, or its list holds what
 *          is no path
 */
bool relay_value_parse(struct bytes b, struct relay_value *v);

#endif
