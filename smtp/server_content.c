#include "smtp/server_state.h"

/* Up to so many octets it is cheaper to copy them than to tell of them. */
#define RUN_COPIED 512U

const struct smtp_server_refusal smtp_server_too_big = {552, "5.3.4",
    "Message size exceeds fixed limit"};

static const struct smtp_server_refusal too_long = {550, "5.6.0",
    "Text line too long"};
static const struct smtp_server_refusal nul = {550, "5.6.0",
    "Message contains <NUL>"};
static const struct smtp_server_refusal bare_lf = {550, "5.5.2",
    "bare <LF> received"};
static const struct smtp_server_refusal bare_cr = {550, "5.5.2",
    "bare <CR> received"};
static const struct smtp_server_refusal no_end = {550, "5.6.0",
    "Message does not end with <CR><LF>"};

static bool
is_too_big(const struct smtp_server *s)
{
	return s->config->max_message != 0 &&
	    s->n_content > s->config->max_message;
}

static bool
is_too_long(const struct smtp_server *s)
{
	size_t max = s->config->max_line;

	return s->dot.longest > (max != 0 ? max : SMTP_TEXT_LINE_MAX);
}

/* Of all content so far; NULL: nothing. */
static const struct smtp_server_refusal *
fault_of(const struct smtp_server *s)
{
	if (is_too_big(s))
		return &smtp_server_too_big;
	if (is_too_long(s))
		return &too_long;
	return s->dot.has_nul ? &nul : NULL;
}

/* ---- DATA ---- */

/* Octets of content that may still come before it is given up. */
static uint64_t
content_left(const struct smtp_server *s)
{
	uint64_t max = s->config->max_message;
	uint64_t line_max = SMTP_TEXT_LINE_MAX;
	uint64_t left;

	if (s->config->max_line > line_max)
		line_max = s->config->max_line;
	left = s->dot.line < line_max ? line_max - s->dot.line : 0;
	if (max != 0 && max <= UINT64_MAX / 2 && 2 * max - s->n_content < left)
		left = 2 * max - s->n_content;
	return left;
}

/*
 * What comes next of the content, and that in one piece: where it lies in the
 * input, or copied into out, without the dots.
 *
 * left     octets of content that may come
 */
static enum dot_step
take_content(struct smtp_server *s, struct bytes *in, size_t left)
{
	struct buf out = {s->room->octets, 0,
	    left < SMTP_CONTENT_CHUNK ? left : SMTP_CONTENT_CHUNK, false};
	struct bytes run = dot_decode_run(&s->dot, in, left);
	enum dot_step step = DOT_MORE;

	if (run.n > RUN_COPIED) {
		s->content = run;
	} else {
		buf_add(&out, run);
		step = dot_decode(&s->dot, in, &out);
		s->content = buf_bytes(&out);
	}
	s->n_content += s->content.n;
	return step;
}

/* All content was taken. LMTP's recipients are answered one by one. */
static int
end_content(struct smtp_server *s, const struct smtp_server_refusal *fault)
{
	if (fault == NULL)
		return smtp_server_ask(s, SMTP_SERVER_END);
	s->fault = fault;
	s->n_due = s->config->is_lmtp ? s->n_rcpt : 1;
	return GO_ON;
}

int
smtp_server_tell_fault(struct smtp_server *s)
{
	int event = smtp_server_refuse_as(s, s->fault);

	s->n_due--;
	if (event != GO_ON || s->n_due != 0)
		return event;
	smtp_server_end_transaction(s);
	return SMTP_SERVER_RESET;
}

int
smtp_server_read_data(struct smtp_server *s, struct bytes *in)
{
	uint64_t left = content_left(s);
	enum dot_step step = take_content(s, in,
	    left < SIZE_MAX ? (size_t)left : SIZE_MAX);

	if (step == DOT_BARE_LF)
		return smtp_server_hang_up(s, bare_lf.code, bare_lf.enhanced,
		    bare_lf.text);
	if (step == DOT_BARE_CR)
		return smtp_server_hang_up(s, bare_cr.code, bare_cr.enhanced,
		    bare_cr.text);
	if (step == DOT_MORE && in->n != 0 && s->content.n == 0)
		return smtp_server_hang_up_421(s, "4.7.0",
		    "message without end");
	if (s->content.n == 0 || fault_of(s) != NULL) {
		if (step == DOT_END)
			return end_content(s, fault_of(s));
		return in->n == 0 ? SMTP_SERVER_MORE : GO_ON;
	}
	if (step == DOT_END)
		s->follow = SMTP_SERVER_END;
	return SMTP_SERVER_CONTENT;
}

/* ---- BDAT, RFC 3030 2 ---- */

int
smtp_server_refuse_chunk(struct smtp_server *s,
    const struct smtp_server_refusal *why)
{
	bool was_busy = smtp_server_is_busy(s);
	int event;

	s->n_skip = s->n_chunk;
	s->n_chunk = 0;
	event = why == NULL ? GO_ON : smtp_server_refuse_as(s, why);
	if (event != GO_ON)
		return event;
	if (!was_busy)
		return GO_ON;
	smtp_server_end_transaction(s);
	return SMTP_SERVER_RESET;
}

/* Reads SIZE and LAST; false where what follows can not be told. */
static bool
read_size(struct smtp_server *s, struct bytes arg)
{
	struct bytes size = bytes_first(arg, bytes_index(arg, ' '));
	struct bytes last = bytes_trim(bytes_skip(arg, size.n));

	s->is_last = last.n != 0;
	return bytes_number(size, UINT64_MAX, &s->n_chunk) &&
	    (last.n == 0 || bytes_case_eq(last, BYTES_LIT("LAST")));
}

int
smtp_server_run_bdat(struct smtp_server *s, struct bytes arg,
    const char *sequence)
{
	const struct smtp_server_refusal out_of_sequence = {503, "5.5.1",
	    sequence};
	uint64_t max = s->config->max_message;

	if (!read_size(s, arg))
		return smtp_server_hang_up(s, 521, "5.5.4",
		    "Syntax: BDAT octets [LAST]");
	if (max != 0 && s->n_chunk / 2 > max)
		return smtp_server_hang_up(s, smtp_server_too_big.code,
		    smtp_server_too_big.enhanced, smtp_server_too_big.text);
	if (sequence != NULL)
		return smtp_server_refuse_chunk(s, &out_of_sequence);
	if (s->state == ST_BDAT) {
		s->state = ST_CHUNK;
		return GO_ON;
	}
	s->is_chunked = true;
	return smtp_server_ask(s, SMTP_SERVER_DATA);
}

/* The chunk is complete, and all content was taken. */
static int
end_chunk(struct smtp_server *s)
{
	const struct smtp_server_refusal *fault = fault_of(s);

	if (!s->is_last) {
		if (fault != NULL)
			return smtp_server_refuse_chunk(s, fault);
		s->state = ST_BDAT;
		return smtp_server_reply(s, 250, "2.0.0", "Ok");
	}
	if (s->dot.at == DOT_AT_CR)
		fault = &bare_cr;
	else if (fault == NULL && s->dot.at != DOT_AT_BOL)
		fault = &no_end;
	return end_content(s, fault);
}

int
smtp_server_read_chunk(struct smtp_server *s, struct bytes *in)
{
	struct bytes now = *in;
	enum dot_step step;
	size_t n;

	if (s->n_chunk == 0)
		return end_chunk(s);
	if (in->n == 0)
		return SMTP_SERVER_MORE;
	if (now.n > s->n_chunk)
		now.n = (size_t)s->n_chunk;
	n = now.n;
	step = take_content(s, &now, SIZE_MAX);
	n -= now.n;
	*in = bytes_skip(*in, n);
	s->n_chunk -= n;
	if (step == DOT_BARE_LF)
		return smtp_server_refuse_chunk(s, &bare_lf);
	if (step == DOT_BARE_CR)
		return smtp_server_refuse_chunk(s, &bare_cr);
	return s->content.n == 0 || fault_of(s) != NULL ? GO_ON : SMTP_SERVER_CONTENT;
}

int
smtp_server_skip(struct smtp_server *s, struct bytes *in)
{
	size_t n = in->n < s->n_skip ? in->n : (size_t)s->n_skip;

	if (n == 0)
		return SMTP_SERVER_MORE;
	*in = bytes_skip(*in, n);
	s->n_skip -= n;
	return GO_ON;
}
