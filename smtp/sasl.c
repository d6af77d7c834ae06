#include "smtp/sasl.h"

#include "base/b64.h"

unsigned
smtp_sasl_find(struct bytes name)
{
	if (bytes_case_eq(name, BYTES_LIT("PLAIN")))
		return SMTP_CAN_AUTH_PLAIN;
	if (bytes_case_eq(name, BYTES_LIT("LOGIN")))
		return SMTP_CAN_AUTH_LOGIN;
	return 0;
}

void
smtp_sasl_begin(struct smtp_sasl *x, unsigned mechanism, uint8_t *storage,
    size_t cap)
{
	*x = (struct smtp_sasl){.mechanism = mechanism,
	    .octets = {storage, 0, cap, false}};
	/* "Username:"; PLAIN asks for nothing */
	x->challenge = mechanism == SMTP_CAN_AUTH_LOGIN ? "VXNlcm5hbWU6" : "";
}

static bool
has_nul(struct bytes b)
{
	return bytes_index(b, 0) != b.n;
}

static enum smtp_sasl_step
take_plain(struct smtp_sasl *x, struct bytes said)
{
	x->said.authzid = bytes_cut(&said, 0);
	x->said.user = bytes_cut(&said, 0);
	x->said.password = said;
	if (x->said.user.n == 0 || said.n == 0 || has_nul(said))
		return SMTP_SASL_SYNTAX;
	return SMTP_SASL_READY;
}

static enum smtp_sasl_step
take_login(struct smtp_sasl *x, struct bytes said)
{
	if (said.n == 0 || has_nul(said))
		return SMTP_SASL_SYNTAX;
	if (x->has_user) {
		x->said.password = said;
		return SMTP_SASL_READY;
	}
	x->said.user = said;
	x->has_user = true;
	x->challenge = "UGFzc3dvcmQ6";	/* "Password:" */
	return SMTP_SASL_MORE;
}

enum smtp_sasl_step
smtp_sasl_take(struct smtp_sasl *x, struct bytes base64)
{
	size_t before = x->octets.n;
	struct bytes said;

	if (base64.n / 4 * 3 > buf_room(&x->octets))
		return SMTP_SASL_LONG;
	if (!b64_decode(base64, &x->octets))
		return SMTP_SASL_SYNTAX;
	said = bytes_skip(buf_bytes(&x->octets), before);
	return x->mechanism == SMTP_CAN_AUTH_PLAIN ? take_plain(x, said) :
	    take_login(x, said);
}
