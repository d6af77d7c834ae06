/*
 * What goes between the keeper and the workers, over SOCK_SEQPACKET pairs:
 * packets of whole messages, each a head of fixed size and its value. Between
 * processes of one program, so in the machine's own byte order.
 */
#ifndef DAEMON_MEMORY_WIRE_H
#define DAEMON_MEMORY_WIRE_H

#include "base/bytes.h"
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
	MEMORY_OP__N
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
	uint8_t status;		/* enum memory_status */
	uint8_t is_single;
	uint16_t n_value;
	uint32_t zero;
};

/* Keeper to worker: the first packet. */
struct memory_hello {
	uint8_t secret[MEMORY_SECRET_SIZE];	/* of the digests */
};

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
