/* place — a directory of a test's own, with the path of a state file in it. */
#ifndef TESTS_UNIT_SHM_PLACE_H
#define TESTS_UNIT_SHM_PLACE_H

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/store.h"

static char place_dir[64], place_path[96];

static inline void
place_make(void)
{
	/* In memory where there is such a place: a busy disk makes each commit wait. */
	snprintf(place_dir, sizeof(place_dir), "%s/postern-store-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(place_dir));
	snprintf(place_path, sizeof(place_path), "%s/state", place_dir);
}

static inline void
place_clear(void)
{
	DIR *d = opendir(place_dir);
	struct dirent *e;
	char path[512];

	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", place_dir, e->d_name);
		unlink(path);
	}
	closedir(d);
	ck_assert_int_eq(rmdir(place_dir), 0);
}

/* A store that opens. */
static inline struct store *
place_open(bool readonly)
{
	const char *error = "";
	enum store_failure why = STORE_FAIL_NONE;
	struct store *s = store_open(place_path, readonly, &error, &why);

	ck_assert_msg(s != NULL, "%s", error);
	return s;
}

/* In a child of a test, where Check may not be spoken to: leaves with the line that failed. */
#define need(what)                              \
	do {                                    \
		if (!(what))                    \
			_exit(__LINE__ % 255 + 1); \
	} while (0)

static inline struct store *
place_child_open(bool readonly)
{
	const char *error;
	struct store *s = store_open(place_path, readonly, &error, NULL);

	need(s);
	return s;
}

/* One that does not, and why. */
static inline enum store_failure
place_refuses(const char *path, bool readonly)
{
	const char *error = NULL;
	enum store_failure why = STORE_FAIL_NONE;
	struct store *s = store_open(path, readonly, &error, &why);

	ck_assert_ptr_null(s);
	ck_assert(error && *error);
	return why;
}

#define ok(call) ck_assert_msg((call) >= 0, "%s: %s", #call, store_error(s))

/* Runs the tests, each in a place of its own. The exit status for main(). */
static inline int
place_run(const char *name, const TTest *const *tests, size_t n)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	SRunner *runner;
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, place_make, place_clear);
	for (size_t i = 0; i < n; i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
