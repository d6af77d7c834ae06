/*
 * Return addresses: what is no address of ours never reads as one, whatever
 * leads back is a path, and an address made of the input leads back to it.
 * The first octet is the day; the input is a local part, and LOCAL@DOMAIN.
 */
#include <stdint.h>
#include <stdlib.h>

#include "smtp/path.h"
#include "smtp/srs.h"
#include "smtp/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const struct bytes all[] = {BYTES_LIT("a secret of the fuzzer"),
    BYTES_LIT("correct horse battery staple"),
    BYTES_LIT("another secret of theirs")};
static const struct smtp_secrets secrets = {all, 3};

static void
check(bool good)
{
	if (!good)
		abort();
}

static void
read_any(struct bytes local, int64_t now_s)
{
	uint8_t octets[256], id[SMTP_TOKEN_ID];
	struct buf out = BUF_ON(octets);
	struct smtp_path path;
	struct bytes rest;
	enum smtp_return r = smtp_srs_read(&secrets, local, now_s, &out);

	check((r == SMTP_RETURN_GOOD) == (out.n != 0));
	if (r == SMTP_RETURN_GOOD)
		check(smtp_path_parse(buf_bytes(&out), 0, &path, &rest) ==
		    SMTP_PATH_OK && rest.n == 0 && path.domain.n != 0);
	r = smtp_token_read(&secrets, local, BYTES_LIT("two.example"), now_s,
	    id);
	check(r == SMTP_RETURN_NONE || r == SMTP_RETURN_GOOD ||
	    r == SMTP_RETURN_FORGED || r == SMTP_RETURN_EXPIRED);
}

static void
make_any(struct bytes local, struct bytes domain, int64_t now_s)
{
	uint8_t octets[64], back[256], id[SMTP_TOKEN_ID], again[SMTP_TOKEN_ID];
	struct buf out = BUF_ON(octets), to = BUF_ON(back);
	struct smtp_path path;
	struct bytes rest;

	if (smtp_srs_make(&secrets, local, domain, now_s, &out)) {
		check(smtp_srs_read(&secrets, buf_bytes(&out), now_s, &to) ==
		    SMTP_RETURN_GOOD);
		check(smtp_path_parse(buf_bytes(&to), 0, &path, &rest) ==
		    SMTP_PATH_OK);
		if (!bytes_case_starts(local, BYTES_LIT("SRS")))
			check(bytes_eq(path.local, local) &&
			    bytes_eq(path.domain, domain));
	}
	check(out.n != 0 || !out.full);
	out.n = 0;
	out.full = false;
	check(smtp_token_make(&secrets, id, local, domain, domain, now_s,
	    &out));
	check(smtp_token_read(&secrets, buf_bytes(&out), domain, now_s,
	    again) == SMTP_RETURN_GOOD);
	check(memcmp(id, again, sizeof(id)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes local = {p, n}, domain;
	int64_t now_s;

	if (n == 0)
		return 0;
	now_s = (20783 + p[0]) * INT64_C(86400);
	domain = local = bytes_skip(local, 1);
	read_any(local, now_s);
	local = bytes_cut(&domain, '@');
	if (domain.p != NULL)
		make_any(local, domain, now_s);
	return 0;
}
