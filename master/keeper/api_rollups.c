/* How it went: requests, errors and latencies of services, routes, targets and consumers.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "master/keeper/api_range.h"

/* A row is 2 KiB with its histogram. */
enum { ROWS = 20000 };

static const struct {
	const char *name;
	enum rollup_kind kind;
} kinds[] = {
	{ "service", ROLLUP_SERVICE },
	{ "route", ROLLUP_ROUTE },
	{ "target", ROLLUP_TARGET },
	{ "consumer", ROLLUP_CONSUMER },
};

struct report {
	const struct api_range *range;
	struct arena *arena;
	struct rollup_row **at;
	size_t n;
	bool too_many;
};

static void
add(struct rollup_sum *to, const struct rollup_sum *s)
{
	to->requests += s->requests;
	for (int i = 0; i < 5; i++)
		to->status[i] += s->status[i];
	to->failed += s->failed;
	to->in += s->in;
	to->out += s->out;
	to->us += s->us;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		to->histogram[i] += s->histogram[i];
}

/* Days of one month are added up where they first appear. */
static struct rollup_row *
of_same_month(const struct report *t, const struct rollup_row *row, int64_t begin)
{
	for (size_t i = t->n; t->range->months && i-- > 0 && t->at[i]->begin == begin;)
		if (str_eq(t->at[i]->name, row->name))
			return t->at[i];
	return NULL;
}

static bool
take(void *arg, const struct rollup_row *row)
{
	struct report *t = arg;
	int64_t begin = api_range_begin(t->range, row->begin);
	struct rollup_row *to = of_same_month(t, row, begin);

	if (to) {
		add(&to->sum, &row->sum);
		return true;
	}
	if (t->n == ROWS) {
		t->too_many = true;
		return false;
	}
	to = arena_alloc(t->arena, sizeof(*to));
	*to = *row;
	to->begin = begin;
	to->name = arena_str(t->arena, row->name);
	t->at = arena_push(t->arena, t->at, t->n, sizeof(struct rollup_row *));
	t->at[t->n++] = to;
	return true;
}

static void
set(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

static void
answer_json(const struct api_request *r, struct api_answer *a, const struct api_range *g,
	    const char *kind, const struct report *t)
{
	json_t *doc = json_object(), *list = json_array();

	json_object_set_new(doc, "kind", json_string(kind));
	json_object_set_new(doc, "by", json_string(g->by));
	api_set_time(doc, "from", g->from * 1000);
	api_set_time(doc, "to", g->to * 1000);
	for (size_t i = 0; i < t->n; i++) {
		const struct rollup_sum *s = &t->at[i]->sum;
		json_t *o = json_object(), *status = json_object();
		char class[4] = "1xx";

		api_set_time(o, "begin", t->at[i]->begin * 1000);
		api_set(o, "name", t->at[i]->name);
		set(o, "requests", s->requests);
		for (int c = 0; c < 5; c++) {
			class[0] = (char)('1' + c);
			set(status, class, s->status[c]);
		}
		json_object_set_new(o, "status", status);
		set(o, "failed", s->failed);
		set(o, "bytes_in", s->in);
		set(o, "bytes_out", s->out);
		set(o, "mean_us", s->requests ? s->us / s->requests : 0);
		set(o, "p50_us", rollup_quantile(s, 0.50));
		set(o, "p95_us", rollup_quantile(s, 0.95));
		set(o, "p99_us", rollup_quantile(s, 0.99));
		json_array_append_new(list, o);
	}
	json_object_set_new(doc, "rollups", list);
	api_json(r, a, 200, doc);
}

static void
answer_csv(const struct api_request *r, struct api_answer *a, const char *kind,
	   const struct report *t)
{
	char *text = NULL, begin[24];
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out) {
		api_problem(r, a, 503, "out of memory");
		return;
	}
	fprintf(out,
		"begin,%s,requests,requests_1xx,requests_2xx,requests_3xx,requests_4xx,"
		"requests_5xx,failed,"
		"bytes_in,bytes_out,mean_us,p50_us,p95_us,p99_us\r\n",
		kind);
	for (size_t i = 0; i < t->n; i++) {
		const struct rollup_sum *s = &t->at[i]->sum;

		api_range_put(begin, t->at[i]->begin);
		fprintf(out, "%s,", begin);
		api_csv(out, t->at[i]->name);
		fprintf(out, ",%" PRIu64, s->requests);
		for (int c = 0; c < 5; c++)
			fprintf(out, ",%" PRIu64, s->status[c]);
		fprintf(out,
			",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
			",%" PRIu64 ",%" PRIu64 "\r\n",
			s->failed, s->in, s->out, s->requests ? s->us / s->requests : 0,
			rollup_quantile(s, 0.50), rollup_quantile(s, 0.95),
			rollup_quantile(s, 0.99));
	}
	api_csv_done(r, a, out, &text, &len);
}

void
api_rollups(const struct api_request *r, struct api_answer *a)
{
	size_t k = 0, n = sizeof(kinds) / sizeof(*kinds);
	struct str kind = STR("service"), name = STR_NONE;
	struct report t = { .arena = r->arena };
	struct api_range g;
	struct store *s;
	int rc;

	if (!api_range(r, a, &g))
		return;
	api_query(r, "kind", &kind);
	api_query(r, "name", &name);
	while (k < n && !str_eq(kind, str_of(kinds[k].name)))
		k++;
	if (k == n) {
		api_problem(r, a, 400, "kind is service, route, target or consumer");
		return;
	}
	t.range = &g;
	collect_now(r->keeper);
	if (!(s = api_store(r, a)))
		return;
	state_enter(r->keeper);
	rc = store_rollups(s, g.level, kinds[k].kind, g.from, g.to, name, take, &t);
	state_leave(r->keeper);
	if (rc < 0)
		api_store_failed(r, a);
	else if (t.too_many)
		api_problem(r, a, 400, "more than %d rows: narrow it by from, to or name",
			    ROWS);
	else if (g.csv)
		answer_csv(r, a, kinds[k].name, &t);
	else
		answer_json(r, a, &g, kinds[k].name, &t);
}
