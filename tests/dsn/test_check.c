/* What a DSN that comes in may be relied upon, rule by rule (draft 16.4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>

#include "base/err.h"
#include "dsn/check.h"
#include "tests/dkim2/kit.h"
#include "tests/dkim2/craft.h"
#include "tests/dsn/kit.h"

#define WHOLE "message/rfc822"
#define HEADER "text/rfc822-headers"

#define SIG(i, m, d, mf, rt, s) "DKIM2-Signature: i=" i "; m=" m \
	"; t=1795341600; d=" d "; mf=$J(" mf ")$; rt=$J(" rt ")$; s=" s ";\r\n"
#define INSTANCE "Message-Instance: m=1; h=$H;\r\n"

/* Alice wrote to a list. */
#define ALICE SIG("1", "1", "example.org", "<alice@example.org>", \
	"<list@lists.example>", "ed1:ed25519-sha256:$1a") INSTANCE
#define MAIL "From: Alice <alice@example.org>\r\nSubject: hello\r\n" \
	"\r\none\r\ntwo\r\n"
#define SENT ALICE MAIL

/* The list says that it could not take that. */
#define LIST SIG("1", "1", "lists.example", "<>", "<alice@example.org>", \
	"l1:ed25519-sha256:$1b") INSTANCE

#define L1 "l1._domainkey.lists.example"
#define ED1 "ed1._domainkey.example.org"

static const struct craft_record records[] = {
	{ED1, {CRAFT_A, NULL}},
	{L1, {CRAFT_B, NULL}},
	{"l1._domainkey.sub.lists.example", {CRAFT_B, NULL}},
	{"l1._domainkey.example", {CRAFT_B, NULL}},
	{"ed1._domainkey.mail.example.org", {CRAFT_A, NULL}},
	{"ed1._domainkey.sub.mail.example.org", {CRAFT_A, NULL}},
	{"l1._domainkey.example.org", {CRAFT_B, NULL}},
};

struct run {
	const char *dsn;	/* DKIM2 fields of the DSN */
	const char *from;	/* the other fields of its header */
	const char *type;	/* of the third part */
	const char *returned;	/* what is in it */
	const char *change[2];	/* in the returned message, once signed */
	const char *tamper[2];	/* in the DSN, once signed */
	const char *mail_from;	/* NULL: <> */
	const char *rcpt_to[3];	/* none: alice */
	const char *tempfail[2], *absent;
	int64_t later_s;
	bool is_old_good;	/* what is returned may be of any age */
};

static int
open_arena(void **state)
{
	*state = arena_new(KIT_ARENA);
	return *state == NULL || sodium_init() < 0;
}

static int
close_arena(void **state)
{
	arena_free((struct arena **)state);
	return 0;
}

static const char *
replace(struct arena *a, struct bytes b, const char *const change[2])
{
	size_t at = change[0] == NULL ? 0 : bytes_find(b,
	    bytes_of(change[0]));
	struct buf out;

	assert_int_equal(arena_buf(a, b.n + 1000, &out), 0);
	assert_true(change[0] == NULL || at < b.n);
	buf_add(&out, bytes_first(b, at));
	if (change[0] != NULL) {
		buf_add_str(&out, change[1]);
		at += strlen(change[0]);
	}
	buf_add(&out, bytes_skip(b, at));
	buf_add_octet(&out, 0);
	assert_false(out.full);
	return (const char *)out.p;
}

static struct bytes
make(struct arena *a, const struct run *run)
{
	const char *returned = replace(a, craft(a, run->returned),
	    run->change);
	struct buf text;

	assert_int_equal(arena_buf(a, 65536, &text), 0);
	buf_add_str(&text, run->dsn == NULL ? LIST : run->dsn);
	buf_add_str(&text, run->from == NULL ? DSN_FROM : run->from);
	buf_add_str(&text, DSN_TYPE "\r\n" DSN_TEXT DSN_STATUS
	    "--=_b\r\nContent-Type: ");
	buf_add_str(&text, run->type == NULL ? WHOLE : run->type);
	buf_add_str(&text, "\r\n\r\n");
	buf_add_str(&text, returned);
	buf_add_str(&text, DSN_END);
	buf_add_octet(&text, 0);
	assert_false(text.full);
	return bytes_of(replace(a, craft(a, (const char *)text.p),
	    run->tamper));
}

static bool
is_name(const char *name, struct bytes b)
{
	return name != NULL && bytes_eq(b, bytes_of(name));
}

static int
answer(struct dsn_check *c, size_t k, struct bytes name,
    const struct run *run)
{
	if (is_name(run->tempfail[0], name) ||
	    is_name(run->tempfail[1], name))
		return dsn_check_answer(c, k, DKIM2_KEY_TEMPFAIL, NULL, 0);
	for (size_t j = 0; j < COUNT(records); j++) {
		struct bytes text = bytes_of(records[j].text[0]);

		if (is_name(records[j].name, name) &&
		    !is_name(run->absent, name))
			return dsn_check_answer(c, k, DKIM2_KEY_TXT, &text,
			    1);
	}
	return dsn_check_answer(c, k, DKIM2_KEY_ABSENT, NULL, 0);
}

/* Begins a check; everything it needs is in the arena. */
static int
begin(struct arena *a, struct arena *to, const struct run *run,
    struct bytes octets, struct dsn_check **c)
{
	struct dkim2_message *m = arena_alloc(a, sizeof(*m));
	struct dkim2_envelope *e = arena_alloc(a, sizeof(*e));
	struct bytes *rcpt = arena_array(a, 3, sizeof(*rcpt));
	struct dsn_check_options o = {.envelope = e,
	    .now_s = CRAFT_TIME + 60 + run->later_s};
	struct dkim2_limits old;
	struct bytes body = kit_split(octets, m, a);

	e->mail_from = bytes_of(run->mail_from == NULL ? "<>" :
	    run->mail_from);
	e->rcpt_to = rcpt;
	rcpt[0] = BYTES_LIT("<alice@example.org>");
	for (; e->n_rcpt_to < 3 && run->rcpt_to[e->n_rcpt_to] != NULL;
	    e->n_rcpt_to++)
		rcpt[e->n_rcpt_to] = bytes_of(run->rcpt_to[e->n_rcpt_to]);
	if (e->n_rcpt_to == 0)
		e->n_rcpt_to = 1;
	dkim2_limits_default(&old);
	old.max_age_s = INT64_MAX;
	if (run->is_old_good)
		o.returned_limits = &old;
	return dsn_check_new(c, to, m, body, &o);
}

static const char *
text_of(const struct dsn_result *r, char *room, size_t n)
{
	struct buf out = {(uint8_t *)room, 0, n - 1, false};

	buf_add_str(&out, dkim2_state_name(r->state));
	if (r->reason != DSN_OK)
		buf_add_octet(&out, ' ');
	dsn_result_text(r, &out);
	assert_false(out.full);
	room[out.n] = '\0';
	return room;
}

static void
expect(const struct run *run, const char *wanted)
{
	struct arena *a = arena_new(KIT_ARENA);
	const struct bytes *names;
	struct dsn_check *c;
	char room[1000];
	size_t n;

	assert_int_equal(begin(a, a, run, make(a, run), &c), 0);
	n = dsn_check_wants(c, &names);
	for (size_t k = 0; k < n; k++)
		assert_int_equal(answer(c, k, names[k], run), 0);
	assert_int_equal(dsn_check_step(c), DKIM2_DONE);
	assert_string_equal(text_of(dsn_check_result(c), room, sizeof(room)),
	    wanted);
	dsn_check_fini(c);
	arena_free(&a);
}

/* ---- what is no DSN ----------------------------------------------------- */

static void
only_what_does_not_parse_is_a_permerror(void **state)
{
	static const struct {
		struct run run;
		const char *text;
	} row[] = {
		{{.returned = SENT, .tamper = {"multipart/report",
		  "multipart/mixed"}}, "permerror DSN could not be parsed"},
		{{.returned = SENT, .tamper = {"--=_b--", "--=_c--"}},
		 "permerror DSN could not be parsed"},
		{{.returned = SENT, .type = "text/plain"},
		 "permerror Returned message could not be parsed"},
		{{.returned = SENT, .change = {"Subject:", "Subject"}},
		 "permerror Returned message could not be parsed"},
		{{.returned = SENT, .type = WHOLE
		  "\r\nContent-Transfer-Encoding: quoted-printable"},
		 "fail Returned message is encoded and cannot be checked"},
		/* a PERMERROR of either message is no PERMERROR of ours */
		{{.returned = SENT, .absent = L1}, "fail DSN DKIM2-Signature "
		 "i=1 public key l1 does not exist"},
		{{.returned = SENT, .absent = ED1}, "fail Returned message "
		 "DKIM2-Signature i=1 public key ed1 does not exist"},
		{{.returned = SENT, .dsn = LIST LIST}, "fail DSN "
		 "Message-Instance m=1 syntax error"},
		{{.returned = ALICE ALICE MAIL}, "fail Returned message "
		 "Message-Instance m=1 syntax error"},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++)
		expect(&row[k].run, row[k].text);
}

/* ---- (a) the DSN is fully verified, with its envelope ------------------- */

static void
the_dsn_itself(void **state)
{
	static const struct {
		struct run run;
		const char *text;
	} row[] = {
		{{.returned = SENT}, "pass"},
		{{.returned = SENT, .dsn = ""}, "fail DSN is not DKIM2 signed"},
		{{.returned = SENT, .dsn = INSTANCE},
		 "fail DSN is not DKIM2 signed"},
		/* only our fields copied */
		{{.returned = SENT, .dsn = ALICE}, "fail DSN DKIM2-Signature "
		 "i=1 MAIL FROM <> did not match"},
		{{.returned = SENT, .tamper = {"No such user", "Go away"}},
		 "fail DSN Message-Instance m=1 body hash sha256 mismatch"},
		{{.returned = SENT, .tamper = {"Undelivered", "Delivered"}},
		 "fail DSN Message-Instance m=1 header hash sha256 mismatch"},
		{{.returned = SENT, .tamper = {"t=1795341600", "t=1795341601"}},
		 "fail DSN DKIM2-Signature i=1 selector l1 incorrect "
		 "signature"},
		{{.returned = SENT, .tamper = {"MAILER-DAEMON@lists.example",
		  "MAILER-DAEMON@lists.test"}}, "fail DSN Message-Instance "
		 "m=1 header hash sha256 mismatch"},
		{{.returned = SENT, .mail_from = "<bob@lists.example>"},
		 "fail DSN DKIM2-Signature i=1 MAIL FROM <bob@lists.example> "
		 "did not match"},
		{{.returned = SENT, .rcpt_to = {"<bob@example.org>"}},
		 "fail DSN DKIM2-Signature i=1 RCPT TO <bob@example.org> did "
		 "not match"},
		{{.returned = SENT, .rcpt_to = {"<alice@example.org>",
		  "<bob@example.org>"}}, "fail DSN DKIM2-Signature i=1 "
		 "RCPT TO <bob@example.org> did not match"},
		/* fully, not provisionally: From has to be authentic */
		{{.returned = SENT, .dsn = SIG("1", "1", "sub.lists.example",
		  "<>", "<alice@example.org>", "l1:ed25519-sha256:$1b")
		  INSTANCE}, "fail DSN DKIM2-Signature i=1 matching From is "
		 "not authentic"},
		{{.returned = SENT, .tempfail = {L1}}, "temperror DSN "
		 "DKIM2-Signature i=1 public key l1 could not be fetched"},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++)
		expect(&row[k].run, row[k].text);
}

/* ---- (b) what it returns is provisionally verified ---------------------- */

#define TWO_HOPS(first, second) SIG("2", "1", "lists.example", \
	"<l-bounces@lists.example>", "<bob@example.net>", second) \
	SIG("1", "1", "example.org", "<alice@example.org>", \
	"<list@lists.example>", first) INSTANCE MAIL

static void
the_returned_message(void **state)
{
	static const struct {
		struct run run;
		const char *whole, *header;	/* by what is returned */
	} row[] = {
		{{.returned = SENT}, "pass", "pass"},
		{{.returned = MAIL}, "fail Returned message is not DKIM2 "
		 "signed", "fail Returned message is not DKIM2 signed"},
		/* altered; a body that is not there is not looked at */
		{{.returned = SENT, .change = {"one\r\n", "six\r\n"}},
		 "fail Returned message Message-Instance m=1 body hash sha256 "
		 "mismatch", "pass"},
		{{.returned = SENT, .change = {"hello", "adieu"}},
		 "fail Returned message Message-Instance m=1 header hash "
		 "sha256 mismatch",
		 "fail Returned message Message-Instance m=1 header hash "
		 "sha256 mismatch"},
		{{.returned = SENT, .change = {"t=1795341600",
		  "t=1795341601"}},
		 "fail Returned message DKIM2-Signature i=1 selector ed1 "
		 "incorrect signature",
		 "fail Returned message DKIM2-Signature i=1 selector ed1 "
		 "incorrect signature"},
		{{.returned = SENT, .tempfail = {ED1}},
		 "temperror Returned message DKIM2-Signature i=1 public key "
		 "ed1 could not be fetched",
		 "temperror Returned message DKIM2-Signature i=1 public key "
		 "ed1 could not be fetched"},
		/* its d= and mf= */
		{{.returned = SIG("1", "1", "mail.example.org",
		  "<alice@example.org>", "<list@lists.example>",
		  "ed1:ed25519-sha256:$1a") INSTANCE MAIL},
		 "fail Returned message DKIM2-Signature i=1 MAIL FROM and d= "
		 "do not match",
		 "fail Returned message DKIM2-Signature i=1 MAIL FROM and d= "
		 "do not match"},
		/* an imaginary hop on top has no envelope */
		{{.returned = "DKIM2-Signature: i=1; m=1; t=1795341600; "
		  "d=example.org; nd=lists.example; s=ed1:ed25519-sha256:$1a"
		  ";\r\n" INSTANCE MAIL},
		 "fail Returned message DKIM2-Signature i=1 unexpected nd= "
		 "tag",
		 "fail Returned message DKIM2-Signature i=1 unexpected nd= "
		 "tag"},
		/* provisionally: From is the business of the first hop */
		{{.returned = ALICE "From: Eve <eve@evil.example>\r\n"
		  "Subject: hello\r\n\r\none\r\n"}, "pass", "pass"},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct run run = row[k].run;

		run.type = WHOLE;
		expect(&run, row[k].whole);
		run.type = HEADER;
		expect(&run, row[k].header);
	}
}

/* Only the last hop of a chain is asked, and only its key. */
static void
a_chain_that_came_back(void **state)
{
	static const char dsn[] = SIG("1", "1", "example.net", "<>",
	    "<l-bounces@lists.example>", "n1:ed25519-sha256:$1b") INSTANCE;
	static const struct {
		const char *first, *second, *text;
	} row[] = {
		{"ed1:ed25519-sha256:$1a", "l1:ed25519-sha256:$2b", "pass"},
		{"ed1:ed25519-sha256:AAAA", "l1:ed25519-sha256:$2b", "pass"},
		{"ed1:ed25519-sha256:$1a", "l1:ed25519-sha256:$2a",
		 "fail Returned message DKIM2-Signature i=2 selector l1 "
		 "incorrect signature"},
	};
	struct arena *a = *state;

	for (size_t k = 0; k < COUNT(row); k++) {
		struct run run = {.rcpt_to = {"<l-bounces@lists.example>"},
		    .dsn = dsn, .from = "From: x@example.net\r\n"};
		struct bytes key = BYTES_LIT(CRAFT_B);
		const struct bytes *names;
		struct dsn_check *c;
		struct buf text;
		char room[500];

		assert_int_equal(arena_buf(a, 4000, &text), 0);
		buf_printf(&text, TWO_HOPS("%s", "%s"), row[k].second,
		    row[k].first);
		buf_add_octet(&text, 0);
		run.returned = (const char *)text.p;
		assert_int_equal(begin(a, a, &run, make(a, &run), &c), 0);
		assert_int_equal(dsn_check_wants(c, &names), 2);
		kit_assert_bytes(names[0], "n1._domainkey.example.net");
		kit_assert_bytes(names[1], L1);
		for (size_t j = 0; j < 2; j++)
			assert_int_equal(dsn_check_answer(c, j,
			    DKIM2_KEY_TXT, &key, 1), 0);
		assert_string_equal(text_of(dsn_check_result(c), room,
		    sizeof(room)), row[k].text);
		dsn_check_fini(c);
	}
}

/* What is too old is not proven any more by DNS. */
static void
a_returned_message_expires(void **state)
{
	struct run run = {.returned = SENT, .later_s = 14 * 86400 - 60};

	(void)state;
	expect(&run, "pass");
	run.dsn = "DKIM2-Signature: i=1; m=1; t=1795427000; d=lists.example; "
	    "mf=$J(<>)$; rt=$J(<alice@example.org>)$; "
	    "s=l1:ed25519-sha256:$1b;\r\n" INSTANCE;
	run.later_s++;
	expect(&run, "fail Returned message DKIM2-Signature i=1 signature "
	    "expired");
	/* B7: who knows his keys needs no age of it */
	run.is_old_good = true;
	expect(&run, "pass");
	run.dsn = NULL;
	expect(&run, "fail DSN DKIM2-Signature i=1 signature expired");
}

/* ---- (c) who signed the DSN, (d) whom it goes to ------------------------ */

#define FROM_TO(d, mf, rt) SIG("1", "1", d, mf, rt, \
	"ed1:ed25519-sha256:$1a") INSTANCE MAIL
#define UNALIGNED "fail DSN signer is not aligned with the returned message " \
	"recipient"
#define NOT_OURS "fail Returned message signer is not aligned with the DSN " \
	"recipient"

static void
who_signed_the_dsn(void **state)
{
	static const struct {
		struct run run;
		const char *text;
	} row[] = {
		{{.returned = SENT}, "pass"},
		/* d= of the DSN may be above the recipient, not below it */
		{{.returned = FROM_TO("example.org", "<alice@example.org>",
		  "<list@sub.lists.example>")}, "pass"},
		{{.returned = FROM_TO("example.org", "<alice@example.org>",
		  "<list@LISTS.Example>")}, "pass"},
		{{.returned = SENT, .dsn = SIG("1", "1", "sub.lists.example",
		  "<>", "<alice@example.org>", "l1:ed25519-sha256:$1b")
		  INSTANCE, .from = "From: x@sub.lists.example\r\n"},
		 UNALIGNED},
		{{.returned = FROM_TO("example.org", "<alice@example.org>",
		  "<list@notlists.example>")}, UNALIGNED},
		{{.returned = FROM_TO("example.org", "<alice@example.org>",
		  "<list@[192.0.2.1]>")}, UNALIGNED},
		/* any of the recipients will do */
		{{.returned = FROM_TO("example.org", "<alice@example.org>",
		  "<bob@example.net>)$,$J(<list@lists.example>")}, "pass"},
		{{.returned = FROM_TO("example.org", "<alice@example.org>",
		  "<bob@example.net>)$,$J(<carol@example.com>")}, UNALIGNED},
		/* a stranger who got hold of a header */
		{{.returned = SENT, .dsn = SIG("1", "1", "example.org", "<>",
		  "<alice@example.org>", "l1:ed25519-sha256:$1b") INSTANCE,
		  .from = "From: x@example.org\r\n"}, UNALIGNED},
		/* it is the first signer that counts, whoever relayed it */
		{{.returned = SENT, .dsn = SIG("2", "1", "example.org", "<>",
		  "<alice@example.org>", "ed1:ed25519-sha256:$2a")
		  SIG("1", "1", "lists.example", "<>", "<alice@example.org>",
		  "l1:ed25519-sha256:$1b") INSTANCE}, "pass"},
		{{.returned = SENT, .dsn = SIG("2", "1", "lists.example",
		  "<>", "<alice@example.org>", "l1:ed25519-sha256:$2b")
		  SIG("1", "1", "example.org", "<>", "<x@lists.example>",
		  "l1:ed25519-sha256:$1b") INSTANCE,
		  .from = "From: x@example.org\r\n"}, UNALIGNED},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++) {
		struct run run = row[k].run;

		expect(&run, row[k].text);
		run.type = HEADER;
		expect(&run, row[k].text);
	}
}

static void
whom_the_dsn_goes_to(void **state)
{
	static const char bob[] = SIG("1", "1", "lists.example", "<>",
	    "<bob@mail.example.org>", "l1:ed25519-sha256:$1b") INSTANCE;
	static const char both[] = SIG("1", "1", "lists.example", "<>",
	    "<alice@example.org>)$,$J(<bob@mail.example.org>",
	    "l1:ed25519-sha256:$1b") INSTANCE;
	static const char mail[] = FROM_TO("mail.example.org",
	    "<alice@mail.example.org>", "<list@lists.example>");
	static const struct {
		struct run run;
		const char *text;
	} row[] = {
		/* d= of what it returns may be above, not below */
		{{.returned = SENT, .dsn = bob,
		  .rcpt_to = {"<bob@mail.example.org>"}}, "pass"},
		{{.returned = mail, .dsn = bob,
		  .rcpt_to = {"<bob@mail.example.org>"}}, "pass"},
		{{.returned = mail}, NOT_OURS},
		/* the returned message is not ours */
		{{.returned = SIG("1", "1", "lists.example",
		  "<x@lists.example>", "<y@lists.example>",
		  "l1:ed25519-sha256:$1b") INSTANCE "From: "
		  "x@lists.example\r\n\r\nbody\r\n"}, NOT_OURS},
		/* it has to hold for each recipient */
		{{.returned = SENT, .dsn = both, .rcpt_to = {
		  "<alice@example.org>", "<bob@mail.example.org>"}}, "pass"},
		{{.returned = mail, .dsn = both, .rcpt_to = {
		  "<bob@mail.example.org>"}}, "pass"},
		{{.returned = mail, .dsn = both, .rcpt_to = {
		  "<bob@mail.example.org>", "<alice@example.org>"}},
		 NOT_OURS},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++)
		expect(&row[k].run, row[k].text);
}

/* TEMPERROR only where nothing else is wrong; else the first, in order. */
static void
the_first_failure_is_told(void **state)
{
	static const char unaligned[] = FROM_TO("example.org",
	    "<alice@example.org>", "<bob@example.net>");
	static const struct {
		struct run run;
		const char *text;
	} row[] = {
		{{.returned = SENT, .tempfail = {L1}, .absent = ED1},
		 "fail Returned message DKIM2-Signature i=1 public key ed1 "
		 "does not exist"},
		{{.returned = SENT, .tempfail = {ED1}, .absent = L1},
		 "fail DSN DKIM2-Signature i=1 public key l1 does not exist"},
		{{.returned = unaligned, .tempfail = {L1}}, UNALIGNED},
		{{.returned = unaligned, .tempfail = {ED1}}, UNALIGNED},
		{{.returned = unaligned, .absent = ED1},
		 "fail Returned message DKIM2-Signature i=1 public key ed1 "
		 "does not exist"},
		{{.returned = SENT, .tempfail = {ED1, L1}},
		 "temperror DSN DKIM2-Signature i=1 public key l1 could not "
		 "be fetched"},
		{{.returned = unaligned, .tamper = {"Undelivered", "x"}},
		 "fail DSN Message-Instance m=1 header hash sha256 mismatch"},
		{{.returned = MAIL, .tamper = {"Undelivered", "x"}},
		 "fail Returned message is not DKIM2 signed"},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(row); k++)
		expect(&row[k].run, row[k].text);
}

/* ---- the machine -------------------------------------------------------- */

static void
keys_in_any_order(void **state)
{
	static const struct run run = {.returned = SENT};
	struct arena *a = *state;
	struct bytes octets = make(a, &run);

	for (size_t first = 0; first < 2; first++) {
		const struct bytes *names;
		struct dsn_check *c;

		assert_int_equal(begin(a, a, &run, octets, &c), 0);
		assert_int_equal(dsn_check_wants(c, &names), 2);
		kit_assert_bytes(names[0], L1);
		kit_assert_bytes(names[1], ED1);
		assert_int_equal(dsn_check_step(c), DKIM2_WANT_KEY);
		assert_null(dsn_check_result(c));
		assert_int_equal(answer(c, first, names[first], &run), 0);
		/* one answer to one want, and the first one counts */
		assert_int_equal(dsn_check_answer(c, first, DKIM2_KEY_ABSENT,
		    NULL, 0), 0);
		assert_int_equal(dsn_check_step(c), DKIM2_WANT_KEY);
		assert_null(dsn_check_result(c));
		assert_int_equal(answer(c, 1 - first, names[1 - first], &run),
		    0);
		assert_int_equal(dsn_check_step(c), DKIM2_DONE);
		assert_int_equal(dsn_check_result(c)->state, DKIM2_PASS);
		assert_int_equal(dsn_check_result(c)->report->n_recipients,
		    1);
		dsn_check_fini(c);
	}
}

/* Both messages from one domain: its key is asked for once. */
static void
a_key_that_both_want(void **state)
{
	static const struct run run = {
		.returned = SIG("1", "1", "lists.example",
		    "<x@lists.example>", "<y@lists.example>",
		    "l1:ed25519-sha256:$1b") INSTANCE
		    "From: x@lists.example\r\n\r\nbody\r\n",
		.dsn = SIG("1", "1", "lists.example", "<>",
		    "<x@lists.example>", "l1:ed25519-sha256:$1b") INSTANCE,
		.rcpt_to = {"<x@lists.example>"},
	};
	struct arena *a = *state;
	const struct bytes *names;
	struct dsn_check *c;

	assert_int_equal(begin(a, a, &run, make(a, &run), &c), 0);
	assert_int_equal(dsn_check_wants(c, &names), 1);
	assert_int_equal(answer(c, 0, names[0], &run), 0);
	assert_int_equal(dsn_check_step(c), DKIM2_DONE);
	assert_int_equal(dsn_check_result(c)->state, DKIM2_PASS);
	dsn_check_fini(c);
}

/* What is no good in any case costs no look-up. */
static void
nothing_is_asked_in_vain(void **state)
{
	static const struct run row[] = {
		{.returned = SENT, .dsn = ""},
		{.returned = MAIL},
		{.returned = SENT, .type = "text/plain"},
		{.returned = SENT, .tamper = {"delivery-status;", "x;"}},
		{.returned = SENT, .type = WHOLE
		 "\r\nContent-Transfer-Encoding: base64"},
	};
	struct arena *a = *state;

	for (size_t k = 0; k < COUNT(row); k++) {
		const struct bytes *names;
		struct dsn_check *c;

		assert_int_equal(begin(a, a, &row[k], make(a, &row[k]), &c),
		    0);
		assert_int_equal(dsn_check_wants(c, &names), 0);
		assert_int_equal(dsn_check_step(c), DKIM2_DONE);
		assert_non_null(dsn_check_result(c));
		dsn_check_fini(c);
	}
}

/* Every small cap is a clean -E_NOMEM, never a wrong verdict. */
static void
every_small_arena(void **state)
{
	static const struct run run = {.returned = SENT};
	struct arena *a = *state;
	struct bytes octets = make(a, &run);
	bool passed = false;

	for (size_t cap = 0; !passed; cap += 64) {
		struct arena *b = arena_new(cap);
		const struct bytes *names;
		struct dsn_check *c;
		int r = begin(a, b, &run, octets, &c);

		assert_true(cap < 1000000);
		for (size_t k = 0; r == 0 && k < 2; k++) {
			(void)dsn_check_wants(c, &names);
			r = answer(c, k, names[k], &run);
		}
		if (r == 0) {
			assert_int_equal(dsn_check_result(c)->state,
			    DKIM2_PASS);
			passed = true;
		} else {
			assert_int_equal(r, -E_NOMEM);
			assert_true(c == NULL ||
			    dsn_check_result(c) == NULL);
		}
		dsn_check_fini(c);
		arena_free(&b);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_arena, close_arena)
	const struct CMUnitTest tests[] = {
		TEST(only_what_does_not_parse_is_a_permerror),
		TEST(the_dsn_itself),
		TEST(the_returned_message),
		TEST(a_chain_that_came_back),
		TEST(a_returned_message_expires),
		TEST(who_signed_the_dsn),
		TEST(whom_the_dsn_goes_to),
		TEST(the_first_failure_is_told),
		TEST(keys_in_any_order),
		TEST(a_key_that_both_want),
		TEST(nothing_is_asked_in_vain),
		TEST(every_small_arena),
	};

	return cmocka_run_group_tests_name("dsn/check", tests, NULL, NULL);
}
