#include <stdio.h>
#include <string.h>

#include "conf/describe.h"
#include "master/cli/cli.h"
#include "worker/worker.h"

/* postern explain — what an option, a policy or the code of a finding means. */

static const char usage[] =
	"usage: postern explain KEY|TYPE|CODE\n"
	"  KEY such as upstreams.timeout.connect or services.routes.to, a TYPE of policy "
	"such as\n"
	"  headers, or the CODE of a finding such as E204. --manual prints "
	"postern.conf(5).\n"
	"  Top level: include vars gateway listeners upstreams policies services\n";

int
cli_explain(int argc, char **argv)
{
	if (argc != 2 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) {
		fputs(usage, argc == 2 ? stdout : stderr);
		return argc == 2 ? 0 : 2;
	}
	if (strcmp(argv[1], "--manual") == 0) {
		conf_describe_manual(worker_types(), stdout);
		return 0;
	}
	return conf_describe(argv[1], worker_types(), stdout) < 0 ? 1 : 0;
}
