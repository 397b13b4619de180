#include "base/map.h"

#include <stdio.h>

#include "tests/unit/unit.h"

START_TEST(an_empty_map_has_nothing)
{
	struct map m = { 0 };

	ck_assert_ptr_null(map_get(&m, STR("a")));
}
END_TEST

START_TEST(what_is_put_is_found)
{
	struct arena a;
	struct map m = { 0 };
	enum { N = 5000 };
	static int values[N];

	arena_init(&a, NULL, 0, 1 << 24);
	for (int i = 0; i < N; i++)
		ck_assert_ptr_null(
			map_put(&m, &a, arena_printf(&a, "name-%d", i), &values[i]));
	ck_assert_uint_eq(m.count, N);
	for (int i = 0; i < N; i++)
		ck_assert_ptr_eq(map_get(&m, arena_printf(&a, "name-%d", i)), &values[i]);
	ck_assert_ptr_null(map_get(&m, STR("name-5000")));
	ck_assert_ptr_null(map_get(&m, STR("")));
	arena_reset(&a);
}
END_TEST

START_TEST(putting_again_replaces)
{
	struct arena a;
	struct map m = { 0 };
	int one, two;

	arena_init(&a, NULL, 0, 1 << 20);
	map_put(&m, &a, STR(""), &one);
	ck_assert_ptr_eq(map_put(&m, &a, STR(""), &two), &one);
	ck_assert_ptr_eq(map_get(&m, STR("")), &two);
	ck_assert_uint_eq(m.count, 1);
	arena_reset(&a);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		an_empty_map_has_nothing, what_is_put_is_found, putting_again_replaces,
	};

	return unit_run("base/map", tests, sizeof(tests) / sizeof(*tests));
}
