#include "worker/http/headers.h"

#include <stdio.h>

#include "tests/unit/unit.h"

static struct arena arena;

static struct headers
table(void)
{
	struct headers h = { 0 };

	arena_init(&arena, NULL, 0, 1 << 20);
	headers_add(&h, &arena, STR("Accept"), STR("a"));
	headers_add(&h, &arena, STR("X-One"), STR("1"));
	headers_add(&h, &arena, STR("ACCEPT"), STR("b"));
	headers_add(&h, &arena, STR("x-one"), STR("2"));
	return h;
}

START_TEST(lines_are_found_in_order)
{
	struct headers h = table();
	struct header *at;

	at = headers_get(&h, TOKEN_ACCEPT);
	unit_str_eq(at->value, "a");
	at = headers_next(&h, at);
	unit_str_eq(at->value, "b");
	ck_assert_ptr_null(headers_next(&h, at));
	at = headers_find(&h, STR("X-ONE"));
	unit_str_eq(at->value, "1");
	unit_str_eq(headers_next(&h, at)->value, "2");
	unit_str_eq(headers_find(&h, STR("accept"))->value, "a");
	ck_assert_ptr_null(headers_find(&h, STR("x-two")));
	ck_assert_ptr_null(headers_get(&h, TOKEN_HOST));
	arena_reset(&arena);
}
END_TEST

START_TEST(set_leaves_one_line)
{
	struct headers h = table();

	h.at[0].raw = h.at[0].hop = true;
	headers_set(&h, &arena, STR("accept"), STR("c"));
	headers_set(&h, &arena, STR("X-one"), STR("3"));
	headers_set_token(&h, &arena, TOKEN_VIA, STR("v"));
	ck_assert_int_eq(h.n, 5);
	unit_str_eq(headers_get(&h, TOKEN_ACCEPT)->value, "c");
	ck_assert(!h.at[0].raw && !h.at[0].hop);
	ck_assert_ptr_null(headers_next(&h, headers_get(&h, TOKEN_ACCEPT)));
	unit_str_eq(headers_find(&h, STR("x-one"))->value, "3");
	ck_assert_ptr_null(headers_next(&h, headers_find(&h, STR("x-one"))));
	unit_str_eq(headers_get(&h, TOKEN_VIA)->name, "via");
	arena_reset(&arena);
}
END_TEST

START_TEST(removed_lines_are_gone_and_may_come_back)
{
	struct headers h = table();

	ck_assert_int_eq(headers_remove(&h, STR("x-oNE")), 2);
	ck_assert_int_eq(headers_remove(&h, STR("x-one")), 0);
	ck_assert_int_eq(headers_remove(&h, STR("accept")), 2);
	ck_assert_int_eq(headers_remove(&h, STR("host")), 0);
	ck_assert_ptr_null(headers_get(&h, TOKEN_ACCEPT));
	ck_assert_ptr_null(headers_find(&h, STR("x-one")));
	headers_set(&h, &arena, STR("Accept"), STR("new"));
	unit_str_eq(headers_get(&h, TOKEN_ACCEPT)->value, "new");
	arena_reset(&arena);
}
END_TEST

START_TEST(tables_grow)
{
	struct headers h = { 0 };
	char name[8];

	arena_init(&arena, NULL, 0, 1 << 20);
	for (int i = 0; i < 200; i++) {
		struct str n = { name, (size_t)snprintf(name, sizeof(name), "h-%d", i) };

		headers_add(&h, &arena, arena_str(&arena, n), STR("v"));
	}
	ck_assert_int_eq(h.n, 200);
	unit_str_eq(h.at[0].name, "h-0");
	unit_str_eq(headers_find(&h, STR("H-199"))->name, "h-199");
	arena_reset(&arena);
}
END_TEST

START_TEST(connection_lines_are_never_end_to_end)
{
	struct headers h = table();

	ck_assert(headers_add(&h, &arena, STR("Connection"), STR("close"))->hop);
	headers_set_token(&h, &arena, TOKEN_CONNECTION, STR("x"));
	ck_assert(headers_get(&h, TOKEN_CONNECTION)->hop);
	arena_reset(&arena);
}
END_TEST

START_TEST(lists_are_split_by_commas)
{
	ck_assert(headers_list_has(STR("close"), STR("close")));
	ck_assert(headers_list_has(STR("a , CLOSE\t,b"), STR("close")));
	ck_assert(headers_list_has(STR(",,close,"), STR("Close")));
	ck_assert(!headers_list_has(STR("closed, xclose, clo se"), STR("close")));
	ck_assert(!headers_list_has(STR(""), STR("close")));
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		lines_are_found_in_order, set_leaves_one_line,
		removed_lines_are_gone_and_may_come_back, tables_grow,
		connection_lines_are_never_end_to_end, lists_are_split_by_commas,
	};

	return unit_run("headers", tests, sizeof(tests) / sizeof(*tests));
}
