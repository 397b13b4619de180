#include "base/chain.h"

#include <signal.h>

#include "tests/unit/unit.h"

static char
byte_at(size_t i)
{
	return (char)(i * 31 % 251);
}

START_TEST(bytes_come_out_as_they_went_in)
{
	static char in[100000];
	struct chain c = { 0 };
	size_t out = 0, step = 1;

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = byte_at(i);
	for (size_t i = 0; i < sizeof(in); i += 7000)
		chain_append(&c,
			     str_first(str_from((struct str){ in, sizeof(in) }, i), 7000),
			     sizeof(in));
	ck_assert_uint_eq(c.len, sizeof(in));
	while (c.len) {
		struct iovec v[4];
		int n = chain_iov(&c, v, 4);
		size_t seen = 0;

		ck_assert_int_gt(n, 0);
		for (int i = 0; i < n; i++)
			for (size_t k = 0; k < v[i].iov_len; k++)
				ck_assert_int_eq(((char *)v[i].iov_base)[k],
						 byte_at(out + seen++));
		step = step * 3 % 20011;
		if (step > c.len)
			step = c.len;
		chain_drop(&c, step);
		out += step;
	}
	ck_assert_uint_eq(out, sizeof(in));
	ck_assert_ptr_null(c.first);
	ck_assert_ptr_null(c.last);
}
END_TEST

START_TEST(an_empty_chain_can_be_used_again)
{
	struct chain c = { 0 };
	struct iovec v;

	ck_assert_int_eq(chain_iov(&c, &v, 1), 0);
	chain_append(&c, STR(""), 0);
	ck_assert_ptr_null(c.first);
	chain_append(&c, STR("abc"), 3);
	chain_drop(&c, 3);
	chain_append(&c, STR("de"), 3);
	ck_assert_int_eq(chain_iov(&c, &v, 1), 1);
	ck_assert_uint_eq(v.iov_len, 2);
	chain_free(&c);
	chain_free(&c);
	ck_assert_uint_eq(c.len, 0);
}
END_TEST

START_TEST(more_than_the_maximum_aborts)
{
	struct chain c = { 0 };

	chain_append(&c, STR("abc"), 5);
	chain_append(&c, STR("def"), 5);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("base/chain");
	TCase *tcase = tcase_create("chain");

	tcase_add_test(tcase, bytes_come_out_as_they_went_in);
	tcase_add_test(tcase, an_empty_chain_can_be_used_again);
	tcase_add_test_raise_signal(tcase, more_than_the_maximum_aborts, SIGABRT);
	suite_add_tcase(suite, tcase);

	SRunner *runner = srunner_create(suite);

	srunner_run_all(runner, CK_NORMAL);

	int failed = srunner_ntests_failed(runner);

	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
