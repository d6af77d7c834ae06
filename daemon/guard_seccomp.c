/*
 * The filter for system calls: a list for each kind of process. What is not
 * on it traps: crash.c names it, and the process dies of SIGSYS. What a
 * library only tries, and does without, fails instead.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/guard.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#define FOREIGN_BIT 0x40000000U		/* x32 */
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__i386__)
#define ARCH AUDIT_ARCH_I386
#elif defined(__arm__)
#define ARCH AUDIT_ARCH_ARM
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARCH AUDIT_ARCH_PPC64LE
#endif

#ifndef SECCOMP_RET_KILL_PROCESS
#define SECCOMP_RET_KILL_PROCESS 0x80000000U
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41	/* libc names its memory */
#endif

#define CODE_MAX 1024U
#define NUMBERS_MAX 10000	/* past it are calls of one machine alone */

/* Every call that libc's headers knew when this was built. */
static const struct {
	int number;
	const char *name;
} calls[] = {
#include "syscalls.h"
};
#define N_CALLS (sizeof(calls) / sizeof(calls[0]))

#define K(kind) (1U << GUARD_##kind)
#define ALL (~0U)
#define ON_FILES (K(WORKER) | K(KEEPER) | K(SHARED_KEEPER) | K(QUEUE) | \
	K(COMMIT) | K(REMOVE) | K(CONTROL))
#define ON_NET (K(WORKER) | K(QUEUE) | K(CONTROL))
#define FORKING (K(QUEUE) | K(COMMIT))

/* The master may all of this: its children begin with its filter. A name that
 * this machine has not is no mistake. */
static const struct {
	unsigned kinds;
	const char *names;
} lists[] = {
	/* memory; what libc and the loop do beneath us */
	{ALL, "mmap mmap2 munmap mremap mprotect brk madvise mlock mlock2 "
	    "munlock membarrier futex futex_time64 futex_waitv rseq "
	    "set_robust_list get_robust_list set_tid_address sched_yield "
	    "sched_getaffinity getcpu getrandom uname sysinfo getrusage times "
	    "getrlimit ugetrlimit prlimit64 prctl"},
	{ALL, "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait "
	    "rt_sigpending sigreturn sigaltstack restart_syscall alarm "
	    "setitimer exit exit_group tgkill getpid getppid gettid getuid "
	    "geteuid getgid getegid getuid32 geteuid32 getgid32 getegid32 "
	    "getresuid getresgid getgroups"},
	{ALL, "clock_gettime clock_gettime64 clock_getres gettimeofday time "
	    "nanosleep clock_nanosleep clock_nanosleep_time64 "
	    "timerfd_create timerfd_settime timerfd_gettime"},
	/* what is open already */
	{ALL, "read readv pread64 preadv preadv2 write writev pwrite64 pwritev "
	    "pwritev2 lseek _llseek close close_range dup dup2 dup3 fcntl "
	    "fcntl64 ioctl fstat fstat64 fstatfs fstatfs64 pipe pipe2 eventfd2 "
	    "signalfd4 poll ppoll ppoll_time64 select _newselect pselect6 "
	    "epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait "
	    "epoll_pwait2 send recv sendto recvfrom sendmsg recvmsg sendmmsg "
	    "recvmmsg recvmmsg_time64 shutdown getsockopt setsockopt "
	    "getsockname getpeername socketpair fsync fdatasync "
	    "sync_file_range sync_file_range2"},
	/* by name: which files, landlock knows */
	{ON_FILES, "open openat creat stat lstat stat64 lstat64 newfstatat "
	    "fstatat64 statx statfs statfs64 access faccessat faccessat2 "
	    "readlink readlinkat getcwd getdents getdents64 unlink unlinkat "
	    "rename renameat renameat2 link linkat ftruncate ftruncate64 "
	    "fallocate flock fadvise64 memfd_create umask fchmod fchmodat "
	    "fchown fchown32 utimensat"},
	{ON_NET, "socket connect accept accept4"},
	{K(SHARED_KEEPER), "socket connect"},
	{K(QUEUE) | K(CONTROL), "bind listen chmod"},
	{FORKING, "clone fork vfork wait4 waitid kill"},
	{FORKING | K(SYNC) | K(REMOVE), "seccomp landlock_create_ruleset "
	    "landlock_add_rule landlock_restrict_self"},
	/* to become who the children are, and make their folders */
	{K(MASTER), "setuid setgid setresuid setresgid setreuid setregid "
	    "setgroups setfsuid setfsgid setuid32 setgid32 setresuid32 setresgid32 setgroups32 "
	    "setrlimit mlockall munlockall mkdir mkdirat chown "
	    "fchownat chown32 lchown capget capset"},
	/* what libc's modules for users are known to call */
	{K(MASTER), "name_to_handle_at inotify_init1 inotify_add_watch "
	    "inotify_rm_watch sched_getparam sched_getscheduler "
	    "sched_get_priority_max sched_get_priority_min getpgrp getpgid "
	    "getsid sendfile"},
};

/* What fails, and need not kill whoever asks. */
static const struct {
	const char *name;
	int error;
} refused[] = {
	/* its flags are behind a pointer; libc falls back to clone */
	{"clone3", ENOSYS},
	{"io_uring_setup", ENOSYS},
	{"set_mempolicy", EPERM},
	{"sched_setaffinity", EPERM},
	{"sched_setscheduler", EPERM},
	{"setrlimit", EPERM},
	{"mincore", ENOSYS},
};

#define NEW_SPACES (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | \
	CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

/* Of these calls an argument counts: else they fail. */
static const struct rule {
	const char *name;
	unsigned kinds;		/* the others may it all, or not at all */
	unsigned arg;
	bool is_mask;		/* none of these bits; else one of these */
	int error;
	unsigned n;
	uint32_t values[8];
} rules[] = {
	{"socket", ALL, 0, false, EAFNOSUPPORT, 3,
	    {AF_UNIX, AF_INET, AF_INET6}},
	{"prctl", ~K(MASTER), 0, false, EPERM, 6, {PR_SET_NAME, PR_GET_NAME,
	    PR_SET_PDEATHSIG, PR_SET_VMA, PR_SET_NO_NEW_PRIVS,
	    PR_GET_DUMPABLE}},
	{"ioctl", ALL, 1, false, ENOTTY, 4, {FIONREAD, FIONBIO, FIOCLEX,
	    TCGETS}},
	/* the master's libc may load how users are looked up */
	{"mmap", ~K(MASTER), 2, true, EACCES, 1, {PROT_EXEC}},
	{"mmap2", ~K(MASTER), 2, true, EACCES, 1, {PROT_EXEC}},
	{"mprotect", ~K(MASTER), 2, true, EACCES, 1, {PROT_EXEC}},
	{"clone", ALL, 0, true, EPERM, 1, {NEW_SPACES}},
};

/* ---- names --------------------------------------------------------------- */

const char *
guard_call_name(int number)
{
	for (size_t k = 0; k < N_CALLS; k++)
		if (calls[k].number == number)
			return calls[k].name;
	return NULL;
}

#ifdef ARCH

static int
number_of(const char *name, size_t n)
{
	for (size_t k = 0; k < N_CALLS; k++)
		if (strncmp(calls[k].name, name, n) == 0 &&
		    calls[k].name[n] == '\0')
			return calls[k].number;
	return -1;
}

static unsigned
newest(void)
{
	int max = 0;

	for (size_t k = 0; k < N_CALLS; k++)
		if (calls[k].number > max && calls[k].number < NUMBERS_MAX)
			max = calls[k].number;
	return (unsigned)max;
}

/* ---- the program --------------------------------------------------------- */

struct code {
	struct sock_filter all[CODE_MAX];
	unsigned n;		/* past CODE_MAX: it is too long */
};

#define AT(member) ((uint32_t)offsetof(struct seccomp_data, member))
/* The lower half of an argument: flags and small numbers. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define AT_ARG(n) (AT(args) + 8 * (n))
#else
#define AT_ARG(n) (AT(args) + 8 * (n) + 4)
#endif

static void
put(struct code *c, unsigned op, uint32_t k, unsigned yes, unsigned no)
{
	if (c->n < CODE_MAX)
		c->all[c->n] = (struct sock_filter){(uint16_t)op,
		    (uint8_t)yes, (uint8_t)no, k};
	c->n++;
}

static void
load(struct code *c, uint32_t at)
{
	put(c, BPF_LD | BPF_W | BPF_ABS, at, 0, 0);
}

static void
answer(struct code *c, uint32_t what)
{
	put(c, BPF_RET | BPF_K, what, 0, 0);
}

static void
fail_with(struct code *c, int error)
{
	answer(c, SECCOMP_RET_ERRNO | ((uint32_t)error & SECCOMP_RET_DATA));
}

/* The next instructions, skip of them, are for this call alone. */
static void
for_call(struct code *c, int number, unsigned skip)
{
	put(c, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, skip);
}

/* Only what this machine calls by its own table. */
static void
begin(struct code *c)
{
	load(c, AT(arch));
	put(c, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
	answer(c, SECCOMP_RET_KILL_PROCESS);
	load(c, AT(nr));
	/* strace has taken the call out: there is none */
	for_call(c, -1, 1);
	answer(c, SECCOMP_RET_ALLOW);
#ifdef FOREIGN_BIT
	put(c, BPF_JMP | BPF_JGE | BPF_K, FOREIGN_BIT, 0, 1);
	answer(c, SECCOMP_RET_KILL_PROCESS);
#endif
	/* what a newer libc tries first on a newer kernel */
	put(c, BPF_JMP | BPF_JGT | BPF_K, newest(), 0, 1);
	fail_with(c, ENOSYS);
}

static const struct rule *
rule_for(enum guard_kind kind, int number)
{
	for (size_t k = 0; k < sizeof(rules) / sizeof(rules[0]); k++)
		if ((rules[k].kinds & 1U << kind) != 0 && number ==
		    number_of(rules[k].name, strlen(rules[k].name)))
			return rules + k;
	return NULL;
}

static void
add_rule(struct code *c, int number, const struct rule *r)
{
	for_call(c, number, r->n + 3);
	load(c, AT_ARG(r->arg));
	for (unsigned k = 0; k < r->n; k++)
		/* to the answer that fits, behind the others */
		put(c, BPF_JMP | (r->is_mask ? BPF_JSET : BPF_JEQ) | BPF_K,
		    r->values[k], r->n - k - (r->is_mask ? 1 : 0),
		    r->is_mask && k + 1 == r->n ? 1 : 0);
	fail_with(c, r->error);
	answer(c, SECCOMP_RET_ALLOW);
}

/* Streams alone, of the protocol that landlock knows the ports of: UDP and
 * MPTCP have others. */
static void
add_stream(struct code *c)
{
	for_call(c, SYS_socket, 10);
	load(c, AT_ARG(1));
	put(c, BPF_JMP | BPF_JEQ | BPF_K, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0, 6);
	load(c, AT_ARG(2));
	put(c, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 4);
	load(c, AT_ARG(0));
	put(c, BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 3, 0);
	put(c, BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 2, 0);
	put(c, BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 1, 0);
	fail_with(c, EPROTONOSUPPORT);
	answer(c, SECCOMP_RET_ALLOW);
}

static void
add(struct code *c, enum guard_kind kind, int number)
{
	const struct rule *r = rule_for(kind, number);

	if (number < 0)
		return;
	if (number == SYS_socket && kind == GUARD_SHARED_KEEPER) {
		add_stream(c);
		return;
	}
	if (r != NULL) {
		add_rule(c, number, r);
		return;
	}
	for_call(c, number, 1);
	answer(c, SECCOMP_RET_ALLOW);
}

static void
add_list(struct code *c, enum guard_kind kind, const char *names)
{
	while (*names != '\0') {
		size_t n = strcspn(names, " ");

		add(c, kind, number_of(names, n));
		names += n;
		names += strspn(names, " ");
	}
}

/* Signals for itself alone: it dies of an assertion. */
static void
add_own_signal(struct code *c)
{
	for_call(c, SYS_tgkill, 4);
	load(c, AT_ARG(0));
	put(c, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)getpid(), 1, 0);
	fail_with(c, EPERM);
	answer(c, SECCOMP_RET_ALLOW);
}

static bool
make(struct code *c, enum guard_kind kind)
{
	const unsigned forks = FORKING | K(MASTER);

	begin(c);
	if ((forks & 1U << kind) == 0)
		add_own_signal(c);
	for (size_t k = 0; k < sizeof(lists) / sizeof(lists[0]); k++)
		if (kind == GUARD_MASTER ||
		    (lists[k].kinds & 1U << kind) != 0)
			add_list(c, kind, lists[k].names);
	for (size_t k = 0; k < sizeof(refused) / sizeof(refused[0]); k++) {
		int number = number_of(refused[k].name,
		    strlen(refused[k].name));

		if (number < 0)
			continue;
		for_call(c, number, 1);
		fail_with(c, refused[k].error);
	}
	answer(c, SECCOMP_RET_TRAP);
	return c->n <= CODE_MAX;
}

bool
guard_seccomp_is_there(void)
{
	uint32_t action = SECCOMP_RET_TRAP;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0,
	    &action) == 0;
}

int
guard_seccomp(enum guard_kind kind)
{
	struct code c = {.n = 0};
	struct sock_fprog program = {.filter = c.all};

	if (!make(&c, kind)) {
		errno = E2BIG;
		return -E_SYSTEM;
	}
	program.len = (unsigned short)c.n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -E_SYSTEM;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) ==
	    0 ? 0 : -E_SYSTEM;
}

#else

/* Nobody has looked which calls this machine needs. */
bool
guard_seccomp_is_there(void)
{
	return false;
}

int
guard_seccomp(enum guard_kind kind)
{
	(void)kind;
	errno = ENOSYS;
	return -E_SYSTEM;
}

#endif
