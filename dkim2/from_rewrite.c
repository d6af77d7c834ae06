#include "dkim2/from_rewrite.h"

#include "base/ascii.h"
#include "base/err.h"
#include "dkim2/fold.h"
#include "dkim2/from.h"
#include "dkim2/mailbox.h"
#include "dkim2/taglist.h"

#define LOCAL_MAX 64U	/* octets of a local part that serves as a name */

/* Who stands in From. */
struct author {
	struct bytes value;	/* of the field */
	struct bytes name;	/* words; empty: none that can be kept */
	struct bytes local, domain;
	bool is_plain;		/* a mailbox as RFC 5322 has it */
};

static bool
is_space(uint8_t c)
{
	return ascii_is_wsp(c) || c == '\r' || c == '\n';
}

/* ---- reading ------------------------------------------------------------- */

static bool
has_control(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		if (!is_space(b.p[k]) && (b.p[k] < 0x20 || b.p[k] == 0x7f))
			return true;
	return false;
}

/* The words before the angle bracket; empty where they are no name to keep. */
static struct bytes
name_of(struct bytes value)
{
	struct bytes b = value, words;
	bool is_local;

	if (!mailbox_skip_words(&b, &is_local) || b.n == 0 || b.p[0] != '<')
		return (struct bytes){NULL, 0};
	words = taglist_trim(bytes_between(value.p, b.p));
	b = words;
	if (!mailbox_skip_cfws(&b) || b.n == 0 ||
	    words.n > FROM_REWRITE_NAME_MAX || has_control(words))
		return (struct bytes){NULL, 0};
	return words;
}

/* 0, or -E_SYNTAX where From does not name exactly one author. */
static int
author_read(struct author *author, struct bytes value)
{
	struct bytes b = value;
	struct mailbox one;

	if (from_parse(value, &author->domain) != DKIM2_FROM_ONE ||
	    !mailbox_parse(&b, &one))
		return -E_SYNTAX;
	author->value = value;
	author->is_plain = b.n == 0;
	author->name = name_of(value);
	author->local = taglist_trim(one.local);
	return 0;
}

/* ---- the name ----------------------------------------------------------- */

static bool
is_atom(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		if (!ascii_is_graph(b.p[k]) ||
		    bytes_index(BYTES_LIT("()<>[]:;@\\,.\""), b.p[k]) != 13)
			return false;
	return b.n != 0;
}

/* The first word of b, cut from it: quotes and comments are not broken. */
static struct bytes
cut_word(struct bytes *b)
{
	size_t depth = 0, n = 0;
	bool is_quoted = false;
	struct bytes word;

	for (; n < b->n; n++) {
		uint8_t c = b->p[n];

		if (is_space(c) && depth == 0 && !is_quoted)
			break;
		if (c == '\\' && n + 1 < b->n)
			n++;
		else if (c == '"' && depth == 0)
			is_quoted = !is_quoted;
		else if (c == '(' && !is_quoted)
			depth++;
		else if (c == ')' && depth != 0)
			depth--;
	}
	word = bytes_first(*b, n);
	while (n < b->n && is_space(b->p[n]))
		n++;
	*b = bytes_skip(*b, n);
	return word;
}

/* Folds are undone: those between words are made anew. */
static void
add_unfolded(struct buf *out, struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		if (b.p[k] != '\r' && b.p[k] != '\n')
			buf_add_octet(out, b.p[k]);
}

static void
put_name(struct fold *f, struct bytes name)
{
	uint8_t room[FROM_REWRITE_NAME_MAX];

	while (name.n != 0) {
		struct buf word = BUF_ON(room);

		add_unfolded(&word, cut_word(&name));
		fold_tag(f, buf_bytes(&word));
	}
}

/* A local part as a name: an atom, or dots in quotes. */
static void
put_local(struct fold *f, struct bytes local)
{
	uint8_t room[LOCAL_MAX + 2];
	struct buf word = BUF_ON(room);
	struct bytes rest = local;

	if (local.n > LOCAL_MAX)
		return;
	if (is_atom(local)) {
		fold_tag(f, local);
		return;
	}
	while (rest.p != NULL)
		if (!is_atom(bytes_cut(&rest, '.')))
			return;
	buf_add_octet(&word, '"');
	buf_add(&word, local);
	buf_add_octet(&word, '"');
	fold_tag(f, buf_bytes(&word));
}

static void
put_via(struct fold *f, struct bytes via)
{
	uint8_t room[2 * FROM_REWRITE_NAME_MAX];
	struct buf word = BUF_ON(room);

	if (via.n == 0 || via.n > FROM_REWRITE_NAME_MAX - 8)
		return;
	if (is_atom(via)) {
		fold_tag(f, BYTES_LIT("via"));
		fold_tag(f, via);
		return;
	}
	buf_add_str(&word, "\"via ");
	for (size_t k = 0; k < via.n; k++) {
		uint8_t c = via.p[k];

		if (c == '"' || c == '\\')
			buf_add_octet(&word, '\\');
		buf_add_octet(&word, c < 0x20 || c == 0x7f ? '?' : c);
	}
	buf_add_octet(&word, '"');
	fold_tag(f, buf_bytes(&word));
}

/* ---- the fields --------------------------------------------------------- */

static void
write_from(struct buf *out, const struct author *author,
    const struct from_rewrite *how)
{
	uint8_t room[FROM_REWRITE_ADDRESS_MAX + 2];
	struct buf address = BUF_ON(room);
	struct fold f;

	fold_begin(&f, out, "From");
	if (author->name.n != 0)
		put_name(&f, author->name);
	else
		put_local(&f, author->local);
	put_via(&f, how->via);
	buf_add_octet(&address, '<');
	buf_add(&address, how->address);
	buf_add_octet(&address, '>');
	fold_tag(&f, buf_bytes(&address));
	fold_end(&f);
}

/* As it stood in From; the address alone where others could not read that. */
static void
write_reply_to(struct buf *out, const struct author *author)
{
	buf_add_str(out, "Reply-To:");
	if (author->is_plain &&
	    author->value.n <= FROM_REWRITE_ADDRESS_MAX) {
		buf_add(out, author->value);
	} else {
		buf_add_str(out, " <");
		add_unfolded(out, author->local);
		buf_add_octet(out, '@');
		buf_add(out, author->domain);
		buf_add_octet(out, '>');
	}
	buf_add_str(out, "\r\n");
}

/* The whole header block. */
static int
assemble(struct dkim2_message *now, const struct dkim2_message *m,
    const struct dkim2_field *from, struct bytes fields, struct arena *a)
{
	struct buf out;

	if (arena_room(a, m->header.n + fields.n, &out) != 0)
		return -E_NOMEM;
	buf_add(&out, bytes_between(m->header.p, from->raw.p));
	buf_add(&out, fields);
	buf_add(&out, bytes_between(from->raw.p + from->raw.n,
	    m->header.p + m->header.n));
	return dkim2_message_parse(now, buf_bytes(&out), m->n_fields + 1, a);
}

/* A local part without comments and space around it. */
static bool
local_is_good(struct bytes local)
{
	if (local.p[0] == '"')
		return local.p[local.n - 1] == '"';
	for (size_t k = 0; k < local.n; k++)
		if (local.p[k] == '(' || is_space(local.p[k]))
			return false;
	return true;
}

/* Whether the address is one, and nothing but that. */
static bool
address_is_good(struct bytes address)
{
	struct bytes b = address;
	struct mailbox one;

	return address.n <= FROM_REWRITE_ADDRESS_MAX && b.n != 0 &&
	    !has_control(address) && mailbox_parse(&b, &one) && b.n == 0 &&
	    one.local.n + 1 + one.domain.n == address.n &&
	    local_is_good(one.local) &&
	    bytes_index(address, '\r') == address.n &&
	    bytes_index(address, '\n') == address.n;
}

static bool
is_there(const struct author *author, struct bytes address)
{
	return address.n == author->local.n + 1 + author->domain.n &&
	    bytes_starts(address, author->local) &&
	    address.p[author->local.n] == '@' &&
	    bytes_case_eq(bytes_skip(address, author->local.n + 1),
	        author->domain);
}

bool
from_rewrite_is(const struct dkim2_message *m, struct bytes address)
{
	const struct dkim2_field *from;
	struct author author;

	return dkim2_message_find(m, BYTES_LIT("from"), &from) == 1 &&
	    author_read(&author, from->value) == 0 &&
	    is_there(&author, address);
}

int
from_rewrite(struct dkim2_message *now, const struct dkim2_message *m,
    const struct from_rewrite *how, struct arena *a)
{
	const struct dkim2_field *from, *reply_to;
	struct author author;
	struct buf fields;

	if (dkim2_message_find(m, BYTES_LIT("from"), &from) != 1 ||
	    author_read(&author, from->value) != 0 ||
	    !address_is_good(how->address))
		return -E_SYNTAX;
	if (is_there(&author, how->address)) {
		*now = *m;
		return 0;
	}
	if (author.local.n + author.domain.n > FROM_REWRITE_ADDRESS_MAX)
		return -E_LIMIT;
	/* two of each at most, with what folding and quoting add */
	if (arena_buf(a, 8 * 1024, &fields) != 0)
		return -E_NOMEM;
	write_from(&fields, &author, how);
	if (dkim2_message_find(m, BYTES_LIT("reply-to"), &reply_to) == 0)
		write_reply_to(&fields, &author);
	if (fields.full)
		return -E_LIMIT;
	return assemble(now, m, from, buf_bytes(&fields), a);
}
