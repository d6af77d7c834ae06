/*
 * What a process may still ask of the kernel: the system calls of its kind
 * (seccomp), and of files those below the folders that it is given
 * (landlock). Where the kernel has neither, processes do without.
 */
#ifndef DAEMON_GUARD_H
#define DAEMON_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum guard_kind {
	GUARD_MASTER,
	GUARD_WORKER,
	GUARD_SIGNER,
	GUARD_KEEPER,
	GUARD_SHARED_KEEPER,	/* with a store that several machines share */
	GUARD_CONTROL,
	GUARD_QUEUE,
	GUARD_COMMIT,	/* children of the queue */
	GUARD_SYNC,
	GUARD_REMOVE,
	GUARD__N
};

/* Rights below a folder, or to one file. */
#define GUARD_READ 1U		/* the octets of files that are there */
#define GUARD_WRITE 2U
#define GUARD_LIST 4U		/* names */
#define GUARD_MAKE 8U		/* new files, and sockets */
#define GUARD_REMOVE_FILES 16U
#define GUARD_RENAME 32U	/* also from one folder into another */
#define GUARD_FILES 63U		/* all of them */

/* FOLDER, or FOLDER/NAME; one that is not there is none. */
struct guard_path {
	const char *folder;	/* NULL: that of fd */
	const char *name;	/* NULL: the folder itself */
	unsigned may;		/* GUARD_READ ... */
	int fd;			/* of a folder; else not looked at */
};

/*
 * In the master, before it forks: looks what this kernel has, says in one
 * line what it lacks, and shuts in the master itself, which no later call
 * undoes. Others may come with each configuration.
 *
 * is_on    `sandbox`
 * Returns  0, or -E_SYSTEM (logged)
 */
int guard_begin(bool is_on);

/*
 * In a child, once it is who it will be: gives up, for good, what its kind
 * does not do. Does nothing where guard_begin() was not called, or not with
 * is_on, or the kernel has nothing.
 *
 * paths    n of them: files that it may open by name from now on. What is
 *          open stays open, and is no file that it may open again
 * Returns  0, or -E_SYSTEM (logged)
 */
int guard_enter(enum guard_kind kind, const struct guard_path paths[],
    size_t n);

/*
 * The one port that this process may connect to, by TCP, once it is shut in;
 * 0: none. Of kinds that are not shut in from connecting it is not looked at.
 */
void guard_connect(uint16_t port);

/* ---- its parts ----------------------------------------------------------- */

/* The filter for system calls. 0 or -E_SYSTEM (errno). */
int guard_seccomp(enum guard_kind kind);

/* Whether there is a filter for this kernel and machine. */
bool guard_seccomp_is_there(void);

/* The name of a system call; NULL: it is none that was known. */
const char *guard_call_name(int number);

/* What landlock of this kernel can (its ABI); below 2: nothing of use. */
int guard_landlock_abi(void);

/* port as guard_connect() has it. 0 or -E_SYSTEM (errno). */
int guard_landlock(enum guard_kind kind, const struct guard_path paths[],
    size_t n, uint16_t port, int abi);

#endif
