#include "daemon/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_ 4096		/* octets of one line, the end of line too */

/* One process, one log: the only state here. */
static struct {
	char process[32];
	bool is_journal;
	bool is_verbose;
} self;

/* By level: the journal's priority, and the word for people. */
static const struct {
	char priority;
	const char *word;
} levels[] = {
	[LOG_ERROR_] = {'3', "error: "},
	[LOG_WARNING_] = {'4', "warning: "},
	[LOG_NOTICE_] = {'6', ""},
	[LOG_DEBUG_] = {'7', "debug: "},
};

/* Whether stderr is the journal's own stream (systemd.exec(5)). */
static bool
is_journal(void)
{
	const char *named = getenv("JOURNAL_STREAM");
	char here[64];
	struct stat st;

	if (named == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	snprintf(here, sizeof(here), "%ju:%ju", (uintmax_t)st.st_dev,
	    (uintmax_t)st.st_ino);
	return strcmp(named, here) == 0;
}

void
log_open(const char *process)
{
	snprintf(self.process, sizeof(self.process), "%s", process);
	self.is_journal = is_journal();
}

void
log_verbose(bool is_verbose)
{
	self.is_verbose = is_verbose;
}

static size_t
put_head(char *line, size_t cap, enum log_level level)
{
	struct timespec now;
	struct tm tm;
	int n;

	if (self.is_journal) {
		n = snprintf(line, cap, "<%c>%s: ", levels[level].priority,
		    self.process);
	} else {
		clock_gettime(CLOCK_REALTIME, &now);
		gmtime_r(&now.tv_sec, &tm);
		n = (int)strftime(line, cap, "%Y-%m-%dT%H:%M:%S", &tm);
		n += snprintf(line + n, cap - (size_t)n,
		    ".%03ldZ hopseald[%ld] %s: %s", now.tv_nsec / 1000000,
		    (long)getpid(), self.process, levels[level].word);
	}
	return (size_t)n;
}

void
log_line(enum log_level level, const char *fmt, ...)
{
	char line[LINE_MAX_];
	size_t head, n;
	va_list ap;
	int r;

	if (level == LOG_DEBUG_ && !self.is_verbose)
		return;
	head = put_head(line, sizeof(line), level);
	va_start(ap, fmt);
	r = vsnprintf(line + head, sizeof(line) - head, fmt, ap);
	va_end(ap);
	if (r < 0)
		return;
	n = head + (size_t)r;
	if (n > sizeof(line) - 1) {
		n = sizeof(line) - 1;
		memcpy(line + n - 3, "...", 3);
	}
	for (size_t k = head; k < n; k++)
		if ((unsigned char)line[k] < ' ' || line[k] == 0x7f)
			line[k] = '?';
	line[n++] = '\n';
	/* one write, so that lines of several processes do not mix; a line
	 * that can not be written is lost, and the mail goes on */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}
