#include "config/config.h"

#include "config/schema.h"
#include "config/set_kept.h"
#include "config/value.h"

/* Room for the longest single value: an address of a table, escaped. */
#define TEXT_MAX 1024U

struct dump {
	void (*put)(void *, const char *);
	void *arg;
	const char *indent;
};

/* A path of the file system may be longer: it is put in pieces. */
static void
put_quoted(const struct dump *d, struct bytes text)
{
	char piece[3] = "";

	d->put(d->arg, "\"");
	for (size_t k = 0; k < text.n; k++) {
		bool is_special = text.p[k] == '"' || text.p[k] == '\\';

		piece[0] = is_special ? '\\' : (char)text.p[k];
		piece[1] = is_special ? (char)text.p[k] : '\0';
		d->put(d->arg, piece);
	}
	d->put(d->arg, "\"");
}

static void
put_buf(const struct dump *d, struct buf *b)
{
	buf_add_octet(b, '\0');
	d->put(d->arg, (const char *)b->p);
}

static void
put_name(const struct dump *d, const struct config_row *row)
{
	d->put(d->arg, d->indent);
	d->put(d->arg, row->name);
	d->put(d->arg, ": ");
}

/* Says in a comment what holds where nothing was said. */
static void
put_absent(const struct dump *d, const struct config_row *row,
    const char *what)
{
	d->put(d->arg, d->indent);
	d->put(d->arg, "# ");
	d->put(d->arg, row->name);
	d->put(d->arg, ": ");
	d->put(d->arg, what);
	d->put(d->arg, "\n");
}

/* The pointer and count of a list. */
static size_t
list_of(const void *place, const void **items)
{
	size_t n;

	memcpy(items, place, sizeof(*items));
	memcpy(&n, (const uint8_t *)place + sizeof(*items), sizeof(n));
	return n;
}

static void
put_item(const struct dump *d, enum config_kind kind, const void *items,
    size_t k)
{
	char text[TEXT_MAX];
	struct buf b = BUF_ON(text);

	d->put(d->arg, k == 0 ? "" : ", ");
	if (kind == K_DOMAINS || kind == K_HOSTS) {
		put_quoted(d, ((const struct bytes *)items)[k]);
		return;
	}
	buf_add_octet(&b, '"');
	if (kind == K_NETS)
		config_value_put_net(&b, (const struct config_net *)items + k);
	else
		config_value_put_addr(&b,
		    (const struct config_addr *)items + k);
	buf_add_octet(&b, '"');
	put_buf(d, &b);
}

static void
dump_list(const struct dump *d, const struct config_row *row,
    const void *place, bool is_said)
{
	const void *items;
	size_t n = list_of(place, &items);

	if (n == 0 && !is_said) {
		put_absent(d, row, row->doc);
		return;
	}
	put_name(d, row);
	d->put(d->arg, "[");
	for (size_t k = 0; k < n; k++)
		put_item(d, row->kind, items, k);
	d->put(d->arg, "]\n");
}

static void
dump_text(const struct dump *d, const struct config_row *row,
    const void *place, bool is_said)
{
	const char *text;

	memcpy(&text, place, sizeof(text));
	if (text == NULL || !is_said) {
		put_absent(d, row, text == NULL ? row->doc : text);
		return;
	}
	put_name(d, row);
	put_quoted(d, bytes_of(text));
	d->put(d->arg, "\n");
}

static void
dump_number(const struct dump *d, const struct config_row *row,
    const void *place)
{
	char text[TEXT_MAX];
	struct buf b = BUF_ON(text);
	uint64_t wide = 0;
	uint32_t narrow;

	if (row->size == sizeof(wide)) {
		memcpy(&wide, place, sizeof(wide));
	} else {
		memcpy(&narrow, place, sizeof(narrow));
		wide = narrow;
	}
	put_name(d, row);
	if (row->kind == K_SIZE)
		config_value_put_size(&b, wide);
	else if (row->kind == K_UINT32)
		buf_add_number(&b, wide);
	else
		config_value_put_time(&b,
		    row->kind == K_SECONDS ? wide * 1000 : wide);
	buf_add_octet(&b, '\n');
	put_buf(d, &b);
}

static void
dump_word(const struct dump *d, const struct config_row *row,
    const void *place)
{
	const char *word = row->fallback;
	unsigned value;

	if (row->size != 0) {
		memcpy(&value, place, sizeof(value));
		word = config_word_name(row, value);
	}
	put_name(d, row);
	d->put(d->arg, word);
	d->put(d->arg, "\n");
}

static void
dump_flags(const struct dump *d, const struct config_row *row,
    const void *place, bool is_said)
{
	const char *comma = "";
	unsigned value;

	memcpy(&value, place, sizeof(value));
	if (!is_said) {
		put_absent(d, row, row->doc);
		return;
	}
	put_name(d, row);
	d->put(d->arg, "[");
	for (unsigned bit = 1; bit <= value; bit <<= 1) {
		if ((value & bit) == 0)
			continue;
		d->put(d->arg, comma);
		d->put(d->arg, config_word_name(row, bit));
		comma = ", ";
	}
	d->put(d->arg, "]\n");
}

static void
dump_tls(const struct dump *d, const struct config_row *row,
    const struct config_listener *l)
{
	put_name(d, row);
	d->put(d->arg, l->n_tls == 0 ? row->fallback : "[");
	for (size_t k = 0; k < l->n_tls; k++) {
		d->put(d->arg, k == 0 ? "{cert: " : ", {cert: ");
		put_quoted(d, bytes_of(l->tls[k].cert));
		d->put(d->arg, ", key: ");
		put_quoted(d, bytes_of(l->tls[k].key));
		d->put(d->arg, "}");
	}
	d->put(d->arg, l->n_tls == 0 ? "\n" : "]\n");
}

/* A list of a rule, where it has one. */
static void
put_rule_list(const struct dump *d, const char *name, enum config_kind kind,
    const void *items, size_t n)
{
	if (n == 0)
		return;
	d->put(d->arg, name);
	for (size_t k = 0; k < n; k++)
		put_item(d, kind, items, k);
	d->put(d->arg, "]");
}

static void
dump_policy(const struct dump *d, const struct config_row *row,
    const struct config_listener *l)
{
	if (l->n_policy == 0) {
		put_absent(d, row, row->doc);
		return;
	}
	put_name(d, row);
	for (size_t k = 0; k < l->n_policy; k++) {
		const struct config_policy *p = &l->policy[k];

		d->put(d->arg, k == 0 ? "[{condition: " : ", {condition: ");
		d->put(d->arg, config_condition_name(p->condition));
		put_rule_list(d, ", clients: [", K_NETS, p->clients,
		    p->n_clients);
		put_rule_list(d, ", senders: [", K_DOMAINS, p->senders,
		    p->n_senders);
		d->put(d->arg, ", action: ");
		d->put(d->arg, config_action_name(p->action));
		d->put(d->arg, "}");
	}
	d->put(d->arg, "]\n");
}

static void
dump_kept(const struct dump *d, const struct config_row *row,
    const void *place)
{
	struct config_kept kept;
	char text[128];
	struct buf b = BUF_ON(text);

	memcpy(&kept, place, sizeof(kept));
	put_name(d, row);
	config_kept_put(&b, &kept);
	buf_add_octet(&b, '\n');
	put_buf(d, &b);
}

static void
put_hop(const struct dump *d, const struct config_next_hop *hop)
{
	char text[TEXT_MAX];
	struct buf b = BUF_ON(text);

	buf_add_octet(&b, '"');
	config_value_put_next_hop(&b, hop);
	buf_add_octet(&b, '"');
	put_buf(d, &b);
}

static void
dump_next_hop(const struct dump *d, const struct config_row *row,
    const struct config_next_hop *hop)
{
	put_name(d, row);
	put_hop(d, hop);
	d->put(d->arg, "\n");
}

static void
dump_mail_from(const struct dump *d, const struct config_row *row,
    const struct config_listener *l)
{
	put_name(d, row);
	if (l->mail_from == MAIL_FROM_FIXED)
		put_quoted(d, l->mail_from_address);
	else
		d->put(d->arg, l->mail_from == MAIL_FROM_SRS ? "srs" :
		    l->mail_from == MAIL_FROM_TOKEN ? "token" : "keep");
	d->put(d->arg, "\n");
}

/* A table is a map, wherever it came from: its lines are what counts. */
static void
put_table(const struct dump *d, const struct config_row *row)
{
	d->put(d->arg, d->indent);
	d->put(d->arg, row->name);
	d->put(d->arg, ":\n");
}

static void
put_key(const struct dump *d, struct bytes key)
{
	d->put(d->arg, d->indent);
	d->put(d->arg, "  ");
	put_quoted(d, key);
	d->put(d->arg, ": ");
}

static void
put_targets(const struct dump *d, const struct config_alias *row)
{
	d->put(d->arg, row->n_targets == 1 ? "" : "[");
	for (uint32_t k = 0; k < row->n_targets; k++) {
		d->put(d->arg, k == 0 ? "" : ", ");
		put_quoted(d, row->targets[k]);
	}
	d->put(d->arg, row->n_targets == 1 ? "" : "]");
}

static void
dump_marks(const struct dump *d, const struct config_row *row,
    const struct config_listener *l)
{
	put_name(d, row);
	if (l->recipient_delimiter[0] == '\0')
		d->put(d->arg, "none");
	else
		put_quoted(d, bytes_of(l->recipient_delimiter));
	d->put(d->arg, "\n");
}

static void
dump_aliases(const struct dump *d, const struct config_row *row,
    const struct config_listener *l)
{
	if (!l->has_aliases) {
		put_absent(d, row, row->doc);
		return;
	}
	put_table(d, row);
	for (size_t k = 0; k < l->aliases.n; k++) {
		put_key(d, l->aliases.rows[k].address);
		put_targets(d, &l->aliases.rows[k]);
		d->put(d->arg, "\n");
	}
}

static void
dump_routes(const struct dump *d, const struct config_row *row,
    const struct config_routes *t)
{
	if (t->n == 0) {
		put_absent(d, row, row->doc);
		return;
	}
	put_table(d, row);
	for (size_t k = 0; k < t->n; k++) {
		put_key(d, t->rows[k].domain);
		put_hop(d, &t->rows[k].hop);
		d->put(d->arg, "\n");
	}
}

static void
dump_row(const struct dump *d, const struct config_row *row, const void *base,
    bool is_said)
{
	const void *place = (const uint8_t *)base + row->at;

	switch (row->kind) {
	case K_NAME:
	case K_ID:
	case K_PEER:
	case K_STORE:
	case K_USER:
	case K_PATH:
		dump_text(d, row, place, is_said);
		return;
	case K_UINT32:
	case K_SIZE:
	case K_SECONDS:
	case K_MILLIS:
		dump_number(d, row, place);
		return;
	case K_WORD:
		dump_word(d, row, place);
		return;
	case K_FLAGS:
		dump_flags(d, row, place, is_said);
		return;
	case K_ADDRS:
	case K_RESOLVERS:
	case K_NETS:
	case K_DOMAINS:
	case K_HOSTS:
		dump_list(d, row, place, is_said);
		return;
	case K_NEXT_HOP:
		dump_next_hop(d, row, place);
		return;
	case K_MAIL_FROM:
		dump_mail_from(d, row, base);
		return;
	case K_ALIASES:
		dump_aliases(d, row, base);
		return;
	case K_MARKS:
		dump_marks(d, row, base);
		return;
	case K_ROUTES:
		dump_routes(d, row, place);
		return;
	case K_POLICY:
		dump_policy(d, row, base);
		return;
	case K_TLS:
		dump_tls(d, row, base);
		return;
	case K_KEPT:
		dump_kept(d, row, place);
		return;
	case K_UNBUILT:
		if (row->fallback != NULL)
			dump_word(d, row, NULL);
		return;
	case K_LISTENERS:
	case K__N:
		return;
	}
}

void
config_dump(const struct config *c, void (*put)(void *, const char *),
    void *arg)
{
	struct dump d = {put, arg, ""};
	const struct config_row *row;

	for (size_t k = 0; k < config_n_rows; k++) {
		row = &config_rows[k];
		if (row->scope == SCOPE_TOP)
			dump_row(&d, row, c, row->kind == K_USER ?
			    c->has_user : row->kind != K_RESOLVERS);
	}
	put(arg, "listeners:\n");
	d.indent = "    ";
	for (size_t no = 0; no < c->n_listeners; no++) {
		const struct config_listener *l = &c->listeners[no];

		put(arg, "  ");
		put(arg, l->name);
		put(arg, ":\n");
		for (size_t k = 0; k < config_n_rows; k++) {
			row = &config_rows[k];
			if (row->scope == SCOPE_LISTENER)
				dump_row(&d, row, l, row->at !=
				    offsetof(struct config_listener,
				    senders) || l->has_senders);
		}
	}
}
