/*
 * What a listener offers its clients: where all mail goes to one server, what
 * that one can, as its last connection said; else everything we can.
 */
#ifndef DAEMON_OFFERS_H
#define DAEMON_OFFERS_H

#include "config/config.h"

struct offers;
struct hub;

/* Nothing is known so far. NULL without memory. config outlives it. */
struct offers *offers_new(const struct config *c);

/* Frees *o; NULL stays. */
void offers_free(struct offers **o);

/*
 * A server of a next hop has greeted.
 *
 * can      SMTP_CAN_*
 * max_size of its SIZE; 0: no limit said
 */
void offers_learn(struct offers *o, const struct config_next_hop *hop,
    unsigned can, uint64_t max_size);

/* What is said in the reply to EHLO. */
struct offer {
	unsigned can;		/* of 8BITMIME, SMTPUTF8, CHUNKING, DSN */
	uint64_t max_message;	/* octets, less what we add on the way */
};

struct offer offers_of(const struct hub *h, const struct config_listener *l);

#endif
