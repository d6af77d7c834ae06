/* What is asked of machines that share a server (shared_nodes.h). */
#ifndef TESTS_DAEMON_SHARED_KIT_H
#define TESTS_DAEMON_SHARED_KIT_H

#include "tests/daemon/shared_nodes.h"

#include "daemon/shared_arrivals_state.h"

/* One write: names and keys are single letters. */
struct write {
	char name, chain, message, content;
	const char *rcpts;		/* with blanks between */
	enum dkim2_state full;
	size_t n_copy;			/* octets; 0: none */
};

static const struct write first __attribute__((unused)) = {'1', 'c', 'm', 'x', "<r@l.example>",
    DKIM2_PASS, 0};

static inline bool
is_told(struct fixture *f, void *arg)
{
	struct node *n = arg;

	(void)f;
	return n->n_told != 0;
}

static inline enum arrival_status
ask(struct node *n, const struct memory_request *q, struct bytes value)
{
	n->n_told = 0;
	shared_take(n->shared, 1, q, value);
	until(n->f, is_told, n);
	assert_int_equal(n->n_told, 1);
	return n->status;
}

static inline struct memory_request
request(enum memory_op op, char key)
{
	struct memory_request q = {.op = (uint8_t)op, .tag = 7};

	memset(q.key, key, sizeof(q.key));
	return q;
}

/* The octets of a copy: no two pieces of it are the same. */
static inline uint8_t *
make_octets(size_t n, char content)
{
	uint8_t *p = malloc(n);

	assert_non_null(p);
	for (size_t k = 0; k < n; k++)
		p[k] = (uint8_t)((size_t)content + k * 7 +
		    k / SHARED_PIECE * 3);
	return p;
}

/* header.n + 2 + body.n octets of it */
static inline void
write_copy(struct node *n, const struct write *w, struct arrival *a)
{
	uint8_t *p;

	if (w->n_copy == 0)
		return;
	p = make_octets(w->n_copy, w->content);
	assert_int_equal(arrival_copy_write(n->copies, (struct bytes){p, 10},
	    (struct bytes){p + 12, w->n_copy - 12}, a->copy), 0);
	a->has_copy = true;
	free(p);
}

static inline struct bytes
compose(struct node *n, const struct write *w, struct memory_request *q,
    uint8_t room[MEMORY_WRITE_MAX])
{
	uint8_t list[ARRIVAL_RCPTS_MAX];
	struct buf b = {room, 0, MEMORY_WRITE_MAX, false};
	struct buf rcpts = BUF_ON(list);
	struct memory_write head;
	struct arrival a = {.time_s = 1795341600, .full = w->full,
	    .provisional = w->full, .mail_from = BYTES_LIT("<a@a.example>")};
	struct bytes rest = bytes_of(w->rcpts);

	*q = request(MEMORY_OP_WRITE, w->chain);
	memset(head.message, w->message, sizeof(head.message));
	memset(head.name, w->name, sizeof(head.name));
	memset(a.header, w->content, sizeof(a.header));
	while (rest.n != 0)
		relay_value_add_rcpt(&rcpts, bytes_cut(&rest, ' '));
	a.rcpts = buf_bytes(&rcpts);
	write_copy(n, w, &a);
	buf_add(&b, (struct bytes){(uint8_t *)&head, sizeof(head)});
	arrival_value_write(&a, &b);
	assert_false(b.full);
	q->n_value = (uint16_t)b.n;
	return buf_bytes(&b);
}

static inline enum arrival_status
write_one(struct node *n, const struct write *w)
{
	uint8_t room[MEMORY_WRITE_MAX];
	struct memory_request q;
	struct bytes value = compose(n, w, &q, room);

	return ask(n, &q, value);
}

static inline void
kept(struct node *n, const struct write *w)
{
	assert_int_equal(write_one(n, w), ARRIVAL_KEPT);
}

static inline void
take_back(struct node *n, const struct write *w)
{
	struct memory_request q = request(MEMORY_OP_REMOVE, w->name);
	struct memory_place place;

	memset(place.chain, w->chain, sizeof(place.chain));
	memset(place.message, w->message, sizeof(place.message));
	q.n_value = sizeof(place);
	shared_take(n->shared, 1, &q, (struct bytes){(uint8_t *)&place,
	    sizeof(place)});
}

static inline enum arrival_status
find(struct node *n, enum memory_op op, char key)
{
	struct memory_request q = request(op, key);

	return ask(n, &q, (struct bytes){NULL, 0});
}

static inline enum arrival_status
find_chain(struct node *n, char key)
{
	return find(n, MEMORY_OP_FIND_CHAIN, key);
}

static inline void
rcpts_are(const struct node *n, const char *want)
{
	struct bytes list = n->record.rcpts, path;
	char text[512] = "";

	while (relay_value_next_rcpt(&list, &path))
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
		    "%s%.*s", text[0] == 0 ? "" : " ", BYTES_FMT(path));
	assert_string_equal(text, want);
}

static inline size_t
n_files(const struct node *n)
{
	char command[128];
	FILE *p;
	size_t count = 0;
	int c;

	snprintf(command, sizeof(command), "ls %s/" COPIES_NAME, n->folder);
	p = popen(command, "r");
	assert_non_null(p);
	while ((c = getc(p)) != EOF)
		count += c == '\n';
	pclose(p);
	return count;
}

/* A command about the one key of a pattern. */
static inline void
say_of(struct fixture *f, const char *verb, const char *pattern,
    const char *more)
{
	char words[160];

	assert_int_equal(n_keys(f, pattern), 1);
	snprintf(words, sizeof(words), "%s %.100s%s", verb, f->text, more);
	say(f, words);
}

/* ---- what a hostile server says (P9) -------------------------------------- */

#define TEXT(t) {.kind = REDIS_STRING, .text = {(const uint8_t *)(t), \
	sizeof(t) - 1}}
#define NUMBER(n) {.kind = REDIS_INTEGER, .integer = (n)}
#define ARRAY(a) {.kind = REDIS_ARRAY, .items = (a), \
	.n_items = sizeof(a) / sizeof((a)[0])}

static const struct redis_value only_text[] = {TEXT("x")};
static const struct redis_value only_zero[] = {NUMBER(0)};
static const struct redis_value only_one[] = {NUMBER(1)};
static const struct redis_value most[] = {NUMBER(INT64_MAX)};
static const struct redis_value cut_off[] = {NUMBER(-5), TEXT("x"),
	TEXT("y")};
static const struct redis_value short_ones[] = {NUMBER(1), TEXT("x"),
	TEXT("y"), TEXT("z")};
static const struct redis_value no_seal[] = {NUMBER(1),
	TEXT("0123456789abcdef"), TEXT("0123456789abcdef00000001795341600"
	"0123456789abcdef0123456789abcdef"), TEXT("0123456789abcdef")};
static const struct redis_value no_texts[] = {NUMBER(1), NUMBER(1),
	{.kind = REDIS_NIL}, {.kind = REDIS_NIL}};

static const struct redis_value hostile_values[] = {
	{.kind = REDIS_NIL}, NUMBER(-1), NUMBER(0), NUMBER(INT64_MAX),
	NUMBER(INT64_MIN), TEXT(""), TEXT("x"), TEXT("xxx"),
	{.kind = REDIS_STATUS, .text = {(const uint8_t *)"OK", 2}},
	{.kind = REDIS_ARRAY}, ARRAY(only_text), ARRAY(only_zero),
	ARRAY(only_one), ARRAY(most), ARRAY(cut_off), ARRAY(short_ones),
	ARRAY(no_seal), ARRAY(no_texts),
};

#define N_HOSTILE (sizeof(hostile_values) / sizeof(hostile_values[0]))

#endif
