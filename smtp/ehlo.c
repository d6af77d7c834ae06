#include "smtp/ehlo.h"

#define CAN_AUTH (SMTP_CAN_AUTH_PLAIN | SMTP_CAN_AUTH_LOGIN)

static const struct {
	const char *keyword;
	unsigned can;
} extensions[] = {
	{"PIPELINING", SMTP_CAN_PIPELINE},
	{"SIZE", SMTP_CAN_SIZE},
	{"8BITMIME", SMTP_CAN_8BITMIME},
	{"SMTPUTF8", SMTP_CAN_SMTPUTF8},
	{"STARTTLS", SMTP_CAN_STARTTLS},
	{"CHUNKING", SMTP_CAN_CHUNKING},
	{"DSN", SMTP_CAN_DSN},
	{"AUTH", CAN_AUTH},
	{"XCLIENT", SMTP_CAN_XCLIENT},
	{"ENHANCEDSTATUSCODES", SMTP_CAN_ENHANCED},
};

#define N_EXTENSIONS (sizeof(extensions) / sizeof(extensions[0]))

static const char *const attributes[SMTP_XCLIENT_N] = {"NAME", "ADDR", "PORT",
    "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT"};

struct bytes
smtp_xclient_name(unsigned k)
{
	return bytes_of(attributes[k]);
}

/* What stands behind the keyword. */
static void
write_value(struct buf *out, unsigned can, const struct smtp_ehlo *ehlo)
{
	if (can == SMTP_CAN_SIZE) {
		buf_add_octet(out, ' ');
		buf_add_number(out, ehlo->max_size);
	}
	if (can & ehlo->can & SMTP_CAN_AUTH_PLAIN)
		buf_add_str(out, " PLAIN");
	if (can & ehlo->can & SMTP_CAN_AUTH_LOGIN)
		buf_add_str(out, " LOGIN");
	for (unsigned k = 0; can == SMTP_CAN_XCLIENT && k < SMTP_XCLIENT_N; k++)
		if (ehlo->xclient & 1U << k)
			buf_printf(out, " %s", attributes[k]);
}

void
smtp_ehlo_write(struct buf *out, const char *hostname,
    const struct smtp_ehlo *ehlo)
{
	unsigned left = ehlo->can;

	buf_printf(out, "250%c%s\r\n", left == 0 ? ' ' : '-', hostname);
	for (size_t k = 0; k < N_EXTENSIONS; k++) {
		if ((left & extensions[k].can) == 0)
			continue;
		left &= ~extensions[k].can;
		buf_printf(out, "250%c%s", left == 0 ? ' ' : '-',
		    extensions[k].keyword);
		write_value(out, extensions[k].can, ehlo);
		buf_add(out, BYTES_LIT("\r\n"));
	}
}

static void
read_auth(struct smtp_ehlo *ehlo, struct bytes value)
{
	while (value.n != 0) {
		struct bytes word = bytes_cut(&value, ' ');

		if (bytes_case_eq(word, BYTES_LIT("PLAIN")))
			ehlo->can |= SMTP_CAN_AUTH_PLAIN;
		if (bytes_case_eq(word, BYTES_LIT("LOGIN")))
			ehlo->can |= SMTP_CAN_AUTH_LOGIN;
	}
}

static void
read_xclient(struct smtp_ehlo *ehlo, struct bytes value)
{
	ehlo->can |= SMTP_CAN_XCLIENT;
	while (value.n != 0) {
		struct bytes word = bytes_cut(&value, ' ');

		for (unsigned k = 0; k < SMTP_XCLIENT_N; k++)
			if (bytes_case_eq(word, bytes_of(attributes[k])))
				ehlo->xclient |= 1U << k;
	}
}

void
smtp_ehlo_read(struct smtp_ehlo *ehlo, struct bytes line)
{
	struct bytes keyword = bytes_first(line, bytes_index(line, ' '));
	struct bytes value = bytes_trim(bytes_skip(line, keyword.n));

	for (size_t k = 0; k < N_EXTENSIONS; k++) {
		if (!bytes_case_eq(keyword, bytes_of(extensions[k].keyword)))
			continue;
		if (extensions[k].can == CAN_AUTH) {
			read_auth(ehlo, value);
			continue;
		}
		if (extensions[k].can == SMTP_CAN_XCLIENT) {
			read_xclient(ehlo, value);
			continue;
		}
		ehlo->can |= extensions[k].can;
		if (extensions[k].can == SMTP_CAN_SIZE)
			bytes_number(value, UINT64_MAX, &ehlo->max_size);
	}
}
