/*
 * What goes between the keeper and the workers, over SOCK_SEQPACKET pairs:
 * packets of whole messages, each a head of fixed size and its value. Between
 * processes of one program, so in the machine's own byte order.
 */
#ifndef DAEMON_MEMORY_WIRE_H
#define DAEMON_MEMORY_WIRE_H

#include "base/bytes.h"
#include "daemon/arrival_value.h"
#include "daemon/memory.h"

#define MEMORY_KEY_SIZE 16U
#define MEMORY_SECRET_SIZE 32U
#define MEMORY_PACKET_MAX 32768U
/* Recipients of one MIXED message. */
#define MEMORY_MIXED_MAX (MEMORY_VALUE_MAX / sizeof(uint64_t))

enum memory_op {
	MEMORY_OP_LOOK = 1,	/* pair, sender; answered */
	MEMORY_OP_CLAIM,	/* key, pair, value; answered */
	MEMORY_OP_HOLD,		/* a claim made of an earlier keeper */
	MEMORY_OP_DELIVERED,	/* key, pair, value; answered: DELIVERED where
				   it is done, else OUT */
	MEMORY_OP_UNSURE,	/* key, pair, value */
	MEMORY_OP_RELEASE,	/* key */
	MEMORY_OP_FORGET,	/* key; answered, likewise */
	MEMORY_OP_MIXED,	/* sender; the value is pairs */
	MEMORY_OP_ANSWERED,	/* sender, pair */
	MEMORY_OP_RETURN_KEEP,	/* key: of a return address; the value is the
				   path it leads to; answered as DELIVERED */
	MEMORY_OP_RETURN_FIND,	/* key: likewise; answered: KNOWN with the
				   path, else NEW */
	/* of arrival records */
	MEMORY_OP_WRITE,	/* key: of the chain; the value is a struct
				   memory_write and the record; answered */
	MEMORY_OP_REMOVE,	/* key: what WRITE called it; the value is a
				   struct memory_place */
	MEMORY_OP_FIND_CHAIN,	/* key: of the chain; answered */
	MEMORY_OP_FIND_MESSAGE,	/* key: of the Message-ID; answered */
	MEMORY_OP__N
};

/* Before the record of a WRITE. */
struct memory_write {
	uint8_t message[MEMORY_KEY_SIZE];	/* digest of scope, Message-ID */
	uint8_t name[MEMORY_KEY_SIZE];	/* digest of all there is of it */
};

/* Of a REMOVE: what else WRITE said of it. */
struct memory_place {
	uint8_t chain[MEMORY_KEY_SIZE];
	uint8_t message[MEMORY_KEY_SIZE];
};

/* Worker to keeper. */
struct memory_request {
	uint8_t op;
	uint8_t is_short;
	uint16_t n_value;
	uint32_t zero;
	uint64_t tag;
	uint64_t pair;		/* digest of scope, reverse-path, recipient */
	uint64_t sender;	/* digest of scope, reverse-path */
	uint8_t key[MEMORY_KEY_SIZE];	/* digest of all, and the content */
};

/* Keeper to worker. */
struct memory_response {
	uint64_t tag;
	uint8_t status;	/* enum memory_status, or arrival_status */
	uint8_t is_single;
	uint16_t n_value;
	uint8_t is_arrival;
	uint8_t zero[3];
};

/* Keeper to worker: the first packet. */
struct memory_hello {
	uint8_t secret[MEMORY_SECRET_SIZE];	/* of the digests */
};

#define MEMORY_WRITE_MAX (sizeof(struct memory_write) + ARRIVAL_VALUE_MAX)

/* Whether it is about arrival records. */
static inline bool
memory_op_is_arrival(unsigned op)
{
	return op >= MEMORY_OP_WRITE && op < MEMORY_OP__N;
}

/*
 * A keyed digest of some parts. Those of different kinds never meet, and no
 * octet moves from part to part.
 */
void memory_digest(const uint8_t secret[MEMORY_SECRET_SIZE], uint8_t kind,
    const struct bytes *parts, size_t n, uint8_t *out, size_t n_out);

#define MEMORY_REQUEST_MAX (sizeof(struct memory_request) + MEMORY_VALUE_MAX)
#define MEMORY_RESPONSE_MAX (sizeof(struct memory_response) + MEMORY_VALUE_MAX)

/*
 * Takes the next message from the front of a packet; value is a view of it.
 *
 * Returns  1, 0 at the end of the packet, -E_SYNTAX where it is none (the
 *          peer is not one of us then)
 */
int memory_request_parse(struct bytes *packet, struct memory_request *q,
    struct bytes *value);
int memory_response_parse(struct bytes *packet, struct memory_response *a,
    struct bytes *value);

#endif
