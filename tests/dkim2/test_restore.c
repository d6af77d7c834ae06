#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>

#include "base/err.h"
#include "dkim2/restore.h"
#include "tests/dkim2/kit.h"

static int
open_arena(void **state)
{
	*state = arena_new(KIT_ARENA);
	return *state == NULL;
}

static int
close_arena(void **state)
{
	arena_free((struct arena **)state);
	return 0;
}

/* ---- From ---------------------------------------------------------------- */

static bool
read_from(struct restore_from *f, const char *value, struct arena *a)
{
	bool good;

	assert_int_equal(restore_from_read(f, bytes_of(value), a, &good), 0);
	return good;
}

static void
ways_to_write_a_from_are_the_same(void **state)
{
	/* what is written, and how Mailman, Exchange, Postfix or a client
	 * write it anew */
	static const char *const rows[][2] = {
		{"Alice <alice@example.org>", "\"Alice\" <alice@example.org>"},
		{" Alice  Liddell <alice@example.org>",
		    "\"Alice Liddell\"\r\n\t<alice@example.org>"},
		{"\"Liddell, Alice\" <alice@example.org>",
		    "=?utf-8?q?Liddell=2C_Alice?= <alice@example.org>"},
		{"\"Liddell, Alice\" <alice@example.org>",
		    "\"Liddell\\, Alice\" <alice@example.org>"},
		{"=?iso-8859-1?Q?Ren=E9_Descartes?= <rene@example.org>",
		    "=?utf-8?B?UmVuw6kgRGVzY2FydGVz?= <rene@example.org>"},
		{"=?ISO-8859-1?Q?Ren=E9?= Descartes <rene@example.org>",
		    "=?utf-8?q?Ren=c3=a9_Descartes?=\r\n <rene@example.org>"},
		{"=?utf-8?q?Ren=C3=A9?= =?utf-8?q?_Descartes?= <rene@example.org>",
		    "=?utf-8?b?UmVuw6kgRGVzY2FydGVz?= <rene@example.org>"},
		{"=?utf-8?q?Ren=C3?=\r\n =?utf-8?q?=A9?= <rene@example.org>",
		    "Ren\xc3\xa9 <rene@example.org>"},
		{"=?utf-8*fr?Q?Ren=C3=A9?= <rene@example.org>",
		    "=?UTF8?Q?Ren=C3=A9?= <rene@example.org>"},
		{"=?us-ascii?Q?Alice?= <alice@example.org>",
		    "Alice <alice@example.org>"},
		{"Alice =?utf-8?q?B=2E?= <alice@example.org>",
		    "\"Alice B.\" <alice@example.org>"},
		{"=?windows-1252?Q?Ren=E9_=80_=93x=94?= <rene@example.org>",
		    "=?utf-8?Q?Ren=C3=A9_=E2=82=AC_=E2=80=9Cx=E2=80=9D?= <rene@example.org>"},
		{"J. R. Doe <jrd@example.org>", "\"J. R. Doe\" <jrd@example.org>"},
		{"alice@example.org", "<alice@example.org>"},
		{"alice@Example.ORG", "alice@example.org"},
		{"\"alice\"@example.org", "alice@example.org"},
		{"\"a b\"@example.org", "<\"a\\ b\"@example.org>"},
		{"alice@example.org <alice@example.org>",
		    "\"alice@example.org\" <alice@example.org>"},
		{"Alice <alice@example.org> (home  office)",
		    "\"Alice\" (home office) <alice@example.org>"},
		{"Alice <alice@example.org> (=?utf-8?q?Ren=C3=A9?= x)",
		    "Alice <alice@example.org> (Ren\xc3\xa9 x)"},
		{"=?x-unknown?Q?Al?= <alice@example.org>",
		    "=?x-unknown?Q?Al?=   <alice@example.org>"},
		{"\"\" <alice@example.org>", "<alice@example.org>"},
		{"\"Al\\\"ice\" <alice@example.org>",
		    "=?utf-8?q?Al=22ice?= <alice@example.org>"},
	};
	struct arena *a = *state;

	for (size_t k = 0; k < COUNT(rows); k++) {
		struct restore_from x, y;

		assert_true(read_from(&x, rows[k][0], a));
		assert_true(read_from(&y, rows[k][1], a));
		if (!restore_from_is_same(&x, &y))
			print_message("%s\n%s\n\"%.*s\" \"%.*s\"\n",
			    rows[k][0], rows[k][1], BYTES_FMT(x.name),
			    BYTES_FMT(y.name));
		assert_true(restore_from_is_same(&x, &y));
		assert_true(restore_from_is_same(&y, &x));
	}
}

static void
other_people_are_others(void **state)
{
	static const char *const rows[][2] = {
		{"Alice <alice@example.org>", "Alice <alicE@example.org>"},
		{"Alice <alice@example.org>", "Alice <alice@example.net>"},
		{"Alice <alice@example.org>", "alice <alice@example.org>"},
		{"Alice <alice@example.org>", "<alice@example.org>"},
		{"Alice <alice@example.org>", "alice@example.org (Alice)"},
		{"Alice <alice@example.org>",
		    "Alice via List <alice@example.org>"},
		{"Alice <alice@example.org>",
		    "Alice <alice@example.org> (via List)"},
		{"AliceLiddell <alice@example.org>",
		    "Alice Liddell <alice@example.org>"},
		{"=?utf-8?q?Ren=C3=A9?= <rene@example.org>",
		    "=?utf-8?q?Rene?= <rene@example.org>"},
		{"=?utf-8?q?a?= b <rene@example.org>",
		    "=?utf-8?q?a?= =?utf-8?q?b?= <rene@example.org>"},
		/* within quotes it is no encoded word */
		{"\"=?utf-8?q?Alice?=\" <alice@example.org>",
		    "Alice <alice@example.org>"},
		{"=?x-unknown?Q?Alice?= <alice@example.org>",
		    "Alice <alice@example.org>"},
		{"=?utf-8?Q?Al=4?= <alice@example.org>",
		    "Al4 <alice@example.org>"},
		{"=?utf-8?X?Alice?= <alice@example.org>",
		    "Alice <alice@example.org>"},
		{"=?utf-8?B?QWxpY2?= <alice@example.org>",
		    "Alic <alice@example.org>"},
		{"=?us-ascii?Q?Ren=E9?= <rene@example.org>",
		    "=?iso-8859-1?Q?Ren=E9?= <rene@example.org>"},
		{"=?utf-8?Q?Al=0D=0A_ice?= <alice@example.org>",
		    "Al ice <alice@example.org>"},
		{"=?utf-8?B?QWwJaWNl?= <alice@example.org>",
		    "Al ice <alice@example.org>"},
		{"\"a\"@example.org", "\"a.b\"@example.org"},
		{"\"a b\"@example.org", "\"ab\"@example.org"},
	};
	struct arena *a = *state;

	for (size_t k = 0; k < COUNT(rows); k++) {
		struct restore_from x, y;

		assert_true(read_from(&x, rows[k][0], a));
		assert_true(read_from(&y, rows[k][1], a));
		if (restore_from_is_same(&x, &y))
			print_message("%s\n%s\n", rows[k][0], rows[k][1]);
		assert_false(restore_from_is_same(&x, &y));
		assert_int_equal(restore_from_is_same_mailbox(&x, &y),
		    k != 0 && k != 1 && k < COUNT(rows) - 2);
	}
}

static void
what_is_unclear_is_nobody(void **state)
{
	static const char *const rows[] = {
		"", "Alice", "alice", "a@b.example, c@d.example",
		"Alice: a@b.example;", "a@[192.0.2.1]", "Alice <a@b.example",
		"Ren\xe9 <rene@example.org>",
		"=?utf-8?Q?Ren=E9?= <rene@example.org>",
		"=?windows-1252?Q?=81?= <alice@example.org> (\x01)",
		"\"Al\x7fice\" <alice@example.org>",
		"\"\"@example.org", "\" a\"@example.org",
		"\"a  b\"@example.org",
		"Alice <alice@example.org> (=?utf-8?Q?=FF?=)",
	};
	struct arena *a = *state;
	char *longer = arena_alloc(a, RESTORE_FROM_MAX + 64);
	struct restore_from f;

	for (size_t k = 0; k < COUNT(rows); k++) {
		if (read_from(&f, rows[k], a))
			print_message("%s\n", rows[k]);
		assert_false(read_from(&f, rows[k], a));
	}
	memset(longer, 'a', RESTORE_FROM_MAX - 18);
	memcpy(longer + RESTORE_FROM_MAX - 18, " <a@b.example.org>", 18);
	assert_true(read_from(&f, longer, a));
	memmove(longer + 1, longer, RESTORE_FROM_MAX);
	assert_false(read_from(&f, longer, a));
}

/* ---- messages ------------------------------------------------------------ */

#define SIGNED "DKIM2-Signature: i=1; m=1; t=1; d=a.example;\r\n" \
	"\ts=x:ed25519-sha256:AAAA;\r\n" \
	"Message-Instance: m=1; h=sha256:CCCC:DDDD;\r\n"
#define HEAD "Received: by x\r\nFrom: Alice <alice@a.example>\r\n" \
	"To: list@l.example\r\nSubject: words\r\nMessage-ID: <1@a.example>\r\n"
#define TEXT "Dear all,\r\n\r\nthese are some lines of text that a list\r\n" \
	"passes on to everybody, and nobody changes them.\r\n\r\nAlice\r\n"
#define QUOTED "Dear all,\r\n\r\n>these are some lines of text that a list\r\n" \
	"passes on to everybody, and nobody changes them.\r\n\r\nAlice\r\n"
#define OLD SIGNED HEAD "\r\n" TEXT
#define FOOTER "_______\r\nlist mailing list\r\n"

static unsigned
restore(const char *old, const char *now, struct dkim2_message *out,
    struct arena *a)
{
	struct dkim2_message x, y;
	struct bytes x_body = kit_split(bytes_of(old), &x, a);
	struct bytes y_body = kit_split(bytes_of(now), &y, a);
	unsigned done = 99;

	assert_int_equal(dkim2_restore(&done, out, a, &x, x_body, &y, y_body),
	    0);
	return done;
}

static void
restored_is(const char *old, const char *now, unsigned wanted,
    const char *header, struct arena *a)
{
	struct dkim2_message out;
	unsigned done = restore(old, now, &out, a);

	if (done != wanted)
		print_message("%s\n", now);
	assert_int_equal(done, wanted);
	kit_assert_bytes(out.header, header);
}

static void
nothing(const char *old, const char *now, struct arena *a)
{
	struct dkim2_message out;
	unsigned done = restore(old, now, &out, a);

	if (done != 0)
		print_message("%s\n", now);
	assert_int_equal(done, 0);
	/* what it goes on with is what it was */
	assert_true(bytes_eq(out.header, bytes_first(bytes_of(now),
	    (size_t)(strstr(now, "\r\n\r\n") + 2 - now))));
}

#define CHAIN DKIM2_RESTORED_CHAIN
#define WRAPPED DKIM2_RESTORED_WRAPPED
#define FROM DKIM2_RESTORED_FROM

/* Fields that a server does not know, and so leaves out. */
static void
stripped_chains_are_put_back(void **state)
{
	struct arena *a = *state;

	restored_is(OLD, HEAD "\r\n" TEXT, CHAIN, SIGNED HEAD, a);
	restored_is(OLD, HEAD "\r\n" TEXT FOOTER, CHAIN, SIGNED HEAD, a);
	restored_is(OLD, HEAD "\r\nread this first\r\n" TEXT, CHAIN,
	    SIGNED HEAD, a);
	/* a list's own fields stay where they are, folds and all */
	restored_is(OLD, "X-A: b\r\nmessage-id:\r\n\t<1@a.example>\r\n"
	    "List-Id: <l.l.example>\r\nSubject: [l] words\r\n"
	    "From: Alice <alice@a.example>\r\n\r\n" TEXT, CHAIN, SIGNED
	    "X-A: b\r\nmessage-id:\r\n\t<1@a.example>\r\n"
	    "List-Id: <l.l.example>\r\nSubject: [l] words\r\n"
	    "From: Alice <alice@a.example>\r\n", a);
	/* some of them */
	restored_is(OLD, "Message-Instance: m=1;\r\n h=sha256:CCCC:DDDD;\r\n"
	    HEAD "\r\n" TEXT, CHAIN, SIGNED HEAD, a);
	/* a From that was written anew, too */
	restored_is(OLD, "From: \"Alice\" <alice@a.example>\r\n"
	    "Message-ID: <1@a.example>\r\n\r\n" TEXT, CHAIN | FROM, SIGNED
	    "From: Alice <alice@a.example>\r\n"
	    "Message-ID: <1@a.example>\r\n", a);
	/* or with another name */
	restored_is(OLD, "From: Alice at home <alice@a.example>\r\n"
	    "Message-ID: <1@a.example>\r\n\r\n" TEXT, CHAIN, SIGNED
	    "From: Alice at home <alice@a.example>\r\n"
	    "Message-ID: <1@a.example>\r\n", a);
	/* without a body there is none to compare */
	restored_is(SIGNED HEAD "\r\n", HEAD "\r\n\r\n", CHAIN, SIGNED HEAD,
	    a);
}

static void
what_is_not_proven_is_left(void **state)
{
	struct arena *a = *state;

	/* it is there */
	nothing(OLD, OLD, a);
	nothing(OLD, "Message-Instance: m=1; h=sha256:CCCC:DDDD;\r\n"
	    "DKIM2-Signature: i=1; m=1; t=1; d=a.example; "
	    "s=x:ed25519-sha256:AA AA;\r\n" HEAD "\r\n" TEXT, a);
	/* there was none */
	nothing(HEAD "\r\n" TEXT, HEAD "\r\n" TEXT FOOTER, a);
	/* another is there, or more */
	nothing(OLD, "DKIM2-Signature: i=1; m=1; t=2; d=b.example;\r\n" HEAD
	    "\r\n" TEXT, a);
	nothing(OLD, "DKIM2-Signature: i=2; m=1; t=2; d=b.example;\r\n" SIGNED
	    HEAD "\r\n" TEXT, a);
	/* another Message-ID, none, or two */
	nothing(OLD, "From: Alice <alice@a.example>\r\n"
	    "Message-ID: <2@a.example>\r\n\r\n" TEXT, a);
	nothing(OLD, "From: Alice <alice@a.example>\r\n\r\n" TEXT, a);
	nothing(OLD, "Message-ID: <1@a.example>\r\n" HEAD "\r\n" TEXT, a);
	nothing(SIGNED "From: a@a.example\r\nMessage-ID: \r\n\r\n" TEXT,
	    "From: a@a.example\r\nMessage-ID: \r\n\r\n" TEXT, a);
	/* another author, none, or two */
	nothing(OLD, "From: Alice <alice@b.example>\r\n"
	    "Message-ID: <1@a.example>\r\n\r\n" TEXT, a);
	nothing(OLD, "Message-ID: <1@a.example>\r\n\r\n" TEXT, a);
	nothing(OLD, "From: Alice <alice@a.example>\r\n" HEAD "\r\n" TEXT, a);
	nothing(OLD, "From: Alice <alice@a.example>, b@b.example\r\n"
	    "Message-ID: <1@a.example>\r\n\r\n" TEXT, a);
	/* another text, a piece of it, and none */
	nothing(OLD, HEAD "\r\nbuy this\r\n", a);
	nothing(OLD, HEAD "\r\nDear all,\r\n\r\nbuy this\r\n\r\nAlice\r\n", a);
	nothing(OLD, HEAD "\r\n", a);
	nothing(SIGNED HEAD "\r\n", HEAD "\r\nbuy this\r\n", a);
	nothing(SIGNED HEAD "\r\nx\r\n", HEAD "\r\nbuy this\r\n", a);
}

/* An eighth may be lost, and not an octet more. */
static void
little_may_be_lost(void **state)
{
	struct arena *a = *state;
	char old[4096], now[4096];
	int at, to;

	for (int n_lost = 0; n_lost < 20; n_lost++) {
		at = snprintf(old, sizeof(old), "%s", SIGNED HEAD "\r\n");
		to = snprintf(now, sizeof(now), "%s", HEAD "\r\n");
		for (int k = 0; k < 64; k++) {	/* 640 octets, 80 of 8 lines */
			at += snprintf(old + at, sizeof(old) - (size_t)at,
			    "line %03d\r\n", k);
			to += snprintf(now + to, sizeof(now) - (size_t)to,
			    k >= 20 && k < 20 + n_lost ? "another %d\r\n" :
			    "line %03d\r\n", k);
		}
		if (n_lost <= 8)
			restored_is(old, now, CHAIN, SIGNED HEAD, a);
		else
			nothing(old, now, a);
	}
}

static void
much_is_never_lost(void **state)
{
	struct arena *a = *state;

	for (int n_lost = 62; n_lost <= 65; n_lost++) {
		struct buf old, now;

		assert_int_equal(arena_buf(a, 200000, &old), 0);
		assert_int_equal(arena_buf(a, 200000, &now), 0);
		buf_add_str(&old, SIGNED HEAD "\r\n");
		buf_add_str(&now, HEAD "\r\n");
		for (int k = 0; k < 2000; k++) {	/* of 64 octets */
			buf_printf(&old, "%062d\r\n", k);
			if (k >= 100 && k < 100 + n_lost)
				buf_printf(&now, "x%d\r\n", k);
			else
				buf_printf(&now, "%062d\r\n", k);
		}
		buf_add_octet(&old, '\0');
		buf_add_octet(&now, '\0');
		assert_false(old.full || now.full);
		if (n_lost <= 64)
			restored_is((char *)old.p, (char *)now.p, CHAIN,
			    SIGNED HEAD, a);
		else
			nothing((char *)old.p, (char *)now.p, a);
	}
}

/* ---- a message within another -------------------------------------------- */

#define LIST "From: list@l.example\r\nSubject: words\r\n" \
	"Message-ID: <9@l.example>\r\nMIME-Version: 1.0\r\n"
#define MIXED LIST "Content-Type: multipart/mixed; boundary=\"==1==\"\r\n"
#define PARTS(inner) "\r\n--==1==\r\nContent-Type: text/plain\r\n\r\n" \
	"Somebody wrote:\r\n--==1==\r\nContent-Type: message/rfc822\r\n" \
	"MIME-Version: 1.0\r\n\r\n" inner "\r\n--==1==--\r\n"

static void
wrapped_chains_are_found(void **state)
{
	struct arena *a = *state;

	/* as Mailman does where a DMARC policy asks for it */
	restored_is(OLD, MIXED PARTS(OLD), WRAPPED, SIGNED MIXED, a);
	restored_is(OLD, LIST "Content-Type: message/rfc822\r\n\r\n" OLD,
	    WRAPPED, SIGNED LIST "Content-Type: message/rfc822\r\n", a);
	/* folded anew, in another order, and with a footer behind */
	restored_is(OLD, MIXED PARTS(
	    "Message-Instance: m=1; h=sha256:CCCC:DDDD;\r\n"
	    "DKIM2-Signature: i=1; m=1; t=1; d=a.example; "
	    "s=x:ed25519-sha256:AAAA;\r\n" HEAD "\r\n" TEXT FOOTER), WRAPPED,
	    SIGNED MIXED, a);
	/* further down */
	restored_is(OLD, MIXED "\r\n--==1==\r\n"
	    "Content-Type: multipart/related; boundary=two\r\n\r\n"
	    "--two\r\nContent-Type: message/rfc822\r\n\r\n" OLD
	    "\r\n--two--\r\n--==1==\r\n\r\nx\r\n--==1==--\r\n", WRAPPED,
	    SIGNED MIXED, a);
	/* a good part of a short text written anew */
	restored_is(OLD, MIXED PARTS(SIGNED HEAD "\r\n" QUOTED), WRAPPED,
	    SIGNED MIXED, a);
	nothing(OLD, HEAD "\r\n" QUOTED, a);
}

static void
what_is_within_is_proven_too(void **state)
{
	struct arena *a = *state;

	/* another message, or the same with other words */
	nothing(OLD, MIXED PARTS("DKIM2-Signature: i=1; m=1; t=2; d=b.example;"
	    "\r\n" HEAD "\r\n" TEXT), a);
	nothing(OLD, MIXED PARTS(SIGNED HEAD "\r\nbuy this\r\n"), a);
	nothing(OLD, MIXED PARTS(SIGNED "From: bob@b.example\r\n"
	    "Message-ID: <1@a.example>\r\n\r\n" TEXT), a);
	nothing(OLD, MIXED PARTS(SIGNED "From: Alice <alice@a.example>\r\n"
	    "Message-ID: <2@a.example>\r\n\r\n" TEXT), a);
	/* some of its chain */
	nothing(OLD, MIXED PARTS("Message-Instance: m=1; h=sha256:CCCC:DDDD;"
	    "\r\n" HEAD "\r\n" TEXT), a);
	nothing(OLD, MIXED PARTS("DKIM2-Signature: i=2;\r\n" OLD), a);
	/* two messages, as in a digest */
	nothing(OLD, MIXED "\r\n--==1==\r\nContent-Type: message/rfc822\r\n\r\n"
	    OLD "\r\n--==1==\r\nContent-Type: message/rfc822\r\n\r\n" OLD
	    "\r\n--==1==--\r\n", a);
	/* one, in a digest */
	nothing(OLD, MIXED "\r\n--==1==\r\n"
	    "Content-Type: multipart/digest; boundary=two\r\n\r\n"
	    "--two\r\nContent-Type: message/rfc822\r\n\r\n" OLD
	    "\r\n--two--\r\n--==1==--\r\n", a);
	/* no message, or not as it is */
	nothing(OLD, MIXED "\r\n--==1==\r\nContent-Type: text/plain\r\n\r\n"
	    OLD "\r\n--==1==--\r\n", a);
	nothing(OLD, MIXED "\r\n--==1==\r\nContent-Type: message/rfc822\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n" OLD
	    "\r\n--==1==--\r\n", a);
	/* parts that are unclear: no end */
	nothing(OLD, MIXED "\r\n--==1==\r\nContent-Type: message/rfc822\r\n\r\n"
	    OLD, a);
	nothing(OLD, MIXED "\r\n--==1==\r\nContent-Type: multipart/mixed; "
	    "boundary=two\r\n\r\n--two\r\n\r\nx\r\n--==1==\r\n"
	    "Content-Type: message/rfc822\r\n\r\n" OLD
	    "\r\n--==1==--\r\n", a);
	/* outside it has a chain */
	nothing(OLD, "DKIM2-Signature: i=1; d=c.example;\r\n" MIXED
	    PARTS(OLD), a);
}

static bool
find_wrapped(const char *octets, struct dkim2_message *inner,
    struct bytes *body, struct arena *a)
{
	struct dkim2_message outer;
	struct bytes b = kit_split(bytes_of(octets), &outer, a);
	bool is_there;

	assert_int_equal(dkim2_wrapped(&is_there, inner, body, a, &outer, b),
	    0);
	return is_there;
}

/* What the chain of a message that is wrapped is looked up by. */
static void
the_message_within_is_shown(void **state)
{
	struct arena *a = *state;
	struct dkim2_message inner;
	struct bytes body;

	assert_true(find_wrapped(MIXED PARTS(OLD), &inner, &body, a));
	kit_assert_bytes(inner.header, SIGNED HEAD);
	kit_assert_bytes(body, TEXT);
	assert_false(find_wrapped(MIXED PARTS(HEAD "\r\n" TEXT), &inner,
	    &body, a));
	assert_false(find_wrapped(OLD, &inner, &body, a));
	assert_false(find_wrapped(MIXED PARTS("no header"), &inner, &body,
	    a));
	assert_false(find_wrapped(MIXED "Content-Type: text/plain\r\n"
	    PARTS(OLD), &inner, &body, a));
}

static struct bytes
nested(struct arena *a, unsigned depth, unsigned n_parts)
{
	struct buf b;

	assert_int_equal(arena_buf(a, 100000, &b), 0);
	for (unsigned k = 0; k < depth; k++) {
		buf_printf(&b, "Content-Type: multipart/mixed; boundary=b%u\r\n"
		    "\r\n", k);
		for (unsigned p = 1; p < n_parts; p++)
			buf_printf(&b, "--b%u\r\n\r\nx\r\n", k);
		buf_printf(&b, "--b%u\r\n", k);
	}
	buf_add_str(&b, "Content-Type: message/rfc822\r\n\r\n" OLD);
	for (unsigned k = depth; k-- > 0;)
		buf_printf(&b, "\r\n--b%u--", k);
	buf_add_str(&b, "\r\n");
	buf_add_octet(&b, '\0');
	assert_false(b.full);
	return buf_bytes(&b);
}

static void
looking_within_has_bounds(void **state)
{
	struct arena *a = *state;
	struct dkim2_message inner;
	struct bytes body;

	assert_true(find_wrapped((const char *)nested(a, 4, 1).p, &inner,
	    &body, a));
	assert_false(find_wrapped((const char *)nested(a, 5, 1).p, &inner,
	    &body, a));
	assert_true(find_wrapped((const char *)nested(a, 1, 32).p, &inner,
	    &body, a));
	assert_false(find_wrapped((const char *)nested(a, 1, 33).p, &inner,
	    &body, a));
	assert_true(find_wrapped((const char *)nested(a, 4, 32).p, &inner,
	    &body, a));
}

/* ---- From alone ---------------------------------------------------------- */

static void
a_from_written_anew_gets_its_octets_back(void **state)
{
	struct arena *a = *state;
	static const char old[] = SIGNED
	    "From: =?iso-8859-1?Q?Ren=E9?=\r\n\t<rene@a.example>\r\n"
	    "Message-ID: <1@a.example>\r\n\r\n" TEXT;

	restored_is(old, SIGNED "Subject: x\r\n"
	    "From: =?utf-8?b?UmVuw6k=?= <rene@a.example>\r\nX-Y: z\r\n\r\n",
	    FROM, SIGNED "Subject: x\r\n"
	    "From: =?iso-8859-1?Q?Ren=E9?=\r\n\t<rene@a.example>\r\n"
	    "X-Y: z\r\n", a);
	/* only folded: that is no change */
	nothing(old, SIGNED "From: =?iso-8859-1?Q?Ren=E9?= "
	    "<rene@a.example>\r\n\r\n" TEXT, a);
	/* without a chain, or another */
	restored_is("From: \"a\" <a@a.example>\r\n\r\n",
	    "From: a <a@a.example>\r\n\r\n", FROM,
	    "From: \"a\" <a@a.example>\r\n", a);
	nothing(old, SIGNED "From: list@l.example\r\n\r\n" TEXT, a);
	nothing(old, SIGNED "From: =?utf-8?b?UmVuw6k=?= <rene@a.example>\r\n"
	    "From: =?utf-8?b?UmVuw6k=?= <rene@a.example>\r\n\r\n" TEXT, a);
}

/* ---- servers ------------------------------------------------------------- */

#define NAMED SIGNED "From: =?iso-8859-1?Q?Ren=E9_Descartes?=\r\n" \
	"\t<rene@a.example>\r\nTo: list@l.example\r\n" \
	"Subject: =?iso-8859-1?Q?Caf=E9?=\r\nMessage-ID: <1@a.example>\r\n"
#define RENE "From: =?iso-8859-1?Q?Ren=E9_Descartes?=\r\n" \
	"\t<rene@a.example>\r\n"

/* What some of them make of one message. */
static void
what_servers_do_is_undone(void **state)
{
	static const struct {
		const char *label, *now;
		unsigned done;
		const char *header;
	} rows[] = {
		{"Mailman 3: folds and encodes anew, keeps the chain",
		    "DKIM2-Signature: i=1; m=1; t=1; d=a.example; "
		    "s=x:ed25519-sha256:AAAA;\r\n"
		    "Message-Instance: m=1; h=sha256:CCCC:DDDD;\r\n"
		    "From: =?utf-8?q?Ren=C3=A9_Descartes?= <rene@a.example>\r\n"
		    "To: list@l.example\r\nMessage-ID: <1@a.example>\r\n"
		    "Subject: [l] =?iso-8859-1?q?Caf=E9?=\r\n\r\n" TEXT FOOTER,
		    FROM,
		    "DKIM2-Signature: i=1; m=1; t=1; d=a.example; "
		    "s=x:ed25519-sha256:AAAA;\r\n"
		    "Message-Instance: m=1; h=sha256:CCCC:DDDD;\r\n" RENE
		    "To: list@l.example\r\nMessage-ID: <1@a.example>\r\n"
		    "Subject: [l] =?iso-8859-1?q?Caf=E9?=\r\n"},
		{"mlmmj: takes fields out by name, adds its own",
		    "Received: by l.example\r\n" RENE "To: list@l.example\r\n"
		    "Subject: [l] =?iso-8859-1?Q?Caf=E9?=\r\n"
		    "Message-ID: <1@a.example>\r\nPrecedence: list\r\n\r\n"
		    TEXT FOOTER, CHAIN, SIGNED
		    "Received: by l.example\r\n" RENE "To: list@l.example\r\n"
		    "Subject: [l] =?iso-8859-1?Q?Caf=E9?=\r\n"
		    "Message-ID: <1@a.example>\r\nPrecedence: list\r\n"},
		{"as Exchange: what is unknown goes, the rest in another order",
		    "Received: from x (2001:db8::1) by y\r\n"
		    "From: =?Windows-1252?Q?Ren=E9_Descartes?= "
		    "<rene@a.example>\r\nTo: \"list@l.example\" "
		    "<list@l.example>\r\n"
		    "Subject: [EXTERNAL] =?Windows-1252?Q?Caf=E9?=\r\n"
		    "Thread-Topic: Caf\r\nMessage-ID: <1@a.example>\r\n"
		    "X-MS-Has-Attach:\r\nMIME-Version: 1.0\r\n\r\n"
		    "CAUTION: this came from outside.\r\n\r\n" TEXT,
		    CHAIN | FROM, SIGNED
		    "Received: from x (2001:db8::1) by y\r\n" RENE
		    "To: \"list@l.example\" <list@l.example>\r\n"
		    "Subject: [EXTERNAL] =?Windows-1252?Q?Caf=E9?=\r\n"
		    "Thread-Topic: Caf\r\nMessage-ID: <1@a.example>\r\n"
		    "X-MS-Has-Attach:\r\nMIME-Version: 1.0\r\n"},
		{"as Postfix: only folds, and puts trace on top",
		    "Return-Path: <l@l.example>\r\nReceived: by z\r\n" SIGNED
		    "From: =?iso-8859-1?Q?Ren=E9_Descartes?= "
		    "<rene@a.example>\r\nMessage-ID: <1@a.example>\r\n\r\n"
		    TEXT, 0,
		    "Return-Path: <l@l.example>\r\nReceived: by z\r\n" SIGNED
		    "From: =?iso-8859-1?Q?Ren=E9_Descartes?= "
		    "<rene@a.example>\r\nMessage-ID: <1@a.example>\r\n"},
	};
	struct arena *a = *state;

	for (size_t k = 0; k < COUNT(rows); k++) {
		print_message("%s\n", rows[k].label);
		restored_is(NAMED "\r\n" TEXT, rows[k].now, rows[k].done,
		    rows[k].header, a);
	}
}

/* ---- systems that fail --------------------------------------------------- */

static void
without_memory_it_says_so(void **state)
{
	bool is_whole = false;

	(void)state;
	for (size_t cap = 0; cap < 400000 && !is_whole;
	    cap += cap < 60000 ? 509 : 9001) {
		struct arena *big = arena_new(1 << 20);
		struct arena *a = arena_new(cap);
		struct dkim2_message x, y, out;
		struct bytes x_body, y_body;
		unsigned done = 99;
		int r;

		assert_non_null(a);
		x_body = kit_split(bytes_of(OLD), &x, big);
		y_body = kit_split(bytes_of(MIXED PARTS(OLD)), &y, big);
		r = dkim2_restore(&done, &out, a, &x, x_body, &y, y_body);
		assert_true(r == 0 || r == -E_NOMEM);
		is_whole = r == 0;
		if (r == 0)
			assert_int_equal(done, WRAPPED);
		arena_free(&a);
		arena_free(&big);
	}
	assert_true(is_whole);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_arena, close_arena)
	static const struct CMUnitTest tests[] = {
		TEST(ways_to_write_a_from_are_the_same),
		TEST(other_people_are_others),
		TEST(what_is_unclear_is_nobody),
		TEST(stripped_chains_are_put_back),
		TEST(what_is_not_proven_is_left),
		TEST(little_may_be_lost),
		TEST(much_is_never_lost),
		TEST(wrapped_chains_are_found),
		TEST(what_is_within_is_proven_too),
		TEST(the_message_within_is_shown),
		TEST(looking_within_has_bounds),
		TEST(a_from_written_anew_gets_its_octets_back),
		TEST(what_servers_do_is_undone),
		cmocka_unit_test(without_memory_it_says_so),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
