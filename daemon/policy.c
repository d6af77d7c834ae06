#include "daemon/policy.h"

static bool
is_of(const struct config_policy *rule, enum dkim2_condition c)
{
	switch (rule->condition) {
	case CONDITION_NEVER_ENTERED:
		return c == DKIM2_NEVER_ENTERED;
	case CONDITION_LEFT:
		return c == DKIM2_LEFT;
	case CONDITION_NEVER_LEFT:
		return c == DKIM2_NEVER_LEFT;
	}
	return false;
}

static bool
is_from(const struct config_policy *rule, struct bytes domain)
{
	for (size_t k = 0; k < rule->n_senders && domain.n != 0; k++)
		if (dkim2_domain_covers(rule->senders[k], domain))
			return true;
	return false;
}

static bool
fits(const struct config_policy *rule, const struct policy_facts *f)
{
	return is_of(rule, f->condition) &&
	    (rule->n_clients == 0 || config_nets_hold(rule->clients,
	        rule->n_clients, f->client)) &&
	    (rule->n_senders == 0 || is_from(rule, f->from) ||
	    is_from(rule, f->mail_from));
}

const struct config_policy *
policy_find(const struct config_listener *l, const struct policy_facts *f)
{
	for (size_t k = 0; k < l->n_policy; k++)
		if (fits(&l->policy[k], f))
			return &l->policy[k];
	return NULL;
}

const char *
policy_text(const struct config_policy *rule)
{
	static const char *const texts[] = {
		[CONDITION_NEVER_ENTERED] = "This message has no DKIM2 "
		    "signature, and such mail is refused here",
		[CONDITION_LEFT] = "This message was not sent here by who "
		    "signed it last, and such mail is refused here",
		[CONDITION_NEVER_LEFT] = "This message is refused here, though "
		    "its DKIM2 signatures are good",
	};

	return texts[rule->condition];
}
