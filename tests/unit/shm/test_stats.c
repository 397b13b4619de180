/* Counters: what is summed, what is found again, what a histogram says. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/slots.h"
#include "shm/stats.h"

static char dir[64], path[96];
static struct region *region;
static struct stats stats;

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/postern-stats-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/region", dir);
	region = region_open(path, REGION_SIZE);
	ck_assert_ptr_nonnull(region);
	ck_assert_int_eq(stats_open(&stats, region), 0);
}

static void
teardown(void)
{
	region_close(region);
	unlink(path);
	rmdir(dir);
}

static uint32_t
intern_route(unsigned a, unsigned b)
{
	char name[64];
	int n = snprintf(name, sizeof(name), "service-%u/route-%u", a, b);

	return series_intern(&stats, SERIES_ROUTE, (struct str){ name, (size_t)n });
}

static void
reopen(void)
{
	region_close(region);
	region = region_open(path, REGION_SIZE);
	ck_assert_int_eq(stats_open(&stats, region), 0);
}

START_TEST(buckets_are_log_linear)
{
	uint64_t values[] = { 0, 1, 7, 8, 9, 15, 16, 17, 100, 999, 1000, 65536, 1234567,
			      60000000 };

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		unsigned b = histogram_bucket(values[i]);

		ck_assert_uint_le(histogram_floor(b), values[i]);
		ck_assert_uint_gt(histogram_floor(b + 1), values[i]);
	}
	for (unsigned b = 0; b + 1 < HISTOGRAM_BUCKETS; b++) {
		uint64_t lo = histogram_floor(b), hi = histogram_floor(b + 1);

		ck_assert_uint_eq(histogram_bucket(lo), b);
		ck_assert_uint_eq(histogram_bucket(hi - 1), b);
		ck_assert_msg(lo < 16 || (double)(hi - lo) <= 0.0626 * (double)lo,
			      "bucket %u is %u µs wide at %u", b, (unsigned)(hi - lo), (unsigned)lo);
	}
	ck_assert_uint_eq(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}
END_TEST

START_TEST(coarse_buckets)
{
	ck_assert_uint_eq(series_bucket(0), 0);
	for (unsigned b = 0; b + 1 < SERIES_BUCKETS; b++) {
		ck_assert_uint_eq(series_bucket((256ull << b) - 1), b);
		ck_assert_uint_eq(series_bucket(256ull << b), b + 1);
	}
	ck_assert_uint_eq(series_bucket(UINT64_MAX), SERIES_BUCKETS - 1);
}
END_TEST

START_TEST(quantiles)
{
	struct stats_page p = { 0 };

	ck_assert_uint_eq(stats_quantile(&p, 0.5), 0);
	for (unsigned us = 1; us <= 1000; us++)
		p.latency[histogram_bucket(us)]++;
	ck_assert_uint_ge(stats_quantile(&p, 0.50), 500);
	ck_assert_uint_le(stats_quantile(&p, 0.50), 532);
	ck_assert_uint_ge(stats_quantile(&p, 0.99), 990);
	ck_assert_uint_le(stats_quantile(&p, 0.99), 1052);
	ck_assert_uint_ge(stats_quantile(&p, 1.0), 1000);
}
END_TEST

START_TEST(rows_are_summed)
{
	struct stats_page sum;
	struct stats_series one;
	struct stats_rows rows;
	uint32_t a = series_intern(&stats, SERIES_ROUTE, STR("orders-api/create"));
	uint32_t b = series_intern(&stats, SERIES_TARGET, STR("orders/127.0.0.1:9000"));

	ck_assert_uint_ne(a, b);
	for (int row = 3; row < 256; row += 100) {
		ck_assert_int_eq(stats_reserve(&stats, row), 0);
		stats.pages[row].count[METRIC_REQUESTS] += 10;
		stats.pages[row].latency[histogram_bucket(100)] += 10;
		stats.pages[row].latency_sum += 1000;
		stats.series[(size_t)row * SERIES_MAX + a].requests += 7;
		stats.series[(size_t)row * SERIES_MAX + a].bucket[15] += 2;
		stats.series[(size_t)row * SERIES_MAX + b].status[4] += 1;
	}
	stats_sum(&stats, &sum);
	ck_assert_uint_eq(sum.count[METRIC_REQUESTS], 30);
	ck_assert_uint_eq(sum.latency_sum, 3000);
	rows = stats_rows(&stats);
	series_sum(&stats, &rows, a, &one);
	ck_assert_uint_eq(one.requests, 21);
	ck_assert_uint_eq(one.bucket[15], 6);
	series_sum(&stats, &rows, b, &one);
	ck_assert_uint_eq(one.status[4], 3);
	ck_assert_uint_eq(one.requests, 0);
}
END_TEST

START_TEST(looking_costs_no_memory)
{
	struct stats_page sum;
	struct stats_series one;
	struct stats_rows rows;
	struct stat before, after;

	ck_assert_int_eq(stats_reserve(&stats, 0), 0);
	stats.pages[0].count[0] = 1;
	ck_assert_int_eq(stat(path, &before), 0);
	stats_sum(&stats, &sum);
	rows = stats_rows(&stats);
	for (uint32_t i = 0; i < SERIES_MAX; i++)
		series_sum(&stats, &rows, i, &one);
	ck_assert_int_eq(stat(path, &after), 0);
	/* A page of memory holds rows 0, 1 and a part of 2: only they are looked at. */
	ck_assert_int_le((int)(after.st_blocks - before.st_blocks), 3 * 2048);
	ck_assert_uint_eq(rows.bits[0] & ~7ull, 0);
}
END_TEST

START_TEST(names_are_found_again)
{
	char name[200];
	struct str s = { name, 0 };
	uint32_t first[100];

	for (int i = 0; i < 100; i++) {
		s.len = (size_t)snprintf(name, sizeof(name), "api/route-%d", i);
		first[i] = series_intern(&stats, SERIES_ROUTE, s);
		ck_assert_uint_eq(first[i], (unsigned)i + 1);
	}
	reopen();
	for (int i = 0; i < 100; i++) {
		s.len = (size_t)snprintf(name, sizeof(name), "api/route-%d", i);
		ck_assert_uint_eq(series_intern(&stats, SERIES_ROUTE, s), first[i]);
	}
	ck_assert_uint_ne(series_intern(&stats, SERIES_TARGET, s), first[99]);
	ck_assert_uint_eq(series_count(&stats), 102);
	ck_assert_uint_eq(stats.names[0].kind, SERIES_OTHER);
}
END_TEST

START_TEST(long_names_stay_distinct)
{
	char a[300], b[300];

	memset(a, 'x', sizeof(a));
	memset(b, 'x', sizeof(b));
	b[299] = 'y';
	ck_assert_uint_ne(series_intern(&stats, SERIES_ROUTE, (struct str){ a, 300 }),
			  series_intern(&stats, SERIES_ROUTE, (struct str){ b, 300 }));
	ck_assert_uint_eq(series_intern(&stats, SERIES_ROUTE, (struct str){ a, 300 }), 1);
	ck_assert_uint_eq(stats.names[1].len, 120);
}
END_TEST

START_TEST(more_names_fold_into_other)
{
	struct timespec from, to;
	double ms;

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (uint32_t i = 1; i < SERIES_MAX; i++)
		ck_assert_uint_eq(intern_route(i % 100, i), i);
	for (uint32_t i = SERIES_MAX; i < 100000; i++)
		ck_assert_uint_eq(intern_route(i % 100, i), 0);
	clock_gettime(CLOCK_MONOTONIC, &to);
	ms = (double)(to.tv_sec - from.tv_sec) * 1e3;
	ms += (double)(to.tv_nsec - from.tv_nsec) / 1e6;
	ck_assert_msg(ms < 2000, "100,000 names took %.0f ms", ms);
	ck_assert_uint_eq(intern_route(5, 5), 5);
}
END_TEST

static uint32_t
intern_again(uint32_t i)
{
	const struct series_name *n = &stats.names[i];

	return series_intern(&stats, SERIES_ROUTE, (struct str){ n->name, n->len });
}

START_TEST(killed_while_naming)
{
	for (int round = 0; round < 30; round++) {
		pid_t pid = fork();
		uint32_t n;

		if (pid == 0)
			for (unsigned i = 0;; i++)
				intern_route((unsigned)round, i);
		usleep(200);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		n = series_count(&stats);
		for (uint32_t i = 1; i < n; i++)
			ck_assert_msg(intern_again(i) == i,
				      "round %d: name %u is not found by its name", round, i);
		ck_assert_uint_eq(series_count(&stats), n);
	}
}
END_TEST

START_TEST(two_workers_hammer)
{
	enum { TURNS = 2000000 };
	uint32_t a = series_intern(&stats, SERIES_ROUTE, STR("a/b"));
	struct stats_page sum;
	struct stats_series one;
	struct stats_rows rows;
	uint64_t last = 0;
	pid_t pid[2];

	for (int p = 0; p < 2; p++) {
		ck_assert_int_eq(stats_reserve(&stats, p), 0);
		pid[p] = fork();
		if (pid[p] == 0) {
			for (int i = 0; i < TURNS; i++) {
				stats.pages[p].count[METRIC_REQUESTS]++;
				__asm__ volatile("" ::: "memory");
				stats.series[(size_t)p * SERIES_MAX + a].requests++;
			}
			_exit(0);
		}
	}
	for (int i = 0; i < 50; i++) {
		stats_sum(&stats, &sum);
		ck_assert_uint_ge(sum.count[METRIC_REQUESTS], last);
		last = sum.count[METRIC_REQUESTS];
		usleep(100);
	}
	for (int p = 0; p < 2; p++)
		waitpid(pid[p], NULL, 0);
	stats_sum(&stats, &sum);
	ck_assert_uint_eq(sum.count[METRIC_REQUESTS], 2 * TURNS);
	rows = stats_rows(&stats);
	series_sum(&stats, &rows, a, &one);
	ck_assert_uint_eq(one.requests, 2 * TURNS);
}
END_TEST

START_TEST(every_metric_has_a_name)
{
	for (unsigned i = 0; i < METRIC_COUNT; i++) {
		ck_assert_ptr_nonnull(metric_info[i].name);
		ck_assert_msg(str_ends(str_of(metric_info[i].name), STR("_total")),
			      "%s is a counter and must end in _total", metric_info[i].name);
		ck_assert_ptr_nonnull(metric_info[i].help);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("shm/stats");
	TCase *c = tcase_create("stats");
	SRunner *run;
	int failed;

	tcase_set_timeout(c, 30);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, buckets_are_log_linear);
	tcase_add_test(c, coarse_buckets);
	tcase_add_test(c, quantiles);
	tcase_add_test(c, rows_are_summed);
	tcase_add_test(c, looking_costs_no_memory);
	tcase_add_test(c, names_are_found_again);
	tcase_add_test(c, long_names_stay_distinct);
	tcase_add_test(c, more_names_fold_into_other);
	tcase_add_test(c, killed_while_naming);
	tcase_add_test(c, two_workers_hammer);
	tcase_add_test(c, every_metric_has_a_name);
	suite_add_tcase(s, c);
	run = srunner_create(s);
	srunner_run_all(run, CK_NORMAL);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed != 0;
}
