#include "tests/unit/unit.h"

#include "base/clock.h"
#include "worker/net/loop.h"

enum { MANY = 1000 };

static struct alarms set;
static struct alarm alarms[MANY];
static uint64_t fired[MANY + 1];
static uint64_t last;                   /* when one fired, really */
static unsigned nfired;
static struct alarm *to_set, *to_clear;

static void
fire(struct alarm *a)
{
	ck_assert_uint_eq(a->place, 0);
	fired[nfired++] = a->at;
	last = clock_read();
	if (to_set)
		alarm_set(&set, to_set, a->at);
	if (to_clear)
		alarm_clear(&set, to_clear);
	to_set = to_clear = NULL;
}

START_TEST(they_fire_in_order_and_once)
{
	uint64_t seed = 7;

	for (int i = 0; i < MANY; i++) {
		seed = seed * 6364136223846793005 + 1442695040888963407;
		alarms[i].fire = fire;
		alarm_set(&set, &alarms[i], seed >> 44);
	}
	/* Some move, some are cleared, twice. */
	for (int i = 0; i < MANY; i += 3)
		alarm_set(&set, &alarms[i], alarms[(i * 7 + 1) % MANY].at / 2);
	for (int i = 1; i < MANY; i += 3) {
		alarm_clear(&set, &alarms[i]);
		alarm_clear(&set, &alarms[i]);
	}
	ck_assert_int_ge(alarms_run(&set, 1 << 19), 0);
	for (unsigned i = 0; i < nfired; i++)
		ck_assert_uint_le(fired[i], 1 << 19);
	ck_assert_int_eq(alarms_run(&set, 1 << 20), -1);
	ck_assert_uint_eq(nfired, MANY - MANY / 3);
	for (unsigned i = 1; i < nfired; i++)
		ck_assert_uint_le(fired[i - 1], fired[i]);
	alarms_free(&set);
}
END_TEST

START_TEST(the_time_left_is_rounded_up)
{
	alarms[0].fire = fire;
	ck_assert_int_eq(alarms_run(&set, 5), -1);
	alarm_set(&set, &alarms[0], 10000000);
	ck_assert_int_eq(alarms_run(&set, 0), 10);
	ck_assert_int_eq(alarms_run(&set, 1), 10);
	ck_assert_int_eq(alarms_run(&set, 9999999), 1);
	ck_assert_uint_eq(nfired, 0);
	ck_assert_int_eq(alarms_run(&set, 10000000), -1);
	ck_assert_uint_eq(nfired, 1);
	alarms_free(&set);
}
END_TEST

/* Who fires may set and clear others. */
START_TEST(alarms_change_while_they_fire)
{
	for (int i = 0; i < 3; i++)
		alarms[i].fire = fire;
	alarm_set(&set, &alarms[0], 1);
	alarm_set(&set, &alarms[1], 2);
	to_set = &alarms[2];
	to_clear = &alarms[1];
	ck_assert_int_eq(alarms_run(&set, 5), -1);
	ck_assert_uint_eq(nfired, 2);
	ck_assert_uint_eq(set.n, 0);
	alarms_free(&set);
}
END_TEST

/* The loop sleeps until the next one, and not until the next tick of the wheel. */
START_TEST(a_loop_wakes_in_time)
{
	struct loop l;
	uint64_t began, late = 0;

	ck_assert_int_eq(loop_init(&l), 0);
	alarms[0].fire = fire;
	for (int i = 0; i < 5; i++) {
		unsigned before = nfired;

		began = clock_read();
		alarm_set(&l.alarms, &alarms[0], began + 7000000);
		while (nfired == before)
			loop_turn(&l, 500);
		ck_assert_uint_ge(last, began + 7000000);
		late += last - began > 50000000;
	}
	ck_assert_uint_lt(late, 5);
	loop_free(&l);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		they_fire_in_order_and_once,
		the_time_left_is_rounded_up,
		alarms_change_while_they_fire,
		a_loop_wakes_in_time,
	};

	return unit_run("net/alarm", tests, sizeof tests / sizeof *tests);
}
