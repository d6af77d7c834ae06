#include "cli/check.h"
#include "cli/cli.h"
#include "cli/input.h"
#include "cli/keyfile.h"
#include "cli/recipe.h"

#include "base/err.h"
#include "dkim2/canon.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MAX_KEYS 2
#define MAX_RECIPE ((size_t)1 << 20)

static const struct args_known known[] = {
	{"domain", false},
	{"selector", false},
	{"key", false},
	{"key2", false},
	{"selector2", false},
	{"join", false},
	{"mail-from", false},
	{"rcpt-to", false},
	{"next-domain", false},
	{"exploded", true},
	{"flags", false},
	{"nonce", false},
	{"hash", false},
	{"timestamp", false},
	{"recipe", false},
	{"original", false},
	{"proof-dns", false},
	{NULL, false},
};

struct job {
	struct arena *arena;
	struct args args;
	struct dkim2_private_key *keys[MAX_KEYS];
	struct dkim2_signing_key names[MAX_KEYS];
	struct dkim2_envelope envelope;
	struct dkim2_sign_options opts;
	struct bytes recipe;		/* freed */
	struct input_message message;
	struct input_message original;	/* as it came; where it is given */
	bool has_original;
};

static const char *
need(const struct job *j, const char *name, int *r)
{
	const char *value = args_get(&j->args, name);

	if (value == NULL && *r == 0)
		*r = cli_fail(CLI_USAGE, "sign: --%s is missing", name);
	return value;
}

static int
load_key(struct job *j, const char *selector, const char *path)
{
	size_t k = j->opts.n_keys;
	int r = keyfile_load(&j->keys[k], path, true);

	if (r != 0)
		return r;
	j->names[k].selector = bytes_of(selector);
	j->names[k].algorithm = dkim2_private_key_algorithm(j->keys[k]);
	j->opts.n_keys++;
	return 0;
}

static int
read_keys(struct job *j)
{
	const char *join = args_get(&j->args, "join");
	const char *domain, *selector, *key, *key2;
	int r = 0;

	domain = need(j, "domain", &r);
	selector = need(j, "selector", &r);
	key = need(j, "key", &r);
	if (r == 0)
		r = load_key(j, selector, key);
	if (r != 0)
		return r;
	j->opts.domain = bytes_of(domain);
	j->opts.keys = j->names;
	if (join != NULL && strcmp(join, "and") != 0 &&
	    strcmp(join, "or") != 0)
		return cli_fail(CLI_USAGE, "sign: --join and|or");
	j->opts.is_or = join != NULL && strcmp(join, "or") == 0;
	key2 = args_get(&j->args, "key2");
	if (key2 == NULL)
		return 0;
	selector = need(j, "selector2", &r);
	return r != 0 ? r : load_key(j, selector, key2);
}

static int
read_envelope(struct job *j)
{
	const char *next = args_get(&j->args, "next-domain");
	size_t max = j->args.n_pairs;
	const char **rcpts = arena_array(j->arena, max, sizeof(*rcpts));
	struct bytes *paths = arena_array(j->arena, max, sizeof(*paths));
	const char *from = args_get(&j->args, "mail-from");
	size_t n;

	if (rcpts == NULL || paths == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	n = args_all(&j->args, "rcpt-to", rcpts, max);
	if (next != NULL) {
		j->opts.next_domain = bytes_of(next);
		if (from == NULL && n == 0)
			return 0;
		return cli_fail(CLI_USAGE, "sign: --next-domain stands in "
		    "place of --mail-from and --rcpt-to");
	}
	if (from == NULL || n == 0)
		return cli_fail(CLI_USAGE, "sign: --mail-from and --rcpt-to, "
		    "or --next-domain");
	for (size_t k = 0; k < n; k++)
		paths[k] = input_path(rcpts[k], j->arena);
	j->envelope = (struct dkim2_envelope){input_path(from, j->arena),
	    paths, n};
	j->opts.envelope = &j->envelope;
	return 0;
}

struct name_bit {
	const char *name;
	unsigned bit;
};

/* "a,b" as the bits of the names; false where one is none of them. */
static bool
read_bits(const char *text, const struct name_bit *names, size_t n,
    unsigned *bits)
{
	struct bytes rest = bytes_of(text);

	while (rest.p != NULL) {
		struct bytes name = bytes_cut(&rest, ',');
		size_t k = 0;

		while (k < n && !bytes_eq(name, bytes_of(names[k].name)))
			k++;
		if (k == n)
			return false;
		*bits |= names[k].bit;
	}
	return true;
}

static int
read_tags(struct job *j)
{
	static const struct name_bit flags[] = {
		{"feedback", DKIM2_FLAG_FEEDBACK},
		{"feedhere", DKIM2_FLAG_FEEDHERE},
		{"exploded", DKIM2_FLAG_EXPLODED},
	}, hashes[] = {
		{"sha256", 1U << DKIM2_SHA256},
		{"sha512", 1U << DKIM2_SHA512},
	};
	const char *text = args_get(&j->args, "flags");
	uint64_t t = 0;

	if (text != NULL && !read_bits(text, flags, 3, &j->opts.flags))
		return cli_fail(CLI_USAGE,
		    "sign: --flags feedback,feedhere,exploded");
	if (args_get(&j->args, "exploded") != NULL)
		j->opts.flags |= DKIM2_FLAG_EXPLODED;
	text = args_get(&j->args, "hash");
	if (text != NULL && !read_bits(text, hashes, 2, &j->opts.hashes))
		return cli_fail(CLI_USAGE, "sign: --hash sha256,sha512");
	text = args_get(&j->args, "timestamp");
	if (text != NULL && !bytes_number(bytes_of(text), INT64_MAX, &t))
		return cli_fail(CLI_USAGE,
		    "sign: --timestamp: seconds since 1970");
	j->opts.timestamp_s = text != NULL ? (int64_t)t : (int64_t)time(NULL);
	text = args_get(&j->args, "nonce");
	if (text != NULL)
		j->opts.nonce = bytes_of(text);
	return 0;
}

static int
read_recipe(struct job *j)
{
	const char *path = args_get(&j->args, "recipe");
	int r;

	if (path == NULL)
		return 0;
	if (args_get(&j->args, "original") != NULL)
		return cli_fail(CLI_USAGE,
		    "sign: --original or --recipe, not both");
	r = input_read(path, MAX_RECIPE, &j->recipe);
	if (r == 0 && j->recipe.n == 0)
		return cli_fail(CLI_CANNOT, "%s: no recipe in it", path);
	j->opts.recipe = j->recipe;
	return r;
}

static int
read_messages(struct job *j)
{
	const char *original = args_get(&j->args, "original");
	int r = input_message_load(&j->message,
	    j->args.n_words == 0 ? NULL : j->args.words[0], j->arena);

	if (r == 0 && !j->message.is_message)
		r = cli_fail(CLI_CANNOT, "sign: the header does not parse");
	if (r != 0 || original == NULL)
		return r;
	j->has_original = true;
	r = input_message_load(&j->original, original, j->arena);
	if (r == 0 && !j->original.is_message)
		r = cli_fail(CLI_CANNOT, "%s: the header does not parse",
		    original);
	return r;
}

/* All DKIM2 fields of a message, without white space, in their order. */
static int
dkim2_fields(const struct dkim2_message *m, struct arena *a,
    struct bytes *out)
{
	size_t n = 0;
	struct buf b;

	for (size_t k = 0; k < m->n_fields; k++)
		n += m->fields[k].raw.n + 3;
	if (arena_buf(a, n, &b) != 0)
		return cli_fail(CLI_CANNOT, "out of memory");
	for (size_t k = 0; k < m->n_fields; k++) {
		struct bytes name = m->fields[k].name;

		if (bytes_case_eq(name, BYTES_LIT("DKIM2-Signature")) ||
		    bytes_case_eq(name, BYTES_LIT("Message-Instance")))
			(void)canon_signing_line(name, m->fields[k].value,
			    false, canon_to_buf, &b);
	}
	*out = buf_bytes(&b);
	return 0;
}

/*
 * What is signed on must be the chain that came (draft 12.1), and the recipe
 * says what else is different. Mail without a chain needs none.
 */
static int
compare_original(struct job *j)
{
	struct bytes was, is;
	int r = 0;

	if (!j->has_original)
		return 0;
	r = dkim2_fields(&j->original.fields, j->arena, &was);
	if (r == 0)
		r = dkim2_fields(&j->message.fields, j->arena, &is);
	if (r != 0)
		return r;
	if (!bytes_eq(was, is))
		return cli_fail(CLI_CANNOT, "sign: the DKIM2 fields are not "
		    "those of --original");
	return is.n == 0 ? 0 : recipe_make(&j->original, &j->message,
	    j->arena, &j->opts.recipe);
}

/* The digests of the message as it is, by way of a verifier without keys. */
static int
read_digests(struct job *j, struct dkim2_digests *d)
{
	struct dkim2_verify_options opts = {
		.now_s = j->opts.timestamp_s,
		.hashes = j->opts.hashes | 1U << DKIM2_SHA256,
	};
	struct dkim2_verify *v = NULL;
	int r = dkim2_verify_new(&v, j->arena, &opts);

	if (r == 0)
		r = dkim2_verify_header(v, &j->message.fields);
	if (r == 0)
		r = dkim2_verify_body(v, j->message.body);
	if (r == 0)
		r = dkim2_verify_end(v, j->message.body);
	if (r == 0)
		*d = *dkim2_verify_digests(v);
	dkim2_verify_fini(v);
	return r != 0 ? cli_fail(CLI_CANNOT, "%s", err_text(r)) : 0;
}

/* Draft 12: only what was Fully Verified as it came may be signed on. */
static int
prove_incoming(struct job *j)
{
	const char *dns = args_get(&j->args, "proof-dns");
	struct check c = {
		.arena = j->arena,
		.message = j->has_original ? j->original : j->message,
		.now_s = j->opts.timestamp_s,
	};
	char text[1024];
	struct buf out = BUF_ON(text);
	int r;

	if (dns == NULL)
		return 0;
	if (j->recipe.n != 0)
		return cli_fail(CLI_USAGE, "sign: --proof-dns with --recipe "
		    "cannot see the message as it came: give --original");
	r = check_message(&c, dns);
	if (r == 0 && c.result->full.state != DKIM2_PASS &&
	    c.result->full.state != DKIM2_NONE) {
		dkim2_verdict_text(&c.result->full, &out);
		r = cli_fail(CLI_CANNOT,
		    "sign: not fully verified as it came: %s: %.*s",
		    dkim2_state_name(c.result->full.state),
		    BYTES_FMT(buf_bytes(&out)));
	}
	dkim2_verify_fini(c.v);
	return r;
}

static int
answer(struct job *j, struct dkim2_sign *s)
{
	struct bytes digest = dkim2_sign_want(s);
	int r = 0;

	for (size_t k = 0; k < j->opts.n_keys && r == 0; k++) {
		uint8_t room[DKIM2_SIGNATURE_MAX];
		struct buf out = BUF_ON(room);

		r = dkim2_private_key_sign(j->keys[k], digest.p, &out);
		if (r == 0)
			r = dkim2_sign_answer(s, k, buf_bytes(&out));
	}
	return r;
}

/* Our fields with the line ends of the file, then the file as it is. */
static int
put(const struct job *j, struct bytes fields)
{
	for (size_t k = 0; k < fields.n; k++)
		if (fields.p[k] != '\r' || !j->message.is_lf)
			putchar(fields.p[k]);
	fwrite(j->message.raw.p, 1, j->message.raw.n, stdout);
	return 0;
}

/*
 * A recipe came from outside: whether undoing it leads back to the instance
 * before is for our own verifier to say, before anyone else does.
 */
static int
prove_recipe(struct job *j, struct bytes fields)
{
	struct check c = {.arena = j->arena, .now_s = j->opts.timestamp_s};
	struct buf whole;
	size_t header = fields.n + j->message.fields.header.n;
	int r = arena_buf(j->arena, header, &whole);

	if (r != 0)
		return cli_fail(CLI_CANNOT, "out of memory");
	buf_add(&whole, fields);
	buf_add(&whole, j->message.fields.header);
	if (dkim2_message_parse(&c.message.fields, buf_bytes(&whole), SIZE_MAX,
	    j->arena) != 0)
		return cli_fail(CLI_CANNOT, "sign: the result does not parse");
	c.message.body = j->message.body;
	r = check_message(&c, NULL);
	for (size_t k = 0; r == 0 && k < c.result->n_instances; k++) {
		const struct dkim2_verdict *v = &c.result->instances[k].verdict;
		char text[1024];
		struct buf out = BUF_ON(text);

		if (v->state == DKIM2_PASS)
			continue;
		dkim2_verdict_text(v, &out);
		r = cli_fail(CLI_CANNOT, "sign: the recipe does not lead back: "
		    "%.*s", BYTES_FMT(buf_bytes(&out)));
	}
	dkim2_verify_fini(c.v);
	return r;
}

static int
sign(struct job *j)
{
	struct dkim2_digests digests;
	enum dkim2_refusal why;
	struct dkim2_sign *s;
	int r = read_digests(j, &digests);

	if (r != 0)
		return r;
	r = dkim2_sign_new(&s, j->arena, &j->message.fields, &digests,
	    &j->opts, &why);
	if (r == 0 && why != DKIM2_MAY_SIGN)
		return cli_fail(CLI_CANNOT, "sign: refused: %s",
		    dkim2_refusal_text(why));
	if (r == 0)
		r = answer(j, s);
	if (r == 0 && dkim2_sign_step(s) != DKIM2_DONE)
		r = -E_CRYPTO;
	if (r != 0)
		return cli_fail(CLI_CANNOT, "sign: %s", err_text(r));
	if (j->opts.recipe.n != 0)
		r = prove_recipe(j, dkim2_sign_fields(s));
	return r != 0 ? r : put(j, dkim2_sign_fields(s));
}

static int
run(struct job *j, int argc, char **argv)
{
	int r = args_parse(&j->args, argc, argv, known, 1, j->arena);

	if (r == 0)
		r = read_envelope(j);
	if (r == 0)
		r = read_tags(j);
	if (r == 0)
		r = read_recipe(j);
	if (r == 0)
		r = read_keys(j);
	if (r == 0)
		r = read_messages(j);
	if (r == 0)
		r = prove_incoming(j);
	if (r == 0)
		r = compare_original(j);
	return r != 0 ? r : sign(j);
}

int
cli_sign(int argc, char **argv)
{
	struct job j = {.arena = arena_new(INPUT_ARENA)};
	int r;

	if (j.arena == NULL)
		return cli_fail(CLI_CANNOT, "out of memory");
	r = run(&j, argc, argv);
	for (size_t k = 0; k < MAX_KEYS; k++)
		dkim2_private_key_free(&j.keys[k]);
	free((void *)j.recipe.p);
	input_message_fini(&j.message);
	input_message_fini(&j.original);
	arena_free(&j.arena);
	return r;
}
