#include "cli/status.h"

#include <stdio.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/control_ask.h"
#include "cli/jsonout.h"

#define ARENA ((size_t)128 << 20)

static const struct args_known known[] = {
	CONTROL_OPTIONS, {"json", true}, {NULL, false},
};

/* ---- JSON ---------------------------------------------------------------- */

/* Of these there is one; of any other kind a list. */
static const char *const singles[] = {"hopseald", "reload", "queue", "copies", "store",
    "keys"};

static bool
is_single(struct bytes kind)
{
	for (size_t k = 0; k < sizeof(singles) / sizeof(singles[0]); k++)
		if (bytes_eq(kind, bytes_of(singles[k])))
			return true;
	return false;
}

static void
put_line(const struct status_line *l)
{
	putchar('{');
	for (size_t k = 0; k < l->n; k++) {
		const struct status_field *f = l->fields + k;

		if (k != 0)
			putchar(',');
		json_put_string(stdout, f->name);
		putchar(':');
		if (f->is_number)
			printf("%.*s", BYTES_FMT(f->text));
		else
			json_put_string(stdout, f->text);
	}
	putchar('}');
}

/* All lines of the kind of one, which is the first of them. */
static void
put_kind(const struct status *s, size_t at)
{
	struct bytes kind = s->lines[at].kind;

	json_put_string(stdout, kind);
	putchar(':');
	if (is_single(kind)) {
		put_line(s->lines + at);
		return;
	}
	for (size_t k = at; k < s->n; k++) {
		if (!bytes_eq(s->lines[k].kind, kind))
			continue;
		putchar(k == at ? '[' : ',');
		put_line(s->lines + k);
	}
	putchar(']');
}

static bool
is_first(const struct status *s, size_t at)
{
	for (size_t k = 0; k < at; k++)
		if (bytes_eq(s->lines[k].kind, s->lines[at].kind))
			return false;
	return true;
}

void
status_put_json(const struct status *s)
{
	bool is_any = false;

	putchar('{');
	for (size_t k = 0; k < s->n; k++) {
		if (!is_first(s, k))
			continue;
		if (is_any)
			putchar(',');
		put_kind(s, k);
		is_any = true;
	}
	puts("}");
}

/* ---- the verb ------------------------------------------------------------- */

static int
run(int argc, char **argv, struct arena *a)
{
	static const char *const words[] = {"status"};
	struct control_answer answer;
	const char *state;
	struct args args;
	struct status s;
	int r = args_parse(&args, argc, argv, known, 0, a);

	if (r == 0)
		r = control_state(&state, &args, a);
	if (r == 0)
		r = control_ask(&answer, state, words, 1, a);
	if (r != 0)
		return r;
	if (!answer.is_ok)
		return control_refused("status", answer.what);
	if (status_read(&s, answer.text, a) != 0)
		return cli_fail(CLI_CANNOT, "out of memory");
	if (args_get(&args, "json") == NULL)
		return status_put(&s, (int64_t)time(NULL), a);
	status_put_json(&s);
	return CLI_OK;
}

int
cli_status(int argc, char **argv)
{
	struct arena *a = arena_new(ARENA);
	int r;

	if (a == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	r = run(argc, argv, a);
	arena_free(&a);
	return r;
}
