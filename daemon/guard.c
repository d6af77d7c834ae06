#include "daemon/guard.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/sanitizer.h"

/* What the master found, for it and for those it forks. */
static struct {
	bool is_looked;		/* whether the rest has been found */
	bool is_on;
	bool is_master_in;
	bool has_calls;
	int abi;		/* of landlock */
	uint16_t port;		/* guard_connect() */
} self;

/* One line, whatever is missing. */
static void
look(void)
{
	bool has_files;

	if (self.is_looked)
		return;
	self.is_looked = true;
	self.has_calls = guard_seccomp_is_there();
	self.abi = guard_landlock_abi();
	has_files = self.abi >= 2;
	if (self.has_calls && has_files)
		return;
	log_line(LOG_WARNING_, "this kernel has %s%s%s: the processes of "
	    "hopseald are kept from what is not theirs by %s",
	    self.has_calls ? "" : "no seccomp filters",
	    self.has_calls || has_files ? "" : " and ",
	    has_files ? "" : "no landlock",
	    has_files ? "landlock and their user alone" :
	    self.has_calls ? "seccomp and their user alone" :
	    "their user alone");
}

int
guard_begin(bool is_on)
{
	self.is_on = is_on && !IS_SANITIZED;
	if (!self.is_on)
		return 0;
	look();
	if (self.is_master_in || !self.has_calls)
		return 0;
	/* or only root could have a filter; it runs nothing in any case */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    guard_seccomp(GUARD_MASTER) != 0) {
		log_line(LOG_ERROR_, "cannot shut in the master: %m "
		    "(`sandbox: off` does without)");
		return -E_SYSTEM;
	}
	self.is_master_in = true;
	return 0;
}

void
guard_connect(uint16_t port)
{
	self.port = port;
}

int
guard_enter(enum guard_kind kind, const struct guard_path paths[], size_t n)
{
	const char *what = NULL;

	if (!self.is_on)
		return 0;
	/* this order: the filter knows no call of the other */
	if (self.abi >= 2 && guard_landlock(kind, paths, n,
	    self.port, self.abi) != 0)
		what = "landlock";
	else if (self.has_calls && guard_seccomp(kind) != 0)
		what = "seccomp";
	if (what == NULL)
		return 0;
	log_line(LOG_ERROR_, "cannot shut in this process: %s: %m "
	    "(`sandbox: off` does without)", what);
	return -E_SYSTEM;
}
