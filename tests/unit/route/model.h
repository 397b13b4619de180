/* model — small models for tests of the router, without files. */
#ifndef TESTS_ROUTE_MODEL_H
#define TESTS_ROUTE_MODEL_H

#include "tests/unit/unit.h"

#include "worker/route/route.h"

static struct arena arena, said;
static struct diag diag;
static struct conf_model model;

static inline struct where
model_where(uint32_t line, size_t len)
{
	return (struct where){ "test.conf", line, 10, (uint32_t)len };
}

/* One listener, no services. */
static inline void
model_begin(void)
{
	static char home[2][4 << 20];

	arena_init(&arena, home[0], sizeof home[0], 0);
	arena_init(&said, home[1], sizeof home[1], 0);
	diag_init(&diag, &said);
	model = (struct conf_model){ .gateway = { .merge_slashes = true } };
	model.nlisteners = 2;
	model.listeners = ARENA_NEWS(&arena, struct conf_listener, 2);
	model.listeners[0].name = STR("one");
	model.listeners[1].name = STR("two");
	model.listeners[1].index = 1;
	model.listeners[1].redirect = 1;
}

static inline struct conf_service *
model_service(const char *name, const char *domain)
{
	struct conf_service *s;

	model.services = arena_push(&arena, model.services, model.nservices, sizeof *s);
	s = &model.services[model.nservices];
	s->name = str_of(name);
	s->index = (uint32_t)model.nservices++;
	s->domains = ARENA_NEWS(&arena, struct conf_domain, 8);
	s->domains[s->ndomains++] = (struct conf_domain){ str_of(domain), model_where(1, strlen(domain)) };
	return s;
}

/* Routes are named "1", "2" … by their order, and stand on line 10 and on. */
static inline struct conf_route *
model_route(const char *match)
{
	struct conf_service *s = &model.services[model.nservices - 1];
	struct conf_route *r;

	s->routes = arena_push(&arena, s->routes, s->nroutes, sizeof *r);
	r = &s->routes[s->nroutes++];
	r->name = arena_printf(&arena, "%zu", s->nroutes);
	r->match = str_of(match);
	r->match_where = model_where(9 + (uint32_t)s->nroutes, strlen(match) + 2);
	model.nroutes++;
	return r;
}

static inline void
model_pair(struct conf_pairs *pairs, const char *key, const char *value)
{
	pairs->at = arena_push(&arena, pairs->at, pairs->n, sizeof *pairs->at);
	pairs->at[pairs->n].key = str_of(key);
	pairs->at[pairs->n].value = str_of(value);
	pairs->at[pairs->n++].value_where = model_where(5, strlen(value) + 2);
}

/* What was found, a line each: "12:14 error 303 text". */
static inline const char *
model_said(void)
{
	static char buf[8192];
	static const char *const level[] = { "error", "warning", "note" };
	size_t n = 0;

	*buf = 0;
	for (struct diag_item *i = diag.first; i; i = i->next)
		n += (size_t)snprintf(buf + n, sizeof buf - n, "%u:%u+%u %s %d %.*s\n", i->where.line,
				      i->where.column, i->where.len, level[i->level], i->code,
				      STR_ARG(i->text));
	return buf;
}

static inline void
model_says(const char *wanted)
{
	ck_assert_msg(strstr(model_said(), wanted), "wanted \"%s\", said:\n%s", wanted, model_said());
}

#endif
