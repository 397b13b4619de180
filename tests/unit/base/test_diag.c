#include "base/diag.h"

#include "tests/unit/unit.h"

static struct arena arena;
static struct diag diag;

static const char orders[] =
	"routes = (\n"
	"  { match = \"POST /v1/orders\"; to = \"ordrs\"; },\n"
	"\t{ match =\t\"gr\xc3\xbc\xc3\x9f\"; to = \"x\"; },\n";

static void
setup(void)
{
	arena_init(&arena, NULL, 0, 1 << 24);
	diag_init(&diag, &arena);
	diag_file(&diag, "postern.conf", STR("a = 1;\nb = 2;\n"));
	diag_file(&diag, "conf.d/orders.conf", str_of(orders));
}

static void
check_output(void (*print)(const struct diag *, FILE *), const char *wanted)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	print(&diag, f);
	fclose(f);
	ck_assert_str_eq(text, wanted);
	free(text);
	arena_reset(&arena);
}

static struct where
at(const char *file, uint32_t line, uint32_t column, uint32_t len)
{
	return (struct where){ file, line, column, len };
}

START_TEST(a_finding_shows_its_line)
{
	setup();
	diag_error(&diag, 204, at("conf.d/orders.conf", 2, 37, 7), "no upstream \"%s\"", "ordrs");
	diag_note(&diag, at("postern.conf", 1, 1, 1), "\"orders\" is defined here");
	check_output(diag_print,
		"conf.d/orders.conf:2:37: error: no upstream \"ordrs\" [E204]\n"
		"    2 |   { match = \"POST /v1/orders\"; to = \"ordrs\"; },\n"
		"      |                                     ^~~~~~~\n"
		"postern.conf:1:1: note: \"orders\" is defined here\n"
		"1 error in 2 files. Next: postern explain E204\n");
}
END_TEST

START_TEST(tabs_and_characters_keep_the_caret_in_place)
{
	setup();
	diag_warn(&diag, 210, at("conf.d/orders.conf", 3, 12, 8), "odd");
	diag_warn(&diag, 210, at("conf.d/orders.conf", 3, 27, 3), "odd");
	check_output(diag_print,
		"conf.d/orders.conf:3:12: warning: odd [W210]\n"
		"    3 | \t{ match =\t\"gr\xc3\xbc\xc3\x9f\"; to = \"x\"; },\n"
		"      | \t         \t^~~~~~\n"
		"conf.d/orders.conf:3:27: warning: odd [W210]\n"
		"    3 | \t{ match =\t\"gr\xc3\xbc\xc3\x9f\"; to = \"x\"; },\n"
		"      | \t         \t             ^~~\n"
		"2 warnings in 2 files.\n");
}
END_TEST

START_TEST(findings_are_in_order_of_file_and_line)
{
	setup();
	diag_error(&diag, 501, at(NULL, 0, 0, 0), "no place");
	diag_error(&diag, 201, at("conf.d/orders.conf", 1, 1, 6), "third");
	diag_note(&diag, at(NULL, 0, 0, 0), "of the third");
	diag_error(&diag, 201, at("postern.conf", 2, 1, 1), "second");
	diag_warn(&diag, 201, at("postern.conf", 1, 1, 1), "first");
	diag_error(&diag, 502, at("absent.conf", 0, 0, 0), "cannot be read");
	check_output(diag_print,
		"postern.conf:1:1: warning: first [W201]\n"
		"    1 | a = 1;\n"
		"      | ^\n"
		"postern.conf:2:1: error: second [E201]\n"
		"    2 | b = 2;\n"
		"      | ^\n"
		"conf.d/orders.conf:1:1: error: third [E201]\n"
		"    1 | routes = (\n"
		"      | ^~~~~~\n"
		"note: of the third\n"
		"absent.conf: error: cannot be read [E502]\n"
		"error: no place [E501]\n"
		"4 errors, 1 warning in 2 files. Next: postern explain E201\n");
}
END_TEST

START_TEST(at_most_fifty_errors_are_shown)
{
	setup();
	for (int i = 0; i < 5000; i++)
		diag_error(&diag, 201, at(NULL, 0, 0, 0), "again");
	diag_warn(&diag, 202, at(NULL, 0, 0, 0), "not kept");

	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	int lines = 0;

	diag_print(&diag, f);
	fclose(f);
	for (char *p = text; (p = strstr(p, "error: again [E201]\n")); p++)
		lines++;
	ck_assert_int_eq(lines, 50);
	ck_assert_ptr_nonnull(strstr(text, "\n… and 4951 more\n5000 errors, 1 warning in "
					   "2 files. Next: postern explain "));
	free(text);
	arena_reset(&arena);
}
END_TEST

START_TEST(no_findings)
{
	setup();
	check_output(diag_print, "no errors in 2 files.\n");
}
END_TEST

START_TEST(nothing_in_a_line_reaches_the_terminal)
{
	setup();

	char line[400];

	memset(line, 'x', sizeof(line));
	line[299] = '\x1b';
	line[300] = '!';
	diag_file(&diag, "long.conf", (struct str){ line, sizeof(line) });
	diag_error(&diag, 101, at("long.conf", 1, 301, 1), "here");

	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	diag_print(&diag, f);
	fclose(f);
	ck_assert_ptr_null(strchr(text, '\x1b'));
	ck_assert_ptr_nonnull(strstr(text, "x?!x"));
	ck_assert_uint_lt(strlen(text), 450);
	free(text);
	arena_reset(&arena);
}
END_TEST

START_TEST(json_has_everything)
{
	setup();
	diag_error(&diag, 204, at("postern.conf", 1, 5, 1), "a \"b\"");
	diag_note(&diag, at("postern.conf", 2, 1, 1), "there");
	diag_warn(&diag, 301, at(NULL, 0, 0, 0), "w");
	check_output(diag_print_json,
		"{\"errors\":1,\"warnings\":1,\"files\":2,\"findings\":["
		"{\"level\":\"error\",\"code\":\"E204\",\"file\":\"postern.conf\",\"line\":1,\"column\":5,"
		"\"length\":1,\"text\":\"a \\\"b\\\"\",\"notes\":["
		"{\"level\":\"note\",\"file\":\"postern.conf\",\"line\":2,\"column\":1,\"length\":1,"
		"\"text\":\"there\"}]},"
		"{\"level\":\"warning\",\"code\":\"W301\",\"text\":\"w\",\"notes\":[]}]}\n");
}
END_TEST

START_TEST(a_place_within_a_string)
{
	struct where w = where_in(at("f", 3, 10, 8), 2, 3);

	ck_assert_uint_eq(w.column, 13);
	ck_assert_uint_eq(w.len, 3);
	w = where_in(at("f", 3, 10, 8), 4, 30);
	ck_assert_uint_eq(w.column + w.len, 18);
	w = where_in(at("f", 3, 10, 8), 40, 1);
	ck_assert_uint_eq(w.column, 10);
	ck_assert_uint_eq(w.len, 8);
}
END_TEST

START_TEST(the_nearest_word_is_suggested)
{
	static const char *const words[] = { "orders", "timeout", "to", "max_body_size", "domains", NULL };

	ck_assert_str_eq(diag_nearest(STR("ordrs"), words), "orders");
	ck_assert_str_eq(diag_nearest(STR("roders"), words), "orders");
	ck_assert_str_eq(diag_nearest(STR("Timeout"), words), "timeout");
	ck_assert_str_eq(diag_nearest(STR("timeuot"), words), "timeout");
	ck_assert_str_eq(diag_nearest(STR("max-body-size"), words), "max_body_size");
	ck_assert_str_eq(diag_nearest(STR("domain"), words), "domains");
	ck_assert_ptr_null(diag_nearest(STR("zzz"), words));
	ck_assert_ptr_null(diag_nearest(STR("certificate"), words));
	ck_assert_ptr_null(diag_nearest(STR(""), words));
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		a_finding_shows_its_line,
		tabs_and_characters_keep_the_caret_in_place,
		findings_are_in_order_of_file_and_line,
		at_most_fifty_errors_are_shown,
		no_findings,
		nothing_in_a_line_reaches_the_terminal,
		json_has_everything,
		a_place_within_a_string,
		the_nearest_word_is_suggested,
	};

	return unit_run("base/diag", tests, sizeof(tests) / sizeof(*tests));
}
