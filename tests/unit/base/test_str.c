#include "base/str.h"

#include <limits.h>
#include <stdio.h>

#include "tests/unit/unit.h"

START_TEST(upper_case_is_found_wherever_it_stands)
{
	char text[24];

	for (size_t len = 0; len < sizeof(text); len++) {
		memset(text, 'x', sizeof(text));
		ck_assert(!str_has_upper((struct str){ text, len }));
		for (size_t i = 0; i < len; i++)
			for (int c = 0; c < 256; c++) {
				text[i] = (char)c;
				ck_assert_int_eq(str_has_upper((struct str){ text, len }),
						 c >= 'A' && c <= 'Z');
				text[i] = 'x';
			}
	}
}
END_TEST

START_TEST(numbers_around_every_power_of_ten)
{
	char text[24], expected[24];

	for (unsigned long long n = 0; n < 2000; n++) {
		*str_put_u64(text, n) = '\0';
		snprintf(expected, sizeof(expected), "%llu", n);
		ck_assert_str_eq(text, expected);
	}
}
END_TEST

/* However long a slice is: only letters are the same in both cases. */
START_TEST(case_is_of_letters_only)
{
	for (size_t len = 1; len <= 20; len++)
		for (int c = 0; c < 256; c++)
			for (int bit = 1; bit < 256; bit <<= 1) {
				char a[20], b[20];
				struct str x = { a, len }, y = { b, len };
				bool letter = char_lower((unsigned char)c) >= 'a' &&
					      char_lower((unsigned char)c) <= 'z';

				memset(a, 'k', sizeof(a));
				memset(b, 'K', sizeof(b));
				a[len / 2] = (char)c;
				b[len / 2] = (char)(c ^ bit);
				ck_assert_int_eq(str_caseeq(x, y), bit == 0x20 && letter);
			}
}
END_TEST

START_TEST(split_takes_every_part)
{
	struct str rest = STR("a,,b,"), part;

	ck_assert(str_split(&rest, ',', &part));
	unit_str_eq(part, "a");
	ck_assert(str_split(&rest, ',', &part));
	unit_str_eq(part, "");
	ck_assert(str_split(&rest, ',', &part));
	unit_str_eq(part, "b");
	ck_assert(str_split(&rest, ',', &part));
	unit_str_eq(part, "");
	ck_assert(!str_split(&rest, ',', &part));
	ck_assert_ptr_null(rest.at);
}
END_TEST

START_TEST(numbers_are_digits_within_the_limit)
{
	unsigned long long n = 7;

	ck_assert(str_u64(STR("0"), 10, &n) && n == 0);
	ck_assert(str_u64(STR("18446744073709551615"), ULLONG_MAX, &n) && n == ULLONG_MAX);
	ck_assert(str_u64(STR("10"), 10, &n) && n == 10);
	n = 7;
	ck_assert(!str_u64(STR("18446744073709551616"), ULLONG_MAX, &n));
	ck_assert(!str_u64(STR("11"), 10, &n));
	ck_assert(!str_u64(STR("5"), 4, &n));
	ck_assert(!str_u64(STR(""), 10, &n));
	ck_assert(!str_u64(STR("+1"), 10, &n));
	ck_assert(!str_u64(STR(" 1"), 10, &n));
	ck_assert(!str_u64(STR("1a"), 100, &n));
	ck_assert_uint_eq(n, 7);
}
END_TEST

START_TEST(numbers_are_written)
{
	char buf[20];

	unit_str_eq((struct str){ buf, (size_t)(str_put_u64(buf, 0) - buf) }, "0");
	unit_str_eq((struct str){ buf, (size_t)(str_put_u64(buf, 1234567) - buf) },
		    "1234567");
	unit_str_eq((struct str){ buf, (size_t)(str_put_u64(buf, ULLONG_MAX) - buf) },
		    "18446744073709551615");
}
END_TEST

START_TEST(slices_compare_and_cut)
{
	ck_assert(str_eq(STR_NONE, STR("")));
	ck_assert(str_caseeq(STR("Content-LENGTH"), STR("content-length")));
	ck_assert(!str_caseeq(STR("a["), STR("a{")));
	ck_assert(str_starts(STR("/a/b"), STR("/a")) && !str_starts(STR("/"), STR("/a")));
	ck_assert(str_ends(STR("a.example"), STR(".example")) && !str_ends(STR("e"), STR("ee")));
	unit_str_eq(str_from(STR("abc"), 1), "bc");
	unit_str_eq(str_from(STR("abc"), 9), "");
	unit_str_eq(str_first(STR("abc"), 2), "ab");
	unit_str_eq(str_trim(STR(" \t a b\t ")), "a b");
	ck_assert_int_eq(str_find(STR("abc"), 'c'), 2);
	ck_assert_int_eq(str_find(STR("abc"), 'd'), -1);
	ck_assert_int_eq(str_find(STR_NONE, 'd'), -1);
}
END_TEST

START_TEST(hashes_differ_where_slices_do)
{
	ck_assert_uint_eq(str_hash(STR("orders")), str_hash(STR("orders")));
	ck_assert_uint_ne(str_hash(STR("orders")), str_hash(STR("order")));
	ck_assert_uint_ne(str_hash(STR("")), str_hash(STR("\0")));
	ck_assert_uint_ne(str_hash(STR("12345678a")), str_hash(STR("12345678b")));
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		split_takes_every_part,        numbers_are_digits_within_the_limit,
		numbers_are_written,           slices_compare_and_cut,
		hashes_differ_where_slices_do, upper_case_is_found_wherever_it_stands,
		numbers_around_every_power_of_ten, case_is_of_letters_only,
	};

	return unit_run("base/str", tests, sizeof(tests) / sizeof(*tests));
}
