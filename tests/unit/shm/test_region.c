/* The region: what is found again, what starts empty, what is refused. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/region.h"

static char dir[64], path[96];
static const struct region_shape words = { "words", 1, 8, 1000 };

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/postern-region-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/region", dir);
}

static void
teardown(void)
{
	unlink(path);
	ck_assert_msg(rmdir(dir) == 0, "%s is not empty: something was left behind", dir);
}

static void
scribble(off_t at, const char *bytes)
{
	int fd = open(path, O_WRONLY);

	ck_assert_int_eq(pwrite(fd, bytes, strlen(bytes), at), (int)strlen(bytes));
	close(fd);
}

START_TEST(found_again_after_reopen)
{
	struct region *r = region_open(path, 1 << 20);
	bool found = true;
	uint64_t *at = region_segment(r, &words, &found);

	ck_assert(!found);
	ck_assert_uint_eq(at[999], 0);
	at[999] = 42;
	region_close(r);

	r = region_open(path, 1 << 20);
	at = region_segment(r, &words, &found);
	ck_assert(found);
	ck_assert_uint_eq(at[999], 42);
	region_close(r);
}
END_TEST

START_TEST(another_shape_starts_empty)
{
	const struct region_shape others[] = {
		{ "words", 2, 8, 1000 }, { "words", 1, 16, 1000 }, { "words", 1, 8, 1001 },
		{ "word", 1, 8, 1000 },
	};
	struct region *r = region_open(path, 1 << 20);
	uint64_t *at = region_segment(r, &words, NULL);

	memset(at, 0xff, 8000);
	for (size_t i = 0; i < 4; i++) {
		bool found = true;
		uint64_t *other = region_segment(r, &others[i], &found);

		ck_assert(!found);
		ck_assert_ptr_ne(other, at);
		ck_assert_uint_eq((uintptr_t)other % 4096, 0);
		ck_assert_uint_eq(other[0] | other[999], 0);
	}
	ck_assert_ptr_eq(region_segment(r, &words, NULL), at);
	ck_assert_uint_eq(at[0], UINT64_MAX);
	region_close(r);
}
END_TEST

START_TEST(full_is_null_and_harmless)
{
	const struct region_shape large = { "large", 1, 4096, 15 }, one = { "one", 1, 1, 1 },
		huge = { "huge", 1, UINT32_MAX, UINT64_MAX };
	struct region *r = region_open(path, 16 * 4096);
	uint64_t *at;

	ck_assert_ptr_null(region_segment(r, &huge, NULL));
	at = region_segment(r, &large, NULL);
	ck_assert_ptr_nonnull(at);
	ck_assert_ptr_null(region_segment(r, &one, NULL));
	ck_assert_int_eq(errno, EFBIG);
	ck_assert_ptr_eq(region_segment(r, &large, NULL), at);
	region_close(r);
}
END_TEST

START_TEST(directory_is_bounded)
{
	struct region *r = region_open(path, 1 << 20);
	int made = 0;

	for (uint32_t i = 1; i <= 100; i++) {
		const struct region_shape s = { "many", i, 8, 1 };

		made += region_segment(r, &s, NULL) != NULL;
	}
	ck_assert_int_eq(made, 60);
	region_close(r);
}
END_TEST

START_TEST(attach_reads_and_refuses)
{
	const struct region *a;
	struct region *r;
	uint64_t *at;

	ck_assert_ptr_null(region_attach(path));
	ck_assert_int_eq(errno, ENOENT);

	r = region_open(path, 1 << 20);
	at = region_segment(r, &words, NULL);
	at[7] = 7;
	a = region_attach(path);
	ck_assert_ptr_nonnull(a);
	ck_assert_uint_eq(((const uint64_t *)region_find(a, &words))[7], 7);
	at[7] = 8;
	ck_assert_uint_eq(((const uint64_t *)region_find(a, &words))[7], 8);
	region_close((struct region *)(uintptr_t)a);
	region_close(r);

	scribble(8, "another!");
	ck_assert_ptr_null(region_attach(path));
	ck_assert_int_eq(errno, EPROTO);
}
END_TEST

static void
expect_fresh(void)
{
	struct region *r = region_open(path, 1 << 20);
	bool found = true;

	ck_assert_ptr_nonnull(r);
	ck_assert_ptr_nonnull(region_segment(r, &words, &found));
	ck_assert(!found);
	region_close(r);
}

START_TEST(another_layout_is_replaced)
{
	struct region *r = region_open(path, 1 << 20);
	uint64_t *at = region_segment(r, &words, NULL);

	at[3] = 3;
	scribble(8, "another!");
	expect_fresh();
	/* Who had the old one still has it. */
	ck_assert_uint_eq(at[3], 3);
	region_close(r);
}
END_TEST

START_TEST(another_boot_is_replaced)
{
	struct region *r = region_open(path, 1 << 20);

	region_segment(r, &words, NULL);
	region_close(r);
	scribble(24, "00000000-0000");
	ck_assert_ptr_null(region_attach(path));
	ck_assert_int_eq(errno, ESTALE);
	expect_fresh();
}
END_TEST

START_TEST(damage_is_replaced)
{
	struct region *r = region_open(path, 1 << 20);

	region_segment(r, &words, NULL);
	region_close(r);
	scribble(64, "\x7f\x7f\x7f\x7f");       /* nsegments */
	expect_fresh();

	ck_assert_int_eq(truncate(path, 8192), 0);
	expect_fresh();

	ck_assert_int_eq(truncate(path, 10), 0);
	expect_fresh();
}
END_TEST

START_TEST(a_link_is_not_followed)
{
	char target[128];

	snprintf(target, sizeof(target), "%s/victim", dir);
	ck_assert_int_eq(symlink(target, path), 0);
	ck_assert_ptr_null(region_open(path, 1 << 20));
	ck_assert_int_eq(errno, ELOOP);
	ck_assert_int_ne(access(target, F_OK), 0);
}
END_TEST

START_TEST(sparse_until_reserved)
{
	const struct region_shape rows = { "rows", 1, 1 << 20, 256 };
	struct region *r = region_open(path, REGION_SIZE);
	char *at = region_segment(r, &rows, NULL);
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_lt((int)st.st_blocks, 64);
	ck_assert(!region_touched(r, at + (5 << 20), 1 << 20));
	ck_assert_int_eq(region_reserve(r, at + (5 << 20), 1 << 20), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_ge((int)st.st_blocks, 2048);
	ck_assert_int_lt((int)st.st_blocks, 2200);
	at[(5 << 20) + 5000] = 1;
	ck_assert(region_touched(r, at + (5 << 20) + 5001, 1));
	ck_assert(region_touched(r, at + (5 << 20), 1 << 20));
	ck_assert(!region_touched(r, at + (6 << 20), 1 << 20));
	at[(7 << 20) - 1] = 1;          /* only the end of a row */
	ck_assert(region_touched(r, at + (6 << 20), 1 << 20));
	ck_assert(!region_touched(r, at + (7 << 20), 1 << 20));
	region_close(r);
}
END_TEST

START_TEST(killed_while_making_segments)
{
	for (int round = 0; round < 20; round++) {
		pid_t pid = fork();
		struct region *r;
		bool found;
		uint64_t *at;

		if (pid == 0) {
			r = region_open(path, 1 << 20);
			for (uint32_t i = 1;; i++) {
				const struct region_shape s = { "many", i % 50, 8, 100 };

				region_segment(r, &s, NULL);
			}
		}
		usleep(300);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		r = region_open(path, 1 << 20);
		ck_assert_ptr_nonnull(r);
		at = region_segment(r, &words, &found);
		ck_assert(round == 0 || found);
		ck_assert_uint_eq(at[0], (unsigned)round);
		at[0]++;
		region_close(r);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("shm/region");
	TCase *c = tcase_create("region");
	SRunner *run;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, found_again_after_reopen);
	tcase_add_test(c, another_shape_starts_empty);
	tcase_add_test(c, full_is_null_and_harmless);
	tcase_add_test(c, directory_is_bounded);
	tcase_add_test(c, attach_reads_and_refuses);
	tcase_add_test(c, another_layout_is_replaced);
	tcase_add_test(c, another_boot_is_replaced);
	tcase_add_test(c, damage_is_replaced);
	tcase_add_test(c, a_link_is_not_followed);
	tcase_add_test(c, sparse_until_reserved);
	tcase_add_test(c, killed_while_making_segments);
	suite_add_tcase(s, c);
	run = srunner_create(s);
	srunner_run_all(run, CK_NORMAL);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed != 0;
}
