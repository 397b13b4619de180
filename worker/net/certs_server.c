/* certs_server — the server's side: which certificates are for whom, and how clients are
 * to show theirs. */
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "worker/net/certs.h"

enum { SESSION_S = 4 * 3600 };

static const char ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
			      "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
			      "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char groups[] = "X25519:P-256:P-384";

/* A pair as read. */
struct pair {
	STACK_OF(X509) * chain; /* leaf first */
	EVP_PKEY *key;
	int type; /* of the key, below FACE_KEYS */
};

/* What is needed while a server is made. */
struct making {
	const struct tls_server_rules *rules;
	struct tls_server *server;
	struct pair *pairs;
	X509_STORE *store; /* of clients' authorities; NULL: nobody is asked */
	STACK_OF(X509) * authorities;
	unsigned char scope[32]; /* sessions of another one are not resumed */
	uint32_t pair;           /* whose names are being read */
	char *error;
};

static char *
zstr(struct str s)
{
	char *z = strndup(s.at ? s.at : "", s.len);

	if (!z)
		abort();
	return z;
}

static void *
grown(void *array, size_t n, size_t item)
{
	if (n & (n - 1))
		return array;
	array = realloc(array, (n ? 2 * n : 1) * item);
	if (!array)
		abort();
	return array;
}

/* ---- names */

static void
add_name(void *arg, struct str name)
{
	struct making *m = arg;
	struct tls_server *s = m->server;
	struct name n = { .pair = m->pair };

	if (str_starts(name, STR("*."))) {
		n.wild = true;
		name = str_from(name, 2);
	}
	if (!name.len || memchr(name.at, 0, name.len))
		return;
	n.text = zstr(name);
	for (char *c = n.text; *c; c++)
		*c = (char)char_lower((unsigned char)*c);
	s->names = grown(s->names, s->nnames, sizeof(*s->names));
	s->names[s->nnames++] = n;
}

static int
by_name(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	int d = strcmp(x->text, y->text);

	if (!d)
		d = (int)x->wild - (int)y->wild;
	return d ? d : (x->pair > y->pair) - (x->pair < y->pair);
}

static void
collect(const struct making *m, int pair[FACE_KEYS], const struct name *n)
{
	const struct name *first = n;

	if (!n)
		return;
	for (; n < m->server->names + m->server->nnames; n++) {
		int *p = &pair[m->pairs[n->pair].type];

		if (n->wild != first->wild || strcmp(n->text, first->text))
			return;
		if (*p < 0)
			*p = (int)n->pair;
	}
}

/* Exact certificates, and for types of keys that they lack those of the wildcard. */
static void
pairs_of(const struct making *m, int pair[FACE_KEYS], const struct name *n)
{
	const char *dot = strchr(n->text, '.');

	collect(m, pair, n);
	if (!n->wild && dot)
		collect(m, pair, server_name(m->server, dot + 1, true));
}

/* ---- contexts */

static int
say(struct making *m, const char *what, const struct tls_file *f)
{
	char reason[160];

	certs_error(reason, sizeof(reason));
	if (f && f->path.len)
		snprintf(m->error, 256, "%s %.*s: %s", what, STR_ARG(f->path), reason);
	else
		snprintf(m->error, 256, "%s: %s", what, reason);
	return -1;
}

static void
ask_clients(const struct making *m, SSL_CTX *c)
{
	int mode = SSL_VERIFY_PEER;

	if (m->rules->ask == TLS_ASK_NOT)
		return;
	if (m->rules->ask == TLS_ASK_REQUIRE)
		mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	SSL_CTX_set_verify(c, mode, server_verified);
	SSL_CTX_set_verify_depth(c, m->rules->depth);
	SSL_CTX_set1_cert_store(c, m->store);
	for (int i = 0; i < sk_X509_num(m->authorities); i++)
		SSL_CTX_add_client_CA(c, sk_X509_value(m->authorities, i));
}

static void
resume(const struct making *m, SSL_CTX *c)
{
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_session_id_context(c, m->scope, sizeof(m->scope));
	SSL_CTX_set_timeout(c, SESSION_S);
	if (!m->rules->tickets || !m->server->tickets.seal) {
		SSL_CTX_set_options(c, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(c, 0);
		return;
	}
	SSL_CTX_set_num_tickets(c, 1);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(c, server_ticket);
}

static int
set_lists(struct making *m, SSL_CTX *c)
{
	char *list = zstr(m->rules->ciphers), *curves = zstr(m->rules->groups);
	int ok = SSL_CTX_set_cipher_list(c, *list ? list : ciphers);

	if (!ok) {
		snprintf(m->error, 256, "no cipher in \"%.160s\"", list);
	} else if (!SSL_CTX_set1_groups_list(c, *curves ? curves : groups)) {
		snprintf(m->error, 256, "unknown group in \"%.160s\"", curves);
		ok = 0;
	}
	ERR_clear_error();
	free(list);
	free(curves);
	return ok ? 0 : -1;
}

static int
use_pair(struct making *m, SSL_CTX *c, int at)
{
	const struct tls_pair *f = &m->rules->pairs[at];
	struct pair *p = &m->pairs[at];

	if (SSL_CTX_use_certificate(c, sk_X509_value(p->chain, 0)) != 1)
		return say(m, "certificate", &f->cert);
	for (int i = 1; i < sk_X509_num(p->chain); i++)
		if (!SSL_CTX_add1_chain_cert(c, sk_X509_value(p->chain, i)))
			return say(m, "chain", &f->cert);
	if (SSL_CTX_use_PrivateKey(c, p->key) != 1)
		return say(m, "key", certs_key_file(&f->cert, &f->key));
	return 0;
}

static int
context_new(struct making *m, struct face *f)
{
	struct tls_server *s = m->server;
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());

	f->context = c;
	if (!c)
		return say(m, "OpenSSL", NULL);
	SSL_CTX_set_app_data(c, s);
	SSL_CTX_set_mode(c, SSL_MODE_NO_AUTO_CHAIN);
	if (certs_common(c, m->rules->min, m->error) < 0 || set_lists(m, c) < 0)
		return -1;
	for (int i = 0; i < FACE_KEYS; i++)
		if (f->pair[i] >= 0 && use_pair(m, c, f->pair[i]) < 0)
			return -1;
	resume(m, c);
	ask_clients(m, c);
	SSL_CTX_set_tlsext_servername_callback(c, server_face);
	SSL_CTX_set_tlsext_servername_arg(c, s);
	if (s->h1 || s->h2)
		SSL_CTX_set_alpn_select_cb(c, server_protocol, s);
	if (s->nstaples) {
		SSL_CTX_set_tlsext_status_cb(c, server_staple);
		SSL_CTX_set_tlsext_status_arg(c, s);
	}
	return 0;
}

/* The face with these pairs: its number, or -1. */
static int
face_of(struct making *m, const int pair[FACE_KEYS])
{
	struct tls_server *s = m->server;
	struct face *f;

	for (size_t i = 0; i < s->nfaces; i++)
		if (!memcmp(s->faces[i].pair, pair, sizeof(s->faces[i].pair)))
			return (int)i;
	s->faces = grown(s->faces, s->nfaces, sizeof(*s->faces));
	f = &s->faces[s->nfaces++];
	memcpy(f->pair, pair, sizeof(f->pair));
	return context_new(m, f) < 0 ? -1 : (int)s->nfaces - 1;
}

static void
no_pairs(int pair[FACE_KEYS])
{
	for (int i = 0; i < FACE_KEYS; i++)
		pair[i] = -1;
}

static int
make_faces(struct making *m)
{
	struct tls_server *s = m->server;
	int pair[FACE_KEYS], face;
	size_t kept = 0;

	qsort(s->names, s->nnames, sizeof(*s->names), by_name);
	/* For strangers: the first pair, and the others for its first name. */
	no_pairs(pair);
	pair[m->pairs[0].type] = 0;
	for (size_t i = 0; i < s->nnames; i++) {
		if (s->names[i].pair == 0) {
			pairs_of(m, pair,
				 server_name(s, s->names[i].text, s->names[i].wild));
			break;
		}
	}
	if (face_of(m, pair) < 0)
		return -1;
	for (size_t i = 0; i < s->nnames; i++) {
		const struct name *first =
			server_name(s, s->names[i].text, s->names[i].wild);

		if (first != &s->names[i]) {
			s->names[i].face = first->face;
			continue;
		}
		no_pairs(pair);
		pairs_of(m, pair, first);
		face = face_of(m, pair);
		if (face < 0)
			return -1;
		s->names[i].face = (uint32_t)face;
	}
	for (size_t i = 0; i < s->nnames; i++) {
		if (kept && !strcmp(s->names[kept - 1].text, s->names[i].text) &&
		    s->names[kept - 1].wild == s->names[i].wild)
			free(s->names[i].text);
		else
			s->names[kept++] = s->names[i];
	}
	s->nnames = kept;
	return 0;
}

/* ---- from files */

static int
key_type(EVP_PKEY *key)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		return 0;
	case EVP_PKEY_RSA_PSS:
		return 1;
	case EVP_PKEY_EC:
		return 2;
	case EVP_PKEY_ED25519:
	case EVP_PKEY_ED448:
		return 3;
	default:
		return -1;
	}
}

static void
add_staple(struct making *m, X509 *cert, const struct tls_file *f)
{
	struct tls_server *s = m->server;
	struct staple p = { .len = f->bytes.len, .end = certs_staple_end(f->bytes) };

	if (!p.end)
		return;
	X509_up_ref(cert);
	p.cert = cert;
	p.der = OPENSSL_memdup(f->bytes.at, f->bytes.len);
	if (!p.der)
		abort();
	s->staples = grown(s->staples, s->nstaples, sizeof(*s->staples));
	s->staples[s->nstaples++] = p;
}

static int
read_pairs(struct making *m)
{
	for (size_t i = 0; i < m->rules->npairs; i++) {
		const struct tls_pair *f = &m->rules->pairs[i];
		const struct tls_file *key = certs_key_file(&f->cert, &f->key);
		struct pair *p = &m->pairs[i];
		bool encrypted;

		p->chain = certs_read(f->cert.bytes);
		if (!p->chain)
			return say(m, "certificate", &f->cert);
		p->key = certs_read_key(key->bytes, &encrypted);
		if (!p->key)
			return say(m, encrypted ? "encrypted key" : "key", key);
		p->type = key_type(p->key);
		if (p->type < 0)
			return say(m, "key of a kind that is not known", key);
		m->pair = (uint32_t)i;
		certs_names(sk_X509_value(p->chain, 0), add_name, m);
		if (f->ocsp.bytes.len)
			add_staple(m, sk_X509_value(p->chain, 0), &f->ocsp);
	}
	return 0;
}

static int
read_authorities(struct making *m)
{
	const struct tls_server_rules *r = m->rules;

	if (r->ask == TLS_ASK_NOT)
		return 0;
	m->store = X509_STORE_new();
	m->authorities = certs_read(r->client_ca.bytes);
	if (!m->store || !m->authorities ||
	    certs_add(m->store, r->client_ca.bytes, false) < 0)
		return say(m, "client_ca", &r->client_ca);
	if (!r->crl.bytes.len)
		return 0;
	if (certs_add(m->store, r->crl.bytes, true) < 0)
		return say(m, "crl", &r->crl);
	X509_STORE_set_flags(m->store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	return 0;
}

/* A session of a listener that asked nothing of its clients, or other things, is a
 * stranger's here. */
static void
set_scope(struct making *m)
{
	const struct tls_server_rules *r = m->rules;
	struct {
		struct digest ca, crl;
		int ask, depth;
	} all;
	struct digest d;

	memset(&all, 0, sizeof(all));
	if (r->ask != TLS_ASK_NOT) {
		all.ca = sha256(r->client_ca.bytes);
		all.crl = sha256(r->crl.bytes);
		all.ask = r->ask;
		all.depth = r->depth;
	}
	d = sha256((struct str){ (const char *)&all, sizeof(all) });
	memcpy(m->scope, d.byte, sizeof(m->scope));
}

struct tls_server *
tls_server_new(const struct tls_server_rules *r, const struct tls_tickets *t,
	       char error[static 256])
{
	struct making m = { .rules = r, .error = error };
	bool ok;

	error[0] = '\0';
	m.server = calloc(1, sizeof(*m.server));
	m.pairs = calloc(r->npairs + 1, sizeof(*m.pairs));
	if (!m.server || !m.pairs)
		abort();
	m.server->refs = 1;
	m.server->h1 = r->h1;
	m.server->h2 = r->h2;
	m.server->asks = r->ask != TLS_ASK_NOT;
	if (t)
		m.server->tickets = *t;
	set_scope(&m);
	if (!r->npairs)
		snprintf(error, 256, "no certificate");
	ok = r->npairs && read_pairs(&m) == 0 && read_authorities(&m) == 0 &&
	     make_faces(&m) == 0;
	for (size_t i = 0; i < r->npairs; i++) {
		certs_release(m.pairs[i].chain);
		EVP_PKEY_free(m.pairs[i].key);
	}
	free(m.pairs);
	X509_STORE_free(m.store);
	certs_release(m.authorities);
	if (ok)
		return m.server;
	tls_server_free(m.server);
	return NULL;
}

void
tls_server_hold(struct tls_server *s)
{
	s->refs++;
}

void
tls_server_free(struct tls_server *s)
{
	if (!s || --s->refs)
		return;
	for (size_t i = 0; i < s->nfaces; i++)
		SSL_CTX_free(s->faces[i].context);
	for (size_t i = 0; i < s->nnames; i++)
		free(s->names[i].text);
	for (size_t i = 0; i < s->nstaples; i++) {
		X509_free(s->staples[i].cert);
		OPENSSL_free(s->staples[i].der);
	}
	free(s->faces);
	free(s->names);
	free(s->staples);
	free(s);
}
