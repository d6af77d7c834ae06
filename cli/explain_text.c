#include "cli/explain.h"

#include "base/ascii.h"
#include "cli/colour.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define WIDTH 80U		/* columns of the screen */
#define INDENT 18U		/* where the second column begins */
#define SHOWN 200U		/* octets of one value from the message */
#define RCPTS 5U		/* recipients of one hop that are listed */
#define CHANGES 12U		/* lines of what a hop changed */
#define FIELDS 6U		/* fields that differ */
#define BEFORE 24U		/* octets shown before one that differs */

/* ---- words -------------------------------------------------------------- */

/*
 * Octets from the message never reach the terminal as they are.
 *
 * Returns  the columns that they took, at most `columns`
 */
static size_t
put_escaped(struct bytes b, size_t columns)
{
	char text[SHOWN * 4 + 16];
	struct buf out = BUF_ON(text);
	size_t n;

	buf_add_escaped(&out, b, SHOWN);
	n = out.n <= columns ? out.n : columns - 3;
	fwrite(out.p, 1, n, stdout);
	if (n == out.n)
		return n;
	fputs("...", stdout);
	return columns;
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

	fputs(colour(s == DKIM2_PASS ? GREEN : s == DKIM2_TEMPERROR ||
	    s == DKIM2_NONE ? YELLOW : RED), stdout);
	for (; *name != '\0'; name++)
		putchar(*name >= 'a' && *name <= 'z' ? *name - 32 : *name);
	fputs(colour(OFF), stdout);
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

/* Text of our own, broken at blanks; the first line goes on at `column`. */
static void
put_wrapped(struct bytes text, size_t column)
{
	bool is_first = true;

	while (text.p != NULL) {
		struct bytes word = bytes_cut(&text, ' ');

		if (!is_first && column + 1 + word.n > WIDTH) {
			printf("\n%*s", (int)INDENT, "");
			column = INDENT;
		} else if (!is_first) {
			putchar(' ');
			column++;
		}
		fwrite(word.p, 1, word.n, stdout);
		column += word.n;
		is_first = false;
	}
	putchar('\n');
}

/* ---- a hop -------------------------------------------------------------- */

/* Columns that a value takes as it is shown. */
static size_t
columns_of(struct bytes b)
{
	char text[SHOWN * 4 + 16];
	struct buf out = BUF_ON(text);

	buf_add_escaped(&out, b, SHOWN);
	return out.n;
}

static void
put_way(const struct dkim2_signature_result *s)
{
	size_t column = INDENT;

	put_label("sent");
	if (s->nd.p != NULL) {
		fputs("to ", stdout);
		put_escaped(s->nd, WIDTH - INDENT - 22);
		puts(", which signs next");
		return;
	}
	column += put_escaped(s->mf, WIDTH - INDENT - 4);
	fputs(" to", stdout);
	column += 3;
	for (size_t k = 0; k < s->n_rt && k < RCPTS; k++) {
		bool is_last = k + 1 == s->n_rt;

		if (column + 2 + columns_of(s->rt[k]) > WIDTH) {
			printf("\n%*s", (int)INDENT - 1, "");
			column = INDENT - 1;
		}
		putchar(' ');
		column += 2 + put_escaped(s->rt[k], WIDTH - INDENT - 2);
		fputs(is_last ? "" : ",", stdout);
	}
	if (s->n_rt > RCPTS)
		printf("\n%*sand %zu more", (int)INDENT, "", s->n_rt - RCPTS);
	putchar('\n');
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
put_change(const struct story_change *c)
{
	size_t column = INDENT + 2;

	printf("%*s%s%c ", (int)INDENT, "", colour(c->is_added ? GREEN : RED),
	    c->is_added ? '+' : '-');
	if (c->name.p != NULL) {
		column += put_escaped(c->name, 40);
		fputs(": ", stdout);
		column += 2;
	}
	put_escaped(c->text, WIDTH - column);
	printf("%s\n", colour(OFF));
}

static void
put_changes(const struct story_changes *c)
{
	size_t line = 0, n = c->n < CHANGES ? c->n : CHANGES;

	for (size_t k = 0; k < n; k++) {
		const struct story_change *one = &c->list[k];

		/* Lines that follow each other need to be named just once. */
		if (one->name.p == NULL && one->line != line &&
		    one->line != line + 1)
			printf("%*sbody, line %zu\n", (int)INDENT, "",
			    one->line);
		line = one->line;
		put_change(one);
	}
	if (c->n_all > n)
		printf("%*sand %zu more\n", (int)INDENT, "", c->n_all - n);
}

/* What this hop did to the content, and whether its hashes hold. */
static void
put_instance(const struct dkim2_result *r, const struct story *story,
    size_t at)
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
	    "changed, recipe back" : "a new one, no recipe");
	put_verdict(&m->verdict, without);
	putchar('\n');
	if (is_new && s->m >= 1 && s->m <= story->history.n_states)
		put_changes(&story->changes[s->m - 1]);
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
		put_escaped(m->selector, 30);
		putchar(' ');
		put_escaped(m->algorithm, 20);
		fputs(": ", stdout);
		put_verdict(&m->verdict, without);
		putchar('\n');
	}
}

static void
put_hop(const struct dkim2_result *r, const struct story *story, size_t at)
{
	const struct dkim2_signature_result *s = &r->signatures[at];

	printf("\n%si=%-4" PRIu32 " ", colour(BOLD), s->i);
	put_escaped(s->d, WIDTH - 30);
	fputs(colour(OFF), stdout);
	fputs(", ", stdout);
	put_time(s->t);
	for (size_t k = 0; k < s->n_flags && k < 8; k++) {
		fputs(", ", stdout);
		put_escaped(s->flags[k], 30);
	}
	putchar('\n');
	put_way(s);
	if (s->n.p != NULL) {
		put_label("nonce");
		put_escaped(s->n, WIDTH - INDENT);
		putchar('\n');
	}
	put_members(s);
	put_instance(r, story, at);
}

/* ---- where it differs --------------------------------------------------- */

/* The octets from a little before `at` on, with dots for what is left out. */
static size_t
put_window(const char *label, struct bytes b, size_t at)
{
	size_t from = at > BEFORE ? at - BEFORE : 0, column = 5;
	size_t under;

	printf("%*s%-4s ", (int)INDENT, "", label);
	if (b.p == NULL) {
		puts("(not there)");
		return 0;
	}
	if (from != 0) {
		fputs("...", stdout);
		column += 3;
	}
	b = bytes_skip(b, from);
	under = column + columns_of(bytes_first(b, at - from));
	if (b.n == 0)
		fputs("(it ends here)", stdout);
	else
		put_escaped(b, WIDTH - INDENT - column);
	putchar('\n');
	return under;
}

/* Both sides, and a mark under the first octet that differs. */
static void
put_sides(struct bytes was, struct bytes is, size_t at)
{
	size_t under;

	fputs(colour(RED), stdout);
	(void)put_window("was", was, at);
	fputs(colour(GREEN), stdout);
	under = put_window("is", is, at);
	fputs(colour(OFF), stdout);
	if (was.p != NULL && is.p != NULL && under < WIDTH - INDENT)
		printf("%*s^\n", (int)(INDENT + under), "");
}

/* The name of a field, with the capitals that people know. */
static void
put_name(struct bytes name)
{
	uint8_t room[40];
	struct bytes shown = {room, name.n < sizeof(room) ? name.n :
	    sizeof(room)};

	for (size_t k = 0; k < shown.n; k++)
		room[k] = ascii_is_alpha(name.p[k]) &&
		    (k == 0 || name.p[k - 1] == '-') ?
		    (uint8_t)(name.p[k] & ~0x20) : name.p[k];
	put_escaped(shown, 60);
}

static void
put_field(const struct differ_field *f, bool is_line)
{
	printf("%*s", (int)INDENT, "");
	put_name(f->name);
	if (f->number > 1)
		printf(" (the %zu. from below)", f->number);
	if (f->kind == DIFFER_ADDED)
		fputs(": not there before", stdout);
	else if (f->kind == DIFFER_LOST)
		fputs(": no longer there", stdout);
	else
		printf(": octet %zu differs", f->at + 1);
	if (!is_line)
		printf(" (octet %zu of what is hashed)", f->offset + 1);
	putchar('\n');
	put_sides(f->was, f->is, f->at);
}

/* Whole lines that were put in or taken out, three at most. */
static void
put_lines(struct bytes lines, bool is_added)
{
	size_t n = 0;

	while (lines.n != 0 && n++ < 3) {
		size_t at = bytes_find(lines, BYTES_LIT("\r\n"));
		struct story_change c = {.is_added = is_added,
		    .text = bytes_first(lines, at)};

		put_change(&c);
		lines = bytes_skip(lines, at + 2);
	}
	if (lines.n != 0)
		printf("%*sand %zu more octets\n", (int)INDENT, "", lines.n);
}

static void
put_body_place(const struct differ_body *d)
{
	printf("%*sthe first octet that differs is %zu: line %zu, octet %zu\n",
	    (int)INDENT, "", d->at + 1, d->line, d->column);
	if (d->was.n == 0 && d->column == 1)
		put_lines(d->is, true);
	else if (d->is.n == 0 && d->column == 1)
		put_lines(d->was, false);
	else
		put_sides(d->was_line, d->is_line, d->column - 1);
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
	char label[40];
	size_t n = c->header.n < FIELDS ? c->header.n : FIELDS;

	if (c->number == 0)
		snprintf(label, sizeof(label), "%s", parts[c->part]);
	else
		snprintf(label, sizeof(label), "%c=%" PRIu32 " %s",
		    c->is_instance ? 'm' : 'i', c->number, parts[c->part]);
	printf("  %s%-15s%s ", colour(BOLD), label, colour(OFF));
	put_wrapped(c->what, strlen(label) <= 15 ? INDENT :
	    strlen(label) + 3);
	for (size_t k = 0; k < n; k++)
		put_field(&c->header.fields[k], c->part == STORY_FIELD);
	if (c->header.n > n)
		printf("%*sand %zu more fields\n", (int)INDENT, "",
		    c->header.n - n);
	if (c->has_body && !c->body.is_same)
		put_body_place(&c->body);
}

static void
put_causes(const struct story *s)
{
	bool is_found = false, is_search = false;

	if (s->n_causes == 0)
		return;
	for (size_t k = 0; k < s->n_causes; k++) {
		is_found = is_found || s->causes[k].is_explained;
		is_search = is_search || !s->causes[k].is_original;
	}
	puts(!is_search ? "\ncompared with the original" : is_found ?
	    "\nwhere it differs" : "\nwhere it may differ");
	for (size_t k = 0; k < s->n_causes; k++)
		put_cause(&s->causes[k]);
}

/* ---- all of it ---------------------------------------------------------- */

static void
put_head(const struct check *c)
{
	const struct dkim2_result *r = c->result;
	size_t n = c->envelope.n_rcpt_to;

	printf("message  %zu octets, %zu signature%s, %zu instance%s\n",
	    c->message.octets.n, r->n_signatures,
	    r->n_signatures == 1 ? "" : "s", r->n_instances,
	    r->n_instances == 1 ? "" : "s");
	if (c->has_envelope) {
		fputs("came as  MAIL FROM ", stdout);
		put_escaped(c->envelope.mail_from, SHOWN);
		for (size_t k = 0; k < n && k < RCPTS; k++) {
			fputs(k == 0 ? ", RCPT TO " : " ", stdout);
			put_escaped(c->envelope.rcpt_to[k], SHOWN);
		}
		if (n > RCPTS)
			printf(" and %zu more", n - RCPTS);
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

void
explain_text(const struct check *c, const struct story *s)
{
	put_head(c);
	for (size_t k = 0; k < c->result->n_signatures; k++)
		put_hop(c->result, s, k);
	put_failures(c->result);
	put_causes(s);
	put_end(c);
}
