#include "config/set_policy.h"

#include "config/value.h"

#define MOST 4096U	/* networks, or domains, of a rule */

static const char *const conditions[] = {
	[CONDITION_NEVER_ENTERED] = "never-entered",
	[CONDITION_LEFT] = "left",
	[CONDITION_NEVER_LEFT] = "never-left",
};

static const char *const actions[] = {
	[ACTION_ACCEPT] = "accept",
	[ACTION_ANNOTATE] = "annotate",
	[ACTION_REFUSE] = "refuse",
};

#define WORDS 3U	/* of both */

const char *
config_condition_name(enum config_condition c)
{
	return conditions[c];
}

const char *
config_action_name(enum config_action a)
{
	return actions[a];
}

/* One rule on its way. */
struct rule {
	struct load *l;
	struct config_policy *policy;
	bool has_condition;
	bool has_action;
};

static void
complain(struct rule *r, const struct config_node *at, const char *why)
{
	config_fault_add(&r->l->faults, at->at, "policy: `%s` %s",
	    config_fault_show(&r->l->faults, at->text), why);
}

/* Which of the words it is; WORDS after a complaint. */
static unsigned
read_word(struct rule *r, const struct config_node *at,
    const char *const *words, const char *why)
{
	unsigned k = 0;

	while (k < WORDS && (at->kind != NODE_TEXT ||
	    !bytes_eq(at->text, bytes_of(words[k]))))
		k++;
	if (k == WORDS)
		complain(r, at, why);
	return k;
}

static void
read_condition(struct rule *r, const struct config_node *at)
{
	unsigned k = read_word(r, at, conditions, "is no condition; write "
	    "never-entered, left or never-left");

	r->has_condition = true;
	if (k < WORDS)
		r->policy->condition = (enum config_condition)k;
}

static void
read_action(struct rule *r, const struct config_node *at)
{
	unsigned k = read_word(r, at, actions, "is no action; write accept, "
	    "annotate or refuse");

	r->has_action = true;
	if (k < WORDS)
		r->policy->action = (enum config_action)k;
}

/* Room for the things of a list, or the one in its place; NULL: none. */
static void *
list_begin(struct rule *r, const struct config_node *value, size_t size,
    size_t *n)
{
	void *items;

	*n = value->kind == NODE_LIST ? value->n : 1;
	if (*n == 0 || *n > MOST || value->kind == NODE_MAP) {
		config_fault_add(&r->l->faults, value->at, "policy: takes 1 "
		    "to %u values here; leave it out for all", MOST);
		return NULL;
	}
	items = arena_array(r->l->config->arena, *n, size);
	if (items == NULL)
		r->l->faults.is_full = true;
	return items;
}

static void
read_clients(struct rule *r, const struct config_node *value)
{
	bool is_list = value->kind == NODE_LIST;
	size_t n;
	struct config_net *net = list_begin(r, value, sizeof(*net), &n);

	r->policy->clients = net;
	r->policy->n_clients = net == NULL ? 0 : n;
	for (const struct config_node *at = is_list ? value->first : value;
	    net != NULL && at != NULL; at = is_list ? at->next : NULL) {
		const char *why = at->kind != NODE_TEXT ? "is no address" :
		    config_value_net(at->text, net++);

		if (why != NULL)
			complain(r, at, why);
	}
}

static void
read_senders(struct rule *r, const struct config_node *value)
{
	bool is_list = value->kind == NODE_LIST;
	size_t n;
	struct bytes *domain = list_begin(r, value, sizeof(*domain), &n);

	r->policy->senders = domain;
	r->policy->n_senders = domain == NULL ? 0 : n;
	for (const struct config_node *at = is_list ? value->first : value;
	    domain != NULL && at != NULL; at = is_list ? at->next : NULL) {
		const char *why = at->kind != NODE_TEXT ? "is no domain" :
		    config_value_domain(at->text, r->l->config->arena,
		        domain++);

		if (why != NULL)
			complain(r, at, why);
	}
}

static const struct member {
	const char *name;
	void (*read)(struct rule *r, const struct config_node *value);
} members[] = {
	{"condition", read_condition},
	{"clients", read_clients},
	{"senders", read_senders},
	{"action", read_action},
};

static void
read_member(struct rule *r, const struct config_node *at)
{
	const struct member *m = members;
	const struct member *end = members +
	    sizeof(members) / sizeof(members[0]);

	if (at->key->kind != NODE_TEXT || at->kind == NODE_BROKEN)
		return;
	while (m < end && !bytes_eq(at->key->text, bytes_of(m->name)))
		m++;
	if (m < end)
		m->read(r, at);
	else
		complain(r, at->key, "is none of condition, clients, senders "
		    "or action; remove it");
}

static void
read_rule(struct load *l, const struct config_node *map,
    struct config_policy *policy)
{
	struct rule r = {l, policy, false, false};

	if (map->kind == NODE_BROKEN)
		return;
	for (const struct config_node *at = map->first;
	    map->kind == NODE_MAP && at != NULL; at = at->next)
		read_member(&r, at);
	if (!r.has_condition || !r.has_action)
		config_fault_add(&l->faults, map->at, "policy: a rule has a "
		    "condition and an action; write {condition: left, action: "
		    "refuse}, or a list of such");
}

/* A rule behind one that takes all of its condition is never reached. */
static void
check_order(struct load *l, const struct config_node *list,
    const struct config_policy *rules)
{
	unsigned taken[WORDS] = {0}, k = 0;

	for (const struct config_node *at = list->first; at != NULL;
	    at = at->next, k++) {
		unsigned *by = &taken[rules[k].condition];

		if (*by != 0)
			config_fault_add(&l->faults, at->at, "policy: rule %u "
			    "takes all of `%s` before this one; move it "
			    "behind, or remove one", *by,
			    conditions[rules[k].condition]);
		else if (rules[k].n_clients + rules[k].n_senders == 0)
			*by = k + 1;
	}
}

bool
config_set_policy(struct load *l, const struct config_row *row,
    const struct config_node *value, const struct config_policy **rules,
    size_t *n)
{
	bool is_list = value->kind == NODE_LIST;
	size_t n_faults = l->faults.n, k = 0;
	struct config_policy *all;

	*n = is_list ? value->n : 1;
	*rules = NULL;
	if (*n == 0)
		return true;
	if (*n > row->max) {
		config_fault_add(&l->faults, value->at, "policy: takes at most "
		    "%u rules", (unsigned)row->max);
		return false;
	}
	all = arena_array(l->config->arena, *n, sizeof(*all));
	if (all == NULL) {
		l->faults.is_full = true;
		return false;
	}
	for (const struct config_node *at = is_list ? value->first : value;
	    at != NULL; at = is_list ? at->next : NULL)
		read_rule(l, at, &all[k++]);
	if (is_list && l->faults.n == n_faults)
		check_order(l, value, all);
	*rules = all;
	return l->faults.n == n_faults && !l->faults.is_full;
}
