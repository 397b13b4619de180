/* Ledgers and meters: what is found by name, taken out and found again; what is added. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/meters.h"

static char path[64];
static struct region *region;
static struct ledger meters;

static void
setup(void)
{
	snprintf(path, sizeof(path), "/tmp/postern-meters-%d", (int)getpid());
	region = region_open(path, REGION_SIZE);
	ck_assert_ptr_nonnull(region);
	ck_assert_int_eq(meters_open(&meters, region), 0);
	ck_assert_int_eq(ledger_reserve(region, &meters), 0);
}

static void
teardown(void)
{
	region_close(region);
	unlink(path);
}

static int64_t
take(struct str name)
{
	return ledger_take(&meters, ledger_key(&meters, name), name);
}

static bool
add(struct str consumer, struct str service, unsigned status, uint64_t in, uint64_t out)
{
	return meters_add(&meters, meters_key(&meters, consumer, service), consumer,
			  service, status, in, out);
}

static int64_t
look(struct str name)
{
	return ledger_look(&meters, ledger_key(&meters, name));
}

static struct str
numbered(char buf[static 32], unsigned n)
{
	return (struct str){ buf, (size_t)snprintf(buf, 32, "consumer-%u", n) };
}

START_TEST(found_by_name)
{
	int64_t a = take(STR("a")), b = take(STR("b"));

	ck_assert_int_ge(a, 0);
	ck_assert_int_ne(a, b);
	ck_assert_int_eq(take(STR("a")), a);
	ck_assert_int_eq(look(STR("b")), b);
	ck_assert_int_eq(look(STR("c")), -1);
	ck_assert(str_eq(ledger_name(&meters, a), STR("a")));
	ck_assert_uint_eq(ledger_name(&meters, a ^ 1).len, 0);
	region_close(region);
	region = region_open(path, REGION_SIZE);
	ck_assert_int_eq(meters_open(&meters, region), 0);
	ck_assert_int_eq(look(STR("a")), a);
}
END_TEST

START_TEST(taken_out)
{
	int64_t a = take(STR("a"));
	uint32_t life = ledger_life(&meters, a);

	((struct meter *)ledger_value(&meters, a))->of[0].requests = 7;
	ck_assert(!ledger_remove(&meters, a));
	ck_assert(ledger_retire(&meters, a));
	/* Something is to be done to it: who uses it takes it, and then it stays. */
	ck_assert_int_eq(look(STR("a")), -1);
	ck_assert_int_eq(take(STR("a")), a);
	ck_assert(!ledger_remove(&meters, a));
	ck_assert(ledger_retire(&meters, a));
	ck_assert(ledger_retire(&meters, a));
	ck_assert(ledger_remove(&meters, a));
	ck_assert(!ledger_remove(&meters, a));
	ck_assert(!ledger_retire(&meters, a));
	ck_assert_int_eq(look(STR("a")), -1);
	ck_assert_uint_eq(ledger_name(&meters, a).len, 0);
	ck_assert_uint_ne(ledger_life(&meters, a), life);
	ck_assert_uint_eq(((struct meter *)ledger_value(&meters, a))->of[0].requests, 0);
	ck_assert_int_ge(take(STR("a")), 0);
}
END_TEST

/* As many as there is room for come and go, several times over. */
START_TEST(come_and_go)
{
	enum { MANY = METERS / 4 };
	static int64_t entry[MANY];
	unsigned wrong = 0, came = 0;
	char buf[32];

	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < MANY; i++)
			entry[i] = take(numbered(buf, round * MANY + i));
		for (unsigned i = 0; i < MANY; i++) {
			struct str name = numbered(buf, round * MANY + i);

			if (entry[i] < 0)
				continue;
			wrong += look(name) != entry[i];
			wrong += !str_eq(ledger_name(&meters, entry[i]), name);
			wrong += !ledger_retire(&meters, entry[i]);
			wrong += !ledger_remove(&meters, entry[i]);
			came++;
		}
	}
	for (int64_t i = 0; i < METERS; i++)
		wrong += ledger_name(&meters, i).len != 0;
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_gt(came, 4 * MANY * 9 / 10);
}
END_TEST

START_TEST(full)
{
	char buf[32];
	unsigned refused = 0, n = 2 * METERS;

	for (unsigned i = 0; i < n; i++)
		refused += take(numbered(buf, i)) < 0;
	ck_assert_uint_ge(refused, METERS);
	ck_assert_uint_le(refused, METERS + METERS / 10);
	ck_assert_uint_eq(ledger_mend(&meters), 0);
}
END_TEST

START_TEST(what_is_added)
{
	const struct meter *m;
	struct str consumer, service;

	ck_assert(add(STR("acme"), STR("orders"), 200, 5, 100));
	ck_assert(add(STR("acme"), STR("orders"), 204, 0, 7));
	ck_assert(add(STR("acme"), STR("orders"), 503, 1, 2));
	ck_assert(add(STR("acme"), STR("orders"), 0, 9, 0));
	ck_assert(add(STR("acme"), STR("other"), 429, 0, 3));
	ck_assert(add(STR_NONE, STR("orders"), 301, 0, 3));
	for (int64_t i = 0, n = 0; i < METERS; i++) {
		struct str name = ledger_name(&meters, i);

		if (!name.len)
			continue;
		ck_assert_int_le(++n, 3);
		m = ledger_value(&meters, i);
		meter_split(name, &consumer, &service);
		if (!consumer.len) {
			ck_assert_uint_eq(m->of[2].requests, 1);
			ck_assert(str_eq(service, STR("orders")));
			continue;
		}
		ck_assert(str_eq(consumer, STR("acme")));
		if (str_eq(service, STR("other"))) {
			ck_assert_uint_eq(m->of[3].requests, 1);
			continue;
		}
		ck_assert(str_eq(service, STR("orders")));
		ck_assert_uint_eq(m->of[0].requests, 1);
		ck_assert_uint_eq(m->of[0].in, 9);
		ck_assert_uint_eq(m->of[1].requests, 2);
		ck_assert_uint_eq(m->of[1].in, 5);
		ck_assert_uint_eq(m->of[1].out, 107);
		ck_assert_uint_eq(m->of[4].requests, 1);
		ck_assert_uint_eq(m->of[4].out, 2);
	}
}
END_TEST

START_TEST(long_names)
{
	char a[200], b[200];
	struct str consumer, service;
	int64_t i = 0;

	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	ck_assert(add((struct str){ a, 64 }, (struct str){ b, 94 }, 200,
			     0, 0));
	ck_assert(add((struct str){ a, 200 }, (struct str){ b, 200 }, 200,
			     0, 0));
	while (!ledger_name(&meters, i).len)
		i++;
	meter_split(ledger_name(&meters, i), &consumer, &service);
	ck_assert(str_eq(consumer, (struct str){ a, 64 }));
	ck_assert(str_eq(service, (struct str){ b, 94 }));
	ck_assert_uint_eq(((struct meter *)ledger_value(&meters, i))->of[1].requests, 2);
}
END_TEST

/* Who only looks, and a table that nobody uses: no memory is taken by looking. */
START_TEST(looking_costs_no_memory)
{
	struct stat before, after;
	struct ledger other;

	ck_assert_int_eq(ledger_open(&other, region, "other", 1, 1024, 64), 0);
	ck_assert_int_eq(stat(path, &before), 0);
	for (int64_t i = 0; i < 1024; i++)
		ck_assert_uint_eq(ledger_name(&other, i).len, 0);
	ck_assert_uint_eq(ledger_mend(&other), 0);
	ck_assert_int_eq(stat(path, &after), 0);
	ck_assert_int_eq((int)before.st_blocks, (int)after.st_blocks);
	ck_assert_int_eq(ledger_find_in(&other, region, "other", 2, 1024, 64), -1);
	ck_assert_int_eq(ledger_find_in(&other, region, "other", 1, 1024, 64), 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("shm/meters");
	TCase *t = tcase_create("meters");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, found_by_name);
	tcase_add_test(t, taken_out);
	tcase_add_test(t, come_and_go);
	tcase_add_test(t, full);
	tcase_add_test(t, what_is_added);
	tcase_add_test(t, long_names);
	tcase_add_test(t, looking_costs_no_memory);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
