#include "tests/unit/policy/try.h"

#include "tests/unit/exchange/fake_shared.h"

/* The SHA-256 of "secret" and of "other". */
#define SECRET "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
#define OTHER "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa"

static void
begin(const char *text)
{
	above = "plans: { gold: { rate = \"100/s\"; }; };\n"
		"consumers: { acme: { plan = \"gold\"; keys = [ \"sha256:" SECRET "\" ]; };\n"
		"  poor: { keys = [ \"sha256:" OTHER "\" ]; }; };\n";
	fake_share();
	try_begin(text);
}

static void
end(void)
{
	try_end();
	fake_unshare();
}

static void
refused(enum fault f, int status)
{
	ck_assert_int_eq(try_request(), ANSWER);
	ck_assert_int_eq(x->fault, f);
	ck_assert_int_eq(x->response.status, status);
	ck_assert_uint_eq(x->consumer.len, 0);
}

START_TEST(a_key_says_who_it_is_and_is_taken_out)
{
	begin("type = \"api-key\";");
	fake_header("X-API-Key", "secret");
	fake_header("x-other", "1");
	ck_assert_int_eq(try_request(), PASS);
	unit_str_eq(x->consumer, "acme");
	unit_str_eq(x->key_id, "2bb80d537b1d");
	unit_str_eq(x->plan->name, "gold");
	try_sends("x-other: 1\n");
	end();
}
END_TEST

START_TEST(a_consumer_without_a_plan_has_none)
{
	begin("type = \"api-key\";");
	fake_header("x-api-key", "other");
	ck_assert_int_eq(try_request(), PASS);
	unit_str_eq(x->consumer, "poor");
	ck_assert_ptr_null(x->plan);
	end();
}
END_TEST

START_TEST(refusals_have_their_reasons)
{
	begin("type = \"api-key\"; realm = \"shop\";");
	atomic_store(&fake_shared.control->store_state, STORE_OK);
	ck_assert_int_eq(try_request(), ANSWER);
	ck_assert_int_eq(x->fault, FAULT_KEY_MISSING);
	ck_assert_int_eq(x->response.status, 401);
	ck_assert_str_eq(try_returned("www-authenticate"),
			 "ApiKey realm=\"shop\", header=\"x-api-key\"");
	/* Empty is none; of two, nobody knows which is meant. */
	try_again();
	fake_header("x-api-key", "");
	refused(FAULT_KEY_MISSING, 401);
	try_again();
	fake_header("x-api-key", "secret");
	fake_header("X-Api-Key", "secret");
	refused(FAULT_KEY_UNKNOWN, 401);
	try_sends("");
	/* The store is said to be good, and is not there: nobody can say. */
	try_again();
	fake_header("x-api-key", "Secret");
	refused(FAULT_IDENTITY_UNAVAILABLE, 503);
	ck_assert_ptr_null(try_returned("www-authenticate"));
	end();
}
END_TEST

START_TEST(without_a_keeper_files_are_enough)
{
	begin("type = \"api-key\";");
	fake_header("x-api-key", "nobody's");
	refused(FAULT_IDENTITY_UNAVAILABLE, 503);
	try_again();
	fake_header("x-api-key", "secret");
	ck_assert_int_eq(try_request(), PASS);
	end();
}
END_TEST

START_TEST(optional_lets_nobody_pass_but_no_wrong_key)
{
	begin("type = \"api-key\"; optional = true;");
	ck_assert_int_eq(try_request(), PASS);
	ck_assert_uint_eq(x->consumer.len, 0);
	try_again();
	fake_header("x-api-key", "wrong");
	ck_assert_int_eq(try_request(), ANSWER);
	end();
}
END_TEST

START_TEST(a_query_parameter_is_cut_out)
{
	static const struct { const char *query, *left; bool has; } q[] = {
		{ "k=secret", "", false },
		{ "a=1&k=secret", "a=1", true },
		{ "k=secret&a=1&b", "a=1&b", true },
		{ "a=1&%6b=s%65cret&b=k", "a=1&b=k", true },
		{ "a=1&&k=secret&", "a=1&", true },
	};

	begin("type = \"api-key\"; query = \"k\";");
	for (size_t i = 0; i < sizeof q / sizeof *q; i++) {
		try_again();
		x->request.query = str_of(q[i].query);
		ck_assert_int_eq(try_request(), PASS);
		unit_str_eq(x->consumer, "acme");
		unit_str_eq(x->request.query, q[i].left);
		ck_assert_int_eq(x->request.has_query, q[i].has);
	}
	/* Also a wrong one, and one that came twice; what has none stays as it is. */
	try_again();
	x->request.query = STR("k=no&a=1");
	ck_assert_int_eq(try_request(), ANSWER);
	unit_str_eq(x->request.query, "a=1");
	try_again();
	x->request.query = STR("k=secret&a=1&k=secret");
	refused(FAULT_KEY_UNKNOWN, 401);
	unit_str_eq(x->request.query, "a=1");
	ck_assert_str_eq(try_returned("www-authenticate"),
			 "ApiKey realm=\"postern\", query=\"k\"");
	try_again();
	x->request.query = STR("a=1&&b=K");
	refused(FAULT_KEY_MISSING, 401);
	unit_str_eq(x->request.query, "a=1&&b=K");
	end();
}
END_TEST

START_TEST(a_cookie_is_cut_out)
{
	begin("type = \"api-key\"; cookie = \"k\";");
	fake_header("cookie", "a=1; k=secret; b=2");
	ck_assert_int_eq(try_request(), PASS);
	try_sends("cookie: a=1; b=2\n");
	try_again();
	fake_header("cookie", "k=secret");
	fake_header("x", "y");
	ck_assert_int_eq(try_request(), PASS);
	unit_str_eq(x->consumer, "acme");
	try_sends("x: y\n");
	try_again();
	fake_header("cookie", "a=1;kk=secret");
	refused(FAULT_KEY_MISSING, 401);
	try_sends("cookie: a=1;kk=secret\n");
	end();
}
END_TEST

START_TEST(keep_forwards_it)
{
	begin("type = \"api-key\"; header = \"Authorization\"; keep = true;");
	fake_header("authorization", "secret");
	ck_assert_int_eq(try_request(), PASS);
	try_sends("authorization: secret\n");
	end();
}
END_TEST

START_TEST(bad_options_are_errors)
{
	try_refused("type = \"api-key\"; header = \"a\"; query = \"b\";", 442, "one place");
	try_refused("type = \"api-key\"; header = \"a b\";", 430, "no header name");
	try_refused("type = \"api-key\"; header = \"Connection\";", 431, "one connection");
	try_refused("type = \"api-key\"; cookie = \"a=b\";", 430, "no name of a cookie");
	try_refused("type = \"api-key\"; realm = \"a\\\"b\";", 432, "realm");
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		a_key_says_who_it_is_and_is_taken_out,
		a_consumer_without_a_plan_has_none,
		refusals_have_their_reasons,
		without_a_keeper_files_are_enough,
		optional_lets_nobody_pass_but_no_wrong_key,
		a_query_parameter_is_cut_out,
		a_cookie_is_cut_out,
		keep_forwards_it,
		bad_options_are_errors,
	};

	return unit_run("policy/api_key", tests, sizeof tests / sizeof *tests);
}
