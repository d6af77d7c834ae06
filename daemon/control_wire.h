/*
 * What the control process and the master say to each other, one packet each
 * over a socket pair. The master's answer has a text behind its head.
 */
#ifndef DAEMON_CONTROL_WIRE_H
#define DAEMON_CONTROL_WIRE_H

#include <stdint.h>

enum control_op {
	CONTROL_OP_RELOAD = 1,	/* read the configuration again */
	CONTROL_OP_STATUS,	/* what runs: lines as of `hopseal status` */
};

/* To the master. */
struct control_ask {
	uint32_t op;
	uint32_t ticket;	/* more than any before, of this process */
};

/* From it: to this ticket, and of reloads to all before it too. */
struct control_told {
	uint32_t op;
	uint32_t ticket;
	uint32_t is_done;	/* 0: the text says what is wrong */
};

#define CONTROL_TOLD_MAX (64U * 1024)	/* octets of text */

#endif
