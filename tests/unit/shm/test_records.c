/* The recorder: written by one, read by any, killed at any byte. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/records.h"

static char dir[64], path[96];
static struct region *region;
static struct ring *ring;
static char buf[RECORD_SIZE_MAX] __attribute__((aligned(8)));

static void
setup(void)
{
	struct ring *rings;

	snprintf(dir, sizeof(dir), "/tmp/postern-records-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/region", dir);
	region = region_open(path, REGION_SIZE);
	rings = rings_open(region);
	ck_assert_ptr_nonnull(rings);
	ck_assert_int_eq(ring_reserve(region, rings, 5), 0);
	ring = ring_of(rings, 5);
}

static void
teardown(void)
{
	region_close(region);
	unlink(path);
	rmdir(dir);
}

/* Record number `n`: all of it follows from the number, so that a torn one shows. */
static void
write_nth(uint64_t n)
{
	char at[256];
	struct record r = { .status = (uint16_t)(n % 500),
			    .id = { n, ~n },
			    .at = (int64_t)n,
			    .bytes_in = n,
			    .bytes_out = n * 3,
			    .attempts = 1,
			    .notes = (uint8_t)(n % 3),
			    .kept = n % 10 == 0,
			    .attempt = { { .us = (uint32_t)n } } };
	struct record_note note[2] = { { .policy = (uint32_t)n,
					 .operand = { n, n + 1, n + 2 } },
				       { .policy = (uint32_t)n + 1, .operand = { ~n } } };
	struct record_texts t = { .method = STR("GET"),
				  .host = STR("api.example.com"),
				  .path = { at, 0 },
				  .client = STR("127.0.0.1"),
				  .consumer = STR("acme") };

	memset(at, 'a' + (int)(n % 26), sizeof(at));
	t.path.len = 1 + n * 7 % 256;
	ring_write(ring, &r, note, &t);
}

/* Without ck_assert() while all is well: it makes a system call each time. */
static const struct record *
check_record(void)
{
	const struct record *r = (const struct record *)(const void *)buf;
	const struct record_note *note = record_notes(r);
	struct record_texts t = record_texts(r);
	uint64_t n = r->id[0];
	bool whole = r->id[1] == ~n && r->at == (int64_t)n && r->status == n % 500 &&
		     r->bytes_out == n * 3 && r->attempt[0].us == (uint32_t)n &&
		     str_eq(t.method, STR("GET")) &&
		     str_eq(t.host, STR("api.example.com")) &&
		     str_eq(t.client, STR("127.0.0.1")) &&
		     t.path.len == 1 + n * 7 % 256 && str_eq(t.consumer, STR("acme")) &&
		     !t.plan.len && !t.id.len && r->notes == n % 3;

	if (r->notes > 0)
		whole &= note[0].policy == (uint32_t)n && note[0].operand[2] == n + 2;
	if (r->notes > 1)
		whole &= note[1].policy == (uint32_t)n + 1 && note[1].operand[0] == ~n;

	for (size_t i = 0; i < t.path.len; i++)
		whole &= t.path.at[i] == 'a' + (int)(n % 26);
	if (!whole)
		ck_abort_msg("record %llu is torn", (unsigned long long)n);
	return r;
}

START_TEST(written_and_read)
{
	uint64_t cursor = 0, lost;

	ck_assert_int_eq(ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost), 0);
	for (uint64_t n = 1; n <= 100; n++)
		write_nth(n);
	for (uint64_t n = 1; n <= 100; n++) {
		ck_assert_int_gt(
			ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost), 0);
		ck_assert_uint_eq(check_record()->id[0], n);
	}
	ck_assert_int_eq(ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost), 0);
	write_nth(101);
	ck_assert_int_gt(ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost), 0);
	ck_assert_uint_eq(check_record()->id[0], 101);
}
END_TEST

START_TEST(texts_are_cut)
{
	static char a[1000];
	static const struct record_note notes[RECORD_NOTES];
	struct record r = { .status = 200, .notes = RECORD_NOTES };
	const struct str all = { a, sizeof(a) };
	struct record_texts t = { all, all, all, all, all, all, all, all };
	uint64_t cursor = 0, lost;
	int n;

	memset(a, 'a', sizeof(a));
	ring_write(ring, &r, notes, &t);
	n = ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost);
	ck_assert_int_eq(n, RECORD_SIZE_MAX);
	t = record_texts((const struct record *)(const void *)buf);
	ck_assert_uint_eq(t.method.len, 32);
	ck_assert_uint_eq(t.host.len, 64);
	ck_assert_uint_eq(t.path.len, 256);
	ck_assert_uint_eq(t.client.len, 64);
	ck_assert_uint_eq(t.id.len, 64);
	ck_assert_uint_eq(t.key.len, 16);
	ck_assert_uint_eq(t.consumer.len, 64);
	ck_assert_uint_eq(t.plan.len, 64);

	t = (struct record_texts){ 0 };
	r.notes = 0;
	ring_write(ring, &r, NULL, &t);
	ck_assert_int_eq(ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost),
			 sizeof(r));
}
END_TEST

/* Refusals are still there when thousands of successes have gone over the other ring. */
START_TEST(kept_ones_outlive_the_others)
{
	uint64_t cursor = 0, lost = 0, n = 0, first;

	while (n < 20000)
		write_nth(++n);
	ck_assert_int_gt(ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost), 0);
	first = check_record()->id[0];
	cursor = 0;
	ck_assert_int_gt(ring_read(ring, RING_KEPT, &cursor, buf, sizeof(buf), &lost), 0);
	ck_assert_uint_eq(check_record()->id[0], 10);
	ck_assert_uint_gt(first, 5000);
	for (uint64_t want = 20; want <= n; want += 10) {
		if (ring_read(ring, RING_KEPT, &cursor, buf, sizeof(buf), &lost) <= 0 ||
		    check_record()->id[0] != want)
			ck_abort_msg("kept record %u is not there", (unsigned)want);
	}
	ck_assert_int_eq(ring_read(ring, RING_KEPT, &cursor, buf, sizeof(buf), &lost), 0);
}
END_TEST

START_TEST(only_what_comes)
{
	uint64_t cursor, lost;

	for (uint64_t n = 1; n <= 100; n++)
		write_nth(n);
	cursor = ring_end(ring, RING_ALL);
	ck_assert_int_eq(ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost), 0);
	write_nth(101);
	ck_assert_int_gt(ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost), 0);
	ck_assert_uint_eq(check_record()->id[0], 101);
}
END_TEST

START_TEST(a_crash_is_taken_once)
{
	uint64_t signature;
	uint32_t route;

	ck_assert(!ring_take_crash(ring, &signature, &route));
	ring_crashed(ring, 0x1234567890abcdef, 17);
	ck_assert(ring_take_crash(ring, &signature, &route));
	ck_assert_uint_eq(signature, 0x1234567890abcdef);
	ck_assert_uint_eq(route, 17);
	ck_assert(!ring_take_crash(ring, &signature, &route));
}
END_TEST

START_TEST(the_oldest_are_overwritten)
{
	uint64_t cursor = 0, lost = 0, first, n = 0;
	int got = 0;

	while (n < 20000)
		write_nth(++n);
	ck_assert_int_gt(ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost), 0);
	first = check_record()->id[0];
	for (uint64_t want = first + 1; want <= n; want++) {
		if (ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost) <= 0 ||
		    check_record()->id[0] != want)
			ck_abort_msg("record %u is not there", (unsigned)want);
		got += ((const struct record *)(const void *)buf)->size;
	}
	ck_assert_int_eq(ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost), 0);
	ck_assert_msg(got > RING_BYTES * 95 / 100,
		      "only %d bytes of the ring can be read", got);
}
END_TEST

START_TEST(a_lapped_reader_is_told)
{
	uint64_t cursor = 0, lost = 0, n = 0, was;

	write_nth(++n);
	write_nth(++n);
	ck_assert_int_gt(ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost), 0);
	was = cursor;
	while (n < 20000)
		write_nth(++n);
	ck_assert_int_eq(ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost), -1);
	ck_assert_uint_gt(lost, 1000000);
	ck_assert_uint_eq(cursor, was + lost);
	ck_assert_int_gt(ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost), 0);
	check_record();
}
END_TEST

START_TEST(a_cursor_from_nowhere)
{
	uint64_t cursor = 8, lost = 0;

	for (uint64_t n = 1; n <= 100; n++)
		write_nth(n);
	ck_assert_int_eq(ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost), -1);
	ck_assert_int_eq(ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost), 0);
	cursor = UINT64_MAX / 2;
	ck_assert_int_eq(ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost), -1);
	ck_assert_int_eq(ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost), 0);
}
END_TEST

/* A writer at full speed, a reader beside it: whatever is read is whole and in order. */
START_TEST(read_while_written)
{
	uint64_t cursor = 0, lost, last = 0, got = 0, laps = 0;
	pid_t pid = fork();
	int n, status;

	if (pid == 0) {
		for (uint64_t i = 1; i <= 3000000; i++)
			write_nth(i);
		_exit(0);
	}
	for (bool done = false;;) {
		n = ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost);
		if (n > 0) {
			uint64_t id = check_record()->id[0];

			if (id <= last)
				ck_abort_msg("%u after %u", (unsigned)id, (unsigned)last);
			last = id;
			got++;
		} else if (n < 0) {
			laps++;
		} else if (done) {
			break;
		} else {
			done = waitpid(pid, &status, WNOHANG) == pid;
		}
	}
	ck_assert_uint_eq(last, 3000000);
	ck_assert_uint_gt(got, 1000);
	(void)laps;
}
END_TEST

/* A reader that sleeps in the middle of its copy while it is lapped notices. */
START_TEST(lapped_while_copying)
{
	uint64_t cursor = 0, lost;
	pid_t writer = fork(), reader;
	int status;

	if (writer == 0)
		for (uint64_t i = 1;; i++)
			write_nth(i);
	reader = fork();
	if (reader == 0)
		for (;;)
			if (ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost) >
			    0)
				check_record();
	for (int i = 0; i < 400; i++) {
		kill(reader, SIGSTOP);
		usleep(500);
		kill(reader, SIGCONT);
		usleep((useconds_t)(50 + i));
	}
	status = waitpid(reader, NULL, WNOHANG);
	kill(reader, SIGKILL);
	kill(writer, SIGKILL);
	waitpid(writer, NULL, 0);
	ck_assert_msg(status == 0, "the reader took a torn record for a whole one");
	waitpid(reader, NULL, 0);
}
END_TEST

START_TEST(killed_in_the_middle_of_a_write)
{
	uint64_t next = 1;

	for (int round = 0; round < 100; round++) {
		uint64_t cursor = 0, lost, last = 0;
		pid_t pid = fork();
		int n;

		if (pid == 0)
			for (;;)
				write_nth(next++);
		usleep((useconds_t)(100 + round * 7));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		while ((n = ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost)) >
		       0) {
			uint64_t id = check_record()->id[0];

			if (last && id != last + 1)
				ck_abort_msg("round %d: %u after %u", round, (unsigned)id,
					     (unsigned)last);
			last = id;
		}
		ck_assert_msg(n == 0, "round %d: damage after %u", round, (unsigned)last);
		/* The next owner of the row goes on. */
		next = last + 1;
		write_nth(next++);
		ck_assert_int_gt(
			ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost), 0);
		ck_assert_uint_eq(check_record()->id[0], last + 1);
	}
}
END_TEST

START_TEST(outlives_its_process)
{
	uint64_t cursor = 0, lost, id[2];
	pid_t pid = fork();

	if (pid == 0) {
		write_nth(11);
		ring_now(ring, (const uint64_t[2]){ 12, 13 });
		raise(SIGKILL);
	}
	waitpid(pid, NULL, 0);
	region_close(region);
	region = region_open(path, REGION_SIZE);
	ring = ring_of(rings_open(region), 5);
	ck_assert_int_gt(ring_read(ring, RING_ALL, &cursor, buf, sizeof(buf), &lost), 0);
	ck_assert_uint_eq(check_record()->id[0], 11);
	ck_assert(ring_doing(ring, id));
	ck_assert_uint_eq(id[0], 12);
	ck_assert_uint_eq(id[1], 13);
	ring_now(ring, (const uint64_t[2]){ 0, 0 });
	ck_assert(!ring_doing(ring, id));
}
END_TEST

/* It is on the path of every request. The bound is far above what it takes when idle. */
START_TEST(a_write_is_cheap)
{
	enum { TURNS = 1000000 };
	static const struct record_note note[2];
	struct record r = { .status = 200, .notes = 2 };
	struct record_texts t = { .method = STR("GET"),
				  .host = STR("api.example.com"),
				  .path = STR("/v1/orders/1234567890/items/42"),
				  .client = STR("192.168.100.200"),
				  .consumer = STR("acme") };
	struct timespec from, to;
	double ns;

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < TURNS; i++)
		ring_write(ring, &r, note, &t);
	clock_gettime(CLOCK_MONOTONIC, &to);
	ns = (double)(to.tv_sec - from.tv_sec) * 1e9;
	ns += (double)(to.tv_nsec - from.tv_nsec);
	ns /= TURNS;
	fprintf(stderr, "ring_write: %.1f ns\n", ns);
	ck_assert_msg(ns < 600, "ring_write takes %.0f ns", ns);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("shm/records");
	TCase *c = tcase_create("records");
	SRunner *run;
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, written_and_read);
	tcase_add_test(c, texts_are_cut);
	tcase_add_test(c, kept_ones_outlive_the_others);
	tcase_add_test(c, only_what_comes);
	tcase_add_test(c, a_crash_is_taken_once);
	tcase_add_test(c, the_oldest_are_overwritten);
	tcase_add_test(c, a_lapped_reader_is_told);
	tcase_add_test(c, a_cursor_from_nowhere);
	tcase_add_test(c, read_while_written);
	tcase_add_test(c, lapped_while_copying);
	tcase_add_test(c, killed_in_the_middle_of_a_write);
	tcase_add_test(c, outlives_its_process);
	tcase_add_test(c, a_write_is_cheap);
	suite_add_tcase(s, c);
	run = srunner_create(s);
	srunner_run_all(run, CK_NORMAL);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed != 0;
}
