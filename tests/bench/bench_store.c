/* bench_store — what the store costs with a thousand consumers, and with a million.
 *
 * Run by hand (make tests/bench/bench_store; tests/bench/bench_store DIRECTORY): times
 * decide no test. Leaves nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "shm/store_cells.h"
#include "shm/store_consumers.h"
#include "shm/store_usage.h"

static char path[256];

static void
must(struct store *s, int rc)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "%s\n", store_error(s));
	exit(1);
}

static struct store *
open_it(bool readonly)
{
	const char *error;
	struct store *s = store_open(path, readonly, &error, NULL);

	if (!s) {
		fprintf(stderr, "%s\n", error);
		exit(1);
	}
	return s;
}

static struct digest
digest_of(int i)
{
	return sha256((struct str){ (const char *)&i, sizeof(i) });
}

static int
add(struct store *s, int from, int to)
{
	if (store_begin(s) < 0)
		return -1;
	for (int i = from; i < to; i++) {
		struct consumer_row c = { .created = 1700000000000 + i };
		struct key_row k = { .digest = digest_of(i),
				     .created = 1700000000000 + i };

		snprintf(c.name, sizeof(c.name), "consumer-%07d", i);
		snprintf(c.plan, sizeof(c.plan), "gold");
		memcpy(k.consumer, c.name, sizeof(c.name));
		if (store_consumer_put(s, &c) < 0 || store_key_put(s, &k) < 0)
			return -1;
	}
	return store_commit(s);
}

static void
fill(struct store *s, int from, int to)
{
	uint64_t begin = clock_read();

	for (int i = from; i < to; i += 10000) {
		int end = i + 10000 < to ? i + 10000 : to, rc;

		while ((rc = add(s, i, end)) < 0 && store_again(s))
			store_abort(s);
		must(s, rc);
	}
	printf("%9d consumers and keys added: %.2f s, %.1f µs each\n", to - from,
	       (double)(clock_read() - begin) / 1e9,
	       (double)(clock_read() - begin) / 1e3 / (to - from));
}

static void
look_up(int of)
{
	struct store *s;
	uint64_t begin, best_open = UINT64_MAX, best_read = UINT64_MAX, t, used, room;
	struct key_row row;

	for (int i = 0; i < 5; i++) {
		begin = clock_read();
		s = open_it(false);
		t = clock_read() - begin;
		store_close(s);
		best_open = t < best_open ? t : best_open;
		begin = clock_read();
		s = open_it(true);
		t = clock_read() - begin;
		store_close(s);
		best_read = t < best_read ? t : best_read;
	}
	s = open_it(true);
	store_room(s, &used, &room);
	printf("%9d in %.1f MB: opened in %.2f ms by the keeper, %.2f ms by a worker\n",
	       of, (double)used / 1e6, (double)best_open / 1e6, (double)best_read / 1e6);
	for (int hot = 0; hot < 2; hot++) {
		struct digest d[1000];
		uint64_t best = UINT64_MAX;

		for (int round = 0; round < 30; round++) {
			for (int i = 0; i < 1000; i++)
				d[i] = digest_of(
					(int)((unsigned)(hot ? i : i + round * 7919) *
					      2654435761u % (unsigned)of));
			begin = clock_read();
			for (int i = 0; i < 1000; i++)
				must(s, store_key_find(s, &d[i], &row));
			t = (clock_read() - begin) / 1000;
			best = t < best ? t : best;
		}
		printf("          lookup of a key, %s: %llu ns\n",
		       hot ? "1,000 keys again and again" : "any",
		       (unsigned long long)best);
	}
	store_close(s);
}

static bool
count_row(void *arg, const struct usage_row *r)
{
	(void)r;
	++*(int *)arg;
	return true;
}

static void
book(struct store *s)
{
	enum { CONSUMERS = 1000, MINUTES = 20 };
	struct usage_sum sum = { .of[1] = { 3, 1000, 50000 } };
	uint64_t begin = clock_read(), t;
	char name[32];
	int n = 0;

	for (int m = 0; m < MINUTES; m++) {
		must(s, store_begin(s));
		for (int i = 0; i < CONSUMERS; i++) {
			snprintf(name, sizeof(name), "consumer-%07d", i);
			must(s, store_usage_add(s, 1700000000 + 60 * m, str_of(name),
						STR("orders"), &sum));
		}
		must(s, store_commit(s));
	}
	t = clock_read() - begin;
	printf("booking of 1,000 meters: %.2f ms\n", (double)t / 1e6 / MINUTES);
	begin = clock_read();
	must(s, store_usage(s, USAGE_MINUTE, 0, INT64_MAX, STR("consumer-0000500"),
			    STR_NONE, count_row, &n));
	printf("one consumer's %d minutes of %d rows: %.1f µs\n", n, MINUTES * CONSUMERS,
	       (double)(clock_read() - begin) / 1e3);
}

static void
checkpoints(struct store *s, const char *dir)
{
	char at[300];
	struct region *region;
	struct cells *cells;
	struct checkpoint *c;
	uint64_t begin, now = clock_read();
	static const struct cell_limit limit = { 36000000000, 100 };

	snprintf(at, sizeof(at), "%s/region", dir);
	region = region_open(at, REGION_SIZE);
	cells = region ? cells_open(region) : NULL;
	if (!cells || cells_reserve(region, cells) < 0 ||
	    !(c = checkpoint_new(cells, NULL)))
		exit(1);
	for (int n = 0; n <= 100000; n = n ? n * 10 : 1000) {
		int64_t wrote;
		uint64_t save;

		for (int i = 0; i < n; i++)
			cells_take(cells,
				   cells_key(cells, 1,
					     (struct str){ (const char *)&i, sizeof(i) }),
				   limit, now);
		begin = clock_read();
		must(s, store_begin(s));
		wrote = checkpoint_save(c, s, now, 1700000000000000000, 5000000000);
		must(s, (int)wrote);
		save = clock_read() - begin;
		must(s, store_commit(s));
		checkpoint_done(c);
		printf("checkpoint, %lld cells changed: %.2f ms, and %.2f ms to commit\n",
		       (long long)wrote, (double)save / 1e6,
		       (double)(clock_read() - begin - save) / 1e6);
	}
	checkpoint_free(c);
	region_close(region);
	unlink(at);
}

int
main(int argc, char **argv)
{
	char dir[200], lock[300];
	struct store *s;

	snprintf(dir, sizeof(dir), "%s/bench-store-XXXXXX", argc > 1 ? argv[1] : "/tmp");
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/state", dir);
	snprintf(lock, sizeof(lock), "%s-lock", path);
	s = open_it(false);
	fill(s, 0, 1000);
	store_close(s);
	look_up(1000);
	s = open_it(false);
	fill(s, 1000, 1000000);
	store_close(s);
	look_up(1000000);
	s = open_it(false);
	book(s);
	checkpoints(s, dir);
	store_close(s);
	unlink(path);
	unlink(lock);
	rmdir(dir);
	return 0;
}
