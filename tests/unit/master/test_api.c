/* The admin plane's own little parsers, and the text of the metrics. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "master/keeper/api_range.h"
#include "master/keeper/expose_text.h"

static struct arena arena;

static bool
match(const char *pattern, const char *path, struct str param[2])
{
	static bool begun;

	if (!begun)
		arena_init(&arena, NULL, 0, 1 << 20);
	begun = true;
	return api_match(pattern, str_of(path), &arena, param);
}

START_TEST(paths)
{
	struct str p[2] = { STR_NONE, STR_NONE };

	ck_assert(match("/v1", "/v1", p));
	ck_assert(!match("/v1", "/v1/", p));
	ck_assert(!match("/v1", "/v", p));
	ck_assert(!match("/v1", "v1", p));
	ck_assert(!match("/v1", "", p));
	ck_assert(!match("/v1/consumers/{name}", "/v1/consumers", p));
	ck_assert(!match("/v1/consumers/{name}", "/v1/consumers/", p));
	ck_assert(!match("/v1/consumers/{name}", "/v1/consumers/a/b", p));
	ck_assert(match("/v1/consumers/{name}", "/v1/consumers/a%40b%2Fc", p));
	unit_str_eq(p[0], "a@b/c");
	ck_assert(
		match("/v1/consumers/{name}/keys/{id}", "/v1/consumers/acme/keys/0f", p));
	unit_str_eq(p[0], "acme");
	unit_str_eq(p[1], "0f");
	ck_assert(!match("/v1/consumers/{name}", "/v1/consumers/a%4", p));
	ck_assert(!match("/v1/consumers/{name}", "/v1/consumers/a%zz", p));
	ck_assert(!match("/v1/consumers/{name}", "/v1/consumers/a%00", p));
	arena_reset(&arena);
}
END_TEST

START_TEST(every_row_finds_itself)
{
	for (const struct api *row = api; row->method; row++) {
		struct api_request r = { .arena = &arena, .path = str_of(row->path) };
		struct api_answer a = { 0 };

		arena_init(&arena, NULL, 0, 1 << 20);
		ck_assert_ptr_eq(api_find(str_of(row->method), &r, &a), row);
		ck_assert_ptr_null(api_find(STR("TRACE"), &r, &a));
		ck_assert_int_eq(a.status, 405);
		ck_assert(a.allow.len > 0);
		/* Whatever changes something is not asked for by GET. */
		ck_assert_int_eq(row->writes, !str_eq(str_of(row->method), STR("GET")));
		arena_reset(&arena);
	}
}
END_TEST

START_TEST(times)
{
	const int64_t now = 1800000000;
	int64_t s;

	ck_assert(api_time(STR("1970-01-01"), now, &s) && s == 0);
	ck_assert(api_time(STR("2026-11"), now, &s) && s == 1793491200);
	ck_assert(api_time(STR("2026-11-21"), now, &s) && s == 1795219200);
	ck_assert(api_time(STR("2026-11-21T11:10"), now, &s) && s == 1795259400);
	ck_assert(api_time(STR("2026-11-21T11:10:03Z"), now, &s) && s == 1795259403);
	ck_assert(api_time(STR("1795259403"), now, &s) && s == 1795259403);
	ck_assert(api_time(STR("7d"), now, &s) && s == now - 7 * 86400);
	ck_assert(api_time(STR("90m"), now, &s) && s == now - 5400);
	ck_assert(api_time(STR("2024-02-29"), now, &s));
	ck_assert(!api_time(STR("2026-02-29"), now, &s));
	ck_assert(!api_time(STR("2026-13-01"), now, &s));
	ck_assert(!api_time(STR("2026-11-21T25:00Z"), now, &s));
	ck_assert(!api_time(STR("2026-11-21T11:10:03+01:00"), now, &s));
	ck_assert(!api_time(STR("2026-11-21x"), now, &s));
	ck_assert(!api_time(STR(""), now, &s));
	ck_assert(!api_time(STR("-5"), now, &s));
	ck_assert(!api_time(STR("99999d"), now, &s));
}
END_TEST

START_TEST(months)
{
	struct api_range g = { .months = true };

	ck_assert_int_eq(api_range_begin(&g, 1795219200), 1793491200);
	ck_assert_int_eq(api_range_begin(&g, 1793491200), 1793491200);
	g.months = false;
	ck_assert_int_eq(api_range_begin(&g, 1795219200), 1795219200);
}
END_TEST

static void
csv_is(const char *text, const char *wanted)
{
	char buf[64] = "";
	FILE *out = fmemopen(buf, sizeof(buf), "w");

	api_csv(out, str_of(text));
	fclose(out);
	ck_assert_str_eq(buf, wanted);
}

START_TEST(csv)
{
	csv_is("plain", "plain");
	csv_is("", "");
	csv_is("a,b", "\"a,b\"");
	csv_is("say \"hi\"", "\"say \"\"hi\"\"\"");
	csv_is("two\nlines", "\"two\nlines\"");
	csv_is("=1+1", "\"'=1+1\"");
}
END_TEST

START_TEST(seconds)
{
	static const struct {
		uint64_t us;
		const char *text;
	} all[] = { { 0, "0" },         { 1, "0.000001" }, { 256, "0.000256" },
		    { 500000, "0.5" },  { 1000000, "1" },  { 1048576, "1.048576" },
		    { 60000000, "60" }, { 1200000, "1.2" } };
	char buf[32];

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		*text_put_us(buf, all[i].us) = 0;
		ck_assert_str_eq(buf, all[i].text);
	}
}
END_TEST

START_TEST(labels)
{
	struct text t = { .at = NULL };

	text_family(&t, "x_total", "counter", "what it is");
	text_begin(&t, "");
	text_label(&t, "a", STR("say \"hi\"\\\n"));
	text_label(&t, "b", STR(""));
	text_u64(&t, 7);
	text_begin(&t, "");
	text_u64(&t, 8);
	unit_str_eq((struct str){ t.at, t.len },
		    "# HELP postern_x_total what it is\n# TYPE postern_x_total counter\n"
		    "postern_x_total{a=\"say \\\"hi\\\"\\\\\\n\",b=\"\"} "
		    "7\npostern_x_total 8\n");
	ck_assert_uint_eq(t.lines, 2);
	free(t.at);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		paths, every_row_finds_itself, times, months, csv, seconds, labels
	};

	return unit_run("api", tests, sizeof(tests) / sizeof(*tests));
}
