#include "config/set.h"

#include <assert.h>

#include "base/ascii.h"
#include "config/set_kept.h"
#include "config/set_policy.h"
#include "config/set_tls.h"
#include "config/store.h"
#include "config/value.h"

/* One directive on its way from the file into its place. */
struct setting {
	struct load *l;
	const struct config_row *row;
	const struct config_node *value;
	void *base;
};

static void *
place(const struct setting *s)
{
	return (uint8_t *)s->base + s->row->at;
}

/* "NAME: `VALUE` WHY" */
static void
complain_of(const struct setting *s, const struct config_node *node,
    const char *why)
{
	config_fault_add(&s->l->faults, node->at, "%s: `%s` %s", s->row->name,
	    config_fault_show(&s->l->faults, node->text), why);
}

static bool
full(const struct setting *s)
{
	s->l->faults.is_full = true;
	return false;
}

/* Whether a value is one text, which most directives take. */
static bool
is_text(const struct setting *s)
{
	const struct config_node *v = s->value;

	if (v->kind == NODE_TEXT && v->text.n != 0)
		return true;
	if (v->kind == NODE_TEXT)
		config_fault_add(&s->l->faults, v->at,
		    "%s: has no value; write one or remove it", s->row->name);
	else if (v->kind != NODE_BROKEN)
		config_fault_add(&s->l->faults, v->at,
		    "%s: takes one value, no %s", s->row->name,
		    v->kind == NODE_LIST ? "list" : "map");
	return false;
}

/* Keeps a copy of the text, NUL behind it, where the directive stands. */
static bool
keep_text(const struct setting *s, struct bytes text)
{
	struct bytes copy = arena_copy(s->l->config->arena, text);

	if (copy.p == NULL)
		return full(s);
	memcpy(place(s), &copy.p, sizeof(copy.p));
	return true;
}

static bool
set_name(const struct setting *s)
{
	const char *why;

	if (!is_text(s))
		return false;
	why = config_value_name(s->value->text);
	if (why != NULL) {
		complain_of(s, s->value, why);
		return false;
	}
	return keep_text(s, s->value->text);
}

/* Source RFC 8601 2.2 (authserv-id is a value), RFC 2045 5.1 (token) */
static bool
set_id(const struct setting *s)
{
	static const char specials[] = "()<>@,;:\\\"/[]?=";
	struct bytes text = s->value->text;

	if (!is_text(s))
		return false;
	for (size_t k = 0; k < text.n; k++)
		if (!ascii_is_graph(text.p[k]) || text.n > 255 ||
		    strchr(specials, text.p[k]) != NULL) {
			complain_of(s, s->value, "is no authserv-id; write "
			    "a name such as mx.example.org");
			return false;
		}
	return keep_text(s, text);
}

static bool
set_user(const struct setting *s)
{
	struct bytes text = s->value->text;
	bool is_good = text.n <= 32;

	if (!is_text(s))
		return false;
	for (size_t k = 0; k < text.n; k++)
		is_good &= ascii_is_alpha(text.p[k]) || text.p[k] == '_' ||
		    (k != 0 && (ascii_is_digit(text.p[k]) ||
		    text.p[k] == '-'));
	if (!is_good) {
		complain_of(s, s->value, "is no user name; write one of the "
		    "system's, such as hopseal");
		return false;
	}
	return keep_text(s, text);
}

static bool
set_path(const struct setting *s)
{
	const char *folder = s->l->config->folder;
	struct bytes text = s->value->text;
	struct buf out;

	if (!is_text(s))
		return false;
	if (text.p[0] == '/')
		return keep_text(s, text);
	if (arena_buf(s->l->scratch, strlen(folder) + 1 + text.n, &out) != 0)
		return full(s);
	buf_add_str(&out, folder);
	if (!bytes_ends(buf_bytes(&out), BYTES_LIT("/")))
		buf_add_octet(&out, '/');
	buf_add(&out, text);
	return keep_text(s, buf_bytes(&out));
}

static bool
keep_number(const struct setting *s, uint64_t v)
{
	uint32_t narrow = (uint32_t)v;

	if (s->row->size == sizeof(v)) {
		memcpy(place(s), &v, sizeof(v));
		return true;
	}
	assert(s->row->size == sizeof(narrow) && narrow == v);
	memcpy(place(s), &narrow, sizeof(narrow));
	return true;
}

static bool
is_in_range(const struct setting *s, uint64_t v,
    void (*put)(struct buf *, uint64_t))
{
	char text[128];
	struct buf out = BUF_ON(text);

	if (v >= s->row->min && v <= s->row->max)
		return true;
	buf_add_str(&out, "is out of range; write ");
	put(&out, s->row->min);
	buf_add_str(&out, " to ");
	put(&out, s->row->max);
	buf_add_octet(&out, '\0');
	complain_of(s, s->value, text);
	return false;
}

static bool
set_uint32(const struct setting *s)
{
	uint64_t v;

	if (!is_text(s))
		return false;
	if (!bytes_number(s->value->text, UINT64_MAX, &v)) {
		complain_of(s, s->value, "is no number; write digits alone");
		return false;
	}
	return is_in_range(s, v, buf_add_number) && keep_number(s, v);
}

static bool
set_size(const struct setting *s)
{
	const char *why;
	uint64_t v;

	if (!is_text(s))
		return false;
	why = config_value_size(s->value->text, &v);
	if (why != NULL) {
		complain_of(s, s->value, why);
		return false;
	}
	return is_in_range(s, v, config_value_put_size) && keep_number(s, v);
}

static bool
set_time(const struct setting *s)
{
	uint64_t unit = s->row->kind == K_SECONDS ? 1000 : 1;
	const char *why;
	uint64_t ms;

	if (!is_text(s))
		return false;
	why = config_value_time(s->value->text, &ms);
	if (why == NULL && ms % unit != 0)
		why = "is no whole number of seconds; write one";
	if (why != NULL) {
		complain_of(s, s->value, why);
		return false;
	}
	return is_in_range(s, ms, config_value_put_time) &&
	    keep_number(s, ms / unit);
}

static bool
set_word(const struct setting *s)
{
	const struct config_word *word;
	const char *near;
	char text[192];
	struct buf out = BUF_ON(text);

	if (!is_text(s))
		return false;
	word = config_word_find(s->row, s->value->text);
	if (word != NULL && word->is_built) {
		if (s->row->size != 0)
			memcpy(place(s), &word->value, sizeof(word->value));
		return true;
	}
	if (word != NULL) {
		config_word_list(s->row, &out);
		buf_add_octet(&out, '\0');
		config_fault_add_unbuilt(&s->l->faults, s->value->at,
		    s->row->name, word->word, text);
		return false;
	}
	buf_add_str(&out, "is none of ");
	config_word_list(s->row, &out);
	near = config_word_near(s->row, s->value->text);
	if (near != NULL)
		buf_printf(&out, "; did you mean `%s`?", near);
	buf_add_octet(&out, '\0');
	complain_of(s, s->value, text);
	return false;
}

/* Reads one thing of a list. */
typedef const char *item_read(const struct setting *s, struct bytes text,
    void *item);

static const char *
item_addr(const struct setting *s, struct bytes text, void *item)
{
	(void)s;
	return config_value_addr(text, 0, item);
}

static const char *
item_resolver(const struct setting *s, struct bytes text, void *item)
{
	struct config_addr *addr = item;
	const char *why = config_value_addr(text, 53, addr);

	(void)s;
	if (why == NULL && addr->is_any)
		return "is no address to ask; write that of a resolver";
	return why;
}

static const char *
item_net(const struct setting *s, struct bytes text, void *item)
{
	(void)s;
	return config_value_net(text, item);
}

static const char *
item_domain(const struct setting *s, struct bytes text, void *item)
{
	return config_value_domain(text, s->l->config->arena, item);
}

/* Any of the row's words; their values are bits. */
static const char *
item_flag(const struct setting *s, struct bytes text, void *item)
{
	const struct config_word *word = config_word_find(s->row, text);

	if (word == NULL)
		return "is none of feedback or feedhere";
	*(unsigned *)item |= word->value;
	return NULL;
}

/* Reads the things of a list, or the one thing that stands in its place. */
static bool
items_read(const struct setting *s, item_read *read, size_t size,
    uint8_t *items)
{
	bool is_list = s->value->kind == NODE_LIST;
	const struct config_node *at = is_list ? s->value->first : s->value;
	bool is_good = true;

	for (; at != NULL; at = is_list ? at->next : NULL) {
		struct setting one = {s->l, s->row, at, s->base};
		const char *why;

		if (!is_text(&one)) {
			is_good = false;
			continue;
		}
		why = read(s, at->text, items);
		if (why != NULL) {
			complain_of(s, at, why);
			is_good = false;
		}
		items += size;
	}
	return is_good;
}

static bool
set_list(const struct setting *s, item_read *read, size_t size)
{
	const struct config_node *v = s->value;
	size_t n = v->kind == NODE_LIST ? v->n : 1;
	uint8_t *items;

	if (n < s->row->min || n > s->row->max) {
		config_fault_add(&s->l->faults, v->at,
		    "%s: takes %u to %u values", s->row->name,
		    (unsigned)s->row->min, (unsigned)s->row->max);
		return false;
	}
	items = arena_array(s->l->config->arena, n, size);
	if (items == NULL)
		return full(s);
	if (!items_read(s, read, size, items))
		return false;
	/* Nothing said and an empty list said are the same octets. */
	if (n == 0)
		items = NULL;
	memcpy(place(s), &items, sizeof(items));
	memcpy((uint8_t *)place(s) + sizeof(items), &n, sizeof(n));
	return true;
}

static bool
set_flags(const struct setting *s)
{
	unsigned flags = 0;

	/* each into the same place */
	if (!items_read(s, item_flag, 0, (uint8_t *)&flags))
		return false;
	memcpy(place(s), &flags, sizeof(flags));
	return true;
}

static bool
set_addrs(const struct setting *s)
{
	return set_list(s, item_addr, sizeof(struct config_addr));
}

static bool
set_resolvers(const struct setting *s)
{
	return set_list(s, item_resolver, sizeof(struct config_addr));
}

static bool
set_nets(const struct setting *s)
{
	return set_list(s, item_net, sizeof(struct config_net));
}

static bool
set_domains(const struct setting *s)
{
	return set_list(s, item_domain, sizeof(struct bytes));
}

static const char *
item_host(const struct setting *s, struct bytes text, void *item)
{
	uint8_t ip[16];

	if (!config_value_ip(text, ip))
		return item_domain(s, text, item);
	*(struct bytes *)item = arena_copy(s->l->config->arena, text);
	s->l->faults.is_full |= ((struct bytes *)item)->p == NULL;
	return NULL;
}

static bool
set_hosts(const struct setting *s)
{
	return set_list(s, item_host, sizeof(struct bytes));
}

static bool
set_policy(const struct setting *s)
{
	const struct config_policy *rules;
	size_t n;

	if (!config_set_policy(s->l, s->row, s->value, &rules, &n))
		return false;
	memcpy(place(s), &rules, sizeof(rules));
	memcpy((uint8_t *)place(s) + sizeof(rules), &n, sizeof(n));
	return true;
}

static bool
set_next_hop(const struct setting *s)
{
	struct config_next_hop hop;
	const char *why;

	if (s->value->kind == NODE_MAP ||
	    bytes_starts(s->value->text, BYTES_LIT("file:"))) {
		config_fault_add(&s->l->faults, s->value->at, "next-hop: "
		    "takes one way; write a table behind `routes`");
		return false;
	}
	if (!is_text(s))
		return false;
	why = config_value_next_hop(s->value->text, s->l->config->arena, &hop);
	if (why != NULL) {
		complain_of(s, s->value, why);
		return false;
	}
	memcpy(place(s), &hop, sizeof(hop));
	return true;
}

/* LOCAL@DOMAIN, with the domain in lower case. */
static bool
mail_from_copy(const struct setting *s, struct bytes *address)
{
	struct bytes local, domain;
	const char *why = config_value_address(s->value->text, &local, &domain);
	struct buf out;

	if (why != NULL) {
		complain_of(s, s->value, why);
		return false;
	}
	if (arena_buf(s->l->config->arena, s->value->text.n + 1, &out) != 0)
		return full(s);
	buf_add(&out, local);
	buf_add_octet(&out, '@');
	for (size_t k = 0; k < domain.n; k++)
		buf_add_octet(&out, ascii_lower(domain.p[k]));
	*address = buf_bytes(&out);
	return true;
}

static bool
set_mail_from(const struct setting *s)
{
	static const struct {
		const char *word;
		enum config_mail_from way;
	} ways[] = {
		{"keep", MAIL_FROM_KEEP},
		{"srs", MAIL_FROM_SRS},
		{"token", MAIL_FROM_TOKEN},
	};
	struct config_listener *listener = s->base;
	struct bytes text = s->value->text;

	if (!is_text(s))
		return false;
	for (size_t k = 0; k < sizeof(ways) / sizeof(ways[0]); k++)
		if (bytes_eq(text, bytes_of(ways[k].word))) {
			listener->mail_from = ways[k].way;
			return true;
		}
	if (bytes_index(text, '@') == text.n) {
		complain_of(s, s->value,
		    "is none of keep, srs, token or LOCAL@DOMAIN");
		return false;
	}
	if (!mail_from_copy(s, &listener->mail_from_address))
		return false;
	listener->mail_from = MAIL_FROM_FIXED;
	return true;
}

/* Which one it is, pair.c looks when all listeners are read. */
static bool
set_peer(const struct setting *s)
{
	return is_text(s) && keep_text(s, s->value->text);
}

/* A text that config_store_read() takes. */
static bool
set_store(const struct setting *s)
{
	struct config_store store;
	const char *why;

	if (!is_text(s))
		return false;
	if (config_store_is_secret(s->value->text)) {
		config_fault_add(&s->l->faults, s->value->at, "%s: has a name "
		    "or password in it; write them into a file, and "
		    "store-password: FILE", s->row->name);
		return false;
	}
	why = config_store_read(s->value->text, &store);
	if (why != NULL) {
		complain_of(s, s->value, why);
		return false;
	}
	return keep_text(s, s->value->text);
}

/* Only the shape: tables.c reads it when all else is known. */
static bool
is_table(const struct setting *s, const char *why)
{
	struct bytes text = s->value->text;

	if (s->value->kind == NODE_MAP)
		return true;
	if (!is_text(s))
		return false;
	if (!bytes_starts(text, BYTES_LIT("file:")) ||
	    text.n == strlen("file:")) {
		complain_of(s, s->value, why);
		return false;
	}
	return true;
}

static bool
set_aliases(const struct setting *s)
{
	return is_table(s, "is no table; write file:PATH or a map of "
	    "ADDRESS: TARGET");
}

/* Source RFC 5322 3.2.3 (atext), RFC 5233 1 (user+detail) */
static bool
set_marks(const struct setting *s)
{
	static const char marks[] = "!#$%&'*+-/=?^_`{|}~.";
	struct bytes text = s->value->text;

	if (!is_text(s))
		return false;
	if (bytes_eq(text, BYTES_LIT("none")))
		text.n = 0;
	for (size_t k = 0; k < text.n; k++)
		if (text.n > s->row->max || text.p[k] == '\0' ||
		    strchr(marks, text.p[k]) == NULL) {
			complain_of(s, s->value, "is no delimiter; write 1 to "
			    "8 of !#$%&'*+-/=?^_`{|}~. or none");
			return false;
		}
	memset(place(s), 0, s->row->size);
	memcpy(place(s), text.p, text.n);
	return true;
}

static bool
set_routes(const struct setting *s)
{
	return is_table(s, "is no table; write file:PATH or a map of "
	    "DOMAIN: NEXT-HOP");
}

static bool
set_tls(const struct setting *s)
{
	const struct config_tls *pairs;
	size_t n;

	if (!config_set_tls(s->l, s->row, s->value, &pairs, &n))
		return false;
	memcpy(place(s), &pairs, sizeof(pairs));
	memcpy((uint8_t *)place(s) + sizeof(pairs), &n, sizeof(n));
	return true;
}

static bool
set_kept(const struct setting *s)
{
	struct config_kept kept = {.size = 0};

	if (!config_set_kept(s->l, s->row, s->value, &kept))
		return false;
	memcpy(place(s), &kept, sizeof(kept));
	return true;
}

/* Set by the loader, which walks through them. */
static bool
set_listeners(const struct setting *s)
{
	(void)s;
	return true;
}

static bool
set_unbuilt(const struct setting *s)
{
	const struct config_node *v = s->value;

	if (v->kind == NODE_BROKEN)
		return false;
	if (s->row->fallback != NULL && v->kind == NODE_TEXT &&
	    bytes_eq(v->text, bytes_of(s->row->fallback)))
		return true;
	if (s->row->fallback != NULL && v->kind == NODE_TEXT && v->text.n != 0)
		config_fault_add_unbuilt(&s->l->faults, v->at, s->row->name,
		    config_fault_show(&s->l->faults, v->text),
		    s->row->fallback);
	else
		config_fault_add_unbuilt(&s->l->faults, v->key->at,
		    s->row->name, NULL, NULL);
	return false;
}

typedef bool setter(const struct setting *s);

static setter *const setters[K__N] = {
	[K_NAME] = set_name,
	[K_ID] = set_id,
	[K_USER] = set_user,
	[K_PATH] = set_path,
	[K_UINT32] = set_uint32,
	[K_SIZE] = set_size,
	[K_SECONDS] = set_time,
	[K_MILLIS] = set_time,
	[K_WORD] = set_word,
	[K_FLAGS] = set_flags,
	[K_ADDRS] = set_addrs,
	[K_RESOLVERS] = set_resolvers,
	[K_NETS] = set_nets,
	[K_DOMAINS] = set_domains,
	[K_NEXT_HOP] = set_next_hop,
	[K_MAIL_FROM] = set_mail_from,
	[K_ALIASES] = set_aliases,
	[K_MARKS] = set_marks,
	[K_ROUTES] = set_routes,
	[K_HOSTS] = set_hosts,
	[K_POLICY] = set_policy,
	[K_TLS] = set_tls,
	[K_KEPT] = set_kept,
	[K_PEER] = set_peer,
	[K_STORE] = set_store,
	[K_LISTENERS] = set_listeners,
	[K_UNBUILT] = set_unbuilt,
};

bool
config_set(struct load *l, const struct config_row *row,
    const struct config_node *value, void *base)
{
	struct setting s = {l, row, value, base};

	return setters[row->kind](&s);
}

void
config_set_text(struct load *l, const struct config_row *row,
    const char *text, void *base)
{
	struct config_node value = {.kind = NODE_TEXT, .text = bytes_of(text)};
	size_t n = l->faults.n;
	bool is_good = config_set(l, row, &value, base);

	assert(l->faults.n == n && (is_good || l->faults.is_full));
}

void
config_set_copy(const struct config_row *row, void *to, const void *from)
{
	memcpy((uint8_t *)to + row->at, (const uint8_t *)from + row->at,
	    row->size);
}

bool
config_set_is_same(const struct config_row *row, const void *a, const void *b)
{
	return memcmp((const uint8_t *)a + row->at,
	    (const uint8_t *)b + row->at, row->size) == 0;
}
