#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dkim2/chain.h"
#include "tests/dkim2/kit.h"

#define SIGS 3
#define INSTS 2
#define NUMBERS 4	/* 0 to 3 */

/* One way to number fields, made from k. */
struct numbers {
	uint32_t i[SIGS], m[SIGS], in[INSTS];
};

static struct numbers
numbers_of(unsigned k)
{
	struct numbers n;

	for (size_t s = 0; s < SIGS; s++, k /= NUMBERS)
		n.i[s] = k % NUMBERS;
	for (size_t s = 0; s < SIGS; s++, k /= NUMBERS)
		n.m[s] = k % NUMBERS;
	for (size_t s = 0; s < INSTS; s++, k /= NUMBERS)
		n.in[s] = k % NUMBERS;
	return n;
}

/* The rule in its plainest words (draft 14.2, A11). */
static bool
is_sound(const struct numbers *n, size_t n_sigs, size_t n_in)
{
	uint32_t m_of[SIGS + 1] = {0};

	for (size_t k = 0; k < n_sigs; k++) {
		if (n->i[k] == 0 || n->i[k] > n_sigs || m_of[n->i[k]] != 0 ||
		    n->m[k] == 0 || n->m[k] > n_in)
			return false;
		m_of[n->i[k]] = n->m[k];
	}
	for (size_t k = 0; k < n_in; k++) {
		if (n->in[k] == 0 || n->in[k] > n_in)
			return false;
		for (size_t j = 0; j < k; j++)
			if (n->in[j] == n->in[k])
				return false;
	}
	for (size_t k = 2; k <= n_sigs; k++)
		if (m_of[k] < m_of[k - 1])
			return false;
	return n_sigs != 0 && m_of[n_sigs] == n_in;
}

static struct bytes
header_of(const struct numbers *n, size_t n_sigs, size_t n_in,
    struct buf *out)
{
	out->n = 0;
	for (size_t k = 0; k < n_sigs; k++)
		buf_printf(out, "DKIM2-Signature: i=%u; m=%u; t=1; "
		    "d=b.example; nd=c.example; s=k:x:AAAA\r\n", n->i[k],
		    n->m[k]);
	for (size_t k = 0; k < n_in; k++)
		buf_printf(out, "Message-Instance: m=%u; h=x:AAAA:AAAA\r\n",
		    n->in[k]);
	return buf_bytes(out);
}

/* V10: every numbering of up to three signatures and two instances. */
static void
numbering_in_every_way(void **state)
{
	static uint8_t room[2000];
	struct arena *a = arena_new(KIT_ARENA);
	struct dkim2_limits limits;
	unsigned n_all = 1, n_sound = 0;

	(void)state;
	dkim2_limits_default(&limits);
	for (size_t k = 0; k < 2 * SIGS + INSTS; k++)
		n_all *= NUMBERS;
	for (unsigned k = 0; k < n_all; k++) {
		struct numbers n = numbers_of(k);
		size_t n_sigs = 1 + k % SIGS, n_in = k / SIGS % (INSTS + 1);
		struct buf text = BUF_ON(room);
		struct dkim2_message m;
		struct reason_list faults;
		struct chain c;

		arena_reset(a);
		assert_int_equal(dkim2_message_parse(&m, header_of(&n, n_sigs,
		    n_in, &text), 9, a), 0);
		assert_int_equal(reason_list_init(&faults, 50, a), 0);
		assert_int_equal(chain_read(&c, &m, &limits, a, &faults), 0);
		assert_int_equal(faults.n == 0, is_sound(&n, n_sigs, n_in));
		n_sound += faults.n == 0;
		for (size_t s = 0; faults.n == 0 && s < n_sigs; s++)
			assert_int_equal(c.signatures[s].i, s + 1);
	}
	assert_true(n_sound > 20);
	arena_free(&a);
}

static void
custody(void **state)
{
	static const struct {
		const char *prev_rt[2], *prev_nd, *mf, *nd, *d;
		enum dkim2_reason reason;
	} row[] = {
		{{"<a@b.example>", NULL}, NULL, "<x@b.example>", NULL,
		 "b.example", DKIM2_OK},
		{{"<a@B.example>", NULL}, NULL, "<x@sub.b.Example>", NULL,
		 "b.example", DKIM2_OK},
		{{"<a@c.example>", "<a@b.example>"}, NULL, "<x@b.example>",
		 NULL, "b.example", DKIM2_OK},
		{{"<a@sub.b.example>", NULL}, NULL, "<x@b.example>", NULL,
		 "b.example", DKIM2_CUSTODY_MAIL_FROM},
		{{"<a@b.example>", NULL}, NULL, "<x@c.example>", NULL,
		 "b.example", DKIM2_CUSTODY_MAIL_FROM},
		{{"<a@[192.0.2.1]>", NULL}, NULL, "<x@[192.0.2.1]>", NULL,
		 "b.example", DKIM2_CUSTODY_MAIL_FROM},
		{{"<postmaster>", NULL}, NULL, "<postmaster>", NULL,
		 "b.example", DKIM2_CUSTODY_MAIL_FROM},
		/* null and nd=: d= speaks for mf= */
		{{"<a@sub.b.example>", NULL}, NULL, "<>", NULL, "b.example",
		 DKIM2_OK},
		{{"<a@example>", NULL}, NULL, "<>", NULL, "b.example",
		 DKIM2_CUSTODY_DOMAIN},
		{{"<a@sub.b.example>", NULL}, NULL, NULL, "c.example",
		 "b.example", DKIM2_OK},
		{{"<a@c.example>", NULL}, NULL, NULL, "c.example",
		 "b.example", DKIM2_CUSTODY_DOMAIN},
		/* behind nd=: exactly that domain */
		{{NULL, NULL}, "b.example", "<x@c.example>", NULL,
		 "B.EXAMPLE", DKIM2_OK},
		{{NULL, NULL}, "b.example", "<x@c.example>", NULL,
		 "sub.b.example", DKIM2_NEXT_DOMAIN_OTHER},
		{{NULL, NULL}, "b.example", NULL, "d.example", "b.example",
		 DKIM2_OK},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct bytes rt[2];
		struct signature prev = {.i = 4, .rt = rt}, s = {.i = 5};
		struct dkim2_verdict v;

		for (; prev.n_rt < 2 && row[k].prev_rt[prev.n_rt] != NULL;
		    prev.n_rt++)
			rt[prev.n_rt] = bytes_of(row[k].prev_rt[prev.n_rt]);
		if (row[k].prev_nd != NULL)
			prev.nd = bytes_of(row[k].prev_nd);
		if (row[k].mf != NULL)
			s.mf = bytes_of(row[k].mf);
		if (row[k].nd != NULL)
			s.nd = bytes_of(row[k].nd);
		s.d = bytes_of(row[k].d);
		v = chain_custody(&prev, &s);
		assert_int_equal(v.reason, row[k].reason);
		if (v.reason != DKIM2_OK)
			assert_int_equal(v.number, 5);
		if (v.reason == DKIM2_CUSTODY_DOMAIN)
			assert_int_equal(v.other, 4);
	}
}

static void
paths_are_equal_but_for_the_case_of_domains(void **state)
{
	static const struct {
		const char *a, *b;
		bool are_equal;
	} row[] = {
		{"<a@b.example>", "<a@B.EXAMPLE>", true},
		{"<a@b.example>", "<A@b.example>", false},
		{"<a@b.example>", "<a@b.example >", false},
		{"<a@b.example>", "<ab.example>", false},
		{"<a@b.example>", "a@b.example", false},
		{"<>", "<>", true},
		{"<>", "<a@b.example>", false},
		{"<postmaster>", "<postmaster>", true},
		{"<postmaster>", "<Postmaster>", false},
		{"<\"a@b\"@c.example>", "<\"a@b\"@C.example>", true},
		{"<\"a@B\"@c.example>", "<\"a@b\"@c.example>", false},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++)
		assert_int_equal(chain_path_eq(bytes_of(row[k].a),
		    bytes_of(row[k].b)), row[k].are_equal);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbering_in_every_way),
		cmocka_unit_test(custody),
		cmocka_unit_test(paths_are_equal_but_for_the_case_of_domains),
	};

	return cmocka_run_group_tests_name("dkim2/chain", tests, NULL, NULL);
}
