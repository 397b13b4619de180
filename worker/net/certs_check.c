/* certs_check — what is wrong with certificates and keys, said before anybody meets it.
 */
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "worker/net/certs.h"

enum {
	E_NOT_PEM = 542,
	E_MISMATCH = 550,
	E_DATES = 551,
	W_SOON = 552,
	E_ORDER = 553,
	W_CHAIN = 554,
	E_TLS = 555
};
enum { SOON_S = 14 * 86400 };

struct checking {
	struct arena *arena;
	struct diag *diag;
	bool bad;
};

static struct str
day(struct arena *a, time_t t)
{
	struct tm tm;

	gmtime_r(&t, &tm);
	return arena_printf(a, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1,
			    tm.tm_mday);
}

static struct str
subject(struct arena *a, X509 *x)
{
	char text[200];

	X509_NAME_oneline(X509_get_subject_name(x), text, sizeof(text));
	return arena_str(a, str_of(text));
}

static void
check_dates(struct checking *k, X509 *x, const struct tls_file *f)
{
	time_t now = time(NULL), from = certs_time(X509_get0_notBefore(x)),
	       to = certs_time(X509_get0_notAfter(x));
	struct str who = subject(k->arena, x);

	if (to <= now) {
		diag_error(k->diag, E_DATES, f->where, "%.*s: \"%.*s\" expired on %.*s",
			   STR_ARG(f->path), STR_ARG(who), STR_ARG(day(k->arena, to)));
		k->bad = true;
	} else if (from > now) {
		diag_error(k->diag, E_DATES, f->where,
			   "%.*s: \"%.*s\" is not valid before %.*s", STR_ARG(f->path),
			   STR_ARG(who), STR_ARG(day(k->arena, from)));
		k->bad = true;
	} else if (to - now < SOON_S) {
		long days = (long)((to - now) / 86400);

		diag_warn(k->diag, W_SOON, f->where,
			  "%.*s: \"%.*s\" expires in %ld day%s, on %.*s",
			  STR_ARG(f->path), STR_ARG(who), days, days == 1 ? "" : "s",
			  STR_ARG(day(k->arena, to)));
	}
}

static bool
issued(X509 *issuer, X509 *x)
{
	return X509_check_issued(issuer, x) == X509_V_OK;
}

/* Each certificate is to be issued by the one behind it. */
static void
check_order(struct checking *k, STACK_OF(X509) * chain, const struct tls_file *f)
{
	int n = sk_X509_num(chain);

	for (int i = 1; i < n; i++) {
		X509 *x = sk_X509_value(chain, i - 1);

		if (issued(sk_X509_value(chain, i), x))
			continue;
		diag_error(
			k->diag, E_ORDER, f->where,
			"%.*s: certificate %d, \"%.*s\", did not issue the one before it",
			STR_ARG(f->path), i + 1,
			STR_ARG(subject(k->arena, sk_X509_value(chain, i))));
		diag_note(k->diag, f->where,
			  "the server's own comes first, then each one's issuer");
		k->bad = true;
		return;
	}
}

/* Whether the chain ends at a root of this machine, or a certificate whose issuer it
 * knows. */
static bool
complete(STACK_OF(X509) * chain)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *x = X509_STORE_CTX_new();
	bool whole = true;

	if (store && x && X509_STORE_set_default_paths(store) &&
	    X509_STORE_CTX_init(x, store, sk_X509_value(chain, 0), chain)) {
		X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(x),
					    X509_V_FLAG_NO_CHECK_TIME);
		if (X509_verify_cert(x) <= 0) {
			int e = X509_STORE_CTX_get_error(x);

			whole = e != X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY &&
				e != X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT &&
				e != X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
		}
	}
	X509_STORE_CTX_free(x);
	X509_STORE_free(store);
	ERR_clear_error();
	return whole;
}

/* A single certificate of a public authority that comes without the ones in between is
 * the usual mistake: browsers find them elsewhere, other clients do not. Of a private
 * authority the root may be with the clients. */
static void
check_chain(struct checking *k, STACK_OF(X509) * chain, const struct tls_file *f)
{
	X509 *last = sk_X509_value(chain, sk_X509_num(chain) - 1);
	AUTHORITY_INFO_ACCESS *where;

	if (X509_get_extension_flags(last) & EXFLAG_SS || complete(chain))
		return;
	where = X509_get_ext_d2i(last, NID_info_access, NULL, NULL);
	if (!where && sk_X509_num(chain) > 1)
		return;
	AUTHORITY_INFO_ACCESS_free(where);
	diag_warn(k->diag, W_CHAIN, f->where,
		  "%.*s: who issued \"%.*s\" is neither in the file nor known to this "
		  "machine: "
		  "clients may miss a certificate in between",
		  STR_ARG(f->path), STR_ARG(subject(k->arena, last)));
}

static EVP_PKEY *
check_key(struct checking *k, const struct tls_file *f)
{
	bool encrypted;
	char reason[160];
	EVP_PKEY *key = certs_read_key(f->bytes, &encrypted);

	if (key)
		return key;
	k->bad = true;
	if (encrypted)
		diag_error(k->diag, E_NOT_PEM, f->where,
			   "%.*s: the private key is encrypted; nobody can be asked for "
			   "its password",
			   STR_ARG(f->path));
	else
		diag_error(k->diag, E_NOT_PEM, f->where,
			   "%.*s: no private key can be read: %s", STR_ARG(f->path),
			   certs_error(reason, sizeof(reason)));
	ERR_clear_error();
	return NULL;
}

/* The chain, or NULL. */
static struct stack_st_X509 *
check_pair(struct checking *k, const struct tls_file *cert,
	   const struct tls_file *key_file)
{
	const struct tls_file *in = certs_key_file(cert, key_file);
	STACK_OF(X509) *chain = certs_read(cert->bytes);
	EVP_PKEY *key;
	char reason[160];

	if (!chain) {
		diag_error(k->diag, E_NOT_PEM, cert->where,
			   "%.*s: no certificate can be read: %s", STR_ARG(cert->path),
			   certs_error(reason, sizeof(reason)));
		k->bad = true;
	}
	key = check_key(k, in);
	if (chain && key && X509_check_private_key(sk_X509_value(chain, 0), key) != 1) {
		bool later = false;

		ERR_clear_error();
		for (int i = 1; i < sk_X509_num(chain); i++)
			later |=
				X509_check_private_key(sk_X509_value(chain, i), key) == 1;
		k->bad = true;
		if (later)
			diag_error(
				k->diag, E_ORDER, cert->where,
				"%.*s: the certificate of the key is not the first one",
				STR_ARG(cert->path));
		else
			diag_error(
				k->diag, E_MISMATCH, in->where,
				"the key in %.*s is not that of the certificate in %.*s",
				STR_ARG(in->path), STR_ARG(cert->path));
	} else if (chain) {
		for (int i = 0; i < sk_X509_num(chain); i++)
			check_dates(k, sk_X509_value(chain, i), cert);
		check_order(k, chain, cert);
	}
	ERR_clear_error();
	EVP_PKEY_free(key);
	return chain;
}

static void
check_staple(struct checking *k, const struct tls_file *f)
{
	time_t end;

	if (!f->bytes.len)
		return;
	end = certs_staple_end(f->bytes);
	if (!end) {
		diag_error(k->diag, E_NOT_PEM, f->where,
			   "%.*s: no response of an OCSP responder in DER",
			   STR_ARG(f->path));
		k->bad = true;
	} else if (end <= time(NULL)) {
		diag_warn(k->diag, W_SOON, f->where,
			  "%.*s: the OCSP response ended on %.*s: it is not stapled",
			  STR_ARG(f->path), STR_ARG(day(k->arena, end)));
	}
}

static void
check_authorities(struct checking *k, const struct tls_file *f, const char *what)
{
	STACK_OF(X509) *all = certs_read(f->bytes);
	char reason[160];

	if (!all) {
		diag_error(k->diag, E_NOT_PEM, f->where,
			   "%s %.*s: no certificate can be read: %s", what,
			   STR_ARG(f->path), certs_error(reason, sizeof(reason)));
		k->bad = true;
		return;
	}
	for (int i = 0; i < sk_X509_num(all); i++) {
		X509 *x = sk_X509_value(all, i);

		if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
			diag_warn(k->diag, W_SOON, f->where,
				  "%s %.*s: \"%.*s\" expired on %.*s", what,
				  STR_ARG(f->path), STR_ARG(subject(k->arena, x)),
				  STR_ARG(day(k->arena,
					      certs_time(X509_get0_notAfter(x)))));
	}
	certs_release(all);
}

static void
check_lists(struct checking *k, const struct tls_file *f)
{
	X509_STORE *store;
	STACK_OF(X509_OBJECT) * all;

	if (!f->bytes.len)
		return;
	store = X509_STORE_new();
	if (!store || certs_add(store, f->bytes, true) < 0) {
		char reason[160];

		diag_error(k->diag, E_NOT_PEM, f->where,
			   "%.*s: no list of revoked certificates (CRL) can be read: %s",
			   STR_ARG(f->path), certs_error(reason, sizeof(reason)));
		k->bad = true;
	}
	all = store ? X509_STORE_get0_objects(store) : NULL;
	for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
		X509_CRL *l = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(all, i));
		const ASN1_TIME *next = l ? X509_CRL_get0_nextUpdate(l) : NULL;

		if (next && X509_cmp_current_time(next) < 0)
			diag_warn(k->diag, W_SOON, f->where,
				  "%.*s: the list of revoked certificates ended on %.*s: "
				  "clients of that "
				  "authority are refused",
				  STR_ARG(f->path),
				  STR_ARG(day(k->arena, certs_time(next))));
	}
	X509_STORE_free(store);
}

static bool
covers(X509 *x, struct str host)
{
	char name[256];

	if (host.len >= sizeof(name))
		return true;
	memcpy(name, host.at, host.len);
	name[host.len] = 0;
	if (name[0] == '*')
		name[0] = 'x';          /* any one below it */
	return X509_check_host(x, name, host.len, 0, NULL) == 1 ||
	       X509_check_ip_asc(x, name, 0) == 1;
}

void
tls_covers(const struct tls_pair *p, const struct str *hosts, size_t n, bool *covered)
{
	STACK_OF(X509) *chain = certs_read(p->cert.bytes);

	for (size_t i = 0; chain && i < n; i++)
		if (!covered[i])
			covered[i] = covers(sk_X509_value(chain, 0), hosts[i]);
	certs_release(chain);
	ERR_clear_error();
}

void
tls_check(const struct tls_server_rules *r, struct arena *arena, struct diag *diag)
{
	struct checking k = { .arena = arena, .diag = diag };
	char error[256];
	struct where where = { 0 };

	for (size_t i = 0; i < r->npairs; i++) {
		STACK_OF(X509) *chain =
			check_pair(&k, &r->pairs[i].cert, &r->pairs[i].key);

		if (chain)
			check_chain(&k, chain, &r->pairs[i].cert);
		certs_release(chain);
		check_staple(&k, &r->pairs[i].ocsp);
		where = r->pairs[0].cert.where;
	}
	if (r->ask != TLS_ASK_NOT) {
		check_authorities(&k, &r->client_ca, "client_ca");
		check_lists(&k, &r->crl);
	}
	if (!k.bad) {
		/* Ciphers, groups, and whatever else OpenSSL does not like. */
		struct tls_server *s = tls_server_new(r, NULL, error);

		if (!s)
			diag_error(diag, E_TLS, where, "tls: %s", error);
		tls_server_free(s);
	}
}

void
tls_check_client(const struct tls_client_rules *r, struct arena *arena, struct diag *diag)
{
	struct checking k = { .arena = arena, .diag = diag };
	char error[256];
	struct tls_client *c;

	if (r->verify && r->ca.bytes.len)
		check_authorities(&k, &r->ca, "ca");
	if (r->cert.bytes.len)
		certs_release(check_pair(&k, &r->cert, &r->key));
	if (k.bad)
		return;
	c = tls_client_new(r, error);
	if (!c)
		diag_error(diag, E_TLS, r->ca.bytes.len ? r->ca.where : r->cert.where,
			   "tls: %s", error);
	tls_client_free(c);
}
