#include "daemon/rewrite.h"

#include "base/err.h"
#include "dkim2/dkim2.h"
#include "smtp/srs.h"
#include "smtp/token.h"

#define LOCAL_MAX 64
#define PATH_MAX_N 256

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

/* The local part that leads back to from. */
static int
make_local(const struct config_listener *l, const struct rewrite_with *with,
    const struct smtp_path *from, struct bytes under, struct buf *out)
{
	uint8_t id[SMTP_TOKEN_ID];

	if (with->secrets->n == 0)
		return -E_CRYPTO;	/* config_check() asks for them */
	if (l->mail_from == MAIL_FROM_SRS && smtp_srs_make(with->secrets,
	    from->local, from->domain, with->now_s, out))
		return 0;
	if (!smtp_token_make(with->secrets, id, from->local, from->domain,
	    under, with->now_s, out))
		return -E_CRYPTO;
	if (with->keep != NULL)
		with->keep(with->arg, id, from->raw);
	return 0;
}

int
rewrite_mail_from(struct bytes *out, const struct config_listener *l,
    const struct rewrite_with *with, const struct smtp_path *from,
    struct bytes under, struct arena *a)
{
	uint8_t octets[LOCAL_MAX];
	struct buf local = BUF_ON(octets);
	int r;

	*out = from->raw;
	if (from->is_null || l->mail_from == MAIL_FROM_KEEP)
		return 0;
	if (l->mail_from == MAIL_FROM_FIXED)
		return bracket(fixed_local(l), under, a, out);
	if (dkim2_domain_covers(under, from->domain))
		return 0;
	r = make_local(l, with, from, under, &local);
	return r != 0 ? r : bracket(buf_bytes(&local), under, a, out);
}

/* ---- what comes back --------------------------------------------------------- */

/*
 * What an address of our own domains is, of those that we make.
 *
 * path     what it leads to is added, but for a token
 */
static enum smtp_return
look(struct rewrite *out, const struct rewrite_with *with,
    const struct smtp_path *to, struct buf *path)
{
	enum smtp_return r;

	if (with->secrets->n == 0)
		return SMTP_RETURN_NONE;
	r = smtp_token_read(with->secrets, to->local, to->domain, with->now_s,
	    out->token);
	out->is_token = r == SMTP_RETURN_GOOD;
	return r != SMTP_RETURN_NONE ? r : smtp_srs_read(with->secrets,
	    to->local, with->now_s, path);
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
rewrite_returned(struct rewrite *out, struct bytes path, struct arena *a)
{
	struct smtp_path to;
	struct bytes rest;

	if (smtp_path_parse(path, SMTP_PATH_MAY_UTF8, &to, &rest) !=
	    SMTP_PATH_OK || rest.n != 0 || to.is_null || to.is_literal) {
		/* it names a machine, maybe one that only we can reach */
		refuse(out, 550, "5.7.1",
		    "Bounces to an address literal are not taken");
		return 0;
	}
	out->rcpt_to = arena_copy(a, path);
	return out->rcpt_to.p == NULL ? -E_NOMEM : 0;
}

/* Mail to an address that we made. 0 or -E_NOMEM. */
static int
take_returned(struct rewrite *out, const struct config_listener *l,
    const struct smtp_path *from, struct bytes path, struct arena *a)
{
	if (l->role != ROLE_FORWARD && l->returns == NULL) {
		/* what is behind it leads nowhere but to this site */
		refuse(out, 550, "5.7.1",
		    "Bounces to this address are not taken here");
		return 0;
	}
	if (!from->is_null) {
		refuse(out, 550, "5.7.1",
		    "Only bounces are taken for this address");
		return 0;
	}
	out->is_return = true;
	return out->is_token ? 0 : rewrite_returned(out, path, a);
}

/*
 * Mail to an address of the kinds that we make. One that looks so, and is
 * none, may be of the server behind us where we make none ourselves. Old
 * secrets verify whatever mail-from says now. 0 or -E_NOMEM.
 */
static int
look_at_returned(struct rewrite *out, const struct config_listener *l,
    const struct rewrite_with *with, const struct smtp_path *from,
    const struct smtp_path *to, struct arena *a)
{
	bool is_maker = l->mail_from == MAIL_FROM_SRS ||
	    l->mail_from == MAIL_FROM_TOKEN;
	uint8_t octets[PATH_MAX_N];
	struct buf path = BUF_ON(octets);

	if (l->mail_from == MAIL_FROM_FIXED &&
	    bytes_case_eq(to->local, fixed_local(l))) {
		refuse(out, 550, "5.7.1", "Nothing says where mail to this "
		    "return address belongs");
		return 0;
	}
	switch (look(out, with, to, &path)) {
	case SMTP_RETURN_NONE:
		break;
	case SMTP_RETURN_GOOD:
		return take_returned(out, l, from, buf_bytes(&path), a);
	case SMTP_RETURN_EXPIRED:
		refuse(out, 550, "5.1.1", "This return address is too old");
		break;
	case SMTP_RETURN_FORGED:
		if (is_maker)
			refuse(out, 550, "5.1.1",
			    "This return address is none of ours");
		break;
	}
	return 0;
}

int
rewrite_envelope(struct rewrite *out, const struct config_listener *l,
    const struct rewrite_with *with, const struct smtp_path *from,
    const struct smtp_path *to, struct arena *a)
{
	*out = (struct rewrite){.mail_from = from->raw, .rcpt_to = to->raw,
	    .n_rcpts = 1};
	if (!config_domains_hold(l->domains, l->n_domains, to->domain))
		return 0;
	if (look_at_returned(out, l, with, from, to, a) != 0)
		return -E_NOMEM;
	if (out->code != 0 || out->is_return || l->role != ROLE_FORWARD)
		return 0;
	if (l->has_aliases && look_up(out, &l->aliases, to, a) != 0)
		return -E_NOMEM;
	if (out->code != 0)
		return 0;
	return rewrite_mail_from(&out->mail_from, l, with, from, to->domain,
	    a);
}
