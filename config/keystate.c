#include "config/keystate.h"

static const char *const names[KEYSTATE__N] = {
	[KEYSTATE_ACTIVE] = "active",
	[KEYSTATE_MADE] = "made",
	[KEYSTATE_RETIRED] = "retired",
};

const char *
keystate_name(enum keystate s)
{
	return names[s];
}

bool
keystate_parse(struct bytes octets, enum keystate *s, int64_t *since_s)
{
	struct bytes word;
	uint64_t since;

	if (bytes_ends(octets, BYTES_LIT("\n")))
		octets.n--;
	word = bytes_cut(&octets, ' ');
	if (octets.p == NULL || !bytes_number(octets, INT64_MAX, &since))
		return false;
	for (size_t k = 0; k < KEYSTATE__N; k++) {
		if (!bytes_eq(word, bytes_of(names[k])))
			continue;
		*s = (enum keystate)k;
		*since_s = (int64_t)since;
		return true;
	}
	return false;
}

void
keystate_put(struct buf *out, enum keystate s, int64_t since_s)
{
	buf_add_str(out, names[s]);
	buf_add_octet(out, ' ');
	buf_add_number(out, (uint64_t)since_s);
	buf_add_octet(out, '\n');
}

int64_t
keystate_keep(int64_t since_s, int64_t now_s)
{
	if (now_s < since_s)
		return KEYSTATE_KEEP_S;
	return now_s - since_s >= KEYSTATE_KEEP_S ? 0 :
	    KEYSTATE_KEEP_S - (now_s - since_s);
}
