#include "dkim2/dkim2.h"

#include "dkim2/draft.h"

void
dkim2_limits_default(struct dkim2_limits *l)
{
	*l = (struct dkim2_limits){
		.max_chain = DRAFT_CHAIN_MAX,
		.max_members = DRAFT_MEMBERS_MAX,
		.max_keys = DRAFT_KEYS_MAX,
		.max_age_s = DRAFT_AGE_S,
		.max_future_s = DRAFT_FUTURE_S,
		.max_recipe = DRAFT_RECIPE_MAX,
		.max_undo = DRAFT_UNDO_MAX,
	};
}
