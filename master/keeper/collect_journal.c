/* The journal: absolute numbers of meters that have changed and are not booked yet, a few
 * bytes each, written anew every second in a few rows. A hundred times cheaper than to
 * book them; should machine and region be lost, the next keeper books from it. A piece:
 * time (64 bits), then entry, life, which classes, and of each three numbers. Applied
 * twice it does no harm: it says where a meter stood, not what was added. */
#include <stdlib.h>
#include <string.h>

#include "master/keeper/collect.h"
#include "shm/store_pack.h"

enum { ITEM_MOST = 2 * 5 + 1 + METER_CLASSES * 3 * 10 };

/* ---- writing */

static int
put_piece(struct meters_book *b, struct store *store, const struct pack *p)
{
	char key[24];
	size_t len = booked_key(b->collect->instance, 'j', b->pieces_now++, 0, key);
	struct str piece = pack_done(p);

	return store_booked_put(store, (struct str){ key, len }, piece.at, piece.len);
}

static void
put_item(struct pack *p, uint32_t entry, uint32_t life, const struct usage_sum *s)
{
	uint8_t classes = 0;

	for (int i = 0; i < METER_CLASSES; i++)
		classes |= s->of[i].requests ? 1u << i : 0;
	pack_varint(p, entry);
	pack_varint(p, life);
	pack_byte(p, classes);
	for (int i = 0; i < METER_CLASSES; i++) {
		if (!(classes >> i & 1))
			continue;
		pack_varint(p, s->of[i].requests);
		pack_varint(p, s->of[i].in);
		pack_varint(p, s->of[i].out);
	}
}

static int
drop_pieces(struct meters_book *b, struct store *store)
{
	for (uint32_t i = b->pieces_now; i < b->pieces; i++) {
		char key[24];
		size_t len = booked_key(b->collect->instance, 'j', i, 0, key);

		if (store_booked_drop(store, (struct str){ key, len }) < 0)
			return -1;
	}
	return 0;
}

int
journal_write(struct meters_book *b, struct store *store)
{
	char buf[BOOKED_MOST];
	struct pack p = pack_into(buf, sizeof(buf));

	b->pieces_now = 0;
	for (uint32_t i = 0; i < b->nchanges; i++) {
		const struct meter_change *c = &b->changes[i];

		if (c->booked)
			continue;
		if (p.at == p.begin)
			pack_be64(&p, (uint64_t)b->collect->at);
		put_item(&p, c->entry, meters_known(b, c->entry)->life, &c->now);
		if (p.end - p.at >= ITEM_MOST)
			continue;
		if (put_piece(b, store, &p) < 0)
			return -1;
		p = pack_into(buf, sizeof(buf));
	}
	if (p.at > p.begin && put_piece(b, store, &p) < 0)
		return -1;
	return drop_pieces(b, store) < 0 ? -1 : b->pieces_now || b->pieces;
}

/* ---- booking what it says */

struct piece {
	struct piece *next;
	uint64_t instance;
	size_t len;
	char bytes[];
};

struct pieces {
	struct piece *first, **last;
	uint64_t instance;
};

static bool
take(void *arg, struct str key, struct str value)
{
	struct pieces *all = arg;
	struct piece *p = malloc(sizeof(*p) + value.len);

	(void)key;
	if (!p)
		abort();
	*p = (struct piece){ .instance = all->instance, .len = value.len };
	memcpy(p->bytes, value.at, value.len);
	*all->last = p;
	all->last = &p->next;
	return true;
}

static bool
take_item(struct unpack *u, uint32_t *entry, uint32_t *life, struct usage_sum *s)
{
	uint8_t classes;

	memset(s, 0, sizeof(*s));
	*entry = (uint32_t)unpack_varint(u);
	*life = (uint32_t)unpack_varint(u);
	classes = unpack_byte(u);
	for (int i = 0; i < METER_CLASSES; i++) {
		if (!(classes >> i & 1))
			continue;
		s->of[i].requests = unpack_varint(u);
		s->of[i].in = unpack_varint(u);
		s->of[i].out = unpack_varint(u);
	}
	return !u->bad;
}

static int
book_item(struct store *store, const struct piece *p, int64_t at, uint32_t entry,
	  uint32_t life, const struct usage_sum *now)
{
	struct str consumer, service, key;
	struct meter_row row;
	struct usage_sum d;
	char bytes[24];
	int got;

	key = (struct str){ bytes, booked_key(p->instance, 'm', entry, life, bytes) };
	got = store_booked_get(store, key, &row, sizeof(row));
	if (got <= 0 || row.name_len > sizeof(row.name) ||
	    !meters_difference(&d, now, &row.sum))
		return got < 0 ? -1 : 0;
	meter_split((struct str){ row.name, row.name_len }, &consumer, &service);
	if (store_usage_add(store, at, consumer, service, &d) < 0)
		return -1;
	row.sum = *now;
	return store_booked_put(store, key, &row, sizeof(row));
}

static int
book_piece(struct store *store, const struct piece *p)
{
	struct unpack u = unpack_from(p->bytes, p->len);
	int64_t at = (int64_t)unpack_be64(&u);
	uint32_t entry, life;
	struct usage_sum now;

	while (unpack_left(&u) && take_item(&u, &entry, &life, &now))
		if (book_item(store, p, at, entry, life, &now) < 0)
			return -1;
	return 0;
}

static int
find_pieces(struct store *store, struct pieces *all)
{
	struct instance known[INSTANCES];
	char key[24];

	if (instances_get(store, known) < 0)
		return -1;
	for (int i = 0; i < INSTANCES; i++) {
		all->instance = known[i].id;
		booked_key(known[i].id, 'j', 0, 0, key);
		if (known[i].id &&
		    store_booked_each(store, (struct str){ key, 9 }, take, all) < 0)
			return -1;
	}
	return 0;
}

int
journal_recover(struct meters_book *b, struct store *store)
{
	struct pieces all = { .last = &all.first };
	uint64_t dropped = 0;
	int rc, any;

	if (b->recovered)
		return 0;
	rc = find_pieces(store, &all);
	any = all.first != NULL;
	while (all.first) {
		struct piece *p = all.first;
		char key[24];

		all.first = p->next;
		if (rc == 0)
			rc = book_piece(store, p);
		if (rc == 0 && p->instance != dropped) {
			booked_key(p->instance, 'j', 0, 0, key);
			rc = store_booked_drop(store, (struct str){ key, 9 });
			dropped = p->instance;
		}
		free(p);
	}
	return rc < 0 ? -1 : any;
}
