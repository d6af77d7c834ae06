/* hopseald: options, the check, and into the master. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "base/version.h"
#include "config/keysfile.h"
#include "daemon/crash.h"
#include "daemon/log.h"
#include "daemon/master.h"
#include "daemon/metrics.h"
#include "daemon/priv.h"
#include "daemon/queue.h"
#include "daemon/reach.h"
#include "daemon/signer.h"
#include "daemon/login.h"
#include "daemon/secrets.h"
#include "daemon/spool.h"
#include "daemon/store_login.h"
#include "daemon/tls.h"

#define DEFAULT_PATH "/etc/hopseal/hopseal.yaml"
#define KEYSFILE_MAX (256U << 20)

static const char usage[] =
    "usage: hopseald [-c FILE] [-t] [-v]\n"
    "  -c FILE    configuration (" DEFAULT_PATH ")\n"
    "  -t         check it, and all keys and tables, and exit: 0 or 78\n"
    "  -v         log more\n"
    "  --metrics  print what is counted, as a part of the manual\n"
    "  --version  say which version this is\n"
    "  -h, --help this\n";

static void
to_stderr(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "%s\n", text);
}

static void
to_log(void *arg, const char *text)
{
	(void)arg;
	log_line(LOG_ERROR_, "%s", text);
}

static bool
check_keys_file(const char *path)
{
	struct arena *a = arena_new(KEYSFILE_MAX);
	struct keysfile *k;
	char why[512];
	struct buf b = BUF_ON(why);
	bool good = a != NULL && keysfile_load(&k, path, a, &b) == 0;

	if (!good)
		fprintf(stderr, "%s: %.*s\n", path, BYTES_FMT(buf_bytes(&b)));
	arena_free(&a);
	return good;
}

static bool
check_tls(const struct config *c, unsigned gid)
{
	struct tls *t = tls_new(c, gid, to_stderr, NULL);
	bool good = t != NULL;

	tls_free(&t);
	return good;
}

static bool
check_logins(const struct config *c, unsigned gid)
{
	struct logins *l = logins_new(c, gid, to_stderr, NULL);
	bool good = l != NULL;

	logins_free(&l);
	return good;
}

static bool
check_store(const struct config *c, unsigned gid)
{
	return store_login_check(c->store_password, gid, to_stderr, NULL);
}

static bool
check_secrets(const struct config *c, unsigned gid)
{
	struct secrets *s = secrets_new(c->secrets, gid, to_stderr, NULL);
	bool good = s != NULL;

	secrets_free(&s);
	return good;
}

/* A folder that is not there yet may be there at the start. */
static bool
check_queue(const struct config *c)
{
	return !queue_is_used(c) || spool_check(c->state) != SPOOL_UNFIT;
}

/*
 * That of the default is the unit's to make; another that is missing stops no
 * mail, but nothing is remembered.
 */
static bool
check_state(const struct config *c)
{
	struct stat st;

	if (stat(c->state, &st) != 0) {
		if (strcmp(c->state, "/var/lib/hopseal") != 0)
			fprintf(stderr, "%s: warning: state: %s: %s; make the "
			    "folder, for `user` to write\n", c->path,
			    c->state, strerror(errno));
		return true;
	}
	if (!S_ISDIR(st.st_mode))
		fprintf(stderr, "%s: state: %s is no folder; name one that is "
		    "ours\n", c->path, c->state);
	return S_ISDIR(st.st_mode);
}

/* Its warnings know of which domains there are keys, and come where nothing
 * is wrong: of half a configuration they would be guesses. */
static bool
check_keys(const struct config *c, unsigned gid, bool is_good)
{
	static const struct keydir none;
	struct signer_keys *k = NULL;
	bool good;

	if (c->keys != NULL)
		k = signer_keys_load(c->keys, gid, to_stderr, NULL);
	good = c->keys == NULL || k != NULL;
	if (good && is_good)
		config_warn(c, k != NULL ? signer_keys_dir(k) : &none,
		    to_stderr, NULL);
	signer_keys_free(&k);
	return good;
}

/* All files that a configuration names, each mistake told. */
static bool
check_files(const struct config *c, bool is_good)
{
	struct priv p;
	bool good = priv_find(&p, c) == 0;
	unsigned gid = good ? p.gid : (unsigned)-1;

	if (c->keys_file != NULL)
		good = check_keys_file(c->keys_file) && good;
	good = check_state(c) && good;
	good = check_queue(c) && good;
	good = check_tls(c, gid) && good;
	good = check_logins(c, gid) && good;
	good = check_store(c, gid) && good;
	good = check_secrets(c, gid) && good;
	reach_check(c, &p, to_stderr, NULL);
	return check_keys(c, gid, is_good && good) && good;
}

/* What the start would do, without a socket and without a child. */
static int
check(const char *path)
{
	bool good;
	struct config *c = config_load_all(path, &good, to_stderr, NULL);

	if (c != NULL)
		good = check_files(c, good) && good;
	config_free(&c);
	if (!good)
		return EX_CONFIG;
	printf("%s: configuration is good\n", path);
	return EX_OK;
}

/* A session is a few descriptors: as many as we may have. */
static void
set_limits(void)
{
	const struct rlimit none = {0, 0};
	struct rlimit r;

	setrlimit(RLIMIT_CORE, &none);	/* with keys in it */
	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

static int
run(const char *path)
{
	struct config *c = config_load(path, to_log, NULL);

	if (c == NULL)
		return EX_CONFIG;
	set_limits();
	return master_run(path, c);
}

/* For the manual page, which is made of it. */
static int
print_metrics(void)
{
	static uint8_t text[64 << 10];
	struct buf b = BUF_ON(text);

	metrics_manual(&b);
	return fwrite(b.p, 1, b.n, stdout) == b.n && !b.full ? EX_OK :
	    EX_OSERR;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{"metrics", no_argument, NULL, 'M'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *path = DEFAULT_PATH;
	bool is_check = false;
	int o;

	while ((o = getopt_long(argc, argv, "c:tvh", options, NULL)) != -1) {
		switch (o) {
		case 'c':
			path = optarg;
			break;
		case 't':
			is_check = true;
			break;
		case 'v':
			log_verbose(true);
			break;
		case 'M':
			return print_metrics();
		case 'V':
			puts("hopseald " HOPSEAL_VERSION);
			return EX_OK;
		case 'h':
			fputs(usage, stdout);
			return EX_OK;
		default:
			fputs(usage, stderr);
			return EX_USAGE;
		}
	}
	if (optind != argc) {
		fputs(usage, stderr);
		return EX_USAGE;
	}
	log_open("master");
	crash_catch();
	signal(SIGPIPE, SIG_IGN);
	if (sodium_init() < 0) {
		log_line(LOG_ERROR_, "libsodium does not start");
		return EX_SOFTWARE;
	}
	return is_check ? check(path) : run(path);
}
