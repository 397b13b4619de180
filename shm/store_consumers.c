#include "shm/store_consumers.h"

#include "shm/store_inside.h"

/* Texts are stored as long as they are, and a key's id not at all: a million consumers
 * with a key each are some 200 MB, and a lookup touches less. */
enum { ROW = 640, INDEX = CONSUMER_NAME + 8 + sizeof(struct digest) };

static struct str
name_of(const char *chars)
{
	return (struct str){ chars, strnlen(chars, CONSUMER_NAME - 1) };
}

static struct str
digest_str(const struct digest *d)
{
	return (struct str){ (const char *)d->byte, sizeof(d->byte) };
}

/* ---- rows */

static struct str
pack_consumer(void *buf, const struct consumer_row *r)
{
	struct pack p = pack_into(buf, ROW);

	pack_varint(&p, r->state);
	pack_varint(&p, r->of_file);
	pack_varint(&p, (uint64_t)r->created);
	pack_varint(&p, (uint64_t)r->changed);
	pack_chars(&p, r->plan, sizeof(r->plan) - 1);
	pack_chars(&p, r->note, sizeof(r->note) - 1);
	return pack_done(&p);
}

static int
unpack_consumer(struct consumer_row *r, MDB_val name, MDB_val row)
{
	struct unpack u = store_unpack(row);
	char copy[CONSUMER_NAME] = "";

	if (name.mv_size >= sizeof(copy))
		return MDB_CORRUPTED;
	/* It may have been looked for by the name in this very struct. */
	memcpy(copy, name.mv_data, name.mv_size);
	memset(r, 0, sizeof(*r));
	memcpy(r->name, copy, sizeof(copy));
	r->state = (uint32_t)unpack_varint(&u);
	r->of_file = (uint32_t)unpack_varint(&u);
	r->created = (int64_t)unpack_varint(&u);
	r->changed = (int64_t)unpack_varint(&u);
	unpack_chars(&u, r->plan, sizeof(r->plan));
	unpack_chars(&u, r->note, sizeof(r->note));
	return u.bad ? MDB_CORRUPTED : 0;
}

static struct str
pack_key(void *buf, const struct key_row *r)
{
	struct pack p = pack_into(buf, ROW);

	pack_varint(&p, r->state);
	pack_varint(&p, (uint64_t)r->created);
	pack_varint(&p, (uint64_t)r->expires);
	pack_chars(&p, r->consumer, sizeof(r->consumer) - 1);
	pack_chars(&p, r->plan, sizeof(r->plan) - 1);
	pack_chars(&p, r->note, sizeof(r->note) - 1);
	return pack_done(&p);
}

static int
unpack_key(struct key_row *r, MDB_val digest, MDB_val row)
{
	struct unpack u = store_unpack(row);
	char hex[2 * sizeof(struct digest)];
	struct digest copy;

	if (digest.mv_size != sizeof(copy) || !digest.mv_data)
		return MDB_CORRUPTED;
	memcpy(&copy, digest.mv_data, sizeof(copy));
	memset(r, 0, sizeof(*r));
	r->digest = copy;
	digest_put(hex, &r->digest);
	memcpy(r->id, hex, 12);
	r->state = (uint32_t)unpack_varint(&u);
	r->created = (int64_t)unpack_varint(&u);
	r->expires = (int64_t)unpack_varint(&u);
	unpack_chars(&u, r->consumer, sizeof(r->consumer));
	unpack_chars(&u, r->plan, sizeof(r->plan));
	unpack_chars(&u, r->note, sizeof(r->note));
	return u.bad ? MDB_CORRUPTED : 0;
}

/* ---- finding */

struct find {
	struct str key;
	void *row;
};

static int
find_key(struct store *s, MDB_txn *txn, void *arg)
{
	struct find *f = arg;
	MDB_val value;
	int rc = store_get(s, txn, TABLE_KEYS, f->key, &value);

	return rc ? rc : unpack_key(f->row, store_val(f->key), value);
}

static int
find_consumer(struct store *s, MDB_txn *txn, void *arg)
{
	struct find *f = arg;
	MDB_val value;
	int rc = store_get(s, txn, TABLE_CONSUMERS, f->key, &value);

	return rc ? rc : unpack_consumer(f->row, store_val(f->key), value);
}

int
store_key_find(struct store *s, const struct digest *d, struct key_row *row)
{
	struct find f = { digest_str(d), row };

	return store_read(s, find_key, &f);
}

/* A name that no row can have is not there. */
static int
find_named(struct store *s, int (*step)(struct store *, MDB_txn *, void *),
	   const char *name, void *row)
{
	struct find f = { str_of(name), row };

	return f.key.len && f.key.len < CONSUMER_NAME ? store_read(s, step, &f) : 0;
}

int
store_consumer_find(struct store *s, const char *name, struct consumer_row *row)
{
	return find_named(s, find_consumer, name, row);
}

/* ---- keys */

static struct str
index_prefix(void *buf, struct str consumer)
{
	struct pack p = pack_into(buf, INDEX);

	pack_bytes(&p, consumer.at, consumer.len);
	pack_byte(&p, 0);
	return pack_done(&p);
}

static struct str
index_key(void *buf, const struct key_row *r)
{
	struct str prefix = index_prefix(buf, name_of(r->consumer));
	struct pack p = pack_into(buf, INDEX);

	p.at += prefix.len;
	pack_be64(&p, (uint64_t)r->created);
	pack_bytes(&p, r->digest.byte, sizeof(r->digest));
	return pack_done(&p);
}

/* Calls fn for each key of a consumer, by creation; fn may write the row, not the index.
 */
static int
each_key(struct store *s, MDB_txn *txn, struct str consumer,
	 int (*fn)(struct store *, MDB_txn *, void *, struct key_row *), void *arg)
{
	char buf[INDEX];
	struct str prefix = index_prefix(buf, consumer);
	MDB_cursor *c;
	MDB_val key, value;
	struct key_row row;
	int rc = store_cursor(s, txn, TABLE_CONSUMER_KEYS, &c);

	if (rc)
		return rc;
	for (rc = store_seek(c, prefix, prefix, &key, &value); !rc;
	     rc = store_next(c, prefix, &key, &value)) {
		struct find f = { { key.mv_data, key.mv_size }, &row };

		if (key.mv_size != prefix.len + 8 + sizeof(struct digest)) {
			rc = MDB_CORRUPTED;
			break;
		}
		f.key = str_from(f.key, prefix.len + 8);
		rc = find_key(s, txn, &f);
		if (!rc)
			rc = fn(s, txn, arg, &row);
		else if (rc == MDB_NOTFOUND)
			rc = MDB_CORRUPTED;
		if (rc)
			break;
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int
count_key(struct store *s, MDB_txn *txn, void *arg, struct key_row *row)
{
	(void)s;
	(void)txn;
	(void)row;
	++*(int *)arg;
	return 0;
}

/* A new place in the index, and none where the row was before. */
static int
place_key(struct store *s, MDB_txn *txn, const struct key_row *r)
{
	struct key_row old;
	struct find f = { digest_str(&r->digest), &old };
	char now[INDEX], before[INDEX];
	struct str place = index_key(now, r);
	int keys = 0, rc = find_key(s, txn, &f);

	if (!rc) {
		struct str was = index_key(before, &old);

		if (str_eq(was, place))
			return 0;
		rc = store_del(s, txn, TABLE_CONSUMER_KEYS, was);
	} else if (rc == MDB_NOTFOUND) {
		rc = 0;
	}
	if (!rc)
		rc = each_key(s, txn, name_of(r->consumer), count_key, &keys);
	if (!rc && keys >= CONSUMER_KEYS)
		return store_refuse(s, "%.63s has %d keys already", r->consumer, keys);
	return rc ? rc : store_put(s, txn, TABLE_CONSUMER_KEYS, place, STR_NONE);
}

static int
put_key(struct store *s, MDB_txn *txn, void *arg)
{
	struct key_row r = *(const struct key_row *)arg;
	struct consumer_row consumer;
	struct find f = { name_of(r.consumer), &consumer };
	char buf[ROW];
	int rc;

	if (!*r.consumer)
		return store_refuse(s, "a key needs a consumer");
	rc = find_consumer(s, txn, &f);
	if (!rc) {
		r.state = (r.state & ~(uint32_t)CONSUMER_SUSPENDED) |
			  (consumer.state & CONSUMER_SUSPENDED);
		if (!consumer.of_file)
			memcpy(r.plan, consumer.plan, sizeof(r.plan));
	} else if (rc != MDB_NOTFOUND) {
		return rc;
	}
	rc = place_key(s, txn, &r);
	return rc ? rc
		  : store_put(s, txn, TABLE_KEYS, digest_str(&r.digest),
			      pack_key(buf, &r));
}

int
store_key_put(struct store *s, const struct key_row *row)
{
	return store_write(s, put_key, (void *)(uintptr_t)row);
}

static int
drop_key(struct store *s, MDB_txn *txn, void *arg)
{
	struct key_row row;
	struct find *f = arg;
	struct find of = { f->key, &row };
	char buf[INDEX];
	int rc = find_key(s, txn, &of);

	*(int *)f->row = !rc;
	if (rc)
		return rc == MDB_NOTFOUND ? 0 : rc;
	rc = store_del(s, txn, TABLE_CONSUMER_KEYS, index_key(buf, &row));
	return rc ? rc : store_del(s, txn, TABLE_KEYS, f->key);
}

int
store_key_drop(struct store *s, const struct digest *d)
{
	int found;
	struct find f = { digest_str(d), &found };

	return store_write(s, drop_key, &f) < 0 ? -1 : found;
}

/* ---- consumers */

static int
update_key(struct store *s, MDB_txn *txn, void *arg, struct key_row *key)
{
	const struct consumer_row *r = arg;
	char buf[ROW];

	key->state = (key->state & ~(uint32_t)CONSUMER_SUSPENDED) |
		     (r->state & CONSUMER_SUSPENDED);
	if (!r->of_file)
		memcpy(key->plan, r->plan, sizeof(key->plan));
	return store_put(s, txn, TABLE_KEYS, digest_str(&key->digest),
			 pack_key(buf, key));
}

static int
put_consumer(struct store *s, MDB_txn *txn, void *arg)
{
	struct consumer_row *r = arg;
	char buf[ROW];
	int rc = store_put(s, txn, TABLE_CONSUMERS, name_of(r->name),
			   pack_consumer(buf, r));

	return rc ? rc : each_key(s, txn, name_of(r->name), update_key, r);
}

int
store_consumer_put(struct store *s, const struct consumer_row *row)
{
	return store_write(s, put_consumer, (void *)(uintptr_t)row);
}

static int
drop_consumer(struct store *s, MDB_txn *txn, void *arg)
{
	struct find *f = arg;
	char buf[INDEX];
	struct str prefix = index_prefix(buf, f->key);
	MDB_val key, value;
	MDB_cursor *c;
	int rc = store_get(s, txn, TABLE_CONSUMERS, f->key, &value);

	*(int *)f->row = !rc;
	if (rc && rc != MDB_NOTFOUND)
		return rc;
	rc = store_del(s, txn, TABLE_CONSUMERS, f->key);
	if (!rc)
		rc = store_cursor(s, txn, TABLE_CONSUMER_KEYS, &c);
	if (rc)
		return rc;
	while (!(rc = store_seek(c, prefix, prefix, &key, &value))) {
		struct digest d;

		if (key.mv_size != prefix.len + 8 + sizeof(d)) {
			rc = MDB_CORRUPTED;
			break;
		}
		memcpy(&d, (char *)key.mv_data + prefix.len + 8, sizeof(d));
		rc = store_del(s, txn, TABLE_KEYS, digest_str(&d));
		if (!rc)
			rc = mdb_cursor_del(c, 0);
		if (rc)
			break;
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int
store_consumer_drop(struct store *s, const char *name)
{
	int found;
	struct find f = { str_of(name), &found };

	if (!f.key.len || f.key.len >= CONSUMER_NAME)
		return 0;
	return store_write(s, drop_consumer, &f) < 0 ? -1 : found;
}

/* ---- walking */

struct walk {
	struct str from;
	bool (*consumer)(void *, const struct consumer_row *);
	bool (*key)(void *, const struct key_row *);
	void *arg;
};

static int
walk_consumers(struct store *s, MDB_txn *txn, void *arg)
{
	const struct walk *w = arg;
	struct consumer_row row;
	MDB_val key, value;
	MDB_cursor *c;
	int rc = store_cursor(s, txn, TABLE_CONSUMERS, &c);

	if (rc)
		return rc;
	rc = store_seek(c, w->from, STR_NONE, &key, &value);
	if (!rc && w->from.len &&
	    str_eq(w->from, (struct str){ key.mv_data, key.mv_size }))
		rc = store_next(c, STR_NONE, &key, &value);
	for (; !rc; rc = store_next(c, STR_NONE, &key, &value)) {
		rc = unpack_consumer(&row, key, value);
		if (rc || !w->consumer(w->arg, &row))
			break;
	}
	mdb_cursor_close(c);
	return rc;
}

int
store_consumers(struct store *s, const char *after,
		bool (*fn)(void *, const struct consumer_row *), void *arg)
{
	struct walk w = { .from = str_first(str_of(after), 500),
			  .consumer = fn,
			  .arg = arg };

	return store_read(s, walk_consumers, &w) < 0 ? -1 : 0;
}

static int
tell_key(struct store *s, MDB_txn *txn, void *arg, struct key_row *row)
{
	const struct walk *w = arg;

	(void)s;
	(void)txn;
	return w->key(w->arg, row) ? 0 : MDB_NOTFOUND;
}

static int
walk_keys(struct store *s, MDB_txn *txn, void *arg)
{
	const struct walk *w = arg;

	return each_key(s, txn, w->from, tell_key, arg);
}

int
store_keys(struct store *s, const char *consumer,
	   bool (*fn)(void *, const struct key_row *), void *arg)
{
	struct walk w = { .from = str_of(consumer), .key = fn, .arg = arg };

	if (!w.from.len || w.from.len >= CONSUMER_NAME)
		return 0;
	return store_read(s, walk_keys, &w) < 0 ? -1 : 0;
}

struct counts {
	uint64_t *consumers, *keys;
};

static int
count(struct store *s, MDB_txn *txn, void *arg)
{
	struct counts *c = arg;
	MDB_stat st;
	int rc;

	*c->consumers = *c->keys = 0;
	if (!s->table[TABLE_CONSUMERS] || !s->table[TABLE_KEYS])
		return 0;
	rc = mdb_stat(txn, s->table[TABLE_CONSUMERS], &st);
	if (!rc) {
		*c->consumers = st.ms_entries;
		rc = mdb_stat(txn, s->table[TABLE_KEYS], &st);
	}
	if (!rc)
		*c->keys = st.ms_entries;
	return rc;
}

int
store_counts(struct store *s, uint64_t *consumers, uint64_t *keys)
{
	struct counts c = { consumers, keys };

	return store_read(s, count, &c) < 0 ? -1 : 0;
}
