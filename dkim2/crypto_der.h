/* The two forms of an RSA public key in a key record, as strict DER. */
#ifndef DKIM2_CRYPTO_DER_H
#define DKIM2_CRYPTO_DER_H

#include "base/bytes.h"

/*
 * Reads SubjectPublicKeyInfo with rsaEncryption, or a bare RSAPublicKey.
 *
 * n, e     set to the two numbers, views of der: big-endian, positive,
 *          without zeros before them; "0" is one zero octet
 * Returns  false where der is neither, or has anything behind it
 * Source   RFC 8017 A.1.1, RFC 3279 2.3.1; X.690 10.1 (shortest lengths)
 */
bool der_rsa_public(struct bytes der, struct bytes *n, struct bytes *e);

#endif
