#include "dkim2/reason.h"

#include <assert.h>

#include "base/buf.h"
#include "base/err.h"
#include "dkim2/draft.h"

#define SIG "DKIM2-Signature i=%n "
#define INST "Message-Instance m=%n "
#define KEY SIG "public key %v "

#define SHOWN_MAX 256	/* octets of a value in a text */

/*
 * Every failure text. %n is the number, %o the other number, %v the value.
 * Source  draft 14.2-14.8, 15
 */
static const struct {
	enum dkim2_state state;
	const char *text;
} rows[DKIM2_REASON__N] = {
	[DKIM2_OK] = {DKIM2_PASS, ""},
	[DKIM2_NO_FIELDS] = {DKIM2_NONE, "No DKIM2 header fields found"},
	[DKIM2_TOO_MANY_FIELDS] = {DKIM2_PERMERROR, "Too many DKIM2 header fields"},
	[DKIM2_INSTANCE_NUMBER_MISSING] = {DKIM2_PERMERROR, INST "tag=m missing"},
	[DKIM2_INSTANCE_SYNTAX] = {DKIM2_PERMERROR, INST "syntax error"},
	[DKIM2_INSTANCE_MISSING] = {DKIM2_PERMERROR, INST "missing"},
	[DKIM2_INSTANCE_UNSIGNED] = {DKIM2_PERMERROR, INST "is not signed"},
	[DKIM2_SIGNATURE_NUMBER_MISSING] = {DKIM2_PERMERROR, SIG "tag=i missing"},
	[DKIM2_SIGNATURE_MISSING] = {DKIM2_PERMERROR, SIG "missing"},
	[DKIM2_INSTANCE_TAG_MISSING] = {DKIM2_PERMERROR, INST "tag=%v missing"},
	[DKIM2_INSTANCE_HASH_TWICE] = {DKIM2_PERMERROR,
	    INST "has a duplicate hash algorithm"},
	[DKIM2_INSTANCE_JSON] = {DKIM2_PERMERROR, INST "contains invalid JSON"},
	[DKIM2_INSTANCE_RECIPE] = {DKIM2_PERMERROR, INST "Recipe %v is invalid"},
	[DKIM2_INSTANCE_NULL_RECIPE] = {DKIM2_PERMERROR,
	    INST "has a null Recipe, earlier body hashes cannot be checked"},
	[DKIM2_SIGNATURE_SYNTAX] = {DKIM2_PERMERROR, SIG "syntax error"},
	[DKIM2_SIGNATURE_TAG_MISSING] = {DKIM2_PERMERROR, SIG "tag=%v missing"},
	[DKIM2_SIGNATURE_TAG_UNEXPECTED] = {DKIM2_PERMERROR,
	    SIG "tag=%v was unexpected"},
	[DKIM2_SIGNATURE_SELECTOR_TWICE] = {DKIM2_PERMERROR,
	    SIG "has a duplicate selector"},
	[DKIM2_SIGNATURE_SELECTORS_MANY] = {DKIM2_PERMERROR,
	    SIG "has more selectors than allowed"},
	[DKIM2_EXPIRED] = {DKIM2_FAIL, SIG "signature expired"},
	[DKIM2_FUTURE] = {DKIM2_FAIL, SIG "signature is from the future"},
	[DKIM2_MAIL_FROM_OTHER] = {DKIM2_FAIL, SIG "MAIL FROM %v did not match"},
	[DKIM2_RCPT_TO_OTHER] = {DKIM2_FAIL, SIG "RCPT TO %v did not match"},
	[DKIM2_MAIL_FROM_DOMAIN] = {DKIM2_FAIL,
	    SIG "MAIL FROM and d= do not match"},
	[DKIM2_NEXT_DOMAIN_OTHER] = {DKIM2_FAIL, SIG "nd= does not match"},
	[DKIM2_CUSTODY_MAIL_FROM] = {DKIM2_FAIL,
	    SIG "mf= does not match the rt= of i=%o"},
	[DKIM2_CUSTODY_DOMAIN] = {DKIM2_FAIL,
	    SIG "d= does not match the rt= of i=%o"},
	[DKIM2_NEXT_DOMAIN_ON_TOP] = {DKIM2_FAIL, SIG "unexpected nd= tag"},
	[DKIM2_KEY_UNFETCHED] = {DKIM2_TEMPERROR, KEY "could not be fetched"},
	[DKIM2_KEY_MISSING] = {DKIM2_PERMERROR, KEY "does not exist"},
	[DKIM2_KEY_MULTIPLE] = {DKIM2_PERMERROR, KEY "has multiple records"},
	[DKIM2_KEY_SYNTAX] = {DKIM2_PERMERROR, KEY "has a syntax error"},
	[DKIM2_KEY_MISMATCH] = {DKIM2_PERMERROR, KEY "algorithm mismatch"},
	[DKIM2_KEY_REVOKED] = {DKIM2_PERMERROR, KEY "has been revoked"},
	[DKIM2_KEY_MALFORMED] = {DKIM2_PERMERROR, KEY "is malformed"},
	[DKIM2_KEYS_MANY] = {DKIM2_PERMERROR,
	    KEY "was not looked up: too many look-ups"},
	[DKIM2_ALGORITHM_UNKNOWN] = {DKIM2_PERMERROR,
	    SIG "selector %v algorithm unknown"},
	[DKIM2_SIGNATURE_WRONG] = {DKIM2_FAIL,
	    SIG "selector %v incorrect signature"},
	[DKIM2_SIGNATURE_GROUPS] = {DKIM2_FAIL,
	    SIG "no group of signatures passed"},
	[DKIM2_HASH_UNKNOWN] = {DKIM2_PERMERROR, INST "algorithm %v unknown"},
	[DKIM2_HEADER_HASH] = {DKIM2_FAIL, INST "header hash %v mismatch"},
	[DKIM2_BODY_HASH] = {DKIM2_FAIL, INST "body hash %v mismatch"},
	[DKIM2_HASH_GROUPS] = {DKIM2_FAIL, INST "no group of hashes passed"},
	[DKIM2_RECIPE_WORK] = {DKIM2_PERMERROR,
	    INST "Recipe asks for more work than allowed"},
	[DKIM2_FROM_UNAUTHENTIC] = {DKIM2_FAIL,
	    SIG "matching From is not authentic"},
	[DKIM2_DUPLICATE] = {DKIM2_FAIL,
	    "Duplicate message with no exploded flag"},
};

struct dkim2_verdict
reason_verdict(enum dkim2_reason reason, uint32_t number, struct bytes value)
{
	assert(reason < DKIM2_REASON__N);
	return (struct dkim2_verdict){rows[reason].state, reason, number, 0,
	    value};
}

struct dkim2_verdict
reason_plain(enum dkim2_reason reason, uint32_t number)
{
	return reason_verdict(reason, number, (struct bytes){NULL, 0});
}

struct dkim2_verdict
reason_pass(void)
{
	return reason_plain(DKIM2_OK, 0);
}

int
reason_list_init(struct reason_list *l, size_t cap, struct arena *a)
{
	*l = (struct reason_list){arena_array(a, cap, sizeof(l->v[0])), 0, cap};
	return l->v == NULL ? -E_NOMEM : 0;
}

void
reason_list_add(struct reason_list *l, struct dkim2_verdict v)
{
	if (v.state != DKIM2_PASS && l->n < l->cap)
		l->v[l->n++] = v;
}

void
dkim2_verdict_text(const struct dkim2_verdict *v, struct buf *out)
{
	const char *s;
	bool is_recipe = v->reason == DKIM2_INSTANCE_RECIPE;

	assert(v->reason < DKIM2_REASON__N);
	for (s = rows[v->reason].text; *s != '\0'; s++) {
		if (*s != '%') {
			buf_add_octet(out, (uint8_t)*s);
			continue;
		}
		s++;
		if (*s == 'n')
			buf_add_number(out, v->number);
		else if (*s == 'o')
			buf_add_number(out, v->other);
		else if (is_recipe)
			buf_add_escaped(out,
			    bytes_first(v->value, DRAFT_RECIPE_SHOWN),
			    DRAFT_RECIPE_SHOWN);
		else
			buf_add_escaped(out, v->value, SHOWN_MAX);
	}
}

const char *
dkim2_state_name(enum dkim2_state s)
{
	static const char *const names[] = {
		[DKIM2_NONE] = "none",
		[DKIM2_PASS] = "pass",
		[DKIM2_FAIL] = "fail",
		[DKIM2_PERMERROR] = "permerror",
		[DKIM2_TEMPERROR] = "temperror",
	};

	return names[s];
}
