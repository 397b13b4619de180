/* stat — what `postern stat` and `postern top` look at: the counters of a gateway at one instant.
 *
 * The region is attached read-only; counters are summed while workers go on counting, so
 * that two of them may be an instant apart. All numbers are copies; names lie in the region. */
#ifndef CLI_STAT_H
#define CLI_STAT_H

#include <stdbool.h>
#include <stdio.h>

#include "shm/shared.h"

struct stat_process {
	int row;                        /* in slots */
	int32_t pid;
	enum slot_role role;
	enum slot_state state;
	uint32_t number;
	uint64_t generation;
	uint64_t started;               /* ms since 1970; 0: not yet */
	uint64_t age;                   /* ms since its last turn; 0: it has not had one */
	uint64_t connections, exchanges, upstream_connections;
	uint64_t lag, busy;             /* µs */
	uint64_t requests;              /* of its row, ever: those of its predecessors too */
};

struct stat_series {                    /* a route, target, service … that had traffic */
	struct str name;                /* "orders-api/create", "orders/10.0.1.11:8080" */
	uint32_t index;                 /* of the series, for as long as the region lives */
	enum series_kind kind;
	struct stats_series sum;
};

struct stat_policy {
	struct str name;                /* "rate-limit/by-plan" */
	uint32_t index;                 /* its series */
	uint64_t decision[DECISION_COUNT];
};

struct stat_consumer {                  /* what a consumer used of a service, since its meter began */
	int64_t entry;
	uint32_t life;                  /* of the entry: another life, another consumer */
	struct str consumer, service;
	uint64_t requests[METER_CLASSES];
	uint64_t in, out;               /* bytes of bodies */
};

struct stat_view {
	const char *rundir;
	struct shared shared;
	uint64_t mono, wall;            /* ms: now */
	struct stats_page total;        /* over all processes, dead ones too */
	uint64_t connections, exchanges, upstream_connections;  /* of the living */
	struct stat_process process[SLOTS_MAX]; /* alive: master, keeper, workers by number */
	int processes, workers;
	struct stat_series *series;     /* by index; routes that had none are left out */
	size_t nseries;
	struct stat_policy *policies;   /* by index */
	size_t npolicies;
	struct stat_consumer *consumers;/* by entry */
	size_t nconsumers;
};

/* Reads everything; `rundir` and `shared` are set. What was there before is forgotten, not freed. */
void stat_gather(struct stat_view *);
/* Frees what stat_gather() allocated. */
void stat_forget(struct stat_view *);
/* Orders series, policies and consumers by traffic, the most first, then by name. */
void stat_by_traffic(struct stat_view *);

const char *stat_role(const struct stat_process *);     /* "master", "keeper", "worker" */
const char *stat_state(const struct stat_process *);    /* "starting", "serving", "draining" */
const char *stat_store(const struct stat_view *);       /* "ok", "read-only", "bad", "unknown" */
extern const char *const stat_decisions[DECISION_COUNT];/* "passed", "refused" … */
extern const char *const stat_classes[METER_CLASSES];   /* of a meter: "none", "2xx" … */

uint64_t stat_policy_total(const struct stat_policy *);
uint64_t stat_consumer_total(const struct stat_consumer *);

/* Mean µs of `n` that took `us` together. */
static inline double
stat_mean(uint64_t us, uint64_t n)
{
	return n ? (double)us / (double)n : 0;
}

/* The µs below which `share` (0 … 1) of what a series counted stayed, to the power of two, between its ends by
 * proportion; 0: there was nothing. */
double stat_series_quantile(const struct stats_series *, double share);

/* Splits "orders-api/create" at its first slash. */
void stat_split(struct str name, struct str *group, struct str *member);

/* For people: "1.5s" "2m03s", "870us" "1.2ms". */
const char *stat_span(uint64_t ms, char buf[static 32]);
const char *stat_latency(double us, char buf[static 32]);

/* Printers. */
void stat_table(const struct stat_view *, FILE *);
void stat_json(const struct stat_view *, FILE *);
void stat_csv(const struct stat_view *, FILE *);

/* The last `n` records of all workers, oldest first, a JSON object a line. */
void stat_records(const struct stat_view *, size_t n, FILE *);

#endif
