/*
 * A PROXY header: at once and octet by octet the same comes out and the same
 * is left; no more is taken than a header may have; what was read, written
 * again by our client's side, is read the same.
 */
#include <stdint.h>
#include <stdlib.h>

#include "smtp/introduce.h"
#include "smtp/proxyproto.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(bool good)
{
	if (!good)
		abort();
}

static enum smtp_proxyproto_step
feed(struct smtp_proxyproto *p, struct bytes *in, size_t piece)
{
	enum smtp_proxyproto_step step = SMTP_PROXYPROTO_MORE;

	smtp_proxyproto_init(p);
	while (step == SMTP_PROXYPROTO_MORE && in->n != 0) {
		struct bytes now = bytes_first(*in, piece);
		size_t n = now.n;

		step = smtp_proxyproto_read(p, &now);
		check(step != SMTP_PROXYPROTO_MORE || now.n == 0);
		*in = bytes_skip(*in, n - now.n);
	}
	return step;
}

static bool
is_same(const struct smtp_proxyproto *a, const struct smtp_proxyproto *b)
{
	return a->is_known == b->is_known && a->port == b->port &&
	    a->dest_port == b->dest_port && memcmp(a->ip, b->ip, 16) == 0 &&
	    memcmp(a->dest_ip, b->dest_ip, 16) == 0;
}

static void
check_again(const struct smtp_proxyproto *p)
{
	uint8_t octets[SMTP_PROXY_MAX];
	struct buf out = BUF_ON(octets);
	struct smtp_introduction who = {
	    .from = {.text = "", .port = p->port},
	    .to = {.text = "", .port = p->dest_port}};
	struct smtp_proxyproto again;
	struct bytes in;

	memcpy(who.from.ip, p->ip, 16);
	memcpy(who.to.ip, p->dest_ip, 16);
	smtp_introduce_proxy_v2(&out, &who);
	in = buf_bytes(&out);
	check(feed(&again, &in, SIZE_MAX) == SMTP_PROXYPROTO_READY);
	check(in.n == 0 && is_same(p, &again));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes whole_left = {p, n}, bits_left = {p, n};
	struct smtp_proxyproto whole, bits;
	enum smtp_proxyproto_step step = feed(&whole, &whole_left, SIZE_MAX);

	check(feed(&bits, &bits_left, 1) == step);
	if (step == SMTP_PROXYPROTO_BAD)
		return 0;
	check(whole_left.n == bits_left.n && is_same(&whole, &bits));
	check(n - whole_left.n <= 16 + SMTP_PROXYPROTO_V2_MAX);
	if (step == SMTP_PROXYPROTO_READY && whole.is_known)
		check_again(&whole);
	return 0;
}
