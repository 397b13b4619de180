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

static const char *
span(uint64_t ms, char buf[static 32])
{
	uint64_t s = ms / 1000;

	if (s < 60)
		snprintf(buf, 32, "%" PRIu64 ".%" PRIu64 "s", s, ms / 100 % 10);
	else if (s < 3600)
		snprintf(buf, 32, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, 32, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
	else
		snprintf(buf, 32, "%" PRIu64 "d%02" PRIu64 "h", s / 86400, s / 3600 % 24);
	return buf;
}

static const char *
latency(double us, char buf[static 32])
{
	if (us < 1000)
		snprintf(buf, 32, "%.0fus", us);
	else if (us < 1000000)
		snprintf(buf, 32, "%.1fms", us / 1000);
	else
		snprintf(buf, 32, "%.2fs", us / 1000000);
	return buf;
}

static void
print_process(const struct stat_view *v, const struct slot *row, const struct paint *p,
	      FILE *out)
{
	uint64_t age = stat_heartbeat_age(v, row), started = row->started;
	bool late = row->role == SLOT_WORKER && age > 5000;
	bool serving = row->state == SLOT_SERVING;
	char name[32], up[32], beat[32];

	if (row->role == SLOT_WORKER)
		snprintf(name, sizeof(name), "worker %" PRIu32, row->number);
	else
		snprintf(name, sizeof(name), "%s", stat_role(row));
	fprintf(out, "%-12s %8" PRId32 " %s%-9s%s %5" PRIu64 " %8s %6" PRIu64 " %6" PRIu64
		" %8" PRIu64 " %s%9s%s\n", name, (int32_t)row->pid, serving ? p->good : "",
		stat_state(row), p->off, (uint64_t)row->generation,
		started && started < v->wall ? span(v->wall - started, up) : "-",
		(uint64_t)row->connections, (uint64_t)row->exchanges,
		(uint64_t)row->upstream_connections, late ? p->bad : "",
		span(age, beat), p->off);
}

static void
print_processes(const struct stat_view *v, const struct paint *p, FILE *out)
{
	fprintf(out, "%s%-12s %8s %-9s %5s %8s %6s %6s %8s %9s%s\n", p->head, "process", "pid",
		"state", "conf", "uptime", "conns", "active", "upstream", "heartbeat", p->off);
	for (int i = 0; i < v->processes; i++)
		print_process(v, v->process[i], p, out);
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
			latency((double)stats_quantile(&v->total, 0.50), p50),
			latency((double)stats_quantile(&v->total, 0.95), p95),
			latency((double)stats_quantile(&v->total, 0.99), p99),
			latency(stat_mean(v->total.latency_sum, n), mean));
}

static void
print_series(const struct stat_view *v, const struct paint *p, bool target, FILE *out)
{
	size_t shown = 0, more = 0;
	char mean[32];

	for (size_t i = 0; i < v->nseries; i++) {
		const struct stat_series *s = &v->series[i];
		const struct stats_series *c = &s->sum;

		if (s->target != target)
			continue;
		if (shown == SERIES_SHOWN) {
			more++;
			continue;
		}
		if (!shown++)
			fprintf(out, "\n%s%-36s %10s %9s %9s %9s %9s %8s %9s%s\n", p->head,
				target ? "target" : "route", "requests", "2xx", "3xx", "4xx", "5xx",
				"failed", "mean", p->off);
		fprintf(out, "%-36.*s %10" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64
			" %9" PRIu64 " %s%8" PRIu64 "%s %9s\n", STR_ARG(s->name), c->requests,
			c->status[1], c->status[2], c->status[3], c->status[4],
			c->failed ? p->bad : "", c->failed, p->off,
			latency(stat_mean(c->us, c->requests), mean));
	}
	if (more)
		fprintf(out, "and %zu more: postern stat -o csv\n", more);
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
	print_series(v, &p, false, out);
	print_series(v, &p, true, out);
}
