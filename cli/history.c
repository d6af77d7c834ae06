#include "dkim2/history.h"

#include "cli/cli.h"
#include "cli/input.h"

#include "base/err.h"

#include <stdio.h>

static const struct args_known known[] = {
	{"i", false},
	{NULL, false},
};

static int
refuse(const char *what, const struct dkim2_verdict *v)
{
	char text[1024];
	struct buf out = BUF_ON(text);

	dkim2_verdict_text(v, &out);
	return cli_fail(CLI_CANNOT, "history: %s: %.*s", what,
	    BYTES_FMT(buf_bytes(&out)));
}

/* Why there is no chain, in the words of the draft. */
static int
refuse_chain(const struct input_message *m, struct arena *a)
{
	struct dkim2_limits limits;
	struct reason_list faults;
	struct chain c;

	dkim2_limits_default(&limits);
	if (reason_list_init(&faults, chain_faults_max(&m->fields, &limits),
	    a) != 0 ||
	    chain_read(&c, &m->fields, &limits, a, &faults) != 0 ||
	    faults.n == 0)
		return cli_fail(CLI_CANNOT, "out of memory");
	return refuse("the message has no chain of signatures", &faults.v[0]);
}

/* Says whether what hop i sent can be had, and is what it signed. */
static int
check(const struct history *h, uint64_t i)
{
	const struct history_state *state;
	const struct signature *s;

	if (i == 0 || i > h->chain.n_signatures)
		return cli_fail(CLI_CANNOT, "history: there is no signature "
		    "i=%llu, the chain has %zu", (unsigned long long)i,
		    h->chain.n_signatures);
	s = &h->chain.signatures[i - 1];
	if (s->fault.state != DKIM2_PASS)
		return refuse("that signature does not read", &s->fault);
	state = &h->states[s->m - 1];
	if (!state->is_known || !state->is_checked)
		return refuse("its instance cannot be rebuilt", &h->lost);
	if (state->verdict.state != DKIM2_PASS)
		return refuse("this is not what that hop saw, it was changed "
		    "since (hopseal explain says where)", &state->verdict);
	return 0;
}

/* With the line ends of the file. */
static void
put(const struct input_message *m, struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		if (!m->is_lf || b.p[k] != '\r' || k + 1 == b.n ||
		    b.p[k + 1] != '\n')
			putchar(b.p[k]);
}

static int
run(int argc, char **argv, struct arena *a, struct input_message *m)
{
	struct args args;
	struct history h;
	struct bytes header;
	const char *number;
	uint64_t i = 0;
	int r = args_parse(&args, argc, argv, known, 1, a);

	if (r != 0)
		return r;
	number = args_get(&args, "i");
	if (number == NULL ||
	    !bytes_number(bytes_of(number), UINT32_MAX, &i))
		return cli_fail(CLI_USAGE, "history -i N [MESSAGE]: N is the "
		    "number of a signature");
	r = input_message_load(m, args.n_words == 0 ? NULL : args.words[0],
	    a);
	if (r == 0 && !m->is_message)
		r = cli_fail(CLI_CANNOT,
		    "history: the header does not parse");
	if (r != 0)
		return r;
	r = history_read(&h, &m->fields, m->body, a);
	if (r != 0)
		return cli_fail(CLI_CANNOT, "%s", err_text(r));
	if (h.n_states == 0)
		return refuse_chain(m, a);
	r = check(&h, i);
	if (r != 0)
		return r;
	r = history_header(&h, &m->fields, (size_t)i, a, &header);
	if (r != 0)
		return cli_fail(CLI_CANNOT, "%s", err_text(r));
	put(m, header);
	put(m, BYTES_LIT("\r\n"));
	put(m, h.states[h.chain.signatures[i - 1].m - 1].body);
	return 0;
}

int
cli_history(int argc, char **argv)
{
	struct arena *a = arena_new(INPUT_ARENA);
	struct input_message m = {.is_message = false};
	int r;

	if (a == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	r = run(argc, argv, a, &m);
	input_message_fini(&m);
	arena_free(&a);
	return r;
}
