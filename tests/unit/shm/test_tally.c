/* Counters with labels, and requests that kill. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/poison.h"
#include "shm/slots.h"
#include "shm/tally.h"

static char path[64];
static struct region *region;
static struct tally *tallies;
static struct poison *poison;

static void
setup(void)
{
	snprintf(path, sizeof(path), "/tmp/postern-tally-%d", (int)getpid());
	region = region_open(path, REGION_SIZE);
	ck_assert_ptr_nonnull(region);
	tallies = tallies_open(region);
	poison = poison_open(region);
	ck_assert(tallies && poison);
}

static void
teardown(void)
{
	region_close(region);
	unlink(path);
}

static uint64_t
count_of(const struct tally_entry *all, size_t n, uint64_t key)
{
	for (size_t i = 0; i < n; i++)
		if (all[i].key == key)
			return all[i].count;
	return 0;
}

START_TEST(keys_are_packed)
{
	uint64_t k = tally_key(TALLY_ERRORS, 16383, 77, 599);

	ck_assert_int_eq(tally_kind(k), TALLY_ERRORS);
	ck_assert_uint_eq(tally_series(k), 16383);
	ck_assert_uint_eq(tally_b(k), 77);
	ck_assert_uint_eq(tally_c(k), 599);
}
END_TEST

START_TEST(rows_are_summed)
{
	uint64_t a = tally_key(TALLY_REQUESTS, 5, 1, 200),
		 b = tally_key(TALLY_REQUESTS, 5, 1, 404);
	struct tally_entry *all;
	struct stat before, after;
	size_t n;

	for (int row = 3; row < SLOTS_MAX; row += 100) {
		ck_assert_int_eq(tally_reserve(region, tallies, row), 0);
		tally_add(&tallies[row], a);
		tally_add(&tallies[row], a);
	}
	tally_add(&tallies[103], b);
	ck_assert_int_eq(stat(path, &before), 0);
	n = tally_sum(tallies, region, &all);
	ck_assert_int_eq(stat(path, &after), 0);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(all[0].key, a);
	ck_assert_uint_eq(all[0].count, 6);
	ck_assert_uint_eq(all[1].key, b);
	ck_assert_uint_eq(all[1].count, 1);
	ck_assert_int_eq((int)before.st_blocks, (int)after.st_blocks);
	free(all);
}
END_TEST

START_TEST(nothing_to_sum)
{
	struct tally_entry *all;

	ck_assert_uint_eq(tally_sum(tallies, region, &all), 0);
	free(all);
}
END_TEST

/* More keys than there is room for: none is lost, the rest counts as "other". */
START_TEST(full)
{
	enum { MANY = 3 * TALLY_ENTRIES };
	struct tally_entry *all;
	uint64_t sum = 0, other;
	size_t n;

	ck_assert_int_eq(tally_reserve(region, tallies, 0), 0);
	for (uint32_t i = 1; i <= MANY; i++)
		tally_add(&tallies[0], tally_key(TALLY_REQUESTS, i, 1, 200));
	tally_add(&tallies[0], tally_key(TALLY_REQUESTS, 1, 1, 200));
	n = tally_sum(tallies, region, &all);
	for (size_t i = 0; i < n; i++)
		sum += all[i].count;
	ck_assert_uint_eq(sum, MANY + 1);
	ck_assert_uint_eq(count_of(all, n, tally_key(TALLY_REQUESTS, 1, 1, 200)), 2);
	other = count_of(all, n, tally_key(TALLY_REQUESTS, 0, 1, 200));
	ck_assert_uint_ge(other, MANY - TALLY_ENTRIES);
	ck_assert_uint_le(other, MANY - TALLY_ENTRIES * 8 / 10);
	free(all);
	/* Even those of "other" may be too many. */
	for (uint32_t i = 1; i <= MANY; i++)
		tally_add(&tallies[0], tally_key(TALLY_ERRORS, 1 + i % 3, i & 0xffff, 0));
	n = tally_sum(tallies, region, &all);
	for (size_t i = sum = 0; i < n; i++)
		sum += all[i].count;
	ck_assert_uint_eq(sum, 2 * MANY + 1);
	free(all);
}
END_TEST

START_TEST(the_second_death)
{
	ck_assert(!poison_refuses(poison, 42, 1000));
	ck_assert_uint_eq(poison_died(poison, 42, 7, 1000, 60000), 1);
	ck_assert_uint_eq(poison->active, 0);
	ck_assert(!poison_refuses(poison, 42, 1000));
	ck_assert_uint_eq(poison_died(poison, 42, 7, 2000, 60000), POISON_DEATHS);
	ck_assert_uint_eq(poison->active, 1);
	ck_assert(poison_refuses(poison, 42, 2000));
	ck_assert(!poison_refuses(poison, 43, 2000));
	ck_assert(poison_refuses(poison, 42, 61999));
	ck_assert(!poison_refuses(poison, 42, 62000));
	poison_tick(poison, 61999);
	ck_assert_uint_eq(poison->active, 1);
	poison_tick(poison, 62000);
	ck_assert_uint_eq(poison->active, 0);
	/* Once more is too often: it is remembered for an hour. */
	ck_assert_uint_eq(poison_died(poison, 42, 7, 70000, 60000), 3);
	ck_assert(poison_refuses(poison, 42, 70000));
	ck_assert_uint_eq(poison_died(poison, 42, 7, 70000 + 3600 * 1000 + 1, 60000), 1);
}
END_TEST

START_TEST(an_admin_clears)
{
	poison_died(poison, 42, 7, 1000, 60000);
	poison_died(poison, 42, 7, 1000, 60000);
	poison_clear(poison);
	ck_assert_uint_eq(poison->active, 0);
	ck_assert(!poison_refuses(poison, 42, 1000));
	ck_assert_uint_eq(poison_died(poison, 42, 7, 1000, 60000), 1);
}
END_TEST

/* The one that was seen longest ago gives way. */
START_TEST(more_than_there_are_rows)
{
	for (uint64_t i = 1; i <= POISON_ROWS; i++)
		for (int death = 0; death < 2; death++)
			poison_died(poison, i, 7, i == 5 ? 900 : 1000 + i, 60000);
	ck_assert_uint_eq(poison->active, POISON_ROWS);
	ck_assert_uint_eq(poison_died(poison, 1000, 7, 2000, 60000), 1);
	ck_assert(!poison_refuses(poison, 5, 2000));
	ck_assert(!poison_refuses(poison, 1000, 2000));
	ck_assert(poison_refuses(poison, 4, 2000));
	ck_assert(poison_refuses(poison, 64, 2000));
	poison_tick(poison, 2000);
	ck_assert_uint_eq(poison->active, POISON_ROWS - 1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("shm/tally");
	TCase *t = tcase_create("tally"), *p = tcase_create("poison");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, keys_are_packed);
	tcase_add_test(t, rows_are_summed);
	tcase_add_test(t, nothing_to_sum);
	tcase_add_test(t, full);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(p, setup, teardown);
	tcase_add_test(p, the_second_death);
	tcase_add_test(p, an_admin_clears);
	tcase_add_test(p, more_than_there_are_rows);
	suite_add_tcase(s, p);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
