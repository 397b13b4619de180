/* Access tokens that all workers share: rows, the lease, what is published. */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/tokens.h"
#include "tests/unit/unit.h"

#define SECRET "Bearer eyJhbGciOi-not-to-be-found"

static char dir[64], path[96];
static struct region *region;
static struct tokens *tokens;
static struct tokens_row *row;
static struct tokens_key key;
static struct tokens_text text;
static uint64_t now = 100 * 3600 * 1000ull;

static struct tokens_key
key_named(const char *name)
{
	struct tokens_key k = { .seal = sha256(str_of(name)) };

	memcpy(&k.name, k.seal.byte, sizeof(k.name));
	return k;
}

static void
reopen(void)
{
	region = region_open(path, REGION_SIZE);
	ck_assert_ptr_nonnull(region);
	tokens = tokens_open(region);
	ck_assert_ptr_nonnull(tokens);
	row = tokens_row(tokens, key.name, now);
	ck_assert_ptr_nonnull(row);
}

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/postern-tokens-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/region", dir);
	key = key_named("vendor");
	reopen();
}

static void
teardown(void)
{
	region_close(region);
	unlink(path);
	rmdir(dir);
}

static uint64_t
lease(uint64_t ms)
{
	return tokens_lease(row, getpid(), now, now + ms);
}

static uint64_t
publish(const char *value)
{
	uint64_t mine = lease(1000);

	ck_assert_uint_ne(mine, 0);
	text.fetched = now;
	text.expires = now + 3600000;
	text.len = (uint32_t)strlen(value);
	memcpy(text.at, value, text.len);
	return tokens_publish(region, tokens, row, &key, mine, &text);
}

static const char *
value(void)
{
	static char out[TOKENS_LONGEST + 1];

	memset(&text, 0xee, sizeof(text));
	tokens_read(tokens, row, &key, &text);
	memcpy(out, text.at, text.len);
	out[text.len] = 0;
	return out;
}

static char *
box_number(int i)
{
	return (char *)tokens + TOKENS_ROWS * sizeof(*row) + (size_t)i * TOKENS_BOX;
}

/* A process that does it and ends, or is killed then. */
static int
in_child(int (*run)(void), bool killed)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		status = run();
		if (killed)
			kill(getpid(), SIGKILL);
		_exit(status);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return killed ? WIFSIGNALED(status) : WEXITSTATUS(status);
}

/* ---- rows */

START_TEST(rows_are_by_name_until_there_are_no_more)
{
	setup();
	ck_assert_ptr_eq(tokens_row(tokens, key.name, now), row);
	for (uint64_t i = 1; i < TOKENS_ROWS; i++)
		ck_assert_ptr_nonnull(tokens_row(tokens, i * 1000003, now));
	ck_assert_ptr_null(tokens_row(tokens, 7, now));
	ck_assert_ptr_eq(tokens_row(tokens, key.name, now), row);
	teardown();
}
END_TEST

START_TEST(what_nobody_uses_gives_way)
{
	struct tokens_key other = key_named("other");
	struct tokens_row *got;
	uint64_t version;

	setup();
	version = publish("Bearer a");
	for (uint64_t i = 1; i < TOKENS_ROWS; i++)
		tokens_row(tokens, i * 1000003, now);
	now += TOKENS_IDLE_MS + 1;
	for (uint64_t i = 1; i < TOKENS_ROWS; i++)
		tokens_use(tokens_row(tokens, i * 1000003, now), now);
	got = tokens_row(tokens, other.name, now);
	ck_assert_ptr_eq(got, row);
	/* Who had it sees that at once, and nobody takes the one for the other. */
	ck_assert_uint_ne(tokens_version(row), version);
	ck_assert_uint_ne(atomic_load(&row->name), key.name);
	ck_assert_str_eq(value(), "");
	ck_assert_uint_eq(tokens_publish(region, tokens, row, &key, lease(1), &text), 0);
	ck_assert_ptr_null(tokens_row(tokens, key.name, now));
	teardown();
}
END_TEST

START_TEST(a_row_that_is_fetched_for_stays)
{
	setup();
	for (uint64_t i = 1; i < TOKENS_ROWS; i++)
		tokens_row(tokens, i * 1000003, now + TOKENS_IDLE_MS);
	ck_assert_uint_ne(lease(TOKENS_IDLE_MS + 2), 0);
	now += TOKENS_IDLE_MS + 1;
	ck_assert_ptr_null(tokens_row(tokens, 7, now));
	now++;
	ck_assert_ptr_eq(tokens_row(tokens, 7, now), row);
	teardown();
}
END_TEST

/* ---- the lease */

static int
try_lease(void)
{
	return tokens_lease(row, getpid(), now, now + 1000) != 0;
}

START_TEST(one_has_the_lease)
{
	uint64_t mine;

	setup();
	ck_assert(!tokens_leased(row, now));
	mine = lease(1000);
	ck_assert_uint_ne(mine, 0);
	ck_assert(tokens_leased(row, now + 999));
	ck_assert_int_eq(in_child(try_lease, false), 0);
	tokens_release(row, mine);
	ck_assert(!tokens_leased(row, now));
	ck_assert_int_eq(in_child(try_lease, false), 1);
	teardown();
}
END_TEST

START_TEST(a_lease_runs_out)
{
	uint64_t late;

	setup();
	late = lease(1000);
	now += 999;
	ck_assert_int_eq(in_child(try_lease, false), 0);
	now += 1;
	ck_assert(!tokens_leased(row, now));
	ck_assert_int_eq(in_child(try_lease, false), 1);
	/* Who is late has no say any more. */
	text.len = 3;
	ck_assert_uint_eq(tokens_publish(region, tokens, row, &key, late, &text), 0);
	ck_assert_uint_eq(tokens_version(row), 0);
	tokens_failed(row, late, now, 1);
	ck_assert_uint_eq(tokens_silent(row, now, 1000), 0);
	ck_assert_uint_ne(atomic_load(&row->lease), 0);
	teardown();
}
END_TEST

START_TEST(a_dead_holder_has_none)
{
	setup();
	ck_assert(in_child(try_lease, true));
	ck_assert_uint_ne(atomic_load(&row->lease), 0);
	ck_assert(!tokens_leased(row, now));
	ck_assert_uint_ne(lease(1000), 0);
	teardown();
}
END_TEST

/* The pid that is ours belonged to a process of another life: its lease is void, and not
 * taken for ours when it says so late. */
START_TEST(a_pid_that_comes_again)
{
	uint64_t before, mine;

	setup();
	before = lease(1000);
	mine = lease(1000);
	ck_assert_uint_ne(mine, 0);
	ck_assert_uint_ne(mine, before);
	teardown();
}
END_TEST

enum { TURNS = 1000 };

static int
contend(void)
{
	for (int got = 0; got < TURNS;) {
		uint64_t mine = tokens_lease(row, getpid(), now, now + 1000);

		if (!mine)
			continue;
		/* Alone in here: otherwise sums are lost. */
		text.len = 8;
		memset(text.at, 0, 8);
		tokens_read(tokens, row, &key, &text);
		text.fetched = text.len ? text.fetched + 1 : 1;
		text.len = 8;
		if (!tokens_publish(region, tokens, row, &key, mine, &text))
			return 1;
		got++;
	}
	return 0;
}

START_TEST(workers_take_turns)
{
	pid_t pid[4];
	int status;

	setup();
	for (int i = 0; i < 4; i++)
		if ((pid[i] = fork()) == 0)
			_exit(contend());
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(waitpid(pid[i], &status, 0), pid[i]);
		ck_assert_int_eq(WEXITSTATUS(status), 0);
	}
	tokens_read(tokens, row, &key, &text);
	ck_assert_uint_eq(text.fetched, 4 * TURNS);
	ck_assert_uint_eq(tokens_version(row), 2 * 4 * TURNS);
	teardown();
}
END_TEST

/* ---- what is published */

START_TEST(what_is_published_is_read)
{
	uint64_t version;

	setup();
	ck_assert_uint_eq(tokens_version(row), 0);
	ck_assert_str_eq(value(), "");
	version = publish("Bearer a");
	ck_assert_uint_ne(version, 0);
	ck_assert_uint_eq(tokens_version(row), version);
	ck_assert(!tokens_leased(row, now));
	ck_assert_str_eq(value(), "Bearer a");
	ck_assert_uint_eq(text.fetched, now);
	ck_assert_uint_eq(text.expires, now + 3600000);
	ck_assert_uint_gt(publish("Bearer b"), version);
	ck_assert_str_eq(value(), "Bearer b");
	teardown();
}
END_TEST

START_TEST(of_any_length_up_to_the_longest)
{
	static const uint32_t lengths[] = { 1,    7,    8,     9,
					    4000, 4096, 16391, TOKENS_LONGEST };

	setup();
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		uint64_t mine = lease(1000);

		for (uint32_t j = 0; j < lengths[i]; j++)
			text.at[j] = (char)('a' + j % 23);
		text.len = lengths[i];
		mine = tokens_publish(region, tokens, row, &key, mine, &text);
		ck_assert_uint_ne(mine, 0);
		ck_assert_uint_eq(strlen(value()), lengths[i]);
		for (uint32_t j = 0; j < lengths[i]; j++)
			ck_assert_int_eq(text.at[j], 'a' + (int)(j % 23));
	}
	teardown();
}
END_TEST

static int
publish_one(void)
{
	/* Another mapping of the same file. */
	reopen();
	return publish("Bearer of another") ? 0 : 1;
}

START_TEST(another_process_publishes_and_ends)
{
	setup();
	ck_assert_int_eq(in_child(publish_one, false), 0);
	ck_assert_str_eq(value(), "Bearer of another");
	region_close(region);
	reopen();
	ck_assert_str_eq(value(), "Bearer of another");
	ck_assert_ptr_eq(tokens_find(region), tokens);
	teardown();
}
END_TEST

START_TEST(only_the_key_opens_it)
{
	struct tokens_key right;

	setup();
	right = key;
	publish(SECRET);
	key.seal.byte[31] ^= 1;
	ck_assert_str_eq(value(), "");
	key = right;
	key.name ^= 1;
	ck_assert_str_eq(value(), "");
	key = right;
	ck_assert_str_eq(value(), SECRET);
	teardown();
}
END_TEST

/* Whether the bytes are anywhere in the region's file. */
static bool
lies_there(const char *what)
{
	int fd = open(path, O_RDONLY);
	off_t at = 0, end;
	bool found = false;

	ck_assert_int_ge(fd, 0);
	while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
		char *bytes;

		end = lseek(fd, at, SEEK_HOLE);
		bytes = mmap(NULL, (size_t)(end - at), PROT_READ, MAP_SHARED, fd, at);
		ck_assert_ptr_ne(bytes, MAP_FAILED);
		found |= memmem(bytes, (size_t)(end - at), what, strlen(what)) != NULL;
		munmap(bytes, (size_t)(end - at));
		at = end;
	}
	close(fd);
	return found;
}

START_TEST(nobody_reads_it_in_the_region)
{
	setup();
	publish(SECRET);
	ck_assert(!lies_there(SECRET) && !lies_there("not-to-be-found"));
	ck_assert(lies_there("upstream.tokens"));
	teardown();
}
END_TEST

/* Each byte of what lies there: changed, it is no token. */
START_TEST(nothing_damaged_is_used)
{
	char *box;
	size_t n = 8 + 12 + 16 + strlen(SECRET) + 16;

	setup();
	publish(SECRET);
	box = box_number((int)(row - (struct tokens_row *)tokens));
	for (size_t i = 0; i < n; i++) {
		box[i] ^= 1;
		ck_assert_msg(!*value(), "byte %zu", i);
		box[i] ^= 1;
	}
	ck_assert_str_eq(value(), SECRET);
	teardown();
}
END_TEST

START_TEST(a_token_is_voided_once)
{
	uint64_t first, second;

	setup();
	first = publish("Bearer a");
	second = publish("Bearer b");
	ck_assert(!tokens_void(row, first));
	ck_assert_str_eq(value(), "Bearer b");
	ck_assert(tokens_void(row, second));
	ck_assert_str_eq(value(), "");
	ck_assert(!tokens_void(row, second));
	publish("Bearer c");
	ck_assert(!tokens_void(row, second));
	ck_assert_str_eq(value(), "Bearer c");
	teardown();
}
END_TEST

/* Killed while it wrote: nobody takes what lies there for a token, and the next can
 * write. */
START_TEST(half_a_token)
{
	uint64_t version;

	setup();
	version = publish("Bearer a");
	atomic_fetch_add(&row->version, 1);
	ck_assert_uint_eq(tokens_read(tokens, row, &key, &text), 0);
	ck_assert_uint_eq(text.len, 0);
	ck_assert(!tokens_void(row, tokens_version(row)));
	ck_assert_uint_gt(publish("Bearer b"), version);
	ck_assert_str_eq(value(), "Bearer b");
	teardown();
}
END_TEST

/* One that is killed again and again in the middle of writing two tokens, and one that
 * reads. */
START_TEST(no_reader_sees_a_torn_one)
{
	static char a[4000], b[4000];

	setup();
	memset(a, 'a', sizeof(a) - 1);
	memset(b, 'b', sizeof(b) - 1);
	for (int i = 0; i < 100; i++) {
		int status, reads = 50 + i % 17;
		pid_t pid = fork();

		if (pid == 0)
			for (;;) {
				publish(a);
				publish(b);
			}
		while (reads-- > 0 || tokens_version(row) < 2) {
			const char *got = value();

			if (*got)
				ck_assert(!strcmp(got, a) || !strcmp(got, b));
		}
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert(!tokens_leased(row, now));
	}
	publish("Bearer c");
	ck_assert_str_eq(value(), "Bearer c");
	teardown();
}
END_TEST

START_TEST(after_a_failure_all_are_silent)
{
	setup();
	tokens_failed(row, lease(1000), now, 7);
	ck_assert(!tokens_leased(row, now));
	ck_assert_uint_eq(tokens_silent(row, now + 999, 1000), 7);
	ck_assert_uint_eq(tokens_silent(row, now + 1000, 1000), 0);
	ck_assert_uint_eq(tokens_version(row), 0);
	publish("Bearer a");
	ck_assert_uint_eq(tokens_silent(row, now, 1000), 0);
	/* A failure leaves the token that there is. */
	tokens_failed(row, lease(1000), now, 255);
	ck_assert_uint_eq(tokens_silent(row, now, 1000), 255);
	ck_assert_str_eq(value(), "Bearer a");
	teardown();
}
END_TEST

START_TEST(no_memory_is_taken_that_is_not_needed)
{
	setup();
	for (uint64_t i = 1; i < TOKENS_ROWS; i++)
		tokens_row(tokens, i * 1000003, now);
	for (int i = 0; i < TOKENS_ROWS; i++)
		ck_assert(!region_touched(region, box_number(i), 1));
	teardown();
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		rows_are_by_name_until_there_are_no_more,
		what_nobody_uses_gives_way,
		a_row_that_is_fetched_for_stays,
		one_has_the_lease,
		a_lease_runs_out,
		a_dead_holder_has_none,
		a_pid_that_comes_again,
		workers_take_turns,
		what_is_published_is_read,
		of_any_length_up_to_the_longest,
		another_process_publishes_and_ends,
		only_the_key_opens_it,
		nobody_reads_it_in_the_region,
		nothing_damaged_is_used,
		a_token_is_voided_once,
		half_a_token,
		no_reader_sees_a_torn_one,
		after_a_failure_all_are_silent,
		no_memory_is_taken_that_is_not_needed,
	};

	return unit_run("shm/tokens", tests, sizeof tests / sizeof *tests);
}
