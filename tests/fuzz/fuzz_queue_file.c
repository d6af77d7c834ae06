/*
 * The head of a queue file: what parses and is written again parses to the
 * same, and so it does after each change in place. One of an earlier version
 * is first written in ours.
 */
#include "queue/file.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define ARENA (1U << 22)
#define ROOM (1U << 17)

static uint8_t octets[ROOM], renewed[ROOM];

static void
check(bool is_so)
{
	if (!is_so)
		abort();
}

static void
check_rcpts(const struct queue_copy *a, const struct queue_copy *b)
{
	check(a->n_rcpts == b->n_rcpts && a->n_rcpts != 0);
	for (size_t k = 0; k < a->n_rcpts; k++) {
		const struct queue_rcpt *r = &a->rcpts[k], *s = &b->rcpts[k];

		check(r->status == s->status && r->tries == s->tries &&
		    r->due_s == s->due_s && bytes_eq(r->path, s->path) &&
		    bytes_eq(r->to, s->to) && bytes_eq(r->notify, s->notify) &&
		    bytes_eq(r->orcpt, s->orcpt) &&
		    bytes_eq(r->reply, s->reply) && r->at == s->at);
		check(r->tries <= QUEUE_TRIES_MAX && r->due_s >= 0 &&
		    r->due_s <= QUEUE_TIME_MAX);
	}
}

static void
check_same(const struct queue_message *a, const struct queue_message *b)
{
	check(bytes_eq(a->id, b->id) && bytes_eq(a->listener, b->listener) &&
	    a->again_s == b->again_s && a->arrived_s == b->arrived_s && a->signed_s == b->signed_s &&
	    bytes_eq(a->client, b->client) &&
	    bytes_eq(a->mail_from, b->mail_from) &&
	    bytes_eq(a->ret, b->ret) && bytes_eq(a->envid, b->envid) &&
	    bytes_eq(a->digest, b->digest) && a->is_8bit == b->is_8bit &&
	    a->is_utf8 == b->is_utf8 && a->is_held == b->is_held &&
	    a->n_copies == b->n_copies && a->content_at == b->content_at &&
	    a->n_content == b->n_content && a->n_file == b->n_file &&
	    a->hold_at == b->hold_at);
	for (size_t k = 0; k < a->n_copies; k++) {
		const struct queue_copy *c = &a->copies[k], *d = &b->copies[k];

		check(bytes_eq(c->mail_from, d->mail_from) &&
		    c->added.n == d->added.n && c->added_at == d->added_at &&
		    bytes_eq(c->signed_as, d->signed_as));
		check_rcpts(c, d);
	}
}

/* Changes each recipient in turn; replies are of the file itself. */
static void
change(struct bytes head, struct queue_message *m, struct arena *a,
    struct bytes reply)
{
	struct queue_patch p;
	struct queue_message again;
	unsigned turn = 0;

	m->is_held = !m->is_held;
	queue_file_patch_hold(m, &p);
	check(p.at < head.n && p.n == 1);
	memcpy(octets + p.at, p.octets, p.n);
	for (size_t k = 0; k < m->n_copies && turn < 8; k++) {
		struct queue_rcpt *r = m->copies[k].rcpts, now;

		now = *r;
		now.status = (enum queue_status)(turn++ % 5);
		now.tries = r->tries + 1;
		now.due_s = r->due_s * 2;
		now.reply = reply;
		queue_file_patch_rcpt(&now, &p);
		check(p.at == r->at && p.n <= sizeof(p.octets) &&
		    p.n < head.n - p.at);
		memcpy(octets + p.at, p.octets, p.n);
		check(queue_file_parse(head, a, &again) == 0);
		check(again.copies[k].rcpts[0].status == now.status);
		check(again.is_held == m->is_held);
		check(again.n_file == m->n_file);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes head = {data, n};
	struct arena *a = arena_new(ARENA);
	struct buf out = BUF_ON(octets);
	struct queue_message m, again;
	int64_t told = queue_file_head(head);

	check(told <= (int64_t)QUEUE_HEAD_MAX);
	if (told > 0 && (uint64_t)told < head.n)
		head.n = (size_t)told;
	if (a == NULL || queue_file_parse(head, a, &m) != 0)
		goto out;
	check(told == (int64_t)head.n && m.content_at >= head.n &&
	    m.n_file >= m.content_at);
	if (queue_file_room(&m) > sizeof(octets))
		goto out;
	if (!bytes_starts(head, BYTES_LIT("hopseal-queue 2 "))) {
		struct buf now = BUF_ON(renewed);

		check(queue_file_write(&m, &now) == 0);
		head = buf_bytes(&now);
		check(queue_file_parse(head, a, &m) == 0);
	}
	check(queue_file_write(&m, &out) == 0 && out.n == head.n &&
	    out.n <= queue_file_room(&m));
	check(queue_file_parse(buf_bytes(&out), a, &again) == 0);
	check_same(&m, &again);
	change(buf_bytes(&out), &again, a, bytes_first(
	    (struct bytes){data, n}, 2 * QUEUE_REPLY_SIZE));
out:
	arena_free(&a);
	return 0;
}
