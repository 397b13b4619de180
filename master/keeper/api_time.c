/* Times in queries and answers: UTC, always. */
#include <stdio.h>
#include <time.h>

#include "master/keeper/api.h"

void
api_set_time(json_t *doc, const char *key, int64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	char text[32];
	struct tm tm;

	if (!ms || !gmtime_r(&s, &tm)) {
		json_object_set_new(doc, key, json_null());
		return;
	}
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	json_object_set_new(doc, key, json_string(text));
}

/* A number of exactly `n` digits off the front. */
static bool
digits(struct str *s, size_t n, int low, int high, int *to)
{
	unsigned long long value;

	if (s->len < n || !str_u64(str_first(*s, n), (unsigned)high, &value) ||
	    value < (unsigned)low)
		return false;
	*s = str_from(*s, n);
	*to = (int)value;
	return true;
}

static bool
sign(struct str *s, char c)
{
	if (!s->len || *s->at != c)
		return false;
	*s = str_from(*s, 1);
	return true;
}

static bool
calendar(struct str s, int64_t *to)
{
	struct tm tm = { .tm_mday = 1 };

	if (!digits(&s, 4, 1970, 9999, &tm.tm_year) || !sign(&s, '-') ||
	    !digits(&s, 2, 1, 12, &tm.tm_mon))
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	if (s.len && (!sign(&s, '-') || !digits(&s, 2, 1, 31, &tm.tm_mday)))
		return false;
	if (s.len) {
		if (!sign(&s, 'T') || !digits(&s, 2, 0, 23, &tm.tm_hour) ||
		    !sign(&s, ':') || !digits(&s, 2, 0, 59, &tm.tm_min))
			return false;
		if (sign(&s, ':') && !digits(&s, 2, 0, 60, &tm.tm_sec))
			return false;
		sign(&s, 'Z');
	}
	if (s.len)
		return false;
	int day = tm.tm_mday;

	*to = (int64_t)timegm(&tm);
	return tm.tm_mday == day; /* no 31st of February */
}

bool
api_time(struct str text, int64_t now, int64_t *s)
{
	unsigned long long n;
	const char *error;
	uint64_t ms;

	if (calendar(text, s))
		return true;
	if (str_u64(text, 1ull << 40, &n)) {
		*s = (int64_t)n;
		return true;
	}
	if (conf_duration(text, &ms, &error) < 0 || ms / 1000 > (uint64_t)now)
		return false;
	*s = now - (int64_t)(ms / 1000);
	return true;
}
