#include "daemon/packets.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/err.h"
#include "daemon/memory_wire.h"

int
packets_init(struct packets *q, size_t cap)
{
	*q = (struct packets){malloc(cap), 0, 0, cap};
	return q->p == NULL ? -E_NOMEM : 0;
}

void
packets_fini(struct packets *q)
{
	free(q->p);
	*q = (struct packets){NULL, 0, 0, 0};
}

void
packets_clear(struct packets *q)
{
	q->head = q->tail = 0;
}

static void
put(struct packets *q, const void *p, size_t n)
{
	if (n != 0)
		memcpy(q->p + q->tail, p, n);
	q->tail += n;
}

/* A message stands behind its length, in two octets. */
bool
packets_add(struct packets *q, struct bytes head, struct bytes value)
{
	uint16_t n = (uint16_t)(head.n + value.n);

	assert(head.n + value.n <= MEMORY_PACKET_MAX);
	if (q->cap - (q->tail - q->head) < sizeof(n) + n)
		return false;
	if (q->cap - q->tail < sizeof(n) + n) {
		memmove(q->p, q->p + q->head, q->tail - q->head);
		q->tail -= q->head;
		q->head = 0;
	}
	put(q, &n, sizeof(n));
	put(q, head.p, head.n);
	put(q, value.p, value.n);
	return true;
}

/* Copies whole messages into a packet. Returns where they end in the queue. */
static size_t
pack(const struct packets *q, uint8_t *packet, size_t *n_packet)
{
	size_t at = q->head;

	*n_packet = 0;
	while (at < q->tail) {
		uint16_t n;

		memcpy(&n, q->p + at, sizeof(n));
		if (*n_packet + n > MEMORY_PACKET_MAX)
			break;
		memcpy(packet + *n_packet, q->p + at + sizeof(n), n);
		*n_packet += n;
		at += sizeof(n) + n;
	}
	return at;
}

int
packets_send(struct packets *q, int fd)
{
	uint8_t packet[MEMORY_PACKET_MAX];

	while (q->head < q->tail) {
		size_t n, end = pack(q, packet, &n);

		if (send(fd, packet, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno == EINTR)
				continue;
			return errno == EAGAIN ? 1 : -E_SYSTEM;
		}
		q->head = end;
	}
	packets_clear(q);
	return 0;
}
