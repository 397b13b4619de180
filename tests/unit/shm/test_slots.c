/* Rows of processes: who gets which. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/slots.h"

static char dir[64], path[96];
static struct region *region;
static struct slots *slots;

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/postern-slots-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/region", dir);
	region = region_open(path, REGION_SIZE);
	slots = slots_open(region);
	ck_assert_ptr_nonnull(slots);
}

static void
teardown(void)
{
	region_close(region);
	unlink(path);
	rmdir(dir);
}

/* A pid that is nobody's. */
static pid_t
dead_pid(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	return pid;
}

START_TEST(rows_are_distinct)
{
	int a = slots_claim(slots, SLOT_MASTER, 0, getpid());
	int b = slots_claim(slots, SLOT_WORKER, 0, getpid());
	int c = slots_claim(slots, SLOT_WORKER, 1, getpid());

	ck_assert(a >= 0 && b >= 0 && c >= 0 && a != b && b != c && a != c);
	ck_assert_uint_eq(slots->row[c].number, 1);
	ck_assert_uint_eq(slots->row[c].role, SLOT_WORKER);
	ck_assert_uint_eq(slots->row[c].state, SLOT_STARTING);
	ck_assert(slot_alive(&slots->row[c]));
}
END_TEST

START_TEST(the_same_worker_gets_its_row_again)
{
	int a = slots_claim(slots, SLOT_WORKER, 0, getpid());
	int b = slots_claim(slots, SLOT_WORKER, 1, getpid());

	slots_release(slots, a);
	slots_release(slots, b);
	ck_assert(!slot_alive(&slots->row[a]));
	ck_assert_int_eq(slots_claim(slots, SLOT_WORKER, 1, getpid()), b);
	ck_assert_int_eq(slots_claim(slots, SLOT_WORKER, 0, getpid()), a);
}
END_TEST

START_TEST(gauges_begin_at_zero_and_counters_go_on)
{
	int a = slots_claim(slots, SLOT_WORKER, 0, dead_pid());
	struct slot *row = &slots->row[a];

	row->connections = 10;
	row->exchanges = 3;
	row->upstream_connections = 4;
	row->lag = 9;
	row->busy = 12345;
	row->generation = 7;
	row->state = SLOT_DRAINING;
	ck_assert_int_eq(slots_claim(slots, SLOT_WORKER, 0, getpid()), a);
	ck_assert_uint_eq(row->connections | row->exchanges | row->upstream_connections |
			  row->lag | row->generation, 0);
	ck_assert_uint_eq(row->state, SLOT_STARTING);
	ck_assert_uint_eq(row->busy, 12345);
	ck_assert_uint_gt(row->started, 1700000000000ull);
}
END_TEST

START_TEST(an_upgrade_finds_rows_beside_the_old)
{
	pid_t old = fork();
	int a, b;

	if (old == 0)
		for (;;)
			pause();
	a = slots_claim(slots, SLOT_WORKER, 0, old);
	b = slots_claim(slots, SLOT_WORKER, 0, getpid());
	ck_assert_int_ne(a, b);
	kill(old, SIGKILL);
	waitpid(old, NULL, 0);
	ck_assert_int_eq(slots_claim(slots, SLOT_WORKER, 0, getppid()), a);
}
END_TEST

START_TEST(pids_of_another_life)
{
	int a = slots_claim(slots, SLOT_WORKER, 3, getpid());

	/* As after a restart of a container: the same role, number and pid. */
	ck_assert_int_eq(slots_claim(slots, SLOT_WORKER, 3, getpid()), a);
}
END_TEST

START_TEST(full_of_the_living)
{
	for (uint32_t i = 0; i < SLOTS_MAX; i++)
		ck_assert_int_ge(slots_claim(slots, SLOT_WORKER, i, getpid()), 0);
	ck_assert_int_eq(slots_claim(slots, SLOT_WORKER, 1000, getpid()), -1);
	slots->row[77].pid = dead_pid();
	ck_assert_int_eq(slots_claim(slots, SLOT_WORKER, 1000, getpid()), 77);
}
END_TEST

START_TEST(two_masters_never_share_a_row)
{
	int pipes[2], rows[2 * SLOTS_MAX], seen[SLOTS_MAX] = { 0 };
	pid_t pid[2];
	ssize_t n;

	ck_assert_int_eq(pipe(pipes), 0);
	for (int p = 0; p < 2; p++) {
		pid[p] = fork();
		if (pid[p] == 0) {
			for (uint32_t i = 0; i < SLOTS_MAX / 2; i++)
				rows[i] = slots_claim(slots, SLOT_WORKER, i, getpid());
			n = write(pipes[1], rows, sizeof(int) * SLOTS_MAX / 2);
			pause();
			_exit(n < 0);
		}
	}
	for (int p = 0; p < 2; p++) {
		n = read(pipes[0], rows, sizeof(int) * SLOTS_MAX / 2);
		ck_assert_int_eq((int)n, (int)sizeof(int) * SLOTS_MAX / 2);
		for (int i = 0; i < SLOTS_MAX / 2; i++) {
			ck_assert_int_ge(rows[i], 0);
			ck_assert_msg(!seen[rows[i]]++, "row %d was given twice", rows[i]);
		}
	}
	for (int p = 0; p < 2; p++) {
		kill(pid[p], SIGKILL);
		waitpid(pid[p], NULL, 0);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("shm/slots");
	TCase *c = tcase_create("slots");
	SRunner *run;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, rows_are_distinct);
	tcase_add_test(c, the_same_worker_gets_its_row_again);
	tcase_add_test(c, gauges_begin_at_zero_and_counters_go_on);
	tcase_add_test(c, an_upgrade_finds_rows_beside_the_old);
	tcase_add_test(c, pids_of_another_life);
	tcase_add_test(c, full_of_the_living);
	tcase_add_test(c, two_masters_never_share_a_row);
	suite_add_tcase(s, c);
	run = srunner_create(s);
	srunner_run_all(run, CK_NORMAL);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed != 0;
}
