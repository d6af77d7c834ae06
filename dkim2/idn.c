#include "dkim2/idn.h"

#include "base/ascii.h"
#include "base/utf8.h"
#include "dkim2/draft.h"

/* Parameters of punycode for domain names (RFC 3492 5). */
enum {
	BASE = 36,
	TMIN = 1,
	TMAX = 26,
	SKEW = 38,
	DAMP = 700,
	INITIAL_BIAS = 72,
	INITIAL_N = 128,
};

bool
idn_is_ascii(struct bytes b)
{
	for (size_t k = 0; k < b.n; k++)
		if (b.p[k] >= 0x80)
			return false;
	return true;
}

static uint32_t
adapt(uint32_t delta, uint32_t n_points, bool is_first)
{
	uint32_t k = 0;

	delta = is_first ? delta / DAMP : delta / 2;
	delta += delta / n_points;
	for (; delta > (BASE - TMIN) * TMAX / 2; k += BASE)
		delta /= BASE - TMIN;
	return k + (BASE - TMIN + 1) * delta / (delta + SKEW);
}

/* A number of variable length, the lowest digits first. */
static void
add_delta(struct buf *out, uint32_t delta, uint32_t bias)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	uint32_t q = delta;

	for (uint32_t k = BASE; ; k += BASE) {
		uint32_t t = k <= bias ? TMIN :
		    k >= bias + TMAX ? TMAX : k - bias;

		if (q < t)
			break;
		buf_add_octet(out, (uint8_t)digits[t + (q - t) % (BASE - t)]);
		q = (q - t) / (BASE - t);
	}
	buf_add_octet(out, (uint8_t)digits[q]);
}

/* Encodes the code points of one label (RFC 3492 6.3). */
static void
punycode(const uint32_t *points, uint32_t n_points, struct buf *out)
{
	uint32_t n = INITIAL_N, delta = 0, bias = INITIAL_BIAS;
	uint32_t n_basic = 0, done;

	for (uint32_t k = 0; k < n_points; k++) {
		if (points[k] < INITIAL_N) {
			buf_add_octet(out, (uint8_t)points[k]);
			n_basic++;
		}
	}
	if (n_basic != 0)
		buf_add_octet(out, '-');
	for (done = n_basic; done < n_points; ) {
		uint32_t next = UINT32_MAX;

		for (uint32_t k = 0; k < n_points; k++)
			if (points[k] >= n && points[k] < next)
				next = points[k];
		/* At most 63 points below 2^21: this cannot overflow. */
		delta += (next - n) * (done + 1);
		n = next;
		for (uint32_t k = 0; k < n_points; k++) {
			if (points[k] < n)
				delta++;
			if (points[k] != n)
				continue;
			add_delta(out, delta, bias);
			bias = adapt(delta, done + 1, done == n_basic);
			delta = 0;
			done++;
		}
		delta++;
		n++;
	}
}

static bool
label_to_ascii(struct bytes label, struct buf *out)
{
	uint32_t points[DRAFT_LABEL_MAX];
	uint32_t n = 0;
	size_t from = out->n;

	if (idn_is_ascii(label)) {
		for (size_t k = 0; k < label.n; k++)
			buf_add_octet(out, ascii_lower(label.p[k]));
		return true;
	}
	while (label.n != 0) {
		uint32_t code;
		size_t length = utf8_decode(label, &code);

		/* Each point takes an octet of the A-label at least. */
		if (length == 0 || n == DRAFT_LABEL_MAX)
			return false;
		points[n++] = code < 0x80 ? ascii_lower((uint8_t)code) : code;
		label = bytes_skip(label, length);
	}
	buf_add(out, BYTES_LIT("xn--"));
	punycode(points, n, out);
	return out->n - from <= DRAFT_LABEL_MAX;
}

bool
idn_to_ascii(struct bytes domain, struct buf *out)
{
	struct bytes rest = domain;

	while (rest.p != NULL) {
		if (!label_to_ascii(bytes_cut(&rest, '.'), out))
			return false;
		if (rest.p != NULL)
			buf_add_octet(out, '.');
	}
	return !out->full;
}

bool
idn_domain_eq(struct bytes a, struct bytes b)
{
	uint8_t room[2][DRAFT_DOMAIN_MAX];
	struct buf x = BUF_ON(room[0]), y = BUF_ON(room[1]);

	if (idn_is_ascii(a) && idn_is_ascii(b))
		return bytes_case_eq(a, b);
	return idn_to_ascii(a, &x) && idn_to_ascii(b, &y) &&
	    bytes_eq(buf_bytes(&x), buf_bytes(&y));
}
