#include "smtp/command.h"

#include "base/ascii.h"

static const struct {
	const char *name;
	enum smtp_verb verb;
} verbs[] = {
	{"EHLO", SMTP_VERB_EHLO},
	{"HELO", SMTP_VERB_HELO},
	{"LHLO", SMTP_VERB_LHLO},
	{"MAIL", SMTP_VERB_MAIL},
	{"RCPT", SMTP_VERB_RCPT},
	{"DATA", SMTP_VERB_DATA},
	{"RSET", SMTP_VERB_RSET},
	{"NOOP", SMTP_VERB_NOOP},
	{"QUIT", SMTP_VERB_QUIT},
	{"VRFY", SMTP_VERB_VRFY},
	{"EXPN", SMTP_VERB_EXPN},
	{"HELP", SMTP_VERB_HELP},
	{"STARTTLS", SMTP_VERB_STARTTLS},
	{"AUTH", SMTP_VERB_AUTH},
	{"BDAT", SMTP_VERB_BDAT},
	{"XCLIENT", SMTP_VERB_XCLIENT},
	{"GET", SMTP_VERB_FOREIGN},
	{"POST", SMTP_VERB_FOREIGN},
	{"CONNECT", SMTP_VERB_FOREIGN},
	{"PROXY", SMTP_VERB_FOREIGN},
};

struct smtp_command
smtp_command_parse(struct bytes line)
{
	struct smtp_command command = {.verb = SMTP_VERB_UNKNOWN};
	struct bytes word;
	size_t n = 0;

	while (n < line.n && !ascii_is_wsp(line.p[n]))
		n++;
	word = bytes_first(line, n);
	command.arg = bytes_trim(bytes_skip(line, n));
	for (size_t k = 0; k < sizeof(verbs) / sizeof(verbs[0]); k++)
		if (bytes_case_eq(word, bytes_of(verbs[k].name)))
			command.verb = verbs[k].verb;
	return command;
}

bool
smtp_command_skip(struct bytes *arg, struct bytes keyword)
{
	if (!bytes_case_starts(*arg, keyword))
		return false;
	*arg = bytes_skip(*arg, keyword.n);
	while (arg->n != 0 && arg->p[0] == ' ')
		*arg = bytes_skip(*arg, 1);
	return true;
}

bool
smtp_command_is_name(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		if (!ascii_is_graph(b.p[k]) ||
		    strchr("()<>@,;\\\"", b.p[k]) != NULL)
			return false;
	return b.n != 0 && b.n <= 255;
}
