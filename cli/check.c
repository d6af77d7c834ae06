#include "cli/check.h"

#include "base/err.h"
#include "cli/cli.h"

#include <time.h>

static const struct args_known options[] = {
	CHECK_OPTIONS,
	{NULL, false},
};

/* Both halves, or none. */
static int
read_envelope(struct check *c, const struct args *args)
{
	const char *from = args_get(args, "mail-from");
	const char **rcpts = arena_array(c->arena, args->n_pairs + 1,
	    sizeof(*rcpts));
	struct bytes *paths = arena_array(c->arena, args->n_pairs + 1,
	    sizeof(*paths));
	size_t n;

	if (rcpts == NULL || paths == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	n = args_all(args, "rcpt-to", rcpts, args->n_pairs);
	if ((from == NULL) != (n == 0))
		return cli_fail(CLI_USAGE,
		    "--mail-from and --rcpt-to come together");
	if (from == NULL)
		return 0;
	for (size_t k = 0; k < n; k++)
		paths[k] = input_path(rcpts[k], c->arena);
	c->envelope = (struct dkim2_envelope){input_path(from, c->arena),
	    paths, n};
	c->has_envelope = true;
	return 0;
}

static int
read_time(struct check *c, const struct args *args)
{
	const char *text = args_get(args, "time");
	uint64_t t;

	c->now_s = (int64_t)time(NULL);
	if (text == NULL)
		return 0;
	if (!bytes_number(bytes_of(text), INT64_MAX, &t))
		return cli_fail(CLI_USAGE, "--time: seconds since 1970");
	c->now_s = (int64_t)t;
	return 0;
}

/* Header and body; what is then missing are keys. */
static int
feed(struct check *c)
{
	struct dkim2_verify_options opts = {
		.now_s = c->now_s,
		.envelope = c->has_envelope ? &c->envelope : NULL,
	};
	int r = dkim2_verify_new(&c->v, c->arena, &opts);

	if (r == 0)
		r = dkim2_verify_header(c->v, &c->message.fields);
	if (r == 0)
		r = dkim2_verify_body(c->v, c->message.body);
	if (r == 0)
		r = dkim2_verify_end(c->v, c->message.body);
	return r;
}

static int
answer_absent(struct check *c)
{
	const struct bytes *names;
	size_t n = dkim2_verify_wants(c->v, &names);
	int r = 0;

	for (size_t k = 0; k < n && r == 0; k++)
		r = dkim2_verify_answer(c->v, k, DKIM2_KEY_ABSENT, NULL, 0);
	return r;
}

static int
finish(struct check *c)
{
	if (dkim2_verify_step(c->v) != DKIM2_DONE)
		return cli_fail(CLI_CANNOT, "the verifier did not end");
	c->result = dkim2_verify_result(c->v);
	return 0;
}

/* lookup_answer; the record is kept for who wants to try things with it. */
static int
answer(void *asker, size_t k, enum dkim2_key found,
    const struct bytes *records, size_t n)
{
	struct check *c = asker;

	if (found == DKIM2_KEY_TXT && n == 1 && c->keys[k].record.p == NULL) {
		c->keys[k].record = arena_copy(c->arena, records[0]);
		if (c->keys[k].record.p == NULL)
			return -E_NOMEM;
	}
	return dkim2_verify_answer(c->v, k, found, records, n);
}

static int
wanted(struct check *c, struct lookup *l)
{
	*l = (struct lookup){.answer = answer, .asker = c};
	l->n_names = c->n_keys = dkim2_verify_wants(c->v, &l->names);
	c->keys = arena_array(c->arena, c->n_keys, sizeof(c->keys[0]));
	if (c->keys == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	for (size_t k = 0; k < c->n_keys; k++)
		c->keys[k].name = l->names[k];
	return 0;
}

int
check_message(struct check *c, const char *dns)
{
	struct lookup l;
	int r = feed(c);

	if (r == 0 && dns == NULL)
		r = answer_absent(c);
	if (r != 0)
		return cli_fail(CLI_CANNOT, "%s", err_text(r));
	r = wanted(c, &l);
	if (r == 0 && dns != NULL)
		r = lookup_file(&l, dns, c->arena);
	return r != 0 ? r : finish(c);
}

int
check_begin(struct check *c, int argc, char **argv)
{
	return check_begin_with(c, argc, argv, options);
}

int
check_begin_with(struct check *c, int argc, char **argv,
    const struct args_known *known)
{
	int r;

	*c = (struct check){.arena = arena_new(INPUT_ARENA)};
	if (c->arena == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	r = args_parse(&c->args, argc, argv, known, 1, c->arena);
	if (r == 0)
		r = read_envelope(c, &c->args);
	if (r == 0)
		r = read_time(c, &c->args);
	if (r != 0)
		return r;
	c->dns = args_get(&c->args, "dns");
	c->resolver = args_get(&c->args, "resolver");
	return input_message_load(&c->message,
	    c->args.n_words == 0 ? NULL : c->args.words[0], c->arena);
}

int
check_look_up(const struct check *c, const struct lookup *l)
{
	if (c->dns != NULL)
		return lookup_file(l, c->dns, c->arena);
	return lookup_dns(l, c->resolver, c->arena);
}

int
check_run(struct check *c, int argc, char **argv)
{
	return check_run_with(c, argc, argv, options);
}

int
check_run_with(struct check *c, int argc, char **argv,
    const struct args_known *known)
{
	struct lookup l;
	int r = check_begin_with(c, argc, argv, known);

	if (r != 0 || !c->message.is_message)
		return r;
	r = feed(c);
	if (r != 0)
		return cli_fail(CLI_CANNOT, "%s", err_text(r));
	r = wanted(c, &l);
	if (r == 0)
		r = check_look_up(c, &l);
	return r != 0 ? r : finish(c);
}

void
check_fini(struct check *c)
{
	dkim2_verify_fini(c->v);
	input_message_fini(&c->message);
	arena_free(&c->arena);
}

int
check_exit(enum dkim2_state s)
{
	switch (s) {
	case DKIM2_PASS:
		return 0;
	case DKIM2_FAIL:
		return 1;
	case DKIM2_PERMERROR:
		return 2;
	case DKIM2_TEMPERROR:
		return 3;
	case DKIM2_NONE:
		break;
	}
	return 4;
}
