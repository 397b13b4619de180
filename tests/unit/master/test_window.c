#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "master/window.h"

START_TEST(slices_lie_in_the_window_and_do_not_meet)
{
	struct window w;
	int a, b;

	ck_assert_int_eq(window_reserve(&w), 0);
	ck_assert_uint_ge(w.count, 16);
	a = window_take(&w);
	b = window_take(&w);
	ck_assert_int_ge(a, 0);
	ck_assert_int_ne(a, b);
	ck_assert(window_taken(&w, a) && window_taken(&w, b));
	ck_assert_ptr_eq((char *)window_at(&w, a) + w.slice, window_at(&w, b));
}
END_TEST

START_TEST(a_slice_given_back_rests_and_comes_round_again)
{
	struct window w;
	int first;

	ck_assert_int_eq(window_reserve(&w), 0);
	first = window_take(&w);
	window_give(&w, first);
	for (unsigned i = 1; i < w.count; i++)
		ck_assert_int_ne(window_take(&w), first);
	ck_assert_int_eq(window_take(&w), first);
	ck_assert_int_eq(window_take(&w), -1);
	window_give(&w, 7);
	ck_assert_int_eq(window_take(&w), 7);
}
END_TEST

START_TEST(what_is_mapped_reads_the_same_in_a_child)
{
	struct window w;
	int fd = memfd_create("test", 0), slice, status;
	char **at;

	ck_assert_int_eq(window_reserve(&w), 0);
	slice = window_take(&w);
	ck_assert_int_eq(ftruncate(fd, 8192), 0);
	ck_assert_int_eq(window_map(&w, slice, fd, 8192, true), 0);
	at = window_at(&w, slice);
	*at = strcpy((char *)(at + 1), "hello");
	window_clear(&w, slice);
	ck_assert_int_eq(window_map(&w, slice, fd, 8192, false), 0);
	if (fork() == 0)
		_exit(strcmp(*at, "hello") == 0 ? 7 : 1);
	wait(&status);
	ck_assert_int_eq(WEXITSTATUS(status), 7);
	close(fd);
}
END_TEST

START_TEST(what_is_cleared_cannot_be_read_and_stays_reserved)
{
	struct window w;
	int fd = memfd_create("test", 0), slice, status;
	char *at;

	ck_assert_int_eq(window_reserve(&w), 0);
	slice = window_take(&w);
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	ck_assert_int_eq(window_map(&w, slice, fd, 4096, true), 0);
	window_clear(&w, slice);
	at = window_at(&w, slice);
	if (fork() == 0) {
		signal(SIGSEGV, SIG_DFL);
		_exit(*(volatile char *)at);
	}
	wait(&status);
	ck_assert(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
	ck_assert_ptr_ne(mmap(at, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
			 at);
	close(fd);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("master/window");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(t, slices_lie_in_the_window_and_do_not_meet);
	tcase_add_test(t, a_slice_given_back_rests_and_comes_round_again);
	tcase_add_test(t, what_is_mapped_reads_the_same_in_a_child);
	tcase_add_test(t, what_is_cleared_cannot_be_read_and_stays_reserved);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
