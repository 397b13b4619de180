#include "tests/unit/http/h2_sides.h"

START_TEST(get_and_answer)
{
	struct msg m = request("/v1/orders");
	struct call *c, *s;

	begin();
	m.query = STR("a=1");
	m.has_query = true;
	c = ask(&m, true);
	ck_assert_int_eq(server.calls, 1);
	s = &server.call[0];
	ck_assert_int_eq(s->heads, 1);
	ck_assert_int_eq(s->ended, 1);
	ck_assert_int_eq(s->msg.method, METHOD_GET);
	ck_assert_int_eq(s->msg.body, BODY_NONE);
	unit_str_eq(s->msg.target, "/v1/orders?a=1");
	unit_str_eq(s->msg.path, "/v1/orders");
	unit_str_eq(s->msg.query, "a=1");
	unit_str_eq(s->msg.host, "api.example");
	unit_str_eq(s->msg.hostname, "api.example");
	unit_str_eq(s->msg.scheme, "http");
	unit_str_eq(line(s, "host"), "api.example");
	reply(s, 200, STR("hello"));
	ck_assert_int_eq(s->waited, 0);
	ck_assert_int_eq(c->msg.status, 200);
	ck_assert_int_eq(c->msg.body, BODY_LENGTH);
	ck_assert_int_eq(c->msg.length, 5);
	ck_assert_str_eq(c->body, "hello");
	ck_assert_int_eq(c->ended, 1);
	ck_assert(line(c, "date").len == 29);
	release(s, FAULT_NONE);
	release(c, FAULT_NONE);
	turns(3);
	ck_assert_int_eq(server.idle, 1);
	ck_assert_int_eq(client.idle, 1);
	ck_assert_int_eq(client.closed + server.closed, 0);
	end();
}
END_TEST

START_TEST(lines_cross)
{
	struct msg m = request("/");
	struct arena a;
	struct call *s;

	begin();
	arena_init(&a, NULL, 0, 1 << 20);
	headers_add(&m.headers, &a, STR("X-Mixed-Case"), STR("Value"));
	headers_add(&m.headers, &a, STR("Connection"), STR("keep-alive"));
	headers_add(&m.headers, &a, STR("Host"), STR("other"));
	headers_add(&m.headers, &a, STR("Cookie"), STR("a=1"));
	headers_add(&m.headers, &a, STR("Cookie"), STR("b=2"));
	headers_add(&m.headers, &a, STR("X-Bad"), STR(" one\ntwo "));
	headers_add(&m.headers, &a, STR("TE"), STR("trailers"));
	m.te_trailers = true;
	ask(&m, true);
	s = &server.call[0];
	unit_str_eq(line(s, "x-mixed-case"), "Value");
	unit_str_eq(line(s, "connection"), "(none)");
	unit_str_eq(line(s, "host"), "api.example");
	unit_str_eq(line(s, "cookie"), "a=1; b=2");
	unit_str_eq(line(s, "x-bad"), "one two");
	ck_assert(s->msg.te_trailers);
	ck_assert(!s->msg.headers.at[0].gone);
	arena_reset(&a);
	end();
}
END_TEST

START_TEST(head_looks_as_by_h1)
{
	struct msg m = request("/p");
	struct arena a;
	struct call *s;

	begin();
	arena_init(&a, NULL, 0, 1 << 20);
	headers_add(&m.headers, &a, STR("accept"), STR("*/*"));
	headers_add(&m.headers, &a, STR("x-one"), STR("1"));
	ask(&m, true);
	s = &server.call[0];
	ck_assert_mem_eq(s->msg.method_text.at,
			 "GET /p HTTP/2\r\nhost: api.example\r\naccept: */*\r\nx-one: 1\r\n\r\n",
			 s->msg.headers.bytes);
	arena_reset(&a);
	end();
}
END_TEST

START_TEST(upload_by_length)
{
	struct msg m = request("/up");
	struct call *c, *s;

	begin();
	m.method = METHOD_POST;
	m.method_text = STR("POST");
	m.body = BODY_LENGTH;
	m.length = 10;
	c = ask(&m, false);
	s = &server.call[0];
	ck_assert_int_eq(s->msg.body, BODY_LENGTH);
	ck_assert_int_eq(s->msg.length, 10);
	ck_assert_int_eq(s->ended, 0);
	ck_assert_int_eq(c->stream->ops->send_body(c->stream, STR("01234"), false), 0);
	turns(2);
	ck_assert_int_eq(s->got, 5);
	ck_assert_int_eq(c->stream->ops->send_body(c->stream, STR("56789"), true), 0);
	turns(2);
	ck_assert_str_eq(s->body, "0123456789");
	ck_assert_int_eq(s->ended, 1);
	reply(s, 204, STR_NONE);
	ck_assert_int_eq(c->msg.status, 204);
	ck_assert_int_eq(c->ended, 1);
	end();
}
END_TEST

START_TEST(trailers_both_ways)
{
	struct msg m = request("/svc/Method"), answer = { .status = 200, .minor = 1,
							  .body = BODY_CHUNKED };
	struct headers t = { 0 };
	struct arena a;
	struct call *c, *s;

	begin();
	arena_init(&a, NULL, 0, 1 << 20);
	m.method = METHOD_POST;
	m.method_text = STR("POST");
	m.body = BODY_CHUNKED;
	c = ask(&m, false);
	s = &server.call[0];
	ck_assert_int_eq(s->msg.body, BODY_CHUNKED);
	headers_add(&t, &a, STR("Grpc-Status"), STR("0"));
	headers_add(&t, &a, STR("content-length"), STR("7"));
	c->stream->ops->send_body(c->stream, STR("question"), false);
	c->stream->ops->send_trailers(c->stream, &t);
	turns(3);
	ck_assert_str_eq(s->body, "question");
	ck_assert_int_eq(s->trailed, 1);
	ck_assert_int_eq(s->ended, 1);
	ck_assert_int_eq(s->trailers.n, 1);
	unit_str_eq(s->trailers.at[0].name, "grpc-status");
	s->stream->ops->send_head(s->stream, &answer, false, false);
	s->stream->ops->send_body(s->stream, STR("answer"), false);
	s->stream->ops->send_trailers(s->stream, &t);
	turns(3);
	ck_assert_str_eq(c->body, "answer");
	ck_assert_int_eq(c->trailed, 1);
	unit_str_eq(c->trailers.at[0].value, "0");
	ck_assert_int_eq(c->ended, 1);
	release(s, FAULT_NONE);
	release(c, FAULT_NONE);
	turns(3);
	ck_assert_int_eq(client.idle, 1);
	arena_reset(&a);
	end();
}
END_TEST

static char large[600 * 1024];

START_TEST(slow_reader_stalls_itself)
{
	struct msg m = request("/a"), answer = { .status = 200, .minor = 1,
						 .body = BODY_CHUNKED };
	struct call *slow, *fast, *s;
	size_t waits;

	begin();
	client.hold = true;
	slow = ask(&m, true);
	client.hold = false;
	fast = ask(&m, true);
	s = &server.call[0];
	s->stream->ops->send_head(s->stream, &answer, false, false);
	waits = s->stream->ops->send_body(s->stream, (struct str){ large, sizeof(large) },
					  true);
	ck_assert_int_gt(waits, 0);
	turns(20);
	/* One window of it is there, whatever was asked for. */
	ck_assert_int_le(slow->got, 256 * 1024);
	ck_assert_int_gt(slow->got, 0);
	ck_assert_int_eq(s->drained, 0);
	reply(&server.call[1], 200, STR("quick"));
	turns(5);
	ck_assert_str_eq(fast->body, "quick");
	ck_assert_int_eq(fast->ended, 1);
	slow->stream->ops->want(slow->stream, slow->got + 1000 * 1000);
	turns(60);
	ck_assert_int_eq(slow->got, sizeof(large));
	ck_assert_int_eq(slow->ended, 1);
	ck_assert_int_eq(s->drained, 1);
	end();
}
END_TEST

START_TEST(upload_waits_for_credit)
{
	struct msg m = request("/up");
	struct call *c, *s;
	size_t waits;

	begin();
	server.hold = true;
	m.method = METHOD_POST;
	m.method_text = STR("POST");
	m.body = BODY_LENGTH;
	m.length = sizeof(large);
	c = ask(&m, false);
	s = &server.call[0];
	waits = c->stream->ops->send_body(c->stream, (struct str){ large, sizeof(large) },
					  true);
	ck_assert_int_gt(waits, 0);
	turns(20);
	ck_assert_int_eq(s->got, H2_WINDOW);
	s->stream->ops->want(s->stream, 100000);
	turns(20);
	ck_assert_int_ge(s->got, H2_WINDOW + 30000);
	ck_assert_int_le(s->got, H2_WINDOW + 100000);
	s->stream->ops->want(s->stream, 0);
	s->hold = false;
	s->stream->ops->want(s->stream, 262144);
	turns(60);
	ck_assert_int_eq(s->got, sizeof(large));
	ck_assert_int_eq(s->ended, 1);
	ck_assert_int_eq(c->drained, 1);
	end();
}
END_TEST

START_TEST(many_at_once)
{
	struct msg m = request("/n");

	begin();
	ck_assert_int_eq(client.conn->ops->room(client.conn), H2_STREAMS);
	for (int i = 0; i < 100; i++)
		ask(&m, true);
	ck_assert_int_eq(server.calls, 100);
	ck_assert_int_eq(client.conn->ops->room(client.conn), H2_STREAMS - 100);
	for (int i = 99; i >= 0; i--)
		reply(&server.call[i], 200, STR("x"));
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(client.call[i].ended, 1);
		release(&client.call[i], FAULT_NONE);
		release(&server.call[i], FAULT_NONE);
	}
	turns(3);
	ck_assert_int_eq(client.idle, 1);
	ck_assert_int_gt(client.room, 0);
	ck_assert_int_eq(client.conn->ops->room(client.conn), H2_STREAMS);
	for (int i = 0; i < H2_STREAMS; i++)
		ck_assert_ptr_nonnull(ask(&m, true));
	ck_assert_ptr_null(client.conn->ops->open(client.conn));
	end();
}
END_TEST

START_TEST(client_resets)
{
	struct msg m = request("/r");
	struct call *c;

	begin();
	c = ask(&m, true);
	release(c, FAULT_CLIENT_GONE);
	turns(3);
	ck_assert_int_eq(server.call[0].faults, 1);
	ck_assert_int_eq(server.call[0].fault, FAULT_CLIENT_GONE);
	ck_assert_int_eq(server.idle, 1);
	c = ask(&m, true);
	reply(&server.call[1], 200, STR("on"));
	ck_assert_str_eq(c->body, "on");
	end();
}
END_TEST

START_TEST(server_cuts)
{
	struct msg m = request("/r"), answer = { .status = 200, .minor = 1,
						 .body = BODY_LENGTH, .length = 100 };
	struct call *c[3];
	struct stream *s;

	begin();
	for (int i = 0; i < 3; i++)
		c[i] = ask(&m, true);
	release(&server.call[0], FAULT_INTERNAL);
	s = server.call[1].stream;
	s->ops->send_head(s, &answer, false, false);
	s->ops->send_body(s, STR("part"), false);
	turns(3);
	ck_assert_str_eq(c[1]->body, "part");
	release(&server.call[1], FAULT_RESPONSE_INCOMPLETE);
	turns(3);
	ck_assert_int_eq(c[0]->fault, FAULT_UPSTREAM_RESET);
	ck_assert_int_eq(c[1]->fault, FAULT_RESPONSE_INCOMPLETE);
	ck_assert_int_eq(c[2]->faults, 0);
	end();
}
END_TEST

START_TEST(early_answer_ends_upload)
{
	struct msg m = request("/up");
	struct call *c, *s;

	begin();
	m.method = METHOD_POST;
	m.method_text = STR("POST");
	m.body = BODY_LENGTH;
	m.length = 1 << 20;
	c = ask(&m, false);
	s = &server.call[0];
	c->stream->ops->send_body(c->stream, STR("begin"), false);
	turns(2);
	rules.linger_ms = 100;
	reply(s, 413, STR("no"));
	release(s, FAULT_NONE);
	turns(3);
	ck_assert_int_eq(c->msg.status, 413);
	ck_assert_str_eq(c->body, "no");
	ck_assert_int_eq(c->ended, 1);
	/* Who is still sending is not to take it for a failure: he is reset later. */
	ck_assert_int_eq(c->fault, FAULT_NONE);
	c->stream->ops->send_body(c->stream, STR("more"), false);
	for (int i = 0; i < 100 && !c->fault; i++, turns(1))
		usleep(20000);
	ck_assert_int_eq(c->fault, FAULT_UPSTREAM_CLOSED);
	rules.linger_ms = 1000;
	end();
}
END_TEST

START_TEST(interim_then_final)
{
	struct msg m = request("/e"), hints = { .status = 103, .minor = 1 };
	struct call *c, *s;

	begin();
	c = ask(&m, true);
	s = &server.call[0];
	s->stream->ops->send_head(s->stream, &hints, true, false);
	turns(2);
	ck_assert_int_eq(c->interim, 1);
	ck_assert_int_eq(c->status[0], 103);
	ck_assert_int_eq(c->heads, 0);
	reply(s, 200, STR("done"));
	ck_assert_int_eq(c->heads, 1);
	ck_assert_str_eq(c->body, "done");
	end();
}
END_TEST

START_TEST(no_body_where_none_belongs)
{
	struct msg head = request("/h"), get = request("/g");
	struct msg answer = {
		.status = 200, .minor = 1, .body = BODY_LENGTH, .length = 77
	};
	struct call *c, *d, *s;

	begin();
	head.method = METHOD_HEAD;
	head.method_text = STR("HEAD");
	c = ask(&head, true);
	s = &server.call[0];
	s->stream->ops->send_head(s->stream, &answer, false, false);
	ck_assert_int_eq(s->stream->ops->send_body(s->stream, STR("odd"), true), 0);
	d = ask(&get, true);
	answer.status = 304;
	s = &server.call[1];
	s->stream->ops->send_head(s->stream, &answer, true, false);
	turns(3);
	ck_assert_int_eq(c->ended, 1);
	ck_assert_int_eq(c->got, 0);
	ck_assert_int_eq(c->msg.body, BODY_NONE);
	ck_assert_int_eq(c->msg.length, 77);
	ck_assert_int_eq(d->msg.status, 304);
	ck_assert_int_eq(d->ended, 1);
	end();
}
END_TEST

static void
answer_at_once(struct call *c)
{
	struct msg m = { .status = 404, .minor = 1, .body = BODY_LENGTH, .length = 9 };

	c->stream->ops->send_head(c->stream, &m, false, false);
	c->waited = c->stream->ops->send_body(c->stream, STR("not found"), true);
	release(c, FAULT_NONE);
}

START_TEST(answered_while_receiving)
{
	struct msg m = request("/x");
	struct call *c;

	begin();
	server.on_head = answer_at_once;
	for (int i = 0; i < 5; i++) {
		c = ask(&m, true);
		ck_assert_int_eq(server.call[i].waited, 0);
		ck_assert_int_eq(c->msg.status, 404);
		ck_assert_str_eq(c->body, "not found");
		release(c, FAULT_NONE);
	}
	turns(2);
	ck_assert_int_eq(server.idle, 5);
	end();
}
END_TEST

START_TEST(refused_by_the_owner)
{
	struct msg m = request("/x");
	struct call *c;

	begin();
	server.refuse = true;
	c = ask(&m, true);
	turns(2);
	/* Nobody has looked at it: it may be sent again. */
	ck_assert_int_eq(c->fault, FAULT_UPSTREAM_CLOSED);
	end();
}
END_TEST

START_TEST(websocket_across)
{
	struct msg m = request("/chat"), switched = { .status = 101, .minor = 1 };
	struct arena a;
	struct call *c, *s;

	begin();
	arena_init(&a, NULL, 0, 1 << 20);
	headers_add(&m.headers, &a, STR("Upgrade"), STR("websocket"));
	headers_add(&m.headers, &a, STR("Sec-WebSocket-Key"), STR("dGhlIHNhbXBsZSBub25jZQ=="));
	headers_add(&m.headers, &a, STR("Sec-WebSocket-Version"), STR("13"));
	m.upgrade = true;
	m.upgrade_to = STR("websocket");
	c = ask(&m, true);
	s = &server.call[0];
	ck_assert_int_eq(s->heads, 1);
	ck_assert_int_eq(s->msg.method, METHOD_GET);
	ck_assert(s->msg.upgrade);
	unit_str_eq(s->msg.upgrade_to, "websocket");
	ck_assert_int_eq(line(s, "sec-websocket-key").len, 24);
	ck_assert(!str_eq(line(s, "sec-websocket-key"), STR("dGhlIHNhbXBsZSBub25jZQ==")));
	ck_assert_int_eq(s->ended, 1);
	/* What comes before the answer waits for it. */
	c->stream->ops->send_body(c->stream, STR("early"), false);
	turns(2);
	ck_assert_int_eq(s->got, 0);
	headers_add(&switched.headers, &a, STR("Sec-WebSocket-Accept"), STR("x"));
	headers_add(&switched.headers, &a, STR("Sec-WebSocket-Protocol"), STR("v2"));
	switched.upgrade_to = STR("websocket");
	s->stream->ops->send_head(s->stream, &switched, false, false);
	s->stream->ops->want(s->stream, 1000);
	turns(4);
	ck_assert_str_eq(s->body, "early");
	ck_assert_int_eq(c->heads, 1);
	ck_assert_int_eq(c->msg.status, 101);
	unit_str_eq(c->msg.upgrade_to, "websocket");
	unit_str_eq(line(c, "sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	unit_str_eq(line(c, "sec-websocket-protocol"), "v2");
	s->stream->ops->send_body(s->stream, STR("to you"), false);
	c->stream->ops->send_body(c->stream, STR(" and on"), true);
	turns(4);
	ck_assert_str_eq(c->body, "to you");
	ck_assert_str_eq(s->body, "early and on");
	ck_assert_int_eq(s->ended, 2);
	s->stream->ops->send_body(s->stream, STR_NONE, true);
	turns(3);
	ck_assert_int_eq(c->ended, 1);
	arena_reset(&a);
	end();
}
END_TEST

START_TEST(websocket_refused)
{
	struct msg m = request("/chat");
	struct call *c;

	begin();
	m.upgrade = true;
	m.upgrade_to = STR("websocket");
	c = ask(&m, true);
	reply(&server.call[0], 403, STR("no"));
	ck_assert_int_eq(c->msg.status, 403);
	ck_assert_str_eq(c->body, "no");
	ck_assert_int_eq(c->ended, 1);
	end();
}
END_TEST

START_TEST(drain_loses_nothing)
{
	struct msg m = request("/d");
	struct call *c, *d;

	begin();
	c = ask(&m, true);
	server.conn->ops->drain(server.conn, 2000);
	/* On its way while the first GOAWAY is. */
	d = take(&client, client.conn->ops->open(client.conn));
	d->stream->ops->send_head(d->stream, &m, true, false);
	turns(4);
	ck_assert_int_eq(server.calls, 2);
	ck_assert_int_eq(client.conn->ops->room(client.conn), 0);
	ck_assert_ptr_null(client.conn->ops->open(client.conn));
	reply(&server.call[0], 200, STR("one"));
	reply(&server.call[1], 200, STR("two"));
	ck_assert_str_eq(c->body, "one");
	ck_assert_str_eq(d->body, "two");
	release(&server.call[0], FAULT_NONE);
	release(&server.call[1], FAULT_NONE);
	release(c, FAULT_NONE);
	release(d, FAULT_NONE);
	turns(6);
	ck_assert_int_eq(client.closed, 1);
	ck_assert_int_eq(server.closed, 1);
	end();
}
END_TEST

START_TEST(idle_one_drains_at_once)
{
	begin();
	server.conn->ops->drain(server.conn, 2000);
	turns(6);
	ck_assert_int_eq(client.closed, 1);
	ck_assert_int_eq(server.closed, 1);
	end();
}
END_TEST

START_TEST(lost_connection)
{
	struct msg m = request("/l"), answer = { .status = 200, .minor = 1,
						 .body = BODY_CHUNKED };
	struct call *c, *d;

	begin();
	c = ask(&m, true);
	d = ask(&m, true);
	server.call[1].stream->ops->send_head(server.call[1].stream, &answer, false,
					      false);
	server.call[1].stream->ops->send_body(server.call[1].stream, STR("part"), false);
	turns(3);
	server.call[0].released = server.call[1].released = true;
	server.conn->ops->close(server.conn);
	turns(4);
	ck_assert_int_eq(c->fault, FAULT_UPSTREAM_CLOSED);
	ck_assert_int_eq(d->fault, FAULT_RESPONSE_INCOMPLETE);
	ck_assert_int_eq(client.closed, 1);
	end();
}
END_TEST

START_TEST(client_leaves)
{
	struct msg m = request("/l");

	begin();
	ask(&m, true);
	ask(&m, true);
	client.call[0].released = client.call[1].released = true;
	client.conn->ops->close(client.conn);
	turns(4);
	ck_assert_int_eq(server.call[0].fault, FAULT_CLIENT_GONE);
	ck_assert_int_eq(server.call[1].fault, FAULT_CLIENT_GONE);
	ck_assert_int_eq(server.closed, 1);
	end();
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		get_and_answer, lines_cross, head_looks_as_by_h1, upload_by_length,
		trailers_both_ways, slow_reader_stalls_itself, upload_waits_for_credit,
		many_at_once, client_resets, server_cuts, early_answer_ends_upload,
		interim_then_final, no_body_where_none_belongs, answered_while_receiving,
		refused_by_the_owner, websocket_across, websocket_refused,
		drain_loses_nothing, idle_one_drains_at_once, lost_connection,
		client_leaves,
	};

	return unit_run("h2", tests, sizeof(tests) / sizeof(*tests));
}
