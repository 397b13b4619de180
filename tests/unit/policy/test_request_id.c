#include "tests/unit/policy/try.h"

static const char own[] = "x-request-id: 0123456789abcdef0123456789abcdef\n";

START_TEST(both_sides_are_told)
{
	try_begin("type = \"request-id\";");
	ck_assert_int_eq(try_request(), PASS);
	try_sends(own);
	fake_answer_header("X-Request-ID", "of the origin");
	try_response();
	try_returns("X-Request-ID: 0123456789abcdef0123456789abcdef\n");
	try_end();
}
END_TEST

START_TEST(only_those_allowed_bring_their_own)
{
	static const struct { const char *accept; bool trusted, kept;
	} rows[] = {
		{ "trusted", false, false },
		{ "trusted", true, true },
		{ "always", false, true },
		{ "never", true, false },
	};
	char text[100];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(text, sizeof text, "type = \"request-id\"; accept = \"%s\";",
			 rows[i].accept);
		try_begin(text);
		x->trusted = rows[i].trusted;
		x->id_text = STR_NONE;
		fake_header("x-request-id", "abc-1");
		ck_assert_int_eq(try_request(), PASS);
		ck_assert_int_eq(str_eq(x->id_text, STR("abc-1")), rows[i].kept);
		ck_assert(rows[i].kept || x->id_text.len == 32);
		try_end();
	}
}
END_TEST

START_TEST(odd_ids_are_replaced)
{
	char longest[130];

	memset(longest, 'a', 129);
	longest[129] = 0;
	const char *const odd[] = { "", "a b", "a\"b", "\xc3\xa4", longest };

	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		try_begin("type = \"request-id\"; accept = \"always\";");
		fake_header("x-request-id", odd[i]);
		ck_assert_int_eq(try_request(), PASS);
		try_sends(own);
		try_end();
	}
}
END_TEST

START_TEST(the_header_can_be_chosen)
{
	try_begin("type = \"request-id\"; header = \"X-Trace\"; request = false;");
	fake_header("x-trace", "1");
	ck_assert_int_eq(try_request(), PASS);
	try_sends("");
	try_response();
	try_returns("X-Trace: 0123456789abcdef0123456789abcdef\n");
	try_end();
	try_refused("type = \"request-id\"; header = \"content-length\";", 431,
		    "one connection");
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		both_sides_are_told,
		only_those_allowed_bring_their_own,
		odd_ids_are_replaced,
		the_header_can_be_chosen,
	};

	return unit_run("policy/request_id", tests, sizeof tests / sizeof *tests);
}
