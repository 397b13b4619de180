#include "worker/dryrun.h"

#include "worker/exchange/forwarded.h"
#include "worker/exchange/links.h"
#include "worker/exchange/template.h"
#include "worker/http/uri.h"

enum { MEMORY = 4 << 20 };

static struct str
lower(struct str s, struct arena *a)
{
	char *to = arena_alloc_aligned(a, s.len, 1);

	for (size_t i = 0; i < s.len; i++)
		to[i] = (char)char_lower((unsigned char)s.at[i]);
	return (struct str){ to, s.len };
}

/* From "METHOD URL" to a message. Returns what is wrong with it, or NULL. */
static const char *
parse(struct str send, struct exchange *x)
{
	static const char form[] = "it is not \"METHOD URL\", such as \"GET https://api.example.com/a\"";
	struct msg *m = &x->request;
	struct str rest = str_trim(send), host, port;
	ptrdiff_t n;

	if (!str_split(&rest, ' ', &m->method_text) || !m->method_text.len)
		return form;
	m->method = (uint8_t)method_of(m->method_text);
	rest = str_trim(rest);
	if (str_starts(rest, STR("http://")))
		x->scheme = STR("http");
	else if (str_starts(rest, STR("https://")))
		x->scheme = STR("https");
	else
		return form;
	rest = str_from(rest, x->scheme.len + 3);
	for (size_t i = 0; i < rest.len; i++)
		if ((unsigned char)rest.at[i] <= ' ' || rest.at[i] == '#' ||
		    rest.at[i] == 0x7f)
			return "a URL that is sent has no blank and no \"#\"";
	n = str_find(rest, '?');
	if (n >= 0) {
		m->has_query = true;
		m->query = str_from(rest, (size_t)n + 1);
		rest = str_first(rest, (size_t)n);
	}
	n = str_find(rest, '/');
	m->host = n < 0 ? rest : str_first(rest, (size_t)n);
	m->path = n < 0 ? STR("/") : str_from(rest, (size_t)n);
	if (!uri_authority(m->host, &host, &port))
		return "the URL has no valid host";
	x->host = lower(host, &x->arena);
	m->minor = 1;
	return NULL;
}

static const struct conf_listener *
choose_listener(const struct conf_model *m, const struct dryrun_request *q, bool https)
{
	const struct conf_service *s = q->service;
	size_t n = s && s->non ? s->non : m->nlisteners;
	const struct conf_listener *first = NULL;

	if (q->listener)
		return q->listener;
	for (size_t i = 0; i < n; i++) {
		const struct conf_listener *l = s && s->non ? s->on[i] : &m->listeners[i];

		if (!first)
			first = l;
		if (!https || !l->redirect)
			return l;
	}
	return first;
}

static void
refuse(struct dryrun_answer *a, enum fault f)
{
	a->fault = f;
	a->status = fault_info[f].status;
}

/* As a preflight of CORS asks: the route that takes the method asked for. */
static bool
preflight(const struct image *image, struct exchange *x, struct route_request *r,
	  struct route_match *m)
{
	const struct header *h = headers_find(&x->request.headers, STR("access-control-request-method"));
	struct route_match found;

	if (x->request.method != METHOD_OPTIONS || !h ||
	    !headers_has(&x->request.headers, TOKEN_ORIGIN))
		return false;
	if (m->route)
		return m->route->links->preflight;
	r->method = (uint8_t)method_of(h->value);
	r->method_text = h->value;
	if (!route_find(image->router, r, &found, NULL) || !found.route->links->preflight)
		return false;
	*m = found;
	return true;
}

/* What the route says, short of forwarding. */
static void
act(struct exchange *x, const struct route *r, struct dryrun_answer *a)
{
	switch (r->conf->action) {
	case CONF_RESPOND:
		a->status = (int)r->conf->respond_status;
		break;
	case CONF_REDIRECT:
		a->status = (int)r->conf->redirect_status;
		a->location = template_eval_location(r->redirect, x);
		break;
	case CONF_TO:
		if (r->rewrite) {
			struct str to = template_eval_uri(r->rewrite, x);

			a->path = to.len && *to.at == '/' ? to : x->path;
		}
		break;
	}
}

static void
go(const struct image *image, struct exchange *x, struct route_trace *trace,
   struct dryrun_answer *a)
{
	const struct conf_gateway *g = &image->model->gateway;
	struct uri_rules rules = { g->merge_slashes, (uint8_t)g->encoded_slash };
	struct msg *m = &x->request;
	struct route_request r = {
		.listener = x->listener->index,
		.host = x->host,
		.method = m->method,
		.method_text = m->method_text,
		.query = m->query,
		.headers = &m->headers,
		.client = &x->client_addr,
		.arena = &x->arena,
	};
	enum fault f = uri_normalise(m->path, rules, &x->arena, &x->path);

	if (m->method == METHOD_CONNECT)
		f = FAULT_BAD_METHOD_ROUTE;
	if (f) {
		refuse(a, f);
		return;
	}
	m->path = a->path = r.path = x->path;
	if (x->listener->redirect) {
		a->status = 308;
		a->location = arena_printf(&x->arena, "https://%.*s%.*s%s%.*s",
					   STR_ARG(x->host), STR_ARG(x->path),
					   m->has_query ? "?" : "", STR_ARG(m->query));
		return;
	}
	route_find(image->router, &r, &x->match, trace);
	if (preflight(image, x, &r, &x->match))
		a->status = 204;
	a->match = x->match;
	if (!x->match.route)
		refuse(a, x->match.fault);
	else if (!a->status)
		act(x, x->match.route, a);
}

static struct str
kept(struct str s, struct arena *a)
{
	return s.len ? arena_str(a, s) : s;
}

void
dryrun_send(const struct image *image, const struct dryrun_request *q,
	    struct arena *arena, struct route_trace *trace, struct dryrun_answer *a)
{
	struct exchange *x = arena_alloc_aligned(arena, sizeof *x, 64);

	memset(x, 0, offsetof(struct exchange, arena));
	arena_init(&x->arena, x->home, sizeof x->home, MEMORY);
	*a = (struct dryrun_answer){ .bad = parse(q->send, x) };
	if (!a->bad && q->client.len && !addr_parse(&x->peer, q->client))
		a->bad = "the client is no address";
	if (!q->client.len)
		addr_parse(&x->peer, STR("127.0.0.1"));
	x->client_addr = x->peer;
	x->listener =
		a->bad ? NULL : choose_listener(image->model, q, x->scheme.len == 5);
	if (x->listener) {
		a->listener = x->listener;
		headers_add_token(&x->request.headers, &x->arena, TOKEN_HOST,
				  x->request.host);
		for (size_t i = 0; q->headers && i < q->headers->n; i++)
			headers_add(&x->request.headers, &x->arena, q->headers->at[i].key,
				    q->headers->at[i].value);
		if (image->trust)
			forwarded_client(x, &image->trust[x->listener->index]);
		a->host = kept(x->host, arena);
		go(image, x, trace, a);
		a->path = kept(a->path, arena);
		a->location = kept(a->location, arena);
		for (unsigned i = 0; a->match.route && i < a->match.route->ncaptures; i++)
			a->match.value[i] = kept(a->match.value[i], arena);
	} else if (!a->bad) {
		a->bad = "there is no listener to send it to";
	}
	arena_reset(&x->arena);
}

/* ---- the tests of the services */

/* What became of it, for "got …". */
static struct str
outcome(const struct dryrun_answer *a, struct arena *scratch)
{
	const struct route_match *m = &a->match;

	if (a->fault == FAULT_BAD_METHOD_ROUTE && m->allow)
		return arena_printf(scratch, "405 (the path takes %.*s)", STR_ARG(route_allow(m, scratch)));
	if (a->fault)
		return arena_printf(scratch, "%d (%.*s)", a->status,
				    STR_ARG(fault_info[a->fault].text));
	if (!m->route)
		return arena_printf(scratch, "%d (listener \"%.*s\" redirects to https)", a->status,
				    STR_ARG(a->listener->name));
	if (a->status)
		return arena_printf(scratch, "%d from route \"%.*s\"", a->status, STR_ARG(m->route->conf->name));
	return arena_printf(scratch, "route \"%.*s\", which forwards to \"%.*s\"", STR_ARG(m->route->conf->name),
			    STR_ARG(m->route->conf->to[0].upstream->name));
}

static bool
goes_to(const struct dryrun_answer *a, struct str upstream)
{
	const struct route *r = a->match.route;

	for (size_t i = 0; r && !a->status && i < r->conf->nto; i++)
		if (str_eq(r->conf->to[i].upstream->name, upstream))
			return true;
	return false;
}

/* "expected …, got …", or empty. */
static struct str
compare(const struct conf_test *t, const struct conf_service *own,
	const struct dryrun_answer *a, struct arena *scratch)
{
	const struct service *s = a->match.service;
	const struct route *r = a->match.route;
	struct str service = t->service.len ? t->service : own->name;
	struct str got = outcome(a, scratch);

	if (t->service.len && !s)
		return arena_printf(scratch, "expected service \"%.*s\", got %.*s", STR_ARG(service), STR_ARG(got));
	if ((t->service.len || t->route.len) && s && !str_eq(s->conf->name, service))
		return arena_printf(scratch, "expected service \"%.*s\", got \"%.*s\"", STR_ARG(service),
				    STR_ARG(s->conf->name));
	if (t->route.len && !r)
		return arena_printf(scratch, "expected route \"%.*s\", got %.*s", STR_ARG(t->route), STR_ARG(got));
	if (t->route.len && !str_eq(r->conf->name, t->route))
		return arena_printf(scratch, "expected route \"%.*s\", got \"%.*s\"", STR_ARG(t->route),
				    STR_ARG(r->conf->name));
	if (t->status && t->status != a->status)
		return arena_printf(scratch, "expected status %d, got %.*s", (int)t->status, STR_ARG(got));
	if (t->upstream.len && !goes_to(a, t->upstream))
		return arena_printf(scratch, "expected upstream \"%.*s\", got %.*s", STR_ARG(t->upstream),
				    STR_ARG(got));
	if (t->path.len && a->fault)
		return arena_printf(scratch, "expected path \"%.*s\", got %.*s", STR_ARG(t->path), STR_ARG(got));
	if (t->path.len && !str_eq(t->path, a->path))
		return arena_printf(scratch, "expected path \"%.*s\", got \"%.*s\"", STR_ARG(t->path),
				    STR_ARG(a->path));
	if (t->location.len && !a->location.len)
		return arena_printf(scratch, "expected location \"%.*s\", got %.*s", STR_ARG(t->location),
				    STR_ARG(got));
	if (t->location.len && !str_eq(t->location, a->location))
		return arena_printf(scratch, "expected location \"%.*s\", got \"%.*s\"", STR_ARG(t->location),
				    STR_ARG(a->location));
	return STR_NONE;
}

static const struct conf_listener *
listener_named(const struct conf_model *m, struct str name)
{
	for (size_t i = 0; i < m->nlisteners; i++)
		if (str_eq(m->listeners[i].name, name))
			return &m->listeners[i];
	return NULL;
}

static void
run_test(const struct image *image, const struct conf_service *s, size_t number,
	 struct arena *scratch, struct diag *diag)
{
	const struct conf_test *t = &s->tests[number];
	struct dryrun_request q = {
		.send = t->send, .headers = &t->headers, .client = t->client, .service = s
	};
	struct dryrun_answer a;
	struct str wrong;

	if (t->on.len && !(q.listener = listener_named(image->model, t->on))) {
		diag_error(diag, 603, t->where, "test %zu of service \"%.*s\": no listener \"%.*s\"", number + 1,
			   STR_ARG(s->name), STR_ARG(t->on));
		return;
	}
	dryrun_send(image, &q, scratch, NULL, &a);
	if (a.bad) {
		diag_error(diag, 602, t->send_where, "test %zu of service \"%.*s\" sends \"%.*s\": %s", number + 1,
			   STR_ARG(s->name), STR_ARG(t->send), a.bad);
		return;
	}
	wrong = compare(t, s, &a, scratch);
	if (!wrong.len)
		return;
	diag_error(diag, 601, t->expect_where.file ? t->expect_where : t->where,
		   "test %zu of service \"%.*s\" failed: %.*s", number + 1, STR_ARG(s->name), STR_ARG(wrong));
	if (a.match.route && (t->route.len || t->status))
		diag_note(diag, a.match.route->conf->match_where, "\"%.*s\" takes it",
			  STR_ARG(a.match.route->conf->name));
}

int
dryrun_tests(const struct image *image, struct diag *diag)
{
	const struct conf_model *m = image->model;
	struct arena scratch;
	int errors = diag->errors;

	arena_init(&scratch, NULL, 0, 2 * MEMORY);
	for (size_t i = 0; i < m->nservices; i++)
		for (size_t k = 0; k < m->services[i].ntests; k++) {
			run_test(image, &m->services[i], k, &scratch, diag);
			arena_reset(&scratch);
		}
	return diag->errors > errors ? -1 : 0;
}
