/*
 * One connection to a Redis (or Valkey) server, on the loop. Nothing here
 * blocks: commands are written one behind the other and answered in that
 * order, each within a time. A connection on which one is late, or that says
 * what it should not, is closed, and opened again after a while (0.1 s,
 * doubling to 10 s, from the start again once one stood for 10 s); until then
 * every command is refused at once. What is wrong is said in the log: once a
 * minute that there is no answer, and once a minute what the server said
 * instead, and what to do.
 *
 * A server must have every key: no cluster. Redis 5 and later.
 */
#ifndef DAEMON_REDIS_H
#define DAEMON_REDIS_H

#include <sys/socket.h>

#include "daemon/loop.h"
#include "daemon/redis_reply.h"

#define REDIS_WAIT_MS 150	/* below MEMORY_WAIT_MS, which workers have */
#define REDIS_CONNECT_MS 1000	/* until AUTH, SELECT, SCRIPT LOAD are done */
#define REDIS_REST_MIN_MS 100
#define REDIS_REST_MAX_MS (10 * 1000)
#define REDIS_COMMANDS_MAX 4096U	/* that wait for their answer */
#define REDIS_OCTETS_MAX (8U * 1024 * 1024)	/* of them */
#define REDIS_ARGS_MAX 64U
#define REDIS_SCRIPTS_MAX 32U

/* Where a server is, and who we are there. */
struct redis_where {
	const char *name;	/* for the log: as `store` has it */
	const char *loss;	/* likewise: what comes of an outage; lasts;
				   NULL: mail goes on, a retry may come twice */
	struct sockaddr_storage address;	/* TCP or AF_UNIX */
	socklen_t n_address;
	unsigned db;		/* 0: it is not selected */
	struct bytes user;	/* empty: the default one */
	struct bytes password;	/* empty: none is said */
};

/* A Lua script, loaded at each connect. */
struct redis_script {
	const char *name;
	const char *text;
};

struct redis;

struct redis_calls {
	/* It is connected and commands are taken; maybe another server than
	 * before, or one that was emptied. */
	void (*up)(void *arg);
	/* It is no more; all that waited has been told. */
	void (*down)(void *arg);
};

/*
 * A connection; the first attempt is made in the loop's next turn.
 *
 * where    copied with what it points to, wiped when freed
 * scripts  n of them, which last; they are named by their place
 * calls    lasts
 * Returns  NULL without memory
 */
struct redis *redis_new(struct loop *l, const struct redis_where *where,
    const struct redis_script scripts[], size_t n,
    const struct redis_calls *calls, void *arg);

/*
 * Every command that waits is told -E_ABSENT before this returns; down() is not
 * called. Safe within a callback. *r becomes NULL; it may be.
 */
void redis_free(struct redis **r);

/*
 * The answer to a command: once for each that was taken, never before
 * redis_ask() has returned, in the order of asking.
 *
 * err      0; or -E_ABSENT: there is none, and whether the command was done
 *          is not known (late, closed, freed; or the server said an error,
 *          which is in value then)
 * value    NULL where the server said nothing; until the call returns
 */
typedef void redis_answer(void *arg, uint64_t tag, int err,
    const struct redis_value *value);

/* What is asked. Octets are copied. */
struct redis_command {
	int script;		/* place of a script; -1: a bare command */
	unsigned n_keys;	/* of a script: the first of args are keys */
	const struct bytes *args;	/* -1: its name comes first */
	size_t n_args;		/* at most REDIS_ARGS_MAX */
	int wait_ms;		/* REDIS_WAIT_MS; any that is late closes */
	redis_answer *answer;	/* NULL: nobody wants it */
	void *arg;
	uint64_t tag;
};

/*
 * Asks. It leaves with all others of this turn.
 *
 * Returns  0; -E_ABSENT: there is no connection now; -E_LIMIT: too much waits
 *          for its answer; -E_NOMEM. No answer comes then
 */
int redis_ask(struct redis *r, const struct redis_command *c);

/* It does what it is for: says so in the log, where it was out by the log. */
void redis_is_well(struct redis *r);

/* Whether commands are taken. */
bool redis_is_up(const struct redis *r);

/*
 * What the server answered is not to be used: closes the connection as if it
 * had been late, with a line in the log. Safe within an answer.
 *
 * why      for a person: what, and what to do
 */
void redis_fault(struct redis *r, const char *why);

/*
 * Says in the log, at most once a minute, what an error of the server means,
 * and what to do. Done already for every error that an answer has.
 */
void redis_complain(struct redis *r, struct bytes error);

#endif
