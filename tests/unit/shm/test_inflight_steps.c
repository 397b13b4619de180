/* Concurrency: all interleavings of workers at the limit, one of which may be killed. */
#define LEDGER_A_SET 4
#define TRIES 2
#include "tests/unit/shm/interleave.h"

#define shape ledger_shape
#include "shm/ledger.c"
#undef shape
#include "shm/inflight.c"

static struct ledger_head head;
static struct ledger_set set;
static struct counts values[LEDGER_A_SET];
static struct inflight_rows rows;
static struct inflight inflight = {
	{ &head, &set, (char *)values, LEDGER_A_SET, sizeof(values[0]) }, &rows
};

static const struct siphash key = { 10, 20 };

static struct {
	int64_t open[4];                /* entry + 1, by actor */
	int taken[4], under_way[4], most;
} note;

static void
setup(void)
{
	memset(&head, 0, sizeof(head));
	memset(&set, 0, sizeof(set));
	memset(values, 0, sizeof(values));
	memset(&rows, 0, sizeof(rows));
	memset(&note, 0, sizeof(note));
	for (int i = 0; i < 3; i++)
		inflight_clear(&inflight, i);
}

static void
begin(int me)
{
	struct inflight_answer a =
		inflight_take(&inflight, me, key, STR("key"), (uint64_t)note.most);

	if (a.verdict != INFLIGHT_TAKEN)
		return;
	note.taken[me]++;
	note.under_way[me]++;
	note.open[me] = a.entry + 1;
}

static void
end(int me)
{
	if (!note.under_way[me])
		return;
	note.under_way[me]--;
	inflight_give(&inflight, me, note.open[me] - 1);
}

static int
under_way(void)
{
	int n = 0;

	for (int i = 0; i < 4; i++)
		n += interleave.killed == i ? 0 : note.under_way[i];
	return n;
}

static void
never_more(void)
{
	interleave_assert(under_way() <= note.most);
}

static void
sum_is_true(void)
{
	int64_t entry = ledger_look(&inflight.ledger, key);

	interleave_assert(entry < 0 ||
			  inflight_sum(&inflight, entry) == (uint64_t)under_way());
}

/* What the master does as soon as it learns of it. */
static void
row_is_cleared(int actor)
{
	inflight_clear(&inflight, actor);
}

static const struct interleave plan = {
	.part = { { &set, sizeof(set) },
		  { values, sizeof(values) },
		  { &rows, sizeof(rows) },
		  { &note, sizeof(note) } },
	.always = never_more,
	.finally = sum_is_true,
	.killed = row_is_cleared,
};

static void first_stays(void) { begin(0); }
static void second_stays(void) { begin(1); }
static void third_stays(void) { begin(2); }
static void first_comes_and_goes(void) { begin(0); end(0); begin(0); end(0); }
static void second_comes_and_goes(void) { begin(1); end(1); begin(1); end(1); }

static void
none_if_they_meet(void)
{
	sum_is_true();
	interleave_assert(under_way() <= 1);
}

START_TEST(two_at_a_limit_of_one)
{
	struct interleave p = plan;

	note.most = 1;
	p.actors = 2;
	p.actor[0] = first_stays;
	p.actor[1] = second_stays;
	p.finally = none_if_they_meet;
	ck_assert_uint_gt(interleave_all("two, limit 1", &p), 100000);
}
END_TEST

/* Where there is room for all, all are taken, however they meet. */
static void
all_were_taken(void)
{
	sum_is_true();
	interleave_assert(under_way() == note.most);
}

START_TEST(three_at_a_limit_of_three)
{
	struct interleave p = plan;

	note.most = 3;
	ledger_take(&inflight.ledger, key, STR("key"));
	p.actors = 3;
	p.actor[0] = first_stays;
	p.actor[1] = second_stays;
	p.actor[2] = third_stays;
	p.finally = all_were_taken;
	ck_assert_uint_gt(interleave_all("three, limit 3", &p), 100000);
}
END_TEST

START_TEST(they_come_and_go)
{
	struct interleave p = plan;

	note.most = 1;
	ledger_take(&inflight.ledger, key, STR("key"));
	p.actors = 2;
	p.actor[0] = first_comes_and_goes;
	p.actor[1] = second_comes_and_goes;
	ck_assert_uint_gt(interleave_all("they come and go", &p), 100000);
}
END_TEST

START_TEST(one_is_killed)
{
	struct interleave p = plan;

	note.most = 1;
	p.actors = 2;
	p.actor[0] = first_comes_and_goes;
	p.actor[1] = second_comes_and_goes;
	p.killable = 1;
	ck_assert_uint_gt(interleave_all("one is killed", &p), 100000);
}
END_TEST

/* A process begins in the row of one that has died: what that one left is void. */
START_TEST(the_next_life)
{
	struct inflight_answer a;

	note.most = 2;
	begin(0);
	begin(1);
	a = inflight_take(&inflight, 2, key, STR("key"), 2);
	ck_assert_int_eq(a.verdict, INFLIGHT_REFUSED);
	inflight_clear(&inflight, 1);
	ck_assert_uint_eq(inflight_sum(&inflight, note.open[0] - 1), 1);
	/* What a dead one had taken is not given back twice. */
	inflight_give(&inflight, 1, note.open[1] - 1);
	ck_assert_uint_eq(inflight_sum(&inflight, note.open[0] - 1), 1);
	begin(1);
	ck_assert_uint_eq(inflight_sum(&inflight, note.open[0] - 1), 2);
	end(0);
	inflight_give(&inflight, 1, note.open[1] - 1);
	ck_assert_uint_eq(inflight_sum(&inflight, note.open[0] - 1), 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("shm/inflight, all interleavings");
	TCase *t = tcase_create("steps");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, two_at_a_limit_of_one);
	tcase_add_test(t, three_at_a_limit_of_three);
	tcase_add_test(t, they_come_and_go);
	tcase_add_test(t, one_is_killed);
	tcase_add_test(t, the_next_life);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
