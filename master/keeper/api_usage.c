/* What was used, for bills: exact, by consumer and service. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "master/keeper/api_range.h"

static const char *const classes[METER_CLASSES] = { "none", "2xx", "3xx", "4xx", "5xx" };

struct report {
	const struct api_range *range;
	struct arena *arena;
	struct usage_row *at;
	size_t n;
	bool too_many;
};

static bool
take(void *arg, const struct usage_row *row)
{
	struct report *t = arg;
	struct usage_row *to;

	if (t->n == API_ROWS) {
		t->too_many = true;
		return false;
	}
	t->at = arena_push(t->arena, t->at, t->n, sizeof(*t->at));
	to = &t->at[t->n++];
	*to = *row;
	to->begin = api_range_begin(t->range, row->begin);
	to->consumer = arena_str(t->arena, row->consumer);
	to->service = arena_str(t->arena, row->service);
	return true;
}

static int
compare(struct str a, struct str b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int c = n ? memcmp(a.at, b.at, n) : 0;

	return c ? c : (a.len > b.len) - (a.len < b.len);
}

static int
by_place(const void *a, const void *b)
{
	const struct usage_row *x = a, *y = b;
	int c;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	c = compare(x->consumer, y->consumer);
	return c ? c : compare(x->service, y->service);
}

static void
add(struct usage_sum *to, const struct usage_sum *s)
{
	for (int i = 0; i < METER_CLASSES; i++) {
		to->of[i].requests += s->of[i].requests;
		to->of[i].in += s->of[i].in;
		to->of[i].out += s->of[i].out;
	}
}

/* Rows of one window and one pair of names become one. */
static void
fold(struct report *t)
{
	size_t n = 0;

	if (!t->n)
		return;
	qsort(t->at, t->n, sizeof(*t->at), by_place);
	for (size_t i = 1; i < t->n; i++) {
		if (by_place(&t->at[n], &t->at[i]) == 0)
			add(&t->at[n].sum, &t->at[i].sum);
		else
			t->at[++n] = t->at[i];
	}
	t->n = n + 1;
}

struct figures {
	uint64_t requests, in, out;
};

static struct figures
figures(const struct usage_sum *s)
{
	struct figures f = { 0 };

	for (int i = 0; i < METER_CLASSES; i++) {
		f.requests += s->of[i].requests;
		f.in += s->of[i].in;
		f.out += s->of[i].out;
	}
	return f;
}

static void
set_sum(json_t *o, const struct usage_sum *s)
{
	struct figures f = figures(s);
	json_t *status = json_object();

	json_object_set_new(o, "requests", json_integer((json_int_t)f.requests));
	for (int i = 0; i < METER_CLASSES; i++)
		json_object_set_new(status, classes[i],
				    json_integer((json_int_t)s->of[i].requests));
	json_object_set_new(o, "status", status);
	json_object_set_new(o, "bytes_in", json_integer((json_int_t)f.in));
	json_object_set_new(o, "bytes_out", json_integer((json_int_t)f.out));
}

static void
answer_json(const struct api_request *r, struct api_answer *a, const struct api_range *g,
	    const struct report *t)
{
	json_t *doc = json_object(), *list = json_array(), *total = json_object();
	struct usage_sum sum = { 0 };

	json_object_set_new(doc, "by", json_string(g->by));
	api_set_time(doc, "from", g->from * 1000);
	api_set_time(doc, "to", g->to * 1000);
	for (size_t i = 0; i < t->n; i++) {
		json_t *o = json_object();

		api_set_time(o, "begin", t->at[i].begin * 1000);
		api_set(o, "consumer", t->at[i].consumer);
		api_set(o, "service", t->at[i].service);
		set_sum(o, &t->at[i].sum);
		add(&sum, &t->at[i].sum);
		json_array_append_new(list, o);
	}
	json_object_set_new(doc, "usage", list);
	set_sum(total, &sum);
	json_object_set_new(doc, "total", total);
	api_json(r, a, 200, doc);
}

static void
answer_csv(const struct api_request *r, struct api_answer *a, const struct report *t)
{
	char *text = NULL, begin[24];
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out) {
		api_problem(r, a, 503, "out of memory");
		return;
	}
	fputs("begin,consumer,service,requests", out);
	for (int i = 0; i < METER_CLASSES; i++)
		fprintf(out, ",requests_%s", classes[i]);
	fputs(",bytes_in,bytes_out\r\n", out);
	for (size_t i = 0; i < t->n; i++) {
		const struct usage_row *row = &t->at[i];
		struct figures f = figures(&row->sum);

		api_range_put(begin, row->begin);
		fprintf(out, "%s,", begin);
		api_csv(out, row->consumer);
		putc(',', out);
		api_csv(out, row->service);
		fprintf(out, ",%" PRIu64, f.requests);
		for (int c = 0; c < METER_CLASSES; c++)
			fprintf(out, ",%" PRIu64, row->sum.of[c].requests);
		fprintf(out, ",%" PRIu64 ",%" PRIu64 "\r\n", f.in, f.out);
	}
	api_csv_done(r, a, out, &text, &len);
}

void
api_usage(const struct api_request *r, struct api_answer *a)
{
	struct str consumer = STR_NONE, service = STR_NONE;
	struct report t = { .arena = r->arena };
	struct api_range g;
	struct store *s;
	int rc;

	if (!api_range(r, a, &g))
		return;
	t.range = &g;
	/* What cannot be booked just now is not shown; the store says why, in the log. */
	collect_now(r->keeper);
	if (!(s = api_store(r, a)))
		return;
	api_query(r, "consumer", &consumer);
	api_query(r, "service", &service);
	state_enter(r->keeper);
	rc = store_usage(s, g.level, g.from, g.to, consumer, service, take, &t);
	state_leave(r->keeper);
	if (rc < 0) {
		api_store_failed(r, a);
		return;
	}
	if (t.too_many) {
		api_problem(
			r, a, 400,
			"more than %d rows: narrow it by from, to, consumer or service",
			API_ROWS);
		return;
	}
	fold(&t);
	if (g.csv)
		answer_csv(r, a, &t);
	else
		answer_json(r, a, &g, &t);
}
