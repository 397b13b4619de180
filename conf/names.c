#include "conf/reader.h"

static void
unused(struct conf_load *l)
{
	const struct conf_model *m = l->model;

	for (size_t i = 0; i < m->nupstreams; i++)
		if (!m->upstreams[i].used)
			conf_warn(l, 210, m->upstreams[i].where,
				  "upstream \"%.*s\" is used by no route",
				  STR_ARG(m->upstreams[i].name));
	for (size_t i = 0; i < m->npolicies; i++)
		if (!m->policies[i]->used)
			conf_warn(l, 210, m->policies[i]->where,
				  "policy \"%.*s\" is used nowhere",
				  STR_ARG(m->policies[i]->name));
}

/* Those of the store may have any plan: only where files say who has which, one that
 * nobody has stands out. */
static void
unused_plans(struct conf_load *l)
{
	const struct conf_model *m = l->model;
	bool *used = ARENA_NEWS(&l->scratch, bool, m->nplans + 1), any = false;

	for (size_t i = 0; i < m->consumers.n; i++)
		if (m->consumers.at[i].plan)
			any = used[m->consumers.at[i].plan->index] = true;
	for (size_t i = 0; any && i < m->nplans; i++)
		if (!used[i])
			conf_warn(l, 210, m->plans[i].where,
				  "plan \"%.*s\" is that of no consumer in these files",
				  STR_ARG(m->plans[i].name));
}

static void
addresses_twice(struct conf_load *l)
{
	const struct conf_model *m = l->model;
	struct map seen = { 0 };

	for (size_t i = 0; i < m->nlisteners; i++)
		for (size_t k = 0; k < m->listeners[i].nbinds; k++) {
			struct conf_bind *b = &m->listeners[i].binds[k], *other;

			if (!b->text.len)
				continue;
			other = map_put(&seen, &l->scratch, b->text, b);
			if (!other)
				continue;
			conf_error(l, 221, b->where,
				   "listener \"%.*s\": \"%.*s\" is taken already",
				   STR_ARG(m->listeners[i].name), STR_ARG(b->text));
			diag_note(l->diag, other->where, "here");
		}
}

/* A method of the route that is never sent twice, once a response came. */
static bool
unsafe(struct str match, struct str *method)
{
	struct str methods = match, rest;
	ptrdiff_t blank = str_find(match, ' ');

	if (blank >= 0)
		methods.len = (size_t)blank;
	for (rest = methods; str_split(&rest, ',', method);)
		if (str_eq(*method, STR("POST")) || str_eq(*method, STR("PATCH")))
			return true;
	return false;
}

static void
unsafe_retries(struct conf_load *l)
{
	const struct conf_model *m = l->model;
	bool *said = ARENA_NEWS(&l->scratch, bool, m->nupstreams + 1);

	for (size_t i = 0; i < m->nservices; i++)
		for (size_t k = 0; k < m->services[i].nroutes; k++) {
			const struct conf_route *r = &m->services[i].routes[k];
			struct str method;

			for (size_t t = 0; t < r->nto; t++) {
				const struct conf_upstream *u = r->to[t].upstream;

				if (!u ||
				    !(u->retry.on & ~(uint32_t)CONF_RETRY_CONNECT) ||
				    said[u->index] || !u->retry.attempts ||
				    !unsafe(r->match, &method))
					continue;
				said[u->index] = true;
				conf_warn(l, 218, r->match_where,
					  "route \"%.*s\": upstream \"%.*s\" tries again "
					  "after errors, but never "
					  "a %.*s",
					  STR_ARG(r->name), STR_ARG(u->name),
					  STR_ARG(method));
				diag_note(l->diag, u->where, "\"%.*s\" is defined here",
					  STR_ARG(u->name));
			}
		}
}

void
names_check(struct conf_load *l)
{
	addresses_twice(l);
	/* A slip elsewhere may be why nothing uses it. */
	if (!l->diag->errors) {
		unused(l);
		unused_plans(l);
	}
	unsafe_retries(l);
}
