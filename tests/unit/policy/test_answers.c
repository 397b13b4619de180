/* respond, redirect and forwarded */
#include "tests/unit/policy/try.h"

START_TEST(respond_answers)
{
	try_begin("type = \"respond\"; status = 503; body = \"closed\\n\";");
	ck_assert_int_eq(try_request(), ANSWER);
	ck_assert_int_eq(x->response.status, 503);
	ck_assert_int_eq(x->fault, FAULT_NONE);
	unit_str_eq(x->answer, "closed\n");
	unit_str_eq(headers_get(&x->response.headers, TOKEN_CONTENT_TYPE)->value,
		    "text/plain; charset=utf-8");
	try_end();
	try_begin("type = \"respond\"; status = 204;");
	ck_assert_int_eq(try_request(), ANSWER);
	ck_assert(!headers_get(&x->response.headers, TOKEN_CONTENT_TYPE));
	try_end();
	try_refused("type = \"respond\"; status = 204; body = \"x\";", 435, "no body");
	try_refused("type = \"respond\"; content_type = \"a\\nb\";", 432,
		    "control characters");
}
END_TEST

START_TEST(redirect_encodes_what_comes_from_the_request)
{
	try_begin("type = \"redirect\"; to = "
		  "\"https://new.example{path}?from={header.x-a}\"; status = 308;");
	fake_header("x-a", "a b&c\r\nd");
	ck_assert_int_eq(try_request(), ANSWER);
	ck_assert_int_eq(x->response.status, 308);
	unit_str_eq(headers_get(&x->response.headers, TOKEN_LOCATION)->value,
		    "https://new.example/v1/orders/7?from=a%20b%26c%0D%0Ad");
	try_end();
	try_begin("type = \"redirect\"; to = \"{path}\";");
	x->path = STR("//evil.example/");
	ck_assert_int_eq(try_request(), ANSWER);
	ck_assert_int_eq(x->response.status, 302);
	unit_str_eq(headers_get(&x->response.headers, TOKEN_LOCATION)->value,
		    "/.//evil.example/");
	try_end();
	try_begin("type = \"redirect\"; to = \"{header.nothing}\";");
	ck_assert_int_eq(try_request(), ANSWER);
	ck_assert_int_eq(x->response.status, 400);
	try_end();
	try_refused("type = \"redirect\"; to = \"/a\"; status = 305;", 435,
		    "no redirect");
	try_refused("type = \"redirect\"; to = \"/a b\";", 406, "blanks");
}
END_TEST

START_TEST(forwarded_has_modes)
{
	static const struct { const char *mode, *lines;
	} rows[] = {
		{ "mode = \"x\";", "x-forwarded-for: 10.0.0.1\nx-forwarded-proto: http\n"
				   "x-forwarded-host: API.example.com:8080\n" },
		{ "mode = \"rfc7239\";",
		  "forwarded: for=10.0.0.1;host=\"API.example.com:8080\";proto=http\n" },
		{ "mode = \"off\";", "" },
		{ "mode = \"off\"; real_ip = true;", "x-real-ip: 10.0.0.1\n" },
		{ "mode = \"both\";",
		  "x-forwarded-for: 10.0.0.1\nx-forwarded-proto: http\n"
		  "x-forwarded-host: API.example.com:8080\n"
		  "forwarded: for=10.0.0.1;host=\"API.example.com:8080\";proto=http\n" },
	};
	char text[100];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(text, sizeof text, "type = \"forwarded\"; %s", rows[i].mode);
		try_begin(text);
		x->client_addr = x->peer;
		ck_assert(policy->forwards);
		fake_header("X-Forwarded-For", "127.0.0.1");
		fake_header("Forwarded", "for=127.0.0.1");
		ck_assert_int_eq(try_request(), PASS);
		try_sends(rows[i].lines);
		try_end();
	}
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		respond_answers,
		redirect_encodes_what_comes_from_the_request,
		forwarded_has_modes,
	};

	return unit_run("policy/answers", tests, sizeof tests / sizeof *tests);
}
