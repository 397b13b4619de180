#include "base/clock.h"

#include <stdio.h>
#include <time.h>

struct clock_state clock_state = { .date_s = INT64_MIN, .iso_ms = INT64_MIN };

static uint64_t
read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Wall time is read as an offset, seldom: once each 100 ms of monotonic time. */
void
clock_update(void)
{
	static uint64_t next;
	uint64_t now = read_clock(CLOCK_MONOTONIC);

	clock_state.now = now;
	clock_state.ms = now / 1000000;
	if (now >= next) {
		clock_state.wall = (int64_t)(read_clock(CLOCK_REALTIME) - now);
		next = now + 100000000;
	}
}

/* Always two digits, so that the compiler sees that a date fits. */
static char *
put2(char *to, int n)
{
	to[0] = (char)('0' + n / 10 % 10);
	to[1] = (char)('0' + n % 10);
	return to + 2;
}

static char *
put4(char *to, int n)
{
	return put2(put2(to, n / 100), n % 100);
}

static int64_t
floor_div(int64_t n, int64_t by)
{
	return n / by - (n % by < 0);
}

const char *
clock_date(void)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int64_t s = floor_div(clock_wall_ms(), 1000);

	if (s == clock_state.date_s)
		return clock_state.date;

	time_t t = (time_t)s;
	struct tm tm;
	char *p = clock_state.date;

	gmtime_r(&t, &tm);
	for (int i = 0; i < 3; i++)
		*p++ = days[tm.tm_wday * 3 + i];
	*p++ = ',';
	*p++ = ' ';
	p = put2(p, tm.tm_mday);
	*p++ = ' ';
	for (int i = 0; i < 3; i++)
		*p++ = months[tm.tm_mon * 3 + i];
	*p++ = ' ';
	p = put4(p, tm.tm_year + 1900);
	*p++ = ' ';
	p = put2(p, tm.tm_hour);
	*p++ = ':';
	p = put2(p, tm.tm_min);
	*p++ = ':';
	p = put2(p, tm.tm_sec);
	for (const char *z = " GMT"; *z; z++)
		*p++ = *z;
	*p = '\0';
	clock_state.date_s = s;
	return clock_state.date;
}

const char *
clock_iso(void)
{
	int64_t ms = clock_wall_ms();

	if (ms == clock_state.iso_ms)
		return clock_state.iso;

	time_t t = (time_t)floor_div(ms, 1000);
	int part = (int)(ms - (int64_t)t * 1000);
	struct tm tm;
	char *p = clock_state.iso;

	gmtime_r(&t, &tm);
	p = put4(p, tm.tm_year + 1900);
	*p++ = '-';
	p = put2(p, tm.tm_mon + 1);
	*p++ = '-';
	p = put2(p, tm.tm_mday);
	*p++ = 'T';
	p = put2(p, tm.tm_hour);
	*p++ = ':';
	p = put2(p, tm.tm_min);
	*p++ = ':';
	p = put2(p, tm.tm_sec);
	*p++ = '.';
	*p++ = (char)('0' + part / 100);
	p = put2(p, part % 100);
	*p++ = 'Z';
	*p = '\0';
	clock_state.iso_ms = ms;
	return clock_state.iso;
}

uint64_t
clock_read(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}
