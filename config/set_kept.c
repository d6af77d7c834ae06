#include "config/set_kept.h"

#include "config/value.h"

#define AGE_MIN_MS (60ULL * 1000)
#define AGE_MAX_MS (30ULL * 24 * 3600 * 1000)

void
config_kept_put(struct buf *b, const struct config_kept *kept)
{
	buf_add_str(b, "{age: ");
	config_value_put_time(b, kept->age_s * 1000ULL);
	buf_add_str(b, ", size: ");
	config_value_put_size(b, kept->size);
	buf_add_octet(b, '}');
}

static const char *
read_age(struct bytes text, struct config_kept *kept)
{
	uint64_t ms;
	const char *why = config_value_time(text, &ms);

	if (why != NULL)
		return why;
	if (ms < AGE_MIN_MS || ms > AGE_MAX_MS)
		return "is out of range; write 1m to 30d";
	kept->age_s = (uint32_t)(ms / 1000);
	return NULL;
}

static const char *
read_size(const struct config_row *row, struct bytes text,
    struct config_kept *kept, struct buf *room)
{
	uint64_t octets;
	const char *why = config_value_size(text, &octets);

	if (why != NULL)
		return why;
	if (octets < row->min || octets > row->max) {
		buf_add_str(room, "is out of range; write ");
		config_value_put_size(room, row->min);
		buf_add_str(room, " to ");
		config_value_put_size(room, row->max);
		buf_add_octet(room, '\0');
		return (const char *)room->p;
	}
	kept->size = octets;
	return NULL;
}

static void
read_member(struct load *l, const struct config_row *row,
    const struct config_node *at, struct config_kept *kept)
{
	struct bytes name = at->key->text;
	const char *why;
	char text[128];
	struct buf room = BUF_ON(text);

	if (at->key->kind != NODE_TEXT || at->kind == NODE_BROKEN)
		return;
	if (!bytes_eq(name, BYTES_LIT("age")) &&
	    !bytes_eq(name, BYTES_LIT("size"))) {
		config_fault_add(&l->faults, at->key->at, "%s: `%s` is none "
		    "of age or size; remove it", row->name,
		    config_fault_show(&l->faults, name));
		return;
	}
	if (at->kind != NODE_TEXT || at->text.n == 0) {
		config_fault_add(&l->faults, at->at, "%s: takes one value",
		    row->name);
		return;
	}
	why = bytes_eq(name, BYTES_LIT("age")) ? read_age(at->text, kept) :
	    read_size(row, at->text, kept, &room);
	if (why != NULL)
		config_fault_add(&l->faults, at->at, "%s: `%s` %s", row->name,
		    config_fault_show(&l->faults, at->text), why);
}

/* The default is a text of ours: "{age: TIME, size: OCTETS}". */
static void
read_default(const struct config_row *row, struct config_kept *kept)
{
	struct bytes rest = bytes_of(row->fallback);

	(void)bytes_cut(&rest, ' ');
	(void)read_age(bytes_cut(&rest, ','), kept);
	rest = bytes_skip(rest, strlen(" size: "));
	(void)config_value_size(bytes_cut(&rest, '}'), &kept->size);
}

bool
config_set_kept(struct load *l, const struct config_row *row,
    const struct config_node *value, struct config_kept *kept)
{
	size_t n = l->faults.n;

	if (value->kind == NODE_BROKEN)
		return false;
	read_default(row, kept);
	if (value->kind == NODE_TEXT &&
	    bytes_eq(value->text, bytes_of(row->fallback)))
		return true;
	if (value->kind != NODE_MAP)
		config_fault_add(&l->faults, value->at, "%s: takes an age and "
		    "a size; write %s", row->name, row->fallback);
	else
		for (const struct config_node *at = value->first; at != NULL;
		    at = at->next)
			read_member(l, row, at, kept);
	return l->faults.n == n && !l->faults.is_full;
}
