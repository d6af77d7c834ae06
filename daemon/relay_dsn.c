/*
 * A DSN of ours in the place of what came: a new message, which leaves in the
 * transaction that is open, for one recipient of it (product.md, Fail well).
 */
#include "daemon/relay_state.h"

#include <sodium.h>

#include "base/err.h"
#include "daemon/metrics.h"

_Static_assert(crypto_hash_sha256_BYTES == 32, "SHA-256");

/* What two reports on the same failure have in common. 0 or -E_NOMEM. */
static int
make_digest(struct relay *r, struct relay_failure *f, struct bytes signature)
{
	uint8_t octets[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state state;
	static const uint8_t end = 0;

	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, signature.p, signature.n);
	crypto_hash_sha256_update(&state, &end, 1);
	crypto_hash_sha256_update(&state, f->told.final.p, f->told.final.n);
	crypto_hash_sha256_final(&state, octets);
	f->digest = (struct bytes){octets, sizeof(octets)};
	return relay_keep(r, &f->digest);
}

/* 0 or -E_NOMEM. */
static int
list_failures(struct relay *r, struct relay_dsn *d, struct bytes signature)
{
	int error = 0;

	d->failures = arena_array(r->arena, d->made.n_rcpts,
	    sizeof(*d->failures));
	d->left = arena_array(r->arena, d->made.n_rcpts, sizeof(*d->left));
	if (d->failures == NULL || d->left == NULL)
		return -E_NOMEM;
	for (; d->n_failures < d->made.n_rcpts && error == 0;
	    d->n_failures++) {
		struct relay_failure *f = &d->failures[d->n_failures];

		f->told = d->made.rcpts[d->n_failures];
		error = make_digest(r, f, signature);
	}
	return error;
}

bool
relay_dsn_narrow(struct relay *r)
{
	struct relay_dsn *d = r->dsn;
	size_t n = 0;

	for (size_t k = 0; k < d->n_failures; k++)
		if (!d->failures[k].is_known)
			d->left[n++] = d->failures[k].told;
	if (n != d->made.n_rcpts)
		d->written = NULL;	/* it told of more */
	d->made.rcpts = d->left;
	d->made.n_rcpts = n;
	return n != 0;
}

/* The hashes of the header and body that were written. */
static int
hash(const struct relay *r, struct relay_replaced *d)
{
	const struct dkim2_verify_options opts = {
	    .hashes = 1U << DKIM2_SHA256,
	    .scope = DKIM2_DIGESTS,
	};
	struct dkim2_verify *v = NULL;
	int error = dkim2_verify_new(&v, r->arena, &opts);

	if (error == 0)
		error = dkim2_verify_header(v, &d->message);
	if (error == 0)
		error = dkim2_verify_body(v, d->body);
	if (error == 0)
		error = dkim2_verify_end(v, d->body);
	if (error == 0)
		d->digests = *dkim2_verify_digests(v);
	dkim2_verify_fini(v);
	return error;
}

static int
write_one(struct relay *r, struct relay_replaced *d)
{
	struct dsn_made made = r->dsn->made;
	struct bytes header;
	bool is_8bit;
	int error;

	made.now_s = d->time_s;
	made.id = d->id;
	error = dsn_report_write(&made, r->arena, &header, &d->body,
	    &is_8bit);
	if (error == 0)
		error = dkim2_message_parse(&d->message, header, SIZE_MAX,
		    r->arena);
	if (error == 0)
		error = hash(r, d);
	r->is_8bit = is_8bit;
	return error;
}

int
relay_dsn_write(struct relay *r, const struct relay_value *value,
    const struct relay_replaced **out)
{
	struct relay_replaced *d = r->dsn->written;
	int error;

	*out = NULL;
	while (d != NULL && (d->time_s != value->time_s ||
	    !bytes_eq(d->id, value->id)))
		d = d->next;
	if (d == NULL) {
		d = arena_alloc(r->arena, sizeof(*d));
		if (d == NULL)
			return -E_NOMEM;
		d->time_s = value->time_s;
		d->id = value->id;
		error = write_one(r, d);
		if (error != 0)
			return error;
		d->next = r->dsn->written;
		r->dsn->written = d;
	}
	*out = d;
	return 0;
}

int
relay_dsn_put(struct relay *r, struct relay_rcpt *rcpt,
    const struct dsn_made *made, struct bytes signature)
{
	const struct relay_value now = {
	    .time_s = loop_time_s(r->hub->loop),
	    .id = bytes_of(r->id),
	};
	struct relay_dsn *d = arena_alloc(r->arena, sizeof(*d));
	const struct relay_replaced *written;
	int error;

	if (d == NULL)
		return -E_NOMEM;
	d->made = *made;
	error = list_failures(r, d, signature);
	if (error != 0)
		return error;
	r->dsn = d;
	/* once here: whether it has 8 bits is asked before it is sent */
	error = relay_dsn_write(r, &now, &written);
	if (error != 0) {
		r->dsn = NULL;
		return error;
	}
	metrics_count(METRIC_DSNS, DSN_RETURNED, 0);
	r->is_short = false;	/* the memory knows it by what it is about */
	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
		if (k != rcpt)
			relay_discard_rcpt(r, k,
			    "a report on a message of another sender");
	return 0;
}

/* ---- nobody gets it ------------------------------------------------------- */

void
relay_discard_rcpt(struct relay *r, struct relay_rcpt *rcpt, const char *why)
{
	struct relay_answer a = relay_answer_say(250, "2.0.0", "Ok, discarded");
	char text[200];
	struct buf b = BUF_ON(text);
	struct bytes kept;

	if (rcpt->state == RCPT_SETTLED || rcpt->twin != NULL)
		return;
	buf_printf(&b, "Ok, discarded: %s", why);
	kept = arena_copy(r->arena, buf_bytes(&b));
	if (kept.p != NULL)
		a.text = kept;
	rcpt->is_discarded = true;
	rcpt->onward = NULL;	/* whoever was asked is told no more */
	relay_settle(r, rcpt, &a);
}

void
relay_dsn_fail(struct relay *r, int error)
{
	struct relay_answer a = error == -E_NOMEM
	    ? relay_answer_say(452, "4.3.1", "Out of memory")
	    : relay_answer_say(451, "4.3.0",
	    "The message could not be checked");

	relay_refuse(r, &a);
}

void
relay_discard(struct relay *r, const char *why)
{
	metrics_count(METRIC_DSNS, DSN_SWALLOWED, 0);
	for (struct relay_rcpt *k = r->rcpts; k != NULL; k = k->next)
		relay_discard_rcpt(r, k, why);
	relay_conclude(r);
}
