#include "daemon/verdicts.h"

#include <stdlib.h>

#define ENHANCED_MAX 12		/* octets, with the NUL */

void
verdicts_keep(struct verdicts *k, const struct verdict *v, size_t n)
{
	size_t total = n * sizeof(*v);
	struct buf out;

	for (size_t i = 0; i < n; i++)
		total += ENHANCED_MAX + v[i].text.n;
	verdicts_fini(k);
	k->all = n == 0 ? NULL : malloc(total);
	if (k->all == NULL)
		return;
	k->n = n;
	out = (struct buf){(uint8_t *)(k->all + n), 0, total - n * sizeof(*v),
	    false};
	for (size_t i = 0; i < n; i++) {
		k->all[i].code = v[i].code;
		k->all[i].enhanced = (const char *)out.p + out.n;
		buf_add(&out, bytes_first(bytes_of(v[i].enhanced),
		    ENHANCED_MAX - 1));
		buf_add_octet(&out, 0);
		k->all[i].text = (struct bytes){out.p + out.n, v[i].text.n};
		buf_add(&out, v[i].text);
	}
}

struct verdict
verdicts_of(const struct verdicts *k, size_t recipient)
{
	if (k->n == 0)
		return (struct verdict){451, "4.3.1",
		    BYTES_LIT("Out of memory")};
	return k->all[recipient < k->n ? recipient : k->n - 1];
}

void
verdicts_fini(struct verdicts *k)
{
	free(k->all);
	*k = (struct verdicts){0};
}
