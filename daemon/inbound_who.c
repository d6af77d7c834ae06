/* Who the client is: what it, or a proxy, says of it, and what is proved. */
#include "daemon/inbound_state.h"

#include "daemon/login.h"

void
inbound_identify(struct inbound *s)
{
	s->client = (struct inbound_client){
	    .addr = s->came.client,
	    .local = s->came.local,
	    .is_lmtp = s->config.is_lmtp,
	};
	addr_text(&s->client.addr, s->client.ip);
	s->has_helo = false;
	s->has_addr = false;
}

/* Copies what is kept behind what is there. */
static struct bytes
keep(struct inbound *s, struct bytes b, size_t at)
{
	if (b.n != 0)
		memcpy(s->said + at, b.p, b.n);
	return (struct bytes){s->said + at, b.n};
}

/*
 * An address that is not available, or was never named, is nobody's: a client
 * of an unknown address must not have the rights of the proxy. Nor has it the
 * login of whom this connection was before.
 */
void
inbound_take_xclient(struct inbound *s)
{
	const struct smtp_xclient *x = &s->server.xclient;
	struct inbound_client *c = &s->client;

	if (c->is_authenticated)
		c->login.n = 0;
	c->is_authenticated = false;
	outbound_free(&s->outbound);
	if (!s->has_addr || (x->said & SMTP_XCLIENT_ADDR))
		memcpy(c->addr.ip, x->ip, sizeof(c->addr.ip));
	s->has_addr = true;
	if (x->said & SMTP_XCLIENT_PORT)
		c->addr.port = x->port;
	if (x->said & SMTP_XCLIENT_DESTADDR)
		memcpy(c->local.ip, x->dest_ip, sizeof(c->local.ip));
	if (x->said & SMTP_XCLIENT_DESTPORT)
		c->local.port = x->dest_port;
	if (x->said & SMTP_XCLIENT_HELO) {
		c->helo = keep(s, x->helo, 0);
		s->has_helo = x->helo.n != 0;
	}
	if (x->said & SMTP_XCLIENT_LOGIN)
		c->login = keep(s, x->login, SMTP_XCLIENT_MAX);
	if (x->said & SMTP_XCLIENT_PROTO)
		c->is_esmtp = x->is_esmtp;
	addr_text(&c->addr, c->ip);
	inbound_answer(s, 220, NULL, (struct bytes){0});
}

/* Only the next hop's 235 counts; its connection is this session's then. */
static void
on_login(void *arg, enum outbound_event what)
{
	struct inbound *s = arg;
	int code = outbound_result(s->outbound)->reply.code;

	if (what == OUTBOUND_ENDED) {
		outbound_owner(s->outbound, NULL, NULL);
		s->client.login = keep(s, bytes_first(
		    s->server.sasl.said.user, SMTP_XCLIENT_MAX),
		    SMTP_XCLIENT_MAX);
		s->client.is_authenticated = true;
		inbound_answer(s, 235, "2.7.0",
		    BYTES_LIT("Authentication successful"));
		return;
	}
	outbound_free(&s->outbound);
	if (what == OUTBOUND_REFUSED && code / 100 == 5)
		inbound_answer(s, 535, "5.7.8",
		    BYTES_LIT("Authentication credentials invalid"));
	else
		inbound_answer(s, 454, "4.7.0",
		    BYTES_LIT("Temporary authentication failure"));
}

void
inbound_pass_auth(struct inbound *s)
{
	const struct smtp_sasl_said *said = &s->server.sasl.said;
	const struct login login = {said->user, said->password};
	const struct outbound_destination to = {
	    .hop = &s->listener->next_hop,
	    .client = &s->client,
	    .login = &login,
	};

	outbound_free(&s->outbound);
	if (said->authzid.n != 0 && !bytes_eq(said->authzid, said->user)) {
		inbound_answer(s, 535, "5.7.8",
		    BYTES_LIT("Nobody acts as somebody else here"));
		return;
	}
	if (said->user.n > SMTP_SASL_PART_MAX ||
	    said->password.n > SMTP_SASL_PART_MAX) {
		inbound_answer(s, 535, "5.7.8",
		    BYTES_LIT("Nobody has so long a name or password"));
		return;
	}
	s->outbound = outbound_new(s->hub, s->listener, &to);
	if (s->outbound == NULL) {
		inbound_answer(s, 454, "4.7.0",
		    BYTES_LIT("Temporary authentication failure"));
		return;
	}
	outbound_owner(s->outbound, on_login, s);
	outbound_probe(s->outbound);
}

/* The proxy's own EHLO says nothing of a client that XCLIENT named. */
void
inbound_greeted(struct inbound *s)
{
	if (s->has_helo)
		return;
	/* that was told who the client was: before STARTTLS, by XCLIENT */
	if (!s->client.is_authenticated)
		outbound_free(&s->outbound);
	s->client.helo = s->server.helo;
	s->client.is_esmtp = s->server.is_esmtp;
}
