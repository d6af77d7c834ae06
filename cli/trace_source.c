#include "cli/trace.h"

#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/wait.h>

/* ---- times ---- */

static int64_t
duration_ms(const char *text)
{
	static const struct {
		char unit;
		int64_t ms;
	} units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000},
	    {'d', 86400000}, {'w', 604800000}};
	size_t n = strlen(text);
	uint64_t v;

	for (size_t k = 0; n > 1 && k < sizeof(units) / sizeof(*units); k++)
		if (text[n - 1] == units[k].unit && bytes_number(
		    (struct bytes){(const uint8_t *)text, n - 1}, 1000000, &v))
			return (int64_t)v * units[k].ms;
	return -1;
}

static int64_t
local_ms(const char *text)
{
	static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%d %H:%M",
	    "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"};

	for (size_t k = 0; k < sizeof(forms) / sizeof(*forms); k++) {
		struct tm tm = {.tm_isdst = -1};
		const char *end = strptime(text, forms[k], &tm);
		time_t t;

		if (end == NULL || *end != '\0')
			continue;
		t = mktime(&tm);
		return t < 0 ? -1 : (int64_t)t * 1000;
	}
	return -1;
}

int64_t
trace_since(const char *text, int64_t now_ms)
{
	int64_t ms = duration_ms(text);
	uint64_t v;

	if (ms >= 0)
		return ms > now_ms ? 0 : now_ms - ms;
	if (text[0] == '@' && bytes_number(bytes_of(text + 1), UINT32_MAX, &v))
		return (int64_t)v * 1000;
	ms = local_ms(text);
	if (ms < 0 && !logline_time(bytes_of(text), &ms))
		ms = -1;
	return ms;
}

/* ---- lines ---- */

/* What is longer than a line of ours is cut. False: the end, or told to. */
static bool
read_line(FILE *f, trace_line_fn *line, void *arg)
{
	static char text[LOGLINE_MAX];
	size_t n = 0;
	int c;

	while ((c = getc_unlocked(f)) != EOF && c != '\n')
		if (n < sizeof(text))
			text[n++] = (char)c;
	if (c == EOF && n == 0)
		return false;
	return line(arg, (struct bytes){(uint8_t *)text, n}) && c != EOF;
}

static int
read_all(FILE *f, const char *name, trace_line_fn *line, void *arg)
{
	while (read_line(f, line, arg))
		;
	return ferror(f) ? cli_fail(CLI_UNREADABLE, "%s: %s", name,
	    strerror(errno)) : 0;
}

/* Standard input, in a file without a name: it is read twice. */
static int
read_stdin(struct trace_source *s, trace_line_fn *line, void *arg)
{
	char block[65536];
	size_t n;

	if (s->kept == NULL) {
		s->kept = tmpfile();
		if (s->kept == NULL)
			return cli_fail(CLI_CANNOT, "standard input can not "
			    "be kept: %s", strerror(errno));
		while ((n = fread(block, 1, sizeof(block), stdin)) != 0)
			if (fwrite(block, 1, n, s->kept) != n)
				return cli_fail(CLI_CANNOT, "standard input "
				    "can not be kept: %s", strerror(errno));
	}
	rewind(s->kept);
	return read_all(s->kept, "standard input", line, arg);
}

static void
run_journalctl(const struct trace_source *s, int out)
{
	char since[40];

	if (dup2(out, STDOUT_FILENO) < 0)
		_exit(CLI_CANNOT);
	snprintf(since, sizeof(since), "--since=@%lld",
	    (long long)(s->since_ms < 0 ? 0 : s->since_ms / 1000));
	execlp("journalctl", "journalctl", "-q", "--no-pager", "-o", "json",
	    since, "-u", s->unit, (char *)NULL);
	_exit(127);
}

static int
read_journal(struct trace_source *s, trace_line_fn *line, void *arg)
{
	int ends[2], status = 0, code;
	FILE *f;
	pid_t pid;

	if (pipe(ends) != 0)
		return cli_fail(CLI_CANNOT, "pipe: %s", strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		run_journalctl(s, ends[1]);
	}
	close(ends[1]);
	f = pid < 0 ? NULL : fdopen(ends[0], "r");
	if (f == NULL) {
		close(ends[0]);
		return cli_fail(CLI_CANNOT, "journalctl: %s", strerror(errno));
	}
	code = read_all(f, "journalctl", line, arg);
	fclose(f);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (code != 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
		return code;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return cli_fail(CLI_UNREADABLE, "there is no journalctl here: "
		    "name the files of the log with --log");
	return cli_fail(CLI_UNREADABLE, "the journal can not be read (see "
	    "above; root and the group systemd-journal may): or name files "
	    "with --log");
}

int
trace_source_read(struct trace_source *s, trace_line_fn *line, void *arg)
{
	int code = 0;

	if (s->n_files == 0)
		return read_journal(s, line, arg);
	for (size_t k = 0; k < s->n_files && code == 0; k++) {
		FILE *f;

		if (strcmp(s->files[k], "-") == 0) {
			code = read_stdin(s, line, arg);
			continue;
		}
		f = fopen(s->files[k], "re");
		if (f == NULL)
			return cli_fail(CLI_UNREADABLE, "%s: %s", s->files[k],
			    strerror(errno));
		code = read_all(f, s->files[k], line, arg);
		fclose(f);
	}
	return code;
}
