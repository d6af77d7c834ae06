#include "smtp/client_state.h"

#include "base/b64.h"
#include "smtp/sasl.h"

/* A line of AUTH has no more, CRLF left out (RFC 4954 4). */
#define AUTH_LINE_MAX 12286
/* An initial response that makes the line longer waits for its 334. */
#define INITIAL_MAX 510

/* What the next 334 is answered with. */
enum auth {
	AUTH_NONE,
	AUTH_PLAIN,	/* all at once */
	AUTH_USER,	/* LOGIN: the name, then */
	AUTH_PASSWORD,	/* the password */
	AUTH_PASSED,	/* what our owner has from elsewhere */
};

/* ---- STARTTLS ---- */

bool
smtp_client_starttls(struct smtp_client *c)
{
	size_t before = c->out.n;

	if (!smtp_client_may_ask(c) || c->is_mail || c->is_secure ||
	    (c->can & SMTP_CAN_STARTTLS) == 0)
		return false;
	buf_add(&c->out, BYTES_LIT("STARTTLS\r\n"));
	return smtp_client_asked(c, before, ASKED_STARTTLS);
}

enum smtp_client_event
smtp_client_on_starttls(struct smtp_client *c)
{
	if (c->reply.code == 220)
		c->state = ST_TLS;
	else if (c->reply.code / 100 == 2)
		return smtp_client_broken(c,
		    "a reply that STARTTLS can not have");
	return SMTP_CLIENT_STARTTLS;
}

void
smtp_client_secured(struct smtp_client *c)
{
	c->is_secure = true;
	if (c->state == ST_TLS)
		smtp_client_hello(c);
}

/* ---- XCLIENT ---- */

bool
smtp_client_xclient(struct smtp_client *c, const struct smtp_introduction *who)
{
	size_t before = c->out.n;

	if (!smtp_client_may_ask(c) || c->is_mail ||
	    (c->can & SMTP_CAN_XCLIENT) == 0)
		return false;
	smtp_introduce_xclient(&c->out, c->ehlo.xclient, who);
	return smtp_client_asked(c, before, ASKED_XCLIENT);
}

/* The session begins anew with a greeting, which a 220 stands for. */
enum smtp_client_event
smtp_client_on_xclient(struct smtp_client *c)
{
	if (c->reply.code / 100 != 2)
		return SMTP_CLIENT_XCLIENT;
	smtp_client_hello(c);
	return SMTP_CLIENT_MORE;
}

/* ---- AUTH ---- */

/* Adds the base64 of NUL user NUL password (RFC 4616 2). */
static void
add_plain(struct smtp_client *c)
{
	uint8_t octets[2 + 2 * SMTP_SASL_PART_MAX];
	struct buf b = BUF_ON(octets);

	buf_add_octet(&b, 0);
	buf_add(&b, c->user);
	buf_add_octet(&b, 0);
	buf_add(&b, c->password);
	b64_encode(buf_bytes(&b), &c->out);
	explicit_bzero(octets, sizeof(octets));
}

static bool
is_credential(struct bytes b)
{
	return b.n != 0 && b.n <= SMTP_SASL_PART_MAX && bytes_index(b, 0) == b.n;
}

bool
smtp_client_auth(struct smtp_client *c, struct bytes user,
    struct bytes password)
{
	size_t before = c->out.n;
	size_t n = B64_LEN(2 + user.n + password.n) + strlen("AUTH PLAIN ");

	if (!smtp_client_may_ask(c) || c->is_mail || !c->is_secure ||
	    !is_credential(user) || !is_credential(password))
		return false;
	c->user = user;
	c->password = password;
	if (c->can & SMTP_CAN_AUTH_PLAIN) {
		c->auth = n > INITIAL_MAX ? AUTH_PLAIN : AUTH_NONE;
		buf_add(&c->out, BYTES_LIT("AUTH PLAIN"));
		if (n <= INITIAL_MAX) {
			buf_add_octet(&c->out, ' ');
			add_plain(c);
		}
	} else if (c->can & SMTP_CAN_AUTH_LOGIN) {
		c->auth = AUTH_USER;
		buf_add(&c->out, BYTES_LIT("AUTH LOGIN"));
	} else {
		return false;
	}
	buf_add(&c->out, BYTES_LIT("\r\n"));
	return smtp_client_asked(c, before, ASKED_AUTH);
}

bool
smtp_client_auth_line(struct smtp_client *c, struct bytes line)
{
	size_t before = c->out.n;

	if ((!c->is_auth_open && (!smtp_client_may_ask(c) || c->is_mail)) ||
	    !c->is_secure || line.n > AUTH_LINE_MAX)
		return false;
	for (size_t k = 0; k < line.n; k++)
		if (line.p[k] < ' ' || line.p[k] >= 0x7f)
			return false;
	buf_add(&c->out, line);
	buf_add(&c->out, BYTES_LIT("\r\n"));
	if (!smtp_client_asked(c, before, ASKED_AUTH))
		return false;
	c->is_auth_open = false;
	c->auth = AUTH_PASSED;
	return true;
}

/* Answers a 334. */
static enum smtp_client_event
go_on(struct smtp_client *c)
{
	size_t before = c->out.n;

	switch (c->auth) {
	case AUTH_PLAIN:
		add_plain(c);
		c->auth = AUTH_NONE;
		break;
	case AUTH_USER:
		b64_encode(c->user, &c->out);
		c->auth = AUTH_PASSWORD;
		break;
	case AUTH_PASSWORD:
		b64_encode(c->password, &c->out);
		c->auth = AUTH_NONE;
		break;
	case AUTH_PASSED:
		c->is_auth_open = true;
		return SMTP_CLIENT_AUTH;
	default:
		return smtp_client_broken(c, "a 334 too many to AUTH");
	}
	buf_add(&c->out, BYTES_LIT("\r\n"));
	if (!smtp_client_asked(c, before, ASKED_AUTH))
		return smtp_client_broken(c, "no room for AUTH");
	return SMTP_CLIENT_MORE;
}

/* Only 235 says that we are who we say (RFC 4954 4). */
enum smtp_client_event
smtp_client_on_auth(struct smtp_client *c)
{
	if (c->reply.code == 334)
		return go_on(c);
	c->user = (struct bytes){0};
	c->password = (struct bytes){0};
	smtp_client_wipe(c);
	if (c->reply.code / 100 == 2 && c->reply.code != 235)
		return smtp_client_broken(c, "a reply that AUTH can not have");
	return SMTP_CLIENT_AUTH;
}

void
smtp_client_wipe(struct smtp_client *c)
{
	explicit_bzero(c->out_octets + c->out.n,
	    sizeof(c->out_octets) - c->out.n);
}
