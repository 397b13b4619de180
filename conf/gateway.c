#include <stdlib.h>
#include <unistd.h>

#include "conf/reader.h"

#define G(member) offsetof(struct conf_gateway, member)

static const char *const slashes[] = { "keep", "reject", "decode", NULL };

static const struct conf_field limit_rows[] = {
	{ "head", CONF_KIND_SIZE, .offset = G(limits.head) - G(limits), .def = "32KiB",
	  .min = 1024, .max = 1 << 20, .help = "largest request head; 431 above" },
	{ "headers", CONF_KIND_INT, .offset = G(limits.headers) - G(limits), .def = "100",
	  .min = 4, .max = 1000, .help = "most header lines of a request; 431 above" },
	{ "target", CONF_KIND_SIZE, .offset = G(limits.target) - G(limits), .def = "8KiB",
	  .min = 64, .max = 1 << 18, .help = "longest request target; 414 above" },
	{ "body", CONF_KIND_SIZE, .offset = G(limits.body) - G(limits), .def = "none",
	  .help = "largest request body, 413 above; \"none\": no limit" },
	{ "response_head", CONF_KIND_SIZE, .offset = G(limits.response_head) - G(limits),
	  .def = "64KiB", .min = 1024, .max = 1 << 20,
	  .help = "largest response head of an upstream; 502 above" },
	CONF_END
};

enum { MS = 1, S = 1000, H = 3600000, DAY = 24 * H };

static const struct conf_field timeout_rows[] = {
	{ "head", CONF_KIND_DURATION, .offset = G(timeouts.head) - G(timeouts),
	  .def = "10s", .min = 10 * MS, .max = H,
	  .help = "for a whole request head, from its first byte" },
	{ "body", CONF_KIND_DURATION, .offset = G(timeouts.body) - G(timeouts),
	  .def = "30s", .min = 10 * MS, .max = DAY,
	  .help = "without a byte of a request body, or of a response body" },
	{ "idle", CONF_KIND_DURATION, .offset = G(timeouts.idle) - G(timeouts),
	  .def = "75s", .min = 10 * MS, .max = DAY,
	  .help = "for a kept-alive connection without a request" },
	{ "send", CONF_KIND_DURATION, .offset = G(timeouts.send) - G(timeouts),
	  .def = "30s", .min = 10 * MS, .max = DAY,
	  .help = "without a client taking a byte of its response" },
	{ "tunnel", CONF_KIND_DURATION, .offset = G(timeouts.tunnel) - G(timeouts),
	  .def = "1h", .min = 10 * MS, .max = 7 * DAY,
	  .help = "for an upgraded connection (WebSocket) without a byte either way; a "
		  "route may have its own" },
	{ "linger", CONF_KIND_DURATION, .offset = G(timeouts.linger) - G(timeouts),
	  .def = "5s", .min = MS, .max = 60 * S,
	  .help = "reading what a client still sends that was answered already, so that "
		  "it sees its answer" },
	CONF_END
};

static int
workers_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	      struct where w, void *to)
{
	int64_t *workers = to;

	(void)w;
	if (!n || (n->kind == CONF_NODE_STRING && conf_text(l, n, &text) == 0)) {
		*workers = 0;
		if (str_eq(text, STR("auto")))
			return 0;
	} else if (n->kind == CONF_NODE_INT) {
		*workers = n->number;
		if (n->number >= 1 && n->number <= 256)
			return 0;
		conf_error(l, 207, conf_where(n),
			   "\"workers\" is %lld; it may be 1 to 256, or \"auto\"",
			   n->number);
		return -1;
	}
	return wrong_type(l, n, "workers", "\"auto\" or a number");
}

const struct conf_field gateway_rows[] = {
	{ "workers", CONF_KIND_VIA, .offset = G(workers), .def = "auto",
	  .parse = workers_parse,
	  .help = "worker processes: 1 to 256, or \"auto\", one for each CPU that "
		  "postern may use" },
	CONF_STR(struct conf_gateway, user, NULL,
		 "user to become after the start as root; its group as well"),
	CONF_PATH(struct conf_gateway, rundir, "/run/postern",
		  "directory of the shared region; made if missing; an ordinary user's is "
		  "$XDG_RUNTIME_DIR/postern"),
	CONF_PATH(struct conf_gateway, statedir, "/var/lib/postern",
		  "directory of what must survive a reboot; made if missing; an ordinary "
		  "user's is ~/.local/state/postern"),
	CONF_PATH(struct conf_gateway, pid_file, NULL,
		  "file of the master's pid; left out: postern.pid in rundir"),
	CONF_DURATION(
		struct conf_gateway, drain, "30s", 0, 7 * (int64_t)DAY,
		"what a graceful stop (QUIT) or an upgrade gives to requests under way"),
	CONF_DURATION(struct conf_gateway, drain_term, "5s", 0, 7 * (int64_t)DAY,
		      "the same for a stop by TERM"),
	CONF_BOOL(struct conf_gateway, pin_cpus, "false",
		  "each worker stays on a CPU of its own"),
	CONF_BOOL(struct conf_gateway, core_dumps, "false",
		  "a crash leaves a core file, without the heap: keys are there"),
	CONF_INT(struct conf_gateway, max_files, "0", 0, 1 << 30,
		 "open files wanted for each process; 0: as many as allowed"),
	{ "policies", CONF_KIND_VIA, .offset = G(policies), .parse = uses_parse,
	  .help = "policies of every service, run before its own" },
	CONF_GROUP(struct conf_gateway, limits, limit_rows, "what is too large"),
	CONF_GROUP(struct conf_gateway, timeouts, timeout_rows, "what is too slow"),
	CONF_BOOL(struct conf_gateway, merge_slashes, "true",
		  "// in a path counts as one /"),
	CONF_ENUM(struct conf_gateway, encoded_slash, "keep", slashes,
		  "%2F in a path stays as it is, is refused with 400, or becomes a / "
		  "that separates"),
	CONF_PATH(struct conf_gateway, consumers_file, NULL,
		  "file of consumers, one \"CONSUMER sha256:<64 hex digits> [PLAN]\" a "
		  "line; # begins a comment"),
	CONF_DURATION(struct conf_gateway, poison, "10m", 0, DAY,
		      "how long requests are refused with 503 that look like those which "
		      "killed two workers; \"none\": never"),
	CONF_END
};

/* An ordinary user cannot write where the service does: what was left out lies in the
 * home then. */
static void
own_directory(struct arena *a, struct str *dir, const char *base, const char *below)
{
	const char *home = base ? base : getenv("HOME");

	if (geteuid() == 0 || access(dir->at, W_OK) == 0 || !home || *home != '/')
		return;
	*dir = arena_printf(a, "%s/%s", home, below);
}

struct str
conf_rundir(struct arena *a)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	struct str dir = STR("/run/postern");

	own_directory(a, &dir, run, run ? "postern" : ".local/state/postern/run");
	return dir;
}

static void
own_directories(struct conf_load *l, const struct conf_node *n, struct conf_gateway *g)
{
	if (!n || !conf_member(n, "rundir"))
		g->rundir = conf_rundir(conf_arena(l));
	if (!n || !conf_member(n, "statedir"))
		own_directory(conf_arena(l), &g->statedir, NULL, ".local/state/postern");
}

int
gateway_parse(struct conf_load *l, const struct conf_node *n, struct str text,
	      struct where w, void *to)
{
	struct conf_gateway *g = &l->model->gateway;

	(void)text, (void)w, (void)to;
	if (!n) {
		int rc = conf_defaults(l, gateway_rows, g);

		own_directories(l, n, g);
		return rc;
	}

	struct reader_scope before = reader_begin(l, "gateway", STR_NONE);
	int result = conf_fill(l, n, gateway_rows, g);

	reader_end(l, before);
	own_directories(l, n, g);
	if (conf_member(n, "consumers_file"))
		l->consumers_file = conf_where(conf_member(n, "consumers_file"));
	if (g->drain_term > g->drain && conf_member(n, "drain_term"))
		conf_warn(l, 217, conf_where(conf_member(n, "drain_term")),
			  "drain_term is longer than drain: a stop by TERM would be the "
			  "gentler one");
	return result;
}
