/* The parameters behind the path of MAIL and RCPT (RFC 5321 4.1.2). */
#ifndef SMTP_PARAMS_H
#define SMTP_PARAMS_H

#include "base/bytes.h"

enum smtp_params_step {
	SMTP_PARAMS_ONE,	/* a parameter */
	SMTP_PARAMS_END,	/* there is none left */
	SMTP_PARAMS_SYNTAX,	/* what stands there is no parameter */
};

/* Views of the argument. */
struct smtp_param {
	struct bytes keyword;
	struct bytes value;	/* p == NULL where there is no '=' */
};

/*
 * Cuts the next parameter, and the spaces that must stand before it, from
 * the front of rest.
 */
enum smtp_params_step smtp_params_next(struct bytes *rest,
    struct smtp_param *param);

/*
 * Whether a value can be that of RET, NOTIFY, ENVID, ORCPT and of AUTH at
 * MAIL. xtext is looked at, its octets stay as they came; printable ASCII is
 * all that it may stand for.
 *
 * may_utf8  ORCPT of type utf-8 may have UTF-8 as it is
 * Source    RFC 3461 4.1 to 4.4 (ENVID to 100 octets, ORCPT to 500; NEVER
 *           stands alone, nothing is said twice), RFC 6533 3, RFC 4954 5
 */
bool smtp_params_is_ret(struct bytes value);
bool smtp_params_is_notify(struct bytes value);
bool smtp_params_is_envid(struct bytes value);
bool smtp_params_is_orcpt(struct bytes value, bool may_utf8);
bool smtp_params_is_auth(struct bytes value);

#endif
