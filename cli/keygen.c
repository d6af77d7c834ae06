#include "cli/cli.h"
#include "cli/keyfile.h"
#include "cli/record.h"

#include "base/ascii.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

static const struct args_known known[] = {
	{"type", false},
	{"keys", false},
	{NULL, false},
};

/* A folder of ours: others may neither list nor enter it. */
static int
make_folder(int at, const char *name, const char *path, int *fd)
{
	if (mkdirat(at, name, 0700) != 0 && errno != EEXIST)
		return cli_fail(CLI_CANNOT, "%s: %s", path, strerror(errno));
	*fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return cli_fail(CLI_CANNOT, "%s: %s", path, strerror(errno));
	return 0;
}

/* All of it, synced; 0 or -1 with errno. */
static int
write_synced(int fd, struct bytes octets)
{
	while (octets.n != 0) {
		ssize_t n = write(fd, octets.p, octets.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		octets = bytes_skip(octets, (size_t)n);
	}
	return fsync(fd);
}

/* A key that was half written is taken away; one that was there never is. */
static int
write_file(int folder, const char *selector, struct bytes pem)
{
	char name[300];
	int fd, saved;

	snprintf(name, sizeof(name), "%s.pem", selector);
	fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC |
	    O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	/* whatever the umask says: neither more nor less than 0600 */
	if (fchmod(fd, 0600) == 0 && write_synced(fd, pem) == 0 &&
	    close(fd) == 0)
		return fsync(folder);
	saved = errno;
	(void)close(fd);
	(void)unlinkat(folder, name, 0);
	errno = saved;
	return -1;
}

static int
store(const char *keys, const char *domain, const char *selector,
    struct bytes pem)
{
	int top = -1, folder = -1;
	int r = make_folder(AT_FDCWD, keys, keys, &top);

	if (r == 0)
		r = make_folder(top, domain, domain, &folder);
	if (r == 0 && write_file(folder, selector, pem) != 0)
		r = cli_fail(CLI_CANNOT, "%s/%s/%s.pem: %s", keys, domain,
		    selector, errno == EEXIST ?
		    "there already; a key is never written over" :
		    strerror(errno));
	if (r == 0 && fsync(top) != 0)
		r = cli_fail(CLI_CANNOT, "%s: %s", keys, strerror(errno));
	if (folder >= 0)
		close(folder);
	if (top >= 0)
		close(top);
	return r;
}

static int
generate(enum dkim2_algorithm type, const char *keys, const char *domain,
    const char *selector)
{
	struct dkim2_private_key *k;
	uint8_t room[4096];
	struct buf pem = BUF_ON(room);
	int r = dkim2_private_key_generate(&k, type);

	if (r == 0)
		r = dkim2_private_key_pem(k, &pem);
	if (r != 0)
		r = cli_fail(CLI_CANNOT, "%s", err_text(r));
	else
		r = store(keys, domain, selector, buf_bytes(&pem));
	sodium_memzero(room, sizeof(room));
	if (r == 0)
		r = record_print(k, domain, selector, false);
	dkim2_private_key_free(&k);
	return r;
}

/* DNS names have no case; the daemon looks for folders in lower case. */
static bool
lower_name(const char *name, char out[254])
{
	size_t n = strlen(name);

	if (!keyfile_is_name(name))
		return false;
	for (size_t k = 0; k <= n; k++)
		out[k] = (char)ascii_lower((uint8_t)name[k]);
	return true;
}

static int
run(const struct args *a)
{
	const char *type = args_get(a, "type"), *keys = args_get(a, "keys");
	char domain[254], selector[254];
	enum dkim2_algorithm algorithm = DKIM2_ED25519_SHA256;

	if (a->n_words != 2)
		return cli_fail(CLI_USAGE, "keygen [--type ed25519|rsa2048] "
		    "[--keys DIR] DOMAIN SELECTOR");
	if (type != NULL && strcmp(type, "rsa2048") == 0)
		algorithm = DKIM2_RSA_SHA256;
	else if (type != NULL && strcmp(type, "ed25519") != 0)
		return cli_fail(CLI_USAGE,
		    "--type %s: ed25519 or rsa2048", type);
	if (!lower_name(a->words[0], domain) ||
	    !lower_name(a->words[1], selector))
		return cli_fail(CLI_USAGE, "keygen: DOMAIN and SELECTOR are "
		    "DNS names (A-labels)");
	return generate(algorithm, keys == NULL ? "keys" : keys, domain,
	    selector);
}

int
cli_keygen(int argc, char **argv)
{
	struct arena *mem = arena_new(65536);
	struct args a;
	int r;

	if (mem == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	r = args_parse(&a, argc, argv, known, 2, mem);
	if (r == 0)
		r = run(&a);
	arena_free(&mem);
	return r;
}
