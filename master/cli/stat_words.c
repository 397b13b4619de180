#include <inttypes.h>

#include "master/cli/stat.h"

const char *
stat_role(const struct stat_process *p)
{
	static const char *const names[] = { "free", "master", "keeper", "worker" };

	return (unsigned)p->role < sizeof(names) / sizeof(*names) ? names[p->role] : "?";
}

const char *
stat_state(const struct stat_process *p)
{
	static const char *const names[] = { "starting", "serving", "draining" };

	return (unsigned)p->state < sizeof(names) / sizeof(*names) ? names[p->state]
								   : "?";
}

const char *
stat_store(const struct stat_view *v)
{
	static const char *const names[] = {
		[STORE_UNKNOWN] = "unknown", [STORE_OK] = "ok",
		[STORE_READONLY] = "read-only", [STORE_BAD] = "bad",
	};
	uint32_t state = v->shared.control->store_state;

	return state < sizeof(names) / sizeof(*names) ? names[state] : "?";
}

double
stat_series_quantile(const struct stats_series *s, double share)
{
	uint64_t total = 0;
	double wanted, seen = 0;

	for (int i = 0; i < SERIES_BUCKETS; i++)
		total += s->bucket[i];
	if (!total)
		return 0;
	wanted = share * (double)total;
	for (int i = 0; i < SERIES_BUCKETS; i++) {
		double n = (double)s->bucket[i];
		double low = i ? (double)(1ull << (i + 7)) : 0;
		double high = (double)(1ull << (i + 8));

		if (n > 0 && seen + n >= wanted)
			return low + (high - low) * (wanted - seen) / n;
		seen += n;
	}
	return (double)(1ull << (SERIES_BUCKETS + 7));
}

void
stat_split(struct str name, struct str *group, struct str *member)
{
	ptrdiff_t slash = str_find(name, '/');

	*group = slash < 0 ? name : str_first(name, (size_t)slash);
	*member = slash < 0 ? STR("") : str_from(name, (size_t)slash + 1);
}

const char *
stat_span(uint64_t ms, char buf[static 32])
{
	uint64_t s = ms / 1000;

	if (s < 60)
		snprintf(buf, 32, "%" PRIu64 ".%" PRIu64 "s", s, ms / 100 % 10);
	else if (s < 3600)
		snprintf(buf, 32, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, 32, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
	else
		snprintf(buf, 32, "%" PRIu64 "d%02" PRIu64 "h", s / 86400, s / 3600 % 24);
	return buf;
}

const char *
stat_latency(double us, char buf[static 32])
{
	if (us < 1000)
		snprintf(buf, 32, "%.0fus", us);
	else if (us < 1000000)
		snprintf(buf, 32, "%.1fms", us / 1000);
	else
		snprintf(buf, 32, "%.2fs", us / 1000000);
	return buf;
}
