#include "smtp/server_state.h"

void
smtp_server_auth_wipe(struct smtp_server *s)
{
	memset(s->room->octets, 0, sizeof(s->room->octets));
	s->sasl = (struct smtp_sasl){0};
}

static int
refuse(struct smtp_server *s, int code, const char *enhanced,
    const char *text)
{
	smtp_server_auth_wipe(s);
	return smtp_server_refuse(s, code, enhanced, text);
}

static int
challenge(struct smtp_server *s)
{
	size_t before = s->out.n;

	/* the space stands there even where nothing follows it */
	buf_printf(&s->out, "334 %s\r\n", s->sasl.challenge);
	smtp_server_show_replies(s, before);
	return GO_ON;
}

static int
take(struct smtp_server *s, struct bytes response)
{
	switch (smtp_sasl_take(&s->sasl, response)) {
	case SMTP_SASL_MORE:
		return challenge(s);
	case SMTP_SASL_READY:
		return smtp_server_ask(s, SMTP_SERVER_AUTH);
	case SMTP_SASL_LONG:
		return refuse(s, 500, "5.5.6", "Error: response too long");
	case SMTP_SASL_SYNTAX:
		break;
	}
	return refuse(s, 501, "5.5.2", "Error: malformed response");
}

int
smtp_server_run_auth(struct smtp_server *s, struct bytes arg)
{
	struct bytes name = bytes_first(arg, bytes_index(arg, ' '));
	struct bytes initial = bytes_trim(bytes_skip(arg, name.n));
	unsigned mechanism = smtp_sasl_find(name);

	if (s->is_authenticated)
		return smtp_server_refuse(s, 503, "5.5.1",
		    "Error: already authenticated");
	if (name.n == 0 || bytes_index(initial, ' ') != initial.n)
		return refuse(s, 501, "5.5.4",
		    "Syntax: AUTH mechanism [initial-response]");
	if ((s->config->offer & mechanism) == 0)
		return refuse(s, 504, "5.5.4",
		    "Unrecognized authentication type");
	smtp_sasl_begin(&s->sasl, mechanism,
	    s->room->octets + SMTP_AUTH_LINE_MAX,
	    sizeof(s->room->octets) - SMTP_AUTH_LINE_MAX);
	if (initial.n == 0)
		return challenge(s);
	if (bytes_eq(initial, BYTES_LIT("=")))
		initial.n = 0;
	return take(s, initial);
}

int
smtp_server_auth_line(struct smtp_server *s, struct bytes line,
    const char *fault)
{
	if (fault != NULL && s->line.n_seen > SMTP_AUTH_LINE_MAX)
		return refuse(s, 500, "5.5.6", fault);
	if (fault != NULL)
		return refuse(s, 500, "5.5.2", fault);
	if (bytes_eq(line, BYTES_LIT("*")))
		return refuse(s, 501, "5.7.0", "Authentication aborted");
	return take(s, line);
}
