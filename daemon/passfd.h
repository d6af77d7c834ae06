/* Descriptors that go from one of our processes to another (unix(7)). */
#ifndef DAEMON_PASSFD_H
#define DAEMON_PASSFD_H

#include <stdbool.h>

/*
 * Sends a copy of a descriptor over a socket of the kind AF_UNIX, in a
 * message of one octet. Does not wait for a peer that does not read.
 *
 * Returns  0 or -E_SYSTEM
 */
int passfd_give(int socket, int fd);

/*
 * Takes a descriptor if one has come; it is the caller's.
 *
 * is_over  set where nothing more will come
 * Returns  the descriptor, -1 without one
 */
int passfd_take(int socket, bool *is_over);

#endif
