#include "config/fault.h"

#include <stdio.h>
#include <stdlib.h>

#define FAULTS_MAX 1000U
#define SHOWN_MAX 64U

struct config_fault {
	struct config_fault *next;
	struct config_place at;
	size_t no;		/* in the order of finding */
	const char *text;
};

static void
add(struct config_faults *f, struct config_place at, const char *text)
{
	struct config_fault *fault;

	if (f->n++ >= FAULTS_MAX)
		return;
	fault = arena_alloc(f->arena, sizeof(*fault));
	if (fault != NULL)
		fault->text =
		    (const char *)arena_copy(f->arena, bytes_of(text)).p;
	if (fault == NULL || fault->text == NULL) {
		f->is_full = true;
		return;
	}
	fault->at = at;
	fault->no = f->n;
	fault->next = f->first;
	f->first = fault;
}

void
config_fault_add(struct config_faults *f, struct config_place at,
    const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	add(f, at, text);
}

void
config_fault_add_unbuilt(struct config_faults *f, struct config_place at,
    const char *directive, const char *value, const char *instead)
{
	f->has_unbuilt = true;
	if (value == NULL)
		config_fault_add(f, at, "%s: not built yet; remove it",
		    directive);
	else
		config_fault_add(f, at, "%s: %s: not built yet; write %s",
		    directive, value, instead);
}

const char *
config_fault_show(struct config_faults *f, struct bytes text)
{
	struct buf out;

	/* Four octets each at most, "...", and the NUL. */
	if (arena_buf(f->arena, 4 * SHOWN_MAX + 4, &out) != 0) {
		f->is_full = true;
		return "";
	}
	buf_add_escaped(&out, text, SHOWN_MAX);
	return (const char *)out.p;
}

static int
fault_compare(const void *va, const void *vb)
{
	const struct config_fault *a = *(const struct config_fault *const *)va;
	const struct config_fault *b = *(const struct config_fault *const *)vb;

	if (a->at.file_no != b->at.file_no)
		return a->at.file_no < b->at.file_no ? -1 : 1;
	if (a->at.line != b->at.line)
		return a->at.line < b->at.line ? -1 : 1;
	if (a->at.column != b->at.column)
		return a->at.column < b->at.column ? -1 : 1;
	return a->no < b->no ? -1 : a->no > b->no;
}

static bool
is_same(const struct config_fault *a, const struct config_fault *b)
{
	return a->at.file_no == b->at.file_no && a->at.line == b->at.line &&
	    a->at.column == b->at.column && strcmp(a->text, b->text) == 0;
}

static void
tell(const struct config_fault *fault, config_complain *complain, void *arg)
{
	char text[8192];

	(void)snprintf(text, sizeof(text), "%s:%u:%u: %s", fault->at.file,
	    fault->at.line, fault->at.column, fault->text);
	complain(arg, text);
}

void
config_fault_tell(struct config_faults *f, const char *file,
    config_complain *complain, void *arg)
{
	struct config_fault *sorted[FAULTS_MAX];
	char text[8192];
	size_t n = 0;

	for (struct config_fault *at = f->first; at != NULL; at = at->next)
		sorted[n++] = at;
	qsort(sorted, n, sizeof(sorted[0]), fault_compare);
	for (size_t k = 0; k < n; k++)
		if (k == 0 || !is_same(sorted[k - 1], sorted[k]))
			tell(sorted[k], complain, arg);
	if (f->n > FAULTS_MAX) {
		(void)snprintf(text, sizeof(text),
		    "%s:1:1: there are more mistakes than the %u told here",
		    file, FAULTS_MAX);
		complain(arg, text);
	}
	if (f->is_full) {
		(void)snprintf(text, sizeof(text),
		    "%s:1:1: it needs more memory than a configuration may "
		    "have; make it or its tables smaller", file);
		complain(arg, text);
	}
}
