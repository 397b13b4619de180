#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "conf/load.h"
#include "master/cli/cli.h"
#include "worker/worker.h"

/* postern check — every error and warning of a configuration at once, and its route
 * tests. */

static const char usage[] =
	"usage: postern check [-c FILE] [--format text|json]\n"
	"  Reads the configuration, runs its route tests and says everything that is "
	"wrong.\n"
	"  Exit status: 0 when it is good (warnings allowed), 1 when not.\n";

static size_t
plural(const char *what, size_t n, const char *after)
{
	printf("%zu %s%s%s", n, what, n == 1 ? "" : "s", after);
	return n;
}

static void
say_good(const struct conf_model *m, const struct diag *d)
{
	const char *slash = strrchr(m->file.at, '/');

	printf("%s: ", slash ? slash + 1 : m->file.at);
	plural("service", m->nservices, ", ");
	plural("route", m->nroutes, ", ");
	plural("file", (size_t)d->nfiles, ": no errors\n");
}

static int
check(const char *file, bool json)
{
	struct arena image, findings;
	const struct conf_model *m;
	struct diag d;
	bool good;

	arena_init(&image, NULL, 0, (size_t)4 << 30);
	arena_init(&findings, NULL, 0, (size_t)1 << 30);
	diag_init(&d, &findings);
	m = worker_read(file, &image, &d);
	good = m && worker_compile(m, &image, NULL, &d) && !d.errors;
	if (json) {
		diag_print_json(&d, stdout);
	} else {
		if (d.errors || d.warnings)
			diag_print(&d, stderr);
		if (good)
			say_good(m, &d);
	}
	arena_reset(&findings);
	arena_reset(&image);
	return good ? 0 : 1;
}

int
cli_check(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "format", required_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *file = POSTERN_SYSCONFDIR "/postern.conf";
	bool json = false;
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "c:f:h", options, NULL)) != -1)
		switch (c) {
		case 'c':
			file = optarg;
			break;
		case 'f':
			json = strcmp(optarg, "json") == 0;
			if (json || strcmp(optarg, "text") == 0)
				break;
			fprintf(stderr,
				"postern check: no format \"%s\"; it is text or json\n",
				optarg);
			return 2;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	if (optind < argc)
		file = argv[optind];
	return check(file, json);
}
