/*
 * old_kernel COMMAND...   runs it as on a kernel without seccomp filters and
 * landlock, or in a container that forbids both: their calls are not there.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ABSENT(call)						\
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1),	\
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS)

int
main(int argc, char **argv)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
		ABSENT(SYS_seccomp),
		ABSENT(SYS_landlock_create_ruleset),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	if (argc < 2)
		return 64;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
		perror("old_kernel");
		return 71;
	}
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 71;
}
