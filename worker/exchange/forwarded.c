#include "worker/exchange/forwarded.h"

#include "worker/exchange/clientcert.h"

enum { HOPS_MAX = 64 };

/* ---- who the client is */

/* Takes the last element off a comma-separated list; commas in quotes do not count. */
static bool
last_element(struct str *list, struct str *element)
{
	size_t at = list->len;
	bool quoted = false;

	if (!list->len)
		return false;
	while (at > 0) {
		char c = list->at[at - 1];

		if (c == '"')
			quoted = !quoted;
		if (c == ',' && !quoted)
			break;
		at--;
	}
	*element = str_trim(str_from(*list, at));
	list->len = at ? at - 1 : 0;
	return true;
}

/* The value of for= of an element of Forwarded, without quotes. */
static struct str
forwarded_for(struct str element)
{
	struct str pair;

	while (str_split(&element, ';', &pair)) {
		pair = str_trim(pair);
		if (pair.len < 4 || !str_caseeq(str_first(pair, 4), STR("for=")))
			continue;
		pair = str_from(pair, 4);
		if (pair.len >= 2 && pair.at[0] == '"' && pair.at[pair.len - 1] == '"')
			pair = (struct str){ pair.at + 1, pair.len - 2 };
		return pair;
	}
	return STR_NONE;
}

/* One line's hops from the right. False: the walk is over. */
static bool
walk_line(struct exchange *x, const struct trust *t, struct str line, bool rfc7239,
	  int *hops)
{
	struct str element;
	struct addr a;

	while (last_element(&line, &element)) {
		if (++*hops > HOPS_MAX)
			return false;
		if (!element.len)
			continue;               /* RFC 9110 §5.6.1.2: empty elements */
		if (rfc7239)
			element = forwarded_for(element);
		if (!element.len || !addr_parse(&a, element))
			return false;
		x->client_addr = a;
		if (!trust_has(t, &a))
			return false;
	}
	return true;
}

void
forwarded_client(struct exchange *x, const struct trust *t)
{
	const struct headers *h = &x->request.headers;
	bool rfc7239 = !headers_has(h, TOKEN_X_FORWARDED_FOR);
	enum token token = rfc7239 ? TOKEN_FORWARDED : TOKEN_X_FORWARDED_FOR;
	const struct header *proto;
	struct str list, scheme = STR_NONE;
	int hops = 0;

	x->client_addr = x->peer;
	x->trusted = t->n && trust_has(t, &x->peer);
	clientcert_begin(x);
	if (!x->trusted)
		return;
	if (headers_has(h, token))
		for (uint32_t i = h->n; i-- > 0;)
			if (h->at[i].token == token && !h->at[i].gone &&
			    !walk_line(x, t, h->at[i].value, rfc7239, &hops))
				break;
	if (!(proto = headers_get(h, TOKEN_X_FORWARDED_PROTO)))
		return;
	for (const struct header *next = proto; next; next = headers_next(h, next))
		proto = next;
	list = proto->value;
	last_element(&list, &scheme);
	if (str_caseeq(scheme, STR("https")))
		x->scheme = STR("https");
	else if (str_caseeq(scheme, STR("http")))
		x->scheme = STR("http");
}

/* ---- telling the upstream */

static bool
starts_caseless(struct str s, struct str lower)
{
	return s.len >= lower.len && str_caseeq(str_first(s, lower.len), lower);
}

/* What only a proxy may say; of certificates there is nothing left that was not
 * taken out or written by clientcert.c. Looks at the first letter first: most lines
 * end there. */
static bool
proxy_only(const struct header *h)
{
	switch (h->name.len ? h->name.at[0] | 0x20 : 0) {
	case 'x':
		return (starts_caseless(h->name, STR("x-forwarded")) &&
			!str_caseeq(h->name, STR("x-forwarded-client-cert"))) ||
		       h->token == TOKEN_X_REAL_IP;
	case 'f':
		return h->token == TOKEN_FORWARDED;
	default:
		return false;
	}
}

static char *
put(char *to, struct str s)
{
	return s.len ? mempcpy(to, s.at, s.len) : to;
}

/* All lines of `token`, and then `last`, as one line. */
static void
append(struct exchange *x, enum token token, struct str last)
{
	struct headers *h = &x->request.headers;
	const struct header *first = headers_get(h, token);
	size_t len = last.len;
	char *to, *at;

	if (!first) {
		headers_add_line(h, &x->arena, token, last);
		return;
	}
	for (const struct header *l = first; l; l = headers_next(h, l))
		len += l->value.len + 2;
	to = at = arena_alloc_aligned(&x->arena, len, 1);
	for (const struct header *l = first; l; l = headers_next(h, l))
		at = put(put(at, l->value), STR(", "));
	at = put(at, last);
	headers_set_token(h, &x->arena, token, (struct str){ to, (size_t)(at - to) });
}

static struct str
address(struct exchange *x, const struct addr *a)
{
	char *to = arena_alloc_aligned(&x->arena, ADDR_TEXT, 1);

	return (struct str){ to, (size_t)(addr_put_ip(to, a) - to) };
}

static void
write_x(struct exchange *x, struct str peer)
{
	struct headers *h = &x->request.headers;

	if (peer.len)
		append(x, TOKEN_X_FORWARDED_FOR, peer);
	if (x->scheme.len && !headers_get(h, TOKEN_X_FORWARDED_PROTO))
		headers_add_line(h, &x->arena, TOKEN_X_FORWARDED_PROTO, x->scheme);
	if (x->request.host.len && !headers_get(h, TOKEN_X_FORWARDED_HOST))
		headers_add_line(h, &x->arena, TOKEN_X_FORWARDED_HOST, x->request.host);
}

/* RFC 7239 §4: for=192.0.2.1;host="a:8080";proto=http */
static void
write_rfc7239(struct exchange *x, struct str peer)
{
	struct str host = x->request.host;
	char *to = arena_alloc_aligned(&x->arena,
				       peer.len + host.len + x->scheme.len + 40, 1),
	     *at = to;

	if (!peer.len)
		at = put(at, STR("for=unknown"));
	else if (x->peer.family == AF_INET6)
		at = put(put(put(at, STR("for=\"[")), peer), STR("]\""));
	else
		at = put(put(at, STR("for=")), peer);
	if (host.len && str_find(host, '"') < 0 && str_find(host, '\\') < 0)
		at = put(put(put(at, STR(";host=\"")), host), STR("\""));
	if (x->scheme.len)
		at = put(put(at, STR(";proto=")), x->scheme);
	append(x, TOKEN_FORWARDED, (struct str){ to, (size_t)(at - to) });
}

void
forwarded_write(struct exchange *x, unsigned what)
{
	struct headers *h = &x->request.headers;
	struct str peer = STR_NONE;

	if (!x->trusted)
		for (uint32_t i = 0; i < h->n; i++)
			if (proxy_only(&h->at[i]))
				h->at[i].gone = true;
	if (x->peer.family == AF_INET || x->peer.family == AF_INET6)
		peer = x->trusted ? address(x, &x->peer) : exchange_client_ip(x);
	if (what & FORWARDED_X)
		write_x(x, peer);
	if (what & FORWARDED_RFC7239)
		write_rfc7239(x, peer);
	if (what & FORWARDED_REAL_IP && x->client_addr.family != AF_UNIX &&
	    x->client_addr.family)
		headers_set_token(h, &x->arena, TOKEN_X_REAL_IP, exchange_client_ip(x));
}

void
forwarded_default(struct exchange *x)
{
	forwarded_write(x, FORWARDED_X);
}
