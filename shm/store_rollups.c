#include "shm/store_usage.h"

#include "shm/store_inside.h"

enum { KEY = 300, ROW = 10 * 10 + HISTOGRAM_BUCKETS * 7, NAME = 256 };

static struct str
rollup_key(void *buf, enum usage_level level, enum rollup_kind kind, int64_t begin,
	   struct str name)
{
	struct pack p = pack_into(buf, KEY);

	pack_byte(&p, (uint8_t)level);
	pack_byte(&p, (uint8_t)kind);
	pack_be64(&p, (uint64_t)begin);
	pack_bytes(&p, name.at, name.len);
	return pack_done(&p);
}

/* Of the histogram only what is not 0: how many buckets were skipped, and the count. */
static struct str
pack_sum(void *buf, const struct rollup_sum *sum)
{
	struct pack p = pack_into(buf, ROW);
	unsigned next = 0;

	pack_varint(&p, sum->requests);
	for (int i = 0; i < 5; i++)
		pack_varint(&p, sum->status[i]);
	pack_varint(&p, sum->failed);
	pack_varint(&p, sum->in);
	pack_varint(&p, sum->out);
	pack_varint(&p, sum->us);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		if (sum->histogram[i]) {
			pack_varint(&p, i - next);
			pack_varint(&p, sum->histogram[i]);
			next = i + 1;
		}
	return pack_done(&p);
}

static int
unpack_sum(struct rollup_sum *sum, MDB_val value)
{
	struct unpack u = store_unpack(value);
	uint64_t bucket = 0;

	memset(sum, 0, sizeof(*sum));
	sum->requests = unpack_varint(&u);
	for (int i = 0; i < 5; i++)
		sum->status[i] = unpack_varint(&u);
	sum->failed = unpack_varint(&u);
	sum->in = unpack_varint(&u);
	sum->out = unpack_varint(&u);
	sum->us = unpack_varint(&u);
	while (unpack_left(&u) && !u.bad) {
		uint64_t skip = unpack_varint(&u);

		if (skip >= HISTOGRAM_BUCKETS || bucket + skip >= HISTOGRAM_BUCKETS)
			return MDB_CORRUPTED;
		bucket += skip;
		sum->histogram[bucket++] = (uint32_t)unpack_varint(&u);
	}
	return u.bad ? MDB_CORRUPTED : 0;
}

static void
sum_add(struct rollup_sum *to, const struct rollup_sum *more)
{
	to->requests += more->requests;
	for (int i = 0; i < 5; i++)
		to->status[i] += more->status[i];
	to->failed += more->failed;
	to->in += more->in;
	to->out += more->out;
	to->us += more->us;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t n = (uint64_t)to->histogram[i] + more->histogram[i];

		to->histogram[i] = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
	}
}

struct add {
	int64_t at;
	enum rollup_kind kind;
	struct str name;
	const struct rollup_sum *sum;
};

static int
add(struct store *s, MDB_txn *txn, void *arg)
{
	const struct add *a = arg;

	if (a->at < 0 || a->name.len > NAME)
		return store_refuse(s, "a rollup of no time, or of a name too long");
	for (int level = USAGE_MINUTE; level <= USAGE_DAY; level++) {
		char key_buf[KEY], row[ROW];
		struct str key = rollup_key(key_buf, level, a->kind,
					    usage_begin(level, a->at), a->name);
		struct rollup_sum sum;
		MDB_val value;
		int rc = store_get(s, txn, TABLE_ROLLUPS, key, &value);

		if (!rc)
			rc = unpack_sum(&sum, value);
		else if (rc == MDB_NOTFOUND)
			memset(&sum, 0, sizeof(sum)), rc = 0;
		if (rc)
			return rc;
		sum_add(&sum, a->sum);
		rc = store_put(s, txn, TABLE_ROLLUPS, key, pack_sum(row, &sum));
		if (rc)
			return rc;
	}
	return 0;
}

int
store_rollup_add(struct store *s, int64_t at, enum rollup_kind kind, struct str name,
		 const struct rollup_sum *sum)
{
	struct add a = { at, kind, name, sum };

	return store_write(s, add, &a);
}

struct walk {
	enum usage_level level;
	enum rollup_kind kind;
	int64_t from, to;
	struct str name;
	bool (*fn)(void *, const struct rollup_row *);
	void *arg;
};

static int
walk(struct store *s, MDB_txn *txn, void *arg)
{
	const struct walk *w = arg;
	char buf[KEY], bytes[] = { (char)w->level, (char)w->kind };
	struct str prefix = { bytes, sizeof(bytes) };
	struct rollup_row row;
	MDB_val key, value;
	MDB_cursor *c;
	int rc = store_cursor(s, txn, TABLE_ROLLUPS, &c);

	if (rc)
		return rc;
	rc = store_seek(c, rollup_key(buf, w->level, w->kind, w->from, w->name), prefix,
			&key, &value);
	while (!rc) {
		struct unpack u = unpack_from((char *)key.mv_data + sizeof(bytes),
					      key.mv_size - sizeof(bytes));

		row.begin = (int64_t)unpack_be64(&u);
		row.name = (struct str){ (const char *)u.at, unpack_left(&u) };
		if (u.bad)
			rc = MDB_CORRUPTED;
		if (rc || row.begin >= w->to)
			break;
		/* Of one name: not through all the others of a window, but on to its row.
		 */
		int order = w->name.len ? store_order(row.name, w->name) : 0;

		if (order) {
			rc = store_seek(c,
					rollup_key(buf, w->level, w->kind,
						   row.begin + (order > 0), w->name),
					prefix, &key, &value);
			continue;
		}
		rc = unpack_sum(&row.sum, value);
		if (rc || !w->fn(w->arg, &row))
			break;
		rc = store_next(c, prefix, &key, &value);
	}
	mdb_cursor_close(c);
	return rc;
}

int
store_rollups(struct store *s, enum usage_level level, enum rollup_kind kind,
	      int64_t from, int64_t to, struct str name,
	      bool (*fn)(void *, const struct rollup_row *), void *arg)
{
	struct walk w = { level, kind, from < 0 ? 0 : from, to, name, fn, arg };

	if (name.len > NAME)
		return 0;
	return store_read(s, walk, &w) < 0 ? -1 : 0;
}

/* The middle of the bucket: between its ends one knows nothing, and from there nothing is
 * further than half. */
uint64_t
rollup_quantile(const struct rollup_sum *sum, double share)
{
	uint64_t all = 0, below = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		all += sum->histogram[i];
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t low = histogram_floor(i);

		below += sum->histogram[i];
		if (!sum->histogram[i] || (double)below < share * (double)all)
			continue;
		/* The last bucket has no end. */
		return i + 1 < HISTOGRAM_BUCKETS
			       ? low + (histogram_floor(i + 1) - 1 - low) / 2
			       : low;
	}
	return 0;
}
