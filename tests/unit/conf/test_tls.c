#include <sys/stat.h>

#include "tests/unit/conf/try.h"

#define CERT "-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----\n"
#define KEY "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
#define LOCKED "-----BEGIN ENCRYPTED PRIVATE KEY-----\nQQ==\n-----END ENCRYPTED PRIVATE KEY-----\n"
#define CRL "-----BEGIN X509 CRL-----\nQQ==\n-----END X509 CRL-----\n"

static char dir[] = "/tmp/postern-tls-XXXXXX";

static void
put(const char *name, const char *text, mode_t mode)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	ck_assert_int_eq(chmod(path, mode), 0);
}

/* Files that most tests need; paths in texts begin with @. */
static void
files(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	put("c.pem", CERT, 0644);
	put("k.pem", KEY, 0600);
	put("both.pem", CERT KEY, 0640);
	put("locked.pem", LOCKED, 0600);
	put("crl.pem", CRL, 0644);
	put("empty", "", 0600);
	put("open.pem", KEY, 0644);
	put("wide.pem", KEY, 0666);
	put("secret", "hunter2\n", 0600);
	put("open", "hunter2\n", 0604);
}

static void
gone(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static const char *
with_dir(const char *text)
{
	static char out[8192];
	size_t n = 0;

	for (; *text && n < sizeof(out) - 64; text++)
		if (*text == '@')
			n += (size_t)snprintf(out + n, 64, "%s/", dir);
		else
			out[n++] = *text;
	out[n] = '\0';
	return out;
}

static struct conf_model *
listener(const char *options)
{
	char text[4096];

	snprintf(text, sizeof(text), "listeners: { web: { bind = [ \"127.0.0.1:1\" ]; %s }; };\n%s",
		 options, TRY_UPSTREAMS TRY_SERVICES);
	return try_load(with_dir(text));
}

static struct conf_model *
upstream(const char *options)
{
	char text[4096];

	snprintf(text, sizeof(text), "%supstreams: { o: { %s }; };\n%s", TRY_LISTENERS, options,
		 TRY_SERVICES);
	return try_load(with_dir(text));
}

/* The findings as people see them. */
static const char *
printed(void)
{
	static char buf[16384];
	FILE *f = fmemopen(buf, sizeof(buf), "w");

	diag_print(&try_diag, f);
	fclose(f);
	return buf;
}

static void
one_error(const char *options, int code)
{
	ck_assert_msg(try_diag.errors >= 1, "%s: no error", options);
	ck_assert_msg(try_diag.first->code == code, "%s: E%d\n%s", options,
		      try_diag.first->code, printed());
	try_free();
}

START_TEST(a_listener_has_tls)
{
	files();

	struct conf_model *m = listener("tls: { cert = \"@c.pem\"; key = \"file:@k.pem\"; };");

	ck_assert_msg(m, "%s", printed());

	const struct conf_tls *t = m->listeners[0].tls;

	ck_assert_ptr_nonnull(t);
	ck_assert_uint_eq(t->npairs, 1);
	unit_str_eq(t->pairs[0].cert.bytes, CERT);
	unit_str_eq(t->pairs[0].key.bytes, KEY);
	ck_assert_uint_eq(t->pairs[0].ocsp.bytes.len, 0);
	ck_assert_int_eq(t->min, CONF_TLS_12);
	ck_assert_int_eq(t->client_cert, CONF_CERT_NONE);
	ck_assert_int_eq(t->forward, CONF_FORWARD_NONE);
	ck_assert(t->tickets);
	ck_assert_uint_eq(t->handshake, 10000);
	ck_assert(m->listeners[0].h1);
	ck_assert(m->listeners[0].h2);
	try_free();
	gone();
}
END_TEST

START_TEST(without_tls_a_listener_speaks_http_1)
{
	struct conf_model *m = listener("");

	ck_assert_ptr_null(m->listeners[0].tls);
	ck_assert(m->listeners[0].h1);
	ck_assert(!m->listeners[0].h2);
	try_free();

	m = listener("http = [ \"h2\" ];");
	ck_assert(!m->listeners[0].h1);
	ck_assert(m->listeners[0].h2);
	try_free();
}
END_TEST

START_TEST(certificates_are_several_and_a_key_may_be_with_its_certificate)
{
	files();

	struct conf_model *m =
		listener("tls: { certs = ( { cert = \"@both.pem\"; },"
			 " { cert = \"@c.pem\"; key = \"@k.pem\"; ocsp = \"@secret\"; } ); };");

	ck_assert_msg(m, "%s", printed());
	ck_assert_uint_eq(m->listeners[0].tls->npairs, 2);
	unit_str_eq(m->listeners[0].tls->pairs[0].key.bytes, CERT KEY);
	unit_str_eq(m->listeners[0].tls->pairs[1].ocsp.bytes, "hunter2\n");
	try_free();
	gone();
}
END_TEST

START_TEST(clients_are_asked_for_certificates)
{
	files();

	struct conf_model *m = listener("trust = [ \"10.0.0.0/8\" ]; proxy_protocol = \"require\";"
					"client_cert_from = [ \"Client-Cert\" ];"
					"tls: { cert = \"@both.pem\"; client_ca = \"@c.pem\";"
					" client_cert = \"require\"; crl = \"@crl.pem\"; depth = 2;"
					" min = \"1.3\"; tickets = false; rate = 5; };");

	ck_assert_msg(m, "%s", printed());

	const struct conf_tls *t = m->listeners[0].tls;

	ck_assert_int_eq(t->client_cert, CONF_CERT_REQUIRE);
	ck_assert_int_eq(t->forward, CONF_FORWARD_BOTH);
	unit_str_eq(t->client_ca.bytes, CERT);
	unit_str_eq(t->crl.bytes, CRL);
	ck_assert_int_eq(t->depth, 2);
	ck_assert_int_eq(t->min, CONF_TLS_13);
	ck_assert(!t->tickets);
	ck_assert_int_eq(t->rate, 5);
	ck_assert_int_eq(m->listeners[0].proxy_protocol, CONF_PROXY_REQUIRE);
	unit_str_eq(m->listeners[0].client_cert_from.at[0], "Client-Cert");
	try_free();
	gone();
}
END_TEST

static const struct { const char *options; int code;
} wrong_listeners[] = {
	{ "tls: { };", 240 },
	{ "tls: { cert = \"@c.pem\"; };", 240 },
	{ "tls: { key = \"@k.pem\"; };", 240 },
	{ "tls: { cert = \"@c.pem\"; key = \"@k.pem\"; certs = ( { cert = \"@both.pem\"; } ); };", 240 },
	{ "tls: { certs = ( ); };", 240 },
	{ "tls: { certs = ( { key = \"@k.pem\"; } ); };", 208 },
	{ "tls: { cert = \"@k.pem\"; key = \"@c.pem\"; };", 542 },
	{ "tls: { cert = \"@c.pem\"; key = \"@c.pem\"; };", 542 },
	{ "tls: { cert = \"@c.pem\"; key = \"@locked.pem\"; };", 542 },
	{ "tls: { cert = \"@c.pem\"; key = \"@wide.pem\"; };", 541 },
	{ "tls: { cert = \"@c.pem\"; key = \"@empty\"; };", 540 },
	{ "tls: { cert = \"@c.pem\"; key = \"@absent\"; };", 540 },
	{ "tls: { cert = \"@c.pem\"; key = \"cred:x\"; };", 228 },
	{ "tls: { cert = \"/tmp\"; key = \"@k.pem\"; };", 540 },
	{ "tls: { cert = \"@c.pem\"; key = \"env:KEY\"; };", 205 },
	{ "tls: { cert = \"@both.pem\"; client_cert = \"require\"; };", 241 },
	{ "tls: { cert = \"@both.pem\"; client_ca = \"@c.pem\"; };", 241 },
	{ "tls: { cert = \"@both.pem\"; crl = \"@crl.pem\"; };", 241 },
	{ "tls: { cert = \"@both.pem\"; forward_client_cert = \"both\"; };", 241 },
	{ "tls: { cert = \"@both.pem\"; client_cert = \"require\"; client_ca = \"@k.pem\"; };", 542 },
	{ "tls: { cert = \"@both.pem\"; client_cert = \"require\"; client_ca = \"@c.pem\"; crl = \"@c.pem\"; };",
	  542 },
	{ "tls: { cert = \"@both.pem\"; min = \"1.1\"; };", 211 },
	{ "tls: { cert = \"@both.pem\"; min = 1.2; };", 205 },
	{ "tls: { cert = \"@both.pem\"; }; redirect = \"https\";", 249 },
	{ "tls = \"@both.pem\";", 205 },
	{ "http = [ ];", 242 },
	{ "http = [ \"h3\" ];", 211 },
	{ "http = \"h2\";", 205 },
	{ "http = [ 1.1 ];", 205 },
	{ "proxy_protocol = \"accept\";", 248 },
	{ "client_cert_from = [ \"Client-Cert\" ];", 248 },
	{ "trust = [ \"unix\" ]; client_cert_from = [ \"a b\" ];", 248 },
	{ "connect: { };", 208 },
	{ "connect: { allow = [ ]; };", 247 },
	{ "connect: { allow = [ \"a.example\" ]; };", 247 },
	{ "connect: { allow = [ \"a.example:*\" ]; };", 247 },
	{ "connect: { allow = [ \"*:443\" ]; };", 247 },
	{ "connect: { allow = [ \"a*.example:443\" ]; };", 247 },
	{ "connect: { allow = [ \"https://a.example\" ]; };", 247 },
};

START_TEST(slips_of_a_listener_are_said)
{
	files();
	ck_assert_ptr_null(listener(wrong_listeners[_i].options));
	one_error(wrong_listeners[_i].options, wrong_listeners[_i].code);
	gone();
}
END_TEST

START_TEST(a_key_that_everybody_may_read_is_said_with_the_remedy)
{
	files();
	ck_assert_ptr_nonnull(listener("tls: { cert = \"@c.pem\"; key = \"@open.pem\"; };"));
	ck_assert_ptr_nonnull(strstr(printed(), "mode 0644"));
	ck_assert_ptr_nonnull(strstr(printed(), with_dir("chmod o-rwx @open.pem")));
	ck_assert_ptr_null(strstr(printed(), "c2VjcmV0"));
	try_free();
	gone();
}
END_TEST

START_TEST(a_key_in_the_place_of_its_path_is_not_shown)
{
	ck_assert_ptr_null(listener("tls: { cert = \"-----BEGIN PRIVATE KEY-----c2VjcmV0\"; };"));
	ck_assert_int_eq(try_diag.first->code, 205);
	ck_assert_ptr_null(strstr(printed(), "c2VjcmV0"));
	try_free();
}
END_TEST

START_TEST(credentials_of_systemd_are_read)
{
	files();
	setenv("CREDENTIALS_DIRECTORY", dir, 1);

	struct conf_model *m = listener("tls: { cert = \"cred:c.pem\"; key = \"cred:k.pem\"; };");

	ck_assert_msg(m, "%s", printed());
	unit_str_eq(m->listeners[0].tls->pairs[0].key.bytes, KEY);
	unit_str_eq(m->listeners[0].tls->pairs[0].key.path, "cred:k.pem");
	try_free();
	gone();
}
END_TEST

START_TEST(a_file_is_in_the_image_once)
{
	files();

	struct conf_model *m = listener("tls: { certs = ( { cert = \"@both.pem\"; }, { cert = \"@both.pem\"; } ); };");

	ck_assert_ptr_eq(m->listeners[0].tls->pairs[0].cert.bytes.at,
			 m->listeners[0].tls->pairs[1].cert.bytes.at);
	try_free();
	gone();
}
END_TEST

START_TEST(clients_may_be_connected_to_what_is_allowed)
{
	struct conf_model *m = try_load("listeners: { out: { bind = [ \"127.0.0.1:3128\" ];"
					" connect: { allow = [ \"API.example.com:443\", \"*.example.com:8443\", "
					"\"[::1]:443\" ]; }; }; };");

	/* A forward proxy needs no service. */
	ck_assert_msg(m, "%s", printed());
	ck_assert_uint_eq(m->listeners[0].connect->allow.n, 3);
	unit_str_eq(m->listeners[0].connect->allow.at[0], "api.example.com:443");
	try_free();
}
END_TEST

/* ---- upstreams */

START_TEST(https_targets_are_verified)
{
	struct conf_model *m = upstream("targets = [ \"https://a.example\", \"https://b.example:8443\", "
					"\"http://c.example\" ];");
	const struct conf_upstream *u = &m->upstreams[0];

	ck_assert(u->targets[0].tls);
	ck_assert_uint_eq(u->targets[0].port, 443);
	unit_str_eq(u->targets[0].host, "a.example");
	ck_assert_uint_eq(u->targets[1].port, 8443);
	ck_assert(!u->targets[2].tls);
	ck_assert_uint_eq(u->targets[2].port, 80);
	ck_assert(u->tls.verify);
	ck_assert_int_eq(u->http, CONF_HTTP_11);
	ck_assert_int_eq(try_diag.warnings, 0);
	try_free();

	m = try_load(TRY_LISTENERS "upstreams: { o = [ \"https://a.example\" ]; };\n" TRY_SERVICES);
	ck_assert(m->upstreams[0].targets[0].tls);
	ck_assert(m->upstreams[0].tls.verify);
	try_free();
}
END_TEST

START_TEST(an_upstream_has_tls)
{
	files();

	struct conf_model *m =
		upstream("targets = [ \"https://10.0.0.1\" ]; http = \"auto\"; proxy_protocol = 2;"
			 "tls: { ca = \"@c.pem\"; sni = \"a.example\"; client_cert = \"@c.pem\";"
			 " client_key = \"@k.pem\"; min = \"1.3\";"
			 " pin = [ \"sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\" ]; };");

	ck_assert_msg(m, "%s", printed());

	const struct conf_upstream *u = &m->upstreams[0];

	ck_assert_int_eq(u->http, CONF_HTTP_AUTO);
	ck_assert_int_eq(u->proxy_protocol, 2);
	unit_str_eq(u->tls.ca.bytes, CERT);
	unit_str_eq(u->tls.sni, "a.example");
	unit_str_eq(u->tls.client_key.bytes, KEY);
	ck_assert_uint_eq(u->tls.pin.n, 1);
	ck_assert_int_eq(u->tls.min, CONF_TLS_13);
	ck_assert_int_eq(try_diag.warnings, 0);
	try_free();
	gone();
}
END_TEST

#define HTTPS "targets = [ \"https://a.example\" ]; "

static const struct { const char *options; int code;
} wrong_upstreams[] = {
	{ "targets = [ \"http://a.example\" ]; tls: { };", 243 },
	{ HTTPS "tls: { client_cert = \"@c.pem\"; };", 240 },
	{ HTTPS "tls: { client_key = \"@k.pem\"; };", 240 },
	{ HTTPS "tls: { client_cert = \"@c.pem\"; client_key = \"@wide.pem\"; };", 541 },
	{ HTTPS "tls: { ca = \"@k.pem\"; };", 542 },
	{ HTTPS "tls: { verify = false; ca = \"@c.pem\"; };", 243 },
	{ HTTPS "tls: { pin = [ \"abc\" ]; };", 243 },
	{ HTTPS "tls: { sni = \"a.example:443\"; };", 243 },
	{ HTTPS "tls: { sni = \"10.0.0.1\"; };", 243 },
	{ HTTPS "http = \"2\";", 211 },
	{ HTTPS "proxy_protocol = 3;", 205 },
	{ HTTPS "credential: { };", 208 },
	{ HTTPS "credential: { type = \"basic\"; user = \"u\"; };", 244 },
	{ HTTPS "credential: { type = \"basic\"; user = \"u:v\"; password = \"file:@secret\"; };", 244 },
	{ HTTPS "credential: { type = \"bearer\"; token = \"file:@empty\"; };", 228 },
	{ HTTPS "credential: { type = \"bearer\"; token = \"a\\nb\"; };", 244 },
	{ HTTPS "credential: { type = \"bearer\"; token = \"x\"; user = \"u\"; };", 244 },
	{ HTTPS "credential: { type = \"header\"; value = \"x\"; };", 244 },
	{ HTTPS "credential: { type = \"header\"; header = \"a b\"; value = \"x\"; };", 244 },
	{ HTTPS "credential: { type = \"header\"; header = \"Host\"; value = \"x\"; };", 244 },
	{ HTTPS "credential: { type = \"oauth2\"; client_id = \"i\"; client_secret = \"s\"; token_path = \"/t\"; };",
	  244 },
	{ HTTPS "credential: { type = \"oauth2\"; client_id = \"i\"; client_secret = \"s\"; token_path = \"/t\";"
		" token_upstream = \"x\"; };", 204 },
	{ HTTPS "credential: { type = \"oauth2\"; client_id = \"i\"; client_secret = \"s\"; token_path = \"/t\";"
		" token_upstream = \"o\"; };", 244 },
	{ HTTPS "pace: { rate = \"10\"; };", 206 },
	{ HTTPS "pace: { burst = 10; };", 251 },
};

START_TEST(slips_of_an_upstream_are_said)
{
	files();
	ck_assert_ptr_null(upstream(wrong_upstreams[_i].options));
	/* A warning of the file for all may stand before it. */
	while (try_diag.first && try_diag.first->level != DIAG_ERROR)
		try_diag.first = try_diag.first->next;
	one_error(wrong_upstreams[_i].options, wrong_upstreams[_i].code);
	gone();
}
END_TEST

static const struct { const char *options; int code;
} doubtful[] = {
	{ "targets = [ \"https://10.0.0.1\" ];", 245 },
	{ "targets = [ \"https://[fd00::1]\" ]; tls: { verify = true; };", 245 },
	{ HTTPS "tls: { verify = false; };", 246 },
	{ HTTPS "tls: { client_cert = \"@c.pem\"; client_key = \"@open.pem\"; };", 541 },
	{ HTTPS "credential: { type = \"bearer\"; token = \"file:@open\"; };", 541 },
	{ "targets = [ \"http://a.example\" ]; credential: { type = \"bearer\"; token = \"file:@secret\"; };", 250 },
};

START_TEST(what_is_doubtful_is_a_warning)
{
	files();
	ck_assert_msg(upstream(doubtful[_i].options), "%s", printed());
	ck_assert_int_eq(try_diag.warnings, 1);
	ck_assert_int_eq(try_diag.first->code, doubtful[_i].code);
	try_free();
	gone();
}
END_TEST

START_TEST(credentials_are_of_four_types)
{
	files();

	struct conf_model *m = try_load(with_dir(
		TRY_LISTENERS
		"upstreams: { o: { " HTTPS "credential: { type = \"basic\"; user = \"u\"; password = "
		"\"file:@secret\"; }; };\n"
		" h: { " HTTPS "credential: { type = \"header\"; header = \"x-key\"; value = \"file:@secret\"; }; };\n"
		" b: { " HTTPS "credential: { type = \"bearer\"; token = \"file:@secret\"; }; };\n"
		" a: { " HTTPS "credential: { type = \"oauth2\"; token_upstream = \"id\"; token_path = \"/t\";"
		" client_id = \"i\"; client_secret = \"file:@secret\"; scope = \"x y\"; audience = \"z\"; }; };\n"
		" id: { " HTTPS "}; };\n" TRY_SERVICES));

	ck_assert_msg(m, "%s", printed());

	const struct conf_upstream *u = m->upstreams;

	ck_assert_int_eq(u[0].credential.type, CONF_CRED_BASIC);
	unit_str_eq(u[0].credential.header, "authorization");
	unit_str_eq(u[0].credential.user, "u");
	unit_str_eq(u[0].credential.secret.bytes, "hunter2");
	ck_assert_int_eq(u[1].credential.type, CONF_CRED_HEADER);
	unit_str_eq(u[1].credential.header, "x-key");
	unit_str_eq(u[1].credential.secret.bytes, "hunter2");
	ck_assert_int_eq(u[2].credential.type, CONF_CRED_BEARER);
	ck_assert_int_eq(u[3].credential.type, CONF_CRED_OAUTH2);
	ck_assert_ptr_eq(u[3].credential.token_upstream, &u[4]);
	ck_assert(u[4].used);
	unit_str_eq(u[3].credential.token_path, "/t");
	unit_str_eq(u[3].credential.client_id, "i");
	unit_str_eq(u[3].credential.scope, "x y");
	unit_str_eq(u[3].credential.audience, "z");
	ck_assert_uint_eq(u[3].credential.early, 30000);
	ck_assert_int_eq(u[4].credential.type, CONF_CRED_NONE);
	try_free();
	gone();
}
END_TEST

START_TEST(limits_of_others_are_learned_or_set)
{
	struct conf_model *m = upstream(HTTPS "pace: { rate = \"10/s\"; burst = 3; wait = \"1s\"; };");

	ck_assert_msg(m, "%s", printed());
	ck_assert(m->upstreams[0].pace.learn);
	ck_assert_uint_eq(m->upstreams[0].pace.rate.count, 10);
	ck_assert_uint_eq(m->upstreams[0].pace.rate.burst, 3);
	ck_assert_uint_eq(m->upstreams[0].pace.rate.interval, 100000000);
	ck_assert_uint_eq(m->upstreams[0].pace.wait, 1000);
	try_free();

	m = upstream(HTTPS);
	ck_assert(!m->upstreams[0].pace.learn);
	ck_assert_uint_eq(m->upstreams[0].pace.rate.count, 0);
	try_free();
}
END_TEST

START_TEST(a_secret_in_the_file_is_not_shown_with_other_findings)
{
	ck_assert_ptr_null(upstream(HTTPS "credential: { type = \"bearer\"; token = \"hunter2\"; odd = 1; };"));
	ck_assert_ptr_nonnull(strstr(printed(), "odd = 1"));
	ck_assert_ptr_null(strstr(printed(), "hunter2"));
	try_free();
	ck_assert_ptr_null(upstream(HTTPS "credential: { type = \"bearer\"; token = 424242; };"));
	ck_assert_ptr_null(strstr(printed(), "424242"));
	try_free();
}
END_TEST

START_TEST(nothing_of_a_key_or_a_secret_is_dumped)
{
	char path[128], *text = NULL;
	size_t len = 0;
	struct arena a;
	struct diag d;

	files();
	put("t.conf",
	    with_dir("listeners: { web: { bind = [ \"127.0.0.1:1\" ]; tls: { cert = \"c.pem\"; key = "
		     "\"file:k.pem\"; }; }; };\n"
		     "upstreams: { o: { " HTTPS "credential: { type = \"bearer\"; token = \"hunter2\"; }; }; };\n"
		     TRY_SERVICES),
	    0600);
	snprintf(path, sizeof(path), "%s/t.conf", dir);
	arena_init(&a, NULL, 0, (size_t)1 << 30);
	diag_init(&d, &a);

	FILE *out = open_memstream(&text, &len);

	ck_assert_int_eq(conf_dump(path, sample_types, &d, out), 0);
	fclose(out);
	ck_assert_ptr_nonnull(strstr(text, with_dir("cert = \"@c.pem\"")));
	ck_assert_ptr_nonnull(strstr(text, with_dir("key = \"file:@k.pem\"")));
	ck_assert_ptr_nonnull(strstr(text, "token = \"***\""));
	ck_assert_ptr_null(strstr(text, "hunter2"));
	ck_assert_ptr_null(strstr(text, "c2VjcmV0"));
	free(text);
	arena_reset(&a);
	gone();
}
END_TEST

#define COUNT(a) (int)(sizeof(a) / sizeof(*(a)))
#define LOOP(test, over) tcase_add_loop_test(tcase, test, 0, COUNT(over))

int
main(void)
{
	const TTest *const tests[] = {
		a_listener_has_tls,
		without_tls_a_listener_speaks_http_1,
		certificates_are_several_and_a_key_may_be_with_its_certificate,
		clients_are_asked_for_certificates,
		a_key_that_everybody_may_read_is_said_with_the_remedy,
		a_key_in_the_place_of_its_path_is_not_shown,
		credentials_of_systemd_are_read,
		a_file_is_in_the_image_once,
		clients_may_be_connected_to_what_is_allowed,
		https_targets_are_verified,
		an_upstream_has_tls,
		credentials_are_of_four_types,
		limits_of_others_are_learned_or_set,
		a_secret_in_the_file_is_not_shown_with_other_findings,
		nothing_of_a_key_or_a_secret_is_dumped,
	};
	Suite *suite = suite_create("tls");
	TCase *tcase = tcase_create("tls");

	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++)
		tcase_add_test(tcase, tests[i]);
	LOOP(slips_of_a_listener_are_said, wrong_listeners);
	LOOP(slips_of_an_upstream_are_said, wrong_upstreams);
	LOOP(what_is_doubtful_is_a_warning, doubtful);
	suite_add_tcase(suite, tcase);

	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
