/* DSNs in parts, to be right or wrong in just one. Include after kit.h. */
#ifndef TESTS_DSN_KIT_H
#define TESTS_DSN_KIT_H

#define DSN_TYPE "Content-Type: multipart/report; " \
	"report-type=delivery-status; boundary=\"=_b\"\r\n"
#define DSN_FROM "From: MAILER-DAEMON@lists.example\r\nSubject: Undelivered\r\n"
#define DSN_TEXT "--=_b\r\nContent-Type: text/plain\r\n\r\nNo such user.\r\n"
#define DSN_STATUS_TYPE "Content-Type: message/delivery-status\r\n"
#define DSN_MTA "Reporting-MTA: dns; mx.lists.example\r\n"
#define DSN_RCPT "Final-Recipient: rfc822; list@lists.example\r\n" \
	"Action: failed\r\nStatus: 5.1.1\r\n"
#define DSN_STATUS "--=_b\r\n" DSN_STATUS_TYPE "\r\n" DSN_MTA "\r\n" DSN_RCPT
#define DSN_WHOLE "--=_b\r\nContent-Type: message/rfc822\r\n\r\n"
#define DSN_HEADER "--=_b\r\nContent-Type: text/rfc822-headers\r\n\r\n"
#define DSN_END "\r\n--=_b--\r\n"

#endif
