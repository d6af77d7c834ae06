#include "daemon/sender.h"

#include <stdlib.h>

#include "daemon/hub.h"
#include "daemon/log.h"

/* Octets for the signatures of one message, and the policy. */
#define ROOM (1U << 20)
/* The parts of DMARC's questions, behind those of DKIM1's. */
#define DMARC_PART (SENDER_PART + DKIM1_SIGNATURES_MAX)

struct sender {
	struct sender_start start;
	struct arena *arena;	/* its own: DKIM2 lacks nothing by it */
	struct loop_timer *timer;
	struct dkim1_verify *dkim1;	/* NULL: no signature */
	struct dmarc *dmarc;		/* NULL: not looked for */
	unsigned n_asked;		/* questions for the policy */
	bool is_ended;
	bool is_done;
	struct bytes signers[DKIM1_SIGNATURES_MAX];
	struct dmarc_verdict verdict;
};

/* ---- the end ---- */

/* Judges, where nothing is missing any more. Returns whether it did. */
static bool
judge(struct sender *s)
{
	const struct dkim1_result *r = NULL;
	size_t n = 0;

	if (s->is_done || !s->is_ended ||
	    (s->dkim1 != NULL && dkim1_verify_step(s->dkim1) != DKIM2_DONE) ||
	    (s->dmarc != NULL && dmarc_step(s->dmarc) != DKIM2_DONE))
		return false;
	s->is_done = true;
	if (s->dkim1 != NULL)
		r = dkim1_verify_result(s->dkim1);
	for (size_t k = 0; r != NULL && k < r->n_signatures; k++)
		if (dkim1_counts(&r->signatures[k]))
			s->signers[n++] = r->signatures[k].d;
	if (s->dmarc != NULL)
		s->verdict = dmarc_judge(s->dmarc, s->signers, n,
		    (struct bytes){NULL, 0});
	return true;
}

/* What the crypto library or memory does not allow is not claimed. */
static void
give_up(struct sender *s)
{
	log_line(LOG_WARNING_, "DKIM1 signatures of a message can not be "
	    "looked at: no memory, or the crypto library failed");
	dkim1_verify_fini(s->dkim1);
	s->dkim1 = NULL;
}

static void
answer_key(struct sender *s, size_t k, const struct resolve_txt *txt)
{
	if (s->dkim1 != NULL && dkim1_verify_answer(s->dkim1, k, txt->found,
	    txt->records, txt->n) != 0)
		give_up(s);
}

static void
too_late(void *arg)
{
	static const struct resolve_txt none = {.found = DKIM2_KEY_TEMPFAIL};
	struct sender *s = arg;
	const struct bytes *names;
	size_t n = 0;

	if (s->dkim1 != NULL)
		n = dkim1_verify_wants(s->dkim1, &names);
	for (size_t k = 0; k < n; k++)
		answer_key(s, k, &none);	/* no second answer counts */
	if (s->dmarc != NULL)
		dmarc_answer(s->dmarc, none.found, NULL, 0);
	if (judge(s))
		s->start.done(s->start.arg);
}

/* ---- the beginning ---- */

static void
ask_policy(struct sender *s)
{
	if (dmarc_step(s->dmarc) == DKIM2_WANT_KEY)
		resolve_ask_txt(s->start.hub->resolve, dmarc_want(s->dmarc),
		    s->start.tag | (DMARC_PART + s->n_asked++));
}

/* Whether a signature may yet count that is aligned with From. */
static bool
may_align(const struct sender *s, struct bytes from)
{
	const struct dkim1_result *r;

	if (s->dkim1 == NULL)
		return false;
	r = dkim1_verify_seen(s->dkim1);
	for (size_t k = 0; k < r->n_signatures; k++)
		if (r->signatures[k].reason == DKIM1_OK &&
		    dmarc_aligned(r->signatures[k].d, from, false))
			return true;
	return false;
}

/* 0 or -E_*. */
static int
look(struct sender *s)
{
	const struct dkim2_message *m = s->start.message;
	const struct dkim2_field *first;
	struct bytes from;
	int error = 0;

	if (dkim2_message_find(m, BYTES_LIT("dkim-signature"), &first) != 0) {
		error = dkim1_verify_new(&s->dkim1, s->arena,
		    loop_time_s(s->start.hub->loop));
		if (error == 0)
			error = dkim1_verify_header(s->dkim1, m);
	}
	if (error == 0 && dkim2_message_from(m, s->arena, &from) ==
	    DKIM2_FROM_ONE && (s->start.wants_policy || may_align(s, from)))
		error = dmarc_new(&s->dmarc, s->arena, from);
	return error;
}

static void
ask(struct sender *s)
{
	const struct bytes *names;
	size_t n = 0;

	if (s->dkim1 != NULL)
		n = dkim1_verify_wants(s->dkim1, &names);
	for (size_t k = 0; k < n; k++)
		resolve_ask_txt(s->start.hub->resolve, names[k],
		    s->start.tag | (SENDER_PART + k));
	if (s->dmarc != NULL)
		ask_policy(s);
}

struct sender *
sender_new(const struct sender_start *start)
{
	const struct dkim2_field *first;
	struct sender *s;

	if (!start->wants_policy && dkim2_message_find(start->message,
	    BYTES_LIT("dkim-signature"), &first) == 0)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (s != NULL) {
		s->start = *start;
		s->arena = arena_new(ROOM);
		s->timer = loop_timer_new(start->hub->loop, too_late, s);
	}
	if (s == NULL || s->arena == NULL || s->timer == NULL ||
	    look(s) != 0) {
		log_line(LOG_WARNING_, "DKIM1 signatures of a message can "
		    "not be looked at: no memory");
		sender_free(&s);
		return NULL;
	}
	ask(s);
	return s;
}

void
sender_free(struct sender **s)
{
	if (*s == NULL)
		return;
	dkim1_verify_fini((*s)->dkim1);
	loop_timer_free(&(*s)->timer);
	arena_free(&(*s)->arena);
	free(*s);
	*s = NULL;
}

/* ---- what comes ---- */

void
sender_body(struct sender *s, struct bytes octets)
{
	if (s != NULL && s->dkim1 != NULL &&
	    dkim1_verify_body(s->dkim1, octets) != 0)
		give_up(s);
}

void
sender_end(struct sender *s, int64_t wait_ms)
{
	if (s == NULL)
		return;
	if (s->dkim1 != NULL && dkim1_verify_end(s->dkim1) != 0)
		give_up(s);
	s->is_ended = true;
	if (!judge(s))
		loop_timer_start(s->timer, wait_ms < SENDER_WAIT_MS ? wait_ms
		    : SENDER_WAIT_MS);
}

void
sender_answer(struct sender *s, unsigned part, const struct resolve_txt *txt)
{
	if (s == NULL)
		return;
	if (part < DMARC_PART) {
		answer_key(s, part - SENDER_PART, txt);
	} else if (dmarc_step(s->dmarc) == DKIM2_WANT_KEY) {
		dmarc_answer(s->dmarc, txt->found, txt->records, txt->n);
		ask_policy(s);
	}
	if (judge(s)) {
		loop_timer_stop(s->timer);
		s->start.done(s->start.arg);
	}
}

/* ---- what was found out ---- */

bool
sender_is_done(const struct sender *s)
{
	return s == NULL || s->is_done;
}

const struct dkim1_result *
sender_dkim1(const struct sender *s)
{
	return s == NULL || s->dkim1 == NULL || !s->is_done ? NULL
	    : dkim1_verify_result(s->dkim1);
}

const struct dmarc_verdict *
sender_dmarc(const struct sender *s)
{
	return s == NULL || s->dmarc == NULL || !s->is_done ? NULL
	    : &s->verdict;
}

bool
sender_is_aligned(const struct sender *s, struct bytes domain)
{
	const struct dkim1_result *r = sender_dkim1(s);

	for (size_t k = 0; r != NULL && k < r->n_signatures; k++)
		if (dkim1_counts(&r->signatures[k]) &&
		    dmarc_aligned(r->signatures[k].d, domain, false))
			return true;
	return false;
}
