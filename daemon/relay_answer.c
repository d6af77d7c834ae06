#include "daemon/relay_answer.h"

#include <stdio.h>

struct relay_answer
relay_answer_say(int code, const char *enhanced, const char *text)
{
	struct relay_answer a = {.code = code, .text = bytes_of(text)};

	snprintf(a.enhanced, sizeof(a.enhanced), "%s", enhanced);
	return a;
}

struct relay_answer
relay_answer_of(const struct smtp_reply *reply, struct arena *arena)
{
	struct relay_answer a = {
	    .code = reply->code == 421 ? 451 : reply->code,
	    .text = arena_copy(arena, reply->text),
	};

	if (a.text.n == 0)
		a.text = BYTES_LIT("Ok");
	if (reply->enhanced.n != 0 &&
	    reply->enhanced.p[0] == '0' + a.code / 100)
		snprintf(a.enhanced, sizeof(a.enhanced), "%.*s",
		    BYTES_FMT(bytes_first(reply->enhanced, 15)));
	else
		snprintf(a.enhanced, sizeof(a.enhanced), "%d.0.0",
		    a.code / 100);
	return a;
}

bool
relay_answer_counts_more(const struct relay_answer *a,
    const struct relay_answer *than)
{
	static const uint8_t rank[10] = {[2] = 1, [5] = 2, [4] = 3};

	return rank[a->code / 100] > rank[than->code / 100];
}

bool
relay_answers_mix(const struct relay_answer *const *answers, size_t n,
    struct relay_answer *out)
{
	*out = *answers[0];
	for (size_t k = 1; k < n; k++) {
		if (answers[k]->code / 100 != out->code / 100) {
			*out = relay_answer_say(451, "4.5.3", "The answers "
			    "for the recipients differ: send to each alone");
			return true;
		}
	}
	return false;
}
