#include "base/json_write.h"

#include "tests/unit/unit.h"

static char buf[4096];

static struct str
written(const struct json_write *j)
{
	return (struct str){ buf, (size_t)(j->at - buf) };
}

START_TEST(values_and_commas)
{
	struct json_write j;

	json_begin(&j, buf, sizeof(buf));
	json_open(&j, '{');
	json_key(&j, STR("a"));
	json_int(&j, INT64_MIN);
	json_key(&j, STR("b"));
	json_open(&j, '[');
	json_bool(&j, true);
	json_bool(&j, false);
	json_raw(&j, STR("null"));
	json_open(&j, '{');
	json_close(&j, '{');
	json_open(&j, '[');
	json_close(&j, '[');
	json_raw(&j, STR("1.5"));
	json_close(&j, ']');
	json_key(&j, STR("c"));
	json_str(&j, STR_NONE);
	json_close(&j, '}');
	unit_str_eq(written(&j), "{\"a\":-9223372036854775808,\"b\":[true,false,null,{},[],1.5],\"c\":\"\"}");
	ck_assert(!j.full);
}
END_TEST

static const struct {
	const char *in, *out;
} strings[] = {
	{ "a\"b\\c/", "\"a\\\"b\\\\c/\"" },
	{ "\b\f\n\r\t\x01\x1f\x7f", "\"\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\"" },
	{ "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\"" },
	{ "a\xff" "b", "\"a\xef\xbf\xbd" "b\"" },
	{ "\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },                    /* overlong */
	{ "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },     /* surrogate */
	{ "\xf4\x90\x80\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
	{ "\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },                    /* cut short */
};

START_TEST(strings_are_escaped_and_well_formed)
{
	for (size_t i = 0; i < sizeof(strings) / sizeof(*strings); i++) {
		struct json_write j;

		json_begin(&j, buf, sizeof(buf));
		json_str(&j, str_of(strings[i].in));
		unit_str_eq(written(&j), strings[i].out);
	}
}
END_TEST

START_TEST(a_full_buffer_is_told_and_not_exceeded)
{
	char small[8] = "zzzzzzz";
	struct json_write j;

	json_begin(&j, small, 5);
	json_str(&j, STR("abc"));
	ck_assert(!j.full);
	json_int(&j, 1);
	ck_assert(j.full);
	ck_assert_str_eq(small, "\"abc\"zz");
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		values_and_commas, strings_are_escaped_and_well_formed,
		a_full_buffer_is_told_and_not_exceeded,
	};

	return unit_run("base/json_write", tests, sizeof(tests) / sizeof(*tests));
}
