#include <inttypes.h>
#include <string.h>

#include "base/json_write.h"
#include "master/cli/stat.h"

static const char *const classes[] = { "1xx", "2xx", "3xx", "4xx", "5xx" };

static uint64_t
latency_count(const struct stats_page *p)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		n += p->latency[i];
	return n;
}

static void
json_field(struct json_write *j, const char *key, uint64_t value)
{
	json_key(j, str_of(key));
	json_int(j, (int64_t)value);
}

static void
json_flush(struct json_write *j, char *buf, FILE *out)
{
	fwrite(buf, 1, (size_t)(j->at - buf), out);
}

static void
json_process(const struct stat_view *v, const struct slot *row, FILE *out)
{
	char buf[1024];
	struct json_write j;

	json_begin(&j, buf, sizeof(buf));
	json_open(&j, '{');
	json_key(&j, STR("role"));
	json_str(&j, str_of(stat_role(row)));
	json_field(&j, "number", row->number);
	json_field(&j, "pid", (uint64_t)row->pid);
	json_key(&j, STR("state"));
	json_str(&j, str_of(stat_state(row)));
	json_field(&j, "generation", row->generation);
	json_field(&j, "started_ms", row->started);
	json_field(&j, "heartbeat_age_ms", stat_heartbeat_age(v, row));
	json_field(&j, "connections", row->connections);
	json_field(&j, "exchanges", row->exchanges);
	json_field(&j, "upstream_connections", row->upstream_connections);
	json_field(&j, "lag_us", row->lag);
	json_field(&j, "busy_us", row->busy);
	json_close(&j, '}');
	json_flush(&j, buf, out);
}

static void
json_totals(const struct stat_view *v, FILE *out)
{
	char buf[4096];
	struct json_write j;

	json_begin(&j, buf, sizeof(buf));
	json_open(&j, '{');
	for (unsigned i = 0; i < METRIC_COUNT; i++)
		json_field(&j, metric_info[i].name, v->total.count[i]);
	json_close(&j, '}');
	json_key(&j, STR("gauges"));
	json_open(&j, '{');
	json_field(&j, "workers", (uint64_t)v->workers);
	json_field(&j, "connections", v->connections);
	json_field(&j, "exchanges", v->exchanges);
	json_field(&j, "upstream_connections", v->upstream_connections);
	json_close(&j, '}');
	json_key(&j, STR("latency"));
	json_open(&j, '{');
	json_field(&j, "count", latency_count(&v->total));
	json_field(&j, "sum_us", v->total.latency_sum);
	json_field(&j, "p50_us", stats_quantile(&v->total, 0.50));
	json_field(&j, "p95_us", stats_quantile(&v->total, 0.95));
	json_field(&j, "p99_us", stats_quantile(&v->total, 0.99));
	json_close(&j, '}');
	json_flush(&j, buf, out);
}

static void
json_series(const struct stat_view *v, bool target, FILE *out)
{
	const char *comma = "";
	char buf[2048];
	struct json_write j;

	for (size_t i = 0; i < v->nseries; i++) {
		const struct stat_series *s = &v->series[i];
		struct str group, member;

		if (s->target != target)
			continue;
		stat_split(s->name, &group, &member);
		json_begin(&j, buf, sizeof(buf));
		json_open(&j, '{');
		json_key(&j, target ? STR("upstream") : STR("service"));
		json_str(&j, group);
		json_key(&j, target ? STR("target") : STR("route"));
		json_str(&j, member);
		json_field(&j, "requests", s->sum.requests);
		for (int c = 0; c < 5; c++)
			json_field(&j, classes[c], s->sum.status[c]);
		json_field(&j, "failed", s->sum.failed);
		json_field(&j, "us", s->sum.us);
		json_close(&j, '}');
		fprintf(out, "%s\n  ", comma);
		json_flush(&j, buf, out);
		comma = ",";
	}
}

void
stat_json(const struct stat_view *v, FILE *out)
{
	const char *comma = "";

	fputs("{\"processes\":[", out);
	for (int i = 0; i < v->processes; i++) {
		fprintf(out, "%s\n  ", comma);
		json_process(v, v->process[i], out);
		comma = ",";
	}
	fputs("],\n\"counters\":", out);
	json_totals(v, out);
	fputs(",\n\"routes\":[", out);
	json_series(v, false, out);
	fputs("],\n\"targets\":[", out);
	json_series(v, true, out);
	fputs("]}\n", out);
}

/* RFC 4180: names may hold a comma or a quote. */
static void
csv_text(struct str s, FILE *out)
{
	if (str_find(s, ',') < 0 && str_find(s, '"') < 0 && str_find(s, '\n') < 0) {
		fprintf(out, "%.*s", STR_ARG(s));
		return;
	}
	putc('"', out);
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] == '"')
			putc('"', out);
		putc(s.at[i], out);
	}
	putc('"', out);
}

static void
csv_row(const char *kind, struct str name, const char *key, uint64_t value, FILE *out)
{
	fprintf(out, "%s,", kind);
	csv_text(name, out);
	fprintf(out, ",%s,%" PRIu64 "\n", key, value);
}

static void
csv_process(const struct stat_view *v, const struct slot *row, FILE *out)
{
	char name[32];
	struct str n = { name, 0 };
	uint32_t number = row->number;

	snprintf(name, sizeof(name), "%s-%" PRIu32, stat_role(row), number);
	n.len = strlen(name);
	csv_row("process", n, "pid", (uint64_t)row->pid, out);
	csv_row("process", n, "state", row->state, out);
	csv_row("process", n, "generation", row->generation, out);
	csv_row("process", n, "started_ms", row->started, out);
	csv_row("process", n, "heartbeat_age_ms", stat_heartbeat_age(v, row), out);
	csv_row("process", n, "connections", row->connections, out);
	csv_row("process", n, "exchanges", row->exchanges, out);
	csv_row("process", n, "upstream_connections", row->upstream_connections, out);
}

void
stat_csv(const struct stat_view *v, FILE *out)
{
	fputs("kind,name,key,value\n", out);
	for (int i = 0; i < v->processes; i++)
		csv_process(v, v->process[i], out);
	for (unsigned i = 0; i < METRIC_COUNT; i++)
		csv_row("total", STR(""), metric_info[i].name, v->total.count[i], out);
	csv_row("latency", STR(""), "count", latency_count(&v->total), out);
	csv_row("latency", STR(""), "sum_us", v->total.latency_sum, out);
	csv_row("latency", STR(""), "p50_us", stats_quantile(&v->total, 0.50), out);
	csv_row("latency", STR(""), "p95_us", stats_quantile(&v->total, 0.95), out);
	csv_row("latency", STR(""), "p99_us", stats_quantile(&v->total, 0.99), out);
	for (size_t i = 0; i < v->nseries; i++) {
		const struct stat_series *s = &v->series[i];
		const char *kind = s->target ? "target" : "route";

		csv_row(kind, s->name, "requests", s->sum.requests, out);
		for (int c = 0; c < 5; c++)
			csv_row(kind, s->name, classes[c], s->sum.status[c], out);
		csv_row(kind, s->name, "failed", s->sum.failed, out);
		csv_row(kind, s->name, "us", s->sum.us, out);
	}
}

static void
prom_label(const char *before, struct str value, FILE *out)
{
	fputs(before, out);
	for (size_t i = 0; i < value.len; i++) {
		if (value.at[i] == '"' || value.at[i] == '\\')
			putc('\\', out);
		if (value.at[i] == '\n')
			fputs("\\n", out);
		else
			putc(value.at[i], out);
	}
	putc('"', out);
}

static void
prom_word(const char *type, const char *name, const char *help, uint64_t value, FILE *out)
{
	fprintf(out, "# HELP postern_%s %s\n# TYPE postern_%s %s\npostern_%s %" PRIu64 "\n",
		name, help, name, type, name, value);
}

/* One bucket for each power of two: the finer ones are for quantiles here. */
static void
prom_latency(const struct stats_page *p, FILE *out)
{
	const char *name = "postern_http_request_duration_seconds";
	uint64_t n = 0;

	fprintf(out, "# HELP %s from the request head to the last byte sent\n# TYPE %s histogram\n",
		name, name);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		n += p->latency[i];
		if (i % HISTOGRAM_SUB == HISTOGRAM_SUB - 1 && i + 1 < HISTOGRAM_BUCKETS)
			fprintf(out, "%s_bucket{le=\"%.9g\"} %" PRIu64 "\n", name,
				(double)histogram_floor(i + 1) / 1e6, n);
	}
	fprintf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.6f\n%s_count %" PRIu64 "\n",
		name, n, name, (double)p->latency_sum / 1e6, name, n);
}

static void
prom_series(const struct stat_view *v, bool target, FILE *out)
{
	const char *name = target ? "postern_upstream_requests_total" : "postern_http_requests_total";
	struct str group, member;

	fprintf(out, "# HELP %s %s\n# TYPE %s counter\n", name,
		target ? "attempts by target and status class" : "requests by route and status class",
		name);
	for (size_t i = 0; i < v->nseries; i++) {
		const struct stat_series *s = &v->series[i];

		if (s->target != target)
			continue;
		stat_split(s->name, &group, &member);
		for (int c = 0; c < 5; c++) {
			if (!s->sum.status[c])
				continue;
			fputs(name, out);
			prom_label(target ? "{upstream=\"" : "{service=\"", group, out);
			prom_label(target ? ",target=\"" : ",route=\"", member, out);
			fprintf(out, ",code=\"%s\"} %" PRIu64 "\n", classes[c], s->sum.status[c]);
		}
	}
}

void
stat_prom(const struct stat_view *v, FILE *out)
{
	for (unsigned i = 0; i < METRIC_COUNT; i++)
		prom_word("counter", metric_info[i].name, metric_info[i].help,
			  v->total.count[i], out);
	prom_word("gauge", "workers", "workers alive", (uint64_t)v->workers, out);
	prom_word("gauge", "connections", "client connections open", v->connections, out);
	prom_word("gauge", "exchanges", "requests under way", v->exchanges, out);
	prom_word("gauge", "upstream_connections", "connections to targets open",
		  v->upstream_connections, out);
	prom_latency(&v->total, out);
	prom_series(v, false, out);
	prom_series(v, true, out);
}
