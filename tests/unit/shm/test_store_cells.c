/* Checkpoints: what limits and quotas remember over a restart of the machine. */
#include "base/clock.h"
#include "shm/store_cells.h"
#include "shm/store_inside.h"
#include "tests/unit/shm/place.h"

#define SECOND 1000000000ull
#define MONO (1000 * SECOND)
#define WALL ((int64_t)(1700000000 * SECOND))
#define MINUTE (1700000000 / 60)

struct machine { /* since it was started */
	struct region *region;
	struct cells *cells;
	struct quotas *quotas;
};

static struct machine
start(const char *name)
{
	struct machine m;
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", place_dir, name);
	m.region = region_open(path, REGION_SIZE);
	ck_assert_ptr_nonnull(m.region);
	m.cells = cells_open(m.region);
	m.quotas = quotas_open(m.region);
	ck_assert(m.cells && m.quotas);
	ck_assert_int_eq(cells_reserve(m.region, m.cells), 0);
	ck_assert_int_eq(quotas_reserve(m.region, m.quotas), 0);
	return m;
}

static struct siphash
key_of(const struct machine *m, int i)
{
	return cells_key(m->cells, 1, (struct str){ (const char *)&i, sizeof(i) });
}

static const struct cell_limit hourly = { 36 * SECOND, 100 }; /* 100 an hour */

static uint64_t
left(const struct machine *m, int i, uint64_t now)
{
	struct cell_answer a = cells_peek(m->cells, key_of(m, i), hourly, now);

	return a.verdict == CELL_ADMITTED ? a.remaining + 1 : 0;
}

static void
take(const struct machine *m, int i, int times, uint64_t now)
{
	while (times--)
		ck_assert_int_eq(cells_take(m->cells, key_of(m, i), hourly, now).verdict,
				 CELL_ADMITTED);
}

static uint64_t
used(const struct machine *m, int i)
{
	struct siphash k =
		quotas_key(m->quotas, 1, (struct str){ (const char *)&i, sizeof(i) });

	return quotas_take(m->quotas, k, MINUTE + 10, MINUTE, 1000000, 0).used;
}

static void
count(const struct machine *m, int i, uint64_t n, uint32_t ends)
{
	struct siphash k =
		quotas_key(m->quotas, 1, (struct str){ (const char *)&i, sizeof(i) });

	ck_assert_int_eq(quotas_take(m->quotas, k, ends, MINUTE, 1000000, n).verdict,
			 QUOTA_ADMITTED);
}

static int64_t
save(struct store *s, struct checkpoint *c, uint64_t mono, int64_t wall)
{
	int64_t n;

	ok(store_begin(s));
	n = checkpoint_save(c, s, mono, wall, 5 * SECOND);
	ok(n);
	ok(store_commit(s));
	checkpoint_done(c);
	return n;
}

static int64_t
rows(struct store *s, enum store_table table)
{
	MDB_stat st;
	MDB_txn *txn;

	ck_assert_int_eq(mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn), 0);
	ck_assert_int_eq(mdb_stat(txn, s->table[table], &st), 0);
	mdb_txn_abort(txn);
	return (int64_t)st.ms_entries - 1;
}

START_TEST(limits_go_on_on_another_machine_start)
{
	struct machine m = start("one"), n = start("two");
	struct store *s = place_open(false);
	struct checkpoint *c = checkpoint_new(m.cells, m.quotas);

	for (int i = 0; i < 500; i++)
		take(&m, i, 1 + i % 90, MONO);
	count(&m, 1, 77, MINUTE + 10);
	count(&m, 2, 5, MINUTE + 1);
	ck_assert_int_eq(save(s, c, MONO, WALL), 502);
	/* An hour of wall time goes by before nothing is used; here a minute, and the new
	 * machine's clock began at 5 s. */
	ck_assert_int_eq(checkpoint_restore(s, n.cells, n.quotas, 5 * SECOND,
					    WALL + 60 * (int64_t)SECOND),
			 494 + 1);
	for (int i = 0; i < 500; i++)
		ck_assert_uint_eq(left(&n, i, 5 * SECOND),
				  left(&m, i, MONO + 60 * SECOND));
	ck_assert_uint_eq(used(&n, 1), 77);
	ck_assert_uint_eq(used(&n, 2), 0);
	checkpoint_free(c);
	store_close(s);
	region_close(m.region);
	region_close(n.region);
}
END_TEST

START_TEST(only_what_changed_is_written)
{
	struct machine m = start("one");
	struct store *s = place_open(false);
	struct checkpoint *c = checkpoint_new(m.cells, m.quotas);

	for (int i = 0; i < 100; i++)
		take(&m, i, 50, MONO);
	ck_assert_int_eq(save(s, c, MONO, WALL), 100);
	ck_assert_int_eq(save(s, c, MONO, WALL), 0);
	/* The clocks drift apart: nothing has changed for all that. */
	ck_assert_int_eq(save(s, c, MONO + SECOND, WALL + 2 * (int64_t)SECOND), 0);
	take(&m, 7, 1, MONO + SECOND);
	count(&m, 7, 1, MINUTE + 1);
	ck_assert_int_eq(save(s, c, MONO + SECOND, WALL), 2);
	count(&m, 7, 1, MINUTE + 1);
	ck_assert_int_eq(save(s, c, MONO + SECOND, WALL), 1);

	/* Another keeper knows nothing of what was written: all of it once. */
	checkpoint_free(c);
	c = checkpoint_new(m.cells, m.quotas);
	ck_assert_int_eq(save(s, c, MONO + SECOND, WALL), 101);
	ck_assert_int_eq(save(s, c, MONO + SECOND, WALL), 0);
	/* What has nearly recovered is forgotten, also by a keeper that never saw it. */
	ck_assert_int_eq(rows(s, TABLE_CELLS), 100);
	ck_assert_int_eq(save(s, c, MONO + 50 * 36 * SECOND - 5 * SECOND, WALL), 99);
	ck_assert_int_eq(rows(s, TABLE_CELLS), 1);
	checkpoint_free(c);
	c = checkpoint_new(m.cells, m.quotas);
	ck_assert_int_eq(save(s, c, MONO + 100000 * SECOND, WALL + 60 * (int64_t)SECOND),
			 2);
	ck_assert_int_eq(rows(s, TABLE_CELLS), 0);
	ck_assert_int_eq(rows(s, TABLE_QUOTAS), 0);
	checkpoint_free(c);
	store_close(s);
	region_close(m.region);
}
END_TEST

/* What was not kept is written by the next. */
START_TEST(a_transaction_that_failed_is_made_good)
{
	struct machine m = start("one");
	struct store *s = place_open(false);
	struct checkpoint *c = checkpoint_new(m.cells, m.quotas);

	take(&m, 1, 1, MONO);
	ok(store_begin(s));
	ck_assert_int_eq(checkpoint_save(c, s, MONO, WALL, SECOND), 1);
	store_abort(s);
	checkpoint_undo(c);
	ck_assert_int_eq(save(s, c, MONO, WALL), 1);
	take(&m, 2, 1, MONO);
	ok(store_begin(s));
	ck_assert_int_eq(checkpoint_save(c, s, MONO, WALL, SECOND), 1);
	store_abort(s);
	checkpoint_undo(c);
	ck_assert_int_eq(save(s, c, MONO, WALL), 1);
	ck_assert_int_eq(rows(s, TABLE_CELLS), 2);
	checkpoint_free(c);
	store_close(s);
	region_close(m.region);
}
END_TEST

/* A region that began anew without its checkpoint hashes differently: what is stored
 * belongs to nobody. */
START_TEST(cells_of_another_hash_key_are_dropped)
{
	struct machine m = start("one"), n = start("two");
	struct store *s = place_open(false);
	struct checkpoint *c = checkpoint_new(m.cells, NULL);

	for (int i = 0; i < 100; i++)
		take(&m, i, 50, MONO);
	ck_assert_int_eq(save(s, c, MONO, WALL), 100);
	checkpoint_free(c);
	c = checkpoint_new(n.cells, n.quotas);
	take(&n, 1000, 1, MONO);
	ck_assert_int_eq(save(s, c, MONO, WALL), 1);
	ck_assert_int_eq(rows(s, TABLE_CELLS), 1);
	checkpoint_free(c);
	region_close(n.region);
	n = start("three");
	ck_assert_int_eq(checkpoint_restore(s, n.cells, NULL, MONO, WALL), 1);
	ck_assert_uint_eq(left(&n, 1000, MONO), 99);
	store_close(s);
	region_close(m.region);
	region_close(n.region);
}
END_TEST

START_TEST(a_clock_set_back_holds_nobody_back)
{
	struct machine m = start("one"), n = start("two");
	struct store *s = place_open(false);
	struct checkpoint *c = checkpoint_new(m.cells, m.quotas);

	take(&m, 1, 100, MONO);
	save(s, c, MONO, WALL);
	ck_assert_int_eq(checkpoint_restore(s, n.cells, n.quotas, MONO,
					    WALL - 86400 * (int64_t)SECOND),
			 1);
	ck_assert_uint_eq(left(&n, 1, MONO), 0);
	ck_assert_uint_eq(left(&n, 1, MONO + 36 * SECOND), 1);
	checkpoint_free(c);
	store_close(s);
	region_close(m.region);
	region_close(n.region);
}
END_TEST

/* The first to read a file after a power cut is the builder: it must not fall over it. */
START_TEST(a_damaged_checkpoint_is_refused)
{
	struct machine m = start("one");
	struct store *s = place_open(false);
	struct checkpoint *c = checkpoint_new(m.cells, m.quotas);
	uint8_t page[4096];
	int found = 0;
	FILE *f;

	for (int i = 0; i < 1000; i++)
		take(&m, i, 50, MONO);
	save(s, c, MONO, WALL);
	store_close(s);
	checkpoint_free(c);
	/* A leaf of the cells, whose nodes are of 8 + 4 + 16 bytes, has one more than it
	 * has. */
	f = fopen(place_path, "r+b");
	ck_assert_ptr_nonnull(f);
	for (long at = 8192; !found && fseek(f, at, SEEK_SET) == 0 &&
			     fread(page, sizeof(page), 1, f) == 1;
	     at += 4096) {
		unsigned node = page[16] | (unsigned)page[17] << 8;

		if (page[10] != 2 || node > 4096 - 28 || page[node] != 16 ||
		    page[node + 6] != 4)
			continue;
		page[12] = (uint8_t)(page[12] + 2);
		fseek(f, at, SEEK_SET);
		ck_assert_uint_eq(fwrite(page, sizeof(page), 1, f), 1);
		found++;
	}
	ck_assert_int_eq(found, 1);
	fclose(f);
	s = place_open(true);
	ck_assert_int_eq(checkpoint_restore(s, m.cells, m.quotas, MONO, WALL), -1);
	ck_assert_int_eq(store_failure(s), STORE_FAIL_FOREIGN);
	ck_assert_str_eq(store_error(s), "damaged");
	store_close(s);
	region_close(m.region);
}
END_TEST

START_TEST(an_empty_store_restores_nothing)
{
	struct machine m = start("one");
	struct store *s = place_open(false);
	uint64_t before[2], after[2];

	cells_hash_key(m.cells, before);
	ck_assert_int_eq(checkpoint_restore(s, m.cells, m.quotas, MONO, WALL), 0);
	cells_hash_key(m.cells, after);
	ck_assert_mem_eq(before, after, sizeof(after));
	store_close(s);
	region_close(m.region);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { limits_go_on_on_another_machine_start,
				 only_what_changed_is_written,
				 a_transaction_that_failed_is_made_good,
				 cells_of_another_hash_key_are_dropped,
				 a_clock_set_back_holds_nobody_back,
				 a_damaged_checkpoint_is_refused,
				 an_empty_store_restores_nothing };

	return place_run("shm/store_cells", tests, sizeof(tests) / sizeof(*tests));
}
