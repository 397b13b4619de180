#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/diag.h"
#include "conf/load.h"
#include "master/cli/cli.h"
#include "master/master.h"
#include "worker/worker.h"

static const char usage[] =
	"postern - an API gateway\n"
	"\n"
	"  postern [-c FILE]       serve, in the foreground (default " POSTERN_SYSCONFDIR "/postern.conf)\n"
	"  postern -t [-c FILE]    check the configuration, say everything that is wrong\n"
	"  postern -T [-c FILE]    print the whole effective configuration\n"
	"  postern --single        serve in one process, without forking (for debuggers)\n"
	"  postern -V, --version   print the version\n"
	"  postern -h, --help      print this\n"
	"\n"
	"Signals: HUP reload, USR1 reopen logs, USR2 upgrade the binary, QUIT finish and stop,\n"
	"TERM stop soon, INT stop now.\n"
	"\n";

enum { OPTION_SINGLE = 256 };

static const struct option options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "single", no_argument, NULL, OPTION_SINGLE },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int
help(void)
{
	fputs(usage, stdout);
	for (const struct cli_verb *v = cli_verbs; v->name; v++)
		printf("  postern %-15s %s\n", v->name, v->help);
	fputs("\nEach verb prints its options with --help.\n", stdout);
	return 0;
}

static int
check(char *program, char *file)
{
	char verb[] = "check", option[] = "-c";
	char *argv[] = { program, verb, option, file, NULL };

	return cli_run(4, argv);
}

static int
dump(const char *file)
{
	struct arena findings;
	struct diag d;
	int rc;

	arena_init(&findings, NULL, 0, (size_t)256 << 20);
	diag_init(&d, &findings);
	rc = conf_dump(file, worker_types(), &d, stdout);
	if (d.errors || d.warnings)
		diag_print(&d, stderr);
	arena_reset(&findings);
	return rc < 0 || fflush(stdout) != 0 ? 1 : 0;
}

/* What is typed by those who know other servers. */
static const struct {
	const char *word, *next;
} known[] = {
	{ "reload", "kill -HUP PID, or systemctl reload postern" },
	{ "reopen", "kill -USR1 PID" },
	{ "upgrade", "kill -USR2 PID" },
	{ "stop", "kill -TERM PID, or systemctl stop postern" },
	{ "quit", "kill -QUIT PID" },
	{ "start", "postern -c FILE, or systemctl start postern" },
	{ "status", "postern stat, or systemctl status postern" },
	{ "test", "postern check -c FILE" },
};

static const char *
next_of(const char *word)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(known[i].word, word) == 0)
			return known[i].next;
	return "postern --help";
}

static int
unknown_verb(const char *word)
{
	if (strchr(word, '/') || strchr(word, '.'))
		fprintf(stderr, "postern: a configuration is named with -c. Next: postern -c %s\n",
			word);
	else
		fprintf(stderr, "postern: no verb \"%s\". Next: %s\n", word, next_of(word));
	return 2;
}

/* -s SIGNAL, as nginx has it. */
static int
no_signal(const char *word)
{
	fprintf(stderr, "postern: no option -s: signals are sent with kill, to the pid in "
		POSTERN_RUNDIR "/postern.pid. Next: %s\n", next_of(word));
	return 2;
}

/* The first thing that a stranger sees. */
static int
no_standard_file(const char *file)
{
	fprintf(stderr, "postern: there is no %s.\nNext: postern -c FILE, or see the samples in "
		"conf/samples/ (make install puts one there)\n", file);
	return 1;
}

int
main(int argc, char **argv)
{
	char standard[] = POSTERN_SYSCONFDIR "/postern.conf", *file = standard;
	bool single = false, checks = false, dumps = false;
	int c, status;

	if (argc > 1 && argv[1][0] != '-') {
		status = cli_run(argc, argv);
		if (status >= 0)
			return status;
		return unknown_verb(argv[1]);
	}
	while ((c = getopt_long(argc, argv, "c:s:tTVh", options, NULL)) != -1)
		switch (c) {
		case 'c':
			file = optarg;
			break;
		case 's':
			return no_signal(optarg);
		case 't':
			checks = true;
			break;
		case 'T':
			dumps = true;
			break;
		case 'V':
			printf("postern %s\n", POSTERN_VERSION);
			return 0;
		case 'h':
			return help();
		case OPTION_SINGLE:
			single = true;
			break;
		default:
			fprintf(stderr, "Next: postern --help\n");
			return 2;
		}
	if (optind < argc) {
		fprintf(stderr, "postern: \"%s\" is not expected here. Next: postern --help\n",
			argv[optind]);
		return 2;
	}
	if (file == standard && access(file, F_OK) < 0)
		return no_standard_file(file);
	if (checks)
		return check(argv[0], file);
	if (dumps)
		return dump(file);
	return master_run(file, argv, single);
}
