#include "cli/check.h"
#include "cli/cli.h"
#include "cli/jsonout.h"
#include "dsn/check.h"

#include "base/err.h"

/* lookup_answer */
static int
answer(void *asker, size_t k, enum dkim2_key found,
    const struct bytes *records, size_t n)
{
	return dsn_check_answer(asker, k, found, records, n);
}

static void
put_recipient(const struct dsn_recipient *r)
{
	static const char *const actions[] = {
		[DSN_FAILED] = "failed",
		[DSN_DELAYED] = "delayed",
		[DSN_DELIVERED] = "delivered",
		[DSN_RELAYED] = "relayed",
		[DSN_EXPANDED] = "expanded",
	};

	fputs("{\"final_recipient\":", stdout);
	json_put_string(stdout, r->final);
	printf(",\"action\":\"%s\",\"status\":", actions[r->action]);
	json_put_string(stdout, r->status);
	putchar('}');
}

static void
put_result(const struct dsn_result *r)
{
	char text[1200];
	struct buf out = BUF_ON(text);

	dsn_result_text(r, &out);
	printf("{\"result\":\"%s\",\"error\":", dkim2_state_name(r->state));
	json_put_string(stdout, r->reason == DSN_OK ?
	    (struct bytes){NULL, 0} : buf_bytes(&out));
	if (r->dsn != NULL && r->returned != NULL) {
		printf(",\"dsn_result\":\"%s\",\"returned_result\":\"%s\","
		    "\"returned_body\":%s",
		    dkim2_state_name(r->dsn->full.state),
		    dkim2_state_name(r->returned->provisional.state),
		    r->report->has_returned_body ? "true" : "false");
	}
	fputs(",\"recipients\":[", stdout);
	for (size_t k = 0; r->report != NULL &&
	    k < r->report->n_recipients; k++) {
		if (k != 0)
			putchar(',');
		put_recipient(&r->report->recipients[k]);
	}
	fputs("]}\n", stdout);
}

/* Checks a message that did parse; sets *state. */
static int
check_dsn(const struct check *c, enum dkim2_state *state)
{
	struct dsn_check_options opts = {.now_s = c->now_s,
	    .envelope = &c->envelope};
	struct lookup l = {.answer = answer};
	struct dsn_check *d;
	int r = dsn_check_new(&d, c->arena, &c->message.fields,
	    c->message.body, &opts);

	if (r != 0) {
		dsn_check_fini(d);
		return cli_fail(CLI_CANNOT, "%s", err_text(r));
	}
	l.asker = d;
	l.n_names = dsn_check_wants(d, &l.names);
	if (dsn_check_step(d) == DKIM2_WANT_KEY)
		r = check_look_up(c, &l);
	if (r == 0 && dsn_check_step(d) != DKIM2_DONE)
		r = cli_fail(CLI_CANNOT, "the check did not end");
	if (r == 0) {
		put_result(dsn_check_result(d));
		*state = dsn_check_result(d)->state;
	}
	dsn_check_fini(d);
	return r;
}

int
cli_dsn_verify(int argc, char **argv)
{
	static const struct dsn_result unreadable = {
		.state = DKIM2_PERMERROR, .reason = DSN_UNREADABLE};
	enum dkim2_state state = DKIM2_PERMERROR;
	struct check c;
	int code = check_begin(&c, argc, argv);

	if (code == 0 && !c.has_envelope)
		code = cli_fail(CLI_USAGE,
		    "dsn-verify needs --mail-from and --rcpt-to");
	if (code == 0 && !c.message.is_message)
		put_result(&unreadable);
	else if (code == 0)
		code = check_dsn(&c, &state);
	check_fini(&c);
	return code == 0 ? check_exit(state) : code;
}
