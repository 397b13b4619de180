/* The store when disks fail, writers are killed and files are damaged. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "shm/store_consumers.h"
#include "shm/store_inside.h"
#include "shm/store_usage.h"
#include "tests/unit/shm/place.h"

static struct consumer_row
consumer(const char *name)
{
	struct consumer_row r = { .created = 1 };

	snprintf(r.name, sizeof(r.name), "%s", name);
	return r;
}

/* ---- kill -9 */

/* One transaction: what was used, in three windows, and up to where it is booked. */
static int
book(struct store *s, uint64_t n)
{
	struct usage_sum sum = { .of[1] = { 1, 0, 0 } };
	struct consumer_row row = consumer("acme");
	struct key_row key = { .consumer = "acme", .created = (int64_t)n };
	uint64_t booked = 0;

	snprintf(row.plan, sizeof(row.plan), "plan-%d", (int)(n % 1000));
	if (store_begin(s) < 0 ||
	    store_booked_get(s, STR("to"), &booked, sizeof(booked)) < 0)
		return -1;
	booked++;
	if (store_usage_add(s, 1700000000, STR("acme"), STR("orders"), &sum) < 0 ||
	    store_consumer_put(s, &row) < 0 || store_key_put(s, &key) < 0 ||
	    store_booked_put(s, STR("to"), &booked, sizeof(booked)) < 0)
		return -1;
	return store_commit(s);
}

static bool
take_requests(void *arg, const struct usage_row *r)
{
	*(uint64_t *)arg += r->sum.of[1].requests;
	return true;
}

static bool
count_key(void *arg, const struct key_row *r)
{
	struct consumer_row *row = arg;

	/* Its plan is that of its consumer, its creation the one of the same transaction.
	 */
	ck_assert_str_eq(r->plan, row->plan);
	row->state++;
	return true;
}

/* Everything that one transaction wrote says the same. Returns how many there were. */
static uint64_t
agrees(struct store *s)
{
	uint64_t booked = 0, used, consumers, keys;
	struct consumer_row row = consumer("");

	ok(store_booked_get(s, STR("to"), &booked, sizeof(booked)));
	for (enum usage_level level = USAGE_MINUTE; level <= USAGE_DAY; level++) {
		used = 0;
		ok(store_usage(s, level, 0, INT64_MAX, STR_NONE, STR_NONE, take_requests,
			       &used));
		ck_assert_uint_eq(used, booked);
	}
	ok(store_counts(s, &consumers, &keys));
	ck_assert_uint_eq(consumers, booked > 0);
	ck_assert_uint_eq(keys, booked > 0);
	ok(store_consumer_find(s, "acme", &row));
	row.state = 0;
	ok(store_keys(s, "acme", count_key, &row));
	ck_assert_uint_eq(row.state, booked > 0);
	return booked;
}

static void
pause_us(long us)
{
	struct timespec t = { 0, us * 1000 };

	nanosleep(&t, NULL);
}

/* Opens, writes, is killed, 200 times, at moments from its opening to well into its
 * writing. What it said was kept (through the pipe) is there, at most one transaction
 * more, and no half of one. */
START_TEST(a_writer_killed_at_any_moment_leaves_whole_transactions)
{
	uint64_t sum = 0, before = 0;
	struct store *s;

	srand48(getpid());
	for (int round = 0; round < 200; round++) {
		int said[2];
		uint64_t kept = 0, now;
		char buf[65536];
		ssize_t n;
		pid_t child;

		ck_assert_int_eq(pipe2(said, O_NONBLOCK), 0);
		child = fork();
		ck_assert_int_ge(child, 0);
		if (!child) {
			s = place_child_open(false);
			for (uint64_t i = before + 1;; i++)
				if (book(s, i) < 0 || write(said[1], "k", 1) != 1)
					_exit(1);
		}
		/* In the midst of opening, or of writing. */
		if (round % 2) {
			struct pollfd p = { said[0], POLLIN, 0 };

			ck_assert_int_eq(poll(&p, 1, 20000), 1);
		}
		pause_us(lrand48() % 4000);
		kill(child, SIGKILL);

		int status;

		waitpid(child, &status, 0);
		ck_assert(WIFSIGNALED(status));
		while ((n = read(said[0], buf, sizeof(buf))) > 0)
			kept += (uint64_t)n;
		close(said[0]);
		close(said[1]);
		s = place_open(false);
		now = agrees(s);
		ck_assert_uint_ge(now, before + kept);
		ck_assert_uint_le(now, before + kept + 1);
		store_close(s);
		sum += kept;
		before = now;
	}
	ck_assert_uint_ge(sum, 100);
}
END_TEST

/* ---- full disks */

static void
limit_files(rlim_t most)
{
	struct rlimit l = { most, RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &l), 0);
}

/* Writes until it cannot, by transactions of ten rows. Returns how many were kept. */
static int
write_until_full(struct store *s, int from)
{
	static char bulk[400];
	char key[16];

	for (int n = from;; n += 10) {
		if (n >= from + 10000 || store_begin(s) < 0)
			ck_abort_msg("%s", store_error(s));
		for (int i = n; i < n + 10; i++) {
			snprintf(key, sizeof(key), "%08d", i);
			/* LMDB writes at the commit. Without ck_assert() while all is
			 * well: it writes too, and the limit is for all files. */
			if (store_booked_put(s, str_of(key), bulk, sizeof(bulk)) < 0)
				ck_abort_msg("%s", store_error(s));
		}
		if (store_commit(s) == 0)
			continue;
		ck_assert_msg(store_failure(s) == STORE_FAIL_SPACE, "%s", store_error(s));
		ck_assert(!store_again(s));
		return n;
	}
}

static void
has(struct store *s, int n)
{
	char key[16], bulk[400];

	for (int i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "%08d", i);
		if (store_booked_get(s, str_of(key), bulk, sizeof(bulk)) != 1)
			ck_abort_msg("row %d of %d is missing", i, n);
	}
	snprintf(key, sizeof(key), "%08d", n);
	ck_assert_int_eq(store_booked_get(s, str_of(key), bulk, sizeof(bulk)), 0);
}

/* At sizes that end with a page, and within one, where the kernel writes half of what it
 * is given. */
START_TEST(a_full_disk_loses_nothing_and_is_over_when_there_is_room)
{
	static const rlim_t sizes[] = { 400000, 409600, 413696, 1000001 };
	struct store *s = place_open(false);
	int n = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		limit_files(sizes[i]);
		n = write_until_full(s, n);
		has(s, n);
		/* Again and again, and nothing gets worse. */
		for (int j = 0; j < 5; j++)
			ck_assert_int_eq(write_until_full(s, n), n);
		has(s, n);
		/* A reader may come, and another writer. */
		store_close(place_open(true));
		store_close(s);
		s = place_open(false);
		has(s, n);
	}
	ck_assert_int_gt(n, 1000);
	limit_files(RLIM_INFINITY);
	for (int i = 0; i < 10; i++) {
		char key[16], bulk[400] = "";

		snprintf(key, sizeof(key), "%08d", n++);
		ok(store_booked_put(s, str_of(key), bulk, sizeof(bulk)));
	}
	has(s, n);
	store_close(s);
}
END_TEST

START_TEST(no_room_for_a_new_file_is_said)
{
	limit_files(4096);
	ck_assert_int_eq(place_refuses(place_path, false), STORE_FAIL_SPACE);
	limit_files(12288);
	ck_assert_int_eq(place_refuses(place_path, false), STORE_FAIL_SPACE);
	limit_files(RLIM_INFINITY);
	store_close(place_open(false));
}
END_TEST

/* The disk fails just where LMDB writes its first pages: it gives up, we open again. */
START_TEST(after_a_failed_meta_page_the_store_goes_on)
{
	struct store *s = place_open(false);
	int readonly = open(place_path, O_RDONLY), found = 0;
	struct consumer_row row = consumer("acme"), got;
	struct stat st, file;

	ok(store_consumer_put(s, &row));
	ck_assert_int_eq(stat(place_path, &file), 0);
	for (int fd = 3; fd < 64; fd++)
		if (fstat(fd, &st) == 0 && st.st_ino == file.st_ino &&
		    st.st_dev == file.st_dev && (fcntl(fd, F_GETFL) & O_DSYNC)) {
			ck_assert_int_eq(dup2(readonly, fd), fd);
			found++;
			break;
		}
	ck_assert_int_eq(found, 1);
	snprintf(row.name, sizeof(row.name), "umbrella");
	ck_assert_int_eq(store_consumer_put(s, &row), -1);
	/* Reads go on at once, and so do writes when the disk does. */
	ck_assert_int_eq(store_consumer_find(s, "acme", &got), 1);
	ck_assert_int_eq(store_consumer_find(s, "umbrella", &got), 0);
	ok(store_consumer_put(s, &row));
	ck_assert_int_eq(store_consumer_find(s, "umbrella", &got), 1);
	store_close(s);
	s = place_open(false);
	ck_assert_int_eq(store_consumer_find(s, "umbrella", &got), 1);
	store_close(s);
	close(readonly);
}
END_TEST

/* ---- who may not write */

/* As somebody else who may read. Returns what the child made of it. */
static int
as_nobody(void (*fn)(void))
{
	int status;
	pid_t child;

	if (geteuid() != 0)
		return 0;
	ck_assert_int_eq(chmod(place_dir, 0755), 0);
	chmod(place_path, 0644);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (!child) {
		need(setgid(65534) == 0 && setuid(65534) == 0);
		fn();
		_exit(0);
	}
	waitpid(child, &status, 0);
	return status;
}

static void
read_only(void)
{
	enum store_failure why;
	struct consumer_row got;
	const char *error;
	struct store *s;

	need(!store_open(place_path, false, &error, &why) && why == STORE_FAIL_READONLY);
	s = place_child_open(true);
	need(store_consumer_find(s, "acme", &got) == 1);
	need(store_consumer_put(s, &got) == -1);
	need(store_failure(s) == STORE_FAIL_READONLY);
	need(store_consumer_find(s, "acme", &got) == 1);
	store_close(s);
}

START_TEST(who_may_only_read_reads)
{
	struct consumer_row row = consumer("acme");
	struct store *s = place_open(false);
	char lock[128];

	ok(store_consumer_put(s, &row));
	store_close(s);
	/* The lock file is there, but not for them; or it is not there at all. */
	ck_assert_int_eq(as_nobody(read_only), 0);
	snprintf(lock, sizeof(lock), "%s-lock", place_path);
	ck_assert_int_eq(unlink(lock), 0);
	ck_assert_int_eq(as_nobody(read_only), 0);
}
END_TEST

/* ---- damage */

static char *
contents(size_t *size)
{
	FILE *f = fopen(place_path, "rb");
	struct stat st;
	char *bytes;

	ck_assert_ptr_nonnull(f);
	fstat(fileno(f), &st);
	*size = (size_t)st.st_size;
	bytes = malloc(*size);
	ck_assert_uint_eq(fread(bytes, 1, *size, f), *size);
	fclose(f);
	return bytes;
}

static bool
see_consumer(void *arg, const struct consumer_row *r)
{
	(void)r;
	return ++*(int *)arg < 100000;
}

/* Reads all there is and writes some, as the keeper does. */
static void
use_all(void)
{
	enum store_failure why;
	const char *error;
	struct store *s = store_open(place_path, false, &error, &why);
	uint64_t used = 0, a, b;
	char bulk[400] = "", key[16];
	int n = 0;

	if (!s)
		_exit(0);
	store_consumers(s, NULL, see_consumer, &n);
	store_usage(s, USAGE_MINUTE, 0, INT64_MAX, STR_NONE, STR_NONE, take_requests,
		    &used);
	store_counts(s, &a, &b);
	for (int i = 0; i < 200; i += 3) {
		snprintf(key, sizeof(key), "%08d", i);
		store_booked_get(s, str_of(key), bulk, sizeof(bulk));
		store_booked_put(s, str_of(key), bulk, sizeof(bulk));
	}
	store_booked_drop(s, STR("0000001"));
	store_consumer_drop(s, "acme-7");
	for (int i = 0; i < 3; i++)
		book(s, (uint64_t)i);
	store_close(s);
	_exit(1);
}

static void
make_rows(void)
{
	struct store *s = place_open(false);
	struct usage_sum sum = { .of[1] = { 1, 2, 3 } };
	char name[32], bulk[400] = "";

	for (int round = 0; round < 4; round++) {
		ok(store_begin(s));
		for (int i = round; i < 200; i += 2) {
			struct consumer_row row;

			snprintf(name, sizeof(name), "acme-%d", i);
			row = consumer(name);
			ok(store_consumer_put(s, &row));
			ok(store_usage_add(s, 1700000000 + 60 * i, str_of(name),
					   STR("orders"), &sum));
			snprintf(name, sizeof(name), "%08d", i);
			ok(store_booked_put(s, str_of(name), bulk, sizeof(bulk)));
		}
		ok(store_commit(s));
	}
	store_close(s);
}

/* Bytes turned over anywhere, each file in a process of its own: it is refused, or it
 * works, or it says what does not; it never hangs, and (as all references are followed
 * before) it does not crash. What is not noticed is a value that has changed in itself.
 */
START_TEST(a_damaged_file_is_refused_or_works)
{
	const char *more = getenv("ROUNDS");
	int rounds = more ? atoi(more) : 500;
	size_t size;
	char *bytes;
	int refused = 0;

	make_rows();
	bytes = contents(&size);
	srand48(more ? getpid() : 11);
	for (int round = 0; round < rounds; round++) {
		char *copy = malloc(size);
		int status, flips = 1 + (int)(lrand48() % 8);
		FILE *f = fopen(place_path, "wb");

		memcpy(copy, bytes, size);
		for (int i = 0; i < flips; i++) {
			/* Half of them where pages begin: there are the references. */
			size_t at = (size_t)lrand48() % size;

			if (round % 2)
				at = at / 4096 * 4096 + (size_t)lrand48() % 160;
			copy[at] = (char)(copy[at] ^ (1 << lrand48() % 8));
		}
		ck_assert_uint_eq(fwrite(copy, 1, size, f), size);
		fclose(f);
		free(copy);

		pid_t child = fork();

		ck_assert_int_ge(child, 0);
		if (!child) {
			alarm(10);
			if (!freopen("/dev/null", "w", stderr))
				_exit(2);
			use_all();
		}
		waitpid(child, &status, 0);
		ck_assert_msg(WIFEXITED(status), "round %d: signal %d", round,
			      WTERMSIG(status));
		refused += WEXITSTATUS(status) == 0;
	}
	ck_assert_int_gt(refused, rounds / 4);
	ck_assert_int_lt(refused, rounds);
	free(bytes);
}
END_TEST

/* Where the newer meta page of a file is (its two trees at 40 and 88, roots 40 bytes into
 * these). */
static uint64_t
word_at(const char *bytes, size_t at)
{
	uint64_t word;

	memcpy(&word, bytes + at, sizeof(word));
	return word;
}

static size_t
root_of(const char *bytes, int tree)
{
	size_t newer = word_at(bytes, 144) < word_at(bytes, 4096 + 144) ? 4096 : 0;

	return word_at(bytes, newer + 40 + 48 * (size_t)tree + 40) * 4096;
}

/* A file with one change, `size` bytes at `at`, is refused. */
static void
refused_with(char *bytes, size_t size, size_t at, uint64_t value, size_t width)
{
	uint64_t was = word_at(bytes, at);
	FILE *f = fopen(place_path, "wb");

	memcpy(bytes + at, &value, width);
	ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
	fclose(f);
	ck_assert_int_eq(place_refuses(place_path, false), STORE_FAIL_FOREIGN);
	memcpy(bytes + at, &was, sizeof(was));
}

static uint16_t
half_at(const char *bytes, size_t at)
{
	return (uint16_t)word_at(bytes, at);
}

START_TEST(what_lmdb_would_stumble_over_is_refused)
{
	size_t size, root, free_root, node, list, meta = 0;
	char *bytes;
	FILE *f;

	make_rows();
	bytes = contents(&size);
	root = root_of(bytes, 1);
	node = root + half_at(bytes, root + 16);
	/* Its page number, kind and "dirty"; more and fewer nodes than there are. */
	refused_with(bytes, size, root, root / 4096 + 1, 8);
	refused_with(bytes, size, root + 10, 1, 2);
	refused_with(bytes, size, root + 10, 2 | 16, 2);
	refused_with(bytes, size, root + 12, half_at(bytes, root + 12) + 2u, 2);
	refused_with(bytes, size, root + 12, half_at(bytes, root + 12) - 2u, 2);
	refused_with(bytes, size, root + 14, half_at(bytes, root + 14) - 2u, 2);
	refused_with(bytes, size, root + 14, 0xffff, 2);
	/* A node twice, outside, longer, shorter; of a key that is longer. */
	refused_with(bytes, size, root + 16, half_at(bytes, root + 18), 2);
	refused_with(bytes, size, root + 16, 4095, 2);
	refused_with(bytes, size, node + 2, 1, 2);
	refused_with(bytes, size, node + 4, 1 | 2, 2);
	refused_with(bytes, size, node + 4, 2 | 4, 2);
	refused_with(bytes, size, node + 6, half_at(bytes, node + 6) + 2u, 2);
	for (size_t at = root + 16; at < root + half_at(bytes, root + 12); at += 2) {
		size_t table = root + half_at(bytes, at);

		if (half_at(bytes, table + 6) == 4 &&
		    memcmp(bytes + table + 8, "meta", 4) == 0)
			meta = word_at(bytes, table + 8 + 4 + 40) * 4096;
	}
	ck_assert_uint_gt(meta, 0);
	for (size_t at = meta + 16; at < meta + half_at(bytes, meta + 12); at += 2) {
		size_t row = meta + half_at(bytes, at);

		refused_with(bytes, size, row, half_at(bytes, row) + 2u, 2);
		refused_with(bytes, size, row + 6, half_at(bytes, row + 6) - 2u, 2);
	}
	/* The root of a table elsewhere: beyond the end, or in use already. */
	refused_with(bytes, size, node + 8 + half_at(bytes, node + 6) + 40, size / 4096,
		     8);
	refused_with(bytes, size, node + 8 + half_at(bytes, node + 6) + 40, root / 4096,
		     8);
	refused_with(bytes, size, node + 8 + half_at(bytes, node + 6) + 6, 3, 2);
	/* A list of free pages that is longer than it is, or has one in use. */
	free_root = root_of(bytes, 0);
	list = free_root + half_at(bytes, free_root + 16) + 16;
	ck_assert_uint_gt(word_at(bytes, list), 0);
	refused_with(bytes, size, list, 1000, 8);
	refused_with(bytes, size, list + 8, root / 4096, 8);
	refused_with(bytes, size, list + 8, 1, 8);
	/* And with none of all that it opens. */
	f = fopen(place_path, "wb");
	ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
	fclose(f);
	store_close(place_open(false));
	free(bytes);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { a_writer_killed_at_any_moment_leaves_whole_transactions,
				 a_full_disk_loses_nothing_and_is_over_when_there_is_room,
				 no_room_for_a_new_file_is_said,
				 after_a_failed_meta_page_the_store_goes_on,
				 who_may_only_read_reads,
				 what_lmdb_would_stumble_over_is_refused,
				 a_damaged_file_is_refused_or_works };

	return place_run("shm/store_failures", tests, sizeof(tests) / sizeof(*tests));
}
