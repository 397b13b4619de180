/* What lies in the region: opened by one process, seen by another; rows of the dead. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/shared.h"
#include "tests/unit/unit.h"

static char dir[64], path[96];
static struct region *region;
static struct shared shared;

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/postern-shared-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/region", dir);
	region = region_open(path, REGION_SIZE);
	ck_assert_ptr_nonnull(region);
	ck_assert_int_eq(shared_open(&shared, region), 0);
	ck_assert_int_eq(inflight_reserve(region, &shared.inflight), 0);
}

static void
teardown(void)
{
	region_close(region);
	unlink(path);
	rmdir(dir);
}

/* A worker that takes `n` requests of "k" and then dies or, told so, stays. Returns its
 * row. */
static int
worker(uint32_t number, int n, pid_t *stays)
{
	int row = slots_claim(shared.slots, SLOT_WORKER, number, getpid());
	struct siphash key = ledger_key(&shared.inflight.ledger, STR("k"));
	int ready[2], status;
	pid_t pid;
	char c;

	ck_assert_int_ge(row, 0);
	ck_assert_int_eq(shared_reserve_row(&shared, row), 0);
	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		shared.slots->row[row].pid = getpid();
		for (int i = 0; i < n; i++)
			inflight_take(&shared.inflight, row, key, STR("k"), 100);
		if (write(ready[1], "x", 1) == 1 && stays)
			pause();
		_exit(0);
	}
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	if (stays)
		*stays = pid;
	else
		waitpid(pid, &status, 0);
	return row;
}

static uint64_t
under_way(void)
{
	struct siphash key = ledger_key(&shared.inflight.ledger, STR("k"));

	return inflight_sum(&shared.inflight, ledger_look(&shared.inflight.ledger, key));
}

START_TEST(the_dead_are_buried)
{
	pid_t living;
	int dead, alive;

	setup();
	alive = worker(0, 2, &living);
	dead = worker(1, 3, NULL);
	ck_assert_uint_eq(under_way(), 5);
	shared_bury(&shared, getpid());
	ck_assert_uint_eq(under_way(), 2);
	ck_assert_int_eq(shared.slots->row[dead].pid, 0);
	ck_assert_int_eq(shared.slots->row[alive].pid, living);
	/* Its row is the next worker's of that number. */
	ck_assert_int_eq(slots_claim(shared.slots, SLOT_WORKER, 1, getpid()), dead);
	kill(living, SIGKILL);
	waitpid(living, &(int){ 0 }, 0);
	shared_bury(&shared, getpid());
	ck_assert_uint_eq(under_way(), 0);
	ck_assert_msg(shared.slots->row[dead].pid == getpid(), "a row in use was taken");
	teardown();
}
END_TEST

START_TEST(seen_read_only)
{
	const struct region *r;
	struct shared s;

	setup();
	shared.control->revision = 41;
	ck_assert_ptr_nonnull(r = region_attach(path));
	ck_assert_int_eq(shared_find(&s, r), 0);
	ck_assert_uint_eq(s.control->revision, 41);
	ck_assert_ptr_ne(s.control, shared.control);
	region_close((struct region *)(uintptr_t)r);
	teardown();
}
END_TEST

START_TEST(not_there_yet)
{
	char other[128];
	struct region *r;
	struct shared s;

	setup();
	snprintf(other, sizeof(other), "%s.new", path);
	ck_assert_ptr_nonnull(r = region_open(other, REGION_SIZE));
	ck_assert_int_eq(shared_find(&s, r), -1);
	region_close(r);
	unlink(other);
	teardown();
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = { the_dead_are_buried, seen_read_only,
				       not_there_yet };

	return unit_run("shared", tests, sizeof(tests) / sizeof(*tests));
}
