#include "shm/store_records.h"

#include <stddef.h>

#include "shm/store_inside.h"

/* A row: sizeof(struct record) of who wrote it; the record; then index and name of each
 * series that it mentions. */
enum {
	NAMES = 4 + 2 * RECORD_ATTEMPTS + RECORD_MISSES + 2 * RECORD_NOTES,
	NAME = 4 + 2 + sizeof(((struct series_name *)0)->name),
	ROW = 8 + RECORD_SIZE_MAX + NAMES * NAME,
	ID = 16,
	TEXT = 64,
	TEXT_KEY = 1 + TEXT + 8 + ID
};

struct names {
	uint32_t index[NAMES];
	int n;
};

static void
mention(struct names *m, uint32_t series)
{
	for (int i = 0; i < m->n; i++)
		if (m->index[i] == series)
			return;
	if (series && m->n < NAMES)
		m->index[m->n++] = series;
}

static void
mentioned(struct names *m, const struct record *r)
{
	const struct record_note *note = record_notes(r);

	mention(m, r->listener);
	mention(m, r->service);
	mention(m, r->route);
	mention(m, r->file);
	for (int i = 0; i < r->attempts && i < RECORD_ATTEMPTS; i++)
		mention(m, r->attempt[i].target);
	for (int i = 0; i < r->misses && i < RECORD_MISSES; i++)
		mention(m, r->miss[i].route);
	for (int i = 0; i < r->notes && i < RECORD_NOTES; i++) {
		mention(m, note[i].policy);
		mention(m, note[i].file);
	}
}

static struct str
name_in(const struct stats *stats, uint32_t series)
{
	const struct series_name *n;

	if (!stats || series >= series_count(stats))
		return STR_NONE;
	n = &stats->names[series];
	return (struct str){ n->name,
			     n->len < sizeof(n->name) ? n->len : sizeof(n->name) };
}

static struct str
id_key(void *buf, const uint64_t id[2])
{
	struct pack p = pack_into(buf, ID);

	pack_be64(&p, id[0]);
	pack_be64(&p, id[1]);
	return pack_done(&p);
}

static struct str
time_key(void *buf, const struct record *r)
{
	struct pack p = pack_into(buf, 8 + ID);

	pack_be64(&p, (uint64_t)(r->at < 0 ? 0 : r->at));
	pack_be64(&p, r->id[0]);
	pack_be64(&p, r->id[1]);
	return pack_done(&p);
}

/* With its length first, no text is the beginning of another. */
static struct str
text_prefix(void *buf, struct str text)
{
	struct pack p = pack_into(buf, TEXT_KEY);

	text = str_first(text, TEXT);
	pack_byte(&p, (uint8_t)text.len);
	pack_bytes(&p, text.at, text.len);
	return pack_done(&p);
}

static struct str
text_key(void *buf, const struct record *r, struct str text)
{
	struct str prefix = text_prefix(buf, text);
	struct pack p = pack_into(buf, TEXT_KEY);
	char time[8 + ID];

	p.at += prefix.len;
	pack_bytes(&p, time_key(time, r).at, sizeof(time));
	return pack_done(&p);
}

/* Whether what is stored may be handed out as a record: sizes and lengths agree. */
static bool
whole(const struct record *r, size_t size)
{
	size_t need = sizeof(*r);

	if (size < need || size > RECORD_SIZE_MAX || r->size != size ||
	    r->notes > RECORD_NOTES || r->attempts > RECORD_ATTEMPTS ||
	    r->misses > RECORD_MISSES)
		return false;
	need += r->notes * sizeof(struct record_note) + r->method_len + r->host_len +
		r->path_len + r->client_len + r->id_len + r->key_len + r->consumer_len +
		r->plan_len;
	return need <= size;
}

/* A copy, aligned; what follows it are the names. MDB_NOTFOUND: of another layout. */
static int
unpack_record(MDB_val value, struct record *r, struct unpack *names)
{
	struct unpack u = store_unpack(value);
	uint64_t head = unpack_varint(&u);
	struct str bytes = unpack_text(&u);

	if (u.bad)
		return MDB_CORRUPTED;
	if (head != sizeof(*r))
		return MDB_NOTFOUND;
	if (bytes.len > RECORD_SIZE_MAX)
		return MDB_CORRUPTED;
	memcpy(r, bytes.at, bytes.len);
	if (!whole(r, bytes.len))
		return MDB_CORRUPTED;
	*names = u;
	return 0;
}

union buffer {
	struct record record;
	char bytes[RECORD_SIZE_MAX];
};

/* ---- adding */

/* Out of all three tables; the row itself may be of another layout, and then its text
 * stays behind. */
static int
drop(struct store *s, MDB_txn *txn, struct str id)
{
	union buffer old;
	struct unpack names;
	char buf[TEXT_KEY];
	MDB_val value;
	int rc = store_get(s, txn, TABLE_RECORDS, id, &value);

	if (rc)
		return rc == MDB_NOTFOUND ? 0 : rc;
	rc = unpack_record(value, &old.record, &names);
	if (!rc) {
		struct str text = record_texts(&old.record).id;

		rc = store_del(s, txn, TABLE_RECORD_TIMES, time_key(buf, &old.record));
		if (!rc && text.len)
			rc = store_del(s, txn, TABLE_RECORD_TEXTS,
				       text_key(buf, &old.record, text));
	} else if (rc == MDB_NOTFOUND) {
		rc = 0;
	}
	return rc ? rc : store_del(s, txn, TABLE_RECORDS, id);
}

struct add {
	const struct record *record;
	const struct stats *names;
};

static int
add(struct store *s, MDB_txn *txn, void *arg)
{
	const struct add *a = arg;
	const struct record *r = a->record;
	struct str text = record_texts(r).id;
	struct names names = { .n = 0 };
	char row[ROW], buf[TEXT_KEY], id[ID];
	struct pack p = pack_into(row, sizeof(row));
	int rc;

	pack_varint(&p, sizeof(*r));
	pack_text(&p, (struct str){ (const char *)r, r->size });
	mentioned(&names, r);
	for (int i = 0; i < names.n; i++) {
		pack_varint(&p, names.index[i]);
		pack_text(&p, name_in(a->names, names.index[i]));
	}
	rc = drop(s, txn, id_key(id, r->id));
	if (!rc)
		rc = store_put(s, txn, TABLE_RECORDS, id_key(id, r->id), pack_done(&p));
	if (!rc)
		rc = store_put(s, txn, TABLE_RECORD_TIMES, time_key(buf, r), STR_NONE);
	if (!rc && text.len)
		rc = store_put(s, txn, TABLE_RECORD_TEXTS, text_key(buf, r, text),
			       STR_NONE);
	return rc;
}

int
store_record_add(struct store *s, const struct record *r, const struct stats *names)
{
	struct add a = { r, names };

	/* What a dying worker has written half is nothing to keep, nor to fail for. */
	if (!whole(r, r->size))
		return 0;
	return store_write(s, add, &a);
}

/* ---- finding */

struct found {
	struct stored_record stored;
	struct unpack names;
};

static struct str
name_of(const struct stored_record *r, uint32_t series)
{
	struct unpack u = ((const struct found *)r->names)->names;

	while (unpack_left(&u) && !u.bad) {
		uint64_t index = unpack_varint(&u);
		struct str name = unpack_text(&u);

		if (index == series && !u.bad)
			return name;
	}
	return STR_NONE;
}

struct find {
	const uint64_t *id;
	struct str text;
	void (*fn)(void *, const struct stored_record *);
	void *arg;
};

/* The id of the newest record with this text. */
static int
find_text(struct store *s, MDB_txn *txn, struct str text, char id[ID])
{
	char buf[TEXT_KEY];
	struct str prefix = text_prefix(buf, text), last = STR_NONE;
	MDB_val key, value;
	MDB_cursor *c;
	int rc;

	if (!text.len || text.len > TEXT)
		return MDB_NOTFOUND;
	rc = store_cursor(s, txn, TABLE_RECORD_TEXTS, &c);
	if (rc)
		return rc;
	for (rc = store_seek(c, prefix, prefix, &key, &value); !rc;
	     rc = store_next(c, prefix, &key, &value))
		last = (struct str){ key.mv_data, key.mv_size };
	mdb_cursor_close(c);
	if (rc != MDB_NOTFOUND || !last.at)
		return rc;
	if (last.len != prefix.len + 8 + ID)
		return MDB_CORRUPTED;
	memcpy(id, last.at + prefix.len + 8, ID);
	return 0;
}

static int
find(struct store *s, MDB_txn *txn, void *arg)
{
	const struct find *f = arg;
	union buffer record;
	struct found found = { .stored = { &record.record, name_of, &found } };
	char id[ID];
	MDB_val value;
	int rc = store_get(s, txn, TABLE_RECORDS, id_key(id, f->id), &value);

	if (rc == MDB_NOTFOUND) {
		rc = find_text(s, txn, f->text, id);
		if (!rc)
			rc = store_get(s, txn, TABLE_RECORDS, (struct str){ id, ID },
				       &value);
	}
	if (!rc)
		rc = unpack_record(value, &record.record, &found.names);
	if (!rc)
		f->fn(f->arg, &found.stored);
	return rc;
}

int
store_record_find(struct store *s, const uint64_t id[2], struct str text,
		  void (*fn)(void *, const struct stored_record *), void *arg)
{
	struct find f = { id, text, fn, arg };

	return store_read(s, find, &f);
}

/* ---- expiry */

struct expire {
	int64_t before;
	uint64_t most_kept;
	int most;
	int dropped;
};

/* How many there are, and whether the oldest is to go. */
static int
due(struct store *s, MDB_txn *txn, const struct expire *e, MDB_cursor *c, MDB_val *key)
{
	MDB_val value;
	MDB_stat st;
	struct unpack u;
	int rc = mdb_cursor_get(c, key, &value, MDB_FIRST);

	if (!rc)
		rc = mdb_stat(txn, s->table[TABLE_RECORD_TIMES], &st);
	if (rc)
		return rc;
	u = store_unpack(*key);
	if ((int64_t)unpack_be64(&u) >= e->before && st.ms_entries <= e->most_kept)
		return MDB_NOTFOUND;
	return key->mv_size == 8 + ID ? 0 : MDB_CORRUPTED;
}

static int
anything(struct store *s, MDB_txn *txn, void *arg)
{
	MDB_cursor *c;
	MDB_val key;
	int rc = store_cursor(s, txn, TABLE_RECORD_TIMES, &c);

	if (rc)
		return rc;
	rc = due(s, txn, arg, c, &key);
	mdb_cursor_close(c);
	return rc;
}

static int
expire(struct store *s, MDB_txn *txn, void *arg)
{
	struct expire *e = arg;
	MDB_cursor *c;
	MDB_val key;
	int rc = store_cursor(s, txn, TABLE_RECORD_TIMES, &c);

	if (rc)
		return rc;
	for (e->dropped = 0; e->dropped < e->most; e->dropped++) {
		char time[8 + ID];

		rc = due(s, txn, e, c, &key);
		if (rc)
			break;
		memcpy(time, key.mv_data, sizeof(time));
		rc = drop(s, txn, (struct str){ time + 8, ID });
		/* One that its record does not know of. */
		if (!rc)
			rc = store_del(s, txn, TABLE_RECORD_TIMES,
				       (struct str){ time, sizeof(time) });
		if (rc)
			break;
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int
store_records_expire(struct store *s, int64_t before, uint64_t most_kept, int most)
{
	struct expire e = { before, most_kept, most, 0 };
	int found = store_read(s, anything, &e);

	if (found <= 0)
		return found;
	return store_write(s, expire, &e) < 0 ? -1 : e.dropped;
}
