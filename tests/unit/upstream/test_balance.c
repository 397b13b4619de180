#include "tests/unit/unit.h"

#include "worker/upstream/upstream.h"

static struct member members[70];

static struct cluster
cluster(uint32_t n, const int64_t *weights)
{
	for (uint32_t i = 0; i < n; i++)
		members[i] = (struct member){ .weight = weights ? weights[i] : 1 };
	return (struct cluster){ .members = members, .n = n };
}

START_TEST(weights_are_kept_and_spread)
{
	static const int64_t weights[] = { 5, 1, 2 };
	struct cluster c = cluster(3, weights);
	int taken[3] = { 0 }, run = 0, longest = 0;
	const struct member *last = NULL;

	for (int i = 0; i < 80; i++) {
		const struct member *m = cluster_pick(&c, 0);

		taken[m - members]++;
		run = m == last ? run + 1 : 1;
		last = m;
		longest = run > longest ? run : longest;
	}
	ck_assert_int_eq(taken[0], 50);
	ck_assert_int_eq(taken[1], 10);
	ck_assert_int_eq(taken[2], 20);
	ck_assert_int_le(longest, 3);
}
END_TEST

START_TEST(tried_ones_and_those_without_weight_are_left_out)
{
	static const int64_t weights[] = { 1, 0, 1 };
	struct cluster c = cluster(3, weights);
	const struct member *m = cluster_pick(&c, 0);
	uint64_t tried = cluster_bit(&c, m);

	ck_assert_ptr_ne(m, &members[1]);
	m = cluster_pick(&c, tried);
	ck_assert_ptr_nonnull(m);
	ck_assert_ptr_ne(m, &members[1]);
	ck_assert_ptr_null(cluster_pick(&c, tried | cluster_bit(&c, m)));
	c = cluster(1, NULL);
	ck_assert_ptr_eq(cluster_pick(&c, 0), members);
	ck_assert_ptr_null(cluster_pick(&c, 1));
	c.n = 0;
	ck_assert_ptr_null(cluster_pick(&c, 0));
}
END_TEST

START_TEST(beyond_the_bits)
{
	struct cluster c = cluster(70, NULL);

	ck_assert_uint_eq(cluster_bit(&c, &members[62]), 1ull << 62);
	ck_assert_uint_eq(cluster_bit(&c, &members[63]), 1ull << 63);
	ck_assert_uint_eq(cluster_bit(&c, &members[69]), 1ull << 63);
	ck_assert_ptr_null(cluster_pick(&c, UINT64_MAX));
}
END_TEST

int
main(void)
{
	static const TTest *tests[3];
	size_t n = 0;

	tests[n++] = weights_are_kept_and_spread;
	tests[n++] = tried_ones_and_those_without_weight_are_left_out;
	tests[n++] = beyond_the_bits;
	return unit_run("balance", tests, n);
}
