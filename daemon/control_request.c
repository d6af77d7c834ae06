#include "daemon/control_request.h"

static bool
is_word(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		if (b.p[k] <= ' ' || b.p[k] > '~')
			return false;
	return b.n != 0;
}

bool
control_request_parse(struct bytes packet, struct control_request *r)
{
	*r = (struct control_request){.verb = bytes_cut(&packet, ' ')};
	if (!is_word(r->verb))
		return false;
	while (packet.p != NULL) {
		struct bytes word = bytes_cut(&packet, ' ');

		if (!is_word(word) || r->n_args == CONTROL_WORDS_MAX - 1)
			return false;
		r->args[r->n_args++] = word;
	}
	return true;
}

bool
control_word_is(struct bytes arg, const char *word)
{
	return bytes_eq(arg, bytes_of(word));
}
