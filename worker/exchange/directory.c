#include "worker/exchange/directory.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "shm/store_consumers.h"
#include "worker/exchange/digests.h"

enum { BUCKETS = 64, KEY_ID_DIGITS = 12, RETRY_MS = 1000 };

/* A plan of the store. Exchanges that have it keep it, also when it has changed. */
struct kept {
	struct list link;               /* of its bucket */
	struct conf_plan plan;
	struct plan_row row;            /* its strings */
	uint64_t epoch;                 /* as of which it is known to be so */
	uint32_t refs;                  /* exchanges, and one while it is in its bucket */
	bool defined;
};

struct directory {
	struct shared *shared;
	struct store *store;            /* NULL: not open */
	uint64_t file;                  /* control.store_file when it was opened */
	uint64_t tried;                 /* ms; when it was opened last */
	char path[512];
	struct digests *digests;
	struct list plans[BUCKETS];     /* of struct kept, by name */
};

struct directory *
directory_new(struct str statedir, struct shared *shared)
{
	struct directory *d = calloc(1, sizeof(*d));

	if (!d)
		abort();
	d->shared = shared;
	d->digests = digests_new();
	snprintf(d->path, sizeof(d->path), "%.*s/state", STR_ARG(statedir));
	for (int i = 0; i < BUCKETS; i++)
		list_init(&d->plans[i]);
	return d;
}

static void
drop(void *arg)
{
	struct kept *k = arg;

	if (--k->refs == 0)
		free(k);
}

static void
forget(struct kept *k)
{
	list_remove(&k->link);
	drop(k);
}

void
directory_free(struct directory *d)
{
	if (!d)
		return;
	for (int i = 0; i < BUCKETS; i++)
		while (!list_empty(&d->plans[i]))
			forget(list_entry(d->plans[i].next, struct kept, link));
	if (d->store)
		store_close(d->store);
	digests_free(d->digests);
	free(d);
}

/* ---- the store */

static void
close_store(struct directory *d)
{
	if (d->store)
		store_close(d->store);
	d->store = NULL;
}

/* NULL: it cannot be read just now. */
static struct store *
the_store(struct directory *d)
{
	uint32_t state = atomic_load_explicit(&d->shared->control->store_state,
					      memory_order_acquire);
	uint64_t file = atomic_load_explicit(&d->shared->control->store_file,
					     memory_order_acquire);
	const char *error = "";

	if (file != d->file)
		d->tried = 0;
	if ((state != STORE_OK && state != STORE_READONLY) || file != d->file)
		close_store(d);
	if (state != STORE_OK && state != STORE_READONLY)
		return NULL;
	if (d->store)
		return d->store;
	if (d->tried && clock_ms() - d->tried < RETRY_MS)
		return NULL;
	d->tried = clock_ms();
	d->file = file;
	d->store = store_open(d->path, true, &error, NULL);
	if (!d->store)
		log_warn("%s can not be read: %s", d->path, error);
	return d->store;
}

static void
failed(struct directory *d)
{
	log_warn("%s can not be read: %s", d->path, store_error(d->store));
	d->tried = clock_ms();
	close_store(d);
}

/* ---- plans of the store */

static struct str
text_of(const char *at, size_t room)
{
	return (struct str){ at, strnlen(at, room) };
}

static bool
same_plan(const struct plan_row *a, const struct plan_row *b)
{
	return !strncmp(a->rate, b->rate, sizeof(a->rate)) &&
	       !strncmp(a->quota, b->quota, sizeof(a->quota)) &&
	       !strncmp(a->zone, b->zone, sizeof(a->zone)) && a->burst == b->burst;
}

static struct kept *
keep(struct list *bucket, struct str name, const struct plan_row *row, bool defined)
{
	struct kept *k = calloc(1, sizeof(*k));
	const char *error;

	if (!k)
		abort();
	k->refs = 1;
	k->row = *row;
	memcpy(k->row.name, name.at, name.len);
	k->row.name[name.len] = 0;
	list_insert(bucket, &k->link);
	if (!defined)
		return k;
	k->defined = conf_plan_texts(&k->plan, text_of(k->row.name, sizeof(row->name)),
				     text_of(k->row.rate, sizeof(row->rate)),
				     text_of(k->row.quota, sizeof(row->quota)),
				     text_of(k->row.zone, sizeof(row->zone)),
				     k->row.burst, &error) == 0;
	if (!k->defined)
		log_warn("plan \"%.*s\" of the store: %s", STR_ARG(name), error);
	return k;
}

/* The plan of that name, perhaps one that is not defined; NULL: nobody can say. */
static struct kept *
store_plan(struct directory *d, struct store *s, struct str name)
{
	struct list *bucket = &d->plans[str_hash(name) % BUCKETS], *i;
	/* Before the row is read: what changes meanwhile is read once more. */
	uint64_t epoch = atomic_load_explicit(&d->shared->control->store_epoch,
					      memory_order_acquire);
	struct plan_row row = { .burst = 0 };
	struct kept *k = NULL;
	char z[CONSUMER_NAME];
	int found;

	for (i = bucket->next; i != bucket; i = i->next) {
		k = list_entry(i, struct kept, link);
		if (str_eq(text_of(k->row.name, sizeof(k->row.name)), name))
			break;
	}
	if (i == bucket)
		k = NULL;
	if (k && k->epoch == epoch)
		return k;
	memcpy(z, name.at, name.len);
	z[name.len] = 0;
	found = store_plan_find(s, z, &row);
	if (found < 0)
		return NULL;
	if (!found)
		row = (struct plan_row){ .burst = 0 };
	if (!k || k->defined != (found == 1) || !same_plan(&k->row, &row)) {
		if (k)
			forget(k);
		k = keep(bucket, name, &row, found == 1);
	}
	k->epoch = epoch;
	return k;
}

/* ---- keys */

static struct str
key_id(const struct digest *key, struct arena *a)
{
	static const char hex[] = "0123456789abcdef";
	char *to = arena_alloc_aligned(a, KEY_ID_DIGITS, 1);

	for (int i = 0; i < KEY_ID_DIGITS / 2; i++) {
		to[2 * i] = hex[key->byte[i] >> 4];
		to[2 * i + 1] = hex[key->byte[i] & 15];
	}
	return (struct str){ to, KEY_ID_DIGITS };
}

static enum directory_verdict
of_states(uint32_t state, int64_t expires, int64_t now)
{
	if (state & KEY_REVOKED)
		return DIRECTORY_REVOKED;
	if (expires && now >= expires)
		return DIRECTORY_EXPIRED;
	if (state & (KEY_SUSPENDED | CONSUMER_SUSPENDED))
		return DIRECTORY_SUSPENDED;
	return DIRECTORY_FOUND;
}

/* What the store says of a key and a consumer that the files define. */
static enum directory_verdict
overridden(struct directory *d, const struct conf_consumer *c, const struct digest *key,
	   int64_t now)
{
	struct store *s = the_store(d);
	struct consumer_row consumer;
	struct key_row row;
	char name[CONSUMER_NAME];
	int found;

	if (!s)
		return DIRECTORY_UNAVAILABLE;
	found = store_key_find(s, key, &row);
	if (found > 0) {
		enum directory_verdict v = of_states(row.state, row.expires, now);

		if (v != DIRECTORY_FOUND)
			return v;
	}
	if (found >= 0 && c->name.len < sizeof(name)) {
		memcpy(name, c->name.at, c->name.len);
		name[c->name.len] = 0;
		found = store_consumer_find(s, name, &consumer);
		if (found > 0 && consumer.state & CONSUMER_SUSPENDED)
			return DIRECTORY_SUSPENDED;
	}
	if (found < 0) {
		failed(d);
		return DIRECTORY_UNAVAILABLE;
	}
	return DIRECTORY_FOUND;
}

static void
take_plan(struct directory *d, const struct conf_model *m, struct str name,
	  struct arena *arena, struct directory_answer *a)
{
	struct kept *k;

	if (!name.len)
		return;
	a->plan = conf_plan_find(m, name);
	if (a->plan)
		return;
	k = store_plan(d, d->store, name);
	if (!k) {
		failed(d);
		a->verdict = DIRECTORY_UNAVAILABLE;
	} else if (!k->defined) {
		a->plan_missing = true;
	} else {
		k->refs++;
		arena_defer(arena, drop, k);
		a->plan = &k->plan;
	}
}

static void
of_store(struct directory *d, const struct conf_model *m, const struct digest *key,
	 int64_t now, struct arena *arena, struct directory_answer *a)
{
	struct store *s = the_store(d);
	struct key_row row;
	int found = s ? store_key_find(s, key, &row) : -1;

	if (s && found < 0)
		failed(d);
	if (found <= 0) {
		a->verdict = found ? DIRECTORY_UNAVAILABLE : DIRECTORY_UNKNOWN;
		return;
	}
	a->consumer = arena_str(arena, text_of(row.consumer, sizeof(row.consumer)));
	a->key_id = key_id(key, arena);
	a->verdict = of_states(row.state, row.expires, now);
	if (a->verdict == DIRECTORY_FOUND)
		take_plan(d, m, text_of(row.plan, sizeof(row.plan) - 1), arena, a);
}

void
directory_forget(struct directory *d)
{
	digests_void(d->digests);
}

void
directory_find(struct directory *d, const struct conf_model *m, struct str key,
	       int64_t wall_ms, struct arena *arena, struct directory_answer *a)
{
	struct remembered *r = digests_of(d->digests, key);
	const struct conf_consumer *c;

	if (r->in != m) {
		r->found = conf_key_find(&m->consumers, &r->digest);
		r->in = m;
	}
	c = r->found;
	*a = (struct directory_answer){ .verdict = DIRECTORY_FOUND };
	if (!c) {
		of_store(d, m, &r->digest, wall_ms, arena, a);
		return;
	}
	a->consumer = c->name;
	a->key_id = key_id(&r->digest, arena);
	a->plan = c->plan;
	if (atomic_load_explicit(&d->shared->control->overrides, memory_order_acquire))
		a->verdict = overridden(d, c, &r->digest, wall_ms);
}
