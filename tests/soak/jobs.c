#include "tests/soak/jobs.h"

#include <stdlib.h>

#define LEAVERS 150U
#define WAITING_MAX 200U	/* messages of a mode that wait for a retry */

static struct {
	uint64_t seed, draws;
	unsigned leavers;	/* one of so many leaves behind its dot */
	uint32_t n_drawn, limit, rate;	/* new messages a second; 0: any */
	int64_t began_ms;
	struct {
		struct job *jobs;
		unsigned n, room;
		bool is_due;
	} waiting[MODES_MAX];
} c;

void
jobs_init(uint32_t limit, unsigned rate, uint64_t seed)
{
	c.limit = limit;
	c.rate = rate;
	c.seed = seed;
	c.leavers = LEAVERS;
	c.began_ms = soak_now_ms();
}

void
jobs_leavers(unsigned one_of)
{
	c.leavers = one_of == 0 ? 1 : one_of;
}

uint64_t
jobs_draw(void)
{
	return mix(c.seed, ++c.draws);
}

void
jobs_put(unsigned mode, struct job *job, int64_t due_ms)
{
	unsigned n = c.waiting[mode].n;

	if (n == c.waiting[mode].room) {
		c.waiting[mode].room = n == 0 ? 64 : n * 2;
		c.waiting[mode].jobs = realloc(c.waiting[mode].jobs,
		    c.waiting[mode].room * sizeof(*job));
		if (c.waiting[mode].jobs == NULL)
			soak_die("memory");
	}
	job->due_ms = due_ms;
	c.waiting[mode].jobs[c.waiting[mode].n++] = *job;
	*job = (struct job){.number = NOBODY};
}

bool
client_is_full(unsigned mode)
{
	return c.waiting[mode].n >= WAITING_MAX;
}

bool
client_submit(uint32_t number, const struct mail *m)
{
	struct job job = {.number = number, .own = *m};

	jobs_put(numbers[number].mode, &job, 0);
	return true;
}

unsigned
client_undrawn(void)
{
	return c.limit - c.n_drawn;
}

static unsigned
draw_recipients(const struct mode *m)
{
	uint64_t d = jobs_draw();
	unsigned share = (unsigned)(d % 100), n = 1;

	if (m->kind == KIND_LIST_IN)
		return 1;
	if (share >= 80)
		n = 2 + (unsigned)(d >> 32) % 4;
	if (share >= 97)
		n = 6 + (unsigned)(d >> 32) % (RCPT_MAX / 2);
	return m->aliases != 0 && n > m->aliases ? m->aliases : n;
}

static uint32_t
draw_number(unsigned mode)
{
	const struct mode *m = modes + mode;
	uint32_t n = ledger_new(mode, draw_recipients(m));
	uint64_t d = jobs_draw();
	struct number *a = numbers + n;

	if (n == NOBODY)
		return n;
	c.n_drawn++;
	if (m->kind == KIND_ENFORCE && d % 10 == 0)
		a->flags |= IS_FORGED;
	if ((d >> 8) % 150 == 0)
		a->flags |= IS_TO_VANISH;
	else if ((d >> 16) % c.leavers == 0)
		a->flags |= WILL_LEAVE;
	if (m->aliases != 0 || m->kind == KIND_LIST_IN)
		return n;
	for (unsigned k = 0; k < a->n_rcpt; k++) {
		uint64_t w = jobs_draw() % 120;

		rcpts_of(n)[k].whom = w < 3 ? WHOM_UNKNOWN : w < 5 ?
		    WHOM_PICKY : WHOM_GOOD;
	}
	return n;
}

bool
jobs_may_draw(unsigned mode)
{
	return modes[mode].weight != 0 && c.n_drawn < c.limit &&
	    (c.rate == 0 || c.n_drawn < c.rate * (uint64_t)(soak_now_ms() -
	    c.began_ms) / 1000) && !client_is_full(mode);
}

bool
jobs_next(unsigned mode, struct job *job, int64_t now_ms)
{
	for (unsigned k = 0; c.waiting[mode].is_due &&
	    k < c.waiting[mode].n; k++) {
		if (c.waiting[mode].jobs[k].due_ms > now_ms)
			continue;
		*job = c.waiting[mode].jobs[k];
		c.waiting[mode].jobs[k] =
		    c.waiting[mode].jobs[--c.waiting[mode].n];
		return true;
	}
	c.waiting[mode].is_due = false;
	if (!jobs_may_draw(mode))
		return false;
	*job = (struct job){.number = draw_number(mode)};
	return job->number != NOBODY;
}

void
jobs_look(int64_t now_ms)
{
	for (unsigned m = 0; m < n_modes; m++) {
		c.waiting[m].is_due = false;
		for (unsigned k = 0; k < c.waiting[m].n; k++)
			if (c.waiting[m].jobs[k].due_ms <= now_ms) {
				c.waiting[m].is_due = true;
				break;
			}
	}
}

bool
jobs_is_due(unsigned mode)
{
	return c.waiting[mode].is_due;
}

unsigned
jobs_waiting(void)
{
	unsigned n = 0;

	for (unsigned m = 0; m < n_modes; m++)
		n += c.waiting[m].n;
	return n;
}
