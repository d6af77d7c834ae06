#include <stdlib.h>

#include "daemon/log.h"
#include "daemon/queue_run_state.h"

static struct queue_mark **
find(struct queue_entry *e, size_t at)
{
	struct queue_mark **k = &e->marks;

	while (*k != NULL && (*k)->at != at)
		k = &(*k)->next;
	return k;
}

static void
drop(struct queue_mark **at)
{
	struct queue_mark *k = *at;

	*at = k->next;
	free(k);
}

static void
keep(struct queue_entry *e, const struct queue_rcpt *rcpt)
{
	struct queue_mark **at = find(e, rcpt->at), *k = *at;

	if (k == NULL)
		k = *at = calloc(1, sizeof(*k));
	if (k == NULL) {
		log_line(LOG_ERROR_, "%s: no memory to know it until then",
		    e->id);
		return;
	}
	k->at = rcpt->at;
	k->status = rcpt->status;
	k->tries = rcpt->tries;
	k->due_s = rcpt->due_s;
}

static bool
write_mark(struct spool_file *f, const struct queue_rcpt *rcpt)
{
	struct queue_patch p;

	queue_file_patch_rcpt(rcpt, &p);
	return spool_file_patch(f, &p) == 0;
}

void
queue_patch(struct queue_entry *e, const struct queue_rcpt *rcpt)
{
	struct queue_mark **at = find(e, rcpt->at);

	if (write_mark(e->file, rcpt)) {
		if (*at != NULL)
			drop(at);
		e->has_news |= rcpt->status == QUEUE_DELIVERED;
		return;
	}
	log_line(LOG_ERROR_, "%s: what became of a recipient can not be "
	    "written now: %m", e->id);
	keep(e, rcpt);
}

static struct queue_rcpt *
rcpt_at(const struct queue_message *m, size_t at)
{
	for (size_t c = 0; c < m->n_copies; c++)
		for (size_t k = 0; k < m->copies[c].n_rcpts; k++)
			if (m->copies[c].rcpts[k].at == at)
				return &m->copies[c].rcpts[k];
	return NULL;
}

void
queue_marks_put(struct queue_entry *e, struct spool_file *f)
{
	struct queue_mark **at = &e->marks;

	while (*at != NULL) {
		struct queue_rcpt *rcpt = rcpt_at(&f->m, (*at)->at);

		if (rcpt != NULL) {
			rcpt->status = (*at)->status;
			rcpt->tries = (*at)->tries;
			rcpt->due_s = (*at)->due_s;
		}
		if (rcpt != NULL && !write_mark(f, rcpt)) {
			at = &(*at)->next;
			continue;
		}
		e->has_news = true;
		drop(at);
	}
}

void
queue_marks_drop(struct queue_entry *e)
{
	while (e->marks != NULL)
		drop(&e->marks);
}
