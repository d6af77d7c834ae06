/*
 * One connection to one server of a next hop, up to where MAIL can be said:
 * the socket, who our client is, TLS as the policy has it, EHLO, AUTH. What
 * is said then is its owner's.
 */
#ifndef DAEMON_LINK_H
#define DAEMON_LINK_H

#include <sys/queue.h>

#include "daemon/conn.h"
#include "daemon/hub.h"
#include "daemon/nexthop.h"
#include "smtp/client.h"

struct pool_place;

enum link_event {
	LINK_READY,	/* greeted, or RSET was answered: MAIL may be said */
	LINK_REFUSED,	/* ->reply instead of READY: to be closed */
	LINK_SAID,	/* the next hop answered: ->said, client.reply */
	LINK_OUT,	/* the buffer is empty again */
	LINK_LOST,	/* ->fault: to be closed */
};

typedef void link_call(void *arg, enum link_event what);

/* Where to, and how. Lives no longer than link_open(). */
struct link_way {
	const struct config_listener *listener;
	const struct config_next_hop *hop;
	const struct nexthop_target *target;
	const struct smtp_introduction *who;	/* the client whose identity
			is passed on, lives as long as the link; NULL: ours */
	const struct login *login;	/* a client's, likewise; or NULL */
	bool is_plain;		/* the policy is `may`, and TLS failed before */
	bool is_watched;
};

enum link_state {
	LINK_CONNECTING,
	LINK_SECURING,		/* CONN_SECURED is due */
	LINK_GREETING,		/* the client's READY is due */
	LINK_GREETED,
	LINK_DEAD,		/* being freed */
};

struct link {
	struct hub *hub;
	const struct config_listener *listener;
	const struct config_next_hop *hop;
	const struct smtp_introduction *who;
	const struct login *login;
	link_call *call;
	void *arg;
	enum link_state state;
	struct conn *conn;	/* NULL after LINK_LOST */
	struct smtp_client client;
	struct smtp_reply reply;	/* LINK_REFUSED; the link's */
	enum smtp_client_event said;
	char fault[512];
	bool is_plain;
	bool is_introduced;
	bool is_known;		/* AUTH is done */
	bool is_resetting;	/* READY is due once more */
	bool is_brief;		/* idle: one above max-idle */
	bool is_tls_fault;	/* LOST in the handshake */
	bool is_watched;	/* by order: what it is told is logged */
	char host[256];
	uint16_t port;
	char relay[384];	/* "host[ip]:port" */
	char tls[8];		/* "1.3"; empty: none */
	unsigned n_mails;	/* transactions begun on it */
	struct pool_place *place;	/* the pool's */
	TAILQ_ENTRY(link) idle;		/* the pool's */
	struct loop_deferred deferred;
};

/*
 * Begins to connect; READY, REFUSED or LOST follows, never before this
 * returns.
 *
 * Returns  NULL with errno set where that fails at once
 */
struct link *link_open(struct hub *h, const struct link_way *way,
    link_call *call, void *arg);

/* Writes "host[ip]:port", for the log. */
void link_name(const struct nexthop_target *t, char *out, size_t n);

/* Who hears of it from now on. */
void link_owner(struct link *l, link_call *call, void *arg);

/* Gives up a transaction before DATA: READY follows. False: close it. */
bool link_reset(struct link *l);

/*
 * Closes, with QUIT where that can be said at once. No event follows. *l
 * becomes NULL; it may be NULL. Its place in the pool is free again.
 */
void link_close(struct link **l);

#endif
