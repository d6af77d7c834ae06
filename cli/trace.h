/* The life of messages as the log tells it; one file for each step. */
#ifndef CLI_TRACE_H
#define CLI_TRACE_H

#include "base/arena.h"
#include "base/logline.h"

/* ---- trace_source.c: where lines come from ---- */

struct trace_source {
	const char **files;	/* "-" is standard input */
	size_t n_files;		/* 0: the journal */
	const char *unit;
	int64_t since_ms;	/* -1: all */
	void *kept;		/* what came from standard input */
};

/* One line of the log; false ends the reading. */
typedef bool trace_line_fn(void *arg, struct bytes line);

/*
 * Hands out every line.
 *
 * Returns  0, or an exit code after a message
 */
int trace_source_read(struct trace_source *s, trace_line_fn *line, void *arg);

/*
 * Reads "2h", "@1795735548", or a time (local, unless it has a zone).
 *
 * Returns  milliseconds since 1970; -1 where it is none of them
 */
int64_t trace_since(const char *text, int64_t now_ms);

/* ---- trace_story.c: what is told of a message ---- */

struct trace_line {
	struct logline l;
	struct trace_line *next;
};

struct trace_message {
	struct bytes id;
	struct trace_line *first, *last;
	struct trace_message *next;	/* as they came */
	struct trace_message *same;	/* of the same place in the index */
	unsigned found;			/* bit for each thing asked for */
};

/* The id that a report of the queue has, without what it has more than the
 * message that it is about; ids of others as they are. */
struct bytes trace_family(struct bytes id);

/* For eyes: what is known, what became of each recipient, each line. */
void trace_story_text(const struct trace_message *m);

/* One line: when, id, from, to, and what became of it. */
void trace_story_brief(const struct trace_message *m);

/* One object on a line. */
void trace_story_json(const struct trace_message *m);

#endif
