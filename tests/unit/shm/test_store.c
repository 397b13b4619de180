/* The file of the store: opening, revisions, transactions. */
#include <fcntl.h>
#include <sys/wait.h>

#include "shm/store_consumers.h"
#include "shm/store_inside.h"
#include "shm/store_usage.h"
#include "tests/unit/shm/place.h"

static void
add(struct store *s, uint64_t generation, const char *text)
{
	struct revision r = { .generation = generation, .ok = !*text, .at = 5 };

	snprintf(r.text, sizeof(r.text), "%s", text);
	ok(store_revision_add(s, &r));
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
	struct store *s = place_open(false);

	add(s, 1, "");
	add(s, 2, "3 errors");
	store_close(s);
	s = place_open(false);
	add(s, 1, "");
	store_close(s);
	s = place_open(true);
	ok(store_revisions(s, see, &seen));
	ck_assert_uint_eq(seen.n, 3);
	ck_assert_uint_eq(seen.number[0], 3);
	ck_assert_uint_eq(seen.number[2], 1);
	seen = (struct seen){ .most = 2 };
	ok(store_revisions(s, see, &seen));
	ck_assert_uint_eq(seen.n, 2);
	ck_assert_str_eq(seen.last.text, "3 errors");
	ck_assert_uint_eq(seen.last.ok, 0);
	store_close(s);
}
END_TEST

static bool
count_revision(void *arg, const struct revision *r)
{
	struct seen *s = arg;

	s->last = *r;
	s->n++;
	return true;
}

START_TEST(the_history_does_not_grow_for_ever)
{
	struct seen seen = { .n = 0 };
	struct revision r = { .ok = 1 };
	struct store *s = place_open(false);

	ok(store_begin(s));
	for (int i = 0; i < 10050; i++)
		ok(store_revision_add(s, &r));
	ok(store_commit(s));
	ck_assert_uint_eq(r.number, 10050);
	ok(store_revisions(s, count_revision, &seen));
	ck_assert_uint_eq(seen.n, 10000);
	ck_assert_uint_eq(seen.last.number, 51);
	store_close(s);
}
END_TEST

START_TEST(what_cannot_be_opened_is_said)
{
	ck_assert_int_eq(place_refuses("/nonexistent/state", false), STORE_FAIL_OTHER);
	ck_assert_int_eq(place_refuses(place_path, true), STORE_FAIL_OTHER);
	ck_assert_int_eq(place_refuses(place_dir, false), STORE_FAIL_FOREIGN);
}
END_TEST

START_TEST(an_empty_file_becomes_ours)
{
	struct store *s;

	close(open(place_path, O_CREAT | O_WRONLY, 0600));
	s = place_open(false);
	add(s, 1, "");
	store_close(s);
	store_close(place_open(true));
}
END_TEST

/* ---- files of others */

static uint64_t
contents(char **bytes)
{
	FILE *f = fopen(place_path, "rb");
	struct stat st;

	ck_assert_ptr_nonnull(f);
	fstat(fileno(f), &st);
	*bytes = malloc((size_t)st.st_size + 1);
	ck_assert_uint_eq(fread(*bytes, 1, (size_t)st.st_size, f), (size_t)st.st_size);
	fclose(f);
	return (uint64_t)st.st_size;
}

/* Neither a reader nor a writer takes it, and none changes a byte of it. */
static void
stays_as_it_is(void)
{
	char *before, *after;
	uint64_t size = contents(&before);

	ck_assert_int_eq(place_refuses(place_path, false), STORE_FAIL_FOREIGN);
	ck_assert_int_eq(place_refuses(place_path, true), STORE_FAIL_FOREIGN);
	ck_assert_uint_eq(contents(&after), size);
	ck_assert_mem_eq(before, after, size);
	free(before);
	free(after);
}

static void
write_file(const void *bytes, size_t n)
{
	FILE *f = fopen(place_path, "wb");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

START_TEST(a_file_that_is_no_database_is_left_alone)
{
	static char zeroes[65536];

	write_file("x", 1);
	stays_as_it_is();
	write_file("SQLite format 3 and so on, and so on, and so on, for a while\n", 60);
	stays_as_it_is();
	write_file(zeroes, sizeof(zeroes));
	stays_as_it_is();
}
END_TEST

/* Whatever uses LMDB: a table of that name and flags with a row, or rows without a table.
 */
static void
write_foreign(const char *table, unsigned flags, const char *name, const char *value)
{
	MDB_val k = { strlen(name), (void *)(uintptr_t)name };
	MDB_val v = { strlen(value), (void *)(uintptr_t)value };
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	ck_assert_int_eq(mdb_env_create(&env), 0);
	mdb_env_set_maxdbs(env, 8);
	ck_assert_int_eq(mdb_env_open(env, place_path, MDB_NOSUBDIR, 0600), 0);
	ck_assert_int_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
	ck_assert_int_eq(mdb_dbi_open(txn, table, table ? flags | MDB_CREATE : 0, &dbi),
			 0);
	ck_assert_int_eq(mdb_put(txn, dbi, &k, &v, 0), 0);
	ck_assert_int_eq(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

START_TEST(a_database_of_another_program_is_left_alone)
{
	write_foreign("people", 0, "carol", "1");
	stays_as_it_is();
	unlink(place_path);
	write_foreign(NULL, 0, "carol", "1");
	stays_as_it_is();
	unlink(place_path);
	write_foreign("people", MDB_DUPSORT, "carol", "1");
	stays_as_it_is();
	unlink(place_path);
	/* Our names mean nothing without our mark. */
	write_foreign("consumers", 0, "carol", "1");
	stays_as_it_is();
	unlink(place_path);
	write_foreign("meta", 0, "magic", "something else");
	stays_as_it_is();
	unlink(place_path);
	write_foreign("meta", MDB_INTEGERKEY, "8 bytes.", "postern state");
	stays_as_it_is();
}
END_TEST

START_TEST(a_file_of_a_later_version_is_left_alone)
{
	struct store *s = place_open(false);

	add(s, 1, "");
	store_close(s);
	/* One table has a newer form. */
	write_foreign("meta", 0, "usage", "\2");
	stays_as_it_is();
	write_foreign("meta", 0, "usage", "\1");
	store_close(place_open(false));
}
END_TEST

START_TEST(a_file_of_the_first_release_is_ours)
{
	struct revision r = { .version = REVISION_VERSION, .number = 41, .who = "start" };
	MDB_val k = { sizeof(r.number), &r.number }, v = { sizeof(r), &r };
	struct seen seen = { .most = 8 };
	uint64_t consumers, keys;
	struct store *s;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	ck_assert_int_eq(mdb_env_create(&env), 0);
	mdb_env_set_maxdbs(env, 16);
	mdb_env_set_mapsize(env, (size_t)16 << 30);
	ck_assert_int_eq(mdb_env_open(env, place_path, MDB_NOSUBDIR | MDB_NOTLS, 0640),
			 0);
	ck_assert_int_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
	ck_assert_int_eq(
		mdb_dbi_open(txn, "revisions", MDB_INTEGERKEY | MDB_CREATE, &dbi), 0);
	ck_assert_int_eq(mdb_put(txn, dbi, &k, &v, 0), 0);
	ck_assert_int_eq(mdb_txn_commit(txn), 0);
	mdb_env_close(env);

	/* A reader finds what there is, and nothing of the rest … */
	struct store *reader = place_open(true);

	s = reader;
	ok(store_revisions(s, see, &seen));
	ck_assert_uint_eq(seen.n, 1);
	ok(store_counts(s, &consumers, &keys));
	ck_assert_uint_eq(consumers, 0);

	/* … the writer makes it, and the reader sees it without opening again. */
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (!child) {
		struct consumer_row row = { .name = "acme" };
		struct revision next = { .generation = 1 };

		s = place_child_open(false);
		need(store_revision_add(s, &next) == 0);
		need(store_consumer_put(s, &row) == 0);
		store_close(s);
		_exit(0);
	}
	int status;

	waitpid(child, &status, 0);
	ck_assert_int_eq(status, 0);
	seen = (struct seen){ .most = 8 };
	ok(store_revisions(s, see, &seen));
	ck_assert_uint_eq(seen.n, 2);
	ck_assert_uint_eq(seen.number[0], 42);
	ok(store_counts(s, &consumers, &keys));
	ck_assert_uint_eq(consumers, 1);
	store_close(s);
}
END_TEST

static bool
count_consumer(void *arg, const struct consumer_row *row)
{
	struct consumer_row again;

	ck_assert_int_eq(store_consumer_find(arg, row->name, &again), 1);
	return true;
}

/* Pages at the end may be free: who opens such a file has lost nothing. */
static bool
refused_or_whole(uint64_t wanted)
{
	enum store_failure why;
	const char *error;
	struct store *s = store_open(place_path, true, &error, &why);
	uint64_t consumers, keys;

	if (!s) {
		stays_as_it_is();
		return true;
	}
	for (int write = 0; write < 2; write++) {
		ok(store_counts(s, &consumers, &keys));
		ck_assert_uint_eq(consumers, wanted);
		ok(store_consumers(s, NULL, count_consumer, s));
		store_close(s);
		s = place_open(false);
	}
	add(s, 1, "");
	store_close(s);
	return false;
}

/* Cut anywhere: refused, or as good as before. */
START_TEST(a_file_cut_short_is_refused)
{
	struct consumer_row row = { .name = "acme" };
	struct store *s = place_open(false);
	int refused = 0, cuts = 0;
	char *bytes;
	uint64_t size;

	for (int i = 0; i < 500; i++) {
		snprintf(row.name, sizeof(row.name), "acme-%d", i);
		if (i % 100 == 0)
			ok(store_begin(s));
		ok(store_consumer_put(s, &row));
		if (i % 100 == 99)
			ok(store_commit(s));
	}
	store_close(s);
	size = contents(&bytes);
	ck_assert_uint_gt(size, 60000);
	for (uint64_t keep = 1; keep < size; keep += keep < 400 ? 13 : 1777) {
		write_file(bytes, keep);
		refused += refused_or_whole(500);
		cuts++;
	}
	ck_assert_int_gt(refused, cuts * 3 / 4);
	write_file(bytes, size);
	s = place_open(false);
	ck_assert_int_eq(store_consumer_find(s, "acme-499", &row), 1);
	store_close(s);
	free(bytes);
}
END_TEST

/* ---- transactions */

START_TEST(a_transaction_is_kept_whole_or_not_at_all)
{
	struct consumer_row row = { .name = "acme" }, found;
	struct key_row key = { .consumer = "acme" };
	struct store *s = place_open(false);

	ok(store_begin(s));
	ok(store_consumer_put(s, &row));
	ok(store_key_put(s, &key));
	ck_assert_int_eq(store_consumer_find(s, "acme", &found), 1);
	store_abort(s);
	ck_assert_int_eq(store_consumer_find(s, "acme", &found), 0);
	ck_assert_int_eq(store_key_find(s, &key.digest, &key), 0);

	/* What fails in the midst of it takes all that was before along. */
	ok(store_begin(s));
	ok(store_consumer_put(s, &row));
	ck_assert_int_eq(store_booked_put(s, STR_NONE, "x", 1), -1);
	ck_assert_int_eq(store_failure(s), STORE_FAIL_REFUSED);
	ck_assert(!store_again(s));
	ck_assert_int_eq(store_consumer_put(s, &row), -1);
	ck_assert_int_eq(store_consumer_find(s, "acme", &found), -1);
	ck_assert_int_eq(store_commit(s), -1);
	ck_assert_int_eq(store_consumer_find(s, "acme", &found), 0);
	ck_assert_int_eq(store_commit(s), -1);

	ok(store_begin(s));
	ck_assert_int_eq(store_begin(s), -1);
	ok(store_consumer_put(s, &row));
	ok(store_commit(s));
	ck_assert_int_eq(store_consumer_find(s, "acme", &found), 1);
	store_close(s);
}
END_TEST

static bool
read_within(void *arg, const struct consumer_row *row)
{
	struct consumer_row again;

	ck_assert_int_eq(store_consumer_find(arg, row->name, &again), 1);
	ck_assert_str_eq(row->name, again.name);
	return true;
}

START_TEST(a_walk_may_read)
{
	struct consumer_row row = { .name = "acme" };
	struct store *s = place_open(false);

	ok(store_consumer_put(s, &row));
	ok(store_consumers(s, NULL, read_within, s));
	ok(store_consumers(s, NULL, read_within, s));
	store_close(s);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { numbers_go_on_when_the_writer_is_another,
				 what_cannot_be_opened_is_said,
				 an_empty_file_becomes_ours,
				 a_file_that_is_no_database_is_left_alone,
				 a_database_of_another_program_is_left_alone,
				 a_file_of_a_later_version_is_left_alone,
				 a_file_of_the_first_release_is_ours,
				 a_file_cut_short_is_refused,
				 a_transaction_is_kept_whole_or_not_at_all,
				 a_walk_may_read,
				 the_history_does_not_grow_for_ever };

	return place_run("shm/store", tests, sizeof(tests) / sizeof(*tests));
}
