/* Quotas: what a window admits, what the next one does, what is found again. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shm/quotas.h"

enum { HOUR = 60, TEN = 30000600, ELEVEN = TEN + HOUR };

static char path[64];
static struct region *region;
static struct quotas *quotas;

static void
setup(void)
{
	snprintf(path, sizeof(path), "/tmp/postern-quotas-%d", (int)getpid());
	region = region_open(path, REGION_SIZE);
	ck_assert_ptr_nonnull(region);
	quotas = quotas_open(region);
	ck_assert_ptr_nonnull(quotas);
	ck_assert_int_eq(quotas_reserve(region, quotas), 0);
}

static void
teardown(void)
{
	region_close(region);
	unlink(path);
}

START_TEST(a_window_and_the_next)
{
	struct siphash key = quotas_key(quotas, 1, STR("acme"));
	struct quota_answer a;

	for (uint64_t i = 1; i <= 3; i++) {
		a = quotas_take(quotas, key, TEN, TEN - 1, 3, 1);
		ck_assert_int_eq(a.verdict, QUOTA_ADMITTED);
		ck_assert_uint_eq(a.used, i);
	}
	a = quotas_take(quotas, key, TEN, TEN - 1, 3, 1);
	ck_assert_int_eq(a.verdict, QUOTA_REFUSED);
	ck_assert_uint_eq(a.used, 3);
	a = quotas_take(quotas, key, ELEVEN, TEN, 3, 1);
	ck_assert_int_eq(a.verdict, QUOTA_ADMITTED);
	ck_assert_uint_eq(a.used, 1);
	/* Another key, another quota of the same key: counted apart. */
	key = quotas_key(quotas, 2, STR("acme"));
	ck_assert_uint_eq(quotas_take(quotas, key, TEN, TEN - 1, 3, 1).used, 1);
	key = quotas_key(quotas, 1, STR("bcme"));
	ck_assert_uint_eq(quotas_take(quotas, key, TEN, TEN - 1, 3, 1).used, 1);
}
END_TEST

START_TEST(all_or_nothing)
{
	struct siphash key = { 5, 6 };
	struct quota_answer a = quotas_take(quotas, key, TEN, TEN - 1, 100, 70);

	ck_assert_uint_eq(a.used, 70);
	a = quotas_take(quotas, key, TEN, TEN - 1, 100, 31);
	ck_assert_int_eq(a.verdict, QUOTA_REFUSED);
	ck_assert_uint_eq(a.used, 70);
	a = quotas_take(quotas, key, TEN, TEN - 1, 100, 30);
	ck_assert_int_eq(a.verdict, QUOTA_ADMITTED);
	ck_assert_uint_eq(a.used, 100);
	/* A limit that is larger than what can be counted is as large as that. */
	a = quotas_take(quotas, key, TEN, TEN - 1, UINT64_MAX, QUOTA_MOST - 100);
	ck_assert_int_eq(a.verdict, QUOTA_ADMITTED);
	a = quotas_take(quotas, key, TEN, TEN - 1, UINT64_MAX, 1);
	ck_assert_int_eq(a.verdict, QUOTA_REFUSED);
	ck_assert_uint_eq(a.used, QUOTA_MOST);
}
END_TEST

START_TEST(only_looking)
{
	struct siphash key = { 7, 8 };
	struct quota_answer a = quotas_take(quotas, key, TEN, TEN - 1, 1, 0);

	ck_assert_int_eq(a.verdict, QUOTA_ADMITTED);
	ck_assert_uint_eq(a.used, 0);
	quotas_take(quotas, key, TEN, TEN - 1, 1, 1);
	a = quotas_take(quotas, key, TEN, TEN - 1, 1, 0);
	ck_assert_int_eq(a.verdict, QUOTA_REFUSED);
	ck_assert_uint_eq(a.used, 1);
	ck_assert_uint_eq(quotas_take(quotas, key, ELEVEN, TEN, 1, 0).used, 0);
}
END_TEST

START_TEST(reset_by_an_admin)
{
	struct siphash key = { 9, 10 };

	ck_assert_uint_eq(quotas_reset(quotas, key, TEN), 0);
	quotas_take(quotas, key, TEN, TEN - 1, 5, 5);
	ck_assert_uint_eq(quotas_reset(quotas, key, ELEVEN), 0);
	ck_assert_uint_eq(quotas_reset(quotas, key, TEN), 5);
	ck_assert_uint_eq(quotas_take(quotas, key, TEN, TEN - 1, 5, 5).used, 5);
}
END_TEST

START_TEST(a_set_that_is_full)
{
	for (uint64_t i = 1; i <= QUOTAS_A_SET; i++)
		quotas_take(quotas, (struct siphash){ i, 3 }, i == 2 ? TEN : ELEVEN,
			    TEN - 1, 99, i);
	ck_assert_int_eq(
		quotas_take(quotas, (struct siphash){ 99, 3 }, ELEVEN, TEN - 1, 9, 1)
			.verdict,
		QUOTA_FULL);
	/* Those that were there go on; the one whose window is over gives way. */
	ck_assert_uint_eq(
		quotas_take(quotas, (struct siphash){ 1, 3 }, ELEVEN, TEN, 9, 1).used, 2);
	ck_assert_int_eq(
		quotas_take(quotas, (struct siphash){ 99, 3 }, ELEVEN, TEN, 9, 1).verdict,
		QUOTA_ADMITTED);
	ck_assert_uint_eq(
		quotas_take(quotas, (struct siphash){ 3, 3 }, ELEVEN, TEN, 9, 0).used, 3);
	/* Who is late and still in that window does not get it a second time. */
	ck_assert_int_eq(
		quotas_take(quotas, (struct siphash){ 2, 3 }, TEN, TEN - 1, 9, 1).verdict,
		QUOTA_FULL);
}
END_TEST

/* A quarter of a million consumers within one window. */
START_TEST(there_is_room)
{
	unsigned full = 0, wrong = 0;

	for (int round = 1; round <= 2; round++)
		for (uint32_t i = 0; i < 250000; i++) {
			struct str name = { (const char *)&i, sizeof(i) };
			struct quota_answer a = quotas_take(
				quotas, quotas_key(quotas, 1, name), TEN, TEN - 1, 9, 1);

			full += a.verdict == QUOTA_FULL;
			wrong += a.verdict == QUOTA_ADMITTED && a.used != (uint64_t)round;
		}
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_le(full, 2);
}
END_TEST

START_TEST(a_clock_that_is_behind)
{
	struct siphash key = { 11, 12 };

	quotas_take(quotas, key, ELEVEN, TEN, 2, 1);
	ck_assert_uint_eq(quotas_take(quotas, key, TEN, TEN - 1, 2, 1).used, 2);
	ck_assert_int_eq(quotas_take(quotas, key, TEN, TEN - 1, 2, 1).verdict,
			 QUOTA_REFUSED);
}
END_TEST

/* What a checkpoint holds, put into a region that is new. */
START_TEST(put_back)
{
	static uint64_t word[QUOTAS_SETS * QUOTAS_A_SET][2];
	struct siphash acme = quotas_key(quotas, 1, STR("acme"));
	uint64_t hash[2], unused[2];
	uint32_t n = 0;

	quotas_take(quotas, acme, TEN, TEN - 1, 9, 4);
	quotas_take(quotas, quotas_key(quotas, 1, STR("b")), TEN, TEN - 1, 9, 5);
	quotas_hash_key(quotas, hash);
	for (uint32_t i = 0; i < QUOTAS_SETS * QUOTAS_A_SET; i++)
		n += quotas_cell(quotas, i, word[i]);
	ck_assert_uint_eq(n, 2);
	teardown();
	setup();
	ck_assert(!quotas_cell(quotas, 0, unused));
	quotas_set_hash_key(quotas, hash);
	for (uint32_t i = 0; i < QUOTAS_SETS * QUOTAS_A_SET; i++)
		if (word[i][0])
			quotas_restore(quotas, i, word[i]);
	acme = quotas_key(quotas, 1, STR("acme"));
	ck_assert_uint_eq(quotas_take(quotas, acme, TEN, TEN - 1, 9, 1).used, 5);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("shm/quotas");
	TCase *t = tcase_create("quotas");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_window_and_the_next);
	tcase_add_test(t, all_or_nothing);
	tcase_add_test(t, only_looking);
	tcase_add_test(t, reset_by_an_admin);
	tcase_add_test(t, a_set_that_is_full);
	tcase_add_test(t, there_is_room);
	tcase_add_test(t, a_clock_that_is_behind);
	tcase_add_test(t, put_back);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
