#include "base/clock.h"
#include "worker/exchange/steps.h"

void
exchange_abort(struct exchange *x, enum fault f)
{
	/* A tunnel that was idle has no fault, but is not used again either. */
	enum fault how = f ? f : FAULT_INTERNAL;

	x->fault = f;
	forward_drop(x, how);
	if (x->client) {
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

static void
count(struct exchange *x)
{
	struct stats_page *p = x->worker->page;
	struct stats_series *s =
		&x->worker->series[x->match.route ? x->match.route->series : 0];
	uint64_t us = (x->ended - x->began) / 1000;
	unsigned class = x->status / 100;

	p->count[METRIC_REQUESTS]++;
	s->requests++;
	if (class >= 1 && class <= 5) {
		p->count[METRIC_RESPONSES_1XX + class - 1]++;
		s->status[class - 1]++;
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
}

static uint32_t
us_between(uint64_t from, uint64_t to)
{
	return from && to > from ? (uint32_t)((to - from) / 1000) : 0;
}

static void
write_record(struct exchange *x)
{
	struct record *r = &x->record;
	struct record_texts t = {
		.method = x->request.method_text,
		.host = x->host.len ? x->host : x->request.host,
		.path = x->path.len ? x->path : x->request.path,
		.client = exchange_client_ip(x),
	};

	r->status = x->status;
	r->fault = (uint16_t)x->fault;
	r->id[0] = x->id[0];
	r->id[1] = x->id[1];
	r->at = clock_wall_ms() - (int64_t)((x->ended - x->began) / 1000000);
	r->generation = (uint32_t)x->gen->number;
	r->route = x->match.route ? x->match.route->series : 0;
	r->us_total = us_between(x->began, x->ended);
	r->us_policy = us_between(x->routed, x->decided ? x->decided : x->ended);
	r->us_connect = x->reused ? 0 : us_between(x->attempt_at, x->connected);
	r->us_first_byte = us_between(x->attempt_at, x->first_byte);
	r->bytes_in = x->bytes_in;
	r->bytes_out = x->bytes_out;
	r->policy = x->answered_by ? (uint16_t)(x->answered_by - x->links->at + 1) : 0;
	ring_write(x->worker->ring, r, &t);
}

enum step
step_end(struct exchange *x)
{
	struct stream *client = x->client;

	x->ended = clock_now();
	policies_done(x);
	count(x);
	write_record(x);
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
