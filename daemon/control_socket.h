/*
 * A control socket: SOCK_SEQPACKET, for root and the daemon's own user, a few
 * at a time. A packet is a request; its answer is any number of packets that
 * begin with "=", pieces of a text, and one that does not, the end: "ok",
 * "error" and what is wrong, or "again": another process is about to follow. Refused are, before the connection ends, other
 * users, who comes while CONTROL_PEERS are there, and a packet that is longer
 * than CONTROL_REQUEST_MAX; left is who is silent for CONTROL_IDLE_MS, or
 * does not take his answer for so long.
 */
#ifndef DAEMON_CONTROL_SOCKET_H
#define DAEMON_CONTROL_SOCKET_H

#include "base/buf.h"
#include "daemon/loop.h"

#define CONTROL_PEERS 16
#define CONTROL_IDLE_MS (30 * 1000)
#define CONTROL_REQUEST_MAX 512U	/* octets; also of an answer's end */
#define CONTROL_TEXT_MAX (4U << 20)	/* octets of an answer's text */

/* ---- its place ----------------------------------------------------------- */

/* FOLDER/control, bound. */
struct control_place {
	int fd;			/* listens; -1: it is not there */
	int folder;
	uint64_t device, inode;	/* of the socket, by its name */
};

#define CONTROL_NOWHERE ((struct control_place){.fd = -1, .folder = -1})

/*
 * Binds FOLDER/control, for its owner alone, in the place of one that a dead
 * process left.
 *
 * Returns  0, or -E_SYSTEM (errno) with *p as CONTROL_NOWHERE
 */
int control_place_bind(struct control_place *p, const char *folder);

/* Closes it, and removes the socket where it is still ours; in a process
 * that only inherited it, close p->fd and p->folder instead. */
void control_place_leave(struct control_place *p);

/* ---- who asks ------------------------------------------------------------ */

struct control_socket;
struct control_peer;

/*
 * A request: one line of printable ASCII. It is answered with
 * control_peer_end(), at once or later; the peer is there until then, and no
 * other request comes from it.
 */
typedef void control_request(void *arg, struct control_peer *p,
    struct bytes request);

/* fd stays the caller's. NULL without memory. */
struct control_socket *control_socket_new(struct loop *l, int fd,
    control_request *take, void *arg);

/* Takes no one and no request any more; calls once every answer is sent, or
 * has not been taken for CONTROL_LEAVE_MS. */
#define CONTROL_LEAVE_MS 1000
void control_socket_leave(struct control_socket *s, loop_call *left,
    void *arg);

/* Drops who is connected. *s becomes NULL; it may be NULL. */
void control_socket_free(struct control_socket **s);

/* Adds to the text of an answer; past CONTROL_TEXT_MAX, and without memory,
 * control_peer_end() says "error" instead of what it is told. */
void control_peer_text(struct control_peer *p, struct bytes text);

/* Sends the text, and the end behind it (at most CONTROL_REQUEST_MAX). */
void control_peer_end(struct control_peer *p, struct bytes end);

#endif
