#include "tests/unit/policy/try.h"

START_TEST(a_length_is_refused_at_once)
{
	try_begin("type = \"size-limit\"; max = \"1KiB\";");
	x->request.body = BODY_LENGTH;
	x->request.length = 1024;
	ck_assert_int_eq(try_request(), PASS);
	x->request.length = 1025;
	ck_assert_int_eq(try_request(), ANSWER);
	ck_assert_int_eq(x->response.status, 413);
	ck_assert_int_eq(x->fault, FAULT_BODY_TOO_LARGE);
	try_end();
}
END_TEST

START_TEST(a_limit_is_only_ever_lowered)
{
	try_begin("type = \"size-limit\"; max = \"1KiB\";");
	x->request.body = BODY_CHUNKED;
	ck_assert_int_eq(try_request(), PASS);
	ck_assert_uint_eq(x->body_limit, 1024);
	x->body_limit = 10;
	ck_assert_int_eq(try_request(), PASS);
	ck_assert_uint_eq(x->body_limit, 10);
	x->body_limit = 4096;
	ck_assert_int_eq(try_request(), PASS);
	ck_assert_uint_eq(x->body_limit, 1024);
	try_end();
}
END_TEST

START_TEST(query_and_header_lines_have_limits)
{
	try_begin("type = \"size-limit\"; query = \"3B\"; headers = \"8B\";");
	ck_assert_int_eq(try_request(), PASS);
	ck_assert_uint_eq(x->body_limit, 0);
	x->request.query = STR("a=12");
	ck_assert_int_eq(try_request(), ANSWER);
	ck_assert_int_eq(x->response.status, 414);
	x->request.query = STR("a");
	fake_header("x-abc", "123");
	ck_assert_int_eq(try_request(), PASS);
	fake_header("y", "");
	ck_assert_int_eq(try_request(), ANSWER);
	ck_assert_int_eq(x->response.status, 431);
	try_end();
}
END_TEST

START_TEST(a_limit_of_nothing_is_an_error)
{
	try_refused("type = \"size-limit\";", 434, "limits nothing");
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		a_length_is_refused_at_once,
		a_limit_is_only_ever_lowered,
		query_and_header_lines_have_limits,
		a_limit_of_nothing_is_an_error,
	};

	return unit_run("policy/size_limit", tests, sizeof tests / sizeof *tests);
}
