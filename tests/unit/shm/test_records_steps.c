/* The recorder: all interleavings of a worker that writes records, one that takes its
 * place when it is killed, and a reader that is lapped. */
#include "tests/unit/shm/interleave.h"

/* Copies take several steps: a reader may see the beginning of one record and the end of
 * another. */
static void
copy_in_steps(void *to, const void *from, size_t len)
{
	enum { PIECE = 200 };

	for (size_t n; len;
	     len -= n, to = (char *)to + n, from = (const char *)from + n) {
		n = len < PIECE ? len : PIECE;
		SHM_STEP();
		memcpy(to, from, n);
	}
}

#define SHM_COPY copy_in_steps
#include "shm/records.c"

enum { SIZE = 800, SMALL = 4096, READS = 3 };

static struct {
	_Atomic uint64_t head, start[4];
	char data[SMALL + PAGE];
} ring;

static const struct lane lane = { &ring.head, ring.start, ring.data, SMALL, SMALL / 4 };

static char read_into[RECORD_SIZE_MAX];
static char written[SIZE];

static struct {
	uint64_t wrote, cursor, last;
	int read, lapped, begun;
} note;

/* All of it says which one it is: no part of another can be mixed in. */
static void
make_record(char *at, uint64_t number)
{
	struct record *r = (struct record *)at;

	memset(at, (int)(number & 0x7f), SIZE);
	memset(r, 0, sizeof(*r));
	r->size = SIZE;
	r->id[0] = r->id[1] = number;
	r->bytes_out = number;
	r->path_len = 256;
	r->host_len = 64;
	r->client_len = 64;
	r->consumer_len = r->plan_len = r->id_len = 50;
}

static void
check_record(const char *at)
{
	const struct record *r = (const struct record *)at;
	uint64_t number = r->id[0];

	interleave_assert(number >= 1 && number <= note.wrote);
	interleave_assert(r->id[1] == number && r->bytes_out == number);
	for (size_t i = sizeof(*r); i < SIZE; i++)
		interleave_assert((uint64_t)at[i] == (number & 0x7f));
	/* In the order in which they were written. */
	interleave_assert(number > note.last);
	note.last = number;
}

static void
write_one(void)
{
	char *mine = written;

	make_record(mine, note.wrote + 1);
	note.wrote++;
	write_lane(&lane, mine, SIZE);
}

static void
writer(void)
{
	for (int i = 0; i < 4; i++)
		write_one();
}

static void
writer_of_two(void)
{
	write_one();
	write_one();
}

static bool
writer_was_killed(void)
{
	return interleave.killed == 0 || interleave.done[0];
}

/* The next process of the row: goes on at the head that it finds. */
static void
next_writer(void)
{
	interleave_wait(writer_was_killed);
	write_one();
	write_one();
}

static void
reader(void)
{
	for (int i = 0; i < READS; i++) {
		uint64_t lost = 0;
		int n = read_lane(&lane, &note.cursor, read_into, sizeof(read_into),
				  &lost);

		if (n > 0) {
			interleave_assert(n == SIZE);
			note.read++;
			check_record(read_into);
		} else if (n < 0) {
			note.lapped++;
			interleave_assert(note.cursor % SIZE == 0);
		}
	}
}

/* Who reads when all is quiet finds the newest, and no less than the room allows. */
static void
the_rest_is_there(void)
{
	int n, rest = 0;

	while ((n = read_lane(&lane, &note.cursor, read_into, sizeof(read_into), NULL)) !=
	       0)
		if (n > 0) {
			check_record(read_into);
			rest++;
		}
	interleave_assert(note.cursor == ring.head && ring.head % SIZE == 0);
	interleave_assert(note.last == note.wrote || interleave.killed == 0);
	n = 0;
	note.cursor = note.last = 0;
	while (read_lane(&lane, &note.cursor, read_into, sizeof(read_into), NULL) > 0)
		n++;
	interleave_assert(n >= 2);
}

static void
setup(void)
{
	memset(&ring, 0, sizeof(ring));
	memset(&note, 0, sizeof(note));
	for (int i = 0; i < 3; i++)
		write_one();
}

static const struct interleave plan = {
	.part = { { &ring, sizeof(ring) }, { &note, sizeof(note) },
		  { read_into, sizeof(read_into) }, { written, sizeof(written) } },
	.finally = the_rest_is_there,
};

START_TEST(a_reader_is_lapped)
{
	struct interleave p = plan;

	p.actors = 2;
	p.actor[0] = writer;
	p.actor[1] = reader;
	ck_assert_uint_gt(interleave_all("a reader is lapped", &p), 100000);
}
END_TEST

START_TEST(a_writer_is_killed)
{
	struct interleave p = plan;

	p.actors = 3;
	p.actor[0] = writer_of_two;
	p.actor[1] = reader;
	p.actor[2] = next_writer;
	p.killable = 1;
	ck_assert_uint_gt(interleave_all("a writer is killed", &p), 100000);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("shm/records, all interleavings");
	TCase *t = tcase_create("steps");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, a_reader_is_lapped);
	tcase_add_test(t, a_writer_is_killed);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
