/* interleave — tries all orders in which the steps of a few actors can follow each other.
 *
 * An actor is a function that runs on a stack of its own and is stopped before each access to
 * shared memory (shm/step.h). Wherever it stops, each of the others may go on: all choices are
 * tried, depth first. State is what the actors share, their stacks and registers; it is put
 * back for the next choice, and a state that has been met before is not gone through again,
 * so that "all" stays few: states are counted, and the schedules that they stand for.
 *
 * A test includes this first, then the .c files, and says what is to be kept and what must hold. */
#ifndef TESTS_INTERLEAVE_H
#define TESTS_INTERLEAVE_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

static void interleave_step(void);
#define SHM_STEP() interleave_step()

enum { ACTORS_MAX = 4, PARTS_MAX = 8, ACTOR_STACK = 16384, SCHEDULE_MAX = 4096 };

struct interleave {
	int actors;
	void (*actor[ACTORS_MAX])(void);
	struct {
		void *at;
		size_t len;
	} part[PARTS_MAX];              /* what they share, and what the test notes down */
	void (*always)(void);           /* must hold at each step; NULL: nothing */
	void (*finally)(void);          /* must hold when all have ended */
	unsigned killable;              /* bits: actors that are killed at any step, one a schedule */
	void (*killed)(int actor);      /* happens at once; takes no steps */
};

struct interleave_seen {
	uint64_t key[2];
	uint64_t schedules;
	bool open;                      /* being gone through: who meets it goes round in circles */
};

static struct {
	const struct interleave *plan;
	ucontext_t explorer, context[ACTORS_MAX];
	bool done[ACTORS_MAX];
	bool (*until[ACTORS_MAX])(void);/* what an actor waits for */
	char *low[ACTORS_MAX];          /* of its stack: what is in use begins here */
	int current, killed;            /* actors; -1: none */
	struct interleave_seen *seen;
	size_t room, states;
	uint64_t ends, circles;
	char schedule[SCHEDULE_MAX];    /* so far: who went on, 'k' before who was killed */
	int depth;
} interleave = { .current = -1 };

static char interleave_stack[ACTORS_MAX][ACTOR_STACK] __attribute__((aligned(64)));

#define interleave_assert(what)                                                      \
	ck_assert_msg(what, "%s, after schedule %.*s", #what, interleave.depth,      \
		      interleave.schedule)

/* Below the frame of who stops lies what swapcontext() leaves: less than this. */
enum { BELOW_FRAME = 512 };

static void __attribute__((noinline))
interleave_step(void)
{
	int me = interleave.current;

	if (me < 0)
		return;
	interleave.low[me] = (char *)__builtin_frame_address(0) - BELOW_FRAME;
	swapcontext(&interleave.context[me], &interleave.explorer);
}

/* The actor goes on no sooner than when this is true. */
static inline void
interleave_wait(bool (*until)(void))
{
	interleave.until[interleave.current] = until;
	interleave_step();
	interleave.until[interleave.current] = NULL;
}

static void
interleave_run(void)
{
	interleave.plan->actor[interleave.current]();
	interleave.done[interleave.current] = true;
}

static void
interleave_mix(uint64_t h[2], const void *from, size_t len)
{
	const char *p = from;

	for (; len; len -= len < 8 ? len : 8, p += 8) {
		uint64_t w = 0;

		memcpy(&w, p, len < 8 ? len : 8);
		h[0] = (h[0] ^ w) * 0x9e3779b97f4a7c15ull;
		h[0] ^= h[0] >> 29;
		h[1] = (h[1] + w) * 0xd6e8feb86659fd93ull;
		h[1] ^= h[1] >> 32;
	}
}

/* Where the part of its stack begins that counts. */
static const char *
interleave_top(int i)
{
#ifdef __x86_64__
	if (interleave.context[i].uc_mcontext.gregs[REG_RSP])
		return (const char *)interleave.context[i].uc_mcontext.gregs[REG_RSP];
#endif
	return interleave.low[i];
}

static size_t
interleave_used(int i)
{
	return (size_t)(interleave_stack[i] + ACTOR_STACK - interleave.low[i]);
}

static void
interleave_hash(uint64_t h[2])
{
	h[0] = 1, h[1] = 2;
	for (int i = 0; i < PARTS_MAX && interleave.plan->part[i].at; i++)
		interleave_mix(h, interleave.plan->part[i].at, interleave.plan->part[i].len);
	interleave_mix(h, interleave.done, sizeof(interleave.done));
	interleave_mix(h, interleave.until, sizeof(interleave.until));
	interleave_mix(h, &interleave.killed, sizeof(interleave.killed));
	for (int i = 0; i < interleave.plan->actors; i++) {
		const mcontext_t *m = &interleave.context[i].uc_mcontext;

		if (interleave.done[i])
			continue;
#ifdef __x86_64__
		/* The others are nobody's across a call. */
		for (int r = REG_R12; r <= REG_R15; r++)
			interleave_mix(h, &m->gregs[r], sizeof(m->gregs[r]));
		interleave_mix(h, &m->gregs[REG_RBX], sizeof(m->gregs[0]));
		interleave_mix(h, &m->gregs[REG_RBP], sizeof(m->gregs[0]));
		interleave_mix(h, &m->gregs[REG_RSP], sizeof(m->gregs[0]));
		interleave_mix(h, &m->gregs[REG_RIP], sizeof(m->gregs[0]));
#else
		interleave_mix(h, m, sizeof(*m));
#endif
		interleave_mix(h, interleave_top(i),
			       (size_t)(interleave_stack[i] + ACTOR_STACK - interleave_top(i)));
	}
}

static struct interleave_seen *
interleave_find(const uint64_t key[2])
{
	size_t at = key[0] & (interleave.room - 1);

	while (interleave.seen[at].key[0] && memcmp(interleave.seen[at].key, key, 16) != 0)
		at = (at + 1) & (interleave.room - 1);
	return &interleave.seen[at];
}

static void
interleave_grow(void)
{
	struct interleave_seen *old = interleave.seen;
	size_t n = interleave.room;

	interleave.room = n ? 2 * n : 1 << 12;
	interleave.seen = calloc(interleave.room, sizeof(*old));
	ck_assert_ptr_nonnull(interleave.seen);
	for (size_t i = 0; i < n; i++)
		if (old[i].key[0])
			*interleave_find(old[i].key) = old[i];
	free(old);
}

/* Copies all that is state to `to`, or from it; returns its size. */
static size_t
interleave_copy(char *to, bool back)
{
	size_t n = 0;

#define COPY(at, len)                                                                \
	do {                                                                         \
		if (to && back)                                                      \
			memcpy(at, to + n, len);                                     \
		else if (to)                                                         \
			memcpy(to + n, at, len);                                     \
		n += len;                                                            \
	} while (0)
	COPY(interleave.done, sizeof(interleave.done));
	COPY(interleave.until, sizeof(interleave.until));
	COPY(interleave.low, sizeof(interleave.low));
	COPY(&interleave.killed, sizeof(interleave.killed));
	for (int i = 0; i < PARTS_MAX && interleave.plan->part[i].at; i++)
		COPY(interleave.plan->part[i].at, interleave.plan->part[i].len);
	for (int i = 0; i < interleave.plan->actors; i++) {
		if (interleave.done[i])
			continue;
		COPY(&interleave.context[i], sizeof(interleave.context[i]));
		COPY(interleave.low[i], interleave_used(i));
	}
#undef COPY
	return n;
}

static uint64_t interleave_explore(void);

static uint64_t
interleave_choose(int i, bool kill)
{
	int depth = interleave.depth;
	uint64_t n;

	ck_assert_int_lt(depth, SCHEDULE_MAX - 2);
	if (kill) {
		interleave.schedule[interleave.depth++] = 'k';
		interleave.done[i] = true;
		interleave.killed = i;
		if (interleave.plan->killed)
			interleave.plan->killed(i);
	}
	interleave.schedule[interleave.depth++] = (char)('0' + i);
	if (!kill) {
		interleave.current = i;
		swapcontext(&interleave.explorer, &interleave.context[i]);
		interleave.current = -1;
	}
	n = interleave_explore();
	interleave.depth = depth;
	return n;
}

static bool
interleave_runnable(int i)
{
	return !interleave.done[i] && (!interleave.until[i] || interleave.until[i]());
}

/* All that can come of the present state; returns how many schedules. */
static uint64_t
interleave_explore(void)
{
	const struct interleave *p = interleave.plan;
	struct interleave_seen *s;
	uint64_t key[2], sum = 0, n;
	bool ended = true, stuck = true;
	size_t size;
	char *saved;

	if (interleave.states * 2 >= interleave.room)
		interleave_grow();
	interleave_hash(key);
	s = interleave_find(key);
	if (s->key[0]) {
		interleave.circles += s->open;
		return s->schedules;
	}
	*s = (struct interleave_seen){ .key = { key[0], key[1] }, .open = true };
	interleave.states++;
	if (p->always)
		p->always();
	size = interleave_copy(NULL, false);
	saved = malloc(size);
	ck_assert_ptr_nonnull(saved);
	interleave_copy(saved, false);
	for (int i = 0; i < p->actors; i++) {
		ended &= interleave.done[i];
		if (!interleave_runnable(i))
			continue;
		stuck = false;
		n = interleave_choose(i, false);
		interleave_copy(saved, true);
		sum = sum + n < sum ? UINT64_MAX : sum + n;
		if (!(p->killable >> i & 1) || interleave.killed >= 0)
			continue;
		n = interleave_choose(i, true);
		interleave_copy(saved, true);
		sum = sum + n < sum ? UINT64_MAX : sum + n;
	}
	free(saved);
	interleave_assert(ended || !stuck);
	if (ended) {
		p->finally();
		interleave.ends++;
		sum = 1;
	}
	s = interleave_find(key);
	s->schedules = sum;
	s->open = false;
	return sum;
}

/* Explores the plan from here; returns the number of schedules. */
static uint64_t
interleave_all(const char *name, const struct interleave *p)
{
	uint64_t n;

	memset(&interleave, 0, sizeof(interleave));
	interleave.plan = p;
	interleave.current = interleave.killed = -1;
	for (int i = 0; i < p->actors; i++) {
		ucontext_t *c = &interleave.context[i];

		getcontext(c);
		c->uc_stack.ss_sp = interleave_stack[i];
		c->uc_stack.ss_size = ACTOR_STACK;
		c->uc_link = &interleave.explorer;
		makecontext(c, interleave_run, 0);
		interleave.low[i] = interleave_stack[i] + ACTOR_STACK - BELOW_FRAME - 256;
	}
	n = interleave_explore();
	printf("%s: %zu states, %.3g schedules, %llu ends, %llu circles\n", name,
	       interleave.states, (double)n, (unsigned long long)interleave.ends,
	       (unsigned long long)interleave.circles);
	free(interleave.seen);
	/* Who retries does so because another has got further: nobody goes round in circles. */
	ck_assert_uint_eq(interleave.circles, 0);
	return n;
}

#endif
