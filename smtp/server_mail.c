#include "smtp/params.h"
#include "smtp/server_state.h"

static int
refuse_path(struct smtp_server *s, enum smtp_path_fault fault, bool is_rcpt)
{
	static const char *const text[] = {
		[SMTP_PATH_SYNTAX] = "Bad address syntax",
		[SMTP_PATH_ROUTE] = "Source routes are not accepted",
		[SMTP_PATH_LONG] = "Address too long",
		[SMTP_PATH_UTF8] = "Non-ASCII address without SMTPUTF8",
	};

	return smtp_server_refuse(s, 501, is_rcpt ? "5.1.3" : "5.1.7",
	    text[fault]);
}

static const struct smtp_server_refusal unsupported = {555, "5.5.4",
    "Unsupported option"};
static const struct smtp_server_refusal repeated = {501, "5.5.4",
    "Repeated option"};
static const struct smtp_server_refusal no_param = {501, "5.5.4",
    "Bad parameter syntax"};
static const struct smtp_server_refusal no_size = {501, "5.5.4",
    "Syntax: SIZE=octets"};
static const struct smtp_server_refusal no_body = {501, "5.5.4",
    "Syntax: BODY=7BIT or BODY=8BITMIME"};
static const struct smtp_server_refusal no_utf8 = {501, "5.5.4",
    "Syntax: SMTPUTF8"};
static const struct smtp_server_refusal no_ret = {501, "5.5.4",
    "Syntax: RET=FULL or RET=HDRS"};
static const struct smtp_server_refusal no_envid = {501, "5.5.4",
    "Syntax: ENVID=xtext of at most 100 octets"};
static const struct smtp_server_refusal no_auth = {501, "5.5.4",
    "Syntax: AUTH=xtext"};
static const struct smtp_server_refusal no_notify = {501, "5.5.4",
    "Syntax: NOTIFY=NEVER or a list of SUCCESS, FAILURE, DELAY"};
static const struct smtp_server_refusal no_orcpt = {501, "5.5.4",
    "Syntax: ORCPT=type;xtext of at most 500 octets"};

/* What a parameter is for, and the extension that brings it. */
struct keyword {
	const char *name;
	unsigned bit;
	unsigned can;
};

enum {
	P_SIZE = 1, P_BODY = 2, P_SMTPUTF8 = 4, P_RET = 8, P_ENVID = 16,
	P_AUTH = 32, P_NOTIFY = 64, P_ORCPT = 128
};

static const struct keyword of_mail[] = {
	{"SIZE", P_SIZE, SMTP_CAN_SIZE},
	{"BODY", P_BODY, SMTP_CAN_8BITMIME},
	{"SMTPUTF8", P_SMTPUTF8, SMTP_CAN_SMTPUTF8},
	{"RET", P_RET, SMTP_CAN_DSN},
	{"ENVID", P_ENVID, SMTP_CAN_DSN},
	{"AUTH", P_AUTH, SMTP_CAN_AUTH},
	{NULL, 0, 0},
};

static const struct keyword of_rcpt[] = {
	{"NOTIFY", P_NOTIFY, SMTP_CAN_DSN},
	{"ORCPT", P_ORCPT, SMTP_CAN_DSN},
	{NULL, 0, 0},
};

static const struct smtp_server_refusal *
take_size(struct smtp_server *s, struct bytes value)
{
	if (!bytes_number(value, UINT64_MAX, &s->mail.size))
		return &no_size;
	if (s->config->max_message != 0 &&
	    s->mail.size > s->config->max_message)
		return &smtp_server_too_big;
	return NULL;
}

/* BINARYMIME is not offered: what we send on has lines (RFC 3030 3). */
static const struct smtp_server_refusal *
take_body(struct smtp_server *s, struct bytes value)
{
	s->mail.is_8bit = bytes_case_eq(value, BYTES_LIT("8BITMIME"));
	if (!s->mail.is_8bit && !bytes_case_eq(value, BYTES_LIT("7BIT")))
		return &no_body;
	return NULL;
}

/* Returns why the value is refused, or NULL. */
static const struct smtp_server_refusal *
take_value(struct smtp_server *s, unsigned bit, struct bytes value)
{
	switch (bit) {
	case P_SIZE:
		return take_size(s, value);
	case P_BODY:
		return take_body(s, value);
	case P_SMTPUTF8:
		s->mail.is_utf8 = true;
		return value.p == NULL ? NULL : &no_utf8;
	case P_RET:
		s->mail.ret = value;
		return smtp_params_is_ret(value) ? NULL : &no_ret;
	case P_ENVID:
		s->mail.envid = value;
		return smtp_params_is_envid(value) ? NULL : &no_envid;
	case P_AUTH:
		s->mail.auth = value;
		return smtp_params_is_auth(value) ? NULL : &no_auth;
	case P_NOTIFY:
		s->rcpt.notify = value;
		return smtp_params_is_notify(value) ? NULL : &no_notify;
	case P_ORCPT:
		s->rcpt.orcpt = value;
		return smtp_params_is_orcpt(value, s->mail.is_utf8) ? NULL :
		    &no_orcpt;
	}
	return &unsupported;
}

/* Takes all that stands behind the path. Why it is refused, or NULL. */
static const struct smtp_server_refusal *
take_params(struct smtp_server *s, const struct keyword *keywords,
    struct bytes rest)
{
	const struct smtp_server_refusal *why;
	enum smtp_params_step step;
	struct smtp_param param;
	unsigned seen = 0;

	while ((step = smtp_params_next(&rest, &param)) == SMTP_PARAMS_ONE) {
		const struct keyword *k = keywords;

		while (k->name != NULL && ((s->can & k->can) == 0 ||
		    !bytes_case_eq(param.keyword, bytes_of(k->name))))
			k++;
		if ((seen & k->bit) != 0)
			return &repeated;
		seen |= k->bit;
		why = take_value(s, k->bit, param.value);
		if (why != NULL)
			return why;
	}
	return step == SMTP_PARAMS_SYNTAX ? &no_param : NULL;
}

int
smtp_server_run_mail(struct smtp_server *s, struct bytes arg)
{
	bool may_utf8 = (s->can & SMTP_CAN_SMTPUTF8) != 0;
	const struct smtp_server_refusal *why;
	enum smtp_path_fault fault;
	struct bytes rest;

	if (!smtp_command_skip(&arg, BYTES_LIT("FROM:")))
		return smtp_server_refuse(s, 501, "5.5.4",
		    "Syntax: MAIL FROM:<address>");
	smtp_server_end_transaction(s);
	if (arg.n != 0)
		memcpy(s->room->said, arg.p, arg.n);
	arg.p = s->room->said;
	fault = smtp_path_parse(arg, may_utf8 ? SMTP_PATH_MAY_UTF8 : 0,
	    &s->mail.from, &rest);
	if (fault != SMTP_PATH_OK)
		return refuse_path(s, fault, false);
	why = take_params(s, of_mail, rest);
	if (why != NULL)
		return smtp_server_refuse_as(s, why);
	if (s->mail.from.is_utf8 && !s->mail.is_utf8)
		return refuse_path(s, SMTP_PATH_UTF8, false);
	return smtp_server_ask(s, SMTP_SERVER_MAIL);
}

int
smtp_server_run_rcpt(struct smtp_server *s, struct bytes arg)
{
	unsigned how = SMTP_PATH_IS_RCPT;
	const struct smtp_server_refusal *why;
	enum smtp_path_fault fault;
	struct bytes rest;

	if (!smtp_command_skip(&arg, BYTES_LIT("TO:")))
		return smtp_server_refuse(s, 501, "5.5.4",
		    "Syntax: RCPT TO:<address>");
	if (s->mail.is_utf8)
		how |= SMTP_PATH_MAY_UTF8;
	s->rcpt = (struct smtp_server_rcpt){0};
	fault = smtp_path_parse(arg, how, &s->rcpt.to, &rest);
	if (fault != SMTP_PATH_OK)
		return refuse_path(s, fault, true);
	why = take_params(s, of_rcpt, rest);
	if (why != NULL)
		return smtp_server_refuse_as(s, why);
	if (s->config->max_rcpt != 0 && s->n_rcpt >= s->config->max_rcpt)
		return smtp_server_reply(s, 452, "4.5.3",
		    "Error: too many recipients");
	return smtp_server_ask(s, SMTP_SERVER_RCPT);
}
