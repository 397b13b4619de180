/* Consumers and their keys: of the section, of gateway.consumers_file, of both. */
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "tests/unit/conf/try.h"

#define PLANS "plans: { free: { rate = \"1/s\"; }; gold: { rate = \"9/s\"; }; };\n"
#define REST TRY_LISTENERS TRY_UPSTREAMS TRY_SERVICES

static char keys_path[64];

/* sha256:… of a text; 71 bytes. */
static const char *
key(const char *text)
{
	static char hex[8][80];
	static int next;
	char *to = hex[next++ % 8];
	struct digest d = sha256(str_of(text));

	memcpy(to, "sha256:", 7);
	digest_put(to + 7, &d);
	to[71] = '\0';
	return to;
}

static const struct conf_consumer *
owner(const struct conf_model *m, const char *text)
{
	struct digest d = sha256(str_of(text));

	return conf_key_find(&m->consumers, &d);
}

/* `section` in consumers: { }, `lines` in the file. */
static const struct conf_model *
load(const char *section, const char *lines)
{
	static char text[8192];
	int fd = memfd_create("keys", 0);
	const struct conf_model *m;

	ck_assert_int_eq(write(fd, lines, strlen(lines)), (ssize_t)strlen(lines));
	snprintf(keys_path, sizeof(keys_path), "/proc/self/fd/%d", fd);
	snprintf(text, sizeof(text),
		 "gateway: { consumers_file = \"%s\"; };\n" PLANS "consumers: { %s };\n" REST,
		 keys_path, section);
	m = try_load(text);
	close(fd);
	return m;
}

static char *say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static char *
say(const char *fmt, ...)
{
	static char buf[4][2048];
	static int next;
	char *to = buf[next++ % 4];
	va_list args;

	va_start(args, fmt);
	vsnprintf(to, sizeof(buf[0]), fmt, args);
	va_end(args);
	return to;
}

START_TEST(keys_of_the_section)
{
	char *text = say(PLANS "consumers: { acme: { plan = \"gold\"; keys = [ \"%s\", \"%s\" "
			       "]; }; none: { }; free: { plan = \"free\"; }; };\n" REST,
			 key("one"), key("two"));
	const struct conf_model *m = try_load(text);

	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->consumers.n, 3);
	ck_assert_uint_eq(m->consumers.nkeys, 2);
	ck_assert(str_eq(owner(m, "one")->name, STR("acme")));
	ck_assert_ptr_eq(owner(m, "one"), owner(m, "two"));
	ck_assert_ptr_eq(owner(m, "one")->plan, conf_plan_find(m, STR("gold")));
	ck_assert_ptr_null(owner(m, "three"));
	ck_assert_ptr_null(conf_consumer_find(m, STR("none"))->plan);
	ck_assert_uint_eq(conf_consumer_find(m, STR("none"))->index, 1);
	ck_assert_ptr_null(conf_consumer_find(m, STR("acm")));
	try_free();
}
END_TEST

START_TEST(nobody_at_all)
{
	const struct conf_model *m = try_load(REST);

	ck_assert_ptr_nonnull(m);
	ck_assert_ptr_null(owner(m, "one"));
	ck_assert_ptr_null(conf_consumer_find(m, STR("acme")));
	try_free();
}
END_TEST

START_TEST(keys_of_a_file_add_up)
{
	const struct conf_model *m = load(
		say("acme: { keys = [ \"%s\" ]; }", key("one")),
		say("# who may call\n\nacme %s gold\r\n  a.b@c-d_e\t%s\t# no plan\nacme %s\n"
		    "x %s free # the end",
		    key("two"), key("three"), key("four"), key("five")));

	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->consumers.n, 3);
	ck_assert_uint_eq(m->consumers.nkeys, 5);
	ck_assert(str_eq(owner(m, "one")->name, STR("acme")));
	ck_assert_ptr_eq(owner(m, "two"), owner(m, "one"));
	ck_assert_ptr_eq(owner(m, "four"), owner(m, "one"));
	ck_assert(str_eq(owner(m, "one")->plan->name, STR("gold")));
	ck_assert(str_eq(owner(m, "three")->name, STR("a.b@c-d_e")));
	ck_assert_ptr_null(owner(m, "three")->plan);
	ck_assert(str_eq(owner(m, "five")->plan->name, STR("free")));
	ck_assert_uint_eq(conf_consumer_find(m, STR("a.b@c-d_e"))->where.line, 4);
	ck_assert_uint_eq(conf_consumer_find(m, STR("a.b@c-d_e"))->where.column, 3);
	try_free();
}
END_TEST

START_TEST(the_same_key_again_is_no_harm)
{
	const struct conf_model *m = load(say("acme: { keys = [ \"%s\", \"%s\" ]; }",
					      key("one"), key("one")),
					  say("acme %s\n", key("one")));

	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->consumers.nkeys, 1);
	try_free();
}
END_TEST

/* Digests are told apart by all of their bytes. */
START_TEST(keys_that_begin_alike)
{
	static const char zeros[] = "000000000000000000000000000000000000000000000000000000000000000";
	const struct conf_model *m =
		load("", say("a sha256:%s1\nb sha256:%s2\n", zeros, zeros));
	struct digest d = { { 0 } };

	ck_assert_ptr_nonnull(m);
	d.byte[31] = 1;
	ck_assert(str_eq(conf_key_find(&m->consumers, &d)->name, STR("a")));
	d.byte[31] = 2;
	ck_assert(str_eq(conf_key_find(&m->consumers, &d)->name, STR("b")));
	d.byte[31] = 3;
	ck_assert_ptr_null(conf_key_find(&m->consumers, &d));
	try_free();
}
END_TEST

/* The finding of that code: its line and column, and those of its note. */
static void
expect(int code, unsigned line, unsigned column, unsigned note_line)
{
	const struct diag_item *i = try_diag.first;

	while (i && i->code != code)
		i = i->next;
	ck_assert_msg(i != NULL, "no E%d", code);
	ck_assert_uint_eq(i->where.line, line);
	ck_assert_uint_eq(i->where.column, column);
	ck_assert_msg(!memmem(i->text.at, i->text.len, "secret", 6), "it tells the key");
	if (!note_line)
		return;
	ck_assert_ptr_nonnull(i->next);
	ck_assert_int_eq(i->next->level, DIAG_NOTE);
	ck_assert_uint_eq(i->next->where.line, note_line);
}

START_TEST(slips_of_a_file)
{
	char longest[200];

	ck_assert_ptr_null(load("", say("a %s\nb %s\n", key("one"), key("one"))));
	expect(231, 2, 3, 1);
	try_free();
	ck_assert_ptr_null(load("", say("\na secret\n")));
	expect(233, 2, 3, 0);
	try_free();
	ck_assert_ptr_null(load("", say("a sha256:secret\n")));
	expect(233, 1, 3, 0);
	try_free();
	ck_assert_ptr_null(load("", say("a %s0\n", key("one"))));
	expect(233, 1, 3, 0);
	try_free();
	ck_assert_ptr_null(load("", say("acme\n")));
	expect(230, 1, 1, 0);
	try_free();
	ck_assert_ptr_null(load("", say("a %s gold too\n", key("one"))));
	expect(230, 1, 80, 0);
	try_free();
	ck_assert_ptr_null(load("", say("a %s glod\n", key("one"))));
	expect(204, 1, 75, 2);
	try_free();
	ck_assert_ptr_null(load("", say("a %s gold\na %s free\n", key("one"), key("two"))));
	expect(236, 2, 75, 1);
	try_free();
	ck_assert_ptr_null(load("", say("a/b %s\n", key("one"))));
	expect(232, 1, 1, 0);
	try_free();
	memset(longest, 'x', 64);
	snprintf(longest + 64, 100, " %s\n", key("one"));
	ck_assert_ptr_null(load("", longest));
	expect(232, 1, 1, 0);
	try_free();
	ck_assert_ptr_nonnull(load("", longest + 1));
	try_free();
}
END_TEST

START_TEST(fifty_slips_are_enough)
{
	char *text = malloc(100 * 10 + 1);

	for (int i = 0; i < 100; i++)
		memcpy(text + i * 10, "aaa secre\n", 11);
	ck_assert_ptr_null(load("", text));
	ck_assert_int_eq(try_diag.errors, 50);
	free(text);
	try_free();
}
END_TEST

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

enum { MANY = 1000000 };

/* Printed, for who looks; a second is what it may take. */
START_TEST(a_million_lines)
{
	char path[] = "/tmp/postern-keys-XXXXXX", text[4096];
	FILE *f = fdopen(mkstemp(path), "w");
	const struct conf_model *m;
	struct digest d = { { 0 } };
	double begin;

	ck_assert_ptr_nonnull(f);
	for (uint32_t i = 0; i < MANY; i++) {
		char hex[65] = "";
		uint32_t mixed = i * 2654435761u;

		memcpy(d.byte, &mixed, 4);
		memcpy(d.byte + 8, &i, 4);
		digest_put(hex, &d);
		fprintf(f, "consumer-%u sha256:%s gold\n", i, hex);
	}
	fclose(f);
	snprintf(text, sizeof(text), "gateway: { consumers_file = \"%s\"; };\n" PLANS REST,
		 path);
	begin = seconds();
	m = try_load(text);
	printf("%d consumers and keys: %.2f s, %zu MiB\n", MANY, seconds() - begin,
	       try_image.used >> 20);
	unlink(path);
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->consumers.n, MANY);
	ck_assert_uint_eq(m->consumers.nkeys, MANY);
	begin = seconds();
	for (uint32_t i = 0; i < MANY; i += 7) {
		uint32_t mixed = i * 2654435761u;
		const struct conf_consumer *c;

		memcpy(d.byte, &mixed, 4);
		memcpy(d.byte + 8, &i, 4);
		c = conf_key_find(&m->consumers, &d);
		if (!c || c->index != i)
			ck_abort_msg("key %u is not found", i);
	}
	printf("a key is found in %.0f ns\n", (seconds() - begin) / (MANY / 7) * 1e9);
	ck_assert_uint_eq(conf_consumer_find(m, STR("consumer-999999"))->index, 999999);
	try_free();
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		keys_of_the_section,
		nobody_at_all,
		keys_of_a_file_add_up,
		the_same_key_again_is_no_harm,
		keys_that_begin_alike,
		slips_of_a_file,
		fifty_slips_are_enough,
		a_million_lines,
	};

	return unit_run("consumers", tests, sizeof(tests) / sizeof(*tests));
}
