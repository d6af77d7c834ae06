#include "smtp/params.h"

#include "base/ascii.h"
#include "base/utf8.h"
#include "smtp/xtext.h"

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
	size_t n;

	for (size_t k = 0; k < b.n; k += n) {
		n = utf8_length(bytes_skip(b, k));
		if (n == 0 || b.p[k] == '=' ||
		    (n == 1 && !ascii_is_graph(b.p[k])))
			return false;
	}
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

bool
smtp_params_is_ret(struct bytes value)
{
	return bytes_case_eq(value, BYTES_LIT("FULL")) ||
	    bytes_case_eq(value, BYTES_LIT("HDRS"));
}

bool
smtp_params_is_notify(struct bytes value)
{
	static const char *const word[] = {"SUCCESS", "FAILURE", "DELAY"};
	unsigned said = 0;

	if (bytes_case_eq(value, BYTES_LIT("NEVER")))
		return true;
	while (value.p != NULL) {
		struct bytes one = bytes_cut(&value, ',');
		unsigned bit = 0;

		for (unsigned k = 0; k < 3; k++)
			if (bytes_case_eq(one, bytes_of(word[k])))
				bit = 1U << k;
		if (bit == 0 || (said & bit) != 0)
			return false;
		said |= bit;
	}
	return said != 0;
}

#define XTEXT_MAX 500

/* xtext of one to max octets that stands for printable ASCII. */
static bool
is_printable(struct bytes b, size_t max)
{
	uint8_t octets[XTEXT_MAX];
	struct buf out = BUF_ON(octets);

	if (b.n == 0 || b.n > max || !smtp_xtext_decode(b, &out))
		return false;
	for (size_t k = 0; k < out.n; k++)
		if (octets[k] != ' ' && !ascii_is_graph(octets[k]))
			return false;
	return true;
}

bool
smtp_params_is_envid(struct bytes value)
{
	return is_printable(value, 100);
}

/* RFC 6533 3: no "+" and "=", a backslash begins \x{HEX}; is_value() did
   the rest. */
static bool
is_unitext(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++) {
		struct bytes hex = bytes_skip(b, k + 3);
		size_t digits = bytes_index(hex, '}');

		if (b.p[k] == '+')
			return false;
		if (b.p[k] != '\\')
			continue;
		if (!bytes_starts(bytes_skip(b, k), BYTES_LIT("\\x{")) ||
		    digits < 2 || digits > 6 || digits == hex.n)
			return false;
		for (size_t i = 0; i < digits; i++)
			if (!ascii_is_digit(hex.p[i]) &&
			    (hex.p[i] < 'A' || hex.p[i] > 'F'))
				return false;
	}
	return b.n != 0;
}

bool
smtp_params_is_orcpt(struct bytes value, bool may_utf8)
{
	struct bytes address = value;
	struct bytes type = bytes_cut(&address, ';');

	if (value.n > XTEXT_MAX || address.p == NULL || !is_keyword(type))
		return false;
	if (bytes_case_eq(type, BYTES_LIT("utf-8")) && may_utf8 &&
	    is_unitext(address))
		return true;
	return is_printable(address, XTEXT_MAX);
}

bool
smtp_params_is_auth(struct bytes value)
{
	return is_printable(value, XTEXT_MAX);
}
