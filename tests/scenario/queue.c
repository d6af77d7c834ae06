#include "tests/scenario/queue.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "daemon/queue_link.h"
#include "daemon/spool.h"
#include "smtp/dot.h"
#include "tests/scenario/world.h"

#define FILES 64

static const char *const words[] = {"works", "no-room", "unwritable",
    "overflows", "full", "broken", "silent", "slow"};

enum how { WORKS, NO_ROOM, UNWRITABLE, OVERFLOWS, FULL, BROKEN, SILENT, SLOW };

struct file {
	char id[QUEUE_ID_MAX + 1];	/* empty: none */
	bool is_committed;
	bool is_asked;			/* and has no answer yet */
	uint64_t tag;
	uint8_t *octets;
	size_t n;
};

struct queue_link {
	struct loop *loop;
	queue_link_answer *answer;
	void *arg;
	struct loop_deferred deferred;
	bool is_coming;			/* ->deferred is */
};

static struct queue_link link;
static struct file files[FILES];	/* the oldest first */
static size_t n_files;
static struct bytes taken;
static enum how how;

void
scenario_queue_begin(void)
{
	for (size_t k = 0; k < n_files; k++)
		free(files[k].octets);
	free((void *)(uintptr_t)taken.p);
	taken = (struct bytes){NULL, 0};
	memset(files, 0, sizeof(files));
	n_files = 0;
	how = WORKS;
	link.is_coming = false;
}

static struct file *
find(const char *id)
{
	for (size_t k = 0; k < n_files; k++)
		if (strcmp(files[k].id, id) == 0)
			return &files[k];
	return NULL;
}

static void
forget(struct file *f)
{
	free(f->octets);
	n_files--;
	memmove(f, f + 1, (size_t)(files + n_files - f) * sizeof(*f));
}

struct bytes
scenario_queue_take(bool is_committed)
{
	free((void *)(uintptr_t)taken.p);
	taken = (struct bytes){NULL, 0};
	for (size_t k = 0; k < n_files; k++) {
		if (files[k].is_committed != is_committed)
			continue;
		taken = (struct bytes){files[k].octets, files[k].n};
		files[k].octets = NULL;
		forget(&files[k]);
		break;
	}
	return taken;
}

/* ---- the spool ------------------------------------------------------------ */

int
spool_write(int state, const char *id, const struct bytes pieces[], size_t n)
{
	struct file *f = &files[n_files];

	(void)state;
	assert(n_files < FILES && find(id) == NULL);
	if (how == UNWRITABLE || how == OVERFLOWS) {
		errno = how == UNWRITABLE ? EIO : ENOSPC;
		return -E_SYSTEM;
	}
	*f = (struct file){.is_asked = false};
	strcpy(f->id, id);
	for (size_t k = 0; k < n; k++)
		f->n += pieces[k].n;
	f->octets = world_realloc(NULL, f->n);
	f->n = 0;
	for (size_t k = 0; k < n; k++) {
		assert(pieces[k].n != 0);
		memcpy(f->octets + f->n, pieces[k].p, pieces[k].n);
		f->n += pieces[k].n;
	}
	n_files++;
	return 0;
}

bool
spool_take_back(int state, const char *id)
{
	struct file *f = find(id);

	(void)state;
	if (f == NULL || f->is_committed)
		return f == NULL;
	forget(f);
	return true;
}

bool
spool_has_room(int state, uint64_t octets, uint64_t min_free)
{
	(void)state;
	(void)octets;
	(void)min_free;
	return how != NO_ROOM;
}

/* ---- the queue process ---------------------------------------------------- */

static void
commit(struct file *f)
{
	uint64_t tag = f->tag;

	f->is_asked = false;
	if (how == FULL || how == BROKEN) {
		forget(f);
		link.answer(link.arg, tag, how == FULL ? QUEUE_FULL :
		    QUEUE_BROKEN);
		return;
	}
	f->is_committed = true;
	link.answer(link.arg, tag, QUEUE_TAKEN);
}

static void
answer(void *arg)
{
	(void)arg;
	link.is_coming = false;
	for (size_t k = 0; k < n_files; k++) {
		if (!files[k].is_asked || how == SILENT)
			continue;
		if (how == SLOW) {
			files[k].is_committed = true;
			continue;
		}
		commit(&files[k]);
		k = (size_t)-1;		/* the list may be another */
	}
}

static void
call(void)
{
	if (!link.is_coming && link.loop != NULL)
		loop_defer(link.loop, &link.deferred, answer, NULL);
	link.is_coming = true;
}

bool
scenario_queue_is(struct bytes word)
{
	for (unsigned k = 0; k < sizeof(words) / sizeof(words[0]); k++) {
		if (!bytes_eq(word, bytes_of(words[k])))
			continue;
		how = (enum how)k;
		call();
		return true;
	}
	return false;
}

struct queue_link *
queue_link_new(struct loop *l, int channel, queue_link_answer *said, void *arg)
{
	(void)channel;
	link = (struct queue_link){.loop = l, .answer = said, .arg = arg};
	return &link;
}

void
queue_link_free(struct queue_link **k)
{
	*k = NULL;
	link.loop = NULL;
}

int
queue_link_commit(struct queue_link *k, const char *id, uint64_t tag)
{
	struct file *f = find(id);
	void *memory = calloc(1, 1);

	(void)k;
	assert(f != NULL);
	if (memory == NULL)
		return -E_NOMEM;
	free(memory);
	f->is_asked = true;
	f->tag = tag;
	call();
	return 0;
}

void
queue_link_forget(struct queue_link *k, uint64_t tag)
{
	(void)k;
	for (size_t n = 0; n < n_files; n++)
		if (files[n].is_asked && files[n].tag == tag)
			files[n].is_asked = false;
}

/* ---- what is in a file ---------------------------------------------------- */

bool
scenario_queue_copy(struct bytes file, unsigned long n, struct buf *out)
{
	struct arena *arena = arena_new(8U << 20);
	int64_t head = queue_file_head(file);
	struct dot_encoder e;
	struct queue_message m;
	bool is_good;

	assert(arena != NULL);
	is_good = head > 0 && (size_t)head <= file.n && queue_file_parse(
	    bytes_first(file, (size_t)head), arena, &m) == 0 &&
	    m.n_file == file.n && n - 1 < m.n_copies;
	if (is_good) {
		const struct queue_copy *c = &m.copies[n - 1];
		struct bytes added = bytes_first(bytes_skip(file,
		    (size_t)c->added_at), c->added.n);
		struct bytes content = bytes_first(bytes_skip(file,
		    (size_t)m.content_at), (size_t)m.n_content);

		dot_encoder_init(&e);
		is_good = dot_encode(&e, &added, out) &&
		    dot_encode(&e, &content, out);
	}
	arena_free(&arena);
	return is_good;
}
