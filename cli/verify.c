#include "cli/check.h"
#include "cli/cli.h"
#include "cli/jsonout.h"

#include <inttypes.h>

static void
put_state(const char *name, enum dkim2_state s)
{
	printf("\"%s\":\"%s\",", name, dkim2_state_name(s));
}

static void
put_text(const char *name, const struct dkim2_verdict *v)
{
	char text[1024];
	struct buf out = BUF_ON(text);

	printf("\"%s\":", name);
	if (v->reason != DKIM2_OK)
		dkim2_verdict_text(v, &out);
	json_put_string(stdout, v->reason == DKIM2_OK ?
	    (struct bytes){NULL, 0} : buf_bytes(&out));
	putchar(',');
}

static void
put_member(const struct dkim2_member_result *m)
{
	fputs("{\"selector\":", stdout);
	json_put_string(stdout, m->selector);
	fputs(",\"algorithm\":", stdout);
	json_put_string(stdout, m->algorithm);
	printf(",\"group\":%u,\"result\":\"%s\"}", m->group,
	    dkim2_state_name(m->verdict.state));
}

static void
put_signature(const struct dkim2_signature_result *s)
{
	printf("{\"i\":%" PRIu32 ",\"m\":%" PRIu32 ",\"t\":%" PRId64 ",\"d\":",
	    s->i, s->m, s->t);
	json_put_string(stdout, s->d);
	fputs(",\"mf\":", stdout);
	json_put_string(stdout, s->mf);
	fputs(",\"rt\":", stdout);
	if (s->nd.p == NULL)
		json_put_strings(stdout, s->rt, s->n_rt);
	else
		fputs("null", stdout);
	fputs(",\"nd\":", stdout);
	json_put_string(stdout, s->nd);
	fputs(",\"n\":", stdout);
	json_put_string(stdout, s->n);
	fputs(",\"f\":", stdout);
	json_put_strings(stdout, s->flags, s->n_flags);
	fputs(",\"s\":[", stdout);
	for (size_t k = 0; k < s->n_members; k++) {
		if (k != 0)
			putchar(',');
		put_member(&s->members[k]);
	}
	printf("],\"result\":\"%s\"}", dkim2_state_name(s->verdict.state));
}

static void
put_result(const struct check *c)
{
	static const char *const conditions[] = {
		[DKIM2_NEVER_ENTERED] = "never entered",
		[DKIM2_LEFT] = "in and out",
		[DKIM2_NEVER_LEFT] = "never left",
		[DKIM2_UNCLEAR] = "unclear",
	};
	const struct dkim2_result *r = c->result;

	putchar('{');
	put_state("result", r->full.state);
	put_text("error", &r->full);
	printf("\"fully_verified\":%s,\"provisionally_verified\":%s,",
	    r->full.state == DKIM2_PASS && c->has_envelope ? "true" : "false",
	    r->provisional.state == DKIM2_PASS && c->has_envelope ?
	    "true" : "false");
	put_state("provisional_result", r->provisional.state);
	put_text("provisional_error", &r->provisional);
	printf("\"envelope\":\"%s\",\"condition\":\"%s\",\"signatures\":[",
	    c->has_envelope ? "checked" : "unchecked",
	    conditions[r->condition]);
	for (size_t k = 0; k < r->n_signatures; k++) {
		if (k != 0)
			putchar(',');
		put_signature(&r->signatures[k]);
	}
	fputs("],\"instances\":[", stdout);
	for (size_t k = 0; k < r->n_instances; k++)
		printf("%s%" PRIu32, k == 0 ? "" : ",", r->instances[k].m);
	fputs("]}\n", stdout);
}

int
cli_verify(int argc, char **argv)
{
	struct check c;
	int code = check_run(&c, argc, argv);

	if (code == 0 && c.result == NULL) {
		puts("{\"result\":\"permerror\","
		    "\"error\":\"message could not be parsed\","
		    "\"fully_verified\":false,\"provisionally_verified\":false,"
		    "\"provisional_result\":\"permerror\",\"provisional_error\":"
		    "\"message could not be parsed\","
		    "\"signatures\":[],\"instances\":[]}");
		code = check_exit(DKIM2_PERMERROR);
	} else if (code == 0) {
		put_result(&c);
		code = check_exit(c.result->full.state);
	}
	check_fini(&c);
	return code;
}
