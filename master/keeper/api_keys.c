/* Keys: random, shown once, kept as their digest. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "master/keeper/api.h"

enum { KEY_RANDOM = 43, GRACE_MS = 24 * 3600 * 1000 };

#define PREFIX "pk_"

struct keys { /* of one consumer */
	struct key_row at[CONSUMER_KEYS];
	int n;
};

static bool
take_key(void *arg, const struct key_row *row)
{
	struct keys *k = arg;

	if (k->n < CONSUMER_KEYS)
		k->at[k->n++] = *row;
	return true;
}

/* -1: answered. */
static int
keys_of(const struct api_request *r, struct api_answer *a, const char *consumer,
	struct keys *keys)
{
	struct store *s = api_store(r, a);
	int rc;

	keys->n = 0;
	if (!s)
		return -1;
	state_enter(r->keeper);
	rc = store_keys(s, consumer, take_key, keys);
	state_leave(r->keeper);
	if (rc < 0)
		api_store_failed(r, a);
	return rc < 0 ? -1 : 0;
}

static bool
lives(const struct key_row *k, int64_t now)
{
	return !(k->state & KEY_REVOKED) && (!k->expires || k->expires > now);
}

static const char *
state_of(const struct key_row *k)
{
	if (k->state & KEY_REVOKED)
		return "revoked";
	if (!lives(k, clock_wall_ms()))
		return "expired";
	return k->state & (KEY_SUSPENDED | CONSUMER_SUSPENDED) ? "suspended" : "live";
}

static json_t *
shown(const struct key_row *k)
{
	json_t *doc = json_object();

	api_set(doc, "id", str_of(k->id));
	json_object_set_new(doc, "state", json_string(state_of(k)));
	api_set_time(doc, "created", k->created);
	api_set_time(doc, "expires", k->expires);
	api_set(doc, "note", str_of(k->note));
	return doc;
}

static void
list_of_file(const struct api_request *r, const struct conf_consumer *conf,
	     bool suspended, json_t *list)
{
	const struct conf_consumers *c = &r->keeper->model->consumers;

	for (size_t i = 0; c->keys && i <= c->mask; i++) {
		char text[64];
		json_t *doc;

		if (c->keys[i].consumer != conf->index)
			continue;
		digest_put(text, &c->keys[i].digest);
		doc = json_object();
		api_set(doc, "id", (struct str){ text, 12 });
		json_object_set_new(doc, "state",
				    json_string(suspended ? "suspended" : "live"));
		json_array_append_new(list, doc);
	}
}

json_t *
api_key_list(const struct api_request *r, const struct consumer_row *row,
	     const struct conf_consumer *conf)
{
	struct api_answer unused = { 0 };
	json_t *list = json_array();
	struct keys keys;

	if (conf)
		list_of_file(r, conf, row->state & CONSUMER_SUSPENDED, list);
	else if (keys_of(r, &unused, row->name, &keys) == 0)
		for (int i = 0; i < keys.n; i++)
			json_array_append_new(list, shown(&keys.at[i]));
	return list;
}

void
api_keys(const struct api_request *r, struct api_answer *a)
{
	const struct conf_consumer *conf;
	struct consumer_row row;
	json_t *doc;

	if (api_consumer_find(r, a, r->param[0], &row, &conf) < API_OF_STORE)
		return;
	doc = json_object();
	json_object_set_new(doc, "keys", api_key_list(r, &row, conf));
	api_json(r, a, 200, doc);
}

/* ---- making */

struct change {
	struct key_row fresh; /* consumer empty: none */
	struct keys old;      /* those that change */
	struct digest drop;   /* a dead one that makes room */
	bool drops;
};

static int
write_keys(struct store *s, void *arg)
{
	const struct change *c = arg;

	if (c->drops && store_key_drop(s, &c->drop) < 0)
		return -1;
	for (int i = 0; i < c->old.n; i++)
		if (store_key_put(s, &c->old.at[i]) < 0)
			return -1;
	return *c->fresh.consumer ? store_key_put(s, &c->fresh) : 0;
}

static void
make_key(struct key_row *k, const struct consumer_row *owner,
	 char text[sizeof(PREFIX) + KEY_RANDOM])
{
	char hex[64];

	memcpy(text, PREFIX, sizeof(PREFIX) - 1);
	crypto_random_text(text + sizeof(PREFIX) - 1, KEY_RANDOM);
	text[sizeof(PREFIX) - 1 + KEY_RANDOM] = 0;
	k->digest = sha256(str_of(text));
	digest_put(hex, &k->digest);
	memcpy(k->id, hex, 12);
	memcpy(k->consumer, owner->name, sizeof(k->consumer));
	memcpy(k->plan, owner->plan, sizeof(k->plan));
	k->state = owner->state & CONSUMER_SUSPENDED;
	k->created = clock_wall_ms();
}

/* Room for one more: the oldest dead key gives way. */
static bool
make_room(const struct api_request *r, struct api_answer *a, const struct keys *keys,
	  struct change *c)
{
	if (keys->n < CONSUMER_KEYS)
		return true;
	for (int i = 0; i < keys->n && !c->drops; i++)
		if (!lives(&keys->at[i], clock_wall_ms())) {
			c->drop = keys->at[i].digest;
			c->drops = true;
		}
	if (!c->drops)
		api_problem(r, a, 409, "it has %d keys that live: revoke one first",
			    CONSUMER_KEYS);
	return c->drops;
}

/* The text goes out with this answer and is nowhere else afterwards. */
static void
answer_key(const struct api_request *r, struct api_answer *a, const struct change *c,
	   char *text)
{
	json_t *doc = shown(&c->fresh), *list;

	json_object_set_new(doc, "key", json_string(text));
	if (c->old.n) {
		list = json_array();
		for (int i = 0; i < c->old.n; i++)
			json_array_append_new(list, shown(&c->old.at[i]));
		json_object_set_new(doc, "before", list);
	}
	api_json(r, a, 201, doc);
	a->secret = true;
}

static bool
of_store(const struct api_request *r, struct api_answer *a, struct consumer_row *row)
{
	const struct conf_consumer *conf;

	if (api_consumer_find(r, a, r->param[0], row, &conf) < API_OF_STORE)
		return false;
	if (conf)
		api_of_file(r, a, conf->name, conf->where);
	return !conf;
}

/* {expires}: a time, or from now: "90d". -1: answered. */
static int
take_expiry(const struct api_request *r, struct api_answer *a, const json_t *doc,
	    int64_t *expires)
{
	int64_t now = clock_wall_ms() / 1000, s;
	char text[40] = "";
	const char *error;
	uint64_t ms;

	if (api_text(r, a, doc, "expires", text, sizeof(text)) < 0)
		return -1;
	if (!*text)
		return 0;
	if (conf_duration(str_of(text), &ms, &error) == 0)
		s = now + (int64_t)(ms / 1000);
	else if (!api_time(str_of(text), now, &s))
		s = 0;
	if (s > now) {
		*expires = s * 1000;
		return 0;
	}
	api_problem(r, a, 400,
		    "expires is a time to come, \"2030-01-31\", or so long from now: "
		    "\"90d\"");
	return -1;
}

void
api_key_add(const struct api_request *r, struct api_answer *a)
{
	static const char *const known[] = { "note", "expires", NULL };
	char text[sizeof(PREFIX) + KEY_RANDOM];
	struct change c = { .drops = false };
	struct consumer_row owner;
	struct keys keys;
	json_t *doc;
	int rc;

	if (!of_store(r, a, &owner) || !(doc = api_body(r, a, known)))
		return;
	rc = api_text(r, a, doc, "note", c.fresh.note, sizeof(c.fresh.note)) < 0 ||
			     take_expiry(r, a, doc, &c.fresh.expires) < 0
		     ? -1
		     : 0;
	json_decref(doc);
	if (rc < 0 || keys_of(r, a, owner.name, &keys) < 0 || !make_room(r, a, &keys, &c))
		return;
	make_key(&c.fresh, &owner, text);
	if (api_write(r, a,
		      (struct api_change){ write_keys, &c, "key add", str_of(owner.name),
					   NULL, shown(&c.fresh) }))
		answer_key(r, a, &c, text);
	crypto_wipe(text, sizeof(text));
}

void
api_key_rotate(const struct api_request *r, struct api_answer *a)
{
	static const char *const known[] = { "note", "grace", "expires", NULL };
	char text[sizeof(PREFIX) + KEY_RANDOM], grace[32] = "";
	int64_t now = clock_wall_ms(), until;
	struct change c = { .drops = false };
	uint64_t ms = GRACE_MS;
	struct consumer_row owner;
	const char *error;
	struct keys keys;
	json_t *doc;
	int rc;

	if (!of_store(r, a, &owner) || !(doc = api_body(r, a, known)))
		return;
	rc = api_text(r, a, doc, "note", c.fresh.note, sizeof(c.fresh.note)) < 0 ||
			     api_text(r, a, doc, "grace", grace, sizeof(grace)) < 0 ||
			     take_expiry(r, a, doc, &c.fresh.expires) < 0
		     ? -1
		     : 0;
	json_decref(doc);
	if (rc == 0 && *grace && conf_duration(str_of(grace), &ms, &error) < 0) {
		api_problem(r, a, 400, "grace: %s", error);
		return;
	}
	if (rc < 0 || keys_of(r, a, owner.name, &keys) < 0 || !make_room(r, a, &keys, &c))
		return;
	until = now + (int64_t)ms;
	for (int i = 0; i < keys.n; i++)
		if (lives(&keys.at[i], now)) {
			struct key_row *k = &c.old.at[c.old.n++];

			*k = keys.at[i];
			/* One that was to end sooner still does. */
			if (!k->expires || k->expires > until)
				k->expires = until > now ? until : now;
		}
	make_key(&c.fresh, &owner, text);
	if (api_write(r, a,
		      (struct api_change){ write_keys, &c, "key rotate",
					   str_of(owner.name), NULL, shown(&c.fresh) }))
		answer_key(r, a, &c, text);
	crypto_wipe(text, sizeof(text));
}

void
api_key_revoke(const struct api_request *r, struct api_answer *a)
{
	struct change c = { .drops = false };
	struct consumer_row owner;
	struct key_row *k = NULL;
	struct keys keys;
	json_t *before;

	if (!of_store(r, a, &owner) || keys_of(r, a, owner.name, &keys) < 0)
		return;
	for (int i = 0; i < keys.n; i++)
		if (str_eq(str_of(keys.at[i].id), r->param[1]))
			k = &keys.at[i];
	if (!k) {
		api_problem(r, a, 404, "%s has no key %.64s", owner.name, r->param[1].at);
		return;
	}
	if (!(k->state & KEY_REVOKED)) {
		before = shown(k);
		k->state |= KEY_REVOKED;
		c.old.at[c.old.n++] = *k;
		if (!api_write(r, a,
			       (struct api_change){ write_keys, &c, "key revoke",
						    str_of(owner.name), before,
						    shown(k) }))
			return;
	}
	a->status = 204;
}
