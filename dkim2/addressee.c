#include "base/ascii.h"
#include "dkim2/dkim2.h"
#include "dkim2/mailbox.h"

static bool
is_space(uint8_t c)
{
	return ascii_is_wsp(c) || c == '\r' || c == '\n';
}

/* Whether a mailbox of the field is that of the path, octet for octet. */
static bool
is_same(const struct mailbox *m, struct bytes local, struct bytes domain)
{
	struct bytes l = m->local;

	while (l.n != 0 && is_space(l.p[0]))
		l = bytes_skip(l, 1);
	while (l.n != 0 && is_space(l.p[l.n - 1]))
		l.n--;
	return bytes_eq(l, local) && bytes_case_eq(m->domain, domain);
}

/* Reads as far as the list is clear. */
static bool
list_names(struct bytes list, struct bytes local, struct bytes domain)
{
	struct bytes before;
	struct mailbox m;
	bool is_local;

	for (;;) {
		if (!mailbox_skip_cfws(&list) || list.n == 0)
			return false;
		before = list;
		if (list.p[0] == ',' || list.p[0] == ';') {
			list = bytes_skip(list, 1);
		} else if (mailbox_parse(&list, &m)) {
			if (list.n != 0 && list.p[0] != ',' &&
			    list.p[0] != ';')
				return false;
			if (is_same(&m, local, domain))
				return true;
		} else {
			list = before;		/* the name of a group? */
			if (!mailbox_skip_words(&list, &is_local) ||
			    list.n == 0 || list.p[0] != ':')
				return false;
			list = bytes_skip(list, 1);
		}
	}
}

bool
dkim2_message_names(const struct dkim2_message *m, struct bytes path)
{
	struct bytes domain = dkim2_path_domain(path), local;

	if (domain.n == 0)
		return false;
	local = bytes_between(path.p + 1, domain.p - 1);
	for (size_t k = 0; k < m->n_fields; k++) {
		const struct dkim2_field *f = &m->fields[k];

		if ((bytes_case_eq(f->name, BYTES_LIT("to")) ||
		    bytes_case_eq(f->name, BYTES_LIT("cc"))) &&
		    list_names(f->value, local, domain))
			return true;
	}
	return false;
}
