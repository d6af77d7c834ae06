/* A request to the control process: what is taken is words, as they came. */
#include "daemon/control_request.c"	/* not in a library */

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes packet = {data, n};
	struct control_request r;
	size_t octets;

	if (!control_request_parse(packet, &r))
		return 0;
	octets = r.verb.n;
	if (r.n_args >= CONTROL_WORDS_MAX || r.verb.p != data)
		abort();
	for (size_t k = 0; k < r.n_args; k++) {
		octets += 1 + r.args[k].n;
		(void)control_word_is(r.args[k], "reload");
		for (size_t at = 0; at < r.args[k].n; at++)
			if (r.args[k].p[at] <= ' ' || r.args[k].p[at] > '~')
				abort();
	}
	if (octets != n)
		abort();
	return 0;
}
