#include "worker/route/build.h"

/* Labels of "*.example.com" without the star. */
static uint32_t
labels(struct str suffix)
{
	uint32_t n = 0;

	for (size_t i = 0; i < suffix.len; i++)
		n += suffix.at[i] == '.';
	return n;
}

static const struct conf_domain *
domain_of(const struct service *s, struct str name)
{
	for (size_t i = 0; i < s->conf->ndomains; i++)
		if (str_eq(s->conf->domains[i].name, name))
			return &s->conf->domains[i];
	return NULL;
}

static void
claimed(struct build *b, const struct conf_domain *d, const struct service *mine,
	const struct service *other, const struct conf_listener *l)
{
	const struct conf_domain *first = domain_of(other, d->name);

	if (mine == other)
		diag_error(b->diag, 309, d->where, "domain \"%.*s\" is named twice", STR_ARG(d->name));
	else
		diag_error(b->diag, 309, d->where,
			   "domain \"%.*s\" belongs to service \"%.*s\" already, on "
			   "listener \"%.*s\"",
			   STR_ARG(d->name), STR_ARG(other->conf->name),
			   STR_ARG(l->name));
	if (first)
		diag_note(b->diag, first->where, "\"%.*s\" is claimed here", STR_ARG(d->name));
}

static void
add_domain(struct build *b, struct domains *to, const struct conf_listener *l,
	   struct service *s, const struct conf_domain *d)
{
	struct map *map = &to->exact;
	struct str key = d->name;
	const struct service *other;

	if (!key.len)
		return;
	if (str_eq(key, STR("*"))) {
		if (to->any)
			claimed(b, d, s, to->any, l);
		to->any = s;
		return;
	}
	if (key.len && *key.at == '*') {
		map = &to->wildcard;
		key = str_from(key, 1);
		if (labels(key) > to->wildcard_labels)
			to->wildcard_labels = labels(key);
	}
	other = map_put(map, b->image, key, s);
	if (other)
		claimed(b, d, s, other, l);
}

static void
add_service(struct build *b, const struct conf_model *m, struct router *router,
	    struct service *s)
{
	const struct conf_service *c = s->conf;
	bool every = !c->non;

	/* Where it is, is not known. */
	if (every && c->broken)
		return;
	for (size_t i = 0; i < c->ndomains; i++) {
		int errors = b->diag->errors;

		/* A clash is said once, not for each listener. */
		for (size_t l = 0; l < (every ? m->nlisteners : c->non); l++)
			if (b->diag->errors == errors) {
				const struct conf_listener *on =
					every ? &m->listeners[l] : c->on[l];

				add_domain(b, &router->listener[on->index], on, s,
					   &c->domains[i]);
			}
	}
}

void
host_compile(struct build *b, const struct conf_model *m, struct router *router)
{
	router->nlisteners = m->nlisteners;
	router->listener = ARENA_NEWS(b->image, struct domains, m->nlisteners);
	for (size_t i = 0; i < m->nservices; i++)
		add_service(b, m, router, &router->services[i]);
	/* A slip may be why a listener has none. */
	for (size_t i = 0; i < m->nlisteners && !b->diag->errors; i++) {
		const struct domains *d = &router->listener[i];

		if (!d->any && !d->exact.count && !d->wildcard.count &&
		    !m->listeners[i].redirect && !m->listeners[i].connect)
			diag_warn(b->diag, 313, m->listeners[i].where,
				  "listener \"%.*s\" has no service: all its requests get 404",
				  STR_ARG(m->listeners[i].name));
	}
}

const struct service *
route_service(const struct router *router, uint32_t listener, struct str host)
{
	const struct domains *d = &router->listener[listener];
	const struct service *s;
	uint32_t left;

	if (host.len && host.at[host.len - 1] == '.')
		host.len--;             /* the absolute form of the same name */
	if (d->exact.count && (s = map_get(&d->exact, host)))
		return s;
	left = d->wildcard.count ? labels(host) : 0;
	for (size_t i = 1; left && i < host.len; i++) {
		if (host.at[i] != '.')
			continue;
		if (left-- <= d->wildcard_labels &&
		    (s = map_get(&d->wildcard, str_from(host, i))))
			return s;
	}
	return d->any;
}
