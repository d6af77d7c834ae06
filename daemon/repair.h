/*
 * What devices leave out of a message: Date, Message-ID, and that its body has
 * octets of 8 bits. Facts in, fields out; they go on top of the message before
 * it is hashed. Mail that carries DKIM2 fields is never touched.
 */
#ifndef DAEMON_REPAIR_H
#define DAEMON_REPAIR_H

#include "dkim2/dkim2.h"

#define REPAIR_DATE 1U
#define REPAIR_MESSAGE_ID 2U
#define REPAIR_MIME_VERSION 4U
#define REPAIR_TYPE 8U		/* text/plain, in what charset it seems to be */
#define REPAIR_ENCODING 16U	/* 8bit */

#define REPAIR_MAX 1024U	/* octets of all fields together */

struct repair {
	unsigned lacks;		/* of REPAIR_* */
	bool is_utf8;		/* the body is UTF-8 */
};

/*
 * Looks what a message lacks. A field that is there stays as it is, whatever
 * it says; more than a type and an encoding is not guessed, and that of the
 * parts of a multipart neither.
 *
 * body     with CRLF line ends
 * r        lacks is 0 where nothing is to be done, and where the message
 *          carries DKIM2 fields
 * Source   RFC 5322 3.6; RFC 2045 4, 5.2, 6; RFC 1428 3 (unknown-8bit)
 */
void repair_look(struct repair *r, const struct dkim2_message *m,
    struct bytes body);

struct repair_facts {
	int64_t time_s;		/* of Date */
	struct bytes id;	/* of our message: left of the @ in Message-ID */
	struct bytes domain;	/* right of it: that of From; may be empty */
	const char *hostname;	/* or this, where that is no plain domain */
};

/*
 * Writes the fields that are lacking, at most REPAIR_MAX octets: for the same
 * facts always the same.
 */
void repair_write(const struct repair *r, const struct repair_facts *f,
    struct buf *out);

#endif
