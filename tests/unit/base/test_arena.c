#include "base/arena.h"

#include <signal.h>
#include <setjmp.h>

#include "tests/unit/unit.h"

static int undone;

static void
undo(void *arg)
{
	undone = undone * 10 + *(int *)arg;
}

START_TEST(home_is_used_before_the_heap)
{
	char home[256] __attribute__((aligned(16)));
	struct arena a;

	arena_init(&a, home, sizeof(home), 1 << 20);

	char *p = arena_alloc(&a, 100);

	ck_assert(p >= home && p < home + sizeof(home));
	p = arena_alloc(&a, 1000);
	ck_assert(p < home || p >= home + sizeof(home));
	ck_assert_uint_gt(a.used, 0);
	arena_reset(&a);
	ck_assert_uint_eq(a.used, 0);
	ck_assert_ptr_eq(arena_alloc(&a, 1), home);
	arena_reset(&a);
}
END_TEST

START_TEST(pieces_are_aligned_and_apart)
{
	struct arena a;
	char *before = NULL;

	arena_init(&a, NULL, 0, 1 << 22);
	for (size_t i = 1; i < 2000; i++) {
		size_t align = (size_t)1 << i % 7;
		char *p = arena_alloc_aligned(&a, i, align);

		ck_assert_uint_eq((uintptr_t)p % align, 0);
		memset(p, (int)i, i);
		if (before)
			ck_assert_int_eq((unsigned char)*before, (unsigned char)(i - 1));
		before = p;
	}
	ck_assert_ptr_nonnull(ARENA_NEWS(&a, int, 0));
	arena_reset(&a);
}
END_TEST

START_TEST(destructors_run_newest_first)
{
	static int one = 1, two = 2, three = 3;
	struct arena a;

	arena_init(&a, NULL, 0, 1 << 20);
	arena_defer(&a, undo, &one);
	arena_defer(&a, undo, &two);
	arena_defer(&a, undo, &three);
	arena_reset(&a);
	ck_assert_int_eq(undone, 321);
	arena_reset(&a);
	ck_assert_int_eq(undone, 321);
}
END_TEST

static sigjmp_buf back;
static size_t wanted_then;

static void
full(struct arena *a, size_t wanted)
{
	(void)a;
	wanted_then = wanted;
	siglongjmp(back, 1);
}

START_TEST(above_the_maximum_full_is_called)
{
	char home[64];
	struct arena a;

	arena_init(&a, home, sizeof(home), 0);
	a.full = full;
	if (sigsetjmp(back, 0) == 0) {
		arena_alloc(&a, 32);
		arena_alloc(&a, 4000);
		ck_abort_msg("a fixed arena grew");
	}
	ck_assert_uint_eq(wanted_then, 4000);
	ck_assert_uint_eq(a.used, 0);
}
END_TEST

static void
full_that_returns(struct arena *a, size_t wanted)
{
	(void)a;
	(void)wanted;
}

START_TEST(a_full_arena_never_returns)
{
	struct arena a;

	arena_init(&a, NULL, 0, 8192);
	a.full = full_that_returns;
	arena_alloc(&a, 9000);
}
END_TEST

START_TEST(text_is_copied_and_printed)
{
	struct arena a;

	arena_init(&a, NULL, 0, 1 << 20);

	struct str s = arena_str(&a, STR_NONE);

	ck_assert_uint_eq(s.len, 0);
	ck_assert_str_eq(s.at, "");
	s = arena_str(&a, str_first(STR("orders"), 5));
	ck_assert_str_eq(s.at, "order");
	s = arena_printf(&a, "%s-%d", "a", 42);
	ck_assert_str_eq(s.at, "a-42");
	ck_assert_uint_eq(s.len, 4);
	arena_reset(&a);
}
END_TEST

START_TEST(arrays_grow_by_one)
{
	struct arena a;
	int *v = NULL;

	arena_init(&a, NULL, 0, 1 << 20);
	for (size_t i = 0; i < 1000; i++) {
		v = arena_push(&a, v, i, sizeof(*v));
		ck_assert_int_eq(v[i], 0);
		v[i] = (int)i;
	}
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(v[i], i);
	ck_assert_uint_lt(a.used, 32 * 1024);
	arena_reset(&a);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		home_is_used_before_the_heap, pieces_are_aligned_and_apart,
		destructors_run_newest_first, above_the_maximum_full_is_called,
		text_is_copied_and_printed, arrays_grow_by_one,
	};
	Suite *suite = suite_create("base/arena");
	TCase *tcase = tcase_create("arena");

	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++)
		tcase_add_test(tcase, tests[i]);
	tcase_add_test_raise_signal(tcase, a_full_arena_never_returns, SIGABRT);
	suite_add_tcase(suite, tcase);

	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
