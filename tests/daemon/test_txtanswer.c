#include "daemon/txtanswer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/daemon/dnsanswer.h"

#define NAME "s._domainkey.a.example"
#define ANSWER_MAX 70000

/* What a look-up of NAME must find: "TXT one;two ttl", ABSENT or TEMPFAIL. */
static void
expect(const char *label, struct bytes answer, const char *want)
{
	struct arena *a = arena_new(1 << 20);
	/* at the end of memory of its own, so that a sanitizer sees a step
	 * too far */
	uint8_t *copy = malloc(answer.n + 1);
	struct bytes m = {copy + 1, answer.n};
	char text[1024];
	struct buf b = BUF_ON(text);
	struct dnsanswer_records t;

	b.cap--;
	memcpy(copy + 1, answer.p, answer.n);
	assert_int_equal(txtanswer_parse(&t, m, BYTES_LIT(NAME), a), 0);
	free(copy);
	if (t.found == DNSANSWER_THERE) {
		buf_add_str(&b, "TXT ");
		for (size_t k = 0; k < t.n; k++) {
			if (k != 0)
				buf_add_octet(&b, ';');
			buf_add_escaped(&b, t.records[k], 100);
		}
		buf_printf(&b, " %u", t.ttl_s);
	} else {
		assert_int_equal(t.n, 0);
		buf_add_str(&b, t.found == DNSANSWER_ABSENT ? "ABSENT" :
		    "TEMPFAIL");
	}
	text[b.n] = '\0';
	arena_free(&a);
	if (strcmp(text, want) != 0)
		fail_msg("%s: found \"%s\", not \"%s\"", label, text, want);
}

/* A record to be put into an answer. */
struct put {
	const char *owner;	/* NULL: no more */
	unsigned type;
	uint32_t ttl_s;
	const char *text;	/* or the target of a CNAME */
};

#define TXT DNS_TXT
#define CNAME DNS_CNAME

static const struct {
	const char *label;
	unsigned flags;
	struct put puts[12];
	const char *want;
} cases[] = {
	{"one", 0, {{NAME, TXT, 300, "v=DKIM1"}}, "TXT v=DKIM1 300"},
	{"case of the owner", 0,
	    {{"S._DOMAINKEY.A.Example", TXT, 300, "x"}}, "TXT x 300"},
	/* D5: strings of one record are joined with nothing between */
	{"D5 strings", 0, {{NAME, TXT, 300, "v=DK|IM1|| ;"}},
	    "TXT v=DKIM1 ; 300"},
	/* D6: two records are two, even where they are the same */
	{"D6 two", 0, {{NAME, TXT, 300, "a"}, {NAME, TXT, 200, "b"}},
	    "TXT a;b 200"},
	{"D6 twice", 0, {{NAME, TXT, 300, "a"}, {NAME, TXT, 300, "a"}},
	    "TXT a;a 300"},
	/* D4: records of another name are nobody's */
	{"D4 other name", 0, {{"s._domainkey.b.example", TXT, 300, "a"}},
	    "ABSENT"},
	{"D4 other beside", 0, {{"a.example", TXT, 1, "x"},
	    {NAME, TXT, 300, "a"}}, "TXT a 300"},
	{"a name that goes on", 0, {{NAME ".b", TXT, 300, "a"}}, "ABSENT"},
	{"a part of the name", 0, {{"_domainkey.a.example", TXT, 300, "a"}},
	    "ABSENT"},
	{"cname", 0, {{NAME, CNAME, 60, "k.b.example"},
	    {"k.b.example", TXT, 300, "a"}}, "TXT a 60"},
	{"cname behind", 0, {{"k.b.example", TXT, 30, "a"},
	    {NAME, CNAME, 60, "K.b.example"}}, "TXT a 30"},
	{"cname and own TXT", 0, {{NAME, TXT, 300, "own"},
	    {NAME, CNAME, 60, "k.b.example"},
	    {"k.b.example", TXT, 300, "a"}}, "TXT a 60"},
	{"cname to nothing", 0, {{NAME, CNAME, 60, "k.b.example"}}, "ABSENT"},
	/* D2: a loop is no answer; nor is a chain without end */
	{"D2 self", 0, {{NAME, CNAME, 60, NAME}}, "TEMPFAIL"},
	{"D2 loop", 0, {{NAME, CNAME, 60, "b"}, {"b", CNAME, 60, NAME}},
	    "TEMPFAIL"},
	{"D2 eight", 0, {{NAME, CNAME, 60, "b"}, {"b", CNAME, 60, "c"},
	    {"c", CNAME, 60, "d"}, {"d", CNAME, 60, "e"},
	    {"e", CNAME, 60, "f"}, {"f", CNAME, 60, "g"},
	    {"g", CNAME, 60, "h"}, {"h", CNAME, 9, "i"},
	    {"i", TXT, 10, "a"}}, "TXT a 9"},
	{"D2 nine", 0, {{NAME, CNAME, 60, "b"}, {"b", CNAME, 60, "c"},
	    {"c", CNAME, 60, "d"}, {"d", CNAME, 60, "e"},
	    {"e", CNAME, 60, "f"}, {"f", CNAME, 60, "g"},
	    {"g", CNAME, 60, "h"}, {"h", CNAME, 9, "i"},
	    {"i", CNAME, 60, "j"}, {"j", TXT, 10, "a"}}, "TEMPFAIL"},
	{"D2 to NXDOMAIN", 3, {{NAME, CNAME, 60, "k.b.example"}}, "ABSENT"},
	/* D7 */
	{"D7 empty", 0, {{0}}, "ABSENT"},
	{"D7 NXDOMAIN", 3, {{0}}, "ABSENT"},
	{"D7 FORMERR", 1, {{0}}, "TEMPFAIL"},
	{"D7 SERVFAIL", 2, {{0}}, "TEMPFAIL"},
	{"D7 REFUSED", 5, {{0}}, "TEMPFAIL"},
	{"SERVFAIL with records", 2, {{NAME, TXT, 1, "a"}}, "TEMPFAIL"},
	/* D3: what was cut is not taken for the whole */
	{"D3 TC", DNS_TC, {{NAME, TXT, 300, "a"}}, "TEMPFAIL"},
	{"other type", 0, {{NAME, 1, 300, "abc"}}, "ABSENT"},
	{"ttl past 2^31", 0, {{NAME, TXT, 0x80000001, "a"}}, "TXT a 0"},
	{"8 bit", 0, {{NAME, TXT, 300, "\xff\x01"}}, "TXT \\377\\001 300"},
};

static struct bytes
build(size_t at, uint8_t *room, size_t n)
{
	struct buf b = {room, 0, n, false};
	unsigned count = 0;

	while (count < 12 && cases[at].puts[count].owner != NULL)
		count++;
	dns_begin(&b, 7, cases[at].flags, NAME, count);
	for (unsigned k = 0; k < count; k++) {
		const struct put *p = &cases[at].puts[k];

		if (p->type == CNAME)
			dns_put_cname(&b, p->owner, p->ttl_s, p->text);
		else if (p->type == TXT)
			dns_put_txt(&b, p->owner, p->ttl_s, p->text);
		else
			dns_put_rr(&b, p->owner, p->type, p->ttl_s,
			    bytes_of(p->text));
	}
	assert_false(b.full);
	return buf_bytes(&b);
}

static void
test_cases(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(*cases); k++) {
		uint8_t room[2000];

		expect(cases[k].label, build(k, room, sizeof(room)),
		    cases[k].want);
	}
}

/* Cut anywhere, an answer with records is no answer, and no crash. */
static void
test_cut_everywhere(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(cases) / sizeof(*cases); k++) {
		uint8_t room[2000];
		struct bytes m = build(k, room, sizeof(room));

		for (size_t n = 0; n < m.n; n++)
			expect(cases[k].label, bytes_first(m, n), "TEMPFAIL");
	}
}

/* An answer from octets, behind the header of one with n records. */
static void
raw(const char *label, unsigned n, struct bytes rr, const char *want)
{
	uint8_t room[2000];
	struct buf b = BUF_ON(room);

	dns_begin(&b, 7, 0, NAME, n);
	buf_add(&b, rr);
	assert_false(b.full);
	expect(label, buf_bytes(&b), want);
}

#define RAW(label, n, octets, want) raw(label, n, BYTES_LIT(octets), want)

/* The question stands at 12, behind it are 40 octets of header and it. */
static void
test_names_and_strings(void **state)
{
	(void)state;
	RAW("pointer", 1, "\xc0\x0c\0\x10\0\1\0\0\0\5\0\2\1a", "TXT a 5");
	RAW("pointer to a pointer", 2, "\xc0\x0c\0\1\0\1\0\0\0\5\0\0"
	    "\xc0\x28\0\x10\0\1\0\0\0\5\0\2\1a", "TXT a 5");
	RAW("pointer to itself", 1,
	    "\xc0\x28\0\x10\0\1\0\0\0\5\0\2\1a", "TEMPFAIL");
	RAW("pointer ahead", 1,
	    "\xc0\x30\0\x10\0\1\0\0\0\5\0\2\1a", "TEMPFAIL");
	RAW("label, then a pointer back to it", 1,
	    "\1a\xc0\x28\0\x10\0\1\0\0\0\5\0\2\1a", "TEMPFAIL");
	RAW("reserved label kind", 1,
	    "\x80\x0c\0\x10\0\1\0\0\0\5\0\2\1a", "TEMPFAIL");
	RAW("class CH", 1, "\xc0\x0c\0\x10\0\3\0\0\0\5\0\2\1a", "ABSENT");
	RAW("string past its record", 1,
	    "\xc0\x0c\0\x10\0\1\0\0\0\5\0\2\2a", "TEMPFAIL");
	RAW("record past the message", 1,
	    "\xc0\x0c\0\x10\0\1\0\0\0\5\0\3\1a", "TEMPFAIL");
	RAW("no string", 1, "\xc0\x0c\0\x10\0\1\0\0\0\5\0\0", "TXT  5");
	RAW("NUL", 1, "\xc0\x0c\0\x10\0\1\0\0\0\5\0\4\3a\0b",
	    "TXT a\\000b 5");
	RAW("fewer than it says", 2,
	    "\xc0\x0c\0\x10\0\1\0\0\0\5\0\2\1a", "TEMPFAIL");
	RAW("octets behind", 1,
	    "\xc0\x0c\0\x10\0\1\0\0\0\5\0\2\1ajunk", "TXT a 5");
	RAW("cname longer than its name", 1,
	    "\xc0\x0c\0\5\0\1\0\0\0\5\0\3\xc0\x0c\0", "TEMPFAIL");
}

/* D4: another question, two of them, or a question in place of an answer. */
static void
test_question(void **state)
{
	uint8_t room[500];
	struct buf b = BUF_ON(room);

	(void)state;
	dns_begin(&b, 7, 0, "t._domainkey.a.example", 1);
	dns_put_txt(&b, NAME, 300, "a");
	expect("other question", buf_bytes(&b), "TEMPFAIL");
	b.n = 0;
	dns_begin(&b, 7, 0, NAME, 1);
	dns_put_txt(&b, NAME, 300, "a");
	room[2] &= 0x7f;
	expect("no QR", buf_bytes(&b), "TEMPFAIL");
	room[2] |= 0x80;
	room[5] = 0;
	expect("no question", buf_bytes(&b), "TEMPFAIL");
	room[5] = 2;
	expect("two questions", buf_bytes(&b), "TEMPFAIL");
}

/* D5: text up to 16 KiB in all; what is past it is there, but no key. */
static void
test_bound_of_text(void **state)
{
	static uint8_t room[ANSWER_MAX], rdata[TXTANSWER_TEXT_MAX + 1000];
	struct arena *a = arena_new(1 << 20);
	const size_t sizes[] = {TXTANSWER_TEXT_MAX, TXTANSWER_TEXT_MAX + 1};

	(void)state;
	for (size_t s = 0; s < 2; s++) {
		struct buf b = BUF_ON(room), d = BUF_ON(rdata);
		struct dnsanswer_records t;
		size_t left = sizes[s];

		while (left != 0) {
			size_t n = left > 255 ? 255 : left;

			buf_add_octet(&d, (uint8_t)n);
			for (size_t k = 0; k < n; k++)
				buf_add_octet(&d, 'x');
			left -= n;
		}
		dns_begin(&b, 7, 0, NAME, 1);
		dns_put_rr(&b, NAME, TXT, 300, buf_bytes(&d));
		assert_false(b.full || d.full);
		assert_int_equal(txtanswer_parse(&t, buf_bytes(&b),
		    BYTES_LIT(NAME), a), 0);
		assert_int_equal(t.found, DNSANSWER_THERE);
		assert_int_equal(t.n, 1);
		assert_int_equal(t.records[0].n, s == 0 ? sizes[s] : 0);
	}
	arena_free(&a);
}

/* As many records as we take, and one more. */
static void
test_bound_of_records(void **state)
{
	(void)state;
	for (unsigned n = DNSANSWER_RRS_MAX; n <= DNSANSWER_RRS_MAX + 1; n++) {
		static uint8_t room[ANSWER_MAX];
		struct buf b = BUF_ON(room);

		dns_begin(&b, 7, 0, NAME, n);
		for (unsigned k = 1; k < n; k++)
			dns_put_txt(&b, "b.example", 300, "x");
		dns_put_txt(&b, NAME, 300, "a");
		assert_false(b.full);
		expect("records", buf_bytes(&b), n == DNSANSWER_RRS_MAX ?
		    "TXT a 300" : "TEMPFAIL");
	}
}

/* D10: names that can not be asked for. */
static void
test_names(void **state)
{
	static const struct {
		const char *name;
		bool good;
	} names[] = {
		{"a", true}, {"a.b", true}, {"a.b.", true}, {"_x.y-z", true},
		{"*.example", true}, {"", false}, {".", false}, {"..", false},
		{".a", false}, {"a..b", false}, {"a b", false},
		{"a\\.b", false}, {"a\x80", false}, {"a\nb", false},
	};
	char text[300];

	(void)state;
	for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
		uint8_t room[DNSANSWER_NAME_MAX];
		struct buf b = BUF_ON(room);

		if (dnsanswer_name(bytes_of(names[k].name), &b) !=
		    names[k].good)
			fail_msg("\"%s\"", names[k].name);
	}
	for (size_t n = 62; n < 66; n++) {
		uint8_t room[DNSANSWER_NAME_MAX];
		struct buf b = BUF_ON(room);

		memset(text, 'a', n);
		text[n] = '\0';
		assert_int_equal(dnsanswer_name(bytes_of(text), &b), n <= 63);
	}
	for (size_t n = 250; n < 260; n++) {	/* octets, dots and all */
		uint8_t room[DNSANSWER_NAME_MAX];
		struct buf b = BUF_ON(room);

		for (size_t k = 0; k < n; k++)
			text[k] = k % 50 == 49 ? '.' : 'a';
		assert_int_equal(dnsanswer_name((struct bytes){
		    (uint8_t *)text, n}, &b), n <= 253);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_cut_everywhere),
		cmocka_unit_test(test_names_and_strings),
		cmocka_unit_test(test_question),
		cmocka_unit_test(test_bound_of_text),
		cmocka_unit_test(test_bound_of_records),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
