#include "tests/soak/soak.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define FAULTS_TOLD 100U
#define KILLS_MAX 100000U
#define AFTERMATH_MS 2000	/* it may take so long until we are told */

struct number *numbers;
struct rcpt *rcpts;
uint32_t n_numbers, most_numbers;
struct totals totals;
unsigned kills;
bool is_excused;

static uint32_t n_rcpts, most_rcpts;
static uint32_t killed_ms[KILLS_MAX];

/* Pages that nobody wrote to cost nothing. */
static void *
room(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		soak_die("mmap");
	return p;
}

static uint32_t
now_ms(void)
{
	static int64_t began;

	if (began == 0)
		began = soak_now_ms();
	return (uint32_t)(soak_now_ms() - began);
}

void
ledger_kill(void)
{
	if (kills < KILLS_MAX)
		killed_ms[kills++] = now_ms();
}

void
ledger_touch(uint32_t number)
{
	numbers[number].last_ms = now_ms();
}

void
ledger_init(uint32_t most)
{
	most_numbers = most;
	most_rcpts = most * 8 + RCPT_MAX;
	numbers = room((size_t)most * sizeof(*numbers));
	rcpts = room((size_t)most_rcpts * sizeof(*rcpts));
}

uint32_t
ledger_new(unsigned mode, unsigned n_rcpt)
{
	struct number *m = numbers + n_numbers;

	if (n_numbers == most_numbers || n_rcpt > most_rcpts - n_rcpts)
		return NOBODY;
	*m = (struct number){.first = n_rcpts, .parent = NOBODY,
	    .n_rcpt = (uint16_t)n_rcpt, .mode = (uint8_t)mode,
	    .began_ms = now_ms(), .last_ms = now_ms()};
	for (unsigned k = 0; k < n_rcpt; k++)
		rcpts[n_rcpts + k] = (struct rcpt){.whom = WHOM_GOOD};
	n_rcpts += n_rcpt;
	return n_numbers++;
}

void
ledger_arrived(uint32_t number, unsigned k)
{
	struct rcpt *r = rcpts_of(number) + k;

	ledger_touch(number);
	if (r->count < UINT8_MAX)
		r->count++;
}

void
ledger_reported(uint32_t number, unsigned k)
{
	struct rcpt *r = rcpts_of(number) + k;

	if (r->reports < UINT8_MAX)
		r->reports++;
	ledger_touch(number);
}

static bool
is_queued(uint32_t n)
{
	return modes[numbers[n].mode].kind == KIND_QUEUE;
}

/* Whether a process died, or was too slow, while it was under way. */
static bool
is_shaken(const struct number *m)
{
	for (unsigned k = 0; k < kills; k++)
		if (killed_ms[k] >= m->began_ms &&
		    killed_ms[k] <= m->last_ms + AFTERMATH_MS)
			return true;
	return false;
}

/* Whether the client can not know what became of its message. */
static bool
is_unsure(const struct number *m)
{
	return m->drops != 0 || m->lost != 0 || m->left != 0 ||
	    is_shaken(m);
}

/* What RFC 1047 allows: a second copy for each answer that was lost. A client
 * that left alone is known by the delivered memory, unless a process died. */
static unsigned
excused(const struct number *m)
{
	if (!is_shaken(m))
		return m->drops + m->lost;
	/* each copy has its transaction, but for what is tried from a queue */
	return modes[m->mode].kind == KIND_QUEUE ? UINT8_MAX :
	    m->transactions - 1U;
}

/* ---- the judgement --------------------------------------------------------- */

struct judged {
	uint64_t recipients, delivered, refused, reported, vanished,
	    given_up, open, owed, unsure;	/* refused, and arrived */
	uint64_t doubles, doubles_dropped, doubles_killed;
	uint64_t lost, unexcused, ghosts, wrongly_refused, forged_taken,
	    reported_twice, reported_and_arrived,
	    over_reported;
};

static unsigned n_told;

static void
tell(const char *what, uint32_t n, unsigned k)
{
	const struct number *m = numbers + n;
	const struct rcpt *r = rcpts_of(n) + k;

	if (n_told++ >= FAULTS_TOLD)
		return;
	fprintf(stderr, "FAULT %s: %s number %u recipient %c%u of %u: fate %u, "
	    "arrived %u, reports %u, tries %u, flags %u, drops %u, lost %u, "
	    "left %u, %u to %u ms\n", what, modes[m->mode].name, n, r->whom,
	    k, m->n_rcpt, r->fate, r->count, r->reports, m->tries, m->flags,
	    m->drops, m->lost, m->left, m->began_ms, m->last_ms);
}

static void
judge_taken(struct judged *j, uint32_t n, unsigned k)
{
	const struct number *m = numbers + n;
	const struct rcpt *r = rcpts_of(n) + k;

	if ((m->flags & IS_FORGED) != 0) {
		j->forged_taken++;
		tell("forged and accepted", n, k);
	}
	if (r->count != 0) {
		j->delivered++;
		if (r->reports != 0)
			j->reported_and_arrived++;
		if (r->reports != 0 && excused(m) + m->left == 0) {
			j->over_reported++;
			tell("arrived and reported", n, k);
		}
	} else if (r->reports != 0) {
		j->reported++;
	} else if (is_queued(n)) {
		j->owed++;
		tell("taken into the queue and gone", n, k);
	} else {
		j->lost++;
		tell("lost", n, k);
	}
	/* What failed for good is forgotten: who comes again is told again. */
	j->reported_twice += r->reports > 1;
	if (r->reports > 1 && r->reports - 1U > excused(m) + m->left) {
		j->over_reported++;
		tell("reported twice", n, k);
	}
}

static void
judge_refused(struct judged *j, uint32_t n, unsigned k)
{
	const struct number *m = numbers + n;
	const struct rcpt *r = rcpts_of(n) + k;

	j->refused++;
	if ((m->flags & (IS_FORGED | WAS_REFUSED)) == 0) {
		j->wrongly_refused++;
		tell("refused by nobody's will", n, k);
	}
	if (r->count == 0)
		return;
	if (is_unsure(m)) {
		j->unsure++;
	} else {
		j->ghosts++;
		tell("refused and delivered", n, k);
	}
}

static void
judge_doubles(struct judged *j, uint32_t n, unsigned k)
{
	const struct number *m = numbers + n;
	unsigned extra = rcpts_of(n)[k].count - 1U;

	j->doubles += extra;
	if (extra <= (unsigned)m->drops + m->lost) {
		j->doubles_dropped += extra;
	} else if (extra <= excused(m)) {
		j->doubles_killed += extra;
	} else {
		j->unexcused++;
		tell("delivered twice", n, k);
	}
}

static void
judge(struct judged *j, uint32_t n, unsigned k)
{
	const struct rcpt *r = rcpts_of(n) + k;

	j->recipients++;
	if (r->count > 1)
		judge_doubles(j, n, k);
	switch (r->fate) {
	case FATE_TAKEN:
		judge_taken(j, n, k);
		return;
	case FATE_REFUSED:
		judge_refused(j, n, k);
		return;
	case FATE_GONE:
		j->vanished++;
		if (r->count != 0) {
			j->ghosts++;
			tell("vanished and delivered", n, k);
		}
		return;
	case FATE_GIVEN_UP:
		j->given_up++;
		tell("4xx until its client gave up", n, k);
		return;
	default:
		j->open++;
		tell("without an answer", n, k);
	}
}

static void
print_totals(void)
{
	printf("\"numbers\": %u, \"tries\": %llu, \"replies_4xx\": %llu, "
	    "\"lost_answers\": %llu, \"left\": %llu, \"drops\": %llu, "
	    "\"clients_vanished\": %llu, "
	    	    "\"octets\": %llu, \"taken\": %llu, \"arrivals\": %llu, "
	    "\"reports\": %llu, \"connections\": %llu, "
	    "\"turned_away\": %llu, \"kills\": %u",
	    n_numbers, (unsigned long long)totals.tries,
	    (unsigned long long)totals.replies_4xx,
	    (unsigned long long)totals.lost, (unsigned long long)totals.left,
	    (unsigned long long)totals.drops,
	    (unsigned long long)totals.vanished,
	    (unsigned long long)totals.octets,
	    (unsigned long long)totals.taken,
	    (unsigned long long)totals.arrivals,
	    (unsigned long long)totals.reports,
	    (unsigned long long)totals.connections,
	    (unsigned long long)totals.turned_away, kills);
}

static void
print_modes(void)
{
	printf(", \"modes\": {");
	for (unsigned m = 0; m < n_modes; m++) {
		uint32_t n = 0;

		for (uint32_t k = 0; k < n_numbers; k++)
			n += numbers[k].mode == m;
		printf("%s\"%s\": %u", m == 0 ? "" : ", ", modes[m].name, n);
	}
	printf("}");
}

static void
print_judged(const struct judged *j)
{
	const struct {
		const char *name;
		uint64_t n;
	} all[] = {
		{"recipients", j->recipients}, {"delivered", j->delivered},
		{"refused", j->refused}, {"reported", j->reported},
		{"vanished", j->vanished}, {"unsure", j->unsure},
		{"unsigned_excused", totals.unsigned_excused},
		{"doubles", j->doubles},
		{"doubles_answer_lost", j->doubles_dropped},
		{"doubles_process_killed", j->doubles_killed},
		{"reported_and_arrived", j->reported_and_arrived},
		{"reported_twice", j->reported_twice},
		/* what must be 0 */
		{"fault_lost", j->lost}, {"fault_owed", j->owed},
		{"fault_double", j->unexcused}, {"fault_ghost", j->ghosts},
		{"fault_reported", j->over_reported},
		{"fault_refused", j->wrongly_refused},
		{"fault_forged", j->forged_taken}, {"fault_open", j->open},
		{"fault_given_up", j->given_up},
		{"fault_foreign", totals.foreign},
		{"fault_corrupt", totals.corrupt},
		{"fault_unsigned", totals.unsigned_},
		{"fault_stuck", totals.stuck},
	};

	for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++)
		printf(", \"%s\": %llu", all[k].name,
		    (unsigned long long)all[k].n);
}

void
ledger_print(bool is_last)
{
	struct judged j = {0};

	printf("{\"is_last\": %s, \"busy\": %u, \"undrawn\": %u, ",
	    is_last ? "true" : "false", client_busy(), client_undrawn());
	print_totals();
	if (is_last) {
		for (uint32_t n = 0; n < n_numbers; n++)
			for (unsigned k = 0; k < numbers[n].n_rcpt; k++)
				judge(&j, n, k);
		print_modes();
		print_judged(&j);
	}
	puts("}");
	fflush(stdout);
}
