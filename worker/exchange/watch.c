/* watch — who is waited for, for how long, and what it means when it does not come. */
#include <errno.h>

#include "base/clock.h"
#include "worker/exchange/grpc.h"
#include "worker/exchange/steps.h"

/* To resolve a name and connect, for CONNECT: no upstream says how long that may take. */
enum { CONNECT_MS = 10000 };

struct stall {
	uint64_t ms;                    /* without progress; 0: no limit */
	enum fault fault;
};

static uint64_t
tunnel_ms(const struct exchange *x)
{
	uint64_t own = x->match.route ? x->match.route->conf->timeout.tunnel : 0;

	return own ? own : x->gen->model->gateway.timeouts.tunnel;
}

static uint64_t
response_ms(const struct exchange *x)
{
	uint64_t own = x->match.route ? x->match.route->conf->timeout.response : 0;

	return own ? own : x->cluster->conf->timeout.response;
}

/* The client holds its body back until the target says 100 Continue, or answers. */
static bool
waits_for_continue(const struct exchange *x)
{
	return x->request.expect_continue && x->head_sent && !x->bytes_in &&
	       !x->interim && !x->answering;
}

static struct stall
waiting_for(const struct exchange *x)
{
	const struct conf_gateway *g = &x->gen->model->gateway;
	uint64_t ms;

	if (x->backing_off || x->waiting)
		return (struct stall){ 0, FAULT_NONE };
	if (x->tunnel)
		return (struct stall){ tunnel_ms(x), FAULT_NONE };
	if (x->connect)
		return (struct stall){ CONNECT_MS, FAULT_CONNECT_TIMEOUT };
	if (x->connecting)
		return (struct stall){ x->cluster->conf->timeout.connect,
				       FAULT_CONNECT_TIMEOUT };
	if (x->client_blocked)
		return (struct stall){ g->timeouts.send, FAULT_CLIENT_STALLED };
	if (!x->request_end && !x->upstream_blocked && !waits_for_continue(x))
		return (struct stall){ g->timeouts.body, FAULT_BODY_TIMEOUT };
	if (!x->cluster)
		return (struct stall){ 0, FAULT_NONE };
	if (!x->status)
		return (struct stall){ response_ms(x), FAULT_RESPONSE_TIMEOUT };
	/* A pause within a response is bounded by what bounds the wait for it, too. */
	ms = response_ms(x);
	return (struct stall){ ms && (!g->timeouts.body || ms < g->timeouts.body)
				       ? ms
				       : g->timeouts.body,
			       FAULT_UPSTREAM_STALLED };
}

static void
arm(struct exchange *x)
{
	struct stall s = waiting_for(x);
	uint64_t due = s.ms ? x->progress + s.ms : 0;

	if (x->deadline && !x->tunnel && (!due || x->deadline < due))
		due = x->deadline;
	if (due)
		timer_set(&x->worker->loop.wheel, &x->timer, due);
	else
		timer_clear(&x->timer);
}

void
exchange_watch(struct exchange *x)
{
	x->progress = clock_ms();
	arm(x);
}

static void
give_up(struct exchange *x, enum fault f)
{
	if (x->response_end && !x->client_blocked) {
		forward_drop(x, f);     /* the answer is out: the request stalled */
		exchange_go(x, STEP_END);
	} else if (f != FAULT_CLIENT_STALLED && grpc_cut(x, f)) {
		exchange_go(x, STEP_FLOW);
	} else if (x->tunnel || x->status) {
		x->truncated = !x->tunnel && f != FAULT_CLIENT_STALLED;
		exchange_abort(x, f);
		exchange_go(x, STEP_END);
	} else if (f == FAULT_BODY_TIMEOUT || x->answering) {
		forward_drop(x, f);
		x->close_client = true;
		if (!x->answering)
			exchange_answer(x, f);
		exchange_go(x, STEP_ANSWER);
	} else {
		forward_failed(x, f, ETIMEDOUT);
	}
}

void
exchange_timer(struct timer *t)
{
	struct exchange *x = list_entry(t, struct exchange, timer);
	struct stall s;

	if (x->gone)
		return;
	if (x->deadline && clock_ms() >= x->deadline && !x->tunnel) {
		x->backing_off = x->waiting = false;
		give_up(x, FAULT_TOTAL_TIMEOUT);
		return;
	}
	if (x->backing_off) {
		x->backing_off = false;
		exchange_run(x);
		return;
	}
	s = waiting_for(x);
	if (s.ms && clock_ms() >= x->progress + s.ms)
		give_up(x, s.fault);
	else
		arm(x);
}
