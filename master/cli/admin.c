#include "master/cli/admin.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[ADMIN_OPTIONS] = {
	[ADMIN_PLAN] = "plan",       [ADMIN_NOTE] = "note",
	[ADMIN_EXPIRES] = "expires", [ADMIN_GRACE] = "grace",
	[ADMIN_RATE] = "rate",       [ADMIN_BURST] = "burst",
	[ADMIN_QUOTA] = "quota",     [ADMIN_ZONE] = "zone",
	[ADMIN_POLICY] = "policy",   [ADMIN_CONSUMER] = "consumer",
	[ADMIN_SERVICE] = "service", [ADMIN_NAME] = "name",
	[ADMIN_BY] = "by",           [ADMIN_FROM] = "from",
	[ADMIN_TO] = "to",           [ADMIN_PER] = "per",
	[ADMIN_AFTER] = "after",     [ADMIN_LIMIT] = "limit",
};

/* What stands for the value in the usage. */
static const char *const values[ADMIN_OPTIONS] = {
	[ADMIN_PLAN] = "PLAN",
	[ADMIN_NOTE] = "TEXT",
	[ADMIN_EXPIRES] = "90d|DATE",
	[ADMIN_GRACE] = "24h",
	[ADMIN_RATE] = "100/s",
	[ADMIN_BURST] = "N",
	[ADMIN_QUOTA] = "10000/day",
	[ADMIN_ZONE] = "Europe/Berlin",
	[ADMIN_POLICY] = "POLICY",
	[ADMIN_CONSUMER] = "NAME",
	[ADMIN_SERVICE] = "NAME",
	[ADMIN_NAME] = "NAME",
	[ADMIN_BY] = "minute|hour|day|month",
	[ADMIN_FROM] = "DATE|7d",
	[ADMIN_TO] = "DATE|7d",
	[ADMIN_PER] = "service|route|target|consumer",
	[ADMIN_AFTER] = "NAME",
	[ADMIN_LIMIT] = "N",
};

enum { CONFIG = ADMIN_OPTIONS, RUNDIR, SOCKET, OUTPUT, FORMAT, HELP };

/* ---- usage */

static bool
takes(const struct admin_deed *d, const char *option)
{
	size_t n = strlen(option);

	for (const char *at = d->options; (at = strstr(at, option)); at += n)
		if ((at == d->options || at[-1] == ' ') && (!at[n] || at[n] == ' '))
			return true;
	return false;
}

static void
print_deed(const struct admin_verb *v, const struct admin_deed *d, FILE *out)
{
	fprintf(out, "  postern %s%s%s%s%s", v->name, d->name ? " " : "",
		d->name ? d->name : "", *d->words ? " " : "", d->words);
	for (int i = 0; i < ADMIN_OPTIONS; i++)
		if (takes(d, names[i]))
			fprintf(out, " [--%s %s]", names[i], values[i]);
	fprintf(out, "\n      %s\n", d->help);
}

static int
usage(const struct admin_verb *v, FILE *out, int status)
{
	fprintf(out, "usage: postern %s ... - %s\n\n", v->name, v->help);
	for (const struct admin_deed *d = v->deeds; d->run; d++)
		print_deed(v, d, out);
	fputs("\nOf every one:\n"
	      "  -c FILE         the gateway that runs with this configuration\n"
	      "  --rundir DIR    the gateway that runs in this directory\n"
	      "  --socket PATH   the admin socket itself\n"
	      "  -o table|json   what is printed; csv as well where it makes sense\n",
	      out);
	return status;
}

/* ---- arguments */

static int
take_output(struct admin_call *c, const struct admin_deed *d, const char *text)
{
	if (strcmp(text, "table") == 0)
		c->output = ADMIN_TABLE;
	else if (strcmp(text, "json") == 0)
		c->output = ADMIN_JSON;
	else if (strcmp(text, "csv") == 0 && d->csv)
		c->output = ADMIN_CSV;
	else {
		fprintf(stderr,
			"postern %s: there is no output \"%s\" here: table, "
			"json%s\nNext: postern %s --help\n",
			c->verb, text, d->csv ? " or csv" : "", c->verb);
		return -1;
	}
	return 0;
}

/* -1: go on; else the exit status. */
static int
parse(const struct admin_verb *v, const struct admin_deed *d, struct admin_call *c,
      int argc, char **argv)
{
	struct option options[ADMIN_OPTIONS + 8];
	int n = 0, o;

	for (int i = 0; i < ADMIN_OPTIONS; i++)
		if (takes(d, names[i]))
			options[n++] = (struct option){ names[i], required_argument, NULL,
							256 + i };
	options[n++] = (struct option){ "config", required_argument, NULL, 'c' };
	options[n++] = (struct option){ "rundir", required_argument, NULL, 256 + RUNDIR };
	options[n++] = (struct option){ "socket", required_argument, NULL, 256 + SOCKET };
	options[n++] = (struct option){ "output", required_argument, NULL, 'o' };
	options[n++] = (struct option){ "format", required_argument, NULL, 'o' };
	options[n++] = (struct option){ "help", no_argument, NULL, 'h' };
	options[n] = (struct option){ NULL, 0, NULL, 0 };
	optind = 1;
	while ((o = getopt_long(argc, argv, "c:o:h", options, NULL)) != -1) {
		if (o == 'c')
			c->conf = optarg;
		else if (o == 256 + RUNDIR)
			c->rundir = optarg;
		else if (o == 256 + SOCKET)
			c->socket = optarg;
		else if (o == 'o') {
			if (take_output(c, d, optarg) < 0)
				return 2;
		} else if (o >= 256 && o < 256 + ADMIN_OPTIONS)
			c->value[o - 256] = optarg;
		else if (o == 'h')
			return usage(v, stdout, 0);
		else {
			fprintf(stderr, "Next: postern %s --help\n", v->name);
			return 2;
		}
	}
	c->words = argv + optind;
	c->nwords = argc - optind;
	return -1;
}

static int
count_words(const char *words)
{
	int n = *words ? 1 : 0;

	for (; *words; words++)
		n += *words == ' ';
	return n;
}

static const struct admin_deed *
find(const struct admin_verb *v, const char *name)
{
	for (const struct admin_deed *d = v->deeds; d->run; d++)
		if (!d->name || (name && strcmp(d->name, name) == 0))
			return d;
	return NULL;
}

static int
unknown(const struct admin_verb *v, int argc, char **argv)
{
	bool asks = argc > 1 &&
		    (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);

	if (asks)
		return usage(v, stdout, 0);
	if (argc > 1)
		fprintf(stderr, "postern %s: there is no \"%s %s\"\n", v->name, v->name,
			argv[1]);
	return usage(v, stderr, 2);
}

int
admin_main(const struct admin_verb *v, int argc, char **argv)
{
	const struct admin_deed *d = find(v, argc > 1 ? argv[1] : NULL);
	struct admin_call c = { .verb = v->name };
	char verb[64];
	int status;

	if (!d)
		return unknown(v, argc, argv);
	if (d->name) {
		snprintf(verb, sizeof(verb), "%s %s", v->name, d->name);
		c.verb = verb;
		argc--;
		argv++;
	}
	status = parse(v, d, &c, argc, argv);
	if (status >= 0)
		return status;
	if (c.nwords != count_words(d->words)) {
		fprintf(stderr, "postern %s: %s\n", c.verb,
			c.nwords < count_words(d->words) ? "there is a word missing"
							 : "there is a word too many");
		print_deed(v, d, stderr);
		return 2;
	}
	status = d->run(&c);
	if (fflush(stdout) == EOF || ferror(stdout)) {
		fprintf(stderr,
			"postern %s: cannot write what came\nNext: see whether the disk "
			"is full\n",
			c.verb);
		return 1;
	}
	return status;
}
