/* postern consumer, postern key: who may ask, and by what. */
#include <string.h>

#include "master/cli/admin.h"
#include "master/cli/cli.h"

static const struct admin_column consumer_columns[] = {
	{ "name", "NAME", false },
	{ "plan", "PLAN", false },
	{ "suspended", "SUSPENDED", false },
	{ "source", "SOURCE", false },
	{ "where", "WHERE", false },
	{ "note", "NOTE", false },
	{ NULL, NULL, false },
};

static const struct admin_column key_columns[] = {
	{ "id", "ID", false },           { "state", "STATE", false },
	{ "created", "CREATED", false }, { "expires", "EXPIRES", false },
	{ "note", "NOTE", false },       { NULL, NULL, false },
};

static const char list_next[] = "postern consumer list";

static void
set(json_t *body, const struct admin_call *c, enum admin_option o, const char *key)
{
	if (c->value[o])
		json_object_set_new(
			body, key, *c->value[o] ? json_string(c->value[o]) : json_null());
}

/* ---- consumers */

/* Page by page: there may be a million. */
static int
list(struct admin_call *c)
{
	const char *after = c->value[ADMIN_AFTER];
	void (*print)(const json_t *, const struct admin_column *, FILE *) = admin_table;
	char path[1024], last[256];
	struct admin_reply r;

	for (;;) {
		const char *next;

		snprintf(path, sizeof(path), "/v1/consumers");
		admin_query(path, "after", after);
		admin_query(path, "limit",
			    c->value[ADMIN_LIMIT] ? c->value[ADMIN_LIMIT] : "1000");
		if (admin_do(c, "GET", path, NULL, NULL, &r) < 0)
			return 1;
		next = json_string_value(json_object_get(r.doc, "next"));
		if (c->output == ADMIN_JSON)
			admin_print(&r);
		else
			print(json_object_get(r.doc, "consumers"), consumer_columns,
			      stdout);
		print = admin_table_more;
		if (c->output == ADMIN_JSON || c->value[ADMIN_LIMIT])
			next = NULL;
		snprintf(last, sizeof(last), "%s", next ? next : "");
		admin_forget(&r);
		if (!*last)
			return 0;
		after = last;
	}
}

static int
show_reply(const struct admin_call *c, struct admin_reply *r)
{
	static const char *const fields[] = { "name",  "plan", "suspended", "source",
					      "where", "note", "created",   "changed" };
	char buf[32];

	if (c->output == ADMIN_JSON) {
		admin_print(r);
	} else {
		for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
			if (!json_is_null(json_object_get(r->doc, fields[i])) &&
			    json_object_get(r->doc, fields[i]))
				printf("%-10s %s\n", fields[i],
				       admin_text(r->doc, fields[i], buf));
		if (json_array_size(json_object_get(r->doc, "keys"))) {
			putchar('\n');
			admin_table(json_object_get(r->doc, "keys"), key_columns, stdout);
		} else {
			printf("keys       none. Next: postern key add %s\n",
			       admin_text(r->doc, "name", buf));
		}
	}
	admin_forget(r);
	return 0;
}

static int
show(struct admin_call *c)
{
	struct admin_reply r;
	char path[1024];

	admin_path(path, "/v1/consumers/%s", c->words[0], NULL);
	return admin_do(c, "GET", path, NULL, list_next, &r) < 0 ? 1 : show_reply(c, &r);
}

static int
add(struct admin_call *c)
{
	json_t *body = json_object();
	struct admin_reply r;

	json_object_set_new(body, "name", json_string(c->words[0]));
	set(body, c, ADMIN_PLAN, "plan");
	set(body, c, ADMIN_NOTE, "note");
	return admin_do(c, "POST", "/v1/consumers", body,
			"postern consumer list, postern plan list", &r) < 0
		       ? 1
		       : show_reply(c, &r);
}

static int
patch(struct admin_call *c, json_t *body)
{
	struct admin_reply r;
	char path[1024];

	admin_path(path, "/v1/consumers/%s", c->words[0], NULL);
	return admin_do(c, "PATCH", path, body, list_next, &r) < 0 ? 1
								   : show_reply(c, &r);
}

static int
change(struct admin_call *c)
{
	json_t *body = json_object();

	set(body, c, ADMIN_PLAN, "plan");
	set(body, c, ADMIN_NOTE, "note");
	if (json_object_size(body))
		return patch(c, body);
	json_decref(body);
	fprintf(stderr,
		"postern consumer set: nothing to set\nNext: postern consumer set %s "
		"--plan PLAN, or --note TEXT\n",
		c->words[0]);
	return 2;
}

static int
suspend(struct admin_call *c)
{
	return patch(c, json_pack("{s:b}", "suspended", 1));
}

static int
resume(struct admin_call *c)
{
	return patch(c, json_pack("{s:b}", "suspended", 0));
}

static int
drop(struct admin_call *c)
{
	struct admin_reply r;
	char path[1024];

	admin_path(path, "/v1/consumers/%s", c->words[0], NULL);
	if (admin_do(c, "DELETE", path, NULL, list_next, &r) < 0)
		return 1;
	admin_forget(&r);
	if (c->output == ADMIN_JSON)
		puts("{}");
	else
		printf("%s is removed, with its keys; its usage stays\n", c->words[0]);
	return 0;
}

static const struct admin_deed consumer_deeds[] = {
	{ "list", "", "after limit", false, list, "those of the files and of the store" },
	{ "show", "NAME", "", false, show, "one, with its keys" },
	{ "add", "NAME", "plan note", false, add, "adds one to the store" },
	{ "set", "NAME", "plan note", false, change, "changes its plan or note" },
	{ "suspend", "NAME", "", false, suspend,
	  "refuses its keys, until it is resumed; those of files too" },
	{ "resume", "NAME", "", false, resume, "lets it go on" },
	{ "remove", "NAME", "", false, drop, "removes it from the store, with its keys" },
	{ NULL, NULL, NULL, false, NULL, NULL },
};

static const struct admin_verb consumer_verb = { "consumer", "who uses the gateway",
						 consumer_deeds };

int
cli_consumer(int argc, char **argv)
{
	return admin_main(&consumer_verb, argc, argv);
}

/* ---- keys */

static int
key_list(struct admin_call *c)
{
	struct admin_reply r;
	char path[1024];

	admin_path(path, "/v1/consumers/%s/keys", c->words[0], NULL);
	if (admin_do(c, "GET", path, NULL, list_next, &r) < 0)
		return 1;
	if (c->output == ADMIN_JSON)
		admin_print(&r);
	else
		admin_table(json_object_get(r.doc, "keys"), key_columns, stdout);
	admin_forget(&r);
	return 0;
}

/* The key alone goes to stdout: K=$(postern key add acme). */
static int
make(struct admin_call *c, const char *pattern, json_t *body)
{
	struct admin_reply r;
	char path[1024], id[32], expires[32];

	admin_path(path, pattern, c->words[0], NULL);
	if (admin_do(c, "POST", path, body, "postern key list CONSUMER", &r) < 0)
		return 1;
	if (c->output == ADMIN_JSON) {
		admin_print(&r);
	} else {
		const json_t *old = json_array_get(json_object_get(r.doc, "before"), 0);

		puts(json_string_value(json_object_get(r.doc, "key")));
		fflush(stdout);
		fprintf(stderr, "key %s of %s; it is shown this once only\n",
			admin_text(r.doc, "id", id), c->words[0]);
		if (old)
			fprintf(stderr, "the keys before it are refused from %s on\n",
				admin_text(old, "expires", expires));
	}
	admin_forget(&r);
	return 0;
}

static int
key_add(struct admin_call *c)
{
	json_t *body = json_object();

	set(body, c, ADMIN_NOTE, "note");
	set(body, c, ADMIN_EXPIRES, "expires");
	return make(c, "/v1/consumers/%s/keys", body);
}

static int
key_rotate(struct admin_call *c)
{
	json_t *body = json_object();

	set(body, c, ADMIN_NOTE, "note");
	set(body, c, ADMIN_EXPIRES, "expires");
	set(body, c, ADMIN_GRACE, "grace");
	return make(c, "/v1/consumers/%s/rotate", body);
}

static int
key_revoke(struct admin_call *c)
{
	struct admin_reply r;
	char path[1024];

	admin_path(path, "/v1/consumers/%s/keys/%s", c->words[0], c->words[1]);
	if (admin_do(c, "DELETE", path, NULL, "postern key list CONSUMER", &r) < 0)
		return 1;
	admin_forget(&r);
	if (c->output == ADMIN_JSON)
		puts("{}");
	else
		printf("key %s of %s is revoked\n", c->words[1], c->words[0]);
	return 0;
}

static const struct admin_deed key_deeds[] = {
	{ "list", "CONSUMER", "", false, key_list,
	  "its keys, by their ids; the keys themselves are not known here" },
	{ "add", "CONSUMER", "note expires", false, key_add,
	  "a new key, printed this once" },
	{ "rotate", "CONSUMER", "grace note expires", false, key_rotate,
	  "a new key; those that live go on for the grace time (24h)" },
	{ "revoke", "CONSUMER ID", "", false, key_revoke, "refuses a key from now on" },
	{ NULL, NULL, NULL, false, NULL, NULL },
};

static const struct admin_verb key_verb = { "key", "keys of consumers", key_deeds };

int
cli_key(int argc, char **argv)
{
	return admin_main(&key_verb, argc, argv);
}
