/* grpc-web — lets browsers call gRPC services (gRPC-Web, PROTOCOL-WEB.md of grpc).
 *
 * A browser can neither read trailers nor send raw HTTP/2. A call that comes as
 * application/grpc-web, or as application/grpc-web-text (all of it in base64), goes
 * on to the upstream as application/grpc; what comes back has its trailers as a last
 * frame of the body. Whatever else comes is left alone. Calls of other origins need
 * a cors policy before this one, with expose = [ "grpc-status", "grpc-message" ]. */
#include <stdlib.h>

#include "base/base64.h"
#include "worker/exchange/filter.h"
#include "worker/exchange/grpc.h"
#include "worker/policy/policies.h"

enum { FRAME_HEAD = 5, FRAME_TRAILERS = 0x80 };

struct grpc_web_state {
	bool text;                      /* the client takes base64 */
	struct str type;                /* in place of application/grpc … */
	struct str rest;                /* … and what follows, unless it is said */
	char carry[4];                  /* of the request: too little for bytes yet */
	uint32_t ncarry;
	char *buf;                      /* heap: what the last call made */
	size_t room;
};

static const struct conf_field fields[] = { CONF_END };

static char *
buffer(struct grpc_web_state *s, size_t n)
{
	if (n <= s->room)
		return s->buf;
	free(s->buf);
	s->buf = malloc(n);
	if (!s->buf)
		abort();
	s->room = n;
	return s->buf;
}

/* ---- the request */

/* Four characters at a time: whoever encodes in pieces pads each of them. */
static bool
decode(struct exchange *x, struct str *bytes, bool end)
{
	struct grpc_web_state *s = x->filter_state;
	char *to = buffer(s, (s->ncarry + bytes->len) / 4 * 3 + 3), *at = to;

	for (size_t i = 0; i < bytes->len; i++) {
		ssize_t n;

		s->carry[s->ncarry++] = bytes->at[i];
		if (s->ncarry < sizeof(s->carry))
			continue;
		n = base64_get(at, (struct str){ s->carry, sizeof(s->carry) });
		if (n < 0)
			return false;
		at += n;
		s->ncarry = 0;
	}
	*bytes = (struct str){ to, (size_t)(at - to) };
	return !end || !s->ncarry;
}

/* ---- the response */

static struct str
encoded(struct grpc_web_state *s, struct str bytes)
{
	char *to = buffer(s, base64_size(bytes.len));

	return (struct str){ to, (size_t)(base64_put(to, bytes) - to) };
}

static void
encode(struct exchange *x, struct str *bytes, bool end)
{
	(void)end;
	if (bytes->len)
		*bytes = encoded(x->filter_state, *bytes);
}

static char *
put_lower(char *to, struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		*to++ = (char)char_lower((unsigned char)s.at[i]);
	return to;
}

/* A frame whose first bit says what it is: lines as of HTTP/1.1, names in lower case. */
static struct str
trailers(struct exchange *x, const struct headers *h)
{
	struct grpc_web_state *s = x->filter_state;
	size_t room = FRAME_HEAD, n;
	char *frame, *at;

	for (uint32_t i = 0; i < h->n; i++)
		room += h->at[i].name.len + h->at[i].value.len + 3;
	frame = arena_alloc_aligned(&x->arena, room, 1);
	at = frame + FRAME_HEAD;
	for (uint32_t i = 0; i < h->n; i++) {
		if (h->at[i].gone || h->at[i].hop)
			continue;
		at = put_lower(at, h->at[i].name);
		*at++ = ':';
		if (h->at[i].value.len)
			at = mempcpy(at, h->at[i].value.at, h->at[i].value.len);
		*at++ = '\r';
		*at++ = '\n';
	}
	n = (size_t)(at - frame) - FRAME_HEAD;
	frame[0] = (char)FRAME_TRAILERS;
	for (int i = 0; i < 4; i++)
		frame[1 + i] = (char)(n >> (24 - 8 * i));
	x->bytes_out += (uint64_t)(at - frame);
	return s->text ? encoded(s, (struct str){ frame, (size_t)(at - frame) })
		       : (struct str){ frame, (size_t)(at - frame) };
}

/* By what the request and the response are made of. */
static const struct filter filters[2][2] = {
	{ { .trailers = trailers },
	  { .response = encode, .trailers = trailers } },
	{ { .request = decode, .trailers = trailers },
	  { .request = decode, .response = encode, .trailers = trailers } },
};

/* The response is none of gRPC, the request still goes on. */
static const struct filter only_request = { .request = decode };

/* ---- the policy */

static enum verdict
request(struct exchange *x, const void *self, void *state)
{
	struct headers *h = &x->request.headers;
	const struct header *type = headers_get(h, TOKEN_CONTENT_TYPE);
	const struct header *accept = headers_get(h, TOKEN_ACCEPT);
	struct grpc_web_state *s = state;
	struct str rest;
	enum grpc kind;

	(void)self;
	kind = type ? grpc_kind(type->value, &rest) : GRPC_NOT;
	if (kind != GRPC_WEB && kind != GRPC_WEB_TEXT)
		return PASS;
	s->text = kind == GRPC_WEB_TEXT;
	s->type = s->text ? STR("application/grpc-web-text") : STR("application/grpc-web");
	if (accept && str_starts(accept->value, STR("application/grpc-web-text"))) {
		s->text = true;
		s->type = STR("application/grpc-web-text");
	}
	headers_set_token(h, &x->arena, TOKEN_CONTENT_TYPE,
			  arena_printf(&x->arena, "application/grpc%.*s", STR_ARG(rest)));
	s->rest = rest;
	headers_remove(h, STR("accept"));
	if (kind == GRPC_WEB_TEXT && x->request.body == BODY_LENGTH) {
		x->request.body = BODY_CHUNKED;
		headers_remove(h, STR("content-length"));
	}
	x->filter = &filters[kind == GRPC_WEB_TEXT][s->text];
	x->filter_state = s;
	return PASS;
}

static void
response(struct exchange *x, const void *self, void *state)
{
	struct grpc_web_state *s = state;
	struct msg *m = &x->response;
	const struct header *type = headers_get(&m->headers, TOKEN_CONTENT_TYPE);
	struct str rest;

	(void)self;
	if (!s->type.len || x->filter_state != s)
		return;
	if (x->answering || !type || grpc_kind(type->value, &rest) != GRPC_PLAIN) {
		x->filter = x->filter->request ? &only_request : NULL;
		return;
	}
	headers_set_token(&m->headers, &x->arena, TOKEN_CONTENT_TYPE,
			  arena_printf(&x->arena, "%.*s%.*s", STR_ARG(s->type),
				       STR_ARG(rest.len ? rest : s->rest)));
	if (m->body == BODY_LENGTH && !x->response_end) {
		m->body = BODY_CHUNKED;
		headers_remove(&m->headers, STR("content-length"));
	}
}

static void
done(struct exchange *x, const void *self, void *state)
{
	struct grpc_web_state *s = state;

	(void)self;
	(void)x;
	free(s->buf);
	s->buf = NULL;
}

const struct policy grpc_web_policy = {
	.conf = {
		.name = "grpc-web",
		.help = "Translates gRPC-Web, which browsers speak, to gRPC",
		.fields = fields,
	},
	.state_size = sizeof(struct grpc_web_state),
	.request = request,
	.response = response,
	.done = done,
};
