/* bench_limits — what a decision costs, and what is written down of a request: ns each,
 * the least of several rounds. Not part of `make check`: make tests/bench/bench_limits,
 * and run it by hand.
 *
 * With the name of one line and a number as arguments it does that one so many times, for
 * callgrind. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "shm/shared.h"

enum { KEYS = 100000, FEW = 10000, ROUNDS = 9, TIMES = 500000, ROW = 2 };

#define SECOND 1000000000ull

static struct shared shared;
static struct siphash keys[KEYS], quota_keys[FEW], flight_keys[FEW];
static struct str names[KEYS];
static uint32_t route, service;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
prepare(const char *path)
{
	struct region *r = region_open(path, REGION_SIZE);

	unlink(path);
	if (!r || shared_open(&shared, r) < 0)
		die("region");
	if (cells_reserve(r, shared.cells) < 0 || quotas_reserve(r, shared.quotas) < 0 ||
	    ledger_reserve(r, &shared.meters) < 0 ||
	    inflight_reserve(r, &shared.inflight) < 0)
		die("reserve");
	for (int row = 0; row <= ROW; row++)
		if (shared_reserve_row(&shared, row) < 0)
			die("row");
	for (uint32_t i = 0; i < KEYS; i++) {
		char buf[32];
		int n = snprintf(buf, sizeof(buf), "10.%u.%u.%u", i >> 16, i >> 8 & 255,
				 i & 255);

		names[i] = (struct str){ strdup(buf), (size_t)n };
		keys[i] = cells_key(shared.cells, 1, names[i]);
		if (i < FEW) {
			quota_keys[i] = quotas_key(shared.quotas, 1, names[i]);
			flight_keys[i] = ledger_key(&shared.inflight.ledger, names[i]);
		}
	}
	route = series_intern(&shared.stats, SERIES_ROUTE, STR("orders/create"));
	service = series_intern(&shared.stats, SERIES_SERVICE, STR("orders"));
}

/* ---- one line each: does it n times, returns something that depends on it */

static const struct cell_limit generous = { 1, 1ull << 40 };

static uint64_t
do_hash(uint32_t n)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += cells_key(shared.cells, 1, names[i % FEW]).low;
	return sum;
}

static inline uint64_t
take_of(uint32_t n, uint32_t of)
{
	uint64_t now = clock_read(), admitted = 0;

	for (uint32_t i = 0, k = 0; i < n; i++) {
		admitted += cells_take(shared.cells, keys[k], generous, now).verdict ==
			    CELL_ADMITTED;
		k = k + 1 == of ? 0 : k + 1;
	}
	return admitted;
}

static uint64_t do_take_one(uint32_t n) { return take_of(n, 1); }
static uint64_t do_take_1000(uint32_t n) { return take_of(n, 1000); }
static uint64_t do_take_10000(uint32_t n) { return take_of(n, FEW); }
static uint64_t do_take_100000(uint32_t n) { return take_of(n, KEYS); }

/* All that a policy asks: the place of the key, what time it is, whether it may. */
static uint64_t
do_decision(uint32_t n)
{
	uint64_t admitted = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct siphash key = cells_key(shared.cells, 1, names[i % FEW]);

		admitted +=
			cells_take(shared.cells, key, generous, clock_read()).verdict ==
			CELL_ADMITTED;
	}
	return admitted;
}

static uint64_t
do_clock(uint32_t n)
{
	uint64_t sum = 0;

	while (n--)
		sum += clock_read();
	return sum;
}


static uint64_t
do_refuse(uint32_t n)
{
	static const struct cell_limit tight = { SECOND, 1 };
	uint64_t now = clock_read(), admitted = 0;

	for (uint32_t i = 0; i < n; i++)
		admitted += cells_take(shared.cells, keys[9], tight, now).remaining;
	return admitted;
}

static uint64_t
do_quota(uint32_t n)
{
	uint64_t used = 0;

	for (uint32_t i = 0; i < n; i++)
		used += quotas_take(shared.quotas, quota_keys[i % FEW], 30000060,
				    30000000, QUOTA_MOST, 1)
				.used;
	return used;
}

static uint64_t
do_inflight(uint32_t n)
{
	uint64_t used = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct inflight_answer a = inflight_take(
			&shared.inflight, ROW, flight_keys[i % FEW], names[i % FEW], 10);

		inflight_give(&shared.inflight, ROW, a.entry);
		used += a.used;
	}
	return used;
}

static bool
add_meter(struct str consumer)
{
	struct siphash key = meters_key(&shared.meters, consumer, STR("orders"));

	return meters_add(&shared.meters, key, consumer, STR("orders"), 200, 0, 1234);
}

static uint64_t
do_meters(uint32_t n)
{
	uint64_t ok = 0;

	for (uint32_t i = 0; i < n; i++)
		ok += add_meter(names[i % FEW]);
	return ok;
}

static uint64_t
do_tally(uint32_t n)
{
	struct tally *t = &shared.tallies[ROW];

	for (uint32_t i = 0; i < n; i++)
		tally_add(t, tally_key(TALLY_REQUESTS, 1 + i % 100, 1, 200));
	return t->entry[0].count;
}

/* As worker/exchange/finish.c does it. */
static uint64_t
do_counters(uint32_t n)
{
	struct stats_page *p = &shared.stats.pages[ROW];
	struct stats_series *s = shared.stats.series + (size_t)ROW * SERIES_MAX;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t us = 100 + i % 1000;

		p->count[METRIC_REQUESTS]++;
		p->count[METRIC_RESPONSES_2XX]++;
		p->count[METRIC_BYTES_IN] += i;
		p->count[METRIC_BYTES_OUT] += i;
		p->latency[histogram_bucket(us)]++;
		p->latency_sum += us;
		for (uint32_t k = route; k <= service; k++) {
			s[k].requests++;
			s[k].status[1]++;
			s[k].us += us;
			s[k].bucket[series_bucket(us)]++;
		}
		__asm__ volatile("" ::: "memory");
	}
	return p->latency_sum;
}

static uint64_t
do_record(uint32_t n)
{
	static const struct record_texts texts = {
		.method = STR("GET"), .host = STR("api.example.com"), .client = STR("10.0.0.7"),
		.path = STR("/v1/orders/4711?expand=items"), .consumer = STR("acme"),
		.key = STR("k_0123456789"), .plan = STR("gold"),
	};
	static const struct record_note notes[2] = { { .policy = 3 }, { .policy = 4 } };
	struct ring *ring = ring_of(shared.rings, ROW);

	for (uint32_t i = 0; i < n; i++) {
		struct record r = { .status = 200,
				    .id = { i, 7 },
				    .at = i,
				    .route = route,
				    .service = service,
				    .generation = 1,
				    .us_total = 900,
				    .bytes_out = 1234,
				    .attempts = 1,
				    .notes = 2 };

		ring_now(ring, r.id);
		ring_write(ring, &r, notes, &texts);
		ring_now(ring, (const uint64_t[2]){ 0, 0 });
	}
	return ring_end(ring, RING_ALL);
}

static uint64_t
do_together(uint32_t n)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += do_record(1) + do_counters(1) + do_tally(1);
	return sum;
}

/* ---- rounds */

struct line {
	const char *name, *what;
	uint64_t (*fn)(uint32_t);
	int processes;
	double most;                    /* ns to reach; 0: none is set */
};

static const struct line lines[] = {
	{ "hash", "key of a limit (10 bytes)", do_hash, 1, 0 },
	{ "clock", "what time it is", do_clock, 1, 0 },
	{ "one", "rate limit, one key", do_take_one, 1, 10 },
	{ "take", "rate limit, 1,000 keys", do_take_1000, 1, 10 },
	{ "10000", "rate limit, 10,000 keys", do_take_10000, 1, 0 },
	{ "100000", "rate limit, 100,000 keys", do_take_100000, 1, 0 },
	{ "decision", "key, clock, rate limit, 10,000 keys", do_decision, 1, 0 },
	{ "refuse", "rate limit, refused", do_refuse, 1, 10 },
	{ "hot", "rate limit, two processes, one key", do_take_one, 2, 20 },
	{ "two", "rate limit, two processes, 1,000 keys", do_take_1000, 2, 0 },
	{ "quota", "quota, 10,000 keys", do_quota, 1, 0 },
	{ "inflight", "concurrency, taken and given back", do_inflight, 1, 0 },
	{ "meters", "meter, 10,000 consumers", do_meters, 1, 0 },
	{ "meters2", "meter, two processes", do_meters, 2, 0 },
	{ "tally", "tally, 100 routes", do_tally, 1, 0 },
	{ "counters", "counters and histograms", do_counters, 1, 0 },
	{ "record", "record, 2 policies", do_record, 1, 0 },
	{ "together", "record, tally, counters", do_together, 1, 150 },
};

static volatile uint64_t sink;

struct meeting {                        /* of two processes, each on a CPU of its own */
	_Atomic int ready;
	struct {
		uint64_t from, to;
	} ran[2];
};

static void
run(const struct line *l, struct meeting *m, int me)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(me, &one);
	sched_setaffinity(0, sizeof(one), &one);
	atomic_fetch_add(&m->ready, 1);
	while (m->ready < l->processes)
		;
	m->ran[me].from = clock_read();
	sink += l->fn(TIMES);
	m->ran[me].to = clock_read();
}

/* ns of the slower one; 0: they did not run at the same time. */
static double
one_round(const struct line *l, struct meeting *m)
{
	uint64_t a, b, apart = 0;
	pid_t pid = -1;

	memset(m, 0, sizeof(*m));
	if (l->processes > 1 && (pid = fork()) == 0) {
		run(l, m, 1);
		_exit(0);
	}
	run(l, m, 0);
	a = m->ran[0].to - m->ran[0].from;
	if (pid < 0)
		return (double)a / TIMES;
	waitpid(pid, NULL, 0);
	b = m->ran[1].to - m->ran[1].from;
	apart = m->ran[0].from > m->ran[1].from ? m->ran[0].from - m->ran[1].from
						: m->ran[1].from - m->ran[0].from;
	if (apart > a / 10 || a > b * 5 / 4 || b > a * 5 / 4)
		return 0;
	return (double)(a > b ? a : b) / TIMES;
}

static double
measure(const struct line *l)
{
	struct meeting *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double best = 0;

	for (int round = 0, tries = 0; round < ROUNDS && tries < 10 * ROUNDS; tries++) {
		double ns = one_round(l, m);

		round += ns > 0;
		if (ns > 0 && (best <= 0 || ns < best))
			best = ns;
	}
	munmap(m, 4096);
	return best;
}

int
main(int argc, char **argv)
{
	char path[64];

	clock_update();
	snprintf(path, sizeof(path), "/dev/shm/postern-bench-%d", (int)getpid());
	prepare(path);
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		const struct line *l = &lines[i];
		double ns;

		if (argc > 1 && strcmp(argv[1], l->name) != 0)
			continue;
		if (argc > 2) {
			sink += l->fn((uint32_t)strtoul(argv[2], NULL, 10));
			continue;
		}
		ns = measure(l);
		printf("%-10s %-40s %7.1f ns", l->name, l->what, ns);
		if (l->most > 0)
			printf("   (to reach: %.0f)%s", l->most, ns > l->most ? " MISSED" : "");
		putchar('\n');
	}
	return 0;
}
