#include "cli/check.h"
#include "cli/cli.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SHOWN 200U		/* octets of one value from the message */
#define RCPTS 5U		/* recipients of one hop that are listed */

#define GREEN "\033[32m"
#define RED "\033[31m"
#define BOLD "\033[1m"

static const char *
colour(const char *code)
{
	static const char *const off = "";

	return isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL ?
	    code : off;
}

/* Octets from the message never reach the terminal as they are. */
static void
put_escaped(struct bytes b)
{
	char text[SHOWN * 4 + 8];
	struct buf out = BUF_ON(text);

	buf_add_escaped(&out, b, SHOWN);
	fwrite(out.p, 1, out.n, stdout);
}

static void
put_time(int64_t t)
{
	struct tm tm;
	time_t when = (time_t)t;
	char text[64];

	if (gmtime_r(&when, &tm) != NULL &&
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm) != 0)
		fputs(text, stdout);
	else
		printf("second %" PRId64, t);
}

/* A label in its column; what belongs to it follows. */
static void
put_label(const char *label)
{
	printf("       %-10s ", label);
}

static void
put_state(enum dkim2_state s)
{
	const char *name = dkim2_state_name(s);

	fputs(colour(s == DKIM2_PASS ? GREEN : RED), stdout);
	for (; *name != '\0'; name++)
		putchar(*name >= 'a' && *name <= 'z' ? *name - 32 : *name);
	fputs(colour("\033[0m"), stdout);
}

/* "STATE: text", the text without words that its place says already. */
static void
put_verdict(const struct dkim2_verdict *v, const char *without)
{
	char text[1024];
	struct buf out = BUF_ON(text);
	struct bytes b;

	put_state(v->state);
	if (v->reason == DKIM2_OK)
		return;
	dkim2_verdict_text(v, &out);
	b = buf_bytes(&out);
	if (bytes_starts(b, bytes_of(without)))
		b = bytes_skip(b, strlen(without));
	printf(": %.*s", BYTES_FMT(b));
}

static void
put_paths(const char *label, const struct bytes *paths, size_t n)
{
	for (size_t k = 0; k < n && k < RCPTS; k++) {
		put_label(k == 0 ? label : "");
		put_escaped(paths[k]);
		putchar('\n');
	}
	if (n > RCPTS) {
		put_label("");
		printf("and %zu more\n", n - RCPTS);
	}
}

static void
put_way(const struct dkim2_signature_result *s)
{
	if (s->nd.p != NULL) {
		put_label("to");
		put_escaped(s->nd);
		puts(" signs next (nd=)");
		return;
	}
	put_paths("from", &s->mf, s->mf.p != NULL);
	put_paths("to", s->rt, s->n_rt);
}

static const struct dkim2_instance_result *
instance_of(const struct dkim2_result *r, uint32_t m)
{
	for (size_t k = 0; k < r->n_instances; k++)
		if (r->instances[k].m == m)
			return &r->instances[k];
	return NULL;
}

/* What this hop did to the content, and whether its hashes hold. */
static void
put_instance(const struct dkim2_result *r, size_t at)
{
	const struct dkim2_signature_result *s = &r->signatures[at];
	const struct dkim2_instance_result *m = instance_of(r, s->m);
	bool is_new = at == 0 || r->signatures[at - 1].m != s->m;
	char without[48];

	put_label("content");
	if (m == NULL) {
		printf("m=%" PRIu32 ", which is not there\n", s->m);
		return;
	}
	snprintf(without, sizeof(without), "Message-Instance m=%" PRIu32 " ",
	    s->m);
	printf("m=%" PRIu32 ", %s: ", s->m, !is_new ? "unchanged" :
	    s->m == 1 ? "as it set out" : m->has_recipe ?
	    "changed, with a recipe back" : "a new instance without a recipe");
	put_verdict(&m->verdict, without);
	putchar('\n');
}

static void
put_members(const struct dkim2_signature_result *s)
{
	char without[48];

	snprintf(without, sizeof(without), "DKIM2-Signature i=%" PRIu32 " ",
	    s->i);
	for (size_t k = 0; k < s->n_members; k++) {
		const struct dkim2_member_result *m = &s->members[k];

		put_label(k == 0 ? "signature" :
		    m->group != s->members[k - 1].group ? "or" : "and");
		put_escaped(m->selector);
		putchar(' ');
		put_escaped(m->algorithm);
		fputs(": ", stdout);
		put_verdict(&m->verdict, without);
		putchar('\n');
	}
}

static void
put_hop(const struct dkim2_result *r, size_t at)
{
	const struct dkim2_signature_result *s = &r->signatures[at];

	printf("\n%si=%-4" PRIu32, colour(BOLD), s->i);
	put_escaped(s->d);
	fputs(colour("\033[0m"), stdout);
	fputs(", ", stdout);
	put_time(s->t);
	putchar('\n');
	put_way(s);
	put_instance(r, at);
	if (s->n_flags != 0) {
		put_label("flags");
		for (size_t k = 0; k < s->n_flags; k++) {
			fputs(k == 0 ? "" : ", ", stdout);
			put_escaped(s->flags[k]);
		}
		putchar('\n');
	}
	put_members(s);
}

static void
put_head(const struct check *c)
{
	const struct dkim2_result *r = c->result;

	printf("message  %zu octets, %zu signature%s, %zu instance%s\n",
	    c->message.octets.n, r->n_signatures,
	    r->n_signatures == 1 ? "" : "s", r->n_instances,
	    r->n_instances == 1 ? "" : "s");
	if (c->has_envelope) {
		fputs("came as  MAIL FROM ", stdout);
		put_escaped(c->envelope.mail_from);
		for (size_t k = 0; k < c->envelope.n_rcpt_to; k++) {
			fputs(k == 0 ? ", RCPT TO " : " ", stdout);
			put_escaped(c->envelope.rcpt_to[k]);
		}
		putchar('\n');
	}
	fputs("seen at  ", stdout);
	put_time(c->now_s);
	putchar('\n');
}

static void
put_failures(const struct dkim2_result *r)
{
	if (r->n_all == 0 || r->full.state == DKIM2_NONE)
		return;
	puts(r->n_all == 1 ? "\nwhat is wrong" :
	    "\nwhat is wrong, in the order of the draft");
	for (size_t k = 0; k < r->n_all; k++) {
		fputs("  ", stdout);
		put_verdict(&r->all[k], "");
		putchar('\n');
	}
}

static void
put_end(const struct check *c)
{
	const struct dkim2_result *r = c->result;

	fputs("\nverdict  ", stdout);
	put_verdict(&r->full, "");
	if (r->full.state == DKIM2_PASS)
		fputs(c->has_envelope ?
		    ": the whole chain and the envelope hold (Fully Verified)" :
		    ": the whole chain holds; the envelope was not checked",
		    stdout);
	putchar('\n');
	if (r->condition == DKIM2_LEFT)
		puts("         the chain is good, but the message came with "
		    "another envelope: it left\n         DKIM2 on its way");
	if (r->full.state != DKIM2_PASS && r->full.state != DKIM2_NONE &&
	    r->provisional.state == DKIM2_PASS && c->has_envelope)
		puts("         the last hop did send it as it came "
		    "(Provisionally Verified)");
}

int
cli_explain(int argc, char **argv)
{
	struct check c;
	int code = check_run(&c, argc, argv);

	if (code == 0 && c.result == NULL) {
		puts("verdict  PERMERROR: message could not be parsed");
		code = check_exit(DKIM2_PERMERROR);
	} else if (code == 0) {
		put_head(&c);
		for (size_t k = 0; k < c.result->n_signatures; k++)
			put_hop(c.result, k);
		put_failures(c.result);
		put_end(&c);
		code = check_exit(c.result->full.state);
	}
	check_fini(&c);
	return code;
}
