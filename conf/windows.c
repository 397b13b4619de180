#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "conf/model.h"

enum { DAY = 1440, ZONE_MAX = 63, SETS = 64, A_SET = 4 };

const char *const conf_window_names[CONF_WINDOWS] = { "minute", "hour", "day", "week",
						      "month" };

/* Days since 1970 of a date; months from 0. */
static int64_t
day_of(int64_t year, int month, int day)
{
	/* Years that begin in March: the leap day is the last one. */
	int64_t y = month < 2 ? year - 1 : year;
	int64_t since = (153 * (month < 2 ? month + 10 : month - 2) + 2) / 5 + day - 1;
	int64_t age = y / 400 - (y % 400 < 0), of_age = y - age * 400;

	return age * 146097 + of_age * 365 + of_age / 4 - of_age / 100 + since - 719468;
}

/* Which window of the calendar a minute lies in: it never falls as time goes on, but for
 * hours, that are an hour long whatever the clocks do. */
static int64_t
number(enum conf_window w, int64_t minute)
{
	time_t at = (time_t)(minute * 60);
	struct tm tm;

	if (!localtime_r(&at, &tm))
		return minute / DAY;

	int64_t year = 1900 + (int64_t)tm.tm_year;

	if (w == CONF_MONTH)
		return year * 12 + tm.tm_mon;

	int64_t day = day_of(year, tm.tm_mon, tm.tm_mday);

	/* 1970 began on a Thursday. */
	return w == CONF_WEEK ? (day + 3) / 7 : day;
}

/* The first minute after `now` that lies in another window. */
static int64_t
next(enum conf_window w, int64_t now)
{
	static const int longest[CONF_WINDOWS] = { 0, 0, 26 * 60, 8 * DAY, 32 * DAY };
	int64_t this, low = now, high;

	if (w == CONF_MINUTE)
		return now + 1;
	if (w == CONF_HOUR) {
		time_t at = (time_t)(now * 60);
		struct tm tm;
		int64_t east = localtime_r(&at, &tm) ? tm.tm_gmtoff / 60 : 0;

		return now + 60 - (now + east) % 60;
	}
	this = number(w, now);
	for (high = now + longest[w]; number(w, high) <= this; high += DAY)
		low = high;
	while (high - low > 1) {
		int64_t middle = low + (high - low) / 2;

		if (number(w, middle) > this)
			high = middle;
		else
			low = middle;
	}
	return high;
}

/* Runs in that zone, and gives back the one that there was. */
static int64_t
next_in(enum conf_window w, struct str zone, int64_t now)
{
	const char *have = getenv("TZ");
	char *before = have ? strdup(have) : NULL, name[ZONE_MAX + 2];
	int64_t end;

	snprintf(name, sizeof(name), ":%.*s", STR_ARG(zone.len ? zone : STR("UTC")));
	setenv("TZ", name, 1);
	tzset();
	end = next(w, now);
	if (before)
		setenv("TZ", before, 1);
	else
		unsetenv("TZ");
	tzset();
	free(before);
	return end;
}

uint32_t
conf_window_ends(enum conf_window w, struct str zone, int64_t now)
{
	/* What was asked for is asked for again, by every request, until it ends. */
	static struct period {
		int64_t from, to;       /* minutes; `from` is when it was found out */
		uint8_t window, len;
		char zone[ZONE_MAX];
	} kept[SETS][A_SET];
	static unsigned oldest;
	int64_t minute = now > 0 ? now / 60 : 0;
	struct period *set, *p;

	if (w == CONF_MINUTE)
		return (uint32_t)(minute + 1);
	if (zone.len > ZONE_MAX)
		zone.len = 0;
	set = kept[(str_hash(zone) + w) % SETS];
	for (p = set; p < set + A_SET; p++)
		if (p->window == w && minute >= p->from && minute < p->to &&
		    str_eq(zone, (struct str){ p->zone, p->len }))
			return (uint32_t)p->to;
	p = &set[oldest++ % A_SET];
	*p = (struct period){ minute, next_in(w, zone, minute), (uint8_t)w,
			      (uint8_t)zone.len, "" };
	memcpy(p->zone, zone.at ? zone.at : "", zone.len);
	return (uint32_t)p->to;
}

bool
conf_zone_known(struct str zone)
{
	const char *dir = getenv("TZDIR");
	char path[512], magic[4];
	struct stat st;

	if (!zone.len || str_eq(zone, STR("UTC")))
		return true;
	if (zone.len > ZONE_MAX || *zone.at == '/' || *zone.at == '.' ||
	    memmem(zone.at, zone.len, "..", 2))
		return false;
	for (size_t i = 0; i < zone.len; i++)
		if (zone.at[i] <= ' ' || zone.at[i] >= 0x7f)
			return false;
	if ((size_t)snprintf(path, sizeof(path), "%s/%.*s",
			     dir && *dir ? dir : "/usr/share/zoneinfo",
			     STR_ARG(zone)) >= sizeof(path))
		return false;

	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool known = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		     read(fd, magic, 4) == 4 && memcmp(magic, "TZif", 4) == 0;

	if (fd >= 0)
		close(fd);
	return known;
}
