/* What the gateway says of itself, and what it remembers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "master/keeper/api.h"
#include "master/keeper/expose.h"

void
api_livez(const struct api_request *r, struct api_answer *a)
{
	(void)r;
	a->status = 200;
	a->type = "text/plain";
	a->body = STR("alive\n");
}

void
api_readyz(const struct api_request *r, struct api_answer *a)
{
	const struct slots *s = r->keeper->shared.slots;
	unsigned serving = 0, draining = 0;

	for (int i = 0; i < SLOTS_MAX; i++) {
		const struct slot *row = &s->row[i];

		if (row->role != SLOT_WORKER || !slot_alive(row))
			continue;
		serving += row->state == SLOT_SERVING;
		draining += row->state == SLOT_DRAINING;
	}
	a->status = serving ? 200 : 503;
	a->type = "text/plain";
	a->body = arena_printf(r->arena, "%s: %u workers serve, %u drain\n",
			       serving ? "ready" : "not ready", serving, draining);
}

void
api_metrics(const struct api_request *r, struct api_answer *a)
{
	size_t len = 0;
	char *text = expose(&r->keeper->shared, r->keeper->model, &len);

	if (!text) {
		api_problem(r, a, 503, "out of memory");
		return;
	}
	arena_defer(r->arena, free, text);
	a->status = 200;
	a->type = "text/plain; version=0.0.4; charset=utf-8";
	a->body = (struct str){ text, len };
}

void
api_list(const struct api_request *r, struct api_answer *a)
{
	json_t *doc = json_object(), *list = json_array();

	for (const struct api *row = api; row->method; row++) {
		json_t *o = json_object();

		api_set(o, "method", str_of(row->method));
		api_set(o, "path", str_of(row->path));
		json_object_set_new(o, "writes", json_boolean(row->writes));
		api_set(o, "help", str_of(row->help));
		json_array_append_new(list, o);
	}
	json_object_set_new(doc, "endpoints", list);
	api_json(r, a, 200, doc);
}

/* ---- status */

static void
set(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

static json_t *
processes(const struct slots *s)
{
	static const char *const roles[] = { "free", "master", "keeper", "worker" };
	static const char *const states[] = { "starting", "serving", "draining" };
	json_t *list = json_array();

	for (int i = 0; i < SLOTS_MAX; i++) {
		const struct slot *row = &s->row[i];
		json_t *o;

		if (!slot_alive(row))
			continue;
		o = json_object();
		api_set(o, "role", str_of(roles[row->role & 3]));
		set(o, "number", row->number);
		set(o, "pid", (uint64_t)row->pid);
		api_set(o, "state", str_of(row->state < 3 ? states[row->state] : "?"));
		set(o, "generation", row->generation);
		api_set_time(o, "started", (int64_t)row->started);
		set(o, "connections", row->connections);
		set(o, "exchanges", row->exchanges);
		set(o, "heartbeat_age_ms",
		    row->heartbeat && row->heartbeat < clock_ms()
			    ? clock_ms() - row->heartbeat
			    : 0);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *
store_status(const struct api_request *r)
{
	static const char *const states[] = { "unknown", "ok", "read-only", "bad" };
	const struct control *c = r->keeper->shared.control;
	uint64_t consumers = 0, keys = 0;
	json_t *o = json_object();

	api_set(o, "state", str_of(states[c->store_state & 3]));
	api_set(o, "path", str_of(r->keeper->path));
	set(o, "used_bytes", c->store_used);
	set(o, "room_bytes", c->store_room);
	set(o, "failed_writes", c->store_failed);
	api_set_time(o, "stored", (int64_t)c->stored_at);
	set(o, "epoch", c->store_epoch);
	state_enter(r->keeper);
	if (r->keeper->store && store_counts(r->keeper->store, &consumers, &keys) == 0) {
		set(o, "consumers", consumers);
		set(o, "keys", keys);
	}
	state_leave(r->keeper);
	return o;
}

void
api_status(const struct api_request *r, struct api_answer *a)
{
	const struct control *c = r->keeper->shared.control;
	json_t *doc = json_object(), *o = json_object();

	api_set(doc, "version", STR(POSTERN_VERSION));
	api_set(doc, "file", r->keeper->model->file);
	set(doc, "revision", c->revision);
	set(doc, "generations", c->generations);
	set(o, "ok", c->reloads_ok);
	set(o, "failed", c->reloads_failed);
	json_object_set_new(o, "last_ok", json_boolean(c->reload_good));
	api_set_time(o, "at", (int64_t)c->reloaded_at);
	json_object_set_new(doc, "reloads", o);
	json_object_set_new(doc, "processes", processes(r->keeper->shared.slots));
	set(doc, "worker_deaths", c->worker_deaths);
	json_object_set_new(doc, "store", store_status(r));
	api_json(r, a, 200, doc);
}

/* ---- audit, history */

struct rows {
	json_t *list;
	size_t most;
	struct str name; /* of the audit; empty: all */
};

/* JSON as it was written, or, if it was cut, its text. */
static void
set_json(json_t *o, const char *key, const char *text)
{
	json_t *v = *text ? json_loads(text, 0, NULL) : json_null();

	if (v)
		json_object_set_new(o, key, v);
	else
		api_set(o, key, str_of(text));
}

static bool
take_audit(void *arg, const struct audit_row *row)
{
	struct rows *l = arg;
	json_t *o;

	if (l->name.len && !str_eq(l->name, str_of(row->name)))
		return true;
	o = json_object();
	api_set_time(o, "at", row->at);
	api_set(o, "who", str_of(row->who));
	api_set(o, "what", str_of(row->what));
	api_set(o, "name", str_of(row->name));
	set_json(o, "before", row->before);
	set_json(o, "after", row->after);
	json_array_append_new(l->list, o);
	return json_array_size(l->list) < l->most;
}

static bool
take_revision(void *arg, const struct revision *v)
{
	struct rows *l = arg;
	json_t *o = json_object();

	set(o, "revision", v->number);
	json_object_set_new(o, "ok", json_boolean(v->ok));
	api_set_time(o, "at", v->at);
	api_set(o, "by", str_of(v->who));
	set(o, "generation", v->generation);
	set(o, "master", (uint64_t)v->master);
	api_set(o, "file", str_of(v->file));
	api_set(o, "text", str_of(v->text));
	json_array_append_new(l->list, o);
	return json_array_size(l->list) < l->most;
}

static void
answer_list(const struct api_request *r, struct api_answer *a, const char *key,
	    json_t *list, int rc)
{
	json_t *doc = json_object();

	json_object_set_new(doc, key, list);
	if (rc < 0) {
		json_decref(doc);
		api_store_failed(r, a);
		return;
	}
	api_json(r, a, 200, doc);
}

void
api_audit(const struct api_request *r, struct api_answer *a)
{
	int limit = api_limit(r, a, 100, 10000), rc;
	struct rows l = { .most = (size_t)limit };
	struct store *s;

	if (limit < 0 || !(s = api_store(r, a)))
		return;
	api_query(r, "name", &l.name);
	l.list = json_array();
	state_enter(r->keeper);
	rc = store_audit(s, take_audit, &l);
	state_leave(r->keeper);
	answer_list(r, a, "audit", l.list, rc);
}

void
api_history(const struct api_request *r, struct api_answer *a)
{
	int limit = api_limit(r, a, 100, 10000), rc;
	struct rows l = { .most = (size_t)limit };
	struct store *s;

	if (limit < 0 || !(s = api_store(r, a)))
		return;
	l.list = json_array();
	state_enter(r->keeper);
	rc = store_revisions(s, take_revision, &l);
	state_leave(r->keeper);
	answer_list(r, a, "revisions", l.list, rc);
}

/* ---- poison */

static json_t *
poisoned(const struct shared *s)
{
	json_t *list = json_array();

	for (int i = 0; i < POISON_ROWS; i++) {
		const struct poison_row *row = &s->poison->row[i];
		uint64_t until = row->until;
		uint32_t route = row->route;
		char text[20];
		json_t *o;

		if (!row->signature)
			continue;
		o = json_object();
		snprintf(text, sizeof(text), "%016llx",
			 (unsigned long long)row->signature);
		api_set(o, "signature", str_of(text));
		set(o, "deaths", row->deaths);
		if (route && route < series_count(&s->stats))
			api_set(o, "route",
				(struct str){ s->stats.names[route].name,
					      s->stats.names[route].len });
		json_object_set_new(o, "refused", json_boolean(until > clock_ms()));
		set(o, "seconds_left",
		    until > clock_ms() ? (until - clock_ms() + 999) / 1000 : 0);
		json_array_append_new(list, o);
	}
	return list;
}

void
api_poison(const struct api_request *r, struct api_answer *a)
{
	json_t *doc = json_object();

	json_object_set_new(doc, "poison", poisoned(&r->keeper->shared));
	api_json(r, a, 200, doc);
}

static int
nothing(struct store *s, void *arg)
{
	(void)s;
	(void)arg;
	return 0;
}

/* Works without a store too: what refuses requests must be possible to stop. */
void
api_poison_clear(const struct api_request *r, struct api_answer *a)
{
	struct api_answer unused = { 0 };

	api_write(r, &unused,
		  (struct api_change){ nothing, NULL, "poison clear", STR_NONE,
				       poisoned(&r->keeper->shared), NULL });
	poison_clear(r->keeper->shared.poison);
	a->status = 204;
}
