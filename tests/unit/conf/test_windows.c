/* When windows of the calendar end: in several zones, over daylight saving, at month
 * ends. */
#include <stdlib.h>
#include <time.h>

#include "conf/model.h"
#include "tests/unit/unit.h"

/* Seconds since 1970 of "2026-03-29T00:59:30Z". */
static int64_t
utc(const char *text)
{
	struct tm tm = { 0 };

	ck_assert_msg(strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm) != NULL, "%s", text);
	return timegm(&tm);
}

static const struct {
	enum conf_window window;
	const char *zone, *now, *ends;
} cases[] = {
	{ CONF_MINUTE, "", "2026-11-21T11:04:00Z", "2026-11-21T11:05:00Z" },
	{ CONF_MINUTE, "Asia/Kolkata", "2026-11-21T11:04:59Z", "2026-11-21T11:05:00Z" },
	{ CONF_HOUR, "", "2026-11-21T11:04:00Z", "2026-11-21T12:00:00Z" },
	{ CONF_HOUR, "", "2026-11-21T11:00:00Z", "2026-11-21T12:00:00Z" },
	{ CONF_HOUR, "Asia/Kolkata", "2026-11-21T11:04:00Z", "2026-11-21T11:30:00Z" },
	{ CONF_HOUR, "Asia/Kathmandu", "2026-11-21T11:04:00Z", "2026-11-21T11:15:00Z" },
	{ CONF_DAY, "", "2026-11-21T11:04:00Z", "2026-11-22T00:00:00Z" },
	{ CONF_DAY, "", "2026-11-21T23:59:59Z", "2026-11-22T00:00:00Z" },
	{ CONF_DAY, "", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z" },
	{ CONF_DAY, "", "2028-02-28T12:00:00Z", "2028-02-29T00:00:00Z" },
	{ CONF_DAY, "", "2100-02-28T12:00:00Z", "2100-03-01T00:00:00Z" },
	{ CONF_WEEK, "", "2026-11-21T11:04:00Z", "2026-11-23T00:00:00Z" },
	{ CONF_WEEK, "", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z" },
	{ CONF_WEEK, "", "2027-01-01T00:00:00Z", "2027-01-04T00:00:00Z" },
	{ CONF_MONTH, "", "2026-11-21T11:04:00Z", "2026-12-01T00:00:00Z" },
	{ CONF_MONTH, "", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z" },
	{ CONF_MONTH, "", "2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z" },
	{ CONF_MONTH, "", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z" },
	{ CONF_MONTH, "", "2027-02-28T10:00:00Z", "2027-03-01T00:00:00Z" },
	/* Berlin: an hour is missing on 2026-03-29, one is twice there on 2026-10-25. */
	{ CONF_DAY, "Europe/Berlin", "2026-03-28T22:59:59Z", "2026-03-28T23:00:00Z" },
	{ CONF_DAY, "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z" },
	{ CONF_DAY, "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29T22:00:00Z" },
	{ CONF_DAY, "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z" },
	{ CONF_DAY, "Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-25T23:00:00Z" },
	{ CONF_HOUR, "Europe/Berlin", "2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z" },
	{ CONF_HOUR, "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z" },
	{ CONF_HOUR, "Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z" },
	{ CONF_WEEK, "Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-29T22:00:00Z" },
	{ CONF_WEEK, "Europe/Berlin", "2026-10-20T12:00:00Z", "2026-10-25T23:00:00Z" },
	{ CONF_MONTH, "Europe/Berlin", "2026-03-15T12:00:00Z", "2026-03-31T22:00:00Z" },
	{ CONF_MONTH, "Europe/Berlin", "2026-10-15T12:00:00Z", "2026-10-31T23:00:00Z" },
	{ CONF_MONTH, "Europe/Berlin", "2026-12-31T22:59:59Z", "2026-12-31T23:00:00Z" },
	{ CONF_MONTH, "America/New_York", "2026-11-21T12:00:00Z", "2026-12-01T05:00:00Z" },
	{ CONF_MONTH, "America/New_York", "2026-12-01T04:59:59Z", "2026-12-01T05:00:00Z" },
	{ CONF_DAY, "America/New_York", "2026-11-01T12:00:00Z", "2026-11-02T05:00:00Z" },
	{ CONF_MONTH, "Pacific/Kiritimati", "2026-11-30T10:00:00Z", "2026-12-31T10:00:00Z" },
	{ CONF_MONTH, "Australia/Lord_Howe", "2026-10-01T00:00:00Z", "2026-10-31T13:00:00Z" },
	/* Beirut, Santiago: midnight itself does not exist in spring. */
	{ CONF_DAY, "America/Santiago", "2023-09-02T12:00:00Z", "2023-09-03T04:00:00Z" },
	{ CONF_DAY, "America/Santiago", "2023-09-03T04:00:00Z", "2023-09-04T03:00:00Z" },
	/* Havana: 0:00 to 0:59 is twice there; the day begins once. */
	{ CONF_DAY, "America/Havana", "2023-11-04T12:00:00Z", "2023-11-05T04:00:00Z" },
	{ CONF_DAY, "America/Havana", "2023-11-05T04:30:00Z", "2023-11-06T05:00:00Z" },
	{ CONF_DAY, "America/Havana", "2023-11-05T05:30:00Z", "2023-11-06T05:00:00Z" },
	/* Samoa had no 2011-12-30. */
	{ CONF_DAY, "Pacific/Apia", "2011-12-30T09:00:00Z", "2011-12-30T10:00:00Z" },
	{ CONF_DAY, "Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z" },
};

START_TEST(windows_end_by_the_calendar)
{
	if (!conf_zone_known(STR("Europe/Berlin")))
		puts("tzdata is not installed: UTC only");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct str zone = str_of(cases[i].zone);
		int64_t now = utc(cases[i].now), got;

		if (!conf_zone_known(zone))
			continue;
		got = (int64_t)conf_window_ends(cases[i].window, zone, now) * 60;
		ck_assert_msg(got == utc(cases[i].ends),
			      "%s of %s at %s ends %+lld s beside %s",
			      conf_window_names[cases[i].window], cases[i].zone,
			      cases[i].now, (long long)(got - utc(cases[i].ends)),
			      cases[i].ends);
	}
}
END_TEST

/* Over two years: a window ends after now, is no longer than it may be, and whenever it
 * is asked within it, the end is the same. */
START_TEST(windows_follow_each_other)
{
	static const char *const zones[] = { "", "Europe/Berlin", "America/New_York",
					     "Australia/Lord_Howe", "America/Santiago" };
	static const int most[] = { 60, 3600, 25 * 3600, 169 * 3600, 31 * 86400 + 3600 };

	for (size_t z = 0; z < sizeof(zones) / sizeof(*zones); z++)
		for (int w = CONF_HOUR; w < CONF_WINDOWS; w++) {
			struct str zone = str_of(zones[z]);
			int64_t at = utc("2026-01-01T00:00:00Z"), last = 0;
			int64_t stop = utc("2028-01-01T00:00:00Z");

			if (!conf_zone_known(zone))
				continue;
			for (; at < stop; at += 977) {
				int64_t end =
					(int64_t)conf_window_ends(w, zone, at) * 60;

				/* Until it ends, nothing else does. */
				if (end <= at || end - at > most[w] ||
				    (last > at && last != end))
					ck_abort_msg("%s of %s: %lld ends %lld, %lld before",
						     conf_window_names[w], zones[z],
						     (long long)at, (long long)end,
						     (long long)last);
				last = end;
			}
		}
}
END_TEST

START_TEST(the_zone_of_the_process_stays)
{
	setenv("TZ", "America/New_York", 1);
	tzset();
	conf_window_ends(CONF_DAY, STR("Asia/Tokyo"), utc("2030-05-05T05:05:05Z"));
	ck_assert_str_eq(getenv("TZ"), "America/New_York");
	unsetenv("TZ");
	tzset();
	conf_window_ends(CONF_DAY, STR("Asia/Tokyo"), utc("2031-05-05T05:05:05Z"));
	ck_assert_ptr_null(getenv("TZ"));
}
END_TEST

START_TEST(zones_are_those_of_tzdata)
{
	static const char *const bad[] = { "Berlin", "Europe", "../../etc/passwd", "/etc/localtime",
					   "zone.tab", "CEST", "UTC+2", "Europe/Berlin ", "." };

	ck_assert(conf_zone_known(STR_NONE));
	ck_assert(conf_zone_known(STR("UTC")));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(!conf_zone_known(str_of(bad[i])), "%s", bad[i]);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		windows_end_by_the_calendar,
		windows_follow_each_other,
		the_zone_of_the_process_stays,
		zones_are_those_of_tzdata,
	};

	return unit_run("windows", tests, sizeof(tests) / sizeof(*tests));
}
