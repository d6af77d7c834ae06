/*
 * What the delivered memory keeps of one try, so that the next one is octet
 * for octet the same: our time, id and Received field.
 */
#ifndef DAEMON_RELAY_VALUE_H
#define DAEMON_RELAY_VALUE_H

#include "base/buf.h"

#define RELAY_ID_MAX 15U

struct relay_value {
	int64_t time_s;		/* t= and the date of Received */
	struct bytes id;	/* letters and digits, 1 to RELAY_ID_MAX */
	uint8_t client[16];	/* the address it came from, mapped form */
	struct bytes received;	/* one field; empty: it did not fit */
};

/*
 * Writes a value: version 1, the time in 8 octets (the highest first), the
 * client, the id behind its length in 1 octet, the field behind its length in
 * 2. A field that does not fit is left out.
 */
void relay_value_write(const struct relay_value *v, struct buf *out);

/*
 * Reads a value, strictly: it comes from a file, and goes into mail.
 *
 * v        views of b
 * Returns  false where it is none, or its field is not one whole Received
 *          field of printable octets with CRLF line ends
 */
bool relay_value_parse(struct bytes b, struct relay_value *v);

#endif
