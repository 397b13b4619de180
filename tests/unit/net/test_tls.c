/* TLS: our two sides shake hands over a socketpair, with certificates made here. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/net/handshake.h"

START_TEST(both_sides_talk)
{
	setup();
	ck_assert_msg(meet("site.example"), "%d %.*s", tls_fault(here),
		      STR_ARG(tls_error(here)));
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
	ck_assert_uint_gt(tls_error(here).len, 0);
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
	ask.ca = (struct tls_file){ 0 }; /* the system's */
	ck_assert_int_eq(refused("site.example"), TLS_UNKNOWN_CA);
	ask.ca.bytes = root.pem;
	late = paper_make((struct paper_wish){ .issuer = &root,
					       .name = "late",
					       .from_day = -9,
					       .to_day = -1,
					       .san = "DNS:site.example" });
	pairs[0] = paper_pair(&late);
	ck_assert_int_eq(refused("site.example"), TLS_EXPIRED);
	early = paper_make((struct paper_wish){ .issuer = &root,
						.name = "early",
						.from_day = 1,
						.to_day = 9,
						.san = "DNS:site.example" });
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

/* Tickets of TLS 1.3 come behind the handshake. */
static bool
resumed(void)
{
	bool yes;

	ck_assert_msg(meet("site.example"), "%d %.*s", tls_fault(here),
		      STR_ARG(tls_error(here)));
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

START_TEST(sessions_of_tls_12_resume)
{
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());
	SSL_SESSION *session = NULL;

	setup();
	open_both();
	SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION);
	for (int i = 0; i < 3; i++) {
		SSL *ssl = SSL_new(c);
		int r = 0;

		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
				 0);
		if (session)
			SSL_set_session(ssl, session);
		SSL_set_fd(ssl, fds[1]);
		there = tls_accept(server, fds[0]);
		for (int k = 0; k < 20 && r != 1; k++) {
			r = SSL_connect(ssl);
			tls_handshake(there);
		}
		ck_assert_int_eq(r, 1);
		ck_assert_int_eq(SSL_session_reused(ssl), i > 0);
		SSL_SESSION_free(session);
		session = SSL_get1_session(ssl);
		SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN);
		SSL_free(ssl);
		here = NULL;
		part();
	}
	SSL_SESSION_free(session);
	SSL_CTX_free(c);
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

/* A long chain, of which the socket takes a part at a time. */
START_TEST(a_long_flight_gets_through)
{
	enum tls_state a = TLS_WANT, b = TLS_WANT;
	struct str chain;
	int small = 2048;

	setup();
	chain = site.pem;
	for (int i = 0; i < 120; i++)
		chain = paper_join(chain, root.pem);
	pairs[0].cert.bytes = chain;
	open_both();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	there = tls_accept(server, fds[0]);
	here = tls_connect(asker, fds[1], STR("site.example"), STR("target"));
	for (int i = 0; i < 200 && (a == TLS_WANT || b == TLS_WANT); i++) {
		if (b == TLS_WANT)
			b = tls_handshake(here);
		if (a == TLS_WANT)
			a = tls_handshake(there);
	}
	ck_assert(a == TLS_DONE && b == TLS_DONE);
	say(there, fds[0], "whole");
	hear(here, "whole");
	part();
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

int
main(void)
{
	const TTest *const tests[] = {
		both_sides_talk,
		a_close_is_told_from_a_cut,
		protocols_are_agreed_on,
		a_wrong_server_is_refused,
		pins_are_held_to,
		sessions_resume_anywhere,
		sessions_of_tls_12_resume,
		a_client_is_known_when_it_resumes,
		old_versions_and_ciphers_are_refused,
		a_long_flight_gets_through,
		what_is_no_tls_is_told,
		sessions_outlive_what_made_them,
	};

	return unit_run("tls", tests, sizeof(tests) / sizeof(*tests));
}
