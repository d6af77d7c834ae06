#include "cli/explain.h"

#include "cli/jsonout.h"

#include <inttypes.h>
#include <stdio.h>

/* The comma between members of a list or an object. */
static void
comma(size_t k)
{
	if (k != 0)
		putchar(',');
}

static void
put_string(const char *name, struct bytes value)
{
	printf("\"%s\":", name);
	json_put_string(stdout, value);
}

/* "result" and "error", or with another word before them. */
static void
put_verdict(const char *prefix, const struct dkim2_verdict *v)
{
	char text[1024];
	struct buf out = BUF_ON(text);

	if (v->reason != DKIM2_OK)
		dkim2_verdict_text(v, &out);
	printf("\"%sresult\":\"%s\",\"%serror\":", prefix,
	    dkim2_state_name(v->state), prefix);
	json_put_string(stdout, v->reason == DKIM2_OK ?
	    (struct bytes){NULL, 0} : buf_bytes(&out));
}

/* ---- hops --------------------------------------------------------------- */

static void
put_members(const struct dkim2_signature_result *s)
{
	fputs("\"s\":[", stdout);
	for (size_t k = 0; k < s->n_members; k++) {
		const struct dkim2_member_result *m = &s->members[k];

		comma(k);
		putchar('{');
		put_string("selector", m->selector);
		putchar(',');
		put_string("algorithm", m->algorithm);
		printf(",\"group\":%u,", m->group);
		put_verdict("", &m->verdict);
		putchar('}');
	}
	putchar(']');
}

static void
put_changes(const struct story_changes *c)
{
	printf("\"changes\":{\"all\":%zu,\"list\":[", c->n_all);
	for (size_t k = 0; k < c->n; k++) {
		const struct story_change *one = &c->list[k];

		comma(k);
		printf("{\"change\":\"%s\",",
		    one->is_added ? "added" : "removed");
		if (one->name.p != NULL)
			put_string("field", one->name);
		else
			printf("\"line\":%zu", one->line);
		putchar(',');
		put_string("text", one->text);
		putchar('}');
	}
	fputs("]}", stdout);
}

static const struct dkim2_instance_result *
instance_of(const struct dkim2_result *r, uint32_t m)
{
	for (size_t k = 0; k < r->n_instances; k++)
		if (r->instances[k].m == m)
			return &r->instances[k];
	return NULL;
}

static void
put_fits(const char *name, const struct history_state *s,
    const struct instance_hash *fault)
{
	printf("\"%s\":%s", name, s == NULL || !s->is_known ? "null" :
	    fault == NULL ? "true" : "false");
}

static void
put_content(const struct dkim2_result *r, const struct story *story,
    size_t at)
{
	const struct dkim2_signature_result *s = &r->signatures[at];
	const struct dkim2_instance_result *m = instance_of(r, s->m);
	const struct history_state *state = NULL;
	bool is_new = at == 0 || r->signatures[at - 1].m != s->m;

	if (m == NULL) {
		fputs("\"content\":null", stdout);
		return;
	}
	if (s->m >= 1 && s->m <= story->history.n_states)
		state = &story->history.states[s->m - 1];
	printf("\"content\":{\"m\":%" PRIu32 ",\"new\":%s,\"recipe\":%s,",
	    s->m, is_new ? "true" : "false", m->has_recipe ? "true" : "false");
	put_verdict("", &m->verdict);
	putchar(',');
	put_fits("header_fits", state, state == NULL ? NULL :
	    state->header_fault);
	putchar(',');
	put_fits("body_fits", state, state == NULL ? NULL :
	    state->body_fault);
	if (is_new && state != NULL && m->has_recipe) {
		putchar(',');
		put_changes(&story->changes[s->m - 1]);
	}
	putchar('}');
}

static void
put_hop(const struct dkim2_result *r, const struct story *story, size_t at)
{
	const struct dkim2_signature_result *s = &r->signatures[at];

	printf("{\"i\":%" PRIu32 ",\"t\":%" PRId64 ",", s->i, s->t);
	put_string("d", s->d);
	putchar(',');
	put_string("mf", s->mf);
	fputs(",\"rt\":", stdout);
	if (s->nd.p == NULL)
		json_put_strings(stdout, s->rt, s->n_rt);
	else
		fputs("null", stdout);
	putchar(',');
	put_string("nd", s->nd);
	putchar(',');
	put_string("n", s->n);
	fputs(",\"f\":", stdout);
	json_put_strings(stdout, s->flags, s->n_flags);
	putchar(',');
	put_verdict("", &s->verdict);
	putchar(',');
	put_members(s);
	putchar(',');
	put_content(r, story, at);
	putchar('}');
}

/* ---- differences -------------------------------------------------------- */

static void
put_field(const struct differ_field *f)
{
	static const char *const kinds[] = {
		[DIFFER_CHANGED] = "changed",
		[DIFFER_ADDED] = "added",
		[DIFFER_LOST] = "removed",
	};

	printf("{\"change\":\"%s\",", kinds[f->kind]);
	put_string("field", f->name);
	printf(",\"number\":%zu,\"octet\":%zu,\"hash_octet\":%zu,",
	    f->number, f->at + 1, f->offset + 1);
	put_string("was", f->was);
	putchar(',');
	put_string("is", f->is);
	putchar('}');
}

static void
put_place(const struct differ_body *d)
{
	printf(",\"octet\":%zu,\"line\":%zu,\"column\":%zu,", d->at + 1,
	    d->line, d->column);
	put_string("was", bytes_first(d->was, 4096));
	putchar(',');
	put_string("is", bytes_first(d->is, 4096));
}

static void
put_cause(const struct story_cause *c)
{
	static const char *const parts[] = {
		[STORY_HEADER] = "header",
		[STORY_BODY] = "body",
		[STORY_SIGNATURE] = "signature",
		[STORY_FIELD] = "field",
	};

	printf("{\"part\":\"%s\"", parts[c->part]);
	if (c->number != 0)
		printf(",\"%c\":%" PRIu32, c->is_instance ? 'm' : 'i',
		    c->number);
	if (c->part == STORY_SIGNATURE) {
		putchar(',');
		put_string("selector", c->selector);
	}
	printf(",\"by\":\"%s\",\"explained\":%s,",
	    c->is_original ? "original" : "search",
	    c->is_explained ? "true" : "false");
	put_string("text", c->what);
	if (c->part == STORY_HEADER || c->part == STORY_FIELD) {
		fputs(",\"fields\":[", stdout);
		for (size_t k = 0; k < c->header.n &&
		    k < STORY_CHANGES_MAX; k++) {
			comma(k);
			put_field(&c->header.fields[k]);
		}
		putchar(']');
	}
	if (c->has_body && !c->body.is_same)
		put_place(&c->body);
	putchar('}');
}

/* ---- all of it ---------------------------------------------------------- */

static void
put_head(const struct check *c)
{
	const struct dkim2_result *r = c->result;

	put_verdict("", &r->full);
	printf(",\"fully_verified\":%s,\"provisionally_verified\":%s,",
	    r->full.state == DKIM2_PASS && c->has_envelope ? "true" : "false",
	    r->provisional.state == DKIM2_PASS && c->has_envelope ?
	    "true" : "false");
	put_verdict("provisional_", &r->provisional);
	printf(",\"envelope\":\"%s\",\"condition\":\"%s\",\"octets\":%zu,"
	    "\"time\":%" PRId64 ",\"signatures\":%zu,\"instances\":%zu,",
	    c->has_envelope ? "checked" : "unchecked",
	    explain_condition(r->condition), c->message.octets.n, c->now_s,
	    r->n_signatures, r->n_instances);
	put_string("mail_from", c->envelope.mail_from);
	fputs(",\"rcpt_to\":", stdout);
	json_put_strings(stdout, c->envelope.rcpt_to, c->envelope.n_rcpt_to);
}

void
explain_json(const struct check *c, const struct story *s)
{
	const struct dkim2_result *r = c->result;

	putchar('{');
	put_head(c);
	fputs(",\"hops\":[", stdout);
	for (size_t k = 0; k < r->n_signatures; k++) {
		comma(k);
		put_hop(r, s, k);
	}
	fputs("],\"failures\":[", stdout);
	for (size_t k = 0; k < r->n_all; k++) {
		comma(k);
		putchar('{');
		put_verdict("", &r->all[k]);
		putchar('}');
	}
	fputs("],\"differences\":[", stdout);
	for (size_t k = 0; k < s->n_causes; k++) {
		comma(k);
		put_cause(&s->causes[k]);
	}
	puts("]}");
}
