/* map — from a slice to a pointer: open addressing, built once, in an arena.
 *
 * For names of a configuration. It may lie in an image. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

struct map_slot {
	uint64_t hash;
	struct str key;                 /* by reference */
	void *value;                    /* NULL: the slot is free */
};

struct map {
	struct map_slot *slots;
	uint32_t mask, count;           /* mask + 1 slots; a zeroed map is an empty one */
};

/* Adds, or replaces: returns the value that was there before, or NULL. */
void *map_put(struct map *, struct arena *, struct str key, void *value);
void *map_get(const struct map *, struct str key);

#endif
