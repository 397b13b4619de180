/* The metrics: words of the gateway and its processes here, those with labels in
 * expose_series.c. */
#include "master/keeper/expose.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "master/keeper/expose_inside.h"

static uint64_t
now_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- the configuration */

static void
put_config(struct text *t, const struct shared *s, const struct conf_model *m)
{
	const struct control *c = s->control;
	char revision[24];

	text_family(t, "build_info", "gauge", "the binary that answers");
	text_begin(t, "");
	text_label(t, "version", STR(POSTERN_VERSION));
	text_u64(t, 1);
	text_family(t, "config_revision_info", "gauge", "the configuration in force");
	text_begin(t, "");
	text_label(t, "revision",
		   (struct str){ revision, (size_t)(str_put_u64(revision, c->revision) -
						    revision) });
	if (m)
		text_label(t, "file", m->file);
	text_u64(t, 1);
	text_gauge(t, "config_last_reload_successful",
		   "1 if the last configuration that was loaded is in force",
		   c->reload_good);
	text_family(t, "config_last_reload_timestamp_seconds", "gauge",
		    "when it was loaded");
	text_begin(t, "");
	text_us(t, c->reloaded_at * 1000);
	text_family(t, "config_reloads_total", "counter",
		    "configurations loaded, by what came of it");
	text_begin(t, "");
	text_label(t, "result", STR("ok"));
	text_u64(t, c->reloads_ok);
	text_begin(t, "");
	text_label(t, "result", STR("refused"));
	text_u64(t, c->reloads_failed);
	text_gauge(t, "config_generations",
		   "configurations that some process still has in memory",
		   c->generations);
}

/* ---- processes */

struct gauges {
	uint64_t connections, exchanges, upstream_connections, workers;
};

static struct gauges
gauges(const struct slots *slots)
{
	struct gauges g = { 0 };

	for (int i = 0; i < SLOTS_MAX; i++) {
		const struct slot *row = &slots->row[i];

		if (!slot_alive(row))
			continue;
		g.workers += row->role == SLOT_WORKER;
		g.connections += row->connections;
		g.exchanges += row->exchanges;
		g.upstream_connections += row->upstream_connections;
	}
	return g;
}

static double
busy_ratio(const struct slot *row)
{
	uint64_t now = now_ms(CLOCK_REALTIME),
		 lived = now > row->started ? now - row->started : 1;

	return (double)row->busy / 1000 / (double)lived;
}

/* Of each worker that lives: `what` writes its sample. */
static void
each_worker(struct text *t, const struct slots *slots,
	    void (*what)(struct text *, const struct slot *))
{
	for (int i = 0; i < SLOTS_MAX; i++) {
		const struct slot *row = &slots->row[i];
		char number[24], pid[24];

		if (row->role != SLOT_WORKER || !slot_alive(row) || !row->started)
			continue;
		text_begin(t, "");
		/* Two have one number while one drains. */
		text_label(t, "worker",
			   (struct str){
				   number,
				   (size_t)(str_put_u64(number, row->number) - number) });
		text_label(
			t, "pid",
			(struct str){ pid, (size_t)(str_put_u64(pid, (uint64_t)row->pid) -
						    pid) });
		what(t, row);
	}
}

static void
sample_ratio(struct text *t, const struct slot *row)
{
	text_double(t, busy_ratio(row));
}

static void
sample_busy(struct text *t, const struct slot *row)
{
	text_us(t, row->busy);
}

static void
sample_lag(struct text *t, const struct slot *row)
{
	text_us(t, row->lag);
}

static void
put_processes(struct text *t, const struct shared *s)
{
	struct gauges g = gauges(s->slots);

	text_gauge(t, "workers", "workers alive", g.workers);
	text_counter(t, "worker_deaths_total", "workers that died and were replaced",
		     s->control->worker_deaths);
	text_family(t, "worker_busy_ratio", "gauge",
		    "share of its life that the worker has worked");
	each_worker(t, s->slots, sample_ratio);
	text_family(t, "worker_busy_seconds_total", "counter",
		    "time that the worker has worked");
	each_worker(t, s->slots, sample_busy);
	text_family(t, "worker_loop_lag_seconds", "gauge",
		    "longest turn of the worker's loop in the last second");
	each_worker(t, s->slots, sample_lag);
	text_gauge(t, "listener_connections", "client connections open", g.connections);
	text_gauge(t, "http_requests_in_flight", "requests under way", g.exchanges);
	text_gauge(t, "upstream_connections", "connections to targets open",
		   g.upstream_connections);
}

/* ---- counters of all workers together */

static void
put_counters(struct text *t, const struct shared *s)
{
	struct stats_page page;
	char name[64];

	stats_sum(&s->stats, &page);
	for (unsigned i = 0; i < METRIC_COUNT; i++) {
		snprintf(name, sizeof(name), "%s%s", i == METRIC_UNMATCHED ? "http_" : "",
			 metric_info[i].name);
		/* This one there is by target. */
		if (i != METRIC_UP_FAILURES)
			text_counter(t, name, metric_info[i].help, page.count[i]);
	}
}

/* ---- the store */

static void
put_store(struct text *t, const struct control *c)
{
	static const char *const states[] = { "unknown", "ok", "read_only", "bad" };

	text_family(t, "store_state", "gauge", "1 for the state that the store is in");
	for (unsigned i = 0; i < 4; i++) {
		text_begin(t, "");
		text_label(t, "state", str_of(states[i]));
		text_u64(t, c->store_state == i);
	}
	text_gauge(t, "store_used_bytes", "bytes of the store in use", c->store_used);
	text_gauge(t, "store_room_bytes", "bytes of the store's map", c->store_room);
	text_counter(t, "store_write_failures_total", "writes of the store that failed",
		     c->store_failed);
	text_family(t, "store_last_commit_timestamp_seconds", "gauge",
		    "when usage was last stored");
	text_begin(t, "");
	text_us(t, c->stored_at * 1000);
	text_counter(t, "records_folded_total",
		     "records of requests that the keeper has read", c->records_folded);
	text_counter(t, "records_missed_total",
		     "records that were overwritten before the keeper read them",
		     c->records_missed);
	text_counter(t, "meters_other_total",
		     "requests of consumers that found no meter of their own",
		     c->meters_other);
	text_gauge(t, "consumers_suspended_of_files",
		   "consumers of files that are suspended in the store", c->overrides);
}

static void
put_poison(struct text *t, const struct poison *p)
{
	uint64_t now = now_ms(CLOCK_MONOTONIC), n = 0;

	for (int i = 0; p && i < POISON_ROWS; i++)
		n += p->row[i].signature && p->row[i].until > now;
	text_gauge(t, "poison_signatures",
		   "requests that are refused because they killed workers", n);
}

char *
expose(const struct shared *s, const struct conf_model *m, size_t *len)
{
	struct text t = { .at = NULL };

	put_config(&t, s, m);
	put_processes(&t, s);
	put_counters(&t, s);
	expose_process(&t, s->slots);
	put_store(&t, s->control);
	put_poison(&t, s->poison);
	expose_consumers(&t, s);
	expose_series(&t, s);
	if (t.failed) {
		free(t.at);
		return NULL;
	}
	*len = t.len;
	return t.at;
}
