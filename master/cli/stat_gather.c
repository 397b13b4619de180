#include <stdlib.h>
#include <time.h>

#include "master/cli/stat.h"

const char *const stat_decisions[DECISION_COUNT] = {
	[DECISION_PASSED] = "passed", [DECISION_REFUSED] = "refused",
	[DECISION_OBSERVED] = "observed", [DECISION_FULL] = "full",
	[DECISION_WAITED] = "waited", [DECISION_ABORTED] = "aborted",
};

const char *const stat_classes[METER_CLASSES] = { "none", "2xx", "3xx", "4xx", "5xx" };

static uint64_t
now_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- processes */

static int
by_role(const void *a, const void *b)
{
	const struct stat_process *x = a, *y = b;
	uint32_t m = (uint32_t)x->role, n = (uint32_t)y->role;

	if (m == n) {
		m = x->number;
		n = y->number;
	}
	return (m > n) - (m < n);
}

static void
add_process(struct stat_view *v, int at, const struct slot *row)
{
	uint64_t beat = row->heartbeat;
	struct stat_process *p = &v->process[v->processes++];

	*p = (struct stat_process){
		.row = at, .pid = row->pid,
		.role = (enum slot_role)(uint32_t)row->role,
		.state = (enum slot_state)(uint32_t)row->state, .number = row->number,
		.generation = row->generation, .started = row->started,
		.age = beat && beat < v->mono ? v->mono - beat : 0,
		.connections = row->connections, .exchanges = row->exchanges,
		.upstream_connections = row->upstream_connections,
		.lag = row->lag, .busy = row->busy,
	};
	if (p->role == SLOT_WORKER &&
	    region_touched(v->shared.region, &v->shared.stats.pages[at],
			   sizeof(v->shared.stats.pages[at])))
		p->requests = v->shared.stats.pages[at].count[METRIC_REQUESTS];
	v->workers += p->role == SLOT_WORKER;
	v->connections += p->connections;
	v->exchanges += p->exchanges;
	v->upstream_connections += p->upstream_connections;
}

static void
gather_processes(struct stat_view *v)
{
	for (int i = 0; i < SLOTS_MAX; i++)
		if (slot_alive(&v->shared.slots->row[i]))
			add_process(v, i, &v->shared.slots->row[i]);
	qsort(v->process, (size_t)v->processes, sizeof(*v->process), by_role);
}

/* ---- series */

static void
gather_series(struct stat_view *v)
{
	const struct stats *s = &v->shared.stats;
	struct stats_rows rows = stats_rows(s);
	uint32_t n = series_count(s);

	v->series = calloc(n + 1, sizeof(*v->series));
	if (!v->series)
		return;
	for (uint32_t i = 0; i < n; i++) {
		const struct series_name *name = &s->names[i];
		struct stat_series *to = &v->series[v->nseries];

		if (name->kind == SERIES_FILE || name->kind == SERIES_POLICY)
			continue;
		series_sum(s, &rows, i, &to->sum);
		if (!to->sum.requests && !to->sum.failed)
			continue;
		to->name = (struct str){ name->name, name->len };
		to->index = i;
		to->kind = name->kind;
		v->nseries++;
	}
}

/* ---- policies */

static struct stat_policy *
policy_at(struct stat_view *v, uint32_t index)
{
	const struct stats *s = &v->shared.stats;
	struct stat_policy *p = v->npolicies ? &v->policies[v->npolicies - 1] : NULL;

	/* Counts are sorted by series. */
	if (p && p->index == index)
		return p;
	if (index >= series_count(s))
		return NULL;
	p = &v->policies[v->npolicies++];
	p->index = index;
	p->name = (struct str){ s->names[index].name, s->names[index].len };
	return p;
}

static void
gather_policies(struct stat_view *v)
{
	struct tally_entry *entries = NULL;
	size_t n = tally_sum(v->shared.tallies, v->shared.region, &entries);

	v->policies = calloc(n + 1, sizeof(*v->policies));
	for (size_t i = 0; v->policies && i < n; i++) {
		uint64_t key = entries[i].key;
		struct stat_policy *p;

		if (tally_kind(key) != TALLY_DECISIONS || tally_b(key) >= DECISION_COUNT)
			continue;
		p = policy_at(v, tally_series(key));
		if (p)
			p->decision[tally_b(key)] += entries[i].count;
	}
	free(entries);
}

/* ---- consumers */

static void
add_consumer(struct stat_view *v, int64_t entry, struct str name)
{
	struct stat_consumer *c = &v->consumers[v->nconsumers];
	const struct meter *m = ledger_value(&v->shared.meters, entry);

	c->entry = entry;
	c->life = ledger_life(&v->shared.meters, entry);
	meter_split(name, &c->consumer, &c->service);
	for (int i = 0; i < METER_CLASSES; i++) {
		c->requests[i] = m->of[i].requests;
		c->in += m->of[i].in;
		c->out += m->of[i].out;
	}
	v->nconsumers++;
}

static void
gather_consumers(struct stat_view *v)
{
	const struct ledger *l = &v->shared.meters;
	size_t room = 0;

	LEDGER_EACH (l, i) {
		if (v->nconsumers == room) {
			size_t more = room ? 2 * room : 64;
			void *at = realloc(v->consumers, more * sizeof(*v->consumers));

			if (!at)
				return;
			v->consumers = at;
			room = more;
		}
		v->consumers[v->nconsumers] = (struct stat_consumer){ 0 };
		add_consumer(v, i, ledger_name(l, i));
	}
}

/* ---- all */

void
stat_gather(struct stat_view *v)
{
	*v = (struct stat_view){
		.rundir = v->rundir, .shared = v->shared,
		.mono = now_ms(CLOCK_MONOTONIC), .wall = now_ms(CLOCK_REALTIME),
	};
	stats_sum(&v->shared.stats, &v->total);
	gather_processes(v);
	gather_series(v);
	gather_policies(v);
	gather_consumers(v);
}

void
stat_forget(struct stat_view *v)
{
	free(v->series);
	free(v->policies);
	free(v->consumers);
	v->series = NULL;
	v->policies = NULL;
	v->consumers = NULL;
	v->nseries = v->npolicies = v->nconsumers = 0;
}

/* ---- order */

static int
by_name(struct str a, struct str b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int c = n ? memcmp(a.at, b.at, n) : 0;

	return c ? c : (a.len > b.len) - (a.len < b.len);
}

static int
series_order(const void *a, const void *b)
{
	const struct stat_series *x = a, *y = b;

	if (x->sum.requests != y->sum.requests)
		return x->sum.requests < y->sum.requests ? 1 : -1;
	return by_name(x->name, y->name);
}

uint64_t
stat_policy_total(const struct stat_policy *p)
{
	uint64_t n = 0;

	for (int i = 0; i < DECISION_COUNT; i++)
		n += p->decision[i];
	return n;
}

static int
policy_order(const void *a, const void *b)
{
	const struct stat_policy *x = a, *y = b;
	uint64_t m = stat_policy_total(x), n = stat_policy_total(y);

	return m != n ? (m < n ? 1 : -1) : by_name(x->name, y->name);
}

uint64_t
stat_consumer_total(const struct stat_consumer *c)
{
	uint64_t n = 0;

	for (int i = 0; i < METER_CLASSES; i++)
		n += c->requests[i];
	return n;
}

static int
consumer_order(const void *a, const void *b)
{
	const struct stat_consumer *x = a, *y = b;
	uint64_t m = stat_consumer_total(x), n = stat_consumer_total(y);
	int c;

	if (m != n)
		return m < n ? 1 : -1;
	c = by_name(x->consumer, y->consumer);
	return c ? c : by_name(x->service, y->service);
}

void
stat_by_traffic(struct stat_view *v)
{
	if (v->nseries)
		qsort(v->series, v->nseries, sizeof(*v->series), series_order);
	if (v->npolicies)
		qsort(v->policies, v->npolicies, sizeof(*v->policies), policy_order);
	if (v->nconsumers)
		qsort(v->consumers, v->nconsumers, sizeof(*v->consumers), consumer_order);
}
