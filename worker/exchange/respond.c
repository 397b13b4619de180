#include "base/clock.h"
#include "worker/exchange/grpc.h"
#include "worker/exchange/steps.h"
#include "worker/http/h1_write.h"
#include "worker/http/local.h"

enum { DISCARD_MAX = 64 * 1024 };

static void
policies_back(struct exchange *x)
{
	const struct links *l = x->links;

	if (!l->has_response)
		return;
	for (uint32_t i = l->n; i-- > 0;) {
		const struct link *k = &l->at[i];

		if (!k->policy->response)
			continue;
		x->bound = x->gen->bound[k->conf->index];
		k->policy->response(x, k->self, (char *)x->states + k->state);
	}
}

enum step
step_respond(struct exchange *x)
{
	bool end = x->response_end && !x->tunnel;

	if (x->tunnel)
		x->response.upgrade = true;
	exchange_meter(x);
	policies_back(x);
	x->status = x->response.status;
	/* A request that its upstream wants no more of is not read to its end. */
	if (!x->request_end && !x->tunnel && !x->response.keep_alive)
		x->close_client = true;
	x->client->ops->send_head(x->client, &x->response, end, x->close_client);
	if (end)
		exchange_finish_upstream(x);
	exchange_watch(x);
	return STEP_FLOW;
}

/* ---- answers of our own */

static void
begin_answer(struct exchange *x, int status)
{
	memset(&x->response, 0, sizeof(x->response));
	x->response.status = (uint16_t)status;
	x->response.minor = 1;
	x->response.body = BODY_LENGTH;
	x->response.keep_alive = true;
	x->answering = true;
	headers_add_token(&x->response.headers, &x->arena, TOKEN_DATE,
			  (struct str){ clock_date(), 29 });
	/* Whoever is refused, or redirected, can ask why. */
	headers_add_token(&x->response.headers, &x->arena, TOKEN_X_REQUEST_ID,
			  exchange_id(x));
}

int
exchange_respond(struct exchange *x, int status, struct str type, struct str body)
{
	begin_answer(x, status);
	x->answer = body;
	x->response.length = body.len;
	if (type.len)
		headers_add_token(&x->response.headers, &x->arena, TOKEN_CONTENT_TYPE,
				  type);
	return ANSWER;
}

int
exchange_answer(struct exchange *x, enum fault f)
{
	const struct fault_info *i = &fault_info[f];
	const struct header *accept = headers_get(&x->request.headers, TOKEN_ACCEPT);
	struct headers *h;
	struct local_answer a;

	a = local_problem(&x->arena, f, i->status, x->detail,
			  x->path.len ? x->path : x->request.path, exchange_id(x),
			  accept ? accept->value : STR_NONE);
	exchange_respond(x, i->status, a.type, a.body);
	x->fault = f;
	h = &x->response.headers;
	headers_add_token(h, &x->arena, TOKEN_CACHE_CONTROL, STR("no-store"));
	headers_add_token(
		h, &x->arena, TOKEN_PROXY_STATUS,
		arena_printf(&x->arena, "postern; error=%.*s", STR_ARG(i->token)));
	if (f == FAULT_BAD_METHOD_ROUTE)
		headers_add_token(h, &x->arena, TOKEN_ALLOW,
				  route_allow(&x->match, &x->arena));
	return ANSWER;
}

int
exchange_answer_later(struct exchange *x, enum fault f, uint64_t seconds)
{
	exchange_answer(x, f);
	headers_add(&x->response.headers, &x->arena, STR("Retry-After"),
		    arena_printf(&x->arena, "%llu", (unsigned long long)seconds));
	return ANSWER;
}

/* Whether so much of the request is still to come that the connection ends here. A short
 * rest is dropped by the codec, but who waits for 100 Continue may send its body or not:
 * nobody knows what comes next. */
static bool
unread(const struct exchange *x)
{
	return !x->request_end &&
	       (x->request.expect_continue || x->request.body != BODY_LENGTH ||
		x->request.length > DISCARD_MAX);
}

enum step
step_answer(struct exchange *x)
{
	struct stream *c = x->client;
	bool end;

	if (x->upstream)
		forward_drop(x, x->fault ? x->fault : FAULT_INTERNAL);
	if (unread(x))
		x->close_client = true;
	exchange_meter(x);
	policies_back(x);
	grpc_answer(x);
	x->status = x->response.status;
	end = x->request.method == METHOD_HEAD || !x->answer.len;
	c->ops->send_head(c, &x->response, end, x->close_client);
	if (!end) {
		x->client_blocked = c->ops->send_body(c, x->answer, true) > 0;
		x->bytes_out = x->answer.len;
	}
	x->response_end = true;
	if (x->client_blocked)
		exchange_watch(x);
	return STEP_FLOW;
}
