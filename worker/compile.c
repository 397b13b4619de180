#include <errno.h>
#include <string.h>

#include "conf/load.h"
#include "shm/cells.h"
#include "worker/dryrun.h"
#include "worker/exchange/links.h"
#include "worker/exchange/trust.h"
#include "worker/policy/policies.h"
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

static struct str
joined(struct arena *scratch, struct str a, struct str b)
{
	return arena_printf(scratch, "%.*s/%.*s", STR_ARG(a), STR_ARG(b));
}

/* Only for an image that is going to be served: names stay for as long as the region. */
static void
intern_series(const struct conf_model *m, struct image *image, struct stats *stats,
	      struct arena *scratch)
{
	struct router *router = (struct router *)(uintptr_t)image->router;
	struct upstream_target *targets =
		(struct upstream_target *)(uintptr_t)image->targets;

	for (size_t i = 0; i < router->nservices; i++) {
		struct service *s = &router->services[i];

		for (uint32_t k = 0; k < s->nroutes; k++)
			s->routes[k].series = series_intern(
				stats, SERIES_ROUTE,
				joined(scratch, s->conf->name, s->routes[k].conf->name));
	}
	for (size_t i = 0; i < m->nupstreams; i++)
		for (size_t k = 0; k < m->upstreams[i].ntargets; k++) {
			struct upstream_target *t =
				&targets[m->upstreams[i].targets[k].id];

			t->series = series_intern(
				stats, SERIES_TARGET,
				joined(scratch, m->upstreams[i].name, t->key));
		}
}

static bool
needs_cells(const struct conf_model *m)
{
	for (size_t i = 0; i < m->npolicies; i++)
		if (m->policies[i]->used && policies[m->policies[i]->type_index]->cells)
			return true;
	return false;
}

/* Here a full tmpfs is an error; in a worker it would be SIGBUS. */
static int
reserve_cells(struct region *region, struct diag *diag)
{
	struct cells *cells = cells_open(region);

	if (cells && cells_reserve(region, cells) == 0)
		return 0;
	diag_error(diag, 531, (struct where){ 0 }, "no shared memory for rate limits: %s",
		   strerror(errno));
	return -1;
}

struct image *
worker_compile(const struct conf_model *m, struct arena *arena, struct stats *stats,
	       struct diag *diag)
{
	struct image *image = worker_image(m, arena, diag);

	if (!image || dryrun_tests(image, diag) < 0)
		return NULL;
	if (!stats)
		return image;
	if (needs_cells(m) && reserve_cells(stats->region, diag) < 0)
		return NULL;
	intern_series(m, image, stats, diag->arena);
	return image;
}
