#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/ascii.h"
#include "smtp/srs.h"

#define N(row) (sizeof(row) / sizeof((row)[0]))
#define DAY 86400LL
#define JP (303 * DAY + 7)	/* the day that is written JP */
#define A16 "aaaaaaaaaaaaaaaa"

static const struct bytes all[] = {
	BYTES_LIT("correct horse battery staple"),
	BYTES_LIT("another secret of theirs"),
};
static const struct smtp_secrets both = {all, 2};
static const struct smtp_secrets first = {all, 1};
static const struct smtp_secrets second = {all + 1, 1};

static const char *
make(const struct smtp_secrets *s, const char *local, const char *domain,
    int64_t now_s)
{
	static char text[80];
	struct buf out = BUF_ON(text);

	out.cap--;
	if (!smtp_srs_make(s, bytes_of(local), bytes_of(domain), now_s, &out)) {
		assert_int_equal(out.n, 0);
		return NULL;
	}
	text[out.n] = '\0';
	return text;
}

static enum smtp_return found;

/* What it leads back to; "" where it is not good. */
static const char *
lead(const struct smtp_secrets *s, struct bytes local, int64_t now_s)
{
	static char text[300];
	struct buf out = BUF_ON(text);

	out.cap--;
	found = smtp_srs_read(s, local, now_s, &out);
	assert_true(found == SMTP_RETURN_GOOD || out.n == 0);
	text[out.n] = '\0';
	return text;
}

/* Answers of postsrsd 1.10. */
static void
addresses_are_those_of_postsrsd(void **state)
{
	(void)state;
	assert_string_equal(make(&second, "alice", "one.example", JP),
	    "SRS0=9r4Q=JP=one.example=alice");
	assert_string_equal(make(&first, "SRS0=9r4Q=JP=one.example=alice",
	    "far.example", JP),
	    "SRS1=EOzC=far.example==9r4Q=JP=one.example=alice");
	assert_string_equal(make(&first, "SRS1=xxxx=far.example==9r4Q=JP="
	    "one.example=alice", "three.example", JP),
	    "SRS1=EOzC=far.example==9r4Q=JP=one.example=alice");
}

static void
what_it_leads_back_to(void **state)
{
	static const struct {
		const char *local;
		const char *path;	/* "": not good */
		enum smtp_return found;
	} row[] = {
		{"SRS0=9r4Q=JP=one.example=alice", "<alice@one.example>", SMTP_RETURN_GOOD},
		{"srs0=9R4q=jp=ONE.example=Alice", "<Alice@ONE.example>", SMTP_RETURN_GOOD},
		{"SRS0-9r4Q=JP=one.example=alice", "<alice@one.example>", SMTP_RETURN_GOOD},
		{"SRS0+9r4Q=JP=one.example=alice", "<alice@one.example>", SMTP_RETURN_GOOD},
		{"SRS1=EOzC=far.example==9r4Q=JP=one.example=alice",
		    "<SRS0=9r4Q=JP=one.example=alice@far.example>", SMTP_RETURN_GOOD},
		{"srs1=eozc=far.example==9r4q=jp=one.example=alice",
		    "<SRS0=9r4q=jp=one.example=alice@far.example>", SMTP_RETURN_GOOD},
		/* each part is under the hash */
		{"SRS0=9r4R=JP=one.example=alice", "", SMTP_RETURN_FORGED},
		{"SRS0=9r4Q=JQ=one.example=alice", "", SMTP_RETURN_FORGED},
		{"SRS0=9r4Q=JP=two.example=alice", "", SMTP_RETURN_FORGED},
		{"SRS0=9r4Q=JP=one.example=alicf", "", SMTP_RETURN_FORGED},
		{"SRS1=EOzD=far.example==9r4Q=JP=one.example=alice", "", SMTP_RETURN_FORGED},
		{"SRS1=EOzC=fas.example==9r4Q=JP=one.example=alice", "", SMTP_RETURN_FORGED},
		{"SRS1=EOzC=far.example==9r4Q=JP=one.example=alicf", "", SMTP_RETURN_FORGED},
		/* too little of a hash, or none */
		{"SRS0=9r4=JP=one.example=alice", "", SMTP_RETURN_FORGED},
		{"SRS0==JP=one.example=alice", "", SMTP_RETURN_FORGED},
		{"SRS1==far.example==9r4Q=JP=one.example=alice", "", SMTP_RETURN_FORGED},
		/* cut off */
		{"SRS0=", "", SMTP_RETURN_FORGED},
		{"SRS0=9r4Q", "", SMTP_RETURN_FORGED},
		{"SRS0=9r4Q=JP=one.example", "", SMTP_RETURN_FORGED},
		{"SRS0=9r4Q=JP=one.example=", "", SMTP_RETURN_FORGED},
		{"SRS0=9r4Q=J=one.example=alice", "", SMTP_RETURN_FORGED},
		{"SRS0=9r4Q=J1=one.example=alice", "", SMTP_RETURN_FORGED},
		{"SRS1=EOzC=far.example", "", SMTP_RETURN_FORGED},
		{"SRS1=EOzC=far.example=", "", SMTP_RETURN_FORGED},
		{"SRS1=EOzC=far.example=9r4Q", "", SMTP_RETURN_FORGED},
		/* ordinary names */
		{"SRS0", "", SMTP_RETURN_NONE},
		{"SRS0x=9r4Q=JP=one.example=alice", "", SMTP_RETURN_NONE},
		{"SRS2=9r4Q=JP=one.example=alice", "", SMTP_RETURN_NONE},
		{"alice", "", SMTP_RETURN_NONE},
		{"", "", SMTP_RETURN_NONE},
	};

	(void)state;
	for (size_t k = 0; k < N(row); k++) {
		print_message("%s\n", row[k].local);
		assert_string_equal(lead(&both, bytes_of(row[k].local), JP),
		    row[k].path);
		assert_int_equal(found, row[k].found);
	}
	(void)lead(&both, (struct bytes){(const uint8_t *)"SRS0=\0", 6}, JP);
	assert_int_equal(found, SMTP_RETURN_NONE);
}

/* A longer hash is held against all of it, up to what SHA-1 has. */
static void
a_hash_may_be_longer(void **state)
{
	(void)state;
	assert_string_equal(lead(&second, BYTES_LIT("SRS0=9r4Qx=JP=one.example"
	    "=alice"), JP), "");
	assert_string_equal(lead(&second, BYTES_LIT("SRS0=" A16 A16 "=JP="
	    "one.example=alice"), JP), "");
	assert_int_equal(found, SMTP_RETURN_FORGED);
}

/* The first secret makes; each of them verifies, and no other. */
static void
an_old_secret_still_verifies(void **state)
{
	char made[80];

	(void)state;
	snprintf(made, sizeof(made), "%s", make(&both, "alice", "one.example",
	    JP));
	assert_string_equal(made, make(&first, "alice", "one.example", JP));
	assert_string_equal(lead(&both, bytes_of(made), JP),
	    "<alice@one.example>");
	snprintf(made, sizeof(made), "%s", make(&second, "alice",
	    "one.example", JP));
	assert_string_equal(lead(&both, bytes_of(made), JP),
	    "<alice@one.example>");
	(void)lead(&first, bytes_of(made), JP);
	assert_int_equal(found, SMTP_RETURN_FORGED);
}

/* Twenty-one days, and one ahead, also where the count of days begins anew. */
static void
it_expires(void **state)
{
	static const int64_t days[] = {303, 0, 1, 1010, 1023, 20000, 20479, 20480};

	(void)state;
	for (size_t k = 0; k < N(days); k++) {
		int64_t made_s = days[k] * DAY + DAY - 1;
		char made[80];

		snprintf(made, sizeof(made), "%s", make(&first, "alice",
		    "one.example", made_s));
		for (int64_t age = days[k] == 0 ? 0 : -1; age <= 40; age++) {
			(void)lead(&first, bytes_of(made), (days[k] + age) *
			    DAY);
			assert_int_equal(found, age <= SMTP_RETURN_DAYS
			    ? SMTP_RETURN_GOOD : SMTP_RETURN_EXPIRED);
		}
		if (days[k] < 2)
			continue;
		(void)lead(&first, bytes_of(made), (days[k] - 2) * DAY);
		assert_int_equal(found, SMTP_RETURN_EXPIRED);
	}
}

static void
what_has_no_such_form(void **state)
{
	char longest[80];

	(void)state;
	/* 64 octets in all, and one more */
	snprintf(longest, sizeof(longest), "%.*s", 64 - (int)strlen(
	    "SRS0=HHHH=TT=one.example="), A16 A16 A16);
	assert_int_equal(strlen(make(&first, longest, "one.example", JP)), 64);
	strcat(longest, "a");
	assert_null(make(&first, longest, "one.example", JP));
	assert_null(make(&first, "", "one.example", JP));
	assert_null(make(&first, "\"a b\"", "one.example", JP));
	assert_null(make(&first, "j\xc3\xbcrgen", "one.example", JP));
	assert_null(make(&first, "a", "b\xc3\xbc.example", JP));
	assert_null(make(&first, "a", "[192.0.2.1]", JP));
	assert_null(make(&first, "a", "", JP));
	assert_null(make(&first, ".a", "one.example", JP));
	/* an SRS0 with nothing in it */
	assert_string_equal(lead(&first, bytes_of(make(&first, "SRS0=",
	    "far.example", JP)), JP), "<SRS0=@far.example>");
	/* an SRS1 that is none is as any other name */
	assert_string_equal(lead(&first, bytes_of(make(&first, "SRS1=x",
	    "far.example", JP)), JP), "<SRS1=x@far.example>");
}

/* Octets that no path may have stay out of what is made and read. */
static void
no_octet_breaks_out(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		char name[] = "a?b";
		const char *made;

		name[1] = (char)c;
		made = make(&first, name, "one.example", JP);
		if (made == NULL)
			continue;
		assert_true(ascii_is_graph((uint8_t)c) &&
		    strchr("<>()@,;:\\\"[]", c) == NULL);
		assert_string_not_equal(lead(&first, bytes_of(made), JP), "");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_those_of_postsrsd),
		cmocka_unit_test(what_it_leads_back_to),
		cmocka_unit_test(a_hash_may_be_longer),
		cmocka_unit_test(an_old_secret_still_verifies),
		cmocka_unit_test(it_expires),
		cmocka_unit_test(what_has_no_such_form),
		cmocka_unit_test(no_octet_breaks_out),
	};

	return cmocka_run_group_tests_name("smtp/srs", tests, NULL, NULL);
}
