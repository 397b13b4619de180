/* Records in the store: found by id and by text, with their names, for as long as they
 * are kept. */
#include "shm/store_inside.h"
#include "shm/store_records.h"
#include "tests/unit/shm/place.h"
#include "tests/unit/unit.h"

static struct region *region;
static struct stats stats;
static uint32_t listener, service, route, other, target, policy, file;

static void
names_open(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/region", place_dir);
	region = region_open(path, REGION_SIZE);
	ck_assert_ptr_nonnull(region);
	ck_assert_int_eq(stats_open(&stats, region), 0);
	listener = series_intern(&stats, SERIES_LISTENER, STR("public"));
	service = series_intern(&stats, SERIES_SERVICE, STR("orders"));
	route = series_intern(&stats, SERIES_ROUTE, STR("orders/get"));
	other = series_intern(&stats, SERIES_ROUTE, STR("orders/put"));
	target = series_intern(&stats, SERIES_TARGET, STR("backend/10.0.1.11:8080"));
	policy = series_intern(&stats, SERIES_POLICY, STR("rate-limit/by-plan"));
	file = series_intern(&stats, SERIES_FILE, STR("/etc/postern/postern.conf"));
}

static char made[RECORD_SIZE_MAX] __attribute__((aligned(8)));

/* As shm/records.h says that a record is made. */
static const struct record *
make(uint64_t id, int64_t at, const char *text)
{
	struct record *r = (struct record *)(void *)made;
	struct record_note note = { .policy = policy,
				    .file = (uint16_t)file,
				    .line = 12,
				    .decision = DECISION_REFUSED,
				    .operand = { 100, 100, 12400 } };
	char *end = made + sizeof(*r);

	memset(made, 0, sizeof(made));
	*r = (struct record){ .status = 429,
			      .id = { id, ~id },
			      .at = at,
			      .listener = listener,
			      .service = service,
			      .route = route,
			      .file = (uint16_t)file,
			      .attempts = 1,
			      .attempt = { { .target = target, .us = 5 } },
			      .misses = 1,
			      .miss = { { .route = other, .line = 3 } },
			      .notes = 1,
			      .policy = 1,
			      .method_len = 3,
			      .host_len = 11,
			      .path_len = 4,
			      .id_len = (uint8_t)strlen(text),
			      .consumer_len = 4 };
	memcpy(end, &note, sizeof(note));
	end += sizeof(note);
	end += snprintf(end, 200, "GETexample.com/get%sacme", text);
	r->size = (uint32_t)((end - made + 7) / 8 * 8);
	/* The texts are in the order of struct record_texts. */
	ck_assert(str_eq(record_texts(r).id, str_of(text)));
	ck_assert(str_eq(record_texts(r).consumer, STR("acme")));
	return r;
}

static void
put(struct store *s, uint64_t id, int64_t at, const char *text)
{
	ok(store_record_add(s, make(id, at, text), &stats));
}

static void
see(void *arg, const struct stored_record *r)
{
	char copy[RECORD_SIZE_MAX];

	ck_assert_uint_eq((uintptr_t)r->record % 8, 0);
	memcpy(copy, r->record, r->record->size);
	*(int64_t *)arg = r->record->at;
	unit_str_eq(r->name(r, listener), "public");
	unit_str_eq(r->name(r, service), "orders");
	unit_str_eq(r->name(r, route), "orders/get");
	unit_str_eq(r->name(r, other), "orders/put");
	unit_str_eq(r->name(r, target), "backend/10.0.1.11:8080");
	unit_str_eq(r->name(r, policy), "rate-limit/by-plan");
	unit_str_eq(r->name(r, file), "/etc/postern/postern.conf");
	unit_str_eq(r->name(r, 0), "");
	unit_str_eq(r->name(r, 9999), "");
	ck_assert_uint_eq(record_notes(r->record)->operand[2], 12400);
	unit_str_eq(record_texts(r->record).path, "/get");
}

/* When the record was written that is found; 0: none is. */
static int64_t
find(struct store *s, uint64_t id, const char *text)
{
	int64_t at = -1;
	int rc = store_record_find(s, (const uint64_t[]){ id, ~id }, str_of(text), see,
				   &at);

	ok(rc);
	ck_assert_int_eq(rc, at >= 0);
	return rc ? at : 0;
}

START_TEST(records_are_found_by_id_and_by_text)
{
	struct store *s;

	names_open();
	s = place_open(false);
	put(s, 1, 1000, "");
	put(s, 2, 2000, "order-7");
	put(s, 3, 3000, "order-77");
	ck_assert_int_eq(find(s, 1, ""), 1000);
	ck_assert_int_eq(find(s, 2, ""), 2000);
	ck_assert_int_eq(find(s, 9, "order-7"), 2000);
	ck_assert_int_eq(find(s, 9, "order-77"), 3000);
	ck_assert_int_eq(find(s, 9, "order-"), 0);
	ck_assert_int_eq(find(s, 9, ""), 0);
	/* The same text again: the newest; the same id again: the last word. */
	put(s, 4, 4000, "order-7");
	ck_assert_int_eq(find(s, 9, "order-7"), 4000);
	put(s, 4, 4001, "order-8");
	ck_assert_int_eq(find(s, 4, ""), 4001);
	ck_assert_int_eq(find(s, 9, "order-8"), 4001);
	ck_assert_int_eq(find(s, 9, "order-7"), 2000);
	store_close(s);
	/* By another process, after the region is gone. */
	region_close(region);
	s = place_open(true);
	ck_assert_int_eq(find(s, 9, "order-77"), 3000);
	store_close(s);
}
END_TEST

static uint64_t
rows(struct store *s, enum store_table table)
{
	MDB_stat st;
	MDB_txn *txn;

	ck_assert_int_eq(mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn), 0);
	ck_assert_int_eq(mdb_stat(txn, s->table[table], &st), 0);
	mdb_txn_abort(txn);
	return st.ms_entries;
}

START_TEST(the_old_go_and_the_too_many)
{
	struct store *s;
	char text[16];

	names_open();
	s = place_open(false);
	ok(store_begin(s));
	for (uint64_t i = 1; i <= 100; i++) {
		snprintf(text, sizeof(text), "text-%d", (int)i);
		if (i % 2)
			*text = '\0';
		put(s, i, (int64_t)(1000 * i), text);
	}
	ok(store_commit(s));
	ck_assert_int_eq(store_records_expire(s, 1000, 100, 50), 0);
	ck_assert_int_eq(store_records_expire(s, 11000, 100, 4), 4);
	ck_assert_int_eq(store_records_expire(s, 11000, 100, 50), 6);
	ck_assert_int_eq(store_records_expire(s, 11000, 100, 50), 0);
	ck_assert_int_eq(find(s, 10, "text-10"), 0);
	ck_assert_int_eq(find(s, 11, ""), 11000);
	ck_assert_int_eq(store_records_expire(s, 0, 30, 50), 50);
	ck_assert_int_eq(store_records_expire(s, 0, 30, 50), 10);
	ck_assert_int_eq(find(s, 70, "text-70"), 0);
	ck_assert_int_eq(find(s, 9, "text-72"), 72000);
	ck_assert_uint_eq(rows(s, TABLE_RECORDS), 30);
	ck_assert_uint_eq(rows(s, TABLE_RECORD_TIMES), 30);
	ck_assert_uint_eq(rows(s, TABLE_RECORD_TEXTS), 15);
	store_close(s);
	region_close(region);
}
END_TEST

START_TEST(what_is_no_record_is_not_kept)
{
	struct record *r = (struct record *)(void *)made;
	struct store *s;

	names_open();
	s = place_open(false);
	make(1, 1000, "");
	r->size = 0;
	ok(store_record_add(s, r, &stats));
	make(1, 1000, "");
	r->size += 8 * 1000;
	ok(store_record_add(s, r, &stats));
	make(1, 1000, "");
	r->path_len = 60000;
	ok(store_record_add(s, r, &stats));
	make(1, 1000, "");
	r->notes = 200;
	ok(store_record_add(s, r, &stats));
	ck_assert_uint_eq(rows(s, TABLE_RECORDS), 0);
	/* Names that are not known are empty, and no names at all are all right. */
	make(1, 1000, "");
	r->route = 15000;
	ok(store_record_add(s, r, NULL));
	ck_assert_uint_eq(rows(s, TABLE_RECORDS), 1);
	store_close(s);
	region_close(region);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { records_are_found_by_id_and_by_text,
				 the_old_go_and_the_too_many,
				 what_is_no_record_is_not_kept };

	return place_run("shm/store_records", tests, sizeof(tests) / sizeof(*tests));
}
