/* api-key — who asks is known by a key in a header, a query parameter or a cookie.
 *
 * The key's SHA-256 is looked up in the files, then in the store (exchange/directory.h);
 * keys themselves are kept nowhere. What bore the key is taken out of the request, right
 * or wrong. Nobody passes whose key cannot be checked. */
#include "base/clock.h"
#include "worker/exchange/context.h"
#include "worker/exchange/directory.h"
#include "worker/http/uri.h"
#include "worker/policy/lib/line.h"
#include "worker/policy/policies.h"

struct api_key {
	struct str header, query, cookie;       /* one of them */
	struct str realm;
	bool optional, keep;
	/* Made by check(). */
	struct str challenge;           /* of WWW-Authenticate */
};

static const struct conf_field fields[] = {
	CONF_STR(struct api_key, header, NULL,
		 "the header that bears the key; \"x-api-key\" when neither this nor query "
		 "nor cookie is given"),
	CONF_STR(struct api_key, query, NULL, "the query parameter that bears it instead"),
	CONF_STR(struct api_key, cookie, NULL, "the cookie that bears it instead"),
	CONF_BOOL(struct api_key, optional, "false",
		  "requests without a key go on as nobody's; a wrong key is still refused"),
	CONF_BOOL(struct api_key, keep, "false", "forwards the key to the upstream"),
	CONF_STR(struct api_key, realm, "postern", "realm of WWW-Authenticate"),
	CONF_END
};

static bool
is_quotable(struct str s)
{
	return line_is_value(s) && str_find(s, '"') < 0 && str_find(s, '\\') < 0;
}

static int
check_name(struct conf_load *l, const struct api_key *p, struct where w)
{
	struct str name = p->query.len ? p->query : p->cookie;

	if (p->header.len)
		return line_check_name(l, p->header, w, LINE_REQUEST, false);
	if (p->query.len ? is_quotable(name) : line_is_token(name))
		return 0;
	conf_error(l, 430, w, "\"%.*s\" is no name of a %s", STR_ARG(name),
		   p->query.len ? "query parameter" : "cookie");
	return -1;
}

static int
check(struct conf_load *l, void *self, struct where w)
{
	struct api_key *p = self;
	int places = (p->header.len > 0) + (p->query.len > 0) + (p->cookie.len > 0);

	if (places > 1) {
		conf_error(l, 442, w, "a key comes in one place: header, query or cookie");
		return -1;
	}
	if (!places)
		p->header = STR("x-api-key");
	if (check_name(l, p, w) < 0)
		return -1;
	if (!is_quotable(p->realm)) {
		conf_error(l, 432, w, "a realm holds no quotes, backslashes or control "
				      "characters");
		return -1;
	}
	p->challenge = arena_printf(conf_arena(l), "ApiKey realm=\"%.*s\", %s=\"%.*s\"",
				    STR_ARG(p->realm),
				    p->header.len  ? "header"
				    : p->query.len ? "query"
						   : "cookie",
				    STR_ARG(p->header.len  ? p->header
					    : p->query.len ? p->query
							   : p->cookie));
	return 0;
}

static struct str
credential(const void *self)
{
	const struct api_key *p = self;

	return p->header.len ? p->header : p->query.len ? p->query : p->cookie;
}

/* ---- finding the key, and taking out what bore it. All return how many there were. */

static unsigned
of_header(struct exchange *x, const struct api_key *p, struct str *key)
{
	struct headers *h = &x->request.headers;
	struct header *at = headers_find(h, p->header);
	unsigned n = 0;

	for (; at; at = headers_next(h, at)) {
		*key = at->value;
		n += at->value.len > 0;
		at->gone |= !p->keep;
	}
	return n;
}

static unsigned
of_query(struct exchange *x, const struct api_key *p, struct str *key)
{
	struct str rest = x->request.query, part;
	char *kept, *end;
	unsigned n = 0;
	bool any = false;

	kept = end = arena_alloc_aligned(&x->arena, rest.len + 1, 1);
	while (rest.len && str_split(&rest, '&', &part)) {
		struct str value;

		if (uri_query(part, p->query, &x->arena, &value)) {
			any = true;
			n += value.len > 0;
			*key = value.len ? value : *key;
			continue;
		}
		if (end != kept)
			*end++ = '&';
		if (part.len)
			end = mempcpy(end, part.at, part.len);
	}
	if (any && !p->keep) {
		x->request.query = (struct str){ kept, (size_t)(end - kept) };
		x->request.has_query = end != kept;
	}
	return n;
}

/* One line of cookies; what is left of it in *left. */
static unsigned
of_line(struct exchange *x, const struct api_key *p, struct str line, struct str *key,
	struct str *left)
{
	struct str part;
	char *kept, *end;
	unsigned n = 0;

	kept = end = arena_alloc_aligned(&x->arena, line.len + 1, 1);
	while (line.len && str_split(&line, ';', &part)) {
		struct str value = str_trim(part), name;

		if (str_split(&value, '=', &name) && str_eq(str_trim(name), p->cookie)) {
			value = str_trim(value);
			n += value.len > 0;
			*key = value.len ? value : *key;
			continue;
		}
		part = str_trim(part);
		if (!part.len)
			continue;
		if (end != kept)
			end = mempcpy(end, "; ", 2);
		end = mempcpy(end, part.at, part.len);
	}
	*left = (struct str){ kept, (size_t)(end - kept) };
	return n;
}

static unsigned
of_cookie(struct exchange *x, const struct api_key *p, struct str *key)
{
	struct headers *h = &x->request.headers;
	struct header *at = headers_get(h, TOKEN_COOKIE);
	unsigned n = 0;

	for (; at; at = headers_next(h, at)) {
		struct str left;
		unsigned here = of_line(x, p, at->value, key, &left);

		n += here;
		if (!here || p->keep)
			continue;
		at->gone = !left.len;
		at->value = left;
		at->raw = false;
	}
	return n;
}

/* ---- the act */

static enum verdict
refuse(struct exchange *x, const struct api_key *p, enum fault f)
{
	exchange_answer(x, f);
	if (fault_info[f].status == 401)
		headers_add(&x->response.headers, &x->arena, STR("WWW-Authenticate"),
			    p->challenge);
	return ANSWER;
}

static enum verdict
request(struct exchange *x, const void *self, void *state)
{
	static const enum fault faults[] = {
		[DIRECTORY_UNKNOWN] = FAULT_KEY_UNKNOWN,
		[DIRECTORY_REVOKED] = FAULT_KEY_REVOKED,
		[DIRECTORY_EXPIRED] = FAULT_KEY_EXPIRED,
		[DIRECTORY_SUSPENDED] = FAULT_CONSUMER_SUSPENDED,
		[DIRECTORY_UNAVAILABLE] = FAULT_IDENTITY_UNAVAILABLE,
	};
	const struct api_key *p = self;
	struct directory_answer a;
	struct str key = STR_NONE;
	unsigned n;

	(void)state;
	n = p->header.len  ? of_header(x, p, &key)
	    : p->query.len ? of_query(x, p, &key)
			   : of_cookie(x, p, &key);
	if (!n)
		return p->optional ? PASS : refuse(x, p, FAULT_KEY_MISSING);
	if (n > 1)                      /* which of them is meant? */
		return refuse(x, p, FAULT_KEY_UNKNOWN);
	directory_find(worker_directory(x->worker), x->gen->model, key, clock_wall_ms(),
		       &x->arena, &a);
	x->key_id = a.key_id;
	if (a.verdict != DIRECTORY_FOUND)
		return refuse(x, p, faults[a.verdict]);
	if (a.plan_missing)
		return refuse(x, p, FAULT_PLAN_MISSING);
	exchange_identify(x, a.consumer, a.plan, a.key_id);
	return PASS;
}

const struct policy api_key_policy = {
	.conf = {
		.name = "api-key",
		.help = "Finds out who the consumer is by a key, and takes the key out",
		.size = sizeof(struct api_key),
		.fields = fields,
		.check = check,
	},
	.identifies = true,
	.credential = credential,
	.request = request,
};
