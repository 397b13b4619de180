/* Quotas: all interleavings of two that take at the same time, also when a window ends.
 */
#define QUOTAS_A_SET 4
#include "tests/unit/shm/interleave.h"

#include "shm/quotas.c"

enum { HOUR = 60, MONDAY = 30000000, TEN = MONDAY + 10 * HOUR, ELEVEN = TEN + HOUR };

static struct quotas *quotas;

static struct {
	int admitted[4], refused[4], full[4];   /* by key */
	uint64_t reset;
} note;

static void
take(uint64_t key, uint32_t ends, uint32_t now, uint64_t limit)
{
	switch (quotas_take(quotas, (struct siphash){ key, 0 }, ends, now, limit, 1)
			.verdict) {
	case QUOTA_ADMITTED:
		note.admitted[key]++;
		break;
	case QUOTA_REFUSED:
		note.refused[key]++;
		break;
	case QUOTA_FULL:
		note.full[key]++;
		break;
	}
}

static void
setup(void)
{
	quotas = aligned_alloc(64, sizeof(*quotas));
	memset(quotas, 0, offsetof(struct quotas, set[1]));
	memset(&note, 0, sizeof(note));
}

static void
teardown(void)
{
	free(quotas);
}

static void
fill(int at, uint64_t key, uint64_t ends, uint64_t count)
{
	const uint64_t word[2] = { key, ends << COUNT_BITS | count };

	quotas_restore(quotas, (uint32_t)at, word);
}

static void
no_key_twice(void)
{
	for (int i = 0; i < QUOTAS_A_SET; i++)
		for (int j = 0; j < i; j++) {
			uint64_t tag = quotas->set[0].cell[i].tag;

			interleave_assert(!tag || tag != quotas->set[0].cell[j].tag);
		}
}

static uint64_t
explore(const char *name, void (*a)(void), void (*b)(void), void (*finally)(void))
{
	const struct interleave p = {
		.actors = 2,
		.actor = { a, b },
		.part = { { &quotas->set[0], sizeof(quotas->set[0]) },
			  { &note, sizeof(note) } },
		.always = no_key_twice,
		.finally = finally,
	};

	return interleave_all(name, &p);
}

static void
two_before_ten(void)
{
	take(1, TEN, TEN - 5, 3);
	take(1, TEN, TEN - 5, 3);
}

static void
three_of_four(void)
{
	interleave_assert(note.admitted[1] == 3 && note.refused[1] == 1);
}

START_TEST(two_on_one_new_key)
{
	fill(1, 8, TEN - HOUR, 100);
	fill(2, 9, TEN - HOUR, 5);
	ck_assert_uint_gt(explore("two on one key", two_before_ten, two_before_ten,
				  three_of_four), 100000);
}
END_TEST

static void
two_after_ten(void)
{
	take(1, ELEVEN, TEN, 3);
	take(1, ELEVEN, TEN, 3);
}

/* Three in each window, never one more; who is late counts in the new one. */
static void
three_a_window(void)
{
	struct quota_answer a =
		quotas_take(quotas, (struct siphash){ 1, 0 }, ELEVEN, TEN, 3, 0);

	interleave_assert(note.admitted[1] >= 3 && note.admitted[1] <= 4);
	interleave_assert(a.used >= 2 && a.used <= 3);
	interleave_assert(note.admitted[1] + note.refused[1] == 4);
}

START_TEST(the_window_ends)
{
	ck_assert_uint_gt(explore("the window ends", two_before_ten, two_after_ten,
				  three_a_window), 100000);
}
END_TEST

static void
one_and_another(void)
{
	take(1, ELEVEN, TEN, 1);
	take(2, ELEVEN, TEN, 1);
}

static void
another_and_one(void)
{
	take(2, ELEVEN, TEN, 1);
	take(1, ELEVEN, TEN, 1);
}

static void
each_once(void)
{
	interleave_assert(note.admitted[1] == 1 && note.refused[1] == 1);
	interleave_assert(note.admitted[2] == 1 && note.refused[2] == 1);
	interleave_assert(quotas->set[0].cell[1].tag == 7 &&
			  quotas->set[0].cell[2].tag == 8);
}

START_TEST(two_keys_and_two_places)
{
	fill(0, 6, TEN, 4);
	fill(1, 7, ELEVEN, 1);
	fill(2, 8, ELEVEN, 1);
	fill(3, 9, TEN, 3);
	ck_assert_uint_gt(explore("two keys, two places", one_and_another, another_and_one,
				  each_once), 100000);
}
END_TEST

static void
one_gets_the_place(void)
{
	interleave_assert(note.admitted[1] + note.admitted[2] == 1);
	interleave_assert(note.full[1] + note.full[2] == 2);
}

START_TEST(two_keys_and_one_place)
{
	for (int i = 0; i < QUOTAS_A_SET; i++)
		fill(i, 6 + (uint64_t)i, i == 2 ? TEN : ELEVEN, 1);
	ck_assert_uint_gt(explore("two keys, one place", one_and_another, another_and_one,
				  one_gets_the_place), 10000);
}
END_TEST

static void
an_admin(void)
{
	note.reset += quotas_reset(quotas, (struct siphash){ 1, 0 }, TEN);
}

/* Nothing that was admitted is forgotten: it was before the reset, or is counted since.
 */
static void
nothing_lost(void)
{
	struct quota_answer a =
		quotas_take(quotas, (struct siphash){ 1, 0 }, TEN, TEN - 1, 9, 0);

	interleave_assert((uint64_t)note.admitted[1] + 1 == note.reset + a.used);
	interleave_assert(note.refused[1] == 0 || note.reset == 3);
}

START_TEST(an_admin_resets)
{
	fill(0, 1, TEN, 1);
	ck_assert_uint_gt(
		explore("an admin resets", two_before_ten, an_admin, nothing_lost), 50);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("shm/quotas, all interleavings");
	TCase *t = tcase_create("steps");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, two_on_one_new_key);
	tcase_add_test(t, the_window_ends);
	tcase_add_test(t, two_keys_and_two_places);
	tcase_add_test(t, two_keys_and_one_place);
	tcase_add_test(t, an_admin_resets);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
