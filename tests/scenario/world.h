/*
 * The world that the daemon's code sees in a scenario: its loop, its clock and
 * its network, all in this process. Nothing sleeps: time moves when the script
 * says so. world.c stands in the place of daemon/loop.c; socket calls come to
 * world_net.c by the linker's --wrap.
 */
#ifndef SCENARIO_WORLD_H
#define SCENARIO_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "config/config.h"
#include "daemon/loop.h"

/* The one loop; made by loop_new(), as in the daemon. */
extern struct loop *world_loop;

/* Forgets everything; the clock stands at 2026-11-26 00:00:00 UTC. */
void world_begin(void);

/* Runs what is ready until nothing is. Aborts where that never ends. */
void world_run(void);

/* Lets time pass, timers in their order, and runs what is ready: what has come
 * by now, together with the first of them. */
void world_pass(int64_t ms);

/* Somebody sets the time of day; the monotonic clock does not mind. */
void world_set_clock(int64_t by_s);

/* Whether a timer is set; when nothing else moves, nothing ever will. */
bool world_has_timer(void);

/* ---- memory (world_memory.c) ---- */

/* The daemon's n-th request for memory from now on fails, and that alone. 0:
 * none does. */
void world_memory_fail(size_t at);

/* Whether it came to that. */
bool world_memory_failed(void);

/* Arenas that are made from now on have no more octets; 0: as they want. */
void world_arena_cap(size_t cap);

/* Memory of the tests themselves, which is always there; for free(). */
void *world_alloc(size_t n, size_t size);
void *world_realloc(void *p, size_t n);

/* ---- the network (world_net.c) ---- */

/* One connection, seen from the other side. */
struct wire {
	int fd;			/* the daemon's */
	struct config_addr peer;	/* of the daemon */
	uint8_t *in;		/* on its way to the daemon */
	size_t n_in, cap_in;
	uint8_t *out;		/* from the daemon, not read by us yet */
	size_t n_out, cap_out;
	size_t window;		/* octets of out that the daemon may fill */
	unsigned fails_at;	/* that send() of the daemon fails once; 0:
				   none does */
	bool is_connecting;
	int refusal;		/* errno of a connection that is not made */
	bool has_fin;		/* we say no more */
	bool is_reset;		/* by us */
	bool is_closed;		/* by the daemon */
	bool is_taken;		/* a script has a name for it */
	bool is_forgotten;
	bool is_used;
};

void world_net_begin(void);

/* How connections that the daemon makes to an address end; errno, 0: they
 * are made, -1: nothing happens. Nobody listens where nothing was said. */
void world_listen(const struct config_addr *at, int outcome);

/* A listening descriptor for the daemon. */
int world_listener(void);

/* Somebody connects to the daemon. */
struct wire *world_connect(int listener, const struct config_addr *from);

/* The next connection that the daemon made to an address; NULL: none. */
struct wire *world_accept(const struct config_addr *at);

/* A connection that the test has no use for any more; its place is used
 * again where it is closed. */
void world_forget(struct wire *w);

void wire_send(struct wire *w, struct bytes octets);

/* A line with its CRLF; n == 0: there is none. Taken with wire_drop(). */
struct bytes wire_line(const struct wire *w);
void wire_drop(struct wire *w, size_t n);

/* What the fake loop asks. */
bool world_net_is_fake(int fd);
unsigned world_net_ready(int fd);

/* Every connection is reset, and none is made any more. */
void world_reset_all(void);

/* Sockets that the daemon has not closed. */
size_t world_net_open(void);

/* What the daemon logged since world_begin(), lines with LF. */
struct bytes world_log(void);
void world_log_forget(void);

#endif
