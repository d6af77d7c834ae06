/*
 * Repair: what a device left out goes on top of its message, below our own
 * fields, before it is signed. Time and id are those of the copy, so that a
 * retry is octet for octet what the try before it was; for the delivered
 * memory the message stays what the client sent.
 */
#include "daemon/relay_state.h"

#include "base/err.h"

#define FIELDS_ADDED 5U

void
relay_repair_look(struct relay *r, bool has_bare_lf)
{
	static const struct relay_answer bare = {550, "5.6.0",
	    {(const uint8_t *)"bare <LF> received in mail that carries DKIM2 "
	    "fields, which is not repaired", 75}};

	if (!r->listener->is_repairing)
		return;
	if (has_bare_lf && decide_has_chain(&r->message))
		r->fault = bare;
	else
		repair_look(&r->repair, &r->message, content_body(&r->content));
}

int
relay_digests(const struct relay *r, const struct dkim2_message *m,
    struct dkim2_digests *d)
{
	const struct dkim2_digests *was = dkim2_verify_digests(r->verify);
	const struct dkim2_verify_options opts = {
	    .hashes = was->have,
	    .scope = DKIM2_DIGESTS,
	};
	struct dkim2_verify *v = NULL;
	int error = dkim2_verify_new(&v, r->arena, &opts);

	if (error == 0)
		error = dkim2_verify_header(v, m);
	if (error == 0)
		error = dkim2_verify_end(v, (struct bytes){NULL, 0});
	if (error == 0) {
		*d = *dkim2_verify_digests(v);
		memcpy(d->body, was->body, sizeof(was->body));
	}
	dkim2_verify_fini(v);
	return error;
}

static int
write_fields(const struct relay *r, struct relay_repaired *d)
{
	struct repair_facts f = {
	    .time_s = d->time_s,
	    .id = d->id,
	    .hostname = r->hub->config->hostname,
	};
	struct buf header;

	if (dkim2_message_from(&r->message, r->arena, &f.domain) !=
	    DKIM2_FROM_ONE)
		f.domain = (struct bytes){NULL, 0};
	if (arena_room(r->arena, REPAIR_MAX + r->message.header.n,
	    &header) != 0)
		return -E_NOMEM;
	repair_write(&r->repair, &f, &header);
	d->fields = buf_bytes(&header);
	buf_add(&header, r->message.header);
	return dkim2_message_parse(&d->message, buf_bytes(&header),
	    r->message.n_fields + FIELDS_ADDED, r->arena);
}

int
relay_repair(struct relay *r, const struct relay_value *value,
    const struct relay_repaired **out)
{
	struct relay_repaired *d = r->repaired;
	int error;

	*out = NULL;
	/* what came in before is another's, and may be what he signed */
	if (r->repair.lacks == 0 || r->extension.is_found)
		return 0;
	while (d != NULL && (d->time_s != value->time_s ||
	    !bytes_eq(d->id, value->id)))
		d = d->next;
	if (d == NULL) {
		d = arena_alloc(r->arena, sizeof(*d));
		if (d == NULL)
			return -E_NOMEM;
		d->time_s = value->time_s;
		d->id = value->id;
		error = write_fields(r, d);
		if (error == 0)
			error = relay_digests(r, &d->message, &d->digests);
		if (error != 0)
			return error;
		d->next = r->repaired;
		r->repaired = d;
	}
	*out = d;
	return 0;
}
