/* tls_info — what became of a handshake: who the peer is, or why it failed. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "worker/net/certs.h"

/* ---- why not */

static enum tls_fault
of_certificate(long result)
{
	switch (result) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return TLS_EXPIRED;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return TLS_NOT_YET;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_UNTRUSTED:
		return TLS_UNKNOWN_CA;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return TLS_HOSTNAME;
	case X509_V_ERR_CERT_REVOKED:
		return TLS_REVOKED;
	case X509_V_ERR_APPLICATION_VERIFICATION:
		return TLS_PIN;
	default:
		return TLS_BAD_CERT;
	}
}

static enum tls_fault
of_reason(int reason)
{
	switch (reason) {
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		return TLS_NO_CLIENT_CERT;
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
	case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
	case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
		return TLS_CERT_REFUSED;
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
	case SSL_R_VERSION_TOO_LOW:
	case SSL_R_WRONG_SSL_VERSION:
		return TLS_VERSION;
	case SSL_R_NO_SHARED_CIPHER:
	case SSL_R_NO_SHARED_GROUPS:
	case SSL_R_NO_SUITABLE_KEY_SHARE:
	case SSL_R_NO_SUITABLE_GROUPS:
	case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
	case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
	case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
	case SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY:
		return TLS_CIPHER;
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
	case SSL_R_UNKNOWN_PROTOCOL:
	case SSL_R_PACKET_LENGTH_TOO_LONG:
		return TLS_NOT_TLS;
	case SSL_R_UNEXPECTED_EOF_WHILE_READING:
		return TLS_CLOSED;
	default:
		return TLS_OTHER;
	}
}

void
tls_fail(struct tls *t, enum tls_fault fault, const char *words)
{
	if (t->fault)
		return;
	t->fault = (uint8_t)fault;
	t->words = strdup(words);
	if (!t->words)
		abort();
}

void
tls_blame(struct tls *t, int error)
{
	unsigned long e = ERR_peek_error();
	long result = SSL_get_verify_result(t->ssl);
	char words[200];

	if (t->fault)
		return;
	if (error) {
		tls_fail(t, TLS_CLOSED, strerror(error));
	} else if (ERR_GET_LIB(e) == ERR_LIB_SSL &&
		   ERR_GET_REASON(e) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		tls_fail(t, of_certificate(result),
			 X509_verify_cert_error_string(result));
	} else if (ERR_GET_LIB(e) == ERR_LIB_SSL) {
		tls_fail(t, of_reason(ERR_GET_REASON(e)),
			 certs_error(words, sizeof(words)));
	} else if (!e) {
		tls_fail(t, TLS_CLOSED, "closed by the peer");
	} else {
		tls_fail(t, TLS_OTHER, certs_error(words, sizeof(words)));
	}
	ERR_clear_error();
}

enum tls_fault
tls_fault(const struct tls *t)
{
	return t->fault;
}

struct str
tls_error(const struct tls *t)
{
	return str_of(t->words);
}

/* ---- who it is */

static struct str
from_bio(BIO *b, struct arena *a)
{
	char *at;
	long n = BIO_get_mem_data(b, &at);
	struct str s = n > 0 ? arena_str(a, (struct str){ at, (size_t)n }) : STR_NONE;

	BIO_free(b);
	return s;
}

static BIO *
writer(void)
{
	BIO *b = BIO_new(BIO_s_mem());

	if (!b)
		abort();
	return b;
}

static struct str
name_text(const X509_NAME *name, struct arena *a)
{
	BIO *b = writer();

	X509_NAME_print_ex(b, name, 0, XN_FLAG_RFC2253);
	return from_bio(b, a);
}

/* Names that would be taken for more than one, or for the end of a header, are left out.
 */
static bool
plain(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.at[i] <= ' ' || (unsigned char)s.at[i] >= 0x7f ||
		    s.at[i] == ',' || s.at[i] == ';' || s.at[i] == '"')
			return false;
	return s.len > 0;
}

static void
name_list(X509 *x, struct arena *a, struct tls_info *info)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	BIO *b = writer();

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
		struct str text = STR_NONE;

		if (g->type == GEN_DNS || g->type == GEN_URI || g->type == GEN_EMAIL) {
			text.at = (const char *)ASN1_STRING_get0_data(g->d.ia5);
			text.len = (size_t)ASN1_STRING_length(g->d.ia5);
			if (!plain(text))
				continue;
		} else if (g->type != GEN_IPADD) {
			continue; /* a directory name may say ", DNS:…" */
		}
		if (g->type == GEN_DNS && !info->dns.len)
			info->dns = arena_str(a, text);
		if (g->type == GEN_URI && !info->uri.len)
			info->uri = arena_str(a, text);
		if (BIO_pending(b) > 0)
			BIO_puts(b, ", ");
		GENERAL_NAME_print(b, g);
	}
	GENERAL_NAMES_free(names);
	info->san = from_bio(b, a);
}

static struct str
serial_text(const X509 *x, struct arena *a)
{
	BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
	char *hex = n ? BN_bn2hex(n) : NULL;
	struct str s = hex ? arena_str(a, str_of(hex)) : STR_NONE;

	for (size_t i = 0; i < s.len; i++)
		((char *)(uintptr_t)s.at)[i] = (char)char_lower((unsigned char)s.at[i]);
	OPENSSL_free(hex);
	BN_free(n);
	return s;
}

static void
peer_info(X509 *x, struct arena *a, struct tls_info *info)
{
	struct digest d;
	unsigned int n = sizeof(d.byte);
	char *hex = arena_alloc(a, 65);

	info->subject = name_text(X509_get_subject_name(x), a);
	info->issuer = name_text(X509_get_issuer_name(x), a);
	info->serial = serial_text(x, a);
	name_list(x, a, info);
	if (!X509_digest(x, EVP_sha256(), d.byte, &n))
		return;
	digest_put(hex, &d);
	hex[64] = '\0';
	info->fingerprint = (struct str){ hex, 64 };
}

struct str
tls_alpn(const struct tls *t)
{
	const unsigned char *alpn;
	unsigned int n;

	SSL_get0_alpn_selected(t->ssl, &alpn, &n);
	return n == 2 && !memcmp(alpn, "h2", 2)         ? STR("h2")
	       : n == 8 && !memcmp(alpn, "http/1.1", 8) ? STR("http/1.1")
							: STR_NONE;
}

void
tls_info(const struct tls *t, struct arena *a, struct tls_info *info)
{
	int group = (int)SSL_get_negotiated_group(t->ssl);
	X509 *peer = SSL_get0_peer_certificate(t->ssl);
	bool checked = SSL_get_verify_mode(t->ssl) != SSL_VERIFY_NONE;

	memset(info, 0, sizeof(*info));
	info->version = str_of(SSL_get_version(t->ssl));
	info->cipher = str_of(SSL_get_cipher_name(t->ssl));
	if (group)
		info->group = arena_str(a, str_of(SSL_group_to_name(t->ssl, group)));
	info->sni = arena_str(
		a, str_of(SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name)));
	info->alpn = tls_alpn(t);
	info->resumed = SSL_session_reused(t->ssl);
	info->verified = peer && checked && SSL_get_verify_result(t->ssl) == X509_V_OK;
	if (peer)
		peer_info(peer, a, info);
}

bool
tls_describe(struct str der, struct arena *a, struct tls_info *info)
{
	const unsigned char *at = (const unsigned char *)der.at;
	X509 *x = d2i_X509(NULL, &at, (long)der.len);
	bool whole = x && (const char *)at == der.at + der.len;

	if (whole)
		peer_info(x, a, info);
	X509_free(x);
	ERR_clear_error();
	return whole;
}

struct str
tls_peer_der(const struct tls *t, struct arena *a)
{
	X509 *peer = SSL_get0_peer_certificate(t->ssl);
	int n = peer ? i2d_X509(peer, NULL) : 0;
	unsigned char *at;
	struct str s;

	if (n <= 0)
		return STR_NONE;
	at = arena_alloc(a, (size_t)n);
	s = (struct str){ (char *)at, (size_t)n };
	i2d_X509(peer, &at);
	return s;
}

struct str
tls_peer_pem(const struct tls *t, struct arena *a)
{
	X509 *peer = SSL_get0_peer_certificate(t->ssl);
	BIO *b;

	if (!peer)
		return STR_NONE;
	b = writer();
	PEM_write_bio_X509(b, peer);
	return from_bio(b, a);
}
