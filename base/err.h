/*
 * Resource and system failures: functions return 0 or one of these, negated.
 * What a stranger's octets got wrong is never one of them: that is a verdict
 * or a reply, a value of its own kind.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err {
	E_NOMEM = 1,	/* the arena's cap or the machine's memory is reached */
	E_LIMIT,	/* a configured bound is reached */
	E_SYNTAX,	/* a file of the operator's does not read */
	E_CRYPTO,	/* the crypto library failed: "could not check" */
	E_SYSTEM,	/* a system call failed, errno says why */
	E_UNSAFE,	/* a file others may read or replace */
	E_ABSENT,	/* there is no such file, key or entry */
	E__N
};

/* One sentence for a code, negated or not. Static storage. */
const char *err_text(int code);

#endif
