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

int
rewrite_envelope(struct rewrite *out, const struct config_listener *l,
    const struct smtp_path *from, const struct smtp_path *to, struct arena *a)
{
	bool is_ours = l->role == ROLE_FORWARD &&
	    config_domains_hold(l->domains, l->n_domains, to->domain);
	struct bytes target;

	*out = (struct rewrite){.mail_from = from->raw, .rcpt_to = to->raw};
	if (!is_ours)
		return 0;
	if (l->mail_from == MAIL_FROM_FIXED &&
	    bytes_case_eq(to->local, fixed_local(l))) {
		out->code = 550;
		out->enhanced = "5.7.1";
		out->text = "Bounces to this address are not taken yet";
		return 0;
	}
	if (l->has_aliases) {
		if (!config_alias_find(&l->aliases, to->local, to->domain,
		        &target)) {
			out->code = 550;
			out->enhanced = "5.1.1";
			out->text = "No such address here";
			return 0;
		}
		if (bracket(target, (struct bytes){NULL, 0}, a,
		        &out->rcpt_to) != 0)
			return -E_NOMEM;
	}
	if (l->mail_from == MAIL_FROM_FIXED && !from->is_null)
		return bracket(fixed_local(l), to->domain, a,
		    &out->mail_from);
	return 0;
}
