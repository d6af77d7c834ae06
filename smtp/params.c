#include "smtp/params.h"

#include "base/ascii.h"

static bool
is_keyword(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		if (!ascii_is_alnum(b.p[k]) && (k == 0 || b.p[k] != '-'))
			return false;
	return b.n != 0;
}

static bool
is_value(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		if (!ascii_is_graph(b.p[k]) || b.p[k] == '=')
			return false;
	return b.n != 0;
}

enum smtp_params_step
smtp_params_next(struct bytes *rest, struct smtp_param *param)
{
	bool is_apart = false;
	struct bytes word;

	while (rest->n != 0 && rest->p[0] == ' ') {
		*rest = bytes_skip(*rest, 1);
		is_apart = true;
	}
	if (rest->n == 0)
		return SMTP_PARAMS_END;
	word = bytes_first(*rest, bytes_index(*rest, ' '));
	*rest = bytes_skip(*rest, word.n);
	param->keyword = bytes_cut(&word, '=');
	param->value = word;
	if (!is_apart || !is_keyword(param->keyword) ||
	    (word.p != NULL && !is_value(word)))
		return SMTP_PARAMS_SYNTAX;
	return SMTP_PARAMS_ONE;
}
