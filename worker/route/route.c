#include "worker/route/route.h"

#include <stdlib.h>

#include "worker/route/build.h"
#include "worker/route/match.h"
#include "worker/route/shadow.h"
#include "worker/route/trie.h"
#include "worker/route/when.h"

const struct regex *
build_regex(struct build *b, struct str pattern, struct str name, struct where w,
	    size_t offset)
{
	struct str error = STR_NONE;
	size_t at = 0;
	struct regex *regex = regex_compile(b->image, pattern, false, &error, &at);

	if (!regex) {
		diag_error(b->diag, 307, where_in(w, offset + at, 1),
			   "route \"%.*s\": the regex does not compile: %.*s (at offset %zu)",
			   STR_ARG(name), STR_ARG(error), at);
		return NULL;
	}
	if ((b->nregexes & (b->nregexes - 1)) == 0) {
		size_t room = b->nregexes ? b->nregexes * 2 : 1;

		b->regexes = realloc(b->regexes, room * sizeof *b->regexes);
		if (!b->regexes)
			abort();
	}
	regex->id = (uint32_t)b->nregexes;
	b->regexes[b->nregexes++] = regex;
	return regex;
}

static void
compile_routes(struct build *b, struct service *s)
{
	const struct conf_service *c = s->conf;
	int errors = b->diag->errors;
	uint32_t *leaf = calloc(c->nroutes + 1, sizeof *leaf);
	bool whole = true;

	if (!leaf)
		abort();
	s->nroutes = (uint32_t)c->nroutes;
	s->routes = ARENA_NEWS(b->image, struct route, c->nroutes);
	for (uint32_t i = 0; i < s->nroutes; i++) {
		struct route *r = &s->routes[i];

		r->conf = &c->routes[i];
		r->service = s;
		r->order = i;
		for (size_t k = 0; k < r->conf->nto; k++)
			r->total_weight += (uint64_t)r->conf->to[k].weight;
		if (!r->conf->match.at || match_parse(b, r) < 0)
			r->form = ROUTE_BROKEN;
		if (!r->conf->broken)
			when_compile(b, r);
		whole &= !r->conf->broken;
	}
	if (whole && b->diag->errors == errors) {
		s->trie = trie_build(b->image, s->routes, s->nroutes, leaf);
		shadow_check(b->diag, s, leaf);
	}
	free(leaf);
}

struct router *
route_compile_partly(const struct conf_model *m, struct arena *image, struct diag *diag)
{
	struct router *router = ARENA_NEW(image, struct router);
	struct build b = {
		.image = image,
		.diag = diag,
		.rules = { .merge_slashes = m->gateway.merge_slashes,
			   .encoded_slash = (uint8_t)m->gateway.encoded_slash },
	};

	router->nservices = m->nservices;
	router->services = ARENA_NEWS(image, struct service, m->nservices);
	for (size_t i = 0; i < m->nservices; i++) {
		router->services[i].conf = &m->services[i];
		compile_routes(&b, &router->services[i]);
	}
	host_compile(&b, m, router);
	router->nregexes = b.nregexes;
	router->regexes = ARENA_NEWS(image, const struct regex *, b.nregexes);
	if (b.nregexes)
		memcpy(router->regexes, b.regexes, b.nregexes * sizeof *b.regexes);
	free(b.regexes);
	return router;
}

struct router *
route_compile(const struct conf_model *m, struct arena *image, struct diag *diag)
{
	int errors = diag->errors;
	struct router *router = route_compile_partly(m, image, diag);

	return diag->errors == errors ? router : NULL;
}
