#include "tests/config/kit.h"

#include "base/err.h"
#include "config/keysfile.h"

static const char both_forms[] =
    "{\"s1._domainkey.One.Example\": [\"v=DKIM1; p=a\", \"v=DKIM1; p=b\"],\n"
    " \"dot._domainkey.one.example.\": [\"x\\u00e9\\n\\\"\"],\n"
    " \"down._domainkey.one.example\": \"TEMPERROR\",\n"
    " \"empty._domainkey.one.example\": [],\n"
    " \"two.example\": {\"S1._domainkey\": [[\"txt\", \"v=DKIM1; p=c\"]],\n"
    "   \"a._domainkey\": [[\"a\", \"192.0.2.1\"], [\"TXT\", \"d\"], \"e\"],\n"
    "   \"b._domainkey\": [[\"a\", \"192.0.2.1\"]],\n"
    "   \"c._domainkey\": \"TEMPERROR\"}}\n";

static void
names_are_found_in_both_forms(void **state)
{
	static const struct {
		const char *name;
		enum keysfile_answer answer;
		const char *records[2];
	} row[] = {
		{"s1._domainkey.one.example", KEYSFILE_TXT, {"v=DKIM1; p=a", "v=DKIM1; p=b"}},
		{"S1._DOMAINKEY.one.example.", KEYSFILE_TXT, {"v=DKIM1; p=a", "v=DKIM1; p=b"}},
		{"dot._domainkey.one.example", KEYSFILE_TXT, {"x\xc3\xa9\n\"", NULL}},
		{"down._domainkey.one.example", KEYSFILE_TEMPERROR, {NULL, NULL}},
		{"empty._domainkey.one.example", KEYSFILE_EMPTY, {NULL, NULL}},
		{"s1._domainkey.two.example", KEYSFILE_TXT, {"v=DKIM1; p=c", NULL}},
		{"a._domainkey.two.example", KEYSFILE_TXT, {"d", "e"}},
		{"b._domainkey.two.example", KEYSFILE_EMPTY, {NULL, NULL}},
		{"c._domainkey.two.example", KEYSFILE_TEMPERROR, {NULL, NULL}},
		{"two.example", KEYSFILE_NXDOMAIN, {NULL, NULL}},
		{"s1._domainkey.one.exampl", KEYSFILE_NXDOMAIN, {NULL, NULL}},
		{"1._domainkey.one.example", KEYSFILE_NXDOMAIN, {NULL, NULL}},
		{"", KEYSFILE_NXDOMAIN, {NULL, NULL}},
	};
	struct arena *a = arena_new(1 << 16);
	struct keysfile *f;
	char text[256];
	struct buf fault = BUF_ON(text);

	(void)state;
	assert_int_equal(keysfile_parse(&f, bytes_of(both_forms), a, &fault), 0);
	assert_int_equal(fault.n, 0);
	for (size_t k = 0; k < N(row); k++) {
		const struct bytes *records;
		size_t n, n_want = 0;

		assert_int_equal(keysfile_find(f, bytes_of(row[k].name),
		    &records, &n), row[k].answer);
		for (size_t i = 0; i < 2 && row[k].records[i] != NULL; i++) {
			assert_true(n > i);
			assert_true(bytes_eq(records[i],
			    bytes_of(row[k].records[i])));
			n_want++;
		}
		assert_int_equal(n, n_want);
	}
	arena_free(&a);
}

static void
what_is_wrong_has_its_place(void **state)
{
	static const struct {
		const char *in;
		const char *out;	/* "": good */
	} row[] = {
		{"{}", ""},
		{"{\"a\": [\"\"]}", ""},
		{"", "1:1: not JSON; write {\"NAME\": [\"...\"]}"},
		{"{\"a\": [\"b\"],}", "1:13: not JSON; write {\"NAME\": [\"...\"]}"},
		{"{\"a\": []}x", "1:10: not JSON; write {\"NAME\": [\"...\"]}"},
		{"[]", "1:1: no object; write {\"NAME\": [\"...\"]}"},
		{"{\"a\": []\n, \"A.\": []}", "2:3: a name that was given already; keep one of them"},
		{"{\"a\": {\"b\": []},\n \"B.A\": []}", "2:2: a name that was given already; keep one of them"},
		{"{\"a\": {\"b\": []}, \"a\": {\"c\": []}}", "1:19: a name that was given already; keep one of them"},
		{"{\"a\": 1}", "1:7: no answer; write a list of records, or \"TEMPERROR\""},
		{"{\"a\": \"temperror\"}", "1:7: no answer; write a list of records, or \"TEMPERROR\""},
		{"{\"a\": null}", "1:7: no answer; write a list of records, or \"TEMPERROR\""},
		{"{\"a\": [\"b\", true]}", "1:13: no record; write a string"},
		{"{\"a\": [[\"txt\"]]}", "1:14: no record; write [\"txt\", \"...\"]"},
		{"{\"a\": [[\"txt\", \"b\", \"c\"]]}", "1:21: more than a kind and a record; write [\"txt\", \"...\"]"},
		{"{\"a\": [[[\"txt\"]]]}", "1:9: no kind of record; write [\"txt\", \"...\"]"},
		{"{\"a\": {\"b\": {\"c\": []}}}", "1:13: no answer; write a list of records, or \"TEMPERROR\""},
		{"{\"\": []}", "1:2: no DNS name; write one of 1 to 255 octets"},
		{"{\".\": []}", "1:2: no DNS name; write one of 1 to 255 octets"},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		struct arena *a = arena_new(1 << 16);
		struct keysfile *f;
		char text[256];
		struct buf fault = BUF_ON(text);
		int r = keysfile_parse(&f, bytes_of(row[k].in), a, &fault);

		buf_add_octet(&fault, '\0');
		assert_string_equal(text, row[k].out);
		assert_int_equal(r, text[0] == '\0' ? 0 : -E_SYNTAX);
		arena_free(&a);
	}
}

static void
a_file_is_read_or_said_why_not(void **state)
{
	struct arena *a = arena_new(1 << 16);
	struct arena *small = arena_new(96);
	struct keysfile *k;
	struct folder f;
	char path[512], text[256] = "";
	struct buf fault = BUF_ON(text);

	(void)state;
	folder_make(&f);
	folder_join(&f, "dns.json", path);
	assert_int_equal(keysfile_load(&k, path, a, &fault), -E_SYSTEM);
	assert_string_equal(text, "can not read it: No such file or directory");
	folder_add(&f, "dns.json", 0644, both_forms);
	assert_int_equal(keysfile_load(&k, path, a, &fault), 0);
	assert_int_equal(keysfile_load(&k, path, small, &fault), -E_NOMEM);
	folder_add(&f, "dns.json", 0666, both_forms);
	assert_int_equal(keysfile_load(&k, path, a, &fault), -E_SYSTEM);
	folder_remove(&f);
	arena_free(&small);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_found_in_both_forms),
		cmocka_unit_test(what_is_wrong_has_its_place),
		cmocka_unit_test(a_file_is_read_or_said_why_not),
	};

	return cmocka_run_group_tests_name("config/keysfile", tests, NULL, NULL);
}
