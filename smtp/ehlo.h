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
#define SMTP_CAN_AUTH_PLAIN 256U
#define SMTP_CAN_AUTH_LOGIN 512U
#define SMTP_CAN_XCLIENT 1024U

/* The attributes of XCLIENT. */
#define SMTP_XCLIENT_NAME 1U
#define SMTP_XCLIENT_ADDR 2U
#define SMTP_XCLIENT_PORT 4U
#define SMTP_XCLIENT_PROTO 8U
#define SMTP_XCLIENT_HELO 16U
#define SMTP_XCLIENT_LOGIN 32U
#define SMTP_XCLIENT_DESTADDR 64U
#define SMTP_XCLIENT_DESTPORT 128U
#define SMTP_XCLIENT_N 8

/* What a host says that it can. */
struct smtp_ehlo {
	unsigned can;		/* SMTP_CAN_* */
	uint64_t max_size;	/* of SIZE; 0: no limit said */
	unsigned xclient;	/* SMTP_XCLIENT_* */
};

/* "ADDR" ..., the k-th attribute, its bit 1U << k; static storage. */
struct bytes smtp_xclient_name(unsigned k);

/*
 * Adds the reply to EHLO: the name, then a line for each extension.
 * At most 600 octets.
 */
void smtp_ehlo_write(struct buf *out, const char *hostname,
    const struct smtp_ehlo *ehlo);

/*
 * Takes one line of the reply to EHLO, without its code, into ehlo. The
 * first line of the reply is the host's name and not for this. A keyword
 * that is not known is passed over, and so are a SIZE that is no number,
 * another AUTH mechanism than PLAIN and LOGIN, an unknown attribute.
 *
 * Source   RFC 5321 4.1.1.1, RFC 1870 3, RFC 2920 2, RFC 6152 2, RFC 4954 3;
 *          XCLIENT_README of Postfix
 */
void smtp_ehlo_read(struct smtp_ehlo *ehlo, struct bytes line);

#endif
