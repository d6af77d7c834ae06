/*
 * Listening sockets: bound by the master before anything is forked, shared
 * by all workers, kept over a reload where the address stays.
 */
#ifndef DAEMON_BIND_H
#define DAEMON_BIND_H

#include "base/buf.h"
#include "config/config.h"

struct bind_socket {
	struct config_addr addr;
	int fd;
	bool is_wanted;		/* by the newest configuration */
};

struct bind_set {
	struct bind_socket *sockets;
	size_t n;
	struct bind_socket *given;	/* by systemd, and not used yet */
	size_t n_given;
};

/*
 * At the start, before anything is bound: takes the sockets that systemd has
 * bound for this process. What is no socket that listens for TCP is closed,
 * with a line in the log.
 *
 * Source   sd_listen_fds(3)
 */
void bind_take_given(struct bind_set *s);

/*
 * Binds what the configuration wants and we do not have yet, or takes the
 * socket of that address that was given, and marks what it wants. On failure nothing has changed.
 *
 * Returns  0, -E_NOMEM, or -E_SYSTEM (logged: the address and the reason)
 */
int bind_update(struct bind_set *s, const struct config *c);

/* Closes what the newest configuration does not want, and what was given for
 * nobody. */
void bind_trim(struct bind_set *s);

void bind_fini(struct bind_set *s);

/* The descriptor of an address; -1 where there is none. */
int bind_find(const struct bind_set *s, const struct config_addr *a);

#endif
