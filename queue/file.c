#include "queue/file.h"

#include <assert.h>

#include "base/ascii.h"
#include "base/utf8.h"
#include "queue/file_form.h"

static const struct {
	char octet;
	const char *name;
} statuses[] = {
	[QUEUE_WAITING] = {'q', "queued"},
	[QUEUE_UNSURE] = {'u', "unsure"},
	[QUEUE_DELIVERED] = {'d', "delivered"},
	[QUEUE_FAILED] = {'f', "failed"},
	[QUEUE_EXPIRED] = {'e', "expired"},
	[QUEUE_TELLING_FAILED] = {'g', "failed"},
	[QUEUE_TELLING_EXPIRED] = {'x', "expired"},
	[QUEUE_TOLD] = {'r', "reported"},
};

/* The octets of the character at the front of b, 0 where a line has no place
 * for it. */
static size_t
character(struct bytes b)
{
	size_t n = utf8_length(b);

	return n == 1 && b.p[0] != ' ' && !ascii_is_graph(b.p[0]) ? 0 : n;
}

size_t
file_path_length(struct bytes b)
{
	bool is_quoted = false;
	size_t k = 1;

	if (b.n == 0 || b.p[0] != '<')
		return 0;
	while (k < b.n) {
		uint8_t c = b.p[k];
		size_t n = character(bytes_skip(b, k));

		if (n == 0 || (!is_quoted && (c == ' ' || c == '<')))
			return 0;
		if (!is_quoted && c == '>')
			return k + 1;
		if (c == '"')
			is_quoted = !is_quoted;
		k += n;
		/* What is quoted by a backslash ends no string. */
		if (is_quoted && c == '\\') {
			n = character(bytes_skip(b, k));
			if (n == 0)
				return 0;
			k += n;
		}
	}
	return 0;
}

bool
file_is_text(struct bytes b)
{
	size_t n;

	for (size_t k = 0; k < b.n; k += n) {
		n = character(bytes_skip(b, k));
		if (n == 0)
			return false;
	}
	return true;
}

bool
file_is_token(struct bytes b)
{
	return bytes_index(b, ' ') == b.n && file_is_text(b);
}

void
file_add_digits(struct buf *out, uint64_t value, unsigned digits)
{
	uint8_t text[20];

	assert(digits <= sizeof(text));
	for (unsigned k = digits; k > 0; k--) {
		text[k - 1] = (uint8_t)('0' + value % 10);
		value /= 10;
	}
	if (value != 0)
		memset(text, '9', digits);
	buf_add(out, (struct bytes){text, digits});
}

void
file_add_state(struct buf *out, const struct queue_rcpt *r)
{
	struct bytes reply = bytes_first(r->reply, QUEUE_REPLY_SIZE);

	buf_add_octet(out, (uint8_t)queue_status_octet(r->status));
	buf_add_octet(out, ' ');
	file_add_digits(out, r->tries, FILE_TRIES_DIGITS);
	buf_add_octet(out, ' ');
	file_add_digits(out, r->due_s < 0 ? 0 : (uint64_t)r->due_s,
	    FILE_DUE_DIGITS);
	buf_add_octet(out, ' ');
	for (size_t k = 0; k < QUEUE_REPLY_SIZE; k++) {
		uint8_t c = k < reply.n ? reply.p[k] : ' ';

		if (c == '\r' || c == '\n' || c == '\t')
			c = ' ';
		buf_add_octet(out, c == ' ' || ascii_is_graph(c) ? c : '?');
	}
}

void
queue_file_patch_rcpt(const struct queue_rcpt *r, struct queue_patch *p)
{
	struct buf out = BUF_ON(p->octets);

	file_add_state(&out, r);
	assert(!out.full);
	p->at = r->at;
	p->n = out.n;
}

void
queue_file_patch_hold(const struct queue_message *m, struct queue_patch *p)
{
	p->at = m->hold_at;
	p->n = 1;
	p->octets[0] = m->is_held ? 'H' : '-';
}

void
queue_file_patch_again(const struct queue_message *m, struct queue_patch *p)
{
	struct buf out = BUF_ON(p->octets);

	file_add_digits(&out, m->again_s < 0 ? 0 : (uint64_t)m->again_s,
	    FILE_DUE_DIGITS);
	p->at = m->again_at;
	p->n = out.n;
}

bool
queue_id_is(struct bytes name)
{
	if (name.n == 0 || name.n > QUEUE_ID_MAX)
		return false;
	for (size_t k = 0; k < name.n; k++)
		if (!ascii_is_digit(name.p[k]) &&
		    !(name.p[k] >= 'a' && name.p[k] <= 'z'))
			return false;
	return true;
}

char
queue_status_octet(enum queue_status s)
{
	return statuses[s].octet;
}

const char *
queue_status_name(enum queue_status s)
{
	return statuses[s].name;
}

bool
queue_status_is_open(enum queue_status s)
{
	return s == QUEUE_WAITING || s == QUEUE_UNSURE;
}

bool
queue_status_is_over(enum queue_status s)
{
	return s == QUEUE_DELIVERED || s == QUEUE_TOLD;
}

bool
queue_status_is_failed(enum queue_status s)
{
	return !queue_status_is_open(s) && !queue_status_is_over(s);
}

bool
queue_status_is_telling(enum queue_status s)
{
	return s == QUEUE_TELLING_FAILED || s == QUEUE_TELLING_EXPIRED;
}

/* Whether one of the phrases stands in the text, in whatever case. */
static bool
has_one_of(struct bytes text, const char *const phrases[])
{
	for (; text.n != 0; text = bytes_skip(text, 1))
		for (size_t k = 0; phrases[k] != NULL; k++)
			if (bytes_case_starts(text, bytes_of(phrases[k])))
				return true;
	return false;
}

bool
queue_is_duplicate(int code, struct bytes text)
{
	static const char *const says[] = {"duplicate message",
	    "is a duplicate", NULL};
	static const char *const parts[] = {"message-id", "header", "field",
	    "recipient", "address", NULL};

	return code >= 500 && code <= 599 && has_one_of(text, says) &&
	    !has_one_of(text, parts);
}
