#include "shm/pace.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "tests/unit/unit.h"

#define S 1000000000ull

static struct pace pace;
static struct pace_row *row;
static uint64_t now, ticket;

static void
begin(void)
{
	memset(&pace, 0, sizeof(pace));
	row = pace_row(&pace, STR("vendor"));
	now = 1000 * S;
}

static uint64_t
take(void)
{
	return pace_take(row, now, &ticket);
}

static void
says(uint64_t for_ticket, uint64_t left, uint64_t reset, uint64_t quota)
{
	struct pace_said said = { .window = true, .left = left, .reset = reset * S,
				  .quota = quota, .span = quota ? reset * S : 0 };

	pace_learn(row, now, for_ticket, &said);
}

START_TEST(rows_are_by_name_until_there_are_no_more)
{
	begin();
	ck_assert_ptr_eq(pace_row(&pace, STR("vendor")), row);
	ck_assert_ptr_ne(pace_row(&pace, STR("other")), row);
	for (int i = 0; i < PACE_ROWS - 2; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%d", i);
		ck_assert_ptr_nonnull(pace_row(&pace, str_of(name)));
	}
	ck_assert_ptr_null(pace_row(&pace, STR("one more")));
	ck_assert_ptr_eq(pace_row(&pace, STR("vendor")), row);
}
END_TEST

START_TEST(nothing_known_holds_nobody)
{
	begin();
	for (uint64_t i = 1; i <= 1000; i++) {
		ck_assert_uint_eq(take(), 0);
		ck_assert_uint_eq(ticket, i);
	}
}
END_TEST

START_TEST(what_is_left_and_no_more)
{
	begin();
	take();
	says(1, 3, 10, 0);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(take(), 0);
	now += 4 * S;
	ck_assert_uint_eq(take(), 6 * S);
	ck_assert_uint_eq(take(), 6 * S);
}
END_TEST

START_TEST(requests_sent_since_are_taken_off)
{
	begin();
	for (int i = 0; i < 5; i++)
		take();
	says(2, 4, 10, 0);      /* three were sent after it: one is left */
	ck_assert_uint_eq(take(), 0);
	ck_assert_uint_eq(take(), 10 * S);
	says(1, 9, 10, 0);      /* older news of the same window change nothing */
	ck_assert_uint_eq(take(), 10 * S);
}
END_TEST

START_TEST(the_next_window_is_opened_with_the_whole_quota)
{
	begin();
	take();
	says(1, 0, 10, 3);
	ck_assert_uint_eq(take(), 10 * S);
	now += 10 * S;
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(take(), 0);
	ck_assert_uint_eq(take(), 10 * S);
}
END_TEST

START_TEST(a_quota_that_is_not_said_is_guessed)
{
	begin();
	take();
	says(1, 4, 10, 0);      /* five, counting this one */
	for (int i = 0; i < 4; i++)
		take();
	ck_assert_uint_eq(take(), 10 * S);
	now += 10 * S;
	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(take(), 0);
	ck_assert_uint_gt(take(), 0);
}
END_TEST

START_TEST(another_window_is_believed)
{
	begin();
	take();
	says(1, 0, 60, 10);
	ck_assert_uint_eq(take(), 60 * S);
	now += 60 * S;
	take();
	says(ticket, 2, 5, 10);         /* the vendor's ends earlier than ours */
	ck_assert_uint_eq(take(), 0);
	ck_assert_uint_eq(take(), 0);
	ck_assert_uint_eq(take(), 5 * S);
}
END_TEST

START_TEST(seconds_are_rounded)
{
	begin();
	take();
	says(1, 5, 10, 0);
	now += S / 2;
	says(1, 9, 10, 0);      /* half a second later, still "10": the same window */
	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(take(), 0);
	ck_assert_uint_eq(take(), 10 * S);
}
END_TEST

START_TEST(blocked_is_blocked)
{
	struct pace_said said = { .blocked = 5 * S }, shorter = { .blocked = S };

	begin();
	take();
	pace_learn(row, now, 1, &said);
	pace_learn(row, now, 1, &shorter);
	ck_assert_uint_eq(take(), 5 * S);
	says(1, 100, 60, 100);  /* a late response has no say in it */
	ck_assert_uint_eq(take(), 5 * S);
	now += 5 * S;
	ck_assert_uint_eq(take(), 0);
}
END_TEST

START_TEST(a_vendor_that_says_nothing_any_more)
{
	struct pace_said nothing = { 0 };

	begin();
	take();
	says(1, 0, 1, 1);
	now += S;
	take();
	pace_learn(row, now, ticket, &nothing);
	now += S;
	for (int i = 0; i < 100; i++)
		ck_assert_uint_eq(take(), 0);
}
END_TEST

enum { THREADS = 4, LEFT = 20000 };

static void *
take_all(void *count)
{
	uint64_t mine;

	while (pace_take(row, 1000 * S, &mine) == 0)
		++*(uint64_t *)count;
	return NULL;
}

START_TEST(workers_share_what_is_left)
{
	pthread_t thread[THREADS];
	uint64_t taken[THREADS] = { 0 }, sum = 0;

	begin();
	take();
	says(1, LEFT, 10, LEFT);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, take_all, &taken[i]),
				 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		sum += taken[i];
	}
	ck_assert_uint_eq(sum, LEFT);
	ck_assert_uint_eq(atomic_load(&row->sent), LEFT + 1);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		rows_are_by_name_until_there_are_no_more,
		nothing_known_holds_nobody,
		what_is_left_and_no_more,
		requests_sent_since_are_taken_off,
		the_next_window_is_opened_with_the_whole_quota,
		a_quota_that_is_not_said_is_guessed,
		another_window_is_believed,
		seconds_are_rounded,
		blocked_is_blocked,
		a_vendor_that_says_nothing_any_more,
		workers_share_what_is_left,
	};

	return unit_run("shm/pace", tests, sizeof tests / sizeof *tests);
}
