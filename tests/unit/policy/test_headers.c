#include "tests/unit/policy/try.h"

START_TEST(lines_are_removed_set_and_added)
{
	try_begin("type = \"headers\"; request: { remove = [ \"cookie\" ]; set: { x-a = "
		  "\"{method} {client.ip}\"; };"
		  " add: { X-B = \"2\"; }; }; response: { remove = [ \"server\", "
		  "\"x-powered-by\" ]; "
		  "set: { x-frame-options = \"DENY\"; }; };");
	fake_header("Cookie", "a=b");
	fake_header("X-A", "evil");
	fake_header("x-a", "evil too");
	fake_header("x-b", "1");
	ck_assert_int_eq(try_request(), PASS);
	try_sends("X-A: GET 192.0.2.7\nx-b: 1\nX-B: 2\n");
	fake_answer_header("Server", "s/1");
	fake_answer_header("X-Powered-By", "p");
	fake_answer_header("Via", "1.1 o");
	try_response();
	try_returns("Via: 1.1 o\nx-frame-options: DENY\n");
	try_end();
}
END_TEST

START_TEST(host_is_set_in_requests)
{
	try_begin("type = \"headers\"; request: { set: { Host = "
		  "\"origin.{listener}:8443\"; }; };");
	ck_assert_int_eq(try_request(), PASS);
	unit_str_eq(x->request.host, "origin.web:8443");
	try_sends("");
	try_end();
	try_begin("type = \"headers\"; request: { set: { Host = \"{query.h}\"; }; };");
	x->request.query = STR("h=a%2Fb@c");
	ck_assert_int_eq(try_request(), ANSWER);
	ck_assert_int_eq(x->response.status, 400);
	try_end();
}
END_TEST

START_TEST(nothing_is_injected)
{
	try_begin("type = \"headers\"; request: { set: { x-user = \"{query.user}\"; }; "
		  "add: { x-v = \"1\"; }; }; "
		  "response: { set: { x-echo = \"{query.user}\"; x-ok = \"1\"; }; };");
	x->request.query = STR("user=me%0d%0ax-admin:%20yes");
	fake_header("x-user", "root");
	ck_assert_int_eq(try_request(), ANSWER);
	ck_assert_int_eq(x->fault, FAULT_BAD_REQUEST);
	memset(&x->response.headers, 0, sizeof x->response.headers);
	fake_answer_header("X-Echo", "from the origin");
	try_response();
	try_returns("x-ok: 1\n");
	try_end();
	try_begin(
		"type = \"headers\"; request: { set: { x-user = \"{query.user}\"; }; };");
	x->request.query = STR("user=a%00b");
	ck_assert_int_eq(try_request(), ANSWER);
	try_end();
}
END_TEST

START_TEST(bad_lines_are_errors)
{
	try_refused("type = \"headers\"; request: { set: { Connection = \"close\"; }; };",
		    431, "one connection");
	try_refused("type = \"headers\"; response: { remove = [ \"Content-Length\" ]; };",
		    431, "one connection");
	try_refused(
		"type = \"headers\"; response: { add: { transfer-encoding = \"x\"; }; };",
		431, "one connection");
	try_refused("type = \"headers\"; request: { add: { Host = \"a\"; }; };", 431,
		    "only be set");
	try_refused("type = \"headers\"; response: { set: { Host = \"a\"; }; };", 431,
		    "only be set");
	try_refused("type = \"headers\"; request: { remove = [ \"a b\" ]; };", 430,
		    "no header name");
	try_refused("type = \"headers\"; request: { set: { x-a = \"a\\nb\"; }; };", 432,
		    "control characters");
	try_refused(
		"type = \"headers\"; request: { set: { x-a = \"{nosuch.thing}\"; }; };",
		402, "no such name");
	try_refused("type = \"headers\"; request: { set = \"x\"; };", 407,
		    "group of strings");
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		lines_are_removed_set_and_added,
		host_is_set_in_requests,
		nothing_is_injected,
		bad_lines_are_errors,
	};

	return unit_run("policy/headers", tests, sizeof tests / sizeof *tests);
}
