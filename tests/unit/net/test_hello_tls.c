#include "tests/unit/net/certificates.h"
#include "tests/unit/net/hello.h"

static struct tls *client;

static void
serve_tls(int ask)
{
	static struct paper root, site;
	static struct tls_pair pair;
	struct tls_server_rules r = { .pairs = &pair, .npairs = 1, .ask = ask };
	char error[256] = "";

	root = paper_make((struct paper_wish){ .name = "root", .ca = true });
	site = paper_make((struct paper_wish){ .issuer = &root, .name = "site",
					       .san = "DNS:a.example" });
	r.depth = 3;
	pair.cert.bytes = site.pem;
	pair.key.bytes = site.key_pem;
	r.h1 = r.h2 = true;
	if (ask)
		r.client_ca.bytes = root.pem;
	t.rules.tls = tls_server_new(&r, NULL, error);
	ck_assert_msg(t.rules.tls, "%s", error);
}

static void
client_begin(bool h2)
{
	struct tls_client_rules r = { .h1 = true, .h2 = h2 };
	static struct tls_client *asker;
	char error[256] = "";

	asker = tls_client_new(&r, error);
	ck_assert_msg(asker, "%s", error);
	paper_keep(asker);
	fcntl(t.client, F_SETFL, O_NONBLOCK);
	client = tls_connect(asker, t.client, STR("a.example"), STR("k"));
}

static void
shake_hands(void)
{
	for (int i = 0; i < 20 && !t.done && !t.faulted; i++) {
		tls_handshake(client);
		loop_turn(&t.loop, 1);
	}
}

static void
end_tls(void)
{
	tls_free(client);
	tls_free(t.tls);
	end();
	tls_server_free(t.rules.tls);
}

static void
choose(bool h2)
{
	serve_tls(TLS_ASK_NOT);
	begin(HELLO_PROXY_OFF, true, true, false);
	client_begin(h2);
	shake_hands();
	done("192.0.2.9:9", h2);
	unit_str_eq(t.facts->tls.sni, "a.example");
	unit_str_eq(t.facts->tls.version, "TLSv1.3");
	ck_assert(!t.facts->proxied && !t.facts->peer_der.len);
	/* An idle connection owns no block of an arena. */
	ck_assert_uint_eq(t.facts->arena.used, 0);
	end_tls();
}

START_TEST(tls_chooses_h1)
{
	choose(false);
}
END_TEST

START_TEST(tls_chooses_h2)
{
	choose(true);
}
END_TEST

START_TEST(a_header_before_tls)
{
	serve_tls(TLS_ASK_NOT);
	begin(HELLO_PROXY_REQUIRE, true, true, true);
	say("PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n", 42);
	waits();
	client_begin(true);
	shake_hands();
	done("203.0.113.7:4711", true);
	ck_assert(t.facts->proxied);
	unit_str_eq(t.facts->tls.alpn, "h2");
	end_tls();
}
END_TEST

/* The server of a generation that is gone meanwhile. */
START_TEST(a_reload_before_the_handshake)
{
	serve_tls(TLS_ASK_NOT);
	begin(HELLO_PROXY_REQUIRE, true, true, true);
	say("PROXY ", 6);
	tls_server_free(t.rules.tls);
	say("UNKNOWN\r\n", 9);
	client_begin(true);
	shake_hands();
	done("192.0.2.9:9", true);
	t.rules.tls = NULL;
	end_tls();
}
END_TEST

START_TEST(what_is_no_tls)
{
	char buf[256];

	serve_tls(TLS_ASK_NOT);
	begin(HELLO_PROXY_OFF, true, true, false);
	say("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27);
	ck_assert(t.faulted);
	ck_assert_int_eq(t.fault, HELLO_TLS);
	ck_assert_int_ne(t.why, TLS_OK);
	/* It lingers, and is gone when the client is. */
	while (recv(t.client, buf, sizeof(buf), 0) > 0)
		;
	close(t.client);
	t.client = -1;
	turns();
	ck_assert(list_empty(&t.under_way));
	end_tls();
}
END_TEST

/* A certificate is missing: the client, which has sent much more already, reads the alert
 * and not a reset. */
START_TEST(the_alert_is_not_lost)
{
	static char body[12000], buf[16000];
	ssize_t n;

	serve_tls(TLS_ASK_REQUIRE);
	begin(HELLO_PROXY_OFF, true, true, false);
	client_begin(true);
	for (int i = 0; i < 20 && !t.faulted; i++) {
		for (int k = 0; k < 4 && tls_handshake(client) == TLS_DONE; k++) {
			n = tls_seal(client, (struct str){ body, sizeof(body) }, buf,
				     sizeof(buf));
			ck_assert(n > 0 && send(t.client, buf, (size_t)n, 0) == n);
		}
		loop_turn(&t.loop, 1);
	}
	ck_assert(t.faulted);
	ck_assert_int_eq(t.why, TLS_NO_CLIENT_CERT);
	turns();
	n = tls_recv(client, buf, sizeof(buf));
	ck_assert(n < 0);
	ck_assert_int_ne(tls_fault(client), TLS_OK);
	ck_assert_int_ne(tls_fault(client), TLS_CLOSED);
	/* Behind it is an end: other systems drop it when there is a reset. */
	ck_assert_int_eq(recv(t.client, buf, sizeof(buf), 0), 0);
	end_tls();
}
END_TEST

/* ---- the gate */

START_TEST(handshakes_under_way)
{
	struct hello_gate *gate = hello_gate_new();

	serve_tls(TLS_ASK_NOT);
	t.rules.gate = gate;
	t.rules.pending = 1;
	begin(HELLO_PROXY_OFF, true, true, false);
	turns();
	waits();
	another();
	ck_assert(t.faulted);
	ck_assert_int_eq(t.fault, HELLO_TOO_MANY);
	/* The first goes on, and makes room. */
	t.faulted = false;
	client_begin(false);
	shake_hands();
	done("192.0.2.9:9", false);
	t.done = false;
	tls_free(t.tls);
	hello_facts_free(t.facts);
	t.tls = NULL;
	t.facts = NULL;
	close(t.fd);
	another();
	turns();
	waits();
	hello_close_all(&t.under_way);
	end_tls();
	hello_gate_free(gate);
}
END_TEST

/* Ten at once, then ten a second; another address has its own. */
START_TEST(handshakes_a_second)
{
	struct hello_gate *gate = hello_gate_new();
	unsigned refused = 0;

	serve_tls(TLS_ASK_NOT);
	t.rules.gate = gate;
	t.rules.rate = 10;
	begin(HELLO_PROXY_OFF, true, true, false);
	for (int i = 0; i < 14; i++) {
		t.faulted = false;
		another();
		refused += t.faulted;
	}
	ck_assert_uint_eq(refused, 5);
	ck_assert(addr_parse(&from, STR("[2001:db8::1]:1")));
	t.faulted = false;
	another();
	waits();
	for (int i = 0; i < 9; i++)
		another();
	/* Whoever has a /64 has all of it. */
	ck_assert(addr_parse(&from, STR("[2001:db8::2]:1")));
	another();
	ck_assert(t.faulted);
	t.faulted = false;
	ck_assert(addr_parse(&from, STR("[2001:db8:0:1::1]:1")));
	another();
	waits();
	clock_state.now += 150000000;
	ck_assert(addr_parse(&from, STR("192.0.2.9:9")));
	another();
	waits();
	another();
	ck_assert(t.faulted);
	end();
	tls_server_free(t.rules.tls);
	hello_gate_free(gate);
}
END_TEST

static int
answered(const int *fd, int n)
{
	char byte;
	int yes = 0;

	for (int i = 0; i < n; i++)
		yes += recv(fd[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
	return yes;
}

/* Twenty come at once: others have their turn in between, and nobody is forgotten. */
START_TEST(handshakes_a_turn)
{
	struct tls_client_rules r = { .h1 = true };
	struct tls_client *asker;
	struct tls *clients[20];
	char error[256] = "";
	int fd[20], ends[2], before = 0, now = 0;

	serve_tls(TLS_ASK_NOT);
	begin(HELLO_PROXY_OFF, true, false, false);
	asker = tls_client_new(&r, error);
	for (int i = 0; i < 20; i++) {
		connected(ends);
		fd[i] = ends[0];
		fcntl(fd[i], F_SETFL, O_NONBLOCK);
		ck_assert_int_eq(hello_begin(&t.loop, ends[1], &from, &t.rules, &ops, &t,
					     &t.under_way), 0);
		clients[i] = tls_connect(asker, fd[i], STR("a.example"), STR("k"));
		ck_assert_int_eq(tls_handshake(clients[i]), TLS_WANT);
	}
	for (int turns = 0; now < 20; turns++) {
		ck_assert_int_lt(turns, 5);
		loop_turn(&t.loop, 0);
		now = answered(fd, 20);
		ck_assert_int_le(now - before, 8);
		before = now;
	}
	for (int i = 0; i < 20; i++) {
		tls_mute(clients[i]);
		tls_free(clients[i]);
		close(fd[i]);
	}
	tls_client_free(asker);
	t.faulted = true;
	hello_close_all(&t.under_way);
	end_tls();
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		tls_chooses_h1,
		tls_chooses_h2,
		a_header_before_tls,
		a_reload_before_the_handshake,
		what_is_no_tls,
		the_alert_is_not_lost,
		handshakes_a_turn,
		handshakes_under_way,
		handshakes_a_second,
	};

	return unit_run("hello_tls", tests, sizeof(tests) / sizeof(*tests));
}
