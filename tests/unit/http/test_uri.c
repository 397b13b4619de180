#include "tests/unit/unit.h"

#include "worker/http/uri.h"

static struct arena arena;
static char home[64 * 1024];

static enum fault
normal(const char *path, struct uri_rules rules, struct str *out)
{
	arena_init(&arena, home, sizeof home, 0);
	return uri_normalise(str_of(path), rules, &arena, out);
}

static void
is(const char *path, const char *wanted)
{
	struct uri_rules rules = { .merge_slashes = true,
				   .encoded_slash = URI_SLASH_KEEP };
	struct str out;

	ck_assert_msg(normal(path, rules, &out) == FAULT_NONE, "refused: %s", path);
	unit_str_eq(out, wanted);
}

static void
refused(const char *path, enum fault fault)
{
	struct uri_rules rules = { .merge_slashes = true,
				   .encoded_slash = URI_SLASH_KEEP };
	struct str out;

	ck_assert_msg(normal(path, rules, &out) == fault, "not refused: %s", path);
}

START_TEST(plain_paths_are_not_copied)
{
	struct uri_rules rules = { .merge_slashes = true };
	struct str out, path = STR("/v1/orders/7.json");

	arena_init(&arena, home, sizeof home, 0);
	ck_assert_int_eq(uri_normalise(path, rules, &arena, &out), FAULT_NONE);
	ck_assert_ptr_eq(out.at, path.at);
	ck_assert_uint_eq(out.len, path.len);
}
END_TEST

START_TEST(escapes)
{
	is("/%61%2d%2E%5f%7e", "/a-._~");
	is("/%3a%2B%c3%a9", "/%3A%2B%C3%A9");
	is("/%2561", "/%2561");
	is("/a%20b", "/a%20b");
	is("/%2a/%7bid%7d", "/%2A/%7Bid%7D");
	refused("/%", FAULT_BAD_TARGET);
	refused("/%4", FAULT_BAD_TARGET);
	refused("/%4g", FAULT_BAD_TARGET);
	refused("/%%41", FAULT_BAD_TARGET);
	refused("/a%00", FAULT_BAD_TARGET);
}
END_TEST

START_TEST(dot_segments)
{
	is("/a/./b", "/a/b");
	is("/a/../b", "/b");
	is("/a/b/../../c", "/c");
	is("/a/.", "/a/");
	is("/a/..", "/");
	is("/a/b/..", "/a/");
	is("/.", "/");
	is("/./", "/");
	is("/./.", "/");
	is("/.well-known/x", "/.well-known/x");
	is("/..a/.b./...", "/..a/.b./...");
	is("/a/%2e%2E/b", "/b");
	is("/a/.%2e/b", "/b");
	is("/a/%2e", "/a/");
	refused("/..", FAULT_BAD_TARGET);
	refused("/../a", FAULT_BAD_TARGET);
	refused("/a/../..", FAULT_BAD_TARGET);
	refused("/%2e%2e/etc/passwd", FAULT_BAD_TARGET);
	refused("/./..", FAULT_BAD_TARGET);
}
END_TEST

START_TEST(slashes)
{
	struct uri_rules keep = { .merge_slashes = false };
	struct str out;

	is("//", "/");
	is("//a///b//", "/a/b/");
	is("/a//../b", "/b");
	is("/a/.//b", "/a/b");
	ck_assert_int_eq(normal("/a//b", keep, &out), FAULT_NONE);
	unit_str_eq(out, "/a//b");
	ck_assert_int_eq(normal("/a//../b", keep, &out), FAULT_NONE);
	unit_str_eq(out, "/a/b");
	ck_assert_int_eq(normal("//..", keep, &out), FAULT_NONE);
	unit_str_eq(out, "/");
	ck_assert_int_eq(normal("//../..", keep, &out), FAULT_BAD_TARGET);
	ck_assert_int_eq(normal("//.//", keep, &out), FAULT_NONE);
	unit_str_eq(out, "///");
}
END_TEST

START_TEST(encoded_slash)
{
	struct uri_rules rules = { .merge_slashes = true,
				   .encoded_slash = URI_SLASH_REJECT };
	struct str out;

	is("/a%2fb", "/a%2Fb");
	is("/a/..%2fb", "/a/..%2Fb");
	ck_assert_int_eq(normal("/a%2Fb", rules, &out), FAULT_ENCODED_SLASH);
	rules.encoded_slash = URI_SLASH_DECODE;
	ck_assert_int_eq(normal("/a%2Fb%2f/c", rules, &out), FAULT_NONE);
	unit_str_eq(out, "/a/b/c");
	ck_assert_int_eq(normal("/a/..%2fb", rules, &out), FAULT_NONE);
	unit_str_eq(out, "/b");
	ck_assert_int_eq(normal("/..%2fb", rules, &out), FAULT_BAD_TARGET);
}
END_TEST

START_TEST(not_a_path)
{
	refused("", FAULT_BAD_TARGET);
	refused("*", FAULT_BAD_TARGET);
	refused("a/b", FAULT_BAD_TARGET);
}
END_TEST

/* What went through once is not changed by going through again. */
START_TEST(settles)
{
	static const char alphabet[] = "/.a%2eEfF5~";
	struct uri_rules rules = { .merge_slashes = true };
	unsigned seed = 1;

	for (int i = 0; i < 200000; i++) {
		char path[16] = "/";
		size_t n = 1;
		struct str once, twice;

		for (; n < sizeof path - 1; n++) {
			seed = seed * 1103515245 + 12345;
			path[n] = alphabet[(seed >> 16) % (sizeof alphabet - 1)];
		}
		rules.merge_slashes = seed >> 30 & 1;
		rules.encoded_slash = (uint8_t)((seed >> 28) % 3);
		arena_init(&arena, home, sizeof home, 0);
		if (uri_normalise((struct str){ path, n }, rules, &arena, &once))
			continue;
		ck_assert(once.len && *once.at == '/');
		ck_assert_int_eq(uri_normalise(once, rules, &arena, &twice), FAULT_NONE);
		ck_assert_msg(str_eq(once, twice), "%s: %.*s: %.*s", path, STR_ARG(once),
			      STR_ARG(twice));
	}
}
END_TEST

/* Wherever it stands, whatever the length. */
START_TEST(every_place)
{
	static const char *const odd[] = { "/./", "//", "/../", "%41", "/." };
	struct uri_rules rules = { .merge_slashes = true };

	for (size_t n = 1; n < 40; n++)
		for (size_t i = 2; i <= n; i++)
			for (size_t k = 0; k < sizeof odd / sizeof *odd; k++) {
				char path[64] = "/";
				struct str out;

				memset(path + 1, 'a', n);
				memcpy(path + i, odd[k], strlen(odd[k]));
				if (k == 4)
					path[i + 2] = 0;
				ck_assert_int_eq(normal(path, rules, &out), FAULT_NONE);
				ck_assert_msg(
					!memmem(out.at, out.len, odd[k], strlen(odd[k])),
					"%s: %.*s", path, STR_ARG(out));
			}
}
END_TEST

static void
authority(const char *text, const char *host, const char *port)
{
	struct str h, p;

	ck_assert_msg(uri_authority(str_of(text), &h, &p), "refused: %s", text);
	unit_str_eq(h, host);
	unit_str_eq(p, port);
}

START_TEST(authorities)
{
	static const char *const bad[] = { "", ":80", "a:b", "a:65536", "a:1:2", "u@a", "a b", "a/b", "[::1",
					   "[]", "[1.2.3.4]", "[::1]x", "[::g]", "::1", "a%41", "[::1]:x", "a\\b" };
	struct str h, p;

	authority("a.example.com", "a.example.com", "");
	authority("a.example.com:8443", "a.example.com", "8443");
	authority("a:", "a", "");
	authority("10.0.0.1:80", "10.0.0.1", "80");
	authority("[::1]", "[::1]", "");
	authority("[2001:db8::1]:443", "[2001:db8::1]", "443");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(!uri_authority(str_of(bad[i]), &h, &p), "accepted: %s",
			      bad[i]);
}
END_TEST

START_TEST(queries)
{
	struct str q = STR("a=1&b=x%20y+z&b=2&c&%64=4&e=%zz&f=&=5"), v;

	arena_init(&arena, home, sizeof home, 0);
	ck_assert(uri_query(q, STR("a"), &arena, &v));
	unit_str_eq(v, "1");
	ck_assert(uri_query(q, STR("b"), &arena, &v));
	unit_str_eq(v, "x y z");
	ck_assert(uri_query(q, STR("c"), &arena, &v));
	unit_str_eq(v, "");
	ck_assert(uri_query(q, STR("d"), &arena, &v));
	unit_str_eq(v, "4");
	ck_assert(uri_query(q, STR("e"), &arena, &v));
	unit_str_eq(v, "%zz");
	ck_assert(uri_query(q, STR("f"), &arena, &v));
	unit_str_eq(v, "");
	ck_assert(!uri_query(q, STR("g"), &arena, &v));
	ck_assert(!uri_query(q, STR("aa"), &arena, &v));
	ck_assert(!uri_query(STR_NONE, STR("a"), &arena, &v));
}
END_TEST

int
main(void)
{
	static const TTest *tests[12];
	size_t n = 0;

	tests[n++] = plain_paths_are_not_copied;
	tests[n++] = escapes;
	tests[n++] = dot_segments;
	tests[n++] = slashes;
	tests[n++] = encoded_slash;
	tests[n++] = not_a_path;
	tests[n++] = settles;
	tests[n++] = every_place;
	tests[n++] = authorities;
	tests[n++] = queries;
	return unit_run("uri", tests, n);
}
