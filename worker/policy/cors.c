/* cors — lets pages of other origins use a service (Fetch standard, §3.2).
 *
 * A preflight is answered here: 204 with what is allowed, or 403 for an origin that is
 * not. Other requests of such an origin pass and get no CORS line, so that the browser
 * keeps the answer from the page. CORS lines of the upstream are replaced: this policy
 * alone decides. */
#include "base/regex.h"
#include "worker/policy/lib/line.h"
#include "worker/policy/policies.h"

struct origin {
	struct str text; /* whole, or up to "*." of a wildcard: "https://" */
	struct str suffix;              /* of a wildcard: ".example.com:8443" */
	const struct regex *regex;      /* "~ ^https://…$" */
};

struct cors {
	struct conf_strs origins, methods, headers, expose;
	bool credentials;
	uint64_t max_age;
	/* Made by check(). */
	struct origin *origin;
	bool any;                       /* "*" */
	bool any_header;
	struct str methods_text, headers_text, expose_text, max_age_text;
};

struct cors_state {
	bool seen;                      /* request() has run */
	bool allowed;
	struct str origin;
};

static const struct conf_field fields[] = {
	CONF_ROW(struct cors, origins, STRS, .flags = CONF_F_REQUIRED,
		 .help = "origins that are allowed: \"https://app.example.com\", "
			 "\"https://*.example.com\", "
			 "\"~ ^https://pr-[0-9]+\\.example\\.com$\", or \"*\" for all"),
	CONF_STRS(struct cors, methods,
		  "methods that are allowed; left out: GET, HEAD and POST"),
	CONF_STRS(struct cors, headers,
		  "request headers that are allowed; \"*\": those that are asked for; "
		  "left out: none"),
	CONF_STRS(struct cors, expose, "response headers that pages may read"),
	CONF_BOOL(struct cors, credentials, "false",
		  "whether cookies and credentials may be sent"),
	CONF_DURATION(struct cors, max_age, "5m", 0, 86400000,
		      "how long a browser may keep a preflight's answer"),
	CONF_END
};

/* ---- load */

static bool
host_char(unsigned char c)
{
	return (unsigned)(c - 'a') < 26 || (unsigned)(c - '0') < 10 || c == '-' ||
	       c == '.' || c == ':' || c == '[' || c == ']' || c == '_';
}

/* scheme "://" host [":" port], in lower case, as browsers send it. */
static bool
is_origin(struct str s)
{
	const char *sep = s.len ? memmem(s.at, s.len, "://", 3) : NULL;

	if (str_eq(s, STR("null")))
		return true;
	if (!sep || sep == s.at || sep + 3 == s.at + s.len)
		return false;
	for (const char *p = s.at; p < sep; p++)
		if (!host_char((unsigned char)*p) && *p != '+')
			return false;
	for (const char *p = sep + 3; p < s.at + s.len; p++)
		if (!host_char((unsigned char)*p))
			return false;
	return true;
}

static int
parse_regex(struct conf_load *load, struct origin *o, struct str text, struct where w)
{
	struct str pattern = str_trim(str_from(text, 1)), error;
	size_t offset;

	o->regex = regex_compile(conf_arena(load), pattern, false, &error, &offset);
	if (!o->regex) {
		conf_error(load, 436,
			   where_in(w, (size_t)(pattern.at - text.at) + offset, 1),
			   "this regex does not compile: %.*s", STR_ARG(error));
		return -1;
	}
	if (pattern.len < 2 || pattern.at[0] != '^' ||
	    pattern.at[pattern.len - 1] != '$') {
		conf_error(
			load, 436, w,
			"the regex of an origin begins with \"^\" and ends with \"$\"");
		return -1;
	}
	return 0;
}

static int
parse_origin(struct conf_load *load, struct cors *c, struct origin *o, struct str text,
	     struct where w)
{
	const char *star = text.len ? memmem(text.at, text.len, "://*.", 5) : NULL;

	if (str_eq(text, STR("*"))) {
		c->any = true;
		return 0;
	}
	if (text.len && text.at[0] == '~')
		return parse_regex(load, o, text, w);
	if (star) {
		struct str all =
			arena_printf(conf_arena(load), "%.*s%s",
				     (int)(star + 3 - text.at), text.at, star + 5);

		o->text = str_first(text, (size_t)(star + 3 - text.at));
		o->suffix = str_from(text, (size_t)(star + 4 - text.at));
		if (is_origin(all))
			return 0;
	}
	o->text = star ? o->text : text;
	if (!star && is_origin(text))
		return 0;
	conf_error(load, 437, w,
		   "\"%.*s\" is no origin; write scheme and host in lower case and "
		   "nothing after "
		   "them, such as \"https://app.example.com\"",
		   STR_ARG(text));
	return -1;
}

/* "a, b, c"; names are checked. */
static int
join(struct conf_load *load, const struct conf_strs *list, struct str *text)
{
	char *to;
	size_t len = 0;
	int rc = 0;

	for (size_t i = 0; i < list->n; i++) {
		len += list->at[i].len + 2;
		if (!line_is_token(list->at[i])) {
			conf_error(load, 430, list->where[i], "\"%.*s\" is no name",
				   STR_ARG(list->at[i]));
			rc = -1;
		}
	}
	text->at = to = arena_alloc(conf_arena(load), len + 1);
	for (size_t i = 0; i < list->n; i++) {
		to = i ? mempcpy(to, ", ", 2) : to;
		to = mempcpy(to, list->at[i].at, list->at[i].len);
	}
	text->len = (size_t)(to - text->at);
	return rc;
}

static int
check(struct conf_load *load, void *self, struct where w)
{
	struct cors *c = self;
	int rc = 0;

	c->origin = ARENA_NEWS(conf_arena(load), struct origin, c->origins.n);
	for (size_t i = 0; i < c->origins.n; i++)
		if (parse_origin(load, c, &c->origin[i], c->origins.at[i],
				 c->origins.where[i]) < 0)
			rc = -1;
	if (!c->origins.n) {
		conf_error(load, 437, w,
			   "this policy allows no origin; name them in \"origins\"");
		rc = -1;
	}
	if (c->any && c->credentials) {
		conf_error(load, 438, w,
			   "credentials can not be allowed for every origin \"*\": name "
			   "the origins");
		rc = -1;
	}
	for (size_t i = 0; i < c->headers.n; i++)
		c->any_header |= str_eq(c->headers.at[i], STR("*"));
	rc |= join(load, &c->methods, &c->methods_text);
	rc |= join(load, &c->headers, &c->headers_text);
	rc |= join(load, &c->expose, &c->expose_text);
	if (!c->methods.n)
		c->methods_text = STR("GET, HEAD, POST");
	c->max_age_text = arena_printf(conf_arena(load), "%llu",
				       (unsigned long long)c->max_age / 1000);
	return rc;
}

/* ---- requests */

static bool
wildcard_has(const struct origin *o, struct str origin)
{
	struct str labels;

	if (!str_starts(origin, o->text) || !str_ends(origin, o->suffix) ||
	    origin.len <= o->text.len + o->suffix.len)
		return false;
	labels = (struct str){ origin.at + o->text.len,
			       origin.len - o->text.len - o->suffix.len };
	for (size_t i = 0; i < labels.len; i++)
		if (!host_char((unsigned char)labels.at[i]) ||
		    strchr(":[]", labels.at[i]))
			return false;
	return labels.at[0] != '.';
}

static bool
allows(const struct cors *c, struct str origin)
{
	if (c->any)
		return true;
	for (size_t i = 0; i < c->origins.n; i++) {
		const struct origin *o = &c->origin[i];

		if (o->regex ? regex_match(o->regex, NULL, origin, NULL) :
		    o->suffix.len ? wildcard_has(o, origin) : str_eq(o->text, origin))
			return true;
	}
	return false;
}

static void
look(const struct cors *c, struct cors_state *s, struct exchange *x)
{
	const struct headers *h = &x->request.headers;
	const struct header *origin = headers_get(h, TOKEN_ORIGIN);

	s->seen = true;
	if (!origin || headers_next(h, origin))
		return;
	s->origin = origin->value;
	s->allowed = allows(c, s->origin);
}

static void
answer_line(struct exchange *x, struct str name, struct str value)
{
	headers_set(&x->response.headers, &x->arena, name, value);
}

static void
preflight(const struct cors *c, struct exchange *x)
{
	const struct header *asked =
		headers_find(&x->request.headers, STR("access-control-request-headers"));
	struct str headers = c->headers_text;

	if (c->any_header)
		headers = asked ? asked->value : STR_NONE;
	exchange_respond(x, 204, STR_NONE, STR_NONE);
	answer_line(x, STR("access-control-allow-methods"), c->methods_text);
	if (headers.len && line_is_value(headers))
		answer_line(x, STR("access-control-allow-headers"), headers);
	answer_line(x, STR("access-control-max-age"), c->max_age_text);
	headers_set_token(&x->response.headers, &x->arena, TOKEN_VARY,
			  STR("Origin, Access-Control-Request-Method, "
			      "Access-Control-Request-Headers"));
}

static enum verdict
request(struct exchange *x, const void *self, void *state)
{
	const struct cors *c = self;
	struct cors_state *s = state;

	look(c, s, x);
	if (x->request.method != METHOD_OPTIONS ||
	    !headers_get(&x->request.headers, TOKEN_ORIGIN) ||
	    !headers_find(&x->request.headers, STR("access-control-request-method")))
		return PASS;
	if (s->allowed)
		preflight(c, x);
	else
		exchange_answer(x, FAULT_CORS_DENIED);
	return ANSWER;
}

/* ---- responses */

static void
vary_origin(struct exchange *x)
{
	struct headers *h = &x->response.headers;
	const struct header *first = headers_get(h, TOKEN_VARY);
	size_t len = 0;
	char *to, *at;

	if (!first) {
		headers_add_token(h, &x->arena, TOKEN_VARY, STR("Origin"));
		return;
	}
	for (const struct header *v = first; v; v = headers_next(h, v)) {
		if (headers_list_has(v->value, STR("*")) ||
		    headers_list_has(v->value, STR("origin")))
			return;
		len += v->value.len + 2;
	}
	to = at = arena_alloc_aligned(&x->arena, len + 6, 1);
	for (const struct header *v = first; v; v = headers_next(h, v))
		if (v->value.len)
			at = mempcpy(mempcpy(at, v->value.at, v->value.len), ", ", 2);
	at = mempcpy(at, "Origin", 6);
	headers_set_token(h, &x->arena, TOKEN_VARY,
			  (struct str){ to, (size_t)(at - to) });
}

static void
response(struct exchange *x, const void *self, void *state)
{
	static const struct str ours[] = {
		{ "access-control-allow-origin", 27 },
		{ "access-control-allow-credentials", 32 },
		{ "access-control-expose-headers", 29 },
	};
	const struct cors *c = self;
	struct cors_state *s = state;

	if (!s->seen)
		look(c, s, x);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		headers_remove(&x->response.headers, ours[i]);
	if (!c->any)
		vary_origin(x);
	if (!s->allowed)
		return;
	answer_line(x, ours[0], c->any ? STR("*") : s->origin);
	if (c->credentials)
		answer_line(x, ours[1], STR("true"));
	if (c->expose.n)
		answer_line(x, ours[2], c->expose_text);
}

const struct policy cors_policy = {
	.conf = {
		.name = "cors",
		.help = "Lets pages of other origins use a service",
		.size = sizeof(struct cors),
		.fields = fields,
		.check = check,
	},
	.state_size = sizeof(struct cors_state),
	.preflight = true,
	.request = request,
	.response = response,
};
