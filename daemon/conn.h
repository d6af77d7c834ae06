/*
 * One socket: octets come in and wait until they are used, octets go out
 * from the owner's buffer. Nothing is freed inside a callback.
 */
#ifndef DAEMON_CONN_H
#define DAEMON_CONN_H

#include "base/buf.h"
#include "config/config.h"
#include "daemon/loop.h"

enum conn_event {
	CONN_CONNECTED,	/* conn_connect() came through */
	CONN_IN,	/* more octets stand in ->in */
	CONN_OUT,	/* the out buffer is empty again */
	CONN_EOF,	/* the peer sends no more (it may still read) */
	CONN_BROKEN,	/* reset, or an error; ->error is errno's value */
	CONN_TIMEOUT,	/* what conn_deadline() set is over */
};

typedef void conn_call(void *arg, enum conn_event what);

#define CONN_IN_MAX 16384

struct conn {
	struct loop *loop;
	struct loop_watch *watch;
	struct loop_timer *timer;
	struct loop_deferred deferred;
	struct buf *out;	/* the owner's; drained as the peer takes it */
	struct buf in;		/* read, and not used yet */
	conn_call *call;
	void *arg;
	int fd;
	int error;
	bool is_connecting;
	bool is_eof;
	bool is_dying;
	uint8_t in_octets[CONN_IN_MAX];
};

/*
 * Takes over a connected or connecting non-blocking socket.
 *
 * out      the owner's buffer of octets to send; outlives the conn
 * Returns  NULL without memory; fd is then closed
 */
struct conn *conn_new(struct loop *l, int fd, struct buf *out,
    conn_call *call, void *arg);

/* Begins to connect. NULL with errno set where that fails at once. */
struct conn *conn_connect(struct loop *l, const struct config_addr *to,
    struct buf *out, conn_call *call, void *arg);

/*
 * Sends what stands in out, now as far as it goes and later the rest; to be
 * called after octets were put there. CONN_OUT follows only when some had to
 * wait.
 */
void conn_flush(struct conn *c);

/* To be called after octets were taken from ->in: reading goes on. */
void conn_used(struct conn *c);

/* CONN_TIMEOUT after ms; 0: never. A later call replaces an earlier one. */
void conn_deadline(struct conn *c, int64_t ms);

/*
 * Closes at once, sending nothing more; no callback follows. Safe from any
 * callback. *c becomes NULL; it may be NULL.
 */
void conn_kill(struct conn **c);

#endif
