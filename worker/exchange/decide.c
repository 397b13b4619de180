#include "base/clock.h"
#include "base/rand.h"
#include "worker/exchange/clientcert.h"
#include "worker/exchange/connect.h"
#include "worker/exchange/forwarded.h"
#include "worker/exchange/grpc.h"
#include "worker/exchange/steps.h"
#include "worker/exchange/template.h"
#include "worker/http/uri.h"

/* The host that domains are looked up by: lower case, no port, no dot at the end. */
static struct str
plain_host(struct exchange *x)
{
	struct str host = x->request.hostname, port;
	char *copy;

	if (!host.len && !uri_authority(x->request.host, &host, &port))
		return STR_NONE;
	if (host.len > 1 && host.at[host.len - 1] == '.')
		host.len--;
	if (!str_has_upper(host))
		return host;
	copy = arena_alloc_aligned(&x->arena, host.len, 1);
	for (size_t i = 0; i < host.len; i++)
		copy[i] = (char)char_lower((unsigned char)host.at[i]);
	return (struct str){ copy, host.len };
}

static enum step
fault_step(struct exchange *x, enum fault f)
{
	exchange_answer(x, f);
	return STEP_ANSWER;
}

/* 308 keeps the method (RFC 9110 §15.4.9). */
static enum step
redirect_to_https(struct exchange *x)
{
	struct str host = x->host;
	const struct msg *m = &x->request;

	exchange_respond(x, 308, STR_NONE, STR_NONE);
	headers_add_token(&x->response.headers, &x->arena, TOKEN_LOCATION,
			  arena_printf(&x->arena, "https://%.*s%.*s%s%.*s", STR_ARG(host), STR_ARG(x->path),
				       m->has_query ? "?" : "", STR_ARG(m->query)));
	return STEP_ANSWER;
}

/* A CORS preflight asks about another method: it belongs to the route that takes that
 * one, if a policy there answers preflights. */
static bool
preflight(struct exchange *x, struct route_request *r)
{
	const struct header *h = headers_find(&x->request.headers, STR("access-control-request-method"));
	struct route_match m;

	if (!h || !headers_has(&x->request.headers, TOKEN_ORIGIN))
		return false;
	r->method = (uint8_t)method_of(h->value);
	r->method_text = h->value;
	if (!route_find(x->gen->router, r, &m, NULL) || !m.route->links->preflight)
		return false;
	x->match = m;
	return true;
}

static void
take_links(struct exchange *x)
{
	const struct route_match *m = &x->match;

	if (m->route)
		x->links = m->route->links;
	else if (m->service)
		x->links = m->service->links;
	/* Policies without a state get a place too, not an offset from nowhere. */
	x->states = x->links->state_size
			    ? arena_zalloc(&x->arena, x->links->state_size)
			    : x->home;
}

/* Answers what looks like requests that killed two workers. A crash before the route was
 * found left a signature without one. */
static bool
is_poison(struct exchange *x)
{
	const struct poison *p = x->worker->shared->poison;
	uint64_t sign, left = 0;

	sign = exchange_signature(x, x->match.route ? x->match.route->series : 0);
	if (!poison_refuses(p, sign, clock_ms()))
		return false;
	for (int i = 0; i < POISON_ROWS; i++)
		if (p->row[i].signature == sign && p->row[i].until > clock_ms())
			left = p->row[i].until - clock_ms();
	exchange_answer_later(x, FAULT_POISONED, left / 1000 + 1);
	return true;
}

static inline bool
poisoned(struct exchange *x)
{
	return atomic_load_explicit(&x->worker->shared->poison->active,
				    memory_order_relaxed) && is_poison(x);
}

/* No route has a say in a tunnel: the policies are those of the gateway. */
static enum step
route_connect(struct exchange *x)
{
	x->path = x->request.host;
	take_links(x);
	if (!x->listener->connect) {
		x->match.fault = FAULT_BAD_METHOD_ROUTE;
		return fault_step(x, FAULT_BAD_METHOD_ROUTE);
	}
	x->routed = clock_now();
	return STEP_POLICIES;
}

enum step
step_route(struct exchange *x)
{
	const struct conf_gateway *g = &x->gen->model->gateway;
	struct uri_rules rules = { g->merge_slashes, (uint8_t)g->encoded_slash };
	struct route_request r = {
		.listener = x->listener->index,
		.method = x->request.method,
		.method_text = x->request.method_text,
		.query = x->request.query,
		.headers = &x->request.headers,
		.client = &x->client_addr,
		.jit = x->gen->jit,
		.arena = &x->arena,
	};
	enum fault f;

	x->body_limit = g->limits.body;
	grpc_begin(x);
	if (poisoned(x)) {
		take_links(x);
		return STEP_ANSWER;
	}
	forwarded_client(x, &x->gen->trust[x->listener->index]);
	x->host = r.host = plain_host(x);
	x->path = x->request.path;
	if (x->request.method == METHOD_CONNECT)
		return route_connect(x);
	if (x->request.path.len && x->request.path.at[0] == '/') {
		f = uri_normalise(x->request.path, rules, &x->arena, &x->path);
		if (f) {
			x->close_client = true; /* as after any invalid request */
			take_links(x);
			return fault_step(x, f);
		}
		x->request.path = x->path;
	}
	if (x->listener->redirect) {
		take_links(x);
		return redirect_to_https(x);
	}
	r.path = x->path;
	if (!route_find(x->gen->router, &r, &x->match, NULL) &&
	    !(x->request.method == METHOD_OPTIONS && preflight(x, &r))) {
		take_links(x);
		x->worker->page->count[METRIC_UNMATCHED]++;
		return fault_step(x, x->match.fault);
	}
	x->routed = clock_now();
	take_links(x);
	if (poisoned(x))
		return STEP_ANSWER;
	if (x->match.route->conf->max_body)
		x->body_limit = x->match.route->conf->max_body;
	/* Before the policies: what they do to these lines has the last word. */
	if (!x->links->forwards)
		forwarded_default(x);
	clientcert_tell(x);
	return STEP_POLICIES;
}

/* ---- policies, and what they say of their decisions */

/* More policies than notes: the last place is of the latest. */
static struct record_note *
note_place(struct exchange *x)
{
	return &x->note[x->nnotes < RECORD_NOTES ? x->nnotes : RECORD_NOTES - 1];
}

void
exchange_decided(struct exchange *x, enum decision d, uint64_t a, uint64_t b, uint64_t c)
{
	struct record_note *n = note_place(x);

	n->decision = (uint8_t)d;
	n->operand[0] = a;
	n->operand[1] = b;
	n->operand[2] = c;
	x->noted = true;
}

void
decide_note(struct exchange *x, enum decision by_verdict)
{
	const struct link *k = &x->links->at[x->at_link];
	struct record_note *n = note_place(x);
	uint64_t held = x->held ? clock_now() - x->held : 0;
	bool passed = by_verdict == DECISION_PASSED;

	if (!x->noted)
		exchange_decided(x, held && passed ? DECISION_WAITED : by_verdict, 0, 0,
				 0);
	n->policy = k->series;
	n->line = k->conf->where.line;
	n->file = k->file;
	n->spare = 0;
	n->us = held / 1000 < UINT32_MAX ? (uint32_t)(held / 1000) : UINT32_MAX;
	x->queued += held;
	x->held = 0;
	x->noted = false;
	if (x->nnotes < RECORD_NOTES)
		x->nnotes++;
	tally_add(x->worker->tally, tally_key(TALLY_DECISIONS, k->series, n->decision,
					      passed ? FAULT_NONE : x->fault));
}

static bool
too_large(const struct exchange *x)
{
	return x->body_limit && x->request.body == BODY_LENGTH &&
	       x->request.length > x->body_limit;
}

enum step
step_policies(struct exchange *x)
{
	const struct links *l = x->links;

	if (x->waiting)
		return STEP_STAY;
	for (; l->has_request && x->at_link < l->n; x->at_link++) {
		const struct link *k = &l->at[x->at_link];
		enum verdict v;

		if (!k->policy->request)
			continue;
		x->bound = x->gen->bound[k->conf->index];
		v = k->policy->request(x, k->self, (char *)x->states + k->state);
		if (v == PASS) {
			decide_note(x, DECISION_PASSED);
			continue;
		}
		if (v == WAIT) {
			x->waiting = true;
			if (!x->held)
				x->held = clock_now();
			return STEP_STAY;
		}
		decide_note(x, v == ANSWER ? DECISION_REFUSED : DECISION_ABORTED);
		x->record.policy = x->nnotes;
		x->answered_by = k;
		if (v == ANSWER)
			return STEP_ANSWER;
		exchange_abort(x, x->fault ? x->fault : FAULT_DENIED);
		return STEP_END;
	}
	if (too_large(x))
		return fault_step(x, FAULT_BODY_TOO_LARGE);
	return STEP_ACT;
}

static const struct conf_upstream *
choose(const struct route *r)
{
	const struct conf_route *c = r->conf;
	int64_t n;

	if (c->nto == 1 || !r->total_weight)
		return c->to[0].upstream;
	n = (int64_t)(rand_u64() % r->total_weight);
	for (size_t i = 0; i < c->nto; i++) {
		n -= c->to[i].weight;
		if (n < 0)
			return c->to[i].upstream;
	}
	return c->to[0].upstream;
}

enum step
step_act(struct exchange *x)
{
	const struct route *r = x->match.route;
	const struct conf_route *c = r ? r->conf : NULL;
	uint64_t total;

	if (!c)
		return connect_act(x);
	switch (c->action) {
	case CONF_RESPOND:
		exchange_respond(x, (int)c->respond_status, c->respond_type,
				 c->respond_body);
		return STEP_ANSWER;
	case CONF_REDIRECT:
		exchange_respond(x, (int)c->redirect_status, STR_NONE, STR_NONE);
		headers_add_token(&x->response.headers, &x->arena, TOKEN_LOCATION,
				  template_eval_location(r->redirect, x));
		return STEP_ANSWER;
	default:
		break;
	}
	x->decided = clock_now();
	x->cluster = &x->gen->clusters[choose(r)->index];
	total = c->timeout.total ? c->timeout.total : x->cluster->conf->timeout.total;
	x->deadline = total ? clock_ms() + total : 0;
	grpc_deadline(x);
	return STEP_PICK;
}
