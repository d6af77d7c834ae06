#include "dkim2/authres.h"

#include "base/ascii.h"
#include "base/err.h"
#include "dkim2/draft.h"
#include "dkim2/fold.h"
#include "dkim2/taglist.h"

#define TEXT_MAX 300	/* octets of a comment */
#define B_SHOWN 8	/* octets of b= (RFC 6008 4) */

/* Writes words; each is never broken, a space or a fold stands between. */
struct writer {
	struct fold fold;
	struct buf word;	/* not written yet */
	uint8_t room[2 * DRAFT_DOMAIN_MAX + 64];
};

static void
word_end(struct writer *w)
{
	if (w->word.full)
		w->fold.out->full = true;
	if (w->word.n != 0)
		fold_tag(&w->fold, buf_bytes(&w->word));
	w->word.n = 0;
}

/* Begins a method's result on a line of its own. */
static void
result_begin(struct writer *w, const char *method, const char *state)
{
	buf_add_octet(&w->word, ';');
	word_end(w);
	w->fold.left = 0;
	buf_add_str(&w->word, method);
	buf_add_octet(&w->word, '=');
	buf_add_str(&w->word, state);
}

/* Says whether b is a token (RFC 2045 5.1). */
static bool
is_token(struct bytes b)
{
	static const struct bytes specials = BYTES_LIT("()<>@,;:\\\"/[]?=");

	for (size_t k = 0; k < b.n; k++)
		if (!ascii_is_graph(b.p[k]) ||
		    bytes_index(specials, b.p[k]) != specials.n)
			return false;
	return b.n != 0;
}

/* Adds a value, quoted where it is no token; it is printable. */
static void
add_value(struct buf *b, struct bytes value)
{
	bool is_plain = is_token(value);

	if (!is_plain)
		buf_add_octet(b, '"');
	for (size_t k = 0; k < value.n; k++) {
		if (value.p[k] == '"' || value.p[k] == '\\')
			buf_add_octet(b, '\\');
		buf_add_octet(b, value.p[k]);
	}
	if (!is_plain)
		buf_add_octet(b, '"');
}

static void
property(struct writer *w, const char *name, struct bytes value)
{
	word_end(w);
	buf_add_str(&w->word, "header.");
	buf_add_str(&w->word, name);
	buf_add_octet(&w->word, '=');
	add_value(&w->word, value);
}

static void
policy_property(struct writer *w, const char *name, struct bytes value)
{
	word_end(w);
	buf_add_str(&w->word, "policy.");
	buf_add_str(&w->word, name);
	buf_add_octet(&w->word, '=');
	add_value(&w->word, value);
}

/* A domain, or a selector; left out where it is neither. */
static void
domain_property(struct writer *w, const char *name, struct bytes value)
{
	if (taglist_is_domain(value, 1))
		property(w, name, value);
}

/*
 * Writes a comment, word by word. What ends a comment, a result or a string
 * for some reader is escaped or replaced.
 */
static void
comment(struct writer *w, struct bytes text)
{
	word_end(w);
	buf_add_octet(&w->word, '(');
	for (size_t k = 0; k < text.n && k < TEXT_MAX; k++) {
		uint8_t c = text.p[k];

		if (c == ' ') {
			word_end(w);
			continue;
		}
		if (w->word.cap - w->word.n < 8)
			word_end(w);
		if (c == '(' || c == ')' || c == '\\')
			buf_add_octet(&w->word, '\\');
		if (c == ';')
			c = ',';
		else if (c == '"')
			c = '\'';
		else if (!ascii_is_graph(c))
			c = '?';
		buf_add_octet(&w->word, c);
	}
	if (text.n > TEXT_MAX)
		buf_add_str(&w->word, "...");
	buf_add_octet(&w->word, ')');
}

static void
write_dkim2(struct writer *w, const struct dkim2_result *r)
{
	uint8_t room[TEXT_MAX * 4], digits[12];
	struct buf text = BUF_ON(room), number = BUF_ON(digits);
	enum dkim2_state state = r->full.state;

	result_begin(w, "dkim2", dkim2_state_name(state));
	if (state == DKIM2_NONE)
		return;
	dkim2_verdict_text(&r->full, &text);
	if (state == DKIM2_PASS)
		buf_printf(&text, "%zu hop%s", r->n_signatures,
		    r->n_signatures == 1 ? "" : "s");
	if (text.n != 0)
		comment(w, buf_bytes(&text));
	if (r->n_signatures != 0 && r->signatures[0].i == 1)
		domain_property(w, "d", r->signatures[0].d);
	/* The number is that of a signature only in the texts that say so. */
	if (state != DKIM2_PASS && bytes_starts(buf_bytes(&text),
	    BYTES_LIT(DRAFT_SIGNATURE " i="))) {
		buf_add_number(&number, r->full.number);
		property(w, "i", buf_bytes(&number));
	}
}

/* The beginning of b=, without folds; left out where it is no base64. */
static void
write_b(struct writer *w, struct bytes b)
{
	uint8_t room[B_SHOWN];
	struct buf shown = BUF_ON(room);

	for (size_t k = 0; k < b.n && shown.n < B_SHOWN; k++) {
		uint8_t c = b.p[k];

		if (ascii_is_alnum(c) || c == '+' || c == '/' || c == '=')
			buf_add_octet(&shown, c);
		else if (ascii_is_graph(c))
			return;
	}
	if (shown.n == B_SHOWN)
		property(w, "b", buf_bytes(&shown));
}

/* i=, where its local part is nothing but letters, digits and ".-_+". */
static void
write_i(struct writer *w, struct bytes i)
{
	size_t at = bytes_index(i, '@');

	for (size_t k = 0; k < at; k++)
		if (!ascii_is_alnum(i.p[k]) &&
		    bytes_index(BYTES_LIT(".-_+"), i.p[k]) == 4)
			return;
	if (at > DRAFT_DOMAIN_MAX ||
	    !taglist_is_domain(bytes_skip(i, at + 1), 1))
		return;
	/* A pvalue may hold the "@" without quotes (RFC 8601 2.2). */
	word_end(w);
	buf_add_str(&w->word, "header.i=");
	buf_add(&w->word, i);
}

static void
write_signature(struct writer *w, const struct dkim1_signature_result *s,
    size_t n_ignored)
{
	uint8_t room[TEXT_MAX];
	struct buf text = BUF_ON(room);

	result_begin(w, "dkim", dkim1_state_name(s->state));
	buf_add_str(&text, dkim1_reason_text(s->reason));
	if (s->bits != 0)
		buf_printf(&text, "%s%u-bit key", text.n == 0 ? "" : ", ",
		    s->bits);
	if (s->is_testing)
		buf_add_str(&text, ", test mode");
	if (s->state == DKIM1_PASS && !s->covers_from)
		buf_add_str(&text, ", not every From field is signed");
	if (n_ignored != 0)
		buf_printf(&text, "%s%zu more signatures not looked at",
		    text.n == 0 ? "" : ", ", n_ignored);
	if (text.n != 0)
		comment(w, buf_bytes(&text));
	domain_property(w, "d", s->d);
	write_i(w, s->i);
	domain_property(w, "s", s->s);
	if (taglist_is_name(s->a) && s->a.n <= 64)
		property(w, "a", s->a);
	write_b(w, s->b);
}

static void
write_dmarc(struct writer *w, const struct dmarc_verdict *v)
{
	uint8_t room[32];
	struct buf text = BUF_ON(room);

	result_begin(w, "dmarc", dmarc_state_name(v->state));
	if (v->has_policy) {
		buf_add_str(&text, "p=");
		buf_add_str(&text, dmarc_policy_name(v->policy));
		if (v->pct != 100)
			buf_printf(&text, " pct=%u", v->pct);
		comment(w, buf_bytes(&text));
	}
	domain_property(w, "from", v->from);
}

static bool
id_is_good(struct bytes id)
{
	for (size_t k = 0; k < id.n; k++)
		if (!ascii_is_graph(id.p[k]))
			return false;
	return id.n != 0 && id.n <= DRAFT_DOMAIN_MAX;
}

int
authres_write(const struct authres *r, struct buf *out)
{
	struct writer w;

	if (!id_is_good(r->id))
		return -E_SYNTAX;
	w.word = BUF_ON(w.room);
	fold_begin(&w.fold, out, AUTHRES_FIELD);
	add_value(&w.word, r->id);
	if (r->dkim2 != NULL)
		write_dkim2(&w, r->dkim2);
	if (r->dkim2 != NULL && r->condition != NULL)
		policy_property(&w, "condition", bytes_of(r->condition));
	if (r->dkim1 != NULL) {
		size_t n = r->dkim1->n_signatures;

		for (size_t k = 0; k < n; k++)
			write_signature(&w, &r->dkim1->signatures[k],
			    k + 1 == n ? r->dkim1->n_ignored : 0);
		if (n == 0)
			result_begin(&w, "dkim", "none");
	}
	if (r->dmarc != NULL)
		write_dmarc(&w, r->dmarc);
	if (r->dkim2 == NULL && r->dkim1 == NULL && r->dmarc == NULL) {
		buf_add_octet(&w.word, ';');
		word_end(&w);
		buf_add_str(&w.word, "none");
	}
	word_end(&w);
	fold_end(&w.fold);
	return out->full ? -E_LIMIT : 0;
}
