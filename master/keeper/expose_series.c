/* Metrics with labels: routes, services, targets, listeners, policies.
 *
 * All samples together stay within EXPOSE_BUDGET. Names get theirs in the order in which
 * they came into the region, so that who has samples keeps them; those that find no room
 * are counted together as "other". */
#include <stdlib.h>
#include <string.h>

#include "master/keeper/expose_inside.h"
#include "shm/records.h"
#include "worker/http/fault.h"
#include "worker/http/msg.h"

struct view {
	const struct stats *stats;
	struct stats_rows rows;
	uint32_t n;               /* names */
	struct stats_series *sum; /* by series */
	bool *shown;              /* by series: has samples of its own */
	struct tally_entry *tally;
	size_t ntally;
	unsigned step; /* every so many buckets are written */
	uint32_t folded;
};

static bool
had_traffic(const struct stats_series *s)
{
	return s->requests || s->failed;
}

/* ---- the budget */

/* How many samples each series takes in the tally. */
static void
count_tally(const struct view *v, uint32_t *cost)
{
	for (size_t i = 0; i < v->ntally; i++)
		if (tally_series(v->tally[i].key) < v->n)
			cost[tally_series(v->tally[i].key)] +=
				tally_kind(v->tally[i].key) == TALLY_DECISIONS ? 2 : 1;
}

static uint32_t
fixed_cost(const struct view *v, uint32_t i)
{
	uint32_t histogram = SERIES_BUCKETS / v->step + 2;

	if (!had_traffic(&v->sum[i]))
		return 0;
	switch (v->stats->names[i].kind) {
	case SERIES_TARGET:
		return histogram + 5;
	case SERIES_LISTENER:
		return 2;
	default:
		return histogram;
	}
}

static uint64_t
add_costs(const struct view *v, uint32_t *cost)
{
	uint64_t all = 0;

	memset(cost, 0, v->n * sizeof(*cost));
	count_tally(v, cost);
	for (uint32_t i = 0; i < v->n; i++) {
		cost[i] += fixed_cost(v, i);
		all += cost[i];
	}
	return all;
}

static int
by_key(const void *a, const void *b)
{
	const struct tally_entry *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static void
add_series(struct stats_series *to, const struct stats_series *s)
{
	const uint64_t *from = (const uint64_t *)s;
	uint64_t *sum = (uint64_t *)to;

	for (size_t i = 0; i < sizeof(*s) / sizeof(uint64_t); i++)
		sum[i] += from[i];
}

/* What is not shown by itself is shown with series 0. Only routes have a common name;
 * targets and policies that find no room are left out, and said so. */
static void
fold(struct view *v)
{
	size_t out = 0;

	for (uint32_t i = 1; i < v->n; i++)
		if (!v->shown[i] && v->stats->names[i].kind == SERIES_ROUTE)
			add_series(&v->sum[0], &v->sum[i]);
	for (size_t i = 0; i < v->ntally; i++) {
		struct tally_entry *e = &v->tally[i];
		uint32_t series = tally_series(e->key);

		if (series < v->n && !v->shown[series])
			e->key &= ~(0xffffffull << 32);
	}
	if (v->ntally)
		qsort(v->tally, v->ntally, sizeof(*v->tally), by_key);
	for (size_t i = 0; i < v->ntally; i++)
		if (out && v->tally[out - 1].key == v->tally[i].key)
			v->tally[out - 1].count += v->tally[i].count;
		else
			v->tally[out++] = v->tally[i];
	v->ntally = out;
}

/* Coarser histograms first, then fewer names. */
static void
allot(struct view *v, uint32_t used)
{
	uint64_t room = EXPOSE_BUDGET > used ? EXPOSE_BUDGET - used : 0, spent = 0;
	uint32_t *cost = calloc(v->n + 1, sizeof(*cost));

	if (!cost)
		return;
	v->step = 1;
	while (add_costs(v, cost) > room && v->step < 4)
		v->step *= 2;
	/* "other" may take as many samples as any. */
	spent = 200;
	for (uint32_t i = 0; i < v->n; i++) {
		v->shown[i] = i == 0 || spent + cost[i] <= room;
		spent += v->shown[i] ? cost[i] : 0;
		v->folded += !v->shown[i];
	}
	free(cost);
	if (v->folded)
		fold(v);
}

/* ---- labels */

static void
split(struct str name, struct str *group, struct str *member)
{
	ptrdiff_t slash = str_find(name, '/');

	*group = slash < 0 ? name : str_first(name, (size_t)slash);
	*member = slash < 0 ? name : str_from(name, (size_t)slash + 1);
}

static struct str
name_of(const struct view *v, uint32_t series)
{
	return (struct str){ v->stats->names[series].name, v->stats->names[series].len };
}

static void
label_pair(struct text *t, const struct view *v, uint32_t series, const char *first,
	   const char *second)
{
	struct str group, member;

	split(name_of(v, series), &group, &member);
	text_label(t, first, group);
	if (second)
		text_label(t, second, member);
}

static bool
is(const struct view *v, uint32_t i, enum series_kind kind)
{
	enum series_kind k = (enum series_kind)v->stats->names[i].kind;

	return v->shown[i] && had_traffic(&v->sum[i]) &&
	       (k == kind || (k == SERIES_OTHER && kind == SERIES_ROUTE));
}

/* ---- histograms */

static void
put_histogram(struct text *t, const struct view *v, uint32_t series, const char *first,
	      const char *second)
{
	const struct stats_series *s = &v->sum[series];
	uint64_t n = 0;
	char le[32];

	for (unsigned i = 0; i < SERIES_BUCKETS; i++) {
		bool last = i == SERIES_BUCKETS - 1;

		n += s->bucket[i];
		if (!last && i % v->step != v->step - 1)
			continue;
		text_begin(t, "_bucket");
		label_pair(t, v, series, first, second);
		text_label(
			t, "le",
			last ? STR("+Inf")
			     : (struct str){
				       le, (size_t)(text_put_us(le, 256ull << i) - le) });
		text_u64(t, n);
	}
	text_begin(t, "_sum");
	label_pair(t, v, series, first, second);
	text_us(t, s->us);
	/* Not `requests`: all lines of one histogram must agree. */
	text_begin(t, "_count");
	label_pair(t, v, series, first, second);
	text_u64(t, n);
}

struct histogram {
	enum series_kind kind;
	const char *name, *help, *first, *second;
};

static void
put_histograms(struct text *t, const struct view *v)
{
	static const struct histogram all[] = {
		{ SERIES_ROUTE, "http_request_duration_seconds",
		  "from the request head to the last byte sent", "service", "route" },
		{ SERIES_SERVICE, "http_overhead_seconds",
		  "time that a request spent inside the gateway only", "service", NULL },
		{ SERIES_TARGET, "upstream_first_byte_seconds",
		  "from sending a request to the head of its response", "upstream",
		  "target" },
		{ SERIES_CONNECT, "upstream_connect_seconds", "to make a connection",
		  "upstream", "target" },
	};

	for (size_t h = 0; h < sizeof(all) / sizeof(*all); h++) {
		text_family(t, all[h].name, "histogram", all[h].help);
		for (uint32_t i = 0; i < v->n; i++)
			if (is(v, i, all[h].kind))
				put_histogram(t, v, i, all[h].first, all[h].second);
	}
}

/* ---- counters by the tally */

static struct str
put_status(char buf[24], unsigned status)
{
	return (struct str){ buf, (size_t)(str_put_u64(buf, status) - buf) };
}

static void
put_requests(struct text *t, const struct view *v, const struct tally_entry *e)
{
	unsigned method = tally_b(e->key);
	char buf[24];

	text_begin(t, "");
	label_pair(t, v, tally_series(e->key), "service", "route");
	text_label(t, "method",
		   method && method < METHOD_COUNT ? method_name[method] : STR("other"));
	text_label(t, "code", put_status(buf, tally_c(e->key)));
	text_u64(t, e->count);
}

static void
put_grpc(struct text *t, const struct view *v, const struct tally_entry *e)
{
	char buf[24];

	text_begin(t, "");
	label_pair(t, v, tally_series(e->key), "service", "route");
	text_label(t, "code", put_status(buf, tally_b(e->key)));
	text_u64(t, e->count);
}

static struct str
reason(unsigned fault)
{
	return fault < FAULT_COUNT ? fault_info[fault].reason : STR("?");
}

static void
put_errors(struct text *t, const struct view *v, const struct tally_entry *e)
{
	text_begin(t, "");
	label_pair(t, v, tally_series(e->key), "service", "route");
	text_label(t, "origin", tally_c(e->key) ? STR("upstream") : STR("gateway"));
	text_label(t, "reason", reason(tally_b(e->key)));
	text_u64(t, e->count);
}

static struct str
decision_name(unsigned d)
{
	static const char *const names[DECISION_COUNT] = {
		[DECISION_PASSED] = "passed",     [DECISION_REFUSED] = "refused",
		[DECISION_OBSERVED] = "observed", [DECISION_FULL] = "full",
		[DECISION_WAITED] = "waited",     [DECISION_ABORTED] = "aborted",
	};

	return str_of(d < DECISION_COUNT ? names[d] : "?");
}

static void
put_decisions(struct text *t, const struct view *v, const struct tally_entry *e)
{
	text_begin(t, "");
	label_pair(t, v, tally_series(e->key), "type", "policy");
	text_label(t, "decision", decision_name(tally_b(e->key)));
	text_label(t, "reason", reason(tally_c(e->key)));
	text_u64(t, e->count);
}

static bool
limits(struct str name)
{
	return str_starts(name, STR("rate-limit/")) || str_starts(name, STR("quota/")) ||
	       str_starts(name, STR("spike-control/")) ||
	       str_starts(name, STR("concurrency/"));
}

/* The same decisions once more, without reasons: entries of one policy and decision stand
 * together. */
static void
put_limits(struct text *t, const struct view *v)
{
	for (size_t i = 0; i < v->ntally;) {
		uint64_t key = v->tally[i].key, sum = 0;

		while (i < v->ntally && v->tally[i].key >> 16 == key >> 16)
			sum += v->tally[i++].count;
		if (tally_kind(key) != TALLY_DECISIONS || tally_series(key) >= v->n ||
		    !limits(name_of(v, tally_series(key))))
			continue;
		text_begin(t, "");
		label_pair(t, v, tally_series(key), "type", "policy");
		text_label(t, "decision",
			   tally_b(key) == DECISION_PASSED ? STR("admitted")
							   : decision_name(tally_b(key)));
		text_u64(t, sum);
	}
}

static void
put_tally(struct text *t, const struct view *v)
{
	static const struct {
		enum tally_kind kind;
		const char *name, *help;
		void (*put)(struct text *, const struct view *,
			    const struct tally_entry *);
	} all[] = {
		{ TALLY_REQUESTS, "http_requests_total",
		  "requests, by what was answered; code 0: no answer", put_requests },
		{ TALLY_ERRORS, "http_errors_total",
		  "answers that the gateway made itself, by reason", put_errors },
		{ TALLY_DECISIONS, "policy_decisions_total", "decisions of policies",
		  put_decisions },
		{ TALLY_GRPC, "grpc_requests_total",
		  "calls of gRPC, by the grpc-status that the client got", put_grpc },
	};

	for (size_t k = 0; k < sizeof(all) / sizeof(*all); k++) {
		text_family(t, all[k].name, "counter", all[k].help);
		for (size_t i = 0; i < v->ntally; i++)
			if (tally_kind(v->tally[i].key) == all[k].kind &&
			    tally_series(v->tally[i].key) < v->n)
				all[k].put(t, v, &v->tally[i]);
	}
	text_family(t, "ratelimit_requests_total", "counter",
		    "requests that limits admitted and refused");
	put_limits(t, v);
}

/* ---- counters by series */

static void
put_targets(struct text *t, const struct view *v)
{
	static const char *const classes[] = { "1xx", "2xx", "3xx", "4xx", "5xx" };

	text_family(t, "upstream_requests_total", "counter",
		    "responses of targets, by status class");
	for (uint32_t i = 0; i < v->n; i++)
		for (int c = 0; is(v, i, SERIES_TARGET) && c < 5; c++) {
			if (!v->sum[i].status[c])
				continue;
			text_begin(t, "");
			label_pair(t, v, i, "upstream", "target");
			text_label(t, "code", str_of(classes[c]));
			text_u64(t, v->sum[i].status[c]);
		}
	text_family(t, "upstream_failures_total", "counter", "attempts that failed");
	for (uint32_t i = 0; i < v->n; i++)
		if (is(v, i, SERIES_TARGET)) {
			text_begin(t, "");
			label_pair(t, v, i, "upstream", "target");
			text_u64(t, v->sum[i].failed);
		}
}

static void
put_listeners(struct text *t, const struct view *v)
{
	for (int refused = 0; refused < 2; refused++) {
		text_family(t,
			    refused ? "listener_rejected_total"
				    : "listener_connections_total",
			    "counter",
			    refused ? "connections closed at once for want of room"
				    : "connections accepted");
		for (uint32_t i = 0; i < v->n; i++)
			if (is(v, i, SERIES_LISTENER)) {
				text_begin(t, "");
				label_pair(t, v, i, "listener", NULL);
				text_u64(t,
					 refused ? v->sum[i].failed : v->sum[i].requests);
			}
	}
}

void
expose_series(struct text *t, const struct shared *s)
{
	struct view v = { .stats = &s->stats,
			  .rows = stats_rows(&s->stats),
			  .n = series_count(&s->stats) };

	v.sum = calloc(v.n + 1, sizeof(*v.sum));
	v.shown = calloc(v.n + 1, sizeof(*v.shown));
	if (!v.sum || !v.shown) {
		t->failed = true;
	} else {
		for (uint32_t i = 0; i < v.n; i++)
			if (v.stats->names[i].kind != SERIES_FILE)
				series_sum(v.stats, &v.rows, i, &v.sum[i]);
		v.ntally = tally_sum(s->tallies, s->region, &v.tally);
		allot(&v, t->lines);
		put_listeners(t, &v);
		put_tally(t, &v);
		put_histograms(t, &v);
		put_targets(t, &v);
		text_gauge(t, "metrics_series_folded",
			   "names counted as \"other\" here because there are more than "
			   "20,000 samples",
			   v.folded);
	}
	free(v.tally);
	free(v.shown);
	free(v.sum);
}
