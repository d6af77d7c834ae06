#include "daemon/unsigned.h"

#include <string.h>

#include "daemon/metrics.h"

/* What the sentences of a kind have in common; the first that fits counts. */
static const struct {
	const char *part;
	unsigned word;
} kinds[] = {
	{"bypass", UNSIGNED_BY_BYPASS},
	{"on-failure", UNSIGNED_BY_FAILURE},
	{"a bounce of", UNSIGNED_BY_BOUNCE},
	{"next hop is ours", UNSIGNED_BY_INTERNAL},
	{"no key", UNSIGNED_BY_NO_KEY},
	{"adopt", UNSIGNED_BY_ADOPTION},
	{"it came without DKIM2", UNSIGNED_BY_ADOPTION},
	{"no DKIM1 signature shows it", UNSIGNED_BY_ADOPTION},
	{"anybody may have said it", UNSIGNED_BY_ADOPTION},
	{"From can not be rewritten", UNSIGNED_BY_ADOPTION},
	{"one mailbox", UNSIGNED_BY_FROM},
	{"signing domain does not cover", UNSIGNED_BY_FROM},
	{"record", UNSIGNED_BY_NO_ARRIVAL},
	{"too long ago", UNSIGNED_BY_NO_ARRIVAL},
	{"DKIM2 fields were taken out", UNSIGNED_BY_NO_ARRIVAL},
	{"not Fully Verified", UNSIGNED_BY_VERDICT},
	{"verify is off", UNSIGNED_BY_VERDICT},
	{"too old", UNSIGNED_BY_VERDICT},
	{"custody", UNSIGNED_BY_VERDICT},
	{"recipe", UNSIGNED_BY_CHANGE},
	{"it was changed", UNSIGNED_BY_CHANGE},
};

unsigned
unsigned_rule(const char *rule)
{
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		if (strstr(rule, kinds[k].part) != NULL)
			return kinds[k].word;
	return UNSIGNED_BY_OTHER;
}
