#include "dsn/route.h"

#include "base/ascii.h"
#include "base/err.h"
#include "dkim2/chain.h"
#include "dkim2/idn.h"
#include "dkim2/mime.h"

#include <assert.h>

/* ---- whether ------------------------------------------------------------- */

/* A report of any kind; what does not read is none. */
static bool
is_report(const struct dkim2_message *m)
{
	const struct dkim2_field *f;
	size_t n = dkim2_message_find(m, BYTES_LIT("Content-Type"), &f);
	struct mime_type type;

	return n == 1 && mime_type_parse(&type, f->value) &&
	    mime_type_is(&type, BYTES_LIT("multipart"), BYTES_LIT("report"));
}

/* RFC 3834 5: a keyword, then parameters. What does not read is no "no". */
static bool
is_automatic(const struct dkim2_message *m)
{
	const struct dkim2_field *f;
	size_t n = dkim2_message_find(m, BYTES_LIT("Auto-Submitted"), &f);
	struct bytes value, token;

	if (n == 0)
		return false;
	value = f->value;
	return n > 1 || !mime_token_parse(bytes_cut(&value, ';'), &token) ||
	    !bytes_case_eq(token, BYTES_LIT("no"));
}

enum dsn_bar
dsn_route_forbids(const struct dsn_route_facts *f)
{
	if (f->has_nd)
		return DSN_BAR_NEXT_DOMAIN;
	if (f->mail_from.n == 0 || bytes_eq(f->mail_from, BYTES_LIT("<>")))
		return DSN_BAR_NULL;
	if (!f->is_vouched)
		return DSN_BAR_UNVERIFIED;
	if (is_report(f->message))
		return DSN_BAR_REPORT;
	return is_automatic(f->message) ? DSN_BAR_AUTOMATIC : DSN_BAR_NONE;
}

const char *
dsn_bar_text(enum dsn_bar b)
{
	static const char *const texts[DSN_BAR__N] = {
		[DSN_BAR_NONE] = "",
		[DSN_BAR_NEXT_DOMAIN] = "nd= on top",
		[DSN_BAR_NULL] = "null reverse-path",
		[DSN_BAR_UNVERIFIED] = "not verified when it came",
		[DSN_BAR_REPORT] = "a report itself",
		[DSN_BAR_AUTOMATIC] = "submitted automatically",
	};

	assert(b < DSN_BAR__N);
	return texts[b];
}

/* ---- as whom ------------------------------------------------------------- */

static struct bytes
lower(struct bytes b, struct arena *a)
{
	struct bytes copy = arena_copy(a, b);
	uint8_t *p = (uint8_t *)copy.p;

	for (size_t k = 0; p != NULL && k < copy.n; k++)
		p[k] = ascii_lower(p[k]);
	return copy;
}

/*
 * The domain itself, then one above another, while each is longer than what
 * there is already.
 */
static struct bytes
longest(struct bytes domain, size_t least, bool (*has_key)(void *arg,
    struct bytes domain), void *arg)
{
	while (domain.n > least) {
		if (has_key(arg, domain))
			return domain;
		bytes_cut(&domain, '.');
	}
	return (struct bytes){NULL, 0};
}

int
dsn_route_domain(struct bytes *domain, const struct bytes *paths,
    size_t n_paths, bool (*has_key)(void *arg, struct bytes domain),
    void *arg, struct arena *a)
{
	*domain = (struct bytes){NULL, 0};
	for (size_t k = 0; k < n_paths; k++) {
		struct bytes name = dkim2_path_domain(paths[k]), found;

		/* a literal is nobody's domain */
		if (name.n == 0 || name.p[0] == '[')
			continue;
		name = lower(name, a);
		if (name.p == NULL)
			return -E_NOMEM;
		found = longest(name, domain->n, has_key, arg);
		if (found.n != 0)
			*domain = found;
	}
	return 0;
}

/* ---- of whom ------------------------------------------------------------- */

static bool
is_told(const struct bytes *told, size_t n, struct bytes address)
{
	for (size_t k = 0; k < n; k++)
		if (chain_path_eq(told[k], address))
			return true;
	return false;
}

/* Whether one of the paths is in the domain. */
static bool
covers_any(struct bytes domain, const struct bytes *paths, size_t n)
{
	for (size_t k = 0; k < n; k++)
		if (dkim2_domain_covers(domain, dkim2_path_domain(paths[k])))
			return true;
	return false;
}

int
dsn_route_told(const struct bytes **addresses, size_t *n_addresses,
    const struct bytes *paths, size_t n_paths, struct bytes domain,
    struct arena *a)
{
	bool is_any = !covers_any(domain, paths, n_paths);
	struct bytes *told;
	size_t n = 0;

	told = arena_array(a, DSN_RECIPIENTS_MAX < n_paths ?
	    DSN_RECIPIENTS_MAX : n_paths + 1, sizeof(*told));
	if (told == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < n_paths && n < DSN_RECIPIENTS_MAX; k++)
		if ((is_any || dkim2_domain_covers(domain,
		    dkim2_path_domain(paths[k]))) &&
		    !is_told(told, n, paths[k]))
			told[n++] = paths[k];
	/* without brackets */
	for (size_t k = 0; k < n; k++)
		told[k] = bytes_first(bytes_skip(told[k], 1), told[k].n - 2);
	*addresses = told;
	*n_addresses = n;
	return 0;
}

/* Cuts an address behind its last "@": all of it is left where it has none. */
static struct bytes
cut_local(struct bytes *address)
{
	size_t at = address->n;
	struct bytes local;

	while (at != 0 && address->p[at - 1] != '@')
		at--;
	local = bytes_first(*address, at);
	*address = bytes_skip(*address, at);
	return local;
}

bool
dsn_route_address_eq(struct bytes a, struct bytes b, bool is_reported)
{
	struct bytes x = cut_local(&a), y = cut_local(&b);

	return (is_reported ? bytes_case_eq(x, y) : bytes_eq(x, y)) &&
	    idn_domain_eq(a, b);
}
