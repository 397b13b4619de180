#include "master/cli/stat.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conf/load.h"
#include "master/cli/cli.h"
#include "worker/worker.h"

enum { CONF_ROOM = 1 << 30, RECORDS_DEFAULT = 20, RECORDS_MAX = 10000 };

struct stat_args {
	const char *conf, *rundir;
	void (*print)(const struct stat_view *, FILE *);
	size_t records;                 /* 0: not asked for */
};

static const struct {
	const char *name;
	void (*print)(const struct stat_view *, FILE *);
} formats[] = {
	{ "table", stat_table }, { "json", stat_json }, { "csv", stat_csv }, { "prom", stat_prom },
};

static int
usage(FILE *out, int status)
{
	fputs("usage: postern stat [-c FILE | --rundir DIR] [-o table|json|csv|prom] [--records [N]]\n"
	      "\n"
	      "Prints processes, counters, latencies, routes and targets of the gateway that runs with\n"
	      "FILE (default " POSTERN_SYSCONFDIR "/postern.conf) or in DIR (default /run/postern).\n"
	      "  --records [N]  instead, the last N (20) requests, each as a line of JSON\n", out);
	return status;
}

static int
parse_args(int argc, char **argv, struct stat_args *a)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "rundir", required_argument, NULL, 'r' },
		{ "output", required_argument, NULL, 'o' },
		{ "records", optional_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	unsigned long long n;
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "c:o:h", options, NULL)) != -1)
		switch (c) {
		case 'c':
			a->conf = optarg;
			break;
		case 'r':
			a->rundir = optarg;
			break;
		case 'o':
			a->print = NULL;
			for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
				if (strcmp(formats[i].name, optarg) == 0)
					a->print = formats[i].print;
			if (a->print)
				break;
			fprintf(stderr, "postern stat: there is no output \"%s\"\n", optarg);
			return usage(stderr, 2);
		case 'n':
			if (!optarg && optind < argc && *argv[optind] != '-')
				optarg = argv[optind++];
			n = RECORDS_DEFAULT;
			if (!optarg || (str_u64(str_of(optarg), RECORDS_MAX, &n) && n)) {
				a->records = (size_t)n;
				break;
			}
			fprintf(stderr, "postern stat: \"%s\" is not a number of records "
				"from 1 to %d\n", optarg, RECORDS_MAX);
			return usage(stderr, 2);
		case 'h':
			return usage(stdout, 0);
		default:
			return usage(stderr, 2);
		}
	if (optind < argc) {
		fprintf(stderr, "postern stat: \"%s\" is one word too many\n", argv[optind]);
		return usage(stderr, 2);
	}
	return -1;
}

/* The rundir that a configuration names, into `buf`. A file with errors is no reason to
 * show nothing if nobody asked for that file: the gateway may run by an older one. */
static int
rundir_of(const char *file, bool asked, char buf[static PATH_MAX])
{
	struct arena image, notes;
	const struct conf_model *m;
	struct diag d;
	int rc = -1;

	arena_init(&image, NULL, 0, CONF_ROOM);
	arena_init(&notes, NULL, 0, CONF_ROOM);
	diag_init(&d, &notes);
	m = conf_load(file, &image, worker_types(), &d);
	if (m && m->gateway.rundir.len && m->gateway.rundir.len < PATH_MAX) {
		snprintf(buf, PATH_MAX, "%.*s", STR_ARG(m->gateway.rundir));
		rc = 0;
	} else if (asked) {
		diag_print(&d, stderr);
		fprintf(stderr, "postern stat: the run directory is not known.\n"
			"Next: postern check -c %s, or postern stat --rundir DIR\n", file);
	}
	arena_reset(&notes);
	arena_reset(&image);
	return rc;
}

static void
usual_rundir(char buf[static PATH_MAX])
{
	struct arena notes;

	arena_init(&notes, NULL, 0, CONF_ROOM);
	snprintf(buf, PATH_MAX, "%.*s", STR_ARG(conf_rundir(&notes)));
	arena_reset(&notes);
}

static int
find_rundir(const struct stat_args *a, char buf[static PATH_MAX])
{
	const char *usual = POSTERN_SYSCONFDIR "/postern.conf";

	if (a->rundir) {
		snprintf(buf, PATH_MAX, "%s", a->rundir);
		return 0;
	}
	usual_rundir(buf);
	if (a->conf)
		return rundir_of(a->conf, true, buf);
	if (access(usual, R_OK) == 0)
		rundir_of(usual, false, buf);
	return 0;
}

static const struct region *
attach(const char *rundir)
{
	char path[PATH_MAX + 16];
	const struct region *r;

	snprintf(path, sizeof(path), "%s/region", rundir);
	r = region_attach(path);
	if (r)
		return r;
	if (errno == ENOENT || errno == ENOTDIR)
		fprintf(stderr, "postern stat: no gateway runs here: there is no %s\n"
			"Next: systemctl status postern, or postern stat -c FILE for a gateway with "
			"another configuration\n", path);
	else if (errno == EACCES)
		fprintf(stderr, "postern stat: %s cannot be read: %s\n"
			"Next: sudo postern stat\n", path, strerror(errno));
	else if (errno == ESTALE)
		fprintf(stderr, "postern stat: no gateway has run since the machine started: "
			"%s is older\nNext: systemctl start postern\n", path);
	else
		fprintf(stderr, "postern stat: %s is not of this version of postern (%s)\n"
			"Next: use the postern that runs: /proc/PID/exe stat\n", path,
			strerror(errno));
	return NULL;
}

static uint64_t
now_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int
by_traffic(const void *a, const void *b)
{
	const struct stat_series *x = a, *y = b;
	size_t n = x->name.len < y->name.len ? x->name.len : y->name.len;
	int c;

	if (x->sum.requests != y->sum.requests)
		return x->sum.requests < y->sum.requests ? 1 : -1;
	c = memcmp(x->name.at, y->name.at, n);
	return c ? c : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

static void
gather_series(struct stat_view *v)
{
	struct stats_rows rows = stats_rows(&v->stats);
	uint32_t n = series_count(&v->stats);

	v->series = calloc(n + 1, sizeof(*v->series));
	if (!v->series)
		return;
	for (uint32_t i = 0; i < n; i++) {
		const struct series_name *name = &v->stats.names[i];
		struct stat_series *s = &v->series[v->nseries];

		series_sum(&v->stats, &rows, i, &s->sum);
		if (!s->sum.requests && !s->sum.failed)
			continue;
		s->name = (struct str){ name->name, name->len };
		s->target = name->kind == SERIES_TARGET;
		v->nseries++;
	}
	qsort(v->series, v->nseries, sizeof(*v->series), by_traffic);
}

static int
by_role(const void *a, const void *b)
{
	const struct slot *x = *(const struct slot *const *)a;
	const struct slot *y = *(const struct slot *const *)b;
	uint32_t m = x->role, n = y->role;

	if (m == n) {
		m = x->number;
		n = y->number;
	}
	return (m > n) - (m < n);
}

static int
gather(struct stat_view *v)
{
	const struct slots *slots = slots_find(v->region);

	v->rings = rings_find(v->region);
	if (!slots || stats_find(&v->stats, v->region) < 0) {
		fprintf(stderr, "postern stat: the gateway in %s counts in another way than this "
			"version of postern\nNext: use the postern that runs: /proc/PID/exe stat\n",
			v->rundir);
		return -1;
	}
	v->mono = now_ms(CLOCK_MONOTONIC);
	v->wall = now_ms(CLOCK_REALTIME);
	stats_sum(&v->stats, &v->total);
	gather_series(v);
	for (int i = 0; i < SLOTS_MAX; i++) {
		const struct slot *row = &slots->row[i];

		if (!slot_alive(row))
			continue;
		v->process[v->processes++] = row;
		v->workers += row->role == SLOT_WORKER;
		v->connections += row->connections;
		v->exchanges += row->exchanges;
		v->upstream_connections += row->upstream_connections;
	}
	qsort(v->process, (size_t)v->processes, sizeof(*v->process), by_role);
	return 0;
}

const char *
stat_role(const struct slot *row)
{
	static const char *const names[] = { "free", "master", "keeper", "worker" };
	uint32_t role = row->role;

	return role < sizeof(names) / sizeof(*names) ? names[role] : "?";
}

const char *
stat_state(const struct slot *row)
{
	static const char *const names[] = { "starting", "serving", "draining" };
	uint32_t state = row->state;

	return state < sizeof(names) / sizeof(*names) ? names[state] : "?";
}

uint64_t
stat_heartbeat_age(const struct stat_view *v, const struct slot *row)
{
	uint64_t beat = row->heartbeat;

	return beat && beat < v->mono ? v->mono - beat : 0;
}

void
stat_split(struct str name, struct str *group, struct str *member)
{
	ptrdiff_t slash = str_find(name, '/');

	*group = slash < 0 ? name : str_first(name, (size_t)slash);
	*member = slash < 0 ? STR("") : str_from(name, (size_t)slash + 1);
}

int
cli_stat(int argc, char **argv)
{
	struct stat_args args = { .print = stat_table };
	struct stat_view v = { 0 };
	char rundir[PATH_MAX];
	int status = parse_args(argc, argv, &args);

	if (status >= 0)
		return status;
	if (find_rundir(&args, rundir) < 0)
		return 1;
	v.rundir = rundir;
	v.region = attach(rundir);
	if (!v.region)
		return 1;
	if (gather(&v) < 0)
		return 1;
	if (args.records)
		stat_records(&v, args.records, stdout);
	else
		args.print(&v, stdout);
	if (fflush(stdout) == EOF || ferror(stdout)) {
		fprintf(stderr, "postern stat: cannot write: %s\n", strerror(errno));
		status = 1;
	} else if (!v.processes) {
		fprintf(stderr, "postern stat: no gateway runs in %s now; these are the counters that the "
			"last one left\nNext: systemctl status postern\n", rundir);
		status = 1;
	} else {
		status = 0;
	}
	free(v.series);
	region_close((struct region *)(uintptr_t)v.region);
	return status;
}
