#include "daemon/metrics.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

#define CELLS 48U	/* of a metric, all words of its labels */
#define GAUGE_CELLS 8U
#define SLOTS 1024U	/* processes that live at a time, old ones too */

/*
 * What one process says of itself. It writes, and the master wipes it once
 * the process is gone, however it went.
 */
struct slot {
	pid_t pid;		/* 0: free */
	unsigned process;
	bool is_ready;
	int64_t beat_ms;
	int64_t cells[METRIC_GAUGES][GAUGE_CELLS];
};

struct metrics {
	int64_t start_s;
	uint64_t cells[METRIC__N][CELLS];
	struct slot slots[SLOTS];
};

/* The first slot is of who never began: the master, and tests. */
static struct metrics own;
static struct {
	struct metrics *all;
	struct slot *slot;
} self = {&own, own.slots};

int
metrics_open(void)
{
	void *p = mmap(NULL, sizeof(*self.all), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -E_SYSTEM;
	self.all = p;
	self.all->start_s = (int64_t)time(NULL);
	self.slot = self.all->slots;
	return 0;
}

int64_t
metrics_start_s(void)
{
	return self.all->start_s;
}

static uint64_t *
cell(enum metric m, unsigned a, unsigned b)
{
	const struct metric_label *second = metrics_rows[m].labels[1];
	size_t at = second == NULL ? a : a * second->n + b;

	if (at >= CELLS)
		abort();	/* a bug: no row has that many */
	return &self.all->cells[m][at];
}

void
metrics_add(enum metric m, unsigned a, unsigned b, uint64_t n)
{
	__atomic_fetch_add(cell(m, a, b), n, __ATOMIC_RELAXED);
}

void
metrics_count(enum metric m, unsigned a, unsigned b)
{
	metrics_add(m, a, b, 1);
}

void
metrics_observe(enum metric m, int64_t ms)
{
	const struct metric_label *bounds = metrics_rows[m].labels[0];
	unsigned k = 0;

	if (ms < 0)
		ms = 0;
	while (k < bounds->n &&
	    (double)ms > strtod(bounds->words[k], NULL) * 1000)
		k++;
	metrics_count(m, k, 0);
	metrics_add(m, (unsigned)bounds->n + 1, 0, (uint64_t)ms);
}

static int64_t
load(const int64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

/* Of all processes: their sum; of an age the earliest time. */
static int64_t
gather(enum metric m, unsigned a)
{
	int64_t sum = 0;

	for (size_t k = 0; k < SLOTS; k++) {
		int64_t v = load(&self.all->slots[k].cells[m][a]);

		if (metrics_rows[m].kind != METRIC_AGE)
			sum += v;
		else if (v != 0 && (sum == 0 || v < sum))
			sum = v;
	}
	return sum;
}

uint64_t
metrics_get(enum metric m, unsigned a, unsigned b)
{
	if (m < METRIC_GAUGES)
		return (uint64_t)gather(m, a);
	return __atomic_load_n(cell(m, a, b), __ATOMIC_RELAXED);
}

/* ---- gauges -------------------------------------------------------------- */

void
metrics_begin(unsigned process)
{
	/* the first is never free; where all are taken it serves */
	self.slot = self.all->slots;
	for (size_t k = 1; k < SLOTS; k++) {
		struct slot *s = self.all->slots + k;
		pid_t none = 0;

		if (__atomic_compare_exchange_n(&s->pid, &none, getpid(),
		    false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
			self.slot = s;
			s->process = process;
			metrics_set(METRIC_PROCESSES, process, 1);
			return;
		}
	}
}

void
metrics_reap(pid_t pid)
{
	for (size_t k = 1; k < SLOTS; k++) {
		struct slot *s = self.all->slots + k;

		if (__atomic_load_n(&s->pid, __ATOMIC_ACQUIRE) != pid)
			continue;
		for (size_t m = 0; m < METRIC_GAUGES; m++)
			for (size_t a = 0; a < GAUGE_CELLS; a++)
				__atomic_store_n(&s->cells[m][a], 0,
				    __ATOMIC_RELAXED);
		s->is_ready = false;
		__atomic_store_n(&s->beat_ms, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&s->pid, 0, __ATOMIC_RELEASE);
	}
}

void
metrics_move(enum metric gauge, unsigned a, int64_t by)
{
	__atomic_fetch_add(&self.slot->cells[gauge][a], by, __ATOMIC_RELAXED);
}

void
metrics_set(enum metric gauge, unsigned a, int64_t value)
{
	__atomic_store_n(&self.slot->cells[gauge][a], value,
	    __ATOMIC_RELAXED);
}

void
metrics_beat(int64_t now_ms)
{
	__atomic_store_n(&self.slot->beat_ms, now_ms, __ATOMIC_RELAXED);
}

int64_t
metrics_beaten(pid_t pid)
{
	for (size_t k = 1; k < SLOTS; k++)
		if (__atomic_load_n(&self.all->slots[k].pid,
		    __ATOMIC_ACQUIRE) == pid)
			return load(&self.all->slots[k].beat_ms);
	return -1;
}

void
metrics_ready(bool is_ready)
{
	__atomic_store_n(&self.slot->is_ready, is_ready, __ATOMIC_RELAXED);
}

void
metrics_health(unsigned process, int64_t now_ms, int64_t late_ms,
    struct metrics_health *out)
{
	*out = (struct metrics_health){0};
	for (size_t k = 1; k < SLOTS; k++) {
		const struct slot *s = self.all->slots + k;
		int64_t beat_ms = load(&s->beat_ms);

		if (__atomic_load_n(&s->pid, __ATOMIC_ACQUIRE) == 0 ||
		    s->process != process)
			continue;
		out->n++;
		if (!__atomic_load_n(&s->is_ready, __ATOMIC_RELAXED))
			continue;
		out->n_ready++;
		if (now_ms - beat_ms > late_ms)
			out->n_late++;
	}
}
