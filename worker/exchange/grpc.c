#include "worker/exchange/grpc.h"

#include "base/clock.h"
#include "worker/exchange/filter.h"
#include "worker/exchange/steps.h"

const char *const grpc_status_name[GRPC_STATUS_COUNT] = {
	[GRPC_OK] = "OK",
	[GRPC_CANCELLED] = "CANCELLED",
	[GRPC_UNKNOWN] = "UNKNOWN",
	[GRPC_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
	[GRPC_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
	[GRPC_NOT_FOUND] = "NOT_FOUND",
	[GRPC_ALREADY_EXISTS] = "ALREADY_EXISTS",
	[GRPC_PERMISSION_DENIED] = "PERMISSION_DENIED",
	[GRPC_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
	[GRPC_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
	[GRPC_ABORTED] = "ABORTED",
	[GRPC_OUT_OF_RANGE] = "OUT_OF_RANGE",
	[GRPC_UNIMPLEMENTED] = "UNIMPLEMENTED",
	[GRPC_INTERNAL] = "INTERNAL",
	[GRPC_UNAVAILABLE] = "UNAVAILABLE",
	[GRPC_DATA_LOSS] = "DATA_LOSS",
	[GRPC_UNAUTHENTICATED] = "UNAUTHENTICATED",
};

/* ---- the words of gRPC */

enum grpc
grpc_kind(struct str type, struct str *rest)
{
	static const struct {
		struct str name;
		enum grpc kind;
	} kinds[] = {
		{ { "application/grpc-web-text", 25 }, GRPC_WEB_TEXT },
		{ { "application/grpc-web", 20 }, GRPC_WEB },
		{ { "application/grpc", 16 }, GRPC_PLAIN },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		size_t n = kinds[i].name.len;

		if (type.len < n || !str_caseeq(str_first(type, n), kinds[i].name))
			continue;
		*rest = str_from(type, n);
		if (!rest->len || strchr("+; \t", rest->at[0]))
			return kinds[i].kind;
	}
	*rest = STR_NONE;
	return GRPC_NOT;
}

/* At most eight digits and a unit. */
bool
grpc_timeout(struct str s, uint64_t *ns)
{
	static const char units[] = "numSMH";
	static const uint64_t unit_ns[] = { 1,
					    1000,
					    1000000,
					    1000000000,
					    60 * 1000000000ull,
					    3600 * 1000000000ull };
	unsigned long long n;
	const char *unit;

	if (s.len < 2 || s.len > 9)
		return false;
	unit = strchr(units, s.at[s.len - 1]);
	if (!unit || !*unit || !str_u64(str_first(s, s.len - 1), 99999999, &n))
		return false;
	*ns = n * unit_ns[unit - units];
	return true;
}

enum grpc_status
grpc_status_of(int status, enum fault f)
{
	if (f == FAULT_RESPONSE_TIMEOUT || f == FAULT_TOTAL_TIMEOUT)
		return GRPC_DEADLINE_EXCEEDED;
	switch (status) {
	case 400:
	case 500:
	case 505:
		return GRPC_INTERNAL;
	case 401:
		return GRPC_UNAUTHENTICATED;
	case 403:
		return GRPC_PERMISSION_DENIED;
	case 404:
	case 405:
	case 501:
		return GRPC_UNIMPLEMENTED;
	case 408:
		return GRPC_CANCELLED;
	case 413:
	case 414:
	case 429:
	case 431:
		return GRPC_RESOURCE_EXHAUSTED;
	case 502:
	case 503:
	case 504:
		return GRPC_UNAVAILABLE;
	default:
		return GRPC_UNKNOWN;
	}
}

struct str
grpc_message(struct arena *a, struct str s)
{
	static const char digits[] = "0123456789ABCDEF";
	char *to = arena_alloc_aligned(a, 3 * s.len + 1, 1), *at = to;

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if (c >= ' ' && c < 0x7f && c != '%') {
			*at++ = (char)c;
			continue;
		}
		*at++ = '%';
		*at++ = digits[c >> 4];
		*at++ = digits[c & 15];
	}
	return (struct str){ to, (size_t)(at - to) };
}

/* ---- the request */

void
grpc_begin(struct exchange *x)
{
	const struct header *type =
		headers_get(&x->request.headers, TOKEN_CONTENT_TYPE);
	struct str rest;

	if (type)
		x->grpc = (uint8_t)grpc_kind(type->value, &rest);
}

static const struct header *
timeout_of(const struct exchange *x, uint64_t *ns)
{
	const struct header *h =
		x->grpc ? headers_find(&x->request.headers, STR("grpc-timeout")) : NULL;

	return h && grpc_timeout(h->value, ns) ? h : NULL;
}

void
grpc_deadline(struct exchange *x)
{
	uint64_t ns, due;

	if (!timeout_of(x, &ns))
		return;
	due = (x->began + ns + 999999) / 1000000;
	if (!x->deadline || due < x->deadline)
		x->deadline = due;
}

void
grpc_prepare(struct exchange *x)
{
	uint64_t ns, now = clock_ms(), left;

	if (!x->grpc)
		return;
	x->request.te_trailers = true;
	if (!timeout_of(x, &ns) || !x->deadline)
		return;
	left = x->deadline > now ? x->deadline - now : 1;
	headers_set(&x->request.headers, &x->arena, STR("grpc-timeout"),
		    left <= 99999999
			    ? arena_printf(&x->arena, "%llum", (unsigned long long)left)
			    : arena_printf(&x->arena, "%lluS",
					   (unsigned long long)left / 1000));
}

/* ---- the response */

void
grpc_note(struct exchange *x, const struct headers *h)
{
	const struct header *status =
		x->grpc ? headers_find(h, STR("grpc-status")) : NULL;
	unsigned long long n;

	if (status && str_u64(status->value, UINT8_MAX - 1, &n))
		x->grpc_status = (uint8_t)(n + 1);
}

bool
grpc_is_failure(const struct exchange *x)
{
	const unsigned failures = 1u << GRPC_UNKNOWN | 1u << GRPC_DEADLINE_EXCEEDED |
				  1u << GRPC_INTERNAL | 1u << GRPC_UNAVAILABLE |
				  1u << GRPC_DATA_LOSS;

	return x->grpc_status && x->grpc_status <= GRPC_STATUS_COUNT &&
	       failures >> (x->grpc_status - 1) & 1;
}

static struct str
reason(const struct exchange *x, enum fault f)
{
	return x->detail.len ? x->detail : fault_info[f].text;
}

static void
say(struct exchange *x, struct headers *h, enum grpc_status status, struct str message)
{
	headers_add(h, &x->arena, STR("grpc-status"),
		    arena_printf(&x->arena, "%d", (int)status));
	if (message.len)
		headers_add(h, &x->arena, STR("grpc-message"),
			    grpc_message(&x->arena, message));
	x->grpc_status = (uint8_t)(status + 1);
}

void
grpc_answer(struct exchange *x)
{
	static const struct str types[] = {
		[GRPC_PLAIN] = { "application/grpc", 16 },
		[GRPC_WEB] = { "application/grpc-web", 20 },
		[GRPC_WEB_TEXT] = { "application/grpc-web-text", 25 },
	};
	struct msg *m = &x->response;
	int status = m->status;

	if (!x->grpc || status < 300)
		return;
	m->status = 200;
	m->reason = STR_NONE;
	m->body = BODY_LENGTH;
	m->length = 0;
	x->answer = STR_NONE;
	headers_remove(&m->headers, STR("content-length"));
	headers_set_token(&m->headers, &x->arena, TOKEN_CONTENT_TYPE, types[x->grpc]);
	say(x, &m->headers, grpc_status_of(status, x->fault),
	    x->fault ? reason(x, x->fault)
		     : arena_printf(&x->arena, "refused with HTTP status %d", status));
}

bool
grpc_cut(struct exchange *x, enum fault f)
{
	const struct header *type;
	struct headers trailers = { 0 };
	struct stream *c = x->client;
	struct str rest;

	if (!x->grpc || !x->status || x->answering || x->response_end || x->tunnel || !c)
		return false;
	type = headers_get(&x->response.headers, TOKEN_CONTENT_TYPE);
	if (!type || !grpc_kind(type->value, &rest))
		return false;
	say(x, &trailers, grpc_status_of(fault_info[f].status, f), reason(x, f));
	if (x->filter && x->filter->trailers)
		c->ops->send_body(c, x->filter->trailers(x, &trailers), true);
	else
		c->ops->send_trailers(c, &trailers);
	x->fault = f;
	x->truncated = true;
	x->response_end = true;
	forward_drop(x, f);
	return true;
}
