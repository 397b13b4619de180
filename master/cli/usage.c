/* postern usage, audit, history, probe: what was, and whether it is. */
#include <string.h>

#include "master/cli/admin.h"
#include "master/cli/cli.h"

/* ---- usage */

static const struct admin_column usage_columns[] = {
	{ "begin", "BEGIN", false },        { "consumer", "CONSUMER", false },
	{ "service", "SERVICE", false },    { "requests", "REQUESTS", true },
	{ "status.2xx", "2XX", true },      { "status.3xx", "3XX", true },
	{ "status.4xx", "4XX", true },      { "status.5xx", "5XX", true },
	{ "status.none", "NONE", true },    { "bytes_in", "BYTES IN", true },
	{ "bytes_out", "BYTES OUT", true }, { NULL, NULL, false },
};

static const struct admin_column rollup_columns[] = {
	{ "begin", "BEGIN", false },      { "name", "NAME", false },
	{ "requests", "REQUESTS", true }, { "status.2xx", "2XX", true },
	{ "status.4xx", "4XX", true },    { "status.5xx", "5XX", true },
	{ "failed", "FAILED", true },     { "mean_us", "MEAN US", true },
	{ "p50_us", "P50 US", true },     { "p95_us", "P95 US", true },
	{ "p99_us", "P99 US", true },     { NULL, NULL, false },
};

static int
usage(struct admin_call *c)
{
	const char *per = c->value[ADMIN_PER];
	char path[1024];
	struct admin_reply r;

	snprintf(path, sizeof(path), "%s", per ? "/v1/rollups" : "/v1/usage");
	if (per) {
		if ((c->value[ADMIN_CONSUMER] && strcmp(per, "consumer") != 0) ||
		    (c->value[ADMIN_SERVICE] && strcmp(per, "service") != 0)) {
			fprintf(stderr,
				"postern usage: with --per %s one is chosen by --name\n"
				"Next: postern usage --help\n",
				per);
			return 2;
		}
		admin_query(path, "kind", per);
		admin_query(path, "name",
			    c->value[ADMIN_NAME]       ? c->value[ADMIN_NAME]
			    : c->value[ADMIN_CONSUMER] ? c->value[ADMIN_CONSUMER]
						       : c->value[ADMIN_SERVICE]);
	} else if (c->value[ADMIN_NAME]) {
		fprintf(stderr, "postern usage: --name belongs to --per\n"
				"Next: postern usage --consumer NAME\n");
		return 2;
	} else {
		admin_query(path, "consumer", c->value[ADMIN_CONSUMER]);
		admin_query(path, "service", c->value[ADMIN_SERVICE]);
	}
	admin_query(path, "by", c->value[ADMIN_BY]);
	admin_query(path, "from", c->value[ADMIN_FROM]);
	admin_query(path, "to", c->value[ADMIN_TO]);
	admin_query(path, "format", c->output == ADMIN_CSV ? "csv" : "json");
	if (admin_do(c, "GET", path, NULL, "postern usage --help", &r) < 0)
		return 1;
	if (c->output != ADMIN_TABLE)
		admin_print(&r);
	else if (per)
		admin_table(json_object_get(r.doc, "rollups"), rollup_columns, stdout);
	else
		admin_table(json_object_get(r.doc, "usage"), usage_columns, stdout);
	admin_forget(&r);
	return 0;
}

static const struct admin_deed usage_deeds[] = {
	{ NULL, "", "consumer service by from to per name", true, usage,
	  "exact, by consumer and service, in UTC; --per: requests, errors and latencies "
	  "instead" },
	{ NULL, NULL, NULL, false, NULL, NULL },
};

static const struct admin_verb usage_verb = { "usage",
					      "what was used, good enough to bill from",
					      usage_deeds };

int
cli_usage(int argc, char **argv)
{
	return admin_main(&usage_verb, argc, argv);
}

/* ---- audit, history */

static const struct admin_column audit_columns[] = {
	{ "at", "AT", false },     { "who", "WHO", false }, { "what", "WHAT", false },
	{ "name", "NAME", false }, { NULL, NULL, false },
};

static const struct admin_column history_columns[] = {
	{ "revision", "REVISION", true },
	{ "at", "AT", false },
	{ "ok", "IN FORCE", false },
	{ "by", "BY", false },
	{ "file", "FILE", false },
	{ "text", "TEXT", false },
	{ NULL, NULL, false },
};

static int
print_list(struct admin_call *c, const char *endpoint, const char *key,
	   const struct admin_column *columns)
{
	struct admin_reply r;
	char path[1024];

	snprintf(path, sizeof(path), "%s", endpoint);
	admin_query(path, "limit", c->value[ADMIN_LIMIT]);
	admin_query(path, "name", c->value[ADMIN_NAME]);
	if (admin_do(c, "GET", path, NULL, NULL, &r) < 0)
		return 1;
	if (c->output == ADMIN_JSON)
		admin_print(&r);
	else
		admin_table(json_object_get(r.doc, key), columns, stdout);
	admin_forget(&r);
	return 0;
}

static int
audit(struct admin_call *c)
{
	return print_list(c, "/v1/audit", "audit", audit_columns);
}

static int
history(struct admin_call *c)
{
	return print_list(c, "/v1/history", "revisions", history_columns);
}

static const struct admin_deed audit_deeds[] = {
	{ NULL, "", "name limit", false, audit,
	  "the newest first; -o json has what was before and after" },
	{ NULL, NULL, NULL, false, NULL, NULL },
};

static const struct admin_deed history_deeds[] = {
	{ NULL, "", "limit", false, history,
	  "the newest first, with who loaded it and why it was refused" },
	{ NULL, NULL, NULL, false, NULL, NULL },
};

static const struct admin_verb audit_verb = { "audit",
					      "who changed what through the admin plane",
					      audit_deeds };
static const struct admin_verb history_verb = {
	"history", "configurations that were loaded or refused", history_deeds
};

int
cli_audit(int argc, char **argv)
{
	return admin_main(&audit_verb, argc, argv);
}

int
cli_history(int argc, char **argv)
{
	return admin_main(&history_verb, argc, argv);
}

/* ---- probe */

static int
probe(struct admin_call *c, const char *path)
{
	struct admin_reply r;
	int good;

	if (admin_ask(c, "GET", path, NULL, &r) < 0)
		return 1;
	good = r.status == 200;
	if (c->output == ADMIN_JSON)
		printf("{\"ok\": %s}\n", good ? "true" : "false");
	else
		admin_print(&r);
	if (!good)
		fprintf(stderr, "Next: postern stat\n");
	admin_forget(&r);
	return !good;
}

static int
probe_live(struct admin_call *c)
{
	return probe(c, "/livez");
}

static int
probe_ready(struct admin_call *c)
{
	return probe(c, "/readyz");
}

static const struct admin_deed probe_deeds[] = {
	{ "live", "", "", false, probe_live, "status 0 while the gateway answers" },
	{ "ready", "", "", false, probe_ready, "status 0 while a worker serves" },
	{ NULL, NULL, NULL, false, NULL, NULL },
};

static const struct admin_verb probe_verb = { "probe", "for health checks", probe_deeds };

int
cli_probe(int argc, char **argv)
{
	return admin_main(&probe_verb, argc, argv);
}
