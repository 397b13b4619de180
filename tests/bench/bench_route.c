/* bench_route — what the router costs: compile time, memory, time of a match.
 *
 * Run by hand (make tests/bench/bench_route): times decide no test. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "worker/route/route.h"

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* As the scenario "routes" of the benchmark: half exact, half prefixes. */
static void
fill(struct conf_model *m, struct arena *a, size_t services, size_t routes)
{
	m->gateway.merge_slashes = true;
	m->nlisteners = 1;
	m->listeners = ARENA_NEWS(a, struct conf_listener, 1);
	m->nservices = services;
	m->services = ARENA_NEWS(a, struct conf_service, services);
	for (size_t i = 0; i < services; i++) {
		struct conf_service *s = &m->services[i];

		s->index = (uint32_t)i;
		s->domains = ARENA_NEWS(a, struct conf_domain, 1);
		s->domains[s->ndomains++].name = arena_printf(a, "h%03zu.bench.test", i);
		s->nroutes = routes;
		s->routes = ARENA_NEWS(a, struct conf_route, routes);
		for (size_t k = 0; k < routes; k++)
			s->routes[k].match = k % 2
				? arena_printf(a, "* /v1/team-%zu/files-%02zu/*", k / 10, k)
				: arena_printf(a, "GET,POST /v1/team-%zu/resource-%02zu", k / 10, k);
	}
}

static void
match(const struct router *r, const struct conf_model *m, struct arena *a)
{
	enum { REQUESTS = 16384, ROUNDS = 100 };
	struct route_request *q = ARENA_NEWS(a, struct route_request, REQUESTS);
	struct route_match found;
	size_t hits = 0;
	double best = 1e18;

	for (size_t i = 0; i < REQUESTS; i++) {
		const struct conf_service *s =
			&m->services[(size_t)rand() % m->nservices];
		size_t k = (size_t)rand() % s->nroutes;

		q[i].host = arena_str(a, s->domains[0].name);
		q[i].method = METHOD_GET;
		q[i].path = k % 2 ? arena_printf(a, "/v1/team-%zu/files-%02zu/items/4711", k / 10, k)
				  : arena_printf(a, "/v1/team-%zu/resource-%02zu", k / 10, k);
	}
	for (int round = 0; round < ROUNDS; round++) {
		double began = now(), took;

		for (size_t i = 0; i < REQUESTS; i++)
			hits += route_find(r, &q[i], &found, NULL);
		took = (now() - began) / REQUESTS;
		best = took < best ? took : best;
	}
	printf("  match %.0f ns%s\n", best, hits == (size_t)REQUESTS * ROUNDS ? "" : " (misses!)");
}

static void
run(size_t services, size_t routes)
{
	struct arena model_arena, image, said;
	struct conf_model m = { .nlisteners = 0 };
	const struct router *r = NULL;
	size_t n = services * routes, used = 0;
	double best = 1e18;
	char *home = malloc(n * 1024 + (1 << 20));

	if (!home)
		abort();
	memset(home, 1, n * 1024 + (1 << 20));
	arena_init(&model_arena, NULL, 0, 1u << 31);
	fill(&m, &model_arena, services, routes);
	for (int i = 0; i < 5; i++) {
		struct diag diag;
		double took;

		arena_init(&image, home, n * 1024 + (1 << 20), 0);
		arena_init(&said, NULL, 0, 1u << 30);
		diag_init(&diag, &said);
		took = now();
		r = route_compile(&m, &image, &diag);
		took = now() - took;
		best = took < best ? took : best;
		used = (size_t)(image.at - home);
		arena_reset(&said);
	}
	printf("%zu routes in %zu services: compiled in %.2f ms, %.0f bytes a route\n", n, services, best / 1e6,
	       (double)used / (double)n);
	match(r, &m, &model_arena);
	arena_reset(&model_arena);
	free(home);
}

int
main(void)
{
	run(1, 1);
	run(100, 100);
	run(1, 10000);
	run(1000, 100);
	run(1, 100000);
	return 0;
}
