#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "master/keeper/admin.h"
#include "master/keeper/api.h"
#include "shm/store_usage.h"

enum { PAGE = 100, PAGE_MOST = 1000 };

/* ---- finding */

struct str
api_where(const struct api_request *r, struct where w)
{
	return arena_printf(r->arena, "%s:%u", w.file ? w.file : "?", w.line);
}

void
api_of_file(const struct api_request *r, struct api_answer *a, struct str name,
	    struct where w)
{
	api_problem(r, a, 409, "%.*s is defined in %.*s: change it there and reload",
		    STR_ARG(name), STR_ARG(api_where(r, w)));
}

static void
row_of_file(const struct conf_consumer *c, struct consumer_row *row)
{
	struct str plan = c->plan ? c->plan->name : STR_NONE;

	memcpy(row->name, c->name.at, c->name.len);
	if (plan.len)
		memcpy(row->plan, plan.at, plan.len);
	row->of_file = 1;
}

/* A row of the store for `name`: 1, 0, -1 (answered). */
static int
row_of_store(const struct api_request *r, struct api_answer *a, struct str name,
	     struct consumer_row *row)
{
	char text[CONSUMER_NAME] = "";
	struct store *s = api_store(r, a);
	int rc;

	if (!s)
		return -1;
	memcpy(text, name.at, name.len);
	state_enter(r->keeper);
	rc = store_consumer_find(s, text, row);
	state_leave(r->keeper);
	if (rc < 0)
		api_store_failed(r, a);
	return rc;
}

enum api_origin
api_consumer_find(const struct api_request *r, struct api_answer *a, struct str name,
		  struct consumer_row *row, const struct conf_consumer **conf)
{
	struct consumer_row stored = { .state = 0 };
	int rc;

	memset(row, 0, sizeof(*row));
	*conf = NULL;
	if (!api_name(r, a, name, "consumer"))
		return API_FAILED;
	*conf = conf_consumer_find(r->keeper->model, name);
	rc = row_of_store(r, a, name, &stored);
	if (rc < 0)
		return API_FAILED;
	if (*conf) {
		row_of_file(*conf, row);
		if (rc && stored.of_file) {
			row->state = stored.state;
			row->changed = stored.changed;
			memcpy(row->note, stored.note, sizeof(row->note));
		}
		return API_OF_FILE;
	}
	/* What only suspended one of a file that is gone is nobody. */
	if (!rc || stored.of_file) {
		api_problem(r, a, 404, "there is no consumer %.*s", STR_ARG(name));
		return API_NOBODY;
	}
	*row = stored;
	return API_OF_STORE;
}

/* ---- showing */

static json_t *
shown(const struct api_request *r, const struct consumer_row *row,
      const struct conf_consumer *conf)
{
	json_t *doc = json_object();

	api_set(doc, "name", str_of(row->name));
	api_set(doc, "plan", str_of(row->plan));
	json_object_set_new(doc, "suspended",
			    json_boolean(row->state & CONSUMER_SUSPENDED));
	api_set(doc, "source", conf ? STR("file") : STR("store"));
	if (conf)
		api_set(doc, "where", api_where(r, conf->where));
	api_set(doc, "note", str_of(row->note));
	api_set_time(doc, "created", row->created);
	api_set_time(doc, "changed", row->changed);
	return doc;
}

static void
answer_with(const struct api_request *r, struct api_answer *a, int status,
	    const struct consumer_row *row, const struct conf_consumer *conf)
{
	json_t *doc = shown(r, row, conf), *keys = api_key_list(r, row, conf);

	if (keys)
		json_object_set_new(doc, "keys", keys);
	api_json(r, a, status, doc);
}

void
api_consumer(const struct api_request *r, struct api_answer *a)
{
	const struct conf_consumer *conf;
	struct consumer_row row;

	if (api_consumer_find(r, a, r->param[0], &row, &conf) < API_OF_STORE)
		return;
	answer_with(r, a, 200, &row, conf);
}

/* ---- the list: two sorted ones become one */

struct page {
	const struct conf_model *model;
	struct consumer_row *row;
	const struct conf_consumer **conf;
	size_t n, most;
};

static int
compare(struct str a, struct str b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int c = n ? memcmp(a.at, b.at, n) : 0;

	return c ? c : (a.len > b.len) - (a.len < b.len);
}

static int
by_name(const void *a, const void *b)
{
	const struct conf_consumer *const *x = a, *const *y = b;

	return compare((*x)->name, (*y)->name);
}

/* All consumers of the files, sorted once for each configuration: there may be a million,
 * and they are asked for page by page. NULL: out of memory. */
static const struct conf_consumer **
sorted(struct keeper *k)
{
	const struct conf_consumers *c = &k->model->consumers;
	struct admin *a = k->admin;

	if (a->sorted.generation == k->generation)
		return a->sorted.at;
	free(a->sorted.at);
	a->sorted.generation = 0;
	a->sorted.at = malloc((c->n + 1) * sizeof(*a->sorted.at));
	if (!a->sorted.at)
		return NULL;
	for (size_t i = 0; i < c->n; i++)
		a->sorted.at[i] = &c->at[i];
	qsort(a->sorted.at, c->n, sizeof(*a->sorted.at), by_name);
	a->sorted.generation = k->generation;
	return a->sorted.at;
}

/* Those behind `after`, at most `most` of them: where they begin. */
static const struct conf_consumer **
of_files(const struct api_request *r, struct str after, size_t most, size_t *n)
{
	const struct conf_consumer **all = sorted(r->keeper);
	size_t low = 0, high = all ? r->keeper->model->consumers.n : 0, end = high;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(all[middle]->name, after) > 0)
			high = middle;
		else
			low = middle + 1;
	}
	*n = end - low < most ? end - low : most;
	return all ? all + low : NULL;
}

static bool
take_row(void *arg, const struct consumer_row *row)
{
	struct page *p = arg;

	/* Rows that suspend one of a file are looked up with it. */
	if (!conf_consumer_find(p->model, str_of(row->name)) && !row->of_file)
		p->row[p->n++] = *row;
	return p->n < p->most;
}

static bool
add_merged(const struct api_request *r, struct api_answer *a, json_t *list,
	   const struct page *stored, const struct conf_consumer *const *files,
	   size_t nfiles, size_t most, struct str *last)
{
	size_t i = 0, j = 0;

	while ((i < stored->n || j < nfiles) && i + j < most) {
		const struct consumer_row *row = i < stored->n ? &stored->row[i] : NULL;
		const struct conf_consumer *conf = NULL;
		struct consumer_row file;

		if (j < nfiles &&
		    (!row || compare(files[j]->name, str_of(row->name)) < 0)) {
			if (api_consumer_find(r, a, files[j]->name, &file, &conf) ==
			    API_FAILED)
				return false;
			row = &file;
			j++;
		} else {
			i++;
		}
		*last = arena_str(r->arena, str_of(row->name));
		json_array_append_new(list, shown(r, row, conf));
	}
	return true;
}

void
api_consumers(const struct api_request *r, struct api_answer *a)
{
	int limit = api_limit(r, a, PAGE, PAGE_MOST), rc;
	struct page stored = { .model = r->keeper->model };
	const struct conf_consumer **files;
	struct str after = STR_NONE, last = STR_NONE;
	uint64_t consumers = 0, keys = 0;
	json_t *doc, *list;
	struct store *s;
	size_t nfiles;

	if (limit < 0 || !(s = api_store(r, a)))
		return;
	api_query(r, "after", &after);
	stored.most = (size_t)limit + 1;
	stored.row = ARENA_NEWS(r->arena, struct consumer_row, stored.most);
	files = of_files(r, after, stored.most, &nfiles);
	state_enter(r->keeper);
	rc = store_consumers(s, arena_str(r->arena, after).at, take_row, &stored);
	if (rc >= 0)
		rc = store_counts(s, &consumers, &keys);
	state_leave(r->keeper);
	if (rc < 0) {
		api_store_failed(r, a);
		return;
	}
	list = json_array();
	if (!add_merged(r, a, list, &stored, files, nfiles, (size_t)limit, &last)) {
		json_decref(list);
		return;
	}
	doc = json_object();
	json_object_set_new(doc, "consumers", list);
	api_set(doc, "next", stored.n + nfiles > (size_t)limit ? last : STR_NONE);
	json_object_set_new(doc, "of_files",
			    json_integer((json_int_t)r->keeper->model->consumers.n));
	json_object_set_new(doc, "of_store", json_integer((json_int_t)consumers));
	json_object_set_new(doc, "keys_of_store", json_integer((json_int_t)keys));
	api_json(r, a, 200, doc);
}

/* ---- changing */

struct change {
	struct consumer_row row;
	int overrides; /* +1, -1: one more of a file is suspended, or one less */
	bool drop;
};

static int
write_consumer(struct store *s, void *arg)
{
	const struct change *c = arg;
	uint64_t n = 0;

	if ((c->drop ? store_consumer_drop(s, c->row.name)
		     : store_consumer_put(s, &c->row)) < 0)
		return -1;
	if (!c->overrides)
		return 0;
	if (store_booked_get(s, STR(API_OVERRIDES), &n, sizeof(n)) < 0)
		return -1;
	n = c->overrides < 0 ? n - (n > 0) : n + 1;
	return store_booked_put(s, STR(API_OVERRIDES), &n, sizeof(n));
}

static bool
plan_exists(const struct api_request *r, struct api_answer *a, const char *name)
{
	struct conf_plan plan;
	int rc;

	if (!*name)
		return true;
	rc = api_plan_find(r, a, str_of(name), &plan);
	if (rc == 0)
		api_problem(r, a, 400, "there is no plan %s; GET /v1/plans lists them",
			    name);
	return rc > 0;
}

static bool
store_change(const struct api_request *r, struct api_answer *a, struct change *c,
	     const char *what, json_t *before, json_t *after)
{
	if (!api_write(r, a,
		       (struct api_change){ write_consumer, c, what, str_of(c->row.name),
					    before, after }))
		return false;
	if (c->overrides)
		api_overrides(r->keeper);
	return true;
}

void
api_consumer_add(const struct api_request *r, struct api_answer *a)
{
	static const char *const known[] = { "name", "plan", "note", NULL };
	struct change c = { .row.created = clock_wall_ms() };
	struct consumer_row old = { .state = 0 };
	json_t *doc = api_body(r, a, known);
	const struct conf_consumer *conf;
	int named, rc;

	if (!doc)
		return;
	named = api_text(r, a, doc, "name", c.row.name, sizeof(c.row.name));
	rc = named < 0 ||
			     api_text(r, a, doc, "plan", c.row.plan, sizeof(c.row.plan)) <
				     0 ||
			     api_text(r, a, doc, "note", c.row.note, sizeof(c.row.note)) <
				     0
		     ? -1
		     : 0;
	json_decref(doc);
	if (rc < 0 || !api_name(r, a, str_of(c.row.name), "consumer") ||
	    !plan_exists(r, a, c.row.plan))
		return;
	conf = conf_consumer_find(r->keeper->model, str_of(c.row.name));
	if (conf) {
		api_of_file(r, a, conf->name, conf->where);
		return;
	}
	rc = row_of_store(r, a, str_of(c.row.name), &old);
	if (rc < 0)
		return;
	if (rc && !old.of_file) {
		api_problem(r, a, 409, "there is a consumer %s already", c.row.name);
		return;
	}
	c.overrides = rc && old.state & CONSUMER_SUSPENDED ? -1 : 0;
	c.row.changed = c.row.created;
	if (store_change(r, a, &c, "consumer add", NULL, shown(r, &c.row, NULL)))
		answer_with(r, a, 201, &c.row, NULL);
}

/* Suspends one of a file, or lets it go on. */
static void
patch_of_file(const struct api_request *r, struct api_answer *a, json_t *doc,
	      const struct consumer_row *old, const struct conf_consumer *conf)
{
	const json_t *v = json_object_get(doc, "suspended");
	struct change c = { .row = *old };
	bool was = old->state & CONSUMER_SUSPENDED, is = json_is_true(v);

	if (json_object_size(doc) != 1 || !v) {
		api_of_file(r, a, conf->name, conf->where);
		return;
	}
	if (was != is) {
		c.row.state = is ? CONSUMER_SUSPENDED : 0;
		c.row.changed = clock_wall_ms();
		if (!c.row.created)
			c.row.created = c.row.changed;
		c.overrides = is ? 1 : -1;
		if (!store_change(r, a, &c, is ? "consumer suspend" : "consumer resume",
				  shown(r, old, conf), shown(r, &c.row, conf)))
			return;
	}
	answer_with(r, a, 200, &c.row, conf);
}

static void
patch_of_store(const struct api_request *r, struct api_answer *a, json_t *doc,
	       const struct consumer_row *old)
{
	const json_t *v = json_object_get(doc, "suspended");
	struct change c = { .row = *old };
	const char *what = "consumer set";

	if (api_text(r, a, doc, "plan", c.row.plan, sizeof(c.row.plan)) < 0 ||
	    api_text(r, a, doc, "note", c.row.note, sizeof(c.row.note)) < 0)
		return;
	if (json_object_get(doc, "plan") && !plan_exists(r, a, c.row.plan))
		return;
	if (v) {
		c.row.state &= ~(uint32_t)CONSUMER_SUSPENDED;
		if (json_is_true(v))
			c.row.state |= CONSUMER_SUSPENDED;
		if (json_object_size(doc) == 1)
			what = json_is_true(v) ? "consumer suspend" : "consumer resume";
	}
	c.row.changed = clock_wall_ms();
	if (store_change(r, a, &c, what, shown(r, old, NULL), shown(r, &c.row, NULL)))
		answer_with(r, a, 200, &c.row, NULL);
}

void
api_consumer_patch(const struct api_request *r, struct api_answer *a)
{
	static const char *const known[] = { "plan", "note", "suspended", NULL };
	const struct conf_consumer *conf;
	struct consumer_row old;
	const json_t *v;
	json_t *doc;

	if (api_consumer_find(r, a, r->param[0], &old, &conf) < API_OF_STORE)
		return;
	doc = api_body(r, a, known);
	if (!doc)
		return;
	v = json_object_get(doc, "suspended");
	if (v && !json_is_boolean(v))
		api_problem(r, a, 400, "suspended must be true or false");
	else if (!json_object_size(doc))
		api_problem(r, a, 400, "nothing to change: plan, note or suspended");
	else if (conf)
		patch_of_file(r, a, doc, &old, conf);
	else
		patch_of_store(r, a, doc, &old);
	json_decref(doc);
}

void
api_consumer_drop(const struct api_request *r, struct api_answer *a)
{
	const struct conf_consumer *conf;
	struct change c = { .drop = true };

	if (api_consumer_find(r, a, r->param[0], &c.row, &conf) < API_OF_STORE)
		return;
	if (conf) {
		api_of_file(r, a, conf->name, conf->where);
		return;
	}
	if (store_change(r, a, &c, "consumer remove", shown(r, &c.row, NULL), NULL))
		a->status = 204;
}
