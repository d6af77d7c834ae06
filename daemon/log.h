/* The log: one line an event, to stderr or, under systemd, the journal. */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include "base/bytes.h"

enum log_level { LOG_ERROR_, LOG_WARNING_, LOG_NOTICE_, LOG_DEBUG_,
    LOG_WATCHED_ /* as DEBUG, but always written: somebody ordered it */ };

/* Names the process in each line: "master", "worker/2", "signer". */
void log_open(const char *process);

/* Whether LOG_DEBUG_ lines are written; they are not, from the start. */
void log_verbose(bool is_verbose);

/*
 * Copies the text of errors, and of warnings behind "warning: ", into a
 * descriptor, a line each, which becomes the log's; -1 closes the one before and copies nothing. log_open() copies
 * nothing: a new process has other descriptors.
 */
void log_copy(int fd);

/* The descriptor; -1: none. */
int log_copied(void);

/*
 * Whether lines are written as JSON (base/logline.h); they are not, from the
 * start, and processes that are forked do as this one.
 */
void log_json(bool is_json);

/*
 * From now on lines but errors and warnings wait for log_flush(), which must
 * come before a client hears of what they tell, and before the process waits:
 * loop_run() does it at the end of each turn. An error, a warning, 4 KiB that
 * wait, and false here write them at once; log_open() forgets them.
 */
void log_gather(bool is_gathering);
void log_flush(void);

/*
 * Writes one line. Octets from the net must have been escaped (see
 * logline_escape()); control octets that are left become '?'.
 */
void log_line(enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
