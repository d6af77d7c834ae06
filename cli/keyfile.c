#include "cli/keyfile.h"

#include "base/ascii.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <sodium.h>

int
keyfile_load(struct dkim2_private_key **k, const char *path, bool warn)
{
	const char *why = NULL;
	struct bytes pem;
	struct stat st;
	int r = input_read(path, INPUT_MAX_KEY, &pem);

	*k = NULL;
	if (r != 0) {
		free((void *)pem.p);
		return r;
	}
	r = dkim2_private_key_load(k, pem, &why);
	sodium_memzero((void *)pem.p, pem.n);
	free((void *)pem.p);
	if (r == -E_SYNTAX || r == -E_LIMIT)
		return cli_fail(CLI_CANNOT, "%s: %s", path, why);
	if (r != 0)
		return cli_fail(CLI_CANNOT, "%s: %s", path, err_text(r));
	if (warn && stat(path, &st) == 0 && (st.st_mode & 077) != 0)
		fprintf(stderr, "hopseal: warning: %s: others can read this "
		    "key (mode %04o); the daemon refuses it\n", path,
		    (unsigned)st.st_mode & 07777);
	return 0;
}

bool
keyfile_is_name(const char *name)
{
	size_t n = strlen(name), label = 0;

	if (n == 0 || n > 253)
		return false;
	for (size_t k = 0; k < n; k++) {
		uint8_t c = (uint8_t)name[k];

		if (c == '.' ? label == 0 :
		    !ascii_is_alnum(c) && c != '-' && c != '_')
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	return label != 0;	/* no dot at the end */
}
