/* Access tokens: all interleavings of workers that fetch, one that reads, and one that is
 * killed or comes too late. */
#define TOKENS_BOX 80
#define TOKENS_ROWS 2
#include "tests/unit/shm/interleave.h"

#include "base/crypto.h"
#include "base/siphash.h"

/* Sealing without chance, so that the same state is met again. */
static void
fake_tag(uint8_t *tag, struct str bound, const uint8_t *bytes, size_t n)
{
	uint64_t k[2];
	struct siphash h;

	memcpy(k, bound.at, sizeof(k));
	h = siphash(k, n, (struct str){ (const char *)bytes, n });
	memcpy(tag, &h, 16);
}

static void
fake_seal(void *to, const struct digest *key, struct str bound, const void *from,
	  size_t n)
{
	uint8_t *at = to;

	(void)key;
	memset(at, 0x5e, 12);
	memcpy(at + 12, from, n);
	fake_tag(at + 12 + n, bound, at + 12, n);
}

static int
fake_open(void *to, const struct digest *key, struct str bound, const void *sealed,
	  size_t n)
{
	const uint8_t *at = sealed;
	uint8_t tag[16];

	(void)key;
	n -= CRYPTO_SEAL;
	fake_tag(tag, bound, at + 12, n);
	if (memcmp(tag, at + 12 + n, 16))
		return -1;
	memcpy(to, at + 12, n);
	return 0;
}

#include <errno.h>
#include <signal.h>

/* Actors are processes 1 and on. */
static int
fake_kill(int pid, int sig)
{
	(void)sig;
	errno = ESRCH;
	return pid - 1 == interleave.killed ? -1 : 0;
}

#define crypto_seal fake_seal
#define crypto_open fake_open
#define kill fake_kill
#include "shm/tokens.c"

static struct tokens tokens;
static struct tokens_row *const row = &tokens.row[0];
static struct tokens_key key = { .name = 2 };

static const uint64_t now = 100 * TOKENS_IDLE_MS;

static struct {
	uint64_t lease[ACTORS_MAX];     /* being held; 0: none */
	uint64_t published[ACTORS_MAX]; /* versions */
	int got[ACTORS_MAX];            /* rows + 1 */
	int voided;
} note;

static void
setup(void)
{
	memset(&tokens, 0, sizeof(tokens));
	memset(&note, 0, sizeof(note));
	row->name = key.name;
}

/* What actor `me` fetches says in each part whose it is. */
static void
fetch(int me, uint64_t at)
{
	struct tokens_text text = { .fetched = (uint64_t)me, .expires = (uint64_t)me };
	uint64_t mine = tokens_lease(row, me + 1, at, at + 1000);

	if (!mine)
		return;
	note.lease[me] = mine;
	text.len = 12 + (uint32_t)me;
	memset(text.at, 'a' + me, text.len);
	note.published[me] = tokens_publish(NULL, &tokens, row, &key, mine, &text);
	note.lease[me] = 0;
}

/* Whole, or nothing. */
static uint64_t
reads(struct tokens_text *text)
{
	uint64_t version = tokens_read(&tokens, row, &key, text);
	uint32_t me = text->len - 12;

	if (!text->len)
		return version;
	interleave_assert(me < ACTORS_MAX && text->fetched == me && text->expires == me);
	for (uint32_t i = 0; i < text->len; i++)
		interleave_assert(text->at[i] == (char)('a' + me));
	return version;
}

static void
read_once(void)
{
	struct tokens_text text;

	reads(&text);
}

static void
read_and_void(void)
{
	struct tokens_text text;
	uint64_t version = reads(&text);

	if (text.len)
		note.voided = tokens_void(row, version) ? 1 : -1;
}

static void
one_at_most(void)
{
	int n = 0;

	for (int i = 0; i < ACTORS_MAX; i++)
		n += note.lease[i] != 0 && interleave.killed != i;
	interleave_assert(n <= 1);
}

static const struct interleave plan = {
	.part = { { &tokens.row, sizeof(tokens.row) },
		  { &tokens.box, sizeof(tokens.box) },
		  { &note, sizeof(note) } },
	.always = one_at_most,
};

static void first_fetches(void) { fetch(0, now); }
static void second_fetches(void) { fetch(1, now); }
static void second_comes_after_the_lease(void) { fetch(1, now + 1000); }

/* Another can go on from here, whatever happened. */
static void
can_go_on(void)
{
	struct tokens_text text;
	uint64_t before = row->version;

	interleave.current = -1;
	fetch(3, now + 2000);
	interleave_assert(note.published[3] > before);
	interleave_assert(reads(&text) == note.published[3] && text.fetched == 3);
}

static void
both_or_one(void)
{
	struct tokens_text text;

	/* Who published last is read; who was killed may have left half of it, or not
	 * have told. */
	if (interleave.killed < 0) {
		interleave_assert(reads(&text) == row->version && text.len);
		interleave_assert(row->version == note.published[text.fetched]);
	}
	can_go_on();
}

START_TEST(one_is_killed)
{
	struct interleave p = plan;

	setup();
	p.actors = 3;
	p.actor[0] = first_fetches;
	p.actor[1] = second_fetches;
	p.actor[2] = read_once;
	p.killable = 1;
	p.finally = both_or_one;
	interleave_all("one that fetches may be killed", &p);
}
END_TEST

/* Not two of one version: a worker would go on with another token than all others. */
static void
two_versions(void)
{
	interleave_assert(!note.published[0] || note.published[0] != note.published[1]);
	can_go_on();
}

START_TEST(one_is_late)
{
	struct interleave p = plan;

	setup();
	p.actors = 2;
	p.actor[0] = first_fetches;
	p.actor[1] = second_comes_after_the_lease;
	p.always = read_once;           /* the late one believes that it holds it */
	p.finally = two_versions;
	interleave_all("one that fetches is late", &p);
}
END_TEST

/* After all have ended: if it was voided, it is gone, unless another came after it. */
static void
what_was_voided_is_gone(void)
{
	struct tokens_text text;

	reads(&text);
	if (note.voided > 0 && text.len)
		interleave_assert(row->version == note.published[text.fetched]);
	can_go_on();
}

START_TEST(voided_while_another_is_published)
{
	struct interleave p = plan;
	struct tokens_text text = { .fetched = 2, .expires = 2, .len = 14 };

	setup();
	memset(text.at, 'c', text.len);
	tokens_publish(NULL, &tokens, row, &key, tokens_lease(row, 3, now, now + 1),
		       &text);
	p.actors = 2;
	p.actor[0] = first_fetches;
	p.actor[1] = read_and_void;
	p.finally = what_was_voided_is_gone;
	interleave_all("voided while another is published", &p);
}
END_TEST

/* ---- rows */

static void
take_row(int me, uint64_t name)
{
	struct tokens_row *r = tokens_row(&tokens, name, now);

	note.got[me] = r ? (int)(r - tokens.row) + 1 : -1;
}

static void first_takes_row(void) { take_row(0, 5); }
static void second_takes_row(void) { take_row(1, 5); }
static void third_takes_another(void) { take_row(2, 6); }

static void
the_same_row(void)
{
	interleave_assert(note.got[0] > 0 && note.got[0] == note.got[1]);
	interleave_assert(tokens.row[note.got[0] - 1].name == 5);
}

static void
rows_of_their_own(void)
{
	the_same_row();
	interleave_assert(note.got[2] > 0 && note.got[2] != note.got[0]);
	interleave_assert(tokens.row[note.got[2] - 1].name == 6);
}

START_TEST(free_rows_are_taken)
{
	struct interleave p = plan;

	setup();
	row->name = 0;
	p.actors = 3;
	p.actor[0] = first_takes_row;
	p.actor[1] = second_takes_row;
	p.actor[2] = third_takes_another;
	p.finally = rows_of_their_own;
	interleave_all("free rows are taken", &p);
}
END_TEST

START_TEST(idle_rows_are_taken)
{
	struct interleave p = plan;

	setup();
	tokens.row[0].name = 100;
	tokens.row[1].name = 101;
	p.actors = 2;
	p.actor[0] = first_takes_row;
	p.actor[1] = second_takes_row;
	p.finally = the_same_row;
	interleave_all("idle rows are taken", &p);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("shm/tokens, all interleavings");
	TCase *t = tcase_create("steps");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, one_is_killed);
	tcase_add_test(t, one_is_late);
	tcase_add_test(t, voided_while_another_is_published);
	tcase_add_test(t, free_rows_are_taken);
	tcase_add_test(t, idle_rows_are_taken);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
