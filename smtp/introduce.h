/*
 * Tells a next hop who our client is: a PROXY header before the banner, or
 * the XCLIENT command. Written only; who reads them is the server.
 */
#ifndef SMTP_INTRODUCE_H
#define SMTP_INTRODUCE_H

#include "smtp/ehlo.h"

/* One end of a connection. */
struct smtp_endpoint {
	uint8_t ip[16];		/* IPv4 in its IPv6-mapped form */
	const char *text;	/* "192.0.2.1", "2001:db8::1" */
	uint16_t port;
};

/* The client, and where it came to. */
struct smtp_introduction {
	struct smtp_endpoint from, to;
	struct bytes helo;	/* as it said it; empty: none */
	const char *proto;	/* "SMTP", "ESMTP" */
};

/* No PROXY header needs more room. */
#define SMTP_PROXY_MAX 107

/*
 * Adds a header of version 1 or 2. Two ends of different families, which one
 * proxy in front of another makes of an IPv4 client, go as IPv6.
 *
 * who      NULL: nobody, the connection is the proxy's own (UNKNOWN, LOCAL)
 * Source   HAProxy, The PROXY protocol, 2.1 and 2.2
 */
void smtp_introduce_proxy_v1(struct buf *out,
    const struct smtp_introduction *who);
void smtp_introduce_proxy_v2(struct buf *out,
    const struct smtp_introduction *who);

/*
 * Adds the XCLIENT command with the attributes that were announced, at most
 * 512 octets: what the client said in HELO is left out where it is too long.
 * A name we have not looked up is [UNAVAILABLE].
 *
 * announced  SMTP_XCLIENT_*
 * Source   XCLIENT_README of Postfix; RFC 3461 4 (xtext)
 */
void smtp_introduce_xclient(struct buf *out, unsigned announced,
    const struct smtp_introduction *who);

#endif
