#include "base/logline_json.h"

#include "base/json.h"

/* Printable, or as JSON has it: what was logged is ASCII, what is read may not
 * be. */
static void
add_text(struct bytes b, struct buf *out)
{
	buf_add_octet(out, '"');
	for (size_t k = 0; k < b.n; k++) {
		if (b.p[k] == '"' || b.p[k] == '\\')
			buf_add_octet(out, '\\');
		if (b.p[k] < ' ' || b.p[k] >= 0x7f)
			buf_add_octet(out, '?');
		else
			buf_add_octet(out, b.p[k]);
	}
	buf_add_octet(out, '"');
}

/* All of `, "key": "value"`, or nothing of it. */
static bool
add_member(const char *key, size_t n_key, struct bytes value,
    struct buf *out)
{
	size_t n = out->n;

	buf_add_str(out, out->n > 1 ? ", \"" : "\"");
	buf_add(out, (struct bytes){(const uint8_t *)key, n_key});
	buf_add_str(out, "\": ");
	add_text(value, out);
	if (!out->full)
		return true;
	out->n = n;
	out->full = false;
	return false;
}

static bool
add_named(const char *key, struct bytes value, struct buf *out)
{
	return value.n == 0 || add_member(key, strlen(key), value, out);
}

void
logline_json(const struct logline *l, size_t room, struct buf *out)
{
	struct bytes text = l->text;
	struct buf w = {out->p + out->n, 0, buf_room(out), false};
	const size_t end = sizeof(", \"cut\": true}") - 1;
	bool is_whole = true;

	if (w.cap > room)
		w.cap = room;
	if (w.cap < 512) {
		out->full = true;
		return;
	}
	w.cap -= end;
	buf_add_octet(&w, '{');
	add_named("time", bytes_first(l->stamp, 40), &w);
	add_named("level", bytes_first(l->level, 10), &w);
	add_named("process", bytes_first(l->process, 40), &w);
	if (l->pid != 0)
		buf_printf(&w, "%s\"pid\": %llu", w.n > 1 ? ", " : "",
		    (unsigned long long)l->pid);
	add_named("id", bytes_first(l->id, 40), &w);
	for (size_t k = 0; k < l->n_fields; k++)
		is_whole &= add_member((const char *)l->fields[k].key.p,
		    l->fields[k].key.n, l->fields[k].value, &w);
	while (l->has_words && !add_member("text", 4, text, &w)) {
		is_whole = false;
		text.n /= 2;
	}
	w.cap += end;
	buf_add_str(&w, is_whole ? "}" : ", \"cut\": true}");
	out->n += w.n;
}

/* ---- and back ---------------------------------------------------------------- */

static const char *const priorities[] = {"error", "error", "error", "error",
    "warning", "info", "info", "debug"};

/* One member of an object of ours, or of the journal's. */
static void
take_member(struct logline *l, struct bytes key, struct bytes value,
    struct bytes *message)
{
	uint64_t v;

	if (bytes_eq(key, BYTES_LIT("MESSAGE")))
		*message = value;
	else if (bytes_eq(key, BYTES_LIT("PRIORITY")) &&
	    bytes_number(value, 7, &v))
		l->level = bytes_of(priorities[v]);
	else if (bytes_eq(key, BYTES_LIT("__REALTIME_TIMESTAMP")) &&
	    bytes_number(value, INT64_MAX, &v))
		l->time_ms = (int64_t)(v / 1000);
	else if ((bytes_eq(key, BYTES_LIT("_PID")) ||
	    bytes_eq(key, BYTES_LIT("pid"))) &&
	    bytes_number(value, UINT32_MAX, &v))
		l->pid = v;
	else if (bytes_eq(key, BYTES_LIT("time")))
		l->stamp = value;
	else if (bytes_eq(key, BYTES_LIT("level")))
		l->level = value;
	else if (bytes_eq(key, BYTES_LIT("process")))
		l->process = value;
	else if (bytes_eq(key, BYTES_LIT("id")) && logline_is_id(value))
		l->id = value;
	else if (bytes_eq(key, BYTES_LIT("text")))
		l->text = value;
	else if (key.n != 0 && key.p[0] >= 'a' && key.p[0] <= 'z' &&
	    l->n_fields < LOGLINE_FIELDS_MAX)
		l->fields[l->n_fields++] = (struct logline_field){key, value};
}

bool
logline_read_json(struct bytes line, struct arena *a, struct logline *l,
    struct bytes *message)
{
	struct json j;
	struct buf room;
	enum json_event e;

	*message = (struct bytes){NULL, 0};
	if (arena_room(a, line.n, &room) != 0 ||
	    json_init(&j, line, 8, a) != 0 || json_next(&j) != JSON_OBJECT)
		return false;
	while ((e = json_next(&j)) == JSON_KEY) {
		struct bytes key = j.text, value;
		size_t from = room.n;

		e = json_next(&j);
		if (e != JSON_STRING && e != JSON_NUMBER) {
			if (!json_skip(&j, e))
				return false;
			continue;
		}
		value = j.text;
		if (e == JSON_STRING) {
			if (!json_unescape(j.text, &room))
				return false;
			value = bytes_skip(buf_bytes(&room), from);
		}
		take_member(l, key, value, message);
	}
	l->has_words = l->text.n != 0 || l->n_fields == 0;
	return e == JSON_OBJECT_END && json_next(&j) == JSON_END;
}
