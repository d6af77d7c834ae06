#include "queue/file.h"

#include <assert.h>

#include "base/ascii.h"
#include "base/err.h"
#include "queue/file_form.h"

/* Words, blanks and digits of the lines that each message, copy and recipient
 * has; more than there are. */
#define MESSAGE_ROOM 512U
#define COPY_ROOM 64U
#define RCPT_ROOM (FILE_STATE_SIZE + 64U)

/* What a field takes at most; one that is longer is not written. */
static size_t
field_room(struct bytes b)
{
	return b.n < QUEUE_FIELD_MAX ? b.n : QUEUE_FIELD_MAX;
}

static size_t
copy_room(const struct queue_copy *c, size_t max)
{
	size_t n = COPY_ROOM + field_room(c->mail_from) +
	    field_room(c->signed_as);

	for (size_t k = 0; k < c->n_rcpts && n < max; k++) {
		const struct queue_rcpt *r = &c->rcpts[k];

		n += RCPT_ROOM + field_room(r->path) + field_room(r->to) +
		    field_room(r->notify) + field_room(r->orcpt);
	}
	return n;
}

size_t
queue_file_room(const struct queue_message *m)
{
	size_t n = MESSAGE_ROOM + field_room(m->id) +
	    field_room(m->listener) + field_room(m->client) +
	    field_room(m->mail_from) + field_room(m->ret) +
	    field_room(m->envid) + 2 * field_room(m->digest) +
	    field_room(m->report_to) + field_room(m->report_as) +
	    field_room(m->report_why) + field_room(m->about);

	for (size_t k = 0; k < m->n_copies && n < QUEUE_HEAD_MAX; k++)
		n += copy_room(&m->copies[k], QUEUE_HEAD_MAX);
	return n < QUEUE_HEAD_MAX ? n : QUEUE_HEAD_MAX;
}

static int
check_field(struct bytes b, bool (*is_fine)(struct bytes))
{
	if (b.n > QUEUE_FIELD_MAX)
		return -E_LIMIT;
	return is_fine(b) ? 0 : -E_SYNTAX;
}

static bool
is_path(struct bytes b)
{
	return b.n != 0 && file_path_length(b) == b.n;
}

/* Of somebody: not the null path. */
static bool
is_forward_path(struct bytes b)
{
	return b.n > strlen("<>") && is_path(b);
}

static bool
is_time(int64_t t)
{
	return t >= 0 && t <= QUEUE_TIME_MAX;
}

static int
check_rcpt(const struct queue_rcpt *r)
{
	int e;

	if (r->status > QUEUE_TOLD || r->tries > QUEUE_TRIES_MAX ||
	    !is_time(r->due_s))
		return -E_SYNTAX;
	if ((e = check_field(r->path, is_forward_path)) != 0 ||
	    (e = check_field(r->to, is_forward_path)) != 0 ||
	    (e = check_field(r->notify, file_is_token)) != 0)
		return e;
	return check_field(r->orcpt, file_is_token);
}

/* A line is to read as one field. */
static int
check_report(const struct queue_message *m)
{
	int e;

	if (m->n_returned > QUEUE_PART_MAX ||
	    m->report_to.n + m->report_as.n + m->report_why.n >
	    QUEUE_FIELD_MAX - sizeof(" as=- "))
		return -E_LIMIT;
	if (m->body_at > m->n_content ||
	    (m->about.n != 0 && !queue_id_is(m->about)) ||
	    (m->report_to.n != 0 && !is_forward_path(m->report_to)))
		return -E_SYNTAX;
	if ((e = check_field(m->report_as, file_is_token)) != 0)
		return e;
	return check_field(m->report_why, file_is_text);
}

static int
check_message(const struct queue_message *m)
{
	int e;

	if (!queue_id_is(m->id) || m->listener.n == 0 ||
	    !is_time(m->again_s) ||
	    !is_time(m->arrived_s) || !is_time(m->signed_s))
		return -E_SYNTAX;
	if (m->digest.n > 64 || m->n_content > QUEUE_PART_MAX)
		return -E_LIMIT;
	if ((e = check_field(m->listener, file_is_text)) != 0 ||
	    (e = check_field(m->client, file_is_text)) != 0 ||
	    (e = check_field(m->mail_from, is_path)) != 0 ||
	    (e = check_field(m->ret, file_is_token)) != 0)
		return e;
	if ((e = check_field(m->envid, file_is_token)) != 0)
		return e;
	return check_report(m);
}

/* Checks all of them; counts recipients and octets that are added. */
static int
check_copies(const struct queue_message *m, size_t *n_rcpts, uint64_t *n_added)
{
	int e;

	*n_rcpts = 0;
	*n_added = 0;
	if (m->n_copies == 0)
		return -E_SYNTAX;
	if (m->n_copies > QUEUE_COPIES_MAX)
		return -E_LIMIT;
	for (size_t k = 0; k < m->n_copies; k++) {
		const struct queue_copy *c = &m->copies[k];

		if (c->n_rcpts == 0)
			return -E_SYNTAX;
		if (c->n_rcpts > QUEUE_RCPTS_MAX - *n_rcpts ||
		    c->added.n > QUEUE_PART_MAX - *n_added)
			return -E_LIMIT;
		*n_rcpts += c->n_rcpts;
		*n_added += c->added.n;
		if ((e = check_field(c->mail_from, is_path)) != 0 ||
		    (e = check_field(c->signed_as, file_is_text)) != 0)
			return e;
		for (size_t i = 0; i < c->n_rcpts; i++)
			if ((e = check_rcpt(&c->rcpts[i])) != 0)
				return e;
	}
	return 0;
}

/* A word, and what it says where there is something. */
static void
add_line(struct buf *out, const char *word, struct bytes value)
{
	buf_add_str(out, word);
	if (value.n != 0) {
		buf_add_octet(out, ' ');
		buf_add(out, value);
	}
	buf_add_octet(out, '\n');
}

static void
add_number_line(struct buf *out, const char *word, int64_t value)
{
	buf_add_str(out, word);
	buf_add_octet(out, ' ');
	buf_add_number(out, (uint64_t)value);
	buf_add_octet(out, '\n');
}

static void
add_digest(struct buf *out, struct bytes digest)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t text[2 * 64];
	size_t n = 0;

	for (size_t k = 0; k < digest.n; k++) {
		text[n++] = (uint8_t)hex[digest.p[k] >> 4];
		text[n++] = (uint8_t)hex[digest.p[k] & 15];
	}
	add_line(out, "digest", (struct bytes){text, n});
}

static void
add_report(struct buf *out, const struct queue_message *m)
{
	buf_add_str(out, "report");
	if (m->report_to.n != 0) {
		buf_add_octet(out, ' ');
		buf_add(out, m->report_to);
	}
	if (m->report_to.n != 0 && m->report_as.n != 0) {
		buf_add_str(out, " as=");
		buf_add(out, m->report_as);
	}
	if (m->report_to.n == 0 && m->report_why.n != 0) {
		buf_add_str(out, " - ");
		buf_add(out, m->report_why);
	}
	buf_add_str(out, "\nreturned ");
	buf_add_number(out, m->n_returned);
	buf_add_octet(out, ' ');
	buf_add_number(out, m->body_at);
	buf_add_octet(out, '\n');
	add_line(out, "about", m->about);
}

static void
add_message(struct buf *out, const struct queue_message *m, size_t n_rcpts)
{
	add_line(out, "id", m->id);
	add_line(out, "hold", m->is_held ? BYTES_LIT("H") : BYTES_LIT("-"));
	buf_add_str(out, "again ");
	file_add_digits(out, (uint64_t)m->again_s, FILE_DUE_DIGITS);
	buf_add_octet(out, '\n');
	add_line(out, "listener", m->listener);
	add_number_line(out, "arrived", m->arrived_s);
	add_number_line(out, "signed", m->signed_s);
	add_line(out, "client", m->client);
	add_line(out, "mail-from", m->mail_from);
	add_line(out, "ret", m->ret);
	add_line(out, "envid", m->envid);
	add_digest(out, m->digest);
	add_line(out, "body",
	    m->is_8bit ? BYTES_LIT("8bitmime") : BYTES_LIT("7bit"));
	add_line(out, "smtputf8",
	    m->is_utf8 ? BYTES_LIT("yes") : BYTES_LIT("no"));
	add_report(out, m);
	buf_add_str(out, "count ");
	buf_add_number(out, m->n_copies);
	buf_add_octet(out, ' ');
	buf_add_number(out, n_rcpts);
	buf_add_octet(out, '\n');
}

static void
add_rcpt(struct buf *out, const struct queue_rcpt *r)
{
	buf_add_str(out, "rcpt ");
	buf_add(out, r->path);
	buf_add_str(out, " to=");
	buf_add(out, r->to);
	if (r->notify.n != 0) {
		buf_add_str(out, " notify=");
		buf_add(out, r->notify);
	}
	if (r->orcpt.n != 0) {
		buf_add_str(out, " orcpt=");
		buf_add(out, r->orcpt);
	}
	buf_add_str(out, "\n ");
	file_add_state(out, r);
	buf_add_octet(out, '\n');
}

static void
add_copy(struct buf *out, const struct queue_copy *c)
{
	buf_add_str(out, "copy ");
	buf_add_number(out, c->added.n);
	buf_add_str(out, " mail-from=");
	buf_add(out, c->mail_from);
	buf_add_str(out, " signed=\"");
	buf_add(out, c->signed_as);
	buf_add_str(out, "\"\n");
	for (size_t k = 0; k < c->n_rcpts; k++)
		add_rcpt(out, &c->rcpts[k]);
}

/* The first line; n_head is known only once the head is written. */
static void
add_start(struct buf *out, uint64_t n_head, uint64_t n_added,
    uint64_t n_content)
{
	buf_add_str(out, FILE_MAGIC);
	buf_add_number(out, QUEUE_FILE_VERSION);
	buf_add_octet(out, ' ');
	file_add_digits(out, n_head, FILE_HEAD_DIGITS);
	buf_add_octet(out, ' ');
	buf_add_number(out, n_added);
	buf_add_octet(out, ' ');
	buf_add_number(out, n_content);
	buf_add_octet(out, '\n');
}

int
queue_file_write(const struct queue_message *m, struct buf *out)
{
	size_t start = out->n, n_rcpts;
	uint64_t n_added;
	struct buf first;
	int e;

	if ((e = check_message(m)) != 0 ||
	    (e = check_copies(m, &n_rcpts, &n_added)) != 0)
		return e;
	add_start(out, 0, n_added, m->n_content);
	add_message(out, m, n_rcpts);
	for (size_t k = 0; k < m->n_copies; k++)
		add_copy(out, &m->copies[k]);
	buf_add_octet(out, '\n');
	if (out->full || out->n - start > QUEUE_HEAD_MAX)
		return -E_LIMIT;
	first = (struct buf){out->p + start, 0, out->n - start, false};
	add_start(&first, out->n - start, n_added, m->n_content);
	assert(!first.full);
	return 0;
}
