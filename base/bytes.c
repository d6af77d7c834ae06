#include "base/bytes.h"

#include "base/ascii.h"

int
bytes_compare(struct bytes a, struct bytes b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int r = n == 0 ? 0 : memcmp(a.p, b.p, n);

	if (r != 0)
		return r;
	return a.n < b.n ? -1 : a.n > b.n;
}

size_t
bytes_common(struct bytes a, struct bytes b)
{
	size_t n = a.n < b.n ? a.n : b.n, at = 0, step = 256;

	while (n - at >= step && memcmp(a.p + at, b.p + at, step) == 0)
		at += step;
	while (at < n && a.p[at] == b.p[at])
		at++;
	return at;
}

bool
bytes_case_eq(struct bytes a, struct bytes b)
{
	return a.n == b.n && bytes_case_starts(a, b);
}

bool
bytes_case_starts(struct bytes b, struct bytes prefix)
{
	if (b.n < prefix.n)
		return false;
	for (size_t k = 0; k < prefix.n; k++)
		if (ascii_lower(b.p[k]) != ascii_lower(prefix.p[k]))
			return false;
	return true;
}

struct bytes
bytes_trim(struct bytes b)
{
	while (b.n != 0 && ascii_is_wsp(b.p[b.n - 1]))
		b.n--;
	while (b.n != 0 && ascii_is_wsp(b.p[0]))
		b = bytes_skip(b, 1);
	return b;
}

#define SHORT_MAX 4U	/* a needle that is compared wherever it may begin */

/* memchr() looks at many octets at once, memmem() of glibc at one. */
static size_t
find_short(struct bytes b, struct bytes needle)
{
	size_t at = 0;

	while (b.n - at >= needle.n) {
		at += bytes_index(bytes_skip(b, at), needle.p[0]);
		if (bytes_starts(bytes_skip(b, at), needle))
			return at;
		if (at == b.n)
			break;
		at++;
	}
	return b.n;
}

size_t
bytes_find(struct bytes b, struct bytes needle)
{
	const uint8_t *at;

	if (needle.n == 0)
		return 0;
	if (b.n < needle.n)
		return b.n;
	if (needle.n <= SHORT_MAX)
		return find_short(b, needle);
	at = memmem(b.p, b.n, needle.p, needle.n);
	return at == NULL ? b.n : (size_t)(at - b.p);
}

struct bytes
bytes_cut(struct bytes *rest, uint8_t c)
{
	struct bytes piece = *rest;
	size_t at = bytes_index(*rest, c);

	if (at == rest->n) {
		*rest = (struct bytes){NULL, 0};
		return piece;
	}
	*rest = bytes_skip(*rest, at + 1);
	return bytes_first(piece, at);
}

bool
bytes_number(struct bytes b, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;

	if (b.n == 0)
		return false;
	for (size_t k = 0; k < b.n; k++) {
		uint64_t digit;

		if (!ascii_is_digit(b.p[k]))
			return false;
		digit = (uint64_t)(b.p[k] - '0');
		if (v > (max - digit) / 10 || digit > max)
			return false;
		v = v * 10 + digit;
	}
	*value = v;
	return true;
}
