/*
 * Paths: what is accepted has no octet that could end a command or a field,
 * keeps its limits, is made of its parts, and reads the same again.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "smtp/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(bool good)
{
	if (!good)
		abort();
}

/* Printable ASCII, or strict UTF-8 above it where that is let in. */
static void
check_octets(struct bytes b, bool may_utf8, bool is_utf8)
{
	bool has_utf8 = false;

	while (b.n != 0) {
		uint32_t code;
		size_t n = utf8_decode(b, &code);

		check(n != 0 && code >= ' ' && (code < 0x7f || code > 0x9f));
		has_utf8 = has_utf8 || n > 1;
		b = bytes_skip(b, n);
	}
	check(has_utf8 == is_utf8 && (may_utf8 || !is_utf8));
}

static void
check_path(struct bytes in, unsigned how)
{
	bool is_rcpt = (how & SMTP_PATH_IS_RCPT) != 0;
	uint8_t octets[300];
	struct buf made = BUF_ON(octets);
	struct smtp_path path, again;
	struct bytes rest, none;

	if (smtp_path_parse(in, how, &path, &rest) != SMTP_PATH_OK)
		return;
	check(path.raw.p == in.p && path.raw.n + rest.n == in.n);
	check(path.raw.n <= 256 && path.local.n <= 64);
	check_octets(path.raw, (how & SMTP_PATH_MAY_UTF8) != 0, path.is_utf8);
	for (size_t k = 0; k < path.domain.n; k++)
		check(path.domain.p[k] > ' ' && path.domain.p[k] != '@' &&
		    path.domain.p[k] != '<' && path.domain.p[k] != '>');
	if (path.local.n != 0 && path.local.p[0] != '"')
		for (size_t k = 0; k < path.local.n; k++)
			check(strchr(" <>()@,;:\\\"[]", path.local.p[k]) == NULL);
	buf_add_octet(&made, '<');
	buf_add(&made, path.local);
	if (path.domain.n != 0)
		buf_add_octet(&made, '@');
	buf_add(&made, path.domain);
	buf_add_octet(&made, '>');
	check(bytes_eq(buf_bytes(&made), path.raw));
	check(path.is_null == (path.raw.n == 2) && !(path.is_null && is_rcpt));
	check(path.is_literal == (path.domain.n != 0 && path.domain.p[0] == '['));
	check(path.is_literal || path.domain.n == 0 || path.is_utf8 ||
	    smtp_path_is_domain(path.domain));
	check(smtp_path_parse(path.raw, how, &again, &none) == SMTP_PATH_OK);
	check(none.n == 0 && bytes_eq(again.local, path.local) &&
	    bytes_eq(again.domain, path.domain));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes in = {p, n};

	for (unsigned how = 0; how < 4; how++)
		check_path(in, how);
	return 0;
}
