#include "tests/unit/exchange/fake_shared.h"

#include "conf/load.h"
#include "worker/exchange/digests.h"

static struct arena image, said, mine;
static struct conf_model *model;
static struct directory_answer a;

static const char text[] =
	"plans: { gold: { rate = \"100/s\"; }; };\n"
	"consumers: { acme: { plan = \"gold\"; keys = [ \"sha256:"
	"2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\" ]; }; };\n"
	"listeners: { web: { bind = [ \"127.0.0.1:1\" ]; }; };\n"
	"upstreams: { o: { targets = [ \"http://127.0.0.1:2\" ]; }; };\n"
	"services: { s: { domains = [ \"*\" ]; routes = ( { match = \"* /*\"; to = \"o\"; } ); }; };\n";

static void
begin(void)
{
	static const struct conf_type *types[1];
	static struct diag diag;
	char path[96];
	FILE *f;

	fake_share();
	arena_init(&image, NULL, 0, 1 << 26);
	arena_init(&said, NULL, 0, 1 << 26);
	arena_init(&mine, NULL, 0, 1 << 26);
	diag_init(&diag, &said);
	snprintf(path, sizeof path, "%s/conf", fake_dir);
	f = fopen(path, "w");
	fputs(text, f);
	fclose(f);
	model = conf_load(path, &image, types, &diag);
	unlink(path);
	diag_print(&diag, stderr);
	ck_assert_ptr_nonnull(model);
	ck_assert_int_eq(diag.errors, 0);
}

static void
end(void)
{
	arena_reset(&mine);
	fake_unshare();
	arena_reset(&image);
	arena_reset(&said);
}

static void
good(void)
{
	atomic_store(&fake_shared.control->store_state, STORE_OK);
}

static void
changed(void)
{
	atomic_fetch_add(&fake_shared.control->store_epoch, 1);
}

static enum directory_verdict
find(const char *key, int64_t now)
{
	directory_find(fake_worker.directory, model, str_of(key), now, &mine, &a);
	return a.verdict;
}

static void
put_key(struct store *s, const char *key, const char *consumer, const char *plan,
	uint32_t state, int64_t expires)
{
	struct key_row row = { .digest = sha256(str_of(key)), .state = state,
			       .expires = expires, .created = 1 };
	char hex[64];

	digest_put(hex, &row.digest);
	memcpy(row.id, hex, 12);
	snprintf(row.consumer, sizeof row.consumer, "%s", consumer);
	snprintf(row.plan, sizeof row.plan, "%s", plan);
	ck_assert_msg(store_key_put(s, &row) == 0, "%s", store_error(s));
}

static void
put_plan(struct store *s, const char *name, const char *rate)
{
	struct plan_row row = { .created = 1 };

	snprintf(row.name, sizeof row.name, "%s", name);
	snprintf(row.rate, sizeof row.rate, "%s", rate);
	ck_assert_msg(store_plan_put(s, &row) == 0, "%s", store_error(s));
}

static struct store *
make_store(void)
{
	struct store *s = store_open(fake_store, false, NULL, NULL);

	ck_assert_ptr_nonnull(s);
	return s;
}

/* Another configuration comes to lie where one was. */
START_TEST(nothing_is_remembered_of_what_is_gone)
{
	struct conf_model *place;

	begin();
	place = (struct conf_model *)(uintptr_t)model;
	ck_assert_int_eq(find("secret", 0), DIRECTORY_FOUND);
	ck_assert_int_eq(find("secret", 0), DIRECTORY_FOUND);
	directory_forget(fake_worker.directory);
	memset(&place->consumers, 0, sizeof(place->consumers));
	good();
	ck_assert_int_ne(find("secret", 0), DIRECTORY_FOUND);
	end();
}
END_TEST

START_TEST(files_come_first)
{
	begin();
	ck_assert_int_eq(find("secret", 0), DIRECTORY_FOUND);
	unit_str_eq(a.consumer, "acme");
	unit_str_eq(a.key_id, "2bb80d537b1d");
	ck_assert_ptr_eq(a.plan, conf_plan_find(model, STR("gold")));
	/* Nobody can say whose the others are, before the keeper has opened the store. */
	ck_assert_int_eq(find("other", 0), DIRECTORY_UNAVAILABLE);
	ck_assert_ptr_null(a.plan);
	end();
}
END_TEST

/* In one process LMDB may be open once only: the writer is another one. */
static void
elsewhere(void (*fn)(struct store *))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct store *s = make_store();

		fn(s);
		store_close(s);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	changed();
}

static void
fill(struct store *s)
{
	put_key(s, "k1", "globex", "gold", 0, 0);
	put_key(s, "k2", "globex", "silver", 0, 5000);
	put_key(s, "k3", "globex", "", KEY_REVOKED, 1);
	put_key(s, "k4", "globex", "", KEY_SUSPENDED, 0);
	put_key(s, "k5", "globex", "", CONSUMER_SUSPENDED, 0);
	put_key(s, "k6", "globex", "lead", 0, 0);
	put_plan(s, "gold", "1/h");
	put_plan(s, "silver", "5/s 100/min");
}

static void
change(struct store *s)
{
	put_plan(s, "silver", "7/s");
	put_key(s, "k1", "globex", "gold", KEY_REVOKED, 0);
}

/* Also when there are more keys than are remembered. */
START_TEST(digests_are_those_of_their_keys)
{
	struct digests *d = digests_new();
	char key[32];

	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 40000; i++) {
			int len = snprintf(key, sizeof key, "key %d", i);
			struct str s = { key, (size_t)len };
			struct digest is = digests_of(d, s)->digest;
			struct digest wanted = sha256(s);

			ck_assert(digest_same(&is, &wanted));
			is = digests_of(d, s)->digest;
			ck_assert(digest_same(&is, &wanted));
			wanted.byte[i % 32] ^= 0x10;
			ck_assert(!digest_same(&is, &wanted));
		}
	digests_free(d);
}
END_TEST

START_TEST(then_the_store)
{
	begin();
	elsewhere(fill);
	good();
	ck_assert_int_eq(find("k1", 0), DIRECTORY_FOUND);
	unit_str_eq(a.consumer, "globex");
	ck_assert_uint_eq(a.key_id.len, 12);
	/* Plans of the files come first too. */
	ck_assert_ptr_eq(a.plan, conf_plan_find(model, STR("gold")));
	ck_assert_int_eq(find("k2", 4999), DIRECTORY_FOUND);
	ck_assert_uint_eq(a.plan->nrates, 2);
	ck_assert_int_eq(find("k2", 5000), DIRECTORY_EXPIRED);
	ck_assert_int_eq(find("k3", 0), DIRECTORY_REVOKED);
	ck_assert_int_eq(find("k4", 0), DIRECTORY_SUSPENDED);
	ck_assert_int_eq(find("k5", 0), DIRECTORY_SUSPENDED);
	ck_assert_int_eq(find("k6", 0), DIRECTORY_FOUND);
	ck_assert(a.plan_missing);
	ck_assert_int_eq(find("k7", 0), DIRECTORY_UNKNOWN);
	ck_assert(!a.plan_missing);
	end();
}
END_TEST

/* An exchange keeps the plan that it began with. */
START_TEST(what_is_changed_holds_at_once)
{
	const struct conf_plan *before;

	begin();
	elsewhere(fill);
	good();
	find("k2", 0);
	before = a.plan;
	find("k2", 0);
	ck_assert_ptr_eq(a.plan, before);
	elsewhere(change);
	ck_assert_int_eq(find("k1", 0), DIRECTORY_REVOKED);
	find("k2", 0);
	ck_assert_ptr_ne(a.plan, before);
	ck_assert_uint_eq(a.plan->rate[0].count, 7);
	unit_str_eq(before->name, "silver");
	ck_assert_uint_eq(before->rate[0].count, 5);
	changed();              /* of something else */
	before = a.plan;
	find("k2", 0);
	ck_assert_ptr_eq(a.plan, before);
	end();
}
END_TEST

static void
suspend_acme(struct store *s)
{
	struct consumer_row row = { .state = CONSUMER_SUSPENDED, .of_file = 1 };

	strcpy(row.name, "acme");
	ck_assert_int_eq(store_consumer_put(s, &row), 0);
}

static void
revoke_secret(struct store *s)
{
	ck_assert_int_eq(store_consumer_drop(s, "acme"), 1);
	put_key(s, "secret", "acme", "", KEY_REVOKED, 0);
}

START_TEST(the_store_suspends_consumers_of_files)
{
	begin();
	elsewhere(suspend_acme);
	good();
	/* Not looked at while nothing is overridden. */
	ck_assert_int_eq(find("secret", 0), DIRECTORY_FOUND);
	atomic_store(&fake_shared.control->overrides, 1);
	ck_assert_int_eq(find("secret", 0), DIRECTORY_SUSPENDED);
	elsewhere(revoke_secret);
	ck_assert_int_eq(find("secret", 0), DIRECTORY_REVOKED);
	/* Nobody passes who may be suspended. */
	atomic_store(&fake_shared.control->store_state, STORE_BAD);
	ck_assert_int_eq(find("secret", 0), DIRECTORY_UNAVAILABLE);
	end();
}
END_TEST

START_TEST(a_store_that_cannot_be_read_is_tried_again)
{
	begin();
	good();
	ck_assert_int_eq(find("k1", 0), DIRECTORY_UNAVAILABLE);
	elsewhere(fill);
	/* Not before a second has passed. */
	ck_assert_int_eq(find("k1", 0), DIRECTORY_UNAVAILABLE);
	clock_state.ms += 1000;
	ck_assert_int_eq(find("k1", 0), DIRECTORY_FOUND);
	end();
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		files_come_first,
		digests_are_those_of_their_keys,
		nothing_is_remembered_of_what_is_gone,
		then_the_store,
		what_is_changed_holds_at_once,
		the_store_suspends_consumers_of_files,
		a_store_that_cannot_be_read_is_tried_again,
	};

	return unit_run("exchange/directory", tests, sizeof tests / sizeof *tests);
}
