/* Rate cells: all interleavings of two or three that take at the same time. */
#include "tests/unit/shm/interleave.h"

#include "shm/cells.c"

#define SECOND 1000000000ull

static struct cells *cells;

/* What the actors found, kept with the state. */
static struct {
	int admitted[4], refused[4], full[4];   /* by key */
} note;

static void
take(uint64_t key, struct cell_limit l, uint64_t now)
{
	switch (cells_take(cells, (struct siphash){ key, 0 }, l, now).verdict) {
	case CELL_ADMITTED:
		note.admitted[key]++;
		break;
	case CELL_REFUSED:
		note.refused[key]++;
		break;
	case CELL_FULL:
		note.full[key]++;
		break;
	}
}

static void
setup(void)
{
	cells = aligned_alloc(64, sizeof(*cells));
	memset(cells, 0, offsetof(struct cells, set[1]));
	memset(&note, 0, sizeof(note));
}

static void
teardown(void)
{
	free(cells);
}

static void
fill(int at, uint64_t key, uint64_t tat)
{
	cells_restore(cells, (uint32_t)at, (const uint64_t[2]){ key, tat });
}

static void
no_key_twice(void)
{
	for (int i = 0; i < CELLS_A_SET; i++)
		for (int j = 0; j < i; j++) {
			uint64_t tag = cells->set[0].cell[i].tag;

			interleave_assert(!tag || tag != cells->set[0].cell[j].tag);
		}
}

static const struct cell_limit burst3 = { SECOND, 3 }, burst1 = { SECOND, 1 };

static uint64_t
explore(const char *name, int n, void (*const actor[])(void), void (*finally)(void))
{
	struct interleave p = {
		.actors = n,
		.part = { { &cells->set[0], sizeof(cells->set[0]) },
			  { &note, sizeof(note) } },
		.always = no_key_twice,
		.finally = finally,
	};

	for (int i = 0; i < n; i++)
		p.actor[i] = actor[i];
	return interleave_all(name, &p);
}

static void
two_of_key_1(void)
{
	take(1, burst3, 10 * SECOND);
	take(1, burst3, 10 * SECOND);
}

static void
three_of_four(void)
{
	interleave_assert(note.admitted[1] == 3);
	interleave_assert(note.refused[1] == 1);
}

START_TEST(two_on_one_new_key)
{
	void (*const actor[])(void) = { two_of_key_1, two_of_key_1 };

	ck_assert_uint_gt(explore("two on one key", 2, actor, three_of_four), 100000);
}
END_TEST

static void
one_of_key_1(void)
{
	take(1, burst1, 10 * SECOND);
}

static void
one_of_three(void)
{
	interleave_assert(note.admitted[1] == 1);
	interleave_assert(note.refused[1] == 2);
}

START_TEST(three_on_one_new_key)
{
	void (*const actor[])(void) = { one_of_key_1, one_of_key_1, one_of_key_1 };

	fill(0, 7, 9 * SECOND);
	fill(1, 8, 8 * SECOND);
	fill(3, 9, 9 * SECOND);
	ck_assert_uint_gt(explore("three on one key", 3, actor, one_of_three), 100000);
}
END_TEST

static void
key_1_and_2(void)
{
	take(1, burst1, 10 * SECOND);
	take(2, burst1, 10 * SECOND);
}

static void
key_2_and_1(void)
{
	take(2, burst1, 10 * SECOND);
	take(1, burst1, 10 * SECOND);
}

/* Two places have recovered, two have not: both keys find room, once. */
static void
each_once(void)
{
	interleave_assert(note.admitted[1] == 1 && note.refused[1] == 1);
	interleave_assert(note.admitted[2] == 1 && note.refused[2] == 1);
	interleave_assert(cells->set[0].cell[1].tag == 8 &&
			  cells->set[0].cell[2].tag == 9);
}

START_TEST(two_keys_and_two_places)
{
	void (*const actor[])(void) = { key_1_and_2, key_2_and_1 };

	fill(0, 7, 9 * SECOND);
	fill(1, 8, 11 * SECOND);
	fill(2, 9, 11 * SECOND);
	fill(3, 6, 8 * SECOND);
	ck_assert_uint_gt(explore("two keys, two places", 2, actor, each_once), 100000);
}
END_TEST

/* One place has recovered: one of the keys gets it, and the other none. */
static void
one_gets_the_place(void)
{
	interleave_assert(note.admitted[1] + note.admitted[2] == 1);
	interleave_assert(note.full[1] + note.full[2] >= 2);
}

START_TEST(two_keys_and_one_place)
{
	void (*const actor[])(void) = { key_1_and_2, key_2_and_1 };

	for (int i = 0; i < CELLS_A_SET; i++)
		fill(i, 6 + (uint64_t)i, (i == 2 ? 9 : 11) * SECOND);
	ck_assert_uint_gt(explore("two keys, one place", 2, actor, one_gets_the_place),
			  10000);
}
END_TEST

/* One whose clock lags: the key that it knows as used up has recovered for the other, and
 * may be evicted. */
static void
early_key_1(void)
{
	take(1, burst1, 10 * SECOND);
	take(1, burst1, 10 * SECOND);
}

static void
late_key_2(void)
{
	take(2, burst1, 12 * SECOND);
	take(1, burst1, 12 * SECOND);
}

static void
never_one_more(void)
{
	/* Once at 10 s, once at 12 s. */
	interleave_assert(note.admitted[1] <= 2);
	interleave_assert(note.admitted[2] <= 1);
}

START_TEST(clocks_that_differ)
{
	void (*const actor[])(void) = { early_key_1, late_key_2 };

	for (int i = 0; i < CELLS_A_SET; i++)
		fill(i, 6 + (uint64_t)i, (i == 2 ? 9 : 13) * SECOND);
	ck_assert_uint_gt(explore("clocks that differ", 2, actor, never_one_more), 10000);
}
END_TEST

static void
late_key_1(void)
{
	take(1, burst1, 12 * SECOND);
}

/* What is free for the one is not yet for the other: still both take the same place. */
START_TEST(clocks_that_differ_in_two_places)
{
	void (*const actor[])(void) = { early_key_1, late_key_1 };

	fill(0, 6, 9 * SECOND);
	fill(1, 7, 13 * SECOND);
	fill(2, 8, 11 * SECOND);
	fill(3, 9, 13 * SECOND);
	ck_assert_uint_gt(explore("clocks that differ, two places", 2, actor, never_one_more),
			  10000);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("shm/cells, all interleavings");
	TCase *t = tcase_create("steps");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, two_on_one_new_key);
	tcase_add_test(t, three_on_one_new_key);
	tcase_add_test(t, two_keys_and_two_places);
	tcase_add_test(t, two_keys_and_one_place);
	tcase_add_test(t, clocks_that_differ);
	tcase_add_test(t, clocks_that_differ_in_two_places);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
