/*
 * Base64, UTF-8, numbers and U-labels, which other readers are made of: only
 * one spelling is base64; a character is just its octets; a number is its
 * digits; a domain in ASCII stays as it is.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/ascii.h"
#include "base/b64.h"
#include "base/utf8.h"
#include "dkim2/idn.h"

#define MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(bool holds)
{
	if (!holds)
		abort();
}

static void
check_base64(struct bytes in)
{
	uint8_t text[B64_LEN(MAX)], octets[MAX];
	struct buf t = BUF_ON(text), o = BUF_ON(octets);

	if (b64_decode(in, &o)) {
		b64_encode(buf_bytes(&o), &t);
		need(bytes_eq(buf_bytes(&t), in));
	}
	t.n = o.n = 0;
	o.full = false;
	b64_encode(in, &t);
	need(!t.full && t.n == B64_LEN(in.n));
	need(b64_decode(buf_bytes(&t), &o) && bytes_eq(buf_bytes(&o), in));
}

/* The bits of a character, and that they need as many octets. */
static void
check_utf8(struct bytes in)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

	while (in.n != 0) {
		size_t n = utf8_length(in);
		uint32_t code, bits;

		need(utf8_decode(in, &code) == n && n <= 4 && n <= in.n);
		if (n == 0) {
			need(in.p[0] >= 0x80);
			n = 1;
		} else {
			bits = n == 1 ? in.p[0] : in.p[0] & (0x7fU >> n);
			for (size_t k = 1; k < n; k++)
				bits = bits << 6 | (in.p[k] & 0x3f);
			need(code == bits && code >= least[n]);
			need(code <= 0x10ffff && (code & ~0x7ffU) != 0xd800);
		}
		in = bytes_skip(in, n);
	}
}

static void
check_number(struct bytes in)
{
	char text[32];
	uint64_t value;

	if (!bytes_number(in, UINT64_MAX, &value))
		return;
	while (in.n > 1 && in.p[0] == '0')
		in = bytes_skip(in, 1);
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	need(bytes_eq(in, bytes_of(text)));
	need(value == 0 || !bytes_number(in, value - 1, &value));
}

static void
check_domain(struct bytes in)
{
	uint8_t once[MAX], twice[MAX];
	struct buf a = BUF_ON(once), b = BUF_ON(twice);

	if (!idn_to_ascii(in, &a))
		return;
	need(idn_is_ascii(buf_bytes(&a)));
	for (size_t k = 0; k < a.n; k++)
		need(a.p[k] == ascii_lower(a.p[k]));
	need(idn_to_ascii(buf_bytes(&a), &b));
	need(bytes_eq(buf_bytes(&a), buf_bytes(&b)));
	if (a.n <= 253)
		need(idn_domain_eq(in, buf_bytes(&a)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes in = {p, n};

	if (n > MAX / 2)
		return 0;
	check_base64(in);
	check_utf8(in);
	check_number(in);
	check_domain(in);
	return 0;
}
