#include "worker/http/token.h"

#include <ctype.h>

#include "worker/http/h1_scan.h"
#include "tests/unit/unit.h"

START_TEST(every_name_is_known_in_any_case)
{
	for (int t = 1; t < TOKEN_COUNT; t++) {
		char *upper = malloc(token_name[t].len),
		     *mixed = malloc(token_name[t].len);

		for (size_t i = 0; i < token_name[t].len; i++) {
			upper[i] = (char)toupper(token_name[t].at[i]);
			mixed[i] = i % 2 ? upper[i] : token_name[t].at[i];
		}
		ck_assert_msg(token_of(token_name[t]) == (enum token)t, "no slot for \"%.*s\"",
			      STR_ARG(token_name[t]));
		ck_assert(token_of((struct str){ upper, token_name[t].len }) ==
			  (enum token)t);
		ck_assert(token_of((struct str){ mixed, token_name[t].len }) ==
			  (enum token)t);
		free(upper);
		free(mixed);
	}
}
END_TEST

START_TEST(one_other_byte_makes_another_name)
{
	for (int t = 1; t < TOKEN_COUNT; t++) {
		struct str name = token_name[t];
		char *odd = malloc(name.len + 1);

		memcpy(odd, name.at, name.len);
		odd[name.len] = 'x';
		ck_assert(token_of((struct str){ odd, name.len + 1 }) == TOKEN_OTHER);
		ck_assert(token_of((struct str){ odd, name.len - 1 }) != (enum token)t);
		for (size_t i = 0; i < name.len; i++)
			for (int c = 0; c < 256; c++) {
				odd[i] = (char)c;
				ck_assert_int_eq(
					token_of((struct str){ odd, name.len }) ==
						(enum token)t,
					char_lower((unsigned char)c) == name.at[i]);
				odd[i] = name.at[i];
			}
		free(odd);
	}
	ck_assert(token_of(STR("")) == TOKEN_OTHER);
	ck_assert(token_of(STR("a-name-longer-than-any-that-is-known")) == TOKEN_OTHER);
}
END_TEST

static bool
in_class(unsigned char c, const char *others)
{
	return isalnum(c) || (c && strchr(others, c));
}

START_TEST(classes_are_those_of_the_rfcs)
{
	for (int c = 0; c < 256; c++) {
		bool visible = c > ' ' && c < 0x7f;

		ck_assert_msg(!!(scan_class[c] & SCAN_TOKEN) ==
			      (c < 128 && in_class((unsigned char)c, "!#$%&'*+-.^_`|~")), "%d", c);
		ck_assert_msg(!!(scan_class[c] & SCAN_TARGET) == (visible && c != '#'),
			      "%d", c);
		ck_assert_msg(!!(scan_class[c] & SCAN_VALUE) ==
			      (visible || c == ' ' || c == '\t' || c > 0x7f), "%d", c);
		ck_assert_msg(!!(scan_class[c] & SCAN_HOST) ==
			      (c < 128 && in_class((unsigned char)c, "-.")), "%d", c);
		ck_assert_msg(!!(scan_class[c] & SCAN_PATH) == (c != '?'), "%d", c);
	}
}
END_TEST

#ifdef __SSE2__
typedef const char *scan_fn(const char *, const char *, const char *);

/* A run of `n` bytes in a block of exactly that size, one of them `c`. */
static void
compare(scan_fn *plain, scan_fn *fast, size_t n, size_t at, int c, size_t from)
{
	char *block = malloc(n + !n);

	memset(block, 'a', n);
	if (at < n)
		block[at] = (char)c;
	ck_assert_msg(plain(block + from, block + n, block) ==
			      fast(block + from, block + n, block),
		      "byte %d at %zu of %zu, from %zu", c, at, n, from);
	free(block);
}

START_TEST(both_ways_to_scan_agree)
{
	for (size_t n = 0; n < 50; n += n < 18 ? 1 : 7)
		for (size_t at = 0; at <= n; at += n < 18 ? 1 : 5)
			for (int c = 0; c < 256; c++)
				for (size_t from = 0; from <= n; from += 9) {
					compare(scan_name_plain, scan_name_sse2, n, at, c,
						from);
					compare(scan_value_plain, scan_value_sse2, n, at,
						c, from);
					compare(scan_target_plain, scan_target_sse2, n,
						at, c, from);
					compare(scan_host_plain, scan_host_sse2, n, at, c,
						from);
					compare(scan_path_plain, scan_path_sse2, n, at, c,
						from);
				}
}
END_TEST
#endif

int
main(void)
{
	const TTest *const tests[] = {
		every_name_is_known_in_any_case, one_other_byte_makes_another_name,
		classes_are_those_of_the_rfcs,
#ifdef __SSE2__
		both_ways_to_scan_agree,
#endif
	};

	return unit_run("token", tests, sizeof(tests) / sizeof(*tests));
}
