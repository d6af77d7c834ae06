/* Landlock, by its system calls: libc has no words for them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/guard.h"

/* Of kernels that are newer than the header may be. */
#define FS_REFER (1ULL << 13)		/* ABI 2 */
#define FS_TRUNCATE (1ULL << 14)	/* ABI 3 */
#define FS_IOCTL_DEV (1ULL << 15)	/* ABI 5 */
#define NET_BIND_TCP (1ULL << 0)	/* ABI 4 */
#define NET_CONNECT_TCP (1ULL << 1)
#define SCOPE_ABSTRACT_SOCKET (1ULL << 0)	/* ABI 6 */
#define SCOPE_SIGNAL (1ULL << 1)

#define FS_FIRST ((1ULL << 13) - 1)	/* all of ABI 1 */
/* What can be said of one file. */
#define FS_OF_FILE (LANDLOCK_ACCESS_FS_EXECUTE | \
	LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | \
	FS_TRUNCATE | FS_IOCTL_DEV)

#define RULE_NET_PORT 2			/* of landlock_add_rule(), ABI 4 */

struct net_rule {
	uint64_t allowed;
	uint64_t port;
};

struct ruleset {
	uint64_t fs, net, scoped;
};

int
guard_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 0 ? 0 : (int)abi;
}

static uint64_t
handled(int abi)
{
	return FS_FIRST | FS_REFER | (abi >= 3 ? FS_TRUNCATE : 0) |
	    (abi >= 5 ? FS_IOCTL_DEV : 0);
}

static uint64_t
rights(unsigned may)
{
	uint64_t r = 0;

	if ((may & GUARD_READ) != 0)
		r |= LANDLOCK_ACCESS_FS_READ_FILE;
	if ((may & GUARD_WRITE) != 0)
		r |= LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE;
	if ((may & GUARD_LIST) != 0)
		r |= LANDLOCK_ACCESS_FS_READ_DIR;
	if ((may & GUARD_MAKE) != 0)
		r |= LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK;
	if ((may & GUARD_REMOVE_FILES) != 0)
		r |= LANDLOCK_ACCESS_FS_REMOVE_FILE;
	/* what is set aside may be anything */
	if ((may & GUARD_RENAME) != 0)
		r |= FS_REFER | LANDLOCK_ACCESS_FS_REMOVE_DIR |
		    LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SYM |
		    LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_CHAR |
		    LANDLOCK_ACCESS_FS_MAKE_BLOCK;
	return r;
}

/* The path, or nothing where it is not there; links are followed. */
static int
allow(int ruleset, const struct guard_path *p, int abi)
{
	struct landlock_path_beneath_attr rule;
	int folder = p->folder == NULL ? p->fd :
	    open(p->folder, O_PATH | O_CLOEXEC), r = 0;
	struct stat st;

	rule.parent_fd = folder < 0 || p->name == NULL ? folder :
	    openat(folder, p->name, O_PATH | O_CLOEXEC);
	rule.allowed_access = rights(p->may) & handled(abi);
	if (rule.parent_fd >= 0 && fstat(rule.parent_fd, &st) == 0) {
		if (!S_ISDIR(st.st_mode))
			rule.allowed_access &= FS_OF_FILE;
		r = (int)syscall(SYS_landlock_add_rule, ruleset,
		    LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	}
	if (rule.parent_fd >= 0 && rule.parent_fd != folder)
		close(rule.parent_fd);
	if (folder >= 0 && p->folder != NULL)
		close(folder);
	return r;
}

/* What resolvers read, whatever the configuration says. */
static const char *const resolver_files[] = {"resolv.conf", "hosts",
    "nsswitch.conf", "host.conf", "svc.conf", "netsvc.conf", "gai.conf"};

/* Links in the folder of certificates lead to these. */
static const char *const certificate_folders[] = {
    "/usr/share/ca-certificates", "/usr/local/share/ca-certificates"};

/* For those who look up names, and look at others' certificates. */
static int
allow_public(int ruleset, int abi)
{
	const char *folder = getenv(X509_get_default_cert_dir_env());
	struct guard_path p = {.may = GUARD_READ | GUARD_LIST};
	int r;

	p.folder = folder != NULL ? folder : X509_get_default_cert_dir();
	r = allow(ruleset, &p, abi);
	for (size_t k = 0; r == 0 && k < sizeof(certificate_folders) /
	    sizeof(certificate_folders[0]); k++) {
		p.folder = certificate_folders[k];
		r = allow(ruleset, &p, abi);
	}
	for (size_t k = 0; r == 0 && k < sizeof(resolver_files) /
	    sizeof(resolver_files[0]); k++) {
		p = (struct guard_path){"/etc", resolver_files[k], GUARD_READ,
		    -1};
		r = allow(ruleset, &p, abi);
	}
	return r;
}

static int
allow_all(int ruleset, enum guard_kind kind, const struct guard_path paths[],
    size_t n, int abi)
{
	/* a descriptor to spare; and where getrandom() is not to be had */
	static const struct guard_path devices[] = {
	    {"/dev/null", NULL, GUARD_READ | GUARD_WRITE, -1},
	    {"/dev/urandom", NULL, GUARD_READ, -1}};
	int r = 0;

	if (kind == GUARD_WORKER || kind == GUARD_QUEUE ||
	    kind == GUARD_CONTROL)
		r = allow_public(ruleset, abi);
	for (size_t k = 0; r == 0 && kind != GUARD_SIGNER && k < 2; k++)
		r = allow(ruleset, devices + k, abi);
	for (size_t k = 0; r == 0 && k < n; k++)
		r = allow(ruleset, paths + k, abi);
	return r;
}

static int
allow_port(int ruleset, uint16_t port)
{
	const struct net_rule rule = {NET_CONNECT_TCP, port};

	return (int)syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT,
	    &rule, 0);
}

/* Listening is for whom the master gave no socket that listens. */
static uint64_t
handled_net(enum guard_kind kind)
{
	switch (kind) {
	case GUARD_WORKER:
	case GUARD_QUEUE:
		return NET_BIND_TCP;
	case GUARD_CONTROL:
	case GUARD_MASTER:
		return 0;
	default:
		return NET_BIND_TCP | NET_CONNECT_TCP;
	}
}

int
guard_landlock(enum guard_kind kind, const struct guard_path paths[], size_t n,
    uint16_t port, int abi)
{
	struct ruleset s = {.fs = handled(abi), .net = handled_net(kind),
	    .scoped = SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL};
	size_t size = abi >= 6 ? sizeof(s) :
	    abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
	int fd = (int)syscall(SYS_landlock_create_ruleset, &s, size, 0);
	int r = fd < 0 ? -1 : allow_all(fd, kind, paths, n, abi), was;

	if (r == 0 && kind == GUARD_SHARED_KEEPER && port != 0 && abi >= 4)
		r = allow_port(fd, port);
	if (r == 0)
		r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (r == 0)
		r = (int)syscall(SYS_landlock_restrict_self, fd, 0);
	was = errno;
	if (fd >= 0)
		close(fd);
	errno = was;
	return r == 0 ? 0 : -E_SYSTEM;
}
