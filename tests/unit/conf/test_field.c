#include "tests/unit/conf/try.h"

START_TEST(what_is_left_out_has_its_default)
{
	const struct sample *s = try_sample("");

	ck_assert_ptr_nonnull(s);
	ck_assert(s->yes);
	ck_assert_int_eq(s->count, 7);
	ck_assert_uint_eq(s->size, 1024);
	ck_assert_uint_eq(s->time, 1000);
	ck_assert_uint_eq(s->share, 500);
	unit_str_eq(s->text, "x");
	ck_assert_uint_eq(s->path.len, 0);
	ck_assert_int_eq(s->word, 1);
	ck_assert_uint_eq(s->list.n, 0);
	ck_assert(s->group.inner);
	ck_assert_int_eq(s->checked, 1);
	try_free();
}
END_TEST

START_TEST(every_kind_is_filled)
{
	setenv("POSTERN_TEST", "secret", 1);

	const struct sample *s = try_sample("yes = false; count = 0x10; size = \"2KiB\"; "
					    "time = \"none\"; share = \"12.5%\";"
					    "text = \"a\" \"b\"; path = \"x/y\"; secret "
					    "= \"env:POSTERN_TEST\"; word = \"one\";"
					    "list = ( \"p\", \"q\" ); pairs: { x-a = "
					    "\"1\"; x-b = \"${env:POSTERN_TEST}\"; };"
					    "group: { inner = false; };");

	ck_assert_ptr_nonnull(s);
	ck_assert(!s->yes);
	ck_assert_int_eq(s->count, 16);
	ck_assert_uint_eq(s->size, 2048);
	ck_assert_uint_eq(s->time, 0);
	ck_assert_uint_eq(s->share, 1250);
	unit_str_eq(s->text, "ab");
	unit_str_eq(s->path, "/proc/self/fd/x/y");
	unit_str_eq(s->secret, "secret");
	ck_assert_int_eq(s->word, 0);
	ck_assert_uint_eq(s->list.n, 2);
	unit_str_eq(s->list.at[1], "q");
	ck_assert_uint_eq(s->pairs.n, 2);
	unit_str_eq(s->pairs.at[0].key, "x-a");
	unit_str_eq(s->pairs.at[1].value, "secret");
	ck_assert(!s->group.inner);
	ck_assert_int_eq(s->text.at[s->text.len], '\0');
	try_free();
}
END_TEST

static const struct { const char *options; int code;
} wrong[] = {
	{ "yes = 1;", 205 },
	{ "yes = \"true\";", 205 },
	{ "count = \"1\";", 205 },
	{ "count = 1.5;", 205 },
	{ "count = 101;", 207 },
	{ "count = -1;", 207 },
	{ "count = 13;", 207 },
	{ "size = 1024;", 206 },
	{ "size = \"1024\";", 206 },
	{ "size = \"2MiB\";", 207 },
	{ "size = \"none\";", 206 },
	{ "time = 5;", 206 },
	{ "time = \"2m\";", 207 },
	{ "time = [ \"1s\" ];", 205 },
	{ "share = 20;", 206 },
	{ "share = \"120%\";", 206 },
	{ "text = 5;", 205 },
	{ "text = [ \"a\" ];", 205 },
	{ "text = \"${env:POSTERN_UNSET}\";", 213 },
	{ "text = \"${x\";", 213 },
	{ "text = \"${x}\";", 213 },
	{ "secret = \"env:POSTERN_UNSET\";", 228 },
	{ "secret = \"file:/nonexistent\";", 228 },
	{ "secret = \"cred:../x\";", 228 },
	{ "word = \"three\";", 211 },
	{ "word = 1;", 205 },
	{ "list = \"a\";", 205 },
	{ "list = [ 1 ];", 205 },
	{ "pairs = \"a\";", 205 },
	{ "pairs: { a = 1; };", 205 },
	{ "group = 1;", 205 },
	{ "group: { iner = true; };", 201 },
	{ "inner = true;", 202 },
	{ "proxy_pass = \"x\";", 201 },
	{ "workers = 1;", 202 },
};

START_TEST(what_is_wrong_has_its_code)
{
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		ck_assert_msg(!try_sample(wrong[i].options), "%s is taken",
			      wrong[i].options);
		ck_assert_msg(try_diag.errors == 1, "%s: %d errors", wrong[i].options,
			      try_diag.errors);
		for (const struct diag_item *f = try_diag.first; f; f = f->next)
			ck_assert_msg(f->level != DIAG_ERROR || f->code == wrong[i].code,
				      "%s: E%d", wrong[i].options, f->code);
		try_free();
	}
}
END_TEST

START_TEST(a_literal_secret_in_a_file_for_all_is_a_warning)
{
	const struct sample *s = try_sample("secret = \"abc\";");

	ck_assert_ptr_nonnull(s);
	unit_str_eq(s->secret, "abc");
	ck_assert_int_eq(try_diag.warnings, 1);
	ck_assert_int_eq(try_diag.first->code, 226);
	try_free();
}
END_TEST

START_TEST(a_secret_is_read_from_a_file)
{
	char path[] = "/tmp/postern-secret-XXXXXX", options[128];
	int fd = mkstemp(path);

	ck_assert_int_eq(write(fd, "abc\n", 4), 4);
	close(fd);
	snprintf(options, sizeof(options), "secret = \"file:%s\";", path);

	const struct sample *s = try_sample(options);

	unlink(path);
	ck_assert_ptr_nonnull(s);
	unit_str_eq(s->secret, "abc");
	try_free();
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		what_is_left_out_has_its_default,
		every_kind_is_filled,
		what_is_wrong_has_its_code,
		a_literal_secret_in_a_file_for_all_is_a_warning,
		a_secret_is_read_from_a_file,
	};

	return unit_run("field", tests, sizeof(tests) / sizeof(*tests));
}
