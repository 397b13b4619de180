#include "tests/unit/net/hello.h"

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
