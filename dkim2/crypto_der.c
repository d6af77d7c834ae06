#include "dkim2/crypto_der.h"

enum tag {
	INTEGER = 0x02,
	BIT_STRING = 0x03,
	SEQUENCE = 0x30,
};

/* Takes one element with this tag off the front; false where there is none. */
static bool
take(struct bytes *in, enum tag tag, struct bytes *inside)
{
	size_t n, at = 2;

	if (in->n < 2 || in->p[0] != tag)
		return false;
	n = in->p[1];
	if (n >= 0x80) {
		size_t octets = n - 0x80;

		if (octets == 0 || octets > 3 || in->n - at < octets)
			return false;
		n = 0;
		for (size_t k = 0; k < octets; k++)
			n = n << 8 | in->p[at++];
		if (n < 0x80 || n >> 8 * (octets - 1) == 0)
			return false;
	}
	if (in->n - at < n)
		return false;
	*inside = bytes_first(bytes_skip(*in, at), n);
	*in = bytes_skip(*in, at + n);
	return true;
}

/* A number that is not negative, in its shortest form. */
static bool
take_number(struct bytes *in, struct bytes *number)
{
	if (!take(in, INTEGER, number) || number->n == 0 ||
	    number->p[0] >= 0x80)
		return false;
	if (number->n == 1 || number->p[0] != 0)
		return true;
	*number = bytes_skip(*number, 1);
	return number->p[0] >= 0x80;
}

static bool
read_key(struct bytes der, struct bytes *n, struct bytes *e)
{
	struct bytes key;

	return take(&der, SEQUENCE, &key) && der.n == 0 &&
	    take_number(&key, n) && take_number(&key, e) && key.n == 0;
}

/* The key inside of a SubjectPublicKeyInfo; der itself where it is none. */
static struct bytes
unwrap(struct bytes der)
{
	/* 1.2.840.113549.1.1.1 alone: a key for PSS is none for PKCS#1 */
	static const struct bytes rsa =
	    BYTES_LIT("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01");
	static const struct bytes null = BYTES_LIT("\x05\0");
	struct bytes rest = der, info, algorithm, key;

	if (!take(&rest, SEQUENCE, &info) || rest.n != 0 ||
	    !take(&info, SEQUENCE, &algorithm) ||
	    !bytes_starts(algorithm, rsa))
		return der;
	algorithm = bytes_skip(algorithm, rsa.n);
	if ((algorithm.n != 0 && !bytes_eq(algorithm, null)) ||
	    !take(&info, BIT_STRING, &key) || info.n != 0 || key.n == 0 ||
	    key.p[0] != 0)
		return der;
	return bytes_skip(key, 1);
}

bool
der_rsa_public(struct bytes der, struct bytes *n, struct bytes *e)
{
	return read_key(unwrap(der), n, e);
}
