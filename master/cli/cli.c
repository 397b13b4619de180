#include "master/cli/cli.h"

#include <stddef.h>
#include <string.h>

const struct cli_verb cli_verbs[] = {
	{ "check", "check the configuration and run its route tests", cli_check },
	{ "explain", "explain an option or the code of a finding", cli_explain },
	{ "route", "show which route takes a request, and why", cli_route },
	{ "stat", "print the counters of a running gateway", cli_stat },
	{ "top", "show live what a running gateway does", cli_top },
	{ "trace", "show requests as they end, all or those of a query", cli_trace },
	{ "why", "say what happened to a request, by its id", cli_why },
	{ NULL, NULL, NULL },
};

int
cli_run(int argc, char **argv)
{
	for (const struct cli_verb *v = cli_verbs; argc > 1 && v->name; v++)
		if (strcmp(argv[1], v->name) == 0)
			return v->run(argc - 1, argv + 1);
	return -1;
}
