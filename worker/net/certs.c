/* certs — files, and what both sides have in common. */
#include "worker/net/certs.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

static const char suites[] =
	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

const char *
certs_error(char *to, size_t room)
{
	unsigned long e = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(e);

	if (reason && *reason)
		snprintf(to, room, "%s", reason);
	else if (e)
		ERR_error_string_n(e, to, room);
	else
		snprintf(to, room, "unknown reason");
	ERR_clear_error();
	return to;
}

static BIO *
reader(struct str pem)
{
	BIO *b = BIO_new_mem_buf(pem.at ? pem.at : "",
				 pem.len < INT32_MAX ? (int)pem.len : 0);

	if (!b)
		abort();
	return b;
}

/* Nobody sits at a terminal. */
static int
no_password(char *to, int room, int writing, void *arg)
{
	(void)to, (void)room, (void)writing;
	if (arg)
		*(bool *)arg = true;
	return -1;
}

/* Whether a reading ended because nothing more of the kind follows. */
static bool
at_end(void)
{
	unsigned long e = ERR_peek_last_error();
	bool end =
		ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;

	if (end)
		ERR_clear_error();
	return end;
}

struct stack_st_X509 *
certs_read(struct str pem)
{
	STACK_OF(X509) *all = sk_X509_new_null();
	BIO *b = reader(pem);
	X509 *x;

	ERR_clear_error();
	while ((x = PEM_read_bio_X509(b, NULL, no_password, NULL)))
		sk_X509_push(all, x);
	BIO_free(b);
	if (at_end() && sk_X509_num(all) > 0)
		return all;
	certs_release(all);
	return NULL;
}

void
certs_release(STACK_OF(X509) * all)
{
	sk_X509_pop_free(all, X509_free);
}

EVP_PKEY *
certs_read_key(struct str pem, bool *encrypted)
{
	BIO *b = reader(pem);
	EVP_PKEY *key;

	*encrypted = false;
	ERR_clear_error();
	key = PEM_read_bio_PrivateKey(b, NULL, no_password, encrypted);
	BIO_free(b);
	return key;
}

static int
add_lists(X509_STORE *store, struct str pem)
{
	BIO *b = reader(pem);
	int n = 0;
	X509_CRL *l;

	while ((l = PEM_read_bio_X509_CRL(b, NULL, no_password, NULL))) {
		X509_STORE_add_crl(store, l);
		X509_CRL_free(l);
		n++;
	}
	BIO_free(b);
	return at_end() && n ? n : -1;
}

int
certs_add(X509_STORE *store, struct str pem, bool crls)
{
	STACK_OF(X509) * all;
	int n;

	ERR_clear_error();
	if (crls)
		return add_lists(store, pem);
	all = certs_read(pem);
	if (!all)
		return -1;
	n = sk_X509_num(all);
	for (int i = 0; i < n; i++)
		X509_STORE_add_cert(store, sk_X509_value(all, i));
	certs_release(all);
	return n;
}

int
certs_common(SSL_CTX *c, int min, char error[static 256])
{
	SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
				       SSL_OP_CIPHER_SERVER_PREFERENCE |
				       SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS |
				    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				    SSL_MODE_AUTO_RETRY);
	if (!SSL_CTX_set_min_proto_version(c, min == TLS_MIN_13 ? TLS1_3_VERSION
								: TLS1_2_VERSION) ||
	    !SSL_CTX_set_max_proto_version(c, 0) ||
	    !SSL_CTX_set_ciphersuites(c, suites)) {
		certs_error(error, 256);
		return -1;
	}
	return 0;
}

time_t
certs_time(const ASN1_TIME *t)
{
	struct tm tm;

	return t && ASN1_TIME_to_tm(t, &tm) ? timegm(&tm) : 0;
}

/* ---- names */

static void
name_of(X509 *x, void (*fn)(void *, struct str), void *arg)
{
	X509_NAME *subject = X509_get_subject_name(x);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	ASN1_STRING *s;

	if (at < 0)
		return;
	s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
	fn(arg, (struct str){ (const char *)ASN1_STRING_get0_data(s),
			      (size_t)ASN1_STRING_length(s) });
}

void
certs_names(X509 *x, void (*fn)(void *, struct str), void *arg)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	int n = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type != GEN_DNS)
			continue;
		fn(arg, (struct str){ (const char *)ASN1_STRING_get0_data(g->d.dNSName),
				      (size_t)ASN1_STRING_length(g->d.dNSName) });
		n++;
	}
	GENERAL_NAMES_free(names);
	if (!n)
		name_of(x, fn, arg);
}

/* ---- OCSP */

time_t
certs_staple_end(struct str der)
{
	const unsigned char *at = (const unsigned char *)der.at;
	OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &at, (long)der.len);
	OCSP_BASICRESP *basic = r ? OCSP_response_get1_basic(r) : NULL;
	ASN1_GENERALIZEDTIME *next = NULL;
	time_t end = 0;

	if (basic && OCSP_response_status(r) == OCSP_RESPONSE_STATUS_SUCCESSFUL &&
	    OCSP_resp_count(basic) > 0) {
		OCSP_single_get0_status(OCSP_resp_get0(basic, 0), NULL, NULL, NULL,
					&next);
		end = next ? certs_time(next) : INT32_MAX;
	}
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(r);
	ERR_clear_error();
	return end;
}
