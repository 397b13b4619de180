#include "worker/exchange/pace.h"

#include "tests/unit/exchange/fake.h"

#define S 1000000000ull

/* Sat, 21 Nov 2026 16:00:00 GMT */
static const int64_t wall = 1795276800000;
static struct pace_said said;

static bool
hears(int status, const char *lines)
{
	struct str rest = str_of(lines), line, name;
	struct msg m = { .status = (uint16_t)status };
	bool any;

	fake_begin();
	while (str_split(&rest, '\n', &line)) {
		str_split(&line, ':', &name);
		headers_add(&m.headers, &x->arena, name, str_trim(line));
	}
	any = pace_read(&m, wall, &said);
	fake_end();
	return any;
}

static void
window(const char *lines, uint64_t left, uint64_t reset, uint64_t quota, uint64_t span)
{
	ck_assert_msg(hears(200, lines), "%s", lines);
	ck_assert(said.window);
	ck_assert_uint_eq(said.left, left);
	ck_assert_uint_eq(said.reset, reset * S);
	ck_assert_uint_eq(said.quota, quota);
	ck_assert_uint_eq(said.span, span * S);
}

START_TEST(retry_after)
{
	ck_assert(hears(429, "Retry-After: 7"));
	ck_assert_uint_eq(said.blocked, 7 * S);
	ck_assert(hears(503, "retry-after:  120 "));
	ck_assert_uint_eq(said.blocked, 120 * S);
	ck_assert(hears(503, "Retry-After: Sat, 21 Nov 2026 16:00:09 GMT"));
	ck_assert_uint_eq(said.blocked, 9 * S);
	ck_assert(!hears(503, "Retry-After: Sat, 21 Nov 2026 15:59:09 GMT"));
	ck_assert(!hears(200, "Retry-After: 7"));
	ck_assert(!hears(301, "Retry-After: 7"));
	ck_assert(hears(429, "Retry-After: 99999999"));
	ck_assert_uint_eq(said.blocked, 3600 * S);
	ck_assert(!hears(429, "Retry-After: soon"));
	ck_assert(!hears(429, "Retry-After: -1"));
	ck_assert(!hears(429, "Retry-After:"));
	ck_assert(!hears(429, "Retry-After: 99999999999999999999999999999999999999999"));
}
END_TEST

START_TEST(the_draft)
{
	window("RateLimit: \"default\";r=50;t=30", 50, 30, 0, 0);
	window("RateLimit: \"default\"; r=50; t=30\n"
	       "RateLimit-Policy: \"default\"; q=100; w=60", 50, 30, 100, 60);
	window("RateLimit: \"day\";r=900;t=80000, \"burst\";r=3;t=5\n"
	       "RateLimit-Policy: \"burst\";q=10;w=10,\"day\";q=1000;w=86400", 3, 5, 10, 10);
	window("RateLimit: \"a\";r=0;t=5\nRateLimit: \"b\";r=0;t=50", 0, 50, 0, 0);
}
END_TEST

START_TEST(older_drafts)
{
	window("RateLimit: limit=100, remaining=50, reset=5", 50, 5, 100, 0);
	window("RateLimit-Limit: 100, 100;w=60\nRateLimit-Remaining: 4\n"
	       "RateLimit-Reset: 5", 4, 5, 100, 0);
}
END_TEST

START_TEST(the_customary_ones)
{
	window("X-RateLimit-Remaining: 4\nX-RateLimit-Reset: 5", 4, 5, 0, 0);
	window("X-RateLimit-Limit: 60\nX-RateLimit-Remaining: 0\n"
	       "X-RateLimit-Reset: 1795276830", 0, 30, 60, 0);
	window("x-ratelimit-remaining: 1\nx-ratelimit-reset: 1795276801500", 1, 2, 0, 0);
	window("X-RateLimit-Remaining: 1\nX-RateLimit-Reset: 0", 1, 1, 0, 0);
	window("X-RateLimit-Remaining: 1\nX-RateLimit-Reset: 1795276700", 1, 1, 0, 0);
	window("X-RateLimit-Remaining: 1\nX-RateLimit-Reset: 99999999", 1, 31 * 86400, 0, 0);
}
END_TEST

START_TEST(nonsense_says_nothing)
{
	static const char *const all[] = {
		"RateLimit:", "RateLimit: ;", "RateLimit: =", "RateLimit: ,,;;==",
		"RateLimit: \"a\";r=1", "RateLimit: \"a\";t=1", "RateLimit: \"a\";r=x;t=1",
		"RateLimit: \"a\";r=-1;t=1", "RateLimit: r=99999999999999999999, t=1",
		"RateLimit-Policy: \"a\";q=1;w=1", "RateLimit-Remaining: 1",
		"X-RateLimit-Reset: 1", "X-RateLimit-Remaining: \nX-RateLimit-Reset: 1",
		"X-RateLimit-Remaining: 1.5\nX-RateLimit-Reset: 1", "Server: x",
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		ck_assert_msg(!hears(429, all[i]), "%s", all[i]);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		retry_after, the_draft, older_drafts, the_customary_ones,
		nonsense_says_nothing,
	};

	return unit_run("exchange/pace", tests, sizeof tests / sizeof *tests);
}
