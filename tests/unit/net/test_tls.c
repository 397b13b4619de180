/* TLS: our two sides shake hands over a socketpair, with certificates made here. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crypto.h"
#include "tests/unit/net/certificates.h"
#include "worker/net/tls.h"

static struct paper root, site, client;
static struct tls_pair pairs[8];
static struct tls_server_rules serve;
static struct tls_client_rules ask;
static struct tls_server *server;
static struct tls_client *asker;
static struct tls *there, *here;        /* the server's session, the client's */
static struct tls_info seen;            /* by the client, after meet() */
static struct arena arena;
static int fds[2];
static char error[256];

/* ---- tickets of a test */

static struct tls_ticket_key keys[2];
static int found = 1;

static void
seal(void *arg, struct tls_ticket_key *k)
{
	(void)arg;
	*k = keys[0];
}

static int
find(void *arg, const uint8_t name[16], struct tls_ticket_key *k)
{
	(void)arg;
	for (int i = 0; i < 2; i++) {
		if (memcmp(keys[i].name, name, 16))
			continue;
		*k = keys[i];
		return found;
	}
	return 0;
}

static const struct tls_tickets tickets = { .seal = seal, .find = find };

/* ---- the two sides */

static void
setup(void)
{
	arena_init(&arena, NULL, 0, 1 << 20);
	crypto_random(keys, sizeof(keys));
	root = paper_make((struct paper_wish){ .name = "Root", .ca = true });
	site = paper_make((struct paper_wish){ .issuer = &root, .name = "site",
					       .san = "DNS:site.example,IP:127.0.0.1" });
	pairs[0] = paper_pair(&site);
	serve = (struct tls_server_rules){ .pairs = pairs, .npairs = 1, .h1 = true, .depth = 2,
					   .tickets = true };
	ask = (struct tls_client_rules){ .verify = true, .h1 = true,
					 .ca = paper_file(root.pem, "root.pem") };
}

static void
open_both(void)
{
	if (!server)
		server = tls_server_new(&serve, &tickets, error);
	ck_assert_msg(server != NULL, "%s", error);
	if (!asker)
		asker = tls_client_new(&ask, error);
	ck_assert_msg(asker != NULL, "%s", error);
}

static void
close_both(void)
{
	tls_server_free(server);
	tls_client_free(asker);
	server = NULL;
	asker = NULL;
}

static void
part(void)
{
	tls_free(there);
	tls_free(here);
	close(fds[0]);
	close(fds[1]);
}

/* Until both are done, or one has failed and the other one knows. */
static bool
meet(const char *host)
{
	enum tls_state a = TLS_WANT, b = TLS_WANT;

	open_both();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	there = tls_accept(server, fds[0]);
	here = tls_connect(asker, fds[1], str_of(host), STR("target"));
	for (int i = 0; i < 20 && (a == TLS_WANT || b == TLS_WANT); i++) {
		if (b == TLS_WANT)
			b = tls_handshake(here);
		if (a == TLS_WANT)
			a = tls_handshake(there);
	}
	if (a == TLS_DONE && b == TLS_DONE)
		tls_info(here, &arena, &seen);
	return a == TLS_DONE && b == TLS_DONE;
}

static bool
meet_once(const char *host)
{
	bool met = meet(host);

	if (met)
		part();
	return met;
}

static void
say(struct tls *t, int fd, const char *text)
{
	char out[1024];
	ssize_t n = tls_seal(t, str_of(text), out, sizeof(out));

	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(send(fd, out, (size_t)n, 0), n);
}

static void
hear(struct tls *t, const char *text)
{
	char in[1024];
	ssize_t n = tls_recv(t, in, sizeof(in));

	ck_assert_int_ge(n, 0);
	unit_str_eq((struct str){ in, (size_t)n }, text);
}

START_TEST(both_sides_talk)
{
	setup();
	ck_assert_msg(meet("site.example"), "%d %.*s", tls_fault(here), STR_ARG(tls_error(here)));
	unit_str_eq(seen.version, "TLSv1.3");
	unit_str_eq(seen.group, "x25519");
	unit_str_eq(seen.subject, "CN=site");
	unit_str_eq(seen.issuer, "CN=Root");
	unit_str_eq(seen.dns, "site.example");
	unit_str_eq(seen.san, "DNS:site.example, IP Address:127.0.0.1");
	ck_assert_int_eq(seen.fingerprint.len, 64);
	ck_assert(seen.verified && !seen.resumed);
	say(here, fds[1], "hello");
	hear(there, "hello");
	say(there, fds[0], "good day");
	hear(here, "good day");
	ck_assert_int_eq(tls_recv(here, error, 10), -1);
	ck_assert_int_eq(errno, EAGAIN);
	tls_info(there, &arena, &seen);
	unit_str_eq(seen.sni, "site.example");
	ck_assert(!seen.verified && !seen.subject.len);
	part();
	close_both();
}
END_TEST

START_TEST(a_close_is_told_from_a_cut)
{
	char in[64], out[64];
	size_t n;

	setup();
	ck_assert(meet("site.example"));
	say(here, fds[1], "bye");
	n = tls_bye(here, out, sizeof(out));
	ck_assert_uint_gt(n, 0);
	ck_assert_uint_eq(tls_bye(here, out + n, sizeof(out) - n), 0);
	ck_assert_int_eq(send(fds[1], out, n, 0), (ssize_t)n);
	/* The bytes first; the end is known, and comes with the next reading. */
	ck_assert_int_eq(tls_recv(there, in, sizeof(in)), 3);
	ck_assert(tls_over(there));
	ck_assert_int_eq(tls_recv(there, in, sizeof(in)), 0);
	ck_assert_int_eq(tls_fault(there), TLS_OK);
	part();

	ck_assert(meet("site.example"));
	tls_mute(here);
	tls_free(here);
	here = NULL;
	shutdown(fds[1], SHUT_WR);
	ck_assert_int_eq(tls_recv(there, in, sizeof(in)), -1);
	ck_assert_int_eq(errno, EPROTO);
	ck_assert_int_eq(tls_fault(there), TLS_CLOSED);
	part();

	/* Who is freed says so. */
	ck_assert(meet("site.example"));
	tls_free(here);
	here = NULL;
	ck_assert_int_eq(tls_recv(there, in, sizeof(in)), 0);
	part();
	close_both();
}
END_TEST

START_TEST(names_choose_certificates)
{
	struct paper wild, b, rsa;

	setup();
	wild = paper_make((struct paper_wish){ .issuer = &root, .name = "wild",
					       .san = "DNS:*.site.example,DNS:*.b.example" });
	b = paper_make((struct paper_wish){ .issuer = &root, .name = "b", .san = "DNS:A.B.Example" });
	rsa = paper_make((struct paper_wish){ .issuer = &root, .name = "rsa", .kind = PAPER_RSA,
					      .san = "DNS:rsa.example" });
	pairs[1] = paper_pair(&wild);
	pairs[2] = paper_pair(&b);
	pairs[3] = paper_pair(&rsa);
	serve.npairs = 4;
	ck_assert(meet_once("site.example"));
	unit_str_eq(seen.subject, "CN=site");
	ck_assert(meet_once("x.site.example"));
	unit_str_eq(seen.subject, "CN=wild");
	ck_assert(meet_once("a.b.example"));
	unit_str_eq(seen.subject, "CN=b");
	ck_assert(meet_once("A.b.EXAMPLE."));
	unit_str_eq(seen.subject, "CN=b");
	ck_assert(meet_once("c.b.example"));
	unit_str_eq(seen.subject, "CN=wild");
	ck_assert(meet_once("rsa.example"));
	unit_str_eq(seen.subject, "CN=rsa");
	ck_assert(meet_once("127.0.0.1"));
	unit_str_eq(seen.subject, "CN=site");
	/* A star is one label; a stranger is shown the first. */
	tls_client_free(asker);
	ask.verify = false;
	asker = tls_client_new(&ask, error);
	ck_assert(meet_once("y.x.site.example"));
	unit_str_eq(seen.subject, "CN=site");
	ck_assert(meet_once("b.example"));
	unit_str_eq(seen.subject, "CN=site");
	ck_assert(!seen.verified);
	close_both();
}
END_TEST

/* What a client gets that knows only one kind of signature. */
static void
shown_to(const char *algorithms, const char *name)
{
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(c);
	char text[64] = "";
	int r = 0;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	SSL_set1_sigalgs_list(ssl, algorithms);
	SSL_set_tlsext_host_name(ssl, "both.example");
	SSL_set_fd(ssl, fds[1]);
	there = tls_accept(server, fds[0]);
	for (int i = 0; i < 20 && r != 1; i++) {
		r = SSL_connect(ssl);
		tls_handshake(there);
	}
	ck_assert_int_eq(r, 1);
	X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(ssl)),
				  NID_commonName, text, sizeof(text));
	ck_assert_str_eq(text, name);
	SSL_free(ssl);
	SSL_CTX_free(c);
	tls_free(there);
	close(fds[0]);
	close(fds[1]);
}

START_TEST(kinds_of_keys_stand_side_by_side)
{
	struct paper ec, rsa;

	setup();
	ec = paper_make((struct paper_wish){ .issuer = &root, .name = "ec", .san = "DNS:both.example" });
	rsa = paper_make((struct paper_wish){ .issuer = &root, .name = "rsa", .kind = PAPER_RSA,
					      .san = "DNS:*.example" });
	pairs[1] = paper_pair(&rsa);
	pairs[2] = paper_pair(&ec);
	serve.npairs = 3;
	open_both();
	shown_to("ECDSA+SHA256", "ec");
	shown_to("RSA-PSS+SHA256", "rsa");
	shown_to("ECDSA+SHA256:RSA-PSS+SHA256", "ec");
	close_both();
}
END_TEST

START_TEST(protocols_are_agreed_on)
{
	setup();
	serve.h2 = true;
	ask.h2 = true;
	ck_assert(meet_once("site.example"));
	unit_str_eq(seen.alpn, "h2");
	close_both();
	serve.h2 = false;
	ck_assert(meet_once("site.example"));
	unit_str_eq(seen.alpn, "http/1.1");
	close_both();
	ask.h1 = ask.h2 = false;
	ck_assert(meet_once("site.example"));
	unit_str_eq(seen.alpn, "");
	close_both();
	ask.h2 = true;
	ck_assert(!meet("site.example"));
	part();
	close_both();
}
END_TEST

static enum tls_fault
refused(const char *host)
{
	enum tls_fault f;

	ck_assert(!meet(host));
	f = tls_fault(here);
	ck_assert(f != TLS_OK);
	ck_assert(f == TLS_HOSTNAME || tls_error(here).len > 0);
	part();
	close_both();
	return f;
}

START_TEST(a_wrong_server_is_refused)
{
	struct paper other, late, early;

	setup();
	ck_assert_int_eq(refused("other.example"), TLS_HOSTNAME);
	ck_assert_int_eq(refused("127.0.0.2"), TLS_HOSTNAME);
	ck_assert_int_eq(refused(""), TLS_HOSTNAME);
	other = paper_make((struct paper_wish){ .name = "Other", .ca = true });
	ask.ca.bytes = other.pem;
	ck_assert_int_eq(refused("site.example"), TLS_UNKNOWN_CA);
	ask.ca = (struct tls_file){ 0 };        /* the system's */
	ck_assert_int_eq(refused("site.example"), TLS_UNKNOWN_CA);
	ask.ca.bytes = root.pem;
	late = paper_make((struct paper_wish){ .issuer = &root, .name = "late", .from_day = -9,
					       .to_day = -1, .san = "DNS:site.example" });
	pairs[0] = paper_pair(&late);
	ck_assert_int_eq(refused("site.example"), TLS_EXPIRED);
	early = paper_make((struct paper_wish){ .issuer = &root, .name = "early", .from_day = 1,
						.to_day = 9, .san = "DNS:site.example" });
	pairs[0] = paper_pair(&early);
	ck_assert_int_eq(refused("site.example"), TLS_NOT_YET);
	/* The configuration's name stands for the target's host. */
	pairs[0] = paper_pair(&site);
	ask.name = STR("site.example");
	ck_assert(meet_once("10.0.0.1"));
	close_both();
	ask.name = STR_NONE;
	ask.verify = false;
	ck_assert(meet_once("other.example"));
	close_both();
}
END_TEST

START_TEST(pins_are_held_to)
{
	struct str pins[2];

	setup();
	client = paper_make((struct paper_wish){ .name = "somebody" });
	pins[0] = paper_pin(&client);
	pins[1] = paper_pin(&site);
	ask.pins = pins;
	ask.npins = 2;
	ck_assert(meet_once("site.example"));
	close_both();
	ask.npins = 1;
	ck_assert_int_eq(refused("site.example"), TLS_PIN);
	/* Of a verified chain any may be pinned; else only the peer's own. */
	pins[0] = paper_pin(&root);
	ck_assert(meet_once("site.example"));
	close_both();
	ask.verify = false;
	pairs[0].cert.bytes = paper_join(site.pem, root.pem);
	ck_assert_int_eq(refused("site.example"), TLS_PIN);
	pins[0] = paper_pin(&site);
	ck_assert(meet_once("site.example"));
	close_both();
	pins[0] = STR("sha256:AAAA");
	ck_assert_ptr_null(tls_client_new(&ask, error));
	ck_assert_ptr_nonnull(strstr(error, "pin"));
}
END_TEST

/* How the server liked the client. */
static enum tls_fault
server_says(void)
{
	enum tls_fault f;

	meet("site.example");
	f = tls_fault(there);
	part();
	close_both();
	return f;
}

START_TEST(clients_show_certificates)
{
	struct paper other, middle, below;

	setup();
	client = paper_make((struct paper_wish){
		.issuer = &root, .name = "client", .san = "URI:spiffe://a/b,DNS:c.example" });
	serve.ask = TLS_ASK_REQUIRE;
	serve.client_ca = paper_file(root.pem, "ca.pem");
	ck_assert_int_eq(server_says(), TLS_NO_CLIENT_CERT);
	ask.cert = paper_file(client.pem, "client.pem");
	ask.key = paper_file(client.key_pem, "client.key");
	ck_assert(meet("site.example"));
	tls_info(there, &arena, &seen);
	unit_str_eq(seen.subject, "CN=client");
	unit_str_eq(seen.uri, "spiffe://a/b");
	unit_str_eq(seen.dns, "c.example");
	ck_assert(seen.verified);
	unit_str_eq(tls_peer_pem(there, &arena), client.pem.at);
	ck_assert_int_gt(tls_peer_der(there, &arena).len, 100);
	part();
	close_both();
	/* Wrong authority; one in between, too deep; late. */
	other = paper_make((struct paper_wish){ .name = "Other", .ca = true });
	serve.client_ca.bytes = other.pem;
	ck_assert_int_eq(server_says(), TLS_UNKNOWN_CA);
	serve.client_ca.bytes = root.pem;
	middle = paper_make((struct paper_wish){ .issuer = &root, .name = "Middle", .ca = true });
	below = paper_make((struct paper_wish){ .issuer = &middle, .name = "below" });
	ask.cert.bytes = paper_join(below.pem, middle.pem);
	ask.key.bytes = below.key_pem;
	ck_assert_int_eq(server_says(), TLS_OK);
	serve.depth = 0;
	ck_assert_int_ne(server_says(), TLS_OK);
	serve.depth = 2;
	client = paper_make((struct paper_wish){ .issuer = &root, .name = "late", .from_day = -9,
						 .to_day = -1 });
	ask.cert.bytes = client.pem;
	ask.key.bytes = client.key_pem;
	ck_assert_int_eq(server_says(), TLS_EXPIRED);
	/* Asked for, not required: none is fine, a bad one is not. */
	serve.ask = TLS_ASK_REQUEST;
	ck_assert_int_eq(server_says(), TLS_EXPIRED);
	ask.cert = ask.key = (struct tls_file){ 0 };
	ck_assert(meet("site.example"));
	tls_info(there, &arena, &seen);
	ck_assert(!seen.verified && !seen.subject.len);
	part();
	close_both();
}
END_TEST

START_TEST(the_revoked_are_refused)
{
	struct paper other, middle, below;

	setup();
	client = paper_make((struct paper_wish){ .issuer = &root, .name = "client" });
	other = paper_make((struct paper_wish){ .issuer = &root, .name = "other" });
	serve.ask = TLS_ASK_REQUIRE;
	serve.client_ca = paper_file(root.pem, "ca.pem");
	serve.crl = paper_file(paper_list(&root, &other), "list.pem");
	ask.cert = paper_file(client.pem, "client.pem");
	ask.key = paper_file(client.key_pem, "client.key");
	ck_assert_int_eq(server_says(), TLS_OK);
	serve.crl.bytes = paper_list(&root, &client);
	ck_assert_int_eq(server_says(), TLS_REVOKED);
	/* Nobody listed what the one in between has issued: it counts as unknown. */
	middle = paper_make((struct paper_wish){ .issuer = &root, .name = "Middle", .ca = true });
	below = paper_make((struct paper_wish){ .issuer = &middle, .name = "below" });
	ask.cert.bytes = paper_join(below.pem, middle.pem);
	ask.key.bytes = below.key_pem;
	ck_assert_int_ne(server_says(), TLS_OK);
	/* Its own list does, even without one of the root's. */
	serve.crl.bytes = paper_list(&middle, NULL);
	ck_assert_int_eq(server_says(), TLS_OK);
	serve.crl.bytes = paper_join(paper_list(&middle, NULL), paper_list(&root, &middle));
	ck_assert_int_eq(server_says(), TLS_REVOKED);
}
END_TEST

/* Tickets of TLS 1.3 come behind the handshake. */
static bool
resumed(void)
{
	bool yes;

	ck_assert_msg(meet("site.example"), "%d %.*s", tls_fault(here), STR_ARG(tls_error(here)));
	tls_recv(here, error, sizeof(error));
	yes = seen.resumed;
	part();
	return yes;
}

START_TEST(sessions_resume_anywhere)
{
	setup();
	ck_assert(!resumed());
	ck_assert(resumed());
	ck_assert(resumed());
	/* At another worker, or after a reload. */
	tls_server_free(server);
	server = NULL;
	ck_assert(resumed());
	/* After the keys were turned, and with a new ticket. */
	keys[1] = keys[0];
	crypto_random(&keys[0], sizeof(keys[0]));
	found = 2;
	ck_assert(resumed());
	crypto_random(&keys[1], sizeof(keys[1]));
	found = 1;
	ck_assert(resumed());
	/* Turned twice. */
	crypto_random(keys, sizeof(keys));
	ck_assert(!resumed());
	ck_assert(resumed());
	/* Other clients' authorities: nobody gets in by an old ticket. */
	tls_server_free(server);
	server = NULL;
	serve.ask = TLS_ASK_REQUEST;
	serve.client_ca = paper_file(root.pem, "ca.pem");
	ck_assert(!resumed());
	ck_assert(resumed());
	/* Without tickets. */
	tls_server_free(server);
	server = NULL;
	serve.tickets = false;
	ck_assert(!resumed());
	ck_assert(!resumed());
	close_both();
}
END_TEST

START_TEST(a_client_is_known_when_it_resumes)
{
	setup();
	client = paper_make((struct paper_wish){ .issuer = &root, .name = "client" });
	serve.ask = TLS_ASK_REQUIRE;
	serve.client_ca = paper_file(root.pem, "ca.pem");
	ask.cert = paper_file(client.pem, "client.pem");
	ask.key = paper_file(client.key_pem, "client.key");
	ck_assert(!resumed());
	ck_assert(meet("site.example"));
	ck_assert(seen.resumed);
	tls_info(there, &arena, &seen);
	ck_assert(seen.resumed && seen.verified);
	unit_str_eq(seen.subject, "CN=client");
	part();
	close_both();
}
END_TEST

/* Of a client of OpenSSL, with these versions. */
static enum tls_fault
greeted(int max, const char *list)
{
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());
	SSL *ssl;
	enum tls_fault f;
	int r = 0;

	SSL_CTX_set_min_proto_version(c, 0);
	SSL_CTX_set_max_proto_version(c, max);
	SSL_CTX_set_cipher_list(c, list);
	ssl = SSL_new(c);
	open_both();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	SSL_set_fd(ssl, fds[1]);
	there = tls_accept(server, fds[0]);
	for (int i = 0; i < 20 && r != 1; i++) {
		r = SSL_connect(ssl);
		tls_handshake(there);
	}
	f = tls_fault(there);
	SSL_free(ssl);
	SSL_CTX_free(c);
	tls_free(there);
	close(fds[0]);
	close(fds[1]);
	return f;
}

START_TEST(old_versions_and_ciphers_are_refused)
{
	setup();
	ck_assert_int_eq(greeted(TLS1_2_VERSION, "ECDHE+AESGCM"), TLS_OK);
	ck_assert_int_eq(greeted(TLS1_1_VERSION, "ALL:@SECLEVEL=0"), TLS_VERSION);
	ck_assert_int_eq(greeted(TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA"), TLS_CIPHER);
	close_both();
	serve.min = TLS_MIN_13;
	ck_assert_int_eq(greeted(TLS1_2_VERSION, "ECDHE+AESGCM"), TLS_VERSION);
	close_both();
	ask.min = TLS_MIN_13;
	serve.min = TLS_MIN_12;
	ck_assert(meet_once("site.example"));
	close_both();
}
END_TEST

START_TEST(what_is_no_tls_is_told)
{
	setup();
	open_both();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	there = tls_accept(server, fds[0]);
	here = NULL;
	ck_assert_int_eq(send(fds[1], "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
	ck_assert_int_eq(tls_handshake(there), TLS_FAILED);
	ck_assert_int_eq(tls_fault(there), TLS_NOT_TLS);
	ck_assert_int_eq(tls_handshake(there), TLS_FAILED);
	part();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	there = tls_accept(server, fds[0]);
	ck_assert_int_eq(tls_handshake(there), TLS_WANT);
	shutdown(fds[1], SHUT_WR);
	ck_assert_int_eq(tls_handshake(there), TLS_FAILED);
	ck_assert_int_eq(tls_fault(there), TLS_CLOSED);
	part();
	close_both();
}
END_TEST

START_TEST(sessions_outlive_what_made_them)
{
	setup();
	ck_assert(meet("site.example"));
	close_both();
	say(here, fds[1], "still here");
	hear(there, "still here");
	part();
}
END_TEST

/* ---- what check says */

static struct diag diag;

static int
finding(enum diag_level level)
{
	struct diag_item *i = diag.first;

	return i && i->level == level ? i->code : 0;
}

static void
look(void)
{
	diag_init(&diag, &arena);
	tls_check(&serve, &arena, &diag);
}

START_TEST(check_finds_what_is_wrong)
{
	struct paper other, old, soon;

	setup();
	look();
	ck_assert_int_eq(diag.errors, 0);
	other = paper_make((struct paper_wish){ .issuer = &root, .name = "other" });
	pairs[0].key.bytes = other.key_pem;
	look();
	ck_assert_int_eq(finding(DIAG_ERROR), 550);
	old = paper_make((struct paper_wish){ .issuer = &root, .name = "old", .from_day = -9, .to_day = -2 });
	pairs[0] = paper_pair(&old);
	look();
	ck_assert_int_eq(finding(DIAG_ERROR), 551);
	soon = paper_make((struct paper_wish){ .issuer = &root, .name = "soon", .from_day = -9, .to_day = 3 });
	pairs[0] = paper_pair(&soon);
	look();
	ck_assert_int_eq(diag.errors, 0);
	ck_assert_int_eq(finding(DIAG_WARNING), 552);
	pairs[0] = paper_pair(&site);
	pairs[0].cert.bytes = paper_join(root.pem, site.pem);
	look();
	ck_assert_int_eq(finding(DIAG_ERROR), 553);
	pairs[0].cert.bytes = paper_join(site.pem, other.pem);
	look();
	ck_assert_int_eq(finding(DIAG_ERROR), 553);
	pairs[0].cert.bytes = paper_join(site.pem, root.pem);
	look();
	ck_assert_int_eq(diag.errors + diag.warnings, 0);
	pairs[0].cert.bytes = site.pem;
	look();
	ck_assert_int_eq(finding(DIAG_WARNING), 554);
	pairs[0].key.bytes = paper_locked_key(&site);
	look();
	ck_assert_int_eq(finding(DIAG_ERROR), 542);
	ck_assert_ptr_nonnull(strstr(diag.first->text.at, "encrypted"));
	/* The key may be with the certificate. */
	pairs[0].key = (struct tls_file){ 0 };
	pairs[0].cert.bytes = paper_join(site.key_pem, paper_join(site.pem, root.pem));
	look();
	ck_assert_int_eq(diag.errors + diag.warnings, 0);
	serve.ciphers = STR("NONSENSE");
	look();
	ck_assert_int_eq(finding(DIAG_ERROR), 555);
	serve.ciphers = STR_NONE;
	serve.ask = TLS_ASK_REQUIRE;
	serve.client_ca = paper_file(STR("nothing"), "ca.pem");
	look();
	ck_assert_int_eq(finding(DIAG_ERROR), 542);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		both_sides_talk,
		a_close_is_told_from_a_cut,
		names_choose_certificates,
		kinds_of_keys_stand_side_by_side,
		protocols_are_agreed_on,
		a_wrong_server_is_refused,
		pins_are_held_to,
		clients_show_certificates,
		the_revoked_are_refused,
		sessions_resume_anywhere,
		a_client_is_known_when_it_resumes,
		old_versions_and_ciphers_are_refused,
		what_is_no_tls_is_told,
		sessions_outlive_what_made_them,
		check_finds_what_is_wrong,
	};

	return unit_run("tls", tests, sizeof(tests) / sizeof(*tests));
}
