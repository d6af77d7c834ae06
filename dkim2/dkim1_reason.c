#include "dkim2/dkim1.h"

#include <assert.h>

static const char *const state_names[DKIM1_STATE__N] = {
	[DKIM1_PASS] = "pass",
	[DKIM1_FAIL] = "fail",
	[DKIM1_POLICY] = "policy",
	[DKIM1_NEUTRAL] = "neutral",
	[DKIM1_TEMPERROR] = "temperror",
	[DKIM1_PERMERROR] = "permerror",
};

static const struct {
	enum dkim1_state state;
	const char *text;
} reasons[DKIM1_REASON__N] = {
	[DKIM1_OK] = {DKIM1_PASS, ""},
	[DKIM1_SYNTAX] = {DKIM1_NEUTRAL, "signature syntax error"},
	[DKIM1_VERSION] = {DKIM1_NEUTRAL, "incompatible version"},
	[DKIM1_TAG_MISSING] = {DKIM1_NEUTRAL, "signature tag missing"},
	[DKIM1_ALGORITHM_UNKNOWN] = {DKIM1_NEUTRAL, "unknown algorithm"},
	[DKIM1_CANON_UNKNOWN] = {DKIM1_NEUTRAL, "unknown canonicalization"},
	[DKIM1_QUERY_UNKNOWN] = {DKIM1_NEUTRAL, "unknown query method"},
	[DKIM1_TEST_KEY] = {DKIM1_NEUTRAL, "did not verify, test key"},
	[DKIM1_DOMAIN_MISMATCH] = {DKIM1_PERMERROR, "i= is not under d="},
	[DKIM1_FROM_UNSIGNED] = {DKIM1_PERMERROR, "From field not signed"},
	[DKIM1_ALGORITHM_HISTORIC] = {DKIM1_PERMERROR, "historic algorithm"},
	[DKIM1_KEY_MISSING] = {DKIM1_PERMERROR, "no key for signature"},
	[DKIM1_KEY_MULTIPLE] = {DKIM1_PERMERROR, "multiple key records"},
	[DKIM1_KEY_SYNTAX] = {DKIM1_PERMERROR, "key syntax error"},
	[DKIM1_KEY_REVOKED] = {DKIM1_PERMERROR, "key revoked"},
	[DKIM1_KEY_MISMATCH] = {DKIM1_PERMERROR, "inappropriate key algorithm"},
	[DKIM1_KEY_MALFORMED] = {DKIM1_PERMERROR, "malformed key"},
	[DKIM1_KEY_SHORT] = {DKIM1_PERMERROR, "key too short"},
	[DKIM1_KEY_LONG] = {DKIM1_PERMERROR, "key too long"},
	[DKIM1_KEY_HASH] = {DKIM1_PERMERROR, "inappropriate hash algorithm"},
	[DKIM1_KEY_SERVICE] = {DKIM1_PERMERROR, "key is not for mail"},
	[DKIM1_KEY_STRICT] = {DKIM1_PERMERROR, "key is not for subdomains"},
	[DKIM1_LENGTH] = {DKIM1_POLICY, "body length limit is not trusted"},
	[DKIM1_EXPIRED] = {DKIM1_POLICY, "signature expired"},
	[DKIM1_FUTURE] = {DKIM1_POLICY, "signed in the future"},
	[DKIM1_KEY_UNFETCHED] = {DKIM1_TEMPERROR, "key unavailable"},
	[DKIM1_BODY_HASH] = {DKIM1_FAIL, "body hash did not verify"},
	[DKIM1_SIGNATURE_WRONG] = {DKIM1_FAIL, "signature did not verify"},
};

static const char *const refusals[DKIM1_REFUSAL__N] = {
	[DKIM1_MAY_SIGN] = "it may be signed",
	[DKIM1_REFUSE_OPTIONS] = "keys, domain or times are not usable",
	[DKIM1_REFUSE_FROM] = "there is not exactly one From field",
	[DKIM1_REFUSE_FIELDS] = "there are too many fields to sign",
};

const char *
dkim1_state_name(enum dkim1_state s)
{
	assert(s < DKIM1_STATE__N);
	return state_names[s];
}

const char *
dkim1_reason_text(enum dkim1_reason r)
{
	assert(r < DKIM1_REASON__N);
	return reasons[r].text;
}

enum dkim1_state
dkim1_reason_state(enum dkim1_reason r)
{
	assert(r < DKIM1_REASON__N);
	return reasons[r].state;
}

const char *
dkim1_refusal_text(enum dkim1_refusal r)
{
	assert(r < DKIM1_REFUSAL__N);
	return refusals[r];
}
