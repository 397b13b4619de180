#include "conf/load.h"

#include "conf/reader.h"

enum { SCRATCH_MAX = 1u << 31 };

/* In the order in which they are read: names before their uses. */
const struct conf_field conf_rows[] = {
	{ .key = "include",
	  .kind = CONF_KIND_STRS,
	  .help = "files to read as well: patterns, sorted, relative to this file" },
	{ .key = "vars",
	  .kind = CONF_KIND_VIA,
	  .parse = vars_parse,
	  .help = "strings that ${var:NAME} stands for in other strings" },
	{ .key = "listeners",
	  .kind = CONF_KIND_VIA,
	  .flags = CONF_F_NAMED,
	  .parse = listeners_parse,
	  .sub = listener_rows,
	  .help = "addresses where clients come in" },
	{ .key = "upstreams",
	  .kind = CONF_KIND_VIA,
	  .flags = CONF_F_NAMED,
	  .parse = upstreams_parse,
	  .sub = upstream_rows,
	  .help = "servers that answer: targets, timeouts, retries, connections" },
	{ .key = "plans",
	  .kind = CONF_KIND_VIA,
	  .flags = CONF_F_NAMED,
	  .parse = plans_parse,
	  .sub = plan_rows,
	  .help = "rates and quotas, by name, that consumers have" },
	{ .key = "consumers",
	  .kind = CONF_KIND_VIA,
	  .flags = CONF_F_NAMED,
	  .parse = consumers_parse,
	  .sub = consumer_rows,
	  .help = "who may call, and with what keys; many more can be in "
		  "gateway.consumers_file, and in the store: postern consumer add" },
	{ .key = "policies",
	  .kind = CONF_KIND_VIA,
	  .flags = CONF_F_NAMED | CONF_F_TYPED,
	  .parse = policies_parse,
	  .sub = policy_rows,
	  .help = "what is done to requests and responses, by name; see the types "
		  "below" },
	{ .key = "gateway",
	  .kind = CONF_KIND_VIA,
	  .parse = gateway_parse,
	  .def = "",
	  .sub = gateway_rows,
	  .help = "the processes, and limits and timeouts for all clients" },
	{ .key = "services",
	  .kind = CONF_KIND_VIA,
	  .flags = CONF_F_NAMED,
	  .parse = services_parse,
	  .sub = service_rows,
	  .help = "domains with their ordered routes, policies and tests" },
	{ .key = "admin",
	  .kind = CONF_KIND_VIA,
	  .parse = admin_parse,
	  .def = "",
	  .sub = admin_rows,
	  .help = "where the gateway is administered and its metrics are read" },
	{ .key = "history",
	  .kind = CONF_KIND_GROUP,
	  .offset = offsetof(struct conf_model, history),
	  .sub = history_rows,
	  .help = "how long usage, latencies and records of requests are kept" },
	CONF_END
};

bool
is_section(struct str name)
{
	for (const struct conf_field *r = conf_rows; r->key; r++)
		if (str_eq(name, str_of(r->key)))
			return true;
	return false;
}

/* A forward proxy needs no service. */
static bool
forwards_only(const struct conf_model *m)
{
	for (size_t i = 0; i < m->nlisteners; i++)
		if (!m->listeners[i].connect)
			return false;
	return m->nlisteners;
}

static void
check_present(struct conf_load *l)
{
	struct where w = { .file = l->main->name };

	if (l->incomplete)
		return;

	if (!conf_member(l->root, "listeners"))
		conf_error(l, 222, w,
			   "there is no section listeners: listeners: { main: { bind = [ "
			   "\"0.0.0.0:8080\" ]; }; };");
	if (!conf_member(l->root, "services") && !forwards_only(l->model))
		conf_error(l, 222, w,
			   "there is no section services: nothing would be answered");
}

bool
section_whole(const struct conf_load *l, const char *section)
{
	const struct conf_node *n = conf_member(l->root, section);

	return !l->incomplete && (!n || (n->kind != CONF_NODE_BROKEN && !n->damaged));
}

void
load_begin(struct conf_load *l, struct arena *image, const struct conf_type *const *types,
	   struct diag *d)
{
	*l = (struct conf_load){ .image = image, .types = types, .diag = d };
	arena_init(&l->scratch, NULL, 0, SCRATCH_MAX);
	l->model = ARENA_NEW(image, struct conf_model);
}

void
load_end(struct conf_load *l)
{
	arena_reset(&l->scratch);
}

int
load_run(struct conf_load *l, const char *path)
{
	int errors = l->diag->errors;

	if (load_files(l, path) < 0)
		return -1;
	conf_fill(l, l->root, conf_rows, l->model);
	l->row = NULL;
	admin_finish(l);
	if (l->model->gateway.consumers_file.len)
		consumers_file_read(l, l->model->gateway.consumers_file);
	check_present(l);
	names_check(l);
	return l->diag->errors > errors ? -1 : 0;
}

struct conf_model *
conf_read(const char *path, struct arena *image, const struct conf_type *const *types,
	  struct diag *d)
{
	struct conf_load l;

	load_begin(&l, image, types, d);
	load_run(&l, path);
	load_end(&l);
	return l.root ? l.model : NULL;
}

struct conf_model *
conf_load(const char *path, struct arena *image, const struct conf_type *const *types,
	  struct diag *d)
{
	int errors = d->errors;
	struct conf_model *m = conf_read(path, image, types, d);

	return d->errors > errors ? NULL : m;
}
