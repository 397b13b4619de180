#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "master/cli/stat.h"

enum { SERIES_SHOWN = 40 };

struct paint {
	const char *head, *good, *bad, *off;
};

static struct paint
paint_for(FILE *out)
{
	const char *no = getenv("NO_COLOR");

	if (!isatty(fileno(out)) || (no && *no))
		return (struct paint){ "", "", "", "" };
	return (struct paint){ "\033[1m", "\033[32m", "\033[31m", "\033[0m" };
}

static void
print_process(const struct stat_view *v, const struct stat_process *row,
	      const struct paint *p, FILE *out)
{
	bool late = row->role == SLOT_WORKER && row->age > 5000;
	bool serving = row->state == SLOT_SERVING;
	char name[32], up[32], beat[32];

	if (row->role == SLOT_WORKER)
		snprintf(name, sizeof(name), "worker %" PRIu32, row->number);
	else
		snprintf(name, sizeof(name), "%s", stat_role(row));
	fprintf(out, "%-12s %8" PRId32 " %s%-9s%s %5" PRIu64 " %8s %6" PRIu64 " %6" PRIu64
		" %8" PRIu64 " %s%9s%s\n", name, row->pid, serving ? p->good : "",
		stat_state(row), p->off, row->generation,
		row->started && row->started < v->wall ?
			stat_span(v->wall - row->started, up) : "-",
		row->connections, row->exchanges, row->upstream_connections,
		late ? p->bad : "", stat_span(row->age, beat), p->off);
}

static void
print_processes(const struct stat_view *v, const struct paint *p, FILE *out)
{
	fprintf(out, "%s%-12s %8s %-9s %5s %8s %6s %6s %8s %9s%s\n", p->head, "process", "pid",
		"state", "conf", "uptime", "conns", "active", "upstream", "heartbeat", p->off);
	for (int i = 0; i < v->processes; i++)
		print_process(v, &v->process[i], p, out);
}

static void
print_totals(const struct stat_view *v, const struct paint *p, FILE *out)
{
	char p50[32], p95[32], p99[32], mean[32];
	uint64_t n = 0;

	fprintf(out, "\n%s%-28s %14s%s\n", p->head, "counter", "total", p->off);
	for (unsigned i = 0; i < METRIC_COUNT; i++)
		fprintf(out, "%-28s %14" PRIu64 "  %s\n", metric_info[i].name, v->total.count[i],
			metric_info[i].help);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		n += v->total.latency[i];
	if (n)
		fprintf(out, "\n%slatency%s  p50 %s  p95 %s  p99 %s  mean %s\n", p->head, p->off,
			stat_latency((double)stats_quantile(&v->total, 0.50), p50),
			stat_latency((double)stats_quantile(&v->total, 0.95), p95),
			stat_latency((double)stats_quantile(&v->total, 0.99), p99),
			stat_latency(stat_mean(v->total.latency_sum, n), mean));
}

static const struct {
	enum series_kind kind, also;    /* "other" stands among the routes */
	const char *head;
} kinds[] = {
	{ SERIES_SERVICE, SERIES_SERVICE, "service" },
	{ SERIES_ROUTE, SERIES_OTHER, "route" },
	{ SERIES_TARGET, SERIES_TARGET, "target" },
};

static void
print_more(size_t more, FILE *out)
{
	if (more)
		fprintf(out, "and %zu more: postern stat -o csv\n", more);
}

static void
print_series(const struct stat_view *v, const struct paint *p, size_t kind, FILE *out)
{
	size_t shown = 0, more = 0;
	char mean[32];

	for (size_t i = 0; i < v->nseries; i++) {
		const struct stat_series *s = &v->series[i];
		const struct stats_series *c = &s->sum;

		if (s->kind != kinds[kind].kind && s->kind != kinds[kind].also)
			continue;
		if (shown == SERIES_SHOWN) {
			more++;
			continue;
		}
		if (!shown++)
			fprintf(out, "\n%s%-36s %10s %9s %9s %9s %9s %8s %9s%s\n", p->head,
				kinds[kind].head, "requests", "2xx", "3xx", "4xx", "5xx",
				"failed", "mean", p->off);
		fprintf(out, "%-36.*s %10" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64
			" %9" PRIu64 " %s%8" PRIu64 "%s %9s\n", STR_ARG(s->name), c->requests,
			c->status[1], c->status[2], c->status[3], c->status[4],
			c->failed ? p->bad : "", c->failed, p->off,
			stat_latency(stat_mean(c->us, c->requests), mean));
	}
	print_more(more, out);
}

static void
print_policies(const struct stat_view *v, const struct paint *p, FILE *out)
{
	size_t n = v->npolicies < SERIES_SHOWN ? v->npolicies : SERIES_SHOWN;

	if (!n)
		return;
	fprintf(out, "\n%s%-36s", p->head, "policy");
	for (int d = 0; d < DECISION_COUNT; d++)
		fprintf(out, " %9s", stat_decisions[d]);
	fprintf(out, "%s\n", p->off);
	for (size_t i = 0; i < n; i++) {
		const struct stat_policy *at = &v->policies[i];

		fprintf(out, "%-36.*s", STR_ARG(at->name));
		for (int d = 0; d < DECISION_COUNT; d++)
			fprintf(out, " %9" PRIu64, at->decision[d]);
		fputc('\n', out);
	}
	print_more(v->npolicies - n, out);
}

static void
print_consumers(const struct stat_view *v, const struct paint *p, FILE *out)
{
	size_t n = v->nconsumers < SERIES_SHOWN ? v->nconsumers : SERIES_SHOWN;

	if (!n)
		return;
	fprintf(out, "\n%s%-20s %-15s %10s %9s %9s %9s %9s %12s %12s%s\n", p->head, "consumer",
		"service", "requests", "2xx", "3xx", "4xx", "5xx", "bytes in", "bytes out", p->off);
	for (size_t i = 0; i < n; i++) {
		const struct stat_consumer *c = &v->consumers[i];

		fprintf(out, "%-20.*s %-15.*s %10" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64
			" %9" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n", STR_ARG(c->consumer),
			STR_ARG(c->service), stat_consumer_total(c), c->requests[1],
			c->requests[2], c->requests[3], c->requests[4], c->in, c->out);
	}
	print_more(v->nconsumers - n, out);
}

static void
print_store(const struct stat_view *v, const struct paint *p, FILE *out)
{
	const struct control *c = v->shared.control;
	uint64_t at = c->stored_at, used = c->store_used, failed = c->store_failed;
	bool bad = c->store_state == STORE_BAD || c->store_state == STORE_READONLY;
	char ago[32];

	fprintf(out, "\n%sstore%s  %s%s%s", p->head, p->off, bad ? p->bad : "", stat_store(v),
		p->off);
	if (at)
		fprintf(out,
			", %" PRIu64 " KiB used, written %s ago, %" PRIu64
			" writes failed",
			used / 1024, stat_span(at < v->wall ? v->wall - at : 0, ago),
			failed);
	fputc('\n', out);
}

void
stat_table(const struct stat_view *v, FILE *out)
{
	struct paint p = paint_for(out);

	fprintf(out, "%s: %d %s, %" PRIu64 " connections open, %" PRIu64 " requests under way\n\n",
		v->rundir, v->workers, v->workers == 1 ? "worker" : "workers",
		v->connections, v->exchanges);
	print_processes(v, &p, out);
	print_totals(v, &p, out);
	print_store(v, &p, out);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		print_series(v, &p, i, out);
	print_policies(v, &p, out);
	print_consumers(v, &p, out);
}
