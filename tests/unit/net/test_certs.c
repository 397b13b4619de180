/* Certificates: which one is shown, whom we believe, and what check says of them. */
#include "tests/unit/unit.h"

#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/net/handshake.h"

START_TEST(names_choose_certificates)
{
	struct paper wild, b, rsa;

	setup();
	wild = paper_make(
		(struct paper_wish){ .issuer = &root,
				     .name = "wild",
				     .san = "DNS:*.site.example,DNS:*.b.example" });
	b = paper_make((struct paper_wish){
		.issuer = &root, .name = "b", .san = "DNS:A.B.Example" });
	rsa = paper_make((struct paper_wish){ .issuer = &root,
					      .name = "rsa",
					      .kind = PAPER_RSA,
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
	ec = paper_make((struct paper_wish){
		.issuer = &root, .name = "ec", .san = "DNS:both.example" });
	rsa = paper_make((struct paper_wish){ .issuer = &root,
					      .name = "rsa",
					      .kind = PAPER_RSA,
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
	client = paper_make(
		(struct paper_wish){ .issuer = &root,
				     .name = "client",
				     .san = "URI:spiffe://a/b,DNS:c.example" });
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
	middle = paper_make(
		(struct paper_wish){ .issuer = &root, .name = "Middle", .ca = true });
	below = paper_make((struct paper_wish){ .issuer = &middle, .name = "below" });
	ask.cert.bytes = paper_join(below.pem, middle.pem);
	ask.key.bytes = below.key_pem;
	ck_assert_int_eq(server_says(), TLS_OK);
	serve.depth = 0;
	ck_assert_int_ne(server_says(), TLS_OK);
	serve.depth = 2;
	client = paper_make((struct paper_wish){
		.issuer = &root, .name = "late", .from_day = -9, .to_day = -1 });
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
	middle = paper_make(
		(struct paper_wish){ .issuer = &root, .name = "Middle", .ca = true });
	below = paper_make((struct paper_wish){ .issuer = &middle, .name = "below" });
	ask.cert.bytes = paper_join(below.pem, middle.pem);
	ask.key.bytes = below.key_pem;
	ck_assert_int_ne(server_says(), TLS_OK);
	/* Its own list does, even without one of the root's. */
	serve.crl.bytes = paper_list(&middle, NULL);
	ck_assert_int_eq(server_says(), TLS_OK);
	serve.crl.bytes =
		paper_join(paper_list(&middle, NULL), paper_list(&root, &middle));
	ck_assert_int_eq(server_says(), TLS_REVOKED);
}
END_TEST

/* How long the response is that was stapled; 0: none. */
static long
stapled(void)
{
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(c);
	unsigned char *der = NULL;
	long n;
	int r = 0;

	open_both();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	SSL_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp);
	SSL_set_fd(ssl, fds[1]);
	there = tls_accept(server, fds[0]);
	for (int i = 0; i < 20 && r != 1; i++) {
		r = SSL_connect(ssl);
		tls_handshake(there);
	}
	ck_assert_int_eq(r, 1);
	n = SSL_get_tlsext_status_ocsp_resp(ssl, &der);
	SSL_free(ssl);
	SSL_CTX_free(c);
	tls_free(there);
	close(fds[0]);
	close(fds[1]);
	close_both();
	return n > 0 ? n : 0;
}

START_TEST(responses_are_stapled)
{
	setup();
	ck_assert_int_eq(stapled(), 0);
	pairs[0].ocsp = paper_file(paper_good(&root, &site, 3600), "site.ocsp");
	ck_assert_int_eq(stapled(), (long)pairs[0].ocsp.bytes.len);
	/* One that has ended would do harm. */
	pairs[0].ocsp = paper_file(paper_good(&root, &site, -60), "site.ocsp");
	ck_assert_int_eq(stapled(), 0);
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
	old = paper_make((struct paper_wish){
		.issuer = &root, .name = "old", .from_day = -9, .to_day = -2 });
	pairs[0] = paper_pair(&old);
	look();
	ck_assert_int_eq(finding(DIAG_ERROR), 551);
	soon = paper_make((struct paper_wish){
		.issuer = &root, .name = "soon", .from_day = -9, .to_day = 3 });
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
	pairs[0].ocsp = paper_file(STR("nothing"), "site.ocsp");
	look();
	ck_assert_int_eq(finding(DIAG_ERROR), 542);
	pairs[0].ocsp.bytes = paper_good(&root, &site, -60);
	look();
	ck_assert_int_eq(diag.errors, 0);
	ck_assert_int_eq(finding(DIAG_WARNING), 552);
	pairs[0].ocsp = (struct tls_file){ 0 };
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
		names_choose_certificates,
		kinds_of_keys_stand_side_by_side,
		clients_show_certificates,
		the_revoked_are_refused,
		responses_are_stapled,
		check_finds_what_is_wrong,
	};

	return unit_run("certificates", tests, sizeof(tests) / sizeof(*tests));
}
