/* ledger — a table of named entries: a name finds its entry, whichever process asks.
 *
 * An entry is known by a 126-bit keyed hash of its name (the name itself is written beside it,
 * by whoever comes first; all write the same bytes). Workers find and insert; only the keeper
 * takes entries out. A place is one word, swapped by CMPXCHG16B:
 *
 *   {0, version} empty → {key} in use ⇄ {key, marked} → {1, 0} closed, by the keeper → {0, version} …
 *
 * No key is ever in two places: each place that is emptied gets a version that is higher than any its set has
 * had, and a new key takes the empty place with the lowest version, but only if a second look at the whole
 * set, after the first, finds neither the key nor a place that is empty for longer. So two that
 * insert the same key at the same time aim at the same place, and one of them fails and finds it there.
 *
 * Taking out is two steps with a pause: ledger_retire() marks an entry, and a worker that uses
 * it again takes the mark off; once every living worker has begun another turn of its loop
 * since (struct slot.heartbeat), ledger_remove() empties it, if it still bears the mark. An entry's `life` tells one
 * use of a place from the next. Killed anywhere, each process leaves a table that the others can use; a keeper that
 * is killed in ledger_remove() may leave a closed place, which the next one opens: ledger_mend(). */
#ifndef SHM_LEDGER_H
#define SHM_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/siphash.h"
#include "shm/region.h"

enum {
	LEDGER_NAME = 160,              /* bytes of a name */
	LEDGER_SETS = 4096,             /* at most */
};
#ifndef LEDGER_A_SET                    /* fewer in a test */
#define LEDGER_A_SET 16                 /* places where a key may lie */
#endif

struct ledger {                         /* this process's view */
	struct ledger_head *head;
	struct ledger_set *sets;
	char *values;                   /* `size` bytes for each entry, zeroed when it is new */
	uint32_t count, size;
};

/* Found or made. `name` at most 20 bytes; `count` a power of 2, at most LEDGER_SETS * LEDGER_A_SET; `size` a multiple
 * of 64. -1: the region is full. */
int ledger_open(struct ledger *, struct region *, const char *name, uint32_t version, uint32_t count, uint32_t size);
int ledger_find_in(struct ledger *, const struct region *, const char *name, uint32_t version, uint32_t count,
		   uint32_t size);      /* read-only */
/* Its memory, before it is in use. -1 with errno. */
int ledger_reserve(struct region *, struct ledger *);

/* The place of a name in this table. */
struct siphash ledger_key(const struct ledger *, struct str name);

/* The entry of a key, found or inserted, any mark taken off; -1: its set is full. */
int64_t ledger_take(struct ledger *, struct siphash key, struct str name);
/* The same for one that is there and needs nothing done: else -1. Changes nothing. */
int64_t ledger_look(const struct ledger *, struct siphash key);
/* Its memory is brought near. */
void ledger_prefetch(const struct ledger *, struct siphash key);

static inline void *
ledger_value(const struct ledger *l, int64_t entry)
{
	return l->values + (uint64_t)entry * l->size;
}

/* ---- the keeper, and who only looks */

/* The first entry in use from this one on, or -1. Looks only where any ever was. */
int64_t ledger_next(const struct ledger *, int64_t entry);
#define LEDGER_EACH(l, i) for (int64_t i = ledger_next(l, 0); i >= 0; i = ledger_next(l, i + 1))

/* The name of an entry in use, or empty. */
struct str ledger_name(const struct ledger *, int64_t entry);
uint32_t ledger_life(const struct ledger *, int64_t entry);
/* Marks; false: it is not in use. */
bool ledger_retire(struct ledger *, int64_t entry);
/* Empties a marked entry; false: it was used meanwhile. */
bool ledger_remove(struct ledger *, int64_t entry);
/* A keeper begins: finishes what the one before it was killed in the middle of. Returns how many places. */
unsigned ledger_mend(struct ledger *);

#endif
