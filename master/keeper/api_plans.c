#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "master/keeper/api.h"

/* ---- finding */

static int
row_of(const struct api_request *r, struct api_answer *a, struct str name,
       struct plan_row *row)
{
	char text[CONSUMER_NAME] = "";
	struct store *s = api_store(r, a);
	int rc;

	if (!s)
		return -1;
	if (name.len >= sizeof(text))
		return 0;
	memcpy(text, name.at, name.len);
	state_enter(r->keeper);
	rc = store_plan_find(s, text, row);
	state_leave(r->keeper);
	if (rc < 0)
		api_store_failed(r, a);
	return rc;
}

static struct str
keep(const struct api_request *r, const char *text)
{
	return arena_str(r->arena, str_of(text));
}

static int
plan_of_row(const struct api_request *r, const struct plan_row *row,
	    struct conf_plan *plan, const char **error)
{
	memset(plan, 0, sizeof(*plan));
	return conf_plan_texts(plan, keep(r, row->name), keep(r, row->rate),
			       keep(r, row->quota), keep(r, row->zone), row->burst,
			       error);
}

int
api_plan_find(const struct api_request *r, struct api_answer *a, struct str name,
	      struct conf_plan *plan)
{
	const struct conf_plan *conf = conf_plan_find(r->keeper->model, name);
	struct plan_row row;
	const char *error;
	int rc;

	if (conf) {
		*plan = *conf;
		return 1;
	}
	rc = row_of(r, a, name, &row);
	if (rc > 0 && plan_of_row(r, &row, plan, &error) < 0) {
		api_problem(r, a, 500, "plan %s of the store: %s", row.name, error);
		return -1;
	}
	return rc;
}

/* ---- showing */

static json_t *
shown(const struct plan_row *row)
{
	json_t *doc = json_object();

	api_set(doc, "name", str_of(row->name));
	api_set(doc, "rate", str_of(row->rate));
	json_object_set_new(doc, "burst",
			    row->burst ? json_integer((json_int_t)row->burst)
				       : json_null());
	api_set(doc, "quota", str_of(row->quota));
	api_set(doc, "zone", str_of(row->zone));
	api_set(doc, "source", STR("store"));
	api_set_time(doc, "created", row->created);
	api_set_time(doc, "changed", row->changed);
	return doc;
}

static json_t *
shown_of_file(const struct api_request *r, const struct conf_plan *p)
{
	json_t *doc = json_object();

	api_set(doc, "name", p->name);
	api_set(doc, "rate", p->rate_text);
	json_object_set_new(doc, "burst",
			    p->burst ? json_integer(p->burst) : json_null());
	api_set(doc, "quota", p->quota_text);
	api_set(doc, "zone", p->zone);
	api_set(doc, "source", STR("file"));
	api_set(doc, "where", api_where(r, p->where));
	return doc;
}

struct listed {
	const struct conf_model *model;
	json_t *list;
};

static bool
list_row(void *arg, const struct plan_row *row)
{
	const struct listed *l = arg;

	if (!conf_plan_find(l->model, str_of(row->name)))
		json_array_append_new(l->list, shown(row));
	return true;
}

void
api_plans(const struct api_request *r, struct api_answer *a)
{
	const struct conf_model *m = r->keeper->model;
	struct listed l = { .model = m };
	struct store *s = api_store(r, a);
	json_t *doc;
	int rc;

	if (!s)
		return;
	l.list = json_array();
	for (size_t i = 0; i < m->nplans; i++)
		json_array_append_new(l.list, shown_of_file(r, &m->plans[i]));
	state_enter(r->keeper);
	rc = store_plans(s, list_row, &l);
	state_leave(r->keeper);
	doc = json_object();
	json_object_set_new(doc, "plans", l.list);
	if (rc < 0) {
		json_decref(doc);
		api_store_failed(r, a);
		return;
	}
	api_json(r, a, 200, doc);
}

void
api_plan(const struct api_request *r, struct api_answer *a)
{
	const struct conf_plan *conf = conf_plan_find(r->keeper->model, r->param[0]);
	struct plan_row row;
	int rc;

	if (conf) {
		api_json(r, a, 200, shown_of_file(r, conf));
		return;
	}
	rc = row_of(r, a, r->param[0], &row);
	if (rc > 0)
		api_json(r, a, 200, shown(&row));
	else if (rc == 0)
		api_problem(r, a, 404, "there is no plan %.64s", r->param[0].at);
}

/* ---- changing */

static int
write_plan(struct store *s, void *arg)
{
	return store_plan_put(s, arg);
}

static int
drop_plan(struct store *s, void *arg)
{
	return store_plan_drop(s, ((const struct plan_row *)arg)->name);
}

/* The members of the body; -1: answered. */
static int
fill(const struct api_request *r, struct api_answer *a, const json_t *doc,
     struct plan_row *row)
{
	const json_t *burst = json_object_get(doc, "burst");
	struct conf_plan plan;
	const char *error;

	if (api_text(r, a, doc, "name", row->name, sizeof(row->name)) < 0 ||
	    api_text(r, a, doc, "rate", row->rate, sizeof(row->rate)) < 0 ||
	    api_text(r, a, doc, "quota", row->quota, sizeof(row->quota)) < 0 ||
	    api_text(r, a, doc, "zone", row->zone, sizeof(row->zone)) < 0)
		return -1;
	if (burst && !json_is_null(burst) &&
	    (!json_is_integer(burst) || json_integer_value(burst) < 1)) {
		api_problem(r, a, 400, "burst is a number of requests, at least 1");
		return -1;
	}
	row->burst = (uint64_t)json_integer_value(burst);
	if (!api_name(r, a, str_of(row->name), "plan"))
		return -1;
	if (plan_of_row(r, row, &plan, &error) == 0)
		return 0;
	api_problem(r, a, 400, "%s", error);
	return -1;
}

/* `replace`: one of that name may be there. */
static void
put(const struct api_request *r, struct api_answer *a, struct plan_row *row, bool replace)
{
	const struct conf_plan *conf =
		conf_plan_find(r->keeper->model, str_of(row->name));
	struct plan_row old;
	int rc;

	if (conf) {
		api_of_file(r, a, conf->name, conf->where);
		return;
	}
	rc = row_of(r, a, str_of(row->name), &old);
	if (rc < 0)
		return;
	if (rc && !replace) {
		api_problem(r, a, 409,
			    "there is a plan %s already; PUT /v1/plans/%s replaces it",
			    row->name, row->name);
		return;
	}
	row->changed = clock_wall_ms();
	row->created = rc ? old.created : row->changed;
	if (api_write(r, a,
		      (struct api_change){ write_plan, row, rc ? "plan set" : "plan add",
					   str_of(row->name), rc ? shown(&old) : NULL,
					   shown(row) }))
		api_json(r, a, rc ? 200 : 201, shown(row));
}

void
api_plan_add(const struct api_request *r, struct api_answer *a)
{
	static const char *const known[] = { "name",  "rate", "burst",
					     "quota", "zone", NULL };
	struct plan_row row = { .burst = 0 };
	json_t *doc = api_body(r, a, known);
	int rc;

	if (!doc)
		return;
	rc = fill(r, a, doc, &row);
	json_decref(doc);
	if (rc == 0)
		put(r, a, &row, false);
}

void
api_plan_put(const struct api_request *r, struct api_answer *a)
{
	static const char *const known[] = { "rate", "burst", "quota", "zone", NULL };
	struct plan_row row = { .burst = 0 };
	json_t *doc;
	int rc;

	if (!api_name(r, a, r->param[0], "plan") || !(doc = api_body(r, a, known)))
		return;
	memcpy(row.name, r->param[0].at, r->param[0].len);
	rc = fill(r, a, doc, &row);
	json_decref(doc);
	if (rc == 0)
		put(r, a, &row, true);
}

struct user {
	const char *plan;
	char name[CONSUMER_NAME];
};

static bool
uses_plan(void *arg, const struct consumer_row *row)
{
	struct user *u = arg;

	if (row->of_file || strcmp(row->plan, u->plan) != 0)
		return true;
	memcpy(u->name, row->name, sizeof(u->name));
	return false;
}

void
api_plan_drop(const struct api_request *r, struct api_answer *a)
{
	const struct conf_plan *conf = conf_plan_find(r->keeper->model, r->param[0]);
	struct plan_row row;
	struct user user = { .plan = row.name };
	int rc;

	if (conf) {
		api_of_file(r, a, conf->name, conf->where);
		return;
	}
	rc = row_of(r, a, r->param[0], &row);
	if (rc == 0)
		api_problem(r, a, 404, "there is no plan %.64s", r->param[0].at);
	if (rc <= 0)
		return;
	state_enter(r->keeper);
	rc = store_consumers(r->keeper->store, NULL, uses_plan, &user);
	state_leave(r->keeper);
	if (rc < 0)
		api_store_failed(r, a);
	else if (*user.name)
		api_problem(r, a, 409,
			    "consumer %s has plan %s: give it another one first",
			    user.name, row.name);
	else if (api_write(r, a,
			   (struct api_change){ drop_plan, &row, "plan remove",
						str_of(row.name), shown(&row), NULL }))
		a->status = 204;
}
