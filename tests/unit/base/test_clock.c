#include "base/clock.h"

#include <time.h>

#include "tests/unit/unit.h"

static void
set_wall(int64_t ms)
{
	clock_state.now = 0;
	clock_state.wall = ms * 1000000;
}

START_TEST(dates_are_of_imf_fixdate)
{
	set_wall(784111777123);
	ck_assert_str_eq(clock_date(), "Sun, 06 Nov 1994 08:49:37 GMT");
	set_wall(951782400000);
	ck_assert_str_eq(clock_date(), "Tue, 29 Feb 2000 00:00:00 GMT");
}
END_TEST

START_TEST(iso_times_have_milliseconds)
{
	set_wall(784111777009);
	ck_assert_str_eq(clock_iso(), "1994-11-06T08:49:37.009Z");
	set_wall(784111777010);
	ck_assert_str_eq(clock_iso(), "1994-11-06T08:49:37.010Z");
}
END_TEST

START_TEST(the_clock_goes_on_and_knows_the_time)
{
	clock_update();

	uint64_t before = clock_now();
	struct timespec nap = { 0, 2000000 };

	nanosleep(&nap, NULL);
	clock_update();
	ck_assert_uint_ge(clock_now(), before + 2000000);
	ck_assert_uint_eq(clock_ms(), clock_now() / 1000000);

	int64_t off = clock_wall_ms() / 1000 - (int64_t)time(NULL);

	ck_assert(off >= -1 && off <= 1);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		dates_are_of_imf_fixdate, iso_times_have_milliseconds,
		the_clock_goes_on_and_knows_the_time,
	};

	return unit_run("base/clock", tests, sizeof(tests) / sizeof(*tests));
}
