/* store_usage — what was used and how it went, by minute, hour and day.
 *
 * Two tables of the same kind. *usage*: consumer × service, exact, for billing; *rollups*: per service, route,
 * target and consumer, with a latency histogram for p50, p95, p99. Beside them, *booked*: up to where each counter
 * in the region has been added, written in the same transaction as what was added, so that nothing is ever booked
 * twice. */
#ifndef SHM_STORE_USAGE_H
#define SHM_STORE_USAGE_H

#include "base/str.h"
#include "shm/meters.h"
#include "shm/stats.h"
#include "shm/store.h"

enum usage_level { USAGE_MINUTE = 1, USAGE_HOUR, USAGE_DAY, USAGE_LEVELS = 3 };

/* Seconds since 1970 (UTC) at which the window of this level begins that `t` lies in. */
int64_t usage_begin(enum usage_level, int64_t t);

struct usage_sum {
	struct { uint64_t requests, in, out; } of[METER_CLASSES];       /* as struct meter */
};

/* Adds to the windows of all three levels that `at` (seconds since 1970) lies in. */
int store_usage_add(struct store *, int64_t at, struct str consumer, struct str service, const struct usage_sum *);

/* All rows with from ≤ begin < to of a level, by time, then names; `consumer` and `service` may be empty: all. */
struct usage_row { int64_t begin; struct str consumer, service; struct usage_sum sum; };
int store_usage(struct store *, enum usage_level, int64_t from, int64_t to, struct str consumer, struct str service,
		bool (*fn)(void *, const struct usage_row *), void *);

enum rollup_kind { ROLLUP_SERVICE = 1, ROLLUP_ROUTE, ROLLUP_TARGET, ROLLUP_CONSUMER };

struct rollup_sum {
	uint64_t requests, status[5], failed, in, out, us;
	uint32_t histogram[HISTOGRAM_BUCKETS];  /* of the requests that were looked at; stored sparse */
};
/* µs below which `share` of them stayed, to 3.2 %; 0: none. */
uint64_t rollup_quantile(const struct rollup_sum *, double share);

int store_rollup_add(struct store *, int64_t at, enum rollup_kind, struct str name, const struct rollup_sum *);
struct rollup_row { int64_t begin; struct str name; struct rollup_sum sum; };
int store_rollups(struct store *, enum usage_level, enum rollup_kind, int64_t from, int64_t to, struct str name,
		  bool (*fn)(void *, const struct rollup_row *), void *);

/* Deletes windows of a level that began before `before`, of both tables, at most `most` rows at a time. Returns how
 * many, -1. */
int store_usage_expire(struct store *, enum usage_level, int64_t before, int most);

enum { BOOKED_MOST = 1900 };            /* bytes: a row lies within a page */

/* Booked: at most BOOKED_MOST bytes of the caller's by a key of at most 64 bytes. 1; 0: none, or not of this size;
 * -1. */
int store_booked_get(struct store *, struct str key, void *to, size_t size);
int store_booked_put(struct store *, struct str key, const void *from, size_t size);
/* Forgets those whose key begins so. */
int store_booked_drop(struct store *, struct str prefix);
/* Those whose key begins so, in their order, until fn returns false. No call of the store from within fn. */
int store_booked_each(struct store *, struct str prefix, bool (*fn)(void *, struct str key, struct str value), void *);

#endif
