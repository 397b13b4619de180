/* image — any text as a configuration: loaded, compiled, its tests run, some requests
 * routed. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf/load.h"
#include "worker/dryrun.h"
#include "worker/exchange/links.h"
#include "worker/exchange/trust.h"
#include "worker/route/match.h"
#include "worker/route/when.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char file[] = "/tmp/postern-fuzz-image-XXXXXX";

static void
remove_file(void)
{
	unlink(file);
}

static void
write_file(const uint8_t *data, size_t size)
{
	static int fd = -1;

	if (fd < 0) {
		fd = mkstemp(file);
		atexit(remove_file);
	}
	if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
}

/* Input after a "!" is the match of a route, one a line, in a configuration that is good
 * otherwise. */
static void
write_matches(struct str lines, struct arena *scratch)
{
	struct str all = STR("listeners: { l: { bind = [ \"127.0.0.1:1\" ]; }; };\n"
			     "services: { s: { domains = [ \"*\" ]; routes = ( "), line;

	for (unsigned i = 0; i < 64 && str_split(&lines, '\n', &line); i++) {
		char *text = arena_alloc(scratch, line.len + 1);
		size_t n = 0;

		for (size_t k = 0; k < line.len; k++)
			if (!strchr("\"\\$\r", line.at[k]))
				text[n++] = line.at[k];
		all = arena_printf(scratch, "%.*s%s{ match = \"%.*s\"; respond = 204; }", STR_ARG(all),
				   i ? ", " : "", (int)n, text);
	}
	all = arena_printf(scratch, "%.*s ); }; };\n", STR_ARG(all));
	write_file((const uint8_t *)all.at, all.len);
}

/* As worker_image() does, but for the names of targets: a fuzzer asks no DNS. */
static bool
compile(const struct conf_model *m, struct image *image, struct arena *arena,
	struct diag *diag)
{
	struct router *router = route_compile(m, arena, diag);

	image->model = m;
	image->router = router;
	image->trust = trust_compile(m, arena, diag);
	return router && image->trust &&
	       links_compile(m, router, &image->links, arena, diag) == 0;
}

/* The trie must find what trying one route after the other finds. */
static void
cross_check(const struct route_request *q, const struct route_match *m)
{
	const struct service *s = m->service;
	const struct route *first = NULL;

	for (uint32_t i = 0; s && !first && i < s->nroutes; i++)
		if (match_path(&s->routes[i], NULL, q->path, NULL) &&
		    match_method(&s->routes[i], q->method, q->method_text) &&
		    !when_fails(&s->routes[i], q))
			first = &s->routes[i];
	if (m->route != first)
		abort();
}

static void
ask(const struct image *image, struct str host, struct str path, struct arena *arena)
{
	static const enum method methods[] = { METHOD_GET, METHOD_POST, METHOD_OPTIONS,
					       METHOD_OTHER };
	struct addr client;
	struct headers headers = { .n = 0 };
	struct route_match m;

	addr_parse(&client, STR("10.0.0.1"));
	for (unsigned i = 0; i < 4; i++) {
		struct route_request q = {
			.host = host,
			.path = path,
			.query = STR("a=1&b=x%20y"),
			.method = (uint8_t)methods[i],
			.method_text =
				methods[i] ? method_name[methods[i]] : STR("PURGE"),
			.headers = &headers,
			.client = &client,
			.arena = arena,
		};

		for (q.listener = 0; q.listener < image->model->nlisteners;
		     q.listener++) {
			route_find(image->router, &q, &m, NULL);
			if (path.len && *path.at == '/')
				cross_check(&q, &m);
			if (m.fault == FAULT_BAD_METHOD_ROUTE &&
			    !route_allow(&m, arena).len)
				abort();
		}
	}
}

static void
send_all(const struct image *image, struct arena *arena)
{
	const struct conf_model *m = image->model;

	for (size_t i = 0; i < m->nservices && i < 4; i++) {
		const struct conf_service *c = &m->services[i];
		struct str host = c->domains[0].name;

		if (str_starts(host, STR("*")))
			host = arena_printf(arena, "x%.*s", STR_ARG(str_from(host, 1)));
		for (size_t k = 0; k < c->nroutes && k < 16; k++)
			ask(image, host, image->router->services[i].routes[k].path,
			    arena);
		ask(image, host, STR("/a/b/c"), arena);
		ask(image, host, STR("/v1/orders/7"), arena);
		ask(image, host, STR("*"), arena);
		ask(image, STR("a.b.example.com"), STR("/"), arena);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena, findings;
	struct image image = { .magic = IMAGE_MAGIC };
	struct conf_model *m;
	struct diag diag;

	arena_init(&arena, NULL, 0, (size_t)1 << 30);
	arena_init(&findings, NULL, 0, (size_t)1 << 30);
	if (size && *data == '!')
		write_matches(str_from((struct str){ (const char *)data, size }, 1),
			      &findings);
	else
		write_file(data, size);
	diag_init(&diag, &findings);
	m = conf_read(file, &arena, worker_types(), &diag);
	if (m && diag.errors) {
		worker_findings(m, &arena, &diag);
	} else if (m && compile(m, &image, &arena, &diag)) {
		dryrun_tests(&image, &diag);
		send_all(&image, &findings);
	} else if (!diag.errors) {
		abort();                /* refused, and nobody says why */
	}
	arena_reset(&findings);
	arena_reset(&arena);
	return 0;
}
