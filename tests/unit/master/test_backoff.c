#include <check.h>
#include <stdlib.h>

#include "master/backoff.h"

START_TEST(one_death_is_mended_at_once)
{
	struct backoff b = { 0 };

	ck_assert_uint_eq(backoff_died(&b, 1000, 1010), 0);
	ck_assert_uint_eq(backoff_died(&b, 1010, 1020), 0);
	ck_assert(!backoff_loops(&b));
}
END_TEST

START_TEST(a_loop_waits_longer_each_time_but_never_more_than_5_s)
{
	struct backoff b = { 0 };
	const uint64_t want[] = { 0, 0, 50, 100, 200, 400, 800, 1600, 3200, 5000, 5000 };

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		ck_assert_uint_eq(backoff_died(&b, 1000, 1001), want[i]);
	for (int i = 0; i < 100; i++)
		ck_assert_uint_eq(backoff_died(&b, 1000, 1001), 5000);
	ck_assert(backoff_loops(&b));
}
END_TEST

START_TEST(who_lived_for_a_while_ends_the_loop)
{
	struct backoff b = { 0 };

	for (int i = 0; i < 10; i++)
		backoff_died(&b, 1000, 1001);
	ck_assert_uint_eq(backoff_died(&b, 1000, 1000 + BACKOFF_YOUNG), 0);
	ck_assert(!backoff_loops(&b));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("master/backoff");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(t, one_death_is_mended_at_once);
	tcase_add_test(t, a_loop_waits_longer_each_time_but_never_more_than_5_s);
	tcase_add_test(t, who_lived_for_a_while_ends_the_loop);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
