#include "conf/reader.h"

enum { MS = 1, S = 1000, MIN = 60000, PIN_LEN = 44 };

static const char *const versions[] = { "1.2", "1.3", NULL };
static const char *const client_certs[] = { "none", "request", "require", NULL };
static const char *const forwards[] = { "none", "xfcc", "rfc9440", "both", NULL };

static const char begin_cert[] = "-----BEGIN CERTIFICATE-----";
static const char begin_trusted[] = "-----BEGIN TRUSTED CERTIFICATE-----";
static const char begin_crl[] = "-----BEGIN X509 CRL-----";
static const char begin_key[] = "PRIVATE KEY-----";

static bool
holds(const struct conf_file *f, const char *what)
{
	return f->bytes.len && memmem(f->bytes.at, f->bytes.len, what, strlen(what));
}

/* ---- what is in the files, at a glance; worker/net/certs.c looks closely */

static int
cert_check(struct conf_load *l, const struct conf_file *f, const char *key)
{
	if (!f->bytes.len || holds(f, begin_cert) || holds(f, begin_trusted))
		return 0;
	conf_error(l, 542, f->where, "\"%s\": there is no certificate in %.*s%s", key,
		   STR_ARG(f->path),
		   holds(f, begin_key)
			   ? ", but a private key; are the two exchanged?"
			   : "; files are PEM, with -----BEGIN CERTIFICATE-----; from DER: "
			     "openssl x509 -inform der -in FILE -out FILE.pem");
	return -1;
}

static int
key_check(struct conf_load *l, const struct conf_file *f, const char *key)
{
	if (!f->bytes.len)
		return 0;
	if (holds(f, "ENCRYPTED")) {
		conf_error(l, 542, f->where,
			   "\"%s\": the key in %.*s has a passphrase, and nobody is there to "
			   "type it: openssl pkey -in FILE -out FILE.key",
			   key, STR_ARG(f->path));
		return -1;
	}
	if (holds(f, begin_key))
		return 0;
	conf_error(l, 542, f->where, "\"%s\": there is no private key in %.*s%s", key,
		   STR_ARG(f->path),
		   holds(f, begin_cert)
			   ? ", but a certificate; are the two exchanged?"
			   : "; files are PEM, with -----BEGIN PRIVATE KEY-----");
	return -1;
}

/* A certificate and its key, which may stand in one file. */
static int
pair_check(struct conf_load *l, const struct conf_node *n, struct conf_file *cert,
	   struct conf_file *key, const char *cert_name, const char *key_name)
{
	const struct conf_node *c = conf_member(n, cert_name),
			       *k = conf_member(n, key_name);

	if (k && !c) {
		conf_error(l, 240, conf_name_where(k),
			   "\"%s\" without \"%s\": a key alone is of no use", key_name,
			   cert_name);
		return -1;
	}
	if (!cert->bytes.len)
		return 0;
	if (cert_check(l, cert, cert_name) < 0)
		return -1;
	if (k)
		return key_check(l, key, key_name);
	if (!holds(cert, begin_key)) {
		conf_error(l, 240, conf_name_where(c),
			   "\"%s\" is missing: there is no private key in %.*s either",
			   key_name, STR_ARG(cert->path));
		return -1;
	}
	*key = *cert;
	return key_check(l, key, cert_name);
}

/* ---- listeners */

#define PAIR(member) offsetof(struct conf_tls_pair, member)

static const struct conf_field pair_rows[] = {
	{ "cert", CONF_KIND_FILE, CONF_F_REQUIRED, PAIR(cert),
	  .help = "the certificate and those between it and the root, in this order: PEM" },
	{ "key", CONF_KIND_FILE, .offset = PAIR(key),
	  .help = "its private key, PEM; left out: it stands in the file of cert" },
	{ "ocsp", CONF_KIND_FILE, .offset = PAIR(ocsp),
	  .help = "the answer of its authority that it is not revoked, to be stapled: DER, "
		  "as openssl ocsp -respout writes it" },
	CONF_END
};

struct listener_tls {                   /* as it is written */
	struct conf_tls tls;
	struct conf_tls_pair one;
};

static int
certs_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	    struct where w, void *to)
{
	struct conf_tls *t = to;
	const struct conf_node *child;
	int result = 0;

	(void)text, (void)w;
	if (n->kind != CONF_NODE_LIST)
		return wrong_type(l, n, "certs",
				  "a list: ( { cert = \"a.pem\"; key = \"a.key\"; } )");
	if (!n->n && !n->damaged) {
		conf_error(l, 240, conf_where(n), "\"certs\" is empty");
		return -1;
	}
	t->pairs = ARENA_NEWS(l->image, struct conf_tls_pair, n->n);
	for_each_child(child, n) {
		struct conf_tls_pair *p = &t->pairs[t->npairs++];

		if (conf_fill(l, child, pair_rows, p) < 0 ||
		    pair_check(l, child, &p->cert, &p->key, "cert", "key") < 0)
			result = -1;
	}
	return result;
}

#define T(member) offsetof(struct listener_tls, tls.member)
#define ONE(member) offsetof(struct listener_tls, one.member)

const struct conf_field tls_rows[] = {
	{ "cert", CONF_KIND_FILE, .offset = ONE(cert),
	  .help = "the certificate and those between it and the root, in this order: a PEM "
		  "file, or \"cred:NAME\" of systemd" },
	{ "key", CONF_KIND_FILE, .offset = ONE(key),
	  .help = "its private key: a PEM file that others cannot read, or \"cred:NAME\" of "
		  "systemd; left out: it stands in the file of cert" },
	{ "ocsp", CONF_KIND_FILE, .offset = ONE(ocsp),
	  .help = "the answer of its authority that it is not revoked, to be stapled: DER, "
		  "as openssl ocsp -respout writes it" },
	{ "certs", CONF_KIND_VIA, CONF_F_LIST, 0, .parse = certs_parse, .sub = pair_rows,
	  .help = "several of them instead; which one is shown the name decides that the "
		  "client asks for (SNI), and whether it takes ECDSA; the first is for who "
		  "asks for none of them" },
	{ "min", CONF_KIND_ENUM, .offset = T(min), .def = "1.2", .words = versions,
	  .help = "the oldest version of TLS that is spoken" },
	{ "ciphers", CONF_KIND_STR, .offset = T(ciphers),
	  .help = "ciphers of TLS 1.2, as openssl ciphers takes them; left out: those with "
		  "forward secrecy and authenticated encryption" },
	{ "groups", CONF_KIND_STR, .offset = T(groups),
	  .help = "groups of the key exchange, such as \"X25519:P-256\"; left out: X25519, "
		  "P-256, P-384" },
	{ "client_ca", CONF_KIND_FILE, .offset = T(client_ca),
	  .help = "authorities whose certificates clients may show: PEM" },
	{ "client_cert", CONF_KIND_ENUM, .offset = T(client_cert), .def = "none",
	  .words = client_certs,
	  .help = "whether clients are asked for a certificate of client_ca; \"request\" "
		  "serves those without one as well, \"require\" does not" },
	{ "crl", CONF_KIND_FILE, .offset = T(crl),
	  .help = "certificates of clients that are revoked: lists in PEM, one of each "
		  "authority" },
	{ "depth", CONF_KIND_INT, .offset = T(depth), .def = "4", .min = 0, .max = 32,
	  .help = "most certificates between that of a client and its root" },
	{ "forward_client_cert", CONF_KIND_ENUM, .offset = T(forward), .words = forwards,
	  .help = "how upstreams are told whose certificate it was: \"xfcc\", "
		  "X-Forwarded-Client-Cert as Envoy writes it; \"rfc9440\", Client-Cert; "
		  "left out: both, where clients are asked for one. What clients send "
		  "under these names is always taken out" },
	{ "tickets", CONF_KIND_BOOL, .offset = T(tickets), .def = "true",
	  .help = "clients that come back are spared a full handshake, whichever worker "
		  "they reach" },
	{ "handshake", CONF_KIND_DURATION, .offset = T(handshake), .def = "10s",
	  .min = 100 * MS, .max = 10 * MIN, .help = "how long a handshake may take" },
	{ "pending", CONF_KIND_INT, .offset = T(pending), .def = "4096", .min = 0,
	  .max = 1 << 20,
	  .help = "handshakes under way at once, for each worker; connections above are "
		  "closed; 0: no limit" },
	{ "rate", CONF_KIND_INT, .offset = T(rate), .def = "0", .min = 0, .max = 1000000,
	  .help = "handshakes a second that one client address may begin, for each worker; "
		  "connections above are closed; 0: no limit" },
	CONF_END
};

static int
pairs_check(struct conf_load *l, const struct conf_node *n, struct listener_tls *t)
{
	const struct conf_node *cert = conf_member(n, "cert"),
			       *certs = conf_member(n, "certs"),
			       *ocsp = conf_member(n, "ocsp");

	if (certs && (cert || conf_member(n, "key") || ocsp)) {
		const struct conf_node *other = cert ? cert
						: ocsp ? ocsp : conf_member(n, "key");

		conf_error(l, 240, conf_name_where(other),
			   "\"%.*s\" and \"certs\" exclude each other: put it into certs, "
			   "which begins with the one for clients that name none",
			   STR_ARG(conf_name_of(other)));
		diag_note(l->diag, conf_name_where(certs), "\"certs\" is here");
		return -1;
	}
	if (certs)
		return 0;
	if (!cert && !conf_member(n, "key")) {
		if (!n->damaged)
			conf_error(l, 240,
				   n->name_len ? conf_name_where(n) : conf_where(n),
				   "\"cert\" is missing: tls: { cert = \"chain.pem\"; key = "
				   "\"private.key\"; }");
		return -1;
	}
	if (pair_check(l, n, &t->one.cert, &t->one.key, "cert", "key") < 0)
		return -1;
	t->tls.pairs = ARENA_NEW(l->image, struct conf_tls_pair);
	*t->tls.pairs = t->one;
	t->tls.npairs = 1;
	return 0;
}

static int
client_check(struct conf_load *l, const struct conf_node *n, struct conf_tls *t)
{
	static const char *const of_clients[] = { "client_ca", "crl",
						  "forward_client_cert" };
	const struct conf_node *asked = conf_member(n, "client_cert");

	/* What was meant by another word is not "none". */
	if (asked && !t->client_cert &&
	    !(asked->kind == CONF_NODE_STRING && str_eq(asked->text, STR("none"))))
		return -1;
	for (size_t i = 0; i < 3 && !t->client_cert; i++) {
		const struct conf_node *o = conf_member(n, of_clients[i]);

		if (!o || (i == 2 && t->forward <= CONF_FORWARD_NONE))
			continue;
		conf_error(l, 241, conf_name_where(o),
			   "\"%s\" has no effect: clients are asked for no certificate; "
			   "write client_cert = \"require\" or \"request\"",
			   of_clients[i]);
		return -1;
	}
	if (t->forward < 0)
		t->forward = t->client_cert ? CONF_FORWARD_BOTH : CONF_FORWARD_NONE;
	if (!t->client_cert)
		return 0;
	if (!conf_member(n, "client_ca")) {
		conf_error(l, 241, conf_where(asked),
			   "client_cert = \"%s\" needs client_ca: whose certificates are "
			   "good",
			   client_certs[t->client_cert]);
		return -1;
	}
	if (t->crl.bytes.len && !holds(&t->crl, begin_crl)) {
		conf_error(l, 542, t->crl.where,
			   "\"crl\": there is no list in %.*s; it is PEM, with -----BEGIN "
			   "X509 CRL-----; from DER: openssl crl -inform der",
			   STR_ARG(t->crl.path));
		return -1;
	}
	return cert_check(l, &t->client_ca, "client_ca");
}

int
tls_parse(struct conf_load *l, const struct conf_node *n, struct str text, struct where w,
	  void *to)
{
	struct listener_tls t = { .tls.forward = -1 };
	const struct conf_tls **out = to;
	struct conf_tls *made;
	int errors = l->diag->errors;

	(void)text, (void)w;
	made = ARENA_NEW(l->image, struct conf_tls);
	*out = made;
	if (n->kind != CONF_NODE_GROUP)
		return wrong_type(l, n, "tls",
				  "{ cert = \"chain.pem\"; key = \"private.key\"; }");
	conf_fill(l, n, tls_rows, &t);
	pairs_check(l, n, &t);
	client_check(l, n, &t.tls);
	*made = t.tls;
	return l->diag->errors > errors ? -1 : 0;
}

/* ---- upstreams */

#define U(member) offsetof(struct conf_upstream_tls, member)

const struct conf_field upstream_tls_rows[] = {
	{ "verify", CONF_KIND_BOOL, .offset = U(verify), .def = "true",
	  .help = "a target must show a certificate of ca for its name; false: whoever "
		  "answers is believed" },
	{ "ca", CONF_KIND_FILE, .offset = U(ca),
	  .help = "authorities that are believed: PEM; left out: those of the system "
		  "(ca-certificates)" },
	{ "sni", CONF_KIND_STR, .offset = U(sni),
	  .help = "the name that is asked for and must stand in the certificate; left out: "
		  "the host of the target" },
	{ "client_cert", CONF_KIND_FILE, .offset = U(client_cert),
	  .help = "the certificate that is shown to targets which ask for one: PEM" },
	{ "client_key", CONF_KIND_FILE, .offset = U(client_key),
	  .help = "its private key: a PEM file that others cannot read, or \"cred:NAME\" of "
		  "systemd; left out: it stands in the file of client_cert" },
	{ "pin", CONF_KIND_STRS, .offset = U(pin),
	  .help = "public keys one of which a target must have: [ \"sha256:BASE64\" ], "
		  "SHA-256 of its SubjectPublicKeyInfo" },
	{ "min", CONF_KIND_ENUM, .offset = U(min), .def = "1.2", .words = versions,
	  .help = "the oldest version of TLS that is spoken" },
	CONF_END
};

static bool
pin_good(struct str s)
{
	if (!str_starts(s, STR("sha256:")) || s.len != 7 + PIN_LEN ||
	    s.at[s.len - 1] != '=')
		return false;
	for (size_t i = 7; i < s.len - 1; i++) {
		char c = s.at[i], low = (char)char_lower((unsigned char)c);

		if (!(low >= 'a' && low <= 'z') && !(c >= '0' && c <= '9') && c != '+' &&
		    c != '/')
			return false;
	}
	return true;
}

static void
pins_check(struct conf_load *l, const struct conf_strs *pins)
{
	for (size_t i = 0; i < pins->n; i++)
		if (pins->at[i].at && !pin_good(pins->at[i]))
			conf_error(l, 243, pins->where[i],
				   "\"pin\": \"%.*s\" is none: \"sha256:\" and 44 letters of "
				   "base64: openssl x509 -in FILE -noout -pubkey | openssl "
				   "pkey -pubin -outform der | openssl dgst -sha256 -binary | "
				   "base64",
				   STR_ARG(str_first(pins->at[i], 80)));
}

int
upstream_tls_parse(struct conf_load *l, const struct conf_node *n, struct str text,
		   struct where w, void *to)
{
	struct conf_upstream_tls *t = to;
	const struct conf_node *sni, *ca;
	int errors = l->diag->errors;

	(void)text, (void)w;
	if (n->kind != CONF_NODE_GROUP)
		return wrong_type(l, n, "tls", "a group: { ca = \"ca.pem\"; }");
	conf_fill(l, n, upstream_tls_rows, t);
	pair_check(l, n, &t->client_cert, &t->client_key, "client_cert", "client_key");
	cert_check(l, &t->ca, "ca");
	pins_check(l, &t->pin);
	sni = conf_member(n, "sni");
	if (sni && t->sni.at && (!is_host(t->sni) || is_address(t->sni)))
		conf_error(l, 243, conf_where(sni),
			   "\"sni\": \"%.*s\" is no name of a host; addresses and ports do "
			   "not belong there",
			   STR_ARG(str_first(t->sni, 80)));
	ca = conf_member(n, "ca");
	if (ca && !t->verify && conf_member(n, "verify"))
		conf_error(l, 243, conf_name_where(ca),
			   "\"ca\" has no effect: verify = false believes everybody");
	return l->diag->errors > errors ? -1 : 0;
}

/* What tls and the targets say of each other. */
void
upstream_tls_check(struct conf_load *l, const struct conf_node *n,
		   const struct conf_upstream *u)
{
	const struct conf_node *tls =
		n->kind == CONF_NODE_GROUP ? conf_member(n, "tls") : NULL;
	const struct conf_node *verify = tls && tls->kind == CONF_NODE_GROUP
						 ? conf_member(tls, "verify")
						 : NULL;
	const struct conf_target *secure = NULL, *bare = NULL;

	for (size_t i = 0; i < u->ntargets; i++) {
		const struct conf_target *t = &u->targets[i];

		if (!t->tls)
			continue;
		secure = t;
		if (is_address(t->host) && !bare)
			bare = t;
	}
	if (tls && !secure && u->ntargets) {
		conf_error(l, 243, conf_name_where(tls),
			   "\"tls\" has no effect: no target begins with https://");
		diag_note(l->diag, u->targets[0].where, "write \"https://…\" here");
	}
	if (bare && u->tls.verify && !u->tls.sni.len)
		conf_warn(l, 245, bare->where,
			  "certificates seldom name addresses: unless this one does, give "
			  "the name that it has: tls: { sni = \"api.example.com\"; }");
	if (secure && verify && !u->tls.verify && !u->tls.pin.n)
		conf_warn(l, 246, conf_where(verify),
			  "whoever answers at the address is believed, with all that "
			  "requests carry; better is ca, or pin");
}
