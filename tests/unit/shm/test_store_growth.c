/* The store's map grows, also under readers; and readers come and go. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "shm/store_inside.h"
#include "shm/store_usage.h"
#include "tests/unit/shm/place.h"

static void
fill(struct store *s, int from, int to)
{
	static char bulk[400];
	char key[16];

	memset(bulk, 'x', sizeof(bulk));
	for (int i = from; i < to; i++) {
		snprintf(key, sizeof(key), "%08d", i);
		ok(store_booked_put(s, str_of(key), bulk, sizeof(bulk)));
	}
}

static bool
filled(struct store *s, int i)
{
	char key[16], bulk[400];

	snprintf(key, sizeof(key), "%08d", i);
	return store_booked_get(s, str_of(key), bulk, sizeof(bulk)) == 1 &&
	       bulk[399] == 'x';
}

/* A hundred megabytes, past 64 MiB, in transactions of four; whoever reads follows. */
START_TEST(the_map_grows_under_a_reader)
{
	enum { ROWS = 240000, STEP = 10000 };
	uint64_t used, room;
	int ready[2], go[2], again = 0, status;
	struct store *s;
	pid_t reader;
	char c;

	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(go), 0);
	s = place_open(false);
	fill(s, 0, 1);
	store_close(s);
	reader = fork();
	ck_assert_int_ge(reader, 0);
	if (!reader) {
		s = place_child_open(true);
		for (int i = 0; i < ROWS; i += STEP) {
			need(filled(s, i));
			need(write(ready[1], "r", 1) == 1);
			need(read(go[0], &c, 1) == 1);
		}
		store_room(s, &used, &room);
		store_close(s);
		need(room >= used);
		_exit(0);
	}
	s = place_open(false);
	store_room(s, &used, &room);
	ck_assert_uint_eq(room, 64 << 20);
	for (int i = 0; i < ROWS; i += STEP) {
		ck_assert_int_eq(read(ready[0], &c, 1), 1);
		for (int from = i + 1, rc = -1; rc < 0; again += rc < 0) {
			static char bulk[400];

			ok(store_begin(s));
			memset(bulk, 'x', sizeof(bulk));
			rc = 0;
			for (int j = from; j <= i + STEP && !rc; j++) {
				char key[16];

				snprintf(key, sizeof(key), "%08d", j);
				rc = store_booked_put(s, str_of(key), bulk, sizeof(bulk));
			}
			if (!rc)
				rc = store_commit(s);
			else
				store_abort(s);
			ck_assert_msg(rc == 0 || store_again(s), "%s", store_error(s));
		}
		ck_assert_int_eq(write(go[1], "g", 1), 1);
	}
	waitpid(reader, &status, 0);
	ck_assert_int_eq(status, 0);
	ck_assert_int_ge(again, 1);
	store_room(s, &used, &room);
	ck_assert_uint_gt(used, 64 << 20);
	ck_assert_uint_ge(room, used);
	ck_assert(filled(s, ROWS - 1));
	store_close(s);
	/* At the next opening there is room again. */
	s = place_open(false);
	store_room(s, &used, &room);
	ck_assert_uint_ge(room, 2 * used);
	store_close(s);
}
END_TEST

static int
put_large(struct store *s, MDB_txn *txn, void *arg)
{
	static char large[20 << 20];

	++*(int *)arg;
	return store_put(s, txn, TABLE_BOOKED, STR("large"),
			 (struct str){ large, sizeof(large) });
}

/* A write of its own that finds the map full is done again by itself. */
START_TEST(single_writes_grow_the_map_too)
{
	struct store *s = place_open(false);
	uint64_t used, room;
	int times = 0;

	ok(store_begin(s));
	fill(s, 0, 110000);
	ok(store_commit(s));
	store_room(s, &used, &room);
	ck_assert_uint_eq(room, 64 << 20);
	ck_assert_uint_gt(used, 45 << 20);
	ok(store_write(s, put_large, &times));
	ck_assert_int_eq(times, 2);
	ck_assert(!store_again(s));
	store_room(s, &used, &room);
	ck_assert_uint_eq(room, 128 << 20);
	ck_assert(filled(s, 0));
	store_close(s);
}
END_TEST

/* There is no address space for a larger map: the store is closed, and open again when
 * there is. */
START_TEST(a_map_that_cannot_grow_is_no_end)
{
	struct rlimit all, little;
	struct store *s = place_open(false);
	unsigned long pages;
	FILE *f = fopen("/proc/self/statm", "r");
	int times = 0;

	ok(store_begin(s));
	fill(s, 0, 110000);
	ok(store_commit(s));
	ck_assert_int_eq(fscanf(f, "%lu", &pages), 1);
	fclose(f);
	getrlimit(RLIMIT_AS, &all);
	little = all;
	little.rlim_cur = pages * 4096 + (16 << 20);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &little), 0);
	ck_assert_int_eq(store_write(s, put_large, &times), -1);
	ck_assert(!store_again(s));
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &all), 0);
	ck_assert(filled(s, 109999));
	ok(store_write(s, put_large, &times));
	ck_assert(filled(s, 0));
	store_close(s);
}
END_TEST

/* A reader that was killed while it looked: its place is given free. */
START_TEST(readers_that_died_are_cleared)
{
	struct store *s = place_open(false);
	int ready[2];
	char c;

	ck_assert_int_eq(pipe(ready), 0);
	fill(s, 0, 1);
	store_close(s);

	pid_t reader = fork();

	ck_assert_int_ge(reader, 0);
	if (!reader) {
		s = place_child_open(true);
		need(filled(s, 0));
		need(write(ready[1], "r", 1) == 1);
		for (;;)
			pause();
	}
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	s = place_open(false);
	ck_assert_int_eq(store_clear_readers(s), 0);
	kill(reader, SIGKILL);
	waitpid(reader, NULL, 0);
	ck_assert_int_eq(store_clear_readers(s), 1);
	ck_assert_int_eq(store_clear_readers(s), 0);
	store_close(s);
}
END_TEST

/* More than the 126 that LMDB has places for by itself: workers, and those that drain. */
START_TEST(two_hundred_readers_have_a_place)
{
	enum { READERS = 200 };
	int ready[2], go[2], status;
	struct store *s = place_open(false);
	pid_t child[READERS];
	char c;

	fill(s, 0, 1);
	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(go), 0);
	for (int i = 0; i < READERS; i++) {
		child[i] = fork();
		ck_assert_int_ge(child[i], 0);
		if (!child[i]) {
			close(go[1]);
			s = place_child_open(true);
			need(filled(s, 0));
			need(write(ready[1], "r", 1) == 1);
			need(read(go[0], &c, 1) == 0);
			store_close(s);
			_exit(0);
		}
	}
	close(ready[1]);
	for (int i = 0; i < READERS; i++)
		ck_assert_int_eq(read(ready[0], &c, 1), 1);
	close(go[1]);
	for (int i = 0; i < READERS; i++) {
		waitpid(child[i], &status, 0);
		ck_assert_int_eq(status, 0);
	}
	store_close(s);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { the_map_grows_under_a_reader,
				 single_writes_grow_the_map_too,
				 a_map_that_cannot_grow_is_no_end,
				 readers_that_died_are_cleared,
				 two_hundred_readers_have_a_place };

	return place_run("shm/store_growth", tests, sizeof(tests) / sizeof(*tests));
}
