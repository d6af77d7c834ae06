#include "daemon/crash.h"

#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "daemon/guard.h"
#include "daemon/log.h"
#include "daemon/sanitizer.h"

#define MODULES_MAX 64U
#define FRAMES_MAX 32
#define HANDLER_FRAMES 2	/* ours, and the kernel's way back */
#define STACK_SIZE (64 * 1024)	/* a stack that is full is no place */
#define LINE_SECONDS 5U

/* What was mapped when it started; looking then would take locks. */
struct module {
	const char *name;	/* its last part */
	uintptr_t base, end;
};

static struct {
	struct module modules[MODULES_MAX];
	size_t n;
	char stack[STACK_SIZE];
} self;

static int
note(struct dl_phdr_info *i, size_t size, void *arg)
{
	struct module *m = self.modules + self.n;
	const char *slash = strrchr(i->dlpi_name, '/');

	(void)size;
	(void)arg;
	if (self.n == MODULES_MAX)
		return 1;
	*m = (struct module){slash != NULL ? slash + 1 : i->dlpi_name,
	    i->dlpi_addr, i->dlpi_addr};
	if (*m->name == '\0')
		m->name = program_invocation_short_name;
	for (size_t k = 0; k < i->dlpi_phnum; k++) {
		const ElfW(Phdr) *p = i->dlpi_phdr + k;
		uintptr_t end = i->dlpi_addr + p->p_vaddr + p->p_memsz;

		if (p->p_type == PT_LOAD && end > m->end)
			m->end = end;
	}
	self.n++;
	return 0;
}

static void
add_place(struct buf *b, uintptr_t at)
{
	for (size_t k = 0; k < self.n; k++) {
		const struct module *m = self.modules + k;

		if (at < m->base || at >= m->end)
			continue;
		buf_printf(b, " %s+0x%jx", m->name,
		    (uintmax_t)(at - m->base));
		return;
	}
	buf_printf(b, " 0x%jx", (uintmax_t)at);
}

static void
add_call(struct buf *b, int number)
{
	const char *name = guard_call_name(number);

	buf_printf(b, "system call %s (%d) is not one of this process's; "
	    "`sandbox: off` lets it, please report it:",
	    name != NULL ? name : "unknown", number);
}

static void
add_signal(struct buf *b, int signal_no, const siginfo_t *i)
{
	buf_printf(b, "crash: signal %d (%s)", signal_no,
	    sigdescr_np(signal_no));
	if (i->si_code <= 0)
		buf_printf(b, " sent by %ld:", (long)i->si_pid);
	else
		buf_printf(b, " at 0x%jx:", (uintmax_t)(uintptr_t)i->si_addr);
}

/*
 * Nothing here allocates. log_line() may wait for a lock of libc that whoever
 * crashed has: then the alarm ends it without a line.
 */
static void
on_crash(int signal_no, siginfo_t *i, void *context)
{
	void *frames[FRAMES_MAX];
	char text[2048];
	struct buf b = BUF_ON(text);
	int n;

	(void)context;
	signal(SIGALRM, SIG_DFL);
	alarm(LINE_SECONDS);
	if (signal_no == SIGSYS)
		add_call(&b, i->si_syscall);
	else
		add_signal(&b, signal_no, i);
	n = backtrace(frames, FRAMES_MAX);
	/* of those who called, the call and not where it comes back to */
	for (int k = HANDLER_FRAMES; k < n; k++)
		add_place(&b, (uintptr_t)frames[k] - (k > HANDLER_FRAMES));
	log_line(LOG_ERROR_, "%.*s", BYTES_FMT(buf_bytes(&b)));
	raise(signal_no);	/* as it was before: it is caught once */
}

void
crash_catch(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL,
	    SIGABRT, SIGSYS};
	struct sigaction a = {.sa_sigaction = on_crash, .sa_flags =
	    SA_SIGINFO | (int)SA_RESETHAND | SA_NODEFER | SA_ONSTACK};
	const stack_t stack = {.ss_sp = self.stack, .ss_size = STACK_SIZE};
	void *frame;

	if (IS_SANITIZED)
		return;
	(void)backtrace(&frame, 1);	/* loads what it needs for it now */
	dl_iterate_phdr(note, NULL);
	if (sigaltstack(&stack, NULL) != 0)
		return;
	for (size_t k = 0; k < sizeof(signals) / sizeof(signals[0]); k++)
		sigaction(signals[k], &a, NULL);
}
