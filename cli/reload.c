#include "cli/cli.h"
#include "cli/control_ask.h"

#define ARENA ((size_t)32 << 20)

static const struct args_known known[] = {
	CONTROL_OPTIONS, {NULL, false},
};

/* Each error and warning as hopseald logged it. */
static void
put_lines(struct bytes lines)
{
	while (lines.n != 0) {
		fputs("hopseal: ", stderr);
		control_put(stderr, bytes_cut(&lines, '\n'));
		putc('\n', stderr);
	}
}

static int
run(int argc, char **argv, struct arena *a)
{
	static const char *const words[] = {"reload"};
	struct control_answer answer;
	const char *state;
	struct args args;
	int r = args_parse(&args, argc, argv, known, 0, a);

	if (r == 0)
		r = control_state(&state, &args, a);
	if (r == 0)
		r = control_ask(&answer, state, words, 1, a);
	if (r != 0)
		return r;
	put_lines(answer.text);
	if (!answer.is_ok) {
		(void)control_refused("reload", answer.what);
		return CLI_CONFIG;
	}
	puts("reload: the new configuration is in use");
	return CLI_OK;
}

int
cli_reload(int argc, char **argv)
{
	struct arena *a = arena_new(ARENA);
	int r;

	if (a == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	r = run(argc, argv, a);
	arena_free(&a);
	return r;
}
