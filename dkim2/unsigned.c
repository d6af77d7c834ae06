#include "dkim2/unsigned.h"

#include "dkim2/draft.h"

static const char *const names[] = {
	"Apparently-To",
	"ARC-Authentication-Results",
	"ARC-Message-Signature",
	"ARC-Seal",
	"Authentication-Results",
	"Delivered-To",
	"DKIM-Signature",
	"DL-Expansion-History",
	"Original-Recipient",
	"Received",
	"Return-Path",
	"SIO-Label-History",
	"X400-Received",
	"X400-Trace",
	DRAFT_INSTANCE,
	DRAFT_SIGNATURE,
};

bool
unsigned_is(struct bytes name)
{
	if (bytes_case_starts(name, BYTES_LIT("X-")) ||
	    bytes_case_starts(name, BYTES_LIT("Received-")))
		return true;
	for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
		if (bytes_case_eq(name, bytes_of(names[k])))
			return true;
	return false;
}
