/* certificates — authorities, certificates and keys of a test, made on the spot. */
#ifndef TESTS_UNIT_NET_CERTIFICATES_H
#define TESTS_UNIT_NET_CERTIFICATES_H

#include <check.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "worker/net/tls.h"

enum { PAPER_EC, PAPER_RSA };

struct paper {
	X509 *x;
	EVP_PKEY *key;
	struct str pem, key_pem;
};

/* Nothing is freed, as a test is a process; but it can be reached, and so is no leak. */
static void *paper_kept[1024];
static int paper_nkept;

static inline void *
paper_keep(void *p)
{
	ck_assert_int_lt(paper_nkept, 1024);
	return paper_kept[paper_nkept++] = p;
}

struct paper_wish {
	const struct paper *issuer;     /* NULL: itself */
	const char *name;               /* CN */
	const char *san;                /* "DNS:a.example,IP:127.0.0.1"; NULL: none */
	int kind;
	bool ca;
	long from_day, to_day;          /* from now on; both 0: a year */
};

static inline struct str
paper_text(BIO *b)
{
	char *at;
	long n = BIO_get_mem_data(b, &at);
	char *copy = paper_keep(malloc((size_t)n + 1));

	memcpy(copy, at, (size_t)n);
	copy[n] = '\0';
	BIO_free(b);
	return (struct str){ copy, (size_t)n };
}

static inline void
paper_extend(struct paper *p, const struct paper *issuer, int nid, const char *value)
{
	X509V3_CTX c;
	X509_EXTENSION *e;

	X509V3_set_ctx(&c, issuer->x, p->x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &c, nid, value);
	ck_assert_ptr_nonnull(e);
	X509_add_ext(p->x, e, -1);
	X509_EXTENSION_free(e);
}

static inline struct paper
paper_make(struct paper_wish w)
{
	static long serial = 0x1000;
	struct paper p = { X509_new(),
			   w.kind == PAPER_RSA ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"),
			   STR_NONE, STR_NONE };
	const struct paper *issuer = w.issuer ? w.issuer : &p;
	BIO *b = BIO_new(BIO_s_mem());

	paper_keep(p.x);
	paper_keep(p.key);
	if (!w.from_day && !w.to_day)
		w.from_day = -1, w.to_day = 365;
	X509_set_version(p.x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(p.x), serial++);
	X509_gmtime_adj(X509_getm_notBefore(p.x), w.from_day * 86400);
	X509_gmtime_adj(X509_getm_notAfter(p.x), w.to_day * 86400);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(p.x), "CN", MBSTRING_ASC,
				   (const unsigned char *)w.name, -1, -1, 0);
	X509_set_issuer_name(p.x, X509_get_subject_name(issuer->x));
	X509_set_pubkey(p.x, p.key);
	paper_extend(&p, issuer, NID_basic_constraints,
		     w.ca ? "critical,CA:TRUE" : "CA:FALSE");
	if (w.ca)
		paper_extend(&p, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
	if (w.san)
		paper_extend(&p, issuer, NID_subject_alt_name, w.san);
	ck_assert_int_gt(X509_sign(p.x, issuer->key, EVP_sha256()), 0);
	PEM_write_bio_X509(b, p.x);
	p.pem = paper_text(b);
	b = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(b, p.key, NULL, NULL, 0, NULL, NULL);
	p.key_pem = paper_text(b);
	return p;
}

/* One behind the other. */
static inline struct str
paper_join(struct str a, struct str b)
{
	char *both = paper_keep(malloc(a.len + b.len + 1));

	memcpy(both, a.at, a.len);
	memcpy(both + a.len, b.at, b.len);
	both[a.len + b.len] = '\0';
	return (struct str){ both, a.len + b.len };
}

/* The key with a passphrase. */
static inline struct str
paper_locked_key(const struct paper *p)
{
	BIO *b = BIO_new(BIO_s_mem());

	PEM_write_bio_PrivateKey(b, p->key, EVP_aes_128_cbc(), (const unsigned char *)"secret", 6,
				 NULL, NULL);
	return paper_text(b);
}

/* The list of an authority, with one revoked (NULL: none). */
static inline struct str
paper_list(const struct paper *ca, const struct paper *revoked)
{
	X509_CRL *l = X509_CRL_new();
	ASN1_TIME *at = ASN1_TIME_set(NULL, time(NULL) - 60);
	BIO *b = BIO_new(BIO_s_mem());

	X509_CRL_set_version(l, 1);
	X509_CRL_set_issuer_name(l, X509_get_subject_name(ca->x));
	X509_CRL_set1_lastUpdate(l, at);
	ASN1_TIME_set(at, time(NULL) + 86400);
	X509_CRL_set1_nextUpdate(l, at);
	if (revoked) {
		X509_REVOKED *r = X509_REVOKED_new();

		X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(revoked->x));
		ASN1_TIME_set(at, time(NULL) - 60);
		X509_REVOKED_set_revocationDate(r, at);
		X509_CRL_add0_revoked(l, r);
	}
	ASN1_TIME_free(at);
	ck_assert_int_gt(X509_CRL_sign(l, ca->key, EVP_sha256()), 0);
	PEM_write_bio_X509_CRL(b, l);
	X509_CRL_free(l);
	return paper_text(b);
}

/* What an OCSP responder says of one, until `seconds` from now on; DER. */
static inline struct str
paper_good(const struct paper *ca, const struct paper *p, long seconds)
{
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	OCSP_CERTID *id = OCSP_cert_to_id(NULL, p->x, ca->x);
	ASN1_TIME *from = ASN1_TIME_set(NULL, time(NULL) - 3600);
	ASN1_TIME *to = ASN1_TIME_set(NULL, time(NULL) + seconds);
	OCSP_RESPONSE *r;
	unsigned char *der = NULL;
	int n;

	OCSP_basic_add1_status(basic, id, V_OCSP_CERTSTATUS_GOOD, 0, NULL, from, to);
	ck_assert_int_gt(OCSP_basic_sign(basic, ca->x, ca->key, EVP_sha256(), NULL, 0), 0);
	r = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	n = i2d_OCSP_RESPONSE(r, &der);
	OCSP_RESPONSE_free(r);
	OCSP_BASICRESP_free(basic);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
	return (struct str){ paper_keep(der), (size_t)n };
}

/* "sha256:…" of its public key. */
static inline struct str
paper_pin(const struct paper *p)
{
	unsigned char *der = NULL, digest[32], text[64];
	int n = i2d_PUBKEY(p->key, &der);
	struct str pin;

	EVP_Digest(der, (size_t)n, digest, NULL, EVP_sha256(), NULL);
	EVP_EncodeBlock(text, digest, 32);
	OPENSSL_free(der);
	pin = paper_join(STR("sha256:"), str_of((char *)text));
	return pin;
}

static inline struct tls_file
paper_file(struct str bytes, const char *path)
{
	return (struct tls_file){ bytes, str_of(path), { .file = "test.conf", .line = 1 } };
}

static inline struct tls_pair
paper_pair(const struct paper *p)
{
	return (struct tls_pair){ .cert = paper_file(p->pem, "cert.pem"),
				  .key = paper_file(p->key_pem, "key.pem") };
}

#endif
