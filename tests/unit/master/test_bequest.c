#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/bequest.h"

START_TEST(what_was_left_is_found)
{
	struct bequest left, found;
	int ends[2], fd;
	char number[16];

	ck_assert_int_eq(pipe(ends), 0);
	bequest_init(&left);
	left.ready = ends[1];
	left.lock = dup(1);
	left.revision = 18446744073709551615ull;
	bequest_add(&left, dup(ends[0]), 0, "127.0.0.1:8100");
	bequest_add(&left, dup(ends[0]), 1, "unix:/run/a b.sock");
	bequest_pass(&left, dup(ends[0]), "");
	bequest_pass(&left, dup(ends[0]), "web front");
	fd = bequest_write(&left);
	ck_assert_int_ge(fd, 0);
	snprintf(number, sizeof(number), "%d", fd);
	setenv(BEQUEST_VARIABLE, number, 1);
	ck_assert_int_eq(bequest_take(&found), 1);
	ck_assert_ptr_null(getenv(BEQUEST_VARIABLE));
	ck_assert_int_eq(found.ready, left.ready);
	ck_assert_int_eq(found.lock, left.lock);
	ck_assert(found.revision == left.revision);
	ck_assert_uint_eq(found.nsockets, 2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(found.sockets[i].fd, left.sockets[i].fd);
		ck_assert_uint_eq(found.sockets[i].slot, left.sockets[i].slot);
		ck_assert_str_eq(found.sockets[i].address, left.sockets[i].address);
	}
	ck_assert_uint_eq(found.npassed, 2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(found.passed[i].fd, left.passed[i].fd);
		ck_assert_str_eq(found.passed[i].address, left.passed[i].address);
	}
	bequest_free(&left);
	bequest_free(&found);
}
END_TEST

START_TEST(nothing_left_is_nothing_found)
{
	struct bequest b;

	unsetenv(BEQUEST_VARIABLE);
	ck_assert_int_eq(bequest_take(&b), 0);
	ck_assert_int_eq(b.ready, -1);
	ck_assert_int_eq(b.lock, -1);
}
END_TEST

START_TEST(lines_of_a_later_version_are_passed_over)
{
	struct bequest b;

	ck_assert_int_eq(bequest_parse(&b, "postern-upgrade 1\ncolour blue\nsocket 9 3 [::1]:80\n"
				       "socket 9\nsocket x y z\nsocket 2 0 stderr:1\nrevision 4\n"), 0);
	ck_assert_uint_eq(b.nsockets, 1);
	ck_assert_str_eq(b.sockets[0].address, "[::1]:80");
	ck_assert(b.revision == 4);
	bequest_free(&b);
}
END_TEST

START_TEST(what_is_not_understood_is_refused)
{
	struct bequest b;

	ck_assert_int_eq(bequest_parse(&b, "postern-upgrade 2\nlock 8\n"), -1);
	ck_assert_int_eq(bequest_parse(&b, ""), -1);
	setenv(BEQUEST_VARIABLE, "seven", 1);
	ck_assert_int_eq(bequest_take(&b), -1);
	setenv(BEQUEST_VARIABLE, "0", 1);
	ck_assert_int_eq(bequest_take(&b), -1);
	setenv(BEQUEST_VARIABLE, "12345", 1);
	ck_assert_int_eq(bequest_take(&b), -1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("master/bequest");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(t, what_was_left_is_found);
	tcase_add_test(t, nothing_left_is_nothing_found);
	tcase_add_test(t, lines_of_a_later_version_are_passed_over);
	tcase_add_test(t, what_is_not_understood_is_refused);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
