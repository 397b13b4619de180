#include <stdlib.h>

#include "master/cli/top.h"

const struct top_layout top_layouts[TOP_PANES] = {
	[TOP_SERVICES] = { "services", {
		{ "req/s", TOP_RATE }, { "5xx/s", TOP_BAD_RATE }, { "own p95", TOP_TIME },
		{ "4xx/s", TOP_RATE }, { "fail/s", TOP_BAD_RATE }, { "own p50", TOP_TIME },
		{ "own avg", TOP_TIME }, { "total", TOP_COUNT } } },
	[TOP_ROUTES] = { "routes", {
		{ "req/s", TOP_RATE }, { "5xx/s", TOP_BAD_RATE }, { "p95", TOP_TIME },
		{ "4xx/s", TOP_RATE }, { "fail/s", TOP_BAD_RATE }, { "p50", TOP_TIME },
		{ "avg", TOP_TIME }, { "total", TOP_COUNT } } },
	[TOP_TARGETS] = { "targets", {
		{ "req/s", TOP_RATE }, { "fail/s", TOP_BAD_RATE }, { "fb p95", TOP_TIME },
		{ "5xx/s", TOP_BAD_RATE }, { "conn/s", TOP_RATE }, { "fb p50", TOP_TIME },
		{ "fb avg", TOP_TIME }, { "total", TOP_COUNT } } },
	[TOP_CONSUMERS] = { "consumers", {
		{ "req/s", TOP_RATE }, { "4xx/s", TOP_RATE }, { "5xx/s", TOP_BAD_RATE },
		{ "in/s", TOP_BYTES }, { "out/s", TOP_BYTES }, { "total", TOP_COUNT } } },
	[TOP_PROCESSES] = { "processes", {
		{ "req/s", TOP_RATE }, { "busy", TOP_SHARE }, { "lag", TOP_TIME },
		{ "conns", TOP_COUNT }, { "active", TOP_COUNT }, { "upconns", TOP_COUNT },
		{ "beat", TOP_TIME }, { "conf", TOP_COUNT } } },
	[TOP_POLICIES] = { "policies", {
		{ "pass/s", TOP_RATE }, { "deny/s", TOP_BAD_RATE }, { "obsvd/s", TOP_RATE },
		{ "wait/s", TOP_RATE }, { "full/s", TOP_BAD_RATE }, { "abrt/s", TOP_BAD_RATE },
		{ "denied", TOP_COUNT }, { "total", TOP_COUNT } } },
};

/* Counters never go back, but for a region that somebody tampered with. */
static uint64_t
since(uint64_t before, uint64_t now)
{
	return now > before ? now - before : 0;
}

static double
rate(const struct top_frame *f, uint64_t before, uint64_t now)
{
	return f->seconds > 0 ? (double)since(before, now) / f->seconds : -1;
}

static struct top_row *
row_add(struct top_frame *f, enum top_pane pane, struct str name)
{
	struct top_row *r;

	if (!f->rows[pane])
		return NULL;
	r = &f->rows[pane][f->nrows[pane]++];
	*r = (struct top_row){ .name = name };
	for (int i = 0; i < TOP_COLUMNS; i++)
		r->value[i] = -1;
	return r;
}

static void
rows_room(struct top_frame *f, enum top_pane pane, size_t n)
{
	f->rows[pane] = calloc(n + 1, sizeof(**f->rows));
}

/* ---- services, routes, targets */

static enum top_pane
series_pane(enum series_kind kind)
{
	switch (kind) {
	case SERIES_SERVICE:
		return TOP_SERVICES;
	case SERIES_ROUTE:
	case SERIES_OTHER:
		return TOP_ROUTES;
	case SERIES_TARGET:
		return TOP_TARGETS;
	default:
		return TOP_PANES;
	}
}

static void
series_since(const struct stats_series *before, const struct stats_series *now,
	     struct stats_series *d)
{
	const uint64_t *a = (const uint64_t *)before, *b = (const uint64_t *)now;

	for (size_t i = 0; i < sizeof(*d) / sizeof(uint64_t); i++)
		((uint64_t *)d)[i] = since(a[i], b[i]);
}

static void
series_row(struct top_frame *f, const struct stats_series *before,
	   const struct stat_series *s)
{
	enum top_pane pane = series_pane(s->kind);
	struct stats_series d;
	struct top_row *r;
	bool any;

	if (pane == TOP_PANES || !(r = row_add(f, pane, s->name)))
		return;
	series_since(before, &s->sum, &d);
	any = f->seconds > 0 && d.requests;
	r->value[0] = rate(f, 0, d.requests);
	r->value[1] = rate(f, 0, pane == TOP_TARGETS ? d.failed : d.status[4]);
	r->value[2] = any ? stat_series_quantile(&d, 0.95) : -1;
	r->value[3] = rate(f, 0, d.status[pane == TOP_TARGETS ? 4 : 3]);
	r->value[4] = rate(f, 0, pane == TOP_TARGETS ? 0 : d.failed);
	r->value[5] = any ? stat_series_quantile(&d, 0.50) : -1;
	r->value[6] = any ? stat_mean(d.us, d.requests) : -1;
	r->value[7] = (double)s->sum.requests;
	r->order[TOP_BY_RATE] = r->value[0];
	r->order[TOP_BY_LATENCY] = r->value[2];
	r->order[TOP_BY_ERRORS] = rate(f, 0, d.status[3] + d.status[4] + d.failed);
}

/* How many connections were made to a target stands in a series beside it. Both come in
 * about the same order: the search goes on where the last one ended. */
static void
connects_into(struct top_frame *f, const struct stats_series *before,
	      const struct stat_series *s, size_t *at)
{
	size_t n = f->nrows[TOP_TARGETS];

	for (size_t i = 0; i < n; i++) {
		struct top_row *r = &f->rows[TOP_TARGETS][(*at + i) % n];

		if (str_eq(r->name, s->name)) {
			r->value[4] = rate(f, before->requests, s->sum.requests);
			*at = (*at + i) % n;
			return;
		}
	}
}

static void
make_series(struct top_frame *f, const struct stat_view *before,
	    const struct stat_view *now)
{
	static const struct stats_series none;
	const struct stats_series *was;
	size_t target = 0;

	rows_room(f, TOP_SERVICES, now->nseries);
	rows_room(f, TOP_ROUTES, now->nseries);
	rows_room(f, TOP_TARGETS, now->nseries);
	for (int connects = 0; connects < 2; connects++)
		for (size_t i = 0, b = 0; i < now->nseries; i++) {
			const struct stat_series *s = &now->series[i];

			while (before && b < before->nseries &&
			       before->series[b].index < s->index)
				b++;
			was = before && b < before->nseries &&
					      before->series[b].index == s->index
				      ? &before->series[b].sum
				      : &none;
			if (!connects)
				series_row(f, was, s);
			else if (s->kind == SERIES_CONNECT)
				connects_into(f, was, s, &target);
		}
}

/* ---- consumers: the sum over their services */

struct usage {
	struct str name;
	uint64_t requests, bad4, bad5, in, out, total;
};

static int
usage_order(const void *a, const void *b)
{
	const struct usage *x = a, *y = b;
	size_t n = x->name.len < y->name.len ? x->name.len : y->name.len;
	int c = n ? memcmp(x->name.at, y->name.at, n) : 0;

	return c ? c : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

static void
usage_row(struct top_frame *f, const struct usage *u)
{
	struct top_row *r = row_add(f, TOP_CONSUMERS, u->name);

	if (!r)
		return;
	r->value[0] = rate(f, 0, u->requests);
	r->value[1] = rate(f, 0, u->bad4);
	r->value[2] = rate(f, 0, u->bad5);
	r->value[3] = rate(f, 0, u->in);
	r->value[4] = rate(f, 0, u->out);
	r->value[5] = (double)u->total;
	r->order[TOP_BY_RATE] = r->order[TOP_BY_LATENCY] = r->value[0];
	r->order[TOP_BY_ERRORS] = rate(f, 0, u->bad4 + u->bad5);
}

static struct usage
usage_since(const struct stat_consumer *before, const struct stat_consumer *now)
{
	static const struct stat_consumer none;
	const struct stat_consumer *was = before ? before : &none;

	return (struct usage){
		.name = now->consumer, .total = stat_consumer_total(now),
		.requests = since(stat_consumer_total(was), stat_consumer_total(now)),
		.bad4 = since(was->requests[3], now->requests[3]),
		.bad5 = since(was->requests[4], now->requests[4]),
		.in = since(was->in, now->in), .out = since(was->out, now->out),
	};
}

static void
usage_add(struct usage *to, const struct usage *u)
{
	to->requests += u->requests;
	to->bad4 += u->bad4;
	to->bad5 += u->bad5;
	to->in += u->in;
	to->out += u->out;
	to->total += u->total;
}

static void
make_consumers(struct top_frame *f, const struct stat_view *before,
	       const struct stat_view *now)
{
	struct usage *all = calloc(now->nconsumers + 1, sizeof(*all));
	size_t n = 0;

	rows_room(f, TOP_CONSUMERS, now->nconsumers);
	if (!all)
		return;
	for (size_t i = 0, b = 0; i < now->nconsumers; i++) {
		const struct stat_consumer *c = &now->consumers[i], *was = NULL;

		while (before && b < before->nconsumers &&
		       before->consumers[b].entry < c->entry)
			b++;
		if (before && b < before->nconsumers &&
		    before->consumers[b].entry == c->entry &&
		    before->consumers[b].life == c->life)
			was = &before->consumers[b];
		all[i] = usage_since(was, c);
	}
	qsort(all, now->nconsumers, sizeof(*all), usage_order);
	for (size_t i = 0; i < now->nconsumers; i++)
		if (n && str_eq(all[n - 1].name, all[i].name))
			usage_add(&all[n - 1], &all[i]);
		else
			all[n++] = all[i];
	for (size_t i = 0; i < n; i++)
		usage_row(f, &all[i]);
	free(all);
}

/* ---- processes */

static void
make_processes(struct top_frame *f, const struct stat_view *before,
	       const struct stat_view *now)
{
	rows_room(f, TOP_PROCESSES, (size_t)now->processes);
	for (int i = 0; i < now->processes; i++) {
		const struct stat_process *p = &now->process[i], *was = NULL;
		struct top_row *r = row_add(f, TOP_PROCESSES, STR_NONE);

		if (!r)
			return;
		r->process = p;
		for (int b = 0; before && b < before->processes; b++)
			if (before->process[b].row == p->row &&
			    before->process[b].pid == p->pid)
				was = &before->process[b];
		if (p->role == SLOT_WORKER) {
			r->value[0] = was ? rate(f, was->requests, p->requests) : -1;
			r->value[1] = was ? rate(f, was->busy, p->busy) / 1e6 : -1;
			r->value[2] = (double)p->lag;
			r->value[3] = (double)p->connections;
			r->value[4] = (double)p->exchanges;
			r->value[5] = (double)p->upstream_connections;
		}
		r->value[6] = (double)p->age * 1000;
		r->value[7] = (double)p->generation;
	}
}

/* ---- policies */

static void
make_policies(struct top_frame *f, const struct stat_view *before,
	      const struct stat_view *now)
{
	static const enum decision column[] = {
		DECISION_PASSED, DECISION_REFUSED, DECISION_OBSERVED, DECISION_WAITED,
		DECISION_FULL, DECISION_ABORTED,
	};
	static const struct stat_policy none;

	rows_room(f, TOP_POLICIES, now->npolicies);
	for (size_t i = 0, b = 0; i < now->npolicies; i++) {
		const struct stat_policy *p = &now->policies[i], *was = &none;
		struct top_row *r = row_add(f, TOP_POLICIES, p->name);

		if (!r)
			return;
		while (before && b < before->npolicies &&
		       before->policies[b].index < p->index)
			b++;
		if (before && b < before->npolicies &&
		    before->policies[b].index == p->index)
			was = &before->policies[b];
		for (size_t d = 0; d < sizeof(column) / sizeof(*column); d++)
			r->value[d] =
				rate(f, was->decision[column[d]], p->decision[column[d]]);
		r->value[6] = (double)p->decision[DECISION_REFUSED];
		r->value[7] = (double)stat_policy_total(p);
		r->order[TOP_BY_RATE] = r->order[TOP_BY_LATENCY] =
			rate(f, stat_policy_total(was), stat_policy_total(p));
		r->order[TOP_BY_ERRORS] = r->value[1] + r->value[4] + r->value[5];
	}
}

/* ---- the whole */

static void
make_header(struct top_frame *f, const struct stat_view *before,
	    const struct stat_view *now)
{
	const uint64_t *a = before ? before->total.count : now->total.count;
	const uint64_t *b = now->total.count;
	struct stats_page d = { .latency_sum = 0 };
	uint64_t n = 0;

	f->requests = rate(f, a[METRIC_REQUESTS], b[METRIC_REQUESTS]);
	f->bad4 = rate(f, a[METRIC_RESPONSES_4XX], b[METRIC_RESPONSES_4XX]);
	f->bad5 = rate(f, a[METRIC_RESPONSES_5XX], b[METRIC_RESPONSES_5XX]);
	for (int i = 0; before && i < HISTOGRAM_BUCKETS; i++) {
		d.latency[i] = since(before->total.latency[i], now->total.latency[i]);
		n += d.latency[i];
	}
	f->p50 = n ? (double)stats_quantile(&d, 0.50) : -1;
	f->p95 = n ? (double)stats_quantile(&d, 0.95) : -1;
	f->p99 = n ? (double)stats_quantile(&d, 0.99) : -1;
	for (int i = 0; i < now->processes; i++)
		if (now->process[i].role == SLOT_MASTER && now->process[i].started &&
		    now->process[i].started < now->wall)
			f->uptime = now->wall - now->process[i].started;
}

void
top_frame_make(struct top_frame *f, const struct stat_view *before,
	       const struct stat_view *now)
{
	*f = (struct top_frame){ 0 };
	if (before)
		f->seconds = (double)since(before->mono, now->mono) / 1000;
	make_header(f, before, now);
	make_series(f, before, now);
	make_consumers(f, before, now);
	make_processes(f, before, now);
	make_policies(f, before, now);
}

static enum top_sort sort_by;

static int
row_order(const void *a, const void *b)
{
	const struct top_row *x = a, *y = b;
	size_t n = x->name.len < y->name.len ? x->name.len : y->name.len;
	int c;

	if (x->order[sort_by] > y->order[sort_by])
		return -1;
	if (x->order[sort_by] < y->order[sort_by])
		return 1;
	/* Those that are alike should not jump about. */
	c = n ? memcmp(x->name.at, y->name.at, n) : 0;
	return c ? c : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

void
top_frame_sort(struct top_frame *f, enum top_sort sort)
{
	sort_by = sort;
	for (int p = 0; p < TOP_PANES; p++)
		if (p != TOP_PROCESSES && f->nrows[p])
			qsort(f->rows[p], f->nrows[p], sizeof(**f->rows), row_order);
}

void
top_frame_free(struct top_frame *f)
{
	for (int p = 0; p < TOP_PANES; p++)
		free(f->rows[p]);
	*f = (struct top_frame){ 0 };
}
