#include "shm/store_usage.h"

#include "shm/store_inside.h"

enum { KEY = 256, SUM_ROW = 16 * 10 };

static const int64_t seconds[] = {
	[USAGE_MINUTE] = 60, [USAGE_HOUR] = 3600, [USAGE_DAY] = 86400
};

int64_t
usage_begin(enum usage_level level, int64_t t)
{
	int64_t into = t % seconds[level];

	return t - (into < 0 ? into + seconds[level] : into);
}

/* ---- usage */

static struct str
usage_key(void *buf, enum usage_level level, int64_t begin, struct str consumer,
	  struct str service)
{
	struct pack p = pack_into(buf, KEY);

	pack_byte(&p, (uint8_t)level);
	pack_be64(&p, (uint64_t)begin);
	pack_bytes(&p, consumer.at, consumer.len);
	pack_byte(&p, 0);
	pack_bytes(&p, service.at, service.len);
	return pack_done(&p);
}

static struct str
pack_sum(void *buf, const struct usage_sum *sum)
{
	struct pack p = pack_into(buf, SUM_ROW);

	for (int i = 0; i < METER_CLASSES; i++) {
		pack_varint(&p, sum->of[i].requests);
		pack_varint(&p, sum->of[i].in);
		pack_varint(&p, sum->of[i].out);
	}
	return pack_done(&p);
}

static int
unpack_sum(struct usage_sum *sum, MDB_val value)
{
	struct unpack u = store_unpack(value);

	for (int i = 0; i < METER_CLASSES; i++) {
		sum->of[i].requests = unpack_varint(&u);
		sum->of[i].in = unpack_varint(&u);
		sum->of[i].out = unpack_varint(&u);
	}
	return u.bad ? MDB_CORRUPTED : 0;
}

static bool
names_fit(struct str consumer, struct str service)
{
	return consumer.len + service.len <= KEY - 10;
}

struct usage_add {
	int64_t at;
	struct str consumer, service;
	const struct usage_sum *sum;
};

static int
add_usage(struct store *s, MDB_txn *txn, void *arg)
{
	const struct usage_add *a = arg;

	if (a->at < 0 || !names_fit(a->consumer, a->service))
		return store_refuse(s, "usage of no time, or of a name too long");
	for (int level = USAGE_MINUTE; level <= USAGE_DAY; level++) {
		char key_buf[KEY], row[SUM_ROW];
		struct str key = usage_key(key_buf, level, usage_begin(level, a->at),
					   a->consumer, a->service);
		struct usage_sum sum = { 0 };
		MDB_val value;
		int rc = store_get(s, txn, TABLE_USAGE, key, &value);

		if (!rc)
			rc = unpack_sum(&sum, value);
		if (rc && rc != MDB_NOTFOUND)
			return rc;
		for (int i = 0; i < METER_CLASSES; i++) {
			sum.of[i].requests += a->sum->of[i].requests;
			sum.of[i].in += a->sum->of[i].in;
			sum.of[i].out += a->sum->of[i].out;
		}
		rc = store_put(s, txn, TABLE_USAGE, key, pack_sum(row, &sum));
		if (rc)
			return rc;
	}
	return 0;
}

int
store_usage_add(struct store *s, int64_t at, struct str consumer, struct str service,
		const struct usage_sum *sum)
{
	struct usage_add a = { at, consumer, service, sum };

	return store_write(s, add_usage, &a);
}

struct usage_walk {
	enum usage_level level;
	int64_t from, to;
	struct str consumer, service;
	bool (*fn)(void *, const struct usage_row *);
	void *arg;
};

static int
walk_usage(struct store *s, MDB_txn *txn, void *arg)
{
	const struct usage_walk *w = arg;
	char buf[KEY];
	uint8_t level = (uint8_t)w->level;
	struct str prefix = { (const char *)&level, 1 };
	struct usage_row row;
	MDB_val key, value;
	MDB_cursor *c;
	int rc = store_cursor(s, txn, TABLE_USAGE, &c);

	if (rc)
		return rc;
	rc = store_seek(c, usage_key(buf, w->level, w->from, w->consumer, w->service),
			prefix, &key, &value);
	while (!rc) {
		struct unpack u = store_unpack(key);

		unpack_byte(&u);
		row.begin = (int64_t)unpack_be64(&u);
		row.consumer = unpack_until_nul(&u);
		row.service = (struct str){ (const char *)u.at, unpack_left(&u) };
		if (u.bad)
			rc = MDB_CORRUPTED;
		if (rc || row.begin >= w->to)
			break;
		/* Of one consumer: not all the others of the window, but on to its row.
		 */
		int order = w->consumer.len ? store_order(row.consumer, w->consumer) : 0;

		if (order) {
			int64_t begin = row.begin + (order > 0);

			rc = store_seek(
				c, usage_key(buf, w->level, begin, w->consumer, STR_NONE),
				prefix, &key, &value);
			continue;
		}
		if (!w->service.len || str_eq(row.service, w->service)) {
			rc = unpack_sum(&row.sum, value);
			if (rc || !w->fn(w->arg, &row))
				break;
		}
		rc = store_next(c, prefix, &key, &value);
	}
	mdb_cursor_close(c);
	return rc;
}

int
store_usage(struct store *s, enum usage_level level, int64_t from, int64_t to,
	    struct str consumer, struct str service,
	    bool (*fn)(void *, const struct usage_row *), void *arg)
{
	struct usage_walk w = {
		level, from < 0 ? 0 : from, to, consumer, service, fn, arg
	};

	if (!names_fit(consumer, service))
		return 0;
	return store_read(s, walk_usage, &w) < 0 ? -1 : 0;
}

/* ---- expiry, of both tables */

/* Deletes what begins with `prefix` and then with a time before `before`. */
static int
expire(struct store *s, MDB_txn *txn, enum store_table table, struct str prefix,
       int64_t before, int *left)
{
	MDB_val key, value;
	MDB_cursor *c;
	int rc = store_cursor(s, txn, table, &c);

	if (rc)
		return rc;
	while (*left > 0 && !(rc = store_seek(c, prefix, prefix, &key, &value))) {
		struct unpack u = unpack_from((char *)key.mv_data + prefix.len,
					      key.mv_size - prefix.len);

		if ((int64_t)unpack_be64(&u) >= before)
			break;
		rc = mdb_cursor_del(c, 0);
		if (rc)
			break;
		--*left;
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

struct usage_expire {
	enum usage_level level;
	int64_t before;
	int most, left;
};

static int
expire_all(struct store *s, MDB_txn *txn, void *arg)
{
	struct usage_expire *e = arg;
	char level = (char)e->level;
	int rc;

	e->left = e->most;
	rc = expire(s, txn, TABLE_USAGE, (struct str){ &level, 1 }, e->before, &e->left);
	for (int kind = ROLLUP_SERVICE; kind <= ROLLUP_CONSUMER && !rc; kind++) {
		char prefix[] = { level, (char)kind };

		rc = expire(s, txn, TABLE_ROLLUPS, (struct str){ prefix, 2 }, e->before,
			    &e->left);
	}
	return rc;
}

/* How many there are to delete, without a write transaction for none. */
static int
anything(struct store *s, MDB_txn *txn, void *arg)
{
	struct usage_expire *e = arg;

	for (int kind = 0; kind <= ROLLUP_CONSUMER; kind++) {
		char bytes[] = { (char)e->level, (char)kind };
		struct str prefix = { bytes, kind ? 2 : 1 };
		MDB_val key, value;
		MDB_cursor *c;
		int rc = store_cursor(s, txn, kind ? TABLE_ROLLUPS : TABLE_USAGE, &c);

		if (rc)
			return rc;
		rc = store_seek(c, prefix, prefix, &key, &value);
		mdb_cursor_close(c);
		if (rc && rc != MDB_NOTFOUND)
			return rc;
		if (!rc) {
			struct unpack u = unpack_from((char *)key.mv_data + prefix.len,
						      key.mv_size - prefix.len);

			if ((int64_t)unpack_be64(&u) < e->before)
				return 0;
		}
	}
	return MDB_NOTFOUND;
}

int
store_usage_expire(struct store *s, enum usage_level level, int64_t before, int most)
{
	struct usage_expire e = { level, before, most, most };
	int found = store_read(s, anything, &e);

	if (found <= 0)
		return found;
	return store_write(s, expire_all, &e) < 0 ? -1 : e.most - e.left;
}
