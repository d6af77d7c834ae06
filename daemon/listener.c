#include "daemon/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/socket.h>

#include "daemon/inbound.h"
#include "daemon/log.h"
#include "daemon/nexthop.h"
#include "daemon/onward.h"
#include "daemon/pool.h"
#include "daemon/relay.h"

/* How long a socket is left alone when descriptors or memory ran out. */
#define REST_MS 200
/* Connections taken from one socket a turn, so that sessions get theirs. */
#define ACCEPTS_A_TURN 16

struct acceptor {
	struct listener_set *set;
	const struct worker_socket *socket;
	int fd;
	struct loop_watch *watch;
	struct loop_timer *timer;	/* after EMFILE */
	size_t n_sessions;
	struct inbound *first;		/* sessions, newest first */
};

struct listener_set {
	struct hub hub;
	struct acceptor *acceptors;
	size_t n;
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
	a->n_sessions--;
	look_whether_drained(a->set);
}

static void
turn_away(const struct acceptor *a, int fd)
{
	static const char full[] = "421 4.7.0 Too many connections\r\n";

	if (!a->socket->is_tls)
		(void)send(fd, full, sizeof(full) - 1,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

static void
welcome(struct acceptor *a, int fd, const struct config_addr *peer)
{
	struct inbound *s;

	if (a->n_sessions >= a->socket->listener->max_connections) {
		turn_away(a, fd);
		return;
	}
	s = inbound_new(&a->set->hub, a->socket, fd, peer, session_gone, a);
	if (s == NULL) {
		log_line(LOG_ERROR_, "no memory for a session");
		return;
	}
	inbound_link(s)->behind = a->first;
	if (a->first != NULL)
		inbound_link(a->first)->before = s;
	a->first = s;
	a->n_sessions++;
}

static void
rested(void *arg)
{
	struct acceptor *a = arg;

	if (a->watch != NULL)
		loop_want(a->watch, LOOP_READ);
}

static void
on_ready(void *arg, unsigned what)
{
	struct acceptor *a = arg;

	(void)what;
	for (unsigned k = 0; k < ACCEPTS_A_TURN; k++) {
		struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
		socklen_t n = sizeof(ss);
		struct config_addr peer;
		int fd = accept4(a->fd, (struct sockaddr *)&ss, &n,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			addr_from_system((struct sockaddr *)&ss, &peer);
			welcome(a, fd, &peer);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno != EAGAIN) {
			log_line(LOG_ERROR_, "listener %s: accept: %m",
			    a->socket->listener->name);
			loop_want(a->watch, 0);
			loop_timer_start(a->timer, REST_MS);
		}
		break;
	}
}

static void
on_txt(void *arg, uint64_t tag, const struct resolve_txt *txt)
{
	struct listener_set *set = arg;
	struct relay *r = slots_find(&set->hub.slots, tag);

	if (r != NULL)
		relay_key(r, SLOT_PART(tag), txt);
}

static void
on_records(void *arg, uint64_t tag, const struct dnsanswer_records *records)
{
	struct listener_set *set = arg;

	nexthop_records(&set->hub, tag, records);
}

static void
on_addrs(void *arg, uint64_t tag, const struct resolve_addrs *addrs)
{
	struct listener_set *set = arg;

	nexthop_addrs(&set->hub, tag, addrs);
}

static void
way_found(struct hub *h, uint64_t tag, const struct nexthop_answer *way)
{
	struct outbound *o = slots_find(&h->slots, tag);

	if (o != NULL)
		outbound_way(o, way);
}

static void
on_signature(void *arg, uint64_t tag, struct bytes signature)
{
	struct listener_set *set = arg;
	struct onward *o = slots_find(&set->hub.slots, tag);

	if (o != NULL)
		onward_signature(o, SLOT_PART(tag), signature);
}

static bool
on_memory(void *arg, uint64_t tag, const struct memory_reply *reply)
{
	struct listener_set *set = arg;
	struct relay *r = slots_find(&set->hub.slots, tag);

	return r != NULL && relay_memory_reply(r, SLOT_PART(tag), reply);
}

static bool
begin(struct acceptor *a, struct listener_set *set,
    const struct worker_socket *socket)
{
	a->set = set;
	a->socket = socket;
	a->fd = socket->fd;
	a->timer = loop_timer_new(set->hub.loop, rested, a);
	a->watch = loop_watch(set->hub.loop, a->fd, on_ready, a);
	if (a->timer == NULL || a->watch == NULL)
		return false;
	loop_want(a->watch, LOOP_READ);
	return true;
}

struct listener_set *
listener_set_new(const struct worker_env *env)
{
	struct listener_set *set = calloc(1, sizeof(*set));

	if (set == NULL)
		return NULL;
	slots_init(&set->hub.slots);
	set->hub.env = env;
	set->hub.loop = env->loop;
	set->hub.config = env->config;
	set->hub.tls = env->tls;
	set->hub.inventory = env->inventory;
	set->hub.relay_gone = relay_gone;
	set->hub.way_found = way_found;
	set->hub.resolve = resolve_new(env->loop, env->config,
	    &(struct resolve_from){.keys = env->keysfile},
	    &(struct resolve_calls){on_txt, on_records, on_addrs}, set);
	set->hub.memory = memory_new(env->loop, env->keeper_fd, on_memory, set);
	set->hub.pool = pool_new();
	if (env->signer_fd >= 0)
		set->hub.signer = signer_client_new(env->loop, env->signer_fd,
		    on_signature, set);
	set->acceptors = calloc(env->n_sockets, sizeof(*set->acceptors));
	if (set->hub.resolve == NULL || set->hub.pool == NULL ||
	    set->acceptors == NULL || set->hub.memory == NULL ||
	    (env->signer_fd >= 0 && set->hub.signer == NULL)) {
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

static void
stop_accepting(struct acceptor *a)
{
	loop_unwatch(&a->watch);
	loop_timer_free(&a->timer);
}

void
listener_set_drain(struct listener_set *set)
{
	set->is_draining = true;
	for (size_t k = 0; k < set->n; k++) {
		struct acceptor *a = &set->acceptors[k];

		stop_accepting(a);
		for (struct inbound *s = a->first; s != NULL;
		    s = inbound_link(s)->behind)
			inbound_drain(s);	/* goes after this turn */
	}
	pool_drain(set->hub.pool);
	look_whether_drained(set);
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
	nexthop_drop(&set->hub);
	pool_free(&set->hub.pool);
	resolve_free(&set->hub.resolve);
	signer_client_free(&set->hub.signer);
	memory_free(&set->hub.memory);
	slots_fini(&set->hub.slots);
	free(set->acceptors);
	free(set);
}
