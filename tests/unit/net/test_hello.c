#include "tests/unit/unit.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "worker/net/hello.h"
#include "worker/net/wire.h"

/* A connection of 192.0.2.9, what became of it, and the codec's end of it. */
static struct {
	struct loop loop;
	struct list under_way;
	struct hello_rules rules;
	int client, fd;                 /* fd: what on_done got; -1: nothing yet */
	bool trusted, done, faulted, h2;
	enum hello_fault fault;
	struct addr peer;
	struct hello_facts *facts;
} t;

static void
on_done(void *owner, int fd, bool h2, const struct addr *peer, struct tls *tls,
	struct hello_facts *facts, struct str first)
{
	ck_assert_ptr_eq(owner, &t);
	ck_assert(!t.done && !t.faulted && !tls && !first.len);
	t.done = true;
	t.fd = fd;
	t.h2 = h2;
	t.peer = *peer;
	t.facts = facts;
}

static void
on_fault(void *owner, const struct addr *peer, enum hello_fault fault, enum tls_fault why,
	 struct str detail)
{
	ck_assert_ptr_eq(owner, &t);
	ck_assert(!t.done && !t.faulted && why == TLS_OK && detail.len);
	t.faulted = true;
	t.fault = fault;
	t.peer = *peer;
}

static const struct hello_ops ops = { on_done, on_fault };

static bool
trusted(void *owner, const struct addr *peer)
{
	struct addr wanted;

	ck_assert_ptr_eq(owner, &t);
	ck_assert(addr_parse(&wanted, STR("192.0.2.9:9")) && addr_same_ip(&wanted, peer));
	return t.trusted;
}

/* By TCP: a peek looks at all segments. */
static void
connected(int ends[2])
{
	struct sockaddr_storage at;
	struct addr a;
	socklen_t len = sizeof(at);
	int l = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	ck_assert(addr_parse(&a, STR("127.0.0.1:0")));
	ck_assert_int_eq(bind(l, (struct sockaddr *)&at, addr_to_sockaddr(&a, &at)), 0);
	ck_assert_int_eq(listen(l, 1), 0);
	ck_assert_int_eq(getsockname(l, (struct sockaddr *)&at, &len), 0);
	ends[0] = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(ends[0], (struct sockaddr *)&at, len), 0);
	setsockopt(ends[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	ends[1] = accept4(l, NULL, NULL, SOCK_NONBLOCK);
	ck_assert_int_ge(ends[1], 0);
	close(l);
}

static void
begin(int proxy, bool h1, bool h2, bool is_trusted)
{
	struct addr peer;
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(loop_init(&t.loop), 0);
	list_init(&t.under_way);
	ck_assert(addr_parse(&peer, STR("192.0.2.9:9")));
	connected(ends);
	t.client = ends[0];
	t.fd = -1;
	t.trusted = is_trusted;
	t.rules.proxy = proxy;
	t.rules.h1 = h1;
	t.rules.h2 = h2;
	t.rules.trusted = trusted;
	if (!t.rules.deadline_ms)
		t.rules.deadline_ms = 60000;
	ck_assert_int_eq(hello_begin(&t.loop, ends[1], &peer, &t.rules, &ops, &t,
				     &t.under_way), 0);
}

static void
turns(void)
{
	for (int i = 0; i < 3; i++)
		loop_turn(&t.loop, 1);
}

static void
say(const void *bytes, size_t n)
{
	ck_assert_int_eq(send(t.client, bytes, n, 0), (ssize_t)n);
	turns();
}

static void
done(const char *peer, bool h2)
{
	char text[ADDR_TEXT];

	ck_assert_msg(!t.faulted, "fault %d", t.fault);
	ck_assert(t.done);
	ck_assert_int_eq(t.h2, h2);
	unit_str_eq((struct str){ text, (size_t)(addr_put(text, &t.peer) - text) }, peer);
	ck_assert(list_empty(&t.under_way));
}

static void
failed(enum hello_fault wanted)
{
	ck_assert(!t.done && t.faulted);
	ck_assert_int_eq(t.fault, wanted);
	ck_assert(list_empty(&t.under_way));
}

static void
waits(void)
{
	ck_assert(!t.done && !t.faulted);
}

/* Nothing of what follows was lost, and nothing else came. */
static void
reads(const char *wanted)
{
	char buf[256];
	ssize_t n = recv(t.fd, buf, sizeof(buf), MSG_DONTWAIT);

	unit_str_eq((struct str){ buf, n > 0 ? (size_t)n : 0 }, wanted);
}

static void
end(void)
{
	hello_close_all(&t.under_way);
	hello_facts_free(t.facts);
	if (t.fd >= 0)
		close(t.fd);
	close(t.client);
	turns();
	loop_free(&t.loop);
}

START_TEST(nothing_to_find_out)
{
	begin(HELLO_PROXY_OFF, true, false, true);
	done("192.0.2.9:9", false);
	ck_assert_ptr_null(t.facts);
	say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	reads("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	end();
}
END_TEST

START_TEST(only_h2)
{
	begin(HELLO_PROXY_OFF, false, true, true);
	done("192.0.2.9:9", true);
	end();
}
END_TEST

START_TEST(preface_of_h2_byte_by_byte)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

	begin(HELLO_PROXY_OFF, true, true, true);
	for (int i = 0; i < 24; i++) {
		waits();
		say(preface + i, 1);
	}
	done("192.0.2.9:9", true);
	reads(preface);
	end();
}
END_TEST

START_TEST(no_preface)
{
	begin(HELLO_PROXY_OFF, true, true, true);
	say("PRI", 3);
	waits();
	say("NT / HTTP/1.1\r\n", 15);
	done("192.0.2.9:9", false);
	reads("PRINT / HTTP/1.1\r\n");
	end();
}
END_TEST

START_TEST(version_1_and_what_follows)
{
	begin(HELLO_PROXY_REQUIRE, true, false, true);
	say("PROXY TCP4 203.0.113.7 10.0.0.1", 31);
	waits();
	say(" 4711 443\r\nGET / HTTP/1.1\r\n", 27);
	done("203.0.113.7:4711", false);
	ck_assert(t.facts->proxied);
	ck_assert_int_eq(t.facts->socket_peer.port, 9);
	ck_assert_uint_eq(t.facts->proxy.version, 1);
	reads("GET / HTTP/1.1\r\n");
	end();
}
END_TEST

START_TEST(version_2_byte_by_byte_then_h2)
{
	static const char head[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x11\xcb\0\x71\7\x0a\0\0\1\x12\x67\1\xbb"
				   "\1\0\2h2";
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

	begin(HELLO_PROXY_ACCEPT, true, true, true);
	for (size_t i = 0; i < sizeof(head) - 1; i++) {
		say(head + i, 1);
		waits();
	}
	say(preface, 24);
	done("203.0.113.7:4711", true);
	unit_str_eq(t.facts->proxy.alpn, "h2");
	reads(preface);
	end();
}
END_TEST

START_TEST(local_is_the_proxy_itself)
{
	begin(HELLO_PROXY_REQUIRE, true, false, true);
	say("PROXY UNKNOWN\r\n", 15);
	done("192.0.2.9:9", false);
	ck_assert(t.facts && !t.facts->proxied);
	end();
}
END_TEST

START_TEST(accept_without_a_header)
{
	begin(HELLO_PROXY_ACCEPT, true, false, true);
	say("\r\n", 2);
	waits();
	say("GET / HTTP/1.1\r\n", 16);
	done("192.0.2.9:9", false);
	ck_assert_ptr_null(t.facts);
	reads("\r\nGET / HTTP/1.1\r\n");
	end();
}
END_TEST

START_TEST(require_without_a_header)
{
	begin(HELLO_PROXY_REQUIRE, true, false, true);
	say("GET / HTTP/1.1\r\n", 16);
	failed(HELLO_NO_PROXY);
	end();
}
END_TEST

START_TEST(a_broken_header)
{
	begin(HELLO_PROXY_ACCEPT, true, false, true);
	say("PROXY TCP4 203.0.113.7 10.0.0.1 4711\r\n", 38);
	failed(HELLO_BAD_PROXY);
	end();
}
END_TEST

/* A stranger's header is not one: it goes to the codec, which refuses it. */
START_TEST(accept_of_a_stranger)
{
	begin(HELLO_PROXY_ACCEPT, true, false, false);
	done("192.0.2.9:9", false);
	say("PROXY UNKNOWN\r\n", 15);
	reads("PROXY UNKNOWN\r\n");
	end();
}
END_TEST

START_TEST(require_of_a_stranger)
{
	char byte;

	begin(HELLO_PROXY_REQUIRE, true, false, false);
	failed(HELLO_NO_PROXY);
	ck_assert_int_eq(recv(t.client, &byte, 1, 0), 0);
	end();
}
END_TEST

START_TEST(a_client_that_leaves)
{
	begin(HELLO_PROXY_REQUIRE, true, false, true);
	say("PROXY ", 6);
	shutdown(t.client, SHUT_WR);
	turns();
	failed(HELLO_GONE);
	end();
}
END_TEST

START_TEST(a_client_that_says_nothing_and_leaves)
{
	begin(HELLO_PROXY_OFF, true, true, true);
	turns();
	waits();
	close(t.client);
	t.client = -1;
	turns();
	failed(HELLO_GONE);
	end();
}
END_TEST

START_TEST(the_deadline)
{
	t.rules.deadline_ms = 1;
	begin(HELLO_PROXY_ACCEPT, true, true, true);
	say("PRI * HTTP", 10);
	for (int i = 0; i < 200 && !t.faulted; i++)
		loop_turn(&t.loop, 10);
	failed(HELLO_TIMEOUT);
	end();
}
END_TEST

START_TEST(all_are_closed)
{
	begin(HELLO_PROXY_ACCEPT, true, true, true);
	turns();
	hello_close_all(&t.under_way);
	failed(HELLO_GONE);
	end();
}
END_TEST

/* ---- the loop: a descriptor changes hands, and no readiness is lost */

static struct event second;
static uint32_t seen;

static void
second_turn(struct event *s, uint32_t events)
{
	(void)s;
	seen |= events;
}

static void
second_destroy(struct event *s)
{
	(void)s;
}

START_TEST(what_is_ready_is_reported_to_the_next)
{
	begin(HELLO_PROXY_REQUIRE, true, false, true);
	say("PROXY UNKNOWN\r\nGET", 18);
	done("192.0.2.9:9", false);
	second = (struct event){ .turn = second_turn,
				 .fd = t.fd,
				 .destroy = second_destroy };
	ck_assert_int_eq(loop_add(&t.loop, &second), 0);
	turns();
	ck_assert(seen & EPOLLIN);
	seen = 0;
	reads("GET");
	say("x", 1);
	ck_assert(seen & EPOLLIN);
	loop_bury(&t.loop, &second);
	t.fd = -1;
	end();
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		nothing_to_find_out,
		only_h2,
		preface_of_h2_byte_by_byte,
		no_preface,
		version_1_and_what_follows,
		version_2_byte_by_byte_then_h2,
		local_is_the_proxy_itself,
		accept_without_a_header,
		require_without_a_header,
		a_broken_header,
		accept_of_a_stranger,
		require_of_a_stranger,
		a_client_that_leaves,
		a_client_that_says_nothing_and_leaves,
		the_deadline,
		all_are_closed,
		what_is_ready_is_reported_to_the_next,
	};

	return unit_run("hello", tests, sizeof(tests) / sizeof(*tests));
}
