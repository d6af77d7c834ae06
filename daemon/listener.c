#include "daemon/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include "daemon/inbound.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/proxied.h"
#include "daemon/onward.h"
#include "daemon/pool.h"
#include "daemon/probe.h"
#include "daemon/relay.h"

/* How long a socket is left alone when descriptors or memory ran out. */
#define REST_MS 200
/* Connections taken from one socket a turn, so that sessions get theirs. */
#define ACCEPTS_A_TURN 16
/* How many sessions more than another worker one may have before it leaves
 * what comes to that one, for how long, and how many it then takes: the other
 * one hangs, or has much to do. */
#define AHEAD_MAX 2
#define LEFT_MS 2
#define ACCEPTS_AFTER 4

/* A connection whose PROXY header has not come. */
struct newcomer {
	struct acceptor *acceptor;
	struct inbound_ends ends;
	struct proxied *proxied;
	struct newcomer *next, **at;
};

struct acceptor {
	struct listener_set *set;
	const struct worker_socket *socket;
	int fd;
	struct loop_watch *watch;
	struct loop_timer *timer;	/* the socket is left alone */
	bool is_left;			/* likewise: to other workers */
	size_t n_sessions;		/* and newcomers */
	struct inbound *first;		/* sessions, newest first */
	struct newcomer *newcomers;
	struct crowd crowd;		/* who is not listed */
};

struct listener_set {
	struct hub hub;
	struct acceptor *acceptors;
	size_t n;
	int spare;		/* a descriptor for nothing; -1: none */
	bool is_draining;
	bool is_drained;
	struct loop_deferred deferred;
};

static void
drained(void *arg)
{
	struct listener_set *set = arg;

	set->hub.env->drained(set->hub.env->drained_arg);
}

static void
look_whether_drained(struct listener_set *set)
{
	if (!set->is_draining || set->is_drained || set->hub.n_relays != 0)
		return;
	for (size_t k = 0; k < set->n; k++)
		if (set->acceptors[k].n_sessions != 0)
			return;
	set->is_drained = true;
	loop_defer(set->hub.loop, &set->deferred, drained, set);
}

static void
relay_gone(struct hub *h)
{
	/* The hub is the first member. */
	look_whether_drained((struct listener_set *)h);
}

/* Which socket it is. */
static size_t
place_of(const struct acceptor *a)
{
	return (size_t)(a - a->set->acceptors);
}

static void
leave_alone(struct acceptor *a, int64_t ms)
{
	loop_want(a->watch, 0);
	loop_timer_start(a->timer, ms);
}

/* Whether another worker is to have what comes: one with less to do, or where
 * there is no room here, any with some. */
static bool
is_anothers(const struct acceptor *a)
{
	const struct worker_env *env = a->set->hub.env;
	bool is_full = a->n_sessions >= a->socket->listener->max_connections;

	return env->share != NULL && share_ahead(env->share, env->worker,
	    place_of(a)) > (is_full ? 0 : AHEAD_MAX);
}

/* To other workers, or no more. */
static void
leave_to_others(struct acceptor *a, bool is_left)
{
	const struct worker_env *env = a->set->hub.env;

	a->is_left = is_left;
	share_rest(env->share, env->worker, place_of(a), is_left);
	if (is_left) {
		leave_alone(a, LEFT_MS);
		return;
	}
	loop_timer_stop(a->timer);
	loop_want(a->watch, LOOP_READ);
}

static void
count(struct acceptor *a, int by)
{
	const struct worker_env *env = a->set->hub.env;

	a->n_sessions += (size_t)by;
	if (env->share == NULL)
		return;
	share_set(env->share, env->worker, place_of(a), a->n_sessions);
	if (a->is_left && !is_anothers(a))
		leave_to_others(a, false);
}

static void
session_gone(void *arg, struct inbound *s)
{
	struct acceptor *a = arg;
	struct inbound_link *link = inbound_link(s);

	if (link->before != NULL)
		inbound_link(link->before)->behind = link->behind;
	else
		a->first = link->behind;
	if (link->behind != NULL)
		inbound_link(link->behind)->before = link->before;
	crowd_leave(&link->crowd);
	count(a, -1);
	metrics_move(METRIC_SESSIONS_OPEN, a->socket->listener->role, -1);
	look_whether_drained(a->set);
}

#define TOO_MANY "421 4.7.0 Too many connections\r\n"
#define DRAINED "421 4.3.2 Drained by the operator, try another server\r\n"
#define NO_ROOM "421 4.3.2 No memory or descriptors, try again later\r\n"

static void
turn_away(const struct acceptor *a, int fd, const char *why, unsigned reason)
{
	metrics_count(METRIC_SESSIONS_REFUSED, reason, 0);
	if (!a->socket->is_tls)
		(void)send(fd, why, strlen(why), MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

/* Whether many may come from there: who is trusted comes for others. */
static bool
is_listed(const struct config_listener *l, const struct config_addr *addr)
{
	return config_nets_hold(l->clients, l->n_clients, addr->ip) ||
	    config_nets_hold(l->xclient, l->n_xclient, addr->ip);
}

static void
begin_session(struct acceptor *a, int fd, const struct inbound_ends *ends)
{
	bool is_free = is_listed(a->socket->listener, &ends->client);
	struct inbound *s;

	if (!is_free && crowd_count(&a->crowd, &ends->client) >=
	    a->socket->listener->max_per_network) {
		turn_away(a, fd, TOO_MANY, TURNED_NETWORK);
		return;
	}
	s = inbound_new(&a->set->hub, a->socket, fd, ends, session_gone, a);
	if (s == NULL) {
		log_line(LOG_ERROR_, "no memory for a session");
		turn_away(a, fd, NO_ROOM, TURNED_MEMORY);
		return;
	}
	inbound_link(s)->behind = a->first;
	if (a->first != NULL)
		inbound_link(a->first)->before = s;
	a->first = s;
	count(a, 1);
	metrics_count(METRIC_SESSIONS, a->socket->listener->role, 0);
	metrics_move(METRIC_SESSIONS_OPEN, a->socket->listener->role, 1);
	if (!is_free)
		crowd_join(&a->crowd, &inbound_link(s)->crowd, &ends->client);
	if (a->set->is_draining)
		inbound_leave(s);
}

static void
unlink_newcomer(struct newcomer *n)
{
	*n->at = n->next;
	if (n->next != NULL)
		n->next->at = n->at;
	count(n->acceptor, -1);
	free(n);
}

static void
on_header(void *arg, int fd, const struct smtp_proxyproto *said)
{
	struct newcomer *n = arg;
	struct acceptor *a = n->acceptor;
	struct inbound_ends ends = n->ends;
	char text[ADDR_TEXT_MAX];

	unlink_newcomer(n);
	if (said == NULL) {
		metrics_count(METRIC_SESSIONS_REFUSED, TURNED_PROXY, 0);
		addr_text(&ends.client, text);
		log_line(LOG_NOTICE_, "no PROXY header: client=[%s]:%u, "
		    "listener=%s", text, ends.client.port, a->socket->listener->name);
		look_whether_drained(a->set);
		return;
	}
	if (said->is_known) {
		memcpy(ends.client.ip, said->ip, sizeof(said->ip));
		memcpy(ends.local.ip, said->dest_ip, sizeof(said->dest_ip));
		ends.client.port = said->port;
		ends.local.port = said->dest_port;
	}
	begin_session(a, fd, &ends);
}

static void
await_header(struct acceptor *a, int fd, const struct inbound_ends *ends)
{
	struct newcomer *n = calloc(1, sizeof(*n));

	if (n == NULL) {
		turn_away(a, fd, NO_ROOM, TURNED_MEMORY);
		return;
	}
	n->proxied = proxied_new(a->set->hub.loop, fd,
	    a->socket->listener->proxy_timeout_s * 1000LL, on_header, n);
	if (n->proxied == NULL) {
		free(n);
		return;
	}
	n->acceptor = a;
	n->ends = *ends;
	n->next = a->newcomers;
	n->at = &a->newcomers;
	if (n->next != NULL)
		n->next->at = &n->next;
	a->newcomers = n;
	count(a, 1);
}

static void
welcome(struct acceptor *a, int fd, const struct config_addr *peer)
{
	const struct config_listener *l = a->socket->listener;
	struct inbound_ends ends = {.client = *peer};

	addr_of_socket(fd, &ends.local);
	if (orders_now(a->set->hub.env->orders, l,
	    loop_now_ms(a->set->hub.loop)).is_drained)
		turn_away(a, fd, DRAINED, TURNED_ORDER);
	else if (a->n_sessions >= l->max_connections)
		turn_away(a, fd, TOO_MANY, TURNED_FULL);
	else if (config_nets_hold(l->proxy, l->n_proxy, peer->ip))
		await_header(a, fd, &ends);
	else
		begin_session(a, fd, &ends);
}

/* One of them lets a newcomer hear why, where there is none left. */
static void
keep_spare(struct listener_set *set)
{
	if (set->spare < 0)
		set->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
apologise(struct acceptor *a)
{
	int fd = 0;

	for (unsigned k = 0; k < ACCEPTS_A_TURN && fd >= 0 &&
	    a->set->spare >= 0; k++) {
		close(a->set->spare);
		a->set->spare = -1;
		fd = accept4(a->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0)
			turn_away(a, fd, NO_ROOM, TURNED_MEMORY);
		keep_spare(a->set);
	}
}

static void
take_some(struct acceptor *a, unsigned n, bool is_shared)
{
	for (unsigned k = 0; k < n; k++) {
		struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
		socklen_t size = sizeof(ss);
		struct config_addr peer;
		int fd;

		if (is_shared && is_anothers(a)) {
			leave_to_others(a, true);
			break;
		}
		fd = accept4(a->fd, (struct sockaddr *)&ss, &size,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			addr_from_system((struct sockaddr *)&ss, &peer);
			welcome(a, fd, &peer);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno != EAGAIN) {
			bool is_full = errno == EMFILE || errno == ENFILE;

			log_line(LOG_ERROR_, "listener %s: accept: %m",
			    a->socket->listener->name);
			if (is_full)
				apologise(a);
			leave_alone(a, REST_MS);
		}
		break;
	}
}

static void
on_ready(void *arg, unsigned what)
{
	(void)what;
	take_some(arg, ACCEPTS_A_TURN, true);
}

/* What still waits was left to others in vain. */
static void
rested(void *arg)
{
	struct acceptor *a = arg;

	if (a->watch == NULL)
		return;
	if (a->is_left)
		leave_to_others(a, false);
	loop_want(a->watch, LOOP_READ);
	take_some(a, ACCEPTS_AFTER, false);
}

static void
on_txt(struct hub *h, uint64_t tag, const struct resolve_txt *txt)
{
	struct relay *r = slots_find(&h->slots, tag);

	if (r != NULL)
		relay_key(r, SLOT_PART(tag), txt);
}

static void
on_signature(struct hub *h, uint64_t tag, struct bytes signature)
{
	struct onward *o = slots_find(&h->slots, tag);

	if (o != NULL)
		onward_signature(o, SLOT_PART(tag), signature);
}

static bool
on_memory(struct hub *h, uint64_t tag, const struct memory_reply *reply)
{
	struct relay *r = slots_find(&h->slots, tag);

	return r != NULL && relay_memory_reply(r, SLOT_PART(tag), reply);
}

static bool
on_arrival(struct hub *h, uint64_t tag, const struct arrival_reply *reply)
{
	struct relay *r = slots_find(&h->slots, tag);

	return tag == RELAY_ARRIVAL_LATER ||
	    (r != NULL && relay_arrival_reply(r, reply));
}

static void
on_queue(struct hub *h, uint64_t tag, enum queue_answer a)
{
	struct relay *r = slots_find(&h->slots, tag);

	if (r != NULL)
		relay_queue_answer(r, a);
}

static bool
begin(struct acceptor *a, struct listener_set *set,
    const struct worker_socket *socket)
{
	a->set = set;
	crowd_init(&a->crowd);
	a->socket = socket;
	a->fd = socket->fd;
	a->timer = loop_timer_new(set->hub.loop, rested, a);
	a->watch = loop_watch(set->hub.loop, a->fd, on_ready, a);
	if (a->timer == NULL || a->watch == NULL)
		return false;
	loop_want(a->watch, LOOP_READ);
	if (set->hub.env->share != NULL)
		share_join(set->hub.env->share, set->hub.env->worker,
		    place_of(a));
	return true;
}

static const struct hub_calls calls = {
	.txt = on_txt,
	.signature = on_signature,
	.memory = on_memory,
	.arrival = on_arrival,
	.queue = on_queue,
	.relay_gone = relay_gone,
};

struct listener_set *
listener_set_new(const struct worker_env *env)
{
	struct listener_set *set = calloc(1, sizeof(*set));

	if (set == NULL)
		return NULL;
	set->spare = -1;
	keep_spare(set);
	if (hub_init(&set->hub, env, &calls))
		set->hub.probe = probe_new(&set->hub);
	set->acceptors = calloc(env->n_sockets, sizeof(*set->acceptors));
	if (set->acceptors == NULL || set->hub.probe == NULL) {
		listener_set_free(&set);
		return NULL;
	}
	for (; set->n < env->n_sockets; set->n++) {
		if (!begin(&set->acceptors[set->n], set,
		        &env->sockets[set->n])) {
			set->n++;
			listener_set_free(&set);
			return NULL;
		}
	}
	return set;
}

void
listener_set_ask(struct listener_set *set, loop_call *asked, void *arg)
{
	probe_start(set->hub.probe, asked, arg);
}

static void
stop_accepting(struct acceptor *a)
{
	const struct worker_env *env = a->set->hub.env;

	loop_unwatch(&a->watch);
	loop_timer_free(&a->timer);
	a->is_left = false;
	if (env->share != NULL)
		share_leave(env->share, env->worker, place_of(a));
}

/* Who has not begun is sent away. */
static void
drop_newcomers(struct acceptor *a)
{
	while (a->newcomers != NULL) {
		proxied_kill(&a->newcomers->proxied);
		unlink_newcomer(a->newcomers);
	}
}

static void
drain(struct listener_set *set, void (*end)(struct inbound *))
{
	set->is_draining = true;
	for (size_t k = 0; k < set->n; k++) {
		struct acceptor *a = &set->acceptors[k];

		stop_accepting(a);
		for (struct inbound *s = a->first; s != NULL;
		    s = inbound_link(s)->behind)
			end(s);		/* goes after this turn */
	}
	pool_drain(set->hub.pool);
	look_whether_drained(set);
}

void
listener_set_leave(struct listener_set *set)
{
	drain(set, inbound_leave);
}

void
listener_set_stop(struct listener_set *set)
{
	for (size_t k = 0; k < set->n; k++)
		drop_newcomers(&set->acceptors[k]);
	drain(set, inbound_stop);
}

void
listener_set_free(struct listener_set **setp)
{
	struct listener_set *set = *setp;

	*setp = NULL;
	if (set == NULL)
		return;
	for (size_t k = 0; k < set->n; k++)
		stop_accepting(&set->acceptors[k]);
	probe_free(&set->hub.probe);
	hub_fini(&set->hub);
	free(set->acceptors);
	if (set->spare >= 0)
		close(set->spare);
	free(set);
}
