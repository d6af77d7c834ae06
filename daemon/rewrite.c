#include "daemon/rewrite.h"

#include "base/err.h"

static int
bracket(struct bytes left, struct bytes right, struct arena *a,
    struct bytes *out)
{
	struct buf b;

	if (arena_buf(a, left.n + right.n + 3, &b) != 0)
		return -E_NOMEM;
	buf_add_octet(&b, '<');
	buf_add(&b, left);
	if (right.n != 0) {
		buf_add_octet(&b, '@');
		buf_add(&b, right);
	}
	buf_add_octet(&b, '>');
	*out = buf_bytes(&b);
	return 0;
}

/* The local part of the fixed reverse-path. */
static struct bytes
fixed_local(const struct config_listener *l)
{
	struct bytes b = l->mail_from_address;

	while (b.n != 0 && b.p[b.n - 1] != '@')
		b.n--;
	return bytes_first(b, b.n - (b.n != 0));
}

static void
refuse(struct rewrite *out, int code, const char *enhanced, const char *text)
{
	out->code = code;
	out->enhanced = enhanced;
	out->text = text;
}

/* The addresses that an alias leads to. 0 or -E_NOMEM. */
static int
look_up(struct rewrite *out, const struct config_aliases *t,
    const struct smtp_path *to, struct arena *a)
{
	const struct config_alias *row = config_alias_find(t, to->local,
	    to->domain);
	const struct bytes *ends;
	struct bytes *paths;
	int error = 0;

	if (row == NULL) {
		refuse(out, 550, "5.1.1", "No such address here");
		return 0;
	}
	error = config_alias_expand(t, row, a, &ends, &out->n_rcpts);
	if (error == -E_LIMIT) {
		/* the operator's mistake: no mail is to be lost by it */
		refuse(out, 451, "4.6.0", "The aliases lead in a circle");
		return 0;
	}
	paths = arena_array(a, out->n_rcpts, sizeof(*paths));
	if (error != 0 || paths == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < out->n_rcpts && error == 0; k++)
		error = bracket(ends[k], (struct bytes){NULL, 0}, a,
		    &paths[k]);
	out->rcpts = paths;
	out->rcpt_to = paths[0];
	return error;
}

int
rewrite_envelope(struct rewrite *out, const struct config_listener *l,
    const struct smtp_path *from, const struct smtp_path *to, struct arena *a)
{
	bool is_ours = l->role == ROLE_FORWARD &&
	    config_domains_hold(l->domains, l->n_domains, to->domain);

	*out = (struct rewrite){.mail_from = from->raw, .rcpt_to = to->raw,
	    .n_rcpts = 1};
	if (!is_ours)
		return 0;
	if (l->mail_from == MAIL_FROM_FIXED &&
	    bytes_case_eq(to->local, fixed_local(l))) {
		refuse(out, 550, "5.7.1",
		    "Bounces to this address are not taken yet");
		return 0;
	}
	if (l->has_aliases && look_up(out, &l->aliases, to, a) != 0)
		return -E_NOMEM;
	if (out->code != 0)
		return 0;
	if (l->mail_from == MAIL_FROM_FIXED && !from->is_null)
		return bracket(fixed_local(l), to->domain, a,
		    &out->mail_from);
	return 0;
}
