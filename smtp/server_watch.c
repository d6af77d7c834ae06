/*
 * The dialogue, for who looks for a fault in it: what is said, but no content,
 * and nothing that a client may think secret.
 */
#include "smtp/server_state.h"

void
smtp_server_show_replies(const struct smtp_server *s, size_t from)
{
	struct bytes rest;

	if (s->config->watch == NULL)
		return;
	rest = bytes_skip(buf_bytes(&s->out), from);
	while (rest.n != 0) {
		struct bytes line = bytes_cut(&rest, '\n');

		if (line.n != 0 && line.p[line.n - 1] == '\r')
			line.n--;
		s->config->watch(s->config->watch_arg, true, line);
	}
}

/* An unknown word may be half of a password that came too late. */
void
smtp_server_show_command(const struct smtp_server *s,
    const struct smtp_command *command, struct bytes line)
{
	struct bytes name = bytes_first(command->arg,
	    bytes_index(command->arg, ' '));
	uint8_t octets[64];
	struct buf masked = BUF_ON(octets);

	if (s->config->watch == NULL)
		return;
	if (s->sasl.mechanism != 0) {
		line = BYTES_LIT("(a response to AUTH)");
	} else if (command->verb == SMTP_VERB_AUTH) {
		buf_add_str(&masked, "AUTH ");
		buf_add_str(&masked, smtp_sasl_find(name) == 0 ? "(unknown)" :
		    smtp_sasl_find(name) == SMTP_CAN_AUTH_PLAIN ? "PLAIN" :
		    "LOGIN");
		buf_add_str(&masked, name.n < command->arg.n ? " ***" : "");
		line = buf_bytes(&masked);
	} else if (command->verb >= SMTP_VERB_FOREIGN) {
		buf_printf(&masked, "(an unknown command of %zu octets)",
		    line.n);
		line = buf_bytes(&masked);
	}
	s->config->watch(s->config->watch_arg, false, line);
}
