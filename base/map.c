#include "base/map.h"

#include <stdlib.h>

enum { MAP_SMALLEST = 8 };

static struct map_slot *
find(const struct map *m, uint64_t hash, struct str key)
{
	for (uint32_t i = (uint32_t)hash & m->mask;; i = (i + 1) & m->mask) {
		struct map_slot *s = &m->slots[i];

		if (!s->value || (s->hash == hash && str_eq(s->key, key)))
			return s;
	}
}

static void
grow(struct map *m, struct arena *a)
{
	struct map old = *m;
	uint32_t room = old.slots ? (old.mask + 1) * 2 : MAP_SMALLEST;

	if (!room)
		abort();
	m->slots = ARENA_NEWS(a, struct map_slot, room);
	m->mask = room - 1;
	for (uint32_t i = 0; old.slots && i <= old.mask; i++)
		if (old.slots[i].value)
			*find(m, old.slots[i].hash, old.slots[i].key) = old.slots[i];
}

void *
map_put(struct map *m, struct arena *a, struct str key, void *value)
{
	if (!value)
		abort();
	if (!m->slots || m->count >= (m->mask + 1) / 4 * 3)
		grow(m, a);

	uint64_t hash = str_hash(key);
	struct map_slot *s = find(m, hash, key);
	void *before = s->value;

	if (!before)
		m->count++;
	*s = (struct map_slot){ .hash = hash, .key = key, .value = value };
	return before;
}

void *
map_get(const struct map *m, struct str key)
{
	if (!m->slots)
		return NULL;
	return find(m, str_hash(key), key)->value;
}
