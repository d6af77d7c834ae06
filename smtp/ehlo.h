/* The extensions that EHLO announces: written by a server, read by a client. */
#ifndef SMTP_EHLO_H
#define SMTP_EHLO_H

#include "base/buf.h"

#define SMTP_CAN_PIPELINE 1U
#define SMTP_CAN_8BITMIME 2U
#define SMTP_CAN_SIZE 4U
#define SMTP_CAN_ENHANCED 8U
#define SMTP_CAN_SMTPUTF8 16U
#define SMTP_CAN_STARTTLS 32U
#define SMTP_CAN_CHUNKING 64U
#define SMTP_CAN_DSN 128U

/* What a host says that it can. */
struct smtp_ehlo {
	unsigned can;		/* SMTP_CAN_* */
	uint64_t max_size;	/* of SIZE; 0: no limit said */
};

/*
 * Adds the reply to EHLO: the name, then a line for each extension.
 * At most 600 octets.
 */
void smtp_ehlo_write(struct buf *out, const char *hostname,
    const struct smtp_ehlo *ehlo);

/*
 * Takes one line of the reply to EHLO, without its code, into ehlo. The
 * first line of the reply is the host's name and not for this. A keyword
 * that is not known is passed over, and so is a SIZE that is no number.
 *
 * Source   RFC 5321 4.1.1.1, RFC 1870 3, RFC 2920 2, RFC 6152 2
 */
void smtp_ehlo_read(struct smtp_ehlo *ehlo, struct bytes line);

#endif
