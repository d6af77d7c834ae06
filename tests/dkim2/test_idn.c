#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dkim2/chain.h"
#include "dkim2/idn.h"
#include "tests/dkim2/kit.h"

#define L60 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* Among them what RFC 3492 7.1 has (in lower case, with "xn--"). */
static void
u_labels_become_a_labels(void **state)
{
	static const struct {
		const char *in, *out;		/* NULL: it cannot be */
	} row[] = {
		{"b\xc3\xbc" "cher.example", "xn--bcher-kva.example"},
		{"B\xc3\xbc" "CHER.Example", "xn--bcher-kva.example"},
		{"m\xc3\xbcller.m\xc3\xbcnchen.example",
		 "xn--mller-kva.xn--mnchen-3ya.example"},
		{"\xc3\xbc", "xn--tda"},
		{"\xe4\xbb\x96\xe4\xbb\xac\xe4\xb8\xba\xe4\xbb\x80\xe4\xb9\x88"
		 "\xe4\xb8\x8d\xe8\xaf\xb4\xe4\xb8\xad\xe6\x96\x87",
		 "xn--ihqwcrb4cv8a8dqg056pqjye"},
		{"\xd7\x9c\xd7\x9e\xd7\x94\xd7\x94\xd7\x9d\xd7\xa4\xd7\xa9\xd7"
		 "\x95\xd7\x98\xd7\x9c\xd7\x90\xd7\x9e\xd7\x93\xd7\x91\xd7\xa8"
		 "\xd7\x99\xd7\x9d\xd7\xa2\xd7\x91\xd7\xa8\xd7\x99\xd7\xaa",
		 "xn--4dbcagdahymbxekheh6e0a7fei0b"},
		{"3\xe5\xb9\xb4" "b\xe7\xb5\x84\xe9\x87\x91\xe5\x85\xab\xe5\x85"
		 "\x88\xe7\x94\x9f", "xn--3b-ww4c5e180e575a65lsy2b"},
		{"\xf0\x9f\x98\x80.example", "xn--e28h.example"},
		{"plain.example", "plain.example"},
		{"", ""},
		{"a..b", "a..b"},
		{"\xff.example", NULL},
		{"b\xc3", NULL},
		{L60 "\xc3\xbc", NULL},
		{L60 L60 "\xc3\xbc", NULL},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		uint8_t room[253];
		struct buf out = BUF_ON(room);

		assert_int_equal(idn_to_ascii(bytes_of(row[k].in), &out),
		    row[k].out != NULL);
		if (row[k].out != NULL)
			kit_assert_bytes(buf_bytes(&out), row[k].out);
	}
}

static void
labels_of_both_kinds_are_compared(void **state)
{
	static const struct bytes u = BYTES_LIT("b\xc3\xbc" "cher.example"),
	    a = BYTES_LIT("XN--bcher-kva.example"),
	    below = BYTES_LIT("x.b\xc3\xbc" "cher.example");

	(void)state;
	assert_true(idn_domain_eq(u, a));
	assert_true(idn_domain_eq(u, u));
	assert_false(idn_domain_eq(u, BYTES_LIT("bucher.example")));
	assert_true(dkim2_domain_covers(a, u));
	assert_true(dkim2_domain_covers(a, below));
	assert_true(dkim2_domain_covers(u, below));
	assert_false(dkim2_domain_covers(below, a));
	assert_true(chain_path_eq(BYTES_LIT("<\xc3\xbc@b\xc3\xbc"
	    "cher.example>"), BYTES_LIT("<\xc3\xbc@xn--bcher-kva.example>")));
	assert_false(chain_path_eq(BYTES_LIT("<\xc3\xbc@b.example>"),
	    BYTES_LIT("<u@b.example>")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(u_labels_become_a_labels),
		cmocka_unit_test(labels_of_both_kinds_are_compared),
	};

	return cmocka_run_group_tests_name("dkim2/idn", tests, NULL, NULL);
}
