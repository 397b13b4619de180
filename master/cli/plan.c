/* postern plan, postern quota: how much who may, and how much is left. */
#include <stdlib.h>
#include <string.h>

#include "master/cli/admin.h"
#include "master/cli/cli.h"

static const struct admin_column plan_columns[] = {
	{ "name", "NAME", false },   { "rate", "RATE", false },
	{ "burst", "BURST", true },  { "quota", "QUOTA", false },
	{ "zone", "ZONE", false },   { "source", "SOURCE", false },
	{ "where", "WHERE", false }, { NULL, NULL, false },
};

static const char list_next[] = "postern plan list";

static int
list(struct admin_call *c)
{
	struct admin_reply r;

	if (admin_do(c, "GET", "/v1/plans", NULL, NULL, &r) < 0)
		return 1;
	if (c->output == ADMIN_JSON)
		admin_print(&r);
	else
		admin_table(json_object_get(r.doc, "plans"), plan_columns, stdout);
	admin_forget(&r);
	return 0;
}

static int
show_reply(const struct admin_call *c, struct admin_reply *r)
{
	json_t *one = json_array();

	if (c->output == ADMIN_JSON) {
		admin_print(r);
	} else {
		json_array_append(one, r->doc);
		admin_table(one, plan_columns, stdout);
	}
	json_decref(one);
	admin_forget(r);
	return 0;
}

static int
show(struct admin_call *c)
{
	struct admin_reply r;
	char path[1024];

	admin_path(path, "/v1/plans/%s", c->words[0], NULL);
	return admin_do(c, "GET", path, NULL, list_next, &r) < 0 ? 1 : show_reply(c, &r);
}

static int
set(struct admin_call *c)
{
	static const struct {
		enum admin_option option;
		const char *key;
	} texts[] = { { ADMIN_RATE, "rate" },
		      { ADMIN_QUOTA, "quota" },
		      { ADMIN_ZONE, "zone" } };
	const char *burst = c->value[ADMIN_BURST];
	json_t *body = json_object();
	struct admin_reply r;
	char path[1024], *end;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (c->value[texts[i].option])
			json_object_set_new(body, texts[i].key,
					    json_string(c->value[texts[i].option]));
	if (burst) {
		long long n = strtoll(burst, &end, 10);

		json_object_set_new(body, "burst",
				    *burst && !*end ? json_integer(n)
						    : json_string(burst));
	}
	admin_path(path, "/v1/plans/%s", c->words[0], NULL);
	return admin_do(c, "PUT", path, body, "postern plan set --help", &r) < 0
		       ? 1
		       : show_reply(c, &r);
}

static int
drop(struct admin_call *c)
{
	struct admin_reply r;
	char path[1024];

	admin_path(path, "/v1/plans/%s", c->words[0], NULL);
	if (admin_do(c, "DELETE", path, NULL, "postern consumer list, postern plan list",
		     &r) < 0)
		return 1;
	admin_forget(&r);
	if (c->output == ADMIN_JSON)
		puts("{}");
	else
		printf("plan %s is removed\n", c->words[0]);
	return 0;
}

static const struct admin_deed plan_deeds[] = {
	{ "list", "", "", false, list, "those of the files and of the store" },
	{ "show", "NAME", "", false, show, "one" },
	{ "set", "NAME", "rate burst quota zone", false, set,
	  "adds or replaces one in the store; several rates or quotas are separated by "
	  "blanks" },
	{ "remove", "NAME", "", false, drop, "removes one that no consumer has" },
	{ NULL, NULL, NULL, false, NULL, NULL },
};

static const struct admin_verb plan_verb = {
	"plan", "rates and quotas that consumers have together", plan_deeds
};

int
cli_plan(int argc, char **argv)
{
	return admin_main(&plan_verb, argc, argv);
}

/* ---- quotas */

static const struct admin_column quota_columns[] = {
	{ "policy", "POLICY", false }, { "window", "WINDOW", false },
	{ "used", "USED", true },      { "limit", "LIMIT", true },
	{ "left", "LEFT", true },      { "ends", "ENDS", false },
	{ NULL, NULL, false },
};

static const struct admin_column reset_columns[] = {
	{ "policy", "POLICY", false },
	{ "window", "WINDOW", false },
	{ "was", "WAS", true },
	{ NULL, NULL, false },
};

static int
quota(struct admin_call *c, const char *method, const char *pattern, json_t *body,
      const struct admin_column *columns)
{
	struct admin_reply r;
	char path[1024];

	admin_path(path, pattern, c->words[0], NULL);
	if (admin_do(c, method, path, body, "postern consumer list", &r) < 0)
		return 1;
	if (c->output == ADMIN_JSON)
		admin_print(&r);
	else if (json_array_size(json_object_get(r.doc, "quotas")))
		admin_table(json_object_get(r.doc, "quotas"), columns, stdout);
	else
		printf("no quota counts %s: no policy of type quota is in use, or its "
		       "plan has none\n",
		       c->words[0]);
	admin_forget(&r);
	return 0;
}

static int
quota_show(struct admin_call *c)
{
	return quota(c, "GET", "/v1/quota/%s", NULL, quota_columns);
}

static int
quota_reset(struct admin_call *c)
{
	json_t *body = json_object();

	if (c->value[ADMIN_POLICY])
		json_object_set_new(body, "policy", json_string(c->value[ADMIN_POLICY]));
	return quota(c, "POST", "/v1/quota/%s/reset", body, reset_columns);
}

static const struct admin_deed quota_deeds[] = {
	{ "show", "CONSUMER", "", false, quota_show,
	  "what it has used of each window, and when that ends" },
	{ "reset", "CONSUMER", "policy", false, quota_reset,
	  "its windows that are open count from 0 again" },
	{ NULL, NULL, NULL, false, NULL, NULL },
};

static const struct admin_verb quota_verb = { "quota",
					      "what consumers have used of their quotas",
					      quota_deeds };

int
cli_quota(int argc, char **argv)
{
	return admin_main(&quota_verb, argc, argv);
}
