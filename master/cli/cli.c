#include "master/cli/cli.h"

#include <stddef.h>
#include <string.h>

const struct cli_verb cli_verbs[] = {
	{ "audit", "print who changed what through the admin plane", cli_audit },
	{ "check", "check the configuration and run its route tests", cli_check },
	{ "consumer", "list, add, change, suspend and remove consumers", cli_consumer },
	{ "explain", "explain an option or the code of a finding", cli_explain },
	{ "history", "print configurations that were loaded or refused", cli_history },
	{ "key", "list, add, rotate and revoke keys of consumers", cli_key },
	{ "plan", "list, set and remove plans", cli_plan },
	{ "probe", "tell whether the gateway lives, or is ready", cli_probe },
	{ "quota", "show and reset what consumers have used of their quotas", cli_quota },
	{ "route", "show which route takes a request, and why", cli_route },
	{ "stat", "print the counters of a running gateway", cli_stat },
	{ "top", "show live what a running gateway does", cli_top },
	{ "trace", "show requests as they end, all or those of a query", cli_trace },
	{ "usage", "print what consumers have used", cli_usage },
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
