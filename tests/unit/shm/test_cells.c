#include <check.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

/* Every 64th time, whoever is about to look or to swap lets others run. */
static void
let_others_run(void)
{
	static unsigned n;

	if (++n % 64 == 0)
		sched_yield();
}

#define SHM_STEP() let_others_run()
#include "shm/cells.c"

enum { PROCESSES = 4 };

#define SECOND 1000000000ull

static struct region *region;
static struct cells *cells;
static char path[64];

static void
setup(void)
{
	snprintf(path, sizeof(path), "/tmp/postern-cells-%d", (int)getpid());
	region = region_open(path, REGION_SIZE);
	ck_assert_ptr_nonnull(region);
	cells = cells_open(region);
	ck_assert_ptr_nonnull(cells);
	ck_assert_int_eq(cells_reserve(region, cells), 0);
}

static void
teardown(void)
{
	region_close(region);
	unlink(path);
}

static enum cell_verdict
take(struct siphash key, struct cell_limit l, uint64_t now)
{
	return cells_take(cells, key, l, now).verdict;
}

START_TEST(test_burst_and_rate)
{
	struct siphash key = cells_key(cells, 1, STR("a"));
	struct cell_limit l = { SECOND / 10, 3 };
	uint64_t now = 1000 * SECOND;
	struct cell_answer a;

	for (int i = 0; i < 3; i++) {
		a = cells_take(cells, key, l, now);
		ck_assert_int_eq(a.verdict, CELL_ADMITTED);
		ck_assert_uint_eq(a.remaining, 2 - (uint64_t)i);
	}
	a = cells_take(cells, key, l, now);
	ck_assert_int_eq(a.verdict, CELL_REFUSED);
	ck_assert_uint_eq(a.retry, SECOND / 10);
	ck_assert_uint_eq(a.reset, 3 * SECOND / 10);
	/* A refused one uses nothing, and what Retry-After says is true to the
	 * nanosecond. */
	ck_assert_int_eq(take(key, l, now + SECOND / 10 - 1), CELL_REFUSED);
	ck_assert_int_eq(cells_peek(cells, key, l, now + SECOND / 10).verdict,
			 CELL_ADMITTED);
	ck_assert_int_eq(take(key, l, now + SECOND / 10), CELL_ADMITTED);
	ck_assert_int_eq(take(key, l, now + SECOND / 10), CELL_REFUSED);
	/* Another key, another limit: counted apart. */
	ck_assert_int_eq(take(cells_key(cells, 1, STR("b")), l, now), CELL_ADMITTED);
	ck_assert_int_eq(take(cells_key(cells, 2, STR("a")), l, now), CELL_ADMITTED);
}
END_TEST

/* Over any stretch of time, at most rate × T + burst. */
START_TEST(test_any_stretch)
{
	enum { N = 4000 };
	static uint64_t admitted[N];
	struct siphash key = cells_key(cells, 1, STR("k"));
	struct cell_limit l = { 7000000, 5 };
	uint64_t now = SECOND;
	int n = 0;

	srandom(7);
	while (n < N) {
		now += (uint64_t)random() % 6000000;
		if (random() % 50 == 0)
			now += (uint64_t)random() % 200000000;
		if (take(key, l, now) == CELL_ADMITTED)
			admitted[n++] = now;
	}
	for (int i = 0; i < N; i += 13)
		for (int j = i; j < N; j += 7) {
			uint64_t stretch = admitted[j] - admitted[i];

			ck_assert_uint_le((uint64_t)(j - i + 1),
					  stretch / l.interval + l.burst);
		}
}
END_TEST

START_TEST(test_full_set)
{
	struct cell_limit l = { SECOND, 2 };
	uint64_t now = 50 * SECOND;

	for (uint64_t i = 1; i <= CELLS_A_SET; i++)
		ck_assert_int_eq(take((struct siphash){ i, 9 }, l, now + i),
				 CELL_ADMITTED);
	ck_assert_int_eq(take((struct siphash){ 99, 9 }, l, now + 10), CELL_FULL);
	/* Those that were there go on. */
	ck_assert_int_eq(take((struct siphash){ 1, 9 }, l, now + 10), CELL_ADMITTED);
	ck_assert_int_eq(take((struct siphash){ 1, 9 }, l, now + 10), CELL_REFUSED);
	/* Key 2 is the first to have recovered: it makes room, and has lost nothing by
	 * it. */
	ck_assert_int_eq(take((struct siphash){ 99, 9 }, l, now + 1 + SECOND), CELL_FULL);
	ck_assert_int_eq(take((struct siphash){ 99, 9 }, l, now + 2 + SECOND),
			 CELL_ADMITTED);
	ck_assert_int_eq(take((struct siphash){ 1, 9 }, l, now + 2 + SECOND),
			 CELL_ADMITTED);
	ck_assert_int_eq(take((struct siphash){ 1, 9 }, l, now + 2 + SECOND),
			 CELL_REFUSED);
}
END_TEST

/* One each 100 ms, 2 at once, 3 more may wait. */
START_TEST(test_queue)
{
	struct siphash key = cells_key(cells, 1, STR("q"));
	struct cell_limit l = { SECOND / 10, 2 };
	uint64_t now = 1000 * SECOND, wait;
	struct cell_answer a;

	for (uint64_t i = 0; i < 5; i++) {
		a = cells_queue(cells, key, l, 3, now, &wait);
		ck_assert_int_eq(a.verdict, CELL_ADMITTED);
		ck_assert_uint_eq(wait, i < 2 ? 0 : (i - 1) * SECOND / 10);
		ck_assert_uint_eq(a.remaining, i < 1 ? 1 : 0);
	}
	a = cells_queue(cells, key, l, 3, now, &wait);
	ck_assert_int_eq(a.verdict, CELL_REFUSED);
	ck_assert_uint_eq(wait, 0);
	ck_assert_uint_eq(a.retry, SECOND / 10);
	/* As soon as the first of them has left there is a place at the end. */
	a = cells_queue(cells, key, l, 3, now + SECOND / 10 - 1, &wait);
	ck_assert_int_eq(a.verdict, CELL_REFUSED);
	a = cells_queue(cells, key, l, 3, now + SECOND / 10, &wait);
	ck_assert_int_eq(a.verdict, CELL_ADMITTED);
	ck_assert_uint_eq(wait, 3 * SECOND / 10);
	/* Without a queue it is the limit itself. */
	ck_assert_int_eq(cells_queue(cells, key, l, 0, now, &wait).verdict, CELL_REFUSED);
}
END_TEST

/* What any number of centuries may be: no sum wraps. */
START_TEST(test_long_limits)
{
	struct siphash key = cells_key(cells, 1, STR("long"));
	struct cell_limit l = { 31 * 86400 * SECOND, 1000000 };
	uint64_t wait;
	struct cell_answer a = cells_take(cells, key, l, SECOND);

	ck_assert_int_eq(a.verdict, CELL_ADMITTED);
	ck_assert_uint_gt(a.remaining, 3000);
	a = cells_queue(cells, key, l, UINT64_MAX / 2, SECOND, &wait);
	ck_assert_int_eq(a.verdict, CELL_ADMITTED);
	ck_assert_uint_eq(wait, 0);
}
END_TEST

START_TEST(test_put_back)
{
	static uint64_t word[CELLS_SETS * CELLS_A_SET][2];
	struct cell_limit l = { SECOND, 2 };
	uint64_t hash[2];
	uint32_t n = 0;

	take(cells_key(cells, 1, STR("a")), l, SECOND);
	take(cells_key(cells, 1, STR("b")), l, SECOND);
	cells_hash_key(cells, hash);
	for (uint32_t i = 0; i < CELLS_SETS * CELLS_A_SET; i++)
		n += cells_cell(cells, i, word[i]);
	ck_assert_uint_eq(n, 2);
	teardown();
	setup();
	ck_assert_ptr_eq(cells_find(region), cells);
	cells_set_hash_key(cells, hash);
	for (uint32_t i = 0; i < CELLS_SETS * CELLS_A_SET; i++)
		if (word[i][0])
			cells_restore(cells, i, word[i]);
	ck_assert_int_eq(take(cells_key(cells, 1, STR("a")), l, SECOND), CELL_ADMITTED);
	ck_assert_int_eq(take(cells_key(cells, 1, STR("a")), l, SECOND), CELL_REFUSED);
}
END_TEST

static uint64_t *
counters(void)
{
	uint64_t *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(at, MAP_FAILED);
	return at;
}

static void
in_processes(void (*fn)(uint64_t *mine), uint64_t *shared)
{
	pid_t pid[PROCESSES];

	for (int i = 0; i < PROCESSES; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			fn(&shared[i]);
			_exit(0);
		}
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;

		waitpid(pid[i], &status, 0);
		ck_assert_int_eq(status, 0);
	}
}

enum { HOT = 200000 };

/* Time stands still: exactly the burst is admitted, by all together. */
static void
hammer(uint64_t *mine)
{
	struct siphash key = cells_key(cells, 3, STR("hot"));
	struct cell_limit l = { SECOND, HOT };

	while (take(key, l, SECOND) == CELL_ADMITTED)
		++*mine;
}

START_TEST(test_one_hot_key)
{
	uint64_t *n = counters(), sum = 0;

	in_processes(hammer, n);
	for (int i = 0; i < PROCESSES; i++)
		sum += n[i];
	ck_assert_uint_eq(sum, HOT);
	munmap(n, 4096);
}
END_TEST

enum { KEYS = 10000, BURST = 3 };

/* All find the same new keys at the same time, in few sets, while old ones are evicted.
 */
static void
discover(uint64_t *mine)
{
	struct cell_limit l = { SECOND, BURST };

	for (uint64_t k = 1; k <= KEYS; k++) {
		struct siphash key = { k, k % 3 };
		uint64_t now = (10 + k / 2) * 10 * SECOND;

		for (int i = 0; i < BURST; i++)
			*mine += take(key, l, now) == CELL_ADMITTED;
	}
}

START_TEST(test_never_in_two_cells)
{
	uint64_t *n = counters(), sum = 0;

	in_processes(discover, n);
	for (int i = 0; i < PROCESSES; i++)
		sum += n[i];
	/* A process that lags behind may find its key evicted by those ahead, in whose
	 * time it had recovered: then its set is full for it, as its own time is earlier
	 * than theirs. Never is there one more. */
	ck_assert_uint_le(sum, (uint64_t)KEYS * BURST);
	ck_assert_uint_ge(sum, (uint64_t)KEYS * BURST * 9 / 10);
	munmap(n, 4096);
}
END_TEST

START_TEST(test_outlives_its_users)
{
	struct siphash key = cells_key(cells, 1, STR("x"));
	struct cell_limit l = { SECOND, 1 };

	ck_assert_int_eq(take(key, l, SECOND), CELL_ADMITTED);
	region_close(region);
	region = region_open(path, REGION_SIZE);
	cells = cells_open(region);
	ck_assert_int_eq(take(cells_key(cells, 1, STR("x")), l, SECOND + 5),
			 CELL_REFUSED);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("cells");
	TCase *t = tcase_create("cells");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_burst_and_rate);
	tcase_add_test(t, test_any_stretch);
	tcase_add_test(t, test_full_set);
	tcase_add_test(t, test_queue);
	tcase_add_test(t, test_long_limits);
	tcase_add_test(t, test_put_back);
	tcase_add_test(t, test_one_hot_key);
	tcase_add_test(t, test_never_in_two_cells);
	tcase_add_test(t, test_outlives_its_users);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
