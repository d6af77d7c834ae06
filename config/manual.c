#include "config/manual.h"

#include "config/role.h"
#include "config/schema.h"
#include "config/value.h"

#define LINE_MAX_OCTETS 512U

struct out {
	config_manual_put *put;
	void *arg;
};

/* What a value is, and one where the row has no default. */
static const struct {
	const char *value;
	const char *example;	/* NULL: the directive's own name */
} kinds[K__N] = {
	[K_NAME] = {"name", "mail.example.org"},
	[K_ID] = {"name", "mail.example.org"},
	[K_USER] = {"user", "hopseal"},
	[K_PATH] = {"path", NULL},
	[K_UINT32] = {"number", "1"},
	[K_SIZE] = {"size", "1M"},
	[K_SECONDS] = {"time", "1m"},
	[K_MILLIS] = {"time", "1s"},
	[K_WORD] = {NULL, NULL},
	[K_FLAGS] = {NULL, NULL},
	[K_ADDRS] = {"address, ...", "[\"127.0.0.1:2525\"]"},
	[K_RESOLVERS] = {"address, ...", "[127.0.0.1]"},
	[K_NETS] = {"network, ...", "[192.0.2.0/24]"},
	[K_DOMAINS] = {"domain, ...", "[example.org]"},
	[K_NEXT_HOP] = {"next-hop", "\"smtp://127.0.0.1:25\""},
	[K_MAIL_FROM] = {"keep | srs | token | address", "keep"},
	[K_ALIASES] = {"table", "{post@example.org: admin@example.net}"},
	[K_MARKS] = {"characters", "none"},
	[K_ROUTES] = {"table", "{example.net: \"smtp://192.0.2.1:25\"}"},
	[K_HOSTS] = {"host, ...", "[127.0.0.1]"},
	[K_POLICY] = {"rule, ...",
	    "[{condition: never-left, action: refuse}]"},
	[K_TLS] = {"none | pair, ...", "none"},
	[K_KEPT] = {"{age: time, size: size}", "{age: 7d, size: 256M}"},
	[K_PEER] = {"listener", "in"},
	[K_STORE] = {"redis://address:port | unix:path",
	    "\"redis://127.0.0.1:6379\""},
	[K_LISTENERS] = {"map", NULL},
	[K_UNBUILT] = {"word", NULL},
};

/* What the sample says behind `listeners:`. */
static const char listener_text[] =
    "listeners:\n"
    "  in:\n"
    "    role: inbound\n"
    "    listen: [\"127.0.0.1:2525\"]\n"
    "    domains: [example.org]\n"
    "    next-hop: \"smtp://127.0.0.1:25\"\n";

static void
put(const struct out *o, const char *text)
{
	o->put(o->arg, text);
}

static void
put_buf(const struct out *o, struct buf *b)
{
	buf_add_octet(b, '\0');
	put(o, (const char *)b->p);
}

/* The sentence, as one begins and ends it. */
static void
add_sentence(struct buf *b, const char *doc)
{
	size_t word = strcspn(doc, " ,;:");
	/* not file:PATH */
	bool is_small = doc[0] >= 'a' && doc[0] <= 'z' && doc[word] != ':';

	buf_add_octet(b, (uint8_t)(is_small ? doc[0] - 'a' + 'A' : doc[0]));
	buf_add_str(b, doc + 1);
	buf_add_octet(b, '.');
}

/* ---- bounds -------------------------------------------------------------- */

static void
add_bound(struct buf *b, const struct config_row *row, uint64_t n)
{
	if (row->kind == K_SIZE || row->kind == K_KEPT)
		config_value_put_size(b, n);
	else if (row->kind == K_SECONDS || row->kind == K_MILLIS)
		config_value_put_time(b, n);
	else
		buf_add_number(b, n);
}

/* "1 to 64"; nothing where the kind alone bounds it. */
static void
add_bounds(struct buf *b, const struct config_row *row)
{
	if (row->max == 0)
		return;
	buf_add_str(b, row->kind == K_KEPT ? "Size " : "");
	if (row->min == 0 && row->kind != K_UINT32) {
		buf_add_str(b, "At most ");
	} else {
		add_bound(b, row, row->min);
		buf_add_str(b, " to ");
	}
	add_bound(b, row, row->max);
	if (row->kind == K_MARKS)
		buf_add_str(b, " characters");
	else if (row->kind == K_FLAGS || row->kind == K_ADDRS ||
	    row->kind == K_RESOLVERS || row->kind == K_NETS ||
	    row->kind == K_DOMAINS || row->kind == K_HOSTS ||
	    row->kind == K_POLICY || row->kind == K_LISTENERS ||
	    row->kind == K_TLS)
		buf_add_str(b, " of them");
}

/* The roles of a directive that are asked for: "egress and forward". */
static unsigned
add_roles(struct buf *b, const struct config_row *row, bool is_refused)
{
	const char *names[ROLE__N];
	unsigned n = 0;

	for (unsigned role = 0; role < ROLE__N; role++)
		if ((config_role_refuses(role, row) != NULL) == is_refused)
			names[n++] = config_role_name(role);
	for (unsigned k = 0; k < n; k++) {
		buf_add_str(b, k == 0 ? "" : k + 1 == n ? " and " : ", ");
		buf_add_str(b, names[k]);
	}
	return n;
}

/* ---- the sample ---------------------------------------------------------- */

static void
add_example(struct buf *b, const struct config_row *row)
{
	const char *example = kinds[row->kind].example;
	char words[LINE_MAX_OCTETS];
	struct buf w = BUF_ON(words);

	if (row->fallback != NULL) {
		/* what YAML would read as something else than a text */
		buf_add_str(b, row->kind == K_MARKS ? "\"" : "");
		buf_add_str(b, row->fallback);
		buf_add_str(b, row->kind == K_MARKS ? "\"" : "");
	} else if (row->kind == K_WORD || row->kind == K_FLAGS) {
		config_word_list(row, &w);
		buf_add_octet(&w, '\0');
		buf_add(b, bytes_first(bytes_of(words),
		    strcspn(words, ", ")));
	} else {
		buf_add_str(b, example == NULL ? row->name : example);
	}
}

/* What a role says in place of the default, for taking the # away undoes it. */
static void
sample_presets(const struct out *o, const struct config_row *row)
{
	char text[LINE_MAX_OCTETS];

	for (unsigned role = 0; role < ROLE__N; role++) {
		const char *preset = config_role_preset(role, row);
		struct buf b = BUF_ON(text);

		if (preset == NULL)
			continue;
		buf_add_str(&b, "# role ");
		buf_add_str(&b, config_role_name(role));
		buf_add_str(&b, " says ");
		buf_add_str(&b, preset);
		buf_add_octet(&b, '\n');
		put_buf(o, &b);
	}
}

static void
sample_row(const struct out *o, const struct config_row *row)
{
	char text[LINE_MAX_OCTETS];
	struct buf b = BUF_ON(text);
	size_t start;

	buf_add_str(&b, "\n# ");
	add_sentence(&b, row->doc);
	buf_add_str(&b, "\n");
	start = b.n;
	buf_add_str(&b, "# ");
	if (row->kind == K_WORD || row->kind == K_FLAGS)
		config_word_list(row, &b);
	else
		add_bounds(&b, row);
	if (b.n == start + 2)
		b.n = start;
	else
		buf_add_str(&b, "\n");
	put_buf(o, &b);
	if (row->kind == K_LISTENERS) {
		put(o, listener_text);
		return;
	}
	sample_presets(o, row);
	b = BUF_ON(text);
	buf_add_str(&b, row->kind == K_NAME ? "" : "#");
	buf_add_str(&b, row->name);
	buf_add_str(&b, ": ");
	add_example(&b, row);
	buf_add_octet(&b, '\n');
	put_buf(o, &b);
}

static void
sample_rows(const struct out *o, enum config_scope scope)
{
	for (size_t k = 0; k < config_n_rows; k++) {
		const struct config_row *row = &config_rows[k];

		if (row->scope == scope && row->kind != K_UNBUILT &&
		    row->kind != K_LISTENERS)
			sample_row(o, row);
	}
}

void
config_manual_sample(config_manual_put *to, void *arg)
{
	const struct out o = {to, arg};

	put(&o, "# hopseald: a sample with every directive; hopseal.yaml(5) "
	    "has more words.\n"
	    "# Behind # with a space stands a comment; behind # without one a "
	    "directive:\n"
	    "# its default, or an example where it has none.\n"
	    "# Relative paths begin at the folder of this file.\n");
	sample_rows(&o, SCOPE_TOP);
	put(&o, "\n# What follows may stand in a listener, too: here it is "
	    "for all whose role has\n# a use for it.\n");
	sample_rows(&o, SCOPE_LISTENER);
	sample_row(&o, config_row_find(BYTES_LIT("listeners")));
}

/* ---- the manual ---------------------------------------------------------- */

/* What roff would take for its own. */
static void
add_roff(struct buf *b, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\')
			buf_add_str(b, "\\e");
		else if (*text == '"')
			buf_add_str(b, "\\(dq");
		else
			buf_add_octet(b, (uint8_t)*text);
	}
}

static void
mdoc_head(const struct out *o, const struct config_row *row)
{
	char text[LINE_MAX_OCTETS], words[LINE_MAX_OCTETS];
	struct buf b = BUF_ON(text), w = BUF_ON(words);

	buf_add_str(&b, ".It Ic ");
	buf_add_str(&b, row->name);
	if (kinds[row->kind].value != NULL) {
		buf_add_str(&b, " : Ar \"");
		add_roff(&b, kinds[row->kind].value);
		buf_add_str(&b, "\"\n");
	} else {
		config_word_list(row, &w);
		buf_add_octet(&w, '\0');
		buf_add_str(&b, " : Cm \"");
		add_roff(&b, words);
		buf_add_str(&b, "\"\n");
	}
	put_buf(o, &b);
}

/* What a role says in place of the default. */
static void
mdoc_presets(const struct out *o, const struct config_row *row)
{
	char text[LINE_MAX_OCTETS];

	for (unsigned role = 0; role < ROLE__N; role++) {
		const char *preset = config_role_preset(role, row);
		struct buf b = BUF_ON(text);

		if (preset == NULL)
			continue;
		buf_add_str(&b, "Role\n.Cm ");
		buf_add_str(&b, config_role_name(role));
		buf_add_str(&b, "\nsays\n.Cm ");
		buf_add_str(&b, preset);
		buf_add_str(&b, " .\n");
		put_buf(o, &b);
	}
}

static void
mdoc_row(const struct out *o, const struct config_row *row)
{
	char text[LINE_MAX_OCTETS], roles[LINE_MAX_OCTETS];
	struct buf b = BUF_ON(text), r = BUF_ON(roles);
	char sentence[LINE_MAX_OCTETS];
	struct buf s = BUF_ON(sentence);

	mdoc_head(o, row);
	add_sentence(&s, row->doc);
	buf_add_octet(&s, '\0');
	add_roff(&b, sentence);
	buf_add_octet(&b, '\n');
	add_bounds(&b, row);
	buf_add_str(&b, row->max == 0 ? "" : ".\n");
	if (row->fallback != NULL) {
		buf_add_str(&b, "Default:\n.Li \"");
		add_roff(&b, row->fallback);
		buf_add_str(&b, "\" .\n");
	}
	put_buf(o, &b);
	if (row->scope != SCOPE_LISTENER)
		return;
	mdoc_presets(o, row);
	if (add_roles(&r, row, true) != 0) {
		put(o, "Not for role ");
		buf_add_str(&r, ".\n");
		put_buf(o, &r);
	}
}

static void
mdoc_rows(const struct out *o, enum config_scope scope, bool is_built)
{
	put(o, ".Bl -tag -width indent\n");
	for (size_t k = 0; k < config_n_rows; k++) {
		const struct config_row *row = &config_rows[k];

		if (is_built ? row->scope == scope && row->kind != K_UNBUILT :
		    row->kind == K_UNBUILT)
			mdoc_row(o, row);
	}
	put(o, ".El\n");
}

static bool
has_unbuilt(void)
{
	for (size_t k = 0; k < config_n_rows; k++)
		if (config_rows[k].kind == K_UNBUILT)
			return true;
	return false;
}

void
config_manual_mdoc(config_manual_put *to, void *arg)
{
	const struct out o = {to, arg};

	put(&o, ".Ss For all of hopseald\n");
	mdoc_rows(&o, SCOPE_TOP, true);
	put(&o, ".Ss For a listener\n"
	    "At the top level they are for all listeners whose role has a use "
	    "for them.\n");
	mdoc_rows(&o, SCOPE_LISTENER, true);
	if (!has_unbuilt())
		return;
	put(&o, ".Ss Not built yet\n"
	    "Known by name, and refused.\n");
	mdoc_rows(&o, SCOPE_LISTENER, false);
}
