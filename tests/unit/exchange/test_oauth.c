#include "worker/exchange/oauth.h"

#include "tests/unit/exchange/fake.h"

static struct str value, why;
static uint64_t seconds;

static int
reads(int status, const char *json)
{
	return oauth_read(&x->arena, status, str_of(json), &value, &seconds, &why);
}

START_TEST(a_token)
{
	fake_begin();
	ck_assert_int_eq(reads(200, "{\"access_token\":\"abc\",\"token_type\":\"Bearer\","
				    "\"expires_in\":3600,\"more\":[1,{}]}"), 0);
	unit_str_eq(value, "Bearer abc");
	ck_assert_uint_eq(seconds, 3600);
	ck_assert_int_eq(reads(200, "{\"access_token\":\"abc\",\"expires_in\":\"60\"}"), 0);
	ck_assert_uint_eq(seconds, 60);
	ck_assert_int_eq(reads(200, "{\"access_token\":\"abc\",\"expires_in\":59.9}"), 0);
	ck_assert_uint_eq(seconds, 59);
	ck_assert_int_eq(reads(200, "{\"access_token\":\"abc\",\"expires_in\":-5}"), 0);
	ck_assert_uint_eq(seconds, 0);
	ck_assert_int_eq(reads(200, "{\"access_token\":\"abc\",\"expires_in\":1e300}"), 0);
	ck_assert_uint_eq(seconds, 0);
	ck_assert_int_eq(reads(200, "{\"access_token\":\"abc\",\"expires_in\":null}"), 0);
	ck_assert_uint_eq(seconds, 0);
	fake_end();
}
END_TEST

START_TEST(none)
{
	static const char *const all[] = {
		"", "{", "[]", "7", "null", "{}", "{\"access_token\":null}",
		"{\"access_token\":\"\"}", "{\"access_token\":\"a b\"}",
		"{\"access_token\":\"a\\r\\nX: y\"}", "{\"access_token\":\"\\u00e9\"}",
		"{\"access_token\":\"a\\u0000b\"}",
		"{\"access_token\":\"a\",\"token_type\":\"mac\"}",
		"{\"access_token\":\"a\",\"token_type\":7}",
		"{\"access_token\":\"a\",\"access_token\":\"b\"}",
	};

	fake_begin();
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		ck_assert_msg(reads(200, all[i]) < 0, "%s", all[i]);
		ck_assert_uint_gt(why.len, 0);
	}
	fake_end();
}
END_TEST

START_TEST(refused)
{
	fake_begin();
	ck_assert_int_lt(reads(400, "{\"error\":\"invalid_scope\"}"), 0);
	unit_str_eq(why, "invalid_scope");
	ck_assert_int_lt(reads(401, "{\"error\":\"a\\nforged log line\"}"), 0);
	unit_str_eq(why, "no token");
	ck_assert_int_lt(reads(500, "<html>"), 0);
	ck_assert_int_lt(reads(201, "{\"access_token\":\"abc\"}"), 0);
	fake_end();
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = { a_token, none, refused };

	return unit_run("exchange/oauth", tests, sizeof tests / sizeof *tests);
}
