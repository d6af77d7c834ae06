/*
 * A worker's way to the queue process: asks for what it wrote into the spool
 * to be made safe. One that dies is followed by another, which is asked again:
 * a commit that was made is found made.
 */
#ifndef DAEMON_QUEUE_LINK_H
#define DAEMON_QUEUE_LINK_H

#include "daemon/loop.h"
#include "queue/file.h"

struct queue_link;

/* Worker to queue process, and its answer; SOCK_SEQPACKET, one a packet. */
struct queue_request {
	uint64_t tag;
	char id[QUEUE_ID_MAX + 1];	/* NUL at its end */
	uint8_t zero[7];
};
struct queue_response {
	uint64_t tag;
	int32_t result;		/* of struct spool_commit */
	int32_t error;
};

enum queue_answer {
	QUEUE_TAKEN,		/* it is in the queue, synced */
	QUEUE_FULL,		/* no room: 452 4.3.1; it is gone */
	QUEUE_BROKEN,		/* 451 4.3.0; it is gone, or set aside */
};

/* tag      what queue_link_commit() got */
typedef void queue_link_answer(void *arg, uint64_t tag, enum queue_answer a);

/*
 * channel  where sockets to queue processes come from the master (passfd.h);
 *          -1: no listener queues
 * Returns  NULL without memory
 */
struct queue_link *queue_link_new(struct loop *l, int channel,
    queue_link_answer *answer, void *arg);
void queue_link_free(struct queue_link **k);

/*
 * Asks for new/ID to be committed. The answer comes later, never before this
 * returns; it may take long, as it waits for a queue process.
 *
 * Returns  0 or -E_NOMEM
 */
int queue_link_commit(struct queue_link *k, const char *id, uint64_t tag);

/*
 * Waits for it no more: no answer comes. What became of the message
 * spool_take_back() tells.
 */
void queue_link_forget(struct queue_link *k, uint64_t tag);

#endif
