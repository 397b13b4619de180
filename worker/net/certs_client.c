/* certs_client — the client's side: whom to believe, what we show, and sessions to be
 * resumed. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "worker/net/certs.h"

static const char ciphers[] =
	"ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:DHE+AESGCM:AESGCM:!aNULL:!eNULL:!PSK:!SRP";
static const char groups[] = "X25519:P-256:P-384";

static char *
zstr(struct str s)
{
	char *z = strndup(s.at ? s.at : "", s.len);

	if (!z)
		abort();
	return z;
}

/* ---- pins */

static bool
pinned(const struct tls_client *c, X509 *x)
{
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	struct digest d;
	bool found = false;

	if (len <= 0)
		return false;
	d = sha256((struct str){ (const char *)der, (size_t)len });
	OPENSSL_free(der);
	for (size_t i = 0; i < c->npins && !found; i++)
		found = !memcmp(c->pins[i], d.byte, sizeof(d.byte));
	return found;
}

/* Any certificate of a chain that was verified may be pinned; of one that was not only
 * the peer's own counts, as anybody can put others behind it. */
static int
believe(X509_STORE_CTX *x, void *arg)
{
	const struct tls_client *c = arg;
	STACK_OF(X509) * chain;

	if (c->verify && X509_verify_cert(x) <= 0)
		return 0;
	if (!c->npins)
		return 1;
	if (!c->verify) {
		if (pinned(c, X509_STORE_CTX_get0_cert(x)))
			return 1;
	} else {
		chain = X509_STORE_CTX_get0_chain(x);
		for (int i = 0; i < sk_X509_num(chain); i++)
			if (pinned(c, sk_X509_value(chain, i)))
				return 1;
	}
	X509_STORE_CTX_set_error(x, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

static int
add_pin(struct tls_client *c, struct str pin)
{
	unsigned char bytes[48];
	struct str text = pin;

	if (!str_starts(text, STR("sha256:")))
		return -1;
	text = str_from(text, 7);
	if (text.len != 44 || text.at[43] != '=' || text.at[42] == '=' ||
	    EVP_DecodeBlock(bytes, (const unsigned char *)text.at, 44) != 33)
		return -1;
	memcpy(c->pins[c->npins++], bytes, 32);
	return 0;
}

/* ---- sessions */

static void
slot_clear(struct client_session *s)
{
	SSL_SESSION_free(s->session);
	free(s->key);
	s->session = NULL;
	s->key = NULL;
	s->life++;
}

int
client_slot(struct tls_client *c, struct str host, struct str key)
{
	struct client_session *oldest = c->sessions;
	char *whole = malloc(host.len + key.len + 2);

	if (!whole)
		abort();
	memcpy(whole, host.at ? host.at : "", host.len);
	whole[host.len] = '\n';
	memcpy(whole + host.len + 1, key.at ? key.at : "", key.len);
	whole[host.len + key.len + 1] = '\0';
	c->clock++;
	for (int i = 0; i < CLIENT_SESSIONS; i++) {
		struct client_session *s = &c->sessions[i];

		if (s->key && !strcmp(s->key, whole)) {
			free(whole);
			s->used = c->clock;
			return i;
		}
		if (s->used < oldest->used)
			oldest = s;
	}
	slot_clear(oldest);
	oldest->key = whole;
	oldest->used = c->clock;
	return (int)(oldest - c->sessions);
}

/* Keeps it: 1 says that the reference is ours. */
static int
session_met(SSL *ssl, SSL_SESSION *session)
{
	struct tls *t = tls_current();
	struct client_session *s;

	(void)ssl;
	if (!t || !t->client || t->slot < 0 || t->fault)
		return 0;
	s = &t->client->sessions[t->slot];
	if (s->life != t->slot_life)
		return 0;
	SSL_SESSION_free(s->session);
	s->session = session;
	return 1;
}

/* ---- whom we expect */

int
client_expect(struct tls_client *c, SSL *ssl, struct str host)
{
	X509_VERIFY_PARAM *p = SSL_get0_param(ssl);
	unsigned char address[16];
	char name[256];

	if (c->name)
		host = str_of(c->name);
	if (host.len && host.at[host.len - 1] == '.')
		host.len--;
	if (!host.len || host.len >= sizeof(name) || memchr(host.at, 0, host.len))
		return host.len || c->verify ? -1 : 0;
	memcpy(name, host.at, host.len);
	name[host.len] = '\0';
	if (inet_pton(AF_INET, name, address) == 1 ||
	    inet_pton(AF_INET6, name, address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(p, name) ? 0 : -1;
	X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (!X509_VERIFY_PARAM_set1_host(p, name, host.len))
		return -1;
	return SSL_set_tlsext_host_name(ssl, name) ? 0 : -1;
}

/* ---- contexts */

static int
say(char *error, const char *what, struct str path)
{
	char reason[160];

	certs_error(reason, sizeof(reason));
	snprintf(error, 256, "%s %.*s: %s", what, STR_ARG(path), reason);
	return -1;
}

static int
show(SSL_CTX *c, const struct tls_client_rules *r, char error[static 256])
{
	const struct tls_file *file = certs_key_file(&r->cert, &r->key);
	STACK_OF(X509) * chain;
	EVP_PKEY *key;
	bool encrypted;
	int ok;

	if (!r->cert.bytes.len)
		return 0;
	chain = certs_read(r->cert.bytes);
	if (!chain)
		return say(error, "client_cert", r->cert.path);
	key = certs_read_key(file->bytes, &encrypted);
	if (!key) {
		certs_release(chain);
		return say(error, encrypted ? "encrypted client_key" : "client_key",
			   file->path);
	}
	ok = SSL_CTX_use_certificate(c, sk_X509_value(chain, 0)) == 1;
	for (int i = 1; ok && i < sk_X509_num(chain); i++)
		ok = SSL_CTX_add1_chain_cert(c, sk_X509_value(chain, i)) == 1;
	ok = ok && SSL_CTX_use_PrivateKey(c, key) == 1;
	certs_release(chain);
	EVP_PKEY_free(key);
	return ok ? 0 : say(error, "client_key", file->path);
}

static int
believe_whom(struct tls_client *c, const struct tls_client_rules *r,
	     char error[static 256])
{
	X509_STORE *store;

	c->verify = r->verify;
	if (r->verify && !r->ca.bytes.len) {
		if (!SSL_CTX_set_default_verify_paths(c->context))
			return say(error, "system's authorities", STR_NONE);
	} else if (r->verify) {
		store = X509_STORE_new();
		if (!store)
			abort();
		SSL_CTX_set_cert_store(c->context, store);
		if (certs_add(store, r->ca.bytes, false) < 0)
			return say(error, "ca", r->ca.path);
		/* An authority that is named is believed, be it a root or not. */
		X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	}
	c->pins = calloc(r->npins + 1, sizeof(*c->pins));
	if (!c->pins)
		abort();
	for (size_t i = 0; i < r->npins; i++) {
		if (add_pin(c, r->pins[i]) < 0) {
			snprintf(error, 256,
				 "pin \"%.*s\" is not \"sha256:\" and 44 characters of "
				 "base64",
				 STR_ARG(str_first(r->pins[i], 100)));
			return -1;
		}
	}
	SSL_CTX_set_verify(c->context,
			   r->verify || r->npins ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
			   NULL);
	SSL_CTX_set_cert_verify_callback(c->context, believe, c);
	return 0;
}

static void
offer(SSL_CTX *c, const struct tls_client_rules *r)
{
	static const unsigned char both[] = "\2h2\10http/1.1";

	if (r->h1 || r->h2)
		SSL_CTX_set_alpn_protos(c, r->h2 ? both : both + 3,
					r->h2 && r->h1 ? 12
					: r->h2        ? 3
						       : 9);
}

struct tls_client *
tls_client_new(const struct tls_client_rules *r, char error[static 256])
{
	struct tls_client *c = calloc(1, sizeof(*c));

	error[0] = '\0';
	ERR_clear_error();
	if (!c || !(c->context = SSL_CTX_new(TLS_client_method())))
		abort();
	c->refs = 1;
	if (r->name.len)
		c->name = zstr(r->name);
	if (certs_common(c->context, r->min, error) < 0 ||
	    believe_whom(c, r, error) < 0 || show(c->context, r, error) < 0) {
		tls_client_free(c);
		return NULL;
	}
	if (!SSL_CTX_set_cipher_list(c->context, ciphers) ||
	    !SSL_CTX_set1_groups_list(c->context, groups))
		abort();
	offer(c->context, r);
	SSL_CTX_set_session_cache_mode(c->context, SSL_SESS_CACHE_CLIENT |
							   SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c->context, session_met);
	return c;
}

void
tls_client_hold(struct tls_client *c)
{
	c->refs++;
}

void
tls_client_free(struct tls_client *c)
{
	if (!c || --c->refs)
		return;
	for (int i = 0; i < CLIENT_SESSIONS; i++)
		slot_clear(&c->sessions[i]);
	SSL_CTX_free(c->context);
	free(c->name);
	free(c->pins);
	free(c);
}
