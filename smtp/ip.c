#include "smtp/ip.h"

#include "base/ascii.h"

bool
smtp_ip_v4(struct bytes b, uint8_t ip[16])
{
	uint8_t got[16] = {[10] = 0xff, [11] = 0xff};
	size_t n = 12;

	while (b.p != NULL) {
		struct bytes part = bytes_cut(&b, '.');
		uint64_t value;

		if (n == 16 || part.n > 3 || !bytes_number(part, 255, &value))
			return false;
		got[n++] = (uint8_t)value;
	}
	if (n != 16)
		return false;
	memcpy(ip, got, 16);
	return true;
}

/* One to four hexadecimal digits. */
static bool
read_group(struct bytes b, uint8_t two[2])
{
	unsigned value = 0;

	if (b.n < 1 || b.n > 4)
		return false;
	for (size_t k = 0; k < b.n; k++) {
		uint8_t c = ascii_lower(b.p[k]);

		if (ascii_is_digit(c))
			value = value << 4 | (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (unsigned)(c - 'a' + 10);
		else
			return false;
	}
	two[0] = (uint8_t)(value >> 8);
	two[1] = (uint8_t)value;
	return true;
}

/*
 * Reads the groups of one side of "::", two octets each. Returns how many
 * octets they are, at most 16, or -1 where it is none.
 */
static int
read_groups(struct bytes b, bool may_end_ipv4, uint8_t ip[16])
{
	uint8_t v4[16];
	int n = 0;

	if (b.n == 0)
		return 0;
	while (b.p != NULL) {
		struct bytes group = bytes_cut(&b, ':');

		if (n <= 14 && read_group(group, ip + n)) {
			n += 2;
		} else if (n <= 12 && may_end_ipv4 && b.p == NULL &&
		    smtp_ip_v4(group, v4)) {
			memcpy(ip + n, v4 + 12, 4);
			n += 4;
		} else {
			return -1;
		}
	}
	return n;
}

bool
smtp_ip_v6(struct bytes b, uint8_t ip[16])
{
	uint8_t front[16], back[16];
	size_t at = bytes_find(b, BYTES_LIT("::"));
	int left, right = 0;

	if (at == b.n) {
		left = read_groups(b, true, front);
		if (left != 16)
			return false;
	} else {
		left = read_groups(bytes_first(b, at), false, front);
		right = read_groups(bytes_skip(b, at + 2), true, back);
		if (left < 0 || right < 0 || left + right > 12)
			return false;
	}
	memset(ip, 0, 16);
	memcpy(ip, front, (size_t)left);
	memcpy(ip + 16 - right, back, (size_t)right);
	return true;
}
