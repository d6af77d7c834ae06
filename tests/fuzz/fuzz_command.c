/*
 * Command lines: read at once and octet by octet they are the same lines with
 * the same faults; what is parsed out of a line stands inside of it.
 */
#include <stdint.h>
#include <stdlib.h>

#include "smtp/command.h"
#include "smtp/ehlo.h"
#include "smtp/line.h"
#include "smtp/params.h"

#define CAP 64

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(bool good)
{
	if (!good)
		abort();
}

/* b is a view of octets of all. */
static bool
is_within(struct bytes b, struct bytes all)
{
	return b.n == 0 || (b.p >= all.p && b.p + b.n <= all.p + all.n);
}

static void
check_params(struct bytes rest)
{
	struct bytes all = rest;
	struct smtp_param param;

	while (smtp_params_next(&rest, &param) == SMTP_PARAMS_ONE) {
		check(param.keyword.n != 0 && is_within(param.keyword, all));
		check(param.value.p == NULL || param.value.n != 0);
		check(is_within(param.value, all));
		check(bytes_index(param.value, ' ') == param.value.n);
		check(bytes_index(param.value, '=') == param.value.n);
	}
}

static void
check_line(struct bytes line)
{
	struct smtp_command command = smtp_command_parse(line);
	struct smtp_ehlo ehlo = {0};
	struct smtp_path path;
	struct bytes rest;

	check(command.verb < SMTP_VERB__N && is_within(command.arg, line));
	smtp_ehlo_read(&ehlo, line);
	for (unsigned is_rcpt = 0; is_rcpt < 2; is_rcpt++) {
		struct bytes arg = command.arg;

		if (!smtp_command_skip(&arg,
		    is_rcpt ? BYTES_LIT("TO:") : BYTES_LIT("FROM:")))
			continue;
		check(is_within(arg, line));
		if (smtp_path_parse(arg, is_rcpt, &path, &rest) !=
		    SMTP_PATH_OK)
			continue;
		check(is_within(path.raw, line) && is_within(rest, line));
		check_params(rest);
	}
}

/* The lines of in, and their faults, as text. */
static void
read_lines(struct bytes in, size_t piece, struct buf *all)
{
	uint8_t storage[CAP];
	struct smtp_line line;

	smtp_line_init(&line, storage, sizeof(storage));
	while (in.n != 0) {
		struct bytes now = bytes_first(in, piece);

		in = bytes_skip(in, now.n);
		while (now.n != 0) {
			enum smtp_line_step step = smtp_line_read(&line, &now);

			check(step != SMTP_LINE_ENDLESS);
			check(line.n <= CAP);
			if (step == SMTP_LINE_MORE)
				break;
			check_line(smtp_line_octets(&line));
			buf_add(all, smtp_line_octets(&line));
			buf_add_octet(all, (uint8_t)(line.is_long |
			    line.has_bare_cr << 1 | line.has_bare_lf << 2 |
			    line.has_nul << 3));
		}
	}
}

/* The flags by the plain rule, for the line from at; its length. */
static size_t
check_flags(struct bytes in, struct bytes *said)
{
	size_t end = bytes_index(in, '\n');
	struct bytes line = bytes_first(in, end);
	bool is_crlf = line.n != 0 && line.p[line.n - 1] == '\r';
	unsigned flags = (end + 1 > CAP ? 1 : 0) | (is_crlf ? 0 : 4);

	if (is_crlf)
		line.n--;
	if (bytes_index(line, '\r') != line.n)
		flags |= 2;
	if (bytes_index(line, 0) != line.n)
		flags |= 8;
	line = bytes_first(line, CAP);
	check(bytes_starts(*said, line));
	*said = bytes_skip(*said, line.n);
	check(said->n != 0 && said->p[0] == flags);
	*said = bytes_skip(*said, 1);
	return end + 1;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static uint8_t whole_octets[16384], bits_octets[16384];
	struct buf whole = BUF_ON(whole_octets), bits = BUF_ON(bits_octets);
	struct bytes in = bytes_first((struct bytes){p, n}, 8192);
	struct bytes said;

	read_lines(in, in.n, &whole);
	read_lines(in, 1, &bits);
	check(!whole.full && bytes_eq(buf_bytes(&whole), buf_bytes(&bits)));
	said = buf_bytes(&whole);
	while (bytes_index(in, '\n') != in.n)
		in = bytes_skip(in, check_flags(in, &said));
	check(said.n == 0);
	return 0;
}
