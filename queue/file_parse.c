#include "queue/file.h"

#include "base/ascii.h"
#include "base/err.h"
#include "queue/file_form.h"

/* What is left of the head, and where it stands. */
struct reader {
	struct bytes head;
	struct bytes rest;
	struct arena *arena;
	unsigned version;
};

static size_t
reader_at(const struct reader *r)
{
	return r->head.n - r->rest.n;
}

/* Cuts octets from the front; false where others stand there. */
static bool
take(struct bytes *rest, struct bytes octets)
{
	if (!bytes_starts(*rest, octets))
		return false;
	*rest = bytes_skip(*rest, octets.n);
	return true;
}

/* Cuts a line, of which only the line end is known to be there. */
static bool
take_line(struct bytes *rest, struct bytes *line)
{
	size_t n = bytes_index(*rest, '\n');

	if (n == rest->n)
		return false;
	*line = bytes_first(*rest, n);
	*rest = bytes_skip(*rest, n + 1);
	return true;
}

/* Cuts a number without leading zeros. */
static bool
take_number(struct bytes *rest, uint64_t max, uint64_t *value)
{
	size_t n = 0;

	while (n < rest->n && ascii_is_digit(rest->p[n]))
		n++;
	if ((n > 1 && rest->p[0] == '0') ||
	    !bytes_number(bytes_first(*rest, n), max, value))
		return false;
	*rest = bytes_skip(*rest, n);
	return true;
}

static bool
take_path(struct bytes *rest, struct bytes *path)
{
	size_t n = file_path_length(bytes_first(*rest, QUEUE_FIELD_MAX));

	*path = bytes_first(*rest, n);
	*rest = bytes_skip(*rest, n);
	return n != 0;
}

static bool
take_forward_path(struct bytes *rest, struct bytes *path)
{
	return take_path(rest, path) && path->n > strlen("<>");
}

/* Cuts `WORD=TOKEN` with the blank before it, where it stands there. */
static bool
take_option(struct bytes *rest, struct bytes word, struct bytes *value)
{
	*value = (struct bytes){NULL, 0};
	if (!take(rest, word))
		return true;
	*value = bytes_first(*rest, bytes_index(*rest, ' '));
	*rest = bytes_skip(*rest, value->n);
	return value->n != 0 && value->n <= QUEUE_FIELD_MAX &&
	    file_is_text(*value);
}

/* The numbers of the first line; 0, -E_SYNTAX or -E_LIMIT. */
static int
read_start(struct bytes *rest, unsigned *version, uint64_t *head,
    uint64_t *added, uint64_t *content)
{
	struct bytes digits;
	uint64_t number;

	if (!take(rest, BYTES_LIT(FILE_MAGIC)) ||
	    !take_number(rest, UINT32_MAX, &number))
		return -E_SYNTAX;
	if (number == 0 || number > QUEUE_FILE_VERSION)
		return -E_LIMIT;
	*version = (unsigned)number;
	if (!take(rest, BYTES_LIT(" ")))
		return -E_SYNTAX;
	digits = bytes_first(*rest, FILE_HEAD_DIGITS);
	*rest = bytes_skip(*rest, digits.n);
	if (digits.n != FILE_HEAD_DIGITS ||
	    !bytes_number(digits, QUEUE_HEAD_MAX, head) ||
	    !take(rest, BYTES_LIT(" ")) ||
	    !take_number(rest, QUEUE_PART_MAX, added) ||
	    !take(rest, BYTES_LIT(" ")) ||
	    !take_number(rest, QUEUE_PART_MAX, content) ||
	    !take(rest, BYTES_LIT("\n")))
		return -E_SYNTAX;
	return 0;
}

int64_t
queue_file_head(struct bytes start)
{
	uint64_t head, added, content;
	unsigned version;
	size_t n = start.n;
	int e = read_start(&start, &version, &head, &added, &content);

	if (e == -E_LIMIT)
		return e;
	return e != 0 || head < n - start.n ? 0 : (int64_t)head;
}

/* A line of one word and a value, which may be missing. */
static bool
read_value(struct reader *r, struct bytes word, struct bytes *value)
{
	if (!take_line(&r->rest, value) || !take(value, word))
		return false;
	if (value->n == 0)
		return true;
	return take(value, BYTES_LIT(" ")) && value->n != 0;
}

static bool
read_text(struct reader *r, struct bytes word, struct bytes *value)
{
	return read_value(r, word, value) && value->n <= QUEUE_FIELD_MAX &&
	    file_is_text(*value);
}

static bool
read_token(struct reader *r, struct bytes word, struct bytes *value)
{
	return read_text(r, word, value) && file_is_token(*value);
}

static bool
read_time(struct reader *r, struct bytes word, int64_t *value)
{
	struct bytes text;
	uint64_t seconds;

	if (!read_value(r, word, &text) ||
	    !take_number(&text, QUEUE_TIME_MAX, &seconds) || text.n != 0)
		return false;
	*value = (int64_t)seconds;
	return true;
}

/* One of two words. */
static bool
read_choice(struct reader *r, struct bytes word, struct bytes yes,
    struct bytes no, bool *is_yes)
{
	struct bytes text;

	if (!read_value(r, word, &text))
		return false;
	*is_yes = bytes_eq(text, yes);
	return *is_yes || bytes_eq(text, no);
}

static int
hex_value(uint8_t c)
{
	if (ascii_is_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int
read_digest(struct reader *r, struct bytes *digest)
{
	struct bytes text;
	struct buf out;

	if (!read_value(r, BYTES_LIT("digest"), &text) || text.n > 2 * 64 ||
	    text.n % 2 != 0)
		return -E_SYNTAX;
	if (arena_buf(r->arena, text.n / 2, &out) != 0)
		return -E_NOMEM;
	for (size_t k = 0; k < text.n; k += 2) {
		int high = hex_value(text.p[k]);
		int low = hex_value(text.p[k + 1]);

		if (high < 0 || low < 0)
			return -E_SYNTAX;
		buf_add_octet(&out, (uint8_t)(high << 4 | low));
	}
	*digest = buf_bytes(&out);
	return 0;
}

static uint64_t
number_of(struct bytes digits)
{
	uint64_t value = 0;

	(void)bytes_number(digits, QUEUE_TIME_MAX, &value);
	return value;
}

static bool
read_hold(struct reader *r, struct queue_message *m)
{
	if (!take(&r->rest, BYTES_LIT("hold ")) || r->rest.n < 2 ||
	    r->rest.p[1] != '\n')
		return false;
	m->hold_at = reader_at(r);
	m->is_held = r->rest.p[0] == 'H';
	r->rest = bytes_skip(r->rest, 2);
	return true;
}

/* A number that can not be read is 0, as those of recipients. */
static bool
read_again(struct reader *r, struct queue_message *m)
{
	if (!take(&r->rest, BYTES_LIT("again ")) ||
	    r->rest.n <= FILE_DUE_DIGITS ||
	    r->rest.p[FILE_DUE_DIGITS] != '\n')
		return false;
	m->again_at = reader_at(r);
	m->again_s = (int64_t)number_of(bytes_first(r->rest,
	    FILE_DUE_DIGITS));
	r->rest = bytes_skip(r->rest, FILE_DUE_DIGITS + 1);
	return true;
}

static bool
read_mail_from(struct reader *r, struct queue_message *m)
{
	struct bytes text;

	return read_value(r, BYTES_LIT("mail-from"), &text) &&
	    take_path(&text, &m->mail_from) && text.n == 0;
}

/* `<PATH> as=DOMAIN`, or `- WHY`; less where there is less to say. */
static bool
read_report(struct reader *r, struct queue_message *m)
{
	struct bytes text;

	if (!read_text(r, BYTES_LIT("report"), &text))
		return false;
	if (take_forward_path(&text, &m->report_to))
		return take_option(&text, BYTES_LIT(" as="),
		    &m->report_as) && text.n == 0;
	m->report_to = (struct bytes){NULL, 0};
	if (text.n == 0)
		return true;
	m->report_why = bytes_skip(text, 2);
	return bytes_starts(text, BYTES_LIT("- ")) && m->report_why.n != 0;
}

static bool
read_returned(struct reader *r, struct queue_message *m)
{
	struct bytes text;

	return read_value(r, BYTES_LIT("returned"), &text) &&
	    take_number(&text, QUEUE_PART_MAX, &m->n_returned) &&
	    take(&text, BYTES_LIT(" ")) &&
	    take_number(&text, QUEUE_PART_MAX, &m->body_at) && text.n == 0 &&
	    m->body_at <= m->n_content;
}

/* What version 1 had not. */
static bool
read_failure(struct reader *r, struct queue_message *m)
{
	if (r->version == 1) {
		m->report_why = BYTES_LIT("an earlier version took it");
		return true;
	}
	return read_report(r, m) && read_returned(r, m) &&
	    read_token(r, BYTES_LIT("about"), &m->about) &&
	    (m->about.n == 0 || queue_id_is(m->about));
}

static int
read_message(struct reader *r, struct queue_message *m)
{
	int e;

	if (!read_value(r, BYTES_LIT("id"), &m->id) || !queue_id_is(m->id) ||
	    !read_hold(r, m) || !read_again(r, m) ||
	    !read_text(r, BYTES_LIT("listener"), &m->listener) ||
	    m->listener.n == 0 ||
	    !read_time(r, BYTES_LIT("arrived"), &m->arrived_s) ||
	    !read_time(r, BYTES_LIT("signed"), &m->signed_s) ||
	    !read_text(r, BYTES_LIT("client"), &m->client) ||
	    !read_mail_from(r, m) ||
	    !read_token(r, BYTES_LIT("ret"), &m->ret) ||
	    !read_token(r, BYTES_LIT("envid"), &m->envid))
		return -E_SYNTAX;
	e = read_digest(r, &m->digest);
	if (e != 0)
		return e;
	return read_choice(r, BYTES_LIT("body"), BYTES_LIT("8bitmime"),
	    BYTES_LIT("7bit"), &m->is_8bit) &&
	    read_choice(r, BYTES_LIT("smtputf8"), BYTES_LIT("yes"),
	    BYTES_LIT("no"), &m->is_utf8) && read_failure(r, m) ? 0
	    : -E_SYNTAX;
}

static int
read_counts(struct reader *r, size_t *n_copies, size_t *n_rcpts)
{
	struct bytes text;
	uint64_t copies, rcpts;

	if (!read_value(r, BYTES_LIT("count"), &text) ||
	    !take_number(&text, UINT32_MAX, &copies) ||
	    !take(&text, BYTES_LIT(" ")) ||
	    !take_number(&text, UINT32_MAX, &rcpts) || text.n != 0 ||
	    copies == 0 || rcpts < copies)
		return -E_SYNTAX;
	if (copies > QUEUE_COPIES_MAX || rcpts > QUEUE_RCPTS_MAX)
		return -E_LIMIT;
	/* No memory for more than can stand there. */
	if (rcpts > r->rest.n / FILE_STATE_SIZE)
		return -E_SYNTAX;
	*n_copies = (size_t)copies;
	*n_rcpts = (size_t)rcpts;
	return 0;
}

/* ---- what changes -------------------------------------------------------- */

static enum queue_status
status_of(uint8_t octet)
{
	for (enum queue_status s = QUEUE_WAITING; s <= QUEUE_TOLD; s++)
		if (queue_status_octet(s) == (char)octet)
			return s;
	/* It may have been anything, a final dot without an answer too. */
	return QUEUE_UNSURE;
}

static struct bytes
reply_of(struct bytes text)
{
	for (size_t k = 0; k < text.n; k++)
		if (text.p[k] != ' ' && !ascii_is_graph(text.p[k]))
			return (struct bytes){NULL, 0};
	while (text.n != 0 && text.p[text.n - 1] == ' ')
		text.n--;
	return text;
}

/* The second line of a recipient: " q 0003 1795664097 reply...". */
static bool
read_state(struct reader *r, struct queue_rcpt *rcpt)
{
	struct bytes s = bytes_first(r->rest, FILE_STATE_SIZE);
	const size_t tries = 3, due = tries + FILE_TRIES_DIGITS + 1;
	const size_t reply = 1 + FILE_REPLY_OFFSET;

	if (s.n != FILE_STATE_SIZE || s.p[0] != ' ' || s.p[2] != ' ' ||
	    s.p[due - 1] != ' ' || s.p[reply - 1] != ' ' ||
	    s.p[FILE_STATE_SIZE - 1] != '\n')
		return false;
	rcpt->at = reader_at(r) + 1;
	rcpt->reply_at = reader_at(r) + reply;
	rcpt->status = status_of(s.p[1]);
	rcpt->tries = (unsigned)number_of(
	    bytes_first(bytes_skip(s, tries), FILE_TRIES_DIGITS));
	rcpt->due_s = (int64_t)number_of(
	    bytes_first(bytes_skip(s, due), FILE_DUE_DIGITS));
	rcpt->reply = reply_of(
	    bytes_first(bytes_skip(s, reply), QUEUE_REPLY_SIZE));
	r->rest = bytes_skip(r->rest, FILE_STATE_SIZE);
	return true;
}

/* ---- copies and recipients ----------------------------------------------- */

static bool
read_rcpt(struct reader *r, struct queue_rcpt *rcpt)
{
	struct bytes line;

	return take_line(&r->rest, &line) && take(&line, BYTES_LIT("rcpt ")) &&
	    take_forward_path(&line, &rcpt->path) &&
	    take(&line, BYTES_LIT(" to=")) &&
	    take_forward_path(&line, &rcpt->to) &&
	    take_option(&line, BYTES_LIT(" notify="), &rcpt->notify) &&
	    take_option(&line, BYTES_LIT(" orcpt="), &rcpt->orcpt) &&
	    line.n == 0 && read_state(r, rcpt);
}

static bool
read_copy(struct reader *r, struct queue_copy *c)
{
	struct bytes line;
	uint64_t added;

	if (!take_line(&r->rest, &line) || !take(&line, BYTES_LIT("copy ")) ||
	    !take_number(&line, QUEUE_PART_MAX, &added) || added > SIZE_MAX ||
	    !take(&line, BYTES_LIT(" mail-from=")) ||
	    !take_path(&line, &c->mail_from) ||
	    !take(&line, BYTES_LIT(" signed=\"")) ||
	    !bytes_ends(line, BYTES_LIT("\"")))
		return false;
	c->added.n = (size_t)added;
	c->signed_as = bytes_first(line, line.n - 1);
	return c->signed_as.n <= QUEUE_FIELD_MAX &&
	    file_is_text(c->signed_as);
}

/* Reads n_rcpts recipients, and the copies they are of. */
static int
read_copies(struct reader *r, struct queue_message *m, size_t n_rcpts,
    uint64_t n_added)
{
	struct queue_rcpt *rcpts;
	size_t used = 0;
	uint64_t added = 0;

	m->copies = arena_array(r->arena, m->n_copies, sizeof(*m->copies));
	rcpts = arena_array(r->arena, n_rcpts, sizeof(*rcpts));
	if (m->copies == NULL || rcpts == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < m->n_copies; k++) {
		struct queue_copy *c = &m->copies[k];

		if (!read_copy(r, c) || c->added.n > n_added - added)
			return -E_SYNTAX;
		c->added_at = r->head.n + added;
		added += c->added.n;
		c->rcpts = &rcpts[used];
		while (bytes_starts(r->rest, BYTES_LIT("rcpt "))) {
			if (used == n_rcpts || !read_rcpt(r, &rcpts[used]))
				return -E_SYNTAX;
			used++;
			c->n_rcpts++;
		}
		if (c->n_rcpts == 0)
			return -E_SYNTAX;
	}
	return used == n_rcpts && added == n_added ? 0 : -E_SYNTAX;
}

int
queue_file_parse(struct bytes head, struct arena *a, struct queue_message *m)
{
	struct reader r = {head, head, a, 0};
	uint64_t n_head, n_added;
	size_t n_rcpts;
	int e;

	memset(m, 0, sizeof(*m));
	if ((e = read_start(&r.rest, &r.version, &n_head, &n_added,
	    &m->n_content)) != 0)
		return e;
	if (n_head != head.n)
		return -E_SYNTAX;
	m->content_at = n_head + n_added;
	if ((e = read_message(&r, m)) != 0 ||
	    (e = read_counts(&r, &m->n_copies, &n_rcpts)) != 0 ||
	    (e = read_copies(&r, m, n_rcpts, n_added)) != 0)
		return e;
	m->returned_at = m->content_at + m->n_content;
	m->n_file = m->returned_at + m->n_returned;
	return bytes_eq(r.rest, BYTES_LIT("\n")) ? 0 : -E_SYNTAX;
}
