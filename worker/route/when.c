#include "worker/route/when.h"

#include <stdio.h>

#define NAME(r) STR_ARG((r)->conf->name)

static const char *const kind_name[] = { "header", "cookie", "query", "client" };

static int
compile_pairs(struct build *b, const struct route *r, enum when_kind kind,
	      const struct conf_pairs *pairs, struct predicate **to)
{
	int bad = 0;

	for (size_t i = 0; i < pairs->n; i++) {
		const struct conf_pair *c = &pairs->at[i];
		struct predicate *p = (*to)++;
		struct str value = str_trim(c->value);

		p->kind = (uint8_t)kind;
		p->name = c->key;
		p->value = c->value;
		p->token = kind == WHEN_HEADER ? (uint8_t)token_of(c->key) : TOKEN_OTHER;
		if (str_eq(value, STR("*"))) {
			p->test = WHEN_PRESENT;
		} else if (value.len && *value.at == '~') {
			value = str_trim(str_from(value, 1));
			p->test = WHEN_REGEX;
			p->regex = build_regex(b, value, r->conf->name, c->value_where,
					       (size_t)(value.at - c->value.at));
			if (!p->regex)
				bad = -1;
		}
	}
	return bad;
}

static int
compile_clients(struct build *b, const struct route *r, struct predicate *p)
{
	const struct conf_strs *clients = &r->conf->when.client;
	struct prefix *prefixes = ARENA_NEWS(b->image, struct prefix, clients->n);
	int bad = 0;

	for (size_t i = 0; i < clients->n; i++) {
		if (prefix_parse(&prefixes[i], clients->at[i]))
			continue;
		diag_error(b->diag, 219, clients->where[i],
			   "route \"%.*s\": \"%.*s\" is no address or prefix such as \"10.0.0.0/8\"", NAME(r),
			   STR_ARG(clients->at[i]));
		bad = -1;
	}
	*p = (struct predicate){ .kind = WHEN_CLIENT, .prefixes = prefixes,
				 .nprefixes = (uint32_t)clients->n };
	return bad;
}

int
when_compile(struct build *b, struct route *r)
{
	const struct conf_route *c = r->conf;
	size_t n = c->when.headers.n + c->when.query.n + c->when.cookies.n +
		   (c->when.client.n > 0);
	struct predicate *all, *to;
	int bad = 0;

	if (!n)
		return 0;
	all = to = ARENA_NEWS(b->image, struct predicate, n);
	/* The cheap ones first. */
	if (c->when.client.n)
		bad |= compile_clients(b, r, to++);
	bad |= compile_pairs(b, r, WHEN_HEADER, &c->when.headers, &to);
	bad |= compile_pairs(b, r, WHEN_COOKIE, &c->when.cookies, &to);
	bad |= compile_pairs(b, r, WHEN_QUERY, &c->when.query, &to);
	r->when = all;
	r->nwhen = (uint32_t)n;
	return bad;
}

static bool
value_fits(const struct predicate *p, const struct route_request *q, struct str value)
{
	switch (p->test) {
	case WHEN_EQUAL:
		return str_eq(p->value, value);
	case WHEN_REGEX:
		return regex_match(p->regex, q->jit, value, NULL);
	}
	return true;
}

static bool
header_holds(const struct predicate *p, const struct route_request *q)
{
	const struct header *h;

	if (!q->headers || (p->token && !headers_has(q->headers, p->token)))
		return false;
	h = p->token ? headers_get(q->headers, p->token)
		     : headers_find(q->headers, p->name);
	for (; h; h = headers_next(q->headers, h))
		if (value_fits(p, q, h->value))
			return true;
	return false;
}

static bool
cookie_holds(const struct predicate *p, const struct route_request *q)
{
	const struct header *h;
	struct str part;

	if (!q->headers || !headers_has(q->headers, TOKEN_COOKIE))
		return false;
	for (h = headers_get(q->headers, TOKEN_COOKIE); h;
	     h = headers_next(q->headers, h)) {
		struct str rest = h->value;

		while (rest.len && str_split(&rest, ';', &part)) {
			ptrdiff_t is;

			part = str_trim(part);
			is = str_find(part, '=');
			if (is >= 0 && str_eq(str_first(part, (size_t)is), p->name) &&
			    value_fits(p, q, str_from(part, (size_t)is + 1)))
				return true;
		}
	}
	return false;
}

static bool
client_holds(const struct predicate *p, const struct route_request *q)
{
	for (uint32_t i = 0; q->client && i < p->nprefixes; i++)
		if (prefix_has(&p->prefixes[i], q->client))
			return true;
	return false;
}

static bool
query_holds(const struct predicate *p, const struct route_request *q)
{
	struct str value;

	return uri_query(q->query, p->name, q->arena, &value) && value_fits(p, q, value);
}

const struct predicate *
when_fails(const struct route *r, const struct route_request *q)
{
	static bool (*const holds[])(const struct predicate *,
				     const struct route_request *) = {
		[WHEN_HEADER] = header_holds,
		[WHEN_COOKIE] = cookie_holds,
		[WHEN_QUERY] = query_holds,
		[WHEN_CLIENT] = client_holds,
	};

	for (uint32_t i = 0; i < r->nwhen; i++)
		if (!holds[r->when[i].kind](&r->when[i], q))
			return &r->when[i];
	return NULL;
}

struct str
when_text(const struct predicate *p, char *buf, size_t size)
{
	int n = snprintf(buf, size, "%s%s%.*s", kind_name[p->kind], p->name.len ? " " : "",
			 STR_ARG(p->name));

	return (struct str){ buf, (size_t)n < size ? (size_t)n : size - 1 };
}
