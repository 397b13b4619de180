#include "conf/reader.h"

enum { WEIGHT_MAX = 1000000 };

struct split_group {
	struct str upstream;
	int64_t weight;
};

struct respond_group {
	int64_t status;
	struct str type, body;
};

static const struct conf_field split_rows[] = {
	{ "upstream", CONF_KIND_STR, CONF_F_REQUIRED,
	  offsetof(struct split_group, upstream), .help = "name of an upstream" },
	CONF_INT(struct split_group, weight, "1", 0, WEIGHT_MAX, "share of the requests"),
	CONF_END
};

static const struct conf_field respond_rows[] = {
	CONF_INT(struct respond_group, status, "200", 200, 599, "status of the answer"),
	CONF_STR(struct respond_group, type, "text/plain; charset=utf-8",
		 "its Content-Type"),
	CONF_STR(struct respond_group, body, NULL, "its body"), CONF_END
};

static int
split(struct conf_load *l, const struct conf_node *n, struct conf_split *s)
{
	struct split_group g = { .weight = 1 };
	struct where w = conf_where(n);
	void *near;

	if (n->kind == CONF_NODE_GROUP) {
		if (conf_fill(l, n, split_rows, &g) < 0)
			return -1;
		w = conf_where(conf_member(n, "upstream"));
	} else if (n->kind != CONF_NODE_STRING) {
		return wrong_type(
			l, n, "to",
			"\"UPSTREAM\" or ( { upstream = \"NAME\"; weight = 1; } )");
	} else if (conf_text(l, n, &g.upstream) < 0) {
		return -1;
	}
	s->weight = g.weight;

	struct conf_upstream *u = map_get(&l->upstreams, g.upstream);

	s->upstream = u;
	if (u) {
		u->used = true;
		return 0;
	}
	if (!section_whole(l, "upstreams"))
		return -1;

	const char *hint = suggest_name(&l->scratch, g.upstream, &l->upstreams, &near);

	if (memmem(g.upstream.at, g.upstream.len, "://", 3))
		hint = "; a route names an upstream, and the upstream has the address: "
		       "upstreams: { "
		       "NAME: { targets = [ \"http://host:port\" ]; }; };";
	conf_error(l, 204, w, "no upstream \"%.*s\"%s",
		   STR_ARG(str_first(g.upstream, 100)), hint);
	if (near)
		diag_note(l->diag, ((struct conf_upstream *)near)->where,
			  "\"%.*s\" is defined here",
			  STR_ARG(((struct conf_upstream *)near)->name));
	return -1;
}

static int
to_parse(struct conf_load *l, const struct conf_node *n, struct str text, struct where w,
	 void *to)
{
	struct conf_route *r = to;
	const struct conf_node *child;
	int64_t total = 0;
	int result = 0;

	(void)text, (void)w;
	if (n->kind != CONF_NODE_LIST) {
		r->to = ARENA_NEW(l->image, struct conf_split);
		r->nto = 1;
		if (n->kind == CONF_NODE_GROUP)
			return wrong_type(l, n, "to",
					  "a list around it: ( { upstream = \"NAME\"; "
					  "weight = 1; } )");
		return split(l, n, r->to);
	}
	r->to = ARENA_NEWS(l->image, struct conf_split, n->n);
	for_each_child(child, n) {
		if (split(l, child, &r->to[r->nto]) < 0)
			result = -1;
		total += r->to[r->nto++].weight;
	}
	if (!total && result == 0 && !n->damaged) {
		conf_error(l, 216, conf_where(n),
			   n->n ? "all weights are 0: no upstream could ever be chosen"
				: "\"to\" is empty");
		return -1;
	}
	return result;
}

static int
match_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	    struct where w, void *to)
{
	struct conf_route *r = to;

	(void)text;
	r->match_where = w;
	return conf_text(l, n, &r->match);
}

static int
rewrite_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	      struct where w, void *to)
{
	struct conf_route *r = to;

	(void)text;
	r->rewrite_where = w;
	return conf_text(l, n, &r->rewrite);
}

static int
redirect_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	       struct where w, void *to)
{
	struct conf_route *r = to;

	(void)text;
	r->redirect_where = w;
	return conf_text(l, n, &r->redirect);
}

static int
redirect_status_parse(struct conf_load *l, const struct conf_node *n, struct str text,
		      struct where w, void *to)
{
	int64_t *status = to;

	(void)text, (void)w;
	*status = 302;
	if (!n)
		return 0;
	if (n->kind != CONF_NODE_INT)
		return wrong_type(l, n, "redirect_status", "301, 302, 303, 307 or 308");
	*status = n->number;
	if ((n->number >= 301 && n->number <= 303) || n->number == 307 ||
	    n->number == 308)
		return 0;
	conf_error(l, 224, conf_where(n),
		   "\"redirect_status\" is %lld; it may be 301, 302, 303, 307 or 308",
		   n->number);
	return -1;
}

static int
respond_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	      struct where w, void *to)
{
	struct conf_route *r = to;
	struct respond_group g = { 0 };

	(void)text, (void)w;
	if (n->kind == CONF_NODE_GROUP) {
		if (conf_fill(l, n, respond_rows, &g) < 0)
			return -1;
	} else if (n->kind == CONF_NODE_INT) {
		conf_defaults(l, respond_rows, &g);
		g.status = n->number;
	} else {
		return wrong_type(
			l, n, "respond",
			"a status such as 204, or { status = 200; body = \"…\"; }");
	}
	r->respond_status = g.status;
	r->respond_type = g.type;
	r->respond_body = g.body;
	if (g.status >= 200 && g.status <= 599)
		return 0;
	conf_error(l, 224, conf_where(n), "\"respond\" is %lld; a status is 200 to 599",
		   (long long)g.status);
	return -1;
}

static int
client_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	     struct where w, void *to)
{
	static const struct conf_field row = { .key = "client", .kind = CONF_KIND_STRS };

	(void)text, (void)w;
	return conf_fill_one(l, &row, n, to) < 0 ? -1 : prefixes_check(l, to, "client");
}

#define R(member) offsetof(struct conf_route, member)

enum { DAY = 24 * 3600000 };

static const struct conf_field when_rows[] = {
	{ "headers", CONF_KIND_PAIRS, .offset = R(when.headers) - R(when),
	  .help = "header fields with their values; \"*\": present" },
	{ "query", CONF_KIND_PAIRS, .offset = R(when.query) - R(when),
	  .help = "parameters of the query with their values; \"*\": present" },
	{ "cookies", CONF_KIND_PAIRS, .offset = R(when.cookies) - R(when),
	  .help = "cookies with their values; \"*\": present" },
	{ "client", CONF_KIND_VIA, .offset = R(when.client) - R(when),
	  .parse = client_parse,
	  .help = "addresses and prefixes, one of which the client has" },
	CONF_END
};

static const struct conf_field timeout_rows[] = {
	{ "response", CONF_KIND_DURATION, .offset = R(timeout.response) - R(timeout),
	  .min = 1, .max = DAY,
	  .help = "from the end of the request to the head of the response; left out: "
		  "that of the upstream" },
	{ "total", CONF_KIND_DURATION, .offset = R(timeout.total) - R(timeout), .min = 1,
	  .max = DAY, .help = "for everything; left out: that of the upstream" },
	{ "tunnel", CONF_KIND_DURATION, .offset = R(timeout.tunnel) - R(timeout),
	  .min = 10, .max = 7 * DAY,
	  .help = "for an upgraded connection (WebSocket) without a byte either way; left "
		  "out: that of the gateway" },
	CONF_END
};

const struct conf_field route_rows[] = {
	CONF_STR(struct conf_route, name, NULL,
		 "its name in logs and statistics; left out: its number in order"),
	{ "match", CONF_KIND_VIA, CONF_F_REQUIRED, 0, .parse = match_parse,
	  .help = "\"METHODS PATH\": * or GET,POST, then /exact, /a/{id}, /prefix/* or ~ "
		  "^regex$" },
	CONF_GROUP(struct conf_route, when, when_rows,
		   "further conditions; all must hold"),
	{ "to", CONF_KIND_VIA, CONF_F_LIST, 0, .parse = to_parse, .sub = split_rows,
	  .help = "name of the upstream that answers, or a list of groups with weights" },
	{ "rewrite", CONF_KIND_VIA, .parse = rewrite_parse,
	  .help = "path sent to the upstream, a template: \"/orders/{id}\"" },
	{ "redirect", CONF_KIND_VIA, .parse = redirect_parse,
	  .help = "Location to redirect to, a template" },
	{ "redirect_status", CONF_KIND_VIA, .offset = R(redirect_status), .def = "302",
	  .parse = redirect_status_parse, .help = "301, 302, 303, 307 or 308" },
	{ "respond", CONF_KIND_VIA, .parse = respond_parse, .sub = respond_rows,
	  .help = "answers itself: a status, or { status; type; body; }" },
	CONF_SIZE(struct conf_route, max_body, NULL, 1, INT64_MAX,
		  "largest request body; left out: limits.body of the gateway"),
	CONF_GROUP(struct conf_route, timeout, timeout_rows, "timeouts of this route"),
	{ "policies", CONF_KIND_VIA, .offset = R(policies), .parse = uses_parse,
	  .help = "policies of this route, run after those of gateway and service" },
	{ "without", CONF_KIND_STRS, .offset = R(without),
	  .help = "names of policies of gateway or service that do not run here" },
	{ .key = "mirror",
	  .kind = CONF_KIND_VIA,
	  .flags = CONF_F_LATER,
	  .help = "a copy to another upstream" },
	CONF_END
};

_Static_assert(R(npolicies) == R(policies) + sizeof(void *), "struct uses lies in it");

/* Exactly one of to, redirect, respond. */
static int
action(struct conf_load *l, const struct conf_node *n, struct conf_route *r, bool clean)
{
	static const char *const keys[] = { "to", "redirect", "respond" };
	const struct conf_node *first = NULL;

	if (clean && r->nto && !r->redirect_where.file && !r->respond_status) {
		r->action = CONF_TO;
		return 0;
	}
	for (int i = 0; i < 3; i++) {
		const struct conf_node *k = conf_member(n, keys[i]);

		if (k && first) {
			conf_error(l, 215, conf_name_where(k),
				   "both \"%.*s\" and \"%s\": a route does one thing",
				   STR_ARG(conf_name_of(first)), keys[i]);
			return -1;
		}
		if (!k)
			continue;
		first = k;
		r->action = (enum conf_action)i;
	}
	/* A slip in a name may be why there is none. */
	if (first || !clean || n->damaged)
		return 0;
	conf_error(l, 215, conf_where(n),
		   "it does nothing: one of \"to\", \"redirect\" and \"respond\" is "
		   "missing");
	return -1;
}

static int
route(struct conf_load *l, const struct conf_node *n, struct conf_route *r, size_t number)
{
	const struct conf_node *name = conf_member(n, "name");

	r->where = conf_where(n);
	if (name && name->kind == CONF_NODE_STRING)
		r->name = name->text;

	struct reader_scope before = reader_begin(l, "route", r->name);

	if (!r->name.len) {
		char buf[24];

		*str_put_u64(buf, number) = '\0';
		l->name = arena_str(l->image, str_of(buf));
	}

	struct str given = l->name;
	int result = conf_fill(l, n, route_rows, r);

	if (!r->name.len)
		r->name = given;
	if (action(l, n, r, result == 0) < 0)
		result = -1;
	if (result == 0 && r->timeout.total && r->timeout.response > r->timeout.total)
		conf_warn(l, 217,
			  conf_where(conf_member(conf_member(n, "timeout"), "response")),
			  "timeout.response is longer than timeout.total and never "
			  "strikes");
	reader_end(l, before);
	r->broken = result < 0;
	return result;
}

int
routes_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	     struct where w, void *to)
{
	struct conf_service *s = to;
	const struct conf_node *child;
	struct map names = { 0 };
	int result = 0;

	(void)text, (void)w;
	if (n->kind != CONF_NODE_LIST)
		return wrong_type(l, n, "routes",
				  "a list: ( { match = \"* /*\"; to = \"UPSTREAM\"; } )");
	if (!n->n && !n->damaged)
		conf_error(l, 222, conf_where(n),
			   "\"routes\" is empty: nothing would be answered");
	s->routes = ARENA_NEWS(l->image, struct conf_route, n->n);
	for_each_child(child, n) {
		struct conf_route *r = &s->routes[s->nroutes++], *other;

		if (child->kind != CONF_NODE_GROUP) {
			result = wrong_type(l, child, "routes",
					    "{ match = \"* /*\"; to = \"UPSTREAM\"; }");
			r->broken = true;
			continue;
		}
		if (route(l, child, r, s->nroutes) < 0)
			result = -1;
		other = map_put(&names, &l->scratch, r->name, r);
		if (other) {
			const struct conf_node *name = conf_member(child, "name");

			conf_error(l, 111, name ? conf_where(name) : r->where,
				   "two routes have the name \"%.*s\"", STR_ARG(r->name));
			diag_note(l->diag, other->where, "the first is here");
		}
	}
	l->model->nroutes += s->nroutes;
	return result;
}
