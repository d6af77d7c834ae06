#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/b64.h"
#include "dkim2/fold.h"

static void
fields_look_as_they_should(void **state)
{
	char room[1024];
	struct buf out = BUF_ON(room);
	struct fold f;
	uint8_t octets[64];

	(void)state;
	for (size_t k = 0; k < sizeof(octets); k++)
		octets[k] = (uint8_t)(k * 4);
	fold_begin(&f, &out, "DKIM2-Signature");
	fold_tag(&f, BYTES_LIT("i=1;"));
	fold_tag(&f, BYTES_LIT("m=1;"));
	fold_tag(&f, BYTES_LIT("t=1795341600;"));
	fold_tag(&f, BYTES_LIT("d=example.org;"));
	fold_base64(&f, true, "mf=", BYTES_LIT("<alice@example.org>"), ';');
	fold_base64(&f, true, "rt=", BYTES_LIT("<bob@example.net>"), ',');
	fold_base64(&f, false, "", BYTES_LIT("<carol@example.com>"), ';');
	fold_tag(&f, BYTES_LIT("f=feedback,"));
	fold_word(&f, BYTES_LIT("exploded;"));
	fold_tag(&f, BYTES_LIT("s=ed1:"));
	fold_word(&f, BYTES_LIT("ed25519-sha256:"));
	fold_base64(&f, false, "", (struct bytes){octets, 64}, ';');
	fold_end(&f);
	assert_false(out.full);
	assert_true(bytes_eq(buf_bytes(&out), BYTES_LIT(
	    "DKIM2-Signature: i=1; m=1; t=1795341600; d=example.org;\r\n"
	    "\tmf=PGFsaWNlQGV4YW1wbGUub3JnPg==; rt=PGJvYkBleGFtcGxlLm5ldD4=,"
	    "\r\n"
	    "\tPGNhcm9sQGV4YW1wbGUuY29tPg==; f=feedback,exploded; "
	    "s=ed1:ed25519-sha256:\r\n"
	    "\tAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtL"
	    "i8wMTIzNDU\r\n"
	    "\t2Nzg5Ojs8PT4/A==;\r\n")));
	for (size_t at = 0, end; at < out.n; at = end + 2) {
		end = at + bytes_find(bytes_skip(buf_bytes(&out), at),
		    BYTES_LIT("\r\n"));
		assert_in_range(end - at, 1, at == 0 ? 76 : 73);
	}
}

/* Walks a field: each break is behind a separator or inside the base64. */
static void
check(struct bytes field, struct bytes flat, struct bytes base64, bool is_long)
{
	uint8_t room[4096];
	struct buf seen = BUF_ON(room);
	size_t line = 0, limit = 76;
	size_t inside = bytes_find(flat, base64);

	for (size_t k = 0; k < field.n; k++) {
		uint8_t c = field.p[k];

		if (c == '\r') {
			uint8_t before = field.p[k - 1];

			assert_int_equal('\n', field.p[++k]);
			assert_true(is_long || line <= limit);
			line = 0;
			limit = 72;	/* and the TAB */
			if (k + 1 == field.n)
				break;
			assert_int_equal('\t', field.p[++k]);
			assert_true(strchr(";,:|", before) != NULL ||
			    (seen.n > inside && seen.n < inside + base64.n));
			assert_int_not_equal('\r', field.p[k + 1]);
			continue;
		}
		line++;
		assert_true(is_long || line <= limit);
		if (c != ' ')
			buf_add_octet(&seen, c);
	}
	assert_true(bytes_eq(buf_bytes(&seen), flat));
}

static void
breaks_stand_only_where_they_may(void **state)
{
	uint8_t octets[300], pad[200];

	(void)state;
	for (size_t k = 0; k < sizeof(octets); k++)
		octets[k] = (uint8_t)(k * 7 + 1);
	memset(pad, 'a', sizeof(pad));
	/* every column for the beginning, every length for the base64 */
	for (size_t w = 1; w < 120; w++)
		for (size_t n = 1; n < 170; n++) {
			uint8_t room[2048], flat[2048], text[1024];
			struct buf out = BUF_ON(room), want = BUF_ON(flat);
			struct buf b = BUF_ON(text), word;
			uint8_t chars[128];
			struct fold f;

			word = BUF_ON(chars);
			buf_add(&word, (struct bytes){pad, w});
			buf_add_octet(&word, ';');
			b64_encode((struct bytes){octets, n}, &b);
			fold_begin(&f, &out, "Name");
			fold_tag(&f, buf_bytes(&word));
			fold_base64(&f, true, "r=", (struct bytes){octets, n},
			    ';');
			fold_end(&f);
			buf_add_str(&want, "Name:");
			buf_add(&want, buf_bytes(&word));
			buf_add_str(&want, "r=");
			buf_add(&want, buf_bytes(&b));
			buf_add_octet(&want, ';');
			assert_false(out.full || want.full);
			check(buf_bytes(&out), buf_bytes(&want), buf_bytes(&b),
			    w > 71);
		}
}

static void
a_full_buffer_is_seen(void **state)
{
	uint8_t room[100], octets[90] = {0};
	struct buf out = BUF_ON(room);
	struct fold f;

	(void)state;
	fold_begin(&f, &out, "Name");
	fold_base64(&f, true, "r=", (struct bytes){octets, 90}, ';');
	fold_end(&f);
	assert_true(out.full);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_look_as_they_should),
		cmocka_unit_test(breaks_stand_only_where_they_may),
		cmocka_unit_test(a_full_buffer_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
