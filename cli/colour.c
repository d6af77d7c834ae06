#include "cli/colour.h"

#include <stdlib.h>
#include <unistd.h>

const char *
colour(const char *code)
{
	const char *no = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && (no == NULL || *no == '\0') ?
	    code : "";
}
