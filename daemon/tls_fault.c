#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "daemon/tls_state.h"

/* Reasons of OpenSSL that a postmaster should not have to look up. */
static const struct {
	int reason;
	const char *text;
} reasons[] = {
	{SSL_R_WRONG_VERSION_NUMBER, "what came is no TLS"},
	{SSL_R_HTTP_REQUEST, "what came is no TLS"},
	{SSL_R_HTTPS_PROXY_REQUEST, "what came is no TLS"},
	{SSL_R_UNEXPECTED_MESSAGE, "a TLS message out of order"},
	{SSL_R_UNSUPPORTED_PROTOCOL, "the peer offers nothing above TLS 1.1"},
	{SSL_R_VERSION_TOO_LOW, "the peer offers nothing above TLS 1.1"},
	{SSL_R_NO_SHARED_CIPHER, "no cipher in common"},
	{SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM,
	    "no signature algorithm in common"},
	{SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC,
	    "a record was changed on its way"},
	{SSL_R_EE_KEY_TOO_SMALL, "the peer's key is too short"},
	{SSL_R_CA_MD_TOO_WEAK, "the peer's certificate is signed with a hash "
	    "that is too weak"},
	{SSL_R_DH_KEY_TOO_SMALL, "the peer's Diffie-Hellman group is too small"},
};

static const char *
text_of(unsigned long e)
{
	int reason = ERR_GET_REASON(e);
	const char *text;

	for (size_t k = 0; k < sizeof(reasons) / sizeof(reasons[0]); k++)
		if (ERR_GET_LIB(e) == ERR_LIB_SSL &&
		    reason == reasons[k].reason)
			return reasons[k].text;
	text = ERR_reason_error_string(e);
	return text == NULL ? "OpenSSL says no reason" : text;
}

const char *
tls_unverified(const SSL *ssl)
{
	long r = SSL_get_verify_result(ssl);

	if (r == X509_V_ERR_HOSTNAME_MISMATCH ||
	    r == X509_V_ERR_IP_ADDRESS_MISMATCH)
		return "it is for other names";
	return r == X509_V_OK ? NULL : X509_verify_cert_error_string(r);
}

void
tls_fault_write(const SSL *ssl, const struct tls_way *w, bool is_secured,
    bool is_fin, struct buf *out)
{
	unsigned long e = ERR_peek_error();
	int reason = ERR_GET_REASON(e);

	if (!is_secured)
		buf_add_str(out, "TLS handshake failed: ");
	else
		buf_add_str(out, "TLS failed: ");
	if (ERR_GET_LIB(e) == ERR_LIB_SSL &&
	    reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		buf_add_str(out, "the certificate of ");
		buf_add_escaped(out, bytes_of(w->name == NULL ? "" : w->name),
		    128);
		buf_add_str(out, " is not good: ");
		buf_add_str(out, tls_unverified(ssl));
	} else if (ERR_GET_LIB(e) == ERR_LIB_SSL &&
	    reason >= SSL_AD_REASON_OFFSET) {
		buf_add_str(out, "the peer says: ");
		buf_add_str(out, SSL_alert_desc_string_long(
		    reason - SSL_AD_REASON_OFFSET));
	} else if (is_fin) {
		buf_add_str(out, is_secured ? "cut off without a close_notify" :
		    "the peer hung up");
	} else {
		buf_add_str(out, text_of(e));
	}
	ERR_clear_error();
}
