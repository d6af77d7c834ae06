/* What the parts of a connection to Redis share; who uses one includes
 * redis.h. */
#ifndef DAEMON_REDIS_STATE_H
#define DAEMON_REDIS_STATE_H

#include "daemon/redis.h"

struct redis_error {
	const char *word;	/* what it begins with; NULL: any other */
	bool is_closing;	/* no command will be done now */
	const char *advice;
};

/* What is known of an error; never NULL. */
const struct redis_error *redis_error_find(struct bytes text);

extern const struct redis_error redis_errors[];

enum redis_step {
	REDIS_STEP_NONE,	/* the owner's */
	REDIS_STEP_LOGIN,	/* AUTH, SELECT */
	REDIS_STEP_LOAD,	/* SCRIPT LOAD */
};

/* A command from its asking to its answer. */
struct redis_waiting {
	struct redis_waiting *next;
	enum redis_step step;
	size_t script;		/* of LOAD */
	char *octets;		/* hiredis made them */
	size_t n, n_sent;
	bool is_again;		/* its script had to be loaded once more */
	int64_t deadline_ms;
	redis_answer *answer;
	void *arg;
	uint64_t tag;
};

#define REDIS_SHA 40U

struct redis {
	struct loop *loop;
	struct redis_where where;	/* what it points to is ours */
	const struct redis_script *scripts;
	size_t n_scripts;
	char sha[REDIS_SCRIPTS_MAX][REDIS_SHA];
	const struct redis_calls *calls;
	void *arg;
	int fd;				/* -1: none */
	bool is_connecting;
	bool is_up;			/* commands of the owner are taken */
	bool is_dying;
	unsigned generation;		/* of connections */
	struct loop_watch *watch;
	struct redis_reader *reader;
	bool is_taking;		/* what it said: a view of it is in use */
	struct redis_reader *spent;	/* of a connection that ended meanwhile */
	size_t n_steps;			/* of ours that wait */
	struct redis_waiting *first, **last;
	struct redis_waiting *unsent;	/* the first not wholly sent */
	size_t n, n_octets;
	bool is_flush_due;
	struct loop_deferred flush, destroy;
	struct loop_timer *rest;	/* until the next attempt */
	int64_t rest_ms, up_ms;
	int64_t connect_by_ms;
	struct loop_timer *late;	/* until the first deadline */
	int64_t late_ms;		/* that it stands for; 0: none */
	int64_t logged_ms;		/* that it is out; 0: never */
	int64_t complained_ms;		/* what it said; likewise */
	bool is_told;			/* that it is out */
};

#endif
