#include "worker/secure.h"

#include <stdlib.h>
#include <string.h>

enum { W_UNCOVERED = 556 };

static struct tls_file
file_of(const struct conf_file *f)
{
	return (struct tls_file){ f->bytes, f->path, f->where };
}

static void
rules_of(const struct conf_listener *l, struct arena *arena, struct tls_server_rules *r)
{
	const struct conf_tls *t = l->tls;
	struct tls_pair *pairs = ARENA_NEWS(arena, struct tls_pair, t->npairs);

	for (size_t i = 0; i < t->npairs; i++)
		pairs[i] = (struct tls_pair){ file_of(&t->pairs[i].cert),
					      file_of(&t->pairs[i].key),
					      file_of(&t->pairs[i].ocsp) };
	*r = (struct tls_server_rules){
		.pairs = pairs,
		.npairs = t->npairs,
		.min = t->min,
		.ciphers = t->ciphers,
		.groups = t->groups,
		.ask = t->client_cert,
		.client_ca = file_of(&t->client_ca),
		.crl = file_of(&t->crl),
		.depth = (int)t->depth,
		.h1 = l->h1,
		.h2 = l->h2,
		.tickets = t->tickets,
	};
}

/* ---- hosts that nobody can verify */

/* Whether clients reach a service by TLS only: certificates are to name its hosts. */
static bool
all_tls(const struct conf_service *s)
{
	bool any = false;

	for (size_t i = 0; i < s->non; i++) {
		if (!s->on[i]->tls && !s->on[i]->redirect)
			return false;
		any |= s->on[i]->tls != NULL;
	}
	return any;
}

static void
check_hosts(const struct conf_service *s, struct arena *arena, struct diag *diag)
{
	struct str *hosts = ARENA_NEWS(arena, struct str, s->ndomains);
	bool *covered = ARENA_NEWS(arena, bool, s->ndomains);

	for (size_t i = 0; i < s->ndomains; i++) {
		hosts[i] = s->domains[i].name;
		covered[i] = str_eq(hosts[i], STR("*"));
	}
	for (size_t i = 0; i < s->non; i++) {
		const struct conf_tls *t = s->on[i]->tls;

		for (size_t k = 0; t && k < t->npairs; k++) {
			struct tls_pair pair = { .cert = file_of(&t->pairs[k].cert) };

			tls_covers(&pair, hosts, s->ndomains, covered);
		}
	}
	for (size_t i = 0; i < s->ndomains; i++)
		if (!covered[i])
			diag_warn(diag, W_UNCOVERED, s->domains[i].where,
				  "no certificate of the listeners of service \"%.*s\" is "
				  "for \"%.*s\": clients will refuse it",
				  STR_ARG(s->name), STR_ARG(hosts[i]));
}

void
secure_check(const struct conf_model *m, struct arena *arena, struct diag *diag)
{
	for (size_t i = 0; i < m->nlisteners; i++) {
		struct tls_server_rules r;

		if (!m->listeners[i].tls)
			continue;
		rules_of(&m->listeners[i], arena, &r);
		tls_check(&r, arena, diag);
	}
	for (size_t i = 0; i < m->nupstreams; i++) {
		const struct conf_upstream *u = &m->upstreams[i];
		struct tls_client_rules r;
		bool any = false;

		for (size_t k = 0; k < u->ntargets; k++)
			any |= u->targets[k].tls;
		if (!any)
			continue;
		upstream_tls_rules(u, &r);
		tls_check_client(&r, arena, diag);
	}
	for (size_t i = 0; i < m->nservices; i++)
		if (all_tls(&m->services[i]))
			check_hosts(&m->services[i], arena, diag);
}

/* ---- tickets */

_Static_assert(sizeof(struct ticket_key) == sizeof(struct tls_ticket_key),
	       "the same bytes");

static int
find(void *tickets, const uint8_t name[16], struct tls_ticket_key *to)
{
	struct ticket_key key;
	int found = tickets_open_by(tickets, name, &key);

	if (found)
		memcpy(to, &key, sizeof(key));
	crypto_wipe(&key, sizeof(key));
	return found;
}

static void
seal(void *tickets, struct tls_ticket_key *to)
{
	struct ticket_key key;

	tickets_seal(tickets, &key);
	memcpy(to, &key, sizeof(key));
	crypto_wipe(&key, sizeof(key));
}

/* ---- a generation's */

int
secure_bind(struct generation *g)
{
	const struct conf_model *m = g->model;
	struct worker *w = g->worker;
	struct arena arena;
	int rc = 0;

	w->tickets = (struct tls_tickets){ w->shared->tickets, seal, find };
	g->tls = calloc(m->nlisteners + 1, sizeof(struct tls_server *));
	if (!g->tls)
		abort();
	arena_init(&arena, NULL, 0, (size_t)1 << 20);
	for (size_t i = 0; i < m->nlisteners && !rc; i++) {
		struct tls_server_rules r;

		if (!m->listeners[i].tls)
			continue;
		rules_of(&m->listeners[i], &arena, &r);
		g->tls[i] = tls_server_new(&r, &w->tickets, w->error);
		rc = g->tls[i] ? 0 : -1;
	}
	arena_reset(&arena);
	return rc;
}

void
secure_unbind(struct generation *g)
{
	for (size_t i = 0; g->tls && i < g->model->nlisteners; i++)
		tls_server_free(g->tls[i]);
	free(g->tls);
	g->tls = NULL;
}
