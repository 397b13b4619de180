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
json_process(const struct stat_process *p, FILE *out)
{
	char buf[1024];
	struct json_write j;

	json_begin(&j, buf, sizeof(buf));
	json_open(&j, '{');
	json_key(&j, STR("role"));
	json_str(&j, str_of(stat_role(p)));
	json_field(&j, "number", p->number);
	json_field(&j, "pid", (uint64_t)p->pid);
	json_key(&j, STR("state"));
	json_str(&j, str_of(stat_state(p)));
	json_field(&j, "generation", p->generation);
	json_field(&j, "started_ms", p->started);
	json_field(&j, "heartbeat_age_ms", p->age);
	json_field(&j, "connections", p->connections);
	json_field(&j, "exchanges", p->exchanges);
	json_field(&j, "upstream_connections", p->upstream_connections);
	json_field(&j, "lag_us", p->lag);
	json_field(&j, "busy_us", p->busy);
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
json_control(const struct stat_view *v, FILE *out)
{
	const struct control *c = v->shared.control;
	char buf[1024];
	struct json_write j;

	json_begin(&j, buf, sizeof(buf));
	json_open(&j, '{');
	json_field(&j, "revision", c->revision);
	json_field(&j, "generations", c->generations);
	json_field(&j, "reloads_ok", c->reloads_ok);
	json_field(&j, "reloads_failed", c->reloads_failed);
	json_key(&j, STR("last_reload_good"));
	json_bool(&j, c->reload_good);
	json_field(&j, "worker_deaths", c->worker_deaths);
	json_close(&j, '}');
	json_key(&j, STR("store"));
	json_open(&j, '{');
	json_key(&j, STR("state"));
	json_str(&j, str_of(stat_store(v)));
	json_field(&j, "used", c->store_used);
	json_field(&j, "room", c->store_room);
	json_field(&j, "failed", c->store_failed);
	json_field(&j, "stored_at_ms", c->stored_at);
	json_field(&j, "records_missed", c->records_missed);
	json_field(&j, "meters_other", c->meters_other);
	json_close(&j, '}');
	json_flush(&j, buf, out);
}

/* What a series of each kind is called, and the two parts of its name. */
static const struct series_words {
	enum series_kind kind, also;
	const char *key;                /* of the list */
	const char *csv;
	const char *group, *member;     /* member NULL: the name is one word */
	const char *requests, *failed;  /* what is counted */
} words[] = {
	{ SERIES_SERVICE, SERIES_SERVICE, "services", "service", "service", NULL, "requests", "failed" },
	{ SERIES_ROUTE, SERIES_OTHER, "routes", "route", "service", "route", "requests", "failed" },
	{ SERIES_TARGET, SERIES_TARGET, "targets", "target", "upstream", "target", "requests", "failed" },
	{ SERIES_CONNECT, SERIES_CONNECT, "connects", "connect", "upstream", "target", "connects", "failed" },
	{ SERIES_LISTENER, SERIES_LISTENER, "listeners", "listener", "listener", NULL, "connections", "refused" },
};
enum { WORDS = sizeof(words) / sizeof(*words) };

static bool
is_of(const struct stat_series *s, const struct series_words *w)
{
	return s->kind == w->kind || s->kind == w->also;
}

static void
json_one_series(const struct stat_series *s, const struct series_words *w, FILE *out)
{
	struct str group = s->name, member;
	char buf[2048];
	struct json_write j;

	json_begin(&j, buf, sizeof(buf));
	json_open(&j, '{');
	if (w->member)
		stat_split(s->name, &group, &member);
	json_key(&j, str_of(w->group));
	json_str(&j, group);
	if (w->member) {
		json_key(&j, str_of(w->member));
		json_str(&j, member);
	}
	json_field(&j, w->requests, s->sum.requests);
	for (int c = 0; w->kind != SERIES_LISTENER && w->kind != SERIES_CONNECT && c < 5;
	     c++)
		json_field(&j, classes[c], s->sum.status[c]);
	json_field(&j, w->failed, s->sum.failed);
	if (w->kind != SERIES_LISTENER) {
		json_field(&j, "us", s->sum.us);
		json_field(&j, "p50_us", (uint64_t)stat_series_quantile(&s->sum, 0.50));
		json_field(&j, "p95_us", (uint64_t)stat_series_quantile(&s->sum, 0.95));
		json_field(&j, "p99_us", (uint64_t)stat_series_quantile(&s->sum, 0.99));
	}
	json_close(&j, '}');
	json_flush(&j, buf, out);
}

static void
json_series(const struct stat_view *v, const struct series_words *w, FILE *out)
{
	const char *comma = "";

	fprintf(out, ",\n\"%s\":[", w->key);
	for (size_t i = 0; i < v->nseries; i++) {
		if (!is_of(&v->series[i], w))
			continue;
		fprintf(out, "%s\n  ", comma);
		json_one_series(&v->series[i], w, out);
		comma = ",";
	}
	fputc(']', out);
}

static void
json_policies(const struct stat_view *v, FILE *out)
{
	char buf[1024];
	struct json_write j;

	fputs(",\n\"policies\":[", out);
	for (size_t i = 0; i < v->npolicies; i++) {
		const struct stat_policy *p = &v->policies[i];
		struct str type, name;

		stat_split(p->name, &type, &name);
		json_begin(&j, buf, sizeof(buf));
		json_open(&j, '{');
		json_key(&j, STR("type"));
		json_str(&j, type);
		json_key(&j, STR("policy"));
		json_str(&j, name);
		for (int d = 0; d < DECISION_COUNT; d++)
			json_field(&j, stat_decisions[d], p->decision[d]);
		json_close(&j, '}');
		fputs(i ? ",\n  " : "\n  ", out);
		json_flush(&j, buf, out);
	}
	fputc(']', out);
}

static void
json_consumers(const struct stat_view *v, FILE *out)
{
	char buf[2048];
	struct json_write j;

	fputs(",\n\"consumers\":[", out);
	for (size_t i = 0; i < v->nconsumers; i++) {
		const struct stat_consumer *c = &v->consumers[i];

		json_begin(&j, buf, sizeof(buf));
		json_open(&j, '{');
		json_key(&j, STR("consumer"));
		json_str(&j, c->consumer);
		json_key(&j, STR("service"));
		json_str(&j, c->service);
		json_field(&j, "requests", stat_consumer_total(c));
		for (int k = 0; k < METER_CLASSES; k++)
			json_field(&j, stat_classes[k], c->requests[k]);
		json_field(&j, "bytes_in", c->in);
		json_field(&j, "bytes_out", c->out);
		json_close(&j, '}');
		fputs(i ? ",\n  " : "\n  ", out);
		json_flush(&j, buf, out);
	}
	fputc(']', out);
}

void
stat_json(const struct stat_view *v, FILE *out)
{
	fputs("{\"processes\":[", out);
	for (int i = 0; i < v->processes; i++) {
		fputs(i ? ",\n  " : "\n  ", out);
		json_process(&v->process[i], out);
	}
	fputs("],\n\"counters\":", out);
	json_totals(v, out);
	fputs(",\n\"configuration\":", out);
	json_control(v, out);
	for (int i = 0; i < WORDS; i++)
		json_series(v, &words[i], out);
	json_policies(v, out);
	json_consumers(v, out);
	fputs("}\n", out);
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
csv_process(const struct stat_process *p, FILE *out)
{
	char name[32];
	struct str n = { name, 0 };

	snprintf(name, sizeof(name), "%s-%" PRIu32, stat_role(p), p->number);
	n.len = strlen(name);
	csv_row("process", n, "pid", (uint64_t)p->pid, out);
	csv_row("process", n, "state", (uint64_t)p->state, out);
	csv_row("process", n, "generation", p->generation, out);
	csv_row("process", n, "started_ms", p->started, out);
	csv_row("process", n, "heartbeat_age_ms", p->age, out);
	csv_row("process", n, "connections", p->connections, out);
	csv_row("process", n, "exchanges", p->exchanges, out);
	csv_row("process", n, "upstream_connections", p->upstream_connections, out);
}

static void
csv_series(const struct stat_series *s, const struct series_words *w, FILE *out)
{
	csv_row(w->csv, s->name, w->requests, s->sum.requests, out);
	for (int c = 0; w->kind != SERIES_LISTENER && w->kind != SERIES_CONNECT && c < 5;
	     c++)
		csv_row(w->csv, s->name, classes[c], s->sum.status[c], out);
	csv_row(w->csv, s->name, w->failed, s->sum.failed, out);
	if (w->kind != SERIES_LISTENER)
		csv_row(w->csv, s->name, "us", s->sum.us, out);
}

static void
csv_consumer(const struct stat_consumer *c, FILE *out)
{
	char buf[LEDGER_NAME + 1];
	struct str name = { buf, 0 };

	snprintf(buf, sizeof(buf), "%.*s/%.*s", STR_ARG(c->consumer),
		 STR_ARG(c->service));
	name.len = strlen(buf);
	csv_row("consumer", name, "requests", stat_consumer_total(c), out);
	for (int k = 0; k < METER_CLASSES; k++)
		csv_row("consumer", name, stat_classes[k], c->requests[k], out);
	csv_row("consumer", name, "bytes_in", c->in, out);
	csv_row("consumer", name, "bytes_out", c->out, out);
}

void
stat_csv(const struct stat_view *v, FILE *out)
{
	fputs("kind,name,key,value\n", out);
	for (int i = 0; i < v->processes; i++)
		csv_process(&v->process[i], out);
	for (unsigned i = 0; i < METRIC_COUNT; i++)
		csv_row("total", STR(""), metric_info[i].name, v->total.count[i], out);
	csv_row("latency", STR(""), "count", latency_count(&v->total), out);
	csv_row("latency", STR(""), "sum_us", v->total.latency_sum, out);
	csv_row("latency", STR(""), "p50_us", stats_quantile(&v->total, 0.50), out);
	csv_row("latency", STR(""), "p95_us", stats_quantile(&v->total, 0.95), out);
	csv_row("latency", STR(""), "p99_us", stats_quantile(&v->total, 0.99), out);
	for (int w = 0; w < WORDS; w++)
		for (size_t i = 0; i < v->nseries; i++)
			if (is_of(&v->series[i], &words[w]))
				csv_series(&v->series[i], &words[w], out);
	for (size_t i = 0; i < v->npolicies; i++)
		for (int d = 0; d < DECISION_COUNT; d++)
			csv_row("policy", v->policies[i].name, stat_decisions[d],
				v->policies[i].decision[d], out);
	for (size_t i = 0; i < v->nconsumers; i++)
		csv_consumer(&v->consumers[i], out);
}
