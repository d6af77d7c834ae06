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

#endif
