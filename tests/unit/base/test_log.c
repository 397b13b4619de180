#include "base/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rand.h"
#include "tests/unit/unit.h"

static char said[16384];

/* Standard error becomes a file of which `said` is the content afterwards. */
static FILE *
catch_stderr(void)
{
	FILE *f = tmpfile();

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(dup2(fileno(f), STDERR_FILENO), 0);
	return f;
}

static void
read_stderr(FILE *f)
{
	rewind(f);
	said[fread(said, 1, sizeof(said) - 1, f)] = '\0';
	fclose(f);
}

START_TEST(lines_have_time_level_role_and_pid)
{
	FILE *f = catch_stderr();
	char tail[128];

	unsetenv("JOURNAL_STREAM");
	log_setup("worker 3", LOG_LEVEL_NOTICE);
	log_warn("port %d", 80);
	log_info("not shown");
	read_stderr(f);
	snprintf(tail, sizeof(tail), "Z warning worker 3[%d] port 80\n", (int)getpid());
	ck_assert_str_eq(said + strlen("2026-11-21T07:27:00.123"), tail);
}
END_TEST

START_TEST(the_journal_gets_priorities)
{
	FILE *f = catch_stderr();
	struct stat st;
	char named[64];

	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(named, sizeof(named), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", named, 1);
	log_setup("master", LOG_LEVEL_DEBUG);
	log_error("a");
	log_debug("b");
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_setup("master", LOG_LEVEL_DEBUG);
	log_error("no longer the journal");
	read_stderr(f);
	ck_assert_ptr_eq(strstr(said, "<3>master: a\n<7>master: b\n"), said);
	ck_assert_ptr_null(strstr(said, "<3>master: no"));
}
END_TEST

START_TEST(a_line_stays_one_line)
{
	FILE *f = catch_stderr();
	static char quoted[9000];

	unsetenv("JOURNAL_STREAM");
	log_setup("worker 1", LOG_LEVEL_NOTICE);
	log_error("a\nb\x1b[2Jc");
	memset(quoted, 'x', sizeof(quoted) - 1);
	log_error("%s", quoted);
	read_stderr(f);
	ck_assert_ptr_nonnull(strstr(said, "a b?[2Jc\n"));

	int lines = 0;

	for (const char *p = said; (p = strchr(p, '\n')); p++)
		lines++;
	ck_assert_int_eq(lines, 2);
	ck_assert_int_eq(said[strlen(said) - 1], '\n');
}
END_TEST

START_TEST(random_numbers_differ)
{
	uint64_t a = rand_u64(), b = rand_u64();

	ck_assert(a != b);
	rand_reseed();
	ck_assert(rand_u64() != a);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		lines_have_time_level_role_and_pid,
		the_journal_gets_priorities,
		a_line_stays_one_line,
		random_numbers_differ,
	};

	return unit_run("base/log", tests, sizeof(tests) / sizeof(*tests));
}
