/* Reverse-paths and forward-paths (RFC 5321 4.1.2). */
#ifndef SMTP_PATH_H
#define SMTP_PATH_H

#include "base/bytes.h"

/* A path as accepted. All are views of the octets that were parsed. */
struct smtp_path {
	struct bytes raw;	/* with angle brackets, octets as they came */
	struct bytes local;	/* empty for the null path */
	struct bytes domain;	/* empty for <> and <postmaster>; a literal
				   with its brackets */
	bool is_null;		/* <> */
	bool is_literal;	/* [192.0.2.1], [IPv6:...] */
	bool is_utf8;		/* has octets above ASCII */
};

enum smtp_path_fault {
	SMTP_PATH_OK,
	SMTP_PATH_SYNTAX,	/* 501 5.1.3 / 5.1.7 */
	SMTP_PATH_ROUTE,	/* a source route: refused */
	SMTP_PATH_LONG,		/* local part over 64, domain over 255, a label
				   of it over 63, path over 256 octets */
	SMTP_PATH_UTF8,		/* 8-bit octets without SMTPUTF8 */
};

#define SMTP_PATH_IS_RCPT 1U	/* <> is refused, <postmaster> without a domain
				   accepted */
#define SMTP_PATH_MAY_UTF8 2U	/* UTF-8 above ASCII, as SMTPUTF8 has it; the
				   bounds still count octets */

/*
 * Reads a path from the front of b, in angle brackets, strictly: no white
 * space, no comments, no control octets. '%' and '!' in the local part are
 * letters like any other. A literal is an IPv4 or IPv6 address.
 *
 * how      SMTP_PATH_IS_RCPT, SMTP_PATH_MAY_UTF8
 * path     views of b, set on SMTP_PATH_OK only
 * rest     what stands behind the closing bracket; set on SMTP_PATH_OK only
 * Source   RFC 5321 4.1.2, 4.1.3, 4.5.3.1; source routes: 3.6.1, appendix C;
 *          RFC 6531 3.3 (strict UTF-8, no C1 control characters)
 */
enum smtp_path_fault smtp_path_parse(struct bytes b, unsigned how,
    struct smtp_path *path, struct bytes *rest);

/* Whether all of b is a domain name in the form of RFC 5321, no literal. */
bool smtp_path_is_domain(struct bytes b);

#endif
