/*
 * A reload, from reading the configuration until the new generation serves
 * or was given up: who asked, and every error and warning that was logged
 * meanwhile, by the master and by the new signer, for him.
 */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

#include "base/buf.h"

#define RELOAD_TEXT_MAX 16384	/* octets of errors that are kept */

struct reload {
	bool is_running;
	int errors;		/* where they come from; -1: from nowhere */
	uint32_t asked;		/* the last ticket of the control process */
	uint32_t answers;	/* that of the one that runs; 0: nobody's */
	/* the last one that ended: */
	int64_t at_s;		/* in seconds of 1970; 0: none did */
	bool is_good;
	unsigned n_good, n_failed;
	size_t n_text;		/* of the errors, a line each */
	uint8_t text[RELOAD_TEXT_MAX];
};

/* From now on errors are gathered. */
void reload_begin(struct reload *r);

/* It took over, or not. Nothing happens where none was running. */
void reload_end(struct reload *r, bool is_good);

static inline struct bytes
reload_text(const struct reload *r)
{
	return (struct bytes){r->text, r->n_text};
}

#endif
