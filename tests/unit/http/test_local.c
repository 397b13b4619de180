#include "worker/http/local.h"

#include "worker/http/h1_write.h"
#include "tests/unit/unit.h"

static struct arena arena;

static bool
html(const char *accept)
{
	struct local_answer a;

	arena_init(&arena, NULL, 0, 1 << 20);
	a = local_problem(&arena, FAULT_NO_ROUTE, 404, STR_NONE, STR("/"), STR_NONE,
			  str_of(accept));

	bool is = str_starts(a.type, STR("text/html"));

	ck_assert(is == str_starts(a.body, STR("<!DOCTYPE html>")));
	arena_reset(&arena);
	return is;
}

START_TEST(html_only_for_who_prefers_it)
{
	ck_assert(html("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
	ck_assert(html("text/html"));
	ck_assert(html("TEXT/HTML;level=1;Q=0.5, application/json;q=0.4"));
	ck_assert(html("text/*, */*;q=0.9"));
	ck_assert(html("a/b;x=\"q=1, application/json\", text/html;q=0.001"));
	ck_assert(!html(NULL));
	ck_assert(!html(""));
	ck_assert(!html("*/*"));
	ck_assert(!html("application/json"));
	ck_assert(!html("text/html;q=0"));
	ck_assert(!html("text/html, */*"));
	ck_assert(!html("text/html;q=0.5, application/json;q=0.6"));
	ck_assert(!html("text/html;q=0.5, application/problem+json"));
	ck_assert(!html("text/html;q=0.5, application/*;q=0.9"));
	ck_assert(!html("text/html;q=1.5"));
	ck_assert(!html("text/html;q=0.1234"));
	ck_assert(!html("text/htmlx"));
}
END_TEST

START_TEST(problems_are_json)
{
	struct local_answer a;

	arena_init(&arena, NULL, 0, 1 << 20);
	a = local_problem(&arena, FAULT_NO_ROUTE, 404, STR_NONE, STR("/a\"b\\\x01<\xff"), STR("id-1"),
			  STR_NONE);
	unit_str_eq(a.type, "application/problem+json");
	unit_str_eq(a.body, "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,"
		    "\"detail\":\"no route takes this request\","
		    "\"instance\":\"/a\\\"b\\\\\\u0001<\xef\xbf\xbd\",\"reason\":\"no_route\","
		    "\"request_id\":\"id-1\"}\n");
	a = local_problem(&arena, FAULT_DENIED, 403, STR("not you"), STR_NONE, STR_NONE, STR("*/*"));
	unit_str_eq(a.body, "{\"type\":\"about:blank\",\"title\":\"Forbidden\",\"status\":403,"
		    "\"detail\":\"not you\",\"reason\":\"denied\"}\n");
	arena_reset(&arena);
}
END_TEST

START_TEST(html_is_escaped)
{
	struct local_answer a;

	arena_init(&arena, NULL, 0, 1 << 20);
	a = local_problem(&arena, FAULT_NO_ROUTE, 404, STR("<b>&\"'"), STR("/<script>\xff\n"),
			  STR("<i>"), STR("text/html"));
	ck_assert(memmem(a.body.at, a.body.len, "<p>&lt;b&gt;&amp;&quot;&#39;</p>", 32));
	ck_assert(memmem(a.body.at, a.body.len, "/&lt;script&gt;??", 17));
	ck_assert(!memmem(a.body.at, a.body.len, "<script", 7));
	ck_assert(!memmem(a.body.at, a.body.len, "<i>", 3));
	arena_reset(&arena);
}
END_TEST

START_TEST(long_paths_are_cut)
{
	static char path[10000];
	struct local_answer a;

	arena_init(&arena, NULL, 0, 1 << 20);
	memset(path, '\x01', sizeof(path));
	a = local_problem(&arena, FAULT_NO_ROUTE, 404, STR_NONE,
			  (struct str){ path, sizeof(path) }, STR_NONE, STR_NONE);
	ck_assert_uint_lt(a.body.len, 4096);
	ck_assert(str_ends(a.body, STR("}\n")));
	arena_reset(&arena);
}
END_TEST

START_TEST(every_fault_has_its_words)
{
	for (int f = FAULT_NONE + 1; f < FAULT_COUNT; f++) {
		ck_assert(fault_info[f].reason.len && fault_info[f].text.len &&
			  fault_info[f].token.len);
		if (fault_info[f].status)
			ck_assert_msg(h1_reason(fault_info[f].status).len, "%d",
				      fault_info[f].status);
	}
	ck_assert_int_eq(fault_info[FAULT_BAD_VERSION].status, 505);
	ck_assert_int_eq(fault_info[FAULT_UPSTREAM_CLOSED].retry, FAULT_RETRY_SAFE);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		html_only_for_who_prefers_it,
		problems_are_json,
		html_is_escaped,
		long_paths_are_cut,
		every_fault_has_its_words,
	};

	return unit_run("local", tests, sizeof(tests) / sizeof(*tests));
}
