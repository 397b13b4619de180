#include "master/cli/stat.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "master/cli/attach.h"
#include "master/cli/cli.h"
#include "master/keeper/expose.h"

enum { RECORDS_DEFAULT = 20, RECORDS_MAX = 10000 };

struct stat_args {
	const char *conf, *rundir;
	void (*print)(const struct stat_view *, FILE *);
	size_t records;                 /* 0: not asked for */
};

/* The very text that the keeper gives at /metrics. */
static void
stat_prom(const struct stat_view *v, FILE *out)
{
	size_t len = 0;
	char *text = expose(&v->shared, NULL, &len);

	if (text)
		fwrite(text, 1, len, out);
	free(text);
}

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
	      "Prints processes, counters, latencies, services, routes, targets, policies and consumers of\n"
	      "the gateway that runs with FILE (default " POSTERN_SYSCONFDIR "/postern.conf) or in DIR\n"
	      "(default /run/postern).\n"
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

int
cli_stat(int argc, char **argv)
{
	struct stat_args args = { .print = stat_table };
	struct stat_view v = { 0 };
	const struct region *region;
	char rundir[PATH_MAX];
	int status = parse_args(argc, argv, &args);

	if (status >= 0)
		return status;
	if (attach_rundir("stat", args.conf, args.rundir, rundir) < 0)
		return 1;
	region = attach_region("stat", rundir);
	if (!region || attach_shared("stat", rundir, region, &v.shared) < 0)
		return 1;
	v.rundir = rundir;
	stat_gather(&v);
	stat_by_traffic(&v);
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
	stat_forget(&v);
	region_close((struct region *)(uintptr_t)region);
	return status;
}
