/* Quotas of a consumer: what the workers have counted, read and reset in the region. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "master/keeper/api.h"

/* One window of one policy for one consumer. */
struct window {
	const struct conf_policy *policy;
	const struct conf_quota *quota;
	struct str plan; /* empty: the policy's own */
	struct siphash key;
	uint32_t ends; /* minutes since 1970 */
};

typedef void window_fn(const struct api_request *, const struct window *, void *arg);

static struct str
policy_name(const struct api_request *r, const struct conf_policy *p)
{
	return p->name.len ? p->name : api_where(r, p->where);
}

static void
each_of_policy(const struct api_request *r, const struct conf_policy *p,
	       const struct conf_counted *c, struct str consumer, window_fn *fn,
	       void *arg)
{
	const struct quotas *all = r->keeper->shared.quotas;

	for (uint32_t i = 0; i < c->n; i++) {
		const struct conf_quota *q = &c->quota[i];
		struct window w = { .policy = p, .quota = q };

		w.key = quotas_key(all, c->which[q->window], consumer);
		w.ends = conf_window_ends((enum conf_window)q->window, c->zone,
					  clock_wall_ms() / 1000);
		fn(r, &w, arg);
	}
}

/* Calls fn for every window that counts this consumer. -1: answered. */
static int
each(const struct api_request *r, struct api_answer *a, struct str consumer,
     struct str only, window_fn *fn, void *arg)
{
	const struct conf_model *m = r->keeper->model;
	const struct conf_consumer *conf;
	struct conf_plan plan = { .nquotas = 0 };
	struct consumer_row row;
	bool found = !only.len;

	if (api_consumer_find(r, a, consumer, &row, &conf) < API_OF_STORE)
		return -1;
	if (*row.plan &&
	    api_plan_find(r, a, arena_str(r->arena, str_of(row.plan)), &plan) < 0)
		return -1;
	for (size_t i = 0; i < m->npolicies; i++) {
		const struct conf_policy *p = m->policies[i];
		struct conf_counted c;

		if (!p->used || !p->type->counted || !p->type->counted(p->self, &c))
			continue;
		if (only.len && !str_eq(only, policy_name(r, p)))
			continue;
		found = true;
		if (c.plan) {
			c.quota = plan.quota;
			c.n = plan.nquotas;
			c.zone = plan.zone;
		}
		each_of_policy(r, p, &c, consumer, fn, arg);
	}
	if (!found)
		api_problem(r, a, 404, "no policy %.64s counts by consumer",
			    arena_str(r->arena, only).at);
	return found ? 0 : -1;
}

static void
show(const struct api_request *r, const struct window *w, void *arg)
{
	struct quota_answer q =
		quotas_take(r->keeper->shared.quotas, w->key, w->ends,
			    (uint32_t)(clock_wall_ms() / 60000), w->quota->count, 0);
	json_t *o = json_object();

	api_set(o, "policy", policy_name(r, w->policy));
	api_set(o, "window", str_of(conf_window_names[w->quota->window]));
	json_object_set_new(o, "used", json_integer((json_int_t)q.used));
	json_object_set_new(o, "limit", json_integer((json_int_t)w->quota->count));
	json_object_set_new(o, "left",
			    json_integer(q.used < w->quota->count
						 ? (json_int_t)(w->quota->count - q.used)
						 : 0));
	api_set_time(o, "ends", (int64_t)w->ends * 60000);
	json_array_append_new(arg, o);
}

static void
reset(const struct api_request *r, const struct window *w, void *arg)
{
	uint64_t was = quotas_reset(r->keeper->shared.quotas, w->key, w->ends);
	json_t *o = json_object();

	api_set(o, "policy", policy_name(r, w->policy));
	api_set(o, "window", str_of(conf_window_names[w->quota->window]));
	json_object_set_new(o, "was", json_integer((json_int_t)was));
	json_array_append_new(arg, o);
}

static void
answer_list(const struct api_request *r, struct api_answer *a, json_t *list)
{
	json_t *doc = json_object();

	api_set(doc, "consumer", r->param[0]);
	json_object_set_new(doc, "quotas", list);
	api_json(r, a, 200, doc);
}

void
api_quota(const struct api_request *r, struct api_answer *a)
{
	json_t *list = json_array();

	if (each(r, a, r->param[0], STR_NONE, show, list) < 0)
		json_decref(list);
	else
		answer_list(r, a, list);
}

static int
nothing(struct store *s, void *arg)
{
	(void)s;
	(void)arg;
	return 0;
}

void
api_quota_reset(const struct api_request *r, struct api_answer *a)
{
	static const char *const known[] = { "policy", NULL };
	json_t *doc = api_body(r, a, known), *before, *after;
	char policy[128] = "";
	int rc;

	if (!doc)
		return;
	rc = api_text(r, a, doc, "policy", policy, sizeof(policy));
	json_decref(doc);
	if (rc < 0)
		return;
	before = json_array();
	if (each(r, a, r->param[0], str_of(policy), show, before) < 0) {
		json_decref(before);
		return;
	}
	/* Nothing is changed that the audit does not say. */
	if (!api_write(r, a,
		       (struct api_change){ nothing, NULL, "quota reset", r->param[0],
					    before, NULL }))
		return;
	after = json_array();
	each(r, a, r->param[0], str_of(policy), reset, after);
	answer_list(r, a, after);
}
