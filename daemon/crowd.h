/* How many clients of a network are connected. */
#ifndef DAEMON_CROWD_H
#define DAEMON_CROWD_H

#include "config/config.h"

#define CROWD_HEADS 256

/* A client; the owner's storage. */
struct crowd_member {
	struct crowd_member *next;
	struct crowd_member **at;	/* what points to it; NULL: nowhere */
	uint8_t network[8];
};

struct crowd {
	uint8_t key[16];	/* of the hash, so that nobody can choose
				   networks that share a head */
	struct crowd_member *heads[CROWD_HEADS];
};

/* Empty. */
void crowd_init(struct crowd *c);

/* The clients of an address's network: IPv4 by its first 24 bits, IPv6 by 64. */
uint32_t crowd_count(const struct crowd *c, const struct config_addr *addr);

/* Counts a client in. m is linked until crowd_leave(). */
void crowd_join(struct crowd *c, struct crowd_member *m,
    const struct config_addr *addr);

/* Counts it out; m may be nowhere (all zero). */
void crowd_leave(struct crowd_member *m);

#endif
