#include <stdlib.h>

#include "daemon/metrics.h"

/* Source: Prometheus text format 0.0.4, label values. */
static void
add_value(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '\\' || *s == '"')
			buf_add_octet(out, '\\');
		if (*s == '\n')
			buf_add_str(out, "\\n");
		else
			buf_add_octet(out, (uint8_t)*s);
	}
}

static void
add_labels(struct buf *out, const struct metric_row *row, const char *a,
    const char *b)
{
	const char *values[2] = {a, b};

	for (size_t k = 0; k < 2 && values[k] != NULL; k++) {
		buf_printf(out, "%s%s=\"", k == 0 ? "{" : ",",
		    row->labels[k]->name);
		add_value(out, values[k]);
		buf_add_octet(out, '"');
	}
	if (a != NULL)
		buf_add_octet(out, '}');
}

static void
add_line(struct buf *out, const struct metric_row *row, const char *a,
    const char *b, int64_t value)
{
	buf_add_str(out, row->name);
	add_labels(out, row, a, b);
	buf_printf(out, " %lld\n", (long long)value);
}

void
metrics_write_line(struct buf *out, enum metric m, const char *a,
    const char *b, int64_t value)
{
	add_line(out, &metrics_rows[m], a, b, value);
}

static int64_t
value_of(enum metric m, unsigned a, unsigned b, int64_t now_s)
{
	int64_t v = (int64_t)metrics_get(m, a, b);

	if (metrics_rows[m].kind == METRIC_AGE)
		v = v == 0 || v > now_s ? 0 : now_s - v;
	return v;
}

static void
add_all(struct buf *out, enum metric m, int64_t now_s)
{
	const struct metric_row *row = &metrics_rows[m];
	const struct metric_label *first = row->labels[0],
	    *second = row->labels[1];

	if (first == NULL) {
		add_line(out, row, NULL, NULL, value_of(m, 0, 0, now_s));
		return;
	}
	for (unsigned a = 0; a < first->n; a++) {
		if (second == NULL)
			add_line(out, row, first->words[a], NULL,
			    value_of(m, a, 0, now_s));
		for (unsigned b = 0; second != NULL && b < second->n; b++)
			add_line(out, row, first->words[a], second->words[b],
			    value_of(m, a, b, now_s));
	}
}

static void
add_histogram(struct buf *out, enum metric m)
{
	const struct metric_row *row = &metrics_rows[m];
	const struct metric_label *le = row->labels[0];
	uint64_t n = 0, ms;

	for (unsigned k = 0; k <= le->n; k++) {
		n += metrics_get(m, k, 0);
		buf_printf(out, "%s_bucket{%s=\"%s\"} %llu\n", row->name,
		    le->name, k == le->n ? "+Inf" : le->words[k],
		    (unsigned long long)n);
	}
	ms = metrics_get(m, (unsigned)le->n + 1, 0);
	buf_printf(out, "%s_sum %llu.%03llu\n%s_count %llu\n", row->name,
	    (unsigned long long)ms / 1000, (unsigned long long)ms % 1000,
	    row->name, (unsigned long long)n);
}

void
metrics_write(struct buf *out, int64_t now_s,
    void (*tell)(void *arg, enum metric m, struct buf *out), void *arg)
{
	static const char *const types[] = {
		[METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge",
		[METRIC_AGE] = "gauge", [METRIC_HISTOGRAM] = "histogram",
		[METRIC_TOLD] = "gauge",
	};

	for (enum metric m = 0; m < METRIC__N; m++) {
		const struct metric_row *row = &metrics_rows[m];

		buf_printf(out, "# HELP %s %s.\n# TYPE %s %s\n", row->name,
		    row->help, row->name, types[row->kind]);
		if (row->kind == METRIC_HISTOGRAM)
			add_histogram(out, m);
		else if (row->kind != METRIC_TOLD)
			add_all(out, m, now_s);
		else if (tell != NULL)
			tell(arg, m, out);
	}
}

/* ---- the manual ---------------------------------------------------------- */

#define WIDTH 78U

/* A sentence on lines of its own. */
static void
add_sentence(struct buf *out, const char *s)
{
	size_t column = 0;

	while (*s != '\0') {
		size_t n = strcspn(s, " ");

		if (column != 0)
			buf_add_octet(out, column + n > WIDTH ? '\n' : ' ');
		column = column + n > WIDTH ? n + 1 : column + n + 1;
		buf_add(out, (struct bytes){(const uint8_t *)s, n});
		s += n + (s[n] == ' ');
	}
	buf_add_str(out, ".\n");
}

static void
add_words(struct buf *out, const struct metric_label *l)
{
	buf_printf(out, ".Pp\n.Va %s :\n", l->name);
	for (size_t k = 0; k < l->n; k++)
		buf_printf(out, "%s%s\n", l->words[k],
		    k + 1 == l->n ? "." : ",");
	if (l->n == 0)
		buf_add_str(out, "as the configuration has it.\n");
}

void
metrics_manual(struct buf *out)
{
	buf_add_str(out, ".Bl -tag -width Ds\n");
	for (enum metric m = 0; m < METRIC__N; m++) {
		const struct metric_row *row = &metrics_rows[m];

		buf_printf(out, ".It Va %s\n", row->name);
		add_sentence(out, row->help);
		for (size_t k = 0; k < 2 && row->labels[k] != NULL; k++)
			if (row->kind != METRIC_HISTOGRAM)
				add_words(out, row->labels[k]);
	}
	buf_add_str(out, ".El\n");
}
