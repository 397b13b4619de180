/* cli — the verbs of the command line: postern check, explain, stat …
 *
 * Each verb is a row; one file for a group of verbs. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

struct cli_verb {
	const char *name;
	const char *help;               /* one line: what it does */
	/* argv[0] is the verb; returns the exit status. */
	int (*run)(int argc, char **argv);
};

/* Ends with a row without a name. */
extern const struct cli_verb cli_verbs[];

/* Runs the verb argv[1]; -1 when it is none. Returns the exit status. */
int cli_run(int argc, char **argv);

int cli_audit(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_consumer(int argc, char **argv);
int cli_explain(int argc, char **argv);
int cli_history(int argc, char **argv);
int cli_key(int argc, char **argv);
int cli_plan(int argc, char **argv);
int cli_probe(int argc, char **argv);
int cli_quota(int argc, char **argv);
int cli_route(int argc, char **argv);
int cli_stat(int argc, char **argv);
int cli_top(int argc, char **argv);
int cli_trace(int argc, char **argv);
int cli_usage(int argc, char **argv);
int cli_why(int argc, char **argv);

#endif
