/*
 * DKIM2 fields: a value that reads well reads the same once all white space
 * is gone; its line in the signing input then is the value, and the blanked
 * line keeps all but signatures.
 */
#include <stdlib.h>

#include "base/ascii.h"
#include "dkim2/canon.h"
#include "dkim2/instance.h"
#include "dkim2/signature.h"
#include "dkim2/taglist.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(bool holds)
{
	if (!holds)
		abort();
}

static struct bytes
line(struct bytes value, bool blank, struct arena *a)
{
	struct buf out;

	need(arena_buf(a, value.n + 8, &out) == 0);
	need(canon_signing_line(BYTES_LIT("x"), value, blank, canon_to_buf,
	    &out) == 0);
	need(bytes_starts(buf_bytes(&out), BYTES_LIT("x:")) &&
	    bytes_ends(buf_bytes(&out), BYTES_LIT("\r\n")));
	return bytes_first(bytes_skip(buf_bytes(&out), 2), out.n - 4);
}

static void
check_taglist(struct bytes value)
{
	struct taglist t;
	struct bytes found;

	taglist_parse(&t, value);
	need(t.n <= TAGLIST_MAX && (t.is_bad || t.n != 0));
	for (size_t k = 0; k < t.n; k++) {
		need(t.tags[k].name.p >= value.p && t.tags[k].value.p +
		    t.tags[k].value.n <= value.p + value.n);
		for (size_t j = 0; j < k; j++)
			need(!bytes_eq(t.tags[k].name, t.tags[j].name));
	}
	if (taglist_find(&t, "s", &found))
		need(found.n == 0 || (!ascii_is_wsp(found.p[0]) &&
		    !ascii_is_wsp(found.p[found.n - 1])));
}

static void
check_signature(struct bytes value, struct bytes bare,
    const struct dkim2_limits *limits, struct arena *a)
{
	struct dkim2_field f = {.value = value}, g = {.value = bare};
	struct dkim2_field h = {.value = line(value, true, a)};
	struct signature s, t;

	need(signature_parse(&s, &f, limits, a) == 0);
	if (s.fault.state != DKIM2_PASS)
		return;
	need(signature_parse(&t, &g, limits, a) == 0);
	need(t.fault.state == DKIM2_PASS && s.i == t.i && s.m == t.m &&
	    s.t == t.t && bytes_eq(s.d, t.d) && bytes_eq(s.mf, t.mf) &&
	    bytes_eq(s.nd, t.nd) && bytes_eq(s.n, t.n) && s.n_rt == t.n_rt &&
	    s.n_flags == t.n_flags && s.n_members == t.n_members);
	for (size_t k = 0; k < s.n_members; k++)
		need(s.members[k].group == t.members[k].group &&
		    bytes_eq(s.members[k].selector, t.members[k].selector) &&
		    bytes_eq(s.members[k].value, t.members[k].value));
	/* Without its values it is a signature no more. */
	need(h.value.n < bare.n);
	need(signature_parse(&t, &h, limits, a) == 0);
	need(t.fault.reason == DKIM2_SIGNATURE_SYNTAX);
}

static void
check_instance(struct bytes value, struct bytes bare,
    const struct dkim2_limits *limits, struct arena *a)
{
	struct dkim2_field f = {.value = value}, g = {.value = bare};
	struct instance s, t;

	need(instance_parse(&s, &f, limits, a) == 0);
	if (s.fault.state != DKIM2_PASS)
		return;
	need(instance_parse(&t, &g, limits, a) == 0);
	need(t.fault.state == DKIM2_PASS && s.m == t.m &&
	    s.n_hashes == t.n_hashes && bytes_eq(s.recipe, t.recipe));
	for (size_t k = 0; k < s.n_hashes; k++)
		need(bytes_eq(s.hashes[k].header, t.hashes[k].header) &&
		    bytes_eq(s.hashes[k].body, t.hashes[k].body));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes value = {p, n}, bare;
	struct arena *a = arena_new(64 << 20);
	struct dkim2_limits limits;

	if (a == NULL || n > 65536) {
		arena_free(&a);
		return 0;
	}
	dkim2_limits_default(&limits);
	check_taglist(value);
	bare = line(value, false, a);
	check_signature(value, bare, &limits, a);
	check_instance(value, bare, &limits, a);
	arena_free(&a);
	return 0;
}
