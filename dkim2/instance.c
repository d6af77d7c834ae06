#include "dkim2/instance.h"

#include "base/err.h"
#include "dkim2/crypto.h"
#include "dkim2/reason.h"
#include "dkim2/taglist.h"

static void
fault(struct instance *in, enum dkim2_reason reason)
{
	in->fault = reason_plain(reason, in->m);
}

/* "name:headerhash:bodyhash"; h->body.p is NULL where it is not that. */
static int
hash_parse(struct instance_hash *h, struct bytes member, struct arena *a)
{
	struct bytes rest = member;
	struct bytes header;
	int r;

	h->name = taglist_trim(bytes_cut(&rest, ':'));
	header = bytes_cut(&rest, ':');
	if (rest.p == NULL || !taglist_is_name(h->name))
		return 0;
	h->algorithm = dkim2_hash_by_name(h->name);
	r = taglist_base64(header, a, &h->header);
	if (r != 0 || h->header.p == NULL)
		return r;
	return taglist_base64(rest, a, &h->body);
}

static bool
is_hash_twice(const struct instance *in, struct bytes name)
{
	for (size_t k = 0; k < in->n_hashes; k++)
		if (bytes_eq(in->hashes[k].name, name))
			return true;
	return false;
}

static int
hashes_parse(struct instance *in, struct bytes value,
    const struct dkim2_limits *limits, struct arena *a)
{
	struct taglist_members list;
	struct bytes member;
	unsigned group;
	bool is_twice = false;

	in->hashes = arena_array(a, limits->max_members,
	    sizeof(in->hashes[0]));
	if (in->hashes == NULL)
		return -E_NOMEM;
	taglist_members_init(&list, value);
	while (taglist_members_next(&list, &member, &group)) {
		struct instance_hash h = {.group = group};
		int r = hash_parse(&h, member, a);

		if (r != 0)
			return r;
		if (h.body.p == NULL || in->n_hashes == limits->max_members) {
			fault(in, DKIM2_INSTANCE_SYNTAX);
			return 0;
		}
		is_twice = is_twice || is_hash_twice(in, h.name);
		in->hashes[in->n_hashes++] = h;
	}
	if (is_twice)
		fault(in, DKIM2_INSTANCE_HASH_TWICE);
	return 0;
}

static struct dkim2_verdict
recipe_fault(const struct instance *in, enum recipe_verdict read)
{
	switch (read) {
	case RECIPE_GOOD:
		break;
	case RECIPE_NOT_JSON:
		return reason_plain(DKIM2_INSTANCE_JSON, in->m);
	case RECIPE_INVALID:
		return reason_verdict(DKIM2_INSTANCE_RECIPE, in->m, in->recipe);
	case RECIPE_TOO_MUCH:
		return reason_plain(DKIM2_RECIPE_WORK, in->m);
	}
	/* Nothing is ever rebuilt from m=1, so there it does no harm. */
	if (in->steps.is_body_null && in->m != 1)
		return reason_plain(DKIM2_INSTANCE_NULL_RECIPE, in->m);
	return reason_pass();
}

static int
recipe_read(struct instance *in, struct bytes value,
    const struct dkim2_limits *limits, struct arena *a)
{
	enum recipe_verdict read = RECIPE_TOO_MUCH;
	int r = taglist_base64(value, a, &in->recipe);

	if (r != 0)
		return r;
	if (in->recipe.p == NULL) {
		fault(in, DKIM2_INSTANCE_SYNTAX);
		return 0;
	}
	if (in->recipe.n <= limits->max_recipe)
		r = recipe_parse(&in->steps, in->recipe, a, &read);
	if (r == 0)
		in->fault = recipe_fault(in, read);
	return r;
}

int
instance_parse(struct instance *in, const struct dkim2_field *field,
    const struct dkim2_limits *limits, struct arena *a)
{
	struct taglist t;
	struct bytes value;
	uint64_t m;
	int r;

	*in = (struct instance){.field = field, .fault = reason_pass()};
	taglist_parse(&t, field->value);
	if (taglist_find(&t, "m", &value) &&
	    bytes_number(value, UINT32_MAX, &m))
		in->m = (uint32_t)m;
	if (t.is_bad) {
		fault(in, DKIM2_INSTANCE_SYNTAX);
		return 0;
	}
	if (!taglist_find(&t, "h", &value)) {
		in->fault = reason_verdict(DKIM2_INSTANCE_TAG_MISSING, in->m,
		    BYTES_LIT("h"));
		return 0;
	}
	r = hashes_parse(in, value, limits, a);
	if (r != 0 || in->fault.state != DKIM2_PASS)
		return r;
	if (taglist_find(&t, "r", &value))
		return recipe_read(in, value, limits, a);
	return 0;
}
