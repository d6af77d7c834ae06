/*
 * The end of a process that no code of ours chose: a line of the log says
 * where it was, and it dies of the signal all the same.
 */
#ifndef DAEMON_CRASH_H
#define DAEMON_CRASH_H

/*
 * At the start of the program: children inherit it. The line is
 *
 *	crash: signal 11 (Segmentation fault) at 0x10: hopseald+0x1234 ...
 *	crash: signal 6 (Aborted) sent by 4711: hopseald+0x1234 ...
 *
 * innermost call first, and `addr2line -e FILE 0x1234` reads it. Of SIGSYS
 * it names the system call. Does nothing in a build with sanitizers, which
 * have their own.
 */
void crash_catch(void);

#endif
