#include "tests/scenario/script.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/ascii.h"
#include "config/value.h"
#include "daemon/addr.h"
#include "tests/scenario/arrivals.h"
#include "tests/scenario/bounce.h"
#include "tests/scenario/memory.h"
#include "tests/scenario/manager.h"
#include "tests/scenario/message.h"
#include "tests/scenario/queue.h"
#include "tests/scenario/site.h"
#include "tests/scenario/text.h"
#include "tests/scenario/words.h"

#define ACTORS 32
#define HOPS 16
#define BLOCK 16384
#define DEEP 16	/* words in words */

struct actor {
	struct bytes name;
	struct wire *wire;
	uint8_t *content;	/* taken by `content` */
	size_t n_content;
};

struct hop {
	struct bytes name;
	struct config_addr at;
};

struct run {
	const struct scenario *s;
	struct buf *why;
	unsigned line;
	struct bytes at;	/* what it says, words taken apart */
	struct actor actors[ACTORS];
	size_t n_actors;
	struct hop hops[HOPS];
	size_t n_hops;
	struct buf *block;	/* that indented lines belong to */
	struct buf listeners, top, dns;
	uint8_t listeners_octets[BLOCK], top_octets[BLOCK], dns_octets[BLOCK];
	struct arena *arena;	/* of the lines that words stand for */
	struct words words;
	struct word *word;	/* that indented lines belong to */
	unsigned n_deep;
	bool is_held;		/* the world waits for the next line */
	bool has_begun;
};

/* ---- text ------------------------------------------------------------------ */

static struct bytes
next_word(struct bytes *rest)
{
	struct bytes word;

	while (rest->n != 0 && (rest->p[0] == ' ' || rest->p[0] == '\t'))
		*rest = bytes_skip(*rest, 1);
	word = bytes_first(*rest, bytes_index(*rest, ' '));
	*rest = bytes_skip(*rest, word.n);
	if (rest->n != 0)
		*rest = bytes_skip(*rest, 1);
	return word;
}

static struct bytes
next_line(struct bytes *rest)
{
	struct bytes line = bytes_first(*rest, bytes_index(*rest, '\n'));

	*rest = bytes_skip(*rest, line.n + (line.n < rest->n));
	return line;
}

static bool
is(struct bytes word, const char *text)
{
	return bytes_eq(word, bytes_of(text));
}

static bool
fail(struct run *r, const char *what, struct bytes wanted, struct bytes came)
{
	buf_printf(r->why, "%s:%u: %s", r->s->file, r->line, what);
	buf_printf(r->why, "\n  line:     ");
	buf_add_escaped(r->why, r->at, 200);
	if (wanted.p != NULL) {
		buf_printf(r->why, "\n  expected: ");
		buf_add_escaped(r->why, wanted, 400);
	}
	if (came.p != NULL) {
		buf_printf(r->why, "\n  came:     ");
		buf_add_escaped(r->why, came, 2000);
	}
	return false;
}

static const struct bytes nothing = {NULL, 0};

/* ---- who ------------------------------------------------------------------- */

static struct actor *
actor_find(struct run *r, struct bytes name)
{
	for (size_t k = 0; k < r->n_actors; k++)
		if (bytes_eq(r->actors[k].name, name))
			return &r->actors[k];
	assert(r->n_actors < ACTORS);
	r->actors[r->n_actors].name = name;
	return &r->actors[r->n_actors++];
}

static struct hop *
hop_find(struct run *r, struct bytes name)
{
	for (size_t k = 0; k < r->n_hops; k++)
		if (bytes_eq(r->hops[k].name, name))
			return &r->hops[k];
	return NULL;
}

/* "192.0.2.1" or "192.0.2.1:25". */
static bool
read_addr(struct bytes text, struct config_addr *a)
{
	char octets[80];
	struct buf b = BUF_ON(octets);
	char *colon;

	*a = (struct config_addr){.port = 0};
	buf_add(&b, text);
	buf_add_octet(&b, '\0');
	if (b.full)
		return false;
	colon = strrchr(octets, ':');
	if (colon != NULL) {
		*colon = '\0';
		a->port = (uint16_t)strtoul(colon + 1, NULL, 10);
	}
	return config_value_ip(bytes_of(octets), a->ip);
}

/* ---- the worker ------------------------------------------------------------ */

static bool
begin(struct run *r)
{
	char octets[2000];
	struct buf why = BUF_ON(octets);

	if (r->has_begun)
		return true;
	r->has_begun = site_begin(buf_bytes(&r->listeners),
	    buf_bytes(&r->top), buf_bytes(&r->dns), &why);
	return r->has_begun || fail(r, "the configuration is refused", nothing,
	    buf_bytes(&why));
}

static bool
do_hop(struct run *r, struct bytes rest)
{
	static const struct {
		const char *word;
		int outcome;
	} outcomes[] = {{"", 0}, {"refused", ECONNREFUSED}, {"silent", -1},
	    {"unreachable", EHOSTUNREACH}, {"gone", ECONNREFUSED}};
	struct bytes name = next_word(&rest), at = next_word(&rest);
	struct hop *h = hop_find(r, name);

	if (h == NULL) {
		assert(r->n_hops < HOPS);
		h = &r->hops[r->n_hops++];
	}
	h->name = name;
	if (!read_addr(at, &h->at))
		return fail(r, "no address", at, nothing);
	for (size_t k = 0; k < sizeof(outcomes) / sizeof(outcomes[0]); k++)
		if (is(rest, outcomes[k].word)) {
			world_listen(&h->at, outcomes[k].outcome);
			return true;
		}
	return fail(r, "no outcome of a connection", rest, nothing);
}

static bool
do_pass(struct run *r, struct bytes rest)
{
	char *end;
	int64_t n = strtoll((const char *)rest.p, &end, 10);
	struct bytes unit = bytes_skip(rest,
	    (size_t)(end - (const char *)rest.p));

	if (is(unit, "s"))
		n *= 1000;
	else if (is(unit, "m"))
		n *= 60 * 1000;
	else if (is(unit, "h"))
		n *= 3600 * 1000;
	else if (is(unit, "d"))
		n *= 24 * 3600 * 1000;
	else if (!is(unit, "ms"))
		return fail(r, "no time", rest, nothing);
	world_pass(n);
	return true;
}

static bool
do_signer(struct run *r, struct bytes rest)
{
	static const char *const words[] = {
		[SIGNER_WORKS] = "works", [SIGNER_FAILS] = "fails",
		[SIGNER_IS_SILENT] = "silent", [SIGNER_IS_GONE] = "gone",
		[SIGNER_WORKS_ONCE] = "once", [SIGNER_LIES] = "lies",
		[SIGNER_LIES_ONCE] = "lies-once",
	};

	for (unsigned k = 0; k < sizeof(words) / sizeof(words[0]); k++)
		if (is(rest, words[k])) {
			site_signer((enum site_signer)k);
			return true;
		}
	if (is(rest, "retires")) {
		site_retire();
		return true;
	}
	return fail(r, "no state of the signer", rest, nothing);
}

static bool
do_order(struct run *r, struct bytes request, bool is_wanted)
{
	char octets[500];
	struct buf why = BUF_ON(octets);

	return site_order(request, &why) == is_wanted || fail(r, is_wanted
	    ? "the order is refused" : "the order is carried out", request,
	    buf_bytes(&why));
}

/* What the keeper has, or whether there is one. */
static bool
do_keeper(struct run *r, struct bytes word, struct bytes rest)
{
	return (is(word, "copies") ? site_has_copies(rest) :
	    is(word, "arrivals") ? scenario_arrivals_say(rest) :
	    scenario_memory_say(rest)) || fail(r, "not so", rest, nothing);
}

static bool
do_queue(struct run *r, struct bytes rest)
{
	if (is(rest, "empty"))
		return (scenario_queue_take(true).n == 0 &&
		    scenario_queue_take(false).n == 0) ||
		    fail(r, "there is a message", nothing, nothing);
	return scenario_queue_is(rest) ||
	    fail(r, "no state of the queue", rest, nothing);
}

/* How many lines are that. */
static unsigned long
count_lines(struct bytes pattern, struct bytes text)
{
	unsigned long n = 0;

	while (text.n != 0) {
		struct bytes line = next_line(&text);

		if (line.n != 0 && line.p[line.n - 1] == '\r')
			line.n--;
		n += text_fits(pattern, line);
	}
	return n;
}

static bool
do_log(struct run *r, struct bytes pattern, bool is_wanted)
{
	struct bytes log = world_log();

	return (count_lines(pattern, log) != 0) == is_wanted ||
	    fail(r, is_wanted ? "this is not in the log" :
	    "this is in the log", pattern,
	    bytes_skip(log, log.n > 1500 ? log.n - 1500 : 0));
}

/* "N PATTERN". */
static bool
do_count(struct run *r, struct bytes rest, struct bytes text)
{
	struct bytes word = next_word(&rest);
	unsigned long n = strtoul((const char *)word.p, NULL, 10);

	return count_lines(rest, text) == n ||
	    fail(r, "not that many lines", rest, text);
}

/* ---- what an actor does ---------------------------------------------------- */

static bool
do_connect(struct run *r, struct actor *a, struct bytes rest)
{
	struct config_addr from;
	struct bytes word = next_word(&rest);

	if (!read_addr(word.n == 0 ? BYTES_LIT("192.0.2.1:4025") : word, &from))
		return fail(r, "no address", word, nothing);
	a->wire = world_connect(site_listener(is(rest, "second") ? 1 : 0),
	    &from);
	return true;
}

static bool
do_accept(struct run *r, struct actor *a, struct bytes name, bool is_wanted)
{
	struct hop *h = hop_find(r, name);
	struct wire *w;

	if (h == NULL)
		return fail(r, "no such hop", name, nothing);
	w = world_accept(&h->at);
	if ((w != NULL) != is_wanted)
		return fail(r, w == NULL ? "nobody connected" :
		    "somebody connected", name, nothing);
	a->wire = w;
	return true;
}

static bool
do_expect(struct run *r, struct actor *a, struct bytes pattern, bool can_skip)
{
	struct bytes all = {a->wire->out, a->wire->n_out};
	struct bytes line;
	bool is_it;

	while ((line = wire_line(a->wire)).n != 0) {
		is_it = text_fits(pattern, bytes_first(line, line.n - 2));
		if (!is_it && !can_skip)
			return fail(r, "another line", pattern, line);
		wire_drop(a->wire, line.n);
		if (is_it)
			return true;
	}
	return fail(r, "no such line", pattern, all);
}

static bool
do_quiet(struct run *r, struct actor *a, bool is_closed)
{
	struct wire *w = a->wire;

	if (w->n_out != 0)
		return fail(r, "something came", nothing,
		    (struct bytes){w->out, w->n_out});
	if (w->is_closed != is_closed)
		return fail(r, is_closed ? "it is still open" : "it is closed",
		    nothing, nothing);
	return true;
}

static bool
do_raw(struct run *r, struct actor *a, struct bytes text, bool is_line)
{
	size_t cap = 4U << 20;
	uint8_t *octets = malloc(cap);
	struct buf b = {octets, 0, cap, false};
	bool is_good;

	assert(octets != NULL);
	if (is_line) {
		buf_add(&b, text);
		buf_add(&b, BYTES_LIT("\r\n"));
		is_good = true;
	} else {
		is_good = text_unescape(text, &b);
	}
	wire_send(a->wire, buf_bytes(&b));
	free(octets);
	return is_good || fail(r, "bad escape", text, nothing);
}

static bool
do_mail(struct run *r, struct actor *a, struct bytes kind)
{
	struct buf b = {malloc(MESSAGE_MAX), 0, MESSAGE_MAX, false};
	bool is_good;

	assert(b.p != NULL);
	is_good = message_make(kind, &b);
	wire_send(a->wire, buf_bytes(&b));
	free(b.p);
	return is_good || fail(r, "no such message", kind, nothing);
}

/* What another one took, as it was sent, and its dot. */
static bool
do_replay(struct run *r, struct actor *a, struct bytes name)
{
	const struct actor *other = actor_find(r, name);

	wire_send(a->wire, (struct bytes){other->content, other->n_content});
	wire_send(a->wire, BYTES_LIT(".\r\n"));
	return true;
}

/* "OTHER WORDS": something that was made of what another one took. */
static bool
do_make(struct run *r, struct actor *a, struct bytes rest,
    bool (*make)(struct bytes, struct bytes, struct buf *))
{
	const struct actor *other = actor_find(r, next_word(&rest));
	struct buf b = {malloc(MESSAGE_MAX), 0, MESSAGE_MAX, false};
	bool is_good;

	assert(b.p != NULL);
	is_good = make((struct bytes){other->content,
	    other->n_content}, rest, &b);
	wire_send(a->wire, buf_bytes(&b));
	wire_send(a->wire, BYTES_LIT(".\r\n"));
	free(b.p);
	return is_good || fail(r, "no such words", rest, nothing);
}

static bool
do_content(struct run *r, struct actor *a)
{
	struct bytes all = {a->wire->out, a->wire->n_out};
	size_t n = bytes_find(all, BYTES_LIT("\r\n.\r\n"));

	if (n == all.n)
		return fail(r, "no message up to its dot", nothing, all);
	free(a->content);
	a->content = malloc(n + 2);
	assert(a->content != NULL);
	memcpy(a->content, all.p, n + 2);
	a->n_content = n + 2;
	wire_drop(a->wire, n + 5);
	return true;
}

static void
keep(struct actor *a, struct bytes octets)
{
	free(a->content);
	a->content = malloc(octets.n + 1);
	assert(a->content != NULL);
	memcpy(a->content, octets.p, octets.n);
	a->n_content = octets.n;
}

/* The oldest message of the queue, head and all. */
static bool
do_queued(struct run *r, struct actor *a)
{
	struct bytes file = scenario_queue_take(true);

	keep(a, file);
	return file.n != 0 ||
	    fail(r, "there is no message in the queue", nothing, nothing);
}

/* "FILE N": the N-th copy of one, as it would leave. */
static bool
do_copy(struct run *r, struct actor *a, struct bytes rest)
{
	const struct actor *of = actor_find(r, next_word(&rest));
	struct bytes file = {of->content, of->n_content};
	struct buf out = {malloc(2 * file.n + 8), 0, 2 * file.n + 8, false};
	bool is_good;

	assert(out.p != NULL);
	is_good = scenario_queue_copy(file,
	    strtoul((const char *)rest.p, NULL, 10), &out);
	keep(a, buf_bytes(&out));
	free(out.p);
	return is_good || fail(r, "no such copy", rest, file);
}

static bool
do_has(struct run *r, struct actor *a, struct bytes pattern, bool is_wanted)
{
	struct bytes all = {a->content, a->n_content};

	return (count_lines(pattern, all) != 0) == is_wanted ||
	    fail(r, is_wanted ? "it has no such line" : "it has this line",
	    pattern, all);
}

static bool
do_same(struct run *r, const struct actor *a, struct bytes name)
{
	const struct actor *other = actor_find(r, name);
	struct bytes is = {a->content, a->n_content};
	struct bytes was = {other->content, other->n_content};

	return (is.n != 0 && bytes_eq(is, was)) ||
	    fail(r, "another content", was, is);
}

static bool
do_verify(struct run *r, struct actor *a, struct bytes rest)
{
	struct bytes state = next_word(&rest);
	struct buf message = {malloc(a->n_content + 1), 0, a->n_content + 1,
	    false};
	char path[2][320], said[600];
	struct buf b = BUF_ON(said);

	assert(message.p != NULL);
	for (unsigned k = 0; k < 2; k++) {
		struct bytes word = next_word(&rest);

		snprintf(path[k], sizeof(path[k]), "%.*s", BYTES_FMT(word));
	}
	text_undot((struct bytes){a->content, a->n_content}, &message);
	site_verify(buf_bytes(&message), path[0], path[1], &b);
	free(message.p);
	return bytes_starts(buf_bytes(&b), state) ||
	    fail(r, "another verdict", state, buf_bytes(&b));
}

static bool
act(struct run *r, struct bytes name, struct bytes verb, struct bytes rest)
{
	struct actor *a = actor_find(r, name);

	if (is(verb, "connect"))
		return do_connect(r, a, rest);
	if (is(verb, "accept"))
		return do_accept(r, a, rest, true);
	if (is(verb, "none"))
		return do_accept(r, a, rest, false);
	if (is(verb, "queued"))
		return do_queued(r, a);
	if (is(verb, "copy"))
		return do_copy(r, a, rest);
	if (is(verb, "has") || is(verb, "lacks"))
		return do_has(r, a, rest, is(verb, "has"));
	if (is(verb, "count"))
		return do_count(r, rest,
		    (struct bytes){a->content, a->n_content});
	if (is(verb, "same-as"))
		return do_same(r, a, rest);
	if (is(verb, "verifies"))
		return do_verify(r, a, rest);
	if (a->wire == NULL)
		return fail(r, "it has no connection", name, nothing);
	if (is(verb, ">") || is(verb, ">>"))
		return do_raw(r, a, rest, verb.n == 1);
	if (is(verb, "<") || is(verb, "..."))
		return do_expect(r, a, rest, verb.n != 1);
	if (is(verb, "quiet") || is(verb, "closed"))
		return do_quiet(r, a, is(verb, "closed"));
	if (is(verb, "mail"))
		return do_mail(r, a, rest);
	if (is(verb, "replays"))
		return do_replay(r, a, rest);
	if (is(verb, "passes"))
		return do_make(r, a, rest, manager_make);
	if (is(verb, "bounces"))
		return do_make(r, a, rest, bounce_make);
	if (is(verb, "content"))
		return do_content(r, a);
	if (is(verb, "window"))
		a->wire->window = strtoul((const char *)rest.p, NULL, 10);
	else if (is(verb, "fails"))
		a->wire->fails_at = (unsigned)strtoul((const char *)rest.p,
		    NULL, 10);
	else if (is(verb, "fin"))
		a->wire->has_fin = true;
	else if (is(verb, "reset"))
		a->wire->is_reset = true;
	else
		return fail(r, "no such step", verb, nothing);
	return true;
}

/* ---- lines ----------------------------------------------------------------- */

/* Lines that follow and are indented belong to it. */
static bool
open_block(struct run *r, struct bytes word, struct bytes rest)
{
	if (is(word, "with")) {
		r->word = words_add(&r->words, rest);
		return true;
	}
	r->block = is(word, "config") ? &r->listeners :
	    is(word, "top") ? &r->top : is(word, "dns") ? &r->dns : NULL;
	if (r->block == NULL)
		return false;
	assert(!r->has_begun);	/* nobody would read it */
	r->block->n = 0;
	return true;
}

static bool run_lines(struct run *r, struct bytes text, unsigned first);

static bool
do_word(struct run *r, const struct word *word, struct bytes line)
{
	char octets[BLOCK];
	struct buf b = BUF_ON(octets);
	unsigned no = r->line;
	struct bytes lines;
	bool is_good;

	words_expand(word, line, &b);
	lines = arena_copy(r->arena, buf_bytes(&b));	/* names live on */
	assert(!b.full && lines.p != NULL && r->n_deep < DEEP);
	r->n_deep++;
	is_good = run_lines(r, lines, no);
	r->n_deep--;
	if (!is_good)
		buf_printf(r->why, "\n  of:       %.*s", BYTES_FMT(line));
	r->line = no;
	return is_good;
}

static bool
step(struct run *r, struct bytes line)
{
	struct bytes rest = line;
	struct bytes word = next_word(&rest);
	const struct word *w = words_find(&r->words, word);

	if (w != NULL)
		return do_word(r, w, line);
	if (open_block(r, word, rest))
		return true;
	if (!begin(r))
		return false;
	r->is_held = is(word, "+");
	if (r->is_held)
		word = next_word(&rest);
	if (is(word, "hop"))
		return do_hop(r, rest);
	if (is(word, "pass"))
		return do_pass(r, rest);
	if (is(word, "order") || is(word, "no-order"))
		return do_order(r, rest, is(word, "order"));
	if (is(word, "signer"))
		return do_signer(r, rest);
	if (is(word, "memory") || is(word, "arrivals") || is(word, "copies"))
		return do_keeper(r, word, rest);
	if (is(word, "queue"))
		return do_queue(r, rest);
	if (is(word, "log") || is(word, "nolog"))
		return do_log(r, rest, word.n == 3);
	if (is(word, "logs"))
		return do_count(r, rest, world_log());
	if (is(word, "drain") || is(word, "leave")) {
		is(word, "drain") ? site_drain() : site_leave();
		return true;
	}
	return act(r, word, next_word(&rest), rest);
}

/* first  number of the first line; those of a word have that of its line */
static bool
run_lines(struct run *r, struct bytes text, unsigned first)
{
	for (r->line = first; text.n != 0; r->line += r->n_deep == 0) {
		struct bytes line = next_line(&text);

		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (ascii_is_wsp(line.p[0]) && r->word != NULL) {
			if (r->word->lines.n == 0)
				r->word->lines.p = line.p;
			r->word->lines.n = (size_t)(text.p -
			    r->word->lines.p);
			continue;
		}
		if (ascii_is_wsp(line.p[0]) && r->block != NULL) {
			/* at top level nothing is indented */
			buf_add(r->block, r->block != &r->top ? line :
			    bytes_skip(line, 2));
			buf_add_octet(r->block, '\n');
			continue;
		}
		r->block = NULL;
		r->word = NULL;
		r->at = line;
		if (!step(r, line))
			return false;
		if (r->has_begun && !r->is_held)
			world_run();
	}
	return true;
}

bool
scenario_run(const struct scenario *s, struct buf *why)
{
	struct run *r = calloc(1, sizeof(*r));
	const char *left = NULL;
	bool is_good;

	assert(r != NULL);
	r->arena = arena_new(4U << 20);
	assert(r->arena != NULL);
	r->s = s;
	r->why = why;
	r->listeners = BUF_ON(r->listeners_octets);
	r->top = BUF_ON(r->top_octets);
	r->dns = BUF_ON(r->dns_octets);
	is_good = run_lines(r, s->words, 1) && run_lines(r, s->common, 1) &&
	    run_lines(r, s->text, s->line);
	if (r->has_begun)
		left = site_end();
	if (is_good && left != NULL)
		is_good = fail(r, left, nothing, world_log());
	for (size_t k = 0; k < r->n_actors; k++)
		free(r->actors[k].content);
	arena_free(&r->arena);
	free(r);
	return is_good;
}

size_t
scenario_split(const char *file, struct bytes text, struct scenario *list,
    size_t max)
{
	struct bytes rest = text;
	struct bytes common = text;
	size_t n = 0;

	for (unsigned line = 1; rest.n != 0; line++) {
		const uint8_t *at = rest.p;
		struct bytes words = next_line(&rest);

		if (!bytes_starts(words, BYTES_LIT("== ")))
			continue;
		assert(n < max);
		if (n == 0)
			common = bytes_first(text, (size_t)(at - text.p));
		else
			list[n - 1].text.n = (size_t)(at - list[n - 1].text.p);
		list[n] = (struct scenario){.file = file, .line = line + 1,
		    .text = rest, .common = common};
		snprintf(list[n].title, sizeof(list[n].title), "%.*s",
		    BYTES_FMT(bytes_skip(words, 3)));
		n++;
	}
	return n;
}
