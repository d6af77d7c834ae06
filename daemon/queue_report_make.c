/*
 * A report of the queue: written, signed as new mail of the domain that was
 * chosen when the message was accepted, proved, and put into new/.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "base/err.h"
#include "daemon/log.h"
#include "daemon/metrics.h"
#include "daemon/queue_run_state.h"
#include "dsn/report.h"
#include "smtp/xtext.h"

/* Beside what is returned: its header and the report, some copies of each. */
#define ROOM (16U << 20)

/* ---- what it says -------------------------------------------------------- */

/* Without brackets, as far as there are any. */
static struct bytes
address_of(struct bytes path)
{
	if (path.n < 2)
		return path;
	return bytes_first(bytes_skip(path, 1), path.n - 2);
}

/* Undone; empty where it is no xtext. */
static struct bytes
decoded(struct bytes xtext, struct arena *a)
{
	struct buf out;

	if (xtext.n == 0 || arena_buf(a, xtext.n, &out) != 0 ||
	    !smtp_xtext_decode(xtext, &out))
		return (struct bytes){NULL, 0};
	return buf_bytes(&out);
}

/* The code of a reply as a file has it: "550 5.1.1 no", or "5.1.1 no". */
static struct bytes
status_of(struct bytes reply)
{
	struct bytes word = bytes_cut(&reply, ' ');

	if (bytes_index(word, '.') == word.n)
		word = bytes_cut(&reply, ' ');
	return word;
}

/*
 * What the next hop said is told to whoever gave the address that it was said
 * of: another one is not his to know (attacks.md B5).
 */
static struct dsn_failed
failed_of(const struct queue_rcpt *rcpt, struct arena *a)
{
	bool is_expired = rcpt->status == QUEUE_TELLING_EXPIRED;
	struct dsn_failed f = {
	    .final = address_of(rcpt->to),
	    .original = decoded(rcpt->orcpt, a),
	    .is_expired = is_expired,
	};

	if (!is_expired)
		f.status = status_of(rcpt->reply);
	if (bytes_eq(rcpt->path, rcpt->to) && rcpt->reply.n != 0 &&
	    ascii_is_digit(rcpt->reply.p[0]))
		f.diagnostic = rcpt->reply;
	return f;
}

static int
list_failed(const struct queue_message *m, struct arena *a,
    struct dsn_made *d)
{
	struct dsn_failed *all;
	size_t n = 0;

	for (size_t c = 0; c < m->n_copies; c++)
		for (size_t k = 0; k < m->copies[c].n_rcpts; k++)
			n += queue_status_is_telling(
			    m->copies[c].rcpts[k].status);
	all = arena_array(a, n, sizeof(*all));
	if (all == NULL)
		return -E_NOMEM;
	d->rcpts = all;
	for (size_t c = 0; c < m->n_copies; c++)
		for (size_t k = 0; k < m->copies[c].n_rcpts; k++)
			if (queue_status_is_telling(
			        m->copies[c].rcpts[k].status))
				all[d->n_rcpts++] =
				    failed_of(&m->copies[c].rcpts[k], a);
	return 0;
}

/* The header as it came, without its empty line; the body where it is asked
 * for and not too long. */
static void
return_message(const struct config *c, const struct spool_file *f,
    struct dsn_made *d)
{
	const struct queue_message *m = &f->m;
	struct bytes content = spool_file_content(f);
	struct bytes body = bytes_skip(content, (size_t)m->body_at);
	struct bytes header = m->n_returned == 0
	    ? bytes_first(content, (size_t)m->body_at)
	    : spool_file_returned(f);

	if (header.n == 2 || bytes_ends(header, BYTES_LIT("\r\n\r\n")))
		header.n -= 2;
	if (header.n == 0)	/* it came without: what we put on top */
		header = spool_file_added(f, &m->copies[0]);
	d->returned_header = header;
	if (!(m->ret.n == 0 ? c->dsn_return == DSN_RETURN_FULL
	    : bytes_case_eq(m->ret, BYTES_LIT("FULL"))) ||
	    body.n > c->dsn_return_max)
		return;
	d->returned_body = body;
	d->has_returned_body = true;
}

static int
write_report(struct queue_report *q)
{
	const struct spool_file *f = q->about->file;
	const struct queue_message *m = &f->m;
	const struct config *c = q->run->hub->config;
	struct dsn_made d = {
	    .domain = q->domain.n != 0 ? q->domain : bytes_of(c->hostname),
	    .to = q->to,
	    .hostname = bytes_of(c->hostname),
	    .id = bytes_of(q->id),
	    .envid = decoded(m->envid, q->arena),
	    .now_s = loop_time_s(q->run->hub->loop),
	    .arrived_s = m->arrived_s,
	};
	int error = list_failed(m, q->arena, &d);

	if (error != 0)
		return error;
	return_message(c, f, &d);
	return dsn_report_write(&d, q->arena, &q->header, &q->body,
	    &q->is_8bit);
}

/* ---- the file ------------------------------------------------------------ */

static bool
is_ascii(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		if (b.p[k] >= 0x80)
			return false;
	return true;
}

static void
describe(const struct queue_report *q, const struct bytes pieces[2],
    struct queue_message *m, struct queue_copy *c, struct queue_rcpt *rcpt,
    const char *signed_as)
{
	int64_t now = loop_time_s(q->run->hub->loop);

	*rcpt = (struct queue_rcpt){.due_s = now, .path = q->to, .to = q->to,
	    .notify = BYTES_LIT("NEVER")};
	*c = (struct queue_copy){
	    .mail_from = BYTES_LIT("<>"),
	    .signed_as = bytes_of(signed_as),
	    .rcpts = rcpt,
	    .n_rcpts = 1,
	};
	c->added.n = pieces[0].n + pieces[1].n;
	*m = (struct queue_message){
	    .id = bytes_of(q->id),
	    .listener = q->listener,
	    .arrived_s = now,
	    .signed_s = now,
	    .mail_from = BYTES_LIT("<>"),
	    .is_8bit = q->is_8bit,
	    .is_utf8 = !is_ascii(q->to),
	    .report_why = BYTES_LIT("it is a report"),
	    .about = bytes_of(q->about->id),
	    .body_at = q->header.n + 2,
	    .copies = c,
	    .n_copies = 1,
	    .n_content = q->header.n + 2 + q->body.n,
	};
}

/* One that a process before us left there may not be whole. */
static int
put(const struct queue_report *q, const struct bytes pieces[], size_t n)
{
	int state = q->run->hub->env->state_fd;
	int error = spool_write(state, q->id, pieces, n);

	if (error == 0 || errno != EEXIST || !spool_take_back(state, q->id))
		return error;
	return spool_write(state, q->id, pieces, n);
}

static int
write_file(struct queue_report *q)
{
	struct bytes pieces[] = {{NULL, 0}, {NULL, 0}, {NULL, 0}, q->header,
	    BYTES_LIT("\r\n"), q->body};
	char signed_as[300] = "signed=no";
	struct queue_message m;
	struct queue_copy c;
	struct queue_rcpt rcpt;
	struct buf head;
	int error;

	if (q->sign != NULL) {
		snprintf(signed_as, sizeof(signed_as), "signed=yes d=%.*s",
		    BYTES_FMT(q->domain));
		pieces[1] = dkim2_sign_fields(q->sign);
		pieces[2] = queue_report_dkim1_fields(q);
	}
	describe(q, pieces + 1, &m, &c, &rcpt, signed_as);
	if (arena_room(q->arena, queue_file_room(&m), &head) != 0)
		return -E_NOMEM;
	error = queue_file_write(&m, &head);
	if (error != 0)
		return error;
	pieces[0] = buf_bytes(&head);
	return put(q, pieces, sizeof(pieces) / sizeof(pieces[0]));
}

static void
keep(struct queue_report *q)
{
	int error = write_file(q);

	if (error == 0)
		queue_report_commit(q);
	else if (error == -E_SYNTAX || error == -E_LIMIT)
		queue_report_give_up(q, "it has no place in a file");
	else
		queue_report_later(q, error == -E_NOMEM ? "no memory"
		    : strerrordesc_np(errno));
}

/* ---- the signature ------------------------------------------------------- */

/* 0 or -E_*; q->sign stays NULL where a rule forbids it. */
static int
begin_to_sign(struct queue_report *q, enum dkim2_refusal *why)
{
	const struct dkim2_verify_options digests = {
	    .hashes = 1U << DKIM2_SHA256, .scope = DKIM2_DIGESTS};
	struct dkim2_sign_options opts = {
	    .domain = q->domain,
	    .envelope = &q->envelope,
	    .timestamp_s = loop_time_s(q->run->hub->loop),
	};
	struct dkim2_signing_key *keys;
	struct dkim2_verify *v = NULL;
	int error;

	q->n_keys = signer_inventory_find(q->run->hub->inventory, q->domain,
	    &q->keys);
	keys = arena_array(q->arena, q->n_keys, sizeof(*keys));
	if (keys == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < q->n_keys; k++)
		keys[k] = (struct dkim2_signing_key){q->keys[k].selector,
		    q->keys[k].algorithm};
	opts.keys = keys;
	opts.n_keys = q->n_keys;
	q->envelope = (struct dkim2_envelope){BYTES_LIT("<>"), &q->to, 1};
	error = dkim2_message_parse(&q->message, q->header, SIZE_MAX,
	    q->arena);
	if (error == 0)
		error = dkim2_verify_new(&v, q->arena, &digests);
	if (error == 0)
		error = dkim2_verify_header(v, &q->message);
	if (error == 0)
		error = dkim2_verify_body(v, q->body);
	if (error == 0)
		error = dkim2_verify_end(v, q->body);
	if (error == 0)
		q->digests = *dkim2_verify_digests(v);
	dkim2_verify_fini(v);
	if (error == 0)
		error = dkim2_sign_new(&q->sign, q->arena, &q->message,
		    &q->digests, &opts, why);
	return error;
}

static int
ask_signatures(struct queue_report *q)
{
	struct hub *h = q->run->hub;
	struct bytes digest = dkim2_sign_want(q->sign);

	if (h->signer == NULL || !slots_take(&h->slots, q, &q->tag))
		return -E_SYSTEM;
	q->has_tag = true;
	for (size_t k = 0; k < q->n_keys; k++)
		if (signer_client_ask(h->signer, q->keys[k].number, digest,
		    q->tag | k) != 0)
			return -E_SYSTEM;
	return queue_report_dkim1(q);
}

void
queue_report_make(struct queue_report *q)
{
	const struct queue_message *m = &q->about->file->m;
	enum dkim2_refusal why = DKIM2_MAY_SIGN;
	int error;

	q->arena = arena_new(ROOM + 2 *
	    (size_t)q->run->hub->config->dsn_return_max);
	if (q->arena == NULL) {
		queue_report_later(q, "no memory");
		return;
	}
	q->to = arena_copy(q->arena, m->report_to);
	q->domain = arena_copy(q->arena, m->report_as);
	q->listener = arena_copy(q->arena, m->listener);
	error = write_report(q);
	if (error == 0 && q->domain.n == 0) {
		queue_entry_look(q->run, q->about);
		keep(q);
		return;
	}
	if (error == 0)
		error = begin_to_sign(q, &why);
	if (error == 0 && why == DKIM2_MAY_SIGN)
		error = ask_signatures(q);
	if (why != DKIM2_MAY_SIGN)
		queue_report_give_up(q, dkim2_refusal_text(why));
	else if (error == -E_LIMIT)
		queue_report_give_up(q, "there is nothing to return");
	else if (error != 0)
		queue_report_later(q, error == -E_NOMEM ? "no memory"
		    : "it can not be signed");
	else	/* its file is closed meanwhile */
		queue_entry_look(q->run, q->about);
}

/* ---- the proof ----------------------------------------------------------- */

/* The public halves come from the signer; there is no other hop. */
static int
answer_keys(const struct queue_report *q, struct dkim2_verify *v)
{
	const struct bytes *names;
	size_t n = dkim2_verify_wants(v, &names);
	int error = 0;

	for (size_t k = 0; k < n && error == 0; k++) {
		const struct bytes *record = NULL;

		for (size_t j = 0; j < q->n_keys; j++)
			if (signer_key_is(&q->keys[j], names[k]))
				record = &q->keys[j].record;
		error = dkim2_verify_answer(v, k, record == NULL
		    ? DKIM2_KEY_ABSENT : DKIM2_KEY_TXT, record,
		    record != NULL);
	}
	return error;
}

/* Our own verifier reads it as the next hop will (product.md, Prove). */
static int
prove(struct queue_report *q, bool *is_good)
{
	struct bytes fields = dkim2_sign_fields(q->sign);
	const struct dkim2_verify_options opts = {
	    .now_s = loop_time_s(q->run->hub->loop),
	    .envelope = &q->envelope,
	    .keyring = q->run->hub->keyring,
	};
	struct dkim2_verify *v = NULL;
	struct dkim2_message m;
	struct buf header;
	int error = arena_room(q->arena, fields.n + q->header.n, &header);

	*is_good = false;
	if (error != 0)
		return error;
	buf_add(&header, fields);
	buf_add(&header, q->header);
	error = dkim2_message_parse(&m, buf_bytes(&header), SIZE_MAX,
	    q->arena);
	if (error == 0)
		error = dkim2_verify_new(&v, q->arena, &opts);
	if (error == 0)
		error = dkim2_verify_header(v, &m);
	if (error == 0)
		error = answer_keys(q, v);
	if (error == 0)
		error = dkim2_verify_body(v, q->body);
	if (error == 0)
		error = dkim2_verify_end(v, q->body);
	if (error == 0)
		*is_good = dkim2_verify_result(v)->full.state == DKIM2_PASS;
	dkim2_verify_fini(v);
	return error;
}

static int
take_signature(struct queue_report *q, size_t k, struct bytes signature)
{
	if (k >= QUEUE_REPORT_DKIM1)
		return queue_report_dkim1_answer(q, k - QUEUE_REPORT_DKIM1,
		    signature);
	if (k < q->n_keys)
		metrics_count(METRIC_SIGNATURES, q->keys[k].algorithm, 0);
	return dkim2_sign_answer(q->sign, k, signature);
}

void
queue_run_signature(struct hub *h, uint64_t tag, struct bytes signature)
{
	struct queue_report *q = slots_find(&h->slots, tag);
	bool is_good = false;
	int error = -E_SYSTEM;

	if (q == NULL)
		return;
	if (signature.n != 0)
		error = take_signature(q, SLOT_PART(tag), signature);
	if (error == 0 && (dkim2_sign_step(q->sign) != DKIM2_DONE ||
	    !queue_report_dkim1_is_done(q)))
		return;
	if (error == 0)
		error = prove(q, &is_good);
	if (error != 0)
		queue_report_later(q, "it can not be signed");
	else if (!is_good)
		queue_report_later(q, "ALARM: what was signed here does not "
		    "verify");
	else
		keep(q);
}
