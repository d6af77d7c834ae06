/*
 * Messages on their way into a SOCK_SEQPACKET socket, many to a packet, in a
 * buffer of fixed size.
 */
#ifndef DAEMON_PACKETS_H
#define DAEMON_PACKETS_H

#include "base/bytes.h"

struct packets {
	uint8_t *p;
	size_t head, tail, cap;
};

/* cap is in octets. -E_NOMEM without memory. */
int packets_init(struct packets *q, size_t cap);
void packets_fini(struct packets *q);

/* Forgets what has not been sent. */
void packets_clear(struct packets *q);

/*
 * Adds a message: a head, and a value behind it; together they fit into a
 * packet.
 *
 * Returns  false where there is no room: it is not added
 */
bool packets_add(struct packets *q, struct bytes head, struct bytes value);

/*
 * Sends what the socket takes, in packets of at most MEMORY_PACKET_MAX.
 *
 * Returns  0 where all is sent, 1 where the socket is full, -E_SYSTEM (errno)
 */
int packets_send(struct packets *q, int fd);

#endif
