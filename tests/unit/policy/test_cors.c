#include "tests/unit/policy/try.h"

#define APP                                                                              \
	"type = \"cors\"; origins = [ \"https://app.example.com\", "                     \
	"\"https://*.example.org:8443\", "                                               \
	"\"~ ^https://pr-[0-9]+\\.example\\.net$\" ]; "

static void
origin(const char *value)
{
	x->request.headers = (struct headers){ 0 };
	x->response.headers = (struct headers){ 0 };
	memset(state, 0, policy->state_size);
	if (value)
		fake_header("Origin", value);
}

static void
ask(const char *method)
{
	x->request.method = METHOD_OPTIONS;
	fake_header("Access-Control-Request-Method", method);
}

START_TEST(origins_are_matched_whole)
{
	static const struct { const char *origin; bool allowed; } rows[] = {
		{ "https://app.example.com", true },
		{ "https://app.example.com:8443", false },
		{ "http://app.example.com", false },
		{ "https://app.example.com.evil.net", false },
		{ "https://a.example.org:8443", true },
		{ "https://a.b.example.org:8443", true },
		{ "https://example.org:8443", false },
		{ "https://.example.org:8443", false },
		{ "https://..example.org:8443", false },
		{ "https://evil.net/.example.org:8443", false },
		{ "https://evil.net:1.example.org:8443", false },
		{ "https://evilexample.org:8443", false },
		{ "https://pr-12.example.net", true },
		{ "https://pr-12xexample.net", false },
		{ "null", false },
	};

	try_begin(APP);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char wanted[200];

		origin(rows[i].origin);
		ck_assert_int_eq(try_request(), PASS);
		try_response();
		snprintf(wanted, sizeof wanted,
			 "vary: Origin\naccess-control-allow-origin: %s\n",
			 rows[i].origin);
		try_returns(rows[i].allowed ? wanted : "vary: Origin\n");
	}
	origin(NULL);
	ck_assert_int_eq(try_request(), PASS);
	try_response();
	try_returns("vary: Origin\n");
	try_end();
}
END_TEST

START_TEST(a_preflight_is_answered_here)
{
	try_begin(APP "methods = [ \"GET\", \"PUT\" ]; headers = [ \"x-a\", "
		      "\"content-type\" ]; max_age = \"1h\"; "
		      "credentials = true; expose = [ \"x-total\" ];");
	origin("https://app.example.com");
	ask("PUT");
	ck_assert_int_eq(try_request(), ANSWER);
	ck_assert_int_eq(x->response.status, 204);
	headers_remove(&x->response.headers, STR("date"));
	try_response();
	try_returns("x-request-id: 0123456789abcdef0123456789abcdef\n"
		    "access-control-allow-methods: GET, PUT\n"
		    "access-control-allow-headers: x-a, content-type\n"
		    "access-control-max-age: 3600\n"
		    "vary: Origin, Access-Control-Request-Method, "
		    "Access-Control-Request-Headers\n"
		    "access-control-allow-origin: https://app.example.com\n"
		    "access-control-allow-credentials: true\n"
		    "access-control-expose-headers: x-total\n");
	try_end();
}
END_TEST

START_TEST(a_preflight_of_a_stranger_is_refused)
{
	try_begin(APP);
	origin("https://evil.net");
	ask("GET");
	ck_assert_int_eq(try_request(), ANSWER);
	ck_assert_int_eq(x->response.status, 403);
	ck_assert_int_eq(x->fault, FAULT_CORS_DENIED);
	try_end();
}
END_TEST

START_TEST(options_that_are_no_preflight_pass)
{
	try_begin(APP);
	origin("https://app.example.com");
	x->request.method = METHOD_OPTIONS;
	ck_assert_int_eq(try_request(), PASS);
	origin(NULL);
	ask("GET");
	ck_assert_int_eq(try_request(), PASS);
	try_end();
}
END_TEST

START_TEST(headers_asked_for_are_echoed_for_a_star)
{
	try_begin("type = \"cors\"; origins = [ \"*\" ]; headers = [ \"*\" ];");
	origin("https://anyone.example");
	ask("GET");
	fake_header("Access-Control-Request-Headers", "x-one, x-two");
	ck_assert_int_eq(try_request(), ANSWER);
	unit_str_eq(
		headers_find(&x->response.headers, STR("access-control-allow-headers"))
			->value,
		"x-one, x-two");
	unit_str_eq(
		headers_find(&x->response.headers, STR("access-control-allow-methods"))
			->value,
		"GET, HEAD, POST");
	try_response();
	unit_str_eq(headers_find(&x->response.headers, STR("access-control-allow-origin"))
			    ->value,
		    "*");
	try_end();
}
END_TEST

START_TEST(vary_is_merged_and_lines_of_the_origin_go)
{
	try_begin(APP);
	origin("https://evil.net");
	fake_answer_header("Vary", "Accept");
	fake_answer_header("vary", "accept-encoding");
	fake_answer_header("Access-Control-Allow-Origin", "*");
	fake_answer_header("Access-Control-Allow-Credentials", "true");
	ck_assert_int_eq(try_request(), PASS);
	try_response();
	try_returns("Vary: Accept, accept-encoding, Origin\n");
	origin("https://evil.net");
	fake_answer_header("Vary", "x, ORIGIN");
	try_response();
	try_returns("Vary: x, ORIGIN\n");
	origin("https://evil.net");
	fake_answer_header("Vary", "*");
	try_response();
	try_returns("Vary: *\n");
	try_end();
}
END_TEST

START_TEST(an_answer_before_it_gets_its_lines)
{
	try_begin(APP);
	origin("https://app.example.com");
	try_response(); /* another policy answered: request() did not run */
	try_returns(
		"vary: Origin\naccess-control-allow-origin: https://app.example.com\n");
	try_end();
}
END_TEST

START_TEST(two_origins_are_none)
{
	try_begin(APP);
	origin("https://app.example.com");
	fake_header("origin", "https://app.example.com");
	ck_assert_int_eq(try_request(), PASS);
	try_response();
	try_returns("vary: Origin\n");
	try_end();
}
END_TEST

START_TEST(what_browsers_refuse_is_refused)
{
	try_refused("type = \"cors\"; origins = [ \"*\" ]; credentials = true;", 438,
		    "name the origins");
	try_refused("type = \"cors\"; origins = [ ];", 437, "no origin");
	try_refused("type = \"cors\"; origins = [ \"https://App.example.com\" ];", 437,
		    "lower case");
	try_refused("type = \"cors\"; origins = [ \"https://app.example.com/\" ];", 437,
		    "no origin");
	try_refused("type = \"cors\"; origins = [ \"app.example.com\" ];", 437,
		    "no origin");
	try_refused("type = \"cors\"; origins = [ \"https://*.\" ];", 437, "no origin");
	try_refused("type = \"cors\"; origins = [ \"~ ^https://a$\", \"~ https://a\" ];",
		    436, "begins with");
	try_refused("type = \"cors\"; origins = [ \"~ ^(https$\" ];", 436,
		    "does not compile");
	try_refused("type = \"cors\"; origins = [ \"*\" ]; methods = [ \"GET POST\" ];",
		    430, "no name");
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		origins_are_matched_whole,
		a_preflight_is_answered_here,
		a_preflight_of_a_stranger_is_refused,
		options_that_are_no_preflight_pass,
		headers_asked_for_are_echoed_for_a_star,
		vary_is_merged_and_lines_of_the_origin_go,
		an_answer_before_it_gets_its_lines,
		two_origins_are_none,
		what_browsers_refuse_is_refused,
	};

	return unit_run("policy/cors", tests, sizeof tests / sizeof *tests);
}
