/* Usage, rollups and what is booked in the store. */
#include <math.h>

#include "shm/store_usage.h"
#include "tests/unit/shm/place.h"

enum { T = 1700000000 }; /* 2023-11-14T22:13:20Z */

START_TEST(windows_begin_where_they_should)
{
	ck_assert_int_eq(usage_begin(USAGE_MINUTE, T), 1699999980);
	ck_assert_int_eq(usage_begin(USAGE_HOUR, T), 1699999200);
	ck_assert_int_eq(usage_begin(USAGE_DAY, T), 1699920000);
	ck_assert_int_eq(usage_begin(USAGE_DAY, 1699920000), 1699920000);
	ck_assert_int_eq(usage_begin(USAGE_MINUTE, -1), -60);
}
END_TEST

struct list {
	char text[4000];
	int most;
};

static bool
list_usage(void *arg, const struct usage_row *r)
{
	struct list *l = arg;
	size_t n = strlen(l->text);

	snprintf(l->text + n, sizeof(l->text) - n, "%lld %.*s/%.*s %llu|",
		 (long long)(r->begin - T + 20), STR_ARG(r->consumer),
		 STR_ARG(r->service), (unsigned long long)r->sum.of[1].requests);
	return --l->most != 0;
}

static const char *
usage(struct store *s, struct list *l, enum usage_level level, int64_t from, int64_t to,
      const char *consumer, const char *service)
{
	memset(l, 0, sizeof(*l));
	ok(store_usage(s, level, from, to, str_of(consumer), str_of(service), list_usage,
		       l));
	return l->text;
}

static void
use(struct store *s, int64_t at, const char *consumer, const char *service, uint64_t n)
{
	struct usage_sum sum = { .of[1] = { n, 10 * n, 100 * n } };

	ok(store_usage_add(s, at, str_of(consumer), str_of(service), &sum));
}

/* T - 20 is a full minute; the hour began 800 s before T, the day 80,000 s. */
START_TEST(usage_adds_up_on_all_levels)
{
	struct store *s = place_open(false);
	struct list l;

	use(s, T, "acme", "orders", 1);
	use(s, T + 10, "acme", "orders", 2);
	use(s, T + 60, "acme", "orders", 4);
	use(s, T + 60, "acme", "users", 8);
	use(s, T + 60, "acme2", "orders", 16);
	use(s, T + 60, "", "orders", 32);
	use(s, T + 3600, "acme", "orders", 64);
	ck_assert_str_eq(usage(s, &l, USAGE_MINUTE, 0, T + 10000, "", ""),
			 "0 acme/orders 3|60 /orders 32|60 acme/orders 4|60 acme/users 8|"
			 "60 acme2/orders 16|3600 acme/orders 64|");
	ck_assert_str_eq(usage(s, &l, USAGE_HOUR, 0, T + 10000, "", ""),
			 "-780 /orders 32|-780 acme/orders 7|-780 acme/users 8|-780 "
			 "acme2/orders 16|"
			 "2820 acme/orders 64|");
	ck_assert_str_eq(usage(s, &l, USAGE_DAY, 0, T + 10000, "acme", ""),
			 "-79980 acme/orders 71|-79980 acme/users 8|");
	/* From and to, consumer and service. */
	ck_assert_str_eq(usage(s, &l, USAGE_MINUTE, T + 40, T + 3580, "acme", ""),
			 "60 acme/orders 4|60 acme/users 8|");
	ck_assert_str_eq(usage(s, &l, USAGE_MINUTE, T + 41, T + 3581, "acme", ""),
			 "3600 acme/orders 64|");
	ck_assert_str_eq(usage(s, &l, USAGE_MINUTE, 0, T + 9999, "acme", "orders"),
			 "0 acme/orders 3|60 acme/orders 4|3600 acme/orders 64|");
	ck_assert_str_eq(usage(s, &l, USAGE_MINUTE, 0, T + 9999, "", "users"),
			 "60 acme/users 8|");
	ck_assert_str_eq(usage(s, &l, USAGE_MINUTE, 0, T + 9999, "acme2", ""),
			 "60 acme2/orders 16|");
	ck_assert_str_eq(usage(s, &l, USAGE_MINUTE, 0, T + 9999, "acme1", ""), "");
	ck_assert_str_eq(usage(s, &l, USAGE_MINUTE, 0, T + 9999, "zeta", ""), "");
	ck_assert_str_eq(usage(s, &l, USAGE_MINUTE, -5, 0, "", ""), "");
	store_close(s);
}
END_TEST

static bool
take_usage(void *arg, const struct usage_row *r)
{
	*(struct usage_sum *)arg = r->sum;
	return false;
}

START_TEST(usage_is_exact_for_any_number)
{
	struct usage_sum sum, got;
	struct store *s = place_open(false);

	for (int i = 0; i < METER_CLASSES; i++) {
		sum.of[i].requests = (1ull << (12 * i)) + (uint64_t)i;
		sum.of[i].in = UINT64_MAX / 2 - (uint64_t)i;
		sum.of[i].out = 127 + (uint64_t)i;
	}
	ok(store_usage_add(s, T, STR("a"), STR("b"), &sum));
	ok(store_usage_add(s, T, STR("a"), STR("b"), &sum));
	ok(store_usage(s, USAGE_DAY, 0, T + 1, STR_NONE, STR_NONE, take_usage, &got));
	for (int i = 0; i < METER_CLASSES; i++) {
		ck_assert_uint_eq(got.of[i].requests, 2 * sum.of[i].requests);
		ck_assert_uint_eq(got.of[i].in, 2 * sum.of[i].in);
		ck_assert_uint_eq(got.of[i].out, 2 * sum.of[i].out);
	}
	/* The longest names that a meter has. */
	static char consumer[65], service[95];

	memset(consumer, 'c', 64);
	memset(service, 's', 94);
	ok(store_usage_add(s, T, str_of(consumer), str_of(service), &sum));
	ok(store_usage(s, USAGE_DAY, 0, T + 1, str_of(consumer), str_of(service),
		       take_usage, &got));
	ck_assert_uint_eq(got.of[4].out, 131);
	store_close(s);
}
END_TEST

/* ---- rollups */

static bool
take_rollup(void *arg, const struct rollup_row *r)
{
	*(struct rollup_sum *)arg = r->sum;
	return true;
}

static bool
list_rollup(void *arg, const struct rollup_row *r)
{
	struct list *l = arg;
	size_t n = strlen(l->text);

	snprintf(l->text + n, sizeof(l->text) - n, "%lld %.*s %llu|",
		 (long long)(r->begin - T + 20), STR_ARG(r->name),
		 (unsigned long long)r->sum.requests);
	return --l->most != 0;
}

START_TEST(rollups_come_back_with_their_histograms)
{
	static struct rollup_sum sum, got, want;
	struct store *s = place_open(false);
	struct list l = { .most = 0 };

	sum.requests = 300;
	for (int i = 0; i < 5; i++)
		sum.status[i] = (uint64_t)i * 1000;
	sum.failed = 3;
	sum.in = 1ull << 60;
	sum.out = 5;
	sum.us = 77;
	sum.histogram[0] = 1;
	sum.histogram[1] = 128;
	sum.histogram[200] = 4000000000;
	sum.histogram[HISTOGRAM_BUCKETS - 1] = 9;
	ok(store_rollup_add(s, T, ROLLUP_ROUTE, STR("orders/get"), &sum));
	ok(store_rollups(s, USAGE_MINUTE, ROLLUP_ROUTE, 0, T + 1, STR("orders/get"),
			 take_rollup, &got));
	ck_assert_mem_eq(&got, &sum, sizeof(sum));
	ok(store_rollup_add(s, T, ROLLUP_ROUTE, STR("orders/get"), &sum));
	ok(store_rollups(s, USAGE_DAY, ROLLUP_ROUTE, 0, T + 1, STR_NONE, take_rollup,
			 &got));
	want = sum;
	want.requests *= 2;
	for (int i = 0; i < 5; i++)
		want.status[i] *= 2;
	want.failed *= 2;
	want.in *= 2;
	want.out *= 2;
	want.us *= 2;
	want.histogram[0] *= 2;
	want.histogram[1] *= 2;
	want.histogram[200] = UINT32_MAX; /* no wrap */
	want.histogram[HISTOGRAM_BUCKETS - 1] *= 2;
	ck_assert_mem_eq(&got, &want, sizeof(want));

	/* Every bucket in use: larger than a page's share. */
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
		sum.histogram[i] = UINT32_MAX - (uint32_t)i;
	ok(store_rollup_add(s, T, ROLLUP_TARGET, STR("full"), &sum));
	ok(store_rollups(s, USAGE_DAY, ROLLUP_TARGET, 0, T + 1, STR_NONE, take_rollup,
			 &got));
	ck_assert_mem_eq(&got, &sum, sizeof(sum));

	/* Kinds, names and times apart. */
	memset(&sum, 0, sizeof(sum));
	sum.requests = 1;
	ok(store_rollup_add(s, T, ROLLUP_SERVICE, STR("orders"), &sum));
	ok(store_rollup_add(s, T + 60, ROLLUP_SERVICE, STR("users"), &sum));
	ok(store_rollup_add(s, T + 120, ROLLUP_SERVICE, STR("orders"), &sum));
	ok(store_rollup_add(s, T + 120, ROLLUP_CONSUMER, STR("orders"), &sum));
	ok(store_rollups(s, USAGE_MINUTE, ROLLUP_SERVICE, 0, T + 999, STR("orders"),
			 list_rollup, &l));
	ck_assert_str_eq(l.text, "0 orders 1|120 orders 1|");
	memset(&l, 0, sizeof(l));
	ok(store_rollups(s, USAGE_MINUTE, ROLLUP_SERVICE, T + 40, T + 100, STR_NONE,
			 list_rollup, &l));
	ck_assert_str_eq(l.text, "60 users 1|");
	memset(&l, 0, sizeof(l));
	ok(store_rollups(s, USAGE_HOUR, ROLLUP_SERVICE, 0, T + 999, STR_NONE, list_rollup,
			 &l));
	ck_assert_str_eq(l.text, "-780 orders 2|-780 users 1|");
	store_close(s);
}
END_TEST

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void
near(uint64_t got, uint64_t truth)
{
	ck_assert_msg(fabs((double)got - (double)truth) <= 0.032 * (double)truth,
		      "%llu instead of %llu", (unsigned long long)got,
		      (unsigned long long)truth);
}

/* Against the sorted truth, for latencies of three shapes from 1 µs to 30 s; and one
 * request alone, at either end of each bucket. */
START_TEST(quantiles_are_within_three_percent)
{
	enum { N = 20000 };
	static uint64_t us[N];
	static const double shares[] = { 0.01, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 1 };

	for (int shape = 0; shape < 3; shape++) {
		static struct rollup_sum sum;

		memset(&sum, 0, sizeof(sum));
		srand48(7);
		for (int i = 0; i < N; i++) {
			double u = drand48();

			us[i] = (uint64_t)(shape == 0   ? 100 + 900 * u
					   : shape == 1 ? exp(u * log(3e7))
							: -2000 * log(1 - u));
			sum.histogram[histogram_bucket(us[i])]++;
		}
		qsort(us, N, sizeof(*us), by_value);
		for (size_t i = 0; i < sizeof(shares) / sizeof(*shares); i++) {
			size_t rank = (size_t)ceil(shares[i] * N);
			near(rollup_quantile(&sum, shares[i]), us[rank ? rank - 1 : 0]);
		}
	}
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		struct rollup_sum one = { .requests = 1 };

		one.histogram[i] = 1;
		for (double share = 0; share <= 1; share += 0.25) {
			near(rollup_quantile(&one, share), histogram_floor(i));
			near(rollup_quantile(&one, share), histogram_floor(i + 1) - 1);
		}
	}

	struct rollup_sum none = { 0 };

	ck_assert_uint_eq(rollup_quantile(&none, 0.99), 0);
	none.histogram[HISTOGRAM_BUCKETS - 1] = 1;
	ck_assert_uint_ge(rollup_quantile(&none, 0.99),
			  histogram_floor(HISTOGRAM_BUCKETS - 1));
}
END_TEST

/* ---- expiry */

START_TEST(old_windows_go_in_steps)
{
	static struct rollup_sum sum = { .requests = 1 };
	struct store *s = place_open(false);
	struct list l;

	ok(store_begin(s));
	for (int i = 0; i < 10; i++) {
		use(s, T + 60 * i, "acme", "orders", 1);
		ok(store_rollup_add(s, T + 60 * i, ROLLUP_SERVICE, STR("orders"), &sum));
		ok(store_rollup_add(s, T + 60 * i, ROLLUP_CONSUMER, STR("acme"), &sum));
	}
	ok(store_commit(s));
	ck_assert_int_eq(store_usage_expire(s, USAGE_MINUTE, T - 20, 100), 0);
	ck_assert_int_eq(store_usage_expire(s, USAGE_MINUTE, T + 400, 7), 7);
	ck_assert_str_eq(usage(s, &l, USAGE_MINUTE, 0, T + 999, "", ""),
			 "420 acme/orders 1|480 acme/orders 1|540 acme/orders 1|");
	ck_assert_int_eq(store_usage_expire(s, USAGE_MINUTE, T + 400, 7), 7);
	ck_assert_int_eq(store_usage_expire(s, USAGE_MINUTE, T + 400, 1000), 7);
	ck_assert_int_eq(store_usage_expire(s, USAGE_MINUTE, T + 400, 1000), 0);
	ck_assert_str_eq(usage(s, &l, USAGE_MINUTE, 0, T + 999, "", ""),
			 "420 acme/orders 1|480 acme/orders 1|540 acme/orders 1|");
	ck_assert_str_eq(usage(s, &l, USAGE_HOUR, 0, T + 999, "", ""),
			 "-780 acme/orders 10|");
	memset(&l, 0, sizeof(l));
	ok(store_rollups(s, USAGE_MINUTE, ROLLUP_CONSUMER, 0, T + 999, STR_NONE,
			 list_rollup, &l));
	ck_assert_str_eq(l.text, "420 acme 1|480 acme 1|540 acme 1|");
	memset(&l, 0, sizeof(l));
	ok(store_rollups(s, USAGE_DAY, ROLLUP_SERVICE, 0, T + 999, STR_NONE, list_rollup,
			 &l));
	ck_assert_str_eq(l.text, "-79980 orders 10|");
	ck_assert_int_eq(store_usage_expire(s, USAGE_DAY, T, 1000), 3);
	ck_assert_str_eq(usage(s, &l, USAGE_DAY, 0, T + 999, "", ""), "");
	ck_assert_str_eq(usage(s, &l, USAGE_HOUR, 0, T + 999, "", ""),
			 "-780 acme/orders 10|");
	store_close(s);
}
END_TEST

/* ---- booked */

static bool
join(void *arg, struct str key, struct str value)
{
	struct list *l = arg;
	size_t n = strlen(l->text);

	snprintf(l->text + n, sizeof(l->text) - n, "%.*s=%zu ", STR_ARG(key), value.len);
	return true;
}

START_TEST(what_is_booked_is_found_by_key)
{
	struct list l = { .most = 0 };
	struct store *s = place_open(false);
	char bytes[BOOKED_MOST + 1] = "0123456789", got[BOOKED_MOST];

	ck_assert_int_eq(store_booked_get(s, STR("m/1"), got, 10), 0);
	ok(store_booked_put(s, STR("m/1"), bytes, 10));
	ok(store_booked_put(s, STR("m/2"), bytes, BOOKED_MOST));
	ok(store_booked_put(s, STR("n/1"), bytes + 1, 1));
	ck_assert_int_eq(store_booked_get(s, STR("m/1"), got, 10), 1);
	ck_assert_mem_eq(got, bytes, 10);
	/* Of another size is of another layout: none. */
	ck_assert_int_eq(store_booked_get(s, STR("m/1"), got, 9), 0);
	ck_assert_int_eq(store_booked_get(s, STR("m/1"), got, 11), 0);
	ck_assert_int_eq(store_booked_get(s, STR("m/2"), got, BOOKED_MOST), 1);
	ck_assert_mem_eq(got, bytes, BOOKED_MOST);
	ck_assert_int_eq(store_booked_put(s, STR("m/2"), bytes, BOOKED_MOST + 1), -1);
	ok(store_booked_put(s, STR("m/1"), bytes + 5, 5));
	ck_assert_int_eq(store_booked_get(s, STR("m/1"), got, 5), 1);
	ck_assert_mem_eq(got, "56789", 5);
	ok(store_booked_each(s, STR("m/"), join, &l));
	ck_assert_str_eq(l.text, "m/1=5 m/2=1900 ");
	ok(store_booked_drop(s, STR("m/")));
	ok(store_booked_drop(s, STR("m/")));
	ck_assert_int_eq(store_booked_get(s, STR("m/1"), got, 5), 0);
	ck_assert_int_eq(store_booked_get(s, STR("m/2"), got, BOOKED_MOST), 0);
	ck_assert_int_eq(store_booked_get(s, STR("n/1"), got, 1), 1);
	ck_assert_int_eq(got[0], '1');
	store_close(s);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { windows_begin_where_they_should,
				 usage_adds_up_on_all_levels,
				 usage_is_exact_for_any_number,
				 rollups_come_back_with_their_histograms,
				 quantiles_are_within_three_percent,
				 old_windows_go_in_steps,
				 what_is_booked_is_found_by_key };

	return place_run("shm/store_usage", tests, sizeof(tests) / sizeof(*tests));
}
