#include "base/regex.h"

#include <sys/mman.h>

#include "tests/unit/unit.h"

static struct arena arena;

static struct regex *
compiled(const char *pattern, bool caseless)
{
	struct str error = STR_NONE;
	size_t offset;
	struct regex *r =
		regex_compile(&arena, str_of(pattern), caseless, &error, &offset);

	ck_assert_msg(r, "%s: %.*s", pattern, STR_ARG(error));
	return r;
}

START_TEST(groups_and_names_are_told)
{
	arena_init(&arena, NULL, 0, 1 << 20);

	struct regex *r = compiled("^/v(\\d+)/(?<name>[a-z]+)(/x)?$", false);
	struct regex_match m;

	ck_assert_uint_eq(r->groups, 3);
	unit_str_eq(r->names[0], "");
	unit_str_eq(r->names[1], "name");
	ck_assert(regex_match(r, NULL, STR("/v12/orders"), &m));
	unit_str_eq(m.group[0], "/v12/orders");
	unit_str_eq(m.group[1], "12");
	unit_str_eq(m.group[2], "orders");
	ck_assert_ptr_null(m.group[3].at);
	ck_assert_ptr_null(m.group[31].at);
	ck_assert(!regex_match(r, NULL, STR("/v12/orders\n"), NULL));
	ck_assert(!regex_match(r, NULL, STR("/v/orders"), NULL));
	arena_reset(&arena);
}
END_TEST

START_TEST(case_can_be_ignored)
{
	arena_init(&arena, NULL, 0, 1 << 20);
	ck_assert(regex_match(compiled("^abc$", true), NULL, STR("aBC"), NULL));
	ck_assert(!regex_match(compiled("^abc$", false), NULL, STR("aBC"), NULL));
	ck_assert(regex_match(compiled("^$", false), NULL, STR_NONE, NULL));
	arena_reset(&arena);
}
END_TEST

static const struct {
	const char *pattern;
	size_t offset;
	const char *says;
} bad[] = {
	{ "a(b", 3, "missing closing parenthesis" },
	{ "[a", 2, "missing terminating ]" },
	{ "a**+*", 2, "quantifier does not follow" },
	{ "(*UTF)a", 6, "using UTF is disabled" },
};

START_TEST(bad_patterns_say_what_and_where)
{
	arena_init(&arena, NULL, 0, 1 << 20);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct str error = STR_NONE;
		size_t offset = 99;

		ck_assert_ptr_null(regex_compile(&arena, str_of(bad[i].pattern), false,
						 &error, &offset));
		ck_assert_msg(strstr(error.at, bad[i].says) != NULL, "%s: %s",
			      bad[i].pattern, error.at);
		ck_assert_uint_eq(offset, bad[i].offset);
	}
	arena_reset(&arena);
}
END_TEST

START_TEST(too_many_groups_are_refused)
{
	char pattern[32 * 3 + 1] = "";
	struct str error;
	size_t offset;

	arena_init(&arena, NULL, 0, 1 << 20);
	for (int i = 0; i < 31; i++)
		memcpy(pattern + 3 * i, "(a)", 4);
	ck_assert_ptr_nonnull(
		regex_compile(&arena, str_of(pattern), false, &error, &offset));
	memcpy(pattern + 3 * 31, "(a)", 4);
	ck_assert_ptr_null(
		regex_compile(&arena, str_of(pattern), false, &error, &offset));
	ck_assert_str_eq(error.at, "32 capture groups; at most 31 are kept");
	arena_reset(&arena);
}
END_TEST

START_TEST(a_pattern_that_runs_away_is_a_mismatch)
{
	arena_init(&arena, NULL, 0, 1 << 20);

	struct regex *r = compiled("^(a+)+(b+)+$", false);
	const struct regex *all[] = { r };
	struct regex_jit *jit = regex_bind(all, 1);
	struct str subject = STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabc");

	ck_assert(!regex_match(r, NULL, subject, NULL));
	ck_assert(!regex_match(r, jit, subject, NULL));
	ck_assert(regex_match(r, jit, STR("aabb"), NULL));
	regex_unbind(jit);
	arena_reset(&arena);
}
END_TEST

/* An image is mapped read-only in workers, and whoever built it has gone. */
START_TEST(patterns_live_in_an_image)
{
	size_t size = 65536;
	char *image = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(image, MAP_FAILED);
	arena_init(&arena, image, size, 0);

	struct regex *a = compiled("^/a/(\\w+)$", false), *b = compiled("b(?<n>.)b", true);
	const struct regex *all[] = { a, b };

	a->id = 0;
	b->id = 1;
	ck_assert((char *)a->code >= image && (char *)a->code < image + size);
	ck_assert_int_eq(mprotect(image, size, PROT_READ), 0);
	memset(&arena, 0xaa, sizeof(arena));

	struct regex_jit *jit = regex_bind(all, 2);
	struct regex_match m;

	for (int i = 0; i < 2; i++) {
		ck_assert(regex_match(a, i ? jit : NULL, STR("/a/orders"), &m));
		unit_str_eq(m.group[1], "orders");
		ck_assert(regex_match(b, i ? jit : NULL, STR("xBxBx"), &m));
		unit_str_eq(m.group[1], "x");
	}
	regex_unbind(jit);
	munmap(image, size);
}
END_TEST

START_TEST(scratch_memory_does_not_stay_in_the_arena)
{
	char home[4096];

	arena_init(&arena, home, sizeof(home), 0);
	for (int i = 0; i < 5; i++)
		compiled("^/v[0-9]+/(?<tenant>[^/]+)/orders$", false);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		groups_and_names_are_told,
		case_can_be_ignored,
		bad_patterns_say_what_and_where,
		too_many_groups_are_refused,
		a_pattern_that_runs_away_is_a_mismatch,
		patterns_live_in_an_image,
		scratch_memory_does_not_stay_in_the_arena,
	};

	return unit_run("base/regex", tests, sizeof(tests) / sizeof(*tests));
}
