#include <errno.h>
#include <string.h>

#include "conf/load.h"
#include "shm/shared.h"
#include "worker/dryrun.h"
#include "worker/exchange/context.h"
#include "worker/exchange/links.h"
#include "worker/exchange/trust.h"
#include "worker/policy/policies.h"
#include "worker/secure.h"
#include "worker/upstream/upstream.h"
#include "worker/worker.h"

/* Errors; more of them nobody reads. */
enum { FINDINGS = 50 };

const struct conf_type *const *
worker_types(void)
{
	static const struct conf_type *const types[] = {
#define POLICY(id) &id##_policy.conf,
#include "worker/policy/policies.def"
#undef POLICY
		NULL
	};

	return types;
}

void
worker_findings(const struct conf_model *m, struct arena *arena, struct diag *diag)
{
	const struct links *links;

	if (diag->errors < FINDINGS)
		links_compile(m, route_compile_partly(m, arena, diag), &links, arena,
			      diag);
}

const struct conf_model *
worker_read(const char *path, struct arena *arena, struct diag *diag)
{
	int errors = diag->errors;
	const struct conf_model *m = conf_read(path, arena, worker_types(), diag);

	if (diag->errors == errors)
		return m;
	if (m)
		worker_findings(m, arena, diag);
	return NULL;
}

struct image *
worker_image(const struct conf_model *m, struct arena *arena, struct diag *diag)
{
	struct image *image = ARENA_NEW(arena, struct image);
	int errors = diag->errors;
	struct router *router = route_compile_partly(m, arena, diag);

	image->magic = IMAGE_MAGIC;
	image->model = m;
	image->router = router;
	image->trust = trust_compile(m, arena, diag);
	links_compile(m, router, &image->links, arena, diag);
	if (diag->errors > errors)
		return NULL;
	image->targets = upstream_compile(m, arena, diag);
	return diag->errors == errors ? image : NULL;
}

/* Names get their numbers, for counters and records, only in an image that is going to be
 * served: they stay for as long as the region. */
struct naming {
	struct stats *stats;
	struct arena *scratch;
	const char *last_file;          /* most names stand in the same */
	uint16_t last_number;
};

static uint16_t
file_number(struct naming *n, struct where w)
{
	if (w.file && w.file != n->last_file) {
		n->last_file = w.file;
		n->last_number =
			(uint16_t)series_intern(n->stats, SERIES_FILE, str_of(w.file));
	}
	return w.file ? n->last_number : 0;
}

static uint32_t
intern(struct naming *n, enum series_kind kind, struct str group, struct str name)
{
	if (group.len)
		name = arena_printf(n->scratch, "%.*s/%.*s", STR_ARG(group),
				    STR_ARG(name));
	return series_intern(n->stats, kind, name);
}

static void
name_links(struct naming *n, const struct links *links)
{
	for (uint32_t i = 0; links && i < links->n; i++) {
		struct link *l = (struct link *)(uintptr_t)&links->at[i];
		struct where w = l->conf->where;
		struct str name = l->conf->name;

		if (l->series)
			continue;
		if (!name.len)
			name = arena_printf(n->scratch, "%s:%u", w.file ? w.file : "", w.line);
		l->series = intern(n, SERIES_POLICY, str_of(l->conf->type->name), name);
		l->file = file_number(n, w);
	}
}

static void
name_service(struct naming *n, struct service *s)
{
	s->series = intern(n, SERIES_SERVICE, STR_NONE, s->conf->name);
	s->file = file_number(n, s->conf->where);
	name_links(n, s->links);
	for (uint32_t i = 0; i < s->nroutes; i++) {
		struct route *r = &s->routes[i];

		r->series = intern(n, SERIES_ROUTE, s->conf->name, r->conf->name);
		r->file = file_number(n, r->conf->where);
		if (r->links != s->links)
			name_links(n, r->links);
	}
}

static void
name_all(const struct conf_model *m, struct image *image, struct arena *arena,
	 struct naming *n)
{
	struct router *router = (struct router *)(uintptr_t)image->router;
	struct upstream_target *targets =
		(struct upstream_target *)(uintptr_t)image->targets;
	struct listener_series *listeners =
		ARENA_NEWS(arena, struct listener_series, m->nlisteners);

	for (size_t i = 0; i < m->nlisteners; i++) {
		const struct conf_listener *l = &m->listeners[i];

		listeners[i].series = intern(n, SERIES_LISTENER, STR_NONE, l->name);
		listeners[i].file = file_number(n, l->where);
	}
	image->listeners = listeners;
	name_links(n, image->links);
	for (size_t i = 0; i < router->nservices; i++)
		name_service(n, &router->services[i]);
	for (size_t i = 0; i < m->nupstreams; i++)
		for (size_t k = 0; k < m->upstreams[i].ntargets; k++) {
			struct upstream_target *t =
				&targets[m->upstreams[i].targets[k].id];

			t->series = intern(n, SERIES_TARGET, m->upstreams[i].name,
					   t->name);
			t->connect_series = intern(n, SERIES_CONNECT,
						   m->upstreams[i].name, t->name);
		}
}

/* The tables that its policies count in. */
static uint32_t
tables(const struct conf_model *m)
{
	uint32_t t = 0;

	for (size_t i = 0; i < m->npolicies; i++) {
		const struct policy *p = policies[m->policies[i]->type_index];

		if (!m->policies[i]->used)
			continue;
		t |= p->cells ? TABLE_CELLS : 0;
		t |= p->quotas ? TABLE_QUOTAS : 0;
		t |= p->inflight ? TABLE_INFLIGHT : 0;
		t |= p->identifies ? TABLE_METERS : 0;
	}
	for (size_t i = 0; i < m->nupstreams; i++)
		t |= m->upstreams[i].pace.rate.count ? TABLE_CELLS : 0;
	return t;
}

/* Here a full tmpfs is an error; in a worker it would be SIGBUS. */
static int
reserve(struct shared *s, uint32_t wanted, struct diag *diag)
{
	struct region *r = s->region;

	wanted &= ~s->control->tables;
	if ((wanted & TABLE_CELLS && cells_reserve(r, s->cells) < 0) ||
	    (wanted & TABLE_QUOTAS && quotas_reserve(r, s->quotas) < 0) ||
	    (wanted & TABLE_METERS && ledger_reserve(r, &s->meters) < 0) ||
	    (wanted & TABLE_INFLIGHT && inflight_reserve(r, &s->inflight) < 0)) {
		diag_error(diag, 531, (struct where){ 0 },
			   "no shared memory for limits and meters: %s", strerror(errno));
		return -1;
	}
	s->control->tables |= wanted;
	return 0;
}

static void
name_paced(const struct conf_model *m, struct pace *p, struct diag *diag)
{
	for (size_t i = 0; i < m->nupstreams; i++)
		if (m->upstreams[i].pace.learn && !pace_row(p, m->upstreams[i].name))
			diag_warn(diag, 532, m->upstreams[i].where,
				  "upstream \"%.*s\": its limits are not learned, for "
				  "there is no room for its name",
				  STR_ARG(m->upstreams[i].name));
}

struct image *
worker_compile(const struct conf_model *m, struct arena *arena, struct shared *shared,
	       struct diag *diag)
{
	struct naming naming = { .scratch = diag->arena };
	struct image *image = worker_image(m, arena, diag);

	if (!image)
		return NULL;
	secure_check(m, arena, diag);
	if (diag->errors || dryrun_tests(image, diag) < 0)
		return NULL;
	if (!shared)
		return image;
	if (reserve(shared, tables(m), diag) < 0)
		return NULL;
	name_paced(m, shared->pace, diag);
	naming.stats = &shared->stats;
	name_all(m, image, arena, &naming);
	return image;
}
