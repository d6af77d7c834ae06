#include "daemon/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "base/logline.h"
#include "daemon/metrics.h"

#define LINE_MAX_ 4096		/* octets of one line, the end of line too */

/* One process, one log: the only state here. */
static struct {
	char process[32];
	bool is_journal;
	bool is_verbose;
	bool is_json;
	bool is_socket;
	int fd;			/* stderr, or what does not block of it */
	int copy;		/* of errors; -1: none */
	unsigned long n_lost;	/* lines, since the last that was written */
	time_t second;		/* that ->stamp is of; 0: of none */
	char stamp[24];
	bool is_gathering;
	size_t n_waiting;	/* octets that wait for log_flush() */
	unsigned n_lines;	/* of them */
	char waiting[LINE_MAX_];	/* what a pipe takes whole */
} self = {.fd = STDERR_FILENO, .copy = -1};

/* By level: the journal's priority, the word for people and in JSON. */
static const struct {
	char priority;
	const char *word;
	const char *name;
} levels[] = {
	[LOG_ERROR_] = {'3', "error: ", "error"},
	[LOG_WARNING_] = {'4', "warning: ", "warning"},
	[LOG_NOTICE_] = {'6', "", "info"},
	[LOG_DEBUG_] = {'7', "debug: ", "debug"},
	[LOG_WATCHED_] = {'7', "debug: ", "debug"},
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

/*
 * Who reads a pipe may stop to: opened once more it does not block us, nor
 * changes what others have of it (row Q16). What an earlier call opened was
 * closed by priv_close_others(), or is the parent's.
 */
void
log_open(const char *process)
{
	struct stat st = {.st_mode = 0};

	snprintf(self.process, sizeof(self.process), "%s", process);
	self.is_journal = is_journal();
	tzset();	/* its file, while files can be opened */
	self.fd = STDERR_FILENO;
	self.copy = -1;
	self.is_gathering = false;
	self.n_waiting = 0;	/* the parent's, where there is one */
	self.n_lines = 0;
	if (fstat(STDERR_FILENO, &st) != 0)
		return;
	self.is_socket = S_ISSOCK(st.st_mode);
	if (S_ISFIFO(st.st_mode))
		self.fd = open("/proc/self/fd/2",
		    O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (self.fd < 0)
		self.fd = STDERR_FILENO;
}

void
log_verbose(bool is_verbose)
{
	self.is_verbose = is_verbose;
}

void
log_copy(int fd)
{
	if (self.copy >= 0)
		close(self.copy);
	self.copy = fd;
}

int
log_copied(void)
{
	return self.copy;
}

void
log_json(bool is_json)
{
	self.is_json = is_json;
}

static size_t
put_time(char *line, size_t cap)
{
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec != self.second) {
		gmtime_r(&now.tv_sec, &tm);
		strftime(self.stamp, sizeof(self.stamp), "%Y-%m-%dT%H:%M:%S",
		    &tm);
		self.second = now.tv_sec;
	}
	return (size_t)snprintf(line, cap, "%s.%03ldZ", self.stamp,
	    now.tv_nsec / 1000000);
}

static size_t
put_head(char *line, size_t cap, enum log_level level)
{
	size_t n;

	if (self.is_json)
		return 0;
	if (self.is_journal)
		return (size_t)snprintf(line, cap, "<%c>%s: ",
		    levels[level].priority, self.process);
	n = put_time(line, cap);
	return n + (size_t)snprintf(line + n, cap - n, " hopseald[%ld] %s: %s",
	    (long)getpid(), self.process, levels[level].word);
}

/* What was told, as an object: the same keys that a reader of lines finds. */
static size_t
make_json(char *line, size_t cap, enum log_level level, struct bytes told)
{
	char time[40];
	struct logline l = {
	    .stamp = {(uint8_t *)time, put_time(time, sizeof(time))},
	    .level = bytes_of(levels[level].name),
	    .process = bytes_of(self.process),
	    .pid = (uint64_t)getpid(),
	};
	struct buf out = {(uint8_t *)line, 0, cap, false};

	logline_read(told, &l);
	if (self.is_journal)
		buf_printf(&out, "<%c>", levels[level].priority);
	logline_json(&l, buf_room(&out), &out);
	return out.n;
}

/* One write, so that lines of several processes do not mix. */
static bool
put(const char *line, size_t n)
{
	ssize_t r = self.is_socket
	    ? send(self.fd, line, n, MSG_DONTWAIT | MSG_NOSIGNAL)
	    : write(self.fd, line, n);

	return r >= 0;
}

static void
count_lost(unsigned n)
{
	self.n_lost += n;
	for (; n != 0; n--)
		metrics_count(METRIC_LOST_LINES, 0, 0);
}

void
log_flush(void)
{
	if (self.n_lines != 0 && !put(self.waiting, self.n_waiting))
		count_lost(self.n_lines);
	self.n_waiting = 0;
	self.n_lines = 0;
}

void
log_gather(bool is_gathering)
{
	log_flush();
	self.is_gathering = is_gathering;
}

static void
gather(const char *line, size_t n)
{
	if (n > sizeof(self.waiting) - self.n_waiting)
		log_flush();
	memcpy(self.waiting + self.n_waiting, line, n);
	self.n_waiting += n;
	self.n_lines++;
}

/* The end of the line, and out with it. */
static bool
finish(char *line, size_t n, enum log_level level)
{
	char json[LINE_MAX_];

	if (self.is_json) {
		n = make_json(json, sizeof(json) - 1, level,
		    (struct bytes){(uint8_t *)line, n});
		line = json;
	}
	line[n] = '\n';
	if (self.is_gathering && level >= LOG_NOTICE_) {
		gather(line, n + 1);
		return true;
	}
	log_flush();
	return put(line, n + 1);
}

/* In words, whatever the form of the log; a warning says that it is one. */
static void
copy(enum log_level level, char *text, size_t n)
{
	const char *word = level == LOG_ERROR_ ? "" : levels[level].word;
	char line[LINE_MAX_ + 16];
	size_t head = strlen(word);

	memcpy(line, word, head);
	memcpy(line + head, text, n);
	line[head + n] = '\n';
	(void)!write(self.copy, line, head + n + 1);
}

static void
say_lost(void)
{
	char line[200];
	size_t n = put_head(line, sizeof(line), LOG_WARNING_);

	n += (size_t)snprintf(line + n, sizeof(line) - n,
	    "%lu lines of the log could not be written", self.n_lost);
	if (finish(line, n, LOG_WARNING_))
		self.n_lost = 0;
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
	if (level <= LOG_WARNING_ && self.copy >= 0)
		copy(level, line + head, n - head);
	/* what can not be written is lost and counted: the mail goes on */
	if (self.n_lost != 0)
		say_lost();
	if (!finish(line, n, level))
		count_lost(1);
}
