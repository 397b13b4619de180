/* The history of revisions survives its writer. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/store.h"

static char dir[64], path[96];

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/postern-store-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/state", dir);
}

static void
teardown(void)
{
	char lock[128];

	snprintf(lock, sizeof(lock), "%s-lock", path);
	unlink(lock);
	unlink(path);
	ck_assert_int_eq(rmdir(dir), 0);
}

static void
add(struct store *s, uint64_t generation, const char *text)
{
	struct revision r = { .generation = generation, .ok = !*text, .at = 5 };

	snprintf(r.text, sizeof(r.text), "%s", text);
	ck_assert_msg(store_revision_add(s, &r) == 0, "%s", store_error(s));
}

struct seen {
	uint64_t number[8];
	struct revision last;
	size_t n, most;
};

static bool
see(void *arg, const struct revision *r)
{
	struct seen *s = arg;

	s->number[s->n++] = r->number;
	s->last = *r;
	return s->n < s->most;
}

START_TEST(numbers_go_on_when_the_writer_is_another)
{
	struct seen seen = { .most = 8 };
	const char *error;
	struct store *s = store_open(path, false, &error, NULL);

	ck_assert_ptr_nonnull(s);
	add(s, 1, "");
	add(s, 2, "3 errors");
	store_close(s);
	s = store_open(path, false, &error, NULL);
	add(s, 1, "");
	store_close(s);
	s = store_open(path, true, &error, NULL);
	ck_assert_ptr_nonnull(s);
	ck_assert_int_eq(store_revisions(s, see, &seen), 0);
	ck_assert_uint_eq(seen.n, 3);
	ck_assert_uint_eq(seen.number[0], 3);
	ck_assert_uint_eq(seen.number[2], 1);
	seen = (struct seen){ .most = 2 };
	ck_assert_int_eq(store_revisions(s, see, &seen), 0);
	ck_assert_uint_eq(seen.n, 2);
	ck_assert_str_eq(seen.last.text, "3 errors");
	ck_assert_uint_eq(seen.last.ok, 0);
	store_close(s);
}
END_TEST

START_TEST(a_writer_killed_leaves_a_whole_store)
{
	struct seen seen = { .most = 8 };
	const char *error;
	struct store *s;

	if (fork() == 0) {
		s = store_open(path, false, &error, NULL);
		add(s, 1, "");
		_exit(0);
	}
	wait(NULL);
	s = store_open(path, false, &error, NULL);
	ck_assert_ptr_nonnull(s);
	add(s, 2, "");
	ck_assert_int_eq(store_revisions(s, see, &seen), 0);
	ck_assert_uint_eq(seen.n, 2);
	store_close(s);
}
END_TEST

START_TEST(what_cannot_be_opened_is_said)
{
	const char *error = NULL;

	ck_assert_ptr_null(store_open("/nonexistent/state", false, &error, NULL));
	ck_assert_ptr_nonnull(error);
	ck_assert_ptr_null(store_open(path, true, &error, NULL));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("shm/store");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, numbers_go_on_when_the_writer_is_another);
	tcase_add_test(t, a_writer_killed_leaves_a_whole_store);
	tcase_add_test(t, what_cannot_be_opened_is_said);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
