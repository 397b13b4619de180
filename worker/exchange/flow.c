#include <errno.h>

#include "base/clock.h"
#include "worker/exchange/credential.h"
#include "worker/exchange/filter.h"
#include "worker/exchange/grpc.h"
#include "worker/exchange/pace.h"
#include "worker/exchange/steps.h"

enum { INTERIM_MAX = 16 };

enum step
step_flow(struct exchange *x)
{
	/* The response is whole and nothing is held on its way to the client. A tunnel
	 * ends at both ends, and a request that goes on after its response is still
	 * forwarded while the upstream takes it. */
	if (!x->response_end || x->client_blocked || (x->upstream && !x->request_end) ||
	    (x->tunnel && x->upstream_blocked))
		return STEP_STAY;
	return STEP_END;
}

/* What cannot be answered any more is cut; the rest gets an answer. */
static void
client_failed(struct exchange *x, enum fault f)
{
	if (x->status || !fault_info[f].status) {
		exchange_abort(x, f);
		exchange_go(x, STEP_END);
		return;
	}
	forward_drop(x, f);
	exchange_answer(x, f);
	x->close_client = true;
	exchange_go(x, STEP_ANSWER);
}

/* ---- the client: the request comes in */

static void
client_head(struct stream *s, bool end)
{
	struct exchange *x = s->owner;

	x->request_end = end;
	x->head_len = x->request.headers.bytes; /* nothing was added yet */
	exchange_go(x, STEP_ROUTE);
}

/* `taken`: how many bytes of the client's they were. */
static void
to_upstream(struct exchange *x, struct str bytes, size_t taken, bool end)
{
	struct stream *u = x->upstream;

	if (x->keeping && x->kept_len + bytes.len > REPLAY_MAX) {
		forward_forget(x);
		x->replay_lost = true;
	} else if (x->keeping) {
		forward_keep(x, bytes);
	} else if (bytes.len) {
		x->replay_lost = true;
	}
	x->upstream_blocked = u->ops->send_body(u, bytes, end) > 0;
	if (end || x->upstream_blocked)
		exchange_watch(x);
	if (end)
		return;
	if (x->upstream_blocked)
		x->client->ops->want(x->client, 0);
	else if (x->keeping || x->filter || !x->client->ops->relay ||
		 !x->client->ops->relay(x->client, u))
		x->client->ops->want(x->client, taken);
}

static void
client_body(struct stream *s, struct str bytes, bool end)
{
	struct exchange *x = s->owner;
	size_t taken = bytes.len;

	x->bytes_in += taken;
	x->progress = clock_ms();
	if (end)
		x->request_end = true;
	if (x->answering)
		return;                         /* nobody wants it any more */
	if (x->body_limit && x->bytes_in > x->body_limit && !x->tunnel) {
		client_failed(x, FAULT_BODY_TOO_LARGE);
		return;
	}
	if (x->filter && x->filter->request && !x->filter->request(x, &bytes, end)) {
		client_failed(x, FAULT_BAD_REQUEST);
		return;
	}
	if (x->head_sent && x->upstream)
		to_upstream(x, bytes, taken, end);
	else if (!x->response_end)
		forward_keep(x, bytes);
	if (end && x->response_end) {
		exchange_finish_upstream(x);
		exchange_run(x);
	}
}

/* The response is whole: the connection is free once the request is through too. */
void
exchange_finish_upstream(struct exchange *x)
{
	if (x->tunnel || !x->upstream)
		return;
	if (x->request_end)
		forward_drop(x, FAULT_NONE);
	else if (!x->response.keep_alive)
		forward_drop(x, FAULT_RESPONSE_INCOMPLETE);
}

static void
client_trailers(struct stream *s, struct headers *t)
{
	struct exchange *x = s->owner;

	x->request_end = true;
	if (x->answering)
		return;
	x->trailers = *t;                       /* its lines lie in our arena */
	if (!x->head_sent || !x->upstream)
		return;
	x->upstream->ops->send_trailers(x->upstream, t);
	exchange_watch(x);
	if (x->response_end) {
		exchange_finish_upstream(x);
		exchange_run(x);
	}
}

static void
client_relay(struct stream *s, size_t n, bool blocked)
{
	struct exchange *x = s->owner;

	x->bytes_in += n;
	if (n)
		x->progress = clock_ms();
	if (blocked != x->upstream_blocked) {
		x->upstream_blocked = blocked;
		exchange_watch(x);
	}
}

size_t
flow_window(const struct exchange *x)
{
	const struct stream_ops *ops = x->client->ops;
	size_t room;

	if (!ops->room)
		return FLOW_WINDOW;
	room = ops->room(x->client);
	return room < FLOW_LEAST ? FLOW_LEAST : room > FLOW_MOST ? FLOW_MOST : room;
}

static void
client_drain(struct stream *s)
{
	struct exchange *x = s->owner;

	if (!x->client_blocked)
		return;
	x->client_blocked = false;
	exchange_watch(x);
	if (x->upstream && !x->response_end)
		x->upstream->ops->want(x->upstream, flow_window(x));
	exchange_run(x);
}

static void
client_fault(struct stream *s, enum fault f)
{
	struct exchange *x = s->owner;

	if (x->answering && x->status) {
		exchange_abort(x, f);
		exchange_go(x, STEP_END);
		return;
	}
	x->answering = false;
	client_failed(x, f);
}

const struct stream_user exchange_client_user = {
	.on_head = client_head,
	.on_body = client_body,
	.on_trailers = client_trailers,
	.on_relay = client_relay,
	.on_drain = client_drain,
	.on_fault = client_fault,
};

/* ---- the upstream: the response comes in */

static void
interim(struct exchange *x)
{
	const struct msg *m = &x->response;

	if (++x->interim > INTERIM_MAX) {
		forward_failed(x, FAULT_TOO_MANY_INTERIM, 0);
		return;
	}
	exchange_watch(x);
	if (m->status == 100 && !x->request.expect_continue)
		return;
	x->client->ops->send_head(x->client, m, true, false);
}

static void
switch_protocols(struct exchange *x)
{
	if (!x->request.upgrade || !x->response.upgrade_to.len) {
		forward_failed(x, FAULT_UPGRADE_FAILED, 0);
		return;
	}
	forward_forget(x);
	x->replay_lost = true;
	x->tunnel = true;
	x->request_end = x->response_end = false;
	x->first_byte = clock_now();
	forward_note(x, FAULT_NONE, 0, 101);
	x->worker->page->count[METRIC_TUNNELS]++;
	exchange_go(x, STEP_RESPOND);
	x->client->ops->want(x->client, FLOW_WINDOW);
	x->upstream->ops->want(x->upstream, flow_window(x));
}

/* A status that the upstream's `retry.on` names is as good as no answer, where asking
 * again does no harm. */
static bool
again(struct exchange *x)
{
	uint32_t on = x->cluster->conf->retry.on;
	int s = x->response.status;

	if (!(on & (CONF_RETRY_502 | CONF_RETRY_503 | CONF_RETRY_504)) ||
	    x->replay_lost || !method_idempotent((enum method)x->request.method) ||
	    x->attempts > x->cluster->conf->retry.attempts)
		return false;
	return (s == 502 && on & CONF_RETRY_502) || (s == 503 && on & CONF_RETRY_503) ||
	       (s == 504 && on & CONF_RETRY_504);
}

static void
upstream_head(struct stream *s, bool end)
{
	struct exchange *x = s->owner;

	if (x->response.status == 101) {
		switch_protocols(x);
		return;
	}
	if (x->response.status < 200) {
		interim(x);
		return;
	}
	if (x->request.upgrade_only && x->response.status < 300) {
		forward_failed(x, FAULT_UPGRADE_FAILED, 0);
		return;
	}
	x->first_byte = clock_now();
	forward_note(x, FAULT_NONE, 0, x->response.status);
	pace_heard(x);
	if (x->response.status == 401)
		credential_refused(x);
	if (again(x)) {
		forward_drop(x, FAULT_BAD_RESPONSE);
		x->tried |= cluster_bit(x->cluster, x->member);
		x->head_sent = false;
		exchange_go(x, STEP_PICK);
		return;
	}
	forward_forget(x);
	x->replay_lost = true;
	x->response_end = end;
	if (end)
		grpc_note(x, &x->response.headers);
	if (!end)
		s->ops->want(s, flow_window(x));
	exchange_go(x, STEP_RESPOND);
}

static void
response_ended(struct exchange *x)
{
	x->response_end = true;
	exchange_finish_upstream(x);
	exchange_run(x);
}

static void
upstream_body(struct stream *s, struct str bytes, bool end)
{
	struct exchange *x = s->owner;
	size_t held, taken = bytes.len;

	x->progress = clock_ms();
	if (x->filter && x->filter->response)
		x->filter->response(x, &bytes, end);
	x->bytes_out += bytes.len;
	held = x->client->ops->send_body(x->client, bytes, end);
	x->client_blocked = held > 0;
	if (held)
		exchange_watch(x);
	if (end)
		response_ended(x);
	else if (held)
		s->ops->want(s, 0);
	else if (x->filter || !s->ops->relay || !s->ops->relay(s, x->client))
		s->ops->want(s, taken);
}

static void
upstream_trailers(struct stream *s, struct headers *t)
{
	struct exchange *x = s->owner;

	grpc_note(x, t);
	if (x->filter && x->filter->trailers) {
		struct str last = x->filter->trailers(x, t);

		x->client_blocked = x->client->ops->send_body(x->client, last, true) > 0;
	} else {
		x->client->ops->send_trailers(x->client, t);
	}
	response_ended(x);
}

static void
upstream_relay(struct stream *s, size_t n, bool blocked)
{
	struct exchange *x = s->owner;

	x->bytes_out += n;
	if (n)
		x->progress = clock_ms();
	if (blocked != x->client_blocked) {
		x->client_blocked = blocked;
		exchange_watch(x);
	}
}

static void
upstream_drain(struct stream *s)
{
	struct exchange *x = s->owner;

	if (!x->upstream_blocked)
		return;
	x->upstream_blocked = false;
	exchange_watch(x);
	if (!x->request_end)
		x->client->ops->want(x->client, FLOW_WINDOW);
	exchange_run(x);
}

static void
upstream_fault(struct stream *s, enum fault f)
{
	struct exchange *x = s->owner;

	if (!x->status) {
		forward_failed(x, f, 0);
		return;
	}
	if (x->response_end && !x->tunnel) {
		forward_drop(x, f);             /* it wants no more of the request */
		exchange_run(x);
		return;
	}
	/* The head of the response is out: all that is left is to let the client see that
	 * it was cut. */
	x->worker->page->count[METRIC_UP_FAILURES]++;
	if (grpc_cut(x, f)) {
		exchange_run(x);
		return;
	}
	x->truncated = !x->tunnel;
	exchange_abort(x, f);
	exchange_go(x, STEP_END);
}

const struct stream_user exchange_upstream_user = {
	.on_head = upstream_head,
	.on_body = upstream_body,
	.on_trailers = upstream_trailers,
	.on_relay = upstream_relay,
	.on_drain = upstream_drain,
	.on_fault = upstream_fault,
};
