#include <netdb.h>
#include <stdlib.h>
#include <time.h>

#include "base/map.h"
#include "worker/upstream/upstream.h"

enum { TOGETHER_MS = 2000 };            /* all names together: a reload waits for this */

struct lookup {
	struct gaicb request;
	struct str name;                /* NUL after it */
	struct addr addr;               /* family 0: none */
	const char *error;
};

struct lookups {
	struct map names;               /* name → struct lookup */
	struct lookup **at; /* on the heap, for getaddrinfo_a() may still write to them */
	size_t n;
};

static struct lookup *
look_up(struct lookups *all, struct str name, struct arena *scratch)
{
	static const struct addrinfo hints = { .ai_family = AF_UNSPEC,
					       .ai_socktype = SOCK_STREAM };
	struct lookup *l = map_get(&all->names, name);
	char *copy;

	if (l)
		return l;
	l = calloc(1, sizeof *l + name.len + 1);
	if (!l)
		abort();
	copy = (char *)(l + 1);
	memcpy(copy, name.at, name.len);
	l->name = (struct str){ copy, name.len };
	l->request.ar_name = copy;
	l->request.ar_request = &hints;
	map_put(&all->names, scratch, l->name, l);
	if ((all->n & (all->n - 1)) == 0) {
		all->at = realloc(all->at, (all->n ? 2 * all->n : 1) * sizeof *all->at);
		if (!all->at)
			abort();
	}
	all->at[all->n++] = l;
	return l;
}

/* There is no second try at another address, so IPv4 first: what listens on ::1 alone is
 * rare, what listens on 127.0.0.1 alone is not. */
static void
choose(struct lookup *l, const struct addrinfo *list)
{
	for (const struct addrinfo *i = list; i; i = i->ai_next) {
		struct addr a;

		addr_from_sockaddr(&a, i->ai_addr);
		if (!l->addr.family || (a.family == AF_INET && l->addr.family != AF_INET))
			l->addr = a;
	}
}

static uint64_t
ms_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void
wait_for_all(struct gaicb **list, size_t n)
{
	uint64_t until = ms_now() + TOGETHER_MS, now;
	size_t left = n;

	while (left && (now = ms_now()) < until) {
		struct timespec t = { .tv_sec = (time_t)((until - now) / 1000),
				      .tv_nsec = (long)((until - now) % 1000) * 1000000 };

		gai_suspend((const struct gaicb *const *)list, (int)n, &t);
		for (size_t i = 0; i < n; i++)
			if (list[i] && gai_error(list[i]) != EAI_INPROGRESS) {
				list[i] = NULL;
				left--;
			}
	}
}

static void
resolve(struct lookups *all)
{
	struct gaicb **list = calloc(all->n + 1, sizeof *list);
	int failed;

	if (!list)
		abort();
	for (size_t i = 0; i < all->n; i++)
		list[i] = &all->at[i]->request;
	failed = all->n ? getaddrinfo_a(GAI_NOWAIT, list, (int)all->n, NULL) : 0;
	if (!failed)
		wait_for_all(list, all->n);
	for (size_t i = 0; i < all->n; i++) {
		struct lookup *l = all->at[i];
		int error = failed ? failed : gai_error(&l->request);

		if (!error)
			choose(l, l->request.ar_result);
		else if (error == EAI_INPROGRESS)
			l->error = "no answer in time";
		else
			l->error = gai_strerror(error);
	}
	free(list);
}

/* What is still under way keeps its memory. */
static void
forget(struct lookups *all)
{
	for (size_t i = 0; i < all->n; i++) {
		struct lookup *l = all->at[i];

		if (gai_error(&l->request) == EAI_INPROGRESS &&
		    gai_cancel(&l->request) != EAI_CANCELED)
			continue;
		if (l->request.ar_result)
			freeaddrinfo(l->request.ar_result);
		free(l);
	}
	free(all->at);
}

static struct str
address_text(const struct upstream_target *t, struct arena *image)
{
	char buf[ADDR_TEXT];

	if (t->addr.family == AF_UNIX)
		return arena_printf(image, "unix:%.*s", STR_ARG(t->conf->path));
	if (!t->addr.family)
		return arena_printf(image, "%.*s:%u", STR_ARG(t->conf->host),
				    t->conf->port);
	return arena_str(image,
			 (struct str){ buf, (size_t)(addr_put(buf, &t->addr) - buf) });
}

static uint64_t
mix(uint64_t h, struct str s)
{
	return h * 31 + str_hash(s);
}

/* Connections that were made on other terms (whom we believe, who we are) are not used
 * any more: the terms are part of who it is. */
static struct str
key_of(const struct upstream_target *t, const struct conf_upstream *c,
       struct arena *image)
{
	const struct conf_upstream_tls *s = &c->tls;
	struct str address = t->name;
	uint64_t terms = (uint64_t)c->http * 3 + (uint64_t)c->proxy_protocol;

	if (t->conf->tls) {
		terms = mix(mix(terms * 2 + s->verify, s->ca.bytes), s->sni);
		terms = mix(mix(terms, s->client_cert.bytes), s->client_key.bytes);
		for (size_t i = 0; i < s->pin.n; i++)
			terms = mix(terms, s->pin.at[i]);
		terms = mix(terms * 3 + (uint64_t)s->min, t->conf->host);
	}
	if (!terms)
		return address;
	return arena_printf(image, "%.*s#%016llx", STR_ARG(address),
			    (unsigned long long)terms);
}

static void
finish(struct upstream_target *t, const struct conf_upstream *upstream,
       struct lookups *all, struct arena *image, struct diag *diag)
{
	struct lookup *l = t->addr.family ? NULL : map_get(&all->names, t->conf->host);

	if (l)
		t->addr = l->addr;
	t->addr.port = t->conf->port;
	t->name = address_text(t, image);
	t->key = key_of(t, upstream, image);
	if (!t->addr.family)
		diag_warn(diag, 510, t->conf->where,
			  "target \"%.*s\": \"%.*s\" does not resolve: %s",
			  STR_ARG(t->conf->url), STR_ARG(t->conf->host),
			  l ? l->error : "no name");
}

struct upstream_target *
upstream_compile(const struct conf_model *m, struct arena *image, struct diag *diag)
{
	struct upstream_target *all =
		ARENA_NEWS(image, struct upstream_target, m->ntargets);
	struct lookups lookups = { .n = 0 };

	for (size_t i = 0; i < m->nupstreams; i++)
		for (size_t k = 0; k < m->upstreams[i].ntargets; k++) {
			const struct conf_target *c = &m->upstreams[i].targets[k];
			struct upstream_target *t = &all[c->id];

			t->conf = c;
			if (c->path.len)
				t->addr.family = AF_UNIX;
			else if (!addr_parse(&t->addr, c->host) && c->host.len)
				look_up(&lookups, c->host, diag->arena);
		}
	resolve(&lookups);
	for (size_t i = 0; i < m->nupstreams; i++)
		for (size_t k = 0; k < m->upstreams[i].ntargets; k++)
			finish(&all[m->upstreams[i].targets[k].id], &m->upstreams[i],
			       &lookups, image, diag);
	forget(&lookups);
	return all;
}
