#include <stdio.h>
#include <string.h>

#include "conf/describe.h"
#include "master/cli/cli.h"
#include "worker/exchange/names.h"
#include "worker/worker.h"

/* postern explain — what an option, a policy or the code of a finding means. */

static const char usage[] =
	"usage: postern explain KEY|TYPE|CODE|templates\n"
	"  KEY such as upstreams.timeout.connect or services.routes.to, a TYPE of policy "
	"such as\n"
	"  headers, or the CODE of a finding such as E204. --manual prints "
	"postern.conf(5).\n"
	"  Top level: include vars gateway listeners upstreams policies services\n";

static const char templates[] =
	"Templates are strings with {names} in them, which are filled in for each request;\n"
	"a name without a value is empty, and {{ is a brace.\n";

static void
print_name(const char *name, const char *help, bool manual, FILE *out)
{
	if (manual)
		fprintf(out, ".It Ql %s\n%s\n", name, help);
	else
		fprintf(out, "  %-22s %s\n", name, help);
}

static void
print_names(bool manual, FILE *out)
{
	for (const struct template_name *n = template_names; n->name; n++) {
		char name[64];

		if (n->later)
			continue;
		snprintf(name, sizeof(name), "{%s%s}", n->name, n->takes_name ? "NAME" : "");
		print_name(name, n->help, manual, out);
	}
	print_name("{CAPTURE}", template_capture.help, manual, out);
}

static void
print_templates_manual(FILE *out)
{
	fprintf(out, ".Sh TEMPLATES\n%s.Bl -tag -width 22n\n", templates);
	print_names(true, out);
	fputs(".El\n", out);
}

int
cli_explain(int argc, char **argv)
{
	if (argc != 2 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) {
		fputs(usage, argc == 2 ? stdout : stderr);
		return argc == 2 ? 0 : 2;
	}
	if (strcmp(argv[1], "--manual") == 0) {
		conf_describe_manual(worker_types(), print_templates_manual, stdout);
		return 0;
	}
	if (strcmp(argv[1], "template") == 0 || strcmp(argv[1], "templates") == 0) {
		printf("%s\n", templates);
		print_names(false, stdout);
		return 0;
	}
	return conf_describe(argv[1], worker_types(), stdout) < 0 ? 1 : 0;
}
