#include "conf/scan.h"

#include "tests/unit/unit.h"

static struct arena arena;
static struct diag diag;

static struct scan
scan(const char *text)
{
	struct scan s;

	arena_init(&arena, NULL, 0, 1 << 24);
	diag_init(&diag, &arena);
	scan_init(&s, &arena, "t", str_of(text), &diag);
	return s;
}

static const struct { const char *text; enum scan_kind kind; int errors;
} tokens[] = {
	{ "name", SCAN_NAME, 0 },
	{ "a-b_c*9", SCAN_NAME, 0 },
	{ "*", SCAN_NAME, 0 },
	{ "true", SCAN_BOOL, 0 },
	{ "False", SCAN_BOOL, 0 },
	{ "trues", SCAN_NAME, 0 },
	{ "0", SCAN_INT, 0 },
	{ "-7", SCAN_INT, 0 },
	{ "+7", SCAN_INT, 0 },
	{ "0x7fffffff", SCAN_INT, 0 },
	{ "2147483647", SCAN_INT, 0 },
	{ "2147483648", SCAN_LONG, 1 },
	{ "-2147483648", SCAN_INT, 0 },
	{ "5000000000", SCAN_LONG, 1 },
	{ "5000000000L", SCAN_LONG, 0 },
	{ "5LL", SCAN_LONG, 0 },
	{ "0xFFFFFFFF", SCAN_LONG, 1 },
	{ "0xFFFFFFFFL", SCAN_LONG, 0 },
	{ "0xFFFFFFFFFFFFFFFFL", SCAN_LONG, 1 },
	{ "99999999999999999999L", SCAN_LONG, 1 },
	{ "1.5", SCAN_FLOAT, 0 },
	{ ".5", SCAN_FLOAT, 0 },
	{ "1e5", SCAN_FLOAT, 0 },
	{ "-1.5e-3", SCAN_FLOAT, 0 },
	{ "30s", SCAN_WORD, 0 },
	{ "10.0.0.1", SCAN_WORD, 0 },
	{ "/path", SCAN_WORD, 0 },
	{ "-", SCAN_WORD, 0 },
	{ "http://x/y", SCAN_WORD, 0 },
	{ "_a", SCAN_WORD, 0 },
	{ "\xc3\xbc", SCAN_WORD, 0 },
	{ "\"a\"", SCAN_STRING, 0 },
	{ "\"a\\\"b\"", SCAN_STRING, 0 },
	{ "\"\"", SCAN_STRING, 0 },
	{ "\"two\nlines\"", SCAN_STRING, 0 },
	{ "\"open", SCAN_STRING, 1 },
	{ "\"\\x00\"", SCAN_STRING, 1 },
	{ "=", SCAN_ASSIGN, 0 },
	{ ":", SCAN_ASSIGN, 0 },
	{ ";", SCAN_SEMICOLON, 0 },
	{ ",", SCAN_COMMA, 0 },
	{ "{", SCAN_OPEN, 0 },
	{ ")", SCAN_CLOSE, 0 },
	{ "", SCAN_END, 0 },
	{ " \t\r\n", SCAN_END, 0 },
	{ "# x", SCAN_END, 0 },
	{ "// x", SCAN_END, 0 },
	{ "/* x */", SCAN_END, 0 },
	{ "/* x", SCAN_END, 1 },
	{ "\1", SCAN_END, 1 },
};

START_TEST(tokens_are_told_apart)
{
	for (size_t i = 0; i < sizeof(tokens) / sizeof(*tokens); i++) {
		struct scan s = scan(tokens[i].text);
		struct scan_token t = scan_next(&s);

		ck_assert_msg(t.kind == tokens[i].kind, "%s is %d", tokens[i].text,
			      t.kind);
		ck_assert_msg(diag.errors == tokens[i].errors, "%s: %d errors",
			      tokens[i].text, diag.errors);
		if (!tokens[i].errors)
			ck_assert_msg(scan_next(&s).kind == SCAN_END,
				      "%s has more than one token", tokens[i].text);
		arena_reset(&arena);
	}
}
END_TEST

START_TEST(places_are_lines_and_columns)
{
	struct scan s = scan("a = 1; # x\n\n  bc = \"\xc3\xbc\" ;");
	static const struct { uint32_t line, column, len;
	} at[] = {
		{ 1, 1, 1 }, { 1, 3, 1 }, { 1, 5, 1 }, { 1, 6, 1 },
		{ 3, 3, 2 }, { 3, 6, 1 }, { 3, 8, 4 }, { 3, 13, 1 },
	};

	for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
		struct scan_token t = scan_next(&s);
		struct where w = scan_where(&s, t.at, t.end);

		ck_assert_uint_eq(w.line, at[i].line);
		ck_assert_uint_eq(w.column, at[i].column);
		ck_assert_uint_eq(w.len, at[i].len);
	}
	ck_assert_int_eq(scan_next(&s).kind, SCAN_END);
	/* In any order. */
	ck_assert_uint_eq(scan_where(&s, 0, 1).line, 1);
	ck_assert_uint_eq(scan_where(&s, 14, 15).line, 3);
	arena_reset(&arena);
}
END_TEST

START_TEST(comments_are_kept_when_asked_for)
{
	struct scan s = scan("a # one\n/* two */ b // three");
	static const enum scan_kind kinds[] = { SCAN_NAME, SCAN_COMMENT, SCAN_COMMENT,
						SCAN_NAME, SCAN_COMMENT, SCAN_END };

	s.comments = true;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		ck_assert_int_eq(scan_next(&s).kind, kinds[i]);
	arena_reset(&arena);
}
END_TEST

START_TEST(an_open_string_ends_where_it_was_meant_to)
{
	struct scan s = scan("a = \"x; b = \"y\";");
	struct scan_token t;

	scan_next(&s), scan_next(&s);
	t = scan_next(&s);
	ck_assert_int_eq(t.kind, SCAN_STRING);
	ck_assert_uint_eq(t.end, 6);
	ck_assert_int_eq(diag.errors, 1);
	ck_assert_uint_eq(diag.first->where.column, 5);
	ck_assert_int_eq(scan_next(&s).kind, SCAN_SEMICOLON);
	ck_assert_int_eq(scan_next(&s).kind, SCAN_NAME);
	arena_reset(&arena);
}
END_TEST

START_TEST(a_byte_order_mark_is_passed_over)
{
	struct scan s = scan("\xef\xbb\xbf" "a");

	ck_assert_int_eq(scan_next(&s).kind, SCAN_NAME);
	ck_assert_int_eq(diag.warnings, 1);
	arena_reset(&arena);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		tokens_are_told_apart,
		places_are_lines_and_columns,
		comments_are_kept_when_asked_for,
		an_open_string_ends_where_it_was_meant_to,
		a_byte_order_mark_is_passed_over,
	};

	return unit_run("scan", tests, sizeof(tests) / sizeof(*tests));
}
