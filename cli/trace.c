#include "cli/trace.h"

#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define MEMORY_MAX (512U << 20)		/* octets of lines that are kept */
#define FILES_MAX 256U
#define FOUND_MAX 1000U			/* messages that are listed */
#define PLACES (1U << 16)		/* of the index by id */
#define ABSENT 1

enum { BY_MESSAGE_ID = 1, BY_FROM = 2, BY_TO = 4 };

/* What is asked for, and what was found of it. */
struct trace {
	struct trace_source source;
	struct bytes id;		/* family; n == 0: by the others */
	struct bytes message_id, from, to;	/* escaped, without < > */
	unsigned wanted;
	struct arena *arena;		/* of what is kept */
	struct arena *line;		/* of one line */
	struct trace_message *first, *last;
	struct trace_message *index[PLACES];
	size_t n_found;
	bool is_gathering;
	bool is_full;
};

static const struct args_known known[] = {
	{"log", false}, {"unit", false}, {"message-id", false},
	{"from", false}, {"to", false}, {"since", false}, {"json", true},
	{NULL, false},
};

static unsigned
place(struct bytes id)
{
	unsigned h = 2166136261U;

	for (size_t k = 0; k < id.n; k++)
		h = (h ^ id.p[k]) * 16777619U;
	return h % PLACES;
}

static struct trace_message *
find(const struct trace *t, struct bytes id)
{
	struct trace_message *m = t->index[place(id)];

	while (m != NULL && !bytes_eq(m->id, id))
		m = m->same;
	return m;
}

static struct trace_message *
find_or_add(struct trace *t, struct bytes id)
{
	struct trace_message *m = find(t, id);

	if (m != NULL)
		return m;
	m = arena_alloc(t->arena, sizeof(*m));
	if (m == NULL || (m->id = arena_copy(t->arena, id)).p == NULL) {
		t->is_full = true;
		return NULL;
	}
	m->same = t->index[place(id)];
	t->index[place(id)] = m;
	if (t->last == NULL)
		t->first = m;
	else
		t->last->next = m;
	t->last = m;
	return m;
}

static bool
is_before(const struct trace *t, const struct logline *l)
{
	return t->source.since_ms >= 0 && l->time_ms >= 0 &&
	    l->time_ms < t->source.since_ms;
}

/* ---- which messages ---- */

static bool
has(const struct logline *l, const char *key, struct bytes value)
{
	return bytes_case_eq(logline_get(l, key), value) &&
	    logline_get(l, key).p != NULL;
}

static unsigned
found_in(const struct trace *t, const struct logline *l)
{
	unsigned found = 0;

	if ((t->wanted & BY_MESSAGE_ID) != 0 &&
	    has(l, "message-id", t->message_id))
		found |= BY_MESSAGE_ID;
	if ((t->wanted & BY_FROM) != 0 && has(l, "from", t->from))
		found |= BY_FROM;
	if ((t->wanted & BY_TO) != 0 && (has(l, "to", t->to) ||
	    has(l, "orig_to", t->to)))
		found |= BY_TO;
	return found;
}

static bool
look(void *arg, struct bytes line)
{
	struct trace *t = arg;
	struct trace_message *m;
	struct logline l;
	unsigned found;

	arena_reset(t->line);
	if (!logline_parse(line, t->line, &l) || l.id.n == 0 ||
	    is_before(t, &l))
		return true;
	found = found_in(t, &l);
	if (found == 0)
		return true;
	m = find_or_add(t, l.id);
	if (m == NULL)
		return false;
	if (m->found != t->wanted && (m->found | found) == t->wanted)
		t->n_found++;
	m->found |= found;
	return true;
}

/* Reports that came back about the message that is asked for. */
static bool
look_about(void *arg, struct bytes line)
{
	struct trace *t = arg;
	struct trace_message *m;
	struct logline l;

	arena_reset(t->line);
	if (bytes_find(line, BYTES_LIT("about")) == line.n ||
	    !logline_parse(line, t->line, &l) || l.id.n == 0 ||
	    !bytes_eq(trace_family(logline_get(&l, "about")), t->id))
		return true;
	m = find_or_add(t, l.id);
	if (m != NULL)
		m->found = t->wanted;
	return m != NULL;
}

/* ---- all that is told of them ---- */

static bool
is_told_of(struct trace *t, struct bytes id)
{
	struct trace_message *m = find(t, id);

	if (m != NULL && m->found == t->wanted)
		return true;
	return t->id.n != 0 && bytes_eq(trace_family(id), t->id);
}

static bool
gather(void *arg, struct bytes line)
{
	struct trace *t = arg;
	struct trace_line *k;
	struct trace_message *m;
	struct logline l;
	struct bytes copy, report;

	arena_reset(t->line);
	if (!logline_parse(line, t->line, &l) || l.id.n == 0 ||
	    is_before(t, &l) || !is_told_of(t, l.id))
		return true;
	m = find_or_add(t, l.id);
	k = arena_alloc(t->arena, sizeof(*k));
	copy = arena_copy(t->arena, line);
	if (m == NULL || k == NULL || copy.p == NULL ||
	    !logline_parse(copy, t->arena, &k->l)) {
		t->is_full = true;
		return false;
	}
	m->found = t->wanted;
	if (m->last == NULL)
		m->first = k;
	else
		m->last->next = k;
	m->last = k;
	report = logline_get(&k->l, "report");
	if (t->id.n != 0 && logline_is_id(report) &&
	    (m = find_or_add(t, report)) != NULL)
		m->found = t->wanted;
	return true;
}

/* ---- the verb ---- */

/* As it is logged: without < >, escaped. */
static bool
set_asked(struct trace *t, const char *value, struct bytes *out)
{
	struct bytes b;
	struct buf w;

	if (value == NULL)
		return true;
	b = bytes_of(value);
	if (b.n >= 2 && b.p[0] == '<' && b.p[b.n - 1] == '>')
		b = bytes_first(bytes_skip(b, 1), b.n - 2);
	if (arena_room(t->arena, 4 * b.n + 4, &w) != 0)
		return false;
	logline_escape(b, b.n, &w);
	*out = buf_bytes(&w);
	return true;
}

static int
set_source(struct trace *t, const struct args *a, size_t n_words)
{
	static const char *files[FILES_MAX];
	const char *since = args_get(a, "since"), *unit = args_get(a, "unit");
	size_t n = args_all(a, "log", files, FILES_MAX);

	for (size_t k = n_words; k < a->n_words; k++) {
		if (n == 0 || n == FILES_MAX)
			return cli_fail(CLI_USAGE, "trace: one too many: %s",
			    a->words[k]);
		files[n++] = a->words[k];
	}
	t->source = (struct trace_source){.files = files, .n_files = n,
	    .unit = unit == NULL ? "hopseald" : unit, .since_ms = -1};
	if (since == NULL)
		return 0;
	t->source.since_ms = trace_since(since, (int64_t)time(NULL) * 1000);
	return t->source.since_ms >= 0 ? 0 : cli_fail(CLI_USAGE, "trace: "
	    "--since: %s is no time; 2h, 3d, 2026-11-26, or "
	    "\"2026-11-26 23:30\"", since);
}

static int
set_question(struct trace *t, const struct args *a)
{
	const char *by[] = {args_get(a, "message-id"), args_get(a, "from"),
	    args_get(a, "to")};
	bool is_by = by[0] != NULL || by[1] != NULL || by[2] != NULL;
	struct bytes id;

	if (!set_asked(t, by[0], &t->message_id) ||
	    !set_asked(t, by[1], &t->from) || !set_asked(t, by[2], &t->to))
		return cli_fail(CLI_CANNOT, "out of memory");
	t->wanted = (by[0] != NULL ? BY_MESSAGE_ID : 0) |
	    (by[1] != NULL ? BY_FROM : 0) | (by[2] != NULL ? BY_TO : 0);
	if (is_by)
		return set_source(t, a, 0);
	if (a->n_words == 0)
		return cli_fail(CLI_USAGE, "trace: which? an ID, --message-id, "
		    "--from or --to; see hopseal help trace");
	id = bytes_of(a->words[0]);
	if (!logline_is_id(id))
		return cli_fail(CLI_USAGE, "trace: %s is no id of a message; "
		    "it has 12 or more digits and small letters, as log, "
		    "Received and our reply have it", a->words[0]);
	t->id = trace_family(id);
	return set_source(t, a, 1);
}

static int
tell(const struct trace *t, bool is_json)
{
	bool is_list = t->id.n == 0 && t->n_found > 1, has_any = false;

	for (const struct trace_message *m = t->first; m != NULL;
	    m = m->next) {
		if (m->first == NULL)
			continue;
		if (is_json)
			trace_story_json(m);
		else if (is_list)
			trace_story_brief(m);
		else
			trace_story_text(m);
		has_any = true;
	}
	if (has_any)
		return CLI_OK;
	return cli_fail(ABSENT, "trace: the log tells nothing of it%s",
	    t->source.since_ms >= 0 ? " since then" : "");
}

static int
trace(struct trace *t, bool is_json)
{
	int code = 0;

	if (t->wanted != 0) {
		code = trace_source_read(&t->source, look, t);
		if (code == 0 && t->n_found > FOUND_MAX)
			return cli_fail(CLI_CANNOT, "trace: %zu messages: ask "
			    "for fewer, with --since", t->n_found);
		if (code == 0 && t->n_found == 1)	/* and its reports */
			for (struct trace_message *m = t->first; m != NULL;
			    m = m->next)
				if (m->found == t->wanted)
					t->id = trace_family(m->id);
	}
	if (code == 0 && t->id.n != 0) {
		(void)find_or_add(t, t->id);	/* it is told first */
		code = trace_source_read(&t->source, look_about, t);
	}
	if (code == 0 && (t->wanted == 0 || t->n_found != 0))
		code = trace_source_read(&t->source, gather, t);
	if (t->is_full)
		return cli_fail(CLI_CANNOT, "trace: too many lines: ask for "
		    "fewer, with --since");
	return code != 0 ? code : tell(t, is_json);
}

int
cli_trace(int argc, char **argv)
{
	static struct trace t;
	struct args a;
	int code;

	t.arena = arena_new(MEMORY_MAX);
	t.line = arena_new(8 * LOGLINE_MAX);
	code = t.arena == NULL || t.line == NULL
	    ? cli_fail(CLI_CANNOT, "out of memory")
	    : args_parse(&a, argc, argv, known, FILES_MAX, t.arena);
	if (code == 0)
		code = set_question(&t, &a);
	if (code == 0)
		code = trace(&t, args_get(&a, "json") != NULL);
	if (t.source.kept != NULL)
		fclose(t.source.kept);
	arena_free(&t.line);
	arena_free(&t.arena);
	return code;
}
