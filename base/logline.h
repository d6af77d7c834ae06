/*
 * A line of hopseald's log, taken apart: by the daemon, which writes it as
 * JSON, and by who reads logs. What it tells is `ID: key=value, ...`, in words
 * or both, and came in part from the net: nothing of it is believed, but that
 * logline_escape() kept octets of the net from looking like a key.
 */
#ifndef BASE_LOGLINE_H
#define BASE_LOGLINE_H

#include "base/arena.h"
#include "base/buf.h"

#define LOGLINE_FIELDS_MAX 32U	/* further ones stay in the text */
#define LOGLINE_ID_MIN 12U	/* no word that begins a line is as long */
#define LOGLINE_MAX (64U << 10)	/* octets of a line that are looked at */

struct logline_field {
	struct bytes key;
	struct bytes value;	/* without < >, where it is an address or a
				 * Message-ID; escaped as it was logged */
};

/* Views of the line, or of the arena. */
struct logline {
	int64_t time_ms;	/* since 1970; -1 where none can be told */
	struct bytes stamp;	/* the time as it stands there */
	struct bytes process;	/* "worker/1"; empty: not told */
	struct bytes level;	/* "error" "warning" "info" "debug" */
	uint64_t pid;		/* 0: not told */
	struct bytes id;	/* of the message; empty: about none */
	struct bytes text;	/* what is behind the id, as it was logged */
	bool has_words;		/* the text is more than the fields */
	size_t n_fields;
	struct logline_field fields[LOGLINE_FIELDS_MAX];
};

/*
 * Takes apart what a line tells, behind its time and process: sets id, text
 * and fields, and nothing else. Each key is there once.
 */
void logline_read(struct bytes told, struct logline *l);

/*
 * Takes a line apart: hopseald's own, plain or JSON; of a file of syslog,
 * with either kind of date; of `journalctl -o json` or `-o cat`.
 *
 * line     with or without its end
 * a        takes about twice the line
 * Returns  false where no daemon of ours wrote it, or without memory
 */
bool logline_parse(struct bytes line, struct arena *a, struct logline *l);

/* A time as RFC 3339 has it, without a zone UTC; false where it is none. */
bool logline_time(struct bytes text, int64_t *ms);

/* The value of a key; p == NULL where it is not there. */
struct bytes logline_get(const struct logline *l, const char *key);

/* Whether octets have the form of the id of a message in the log. */
bool logline_is_id(struct bytes octets);

/*
 * Adds octets from the net for the text of a line: as buf_add_escaped(), and
 * the = of what would be taken for a key as \075.
 */
void logline_escape(struct bytes octets, size_t max, struct buf *out);

/*
 * Adds the line as a JSON object without an end of line. What does not fit
 * into room octets is cut or left out, and "cut": true says so.
 *
 * room     at least 512; octets that may be added
 */
void logline_json(const struct logline *l, size_t room, struct buf *out);

#endif
