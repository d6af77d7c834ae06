#include <errno.h>

#include "base/err.h"
#include "daemon/log.h"
#include "daemon/queue_run_state.h"

/* A message that a request names: the file that a try has open, or our own. */
struct named {
	const char *id;
	struct queue_entry *entry;	/* or NULL */
	struct spool_file *file;
	struct spool_file own;
};

static void
say_error(struct buf *answer, int error)
{
	if (error == -E_ABSENT)
		buf_add_str(answer, "absent");
	else if (error == -E_SYSTEM)
		buf_printf(answer, "error %s", strerrordesc_np(errno));
	else
		buf_printf(answer, "error %s", err_text(error));
}

static int
open_named(struct queue_run *r, struct named *n)
{
	int error;

	n->entry = queue_entry_find(r, n->id);
	n->file = &n->own;
	if (n->entry != NULL && n->entry->file != NULL) {
		n->file = n->entry->file;
		return 0;
	}
	error = spool_file_open(&n->own, r->spool, n->id, false);
	if (error == 0 && n->entry != NULL)
		queue_marks_put(n->entry, &n->own);
	return error;
}

static void
close_named(struct named *n)
{
	if (n->file == &n->own)
		spool_file_close(&n->own);
}

static int
patch_hold(struct named *n, bool is_held)
{
	struct queue_message *m = &n->file->m;
	bool was_held = m->is_held;
	struct queue_patch p;

	m->is_held = is_held;
	queue_file_patch_hold(m, &p);
	if (spool_file_patch(n->file, &p) == 0)
		return 0;
	m->is_held = was_held;
	return -E_SYSTEM;
}

/* From now on; what is under way ends first. */
static int
hold(struct queue_run *r, struct named *n)
{
	int error = patch_hold(n, true);

	if (error != 0)
		return error;
	log_line(LOG_NOTICE_, "%s: held", n->id);
	(void)queue_load_file(r, n->id, n->file, QUEUE_LOAD_NOW);
	if (n->entry == NULL)
		return 0;
	queue_entry_stop(r, n->entry);
	queue_entry_look(r, n->entry);
	return 0;
}

static int
release(struct queue_run *r, struct named *n)
{
	int error = patch_hold(n, false);

	if (error != 0)
		return error;
	log_line(LOG_NOTICE_, "%s: released", n->id);
	if (n->entry != NULL)
		n->entry->is_held = false;
	if (n->entry != NULL && n->file == &n->own)
		queue_entry_look(r, n->entry);	/* it goes, and comes anew */
	return queue_load_file(r, n->id, n->file, QUEUE_LOAD_NOW);
}

/* It stands in a report that is under way. */
static bool
is_being_told(const struct named *n, const struct queue_rcpt *rcpt)
{
	return queue_status_is_telling(rcpt->status) && n->entry != NULL &&
	    n->entry->report != NULL;
}

/* Those that were given up have a whole queue-expire again. */
static int
reopen(struct queue_run *r, struct named *n)
{
	struct queue_message *m = &n->file->m;
	bool is_any = false;

	for (size_t c = 0; c < m->n_copies; c++) {
		for (size_t k = 0; k < m->copies[c].n_rcpts; k++) {
			struct queue_rcpt *rcpt = &m->copies[c].rcpts[k];
			const struct queue_rcpt was = *rcpt;
			struct queue_patch p;

			if (!queue_status_is_failed(rcpt->status) ||
			    is_being_told(n, rcpt))
				continue;
			rcpt->status = QUEUE_WAITING;
			rcpt->tries = 0;
			rcpt->due_s = loop_time_s(r->hub->loop);
			queue_file_patch_rcpt(rcpt, &p);
			if (spool_file_patch(n->file, &p) != 0) {
				*rcpt = was;
				return -E_SYSTEM;
			}
			is_any = true;
		}
	}
	return is_any ? 1 : 0;
}

static int
retry(struct queue_run *r, struct named *n)
{
	int reopened = reopen(r, n);

	if (reopened < 0)
		return reopened;
	log_line(LOG_NOTICE_, "%s: to be tried at once", n->id);
	return queue_load_file(r, n->id, n->file, reopened == 0
	    ? QUEUE_LOAD_NOW : QUEUE_LOAD_ANEW);
}

static int
remove_named(struct queue_run *r, struct named *n)
{
	const struct queue_message *m = &n->file->m;

	if (spool_remove(r->spool, n->id) != 0)
		return -E_SYSTEM;
	log_line(LOG_NOTICE_, "%s: removed by the postmaster", n->id);
	for (size_t c = 0; c < m->n_copies; c++)
		for (size_t k = 0; k < m->copies[c].n_rcpts; k++)
			if (m->copies[c].rcpts[k].status != QUEUE_DELIVERED)
				queue_forget(r, m, &m->copies[c].rcpts[k]);
	if (n->entry != NULL) {
		n->entry->is_partial = n->entry->is_held = false;
		queue_entry_stop(r, n->entry);
		queue_marks_drop(n->entry);
		queue_entry_look(r, n->entry);
	}
	return 0;
}

static int
import(struct queue_run *r, const char *id)
{
	struct spool_commit c = {.result = 0};

	memcpy(c.id, id, strlen(id) + 1);
	spool_commit(r->spool, &c, 1);
	errno = c.error;
	if (c.result == 0) {
		log_line(LOG_NOTICE_, "%s: imported", id);
		queue_run_add(r, id);
	}
	return c.result;
}

static const struct {
	struct bytes verb;
	int (*run)(struct queue_run *, struct named *);
} verbs[] = {
	{BYTES_LIT("retry"), retry},
	{BYTES_LIT("hold"), hold},
	{BYTES_LIT("release"), release},
	{BYTES_LIT("remove"), remove_named},
};

/* What of a message makes a request impossible; NULL: nothing. */
static const char *
objection(size_t verb, const struct named *n)
{
	if (verbs[verb].run == remove_named && n->entry != NULL &&
	    n->entry->n_active != 0)
		return "busy";
	if (verbs[verb].run == retry && n->file->m.is_held)
		return "error it is held: release it";
	return NULL;
}

static void
run_verb(struct queue_run *r, size_t verb, const char *id,
    struct buf *answer)
{
	struct named n = {.id = id};
	const char *why;
	int error = open_named(r, &n);

	if (error != 0) {
		say_error(answer, error);
		return;
	}
	why = objection(verb, &n);
	if (why == NULL)
		error = verbs[verb].run(r, &n);
	if (why != NULL)
		buf_add_str(answer, why);
	else if (error != 0)
		say_error(answer, error);
	else
		buf_add_str(answer, "ok");
	close_named(&n);
}

void
queue_run_command(struct queue_run *r, struct bytes request,
    struct buf *answer)
{
	struct bytes verb = bytes_cut(&request, ' ');
	char id[QUEUE_ID_MAX + 1];
	int error;

	if (request.n > QUEUE_ID_MAX || !queue_id_is(request)) {
		buf_add_str(answer, "error no id of a message");
		return;
	}
	memcpy(id, request.p, request.n);
	id[request.n] = '\0';
	if (bytes_eq(verb, BYTES_LIT("import"))) {
		error = import(r, id);
		if (error == 0)
			buf_add_str(answer, "ok");
		else
			say_error(answer, error);
		return;
	}
	for (size_t k = 0; k < sizeof(verbs) / sizeof(verbs[0]); k++) {
		if (bytes_eq(verb, verbs[k].verb)) {
			run_verb(r, k, id, answer);
			return;
		}
	}
	buf_add_str(answer, "error no such request");
}
