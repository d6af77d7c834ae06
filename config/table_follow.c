/* Where the lines of an alias table lead, and that none leads in a circle. */
#include "config/table_state.h"

#include "base/err.h"

struct mark {
	uint32_t n_ends;
	uint8_t depth;		/* lines from here to the farthest end */
	bool is_done;
};

struct follow {
	struct config_faults *faults;
	const struct config_table_rules *rules;
	struct table_row *const *rows;
	const struct config_aliases *t;
	struct mark *marks;
	size_t path[CONFIG_ALIAS_DEPTH];	/* the lines on the way */
	unsigned n_path;
};

/* The lines of the way from one of them on, and where it goes: a -> b -> a. */
static const char *
show_path(struct follow *f, unsigned from, struct bytes to)
{
	struct buf out;

	if (arena_buf(f->faults->arena, 80 * (CONFIG_ALIAS_DEPTH + 1),
	    &out) != 0) {
		f->faults->is_full = true;
		return "";
	}
	for (; from < f->n_path; from++) {
		buf_add_escaped(&out, f->rows[f->path[from]]->address, 64);
		buf_add_str(&out, " -> ");
	}
	buf_add_escaped(&out, to, 64);
	buf_add_octet(&out, '\0');
	return out.full ? "..." : (const char *)out.p;
}

static void
complain_of_ring(struct follow *f, const struct table_target *target,
    unsigned from)
{
	config_fault_add(f->faults, target->at, "target `%s` leads in a "
	    "circle: %s; take one of these targets out",
	    config_fault_show(f->faults, target->address),
	    show_path(f, from, f->rows[f->path[from]]->address));
}

static void
complain_of_depth(struct follow *f, const struct table_target *target)
{
	config_fault_add(f->faults, target->at, "target `%s` leads through "
	    "more than %u lines: %s; write where the mail ends",
	    config_fault_show(f->faults, target->address),
	    CONFIG_ALIAS_DEPTH, show_path(f, 0, target->address));
}

/* What is wrong with a target that no line answers for. */
static void
check_end(struct follow *f, const struct table_target *target)
{
	struct bytes domain = bytes_skip(target->address,
	    bytes_index(target->address, '@') + 1);
	const char *shown;

	if (!config_domains_hold(f->rules->domains, f->rules->n_domains,
	    domain))
		return;
	shown = config_fault_show(f->faults, target->address);
	config_fault_add(f->faults, target->at, "target `%s` is in the "
	    "listener's own `domains` and has no line; write one, `%s %s` "
	    "where its mail goes on as it is", shown, shown, shown);
}

static void visit(struct follow *f, size_t no);

/* Another line answers for a target of the last one on the way. */
static void
step(struct follow *f, struct mark *m, const struct table_target *target,
    size_t next)
{
	const struct mark *its = &f->marks[next];

	for (unsigned k = 0; k < f->n_path; k++)
		if (f->path[k] == next) {
			complain_of_ring(f, target, k);
			return;
		}
	if (f->n_path == CONFIG_ALIAS_DEPTH ||
	    (its->is_done && f->n_path + its->depth > CONFIG_ALIAS_DEPTH)) {
		complain_of_depth(f, target);
		return;
	}
	visit(f, next);
	m->n_ends += its->n_ends;
	if (m->depth <= its->depth)
		m->depth = (uint8_t)(its->depth + 1);
}

static void
visit_targets(struct follow *f, size_t no)
{
	struct mark *m = &f->marks[no];

	for (const struct table_target *k = f->rows[no]->targets;
	    k != NULL && m->n_ends <= CONFIG_ALIAS_ENDS; k = k->next) {
		const struct config_alias *next = config_alias_next(f->t,
		    k->address);

		if (next == NULL)
			check_end(f, k);
		if (next == NULL || next == &f->t->rows[no])
			m->n_ends++;
		else
			step(f, m, k, (size_t)(next - f->t->rows));
	}
}

static void
check_count(struct follow *f, size_t no)
{
	const struct table_row *row = f->rows[no];
	struct mark *m = &f->marks[no];

	if (m->n_ends > CONFIG_ALIAS_ENDS)
		config_fault_add(f->faults, row->at, "address `%s` leads to "
		    "more than %u addresses; use a list manager",
		    config_fault_show(f->faults, row->address),
		    CONFIG_ALIAS_ENDS);
	else if (m->n_ends > 1 && m->n_ends > f->rules->max_copies)
		config_fault_add(f->faults, row->at, "address `%s` leads to "
		    "%u addresses, a copy each, and `max-copies` allows %u; "
		    "write more there",
		    config_fault_show(f->faults, row->address), m->n_ends,
		    f->rules->max_copies);
	if (m->n_ends > CONFIG_ALIAS_ENDS)
		m->n_ends = CONFIG_ALIAS_ENDS;
}

static void
visit(struct follow *f, size_t no)
{
	struct mark *m = &f->marks[no];

	if (m->is_done)
		return;
	m->depth = 1;
	f->path[f->n_path++] = no;
	visit_targets(f, no);
	f->n_path--;
	m->is_done = true;
	check_count(f, no);
}

int
table_follow(struct config_faults *faults,
    const struct config_table_rules *rules, struct table_row *const *rows,
    const struct config_aliases *t, struct config_alias *writable)
{
	struct follow f = {.faults = faults, .rules = rules, .rows = rows,
	    .t = t};

	f.marks = arena_array(faults->arena, t->n, sizeof(*f.marks));
	if (f.marks == NULL)
		return -E_NOMEM;
	for (size_t k = 0; k < t->n; k++) {
		visit(&f, k);
		writable[k].n_ends = f.marks[k].n_ends;
	}
	return 0;
}
