/*
 * hopseal queue: the folder of the queue as one finds it. Everything in it is
 * read as a stranger's: nothing follows a link, heads are bounded and checked
 * (queue/file.h), text is escaped. It is changed by the daemon alone, which is
 * asked over STATE/queue/control.
 */
#ifndef CLI_QUEUE_H
#define CLI_QUEUE_H

#include <stdio.h>

#include "cli/args.h"
#include "queue/file.h"

/* Exit codes beside those of cli.h. */
enum {
	QUEUE_NOT_THERE = 1,	/* something named is not in the queue */
	QUEUE_UNAVAILABLE = 69,	/* the daemon could not do it */
	QUEUE_LATER = 75,	/* no daemon; or a try is under way */
};

/* ---- the folder (queue_folder.c) ------------------------------------------ */

struct queue_folder {
	const char *path;	/* STATE/queue */
	int fd;			/* its descriptor, and that of mail/; or -1 */
	int mail;
};

/* 0, or CLI_UNREADABLE after a message. */
int queue_folder_open(struct queue_folder *f, const char *path);
void queue_folder_close(struct queue_folder *f);

/* A message, open for reading. */
struct queue_open {
	int fd;			/* -1: none */
	uint64_t n_head;
	struct queue_message m;	/* in the arena */
};

/*
 * Opens a file by its name in a folder and reads its head; also AT_FDCWD and
 * a path.
 *
 * a        is reset first
 * Returns  0; QUEUE_NOT_THERE without a message; or CLI_UNREADABLE or
 *          CLI_CANNOT after one
 */
int queue_open(struct queue_open *o, int folder, const char *name,
    struct arena *a);
void queue_close(struct queue_open *o);

/* Copies n octets from an offset on to a stream; 0, or an exit code after a
 * message. is_safe: control octets are shown as \ooo. */
int queue_copy_octets(int fd, uint64_t from, uint64_t n, FILE *out,
    bool is_safe);

/* ---- which messages (queue_choice.c) ---------------------------------------- */

struct queue_filter {
	const char *to_domain, *from, *reason, *status;	/* NULL: any */
	int64_t older_s;		/* 0: any */
	int64_t now_s;
};

/* A message that was chosen: its name, and what orders it. */
struct queue_chosen {
	int64_t arrived_s;
	char id[QUEUE_ID_MAX + 1];
};

struct queue_choice {
	struct queue_chosen *all;	/* by arrival; to be freed */
	size_t n;
	int code;			/* the worst that was told on the way */
};

#define QUEUE_FILTERS \
	{"to-domain", false}, {"from", false}, {"older", false}, \
	{"reason", false}, {"status", false}, {"all", true}

/*
 * Finds the messages that are named, or all, and that the filter lets through.
 * One that can not be read is told and left out; memory is an entry for each.
 *
 * names    ids; none: the whole queue
 * Returns  0, or an exit code after a message
 * Lifetime c->all is the caller's to free(), whatever is returned
 */
int queue_choose(struct queue_choice *c, const struct queue_folder *f,
    const struct args *args, struct arena *a);

/* Whether the arguments have a filter, an id, or --all. */
bool queue_is_chosen(const struct args *args);

/* ---- the daemon (queue_ask.c) ------------------------------------------------ */

/* A connection; 0, or QUEUE_LATER after a message. */
int queue_ask_open(const struct queue_folder *f, int *fd);

enum queue_said { QUEUE_SAID_OK, QUEUE_SAID_ABSENT, QUEUE_SAID_BUSY };

/*
 * Asks for one thing and waits for the answer.
 *
 * Returns  0 with *said; QUEUE_UNAVAILABLE after a message with what the
 *          daemon said; QUEUE_LATER after one where it says nothing more
 */
int queue_ask(int fd, const char *verb, const char *id,
    enum queue_said *said);

/* ---- the verbs -------------------------------------------------------------- */

struct queue_call {
	const char *verb;
	const struct args *args;
	const struct queue_folder *folder;
	struct arena *arena;		/* for one head at a time */
};

typedef int queue_verb(const struct queue_call *c);

queue_verb queue_list, queue_show, queue_act, queue_export, queue_import;

/* Escaped text for people, without what an address has around it. */
void queue_put(FILE *f, struct bytes b);
struct bytes queue_address(struct bytes path);

/* The worse of two exit codes: 0 is the best, then 1. */
int queue_worse(int a, int b);

#endif
