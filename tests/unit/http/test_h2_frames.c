#include "tests/unit/http/h2_frames.h"

START_TEST(preface_in_drops)
{
	static const char text_of[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

	begin_alone(&server, CONN_SERVER);
	for (int i = 0; i < 24; i++) {
		put(text_of + i, 1);
		flush();
	}
	frame(SETTINGS, 0, 0, NULL, 0);
	flush();
	alive(1);
	end();
}
END_TEST

START_TEST(no_preface)
{
	begin_alone(&server, CONN_SERVER);
	put("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27);
	flush();
	ck_assert_int_eq(server.calls, 0);
	ck_assert_int_eq(seen.eof, 1);
	end();
}
END_TEST

START_TEST(refused_heads)
{
	static const char *const bad[][16] = {
		{ GET_PSEUDO, "X-Upper", "1" },
		{ GET_PSEUDO, "connection", "close" },
		{ GET_PSEUDO, "keep-alive", "1" },
		{ GET_PSEUDO, "proxy-connection", "1" },
		{ GET_PSEUDO, "transfer-encoding", "chunked" },
		{ GET_PSEUDO, "upgrade", "h2c" },
		{ GET_PSEUDO, "te", "gzip" },
		{ GET_PSEUDO, "x", "a\r\nb: c" },
		{ GET_PSEUDO, "x y", "1" },
		{ GET_PSEUDO, "x", " blank" },
		{ GET_PSEUDO, ":late", "1" },
		{ GET_PSEUDO, ":status", "200" },
		{ GET_PSEUDO, "x", "1", ":path", "/b" },
		{ GET_PSEUDO, "host", "a.example", "host", "a.example" },
		{ GET_PSEUDO, ":path", "/twice" },
		{ ":method", "GET", ":scheme", "http", ":path", "", ":authority", "a" },
		{ ":method", "GET", ":scheme", "http", ":authority", "a" },
		{ ":method", "GET", ":path", "/", ":authority", "a" },
		{ ":scheme", "http", ":path", "/", ":authority", "a" },
		{ GET_PSEUDO, "content-length", "1", "content-length", "2" },
		{ GET_PSEUDO, "content-length", "-1" },
		{ GET_PSEUDO, "content-length", "5" },
	};
	uint32_t id = 1;

	hello();
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++, id += 2) {
		int resets = seen.resets;

		asked(id, bad[i]);
		ck_assert_msg(server.calls == 0, "row %zu was taken", i);
		ck_assert_msg(seen.resets == resets + 1 && seen.reset == PROTOCOL_ERROR,
			      "row %zu: no reset", i);
	}
	ck_assert_int_eq(seen.goaways, 0);
	alive(id);
	end();
}
END_TEST

START_TEST(faults_of_heads)
{
	static const struct {
		const char *line[16];
		enum fault fault;
	} bad[] = {
		{ { GET_PSEUDO, "host", "b.example" }, FAULT_HOST_MISMATCH },
		{ { ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "u@a" }, FAULT_BAD_HOST },
		{ { ":method", "GET", ":scheme", "ftp", ":path", "/", ":authority", "a" }, FAULT_BAD_TARGET },
		{ { ":method", "GET", ":scheme", "http", ":path", "/a#b", ":authority", "a" }, FAULT_BAD_TARGET },
		{ { GET_PSEUDO, "expect", "more" }, FAULT_BAD_EXPECT },
		{ { ":method", "CONNECT", ":authority", "a.example" }, FAULT_BAD_TARGET },
	};
	uint32_t id = 1;

	hello();
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++, id += 2) {
		asked(id, bad[i].line);
		ck_assert_int_eq(server.calls, (int)i + 1);
		ck_assert_msg(server.call[i].fault == bad[i].fault, "row %zu: %d", i,
			      server.call[i].fault);
	}
	alive(id);
	end();
}
END_TEST

START_TEST(good_heads)
{
	struct call *c = server.call;

	hello();
	ASKED(1, GET_PSEUDO, "host", "A.example:80");
	ck_assert_int_eq(c[0].faults, 0);
	unit_str_eq(c[0].msg.host, "a.example");
	ASKED(3, ":method", "GET", ":scheme", "https", ":path", "/", "host", "only.example");
	unit_str_eq(c[1].msg.host, "only.example");
	unit_str_eq(c[1].msg.scheme, "https");
	ASKED(5, GET_PSEUDO, "cookie", "a=1", "x", "y", "cookie", "b=2", "cookie", "c=3");
	unit_str_eq(line(&c[2], "cookie"), "a=1; b=2; c=3");
	unit_str_eq(line(&c[2], "x"), "y");
	ASKED(7, ":method", "OPTIONS", ":scheme", "http", ":path", "*", ":authority", "a");
	unit_str_eq(c[3].msg.path, "*");
	ASKED(9, ":method", "CONNECT", ":authority", "a.example:443");
	ck_assert_int_eq(c[4].msg.method, METHOD_CONNECT);
	unit_str_eq(c[4].msg.target, "a.example:443");
	ASKED(11, ":method", "BREW", ":scheme", "http", ":path", "/?", ":authority", "a");
	unit_str_eq(c[5].msg.method_text, "BREW");
	ck_assert(c[5].msg.has_query);
	ck_assert_int_eq(c[5].msg.query.len, 0);
	end();
}
END_TEST

START_TEST(limits_of_heads)
{
	static char longer[3000];
	struct head h;

	memset(longer, 'x', sizeof(longer) - 1);
	hello();
	h = get("/");
	add(&h, "x-one", longer);
	add(&h, "x-two", longer);
	head(1, END_STREAM, &h);
	flush();
	ck_assert_int_eq(server.call[0].fault, FAULT_HEAD_TOO_LARGE);
	h = get("/");
	for (int i = 0; i < 51; i++)
		add(&h, "x", "y");
	head(3, END_STREAM, &h);
	flush();
	ck_assert_int_eq(server.call[1].fault, FAULT_TOO_MANY_HEADERS);
	longer[1500] = '\0';
	longer[0] = '/';
	h = get(longer);
	head(5, END_STREAM, &h);
	flush();
	ck_assert_int_eq(server.call[2].fault, FAULT_TARGET_TOO_LONG);
	alive(7);
	end();
}
END_TEST

START_TEST(length_against_data)
{
	struct head h;

	hello();
	for (int i = 0; i < 3; i++) {
		uint32_t id = 1 + 2 * (uint32_t)i;

		h = get("/");
		add(&h, "content-length", "5");
		head(id, 0, &h);
		frame(DATA, 0, id, "123", 3);
		frame(DATA, END_STREAM, id, "4567", i == 0 ? 1 : i == 1 ? 4 : 2);
		flush();
		ck_assert_int_eq(server.call[i].faults, i < 2);
		ck_assert_int_eq(server.call[i].ended, i == 2);
		if (i < 2)
			ck_assert_int_eq(server.call[i].fault, FAULT_BAD_LENGTH);
	}
	ck_assert_int_eq(seen.resets, 2);
	ck_assert_int_eq(seen.reset, PROTOCOL_ERROR);
	end();
}
END_TEST

START_TEST(padding)
{
	struct head h;

	hello();
	h = get("/");
	add(&h, "content-length", "3");
	head(1, 0, &h);
	frame(DATA, PADDED | END_STREAM, 1, "\4abc\0\0\0\0", 8);
	flush();
	ck_assert_str_eq(server.call[0].body, "abc");
	ck_assert_int_eq(server.call[0].ended, 1);
	end();
}
END_TEST

START_TEST(trailers_end_it)
{
	struct head h, t = { .n = 0 };

	hello();
	h = get("/");
	head(1, 0, &h);
	frame(DATA, 0, 1, "abc", 3);
	add(&t, "x-sum", "9");
	add(&t, "authorization", "late");
	head(1, END_STREAM, &t);
	flush();
	ck_assert_int_eq(server.call[0].trailed, 1);
	ck_assert_int_eq(server.call[0].trailers.n, 2);
	ck_assert(!server.call[0].trailers.at[0].gone);
	ck_assert(server.call[0].trailers.at[1].gone);
	end();
}
END_TEST

START_TEST(trailers_without_end)
{
	struct head h, t = { .n = 0 };

	hello();
	h = get("/");
	head(1, 0, &h);
	frame(DATA, 0, 1, "abc", 3);
	add(&t, "x-sum", "9");
	head(1, 0, &t);
	flush();
	ck_assert_int_eq(seen.reset, PROTOCOL_ERROR);
	ck_assert_int_eq(server.call[0].faults, 1);
	end();
}
END_TEST

START_TEST(who_waits_hears_that_it_has_left)
{
	struct msg m = { .status = 200, .minor = 1, .body = BODY_CHUNKED };
	struct stream *s;

	hello();
	ASKED(1, GET_PSEUDO);
	s = server.call[0].stream;
	s->ops->send_head(s, &m, false, false);
	/* Two pieces in one turn, and a client that says nothing more. */
	s->ops->send_body(s, STR("one"), false);
	ck_assert_int_gt(s->ops->send_body(s, STR("two"), false), 0);
	turns(2);
	look();
	ck_assert_int_eq(seen.data, 6);
	ck_assert_int_eq(server.call[0].drained, 1);
	end();
}
END_TEST

/* Answered, given up by its user and not sent yet, when the connection is over. */
static void
over_with_answers(bool clean)
{
	struct msg m = { .status = 200, .minor = 1, .body = BODY_CHUNKED };

	hello();
	ASKED(1, GET_PSEUDO);
	ASKED(3, GET_PSEUDO);
	for (int i = 0; i < 2; i++) {
		struct stream *s = server.call[i].stream;

		s->ops->send_head(s, &m, false, false);
		s->ops->send_body(s, STR("answer"), true);
	}
	release(&server.call[0], FAULT_NONE);
	if (clean)
		shutdown(peer, SHUT_WR);
	else
		send(peer, "\0\0\1\4\0\0\0\0\0x", 10, MSG_NOSIGNAL);
	turns(6);
	look();
	ck_assert_int_eq(seen.ended, clean ? 2 : 0);
	ck_assert_int_eq(seen.goaways, !clean);
	end();
}

START_TEST(gone_while_answers_wait)
{
	over_with_answers(true);
}
END_TEST

START_TEST(wrong_while_answers_wait)
{
	over_with_answers(false);
}
END_TEST

/* ---- the client role, and a target that misbehaves */

static void
greeted(void)
{
	memset(&seen, 0, sizeof(seen));
	nsent = nin = 0;
	begin_alone(&client, CONN_CLIENT);
	recv(peer, in, 24, 0);                  /* the preface */
	frame(SETTINGS, 0, 0, NULL, 0);
	flush();
}

START_TEST(goaway_gives_back_what_was_not_seen)
{
	struct msg m = request("/");
	struct call *c[3];

	greeted();
	for (int i = 0; i < 3; i++)
		c[i] = ask(&m, true);
	frame(GOAWAY, 0, 0, "\0\0\0\1\0\0\0\0", 8);
	flush();
	ck_assert_int_eq(c[0]->faults, 0);
	ck_assert_int_eq(c[1]->fault, FAULT_UPSTREAM_CLOSED);
	ck_assert_int_eq(c[2]->fault, FAULT_UPSTREAM_CLOSED);
	ck_assert_int_eq(client.conn->ops->room(client.conn), 0);
	head(1, END_STREAM, &(struct head){ { 0x88 }, 1 });
	flush();
	ck_assert_int_eq(c[0]->msg.status, 200);
	release(c[0], FAULT_NONE);
	turns(4);
	ck_assert_int_eq(client.closed, 1);
	end();
}
END_TEST

START_TEST(bad_responses)
{
	struct msg m = request("/");
	struct head h;
	struct call *c;

	greeted();
	c = ask(&m, true);
	h.n = 0;
	add(&h, ":status", "200");
	add(&h, "connection", "close");
	head(1, END_STREAM, &h);
	flush();
	ck_assert_int_eq(c->fault, FAULT_BAD_RESPONSE);
	c = ask(&m, true);
	h.n = 0;
	add(&h, ":status", "101");
	head(3, 0, &h);
	flush();
	ck_assert_int_eq(c->faults, 1);
	c = ask(&m, true);
	h.n = 0;
	add(&h, ":status", "200");
	add(&h, "content-length", "10");
	head(5, 0, &h);
	frame(DATA, END_STREAM, 5, "short", 5);
	flush();
	ck_assert_int_eq(c->msg.status, 200);
	ck_assert_int_eq(c->ended, 0);
	ck_assert_int_eq(c->fault, FAULT_RESPONSE_INCOMPLETE);
	c = ask(&m, true);
	h.n = 0;
	add(&h, ":status", "200");
	for (int i = 0; i < 60; i++)
		add(&h, "x", "y");
	head(7, END_STREAM, &h);
	flush();
	ck_assert_int_eq(c->fault, FAULT_RESPONSE_HEAD_TOO_LARGE);
	end();
}
END_TEST

START_TEST(upgrade_to_who_has_none)
{
	struct msg m = request("/chat");
	struct call *c;

	greeted();
	m.upgrade = true;
	m.upgrade_to = STR("websocket");
	c = ask(&m, true);
	ck_assert_int_eq(c->fault, FAULT_UPGRADE_FAILED);
	end();
}
END_TEST

START_TEST(room_is_what_the_target_says)
{
	static const unsigned char two[6] = { 0, 3, 0, 0, 0, 2 };
	struct msg m = request("/");

	greeted();
	frame(SETTINGS, 0, 0, two, 6);
	flush();
	ck_assert_int_eq(client.conn->ops->room(client.conn), 2);
	ask(&m, true);
	ask(&m, true);
	ck_assert_ptr_null(client.conn->ops->open(client.conn));
	head(1, END_STREAM, &(struct head){ { 0x88 }, 1 });
	flush();
	release(&client.call[0], FAULT_NONE);
	turns(2);
	ck_assert_int_eq(client.conn->ops->room(client.conn), 1);
	end();
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		preface_in_drops, no_preface, refused_heads, faults_of_heads, good_heads,
		limits_of_heads, length_against_data, padding, trailers_end_it,
		who_waits_hears_that_it_has_left, gone_while_answers_wait,
		wrong_while_answers_wait, trailers_without_end,
		goaway_gives_back_what_was_not_seen, bad_responses,
		upgrade_to_who_has_none, room_is_what_the_target_says,
	};

	return unit_run("h2_frames", tests, sizeof(tests) / sizeof(*tests));
}
