#include "daemon/received.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* What stands there for a client; for those that differ in one thing. */
static const char *
written(const struct received *like)
{
	static char text[RECEIVED_MAX + 1];
	struct received r = *like;
	struct buf out = BUF_ON(text);

	if (r.ip == NULL)
		r.ip = "192.0.2.1";
	r.hostname = "mx.example.org";
	r.id = "4fQk2x";
	r.time_s = 1700000000;
	received_write(&r, &out);
	buf_add_octet(&out, '\0');
	assert_false(out.full);
	return text;
}

#define FIELD(from, tls, with, more) "Received: from " from "\r\n\t" tls \
	"by mx.example.org (hopseal) with " with " id 4fQk2x" more \
	";\r\n\tTue, 14 Nov 2023 22:13:20 +0000\r\n"
#define HELO .helo = BYTES_LIT("c.example")

static void
the_field_says_what_is_known(void **state)
{
	static const struct {
		struct received r;
		const char *want;
	} row[] = {
		{{HELO}, FIELD("c.example ([192.0.2.1])", "", "SMTP", "")},
		{{HELO, .is_esmtp = true, .rcpt = BYTES_LIT("<a@b.example>")},
		    FIELD("c.example ([192.0.2.1])", "", "ESMTP",
		    "\r\n\tfor <a@b.example>")},
		{{HELO, .ip = "2001:db8::1", .is_esmtp = true},
		    FIELD("c.example ([IPv6:2001:db8::1])", "", "ESMTP", "")},
		{{.ip = NULL}, FIELD("unknown ([192.0.2.1])", "", "SMTP",
		    "")},
		{{HELO, .is_esmtp = true, .tls = "TLSv1.3",
		    .cipher = "TLS_AES_256_GCM_SHA384"},
		    FIELD("c.example ([192.0.2.1])", "(using TLSv1.3 with "
		    "cipher TLS_AES_256_GCM_SHA384)\r\n\t", "ESMTPS", "")},
		/* what would be read as more than a name */
		{{.helo = BYTES_LIT("a b(c)\\\";\r\nd\x01\xff\0z")},
		    FIELD("a?b?c??" "????d???z ([192.0.2.1])", "", "SMTP",
		    "")},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++)
		assert_string_equal(written(&row[k].r), row[k].want);
}

/* Every word of RFC 3848 and RFC 6531 that can come about. */
static void
the_protocol_has_its_word(void **state)
{
	static const struct {
		bool is_lmtp, is_utf8, has_tls, is_auth;
		const char *word;
	} row[] = {
		{false, false, false, false, "ESMTP"},
		{false, false, false, true, "ESMTPA"},
		{false, false, true, false, "ESMTPS"},
		{false, false, true, true, "ESMTPSA"},
		{true, false, false, false, "LMTP"},
		{true, false, false, true, "LMTPA"},
		{true, false, true, false, "LMTPS"},
		{true, false, true, true, "LMTPSA"},
		{false, true, false, false, "UTF8SMTP"},
		{false, true, false, true, "UTF8SMTPA"},
		{false, true, true, false, "UTF8SMTPS"},
		{false, true, true, true, "UTF8SMTPSA"},
		{true, true, false, false, "UTF8LMTP"},
		{true, true, true, true, "UTF8LMTPSA"},
	};

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		const struct received r = {HELO, .is_esmtp = true,
		    .is_lmtp = row[k].is_lmtp, .is_utf8 = row[k].is_utf8,
		    .is_auth = row[k].is_auth, .cipher = "C",
		    .tls = row[k].has_tls ? "TLSv1.2" : NULL};
		char want[64];

		(void)snprintf(want, sizeof(want), " with %s id ",
		    row[k].word);
		assert_non_null(strstr(written(&r), want));
	}
}

/* HELO has no bound of its own here; the field has. */
static void
a_long_name_is_cut(void **state)
{
	uint8_t name[5000];
	const struct received r = {.helo = {name, sizeof(name)}};

	(void)state;
	memset(name, 'x', sizeof(name));
	assert_true(strlen(written(&r)) < 255 + 200);
}

/* Of what is returned, the id of ours; of what others wrote, none. */
static void
an_id_of_ours_is_found_again(void **state)
{
	static const struct {
		const char *value, *id;
	} row[] = {
		{" from a ([192.0.2.1])\r\n\tby mx.example.org (hopseal) with "
		    "ESMTP id 4qk2xbcdfghj\r\n\tfor <a@b>;\r\n\tdate",
		    "4qk2xbcdfghj"},
		{" from a\r\n\tby MX.example.org (hopseal) with SMTP id "
		    "4qk2xbcdfghj", "4qk2xbcdfghj"},
		{" from a by mx.example.org (hopseal) with SMTP id 4qk2", NULL},
		{" from a by mx.example.org (hopseal) with SMTP id "
		    "4QK2XBCDFGHJ;", NULL},
		{" from a by mx.example.org (hopseal) with SMTP", NULL},
		{" from a by mx.example.org.evil (hopseal) with SMTP id "
		    "4qk2xbcdfghj", NULL},
		{" from a by mx.example.org (Postfix) with SMTP id "
		    "4qk2xbcdfghj", NULL},
		{" from a by other.example (hopseal) with SMTP id "
		    "4qk2xbcdfghj", NULL},
		{"", NULL},
	};
	struct bytes id;

	(void)state;
	for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++) {
		bool is_ours = received_id(bytes_of(row[k].value),
		    "mx.example.org", &id);

		assert_int_equal(is_ours, row[k].id != NULL);
		if (is_ours)
			assert_true(bytes_eq(id, bytes_of(row[k].id)));
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_field_says_what_is_known),
		cmocka_unit_test(the_protocol_has_its_word),
		cmocka_unit_test(a_long_name_is_cut),
		cmocka_unit_test(an_id_of_ours_is_found_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
