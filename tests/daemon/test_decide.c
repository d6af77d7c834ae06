#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/decide.h"
#include "daemon/relay_value.h"

/* Our keys: example.org and fwd.example. */
static const struct keydir_entry entries[] = {
	{BYTES_LIT("example.org"), BYTES_LIT("s1"), "-"},
	{BYTES_LIT("fwd.example"), BYTES_LIT("s1"), "-"},
};
static const struct keydir keys = {entries, 2};

#define CHAIN "DKIM2-Signature: i=1;\r\nMessage-Instance: m=1;\r\n"
#define NEW "From: <a@example.org>\r\nTo: <b@there.example>\r\n"
#define REPORT "Content-Type: Multipart/Report; boundary=x\r\n"

struct row {
	const char *name;
	enum config_role role;
	enum config_verify verify;
	enum config_unsigned unsigned_mail;
	enum config_unsignable unsignable;
	enum dkim2_state state;
	enum dkim2_reason reason;
	const char *header;
	const char *from_in, *to_in, *from_out;
	enum decision_kind kind;
	int code;		/* DECIDE_REFUSE */
	const char *d;		/* DECIDE_SIGN */
	const char *rule;	/* DECIDE_PASS: a part of it, or NULL: none */
	const char *before;	/* DECIDE_SIGN: d= of an imaginary hop */
};

#define EVIL "<x@evil.example>"
#define A "<a@example.org>"
#define B "<b@there.example>"
#define FWD "<c@fwd.example>"
#define OUT "<fw@fwd.example>"

/* V18: verdict x policy; what is not ours to sign is never signed. */
static const struct row rows[] = {
	{"inbound passes what is not signed", ROLE_INBOUND, VERIFY_ENFORCE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_NONE, DKIM2_NO_FIELDS, NEW, A, B, A,
	    DECIDE_PASS, 0, NULL, NULL, NULL},
	{"unless it is told not to", ROLE_INBOUND, VERIFY_OBSERVE,
	    UNSIGNED_REFUSE, UNSIGNABLE_PASS, DKIM2_NONE, DKIM2_NO_FIELDS, NEW, A, B, A,
	    DECIDE_REFUSE, 550, NULL, NULL, NULL},
	{"inbound never signs", ROLE_INBOUND, VERIFY_ENFORCE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_PASS, DKIM2_OK, CHAIN NEW, A, B, A,
	    DECIDE_PASS, 0, NULL, NULL, NULL},
	{"FAIL is refused for good", ROLE_INBOUND, VERIFY_ENFORCE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_FAIL, DKIM2_EXPIRED, CHAIN NEW, A, B, A,
	    DECIDE_REFUSE, 550, NULL, NULL, NULL},
	{"PERMERROR too", ROLE_FORWARD, VERIFY_ENFORCE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_PERMERROR, DKIM2_INSTANCE_SYNTAX,
	    CHAIN NEW, A, FWD, OUT, DECIDE_REFUSE, 550, NULL, NULL, NULL},
	{"TEMPERROR for now", ROLE_INBOUND, VERIFY_ENFORCE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_TEMPERROR, DKIM2_KEY_UNFETCHED,
	    CHAIN NEW, A, B, A, DECIDE_REFUSE, 451, NULL, NULL, NULL},
	{"observe lets FAIL through", ROLE_INBOUND, VERIFY_OBSERVE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_FAIL, DKIM2_EXPIRED, CHAIN NEW, A, B, A,
	    DECIDE_PASS, 0, NULL, NULL, NULL},

	{"egress signs new mail of ours", ROLE_EGRESS, VERIFY_OBSERVE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_NONE, DKIM2_NO_FIELDS, NEW, A, B, A,
	    DECIDE_SIGN, 0, "example.org", NULL, NULL},
	{"as an appliance does", ROLE_APPLIANCE, VERIFY_OBSERVE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_NONE, DKIM2_NO_FIELDS, NEW, A, B, A,
	    DECIDE_SIGN, 0, "example.org", NULL, NULL},
	{"and with a null reverse-path", ROLE_EGRESS, VERIFY_OBSERVE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_NONE, DKIM2_NO_FIELDS, NEW, "<>", B, "<>",
	    DECIDE_SIGN, 0, "example.org", NULL, NULL},
	{"a bounce to one of ours too", ROLE_EGRESS, VERIFY_OBSERVE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_NONE, DKIM2_NO_FIELDS, REPORT NEW, "<>", B,
	    "<>", DECIDE_SIGN, 0, "example.org", NULL, NULL},
	{"no chain without arrival record", ROLE_EGRESS, VERIFY_OBSERVE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_PASS, DKIM2_OK, CHAIN NEW, A, B, A,
	    DECIDE_PASS, 0, NULL, "arrival record", NULL},
	{"refused where unsignable says so", ROLE_EGRESS, VERIFY_OBSERVE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_REFUSE, DKIM2_PASS, DKIM2_OK, CHAIN NEW, A, B, A,
	    DECIDE_REFUSE, 550, NULL, NULL, NULL},
	{"a foreign MAIL FROM", ROLE_EGRESS, VERIFY_OBSERVE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_NONE, DKIM2_NO_FIELDS, NEW, EVIL, B, EVIL,
	    DECIDE_PASS, 0, NULL, "MAIL FROM", NULL},
	{"G7: another one of ours, by an imaginary hop", ROLE_EGRESS, VERIFY_OBSERVE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_NONE, DKIM2_NO_FIELDS, NEW, FWD, B, FWD,
	    DECIDE_SIGN, 0, "fwd.example", NULL, "example.org"},
	{"a From that is nobody's here", ROLE_EGRESS, VERIFY_OBSERVE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_NONE, DKIM2_NO_FIELDS,
	    "From: <x@evil.example>\r\n", A, B, A, DECIDE_REFUSE, 550, NULL, NULL, NULL},
	{"V5: no From", ROLE_EGRESS, VERIFY_OBSERVE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_NONE, DKIM2_NO_FIELDS, "To: <b@c>\r\n",
	    A, B, A, DECIDE_REFUSE, 550, NULL, NULL, NULL},
	{"V5: two From", ROLE_EGRESS, VERIFY_OBSERVE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_NONE, DKIM2_NO_FIELDS, NEW NEW,
	    A, B, A, DECIDE_REFUSE, 550, NULL, NULL, NULL},
	{"V5: two mailboxes", ROLE_EGRESS, VERIFY_OBSERVE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_NONE, DKIM2_NO_FIELDS,
	    "From: <a@example.org>, <b@example.org>\r\n", A, B, A,
	    DECIDE_PASS, 0, NULL, "mailbox", NULL},

	{"forward extends what it verified", ROLE_FORWARD, VERIFY_OBSERVE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_PASS, DKIM2_OK, CHAIN NEW, A, FWD, OUT,
	    DECIDE_SIGN, 0, "fwd.example", NULL, NULL},
	{"not what failed", ROLE_FORWARD, VERIFY_OBSERVE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_FAIL, DKIM2_EXPIRED, CHAIN NEW, A, FWD, OUT,
	    DECIDE_PASS, 0, NULL, "Fully Verified", NULL},
	{"nor what it did not look at", ROLE_FORWARD, VERIFY_OFF,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_PASS, DKIM2_OK, CHAIN NEW, A, FWD, OUT,
	    DECIDE_PASS, 0, NULL, "not verified", NULL},
	{"what it can not tell yet waits", ROLE_FORWARD, VERIFY_OBSERVE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_TEMPERROR, DKIM2_KEY_UNFETCHED,
	    CHAIN NEW, A, FWD, OUT, DECIDE_REFUSE, 451, NULL, NULL, NULL},
	{"what never was signed is not begun", ROLE_FORWARD, VERIFY_OBSERVE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_REFUSE, DKIM2_NONE, DKIM2_NO_FIELDS, NEW, A, FWD, OUT,
	    DECIDE_PASS, 0, NULL, NULL, NULL},
	{"nor without a key for where it came to", ROLE_FORWARD, VERIFY_OBSERVE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_PASS, DKIM2_OK, CHAIN NEW, A, B, OUT,
	    DECIDE_PASS, 0, NULL, "no key", NULL},
	{"nor under a foreign MAIL FROM", ROLE_FORWARD, VERIFY_OBSERVE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_PASS, DKIM2_OK, CHAIN NEW, EVIL, FWD, EVIL,
	    DECIDE_PASS, 0, NULL, "no key", NULL},
	{"G7: that of another domain of ours, by an imaginary hop", ROLE_FORWARD, VERIFY_OBSERVE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_PASS, DKIM2_OK, CHAIN NEW, A, FWD, A,
	    DECIDE_SIGN, 0, "example.org", NULL, "fwd.example"},
	{"G7: but not what came to a domain without a key", ROLE_FORWARD, VERIFY_OBSERVE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_PASS, DKIM2_OK, CHAIN NEW, A, B, A,
	    DECIDE_PASS, 0, NULL, "no key", NULL},
	{"G7: nor what was not verified", ROLE_FORWARD, VERIFY_OBSERVE,
	    UNSIGNED_ACCEPT, UNSIGNABLE_PASS, DKIM2_FAIL, DKIM2_EXPIRED, CHAIN NEW, A, FWD, A,
	    DECIDE_PASS, 0, NULL, "Fully Verified", NULL},
};

static void
check(const struct row *row)
{
	struct arena *a = arena_new(1 << 20);
	struct dkim2_message m;
	const struct dkim2_result result = {
	    .full = {.state = row->state, .reason = row->reason, .number = 1}};
	const struct config_listener l = {.role = row->role,
	    .verify = row->verify, .unsigned_mail = row->unsigned_mail,
	    .unsignable = row->unsignable};
	const struct decide_facts f = {.listener = &l, .keys = &keys,
	    .verify = l.verify,
	    .message = &m, .result = row->verify == VERIFY_OFF ? NULL : &result,
	    .mail_from_in = bytes_of(row->from_in),
	    .mail_from_out = bytes_of(row->from_out),
	    .identity = decide_identity(&l, &keys, bytes_of(row->to_in),
	        bytes_of(row->from_out)),
	    .before = decide_before(&l, &keys, bytes_of(row->to_in),
	        bytes_of(row->from_out)), .arena = a};
	struct decision d;

	print_message("%s\n", row->name);
	assert_int_equal(dkim2_message_parse(&m, bytes_of(row->header), 100, a),
	    0);
	decide(&d, &f);
	assert_int_equal(d.kind, row->kind);
	if (row->kind == DECIDE_REFUSE)
		assert_int_equal(d.code, row->code);
	if (row->kind == DECIDE_SIGN) {
		assert_true(bytes_eq(d.domain, bytes_of(row->d)));
		assert_true(bytes_eq(d.before, bytes_of(row->before == NULL
		    ? "" : row->before)));
	}
	if (row->kind == DECIDE_PASS && row->rule == NULL)
		assert_null(d.rule);
	if (row->kind == DECIDE_PASS && row->rule != NULL)
		assert_non_null(strstr(d.rule, row->rule));
	arena_free(&a);
}

static void
each_verdict_under_each_policy(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(rows) / sizeof(rows[0]); k++)
		check(&rows[k]);
}

/* What the server behind us sends: new mail, or what came in before. */
struct back {
	const char *name;
	enum config_role role;
	struct extension e;	/* without rcpts, message */
	const char *rcpts[3];	/* of the record */
	const char *header, *from;
	size_t n_rcpts;
	enum decision_kind kind;
	int code;
	const char *d;
	bool is_exploded;
	const char *rule;
	const char *before;
};

#define GOOD {.is_found = true, .is_good = true}
#define BAD {.is_found = true, .rule = "so it is"}
#define UNKNOWN {.rule = NULL}
#define OTHER "From: <x@there.example>\r\n"

static const struct back backs[] = {
	{"egress extends what came for us", ROLE_EGRESS, GOOD, {FWD}, CHAIN OTHER, OUT, 1, DECIDE_SIGN, 0, "fwd.example", false, NULL, NULL},
	{"the domain that covers MAIL FROM", ROLE_EGRESS, GOOD, {A, FWD}, CHAIN OTHER, OUT, 1, DECIDE_SIGN, 0, "fwd.example", false, NULL, NULL},
	{"G7: by an imaginary hop to another one of ours", ROLE_EGRESS, GOOD, {A}, CHAIN OTHER, OUT, 1, DECIDE_SIGN, 0, "fwd.example", false, NULL, "example.org"},
	{"a list has exploded it", ROLE_LIST_OUT, GOOD, {FWD}, CHAIN OTHER, OUT, 1, DECIDE_SIGN, 0, "fwd.example", true, NULL, NULL},
	{"as has a List-Id", ROLE_EGRESS, GOOD, {FWD}, CHAIN OTHER "List-Id: <l.x>\r\n", OUT, 1, DECIDE_SIGN, 0, "fwd.example", true, NULL, NULL},
	{"as have two recipients", ROLE_EGRESS, GOOD, {FWD}, CHAIN OTHER, OUT, 2, DECIDE_SIGN, 0, "fwd.example", true, NULL, NULL},
	{"as has a record that was used", ROLE_EGRESS, {.is_found = true, .is_good = true, .is_used = true}, {FWD}, CHAIN OTHER, OUT, 1, DECIDE_SIGN, 0, "fwd.example", true, NULL, NULL},
	{"a null reverse-path", ROLE_EGRESS, GOOD, {FWD}, CHAIN OTHER, "<>", 1, DECIDE_SIGN, 0, "fwd.example", false, NULL, NULL},
	{"not under a foreign MAIL FROM", ROLE_EGRESS, GOOD, {FWD}, CHAIN OTHER, "<x@there.example>", 1, DECIDE_PASS, 0, NULL, false, "no key covers both", NULL},
	{"nor for whom we have no key", ROLE_EGRESS, GOOD, {B}, CHAIN OTHER, "<>", 1, DECIDE_PASS, 0, NULL, false, "no key covers both", NULL},
	{"nor for a name without a domain", ROLE_EGRESS, GOOD, {"<postmaster>"}, CHAIN OTHER, OUT, 1, DECIDE_PASS, 0, NULL, false, "no key covers both", NULL},
	{"nor without a recipient", ROLE_EGRESS, GOOD, {NULL}, CHAIN OTHER, "<>", 1, DECIDE_PASS, 0, NULL, false, "no key covers both", NULL},
	{"nor what the record does not allow", ROLE_EGRESS, BAD, {FWD}, CHAIN OTHER, OUT, 1, DECIDE_PASS, 0, NULL, false, "so it is", NULL},
	{"not as new mail either", ROLE_EGRESS, BAD, {FWD}, NEW, A, 1, DECIDE_PASS, 0, NULL, false, "so it is", NULL},
	{"new mail of ours", ROLE_EGRESS, UNKNOWN, {NULL}, NEW, A, 1, DECIDE_SIGN, 0, "example.org", false, NULL, NULL},
	{"and of the list", ROLE_LIST_OUT, UNKNOWN, {NULL}, NEW, A, 1, DECIDE_SIGN, 0, "example.org", false, NULL, NULL},
	{"no mail of others at egress", ROLE_EGRESS, UNKNOWN, {NULL}, OTHER, A, 1, DECIDE_REFUSE, 550, NULL, false, NULL, NULL},
	{"nor in their name", ROLE_EGRESS, UNKNOWN, {NULL}, NEW, "<x@there.example>", 1, DECIDE_REFUSE, 550, NULL, false, NULL, NULL},
	{"which a list may send", ROLE_LIST_OUT, UNKNOWN, {NULL}, OTHER, A, 1, DECIDE_PASS, 0, NULL, false, "no record of its arrival", NULL},
	{"no bounce", ROLE_EGRESS, GOOD, {FWD}, CHAIN REPORT OTHER, "<>", 1, DECIDE_REFUSE, 550, NULL, false, NULL, NULL},
	{"no two From", ROLE_EGRESS, GOOD, {FWD}, CHAIN OTHER OTHER, OUT, 1, DECIDE_REFUSE, 550, NULL, false, NULL, NULL},
};

static void
check_back(const struct back *row)
{
	struct arena *a = arena_new(1 << 20);
	const struct config_listener in = {.role = ROLE_INBOUND};
	const struct config_listener l = {.role = row->role, .pair = &in};
	const struct dkim2_result result = {.full = {.state = DKIM2_FAIL}};
	uint8_t octets[256];
	struct buf rcpts = BUF_ON(octets);
	struct extension e = row->e;
	struct dkim2_message m;
	const struct decide_facts f = {.listener = &l, .keys = &keys,
	    .verify = l.verify,
	    .message = &m, .result = &result, .extension = &e,
	    .mail_from_in = bytes_of(row->from),
	    .mail_from_out = bytes_of(row->from), .n_rcpts = row->n_rcpts,
	    .arena = a};
	struct decision d;

	print_message("%s\n", row->name);
	assert_int_equal(dkim2_message_parse(&m, bytes_of(row->header), 100, a),
	    0);
	for (size_t k = 0; k < 3 && row->rcpts[k] != NULL; k++)
		relay_value_add_rcpt(&rcpts, bytes_of(row->rcpts[k]));
	e.rcpts = buf_bytes(&rcpts);
	e.message = &m;
	decide(&d, &f);
	assert_int_equal(d.kind, row->kind);
	if (row->kind == DECIDE_REFUSE)
		assert_int_equal(d.code, row->code);
	if (row->kind == DECIDE_SIGN) {
		assert_true(bytes_eq(d.domain, bytes_of(row->d)));
		assert_true(bytes_eq(d.before, bytes_of(row->before == NULL
		    ? "" : row->before)));
		assert_int_equal(d.is_return, row->e.is_good);
		assert_int_equal((d.flags & DKIM2_FLAG_EXPLODED) != 0,
		    row->is_exploded);
	}
	if (row->kind == DECIDE_PASS)
		assert_non_null(strstr(d.rule, row->rule));
	arena_free(&a);
}

static void
what_comes_back_is_extended_by_its_record_alone(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(backs) / sizeof(backs[0]); k++)
		check_back(&backs[k]);
}

static void
the_reply_has_the_state_and_the_text_of_the_draft(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct dkim2_message m;
	const struct dkim2_result result = {.full = {.state = DKIM2_FAIL,
	    .reason = DKIM2_EXPIRED, .number = 2}};
	const struct config_listener l = {.verify = VERIFY_ENFORCE};
	const struct decide_facts f = {.listener = &l, .keys = &keys,
	    .verify = l.verify,
	    .message = &m, .result = &result, .arena = a};
	struct decision d;

	(void)state;
	assert_int_equal(dkim2_message_parse(&m, BYTES_LIT(CHAIN), 10, a), 0);
	decide(&d, &f);
	assert_string_equal(d.text,
	    "FAIL: DKIM2-Signature i=2 signature expired");
	assert_string_equal(d.enhanced, "5.7.1");
	arena_free(&a);
}

static void
a_list_id_says_exploded(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct dkim2_message m;
	const struct dkim2_result result = {.full = {.state = DKIM2_PASS}};
	const struct config_listener l = {.role = ROLE_FORWARD};
	const struct decide_facts f = {.listener = &l, .keys = &keys,
	    .verify = l.verify,
	    .message = &m, .result = &result,
	    .mail_from_in = BYTES_LIT(A), .mail_from_out = BYTES_LIT(OUT),
	    .identity = BYTES_LIT("fwd.example"), .arena = a};
	struct decision d;

	(void)state;
	assert_int_equal(dkim2_message_parse(&m,
	    BYTES_LIT(CHAIN NEW "List-Id: <l.example>\r\n"), 10, a), 0);
	decide(&d, &f);
	assert_int_equal(d.kind, DECIDE_SIGN);
	assert_int_equal(d.flags, DKIM2_FLAG_EXPLODED);
	arena_free(&a);
}

static void
identities_come_from_the_envelope(void **state)
{
	struct config_listener l = {.role = ROLE_FORWARD};

	(void)state;
	assert_true(bytes_eq(decide_identity(&l, &keys, BYTES_LIT(FWD),
	    BYTES_LIT(OUT)), BYTES_LIT("fwd.example")));
	assert_true(bytes_eq(decide_identity(&l, &keys, BYTES_LIT(FWD),
	    BYTES_LIT("<>")), BYTES_LIT("fwd.example")));
	assert_int_equal(decide_identity(&l, &keys, BYTES_LIT(FWD),
	    BYTES_LIT(A)).n, 0);
	assert_int_equal(decide_identity(&l, &keys, BYTES_LIT(B),
	    BYTES_LIT(OUT)).n, 0);
	assert_true(decide_may_sign(&l, &keys));
	l.role = ROLE_EGRESS;
	assert_int_equal(decide_identity(&l, &keys, BYTES_LIT(FWD),
	    BYTES_LIT(OUT)).n, 0);
	assert_true(decide_may_sign(&l, &keys));
	assert_false(decide_may_sign(&l, &(struct keydir){NULL, 0}));
	l.role = ROLE_APPLIANCE;
	assert_true(decide_may_sign(&l, &keys));
	l.role = ROLE_INBOUND;
	assert_false(decide_may_sign(&l, &keys));
}

static void
senders_cover_what_lies_below_them(void **state)
{
	const struct bytes list[] = {BYTES_LIT("example.com")};
	const struct config_listener said = {.senders = list, .n_senders = 1,
	    .has_senders = true};
	const struct config_listener silent = {.has_senders = false};
	const struct keydir none = {NULL, 0};

	(void)state;
	assert_true(decide_is_sender(&said, &keys, BYTES_LIT("Example.COM")));
	assert_true(decide_is_sender(&said, &keys, BYTES_LIT("a.example.com")));
	assert_false(decide_is_sender(&said, &keys, BYTES_LIT("example.org")));
	assert_true(decide_is_sender(&silent, &keys, BYTES_LIT("example.org")));
	assert_false(decide_is_sender(&silent, &keys, BYTES_LIT("evil.example")));
	assert_true(decide_is_sender(&silent, &none, BYTES_LIT("any.example")));
}

/* Q20: what could neither be delivered nor reported is not queued. */
static void
q20_only_mail_of_ours_is_queued(void **state)
{
	const struct bytes list[] = {BYTES_LIT("example.com")};
	const struct config_listener by_key = {.role = ROLE_EGRESS,
	    .delivery = DELIVERY_QUEUE};
	const struct config_listener by_list = {.role = ROLE_APPLIANCE,
	    .delivery = DELIVERY_QUEUE, .senders = list, .n_senders = 1,
	    .has_senders = true};
	const struct config_listener through = {.role = ROLE_APPLIANCE};
	const struct config_listener inbound = {.role = ROLE_INBOUND,
	    .delivery = DELIVERY_QUEUE};
	const struct keydir none = {NULL, 0};
	const struct bytes a = BYTES_LIT(A), c = BYTES_LIT("<x@b.example.com>");

	(void)state;
	assert_true(decide_may_queue(&by_key, &keys, true, a));
	assert_true(decide_may_queue(&by_list, &none, true, c));
	assert_false(decide_may_queue(&by_key, &keys, false, a));
	assert_false(decide_may_queue(&by_key, &keys, true, c));
	assert_false(decide_may_queue(&by_list, &keys, true, a));
	assert_false(decide_may_queue(&by_key, &none, true, a));
	assert_false(decide_may_queue(&by_key, &keys, true, BYTES_LIT("<>")));
	assert_false(decide_may_queue(&by_list, &none, true, BYTES_LIT("<>")));
	assert_false(decide_may_queue(&through, &keys, true, a));
	assert_false(decide_may_queue(&inbound, &keys, true, a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_verdict_under_each_policy),
		cmocka_unit_test(
		    what_comes_back_is_extended_by_its_record_alone),
		cmocka_unit_test(
		    the_reply_has_the_state_and_the_text_of_the_draft),
		cmocka_unit_test(a_list_id_says_exploded),
		cmocka_unit_test(identities_come_from_the_envelope),
		cmocka_unit_test(senders_cover_what_lies_below_them),
		cmocka_unit_test(q20_only_mail_of_ours_is_queued),
	};

	return cmocka_run_group_tests_name("daemon/decide", tests, NULL, NULL);
}
