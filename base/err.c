#include "base/err.h"

const char *
err_text(int code)
{
	static const char *const text[E__N] = {
		[0] = "no error",
		[E_NOMEM] = "out of memory, or a memory cap is reached",
		[E_LIMIT] = "a configured bound is reached",
		[E_SYNTAX] = "the file does not read as what it should be",
		[E_CRYPTO] = "the crypto library failed",
		[E_SYSTEM] = "a system call failed",
		[E_UNSAFE] = "others may read or replace the file",
		[E_ABSENT] = "there is no such entry",
	};

	if (code < 0)
		code = -code;
	return code < E__N ? text[code] : "unknown error";
}
