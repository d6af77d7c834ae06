/*
 * A whole session of the server: at once and octet by octet the same events,
 * replies and messages come out; every reply is whole; a message that ended
 * keeps its bounds and has no bare CR or LF and no NUL.
 */
#include <stdint.h>
#include <stdlib.h>

#include "smtp/replyparse.h"
#include "tests/smtp/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
check_replies(struct bytes out)
{
	static struct smtp_replyparse parse;
	enum smtp_replyparse_step step = SMTP_REPLYPARSE_MORE;

	smtp_replyparse_init(&parse);
	while (out.n != 0) {
		step = smtp_replyparse_next(&parse, &out);
		check(step == SMTP_REPLYPARSE_READY ||
		    step == SMTP_REPLYPARSE_LINE);
		check(parse.line.n_seen <= 512);
	}
	check(step == SMTP_REPLYPARSE_READY);
}

static void
check_content(struct bytes content)
{
	for (size_t k = 0; k < content.n; k++) {
		check(content.p[k] != 0);
		if (content.p[k] == '\n')
			check(k != 0 && content.p[k - 1] == '\r');
		if (content.p[k] == '\r')
			check(k + 1 < content.n && content.p[k + 1] == '\n');
	}
}

static void
check_session(const struct smtp_server_config *config, struct bytes in)
{
	static struct session whole, bits;

	session_init(&whole, config);
	smtp_server_secured(&whole.s);
	session_run(&whole, in, 0, SIZE_MAX);
	session_init(&bits, config);
	smtp_server_secured(&bits.s);
	session_run(&bits, in, 0, 1);
	check(!whole.events.full && !whole.out.full && !whole.content.full);
	check(whole.is_closed == bits.is_closed);
	check(bytes_eq(buf_bytes(&whole.events), buf_bytes(&bits.events)));
	check(bytes_eq(buf_bytes(&whole.out), buf_bytes(&bits.out)));
	check(bytes_eq(bytes_first(buf_bytes(&whole.content), whole.n_content),
	    bytes_first(buf_bytes(&bits.content), bits.n_content)));
	check_replies(buf_bytes(&whole.out));
	check_content(bytes_first(buf_bytes(&whole.content), whole.n_content));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct smtp_server_config config = {
	    .hostname = "hop.example",
	    .max_message = 200,
	    .max_line = 40,
	    .max_rcpt = 10,
	    .max_errors = 20,
	    .max_commands = 200,
	};
	struct bytes in = bytes_first((struct bytes){p, n}, 8192);

	config.offer = SMTP_CAN_8BITMIME;
	check_session(&config, in);
	/* STARTTLS ends what can be fed in one go */
	config.offer = SMTP_CAN_8BITMIME | SMTP_CAN_SMTPUTF8 |
	    SMTP_CAN_CHUNKING | SMTP_CAN_DSN | SMTP_CAN_AUTH_PLAIN |
	    SMTP_CAN_AUTH_LOGIN | SMTP_CAN_XCLIENT;
	check_session(&config, in);
	config.is_lmtp = true;
	check_session(&config, in);
	return 0;
}
