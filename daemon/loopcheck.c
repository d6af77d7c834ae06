#include "daemon/loopcheck.h"

#include "base/ascii.h"
#include "dkim2/chain.h"
#include "dkim2/idn.h"

/* The next word between white space, folds included; empty at the end. */
static struct bytes
word_cut(struct bytes *rest)
{
	struct bytes word;
	size_t n = 0;

	while (rest->n != 0 && (ascii_is_wsp(rest->p[0]) ||
	    rest->p[0] == '\r' || rest->p[0] == '\n'))
		*rest = bytes_skip(*rest, 1);
	while (n < rest->n && !ascii_is_wsp(rest->p[n]) &&
	    rest->p[n] != '\r' && rest->p[n] != '\n')
		n++;
	word = bytes_first(*rest, n);
	*rest = bytes_skip(*rest, n);
	return word;
}

/*
 * "by HOSTNAME (hopseal) with PROTOCOL id ID", as received_write() has it,
 * however folded since.
 *
 * id       set to it, or to something else where others wrote in it
 */
static bool
is_own_received(const struct dkim2_field *f, struct bytes hostname,
    struct bytes *id)
{
	struct bytes rest = f->value;
	struct bytes word[3] = {{NULL, 0}, {NULL, 0}, word_cut(&rest)};

	if (!bytes_case_eq(f->name, BYTES_LIT("Received")))
		return false;
	while (word[2].n != 0) {
		word[0] = word[1];
		word[1] = word[2];
		word[2] = word_cut(&rest);
		if (!bytes_case_eq(word[0], BYTES_LIT("by")) ||
		    !bytes_case_eq(word[1], hostname) ||
		    !bytes_eq(word[2], BYTES_LIT("(hopseal)")))
			continue;
		for (unsigned k = 0; k < 4; k++)
			*id = word_cut(&rest);
		if (bytes_ends(*id, BYTES_LIT(";")))
			id->n--;
		return true;
	}
	return false;
}

static enum loopcheck_finding
check_received(const struct loopcheck *c)
{
	struct bytes hostname = bytes_of(c->hostname), id;
	size_t n = 0, n_own = 0;

	for (size_t k = 0; k < c->message->n_fields; k++) {
		const struct dkim2_field *f = &c->message->fields[k];

		n += bytes_case_eq(f->name, BYTES_LIT("Received"));
		n_own += is_own_received(f, hostname, &id);
	}
	return n > c->max_received ? LOOPCHECK_HOPS :
	    n_own > LOOPCHECK_OWN_MAX ? LOOPCHECK_OWN : LOOPCHECK_NONE;
}

static bool
is_own_domain(const struct loopcheck *c, struct bytes domain)
{
	for (size_t k = 0; k < c->keys->n; k++)
		if (bytes_case_eq(c->keys->entries[k].domain, domain))
			return true;
	return false;
}

static bool
has_path(const struct dkim2_signature_result *s, struct bytes path)
{
	for (size_t k = 0; k < s->n_rt; k++)
		if (chain_path_eq(s->rt[k], path))
			return true;
	return false;
}

/* mf= may be new in each round, and t= is; who it is for is not. */
static bool
is_same_way(const struct dkim2_signature_result *a,
    const struct dkim2_signature_result *b)
{
	if (a->n_rt == 0 || a->n_rt > LOOPCHECK_RT_MAX ||
	    a->n_rt != b->n_rt || !bytes_case_eq(a->d, b->d))
		return false;
	for (size_t k = 0; k < a->n_rt; k++)
		if (!has_path(b, a->rt[k]))
			return false;
	return true;
}

static bool
is_signed_twice(const struct loopcheck *c)
{
	const struct dkim2_result *r = c->result;

	if (r == NULL || c->keys == NULL)
		return false;
	for (size_t k = 1; k < r->n_signatures; k++) {
		if (!is_own_domain(c, r->signatures[k].d))
			continue;
		for (size_t i = 0; i < k; i++)
			if (is_same_way(&r->signatures[i],
			        &r->signatures[k]))
				return true;
	}
	return false;
}

bool
loopcheck_repeats(const struct dkim2_result *r, struct bytes d,
    const struct dkim2_envelope *leaves)
{
	const struct dkim2_signature_result new = {
	    .d = d,
	    .rt = leaves->rcpt_to,
	    .n_rt = leaves->n_rcpt_to,
	};

	for (size_t i = 0; i < r->n_signatures; i++)
		if (is_same_way(&r->signatures[i], &new))
			return true;
	return false;
}

enum loopcheck_finding
loopcheck_message(const struct loopcheck *c)
{
	enum loopcheck_finding found = check_received(c);

	if (found == LOOPCHECK_NONE && is_signed_twice(c))
		found = LOOPCHECK_SIGNED;
	return found;
}

bool
loopcheck_passed(const struct dkim2_message *m, const char *hostname,
    struct bytes id)
{
	struct bytes found;

	for (size_t k = 0; k < m->n_fields; k++)
		if (is_own_received(&m->fields[k], bytes_of(hostname),
		        &found) && bytes_eq(found, id))
			return true;
	return false;
}

/* Without brackets. */
static struct bytes
bare(struct bytes path)
{
	path = bytes_trim(path);
	if (path.n >= 2 && path.p[0] == '<' && path.p[path.n - 1] == '>')
		path = bytes_first(bytes_skip(path, 1), path.n - 2);
	return path;
}

/* The local part of an address without brackets, with its @. */
static struct bytes
local_part(struct bytes address)
{
	while (address.n != 0 && address.p[address.n - 1] != '@')
		address.n--;
	return address;
}

static bool
is_same_address(struct bytes a, struct bytes b)
{
	struct bytes local = local_part(a);

	return local.n != 0 && bytes_eq(local, local_part(b)) &&
	    idn_domain_eq(bytes_skip(a, local.n), bytes_skip(b, local.n));
}

bool
loopcheck_delivered(const struct dkim2_message *m, struct bytes rcpt)
{
	for (size_t k = 0; k < m->n_fields; k++) {
		struct bytes value = m->fields[k].value;
		struct bytes first = word_cut(&value);

		if (bytes_case_eq(m->fields[k].name,
		        BYTES_LIT("Delivered-To")) &&
		    is_same_address(bare(first), bare(rcpt)))
			return true;
	}
	return false;
}

const char *
loopcheck_text(enum loopcheck_finding f)
{
	static const char *const texts[] = {
		[LOOPCHECK_NONE] = NULL,
		[LOOPCHECK_HOPS] = "Too many Received fields: this message "
		    "is in a loop",
		[LOOPCHECK_OWN] = "This message has passed here too often: "
		    "it is in a loop",
		[LOOPCHECK_SIGNED] = "This message was signed here for the "
		    "same recipient before: it is in a loop",
		[LOOPCHECK_PASSED] = "This message went to the same "
		    "recipient and came back: it is in a loop",
	};

	return texts[f];
}
