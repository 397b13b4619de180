/* admin — what the verbs share that speak to the keeper's admin socket: options, requests, answers, tables.
 *
 * A *deed* is one thing that a verb does, "key rotate"; a row says its words and options. What goes wrong is said on
 * stderr with the next useful command; the exit status is 0, 1 (it failed) or 2 (it was asked wrongly). */
#ifndef CLI_ADMIN_H
#define CLI_ADMIN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum admin_option {
	ADMIN_PLAN, ADMIN_NOTE, ADMIN_EXPIRES, ADMIN_GRACE, ADMIN_RATE, ADMIN_BURST, ADMIN_QUOTA, ADMIN_ZONE,
	ADMIN_POLICY, ADMIN_CONSUMER, ADMIN_SERVICE, ADMIN_NAME, ADMIN_BY, ADMIN_FROM, ADMIN_TO, ADMIN_PER,
	ADMIN_AFTER, ADMIN_LIMIT, ADMIN_OPTIONS
};

enum admin_output { ADMIN_TABLE, ADMIN_JSON, ADMIN_CSV };

struct admin_call {
	const char *verb;               /* "key rotate" */
	const char *conf, *rundir, *socket;     /* NULL: the usual */
	enum admin_output output;
	char **words;                   /* behind the deed */
	int nwords;
	const char *value[ADMIN_OPTIONS];       /* NULL: not given */
};

struct admin_deed {
	const char *name;               /* NULL: the verb has but this one */
	const char *words;              /* "NAME", "CONSUMER ID", "" */
	const char *options;            /* of enum admin_option, by their names: "plan note" */
	bool csv;                       /* -o csv is possible */
	int (*run)(struct admin_call *);
	const char *help;
};

struct admin_verb {
	const char *name, *help;
	const struct admin_deed *deeds; /* ends with a row without `run` */
};

int admin_main(const struct admin_verb *, int argc, char **argv);

struct admin_reply {
	int status;
	char *text;                     /* the body, NUL-terminated */
	size_t len;
	json_t *doc;                    /* of it; NULL: it is no JSON, or empty */
};

/* Asks; `body` may be NULL and is let go of. -1: there was no answer, said. */
int admin_ask(const struct admin_call *, const char *method, const char *path, json_t *body, struct admin_reply *);
void admin_forget(struct admin_reply *);
/* The same for who wants success only: a refusal is said, with `next` (a command, or NULL); -1 then. */
int admin_do(const struct admin_call *, const char *method, const char *path, json_t *body, const char *next,
	     struct admin_reply *);

/* A path made of parts, as printf; every %s is percent-encoded first. At most 1023 bytes; cut beyond. */
void admin_path(char to[static 1024], const char *fmt, const char *a, const char *b);
/* Appends "?key=value" or "&key=value", unless value is NULL. */
void admin_query(char path[static 1024], const char *key, const char *value);

/* The text of a member, "-" for null, numbers in decimal. `buf`: 32 bytes. */
const char *admin_text(const json_t *, const char *key, char buf[static 32]);

struct admin_column {
	const char *key, *title;        /* key "status.2xx": a member of a member */
	bool number;                    /* stands to the right */
};

/* Objects of an array as a table. Columns end with a row without a key. */
void admin_table(const json_t *list, const struct admin_column *, FILE *);
/* More of the same table: without its head. */
void admin_table_more(const json_t *list, const struct admin_column *, FILE *);
/* Prints the body as it came. */
int admin_print(const struct admin_reply *);

#endif
