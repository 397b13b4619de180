/* certs_hooks — what OpenSSL asks the server in the middle of a handshake. */
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <string.h>
#include <time.h>

#include "base/crypto.h"
#include "worker/net/certs.h"

const struct name *
server_name(const struct tls_server *s, const char *text, bool wild)
{
	size_t low = 0, high = s->nnames;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int d = strcmp(s->names[mid].text, text);

		if (!d)
			d = (int)s->names[mid].wild - (int)wild;
		if (d < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < s->nnames && s->names[low].wild == wild &&
	    !strcmp(s->names[low].text, text))
		return &s->names[low];
	return NULL;
}

static struct tls_server *
server_of(SSL *ssl)
{
	return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

int
server_face(SSL *ssl, int *alert, void *arg)
{
	struct tls_server *s = arg;
	const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), *dot;
	const struct name *n;
	char name[256];
	size_t len;

	(void)alert;
	if (!asked || !s->nnames)
		return SSL_TLSEXT_ERR_OK;
	len = strlen(asked);
	if (len && asked[len - 1] == '.')
		len--;
	if (!len || len >= sizeof(name))
		return SSL_TLSEXT_ERR_OK;
	for (size_t i = 0; i < len; i++)
		name[i] = (char)char_lower((unsigned char)asked[i]);
	name[len] = '\0';
	n = server_name(s, name, false);
	if (!n && (dot = strchr(name, '.')) && dot > name)
		n = server_name(s, dot + 1, true);
	if (n && n->face)
		SSL_set_SSL_CTX(ssl, s->faces[n->face].context);
	return SSL_TLSEXT_ERR_OK;
}

int
server_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		const unsigned char *in, unsigned int in_len, void *arg)
{
	const struct tls_server *s = arg;

	(void)ssl;
	for (int i = 0; i < 2; i++) {
		struct str wanted = i ? STR("http/1.1") : STR("h2");

		if (i ? !s->h1 : !s->h2)
			continue;
		for (unsigned int at = 0; at < in_len && in[at] < in_len - at;
		     at += in[at] + 1u) {
			struct str has = { (const char *)in + at + 1, in[at] };

			if (!str_eq(has, wanted))
				continue;
			*out = in + at + 1;
			*out_len = in[at];
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

int
server_staple(SSL *ssl, void *arg)
{
	const struct tls_server *s = arg;
	const X509 *shown = SSL_get_certificate(ssl);
	unsigned char *copy;

	for (size_t i = 0; i < s->nstaples; i++) {
		const struct staple *p = &s->staples[i];

		if (p->cert != shown || p->end <= time(NULL))
			continue;
		copy = OPENSSL_memdup(p->der, p->len);
		if (!copy || !SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)p->len))
			return SSL_TLSEXT_ERR_NOACK;
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_NOACK;
}

int
server_ticket(SSL *ssl, unsigned char name[16], unsigned char iv[EVP_MAX_IV_LENGTH],
	      EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int sealing)
{
	static EVP_CIPHER *aes;
	char sha[] = "SHA256";
	const struct tls_tickets *t = &server_of(ssl)->tickets;
	struct tls_ticket_key k;
	int found = 1;

	if (!aes && !(aes = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL)))
		return -1;
	if (sealing) {
		t->seal(t->arg, &k);
		memcpy(name, k.name, sizeof(k.name));
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(aes)) <= 0)
			found = -1;
	} else {
		found = t->find(t->arg, name, &k);
		/* Clients use one of TLS 1.3 once: they are given another. */
		if (found == 1 && SSL_version(ssl) == TLS1_3_VERSION)
			found = 2;
	}
	if (found > 0) {
		OSSL_PARAM params[] = {
			OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k.hmac,
							  sizeof(k.hmac)),
			OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha, 0),
			OSSL_PARAM_construct_end(),
		};

		if (!EVP_MAC_CTX_set_params(mac, params) ||
		    !EVP_CipherInit_ex2(cipher, aes, k.aes, iv, sealing, NULL))
			found = -1;
	}
	crypto_wipe(&k, sizeof(k));
	return found;
}

/* A list of revoked certificates that an authority above the client's own did not give is
 * not asked for. */
int
server_verified(int ok, X509_STORE_CTX *x)
{
	if (!ok && X509_STORE_CTX_get_error(x) == X509_V_ERR_UNABLE_TO_GET_CRL &&
	    X509_STORE_CTX_get_error_depth(x) > 0) {
		X509_STORE_CTX_set_error(x, X509_V_OK);
		return 1;
	}
	return ok;
}
