/* All tables of the region at once, by processes that are killed at any moment: what is
 * left is the truth, but for what was under way. And: there is room for all of them. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "shm/shared.h"

enum { WORKERS = 3, CONSUMERS = 40, MOST = 2, QUOTA = 3000, LATER = 30000000 };

#define MS 1000000ull

/* What a worker did, and what it began: one more for each time that it was killed. */
struct done {
	_Atomic uint64_t began, added;
	_Atomic uint64_t limited, quota;
	_Atomic uint64_t turns;
	_Atomic uint64_t inside;        /* holds the key with a limit of MOST */
	uint64_t spare[2];
};

struct truth {
	struct done worker[WORKERS];
	_Atomic uint64_t deaths;        /* each of them may hide one of each */
	_Atomic uint64_t exceeded;      /* times that too many were inside */
	uint64_t booked, booked_bytes;  /* by the keeper */
	uint64_t taken_out;
};

static char path[64];
static struct region *region;
static struct shared shared;
static struct truth *truth;

static void
setup(void)
{
	snprintf(path, sizeof(path), "/tmp/postern-hammer-%d", (int)getpid());
	clock_update();
	region = region_open(path, REGION_SIZE);
	ck_assert_ptr_nonnull(region);
	ck_assert_int_eq(shared_open(&shared, region), 0);
	ck_assert_int_eq(cells_reserve(region, shared.cells), 0);
	ck_assert_int_eq(quotas_reserve(region, shared.quotas), 0);
	ck_assert_int_eq(ledger_reserve(region, &shared.meters), 0);
	ck_assert_int_eq(inflight_reserve(region, &shared.inflight), 0);
	truth = mmap(NULL, sizeof(*truth), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(truth, MAP_FAILED);
}

static void
teardown(void)
{
	munmap(truth, sizeof(*truth));
	region_close(region);
	unlink(path);
}

static const struct cell_limit limit = { MS / 20, 4000 };       /* 20,000 a second */

/* Whether more than MOST are inside in one moment: all who were when we looked still
 * are, in the same turn, when we look again. */
static bool
too_many(void)
{
	uint64_t turns[WORKERS];
	int inside = 0, still = 0;

	for (int i = 0; i < WORKERS; i++) {
		turns[i] = truth->worker[i].turns;
		if (truth->worker[i].inside)
			inside++;
		else
			turns[i] = 0;
	}
	if (inside <= MOST)
		return false;
	for (int i = 0; i < WORKERS; i++)
		still += turns[i] && truth->worker[i].inside &&
			 truth->worker[i].turns == turns[i];
	return still > MOST;
}

/* One turn of a worker: a request that is limited, counted and metered. */
static void
turn(int me, uint64_t n)
{
	struct done *d = &truth->worker[me];
	struct str name = STR("hot"), meter;
	struct siphash hot = cells_key(shared.cells, 1, name);
	struct inflight_answer a;
	char buf[16];
	/* Others, after a while: those before can be taken out, and come again. */
	int len = snprintf(buf, sizeof(buf), "c%u",
			   (unsigned)(n * 7 % CONSUMERS + (n >> 10) % 50 * CONSUMERS));

	d->turns++;
	d->began++;
	meter = (struct str){ buf, (size_t)len };
	if (meters_add(&shared.meters, meters_key(&shared.meters, meter, STR("s")), meter,
		       STR("s"), 200, 0, 3))
		d->added++;
	if (cells_take(shared.cells, hot, limit, clock_read()).verdict == CELL_ADMITTED)
		d->limited++;
	if (quotas_take(shared.quotas, hot, LATER + 60, LATER, QUOTA, 1).verdict ==
	    QUOTA_ADMITTED)
		d->quota++;
	a = inflight_take(&shared.inflight, me + 1,
			  ledger_key(&shared.inflight.ledger, name), name, MOST);
	if (a.verdict != INFLIGHT_TAKEN)
		return;
	d->inside = 1;
	if (too_many())
		truth->exceeded++;
	d->inside = 0;
	inflight_give(&shared.inflight, me + 1, a.entry);
}

static pid_t
start_worker(int me)
{
	pid_t pid = fork();

	if (pid == 0) {
		for (uint64_t n = (uint64_t)me; n < 100000000; n++)
			turn(me, n);
		_exit(0);
	}
	ck_assert_int_gt(pid, 0);
	return pid;
}

/* Each worker has begun another turn. */
static void
wait_a_turn(void)
{
	uint64_t seen[WORKERS];

	for (int i = 0; i < WORKERS; i++)
		seen[i] = truth->worker[i].turns;
	for (int i = 0; i < WORKERS; i++)
		while (truth->worker[i].turns == seen[i])
			usleep(10);
}

/* The keeper, in turns between the kills: takes meters out, after it has booked what they
 * say. Those that are in use again stay. */
static void
keep(void)
{
	static bool marked[METERS];

	for (int64_t i = 0; i < METERS; i++)
		marked[i] = ledger_name(&shared.meters, i).len &&
			    ledger_retire(&shared.meters, i);
	wait_a_turn();
	for (int64_t i = 0; i < METERS; i++) {
		const struct meter *m = ledger_value(&shared.meters, i);
		uint64_t requests, bytes;

		if (!marked[i])
			continue;
		requests = m->of[1].requests;
		bytes = m->of[1].out;
		if (!ledger_remove(&shared.meters, i))
			continue;
		truth->booked += requests;
		truth->booked_bytes += bytes;
		truth->taken_out++;
	}
}

static void
sum_meters(uint64_t *requests, uint64_t *bytes)
{
	LEDGER_EACH (&shared.meters, i) {
		const struct meter *m = ledger_value(&shared.meters, i);

		*requests += m->of[1].requests;
		*bytes += m->of[1].out;
	}
}

START_TEST(killed_at_any_moment)
{
	pid_t pid[WORKERS];
	uint64_t from, to, requests = 0, bytes = 0, added = 0, began = 0, limited = 0,
			   quota = 0;
	uint64_t allowed;
	int64_t entry;

	for (int i = 0; i < WORKERS; i++)
		inflight_clear(&shared.inflight, i + 1);
	from = clock_read();
	for (int i = 0; i < WORKERS; i++)
		pid[i] = start_worker(i);
	for (unsigned round = 0; clock_read() - from < 1500 * MS; round++) {
		int victim = (int)(round % WORKERS);

		usleep(1000 + round % 7 * 500);
		keep();
		kill(pid[victim], SIGKILL);
		waitpid(pid[victim], NULL, 0);
		truth->deaths++;
		truth->worker[victim].inside = 0;
		inflight_clear(&shared.inflight, victim + 1);
		pid[victim] = start_worker(victim);
	}
	for (int i = 0; i < WORKERS; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
		truth->deaths++;
		inflight_clear(&shared.inflight, i + 1);
	}
	to = clock_read();
	sum_meters(&requests, &bytes);
	for (int i = 0; i < WORKERS; i++) {
		added += truth->worker[i].added;
		began += truth->worker[i].began;
		limited += truth->worker[i].limited;
		quota += truth->worker[i].quota;
	}
	requests += truth->booked;
	bytes += truth->booked_bytes;
	printf("%llu requests, %llu deaths, %llu meters taken out\n", (unsigned long long)began,
	       (unsigned long long)truth->deaths, (unsigned long long)truth->taken_out);
	ck_assert_uint_gt(truth->deaths, 5);
	ck_assert_uint_gt(began, 10000);
	ck_assert_uint_gt(truth->taken_out, 50);
	/* Meters: what was added is there, and what a dead worker had begun may be. */
	ck_assert_uint_ge(requests, added);
	ck_assert_uint_le(requests, began);
	ck_assert_uint_le(3 * requests - bytes, 3 * truth->deaths);
	/* The limit: never one more, and all of it. */
	allowed = (to - from) / limit.interval + limit.burst;
	ck_assert_uint_le(limited, allowed);
	ck_assert_uint_ge(limited + truth->deaths, allowed * 8 / 10);
	/* The quota is used up exactly. */
	ck_assert_uint_le(quota, QUOTA);
	ck_assert_uint_ge(quota + truth->deaths, QUOTA);
	/* Nobody is inside any more, and never were too many. */
	entry = ledger_look(&shared.inflight.ledger,
			    ledger_key(&shared.inflight.ledger, STR("hot")));
	ck_assert_int_ge(entry, 0);
	ck_assert_uint_eq(inflight_sum(&shared.inflight, entry), 0);
	ck_assert_uint_eq(truth->exceeded, 0);
}
END_TEST

/* A keeper that is killed leaves no place that is of no use any more. */
START_TEST(a_keeper_is_killed)
{
	char buf[16];
	unsigned mended = 0;

	for (int round = 0; round < 60; round++) {
		pid_t pid = fork();

		if (pid == 0)
			for (unsigned n = 0;; n++) {
				int len = snprintf(buf, sizeof(buf), "%u", n % 64);
				struct str name = { buf, (size_t)len };
				int64_t e = ledger_take(&shared.meters,
							ledger_key(&shared.meters, name),
							name);

				memset(ledger_value(&shared.meters, e), 1,
				       sizeof(struct meter));
				ledger_retire(&shared.meters, e);
				ledger_remove(&shared.meters, e);
			}
		usleep(1000 + (useconds_t)round * 37);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		mended += ledger_mend(&shared.meters);
		ck_assert_uint_eq(ledger_mend(&shared.meters), 0);
		for (int64_t i = 0; i < METERS; i++)
			if (ledger_name(&shared.meters, i).len &&
			    ledger_retire(&shared.meters, i))
				ck_assert(ledger_remove(&shared.meters, i));
	}
	printf("%u places mended\n", mended);
	for (int64_t i = 0; i < METERS; i++) {
		const struct meter *m = ledger_value(&shared.meters, i);

		ck_assert_uint_eq(ledger_name(&shared.meters, i).len, 0);
		ck_assert_uint_eq(m->of[1].requests + m->of[4].out, 0);
	}
}
END_TEST

/* An upgrade may need all segments twice. */
START_TEST(there_is_room)
{
	static const struct region_shape one = { "last", 1, 1, 1 };
	const char *first = (const char *)shared.control,
		   *last = region_segment(region, &one, NULL);

	ck_assert_ptr_nonnull(last);
	ck_assert_uint_gt((uint64_t)(last - first), 1ull << 30);
	ck_assert_uint_lt((uint64_t)(last - first), REGION_SIZE / 2);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("shm, hammered");
	TCase *t = tcase_create("hammer");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, killed_at_any_moment);
	tcase_add_test(t, a_keeper_is_killed);
	tcase_add_test(t, there_is_room);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
