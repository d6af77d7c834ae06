/*
 * P1 and P2: what a process that was taken over can do. Each act is tried in
 * a child that was shut in as the daemon's is.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/crash.h"
#include "daemon/guard.h"
#include "daemon/log.h"
#include "daemon/sanitizer.h"
#include "daemon/worker.h"

#define DIED 1000		/* + the signal */

static char top[] = "/tmp/hopseal-guard-XXXXXX";
static char state[64];
static char said[4096];		/* the log of the last child */

/* What is below the folder of the test. */
static const char *
under(const char *name)
{
	static char paths[4][128];
	static unsigned n;
	char *p = paths[n++ % 4];

	snprintf(p, sizeof(paths[0]), "%s/%s", top, name);
	return p;
}

static int
set_up(void **unused)
{
	static const char *const folders[] = {"state", "state/tmp",
	    "state/copies", "state/queue", "state/queue/new",
	    "state/queue/mail", "keys"};
	static const char *const files[] = {"keys/s1.pem",
	    "state/store.sqlite", "state/queue/mail/one", "state/copies/one"};

	(void)unused;
	assert_non_null(mkdtemp(top));
	snprintf(state, sizeof(state), "%s/state", top);
	for (size_t k = 0; k < sizeof(folders) / sizeof(folders[0]); k++)
		assert_int_equal(mkdir(under(folders[k]), 0700), 0);
	for (size_t k = 0; k < sizeof(files) / sizeof(files[0]); k++)
		close(open(under(files[k]), O_CREAT | O_WRONLY, 0600));
	return 0;
}

static int
take_down(void **unused)
{
	char command[128];

	(void)unused;
	snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command);
}

typedef int act(void);
typedef int shut(void);

#define ACT(name, does)		\
	static int		\
	name(void)		\
	{			\
		return does;	\
	}

/* 0: it did it; errno where it failed, DIED + signal where that killed. */
static int
attempt(shut *in, act *what)
{
	int out[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	pid = fork();
	if (pid == 0) {
		dup2(out[1], STDERR_FILENO);
		close(out[0]);
		close(out[1]);
		log_open("test");
		crash_catch();	/* not cmocka */
		if (guard_begin(true) != 0 || in() != 0)
			_exit(255);
		errno = 0;
		_exit(what() == 0 ? 0 : errno);
	}
	close(out[1]);
	memset(said, 0, sizeof(said));
	for (size_t at = 0; (n = read(out[0], said + at,
	    sizeof(said) - 1 - at)) > 0;)
		at += (size_t)n;
	close(out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? DIED + WTERMSIG(status) :
	    WEXITSTATUS(status);
}

/* ---- acts ---------------------------------------------------------------- */

static int
opens(const char *path, int flags)
{
	return open(path, flags, 0600) >= 0 ? 0 : -1;
}

ACT(reads_a_key, opens(under("keys/s1.pem"), O_RDONLY))
ACT(keeps_a_spare, opens("/dev/null", O_RDONLY))
ACT(reads_passwd, opens("/etc/passwd", O_RDONLY))
ACT(lists_root, opens("/", O_RDONLY | O_DIRECTORY))
ACT(reads_itself, opens("/proc/self/mem", O_RDWR))
ACT(writes_elsewhere, opens(under("x"), O_CREAT | O_RDWR))

static int
reads_the_store(void)
{
	return opens(under("state/store.sqlite"), O_RDONLY);
}

static int
reads_the_queue(void)
{
	return opens(under("state/queue/mail/one"), O_RDONLY);
}

static int
removes_from_the_queue(void)
{
	return unlink(under("state/queue/mail/one"));
}

static int
makes_a_body(void)
{
	return opens(under("state/tmp"), O_TMPFILE | O_RDWR);
}

static int
makes_a_copy(void)
{
	return opens(under("state/copies/two"), O_CREAT | O_EXCL | O_WRONLY) |
	    rename(under("state/copies/two"), under("state/copies/three")) |
	    opens(under("state/copies/three"), O_RDONLY) |
	    unlink(under("state/copies/three"));
}

static int
queues(void)
{
	return opens(under("state/queue/new"), O_RDONLY | O_DIRECTORY) |
	    opens(under("state/queue/mail"), O_RDONLY | O_DIRECTORY) |
	    opens(under("state/queue/new/two"), O_CREAT | O_EXCL | O_WRONLY) |
	    unlink(under("state/queue/new/two"));
}

static int
runs_another(void)
{
	char *const argv[] = {(char *)(uintptr_t)"true", NULL};

	return execv("/bin/true", argv);
}

ACT(traces, (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL))
ACT(forks, fork() >= 0 ? 0 : -1)
ACT(kills, kill(getppid(), 0))
ACT(unshares, (int)syscall(SYS_unshare, 0x10000000))
ACT(mounts, (int)syscall(SYS_mount, 0, 0, 0, 0, 0))
ACT(dumps, prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))

static int
kills_a_thread(void)
{
	return (int)syscall(SYS_tgkill, getppid(), getppid(), 0);
}

static int
reads_its_parent(void)
{
	char c;
	struct iovec here = {&c, 1}, there = {&c, 1};

	return process_vm_readv(getppid(), &here, 1, &there, 1, 0) < 0;
}

static int
opens_a(int family, int type)
{
	return socket(family, type, 0) >= 0 ? 0 : -1;
}

static int
opens_sockets(void)
{
	return opens_a(AF_INET, SOCK_STREAM) | opens_a(AF_INET6, SOCK_DGRAM) |
	    opens_a(AF_UNIX, SOCK_STREAM);
}

#define STREAM (SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)

static int
opens_a_stream(void)
{
	return opens_a(AF_INET, STREAM) | opens_a(AF_INET6, STREAM) |
	    opens_a(AF_UNIX, STREAM);
}

static int
connects_to(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	    .sin_port = htons(port)};
	int fd = socket(AF_INET, STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 ||
	    errno == EINPROGRESS ? 0 : -1;
}

ACT(connects, connects_to(6379))
ACT(connects_elsewhere, connects_to(6380))
ACT(opens_udp, opens_a(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC))
ACT(opens_mptcp, socket(AF_INET, STREAM, 262) >= 0 ? 0 : -1)
ACT(netlink, opens_a(AF_NETLINK, SOCK_RAW))
ACT(packet, opens_a(AF_PACKET, SOCK_RAW))
ACT(vsock, opens_a(AF_VSOCK, SOCK_STREAM))

static int
listens(void)
{
	return listen(socket(AF_INET, SOCK_STREAM, 0), 1);
}

static int
makes_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static int
turns_memory_to_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

/* Memory of every size, the clock, a pipe, a signal, and its own end. */
static int
lives(void)
{
	void *volatile p = malloc(100), *volatile big = malloc(100 << 20);
	int pair[2];
	char c = 'x';

	p = realloc(p, 1 << 20);
	free(p);
	free(big);
	usleep(1);
	return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) |
	    (write(pair[0], &c, 1) != 1) | (read(pair[1], &c, 1) != 1) |
	    fdatasync(STDERR_FILENO) * 0 | mlock(&c, 1);
}

static int
aborts(void)
{
	abort();
}

static int
is_newer_than_all(void)
{
	return (int)syscall(9000);
}

#ifdef __x86_64__
static int
speaks_for_32_bits(void)
{
	long r = 20;		/* getpid there */

	__asm__ volatile("int $0x80" : "+a"(r));
	return 0;
}
#endif

/* ---- tests --------------------------------------------------------------- */

ACT(worker, worker_shut_in(state))
ACT(signer, guard_enter(GUARD_SIGNER, NULL, 0))
ACT(syncer, guard_enter(GUARD_SYNC, NULL, 0))
ACT(master, 0)

static int
keeper(void)
{
	const struct guard_path all = {state, NULL, GUARD_FILES, -1};

	return guard_enter(GUARD_KEEPER, &all, 1);
}

/* The port that a shared keeper may connect to; nobody listens there. */
#define STORE_PORT 6379

static int
shared_keeper(void)
{
	const struct guard_path all = {state, NULL, GUARD_FILES, -1};

	guard_connect(STORE_PORT);
	return guard_enter(GUARD_SHARED_KEEPER, &all, 1);
}

static int
remover(void)
{
	const struct guard_path mail = {.may = GUARD_READ | GUARD_REMOVE_FILES,
	    .fd = open(under("state/queue/mail"), O_RDONLY | O_DIRECTORY)};

	return guard_enter(GUARD_REMOVE, &mail, 1);
}

static void
skip_without(bool is_there, const char *what)
{
	if (is_there && !IS_SANITIZED)
		return;
	printf("SKIP %s\n", IS_SANITIZED ?
	    "a sanitizer makes calls of its own: no filter" : what);
	skip();
}

static void
need_calls(void)
{
	skip_without(guard_seccomp_is_there(), "no seccomp filters here");
}

static void
need_files(void)
{
	skip_without(guard_landlock_abi() >= 2, "no landlock here");
}

/* P1: no key, and no other file. */
static void
test_P1_a_worker_opens_no_other_file(void **unused)
{
	act *const denied[] = {reads_a_key, reads_passwd, lists_root,
	    reads_itself, writes_elsewhere, reads_the_store, reads_the_queue,
	    removes_from_the_queue};
	act *const may[] = {makes_a_body, makes_a_copy, queues, lives,
	    opens_sockets, keeps_a_spare};

	(void)unused;
	need_files();
	for (size_t k = 0; k < sizeof(denied) / sizeof(denied[0]); k++) {
		assert_int_equal(attempt(worker, denied[k]), EACCES);
		assert_int_not_equal(attempt(master, denied[k]), EACCES);
		/* the folder of the queue has lost a file by that */
		close(open(under("state/queue/mail/one"), O_CREAT | O_WRONLY,
		    0600));
		(void)unlink(under("x"));
	}
	for (size_t k = 0; k < sizeof(may) / sizeof(may[0]); k++)
		assert_int_equal(attempt(worker, may[k]), 0);
}

/* P1: no program, no look into others, no signal to them, no code. */
static void
test_P1_a_worker_makes_no_other_call(void **unused)
{
	act *const killed[] = {runs_another, traces, reads_its_parent, forks,
	    kills, unshares, mounts, listens};
	const struct {
		act *what;
		int error;
	} fails[] = {{netlink, EAFNOSUPPORT}, {packet, EAFNOSUPPORT},
	    {vsock, EAFNOSUPPORT}, {makes_code, EACCES},
	    {turns_memory_to_code, EACCES}, {kills_a_thread, EPERM},
	    {dumps, EPERM}, {is_newer_than_all, ENOSYS}};

	(void)unused;
	need_calls();
	for (size_t k = 0; k < sizeof(killed) / sizeof(killed[0]); k++)
		assert_int_equal(attempt(worker, killed[k]), DIED + SIGSYS);
	for (size_t k = 0; k < sizeof(fails) / sizeof(fails[0]); k++)
		assert_int_equal(attempt(worker, fails[k].what),
		    fails[k].error);
#ifdef __x86_64__
	assert_int_equal(attempt(worker, speaks_for_32_bits), DIED + SIGSYS);
#endif
	assert_int_equal(attempt(worker, aborts), DIED + SIGABRT);
}

/* P2: who has keys opens nothing, and speaks on the sockets it has. */
static void
test_P2_the_signer_has_no_files_and_no_net(void **unused)
{
	(void)unused;
	need_calls();
	assert_int_equal(attempt(signer, lives), 0);
	assert_int_equal(attempt(signer, reads_passwd), DIED + SIGSYS);
	assert_int_equal(attempt(signer, opens_sockets), DIED + SIGSYS);
	assert_int_equal(attempt(signer, runs_another), DIED + SIGSYS);
	assert_int_equal(attempt(signer, aborts), DIED + SIGABRT);
	assert_int_equal(attempt(syncer, lives), 0);
	assert_int_equal(attempt(syncer, reads_passwd), DIED + SIGSYS);
}

static void
test_P2_others_have_their_folder(void **unused)
{
	(void)unused;
	need_files();
	assert_int_equal(attempt(keeper, reads_the_store), 0);
	assert_int_equal(attempt(keeper, makes_a_copy), 0);
	assert_int_equal(attempt(keeper, reads_a_key), EACCES);
	assert_int_equal(attempt(remover, reads_the_queue), 0);
	assert_int_equal(attempt(remover, reads_the_store), EACCES);
	assert_int_equal(attempt(remover, removes_from_the_queue), 0);
	close(open(under("state/queue/mail/one"), O_CREAT | O_WRONLY, 0600));
	need_calls();
	assert_int_equal(attempt(keeper, opens_sockets), DIED + SIGSYS);
	assert_int_equal(attempt(master, runs_another), DIED + SIGSYS);
	assert_int_equal(attempt(master, traces), DIED + SIGSYS);
}

/* P1: to the port of the store, and nowhere else. */
static void
test_P1_a_shared_keeper_has_one_port(void **unused)
{
	(void)unused;
	need_calls();
	assert_int_equal(attempt(shared_keeper, lives), 0);
	assert_int_equal(attempt(shared_keeper, opens_a_stream), 0);
	assert_int_equal(attempt(shared_keeper, opens_udp), EPROTONOSUPPORT);
	assert_int_equal(attempt(shared_keeper, opens_mptcp),
	    EPROTONOSUPPORT);
	assert_int_equal(attempt(shared_keeper, vsock), EPROTONOSUPPORT);
	assert_int_equal(attempt(shared_keeper, listens), DIED + SIGSYS);
	skip_without(guard_landlock_abi() >= 4, "landlock knows no ports here");
	assert_int_not_equal(attempt(shared_keeper, connects), EACCES);
	assert_int_equal(attempt(shared_keeper, connects_elsewhere), EACCES);
	assert_int_equal(attempt(shared_keeper, reads_a_key), EACCES);
	assert_int_equal(attempt(shared_keeper, makes_a_copy), 0);
}

/* A call that is refused has a name, and a place. */
static void
test_P2_the_log_names_the_call(void **unused)
{
	(void)unused;
	need_calls();
	assert_int_equal(attempt(signer, opens_sockets), DIED + SIGSYS);
	assert_non_null(strstr(said, "system call socket ("));
	assert_non_null(strstr(said, "test_guard+0x"));
	assert_string_equal(guard_call_name(SYS_ptrace), "ptrace");
	assert_null(guard_call_name(9000));
}

/* ---- what the kernel has not --------------------------------------------- */

/* The call that asks whether it is there; the others need not be made. */
static bool has_calls, has_files;

bool __wrap_guard_seccomp_is_there(void);
bool __real_guard_seccomp_is_there(void);
int __wrap_guard_landlock_abi(void);
int __real_guard_landlock_abi(void);

bool
__wrap_guard_seccomp_is_there(void)
{
	return has_calls && __real_guard_seccomp_is_there();
}

int
__wrap_guard_landlock_abi(void)
{
	return has_files ? __real_guard_landlock_abi() : 1;
}

/* P2: one line, and mail goes on. */
static void
test_P2_without_them_it_says_so_once(void **unused)
{
	(void)unused;
	skip_without(true, "");
	has_calls = has_files = false;
	assert_int_equal(attempt(worker, reads_passwd), 0);
	assert_int_equal(attempt(worker, runs_another), 0);
	assert_non_null(strstr(said, "no seccomp filters and no landlock"));
	assert_ptr_equal(strchr(said, '\n') + 1, said + strlen(said));
	has_calls = true;
	assert_int_equal(attempt(worker, reads_passwd), 0);
	assert_non_null(strstr(said, "this kernel has no landlock: "));
	has_files = true;
	assert_int_equal(attempt(worker, lives), 0);
	assert_string_equal(said, "");
}

static int
off(void)
{
	return guard_begin(false) | worker_shut_in(state);
}

static void
test_off(void **unused)
{
	(void)unused;
	assert_int_equal(attempt(off, reads_passwd), 0);
	assert_int_equal(attempt(off, forks), 0);
}

/* ---- crashes ------------------------------------------------------------- */

static int
falls(void)
{
	volatile uintptr_t nowhere = 16;

	*(volatile int *)nowhere = 1;
	return 0;
}

static __attribute__((noinline)) int
overflows(unsigned n)
{
	volatile char room[4096];

	room[n % 4096] = (char)n;
	return n == 0 ? 0 : overflows(n - 1) + room[0];
}

static int
needs_much_stack(void)
{
	return overflows(1U << 20);
}

static void
test_a_crash_says_where(void **unused)
{
	(void)unused;
	skip_without(true, "");
	assert_int_equal(attempt(worker, falls), DIED + SIGSEGV);
	assert_non_null(strstr(said, "crash: signal 11 (Segmentation fault) "
	    "at 0x10: test_guard+0x"));
	assert_ptr_equal(strchr(said, '\n') + 1, said + strlen(said));
	assert_int_equal(attempt(signer, needs_much_stack), DIED + SIGSEGV);
	assert_non_null(strstr(said, "crash: signal 11 "));
	assert_int_equal(attempt(worker, aborts), DIED + SIGABRT);
	assert_non_null(strstr(said, "crash: signal 6 (Aborted) sent by "));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_P1_a_worker_opens_no_other_file),
		cmocka_unit_test(test_P1_a_worker_makes_no_other_call),
		cmocka_unit_test(test_P2_the_signer_has_no_files_and_no_net),
		cmocka_unit_test(test_P2_others_have_their_folder),
		cmocka_unit_test(test_P1_a_shared_keeper_has_one_port),
		cmocka_unit_test(test_P2_the_log_names_the_call),
		cmocka_unit_test(test_P2_without_them_it_says_so_once),
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_a_crash_says_where),
	};

	log_open("test");
	has_calls = has_files = true;
	return cmocka_run_group_tests(tests, set_up, take_down);
}
