#include "smtp/ehlo.h"

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
	{"ENHANCEDSTATUSCODES", SMTP_CAN_ENHANCED},
};

#define N_EXTENSIONS (sizeof(extensions) / sizeof(extensions[0]))

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
		if (extensions[k].can == SMTP_CAN_SIZE) {
			buf_add_octet(out, ' ');
			buf_add_number(out, ehlo->max_size);
		}
		buf_add(out, BYTES_LIT("\r\n"));
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
		ehlo->can |= extensions[k].can;
		if (extensions[k].can == SMTP_CAN_SIZE)
			bytes_number(value, UINT64_MAX, &ehlo->max_size);
	}
}
