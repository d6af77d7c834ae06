#include "config/keysfile.h"

#include <stdlib.h>

#include "base/ascii.h"
#include "base/err.h"
#include "base/json.h"
#include "config/file.h"

#define FILE_MAX (16U << 20)
#define NAME_MAX_OCTETS 255U
/* Names, names below them, records, one record. */
#define DEPTH_MAX 4U

struct answer {
	struct bytes name;	/* lower case, no dot at its end */
	enum keysfile_answer found;
	const struct bytes *records;
	size_t n;
	size_t at;		/* where its name stands in the octets */
};

struct keysfile {
	const struct answer *answers;	/* by name */
	size_t n;
};

/* Lists of what is not counted before it is read. */
struct answer_link {
	struct answer_link *next;
	struct answer answer;
};

struct record_link {
	struct record_link *next;
	struct bytes text;
};

struct reader {
	struct json j;
	struct arena *arena;
	struct answer_link *first;
	size_t n;
	size_t at;		/* where the last event began */
	const char *why;	/* the mistake, if one was found at `at` */
};

/* The next event, and where it begins. */
static enum json_event
take(struct reader *r)
{
	r->at = r->j.at;
	while (r->at < r->j.in.n && r->j.in.p[r->at] != '\0' &&
	    strchr(" \t\r\n,:", r->j.in.p[r->at]) != NULL)
		r->at++;
	return json_next(&r->j);
}

static int
bad(struct reader *r, const char *why)
{
	r->why = why;
	return -E_SYNTAX;
}

/* The octets that the text of the last event stands for. */
static int
text_take(struct reader *r, struct bytes *text)
{
	struct buf out;

	if (arena_buf(r->arena, r->j.text.n, &out) != 0)
		return -E_NOMEM;
	(void)json_unescape(r->j.text, &out);
	*text = buf_bytes(&out);
	return 0;
}

/* A name as it is kept: `name`, or `name` "." `above`. */
static int
name_make(struct reader *r, struct bytes name, struct bytes above,
    struct bytes *made)
{
	struct buf out;

	if (bytes_ends(name, BYTES_LIT(".")))
		name.n--;
	if (name.n == 0 || name.n > NAME_MAX_OCTETS)
		return bad(r, "no DNS name; write one of 1 to 255 octets");
	if (arena_buf(r->arena, name.n + 1 + above.n, &out) != 0)
		return -E_NOMEM;
	for (size_t k = 0; k < name.n; k++)
		buf_add_octet(&out, ascii_lower(name.p[k]));
	if (above.n != 0)
		buf_add_octet(&out, '.');
	buf_add(&out, above);
	*made = buf_bytes(&out);
	return 0;
}

/* Reads ["txt", "..."] behind its bracket; of other kinds nothing is kept. */
static int
pair_take(struct reader *r, struct bytes *text, bool *is_txt)
{
	int e;

	if (take(r) != JSON_STRING)
		return bad(r, "no kind of record; write [\"txt\", \"...\"]");
	*is_txt = bytes_case_eq(r->j.text, BYTES_LIT("txt"));
	if (take(r) != JSON_STRING)
		return bad(r, "no record; write [\"txt\", \"...\"]");
	e = text_take(r, text);
	if (e == 0 && take(r) != JSON_ARRAY_END)
		return bad(r, "more than a kind and a record; write [\"txt\", "
		    "\"...\"]");
	return e;
}

/* Reads the records of a list behind its bracket, the last one first. */
static int
records_take(struct reader *r, struct record_link **first, size_t *n)
{
	for (;;) {
		enum json_event e = take(r);
		struct bytes text;
		struct record_link *link;
		bool is_txt = true;
		int code;

		if (e == JSON_ARRAY_END)
			return 0;
		if (e == JSON_STRING)
			code = text_take(r, &text);
		else if (e == JSON_ARRAY)
			code = pair_take(r, &text, &is_txt);
		else
			code = bad(r, "no record; write a string");
		if (code != 0)
			return code;
		if (!is_txt)
			continue;
		link = arena_alloc(r->arena, sizeof(*link));
		if (link == NULL)
			return -E_NOMEM;
		link->text = text;
		link->next = *first;
		*first = link;
		++*n;
	}
}

static int
list_take(struct reader *r, struct answer *answer)
{
	struct record_link *first = NULL;
	struct bytes *records;
	size_t n = 0;
	int code = records_take(r, &first, &n);

	if (code != 0)
		return code;
	records = arena_array(r->arena, n, sizeof(*records));
	if (records == NULL)
		return -E_NOMEM;
	answer->found = n == 0 ? KEYSFILE_EMPTY : KEYSFILE_TXT;
	answer->records = records;
	answer->n = n;
	for (; first != NULL; first = first->next)
		records[--n] = first->text;
	return 0;
}

/* Reads the answer to a name; e is the event that begins it. */
static int
answer_take(struct reader *r, enum json_event e, struct bytes name, size_t at)
{
	struct answer_link *link = arena_alloc(r->arena, sizeof(*link));
	int code = 0;

	if (link == NULL)
		return -E_NOMEM;
	link->answer.name = name;
	link->answer.at = at;
	if (e == JSON_ARRAY)
		code = list_take(r, &link->answer);
	else if (e == JSON_STRING &&
	    bytes_eq(r->j.text, BYTES_LIT("TEMPERROR")))
		link->answer.found = KEYSFILE_TEMPERROR;
	else
		code = bad(r, "no answer; write a list of records, or "
		    "\"TEMPERROR\"");
	link->next = r->first;
	r->first = link;
	r->n++;
	return code;
}

/* Reads names and answers behind a brace; above is the name they are below. */
static int
names_take(struct reader *r, struct bytes above)
{
	for (;;) {
		enum json_event e = take(r);
		struct bytes text, name;
		size_t at = r->at;
		int code;

		if (e == JSON_OBJECT_END)
			return 0;
		if (e != JSON_KEY)
			return bad(r, "not JSON; write \"NAME\": [\"...\"]");
		code = text_take(r, &text);
		if (code == 0)
			code = name_make(r, text, above, &name);
		if (code != 0)
			return code;
		e = take(r);
		if (e == JSON_OBJECT && above.n == 0)
			code = names_take(r, name);
		else
			code = answer_take(r, e, name, at);
		if (code != 0)
			return code;
	}
}

static int
answer_compare(const void *va, const void *vb)
{
	const struct answer *a = va;
	const struct answer *b = vb;
	int r = bytes_compare(a->name, b->name);

	return r != 0 ? r : a->at < b->at ? -1 : a->at > b->at;
}

static int
answers_sort(struct reader *r, struct keysfile *k)
{
	struct answer *answers = arena_array(r->arena, r->n, sizeof(*answers));
	size_t n = 0;

	if (answers == NULL)
		return -E_NOMEM;
	for (; r->first != NULL; r->first = r->first->next)
		answers[n++] = r->first->answer;
	qsort(answers, n, sizeof(*answers), answer_compare);
	for (size_t i = 1; i < n; i++)
		if (bytes_eq(answers[i].name, answers[i - 1].name)) {
			r->at = answers[i].at;
			return bad(r, "a name that was given already; keep "
			    "one of them");
		}
	*k = (struct keysfile){answers, n};
	return 0;
}

static int
all_take(struct reader *r, struct keysfile *k)
{
	enum json_verdict v;
	size_t at;
	int code = json_check(r->j.in, true, r->arena, &v, &at);

	if (code != 0)
		return code;
	r->at = at;
	if (v == JSON_INVALID)
		return bad(r, "not JSON; write {\"NAME\": [\"...\"]}");
	if (take(r) != JSON_OBJECT)
		return bad(r, "no object; write {\"NAME\": [\"...\"]}");
	code = names_take(r, (struct bytes){NULL, 0});
	if (code == 0)
		code = answers_sort(r, k);
	if (code != 0 || v == JSON_GOOD)
		return code;
	/* A name twice above other names: nothing stands there twice. */
	r->at = at;
	return bad(r, "a name that was given already; keep one of them");
}

/* "LINE:COLUMN: WHY" */
static void
fault_put(const struct reader *r, struct buf *fault)
{
	size_t line = 1, column = 1;

	for (size_t k = 0; k < r->at && k < r->j.in.n; k++) {
		column++;
		if (r->j.in.p[k] == '\n') {
			line++;
			column = 1;
		}
	}
	buf_add_number(fault, line);
	buf_add_octet(fault, ':');
	buf_add_number(fault, column);
	buf_add_str(fault, ": ");
	buf_add_str(fault, r->why);
}

int
keysfile_parse(struct keysfile **k, struct bytes octets, struct arena *a,
    struct buf *fault)
{
	struct keysfile *made = arena_alloc(a, sizeof(*made));
	struct reader r = {.arena = a};
	int code;

	if (made == NULL || json_init(&r.j, octets, DEPTH_MAX, a) != 0)
		return -E_NOMEM;
	code = all_take(&r, made);
	if (code == -E_SYNTAX)
		fault_put(&r, fault);
	if (code == 0)
		*k = made;
	return code;
}

int
keysfile_load(struct keysfile **k, const char *path, struct arena *a,
    struct buf *fault)
{
	struct bytes octets;
	const char *why;
	int code = config_file_read(path, FILE_MAX, a, &octets, &why);

	if (code != 0) {
		buf_printf(fault, "can not read it: %s", why);
		return code == -E_NOMEM ? code : -E_SYSTEM;
	}
	return keysfile_parse(k, octets, a, fault);
}

/* bytes_compare(kept, name), the name without case. */
static int
name_compare(struct bytes kept, struct bytes name)
{
	for (size_t k = 0; k < kept.n && k < name.n; k++) {
		uint8_t c = ascii_lower(name.p[k]);

		if (kept.p[k] != c)
			return kept.p[k] < c ? -1 : 1;
	}
	return kept.n < name.n ? -1 : kept.n > name.n;
}

enum keysfile_answer
keysfile_find(const struct keysfile *k, struct bytes name,
    const struct bytes **records, size_t *n)
{
	size_t low = 0, high = k->n;

	*records = NULL;
	*n = 0;
	if (bytes_ends(name, BYTES_LIT(".")))
		name.n--;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct answer *answer = &k->answers[middle];
		int r = name_compare(answer->name, name);

		if (r == 0) {
			*records = answer->records;
			*n = answer->n;
			return answer->found;
		}
		if (r < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return KEYSFILE_NXDOMAIN;
}
