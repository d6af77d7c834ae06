/* A head of a queue file in one place, and whether two are the same. Behind
 * cmocka.h. */
#ifndef TESTS_QUEUE_KIT_FILE_H
#define TESTS_QUEUE_KIT_FILE_H

#include "tests/queue/kit.h"

static uint8_t octets[8192];

static inline struct bytes
write_head(const struct queue_message *m)
{
	struct buf out = BUF_ON(octets);

	assert_int_equal(queue_file_write(m, &out), 0);
	assert_true(out.n <= queue_file_room(m));
	return buf_bytes(&out);
}

static inline void
assert_bytes(struct bytes a, struct bytes b)
{
	assert_int_equal(a.n, b.n);
	if (a.n != 0)
		assert_memory_equal(a.p, b.p, a.n);
}

static inline void
assert_rcpt(const struct queue_rcpt *a, const struct queue_rcpt *b)
{
	assert_int_equal(a->status, b->status);
	assert_int_equal(a->tries, b->tries);
	assert_int_equal(a->due_s, b->due_s);
	assert_bytes(a->path, b->path);
	assert_bytes(a->to, b->to);
	assert_bytes(a->notify, b->notify);
	assert_bytes(a->orcpt, b->orcpt);
	assert_bytes(a->reply, b->reply);
}

static inline void
assert_message(const struct queue_message *a, const struct queue_message *b)
{
	assert_bytes(a->id, b->id);
	assert_bytes(a->listener, b->listener);
	assert_int_equal(a->arrived_s, b->arrived_s);
	assert_int_equal(a->again_s, b->again_s);
	assert_int_equal(a->signed_s, b->signed_s);
	assert_bytes(a->client, b->client);
	assert_bytes(a->mail_from, b->mail_from);
	assert_bytes(a->ret, b->ret);
	assert_bytes(a->envid, b->envid);
	assert_bytes(a->digest, b->digest);
	assert_int_equal(a->is_8bit, b->is_8bit);
	assert_int_equal(a->is_utf8, b->is_utf8);
	assert_int_equal(a->is_held, b->is_held);
	assert_int_equal(a->n_content, b->n_content);
	assert_bytes(a->report_to, b->report_to);
	assert_bytes(a->report_as, b->report_as);
	assert_bytes(a->report_why, b->report_why);
	assert_bytes(a->about, b->about);
	assert_int_equal(a->n_returned, b->n_returned);
	assert_int_equal(a->body_at, b->body_at);
	assert_int_equal(a->n_copies, b->n_copies);
	for (size_t k = 0; k < a->n_copies; k++) {
		const struct queue_copy *c = &a->copies[k], *d = &b->copies[k];

		assert_bytes(c->mail_from, d->mail_from);
		assert_bytes(c->signed_as, d->signed_as);
		assert_int_equal(c->added.n, d->added.n);
		assert_int_equal(c->n_rcpts, d->n_rcpts);
		for (size_t i = 0; i < c->n_rcpts; i++)
			assert_rcpt(&c->rcpts[i], &d->rcpts[i]);
	}
}

#endif
