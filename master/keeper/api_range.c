#include "master/keeper/api_range.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

static const struct {
	const char *name;
	enum usage_level level;
	bool months;
	int64_t usual; /* seconds back, when `from` is left out */
} levels[] = {
	{ "minute", USAGE_MINUTE, false, 3600 },
	{ "hour", USAGE_HOUR, false, 24 * 3600 },
	{ "day", USAGE_DAY, false, 30 * 86400 },
	{ "month", USAGE_DAY, true, 365 * 86400 },
};

int64_t
api_range_begin(const struct api_range *g, int64_t begin)
{
	time_t t = (time_t)begin;
	struct tm tm;

	if (!g->months || !gmtime_r(&t, &tm))
		return begin;
	tm.tm_mday = 1;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	return (int64_t)timegm(&tm);
}

static int
bound(const struct api_request *r, struct api_answer *a, const char *key, int64_t now,
      int64_t *to)
{
	struct str s;

	if (!api_query(r, key, &s) || !s.len)
		return 0;
	if (api_time(s, now, to))
		return 1;
	api_problem(r, a, 400,
		    "%s is a time in UTC: \"2026-11-21\", \"2026-11\", "
		    "\"2026-11-21T11:00Z\", or so long "
		    "ago: \"7d\"",
		    key);
	return -1;
}

bool
api_range(const struct api_request *r, struct api_answer *a, struct api_range *g)
{
	int64_t now = clock_wall_ms() / 1000;
	struct str by = STR("day"), format = STR("json");
	size_t i = 0, n = sizeof(levels) / sizeof(*levels);

	api_query(r, "by", &by);
	api_query(r, "format", &format);
	while (i < n && !str_eq(by, str_of(levels[i].name)))
		i++;
	if (i == n) {
		api_problem(r, a, 400, "by is minute, hour, day or month");
		return false;
	}
	g->csv = str_eq(format, STR("csv"));
	if (!g->csv && !str_eq(format, STR("json"))) {
		api_problem(r, a, 400, "format is json or csv");
		return false;
	}
	g->by = levels[i].name;
	g->level = levels[i].level;
	g->months = levels[i].months;
	g->from = now - levels[i].usual;
	g->to = now + 1;
	if (bound(r, a, "from", now, &g->from) < 0 || bound(r, a, "to", now, &g->to) < 0)
		return false;
	/* The window that `from` lies in is shown whole. */
	g->from = api_range_begin(g, usage_begin(g->level, g->from));
	return true;
}

void
api_range_put(char to[24], int64_t begin)
{
	time_t t = (time_t)begin;
	struct tm tm;

	*to = 0;
	if (gmtime_r(&t, &tm))
		strftime(to, 24, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

void
api_csv(FILE *out, struct str s)
{
	/* What a spreadsheet would take for a formula is text. */
	bool formula = s.len && strchr("=+-@\t\r", *s.at);

	if (!formula && str_find(s, ',') < 0 && str_find(s, '"') < 0 &&
	    str_find(s, '\n') < 0) {
		fprintf(out, "%.*s", STR_ARG(s));
		return;
	}
	fputs(formula ? "\"'" : "\"", out);
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] == '"')
			putc('"', out);
		putc(s.at[i], out);
	}
	putc('"', out);
}

void
api_csv_done(const struct api_request *r, struct api_answer *a, FILE *out, char **text,
	     size_t *len)
{
	bool bad = ferror(out);

	if (fclose(out) == EOF || bad) {
		free(*text);
		api_problem(r, a, 503, "out of memory");
		return;
	}
	arena_defer(r->arena, free, *text);
	a->status = 200;
	a->type = "text/csv; charset=utf-8; header=present";
	a->body = (struct str){ *text, *len };
}
