/* stat — what `postern stat` looks at, shared by its printers.
 *
 * The region is attached read-only; counters are summed while workers go on counting, so
 * that two of them may be an instant apart. */
#ifndef CLI_STAT_H
#define CLI_STAT_H

#include <stdbool.h>
#include <stdio.h>

#include "shm/records.h"
#include "shm/slots.h"
#include "shm/stats.h"

struct stat_series {                    /* a route or target that had traffic */
	struct str name;                /* "orders-api/create", "orders/10.0.1.11:8080" */
	bool target;
	struct stats_series sum;
};

struct stat_view {
	const char *rundir;
	const struct region *region;
	const struct ring *rings;       /* NULL: none */
	struct stats stats;
	struct stats_page total;        /* over all processes, dead ones too */
	uint64_t connections, exchanges, upstream_connections;  /* of the living */
	const struct slot *process[SLOTS_MAX];  /* alive: master, keeper, workers by number */
	int processes, workers;
	struct stat_series *series;     /* most requests first */
	size_t nseries;
	uint64_t mono, wall;            /* ms: now */
};

const char *stat_role(const struct slot *);     /* "master", "keeper", "worker" */
const char *stat_state(const struct slot *);    /* "starting", "serving", "draining" */
/* ms since its last turn, or 0 if it has not had one. */
uint64_t stat_heartbeat_age(const struct stat_view *, const struct slot *);
/* Mean µs of `n` that took `us` together. */
static inline double
stat_mean(uint64_t us, uint64_t n)
{
	return n ? (double)us / (double)n : 0;
}
/* Splits "orders-api/create" at its first slash. */
void stat_split(struct str name, struct str *group, struct str *member);

/* Printers. */
void stat_table(const struct stat_view *, FILE *);
void stat_json(const struct stat_view *, FILE *);
void stat_csv(const struct stat_view *, FILE *);
void stat_prom(const struct stat_view *, FILE *);

/* The last `n` records of all workers, oldest first, a JSON object a line. */
void stat_records(const struct stat_view *, size_t n, FILE *);

#endif
