#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/logline.h"

#define ID "4qk2xbcdfghj"

/* "key=value|key=value", of a line that was read. */
static const char *
fields(const struct logline *l)
{
	static char text[2000];
	struct buf b = BUF_ON(text);

	for (size_t k = 0; k < l->n_fields; k++)
		buf_printf(&b, "%s%.*s=%.*s", k == 0 ? "" : "|",
		    BYTES_FMT(l->fields[k].key), BYTES_FMT(l->fields[k].value));
	buf_add_octet(&b, '\0');
	assert_false(b.full);
	return text;
}

static const struct {
	const char *told, *fields;
	bool has_words;
} told[] = {
	{"client=[::1]:4711, listener=l, from=<a@b>",
	    "client=[::1]:4711|listener=l|from=a@b", false},
	{"from=<>, size=12, nrcpt=1", "from=|size=12|nrcpt=1", false},
	{"from=<>, size=12, nrcpt=1 (queue active)", "from=|size=12|nrcpt=1",
	    true},
	{"to=<a@b>, orig_to=<c@d>, relay=x[1.2.3.4]:25, delay=0.12, "
	    "dsn=2.0.0, status=sent (250 Ok (as x)) tls=1.3 signed=yes d=b",
	    "to=a@b|orig_to=c@d|relay=x[1.2.3.4]:25|delay=0.12|dsn=2.0.0|"
	    "status=sent|reply=250 Ok (as x)|tls=1.3|signed=yes|d=b", false},
	{"to=<a@b>, status=bounced (no) end", "to=a@b|status=bounced", true},
	{"to=<a@b>, status=sent", "to=a@b|status=sent", false},
	{"to=<a@b>, status=sent (cut", "to=a@b|status=sent", true},
	{"signed=no rule=\"it has no key: d=x s=y\"",
	    "signed=no|rule=it has no key: d=x s=y", false},
	{"rule=\"no end d=x", "rule=\"no|d=x", true},
	{"signed=no rule=\"no key\"", "signed=no|rule=no key", false},
	{"verdict=fail i=1 d=b listener=l reason=i=2 is bad, d=c",
	    "verdict=fail|i=1|d=b|listener=l|reason=i=2 is bad, d=c", false},
	{"message-id=<a b@c>", "message-id=<a b@c>", false},
	{"message-id=<a@c> <b@c> x=y", "message-id=<a@c> <b@c> x=y", false},
	{"message-id=<>", "message-id=", false},
	/* quoted local parts have anything */
	{"from=<\"a> to=x, \\134\" c\"@d>, to=<e@f>",
	    "from=\"a> to=x, \\134\" c\"@d|to=e@f", false},
	{"from=<a@b, to=<c@d>", "from=<a@b|to=c@d", false},
	/* each key once, none of a line's own, no long one */
	{"a=1, a=2, b=3", "a=1|b=3", true},
	{"id=1, a=2, text=3", "a=2", true},
	{"abcdefghijklmnopqrstuvwxyz=1", "", true},
	{"A=1", "", true},
	/* words first: no fields, but for three words */
	{"the client is gone: to=<a@b>, status=sent", "", true},
	{" a=1", "", true},
	{"", "", true},
	{"reject: RCPT from [::1]:25: 550 5.1.1 no; from=<a@b> to=<c@d>",
	    "reject=RCPT from [::1]:25: 550 5.1.1 no|from=a@b|to=c@d", true},
	{"ALARM: to=<a@b>: failed for good", "alarm=|to=a@b", true},
	{"ALARM: leaves unsigned", "alarm=leaves unsigned", true},
	{"sender non-delivery notification: " ID "r0", "report=" ID "r0", true},
};

static void
what_is_told_has_fields(void **state)
{
	char text[600];
	struct logline l;

	(void)state;
	for (size_t k = 0; k < sizeof(told) / sizeof(told[0]); k++) {
		snprintf(text, sizeof(text), ID ": %s", told[k].told);
		logline_read(bytes_of(text), &l);
		assert_string_equal(fields(&l), told[k].fields);
		assert_true(bytes_eq(l.id, bytes_of(ID)));
		assert_true(bytes_eq(l.text, bytes_of(told[k].told)));
		if (l.has_words != told[k].has_words)
			fail_msg("%s", told[k].told);
	}
	logline_read(bytes_of("queue: mx: talks to us again"), &l);
	assert_int_equal(l.id.n, 0);
	logline_read(bytes_of(ID ":x"), &l);
	assert_int_equal(l.id.n, 0);
}

#define TOLD ID ": to=<a@b>, status=sent (250 Ok)"

static const struct {
	const char *line;
	int64_t time_ms;
	const char *process, *level;
	unsigned pid;
} heads[] = {
	{"2026-11-26T23:25:48.123Z hopseald[12] worker/2: " TOLD,
	    1795735548123, "worker/2", "info", 12},
	{"2026-11-26T23:25:48.123Z hopseald[12] queue: error: " TOLD,
	    1795735548123, "queue", "error", 12},
	{"2026-11-27T00:25:48.5+01:00 host hopseald[12]: queue: " TOLD,
	    1795735548500, "queue", "info", 12},
	{"2024-02-29T12:00:00Z hopseald[1] queue: " TOLD,
	    1709208000000, "queue", "info", 1},
	{"Nov 26 23:25:48 host hopseald[12]: worker/1: " TOLD, -1,
	    "worker/1", "info", 12},
	{"worker/1: " TOLD "\n", -1, "worker/1", "info", 0},
	{"{\"__REALTIME_TIMESTAMP\": \"1795735548123456\", \"_PID\":\"7\","
	    "\"PRIORITY\":\"4\",\"MESSAGE\":\"worker/1: " TOLD "\", \"X\":[{}]}",
	    1795735548123, "worker/1", "warning", 7},
	{"{\"time\": \"2026-11-26T23:25:48.123Z\", \"level\": \"debug\", "
	    "\"process\": \"queue\", \"pid\": 9, \"id\": \"" ID "\", "
	    "\"to\": \"a@b\", \"status\": \"sent\", \"reply\": \"250 Ok\"}",
	    1795735548123, "queue", "debug", 9},
	{"{\"__REALTIME_TIMESTAMP\":\"1\", \"PRIORITY\":\"6\", \"MESSAGE\": "
	    "\"{\\\"time\\\": \\\"2026-11-26T23:25:48.123Z\\\", \\\"process\\\":"
	    " \\\"queue\\\", \\\"level\\\": \\\"info\\\", \\\"pid\\\": 9, "
	    "\\\"id\\\": \\\"" ID "\\\", \\\"to\\\": \\\"a@b\\\", \\\"status"
	    "\\\": \\\"sent\\\", \\\"reply\\\": \\\"250 Ok\\\"}\"}",
	    0, "queue", "info", 9},
};

static void
each_kind_of_line_is_known(void **state)
{
	struct arena *a = arena_new(1 << 20);

	(void)state;
	for (size_t k = 0; k < sizeof(heads) / sizeof(heads[0]); k++) {
		struct logline l;

		arena_reset(a);
		if (!logline_parse(bytes_of(heads[k].line), a, &l))
			fail_msg("%s", heads[k].line);
		assert_int_equal(l.time_ms, heads[k].time_ms);
		assert_true(bytes_eq(l.process, bytes_of(heads[k].process)));
		assert_true(bytes_eq(l.level, bytes_of(heads[k].level)));
		assert_int_equal(l.pid, heads[k].pid);
		assert_true(bytes_eq(l.id, bytes_of(ID)));
		assert_string_equal(fields(&l), "to=a@b|status=sent|reply=250 Ok");
		assert_false(l.has_words);
	}
	arena_free(&a);
}

static void
lines_of_others_are_none(void **state)
{
	static const char *const lines[] = {
		"", "x", "2026-11-26T23:25:48.123Z hopseald", "{}", "{",
		"2026-11-26T23:25:48.123Z hopseald[12] other: " TOLD,
		"2026-11-26T23:25:48.123Z hopseald[x] queue: " TOLD,
		"Nov 26 23:25:48 host postfix/smtp[12]: " TOLD,
		"worker/x: " TOLD, "worker: " TOLD,
		"{\"MESSAGE\": \"" TOLD "\"}",
		"{\"MESSAGE\": \"{\\\"MESSAGE\\\": \\\"queue: x\\\"}\"}",
		"{\"process\": \"queue\", \"id\": \"" ID "\"} x",
		"{\"process\": \"other\", \"id\": \"" ID "\"}",
	};
	struct arena *a = arena_new(1 << 20);
	struct logline l;

	(void)state;
	for (size_t k = 0; k < sizeof(lines) / sizeof(lines[0]); k++)
		if (logline_parse(bytes_of(lines[k]), a, &l))
			fail_msg("%s", lines[k]);
	arena_free(&a);
}

/* P7: what a peer says looks like no key of ours. */
static void
p7_octets_of_the_net_are_no_keys(void **state)
{
	static const struct {
		const char *in, *out;
	} row[] = {
		{"250 ok) status=bounced (x", "250 ok) status\\075bounced (x"},
		{"to=<x> to=<y>", "to\\075<x> to\\075<y>"},
		{"see http://a/?b=c", "see http://a/?b=c"},
		{"x\r\nto=y", "x\\015\\012to=y"},
		{" a-1_b=", " a-1_b\\075"},
		{"\\", "\\134"},
	};
	char text[200], line[400];
	struct logline l;

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		struct buf b = BUF_ON(text);

		logline_escape(bytes_of(row[k].in), 100, &b);
		buf_add_octet(&b, '\0');
		assert_string_equal(text, row[k].out);
		snprintf(line, sizeof(line), ID ": to=<a@b>, status=deferred "
		    "(%s) tls=1.3", text);
		logline_read(bytes_of(line), &l);
		assert_true(bytes_eq(logline_get(&l, "status"),
		    BYTES_LIT("deferred")));
		assert_true(bytes_eq(logline_get(&l, "reply"), bytes_of(text)));
		assert_int_equal(l.n_fields, 4);
	}
	{
		struct buf b = BUF_ON(text);

		logline_escape(bytes_of("a to=b c"), 5, &b);
		buf_add_octet(&b, '\0');
		assert_string_equal(text, "a to\\075...");
	}
}

static void
json_has_room_for_an_object(void **state)
{
	static char told_[5000], octets[4200];
	struct buf out = BUF_ON(octets);
	struct logline l = {.time_ms = -1, .process = BYTES_LIT("queue"),
	    .stamp = BYTES_LIT("now"), .level = BYTES_LIT("info"), .pid = 3};
	struct arena *a = arena_new(1 << 20);

	(void)state;
	logline_read(bytes_of(ID ": to=<\"a\"\\134@c>, size=3 (x)"), &l);
	logline_json(&l, sizeof(octets), &out);
	buf_add_octet(&out, '\0');
	assert_string_equal(octets, "{\"time\": \"now\", \"level\": \"info\", "
	    "\"process\": \"queue\", \"pid\": 3, \"id\": \"" ID "\", \"to\": "
	    "\"\\\"a\\\"\\\\134@c\", \"size\": \"3\", \"text\": \"to=<\\\"a\\\""
	    "\\\\134@c>, size=3 (x)\"}");
	for (size_t n = 1; n < sizeof(told_); n += 7) {
		memset(told_, '\\', n);
		memcpy(told_, n % 2 ? "a=1 b=" : "words", n < 5 ? n : 5);
		logline_read((struct bytes){(uint8_t *)told_, n}, &l);
		out = BUF_ON(octets);
		logline_json(&l, 512 + n % 1000, &out);
		assert_true(out.n <= 512 + n % 1000);
		assert_true(logline_parse(buf_bytes(&out), a, &l));
		arena_reset(a);
	}
	arena_free(&a);
	out = BUF_ON(octets);
	logline_json(&l, 511, &out);
	assert_true(out.full);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_told_has_fields),
		cmocka_unit_test(each_kind_of_line_is_known),
		cmocka_unit_test(lines_of_others_are_none),
		cmocka_unit_test(p7_octets_of_the_net_are_no_keys),
		cmocka_unit_test(json_has_room_for_an_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
