/*
 * XCLIENT's argument, and the responses of AUTH: what is taken can break out
 * of no line and no field, and its views stand in the octets that were
 * written.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/b64.h"
#include "base/utf8.h"
#include "smtp/sasl.h"
#include "smtp/xclient.h"
#include "smtp/xtext.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
check_value(struct bytes b, const struct buf *all)
{
	check(b.n <= SMTP_XCLIENT_MAX);
	check(b.n == 0 || (b.p >= all->p && b.p + b.n <= all->p + all->n));
	for (size_t k = 0; k < b.n; k++)
		check(b.p[k] > ' ' && b.p[k] != 0x7f);
	while (b.n != 0) {
		size_t length = utf8_length(b);

		check(length != 0);
		b = bytes_skip(b, length);
	}
}

static void
check_xclient(struct bytes in)
{
	static uint8_t octets[4096];
	struct buf out = {octets, 0, in.n, false};
	struct smtp_xclient x;

	if (!smtp_xclient_parse(in, &x, &out))
		return;
	check(!out.full && x.said != 0 && x.said >> SMTP_XCLIENT_N == 0);
	check_value(x.name, &out);
	check_value(x.helo, &out);
	check_value(x.login, &out);
	check(!x.has_ip || (x.said & SMTP_XCLIENT_ADDR) != 0);
	check(!x.has_dest_ip || (x.said & SMTP_XCLIENT_DESTADDR) != 0);
}

/* Each line of in is a response. */
static void
check_sasl(struct bytes in, unsigned mechanism)
{
	static uint8_t octets[64], again_octets[256];
	struct buf again = BUF_ON(again_octets);
	struct smtp_sasl x;
	enum smtp_sasl_step step = SMTP_SASL_MORE;

	smtp_sasl_begin(&x, mechanism, octets, sizeof(octets));
	while (step == SMTP_SASL_MORE && in.p != NULL)
		step = smtp_sasl_take(&x, bytes_cut(&in, '\n'));
	if (step != SMTP_SASL_READY)
		return;
	check(x.said.user.n != 0 && x.said.password.n != 0);
	check(bytes_index(x.said.authzid, 0) == x.said.authzid.n);
	check(bytes_index(x.said.user, 0) == x.said.user.n);
	check(bytes_index(x.said.password, 0) == x.said.password.n);
	check(x.octets.n == x.said.authzid.n + x.said.user.n +
	    x.said.password.n + (mechanism == SMTP_CAN_AUTH_PLAIN ? 2 : 0));
	b64_encode(buf_bytes(&x.octets), &again);
	smtp_sasl_begin(&x, SMTP_CAN_AUTH_PLAIN, octets, sizeof(octets));
	if (mechanism == SMTP_CAN_AUTH_PLAIN)
		check(smtp_sasl_take(&x, buf_bytes(&again)) ==
		    SMTP_SASL_READY);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static uint8_t octets[4096];
	struct bytes in = bytes_first((struct bytes){p, n}, sizeof(octets));
	struct buf out = BUF_ON(octets);

	check(!smtp_xtext_decode(in, &out) || out.n <= in.n);
	check_xclient(in);
	check_sasl(in, SMTP_CAN_AUTH_PLAIN);
	check_sasl(in, SMTP_CAN_AUTH_LOGIN);
	return 0;
}
