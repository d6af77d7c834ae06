/*
 * The control socket of the queue, STATE/queue/control: a packet with a
 * request, a packet with its answer (queue_run_command()). For root and the
 * daemon's own user.
 */
#ifndef DAEMON_QUEUE_CONTROL_H
#define DAEMON_QUEUE_CONTROL_H

#include "daemon/queue_run.h"

struct queue_control;

#define QUEUE_CONTROL_PEERS 16
#define QUEUE_CONTROL_IDLE_MS (30 * 1000)

/*
 * Makes the socket, in the place of one that a dead process left.
 *
 * state    path of STATE
 * run      lives longer
 * Returns  NULL where it can not be made: logged
 */
struct queue_control *queue_control_new(struct loop *l, const char *state,
    struct queue_run *run);

/* Drops who is connected, and removes the socket. */
void queue_control_free(struct queue_control **c);

#endif
