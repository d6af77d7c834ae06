#include "config/role.h"

struct preset {
	enum config_role role;
	const char *directive;
	const char *text;	/* the value, or the reason */
};

static const struct preset presets[] = {
	/* Who knows of no DKIM2 finds a signature that he knows. */
	{ROLE_EGRESS, "dkim1", "yes"},
	{ROLE_FORWARD, "dkim1", "yes"},
	{ROLE_LIST_OUT, "dkim1", "yes"},
	{ROLE_APPLIANCE, "dkim1", "yes"},
	/* What we originate, any server must be able to take on. */
	{ROLE_EGRESS, "max-line", "998"},
	{ROLE_APPLIANCE, "max-line", "998"},
	/* Devices do not try again, and send what no server would. */
	{ROLE_APPLIANCE, "delivery", "queue"},
	{ROLE_APPLIANCE, "repair", "yes"},
};

static const struct preset refusals[] = {
	{ROLE_INBOUND, "adopt", "it never signs"},
	{ROLE_INBOUND, "aliases", "it leaves the envelope as it came"},
	{ROLE_INBOUND, "dkim1", "it never signs"},
	{ROLE_INBOUND, "flags", "it never signs"},
	{ROLE_INBOUND, "from-rewrite", "it leaves the message as it came"},
	{ROLE_INBOUND, "extend", "it never signs"},
	{ROLE_INBOUND, "legacy-bounce-in", "bounces are taken where mail is "
	    "forwarded"},
	{ROLE_INBOUND, "internal", "it never signs"},
	{ROLE_INBOUND, "legacy-bounce-out", "no server behind us sends through it"},
	{ROLE_INBOUND, "mail-from", "it leaves the envelope as it came"},
	{ROLE_INBOUND, "pair", "it is what others are paired with"},
	{ROLE_INBOUND, "recipes", "it never signs"},
	{ROLE_INBOUND, "recipient-delimiter", "it has no aliases"},
	{ROLE_INBOUND, "repair", "it leaves the message as it came"},
	{ROLE_INBOUND, "split-first-hop", "it never signs"},
	{ROLE_INBOUND, "senders", "it never signs"},
	{ROLE_INBOUND, "unsignable", "it never signs"},
	{ROLE_EGRESS, "adopt", "mail without DKIM2 is what it signs"},
	{ROLE_EGRESS, "aliases", "it leaves the envelope as it came"},
	{ROLE_EGRESS, "from-rewrite", "what it sends is of its own senders"},
	{ROLE_EGRESS, "domains", "strangers could have mail signed there"},
	{ROLE_EGRESS, "policy", "mail of its own clients is what it signs"},
	{ROLE_EGRESS, "recipient-delimiter", "it has no aliases"},
	{ROLE_EGRESS, "unsigned", "mail without DKIM2 is what it signs"},
	{ROLE_APPLIANCE, "adopt", "mail without DKIM2 is what it signs"},
	{ROLE_APPLIANCE, "aliases", "it leaves the envelope as it came"},
	{ROLE_APPLIANCE, "from-rewrite", "what it sends is of its own senders"},
	{ROLE_APPLIANCE, "domains", "strangers could have mail signed there"},
	{ROLE_APPLIANCE, "legacy-bounce-in", "bounces are taken where mail is "
	    "forwarded"},
	{ROLE_APPLIANCE, "mail-from", "it leaves the envelope as it came"},
	{ROLE_APPLIANCE, "policy", "mail of its own clients is what it signs"},
	{ROLE_APPLIANCE, "recipient-delimiter", "it has no aliases"},
	{ROLE_APPLIANCE, "unsigned", "mail without DKIM2 is what it signs"},
	{ROLE_APPLIANCE, "extend", "its clients only send new mail"},
	{ROLE_APPLIANCE, "pair", "its clients only send new mail"},
	{ROLE_APPLIANCE, "recipes", "its clients only send new mail"},
	{ROLE_FORWARD, "extend", "it verifies what it extends"},
	{ROLE_FORWARD, "legacy-bounce-out", "no server behind us sends through it"},
	{ROLE_FORWARD, "pair", "it verifies what it extends"},
	{ROLE_FORWARD, "recipes", "it leaves the message as it came"},
	{ROLE_FORWARD, "repair", "mail of others is not its to change"},
	{ROLE_FORWARD, "senders", "it signs for the domain of the recipient"},
	{ROLE_LIST_IN, "adopt", "it never signs"},
	{ROLE_LIST_IN, "aliases", "it leaves the envelope as it came"},
	{ROLE_LIST_IN, "dkim1", "it never signs"},
	{ROLE_LIST_IN, "flags", "it never signs"},
	{ROLE_LIST_IN, "from-rewrite", "it leaves the message as it came"},
	{ROLE_LIST_IN, "extend", "it never signs"},
	{ROLE_LIST_IN, "legacy-bounce-in", "bounces are taken where mail is "
	    "forwarded"},
	{ROLE_LIST_IN, "internal", "it never signs"},
	{ROLE_LIST_IN, "legacy-bounce-out", "no server behind us sends through it"},
	{ROLE_LIST_IN, "mail-from", "it leaves the envelope as it came"},
	{ROLE_LIST_IN, "pair", "it is what others are paired with"},
	{ROLE_LIST_IN, "recipes", "it never signs"},
	{ROLE_LIST_IN, "recipient-delimiter", "it has no aliases"},
	{ROLE_LIST_IN, "repair", "it leaves the message as it came"},
	{ROLE_LIST_IN, "split-first-hop", "it never signs"},
	{ROLE_LIST_IN, "senders", "it never signs"},
	{ROLE_LIST_IN, "unsignable", "it never signs"},
	{ROLE_LIST_OUT, "aliases", "it leaves the envelope as it came"},
	{ROLE_LIST_OUT, "domains", "strangers could have mail signed there"},
	{ROLE_LIST_OUT, "legacy-bounce-in", "bounces are taken where mail is "
	    "forwarded"},
	{ROLE_LIST_OUT, "mail-from", "bounces are the list manager's"},
	{ROLE_LIST_OUT, "policy", "it was for its pair to refuse it"},
	{ROLE_LIST_OUT, "recipient-delimiter", "it has no aliases"},
	{ROLE_LIST_OUT, "repair", "mail of others is not its to change"},
	{ROLE_LIST_OUT, "unsigned", "it was for its pair to refuse it"},
	{ROLE_LIST_OUT, "verify", "its pair has verified what comes back"},
};

static const char *
preset_find(const struct preset *list, size_t n, enum config_role role,
    const struct config_row *row)
{
	for (size_t k = 0; k < n; k++)
		if (list[k].role == role &&
		    strcmp(list[k].directive, row->name) == 0)
			return list[k].text;
	return NULL;
}

const char *
config_role_preset(enum config_role role, const struct config_row *row)
{
	return preset_find(presets, sizeof(presets) / sizeof(presets[0]),
	    role, row);
}

const char *
config_role_refuses(enum config_role role, const struct config_row *row)
{
	return preset_find(refusals, sizeof(refusals) / sizeof(refusals[0]),
	    role, row);
}

const char *
config_role_name(enum config_role role)
{
	static const char *const names[ROLE__N] = {
		[ROLE_INBOUND] = "inbound",
		[ROLE_EGRESS] = "egress",
		[ROLE_FORWARD] = "forward",
		[ROLE_LIST_IN] = "list-in",
		[ROLE_LIST_OUT] = "list-out",
		[ROLE_APPLIANCE] = "appliance",
	};

	return role < ROLE__N ? names[role] : "unknown";
}

bool
config_role_annotates(enum config_role role)
{
	return role == ROLE_INBOUND || role == ROLE_FORWARD ||
	    role == ROLE_LIST_IN;
}

bool
config_role_originates(enum config_role role)
{
	return role == ROLE_EGRESS || role == ROLE_APPLIANCE ||
	    role == ROLE_LIST_OUT;
}
