#include "cli/cli.h"
#include "cli/published.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARENA ((size_t)64 << 20)

extern char **environ;

static const struct args_known known[] = {
	{"c", false},
	{"dns", true},
	{"keys-file", false},
	{"resolver", false},
	{NULL, false},
};

/* The hopseald that was installed, or built, together with us. */
static int
find_daemon(char path[PATH_MAX])
{
	static const char *const places[] = {"hopseald", "../sbin/hopseald"};
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n < 0)
		return cli_fail(CLI_CANNOT, "/proc/self/exe: %s",
		    strerror(errno));
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (slash != NULL)
		*slash = '\0';
	for (size_t k = 0; k < sizeof(places) / sizeof(places[0]); k++) {
		int len = snprintf(path, PATH_MAX, "%s/%s", self, places[k]);

		if (len > 0 && len < PATH_MAX && access(path, X_OK) == 0)
			return 0;
	}
	return cli_fail(CLI_CANNOT, "no hopseald in %s, nor in %s/../sbin",
	    self, self);
}

/* Its own check looks at exactly what it will start with. */
static int
run_daemon(const char *config)
{
	char path[PATH_MAX], copy[PATH_MAX];
	char *argv[] = {path, (char []){"-t"}, (char []){"-c"}, copy, NULL};
	int status, r;
	pid_t pid;

	if (strlen(config) >= sizeof(copy))
		return cli_fail(CLI_USAGE, "-c: the path is too long");
	memcpy(copy, config, strlen(config) + 1);
	r = find_daemon(path);
	if (r != 0)
		return r;
	fflush(stdout);
	r = posix_spawn(&pid, path, NULL, NULL, argv, environ);
	if (r != 0)
		return cli_fail(CLI_CANNOT, "%s: %s", path, strerror(r));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return cli_fail(CLI_CANNOT, "%s: %s", path,
			    strerror(errno));
	if (!WIFEXITED(status))
		return cli_fail(CLI_CANNOT, "%s died of signal %d", path,
		    WTERMSIG(status));
	return WEXITSTATUS(status);
}

/* Whether the record of a key has to be what was found. */
static bool
is_fault(const struct keydir_key *k, enum published found, int64_t now)
{
	if (found == PUBLISHED_RIGHT)
		return false;
	if (k->state == KEYSTATE_MADE)
		return found != PUBLISHED_ABSENT;
	return k->state == KEYSTATE_ACTIVE ||
	    keystate_keep(k->since_s, now) != 0;
}

static int
tell_faults(const struct keydir_key *keys, size_t n,
    const enum published *found)
{
	int64_t now = (int64_t)time(NULL);
	size_t n_right = 0;
	int code = CLI_OK;

	for (size_t k = 0; k < n; k++) {
		n_right += found[k] == PUBLISHED_RIGHT;
		if (!is_fault(&keys[k], found[k], now))
			continue;
		(void)cli_fail(0, "%s (%s): its record %s",
		    keys[k].entry.path, keystate_name(keys[k].state),
		    published_text(found[k]));
		if (found[k] != PUBLISHED_UNKNOWN)
			code = CLI_CONFIG;
		else if (code == CLI_OK)
			code = CLI_LATER;
	}
	printf("of %zu keys, %zu are published right\n", n, n_right);
	return code;
}

static int
check_dns(const struct args *args, struct arena *a)
{
	const struct keydir_key *keys;
	const enum published *found;
	struct keyplace p;
	size_t n;
	int r = keyplace_find(&p, args, a);

	if (r == 0)
		r = keyplace_list(&p, &keys, &n, a);
	if (r == 0)
		r = published_ask(&p, keys, n, &found, a);
	return r != 0 ? r : tell_faults(keys, n, found);
}

static int
run(int argc, char **argv, struct arena *a)
{
	struct args args;
	const char *config;
	int r = args_parse(&args, argc, argv, known, 0, a);

	if (r != 0)
		return r;
	if (args_get(&args, "dns") == NULL &&
	    (args_get(&args, "keys-file") != NULL ||
	    args_get(&args, "resolver") != NULL))
		return cli_fail(CLI_USAGE, "check: nobody is asked without "
		    "--dns");
	config = args_get(&args, "c");
	r = run_daemon(config != NULL ? config : KEYPLACE_CONFIG);
	if (r != 0 || args_get(&args, "dns") == NULL)
		return r;
	return check_dns(&args, a);
}

int
cli_check(int argc, char **argv)
{
	struct arena *a = arena_new(ARENA);
	int r;

	if (a == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	r = run(argc, argv, a);
	arena_free(&a);
	return r;
}
