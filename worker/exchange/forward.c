#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "worker/exchange/connect.h"
#include "worker/exchange/credential.h"
#include "worker/exchange/grpc.h"
#include "worker/exchange/names.h"
#include "worker/exchange/pace.h"
#include "worker/exchange/steps.h"
#include "worker/exchange/template.h"
#include "worker/http/uri.h"

/* A kept body, the credit that was given meanwhile, and one reading beyond it. */
enum { BACKOFF_MS = 50, KEEP_MAX = REPLAY_MAX + FLOW_WINDOW + LOOP_RBUF };

/* "." or "..", however its dots are written. */
static bool
is_dot_segment(struct str s)
{
	unsigned dots = 0;

	for (; s.len; dots++) {
		size_t n = s.at[0] == '.' ? 1 : 3;

		if (n == 3 && !str_caseeq(str_first(s, 3), STR("%2e")))
			return false;
		s = str_from(s, n);
	}
	return dots == 1 || dots == 2;
}

/* A capture that is part of a segment may be "..", a value of a header anything: neither
 * may lead out of where the rewrite points. */
static enum fault
rewrite(struct exchange *x, const struct template *t)
{
	const struct conf_gateway *g = &x->gen->model->gateway;
	struct uri_rules rules = { g->merge_slashes, (uint8_t)g->encoded_slash };
	struct str to = template_eval_uri(t, x), rest = to, segment;

	if (!to.len || to.at[0] != '/')
		rest = to = x->path;
	while (str_split(&rest, '/', &segment))
		if (is_dot_segment(segment))
			return FAULT_BAD_TARGET;
	return uri_normalise(to, rules, &x->arena, &x->request.path);
}

static struct str
via(const struct exchange *x)
{
	struct str v = exchange_version(x);

	return v.len == 1 ? STR("2 postern") :
	       x->request.minor ? STR("1.1 postern") : STR("1.0 postern");
}

/* What every attempt sends: done once. */
static enum fault
prepare(struct exchange *x)
{
	struct msg *m = &x->request;
	const struct route *r = x->match.route;
	enum fault f = r->rewrite ? rewrite(x, r->rewrite) : FAULT_NONE;

	x->prepared = true;
	/* h2c by Upgrade would take everything that follows past our rules (RFC 9113 §3.1
	 * dropped it). */
	if (m->upgrade && headers_list_has(m->upgrade_to, STR("h2c")))
		m->upgrade = false;
	if (m->body != BODY_NONE)
		m->upgrade = false;
	grpc_prepare(x);
	/* RFC 9110 §7.6.3 */
	headers_add_line(&m->headers, &x->arena, TOKEN_VIA,
			 via(x));
	return f;
}

void
forward_note(struct exchange *x, enum fault f, int error, int status)
{
	struct record *r = &x->record;
	struct stats_series *s;
	unsigned i = r->attempts;

	if (!x->member)
		return;
	s = &x->worker->series[x->member->target->series];
	s->requests++;
	if (status && status < 600)
		s->status[status / 100 - 1]++;
	if (f)
		s->failed++;
	else {
		uint64_t us = (clock_now() - x->attempt_at) / 1000;

		s->us += us;
		s->bucket[series_bucket(us)]++;
	}
	if (i >= RECORD_ATTEMPTS)
		i = RECORD_ATTEMPTS - 1;
	else
		r->attempts++;
	r->attempt[i].target = x->member->target->series;
	r->attempt[i].us = (uint32_t)((clock_now() - x->attempt_at) / 1000);
	r->attempt[i].fault = (uint16_t)f;
	r->attempt[i].status = (uint16_t)status;
	r->attempt[i].error = (uint32_t)error;
}

void
forward_connected(struct exchange *x, bool made)
{
	struct stats_series *s = &x->worker->series[x->member->target->connect_series];
	uint64_t us = (clock_now() - x->attempt_at) / 1000;

	s->requests++;
	if (!made) {
		s->failed++;
		return;
	}
	s->us += us;
	s->bucket[series_bucket(us)]++;
}

void
forward_drop(struct exchange *x, enum fault f)
{
	connect_cancel(&x->call);
	connect_forget(x);
	x->connecting = false;
	if (!x->upstream)
		return;
	x->upstream->ops->release(x->upstream, f);
	x->upstream = NULL;
	x->upstream_blocked = false;
}

/* Whether this request may be sent again after this fault. What was sent over a
 * connection that was new may have been acted upon: never again. */
static bool
repeatable(const struct exchange *x, enum fault f)
{
	if (x->replay_lost || x->status)
		return false;
	switch (fault_info[f].retry) {
	case FAULT_RETRY_UNSENT:
		return !x->head_sent;
	case FAULT_RETRY_SAFE:
		return !x->head_sent ||
		       (x->reused && !x->interim &&
			method_idempotent((enum method)x->request.method));
	default:
		return false;
	}
}

void
forward_failed(struct exchange *x, enum fault f, int error)
{
	bool dead_reused = x->reused && x->head_sent;

	if (!x->cluster) {
		connect_failed(x, f, error);
		return;
	}
	x->worker->page->count[METRIC_UP_FAILURES]++;
	if (x->connecting)
		forward_connected(x, false);
	forward_note(x, f, error, 0);
	forward_drop(x, f);
	if (repeatable(x, f)) {
		x->head_sent = false;
		if (dead_reused) {
			/* It was closed while it was idle: nothing speaks against the
			 * target. */
			x->fresh_only = true;
			x->attempts--;
			exchange_go(x, STEP_PICK);
			return;
		}
		if (x->attempts <= x->cluster->conf->retry.attempts &&
		    x->cluster->conf->retry.on & CONF_RETRY_CONNECT) {
			if (x->member)
				x->tried |= cluster_bit(x->cluster, x->member);
			exchange_go(x, STEP_PICK);
			return;
		}
	}
	x->error = error;
	exchange_answer(x, f);
	exchange_go(x, STEP_ANSWER);
}

static void
take_stream(struct exchange *x, struct stream *s)
{
	x->upstream = s;
	x->connected = clock_now();
	stream_attach(s, &exchange_upstream_user, x, &x->arena, &x->response);
}

static void
call_ready(struct call *c, struct stream *s)
{
	struct exchange *x = list_entry(c, struct exchange, call);

	x->connecting = false;
	forward_connected(x, true);
	take_stream(x, s);
	exchange_go(x, STEP_SEND);
}

static void
call_fault(struct call *c, enum fault f, int error)
{
	forward_failed(list_entry(c, struct exchange, call), f, error);
}

/* Fails at once; forward_failed() sets the step that is next. */
static enum step
failed_now(struct exchange *x, enum fault f, int error)
{
	forward_failed(x, f, error);
	return (enum step)x->step;
}

/* What an upstream wants of an attempt before it is made; STEP_PICK: it can be. */
static inline enum step
egress(struct exchange *x)
{
	enum step next = STEP_PICK;

	credential_resume(x);
	if (x->cluster->conf->credential.type)
		next = credential_ready(x);
	if (next == STEP_PICK && pace_applies(x->cluster->conf))
		next = pace_admit(x);
	return next;
}

enum step
step_pick(struct exchange *x)
{
	struct member *m;
	struct stream *s = NULL;
	enum step next;
	enum fault f;

	if (x->backing_off || x->waiting)
		return STEP_STAY;
	if (!x->prepared && (f = prepare(x))) {
		exchange_answer(x, f);
		return STEP_ANSWER;
	}
	next = egress(x);
	if (next != STEP_PICK)
		return next;
	m = cluster_pick(x->cluster, x->tried);
	if (!m && x->tried) {
		/* All of them failed: perhaps they are just being restarted. */
		x->tried = 0;
		x->backing_off = true;
		exchange_watch(x);
		timer_set(&x->worker->loop.wheel, &x->timer,
			  clock_ms() + (BACKOFF_MS << x->attempts));
		return STEP_STAY;
	}
	x->member = m;
	if (!m)
		return failed_now(x, FAULT_NO_TARGET, 0);
	if (x->attempts++)
		x->worker->page->count[METRIC_UP_RETRIES]++;
	x->attempt_at = clock_now();
	x->reused = false;
	/* What was asked for and did not come in the attempt before. */
	x->client->ops->want(x->client, 0);
	if (!x->fresh_only)
		s = pool_take(m->target);
	if (s) {
		x->reused = true;
		take_stream(x, s);
		return STEP_SEND;
	}
	x->call.on_ready = call_ready;
	x->call.on_fault = call_fault;
	if (connect_start(m->target, &x->call, &x->client_addr, &f) < 0) {
		int error = errno;

		forward_connected(x, false);
		return failed_now(x, f, error);
	}
	x->connecting = true;
	exchange_watch(x);
	return STEP_STAY;
}

enum step
step_send(struct exchange *x)
{
	struct stream *u = x->upstream;
	struct str kept = { x->kept, x->kept_len };

	bool trailers = x->trailers.n > 0;

	credential_send_head(x, x->request_end && !kept.len && !trailers);
	x->head_sent = true;
	if (flow_window(x) < FLOW_MOST)
		u->ops->want(u, FLOW_LEAST);    /* with the head comes no more */
	/* A body is sent again only where the connection may turn out to be dead. */
	x->keeping = x->reused && method_idempotent((enum method)x->request.method);
	if (kept.len) {
		x->upstream_blocked =
			u->ops->send_body(u, kept, x->request_end && !trailers) > 0;
		if (!x->keeping) {
			forward_forget(x);
			x->replay_lost = true;
		}
	}
	if (trailers)
		u->ops->send_trailers(u, &x->trailers);
	if (!x->request_end && !x->upstream_blocked)
		x->client->ops->want(x->client, FLOW_WINDOW);
	exchange_watch(x);
	return STEP_FLOW;
}

/* ---- the request body, as long as it may be needed again */

void
forward_keep(struct exchange *x, struct str bytes)
{
	uint32_t need = x->kept_len + (uint32_t)bytes.len;

	if (!bytes.len)
		return;
	if (need > KEEP_MAX)
		abort();                        /* no credit was given for that much */
	if (need > x->kept_room) {
		uint32_t room = x->kept_room ? x->kept_room : 4096;

		while (room < need)
			room *= 2;
		x->kept = realloc(x->kept, room);
		if (!x->kept)
			abort();
		x->kept_room = room;
	}
	memcpy(x->kept + x->kept_len, bytes.at, bytes.len);
	x->kept_len = need;
}

void
forward_forget(struct exchange *x)
{
	free(x->kept);
	x->kept = NULL;
	x->kept_len = x->kept_room = 0;
	x->keeping = false;
}
