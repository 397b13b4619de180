#include "base/clock.h"
#include "worker/exchange/clientcert.h"
#include "worker/exchange/grpc.h"
#include "worker/exchange/steps.h"

void
exchange_abort(struct exchange *x, enum fault f)
{
	/* A tunnel that was idle has no fault, but is not used again either. */
	enum fault how = f ? f : FAULT_INTERNAL;

	x->fault = f;
	forward_drop(x, how);
	if (x->client) {
		clientcert_keep(x);
		x->client->ops->release(x->client, how);
		x->client = NULL;
	}
}

static void
policies_done(struct exchange *x)
{
	const struct links *l = x->links;

	if (!l->has_done)
		return;
	for (uint32_t i = l->n; i-- > 0;) {
		const struct link *k = &l->at[i];

		if (!k->policy->done)
			continue;
		x->bound = x->gen->bound[k->conf->index];
		k->policy->done(x, k->self, (char *)x->states + k->state);
	}
}

/* The rows of faults.def about the upstream stand together. */
static bool
of_upstream(enum fault f)
{
	return f >= FAULT_NO_TARGET && f <= FAULT_UPGRADE_FAILED;
}

/* What it took inside the gateway. */
static void
count_service(struct stats_series *s, const struct exchange *x, unsigned class)
{
	uint64_t took = x->ended - x->began;
	uint64_t us = took > x->away ? (took - x->away) / 1000 : 0;

	s->requests++;
	if (class < 5)
		s->status[class]++;
	s->failed += x->fault != FAULT_NONE;
	s->us += us;
	s->bucket[series_bucket(us)]++;
}

static struct str
service_of(const struct exchange *x)
{
	return x->match.service ? x->match.service->conf->name : STR_NONE;
}

void
exchange_meter(struct exchange *x)
{
	struct ledger *meters = &x->worker->shared->meters;

	if (x->consumer.len)
		x->meter = meters_key(meters, x->consumer, service_of(x));
}

/* Exactly what bills are made of. */
static void
meter(struct exchange *x)
{
	struct shared *s = x->worker->shared;

	if (!(x->meter.low | x->meter.high))
		exchange_meter(x);
	if (!meters_add(&s->meters, x->meter, x->consumer, service_of(x), x->status,
			x->bytes_in, x->bytes_out))
		atomic_fetch_add_explicit(&s->control->meters_other, 1,
					  memory_order_relaxed);
}

static void
count(struct exchange *x, uint64_t us)
{
	struct worker *w = x->worker;
	struct stats_page *p = w->page;
	uint32_t route = x->match.route ? x->match.route->series : 0;
	struct stats_series *s = &w->series[route];
	unsigned class = x->status / 100u - 1;  /* 0: 1xx … 4: 5xx */

	if (x->match.service)
		count_service(&w->series[x->match.service->series], x, class);
	if (x->consumer.len)
		meter(x);
	tally_add(w->tally,
		  tally_key(TALLY_REQUESTS, route, x->request.method, x->status));
	if (x->grpc_status)
		tally_add(w->tally,
			  tally_key(TALLY_GRPC, route, x->grpc_status - 1u, 0));
	if (x->fault)
		tally_add(w->tally, tally_key(TALLY_ERRORS, route, x->fault,
					      of_upstream(x->fault)));

	p->count[METRIC_REQUESTS]++;
	s->requests++;
	if (class < 5) {
		p->count[METRIC_RESPONSES_1XX + class]++;
		s->status[class]++;
	}
	if (x->answering)
		p->count[METRIC_RESPONSES_OWN]++;
	if (x->fault) {
		s->failed++;
		p->count[METRIC_CLIENT_GONE] += x->fault == FAULT_CLIENT_GONE;
		p->count[METRIC_TRUNCATED] += x->truncated;
	}
	p->count[METRIC_BYTES_IN] += x->bytes_in;
	p->count[METRIC_BYTES_OUT] += x->bytes_out;
	p->latency[histogram_bucket(us)]++;
	p->latency_sum += us;
	s->us += us;
	s->bucket[series_bucket(us)]++;
}

static uint32_t
us_of(uint64_t ns)
{
	return ns / 1000 < UINT32_MAX ? (uint32_t)(ns / 1000) : UINT32_MAX;
}

static uint32_t
us_between(uint64_t from, uint64_t to)
{
	return from && to > from ? us_of(to - from) : 0;
}

static uint16_t
cut16(uint32_t n)
{
	return n < UINT16_MAX ? (uint16_t)n : UINT16_MAX;
}

static void
note_misses(struct record *r, const struct route_match *m)
{
	r->misses = m->nmisses;
	for (unsigned i = 0; i < m->nmisses; i++)
		r->miss[i] = (struct record_miss){
			.route = m->miss[i].route->series,
			.line = m->miss[i].route->conf->where.line,
			.why = (uint8_t)m->miss[i].why,
		};
}

/* Where the configuration says so: route, else service, else listener. The place of the
 * policy that answered is in its note. */
static void
note_place(struct record *r, const struct exchange *x)
{
	const struct listener_series *l = x->gen->listeners;
	const struct route *route = x->match.route;
	const struct service *service = x->match.service;

	if (l) {
		l += x->listener->index;
		r->listener = l->series;
		r->file = l->file;
	}
	r->line = x->listener->where.line;
	if (service) {
		r->service = service->series;
		r->line = service->conf->where.line;
		r->file = service->file;
		r->order = cut16(service->nroutes);
	}
	if (route) {
		r->route = route->series;
		r->order = cut16(route->order);
		r->line = route->conf->where.line;
		r->file = route->file;
	}
}

/* What stands behind the host: of CONNECT the port. */
static struct str
path_of(const struct exchange *x)
{
	struct str path = x->path.len ? x->path : x->request.path;
	size_t n = path.len;

	if (x->request.method != METHOD_CONNECT)
		return path;
	while (n && path.at[n - 1] != ':')
		n--;
	return str_from(path, n ? n - 1 : 0);
}

static void
write_record(struct exchange *x, uint64_t us)
{
	struct record *r = &x->record;
	struct record_texts t = {
		.method = x->request.method_text,
		.host = x->host.len ? x->host : x->request.host,
		.path = path_of(x),
		.client = exchange_client_ip(x),
		.id = x->id_made ? STR_NONE : x->id_text,
		.key = x->key_id,
		.consumer = x->consumer,
		.plan = x->plan ? x->plan->name : STR_NONE,
	};

	r->status = x->status;
	r->fault = (uint16_t)x->fault;
	r->id[0] = x->id[0];
	r->id[1] = x->id[1];
	r->at = clock_wall_ms() - (int64_t)(us / 1000);
	r->generation = (uint32_t)x->gen->number;
	note_place(r, x);
	if (x->match.nmisses)
		note_misses(r, &x->match);
	r->us_total = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
	r->us_policy = us_between(x->routed, x->decided ? x->decided : x->ended);
	r->us_queue = x->queued ? us_of(x->queued) : 0;
	r->us_connect = x->reused ? 0 : us_between(x->attempt_at, x->connected);
	r->us_first_byte = us_between(x->attempt_at, x->first_byte);
	r->bytes_in = x->bytes_in;
	r->bytes_out = x->bytes_out;
	r->notes = x->nnotes;
	r->grpc = x->grpc_status;
	r->kept = x->fault || x->status >= 500 || grpc_is_failure(x) ||
		  (x->answering && x->status >= 400);
	ring_write(x->worker->ring, r, x->note, &t);
}

enum step
step_end(struct exchange *x)
{
	struct stream *client = x->client;
	uint64_t us;

	x->ended = clock_read();
	us = (x->ended - x->began) / 1000;
	if (x->held)
		decide_note(x, DECISION_WAITED);
	policies_done(x);
	count(x, us);
	write_record(x, us);
	forward_drop(x, x->tunnel || x->fault ? FAULT_INTERNAL : FAULT_NONE);
	forward_forget(x);
	x->client = NULL;
	exchange_cancel(x);
	if (client)
		client->ops->release(client, FAULT_NONE);
	return STEP_GONE;
}

void
exchange_stop(struct exchange *x)
{
	x->truncated = x->status && !x->tunnel;
	exchange_abort(x, FAULT_DRAINING);
	exchange_go(x, STEP_END);
}
