#include "dkim2/keyrec.h"

#include "dkim2/draft.h"
#include "dkim2/taglist.h"

/* v= may be left out, but where it is it comes first and says DKIM1. */
static bool
is_version_good(const struct taglist *t)
{
	struct bytes v;

	if (!taglist_find(t, "v", &v))
		return true;
	return bytes_eq(t->tags[0].name, BYTES_LIT("v")) &&
	    bytes_eq(v, BYTES_LIT(DRAFT_KEY_VERSION));
}

static enum dkim2_algorithm
key_type(const struct taglist *t)
{
	struct bytes k;

	if (!taglist_find(t, "k", &k) || bytes_eq(k, BYTES_LIT("rsa")))
		return DKIM2_RSA_SHA256;
	if (bytes_eq(k, BYTES_LIT("ed25519")))
		return DKIM2_ED25519_SHA256;
	return DKIM2_ALGORITHM__N;
}

/* t= is a list with colons between. */
static bool
has_flag_y(const struct taglist *t)
{
	struct bytes rest;

	if (!taglist_find(t, "t", &rest))
		return false;
	while (rest.p != NULL)
		if (bytes_eq(taglist_trim(bytes_cut(&rest, ':')),
		    BYTES_LIT("y")))
			return true;
	return false;
}

int
keyrec_parse(struct keyrec *k, struct bytes record, struct arena *a,
    bool *is_good)
{
	struct taglist t;
	struct bytes p, type;

	*k = (struct keyrec){.algorithm = DKIM2_ALGORITHM__N};
	*is_good = false;
	if (record.n > DRAFT_KEY_RECORD_MAX)
		return 0;
	taglist_parse(&t, record);
	if (t.is_bad || !is_version_good(&t) || !taglist_find(&t, "p", &p))
		return 0;
	*is_good = true;
	k->has_type = taglist_find(&t, "k", &type);
	k->algorithm = key_type(&t);
	k->is_testing = has_flag_y(&t);
	k->is_revoked = p.n == 0;
	return k->is_revoked ? 0 : taglist_base64(p, a, &k->p);
}
