#include "dkim2/dkim1.h"

#include <assert.h>

#include "base/b64.h"
#include "base/err.h"
#include "dkim2/crypto.h"
#include "dkim2/dkim1_field.h"
#include "dkim2/draft.h"
#include "dkim2/fold.h"
#include "dkim2/taglist.h"

#define SHA256 32U
#define NAMES_MAX 128U		/* of h=; 22 octets each at most */
#define NAMES_ROOM (NAMES_MAX * 22)

/* How often a field is named in h=, besides once for each that is there. */
enum more {
	MORE_ALWAYS,	/* once more: none can be put beside it */
	MORE_THERE,	/* once more where there is one: a later hop may have
			 * to add what is missing */
	MORE_NEVER,	/* lists and forwarders put theirs beside it */
};

/* RFC 6376 5.4.1, and what programs go by when they show a message. */
static const struct {
	const char *name;
	enum more more;
} signed_fields[] = {
	{"From", MORE_ALWAYS},
	{"Reply-To", MORE_ALWAYS},
	{"Subject", MORE_ALWAYS},
	{"To", MORE_ALWAYS},
	{"Cc", MORE_ALWAYS},
	{"Sender", MORE_THERE},
	{"Date", MORE_THERE},
	{"Message-ID", MORE_THERE},
	{"In-Reply-To", MORE_THERE},
	{"References", MORE_THERE},
	{"MIME-Version", MORE_THERE},
	{"Content-Type", MORE_THERE},
	{"Content-Transfer-Encoding", MORE_THERE},
	{"Content-ID", MORE_NEVER},
	{"Content-Description", MORE_NEVER},
	{"Auto-Submitted", MORE_NEVER},
	{"Resent-Date", MORE_NEVER},
	{"Resent-From", MORE_NEVER},
	{"Resent-Sender", MORE_NEVER},
	{"Resent-To", MORE_NEVER},
	{"Resent-Cc", MORE_NEVER},
	{"Resent-Message-ID", MORE_NEVER},
	{"List-Id", MORE_NEVER},
	{"List-Help", MORE_NEVER},
	{"List-Unsubscribe", MORE_NEVER},
	{"List-Unsubscribe-Post", MORE_NEVER},
	{"List-Subscribe", MORE_NEVER},
	{"List-Post", MORE_NEVER},
	{"List-Owner", MORE_NEVER},
	{"List-Archive", MORE_NEVER},
};

#define N_SIGNED (sizeof(signed_fields) / sizeof(signed_fields[0]))

/* The field of one key, as far as it is written. */
struct entry {
	struct buf out;
	struct fold fold;
	uint8_t digest[SHA256];
	bool is_answered;
};

struct dkim1_sign {
	struct arena *a;
	const struct dkim2_message *m;
	struct dkim1_sign_options opts;
	struct bytes names;	/* h= */
	struct dkim1_body body;
	struct dkim2_hasher hasher;
	struct entry entries[DKIM1_KEYS_MAX];
	bool is_ended;
	struct buf fields;
};

static bool
options_are_good(const struct dkim1_sign_options *o)
{
	if (o->n_keys == 0 || o->n_keys > DKIM1_KEYS_MAX ||
	    o->timestamp_s < 0 || !taglist_is_domain(o->domain, 2) ||
	    (o->expires_s != 0 && o->expires_s <= o->timestamp_s))
		return false;
	for (size_t k = 0; k < o->n_keys; k++) {
		struct bytes selector = o->keys[k].selector;

		if (o->keys[k].algorithm >= DKIM2_ALGORITHM__N ||
		    !taglist_is_domain(selector, 1) || selector.n +
		    strlen(DRAFT_KEY_LABEL) + o->domain.n > DRAFT_DOMAIN_MAX)
			return false;
	}
	return true;
}

/* Writes the names; false where there would be too many. */
static bool
choose_names(const struct dkim2_message *m, struct buf *names)
{
	size_t n_names = 0;

	for (size_t k = 0; k < N_SIGNED; k++) {
		struct bytes name = bytes_of(signed_fields[k].name);
		const struct dkim2_field *top;
		size_t n = dkim2_message_find(m, name, &top);

		if (signed_fields[k].more == MORE_ALWAYS ||
		    (signed_fields[k].more == MORE_THERE && n != 0))
			n++;
		n_names += n;
		if (n_names > NAMES_MAX)
			return false;
		for (; n != 0; n--) {
			if (names->n != 0)
				buf_add_octet(names, ':');
			buf_add(names, name);
		}
	}
	return true;
}

static enum dkim1_refusal
refusal(const struct dkim2_message *m, const struct dkim1_sign_options *opts,
    struct buf *names)
{
	const struct dkim2_field *from;

	if (!options_are_good(opts))
		return DKIM1_REFUSE_OPTIONS;
	if (dkim2_message_find(m, BYTES_LIT("From"), &from) != 1)
		return DKIM1_REFUSE_FROM;
	return choose_names(m, names) ? DKIM1_MAY_SIGN : DKIM1_REFUSE_FIELDS;
}

/* More than a field needs with its folds, each of 3 octets in 46 or more. */
static size_t
room_of_field(const struct dkim1_sign *s, size_t k)
{
	size_t n = 512 + s->names.n + s->opts.domain.n +
	    s->opts.keys[k].selector.n + B64_LEN(SHA256) +
	    B64_LEN(DKIM2_SIGNATURE_MAX);

	return n + n / 4;
}

static int
make_room(struct dkim1_sign *s)
{
	size_t all = 0;

	for (size_t k = 0; k < s->opts.n_keys; k++) {
		size_t n = room_of_field(s, k);

		if (arena_buf(s->a, n, &s->entries[k].out) != 0)
			return -E_NOMEM;
		all += n;
	}
	return arena_buf(s->a, all, &s->fields);
}

int
dkim1_sign_new(struct dkim1_sign **to, struct arena *a,
    const struct dkim2_message *m, const struct dkim1_sign_options *opts,
    enum dkim1_refusal *why)
{
	struct dkim1_sign *s = arena_alloc(a, sizeof(*s));
	uint8_t room[NAMES_ROOM];
	struct buf names = BUF_ON(room);
	int r;

	*to = NULL;
	if (s == NULL)
		return -E_NOMEM;
	*why = refusal(m, opts, &names);
	if (*why != DKIM1_MAY_SIGN)
		return 0;
	assert(!names.full);
	s->a = a;
	s->m = m;
	s->opts = *opts;
	s->names = arena_copy(a, buf_bytes(&names));
	if (s->names.p == NULL || make_room(s) != 0)
		return -E_NOMEM;
	r = dkim2_hasher_init(&s->hasher, DKIM2_SHA256);
	if (r != 0)
		return r;
	dkim1_body_init(&s->body, DKIM1_RELAXED, canon_to_hasher, &s->hasher);
	*to = s;
	return 0;
}

void
dkim1_sign_fini(struct dkim1_sign *s)
{
	if (s != NULL)
		dkim2_hasher_fini(&s->hasher);
}

int
dkim1_sign_body(struct dkim1_sign *s, struct bytes octets)
{
	return dkim1_body_add(&s->body, octets);
}

/* Adds "name=value;" or, with a number, "name=123;". */
static void
add_tag(struct fold *f, const char *name, struct bytes value)
{
	uint8_t room[DRAFT_DOMAIN_MAX + 8];
	struct buf word = BUF_ON(room);

	buf_add_str(&word, name);
	buf_add(&word, value);
	buf_add_octet(&word, ';');
	assert(!word.full);
	fold_tag(f, buf_bytes(&word));
}

static void
add_time(struct fold *f, const char *name, int64_t time_s)
{
	uint8_t room[24];
	struct buf number = BUF_ON(room);

	buf_add_number(&number, (uint64_t)time_s);
	add_tag(f, name, buf_bytes(&number));
}

/* Adds h=, which may be broken behind each colon. */
static void
add_names(struct fold *f, struct bytes names)
{
	bool is_first = true;

	while (names.p != NULL) {
		uint8_t room[32];
		struct buf word = BUF_ON(room);

		if (is_first)
			buf_add_str(&word, "h=");
		buf_add(&word, bytes_cut(&names, ':'));
		buf_add_octet(&word, names.p == NULL ? ';' : ':');
		assert(!word.full);
		if (is_first)
			fold_tag(f, buf_bytes(&word));
		else
			fold_word(f, buf_bytes(&word));
		is_first = false;
	}
}

/* Writes the field up to b=, and makes the digest of it with b= empty. */
static int
begin_field(struct dkim1_sign *s, size_t k, struct bytes body_hash)
{
	static const size_t n_name = sizeof(DKIM1_FIELD) - 1;
	const struct dkim2_signing_key *key = &s->opts.keys[k];
	struct entry *e = &s->entries[k];
	struct fold *f = &e->fold;
	struct dkim2_field own;
	struct fold rest;
	size_t n;
	int r;

	fold_begin(f, &e->out, DKIM1_FIELD);
	add_tag(f, "v=", BYTES_LIT("1"));
	add_tag(f, "a=", bytes_of(dkim2_algorithm_name(key->algorithm)));
	add_tag(f, "c=", BYTES_LIT("relaxed/relaxed"));
	add_tag(f, "d=", s->opts.domain);
	add_tag(f, "s=", key->selector);
	add_time(f, "t=", s->opts.timestamp_s);
	if (s->opts.expires_s != 0)
		add_time(f, "x=", s->opts.expires_s);
	add_names(f, s->names);
	fold_base64(f, true, "bh=", body_hash, ';');
	n = e->out.n;
	/* A space here and a fold there are the same, relaxed. */
	rest = *f;
	fold_base64(&rest, true, "b=", (struct bytes){NULL, 0}, ';');
	assert(!e->out.full);
	own.raw = buf_bytes(&e->out);
	own.name = bytes_first(own.raw, n_name);
	own.value = bytes_skip(own.raw, n_name + 1);
	r = dkim1_field_digest(s->m, &own, DKIM1_RELAXED,
	    s->names, s->a, e->digest);
	e->out.n = n;
	return r;
}

int
dkim1_sign_hashed(struct dkim1_sign *s, const uint8_t *digest)
{
	int r = 0;

	for (size_t k = 0; k < s->opts.n_keys && r == 0; k++)
		r = begin_field(s, k, (struct bytes){digest, SHA256});
	s->is_ended = r == 0;
	return r;
}

int
dkim1_sign_end(struct dkim1_sign *s)
{
	uint8_t digest[SHA256];
	int r = dkim1_body_end(&s->body);

	if (r == 0)
		r = dkim2_hasher_end(&s->hasher, digest);
	return r != 0 ? r : dkim1_sign_hashed(s, digest);
}

int
dkim1_body_hash(struct bytes body, uint8_t *digest)
{
	struct dkim2_hasher hasher;
	struct dkim1_body b;
	int r = dkim2_hasher_init(&hasher, DKIM2_SHA256);

	if (r != 0)
		return r;
	dkim1_body_init(&b, DKIM1_RELAXED, canon_to_hasher, &hasher);
	r = dkim1_body_add(&b, body);
	if (r == 0)
		r = dkim1_body_end(&b);
	if (r == 0)
		r = dkim2_hasher_end(&hasher, digest);
	dkim2_hasher_fini(&hasher);
	return r;
}

enum dkim2_step
dkim1_sign_step(const struct dkim1_sign *s)
{
	if (!s->is_ended)
		return DKIM2_MORE;
	return s->fields.n == 0 ? DKIM2_WANT_SIG : DKIM2_DONE;
}

struct bytes
dkim1_sign_want(const struct dkim1_sign *s, size_t k)
{
	assert(k < s->opts.n_keys);
	if (!s->is_ended)
		return (struct bytes){NULL, 0};
	return (struct bytes){s->entries[k].digest, SHA256};
}

int
dkim1_sign_answer(struct dkim1_sign *s, size_t k, struct bytes signature)
{
	struct entry *e;

	assert(s->is_ended && k < s->opts.n_keys);
	e = &s->entries[k];
	if (e->is_answered)
		return 0;
	if (signature.n == 0 || signature.n > DKIM2_SIGNATURE_MAX)
		return -E_LIMIT;
	fold_base64(&e->fold, true, "b=", signature, ';');
	fold_end(&e->fold);
	assert(!e->out.full);
	e->is_answered = true;
	for (k = 0; k < s->opts.n_keys; k++)
		if (!s->entries[k].is_answered)
			return 0;
	for (k = 0; k < s->opts.n_keys; k++)
		buf_add(&s->fields, buf_bytes(&s->entries[k].out));
	return 0;
}

struct bytes
dkim1_sign_fields(const struct dkim1_sign *s)
{
	return buf_bytes(&s->fields);
}
