/* Consumers, keys, plans and the audit in the store. */
#include "shm/store_consumers.h"
#include "tests/unit/shm/place.h"

static struct consumer_row
consumer(const char *name, const char *plan, uint32_t state)
{
	struct consumer_row r = { .state = state,
				  .created = 1700000000123,
				  .changed = -5 };

	snprintf(r.name, sizeof(r.name), "%s", name);
	snprintf(r.plan, sizeof(r.plan), "%s", plan);
	memset(r.note, 'n', sizeof(r.note) - 1);
	return r;
}

static struct key_row
key(const char *secret, const char *of, int64_t created)
{
	struct key_row r = { .digest = sha256(str_of(secret)), .created = created };

	snprintf(r.consumer, sizeof(r.consumer), "%s", of);
	return r;
}

START_TEST(rows_come_back_as_they_were)
{
	struct consumer_row c = consumer("acme", "gold", CONSUMER_SUSPENDED), c2;
	struct key_row k = key("secret", "acme", 7), k2;
	struct plan_row p = { .name = "gold",
			      .rate = "100/s 5000/h",
			      .quota = "5000000/month",
			      .zone = "Europe/Berlin",
			      .burst = 17,
			      .created = 1,
			      .changed = 2 },
			p2;
	struct store *s = place_open(false);

	k.expires = 99;
	k.state = KEY_REVOKED;
	snprintf(k.note, sizeof(k.note), "of the old shop");
	ok(store_consumer_put(s, &c));
	ok(store_key_put(s, &k));
	ok(store_plan_put(s, &p));
	store_close(s);
	s = place_open(true);
	ck_assert_int_eq(store_consumer_find(s, "acme", &c2), 1);
	ck_assert_mem_eq(&c, &c2, sizeof(c));
	ck_assert_int_eq(store_plan_find(s, "gold", &p2), 1);
	ck_assert_mem_eq(&p, &p2, sizeof(p));
	ck_assert_int_eq(store_key_find(s, &k.digest, &k2), 1);
	/* Its id, and what it takes from its consumer. */
	ck_assert_str_eq(k2.id, "2bb80d537b1d");
	ck_assert_str_eq(k2.plan, "gold");
	ck_assert_uint_eq(k2.state, KEY_REVOKED | CONSUMER_SUSPENDED);
	ck_assert_str_eq(k2.consumer, "acme");
	ck_assert_str_eq(k2.note, "of the old shop");
	ck_assert_int_eq(k2.created, 7);
	ck_assert_int_eq(k2.expires, 99);

	/* What is not there, or cannot be. */
	k.digest.byte[31] ^= 1;
	ck_assert_int_eq(store_key_find(s, &k.digest, &k2), 0);
	ck_assert_int_eq(store_consumer_find(s, "acm", &c2), 0);
	ck_assert_int_eq(store_consumer_find(s, "acme2", &c2), 0);
	ck_assert_int_eq(store_consumer_find(s, "", &c2), 0);
	ck_assert_int_eq(
		store_consumer_find(s,
				    "a name of more than the sixty-three bytes that a "
				    "name may have here",
				    &c2),
		0);
	ck_assert_int_eq(store_plan_find(s, "silver", &p2), 0);
	ck_assert_int_eq(store_consumer_put(s, &c), -1); /* a reader */
	store_close(s);
}
END_TEST

START_TEST(a_change_of_a_consumer_reaches_its_keys)
{
	struct consumer_row c = consumer("acme", "gold", 0);
	struct key_row k[3] = { key("one", "acme", 1), key("two", "acme", 2),
				key("x", "acme2", 3) };
	struct store *s = place_open(false);

	ok(store_consumer_put(s, &c));
	snprintf(k[2].plan, sizeof(k[2].plan), "iron");
	for (int i = 0; i < 3; i++)
		ok(store_key_put(s, &k[i]));
	snprintf(c.plan, sizeof(c.plan), "silver");
	c.state = CONSUMER_SUSPENDED;
	ok(store_consumer_put(s, &c));
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(store_key_find(s, &k[i].digest, &k[i]), 1);
		ck_assert_str_eq(k[i].plan, i < 2 ? "silver" : "iron");
		ck_assert_uint_eq(k[i].state, i < 2 ? CONSUMER_SUSPENDED : 0);
	}
	/* Resumed; what was said of the key itself stays. */
	k[0].state |= KEY_SUSPENDED;
	ok(store_key_put(s, &k[0]));
	c.state = 0;
	ok(store_consumer_put(s, &c));
	ck_assert_int_eq(store_key_find(s, &k[0].digest, &k[0]), 1);
	ck_assert_uint_eq(k[0].state, KEY_SUSPENDED);
	/* A row that only suspends a consumer of a file says nothing of its plan. */
	c = consumer("acme2", "", CONSUMER_SUSPENDED);
	c.of_file = 1;
	ok(store_consumer_put(s, &c));
	ck_assert_int_eq(store_key_find(s, &k[2].digest, &k[2]), 1);
	ck_assert_str_eq(k[2].plan, "iron");
	ck_assert_uint_eq(k[2].state, CONSUMER_SUSPENDED);
	store_close(s);
}
END_TEST

struct list {
	char text[2000];
	int most;
};

static bool
list_key(void *arg, const struct key_row *r)
{
	struct list *l = arg;
	size_t n = strlen(l->text);

	snprintf(l->text + n, sizeof(l->text) - n, "%.4s:%lld ", r->id,
		 (long long)r->created);
	return --l->most != 0;
}

static bool
list_consumer(void *arg, const struct consumer_row *r)
{
	struct list *l = arg;
	size_t n = strlen(l->text);

	snprintf(l->text + n, sizeof(l->text) - n, "%s ", r->name);
	return --l->most != 0;
}

static bool
list_plan(void *arg, const struct plan_row *r)
{
	struct list *l = arg;
	size_t n = strlen(l->text);

	snprintf(l->text + n, sizeof(l->text) - n, "%s=%s ", r->name, r->rate);
	return true;
}

static const char *
keys_of(struct store *s, const char *name, struct list *l)
{
	memset(l, 0, sizeof(*l));
	ok(store_keys(s, name, list_key, l));
	return l->text;
}

START_TEST(keys_are_listed_moved_and_dropped)
{
	struct key_row k[4] = { key("one", "acme", 30), key("two", "acme", 20),
				key("six", "acme", 1000), key("x", "acme2", 3) };
	struct store *s = place_open(false);
	uint64_t consumers, keys;
	struct list l;

	for (int i = 0; i < 4; i++)
		ok(store_key_put(s, &k[i]));
	ck_assert_str_eq(keys_of(s, "acme", &l), "3fc4:20 7692:30 4477:1000 ");
	ck_assert_str_eq(keys_of(s, "acme2", &l), "2d71:3 ");
	ck_assert_str_eq(keys_of(s, "acm", &l), "");
	/* Twice is once. */
	ok(store_key_put(s, &k[0]));
	/* Another creation, another consumer: no trace in the old place. */
	k[1].created = 40;
	ok(store_key_put(s, &k[1]));
	snprintf(k[2].consumer, sizeof(k[2].consumer), "acme2");
	ok(store_key_put(s, &k[2]));
	ck_assert_str_eq(keys_of(s, "acme", &l), "7692:30 3fc4:40 ");
	ck_assert_str_eq(keys_of(s, "acme2", &l), "2d71:3 4477:1000 ");
	ck_assert_int_eq(store_key_drop(s, &k[0].digest), 1);
	ck_assert_int_eq(store_key_drop(s, &k[0].digest), 0);
	ck_assert_str_eq(keys_of(s, "acme", &l), "3fc4:40 ");
	ok(store_counts(s, &consumers, &keys));
	ck_assert_uint_eq(consumers, 0);
	ck_assert_uint_eq(keys, 3);
	store_close(s);
}
END_TEST

START_TEST(a_consumer_goes_with_its_keys)
{
	struct consumer_row c = consumer("acme", "gold", 0), d = consumer("acme2", "", 0);
	struct key_row k[3] = { key("one", "acme", 1), key("two", "acme", 2),
				key("x", "acme2", 3) };
	struct store *s = place_open(false);
	uint64_t consumers, keys;
	struct list l;

	ok(store_consumer_put(s, &c));
	ok(store_consumer_put(s, &d));
	for (int i = 0; i < 3; i++)
		ok(store_key_put(s, &k[i]));
	ok(store_counts(s, &consumers, &keys));
	ck_assert_uint_eq(consumers, 2);
	ck_assert_uint_eq(keys, 3);
	ck_assert_int_eq(store_consumer_drop(s, "acme"), 1);
	ck_assert_int_eq(store_consumer_drop(s, "acme"), 0);
	ck_assert_int_eq(store_key_find(s, &k[0].digest, &k[0]), 0);
	ck_assert_int_eq(store_key_find(s, &k[1].digest, &k[0]), 0);
	ck_assert_int_eq(store_key_find(s, &k[2].digest, &k[0]), 1);
	ck_assert_str_eq(keys_of(s, "acme", &l), "");
	ok(store_counts(s, &consumers, &keys));
	ck_assert_uint_eq(consumers, 1);
	ck_assert_uint_eq(keys, 1);
	store_close(s);
}
END_TEST

START_TEST(a_consumer_has_sixteen_keys_at_most)
{
	struct store *s = place_open(false);
	struct key_row k;
	char secret[16];

	for (int i = 0; i < CONSUMER_KEYS; i++) {
		snprintf(secret, sizeof(secret), "%d", i);
		k = key(secret, "acme", i);
		ok(store_key_put(s, &k));
	}
	ok(store_key_put(s, &k));
	k = key("more", "acme", 0);
	ck_assert_int_eq(store_key_put(s, &k), -1);
	ck_assert_int_eq(store_failure(s), STORE_FAIL_REFUSED);
	ck_assert_str_eq(store_error(s), "acme has 16 keys already");
	k = key("more", "other", 0);
	ok(store_key_put(s, &k));
	store_close(s);
}
END_TEST

START_TEST(walks_go_by_name_and_go_on_where_they_were)
{
	static const char *const names[] = { "b", "acme", "acme-2", "c", "acme2" };
	struct store *s = place_open(false);
	struct list l = { .most = 3 };
	struct plan_row p = { .name = "silver", .rate = "1/s" };

	for (int i = 0; i < 5; i++) {
		struct consumer_row c = consumer(names[i], "", 0);

		ok(store_consumer_put(s, &c));
	}
	ok(store_consumers(s, NULL, list_consumer, &l));
	ck_assert_str_eq(l.text, "acme acme-2 acme2 ");
	memset(&l, 0, sizeof(l));
	ok(store_consumers(s, "acme2", list_consumer, &l));
	ck_assert_str_eq(l.text, "b c ");
	memset(&l, 0, sizeof(l));
	ok(store_consumers(s, "acme1", list_consumer, &l));
	ck_assert_str_eq(l.text, "acme2 b c ");
	memset(&l, 0, sizeof(l));
	ok(store_consumers(s, "c", list_consumer, &l));
	ck_assert_str_eq(l.text, "");

	ok(store_plan_put(s, &p));
	snprintf(p.rate, sizeof(p.rate), "2/s");
	ok(store_plan_put(s, &p));
	snprintf(p.name, sizeof(p.name), "gold");
	ok(store_plan_put(s, &p));
	ok(store_plans(s, list_plan, &l));
	ck_assert_str_eq(l.text, "gold=2/s silver=2/s ");
	ck_assert_int_eq(store_plan_drop(s, "gold"), 1);
	ck_assert_int_eq(store_plan_drop(s, "gold"), 0);
	ck_assert_int_eq(store_plan_find(s, "gold", &p), 0);
	store_close(s);
}
END_TEST

static bool
list_audit(void *arg, const struct audit_row *r)
{
	struct list *l = arg;
	size_t n = strlen(l->text);

	snprintf(l->text + n, sizeof(l->text) - n, "%lld %s %s %s %s>%s|",
		 (long long)r->at, r->who, r->what, r->name, r->before, r->after);
	return --l->most != 0;
}

START_TEST(the_audit_tells_the_newest_first)
{
	struct audit_row r = { .at = 100,
			       .who = "uid 0 (root)",
			       .what = "key add",
			       .name = "acme",
			       .before = "null",
			       .after = "{}" };
	struct store *s = place_open(false);
	struct list l = { .most = 0 };

	ok(store_audit_add(s, &r));
	snprintf(r.what, sizeof(r.what), "key drop");
	ok(store_audit_add(s, &r));
	/* The clock was set back: what came later still comes later. */
	r.at = 50;
	snprintf(r.what, sizeof(r.what), "plan add");
	ok(store_audit_add(s, &r));
	ok(store_audit(s, list_audit, &l));
	ck_assert_str_eq(l.text, "50 uid 0 (root) plan add acme null>{}|"
				 "100 uid 0 (root) key drop acme null>{}|"
				 "100 uid 0 (root) key add acme null>{}|");
	memset(&l, 0, sizeof(l));
	l.most = 1;
	ok(store_audit(s, list_audit, &l));
	ck_assert_str_eq(l.text, "50 uid 0 (root) plan add acme null>{}|");
	store_close(s);
}
END_TEST

static bool
count_audit(void *arg, const struct audit_row *r)
{
	struct list *l = arg;

	(void)r;
	l->most++;
	return true;
}

START_TEST(the_audit_does_not_grow_for_ever)
{
	struct audit_row r = { .at = 100 };
	struct store *s = place_open(false);
	struct list l = { .most = 0 };

	ok(store_begin(s));
	for (r.at = 0; r.at < 20100; r.at++)
		ok(store_audit_add(s, &r));
	ok(store_commit(s));
	ok(store_audit(s, count_audit, &l));
	ck_assert_int_eq(l.most, 20000);
	memset(&l, 0, sizeof(l));
	l.most = 1;
	ok(store_audit(s, list_audit, &l));
	ck_assert_str_eq(l.text, "20099    >|");
	store_close(s);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { rows_come_back_as_they_were,
				 a_change_of_a_consumer_reaches_its_keys,
				 keys_are_listed_moved_and_dropped,
				 a_consumer_goes_with_its_keys,
				 a_consumer_has_sixteen_keys_at_most,
				 walks_go_by_name_and_go_on_where_they_were,
				 the_audit_tells_the_newest_first,
				 the_audit_does_not_grow_for_ever };

	return place_run("shm/store_consumers", tests, sizeof(tests) / sizeof(*tests));
}
