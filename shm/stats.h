/* stats — counters of each worker: plain words with one writer, summed by the reader.
 *
 * A page belongs to a row of shm/slots.h; when a worker dies, the next one that gets the
 * row counts on, so that the sum over all rows never goes back. Beside the page of the
 * worker itself there is one line of counters for each *series*: a route
 * ("orders-api/create") or a target ("orders/10.0.1.11:8080"), known by name for as long
 * as the region lives, so that counters outlive reloads and upgrades. */
#ifndef SHM_STATS_H
#define SHM_STATS_H

#include <stdint.h>

#include "base/str.h"
#include "shm/region.h"

enum metric {
#define METRIC(id, name, help) METRIC_##id,
#include "shm/metrics.def"
#undef METRIC
	METRIC_COUNT
};

struct metric_info {
	const char *name, *help;
};
extern const struct metric_info metric_info[METRIC_COUNT];

/* Latency histogram, log-linear: HISTOGRAM_SUB buckets to each power of two of µs: 6.25 % wide, so that
 * the middle of a bucket is never further than 3.2 % from what fell into it. */
enum { HISTOGRAM_SUB = 16, HISTOGRAM_BITS = 4, HISTOGRAM_BUCKETS = 16 * 26 };

static inline unsigned
histogram_bucket(uint64_t us)
{
	unsigned e;

	if (us < HISTOGRAM_SUB)
		return (unsigned)us;
	e = 63 - (unsigned)__builtin_clzll(us);         /* at least HISTOGRAM_BITS */
	e = (e - HISTOGRAM_BITS + 1) * HISTOGRAM_SUB +
	    (unsigned)((us >> (e - HISTOGRAM_BITS)) & (HISTOGRAM_SUB - 1));
	return e < HISTOGRAM_BUCKETS ? e : HISTOGRAM_BUCKETS - 1;
}

/* The lowest µs of a bucket. */
uint64_t histogram_floor(unsigned bucket);

enum { STATS_WORDS = METRIC_COUNT + HISTOGRAM_BUCKETS + 1, PAGE_WORDS = 512 };

struct stats_page {                     /* one worker's: whole pages, so that to look at it touches no other */
	uint64_t count[METRIC_COUNT];
	uint64_t latency[HISTOGRAM_BUCKETS];    /* whole exchange, accept of the head to the last byte sent */
	uint64_t latency_sum;                   /* µs */
	uint64_t spare[PAGE_WORDS - STATS_WORDS % PAGE_WORDS];
} __attribute__((aligned(64)));

/* Coarse histogram of a series: bucket i counts what took less than 2^(i + 8) µs (256 µs, 512 µs, 1 ms … 4.2 s)
 * and not less than the one before; the last one all the rest. */
enum { SERIES_BUCKETS = 16 };

static inline unsigned
series_bucket(uint64_t us)
{
	unsigned e = us < 256 ? 0 : 56 - (unsigned)__builtin_clzll(us);

	return e < SERIES_BUCKETS ? e : SERIES_BUCKETS - 1;
}

/* One worker's, of one series: three cache lines. What is timed: of a route the whole exchange, of a service what it
 * took inside the gateway, of a target the time to the first byte of its response, of a connect that. */
struct stats_series {
	uint64_t requests;
	uint64_t status[5];             /* 1xx … 5xx */
	uint64_t us;                    /* sum */
	uint64_t failed;                /* answered by the gateway's own error, or attempt failed */
	uint64_t bucket[SERIES_BUCKETS];
};
_Static_assert(sizeof(struct stats_series) == 192, "three cache lines");

enum { SERIES_MAX = 16384 };            /* more fold into series 0, "other" */
enum series_kind {
	SERIES_FREE, SERIES_OTHER,
	SERIES_ROUTE,                   /* "service/route" */
	SERIES_TARGET,                  /* "upstream/target" */
	SERIES_SERVICE,                 /* "service" */
	SERIES_LISTENER,                /* "listener"; requests: connections, failed: refused */
	SERIES_POLICY,                  /* "type/name", inline ones "type/file:line" */
	SERIES_CONNECT,                 /* "upstream/target": connections made to it */
	SERIES_FILE,                    /* of the configuration: no counters, records point here */
};

struct series_name {
	uint32_t kind;                  /* enum series_kind, written last */
	uint32_t len;
	char name[120];                 /* longer ones are cut, and end in a hash of the whole */
};

struct series_index;                    /* from a name to its index */

struct stats {                          /* this process's view: pointers into the region */
	struct stats_page *pages;       /* SLOTS_MAX */
	struct stats_series *series;    /* SLOTS_MAX × SERIES_MAX, touched pages only */
	struct series_name *names;      /* SERIES_MAX; appended by one process at a time */
	struct series_index *index;
	struct region *region;
};

/* -1 if the region is full. */
int stats_open(struct stats *, struct region *);
/* Read-only: what it gives must not be written. -1 if they are not there in this shape. */
int stats_find(struct stats *, const struct region *);

/* Reserves the memory of a row, before a process counts there. -1 with errno set. */
int stats_reserve(struct stats *, int row);

/* The index of a name, found or added; 0 when the table is full. By the builder, or in the master: one at
 * a time. Killed at any point it leaves a table that is whole. */
uint32_t series_intern(struct stats *, enum series_kind, struct str name);

/* How many names there are; index 0 is "other". */
uint32_t series_count(const struct stats *);

/* Sums over all rows. Rows that nobody ever used are not touched. */
void stats_sum(const struct stats *, struct stats_page *sum);
/* `rows` says which rows to look at, as stats_rows() gave it: one look at the region for many series. */
struct stats_rows {
	uint64_t bits[4];
};
struct stats_rows stats_rows(const struct stats *);
void series_sum(const struct stats *, const struct stats_rows *rows, uint32_t index,
		struct stats_series *sum);

/* The µs below which `share` (0 … 1) of the exchanges stayed: upper end of the bucket; 0: there were none. */
uint64_t stats_quantile(const struct stats_page *, double share);

#endif
