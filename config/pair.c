/*
 * Two listeners with a server in between: what came by one is known again
 * when it leaves by the other (product.md, Hand-over).
 */
#include "config/load.h"

#include "config/role.h"

static struct config_place
place_of(const struct load *l, size_t no)
{
	const struct load_listener *own = &l->said_of[no];
	size_t row = config_row_of("pair");

	return own->said.is_own[row] ? own->said.value[row]->at :
	    own->name->at;
}

static struct config_listener *
find(const struct load *l, const char *name)
{
	for (size_t no = 0; no < l->n; no++)
		if (l->listeners[no].name != NULL &&
		    strcmp(l->listeners[no].name, name) == 0)
			return &l->listeners[no];
	return NULL;
}

static void
refuse(struct load *l, size_t no, const char *why)
{
	struct bytes name = bytes_of(l->listeners[no].pair_name);

	config_fault_add(&l->faults, place_of(l, no), "pair: `%s` %s",
	    config_fault_show(&l->faults, name), why);
}

static bool
is_inbound(const struct config_listener *l)
{
	return l->role == ROLE_INBOUND || l->role == ROLE_LIST_IN;
}

/* What is wrong with the two; NULL: nothing. */
static const char *
misfit(const struct config_listener *out, const struct config_listener *in)
{
	if (in == NULL)
		return "is no listener; write the name of the one whose mail "
		    "comes back here";
	if (!is_inbound(in))
		return "takes no mail in from others; write a listener of role "
		    "list-in or inbound";
	if (in->verify == VERIFY_OFF)
		return "verifies nothing, so that nothing of it could be "
		    "extended; write `verify: observe` there";
	if (out->role != ROLE_LIST_OUT && out->verify != VERIFY_OBSERVE)
		return "has verified what comes back here; write `verify: "
		    "observe`";
	return NULL;
}

void
config_check_pairs(struct load *l)
{
	for (size_t no = 0; no < l->n; no++) {
		struct config_listener *out = &l->listeners[no];
		struct config_listener *in;
		const char *why;

		if (out->pair_name == NULL || !l->said_of[no].has_role ||
		    config_role_refuses(out->role,
		        config_row_find(BYTES_LIT("pair"))) != NULL)
			continue;
		in = find(l, out->pair_name);
		if (in != NULL && !l->said_of[in - l->listeners].has_role)
			continue;	/* told already */
		why = misfit(out, in);
		if (why != NULL) {
			refuse(l, no, why);
			continue;
		}
		out->pair = in;
		in->is_paired = true;
		if (out->mail_from != MAIL_FROM_KEEP && in->returns == NULL)
			in->returns = out;
		in->is_copied |= out->recipes != RECIPES_NONE;
	}
	for (size_t no = 0; no < l->n; no++)
		if (l->said_of[no].has_role && !l->listeners[no].is_paired &&
		    l->listeners[no].role == ROLE_LIST_IN &&
		    l->faults.n == 0)
			config_fault_add(&l->faults, l->said_of[no].name->at,
			    "%s: no listener has it as its `pair`, so that "
			    "nothing it takes in could be extended; write one "
			    "of role list-out", l->listeners[no].name);
}
