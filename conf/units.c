#include <ctype.h>
#include <inttypes.h>

#include "conf/reader.h"

struct unit {
	struct str name;
	uint64_t factor;
};

static const struct unit times[] = {
	{ { "d", 1 }, 86400000 }, { { "h", 1 }, 3600000 }, { { "m", 1 }, 60000 },
	{ { "s", 1 }, 1000 },     { { "ms", 2 }, 1 },
};

static const struct unit sizes[] = {
	{ { "TiB", 3 }, 1ull << 40 },
	{ { "GiB", 3 }, 1ull << 30 },
	{ { "MiB", 3 }, 1 << 20 },
	{ { "KiB", 3 }, 1 << 10 },
	{ { "B", 1 }, 1 },
};

enum { RATE_MOST = 10000000 };
/* As shm/quotas.h counts. */
#define QUOTA_MOST ((1ull << 36) - 1)

enum { TIMES = sizeof(times) / sizeof(*times), SIZES = sizeof(sizes) / sizeof(*sizes) };

static bool
digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits off the front; false when there are none or too many. */
static bool
number(struct str *s, uint64_t *value)
{
	size_t n = 0;
	unsigned long long v;

	while (n < s->len && digit(s->at[n]))
		n++;
	if (!str_u64(str_first(*s, n), INT64_MAX, &v))
		return false;
	*value = v;
	*s = str_from(*s, n);
	return true;
}

/* A unit off the front: all letters up to the next digit. */
static const struct unit *
unit(struct str *s, const struct unit *units, int n)
{
	size_t len = 0;

	while (len < s->len && !digit(s->at[len]))
		len++;
	for (int i = 0; i < n; i++)
		if (str_eq(str_first(*s, len), units[i].name)) {
			*s = str_from(*s, len);
			return &units[i];
		}
	return NULL;
}

int
conf_duration(struct str s, uint64_t *ms, const char **error)
{
	uint64_t total = 0, before = UINT64_MAX;

	*error = "a duration is a string with units: \"250ms\", \"30s\", \"1h30m\"";
	if (!s.len)
		return -1;
	while (s.len) {
		uint64_t v;
		const struct unit *u;

		if (!number(&s, &v) || !(u = unit(&s, times, TIMES)) ||
		    u->factor >= before)
			return -1;
		before = u->factor;
		if (v > (uint64_t)INT64_MAX / u->factor - total / u->factor - 1) {
			*error = "a duration this long makes no sense";
			return -1;
		}
		total += v * u->factor;
	}
	*ms = total;
	*error = NULL;
	return 0;
}

int
conf_size(struct str s, uint64_t *bytes, const char **error)
{
	uint64_t v;
	const struct unit *u;

	*error = "a size is a string with a unit of B, KiB, MiB, GiB or TiB: \"64KiB\"";
	if (!number(&s, &v) || !(u = unit(&s, sizes, SIZES)) || s.len)
		return -1;
	if (v > (uint64_t)INT64_MAX / u->factor) {
		*error = "a size this large makes no sense";
		return -1;
	}
	*bytes = v * u->factor;
	*error = NULL;
	return 0;
}

int
conf_share(struct str s, uint32_t *hundredths, const char **error)
{
	uint64_t whole, part = 0;

	*error = "a share is a string with a percent sign, from \"0%\" to \"100%\": "
		 "\"20%\", \"12.5%\"";
	if (!number(&s, &whole) || whole > 100)
		return -1;
	if (s.len && *s.at == '.') {
		size_t before = s.len - 1;

		s = str_from(s, 1);
		if (!number(&s, &part) || before - s.len > 2)
			return -1;
		if (before - s.len == 1)
			part *= 10;
	}
	if (!str_eq(s, STR("%")) || whole * 100 + part > 10000)
		return -1;
	*hundredths = (uint32_t)(whole * 100 + part);
	*error = NULL;
	return 0;
}

struct period {
	struct str name;
	int window;                     /* enum conf_window; -1: of a rate alone */
	uint64_t ms;                    /* 0: of a quota alone */
};

static const struct period periods[] = {
	{ { "s", 1 }, -1, 1000 },
	{ { "sec", 3 }, -1, 1000 },
	{ { "second", 6 }, -1, 1000 },
	{ { "min", 3 }, CONF_MINUTE, 60000 },
	{ { "minute", 6 }, CONF_MINUTE, 60000 },
	{ { "h", 1 }, CONF_HOUR, 3600000 },
	{ { "hour", 4 }, CONF_HOUR, 3600000 },
	{ { "d", 1 }, CONF_DAY, 86400000 },
	{ { "day", 3 }, CONF_DAY, 86400000 },
	{ { "week", 4 }, CONF_WEEK, 0 },
	{ { "month", 5 }, CONF_MONTH, 0 },
};

/* "100/s". NULL: it is nothing of the kind. */
static const struct period *
count_by_period(struct str s, uint64_t *count)
{
	if (!number(&s, count) || !*count || !s.len || *s.at != '/')
		return NULL;
	s = str_from(s, 1);
	for (size_t i = 0; i < sizeof(periods) / sizeof(*periods); i++)
		if (str_eq(s, periods[i].name))
			return &periods[i];
	return NULL;
}

int
conf_rate(struct str s, uint64_t *count, uint64_t *period_ms, const char **error)
{
	const struct period *p = count_by_period(s, count);

	*error = NULL;
	if (p && p->ms && *count <= RATE_MOST) {
		*period_ms = p->ms;
		return 0;
	}
	if (p && !p->ms)
		*error = "weeks and months are windows of a quota; a rate is per s, min, h "
			 "or day";
	else if (p)
		*error = "a rate counts up to 10000000 requests in its period";
	else
		*error = "a rate is a string with a count and a period, s, min, h or day: "
			 "\"100/s\", \"60/min\"";
	return -1;
}

int
conf_quota(struct str s, struct conf_quota *q, const char **error)
{
	const struct period *p = count_by_period(s, &q->count);

	*error = NULL;
	if (p && p->window >= 0 && q->count <= QUOTA_MOST) {
		q->window = p->window;
		return 0;
	}
	if (p && p->window < 0)
		*error = "a quota counts in windows of the calendar, minute, hour, day, week "
			 "or month; what is per second is a rate";
	else if (p)
		*error = "a quota counts up to 68719476735 requests";
	else
		*error = "a quota is a string with a count and a window, minute, hour, day, "
			 "week or month: \"10000/day\", \"5000000/month\"";
	return -1;
}

void
put_duration(char *to, uint64_t ms)
{
	int n = 0, parts = 0;

	if (!ms) {
		memcpy(to, "0s", 3);
		return;
	}
	for (int i = 0; i < TIMES && ms && parts < 3; i++)
		if (ms >= times[i].factor) {
			n += snprintf(to + n, 32 - (size_t)n, "%" PRIu64 "%s",
				      ms / times[i].factor, times[i].name.at);
			ms %= times[i].factor;
			parts++;
		}
}

void
put_size(char *to, uint64_t bytes)
{
	int i = 0;

	while (i < SIZES - 1 && (!bytes || bytes % sizes[i].factor))
		i++;
	snprintf(to, 32, "%" PRIu64 "%s", bytes / sizes[i].factor, sizes[i].name.at);
}
