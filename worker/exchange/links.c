#include "worker/exchange/links.h"

#include <stddef.h>

#include "worker/exchange/template.h"

_Static_assert(offsetof(struct policy, conf) == 0, "a conf_type leads to its policy");

/* What a compilation needs besides the model; lives with the load. */
struct linker {
	const struct conf_model *model;
	struct arena *image;
	struct diag *diag;
	struct map chains;              /* bytes of the links → struct links */
	/* By conf_policy.index: its templates use captures; one finding is enough. */
	bool *captures, *said, *said_twice, *said_nobody;
	struct step *step;              /* the chain being made */
	uint32_t n, room;
};

struct step {
	const struct conf_use *use;
	const char *from;
};

static const char from_gateway[] = "gateway", from_service[] = "service",
		  from_route[] = "route";

static void
add(struct linker *l, const struct conf_use *use, size_t n, const char *from)
{
	for (size_t i = 0; i < n; i++) {
		if (l->n == l->room) {
			struct step *more =
				ARENA_NEWS(l->diag->arena, struct step, 2 * l->room + 16);

			if (l->n)
				memcpy(more, l->step, l->n * sizeof(*more));
			l->step = more;
			l->room = 2 * l->room + 16;
		}
		l->step[l->n++] = (struct step){ &use[i], from };
	}
}

/* Takes inherited policies of that name out again. */
static void
drop(struct linker *l, const struct conf_route *r, struct str name, struct where w)
{
	const char *words[32];
	const char *near;
	size_t nwords = 0;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < l->n; i++) {
		struct str have = l->step[i].use->policy->name;

		if (!have.len || !str_eq(have, name))
			l->step[kept++] = l->step[i];
		if (have.len && nwords < 31)
			words[nwords++] = arena_str(l->diag->arena, have).at;
	}
	if (kept < l->n || l->model->uses_broken) {
		l->n = kept;
		return;
	}
	words[nwords] = NULL;
	near = diag_nearest(name, words);
	diag_error(l->diag, 410, w,
		   near ? "route \"%.*s\": no inherited policy \"%.*s\"; did you mean "
			  "\"%s\"?"
			: "route \"%.*s\": no inherited policy \"%.*s\"%s",
		   STR_ARG(r->name), STR_ARG(name), near ? near : "");
}

static void
warn_twice(struct linker *l)
{
	for (uint32_t i = 1; i < l->n; i++)
		for (uint32_t k = 0; k < i; k++) {
			const struct conf_policy *p = l->step[i].use->policy;

			if (p != l->step[k].use->policy || l->said_twice[p->index])
				continue;
			l->said_twice[p->index] = true;
			diag_warn(l->diag, 411, l->step[i].use->where,
				  "policy \"%.*s\" runs twice for the same request",
				  STR_ARG(p->name));
			diag_note(l->diag, l->step[k].use->where,
				  "the first time from here, by the %s", l->step[k].from);
		}
}

static void
note_identity(const struct template *t, void *arg)
{
	if (template_is_identity(t))
		*(const struct template **)arg = t;
}

/* One that runs at requests and asks for who only a later policy could find out. What is
 * written with the response, or logged, comes late enough. */
static const struct template *
asks_too_early(const struct policy *p, const void *self)
{
	const struct template *found = NULL;

	for (const struct conf_field *r = p->conf.fields; p->request && r->key; r++)
		if (strcmp(r->key, "response") != 0)
			template_each((const struct conf_field[]){ *r, CONF_END }, self,
				      note_identity, &found);
	return found;
}

static const struct policy *
policy_at(const struct linker *l, uint32_t i)
{
	return (const struct policy *)l->step[i].use->policy->type;
}

static struct str
name_of(const struct conf_policy *p)
{
	return p->name.len ? p->name : str_of(p->type->name);
}

/* One finding for each policy is enough. */
static void
say_nobody(struct linker *l, const struct conf_route *r, uint32_t i,
	   const struct template *t)
{
	const struct conf_use *use = l->step[i].use;
	struct str name = name_of(use->policy);

	if (l->said_nobody[use->policy->index])
		return;
	l->said_nobody[use->policy->index] = true;
	if (t)
		diag_warn(l->diag, 413, t->where,
			  "policy \"%.*s\": \"%.*s\" is empty: no policy before this one "
			  "finds out who the consumer is",
			  STR_ARG(name), STR_ARG(str_first(t->text, 60)));
	else
		diag_error(l->diag, 412, use->where,
			   "policy \"%.*s\" needs to know the consumer, and no "
			   "policy before it finds out who that is",
			   STR_ARG(name));
	for (uint32_t k = i + 1; k < l->n; k++)
		if (policy_at(l, k)->identifies) {
			diag_note(l->diag, l->step[k].use->where,
				  "\"%.*s\" does, but runs later, by the %s; put it before",
				  STR_ARG(name_of(l->step[k].use->policy)),
				  l->step[k].from);
			return;
		}
	diag_note(l->diag, r->where, "for route \"%.*s\"; put one before it, such as "
		  "{ type = \"api-key\"; }", STR_ARG(r->name));
}

/* A policy that needs to know the consumer comes after one that finds that out. */
static void
check_identity(struct linker *l, const struct conf_route *r)
{
	for (uint32_t i = 0; i < l->n && !l->model->uses_broken; i++) {
		const struct policy *policy = policy_at(l, i);
		const void *self = l->step[i].use->policy->self;
		const struct template *t;

		if (!policy || policy->identifies)
			break;
		if (policy->needs_identity && policy->needs_identity(self))
			say_nobody(l, r, i, NULL);
		else if ((t = asks_too_early(policy, self)))
			say_nobody(l, r, i, t);
	}
}

/* The chain of the gathered steps: one that is there already, or a new one. */
static const struct links *
chain(struct linker *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (!l->step[i].use->policy->type)
			return NULL; /* its error was said */

	struct link *at = ARENA_NEWS(l->diag->arena, struct link, l->n);
	struct str key = { (const char *)at, l->n * sizeof(*at) };
	struct links *links;
	uint32_t state = 0;

	for (uint32_t i = 0; i < l->n; i++) {
		const struct conf_policy *conf = l->step[i].use->policy;
		const struct policy *policy = (const struct policy *)conf->type;

		at[i].policy = policy;
		at[i].self = conf->self;
		at[i].conf = conf;
		at[i].state = state;
		at[i].from = l->step[i].from;
		state += (uint32_t)(policy->state_size + 15) & ~15u;
	}
	if ((links = map_get(&l->chains, key)))
		return links;
	warn_twice(l);
	links = ARENA_NEW(l->image, struct links);
	links->n = l->n;
	links->state_size = state;
	for (uint32_t i = 0; i < l->n; i++) {
		links->preflight |= at[i].policy->preflight;
		links->forwards |= at[i].policy->forwards;
		links->identifies |= at[i].policy->identifies;
		links->has_request |= at[i].policy->request != NULL;
		links->has_response |= at[i].policy->response != NULL;
		links->has_done |= at[i].policy->done != NULL;
	}
	if (l->n) {
		struct link *to = ARENA_NEWS(l->image, struct link, l->n);

		memcpy(to, at, key.len);
		links->at = to;
	}
	map_put(&l->chains, l->diag->arena, key, links);
	return links;
}

static void
note_captures(const struct template *t, void *arg)
{
	if (template_has_captures(t))
		*(bool *)arg = true;
}

struct captures_check {
	const struct route *route;
	struct diag *diag;
	struct where used_at;
	bool bad;
};

static void
check_captures(const struct template *t, void *arg)
{
	struct captures_check *c = arg;

	if (template_check_captures(t, c->route->capture, c->route->ncaptures, c->diag,
				    c->used_at) < 0)
		c->bad = true;
}

static void
check_chain(struct linker *l, const struct route *r)
{
	for (uint32_t i = 0; i < l->n && r->form != ROUTE_BROKEN; i++) {
		const struct conf_policy *p = l->step[i].use->policy;
		struct captures_check c = { r, l->diag, l->step[i].use->where, false };

		if (!l->captures[p->index] || l->said[p->index])
			continue;
		template_each(p->type->fields, p->self, check_captures, &c);
		if (c.bad) {
			l->said[p->index] = true;
			diag_note(l->diag, r->conf->where,
				  "route \"%.*s\" runs this policy",
				  STR_ARG(r->conf->name));
		}
	}
}

/* `what` is "rewrite" or "redirect". NULL: none, or said. */
static const struct template *
route_template(struct linker *l, const struct route *r, struct str text, struct where w,
	       bool rewrite)
{
	const struct template *t;
	const char *what = rewrite ? "rewrite" : "redirect";

	if (!text.len)
		return NULL;
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if (c > ' ' && c < 0x7f && !(rewrite && (c == '?' || c == '#')))
			continue;
		if (c <= ' ' || c >= 0x7f)
			diag_error(l->diag, 406, where_in(w, i, 1),
				   "a %s holds no blanks and nothing beyond ASCII: "
				   "percent-encode it",
				   what);
		else
			diag_error(
				l->diag, 406, where_in(w, i, 1),
				"a rewrite is a path alone; the query stays what it was");
		return NULL;
	}
	if (rewrite && text.at[0] != '/' && !str_starts(text, STR("{path}"))) {
		diag_error(l->diag, 406, w, "a rewrite begins with \"/\"");
		return NULL;
	}
	t = template_compile(l->image, l->diag, text, w);
	if (t && r->form != ROUTE_BROKEN)
		template_check_captures(t, r->capture, r->ncaptures, l->diag, w);
	return t;
}

static void
link_route(struct linker *l, struct route *r, const struct service *s)
{
	const struct conf_route *conf = r->conf;

	r->rewrite = route_template(l, r, conf->rewrite, conf->rewrite_where, true);
	r->redirect = route_template(l, r, conf->redirect, conf->redirect_where, false);
	l->n = 0;
	add(l, l->model->gateway.policies, l->model->gateway.npolicies, from_gateway);
	add(l, s->conf->policies, s->conf->npolicies, from_service);
	if (conf->without.n || conf->npolicies) {
		for (size_t i = 0; i < conf->without.n; i++)
			drop(l, conf, conf->without.at[i], conf->without.where[i]);
		add(l, conf->policies, conf->npolicies, from_route);
		r->links = chain(l);
	} else {
		r->links = s->links;
	}
	check_chain(l, r);
	check_identity(l, conf);
}

int
links_compile(const struct conf_model *model, struct router *router,
	      const struct links **gateway, struct arena *image, struct diag *diag)
{
	struct linker l = { .model = model, .image = image, .diag = diag };
	int before = diag->errors;

	l.captures = ARENA_NEWS(diag->arena, bool, model->npolicies + 1);
	l.said = ARENA_NEWS(diag->arena, bool, model->npolicies + 1);
	l.said_nobody = ARENA_NEWS(diag->arena, bool, model->npolicies + 1);
	l.said_twice = ARENA_NEWS(diag->arena, bool, model->npolicies + 1);
	for (size_t i = 0; i < model->npolicies; i++) {
		const struct conf_policy *p = model->policies[i];

		if (p->self)
			template_each(p->type->fields, p->self, note_captures,
				      &l.captures[p->index]);
	}
	add(&l, model->gateway.policies, model->gateway.npolicies, from_gateway);
	*gateway = chain(&l);
	for (size_t i = 0; i < router->nservices; i++) {
		struct service *s = &router->services[i];

		l.n = 0;
		add(&l, model->gateway.policies, model->gateway.npolicies, from_gateway);
		add(&l, s->conf->policies, s->conf->npolicies, from_service);
		s->links = chain(&l);
		for (uint32_t k = 0; k < s->nroutes; k++)
			link_route(&l, &s->routes[k], s);
	}
	return diag->errors > before ? -1 : 0;
}
