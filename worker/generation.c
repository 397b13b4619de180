#include "worker/generation.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "worker/channel.h"
#include "worker/exchange/directory.h"
#include "worker/exchange/oauth.h"
#include "worker/secure.h"
#include "worker/serve.h"

struct mapped {
	struct generation gen;          /* first */
	uintptr_t at;                   /* of its slice */
	size_t size;
};

void
generation_unmap(uintptr_t at, size_t size)
{
	if (size)
		mmap((void *)at, size, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

static const struct policy *
policy_of(const struct conf_policy *c)
{
	return policies[c->type_index];
}

static void
unbind(struct generation *g)
{
	const struct conf_model *m = g->model;

	for (uint32_t i = 0; i < g->nbound; i++) {
		const struct conf_policy *c = m->policies[i];

		if (c->used && policy_of(c)->unbind)
			policy_of(c)->unbind(g->worker, g->bound[i]);
	}
	free(g->bound);
	secure_unbind(g);
	oauth_unbind(g->tokens, m->nupstreams);
	if (g->clusters)
		upstreams_unbind(&g->worker->upstreams, g->clusters, m->nupstreams);
	regex_unbind(g->jit);
}

/* Its last exchange is over, and it is not the one in force. */
static void
release(struct generation *g)
{
	struct mapped *p = (struct mapped *)g;
	struct channel_msg m = { .kind = CHANNEL_RELEASED, .generation = g->number };

	unbind(g);
	list_remove(&g->link);
	directory_forget(g->worker->directory);
	generation_unmap(p->at, p->size);
	if (!g->worker->single)
		channel_send(g->worker->channel.fd, &m, -1);
	free(p);
}

static const char *
bind_error(struct worker *w, const struct conf_policy *c, const char *why)
{
	struct str name = c->name.len ? c->name : str_of(c->type->name);

	snprintf(w->error, sizeof(w->error), "%s:%u:%u: policy \"%.*s\": %s", c->where.file,
		 c->where.line, c->where.column, STR_ARG(name), why);
	return w->error;
}

static int
bind_policies(struct generation *g, const char **error)
{
	const struct conf_model *m = g->model;

	g->bound = calloc(m->npolicies + 1, sizeof(*g->bound));
	if (!g->bound)
		abort();
	for (; g->nbound < m->npolicies; g->nbound++) {
		const struct conf_policy *c = m->policies[g->nbound];
		const struct policy *p = policy_of(c);

		if (!c->used || !p->bind)
			continue;
		*error = NULL;
		g->bound[g->nbound] = p->bind(g->worker, c->self, error);
		if (*error) {
			*error = bind_error(g->worker, c, *error);
			return -1;
		}
	}
	return 0;
}

struct generation *
generation_bind(struct worker *w, const struct image *i, uintptr_t at, size_t size,
		const char **error)
{
	struct mapped *p = calloc(1, sizeof(*p));
	struct generation *g = &p->gen;

	if (!p)
		abort();
	p->at = at;
	p->size = size;
	g->worker = w;
	g->image = i;
	g->number = i->generation;
	g->refs = 1;
	g->model = i->model;
	g->router = i->router;
	g->links = i->links;
	g->trust = i->trust;
	g->listeners = i->listeners;
	g->release = release;
	g->clusters = upstreams_bind(&w->upstreams, i->model, i->targets, w->error);
	g->jit = regex_bind(i->router->regexes, i->router->nregexes);
	g->tokens = oauth_bind(w, i->model);
	*error = w->error;
	if (!g->clusters || secure_bind(g) < 0 || bind_policies(g, error)) {
		unbind(g);
		free(p);
		return NULL;
	}
	list_append(&w->generations, &g->link);
	return g;
}

void
generation_commit(struct worker *w, struct generation *g)
{
	const struct conf_gateway *c = &g->model->gateway;

	w->previous = w->gen;
	w->gen = g;
	w->rules.limits.head = (uint32_t)c->limits.head;
	w->rules.limits.headers = (uint32_t)c->limits.headers;
	w->rules.limits.target = (uint32_t)c->limits.target;
	w->rules.head_ms = c->timeouts.head;
	w->rules.idle_ms = c->timeouts.idle;
	w->rules.linger_ms = c->timeouts.linger;
	upstreams_commit(&w->upstreams, g->model, g->clusters);
	serve_commit(w);
	if (w->previous)
		generation_unref(w->previous);
	w->previous = NULL;
	atomic_store_explicit(&w->slot->generation, g->number, memory_order_relaxed);
}

struct generation *
generation_find(struct worker *w, uint64_t number)
{
	for (struct list *l = w->generations.next; l != &w->generations; l = l->next) {
		struct generation *g = list_entry(l, struct generation, link);

		if (g->number == number)
			return g;
	}
	return NULL;
}

void
generation_tick(struct worker *w, bool reopen)
{
	for (struct list *l = w->generations.next; l != &w->generations; l = l->next) {
		struct generation *g = list_entry(l, struct generation, link);

		for (uint32_t i = 0; i < g->nbound; i++) {
			const struct conf_policy *c = g->model->policies[i];

			if (c->used && policy_of(c)->tick)
				policy_of(c)->tick(w, g->bound[i], reopen);
		}
	}
}
