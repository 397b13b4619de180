#include "shm/ledger.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "shm/touched.h"
#include "shm/word.h"

struct ledger_head {
	uint64_t key[2];           /* of the hash; random, lives as long as the region */
	_Atomic uint32_t reserved; /* its memory is there: before, nobody looks into it */
	uint32_t spare[11];
	_Atomic uint64_t touched[TOUCHED_WORDS(LEDGER_SETS)];   /* sets */
};

struct place {
	union word word;        /* tag: half of the key, its lowest bit the mark */
	uint32_t life;
	uint16_t named;         /* 1 + length, when the name is there */
	uint16_t spare[5];
};

struct ledger_set {
	struct place place[LEDGER_A_SET];
	uint64_t version;       /* the last one given; the keeper's */
	uint64_t spare[7];
	char name[LEDGER_A_SET][LEDGER_NAME];
} __attribute__((aligned(64)));

enum { MARK = 1, CLOSED = 1 };          /* a mark without a key */

_Static_assert(sizeof(struct ledger_head) % 64 == 0, "whole lines");
_Static_assert(sizeof(struct place) == 32, "all that is asked of it lies in one line");
_Static_assert((LEDGER_A_SET & (LEDGER_A_SET - 1)) == 0, "masked");

static struct region_shape
shape(char buf[static 32], const char *name, const char *part, uint32_t version,
      uint32_t item, uint64_t count)
{
	snprintf(buf, 32, "%.20s.%s", name, part);
	return (struct region_shape){ buf, version, item, count };
}

static struct region_shape
sets_shape(char buf[static 32], const char *name, uint32_t version, uint32_t count)
{
	return shape(buf, name, "sets", version, sizeof(struct ledger_set),
		     count / LEDGER_A_SET);
}

int
ledger_open(struct ledger *l, struct region *r, const char *name, uint32_t version,
	    uint32_t count, uint32_t size)
{
	char buf[32];
	struct region_shape s = shape(buf, name, "head", version, sizeof(*l->head), 1);

	l->count = count;
	l->size = size;
	l->head = region_segment(r, &s, NULL);
	s = sets_shape(buf, name, version, count);
	l->sets = region_segment(r, &s, NULL);
	s = shape(buf, name, "values", version, size, count);
	l->values = region_segment(r, &s, NULL);
	if (!l->head || !l->sets || !l->values)
		return -1;
	if (l->head->key[0] | l->head->key[1])
		return 0;
	if (region_reserve(r, l->head, sizeof(*l->head)) < 0 ||
	    getrandom(l->head->key, sizeof(l->head->key), 0) != sizeof(l->head->key))
		return -1;
	return 0;
}

int
ledger_find_in(struct ledger *l, const struct region *r, const char *name,
	       uint32_t version, uint32_t count, uint32_t size)
{
	char buf[32];
	struct region_shape s = shape(buf, name, "head", version, sizeof(*l->head), 1);

	l->count = count;
	l->size = size;
	l->head = (void *)(uintptr_t)region_find(r, &s);
	s = sets_shape(buf, name, version, count);
	l->sets = (void *)(uintptr_t)region_find(r, &s);
	s = shape(buf, name, "values", version, size, count);
	l->values = (void *)(uintptr_t)region_find(r, &s);
	return l->head && l->sets && l->values ? 0 : -1;
}

int
ledger_reserve(struct region *r, struct ledger *l)
{
	size_t sets = l->count / LEDGER_A_SET * sizeof(*l->sets);

	if (region_reserve(r, l->sets, sets) < 0 ||
	    region_reserve(r, l->values, (size_t)l->count * l->size) < 0)
		return -1;
	l->head->reserved = 1;
	return 0;
}

struct siphash
ledger_key(const struct ledger *l, struct str name)
{
	return siphash(l->head->key, 0, name);
}

static uint64_t
tag_of(struct siphash key)
{
	uint64_t tag = key.low & ~(uint64_t)MARK;

	return tag ? tag : 2;
}

static uint64_t
set_of(const struct ledger *l, struct siphash key)
{
	return key.high % (l->count / LEDGER_A_SET);
}

/* Where a key looks first, the same for all. */
static unsigned
first_of(struct siphash key)
{
	return (unsigned)(key.low >> 1);
}

/* The place of the key in its set, in *seen what it holds; -1: it is not there. Then
 * *empty, if it is not NULL, is the place that it would take, or -1. */
static int
find(const struct ledger_set *s, struct siphash key, union word *seen, int *empty)
{
	uint64_t tag = tag_of(key), oldest = UINT64_MAX;

	if (empty)
		*empty = -1;
	for (unsigned i = 0; i < LEDGER_A_SET; i++) {
		unsigned at = (first_of(key) + i) % LEDGER_A_SET;
		union word w = word_look(&s->place[at].word);

		if ((w.tag & ~(uint64_t)MARK) == tag && w.value == key.high) {
			*seen = w;
			return (int)at;
		}
		if (empty && w.tag == 0 && w.value < oldest) {
			*empty = (int)at;
			oldest = w.value;
			*seen = w;
		}
	}
	return -1;
}

/* Who inserted it may have died before it could write the name. */
static void
write_name(struct ledger_set *s, int at, struct str name)
{
	size_t len = name.len < LEDGER_NAME ? name.len : LEDGER_NAME;

	if (__atomic_load_n(&s->place[at].named, __ATOMIC_ACQUIRE))
		return;
	if (len)
		memcpy(s->name[at], name.at, len);
	SHM_STEP();
	__atomic_store_n(&s->place[at].named, (uint16_t)(len + 1), __ATOMIC_RELEASE);
}

int64_t
ledger_take(struct ledger *l, struct siphash key, struct str name)
{
	uint64_t n = set_of(l, key);
	struct ledger_set *s = &l->sets[n];
	union word plain = { .tag = tag_of(key), .value = key.high };

	for (;;) {
		union word seen = { .both = 0 }, again = { .both = 0 };
		int empty, still, at = find(s, key, &seen, &empty);

		if (at < 0 && empty < 0)
			return -1;
		if (at < 0) {
			if (find(s, key, &again, &still) >= 0 || still != empty ||
			    again.both != seen.both)
				continue;
			at = empty;
			touch(l->head->touched, n);
		}
		if (seen.both == plain.both ||
		    word_swap(&s->place[at].word, seen, plain)) {
			write_name(s, at, name);
			return (int64_t)(n * LEDGER_A_SET) + at;
		}
	}
}

int64_t
ledger_look(const struct ledger *l, struct siphash key)
{
	uint64_t n = set_of(l, key);
	const struct ledger_set *s = &l->sets[n];
	union word seen;
	int at = find(s, key, &seen, NULL);

	if (at < 0 || (seen.tag & MARK) ||
	    !__atomic_load_n(&s->place[at].named, __ATOMIC_ACQUIRE))
		return -1;
	return (int64_t)(n * LEDGER_A_SET) + at;
}

/* Most keys lie where they look first. */
void
ledger_prefetch(const struct ledger *l, struct siphash key)
{
	uint64_t n = set_of(l, key);
	unsigned at = first_of(key) % LEDGER_A_SET;

	__builtin_prefetch(&l->sets[n].place[at], 0);
	__builtin_prefetch(ledger_value(l, (int64_t)(n * LEDGER_A_SET) + at), 1);
}

int64_t
ledger_next(const struct ledger *l, int64_t entry)
{
	for (; l->head->reserved && entry < l->count; entry++)
		if (!touched(l->head->touched, (uint64_t)entry / LEDGER_A_SET))
			entry |= LEDGER_A_SET - 1;
		else if (ledger_name(l, entry).len)
			return entry;
	return -1;
}

struct str
ledger_name(const struct ledger *l, int64_t entry)
{
	const struct ledger_set *s = &l->sets[entry / LEDGER_A_SET];
	int at = (int)(entry % LEDGER_A_SET);
	uint16_t named;

	if (!l->head->reserved)
		return (struct str){ NULL, 0 };
	named = __atomic_load_n(&s->place[at].named, __ATOMIC_ACQUIRE);
	if (!named || word_tag(&s->place[at].word) <= CLOSED)
		return (struct str){ NULL, 0 };
	return (struct str){ s->name[at], named - 1u };
}

uint32_t
ledger_life(const struct ledger *l, int64_t entry)
{
	const struct ledger_set *s = &l->sets[entry / LEDGER_A_SET];

	return __atomic_load_n(&s->place[entry % LEDGER_A_SET].life, __ATOMIC_ACQUIRE);
}

static union word *
word_of(struct ledger *l, int64_t entry)
{
	return &l->sets[entry / LEDGER_A_SET].place[entry % LEDGER_A_SET].word;
}

bool
ledger_retire(struct ledger *l, int64_t entry)
{
	union word *place = word_of(l, entry);
	union word w, marked;

	do {
		w = word_look(place);
		if (w.tag <= CLOSED)
			return false;
		marked = w;
		marked.tag |= MARK;
	} while (!(w.tag & MARK) && !word_swap(place, w, marked));
	return true;
}

/* Nobody finds a closed place and nobody fills it: only the keeper touches it. What is
 * done here may be done twice, if the first was killed. */
static void
open_again(struct ledger *l, int64_t entry)
{
	struct ledger_set *s = &l->sets[entry / LEDGER_A_SET];
	int at = (int)(entry % LEDGER_A_SET);
	union word closed = { .tag = CLOSED }, empty = { .tag = 0 };

	SHM_STEP();
	__atomic_store_n(&s->place[at].named, 0, __ATOMIC_RELEASE);
	SHM_STEP();
	memset(ledger_value(l, entry), 0, l->size);
	SHM_STEP();
	__atomic_add_fetch(&s->place[at].life, 1, __ATOMIC_ACQ_REL);
	SHM_STEP();
	empty.value = __atomic_add_fetch(&s->version, 1, __ATOMIC_ACQ_REL);
	word_swap(&s->place[at].word, closed, empty);
}

bool
ledger_remove(struct ledger *l, int64_t entry)
{
	union word *place = word_of(l, entry);
	union word w = word_look(place), closed = { .tag = CLOSED };

	if (w.tag <= CLOSED || !(w.tag & MARK) || !word_swap(place, w, closed))
		return false;
	open_again(l, entry);
	return true;
}

unsigned
ledger_mend(struct ledger *l)
{
	unsigned n = 0;

	for (uint32_t i = 0; l->head->reserved && i < l->count; i++) {
		const struct ledger_set *s = &l->sets[i / LEDGER_A_SET];

		if (!touched(l->head->touched, i / LEDGER_A_SET) ||
		    word_tag(&s->place[i % LEDGER_A_SET].word) != CLOSED)
			continue;
		open_again(l, i);
		n++;
	}
	return n;
}
