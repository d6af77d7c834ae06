/*
 * What runs, as lines for `hopseal status`: a word that says of what kind the
 * line is, then, each behind a space, name=TEXT and name:NUMBER. In a text
 * every octet but printable ASCII, and "%" and the space, is %XX. Times are in
 * seconds of 1970.
 */
#ifndef DAEMON_STATUS_H
#define DAEMON_STATUS_H

#include "daemon/control.h"
#include "daemon/generation.h"
#include "daemon/reload.h"

/* What the master knows. */
struct status_facts {
	const char *path;		/* of the configuration */
	int64_t since_s;		/* in seconds of 1970 */
	int64_t now_ms;			/* of the monotonic clock */
	bool is_stopping;
	const struct generation *newest;
	const struct generation *serving;	/* NULL: none */
	const struct keeper *keeper;
	const struct queue *queue;
	const struct control_process *control;
	const struct reload *reload;
};

/* The lines hopseald, reload and process. */
void status_write_processes(const struct status_facts *f, struct buf *out);

/* One short sentence for systemctl(1), with a NUL. */
#define STATUS_SENTENCE_MAX 200
void status_write_sentence(const struct status_facts *f,
    char text[STATUS_SENTENCE_MAX]);

/* Adds " name=TEXT", and " name:NUMBER". */
void status_pair(struct buf *out, const char *name, struct bytes value);
void status_number(struct buf *out, const char *name, int64_t value);

#endif
