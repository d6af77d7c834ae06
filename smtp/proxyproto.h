/*
 * The PROXY protocol, versions 1 and 2: what stands in front of a session
 * when a balancer tells who its client is (HAProxy's proxy-protocol.txt).
 */
#ifndef SMTP_PROXYPROTO_H
#define SMTP_PROXYPROTO_H

#include "base/buf.h"

#define SMTP_PROXYPROTO_V1_MAX 107	/* octets of the line, with CRLF */
#define SMTP_PROXYPROTO_V2_MAX 4096	/* octets behind the first 16 */

enum smtp_proxyproto_step {
	SMTP_PROXYPROTO_MORE,	/* all input used; read more */
	SMTP_PROXYPROTO_READY,	/* what follows in the input is the client's */
	SMTP_PROXYPROTO_BAD,	/* no such header: close, say nothing */
};

struct smtp_proxyproto {
	bool is_known;		/* false: LOCAL, UNKNOWN, or no IP: the
				   connection's own addresses are right */
	uint8_t ip[16];		/* of the client, IPv4 in its mapped form */
	uint8_t dest_ip[16];
	uint16_t port;
	uint16_t dest_port;
	size_t n_skip;		/* TLVs of version 2 that are not read yet */
	size_t n;
	uint8_t octets[256];
};

/* Ready for the first octet of a connection. */
void smtp_proxyproto_init(struct smtp_proxyproto *p);

/*
 * Reads on; the header may come in pieces of any size.
 *
 * in       octets as read; those of the header, and no others, are cut from
 *          its front
 * Returns  a step; after READY and BAD it takes no more. BAD is a header of
 *          over SMTP_PROXYPROTO_V1_MAX or V2_MAX, a version, command,
 *          transport, address or port that is none, and a length that is too
 *          short for its addresses. TLVs are passed over
 */
enum smtp_proxyproto_step smtp_proxyproto_read(struct smtp_proxyproto *p,
    struct bytes *in);

#endif
