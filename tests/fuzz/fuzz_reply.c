/*
 * Replies of a hostile next hop: at once and octet by octet the client makes
 * the same events of them; text is bounded; told on to our client a reply is
 * one reply with its code, and nothing in it breaks out; no content is ever
 * sent before a 354 was read, no password but under TLS. A first octet below
 * 8 chooses: 1 LMTP, 2 STARTTLS, AUTH and XCLIENT first, 4 AUTH passed on.
 */
#include <stdint.h>
#include <stdlib.h>

#include "smtp/reply.h"
#include "tests/smtp/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(bool good)
{
	if (!good)
		abort();
}

struct run {
	struct smtp_client c;
	int n_steps;
	int n_hellos;
	uint8_t mode;
	bool is_over;
	bool may_send;		/* a 354 was read */
	struct buf log;
	uint8_t log_octets[65536];
};

/* The reply as our server would pass it on, read back. */
static void
check_relayed(const struct smtp_reply *reply)
{
	static struct smtp_replyparse parse;
	uint8_t octets[SMTP_REPLY_ROOM];
	struct buf out = BUF_ON(octets);
	struct bytes in;
	enum smtp_replyparse_step step;

	check(reply->text.n <= SMTP_REPLY_MAX && reply->enhanced.n <= 11);
	smtp_reply_add(&out, reply->code, NULL, reply->text);
	check(!out.full);
	in = buf_bytes(&out);
	for (size_t k = 0; k < in.n; k++)
		check(in.p[k] == '\r' || in.p[k] == '\n' || in.p[k] == '\t' ||
		    (in.p[k] >= ' ' && in.p[k] < 0x7f));
	smtp_replyparse_init(&parse);
	while ((step = smtp_replyparse_next(&parse, &in)) ==
	    SMTP_REPLYPARSE_LINE)
		check(parse.line.n_seen <= 512);
	check(step == SMTP_REPLYPARSE_READY && in.n == 0);
	check(smtp_replyparse_reply(&parse).code == reply->code);
}

static bool
take_step(struct run *r)
{
	struct bytes content = BYTES_LIT("content\r\n");

	switch (r->n_steps % 8) {
	case 0:
		return ask_mail(&r->c, BYTES_LIT("<a@b>"), 9, true);
	case 1:
	case 2:
		return ask_rcpt(&r->c, BYTES_LIT("<c@d>"));
	case 3:
		return smtp_client_data(&r->c);
	case 4:
		return smtp_client_content(&r->c, &content);
	case 5:
		return smtp_client_end(&r->c);
	case 6:
		return smtp_client_rset(&r->c);
	default:
		return r->n_steps > 30 && smtp_client_quit(&r->c);
	}
}

/* STARTTLS, then AUTH, then XCLIENT, where they are offered. */
static void
take_hello_steps(struct run *r, enum smtp_client_event event)
{
	static const struct smtp_introduction who = {
	    .from = {.text = "::1"}, .to = {.text = "::2"}, .proto = "SMTP",
	};

	if (event == SMTP_CLIENT_STARTTLS && r->c.reply.code == 220)
		smtp_client_secured(&r->c);
	if (r->n_hellos < 9 && event == SMTP_CLIENT_READY) {
		r->n_hellos++;
		if (!smtp_client_starttls(&r->c) && !smtp_client_auth(&r->c,
		        BYTES_LIT("user"), BYTES_LIT("password")))
			smtp_client_xclient(&r->c, &who);
	}
	if (r->mode & 4 && r->n_hellos < 9 && event == SMTP_CLIENT_AUTH) {
		r->n_hellos++;
		smtp_client_auth_line(&r->c, BYTES_LIT("AUTH LOGIN"));
	}
	check(r->c.is_secure || bytes_find(buf_bytes(&r->c.out),
	    BYTES_LIT("AUTH")) == r->c.out.n);
}

static void
take_steps(struct run *r)
{
	while (take_step(r) || (r->n_steps % 8 == 7 && r->c.n_asked == 0))
		r->n_steps++;
	check(!r->c.out.full);
	check(r->may_send || bytes_find(buf_bytes(&r->c.out),
	    BYTES_LIT("content")) == r->c.out.n);
	buf_add(&r->log, buf_bytes(&r->c.out));
	r->c.out.n = 0;
}

static void
run(struct run *r, struct bytes in, size_t piece)
{
	r->mode = in.n != 0 && in.p[0] < 8 ? in.p[0] : 0;
	in = bytes_skip(in, r->mode != 0);
	smtp_client_init(&r->c, "me.example", r->mode & 1);
	r->n_hellos = 0;
	r->n_steps = 0;
	r->is_over = false;
	r->may_send = false;
	r->log = BUF_ON(r->log_octets);
	while (in.n != 0 && !r->is_over) {
		struct bytes now = bytes_first(in, piece);

		/* what stands behind the answer to STARTTLS or DATA in one
		 * read counts */
		now = bytes_first(now, bytes_index(now, '\n') + 1);
		in = bytes_skip(in, now.n);
		while (!r->is_over) {
			enum smtp_client_event event =
			    smtp_client_next(&r->c, &now);

			if (event == SMTP_CLIENT_MORE) {
				check(now.n == 0);
				break;
			}
			buf_add_number(&r->log, (uint64_t)event);
			if (event == SMTP_CLIENT_DATA && r->c.reply.code == 354)
				r->may_send = true;
			if (event != SMTP_CLIENT_BROKEN || r->c.reply.code != 0)
				check_relayed(&r->c.reply);
			buf_add(&r->log, r->c.reply.enhanced);
			buf_add(&r->log, r->c.reply.text);
			if (r->mode & 6)
				take_hello_steps(r, event);
			take_steps(r);
			r->is_over = event == SMTP_CLIENT_REFUSED ||
			    event == SMTP_CLIENT_QUIT ||
			    event == SMTP_CLIENT_BROKEN;
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct run whole, bits;
	struct bytes in = bytes_first((struct bytes){p, n}, 4096);

	run(&whole, in, in.n);
	run(&bits, in, 1);
	check(!whole.log.full);
	check(bytes_eq(buf_bytes(&whole.log), buf_bytes(&bits.log)));
	return 0;
}
