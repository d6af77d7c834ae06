/* What the ledger of the soak calls a fault, and what RFC 1047 excuses. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/soak/ledger.c"

struct mode modes[MODES_MAX] = {
	{.name = "through", .kind = KIND_EGRESS},
	{.name = "queue", .kind = KIND_QUEUE},
};
unsigned n_modes = 2;

unsigned
client_busy(void)
{
	return 0;
}

unsigned
client_undrawn(void)
{
	return 0;
}

/* Far enough from each other that one's kill is none of the next. */
int64_t
soak_now_ms(void)
{
	static int64_t now_ms = 1;

	return now_ms += AFTERMATH_MS;
}

void
soak_die(const char *what)
{
	fail_msg("%s", what);
	abort();
}

struct account {
	const char *what;
	unsigned mode, fate, count, reports, flags, drops, lost, left;
	bool is_killed;		/* a process, before what arrived */
	size_t fault;		/* offset in struct judged, 0: none */
};

#define FAULT(name) offsetof(struct judged, name)

static const struct account accounts[] = {
	{"delivered", 0, FATE_TAKEN, 1, 0, 0, 0, 0, 0, false, 0},
	{"lost", 0, FATE_TAKEN, 0, 0, 0, 0, 0, 0, false, FAULT(lost)},
	{"lost, whoever died", 0, FATE_TAKEN, 0, 0, 0, 1, 1, 1, true,
	    FAULT(lost)},
	{"a report of what was never queued", 0, FATE_TAKEN, 0, 0, 0, 0, 0, 0,
	    false, FAULT(lost)},
	{"owed", 1, FATE_TAKEN, 0, 0, 0, 0, 0, 0, false, FAULT(owed)},
	{"reported", 1, FATE_TAKEN, 0, 1, 0, 0, 0, 0, false, 0},
	{"reported twice", 1, FATE_TAKEN, 0, 2, 0, 0, 0, 0, false,
	    FAULT(over_reported)},
	{"reported twice, its client had left", 1, FATE_TAKEN, 0, 2, 0, 0, 0,
	    1, false, 0},
	{"delivered and reported", 1, FATE_TAKEN, 1, 1, 0, 0, 0, 0, false,
	    FAULT(over_reported)},
	{"delivered and reported, a next hop hung up", 1, FATE_TAKEN, 1, 1, 0,
	    1, 0, 0, false, 0},
	{"twice", 0, FATE_TAKEN, 2, 0, 0, 0, 0, 0, false, FAULT(unexcused)},
	{"twice, its client had left", 0, FATE_TAKEN, 2, 0, 0, 0, 0, 1, false,
	    FAULT(unexcused)},
	{"twice, a next hop hung up", 0, FATE_TAKEN, 2, 0, 0, 1, 0, 0, false,
	    0},
	{"thrice, a next hop hung up once", 0, FATE_TAKEN, 3, 0, 0, 1, 0, 0,
	    false, FAULT(unexcused)},
	{"twice, no answer came", 0, FATE_TAKEN, 2, 0, 0, 0, 1, 0, false, 0},
	{"twice, a process died", 0, FATE_TAKEN, 2, 0, 0, 0, 0, 1, true, 0},
	{"thrice in two transactions", 0, FATE_TAKEN, 3, 0, 0, 0, 0, 1, true,
	    FAULT(unexcused)},
	{"thrice from a queue, a process died", 1, FATE_TAKEN, 3, 0, 0, 0, 0,
	    1, true, 0},
	{"refused", 0, FATE_REFUSED, 0, 0, WAS_REFUSED, 0, 0, 0, false, 0},
	{"refused by nobody", 0, FATE_REFUSED, 0, 0, 0, 0, 0, 0, false,
	    FAULT(wrongly_refused)},
	{"forged", 0, FATE_REFUSED, 0, 0, IS_FORGED, 0, 0, 0, false, 0},
	{"forged and taken", 0, FATE_TAKEN, 1, 0, IS_FORGED, 0, 0, 0, false,
	    FAULT(forged_taken)},
	{"refused and delivered", 0, FATE_REFUSED, 1, 0, WAS_REFUSED, 0, 0, 0,
	    false, FAULT(ghosts)},
	{"refused and delivered, a process died", 0, FATE_REFUSED, 1, 0,
	    WAS_REFUSED, 0, 0, 0, true, 0},
	{"refused, at a next hop that hung up before", 0, FATE_REFUSED, 1, 0,
	    WAS_REFUSED, 1, 0, 0, false, 0},
	{"vanished", 0, FATE_GONE, 0, 0, 0, 0, 0, 0, false, 0},
	{"vanished and delivered", 0, FATE_GONE, 1, 0, 0, 0, 0, 0, false,
	    FAULT(ghosts)},
	{"never answered", 0, FATE_OPEN, 0, 0, 0, 0, 0, 0, false, FAULT(open)},
	{"4xx for ever", 0, FATE_GIVEN_UP, 0, 0, 0, 0, 0, 0, false,
	    FAULT(given_up)},
};

static uint64_t
faults_of(const struct judged *j)
{
	return j->lost + j->owed + j->unexcused + j->ghosts +
	    j->wrongly_refused + j->over_reported + j->forged_taken + j->open + j->given_up;
}

static void
test_accounts(void **state)
{
	(void)state;
	n_told = FAULTS_TOLD;		/* no words */
	for (size_t k = 0; k < sizeof(accounts) / sizeof(accounts[0]); k++) {
		const struct account *a = accounts + k;
		struct judged j = {0};
		uint32_t n = ledger_new(a->mode, 1);
		struct rcpt *r = rcpts_of(n);

		assert_int_not_equal(n, NOBODY);
		if (a->is_killed)
			ledger_kill();
		for (unsigned c = 0; c < a->count; c++)
			ledger_arrived(n, 0);
		for (unsigned c = 0; c < a->reports; c++)
			ledger_reported(n, 0);
		r->fate = (uint8_t)a->fate;
		numbers[n].flags = (uint8_t)a->flags;
		numbers[n].drops = (uint8_t)a->drops;
		numbers[n].lost = (uint8_t)a->lost;
		numbers[n].left = (uint8_t)a->left;
		numbers[n].transactions = 2;
		judge(&j, n, 0);
		if (faults_of(&j) != (a->fault != 0) || (a->fault != 0 &&
		    *(uint64_t *)((char *)&j + a->fault) != 1))
			fail_msg("%s", a->what);
	}
}

static void
test_there_are_only_so_many(void **state)
{
	(void)state;
	while (n_numbers < most_numbers)
		assert_int_not_equal(ledger_new(0, 1), NOBODY);
	assert_int_equal(ledger_new(0, 1), NOBODY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accounts),
		cmocka_unit_test(test_there_are_only_so_many),
	};

	ledger_init(100);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
