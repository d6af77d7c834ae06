#include "cli/story.h"

#include "base/err.h"
#include "cli/cli.h"
#include "dkim2/draft.h"

#include <inttypes.h>

#define SEARCH_MAX (DIFFER_WORK / 4)	/* of one search */

/* What is known while a story is made. */
struct maker {
	struct story *s;
	const struct check *c;
	struct arena *arena;
	struct differ_work work;
	size_t room;
};

static struct story_cause *
new_cause(struct maker *k, enum story_part part, bool is_instance,
    uint32_t number)
{
	struct story_cause *cause;

	if (k->s->n_causes == k->room)
		return NULL;
	cause = &k->s->causes[k->s->n_causes++];
	*cause = (struct story_cause){.part = part,
	    .is_instance = is_instance, .number = number};
	return cause;
}

static int
say(struct maker *k, struct story_cause *cause, const struct buf *text)
{
	cause->what = arena_copy(k->arena, buf_bytes(text));
	return cause->what.p == NULL ? -E_NOMEM : 0;
}

/* ---- hashes ------------------------------------------------------------- */

/* The octets of the header block above the first signature of m. */
static struct bytes
octets_above(const struct maker *k, size_t m)
{
	const struct chain *c = &k->s->history.chain;
	const uint8_t *top = k->c->message.fields.header.p;

	for (size_t i = 0; i < c->n_signatures; i++)
		if (c->signatures[i].m == m)
			return bytes_between(top,
			    c->signatures[i].field->raw.p);
	return (struct bytes){NULL, 0};
}

/* What the recipe of m takes back, for people. */
static void
put_names(const struct recipe *r, struct buf *out)
{
	for (size_t k = 0; k < r->n_names && k < 6; k++) {
		buf_add_str(out, k == 0 ? "" : ", ");
		buf_add_escaped(out, r->names[k].name, 40);
	}
	if (r->n_names > 6)
		buf_add_str(out, " ...");
}

/* Nothing fits: what can be said then. */
static int
say_unknown(struct maker *k, struct story_cause *cause, size_t m,
    bool is_cut_short)
{
	const struct history *h = &k->s->history;
	const struct history_state *before = m > 1 ? &h->states[m - 2] : NULL;
	const struct recipe *r = &h->chain.instances[m - 1].steps;
	bool is_header = cause->part == STORY_HEADER;
	char text[1024];
	struct buf out = BUF_ON(text);

	if (before != NULL && before->is_known && (is_header ?
	    before->header_fault : before->body_fault) == NULL) {
		buf_printf(&out, "m=%zu fits once the recipe of m=%zu is "
		    "undone: what was changed since lies in what that recipe "
		    "takes back", m - 1, m);
		if (is_header) {
			buf_add_str(&out, " (");
			put_names(r, &out);
			buf_add_str(&out, ")");
		}
	} else {
		buf_printf(&out, "no single change that mail servers are "
		    "known to make explains it%s; with --original and an "
		    "earlier copy the first octet that differs can be named",
		    is_cut_short ? " (not all were tried: it is too large)" :
		    "");
	}
	return say(k, cause, &out);
}

static int
place(struct maker *k, struct story_cause *cause,
    const struct history_state *now, const struct canon_header *header,
    struct bytes body)
{
	if (cause->part == STORY_HEADER)
		return differ_headers(&cause->header, header, &now->header,
		    k->arena);
	cause->has_body = true;
	return differ_bodies(&cause->body, body, now->body, k->arena);
}

/* The original said already where it differs. */
static bool
is_compared(const struct maker *k, size_t m, enum story_part part)
{
	for (size_t j = 0; j < k->s->n_causes; j++) {
		const struct story_cause *c = &k->s->causes[j];

		if (c->is_original && c->part == part && c->number == m &&
		    (c->header.n != 0 || (c->has_body && !c->body.is_same)))
			return true;
	}
	return false;
}

static int
search(struct maker *k, size_t m, enum story_part part)
{
	const struct history_state *now = &k->s->history.states[m - 1];
	bool is_header = part == STORY_HEADER;
	const struct instance_hash *h = is_header ? now->header_fault :
	    now->body_fault;
	struct differ_work work = {.left = k->work.left < SEARCH_MAX ?
	    k->work.left : SEARCH_MAX};
	size_t had = work.left;
	struct story_cause *cause;
	struct differ_target t;
	struct differ_guess g;
	int r;

	if (h == NULL || is_compared(k, m, part))
		return 0;
	cause = new_cause(k, part, true, (uint32_t)m);
	if (cause == NULL)
		return 0;
	t = (struct differ_target){h->algorithm,
	    is_header ? h->header : h->body, octets_above(k, m)};
	r = is_header ?
	    differ_guess_header(&g, &now->header, &t, &work, k->arena) :
	    differ_guess_body(&g, now->body, &t, &work, k->arena);
	k->work.left -= had - work.left;
	k->s->n_tries += work.n_tries;
	if (r != 0)
		return r;
	if (g.what.p == NULL)
		return say_unknown(k, cause, m, work.is_out);
	cause->what = g.what;
	cause->is_explained = true;
	return place(k, cause, now, &g.header, g.body);
}

static int
search_states(struct maker *k)
{
	const struct history *h = &k->s->history;
	int r = 0;

	for (size_t m = h->n_states; r == 0 && m != 0 &&
	    h->states[m - 1].is_known; m--) {
		r = search(k, m, STORY_HEADER);
		if (r == 0)
			r = search(k, m, STORY_BODY);
	}
	return r;
}

/* ---- signatures --------------------------------------------------------- */

static bool
is_good(const struct dkim2_result *r, size_t i)
{
	return r->signatures[i - 1].verdict.state == DKIM2_PASS;
}

/* What the other signatures say about the fields that this one is over. */
static int
say_neighbours(struct maker *k, struct story_cause *cause, size_t i)
{
	const struct dkim2_result *r = k->c->result;
	size_t below = i - 1, above = i + 1;
	char text[1024];
	struct buf out = BUF_ON(text);

	while (below != 0 && !is_good(r, below))
		below--;
	while (above <= r->n_signatures && !is_good(r, above))
		above++;
	if (above <= r->n_signatures)
		buf_printf(&out, "i=%zu is good and is over the same fields: "
		    "they are as that hop signed them, so i=%zu was wrong "
		    "before, or its key is another one now", above, i);
	else if (below != 0)
		buf_printf(&out, "i=%zu is good, and all fields that it is "
		    "over: what was changed stands in a DKIM2 field added "
		    "later than that, up to i=%zu, or the key is not that of "
		    "the signer", below, i);
	else
		buf_printf(&out, "no single change explains it: a DKIM2 field "
		    "up to i=%zu was changed, or the key is not that of the "
		    "signer", i);
	return say(k, cause, &out);
}

/* The key of a member first, then all others that were found. */
static int
keys_of(struct maker *k, const struct dkim2_signature_result *s,
    const struct dkim2_member_result *m, struct differ_key **keys, size_t *n)
{
	const struct check *c = k->c;
	struct buf name;

	*n = 0;
	*keys = arena_array(k->arena, c->n_keys, sizeof(**keys));
	if (*keys == NULL || arena_buf(k->arena, m->selector.n + s->d.n +
	    sizeof(DRAFT_KEY_LABEL), &name) != 0)
		return -E_NOMEM;
	buf_add(&name, m->selector);
	buf_add_str(&name, DRAFT_KEY_LABEL);
	buf_add(&name, s->d);
	for (unsigned pass = 0; pass < 2; pass++)
		for (size_t j = 0; j < c->n_keys; j++) {
			const struct check_key *key = &c->keys[j];
			bool is_own = bytes_case_eq(key->name,
			    buf_bytes(&name));

			if (key->record.p != NULL && is_own == (pass == 0))
				(*keys)[(*n)++] = (struct differ_key){
				    key->name, key->record};
			else if (is_own && pass == 0)
				return 0;	/* its key is not known */
		}
	return 0;
}

static int
search_member(struct maker *k, size_t i, size_t member)
{
	const struct signature *s = &k->s->history.chain.signatures[i - 1];
	const struct dkim2_signature_result *r =
	    &k->c->result->signatures[i - 1];
	struct story_cause *cause = new_cause(k, STORY_SIGNATURE, false,
	    (uint32_t)i);
	struct differ_key *keys;
	struct differ_guess g;
	size_t n_keys;
	int failed;

	if (cause == NULL)
		return 0;
	cause->selector = r->members[member].selector;
	failed = keys_of(k, r, &r->members[member], &keys, &n_keys);
	if (failed == 0)
		failed = differ_guess_signature(&g, &k->s->history.chain, i,
		    &s->members[member], keys, n_keys, k->arena);
	if (failed != 0)
		return failed;
	if (g.what.p == NULL)
		return say_neighbours(k, cause, i);
	cause->what = g.what;
	cause->is_explained = true;
	return 0;
}

static int
search_signatures(struct maker *k)
{
	const struct dkim2_result *r = k->c->result;
	const struct chain *c = &k->s->history.chain;
	int failed = 0;

	if (!c->is_numbered || r->n_signatures != c->n_signatures)
		return 0;
	for (size_t i = 1; i <= r->n_signatures; i++) {
		const struct dkim2_signature_result *s = &r->signatures[i - 1];

		if (s->n_members != c->signatures[i - 1].n_members)
			continue;
		for (size_t j = 0; failed == 0 && j < s->n_members; j++)
			if (s->members[j].verdict.reason ==
			    DKIM2_SIGNATURE_WRONG)
				failed = search_member(k, i, j);
	}
	return failed;
}

/* ---- the original ------------------------------------------------------- */

static int
signing_line(const struct dkim2_field *f, struct arena *a,
    struct canon_field *out)
{
	struct buf line;
	size_t name = f->name.n + 1;

	if (arena_buf(a, f->raw.n + 8, &line) != 0)
		return -E_NOMEM;
	(void)canon_signing_line(f->name, f->value, false, canon_to_buf,
	    &line);
	/* A name that is hashed, so that it can be compared as a field. */
	out->name = BYTES_LIT("field");
	out->value = bytes_skip(buf_bytes(&line), name);
	out->value.n -= 2;
	return 0;
}

/* One DKIM2 field against what it was. */
static int
compare_field(struct maker *k, const struct dkim2_field *was,
    const struct dkim2_field *is, bool is_instance, uint32_t number)
{
	struct canon_field w, i;
	const struct canon_header hw = {&w, 1}, hi = {&i, 1};
	struct story_cause *cause;
	int r = signing_line(was, k->arena, &w);

	if (r == 0)
		r = signing_line(is, k->arena, &i);
	if (r != 0 || bytes_eq(w.value, i.value))
		return r;
	cause = new_cause(k, STORY_FIELD, is_instance, number);
	if (cause == NULL)
		return 0;
	cause->is_original = cause->is_explained = true;
	cause->what = BYTES_LIT("it is not what it was in the original");
	r = differ_headers(&cause->header, &hw, &hi, k->arena);
	if (r == 0 && cause->header.n == 1)
		cause->header.fields[0].name = is->name;
	return r;
}

static int
compare_chains(struct maker *k, const struct chain *was)
{
	const struct chain *is = &k->s->history.chain;
	int r = 0;

	if (!was->is_numbered || !is->is_numbered)
		return 0;
	for (size_t m = 0; r == 0 && m < was->n_instances &&
	    m < is->n_instances; m++)
		r = compare_field(k, was->instances[m].field,
		    is->instances[m].field, true, (uint32_t)m + 1);
	for (size_t i = 0; r == 0 && i < was->n_signatures &&
	    i < is->n_signatures; i++)
		r = compare_field(k, was->signatures[i].field,
		    is->signatures[i].field, false, (uint32_t)i + 1);
	return r;
}

/* Which state of the message the original is to be compared with. */
static size_t
same_state(const struct history *was, const struct history *is)
{
	size_t m = was->n_states != 0 ? was->n_states : 1;

	if (m > is->n_states)
		m = is->n_states;
	while (m < is->n_states && !is->states[m - 1].is_known)
		m++;
	return m;
}

static int
compare_part(struct maker *k, enum story_part part, size_t m,
    const struct history_state *was, const struct history_state *is)
{
	struct story_cause *cause = new_cause(k, part, m != 0, (uint32_t)m);
	bool is_header = part == STORY_HEADER;
	char text[256];
	struct buf out = BUF_ON(text);
	int r;

	if (cause == NULL)
		return 0;
	cause->is_original = cause->is_explained = true;
	r = place(k, cause, is, &was->header, was->body);
	if (r != 0)
		return r;
	if (is_header ? cause->header.n == 0 : cause->body.is_same)
		buf_printf(&out, "nothing that is hashed differs from the "
		    "original");
	else if (is_header)
		buf_printf(&out, "%zu field%s differ%s from the original",
		    cause->header.n, cause->header.n == 1 ? "" : "s",
		    cause->header.n == 1 ? "s" : "");
	else
		buf_printf(&out, "it differs from the original");
	if (m != 0 && (is_header ? was->header_fault : was->body_fault) != NULL)
		buf_printf(&out, "; but that does not fit m=%zu either", m);
	return say(k, cause, &out);
}

static int
compare_original(struct maker *k, const struct input_message *original)
{
	struct history *is = &k->s->history, was;
	struct history_state plain_was = {.is_known = true,
	    .body = original->body}, plain_is = {.is_known = true,
	    .body = k->c->message.body};
	const struct history_state *w = &plain_was, *i = &plain_is;
	size_t m = 0;
	int r = history_read(&was, &original->fields, original->body,
	    k->arena);

	if (r == 0)
		r = canon_header_sort(&plain_was.header, &original->fields,
		    k->arena);
	if (r == 0)
		r = canon_header_sort(&plain_is.header, &k->c->message.fields,
		    k->arena);
	if (r != 0)
		return r;
	if (is->n_states != 0) {
		m = same_state(&was, is);
		i = &is->states[m - 1];
	}
	if (was.n_states != 0)
		w = &was.states[was.n_states - 1];
	r = compare_chains(k, &was.chain);
	if (r == 0)
		r = compare_part(k, STORY_HEADER, m, w, i);
	return r != 0 ? r : compare_part(k, STORY_BODY, m, w, i);
}

/* ---- all of it ---------------------------------------------------------- */

static int
make_changes(struct maker *k)
{
	struct history *h = &k->s->history;
	int r = 0;

	k->s->changes = arena_array(k->arena, h->n_states,
	    sizeof(k->s->changes[0]));
	if (k->s->changes == NULL)
		return -E_NOMEM;
	for (size_t m = 2; r == 0 && m <= h->n_states; m++)
		if (h->states[m - 1].is_known &&
		    h->chain.instances[m - 1].fault.state == DKIM2_PASS)
			r = story_changes_make(&k->s->changes[m - 1],
			    &h->chain.instances[m - 1].steps,
			    &h->states[m - 1], k->arena);
	return r;
}

int
story_make(struct story *s, const struct check *c,
    const struct input_message *original)
{
	struct maker k = {.s = s, .c = c, .arena = c->arena,
	    .work = {.left = DIFFER_WORK}};
	int r;

	*s = (struct story){.n_causes = 0};
	k.room = 4;
	for (size_t i = 0; i < c->result->n_signatures; i++)
		k.room += 1 + c->result->signatures[i].n_members;
	k.room += 3 * c->result->n_instances;
	s->causes = arena_array(k.arena, k.room, sizeof(s->causes[0]));
	r = s->causes == NULL ? -E_NOMEM : history_read(&s->history,
	    &c->message.fields, c->message.body, k.arena);
	if (r == 0)
		r = make_changes(&k);
	if (r == 0 && original != NULL)
		r = compare_original(&k, original);
	if (r == 0)
		r = search_states(&k);
	if (r == 0)
		r = search_signatures(&k);
	return r == 0 ? 0 : cli_fail(CLI_CANNOT, "%s", err_text(r));
}
