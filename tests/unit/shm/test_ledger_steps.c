/* Ledgers: all interleavings of two workers that take and a keeper that takes out, and is
 * killed. */
#define LEDGER_A_SET 4
#include "tests/unit/shm/interleave.h"

#include "shm/ledger.c"

static struct ledger_head head;
static struct ledger_set set;
static struct {
	_Atomic uint64_t count;
	uint64_t spare[7];
} value[LEDGER_A_SET];
static struct ledger ledger;

static struct {
	int64_t taken[4];               /* entries, by actor */
	int added[8], booked[8], lost;  /* by key */
	bool ended[4], marked;
	int removed, mended;
} note;

static struct siphash
key_of(unsigned k)
{
	/* Hints differ: a set is not looked through in the same order for each. */
	return (struct siphash){ .low = k << 1, .high = 64 * k };
}

static struct str
name_of(unsigned k)
{
	static const char names[] = "abcdefgh";

	return (struct str){ names + k, 1 };
}

static void
setup(void)
{
	memset(&head, 0, sizeof(head));
	memset(&set, 0, sizeof(set));
	memset(value, 0, sizeof(value));
	memset(&note, 0, sizeof(note));
	head.reserved = 1;
	ledger = (struct ledger){ &head, &set, (char *)value, LEDGER_A_SET,
				  sizeof(value[0]) };
}

static int64_t
fill(unsigned k)
{
	return ledger_take(&ledger, key_of(k), name_of(k));
}

/* A worker adds to what it took, as meters do. */
static void
use(int me, unsigned k)
{
	int64_t entry = ledger_take(&ledger, key_of(k), name_of(k));

	note.taken[me] = entry;
	if (entry < 0) {
		note.lost++;
		return;
	}
	note.added[k]++;
	SHM_STEP();
	value[entry].count++;
}

static unsigned
key_at(int64_t entry)
{
	return (unsigned)(set.place[entry].word.value / 64);
}

/* No key twice, and what nobody uses is zero. */
static void
whole(void)
{
	for (int i = 0; i < LEDGER_A_SET; i++) {
		uint64_t tag = set.place[i].word.tag & ~1ull;

		interleave_assert(set.place[i].word.tag != 0 || value[i].count == 0);
		interleave_assert(set.place[i].word.tag != 0 || set.place[i].named == 0);
		for (int j = 0; j < i; j++)
			interleave_assert(!tag || tag != (set.place[j].word.tag & ~1ull));
	}
}

/* All that was added is there, or was booked by the keeper before it took the entry out.
 */
static void
sums_are_true(void)
{
	int found[8] = { 0 };

	ledger_mend(&ledger);
	whole();
	for (int i = 0; i < LEDGER_A_SET; i++) {
		struct str name = ledger_name(&ledger, i);

		if (set.place[i].word.tag == 0)
			continue;
		interleave_assert(name.len == 1 &&
				  name.at[0] == name_of(key_at(i)).at[0]);
		found[key_at(i)] += (int)value[i].count;
	}
	for (int k = 0; k < 8; k++)
		interleave_assert(found[k] + note.booked[k] == note.added[k]);
}

static const struct interleave plan = {
	.part = { { &set, sizeof(set) },
		  { value, sizeof(value) },
		  { &note, sizeof(note) } },
	.always = whole,
	.finally = sums_are_true,
};

static void first_uses_5(void) { use(0, 5); }
static void second_uses_5(void) { use(1, 5); }

static void
both_found_it(void)
{
	sums_are_true();
	interleave_assert(note.taken[0] == note.taken[1] && note.added[5] == 2);
}

START_TEST(two_on_one_new_key)
{
	struct interleave p = plan;

	fill(1);
	fill(2);
	p.actors = 2;
	p.actor[0] = first_uses_5;
	p.actor[1] = second_uses_5;
	p.finally = both_found_it;
	ck_assert_uint_gt(interleave_all("two on one key", &p), 100000);
}
END_TEST

static void first_uses_4(void) { use(0, 4); }

static void
both_found_room(void)
{
	sums_are_true();
	interleave_assert(note.taken[0] != note.taken[1] && note.lost == 0);
}

START_TEST(two_new_keys)
{
	struct interleave p = plan;

	fill(1);
	fill(2);
	p.actors = 2;
	p.actor[0] = first_uses_4;
	p.actor[1] = second_uses_5;
	p.finally = both_found_room;
	ck_assert_uint_gt(interleave_all("two new keys", &p), 100000);
}
END_TEST

/* ---- with a keeper */

/* The one that was at work when the mark was set has ended its turn. */
static bool
first_has_turned(void)
{
	return note.ended[0];
}

static void
keep(int64_t entry, bool (*turned)(void))
{
	unsigned k = key_at(entry);
	int before;

	if (!ledger_retire(&ledger, entry))
		return;
	note.marked = true;
	interleave_wait(turned);
	/* It books first: who adds after this takes off the mark first. */
	before = note.booked[k];
	note.booked[k] = (int)value[entry].count;
	if (ledger_remove(&ledger, entry))
		note.removed++;
	else
		note.booked[k] = before;
}

static void first_ends(void) { use(0, 5); note.ended[0] = true; }
static void second_ends(void) { use(1, 5); note.ended[1] = true; }
static void keeper_of_first(void) { keep(note.taken[2], first_has_turned); }

static void
none_is_lost(void)
{
	sums_are_true();
	interleave_assert(note.lost == 0);
	interleave_assert(note.taken[0] == note.taken[1]);
}

START_TEST(two_takers_while_another_is_taken_out)
{
	struct interleave p = plan;

	fill(2);
	note.taken[2] = fill(1);
	fill(3);
	p.actors = 3;
	p.actor[0] = first_ends;
	p.actor[1] = second_ends;
	p.actor[2] = keeper_of_first;
	p.finally = none_is_lost;
	ck_assert_uint_gt(interleave_all("two takers and the keeper", &p), 100000);
}
END_TEST

/* The place that comes free is not the one that was free before. */
static void
keeper_of_one(void)
{
	ledger_remove(&ledger, note.taken[2]);
}

START_TEST(two_takers_while_a_better_place_comes_free)
{
	struct interleave p = plan;

	fill(2);
	note.taken[2] = fill(1);
	fill(3);
	ledger_retire(&ledger, note.taken[2]);
	p.actors = 3;
	p.actor[0] = first_ends;
	p.actor[1] = second_ends;
	p.actor[2] = keeper_of_one;
	p.finally = none_is_lost;
	ck_assert_uint_gt(interleave_all("two takers, a better place", &p), 100000);
}
END_TEST

/* Two are taken out while two insert: the places that come free are no reason to be in
 * both. */
static void
keeper_of_two(void)
{
	ledger_remove(&ledger, note.taken[2]);
	ledger_remove(&ledger, note.taken[3]);
}

START_TEST(two_takers_while_two_are_taken_out)
{
	struct interleave p = plan;

	fill(2);
	note.taken[2] = fill(1);
	note.taken[3] = fill(3);
	fill(6);
	ledger_retire(&ledger, note.taken[2]);
	ledger_retire(&ledger, note.taken[3]);
	p.actors = 3;
	p.actor[0] = first_ends;
	p.actor[1] = second_ends;
	p.actor[2] = keeper_of_two;
	p.finally = sums_are_true;
	ck_assert_uint_gt(interleave_all("two takers, two taken out", &p), 100000);
}
END_TEST

static bool
it_is_marked(void)
{
	return note.marked;
}

static void first_uses_1(void) { use(0, 1); note.ended[0] = true; }
/* The keeper does not wait for a turn that begins after it has set the mark. */
static void second_comes_late(void) { interleave_wait(it_is_marked); use(1, 1); }

START_TEST(taken_again_while_it_is_taken_out)
{
	struct interleave p = plan;

	fill(2);
	note.taken[2] = fill(1);
	p.actors = 3;
	p.actor[0] = first_uses_1;
	p.actor[1] = second_comes_late;
	p.actor[2] = keeper_of_first;
	ck_assert_uint_gt(interleave_all("taken again", &p), 100);
}
END_TEST

/* The next keeper finishes what it finds, while the workers go on. */
static bool
keeper_was_killed(void)
{
	return interleave.done[1];
}

static void
next_keeper(void)
{
	interleave_wait(keeper_was_killed);
	note.mended += (int)ledger_mend(&ledger);
}

/* The one that it takes out is nobody's: it need not wait. */
static void
keeper_now(void)
{
	keep(note.taken[2], NULL);
}

static void
all_places_are_of_use(void)
{
	sums_are_true();
	for (int i = 0; i < LEDGER_A_SET; i++)
		interleave_assert(set.place[i].word.tag != CLOSED);
}

START_TEST(a_keeper_is_killed)
{
	struct interleave p = plan;

	fill(2);
	note.taken[2] = fill(1);
	fill(3);
	fill(4);
	p.actors = 3;
	p.actor[0] = first_ends;
	p.actor[1] = keeper_now;
	p.actor[2] = next_keeper;
	p.finally = all_places_are_of_use;
	p.killable = 1 << 1;
	ck_assert_uint_gt(interleave_all("a keeper is killed", &p), 100000);
}
END_TEST

/* A worker that is killed leaves, at most, an entry without a name; the next one names
 * it. */
START_TEST(a_worker_is_killed)
{
	struct interleave p = plan;

	fill(2);
	p.actors = 2;
	p.actor[0] = first_uses_5;
	p.actor[1] = second_uses_5;
	p.killable = 1;
	p.finally = whole;
	ck_assert_uint_gt(interleave_all("a worker is killed", &p), 100000);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("shm/ledger, all interleavings");
	TCase *t = tcase_create("steps");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, two_on_one_new_key);
	tcase_add_test(t, two_new_keys);
	tcase_add_test(t, two_takers_while_another_is_taken_out);
	tcase_add_test(t, two_takers_while_a_better_place_comes_free);
	tcase_add_test(t, two_takers_while_two_are_taken_out);
	tcase_add_test(t, taken_again_while_it_is_taken_out);
	tcase_add_test(t, a_keeper_is_killed);
	tcase_add_test(t, a_worker_is_killed);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
