#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "master/rundir.h"

static void
clean(const char *dir)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/postern.lock", dir);
	unlink(path);
	ck_assert_int_eq(rmdir(dir), 0);
}

START_TEST(a_second_master_is_refused)
{
	char dir[] = "/tmp/postern-rundir-XXXXXX";
	int fd, heir;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	fd = rundir_lock(dir, -1);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(rundir_lock(dir, -1), -1);
	ck_assert_int_eq(errno, EWOULDBLOCK);
	heir = dup(fd);
	ck_assert_int_eq(rundir_lock(dir, heir), heir);
	/* The lock is with the open file: it stays while the heir has it. */
	close(fd);
	ck_assert_int_eq(rundir_lock(dir, -1), -1);
	close(heir);
	fd = rundir_lock(dir, -1);
	ck_assert_int_ge(fd, 0);
	close(fd);
	clean(dir);
}
END_TEST

START_TEST(an_inherited_lock_of_another_directory_does_not_count)
{
	char one[] = "/tmp/postern-rundir-XXXXXX", two[] = "/tmp/postern-rundir-XXXXXX";
	int fd, other;

	ck_assert_ptr_nonnull(mkdtemp(one));
	ck_assert_ptr_nonnull(mkdtemp(two));
	fd = rundir_lock(one, -1);
	other = rundir_lock(two, fd);
	ck_assert_int_ge(other, 0);
	ck_assert_int_ne(other, fd);
	ck_assert_int_eq(rundir_lock(two, -1), -1);
	close(fd);
	close(other);
	clean(one);
	clean(two);
}
END_TEST

START_TEST(only_our_own_pid_file_is_removed)
{
	char dir[] = "/tmp/postern-rundir-XXXXXX", path[64], text[32] = "";
	FILE *f;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/postern.pid", dir);
	ck_assert_int_eq(pidfile_write(path), 0);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), f));
	fclose(f);
	ck_assert_int_eq(atoi(text), getpid());
	if (fork() == 0) {
		pidfile_remove(path);
		_exit(0);
	}
	wait(NULL);
	ck_assert_int_eq(access(path, F_OK), 0);
	pidfile_remove(path);
	ck_assert_int_eq(access(path, F_OK), -1);
	clean(dir);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("master/rundir");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(t, a_second_master_is_refused);
	tcase_add_test(t, an_inherited_lock_of_another_directory_does_not_count);
	tcase_add_test(t, only_our_own_pid_file_is_removed);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
