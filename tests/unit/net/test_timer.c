#include "tests/unit/unit.h"

#include "worker/net/timer.h"

static struct wheel wheel;
static uint64_t fired_at[8];
static struct timer timers[8];
static uint64_t now;

static void
fire(struct timer *t)
{
	fired_at[t - timers] = now;
}

static void
begin(void)
{
	now = 1000000;
	wheel_init(&wheel, now);
	for (int i = 0; i < 8; i++)
		timers[i] = (struct timer){ .fire = fire };
}

/* Lets the time go on as the loop would: from one wake-up to the next. */
static void
run_until(uint64_t end)
{
	while (now < end) {
		int wait = wheel_run(&wheel, now);

		now = wait < 0 || now + (uint64_t)wait > end ? end : now + (uint64_t)wait;
	}
	wheel_run(&wheel, now);
}

START_TEST(fires_at_its_time_or_a_tick_later)
{
	static const uint64_t after[] = { 1, 63, 64, 65, 1000, 32000, 40000, 3600000 };

	begin();
	for (int i = 0; i < 8; i++)
		timer_set(&wheel, &timers[i], now + after[i]);
	run_until(1000000 + 3700000);
	for (int i = 0; i < 8; i++) {
		ck_assert_uint_ge(fired_at[i], 1000000 + after[i]);
		ck_assert_uint_le(fired_at[i], 1000000 + after[i] + 2 * TIMER_TICK_MS);
	}
	ck_assert_int_eq(wheel_run(&wheel, now), -1);
}
END_TEST

START_TEST(moved_and_cleared)
{
	begin();
	timer_set(&wheel, &timers[0], now + 500);
	timer_set(&wheel, &timers[0], now + 2000);      /* further: stays where it is */
	timer_set(&wheel, &timers[1], now + 2000);
	timer_set(&wheel, &timers[1], now + 300);       /* nearer */
	timer_set(&wheel, &timers[2], now + 300);
	timer_clear(&timers[2]);
	timer_set(&wheel, &timers[3], now + 300);
	timer_remove(&wheel, &timers[3]);
	ck_assert_uint_eq(wheel.armed, 3);
	run_until(now + 1000);
	ck_assert_uint_eq(fired_at[0], 0);
	ck_assert_uint_ne(fired_at[1], 0);
	run_until(now + 2000);
	ck_assert_uint_ge(fired_at[0], 1002000);
	ck_assert_uint_eq(fired_at[2], 0);
	ck_assert_uint_eq(fired_at[3], 0);
	ck_assert_uint_eq(wheel.armed, 0);
}
END_TEST

START_TEST(after_a_long_sleep)
{
	begin();
	now += 10 * 3600000; /* nothing was armed: nobody ran it */
	timer_set(&wheel, &timers[0], now + 100);
	wheel_run(&wheel, now);
	ck_assert_uint_eq(fired_at[0], 0);
	run_until(now + 300);
	ck_assert_uint_ne(fired_at[0], 0);
}
END_TEST

static void
remove_next(struct timer *t)
{
	timer_remove(&wheel, t + 1);
	timer_set(&wheel, t, now + 1000);
}

START_TEST(firing_changes_the_wheel)
{
	begin();
	timers[0].fire = remove_next;
	timer_set(&wheel, &timers[0], now + 100);
	timer_set(&wheel, &timers[1], now + 100);
	run_until(now + 500);
	ck_assert_uint_eq(fired_at[1], 0);
	ck_assert_uint_eq(wheel.armed, 1);
	timer_remove(&wheel, &timers[0]);
	timer_remove(&wheel, &timers[0]);
	ck_assert_uint_eq(wheel.armed, 0);
}
END_TEST

int
main(void)
{
	static const TTest *tests[4];
	size_t n = 0;

	tests[n++] = fires_at_its_time_or_a_tick_later;
	tests[n++] = moved_and_cleared;
	tests[n++] = after_a_long_sleep;
	tests[n++] = firing_changes_the_wheel;
	return unit_run("timer", tests, n);
}
